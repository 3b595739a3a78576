"""Analysis: the trajectories with what was found in them, and the conversation that the Optimizer goes on with."""

import asyncio
import json

import pytest

from analyzer import analyze
from tests.builders import HOSTILE, evolved, method, seed, seeds
from tests.fakes import ScriptedLLM
from utils.schema import Completion, FailedCase, Feedback, Finding, Rewrite, Trajectory, failed

REPLY = json.dumps({"failed_cases": [{"case_id": 2, "reason": "no harder"}], "feedback": "Ask for real work."})


def read(llm: ScriptedLLM, cases, draw: int = 0, text: str = "Add a constraint.") -> Feedback | None:
    return asyncio.run(analyze(llm, method(text), cases, draw))


def test_the_feedback_and_the_conversation_come_back():
    llm = ScriptedLLM({"analyze": REPLY})
    feedback = read(llm, [(evolved(start, "x"), None) for start in seeds(3)], draw=4)
    assert (feedback.failed_cases, feedback.text) == ((FailedCase(2, "no harder"),), "Ask for real work.")
    assert [(turn.role, turn.content) for turn in feedback.transcript] == [
        ("user", llm.asked[0].prompt),
        ("assistant", REPLY),
    ]
    assert (llm.asked[0].kind, llm.asked[0].draw) == ("analyze", 4)


def test_a_reply_that_is_no_json_is_feedback_as_it_stands():
    assert read(ScriptedLLM({"analyze": "Too long-winded."}), []).text == "Too long-winded."


@pytest.mark.parametrize("failure", ["unavailable", "content_filter", "length"])
def test_without_a_reply_there_is_no_feedback(failure):
    assert read(ScriptedLLM({"analyze": Completion("", failure)}), []) is None


def test_a_reply_that_was_cut_is_feedback_and_told_as_cut(caplog):
    assert read(ScriptedLLM({"analyze": Completion("Too long-wi", "length")}), []).text == "Too long-wi"
    assert "an analysis was cut: raise max_tokens" in caplog.text
    caplog.clear()
    read(ScriptedLLM({"analyze": Completion("Too long-wi", "content_filter")}), [])
    assert caplog.text == ""


def test_all_stages_are_shown_and_what_was_found_stands_below_them():
    start = seed("zero")
    stopped = Trajectory(start, (Rewrite("one", "m"),), failed("language_changed"), "raw reply")
    cases = [
        (evolved(start, "one", "two"), Finding(("stagnant", "lost"), "adds\nadjectives")),
        (evolved(start, "one"), Finding(())),
        (stopped, None),
        (evolved(start, "one"), Finding(None)),
    ]
    llm = ScriptedLLM({"analyze": REPLY})
    read(llm, cases, text="the $method {x}")
    prompt = llm.asked[0].prompt
    assert "the $method {x}" in prompt
    blocks = prompt[prompt.index("### Case 1") :].split("\n\n")
    assert blocks[0] == (
        "### Case 1\nStage 0: zero\nStage 1: one\nStage 2: two\nFound: stagnant, lost: adds\n    adjectives"
    )
    assert blocks[1] == "### Case 2\nStage 0: zero\nStage 1: one"
    assert blocks[2].startswith("### Case 3\nStage 0: zero\nStage 1: one\nFound: ")
    assert "language_changed" in blocks[2]
    assert "raw reply" not in prompt
    assert "Found" not in blocks[3]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_can_pass_for_another_case(text):
    llm = ScriptedLLM({"analyze": REPLY})
    read(llm, [(evolved(seed(text), text), Finding(("lost",), text)), (evolved(seed("calm"), "b"), None)])
    lines = llm.asked[0].prompt.partition("### Case 1\n")[2].splitlines()
    names = [line.partition(":")[0] for line in lines if line and not line.startswith("    ")]
    assert names == ["Stage 0", "Stage 1", "Found", "### Case 2", "Stage 0", "Stage 1"]


def test_what_the_server_refuses_is_left_out_of_the_analysis_and_the_others_are_read():
    def reply(asked):
        if "POISON" in asked.prompt:
            return Completion("", "rejected", said="no")
        return '{"failed_cases": [{"case_id": 2, "reason": "why"}], "feedback": "better"}'

    texts = ["one", "two", "POISON", "four"]
    cases = [(evolved(seed(text, number), f"{text} and more"), None) for number, text in enumerate(texts)]
    llm = ScriptedLLM(reply)
    feedback = read(llm, cases)
    assert feedback.text == "better\n\nbetter"
    assert [case.case_id for case in feedback.failed_cases] == [2, 2]
    assert "POISON" not in "".join(message.content for message in feedback.transcript)
    assert feedback.transcript[-1].role == "assistant"


def test_where_all_is_refused_there_is_no_feedback():
    llm = ScriptedLLM({"analyze": Completion("", "too_long", said="no")})
    cases = [(evolved(seed("a"), "b"), None), (evolved(seed("c"), "d"), None)]
    assert read(llm, cases) is None
    assert len(llm.asked) == 3
