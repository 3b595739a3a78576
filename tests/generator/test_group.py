"""Groups of ten: evolve all, judge once, answer what passed, try again what failed, told why."""

import asyncio
from collections import Counter
from functools import partial

import pytest

from generator import Answering, Roles, groups_of_ten, run_group
from tests.builders import evolved, seeds
from utils.schema import (
    PASSED,
    Answer,
    Finding,
    Grade,
    RowOutcome,
    SeedInstruction,
    Trajectory,
    Verdict,
    failed,
    unscored,
)
from validator.verdicts import check_answers, first_attempt


class Scene:
    """Roles that note what they are asked; what happens to a row is told by `plan[id]`, one word an attempt.

    Words: fine, unreadable, unavailable, lost (says the judge), refusal (says a rule), silent (no answer came); wrong,
    partly and ungraded are what the examiner says of the answer.
    """

    def __init__(self, **plan: list[str]) -> None:
        self.plan = {int(name[1:]): list(words) for name, words in plan.items()}
        self.tries: Counter[int] = Counter()
        self.reasons: list[tuple[int, str]] = []
        self.judged: list[list[int]] = []
        self.answered: list[int] = []
        self.examined: list[list[int]] = []

    def word(self, row_id: int) -> str:
        words = self.plan.get(row_id, ["fine"])
        return words[min(self.tries[row_id], len(words)) - 1]

    async def evolve(self, seed: SeedInstruction, reason: str, draw: int) -> Trajectory:
        assert draw == self.tries[seed.id]
        for _ in range(10 - seed.id):  # those behind are ready first
            await asyncio.sleep(0)
        self.tries[seed.id] += 1
        if reason:
            self.reasons.append((seed.id, reason))
        stopped = {"unreadable": failed("unreadable"), "unavailable": unscored("unavailable")}.get(self.word(seed.id))
        return Trajectory(seed, (), stopped, "raw") if stopped else evolved(seed, f"{seed.text} Why?")

    async def judge(self, cases: dict[int, Trajectory]) -> dict[int, Finding]:
        self.judged.append(list(cases))
        lost = {case for case, trajectory in cases.items() if self.word(trajectory.seed.id) == "lost"}
        return {case: Finding(("lost",), "the number") if case in lost else Finding(()) for case in cases}

    async def answer(self, trajectory: Trajectory, draw: int) -> Answer:
        assert draw == self.tries[trajectory.seed.id] - 1
        self.answered.append(trajectory.seed.id)
        return Answer(trajectory, self.word(trajectory.seed.id))

    @staticmethod
    def check_finding(finding: Finding | None) -> Verdict:
        return failed(finding.labels[0]) if finding and finding.labels else PASSED

    @staticmethod
    def check_answer(answer: Answer) -> Verdict:
        return {"refusal": failed("refusal"), "silent": unscored("unavailable")}.get(answer.text, PASSED)

    async def examine(self, cases: dict[int, list[Answer]]) -> dict[int, list[Grade]]:
        self.examined.append(list(cases))
        grades = {"wrong": "wrong", "partly": "partly", "ungraded": None}
        return {
            case: [Grade(grades.get(answer.text, "right"), f"note on {answer.text}") for answer in answers]
            for case, answers in cases.items()
        }

    def run(self, count: int = 10, attempts: int = 2, judge: bool = True, examined: bool = False) -> list[RowOutcome]:
        roles = Roles(
            evolve=self.evolve,
            judge=self.judge if judge else None,
            answering=Answering(self.answer, self.check_answer, self.examine if examined else None),
            check_finding=self.check_finding,
            check_answers=partial(check_answers, final=True),
            first_attempt=first_attempt,
            explain=lambda outcome: ": ".join(filter(None, (outcome.verdict.reason or "partly", outcome.note))),
        )
        return asyncio.run(run_group(seeds(count), roles, attempts))


def test_a_good_group_is_judged_in_one_call_and_each_row_answered_once():
    scene = Scene()
    outcomes = scene.run()
    assert [outcome.seed.id for outcome in outcomes] == list(range(10))
    assert all(outcome.verdict.passed and outcome.attempts == 1 for outcome in outcomes)
    assert scene.judged == [list(range(1, 11))]
    assert sorted(scene.answered) == list(range(10))


def test_what_has_failed_already_is_not_judged_and_not_answered():
    scene = Scene(_2=["unreadable"], _4=["lost"], _5=["unavailable"])
    outcomes = scene.run(attempts=1)
    assert scene.judged == [[1, 2, 4, 5, 7, 8, 9, 10]]
    assert set(range(10)) - set(scene.answered) == {2, 4, 5}
    assert [outcomes[i].verdict for i in (2, 4, 5)] == [failed("unreadable"), failed("lost"), unscored("unavailable")]
    assert [outcomes[i].answer for i in (2, 4, 5)] == [None] * 3


