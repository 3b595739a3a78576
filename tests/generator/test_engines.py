"""What repeats something is dropped in the end: benchmarks first, then near-duplicates among what is left."""

import asyncio

from generator.engines import drop_copies
from tests.builders import answered, evolved, seed
from utils.config import RunConfig
from utils.files.row_store import RowStore
from utils.process.each import in_silence
from utils.rows.records import stored_row
from utils.schema import PASSED, RowOutcome
from utils.seeds import SeedSet
from utils.text.decontamination import BenchmarkItems

ITEM = "one two three four five six seven eight"
MORE = " ".join(f"word{number}" for number in range(20))


def dropped(folder, *instructions: str, max_overlap: float = 0.7) -> list[str]:
    """What becomes of rewrites where ITEM is a benchmark's: the reason, or nothing where one is kept."""
    config = RunConfig(data_path="seeds.jsonl", max_overlap=max_overlap)
    benchmarks = BenchmarkItems({"b": [ITEM]}, max_overlap)
    with RowStore(folder / "rows") as rows, SeedSet(RowStore(folder / "seeds"), benchmarks) as seeds:
        seeds.add(seed(f"Seed {number}", number) for number in range(len(instructions)))
        for one, instruction in zip(seeds, instructions, strict=True):
            trajectory = evolved(one, instruction)
            rows.put(one.id, stored_row(RowOutcome(trajectory, PASSED, None, answered(trajectory)), "m"))
        asyncio.run(drop_copies(rows, seeds, config, in_silence))
        return [record.get("reason", "") for _, (_, record, *_) in rows.items()]


def test_a_near_copy_of_what_a_benchmark_has_taken_out_is_none(tmp_path):
    copy = f"{ITEM.replace('seven', '7')} {MORE}"
    assert dropped(tmp_path, f"{ITEM} {MORE}", copy) == ["contaminated", ""]
    assert dropped(tmp_path, copy, copy) == ["", "near_copy"]


def test_without_the_near_copy_filter_benchmarks_stay_out_all_the_same(tmp_path):
    assert dropped(tmp_path, f"{ITEM} {MORE}", MORE, MORE, max_overlap=1) == ["contaminated", "", ""]
