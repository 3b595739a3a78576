"""Generator: answers evolved instructions, and runs rows through evolve, judge and answer in groups of ten."""

from generator.answer import answer
from generator.group import GROUP_SIZE, Roles, groups_of_ten, run_group
from generator.pool import run_pool

__all__ = ["GROUP_SIZE", "Roles", "answer", "groups_of_ten", "run_group", "run_pool"]
