"""The pairwise judge: wins minus losses, whoever stood first."""

import asyncio
import json
import re

import pytest

from analyzer import compare
from tests.builders import HOSTILE, evolved, seed, seeds
from tests.fakes import Asked, ScriptedLLM
from utils.schema import Completion

PAIRS = [(evolved(start, f"old {start.id}"), evolved(start, f"new {start.id}")) for start in seeds(24)]
CASE = re.compile(r"^### Case (\d+)\nSeed: .*\nFirst: (\w+) \d+\nSecond: (\w+) \d+$", re.MULTILINE)


def verdict(better: dict[int, str]) -> str:
    return json.dumps({"cases": [{"case_id": case_id, "better": place} for case_id, place in better.items()]})


def preferring(name: str):
    """A judge that always finds the same method's rewrite the better one, wherever it stands."""

    def reply(asked: Asked) -> str:
        cases = CASE.findall(asked.prompt)
        return verdict({int(number): "first" if first == name else "second" for number, first, _ in cases})

    return ScriptedLLM(reply)


def margin(llm: ScriptedLLM, order_seed: str = "42:abc", pairs=PAIRS) -> int:
    return asyncio.run(compare(llm, pairs, order_seed))


def test_the_margin_is_the_candidates_wins_minus_its_losses_wherever_it_stands():
    assert margin(preferring("new")) == 24
    assert margin(preferring("old")) == -24


def test_ten_pairs_are_one_call():
    llm = preferring("new")
    margin(llm)
    assert [len(CASE.findall(asked.prompt)) for asked in llm.asked] == [10, 10, 4]


def test_who_stands_first_is_drawn_per_row_from_the_order_seed_alone():
    def order(order_seed: str, pairs=PAIRS) -> dict[str, str]:
        llm = preferring("new")
        margin(llm, order_seed, pairs)
        found = [
            (re.search(r"\d+$", line).group(), line.split()[1])
            for asked in llm.asked
            for line in asked.prompt.splitlines()
            if line.startswith("First: ")
        ]
        return dict(found)

    assert order("a") == order("a", PAIRS[::-1])
    assert order("a") != order("b")
    assert 4 < list(order("a").values()).count("new") < 20


@pytest.mark.parametrize(
    "reply",
    [
        verdict(dict.fromkeys(range(1, 11), "tie")),
        "First is better in every case.",
        verdict({11: "first", 0: "second", 12: "first"}),
        verdict({1: "third"}),
        Completion("", "unavailable"),
        Completion("", "content_filter"),
    ],
)
def test_ties_and_what_cannot_be_read_count_for_neither(reply):
    assert margin(ScriptedLLM({"compare": reply}), pairs=PAIRS[:10]) == 0


def test_nothing_to_compare_asks_nothing():
    assert margin(ScriptedLLM({}), pairs=[]) == 0


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_can_pass_for_another_case_or_line(text):
    llm = ScriptedLLM({"compare": verdict({1: "tie", 2: "tie"})})
    start = seed(text)
    margin(llm, pairs=[(evolved(start, text), evolved(start, text)), PAIRS[0]])
    lines = llm.asked[0].prompt.partition("### Case 1\n")[2].splitlines()
    names = [line.partition(":")[0] for line in lines if line and not line.startswith("    ")]
    assert names == ["Seed", "First", "Second", "### Case 2", "Seed", "First", "Second"]
