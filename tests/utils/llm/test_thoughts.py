"""Thoughts and invented turns in replies: the forms of thought_cases.py, and what must hold for any text."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.utils.llm.thought_cases import START, THOUGHTS, TURNS, UNHARMED
from utils.llm.replies import read_rewrite, split_thoughts
from utils.llm.replies.forms import FORMS

CASES = [case for cases in THOUGHTS.values() for case in cases]


def test_every_form_has_examples_of_both_kinds():
    assert len({form.name for form in FORMS}) == len(FORMS)
    assert {form.name for form in FORMS} == set(THOUGHTS) == set(UNHARMED) - {"turns"}


@pytest.mark.parametrize(("content", "answer", "thoughts"), CASES)
def test_thoughts_are_split_off(content, answer, thoughts):
    assert split_thoughts(content) == (answer, thoughts)


@pytest.mark.parametrize("content", [text for texts in UNHARMED.values() for text in texts])
def test_talk_about_marks_stays_as_it_is(content):
    assert split_thoughts(content) == (content, None)
    assert split_thoughts(f"◁think▷why◁/think▷{content}") == (content, "why")


@pytest.mark.parametrize(("content", "answer"), TURNS)
def test_what_follows_the_end_of_a_turn_is_cut(content, answer):
    assert split_thoughts(content) == (answer, None)
    assert split_thoughts(f"<think>\nwhy\n</think>\n\n{content}") == (answer, "why")


SEED = "Explain the tag <think> of chat templates."
RESULT = "Explain the <think> tag of chat templates, and when </think> and <|im_end|> follow it."


@pytest.mark.parametrize(
    "reply",
    [
        f"#Plan#: ask when </think> follows.\n\n#Finally Rewritten Instruction#:\n{RESULT}",
        f"<think>the tag <think> …</think>#Finally Rewritten Instruction#:\n{RESULT}",
        f"the tag …\n</think>\n\n#Finally Rewritten Instruction#: {RESULT}<|im_end|>\n<|im_start|>user\nMore",
        f"analysisWe need it.assistantfinal#Finally Rewritten Instruction#:\n{RESULT}",
    ],
)
def test_a_rewrite_may_ask_about_marks(reply):
    assert read_rewrite(reply, SEED) == RESULT


# --- Any text ----------------------------------------------------------------------------------

UNMARKED = st.text(st.characters(exclude_characters="<[◁")).filter(
    lambda text: not text.strip().startswith(("analysis", "assistant", "Here", "/think")) and "assistant" not in text
)
PARTS = [*(content for content, _, _ in CASES), *(text for texts in UNHARMED.values() for text in texts)]
PARTS += [content for content, _ in TURNS]
PIECES = sorted({piece for part in PARTS for piece in part.replace(">", ">\0").replace("<", "\0<").split("\0")})


@settings(deadline=None, derandomize=True)
@given(UNMARKED)
def test_a_text_without_marks_comes_back_as_it_is(text):
    assert split_thoughts(text) == (text, None)


@settings(deadline=None, derandomize=True, max_examples=500)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=12).map("".join))
def test_an_answer_has_nothing_left_to_split(content):
    answer, _ = split_thoughts(content)
    assert split_thoughts(answer) == (answer, None)
    rest = iter(content)
    assert all(sign in rest for sign in answer), "an answer has nothing that the reply has not"


UNITS = [
    *[
        "<think",
        "<think>",
        "</think>",
        "x</think>",
        "<think></think>",
        "<think>a</think>b",
        "<think>a</think>b <think> ",
    ],
    *["<think> tags", "the </think> tag ", "`</think>", '"</think>', "<think>```\n</think>```\n", "<think>,</thought>"],
    *["<|channel|>analysis", "<|channel|>analysis<|message|>", "<|channel|>analysis<|message|>a<|end|>", f"{START} "],
    *["<|channel|>final<|message|>", "<|end|>", "<|im_end|>", "x<|im_end|>", "x <|im_end|> y", "</s>", "<s></s>"],
    *["<|im_start|>user\n", "x:\n<|im_end|>\n", "- </s>\n", "```<|im_end|>\n", "```\n", "<details "],
    *['<details type="reasoning">', "analysis", "assistantfinal", "assistantanalysis", "Here is my response:"],
    *["<think>a</think>b <think> ", "<answer>", "<", "[", "◁think▷", " ", "\n", "> "],
]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("head", ["", "<think>a</think>"])
def test_time_grows_with_length_only(unit, head):
    length = 200_000 if unit in ("<think", "<|channel|>analysis") else 40_000
    content = head + (unit * length)[:length]
    started = time.process_time()
    split_thoughts(content)
    assert time.process_time() - started < 10, "it takes some tenths of a second"