def test_those_that_failed_are_tried_again_told_why_under_the_same_case_number():
    scene = Scene(_1=["lost", "fine"], _3=["refusal", "fine"], _7=["unreadable", "fine"])
    outcomes = scene.run()
    assert all(outcome.verdict.passed for outcome in outcomes)
    assert [outcome.attempts for outcome in outcomes] == [1, 2, 1, 2, 1, 1, 1, 2, 1, 1]
    assert scene.judged[1] == [2, 4, 8]
    assert sorted(scene.reasons) == [(1, "lost: the number"), (3, "refusal"), (7, "unreadable")]


def test_after_the_last_attempt_the_row_is_eliminated_for_its_last_reason():
    scene = Scene(_6=["unreadable", "lost", "refusal", "fine"])
    outcome = scene.run(attempts=3)[6]
    assert (outcome.verdict, outcome.attempts, scene.tries[6]) == (failed("refusal"), 3, 3)
    assert outcome.answer.text == "refusal"


@pytest.mark.parametrize("word", ["unavailable", "silent"])
def test_a_row_that_the_endpoint_did_not_answer_is_no_failure_and_not_tried_again(word):
    scene = Scene(_0=[word])
    outcome = scene.run()[0]
    assert (outcome.verdict, scene.tries[0]) == (unscored("unavailable"), 1)


def test_without_a_judge_rules_alone_decide():
    scene = Scene(_0=["lost"], _1=["refusal"])
    outcomes = scene.run(attempts=1, judge=False)
    assert (outcomes[0].verdict, outcomes[0].finding, scene.judged) == (PASSED, None, [])
    assert outcomes[1].verdict == failed("refusal")


def test_nothing_to_judge_asks_no_judge():
    scene = Scene(_0=["unreadable"])
    scene.run(count=1, attempts=1)
    assert scene.judged == []


# --- The examiner ----------------------------------------------------------------------------------


def test_answers_that_broke_no_rule_are_examined_and_a_wrong_one_is_tried_again_told_why():
    scene = Scene(_1=["wrong", "fine"], _2=["refusal"], _4=["lost"], _6=["wrong"])
    outcomes = scene.run(examined=True)
    assert scene.examined == [[1, 2, 4, 6, 7, 8, 9, 10], [2, 7]]
    assert (1, "wrong_answer: note on wrong") in scene.reasons
    assert [outcomes[i].verdict for i in (1, 2, 4, 6)] == [
        PASSED,
        failed("refusal"),
        failed("lost"),
        failed("wrong_answer"),
    ]
    assert (outcomes[6].note, outcomes[1].answer.grade.value) == ("note on wrong", "right")


@pytest.mark.parametrize(
    ("words", "text", "attempts"),
    [
        (["partly", "fine"], "fine", 2),
        (["partly", "partly"], "partly", 2),
        (["partly", "wrong"], "partly", 2),
        (["partly", "lost"], "partly", 2),
        (["partly", "silent"], "partly", 2),
        (["partly", "unavailable"], "partly", 2),
        (["wrong", "partly"], "partly", 2),
        (["fine"], "fine", 1),
        (["ungraded"], "ungraded", 1),
    ],
)
def test_an_answer_that_is_partly_right_gets_a_second_attempt_and_the_better_one_is_kept(words, text, attempts):
    scene = Scene(_0=words)
    outcome = scene.run(count=1, examined=True)[0]
    assert (outcome.verdict, outcome.answer.text, outcome.attempts) == (PASSED, text, attempts)


def test_a_partly_right_answer_of_the_last_attempt_is_kept_as_it_is():
    scene = Scene(_0=["partly"])
    assert scene.run(count=1, attempts=1, examined=True)[0].partly
    assert scene.reasons == []


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (["fine"], ("passed", None, "right")),
        (["wrong", "fine"], ("failed", "wrong_answer", "wrong")),
        (["partly", "fine"], ("passed", None, "partly")),
        (["lost", "fine"], ("failed", "lost", None)),
        (["refusal", "fine"], ("failed", "refusal", "wrong")),
        (["ungraded"], ("unscored", "unexamined", None)),
        (["unavailable"], ("unscored", "unavailable", None)),
    ],
)
def test_the_first_attempt_is_kept_as_learning_would_judge_it_whatever_follows(words, first):
    outcome = Scene(_0=words).run(count=1, examined=True)[0]
    assert outcome.first == (*first, None)


def test_groups_follow_the_order_of_rows():
    assert [[row.id for row in group] for group in groups_of_ten(seeds(23))] == [
        list(range(10)),
        list(range(10, 20)),
        list(range(20, 23)),
    ]
    assert list(groups_of_ten([])) == []
