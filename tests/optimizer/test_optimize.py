"""Optimizer: usable methods only; what is not usable is asked for again, told why, and dropped in the end."""

import asyncio

import pytest

from optimizer import MAX_CHARS, TRIES, optimize, why_unusable
from tests.builders import method
from tests.fakes import ScriptedLLM
from utils.schema import Completion, Feedback, Message, Method

OLD = method("Step 1: Read the instruction. Step 2: Add one constraint that fits its subject and keeps it solvable.")
GOOD = "Step 1: List what an expert would need.\nStep 2: Demand two of them, and keep every number as it stands. {x} $y"
FEEDBACK = Feedback((), "Too vague.", (Message("user", "the cases"), Message("assistant", "Too vague.")))


def fenced(text: str) -> str:
    return f"Here it is.\n```Optimized Method\n{text}\n```"


def propose(llm: ScriptedLLM, draw: int = 0) -> Method | str:
    return asyncio.run(optimize(llm, OLD, FEEDBACK, draw))


def test_a_candidate_knows_its_parent():
    candidate = propose(ScriptedLLM({"optimize": fenced(GOOD)}))
    assert candidate == Method(GOOD, "optimized", parent_id=OLD.id)


def test_it_goes_on_with_the_conversation_of_the_analysis():
    llm = ScriptedLLM({"optimize": fenced(GOOD)})
    propose(llm)
    (asked,) = llm.asked
    assert asked.messages[:2] == FEEDBACK.transcript
    assert [turn.role for turn in asked.messages] == ["user", "assistant", "user"]
    assert str(MAX_CHARS) in asked.prompt


def test_an_unusable_proposal_is_asked_for_again_and_told_why():
    llm = ScriptedLLM({"optimize": [fenced(OLD.text), fenced("short"), fenced(GOOD)]})
    assert propose(llm, draw=2).text == GOOD
    assert [asked.draw for asked in llm.asked] == [2 * TRIES, 2 * TRIES + 1, 2 * TRIES + 2]
    assert why_unusable(OLD.text, OLD) in llm.asked[1].prompt
    assert why_unusable("short", OLD) in llm.asked[2].prompt
    assert len({asked.prompt for asked in llm.asked}) == 3


def test_after_the_last_try_it_is_dropped_and_every_reason_told_once():
    llm = ScriptedLLM({"optimize": ["I would rather not.", fenced("short"), "No."]})
    assert propose(llm) == f"{why_unusable(None, OLD)}; {why_unusable('short', OLD)}"
    assert len(llm.asked) == TRIES


def test_a_proposal_that_was_cut_is_never_a_method():
    cut = Completion(fenced(GOOD).removesuffix("\n```"), "length")
    llm = ScriptedLLM({"optimize": [cut, fenced(GOOD)]})
    assert propose(llm).text == GOOD
    assert "it was cut at the token limit" in llm.asked[1].prompt
    told = propose(ScriptedLLM({"optimize": cut}))
    assert told.startswith("it was cut at the token limit; raise max_tokens of --optim-llm-config")


@pytest.mark.parametrize("failure", ["unavailable", "content_filter"])
def test_only_a_cut_is_cured_by_more_tokens(failure):
    told = propose(ScriptedLLM({"optimize": Completion("", failure)}))
    assert told
    assert "max_tokens" not in told


def test_without_an_endpoint_it_is_not_asked_again():
    llm = ScriptedLLM({"optimize": Completion("", "unavailable")})
    assert propose(llm) == "no reply came (unavailable)"
    assert len(llm.asked) == 1


def test_draws_of_different_candidates_never_meet():
    draws = []
    for draw in range(5):
        llm = ScriptedLLM({"optimize": ""})
        propose(llm, draw)
        draws += [asked.draw for asked in llm.asked]
    assert len(draws) == len(set(draws)) == 5 * TRIES


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "Make it harder.",
        "x" * (MAX_CHARS + 1),
        OLD.text,
        OLD.text.replace(" ", "\n\n "),
        GOOD + "\nRewrite {instruction} then.",
        GOOD + "\nRewrite {{instruction}} then.",
        GOOD + "\nRewrite $instruction then.",
        GOOD + "\nRewrite <instruction> then.",
        GOOD + "\nStep 3: ...\n",
        GOOD + "\n[insert the instruction]",
        GOOD + "\nDo not repeat what went wrong in case 3.",
        GOOD + "\nCases #2 and others lost a number.",
    ],
)
def test_what_makes_a_method_unusable(text):
    reason = why_unusable(text, OLD)
    assert reason
    assert "\n" not in reason


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD + "\nIn any case, 3 demands are enough. Keep {braces}, `code` and $5 of the instruction as they are.",
        "1단계: 주제에 맞는 조건을 두 가지 고른다. 2단계: 모든 숫자와 표를 그대로 두고 조건을 더한다. "
        "3단계: 풀 수 있는지 확인하고 결과를 #Finally Rewritten Instruction# 아래에 쓴다.",
        "x" * MAX_CHARS,
    ],
)
def test_what_does_not(text):
    assert why_unusable(text, OLD) is None


@pytest.mark.parametrize("text", ["Step 1:\n" * 12_000, "{" * 100_000, "case " * 20_000, "<your " + "x" * 100_000])
def test_judging_a_method_is_linear(text):
    assert why_unusable(text, OLD)
