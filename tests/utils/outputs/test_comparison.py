"""The table of `--compare`: a line per method, and what each of them lost."""

import json
from decimal import Decimal

import pytest
from pydantic import TypeAdapter

from tests.builders import answered, evolved, seeds
from utils.command.arguments import parse_arguments
from utils.files.row_store import RowStore
from utils.llm.ledger import CallUse, Ledger
from utils.outputs.comparison import COLUMNS, Compared, comparison_json, comparison_text
from utils.rows.counts import RowCounts
from utils.rows.records import stored_row, stored_rows
from utils.rows.summary import summarize
from utils.schema import PASSED, Learned, RowOutcome, Usage, Verdict, failed
from utils.text.measures.run import measure_run

PLACES = {name: place for place, name in enumerate(COLUMNS)}


def compared(folder, method: str, verdicts: list[Verdict], *added: str, cost: str = "0") -> Compared:
    """A run over as many rows as there are verdicts, whose rewrites add the same words, round by round."""
    ledger = Ledger()
    ledger.kinds["evolve"] = CallUse(1_200, 34, 0, Usage(100_000, 2_345), Decimal(cost))
    with RowStore(folder / "rows") as rows:
        for start, verdict in zip(seeds(len(verdicts)), verdicts, strict=True):
            texts = (" ".join((start.text, *added[:rounds])) for rounds in range(1, len(added) + 1))
            trajectory = evolved(start, *texts)
            rows.put(start.id, stored_row(RowOutcome(trajectory, verdict, None, answered(trajectory)), "m"))
        measures = measure_run(row for _, row in stored_rows(rows))
        summary = summarize(RowCounts.of(rows), Learned([], []), ledger, 1.0, parse_arguments(["--offline"]))
        return Compared(method=method, summary=summary, measures=measures)


@pytest.fixture
def runs(tmp_path) -> list[Compared]:
    """One that keeps three of four rows and adds as many words as there were, and one that keeps none."""
    good = compared(tmp_path, "auto", [PASSED] * 3 + [failed("lost")], "Say why.", cost="1.25")
    return [good, compared(tmp_path, "evol-instruct", [failed("equal")] * 3 + [failed("lost")], "Say why.")]


def cells(line: str) -> list[str]:
    return [cell for cell in line.split("  ") if cell]


def test_the_table_has_a_line_per_method_in_the_order_given(runs):
    head, first, second, *_ = comparison_text(runs).splitlines()
    assert [cell.strip() for cell in cells(head)] == list(COLUMNS)
    assert [first.split()[0], second.split()[0]] == ["auto", "evol-instruct"]


def test_each_figure_stands_under_its_name(runs):
    head, *lines = comparison_text(runs).splitlines()[:3]
    of_first, of_second = (
        {name: line[head.index(name) :].split("  ")[0].strip() for name in COLUMNS[1:]} for line in lines
    )
    assert (of_first["rows"], of_first["retention"]) == ("3/4", "75.0%")
    assert (of_first["calls"], of_first["journaled"], of_first["tokens"]) == ("1,200", "34", "102,345")
    assert (of_first["cost"], of_second["cost"]) == ("1.2500", "-")
    assert (of_second["rows"], of_second["retention"]) == ("0/4", "0.0%")


def test_length_and_overlap_are_those_of_the_rewrites(runs):
    seed_tokens, tokens = 3, 5  # `Name 2 rivers.` and `Name 2 rivers. Say why.`
    row = comparison_text(runs).splitlines()[1].split()
    assert row[PLACES["length growth"]] == f"{tokens / seed_tokens:.2f}x"
    assert row[PLACES["to parent"]] == f"{2 * seed_tokens / (seed_tokens + tokens):.2f}"
    assert row[PLACES["to nearest"]] == "0.80"  # all but the number
    assert row[PLACES["distinct-1"]] == f"{7 / 15:.3f}"  # name, rivers, say, why and three numbers


def test_of_several_rounds_the_last_one_counts(tmp_path):
    row = comparison_text([compared(tmp_path, "auto", [PASSED] * 3, "Say why.", "Say when.")]).splitlines()[1].split()
    assert row[PLACES["length growth"]] == f"{7 / 3:.2f}x"
    assert row[PLACES["to parent"]] == f"{2 * 5 / (5 + 7):.2f}"


def test_what_has_no_row_left_has_no_length_and_no_overlap(runs):
    row = comparison_text(runs).splitlines()[2].split()
    assert row[PLACES["length growth"]] == "-"
    assert row[PLACES["distinct-2"]] == "-"


def test_what_each_lost_is_told_by_reason(runs):
    assert comparison_text(runs).splitlines()[3:] == [
        "auto eliminated: lost 1",
        "evol-instruct eliminated: equal 3, lost 1",
    ]


def test_nothing_lost_is_told_as_well(tmp_path):
    assert comparison_text([compared(tmp_path, "auto", [PASSED], "Why?")]).endswith("auto eliminated: none")


def test_the_file_holds_all_figures_and_comes_back(runs):
    text = comparison_json(runs)
    assert TypeAdapter(list[Compared]).validate_json(text) == runs
    assert [run["method"] for run in json.loads(text)] == ["auto", "evol-instruct"]
    assert json.loads(text)[0]["summary"]["eliminated"] == {"lost": 1}
