"""Benchmarks: which of their items a text repeats, and what becomes of rows that do."""

from collections import Counter

from tests.builders import answered, evolved
from utils.files.row_store import RowStore
from utils.rows.records import set_aside_row, stored_row
from utils.rows.summary import BenchmarkSummary
from utils.schema import PASSED, RowOutcome, SeedInstruction, SetAside
from utils.text.decontamination import BenchmarkItems, eliminate_contaminated

LONG = "A train leaves the station at noon and travels north at sixty miles per hour until dusk"
SHORT = "Name three large rivers of Asia"
OTHER = "Name three large lakes of Africa"
OF = {"trains": [LONG], "maps.jsonl:q": [SHORT, OTHER]}


def test_an_item_is_found_by_grams_and_by_rouge_l_and_named_with_its_benchmark():
    items = BenchmarkItems(OF, 0.7)
    assert items.match(f"Read this. {LONG}. What happens then?") == f"trains\n{LONG}"
    assert items.match("Name three very large rivers of Asia") == f"maps.jsonl:q\n{SHORT}"
    assert items.match("Name the three largest lakes in Africa") is None


def test_with_an_overlap_of_one_grams_decide_alone():
    items = BenchmarkItems(OF, 1.0)
    assert items.match(f"{LONG}!") == f"trains\n{LONG}"
    assert items.match(f"{SHORT}?") == f"maps.jsonl:q\n{SHORT}"
    assert items.match("Name three very large rivers of Asia") is None


def test_of_one_item_in_two_benchmarks_the_first_is_named():
    assert BenchmarkItems({"one": [LONG], "two": [LONG]}, 0.7).match(LONG) == f"one\n{LONG}"


def test_texts_that_are_looked_for_leave_nothing_behind():
    items = BenchmarkItems(OF, 0.7)
    items.match(SHORT)
    before = len(items._near._ids), len(items._near._postings), len(items._grams._ids)
    assert items.match("Entirely new words, never seen anywhere before, and some more of them") is None
    assert (len(items._near._ids), len(items._near._postings), len(items._grams._ids)) == before


def outcome(row_id: int, *stages: str) -> RowOutcome:
    trajectory = evolved(SeedInstruction(row_id, "Name a town."), *stages)
    return RowOutcome(trajectory, PASSED, None, answered(trajectory))


def test_rewrites_are_eliminated_with_the_item_and_counted_by_benchmark(tmp_path):
    items = BenchmarkItems(OF, 0.7)
    with RowStore(tmp_path / "rows") as rows:
        rows.put(0, set_aside_row(SetAside(0, OTHER, "contaminated", items.match(OTHER))))
        rows.put(1, set_aside_row(SetAside(1, "", "empty")))
        rows.put(2, stored_row(outcome(2, LONG), "m"))
        rows.put(3, stored_row(outcome(3, "Name two towns by the sea."), "m"))
        rows.put(4, stored_row(outcome(4), "m"))  # a seed as it is
        eliminate_contaminated(rows, items)
        kept = dict(rows.items())
        assert Counter(value[0] for value in kept.values()) == {"set_aside": 2, "eliminated": 1, "evolved": 2}
        lost = kept[2][1]
        assert (lost["reason"], lost["note"], lost["instruction"]) == ("contaminated", f"trains\n{LONG}", LONG)
        assert items.summaries(rows) == [
            BenchmarkSummary(name="trains", items=1, seeds=0, rewrites=1),
            BenchmarkSummary(name="maps.jsonl:q", items=2, seeds=1, rewrites=0),
        ]
