"""The final run on a Ray cluster: groups of ten seeds through Ray Data.

    seeds of the driver -> groups/*.parquet -> read_parquet -> flat_map(Evolver) -> write_parquet -> rows/*.parquet

    cluster.py           the connection
    coordinator.py       an actor beside the driver: the journal, the budget, the counts; how workers reach it
    groups.py            the files of groups, before and after
    pipeline.py          the data set, its actors, and what is done about groups that do not come through
    near_duplicates.py   the filter, where rows are too many for one machine
    decontamination.py   that of benchmarks, likewise

A row of the data set is a whole group, in and out, so that nothing depends on how Ray cuts blocks. Only `--engine ray`
imports this; it needs requirements-ray.txt.
"""

from generator.scale_out.cluster import connected
from generator.scale_out.decontamination import eliminate_contaminated_in_tasks
from generator.scale_out.near_duplicates import eliminate_near_duplicates_in_shards
from generator.scale_out.pipeline import FinalRun, evolve_on_ray

__all__ = [
    "FinalRun",
    "connected",
    "eliminate_contaminated_in_tasks",
    "eliminate_near_duplicates_in_shards",
    "evolve_on_ray",
]
