"""Answering: the instruction is all that is sent."""

import asyncio

import pytest

from generator import answer
from tests.builders import HOSTILE, evolved, seed
from tests.fakes import ScriptedLLM
from utils.schema import Completion, Message, SeedInstruction


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_nothing_but_the_instruction_is_sent(text):
    llm = ScriptedLLM({"respond": "an answer"})
    given = asyncio.run(answer(llm, evolved(seed("the seed"), "first", text)))
    assert [asked.messages for asked in llm.asked] == [(Message("user", text),)]
    assert (given.text, given.error, given.trajectory.final) == ("an answer", None, text)


def test_what_was_said_before_is_sent_as_it_was_said():
    context = (Message("system", "Be brief."), Message("user", "Hi?"), Message("assistant", "Hello."))
    llm = ScriptedLLM({"respond": "an answer"})
    asyncio.run(answer(llm, evolved(SeedInstruction(0, "And?", None, context), "And why?")))
    assert [asked.messages for asked in llm.asked] == [(*context, Message("user", "And why?"))]


def test_a_seed_as_it_is_keeps_its_reference_and_costs_no_call():
    given = asyncio.run(answer(ScriptedLLM({}), evolved(seed("What is 2 + 2?", reference="4"))))
    assert given.text == "4"


def test_a_reference_is_no_answer_to_a_rewrite():
    llm = ScriptedLLM({"respond": "12"})
    assert asyncio.run(answer(llm, evolved(seed("What is 2 + 2?", reference="4"), "What is 3 * 4?"))).text == "12"


@pytest.mark.parametrize("reference", [None, ""])
def test_a_seed_without_an_answer_is_answered(reference):
    llm = ScriptedLLM({"respond": "4"})
    assert asyncio.run(answer(llm, evolved(seed("What is 2 + 2?", reference=reference)))).text == "4"
    assert llm.asked[0].prompt == "What is 2 + 2?"


def test_another_attempt_is_another_draw_of_the_same_question():
    llm = ScriptedLLM({"respond": "4"})
    for draw in (0, 1):
        asyncio.run(answer(llm, evolved(seed(), "x"), draw))
    assert [(asked.draw, asked.prompt) for asked in llm.asked] == [(0, "x"), (1, "x")]


@pytest.mark.parametrize("failure", ["length", "content_filter", "unavailable"])
def test_a_completion_that_failed_says_how(failure):
    given = asyncio.run(answer(ScriptedLLM({"respond": Completion("half", failure)}), evolved(seed(), "x")))
    assert (given.text, given.error) == ("half", failure)
