"""Generator: answers evolved instructions, runs rows through the roles in groups of ten, explores domains for seeds.

Exploring (`generator.explore`) and the cluster (`generator.scale_out`) are imported by those that need them.
"""

from generator.answer import answer
from generator.answering import Answering, grade_seeds
from generator.group import GROUP_SIZE, Groups, Roles, groups_of_ten, run_group
from generator.pool import run_pool

__all__ = [
    "GROUP_SIZE",
    "Answering",
    "Groups",
    "Roles",
    "answer",
    "grade_seeds",
    "groups_of_ten",
    "run_group",
    "run_pool",
]
