"""Generator: answers evolved instructions, runs rows through the roles in groups of ten, explores domains for seeds."""

from generator.answer import answer
from generator.explore import ExploreOptions, explore
from generator.explore_tree import render, seed_records, tree_from_json, tree_to_json
from generator.group import GROUP_SIZE, Roles, groups_of_ten, run_group
from generator.parts import PartJournal, PartRows, Parts
from generator.pool import run_pool
from generator.ray_actors import Hands

__all__ = [
    "GROUP_SIZE",
    "ExploreOptions",
    "Hands",
    "PartJournal",
    "PartRows",
    "Parts",
    "Roles",
    "answer",
    "explore",
    "groups_of_ten",
    "render",
    "run_group",
    "run_pool",
    "seed_records",
    "tree_from_json",
    "tree_to_json",
]
