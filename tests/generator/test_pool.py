"""Evol-Instruct's pool: what is eliminated stays as its parent, and every generation is a row of its own."""

import asyncio
from dataclasses import asdict

import pytest

from generator import Answering, Roles, run_pool
from tests.builders import evolved, seeds
from utils.command.arguments import parse_arguments
from utils.files.row_store import RowStore
from utils.llm.ledger import Ledger
from utils.rows.counts import RowCounts
from utils.rows.records import stored_row
from utils.rows.summary import summarize
from utils.schema import (
    PASSED,
    Answer,
    Finding,
    Learned,
    Rewrite,
    RowOutcome,
    SeedInstruction,
    Trajectory,
    failed,
    unscored,
)


class Pool:
    """Roles that note what they are asked. `fates` says, by row and generation, what comes of it if not a good row.

    Fates: lost (says the judge), unreadable (no rewrite), refusal (says a rule on the answer), unavailable.
    """

    def __init__(self, fates: dict[tuple[int, int], str] | None = None) -> None:
        self.fates = fates or {}
        self.parents: dict[tuple[int, int, int], str] = {}
        self.judged: list[dict[int, str]] = []
        self.reasons: list[str] = []

    def roles(self, generation: int) -> Roles:
        def fate(seed: SeedInstruction) -> str:
            return self.fates.get((seed.id, generation), "")

        async def evolve(seed: SeedInstruction, reason: str, draw: int) -> Trajectory:
            self.parents[seed.id, generation, draw] = seed.text
            self.reasons.append(reason)
            stopped = {"unreadable": failed("unreadable"), "unavailable": unscored("unavailable")}.get(fate(seed))
            if stopped:
                return Trajectory(seed, (), stopped, "a raw reply")
            return Trajectory(seed, (Rewrite(f"{seed.text}+{generation}", f"operation-{generation}"),))

        async def judge(cases: dict[int, Trajectory]) -> dict[int, Finding]:
            self.judged.append({case: t.seed.text for case, t in cases.items()})
            return {case: Finding(("lost",) if fate(t.seed) == "lost" else ()) for case, t in cases.items()}

        async def answer(trajectory: Trajectory, draw: int) -> Answer:
            return Answer(trajectory, fate(trajectory.seed) or "fine")

        return Roles(
            evolve=evolve,
            judge=judge,
            answering=Answering(answer, lambda a: failed("refusal") if a.text == "refusal" else PASSED),
            check_finding=lambda finding: failed("lost") if finding and finding.labels else PASSED,
            check_answers=lambda answers: answers.best.verdict,
            first_attempt=lambda outcome: outcome.measured(outcome.verdict),
            explain=lambda outcome: outcome.verdict.reason,
        )

    def run(self, rows: int = 2, generations: int = 3, attempts: int = 1) -> list[RowOutcome]:
        return asyncio.run(run_pool(seeds(rows), self.roles, generations, attempts))


def texts(outcomes: list[RowOutcome]) -> list[tuple[int, int | None, str]]:
    return [(o.seed.id, o.generation, o.trajectory.final) for o in outcomes]


def test_every_row_of_every_generation_is_there_with_all_its_stages():
    outcomes = Pool().run()
    a, b = (start.text for start in seeds(2))
    assert texts(outcomes) == [
        *((0, 1, f"{a}+1"), (1, 1, f"{b}+1")),
        *((0, 2, f"{a}+1+2"), (1, 2, f"{b}+1+2")),
        *((0, 3, f"{a}+1+2+3"), (1, 3, f"{b}+1+2+3")),
    ]
    assert all(outcome.seed == start for outcome, start in zip(outcomes, seeds(2) * 3, strict=True))
    assert [stage.method_id for stage in outcomes[-1].trajectory.stages] == [f"operation-{n}" for n in (1, 2, 3)]


