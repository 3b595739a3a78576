"""The summary: every row and every call accounted for, in the file and on stdout."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.builders import answered, evolved, score, seed
from utils.command.arguments import parse_arguments
from utils.files.row_store import RowStore
from utils.llm.ledger import CallUse, Ledger
from utils.rows.counts import RowCounts
from utils.rows.records import set_aside_row, stored_row
from utils.rows.summary import Summary, as_text, rate_text, summarize
from utils.schema import PASSED, Candidate, Learned, Method, RowOutcome, SetAside, Usage, failed, unscored

CONFIG = parse_arguments(["--offline"])
VERDICTS = [PASSED] * 5 + [failed("lost"), failed("refusal"), failed("lost"), unscored("unavailable")]
HISTORY = [
    Candidate(0, 0, score("initial", "ffjp"), selected=True),
    Candidate(1, 0, score("worse", "fffp")),
    Candidate(1, 1, score("better", "fppp"), selected=True),
    Candidate(2, 0, score("no better", "jppp")),
]


@pytest.fixture
def summary(tmp_path) -> Summary:
    ledger = Ledger()
    ledger.kinds["evolve"] = CallUse(7, 2, 1, Usage(100, 50, 10), Decimal("0.25"))
    ledger.kinds["respond"] = CallUse(3, 4, 0, Usage(10, 500, 0), Decimal("1.5"))
    ledger.retries = 6
    with RowStore(tmp_path / "rows") as rows:
        for id, verdict in enumerate(VERDICTS):
            trajectory = evolved(seed(id=id), "x")
            rows.put(id, stored_row(RowOutcome(trajectory, verdict, None, answered(trajectory)), "m"))
        rows.put(20, set_aside_row(SetAside(20, "", "empty")))
        return summarize(RowCounts.of(rows), Learned([Method("better", "optimized")], HISTORY), ledger, 1.23456, CONFIG)


def test_rows_are_counted_by_what_became_of_them(summary):
    assert (summary.rows_in, summary.evolved, summary.unavailable) == (10, 5, 1)
    assert summary.eliminated == {"lost": 2, "refusal": 1}
    assert summary.set_aside == {"empty": 1}
    assert summary.adds_up
    assert summary.retention == 0.5


def test_rows_that_got_lost_show(summary):
    assert not summary.model_copy(update={"evolved": 4}).adds_up


def test_calls_tokens_and_cost_are_those_of_the_stages(summary):
    assert (summary.calls, summary.journaled, summary.retries) == (10, 6, 6)
    assert (summary.input_tokens, summary.output_tokens, summary.cost) == (110, 550, Decimal("1.75"))
    assert summary.stages["evolve"].unavailable == 1
    assert list(summary.stages) == ["evolve", "respond"]


def test_it_survives_its_file(summary):
    assert Summary.model_validate_json(summary.model_dump_json(indent=2)) == summary


def test_methods_split_failures_into_rules_and_judge(summary):
    initial = summary.methods[0]
    assert (initial.by_rules, initial.by_judge, initial.judged, initial.failure_rate) == (2, 1, 4, 0.75)
    assert [method.selected for method in summary.methods] == [True, False, True, False]


def test_what_a_person_reads(summary):
    lines = as_text(summary, HISTORY, parse_arguments(["--offline"])).splitlines()
    told = {line[:14].strip(): line[14:] for line in lines}
    assert told["rows in"] == "10"
    assert told["evolved"] == "5 (50.0%) -> evolution_result.json"
    assert told["eliminated"] == "3 (lost 2, refusal 1)"
    assert told["set aside"] == "1 (empty 1)"
    assert told["unavailable"].startswith("1 ")
    assert told["calls"] == "10 made, 6 from the journal, 6 retries"
    assert told["tokens"] == "110 in, 550 out"
    assert told["cost"] == "1.7500"
    assert "evolution_result.run" in told["time"]


def test_the_failure_rate_is_told_step_by_step_and_never_rises(summary):
    lines = as_text(summary, HISTORY, parse_arguments(["--offline"])).splitlines()
    rates = [line for line in lines if line.startswith("on dev rows")]
    assert [line.split()[4:6] for line in rates] == [["0:", "75.0%"], ["1:", "25.0%"], ["2:", "25.0%"]]
    assert "rules 2, judge 1 of 4" in rates[0]


def test_a_rate_that_could_not_be_measured():
    assert rate_text(score("x", "uu")) == "not measured (2 rows unscored)"
    assert ", 1 unscored" in rate_text(score("x", "fu"))


def test_the_written_schema_is_the_model():
    """`utils/rows/summary.schema.json` is what CI systems are given; renew it when the model changes."""
    written = json.loads((Path(__file__).parents[3] / "utils/rows/summary.schema.json").read_text(encoding="utf-8"))
    assert written == Summary.model_json_schema()
