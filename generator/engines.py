"""What the final run needs on a cluster only, loaded where it is needed: Ray is no dependency of the local engine."""

from contextlib import AbstractContextManager, nullcontext

from utils.config import RunConfig
from utils.files.row_store import RowStore
from utils.process.each import Each
from utils.seeds import SeedSet
from utils.seeds.seed_set import Benchmarks
from utils.text.decontamination import eliminate_contaminated


def cluster_of(config: RunConfig) -> AbstractContextManager[None]:
    """Return a context that connects to the run's Ray cluster, if it has one; it raises EndpointError if it cannot."""
    if config.engine == "local":
        return nullcontext()
    from generator.scale_out import connected

    return connected(config.ray_address)


async def drop_copies(rows: RowStore, seeds: SeedSet, config: RunConfig, each: Each) -> None:
    """Eliminate new instructions of `rows` that repeat an item of a benchmark, then those that nearly repeat another
    row's, in row order; `each` shows how far it is.

    Near-duplicates stay with `--max-overlap 1`. A cluster takes over where there are too many rows for one machine.
    """
    if seeds.benchmarks:
        await _drop_contaminated(rows, seeds.benchmarks, config, each)
    if config.max_overlap == 1:
        return
    if config.engine == "ray":
        from generator.scale_out import eliminate_near_duplicates_in_shards

        await eliminate_near_duplicates_in_shards(rows, seeds, config.max_overlap, each)
    else:
        from utils.text.near_duplicates import eliminate_near_duplicates  # numpy, which other runs can spare

        eliminate_near_duplicates(rows, seeds, config.max_overlap, each)


async def _drop_contaminated(rows: RowStore, benchmarks: Benchmarks, config: RunConfig, each: Each) -> None:
    if config.engine == "ray":
        from generator.scale_out import eliminate_contaminated_in_tasks

        await eliminate_contaminated_in_tasks(rows, benchmarks, each)
    else:
        eliminate_contaminated(rows, benchmarks, each)