@pytest.mark.parametrize("fate", ["lost", "unreadable", "refusal", "unavailable"])
def test_what_did_not_pass_stays_as_its_parent_and_is_tried_again_next_round(fate):
    pool = Pool({(1, 2): fate})
    outcomes = pool.run()
    text = seeds(2)[1].text
    of_row = [outcome for outcome in outcomes if outcome.seed.id == 1]
    assert [outcome.verdict.passed for outcome in of_row] == [True, False, True]
    assert [pool.parents[1, generation, 0] for generation in (1, 2, 3)] == [text, f"{text}+1", f"{text}+1"]
    assert of_row[2].trajectory.final == f"{text}+1+3"
    assert [stage.method_id for stage in of_row[2].trajectory.stages] == ["operation-1", "operation-3"]
    assert of_row[1].verdict.reason == fate


def test_a_row_that_never_passes_is_tried_from_its_seed_in_every_round():
    pool = Pool({(0, generation): "lost" for generation in (1, 2, 3)})
    outcomes = pool.run(rows=1)
    assert set(pool.parents.values()) == {seeds(1)[0].text}
    assert [(o.generation, o.verdict) for o in outcomes] == [(n, failed("lost")) for n in (1, 2, 3)]


def test_within_a_round_attempts_begin_anew_and_are_told_why():
    pool = Pool({(0, 2): "lost"})
    outcomes = pool.run(rows=1, attempts=2)
    assert [outcome.attempts for outcome in outcomes] == [1, 2, 1]
    assert pool.reasons == ["", "", "lost", ""]


def test_the_judge_sees_each_rewrite_beside_its_parent_not_beside_the_seed():
    pool = Pool()
    pool.run(rows=1, generations=2)
    text = seeds(1)[0].text
    assert pool.judged == [{1: text}, {1: f"{text}+1"}]


def records(outcomes: list[RowOutcome]) -> list[tuple[str, dict]]:
    return [stored_row(outcome, "m")[:2] for outcome in outcomes]


def test_records_name_their_generation_and_the_operations_so_far():
    kinds = records(Pool({(0, 2): "lost"}).run(rows=1))
    assert [(kind, row["id"], row["generation"]) for kind, row in kinds] == [
        *(("evolved", 0, 1), ("eliminated", 0, 2), ("evolved", 0, 3)),
    ]
    assert [stage["method_id"] for stage in kinds[2][1]["stages"]] == ["operation-1", "operation-3"]
    assert kinds[2][1]["method_id"] == "operation-3"
    assert kinds[2][1]["seed_instruction"] == seeds(1)[0].text


def test_an_unreadable_reply_of_a_later_generation_is_kept():
    (_, (kind, row)) = records(Pool({(0, 2): "unreadable"}).run(rows=1, generations=2))
    assert (kind, row["reason"], row["reply"]) == ("eliminated", "unreadable", "a raw reply")


def test_the_ledger_counts_per_generation(tmp_path):
    config = parse_arguments(["--offline", "--method", "evol-instruct", "--generations", "3"])
    outcomes = Pool({(0, 2): "lost", (1, 3): "unavailable", (1, 1): "refusal"}).run()
    with RowStore(tmp_path / "rows") as rows:
        keyed = [(config.row_key(o.seed.id, o.generation), stored_row(o, "m")) for o in outcomes]
        rows.put_many(keyed)
        assert [key for key, _ in rows.items()] == list(range(6))  # by id, then by generation
        summary = summarize(RowCounts.of(rows), Learned([], []), Ledger(), 0.0, parse_arguments(["--offline"]))
    assert (summary.rows_in, summary.evolved, summary.unavailable) == (6, 3, 1)
    assert summary.eliminated == {"lost": 1, "refusal": 1}
    assert summary.adds_up


def test_no_generations_give_no_rows():
    assert Pool().run(generations=0) == []


def test_a_group_that_all_passed_equals_one_that_evolved_straight_through():
    straight = evolved(seeds(1)[0], "Name 2 rivers.+1", "Name 2 rivers.+1+2")
    last = Pool().run(rows=1, generations=2)[-1].trajectory
    assert [asdict(stage)["instruction"] for stage in last.stages] == [s.instruction for s in straight.stages]
