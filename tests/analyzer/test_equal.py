"""The equality judge: one call per group, each case by its own number, nothing read into what is missing."""

import asyncio
import json

import pytest

from analyzer import equal
from tests.builders import HOSTILE, evolved, seed, seeds
from tests.fakes import ScriptedLLM
from utils.schema import BREADTH, Completion, Rewrite, Trajectory

CASES = {number: evolved(start, f"{start.text} Say why.") for number, start in enumerate(seeds(4), start=1)}


def verdicts(*equals: bool | str, start: int = 1) -> str:
    return json.dumps({"cases": [{"case_id": case, "equal": is_so} for case, is_so in enumerate(equals, start)]})


def asked_with(reply: str | Completion, cases: dict[int, Trajectory] = CASES) -> tuple[dict[int, bool], ScriptedLLM]:
    llm = ScriptedLLM({"equal": reply})
    return asyncio.run(equal(llm, cases)), llm


def shown(prompt: str) -> list[int]:
    return [int(line.removeprefix("### Case ")) for line in prompt.splitlines() if line.startswith("### Case ")]


def test_a_group_is_one_call_and_verdicts_come_back_by_case():
    found, llm = asked_with(verdicts(True, False, False, True))
    assert found == {1: True, 2: False, 3: False, 4: True}
    assert len(llm.asked) == 1
    assert shown(llm.asked[0].prompt) == [1, 2, 3, 4]


def test_cases_keep_the_numbers_that_they_have_in_the_group():
    some = {case: CASES[case] for case in (2, 4)}
    found, llm = asked_with(verdicts(True, False, True, False), some)
    assert shown(llm.asked[0].prompt) == [2, 4]
    assert found == {2: False, 4: False}


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("no JSON at all", {}),
        (Completion("", "unavailable"), {}),
        (verdicts(True, "perhaps", False), {1: True, 3: False}),
        (verdicts(True, True, start=4), {4: True}),
        ('{"cases": [{"case_id": 1, "equal": true}, {"case_id": 1, "equal": false}]}', {}),
        (Completion('{"cases": [{"case_id": 1, "equal": true}, {"case_id": 2, "eq', "length"), {1: True}),
    ],
    ids=["no JSON", "unavailable", "no verdict", "no such case", "contradiction", "cut"],
)
def test_what_cannot_be_read_is_left_out(reply, found):
    assert asked_with(reply)[0] == found


def test_the_seed_and_the_last_rewrite_are_compared():
    _, llm = asked_with(verdicts(False), {1: evolved(seed("Name a river."), "Name two rivers.", "Name three rivers.")})
    case = llm.asked[0].prompt.partition("### Case 1\n")[2]
    assert case.splitlines()[:2] == ["Stage 0: Name a river.", "Stage 1: Name three rivers."]
    assert "two rivers" not in case


def test_a_rewrite_in_breadth_says_that_it_was_meant_as_such():
    wide = Trajectory(seed("Name a river."), (Rewrite("Name a desert.", BREADTH),))
    _, llm = asked_with(verdicts(False, False), {1: wide, 2: CASES[2]})
    first, _, second = llm.asked[0].prompt.partition("### Case 1\n")[2].partition("### Case 2\n")
    assert "Aim: " in first
    assert "Aim: " not in second


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_can_pass_for_another_case(text):
    found, llm = asked_with(verdicts(True, False), {1: evolved(seed(text), text), 2: evolved(seed("calm"), "calm too")})
    assert shown(llm.asked[0].prompt) == [1, 2]
    assert found == {1: True, 2: False}
