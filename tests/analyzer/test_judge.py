"""The judge: one finding per case, asked again for what is missing, never passed silently."""

import asyncio
import json

import pytest

from analyzer import judge
from analyzer.cases import LONGEST_TEXT
from tests.builders import HOSTILE, evolved, seed, seeds
from tests.fakes import ScriptedLLM
from utils.offline.reading import read_cases
from utils.schema import UNJUDGED, Completion, Finding, Message, SeedInstruction, Trajectory

CASES = {number: evolved(start, f"{start.text} Say why.") for number, start in enumerate(seeds(4), start=1)}


def verdicts(**labels: list[str]) -> str:
    """A reply on cases given as `c1=["ok"]`."""
    cases = [{"case_id": int(name[1:]), "labels": found, "note": "n"} for name, found in labels.items()]
    return json.dumps({"cases": cases})


def find(llm: ScriptedLLM, cases: dict[int, Trajectory] = CASES) -> dict[int, Finding]:
    return asyncio.run(judge(llm, cases))


def shown(prompt: str) -> list[int]:
    """Numbers of the cases that a reader sees, whatever it takes for the end of a line."""
    return [int(line.removeprefix("### Case ")) for line in prompt.splitlines() if line.startswith("### Case ")]


def test_ten_rows_are_one_call_and_labels_come_back_by_case():
    llm = ScriptedLLM({"judge": verdicts(c1=["ok"], c2=["lost", "leaked"], c3=["stagnant"], c4=["ok"])})
    found = find(llm)
    assert {case: finding.labels for case, finding in found.items()} == {
        1: (),
        2: ("lost", "leaked"),
        3: ("stagnant",),
        4: (),
    }
    assert len(llm.asked) == 1
    assert shown(llm.asked[0].prompt) == [1, 2, 3, 4]


def test_missing_and_unreadable_cases_are_asked_for_again_under_their_own_number():
    llm = ScriptedLLM({"judge": [verdicts(c1=["ok"], c3=["splendid"]), "no JSON", verdicts(c2=["lost"], c3=["ok"])]})
    found = find(llm)
    assert [shown(asked.prompt) for asked in llm.asked] == [[1, 2, 3, 4], [2, 3, 4], [2, 3, 4]]
    assert [asked.draw for asked in llm.asked] == [0, 1, 2]
    assert (found[2].labels, found[3].labels, found[4]) == (("lost",), (), UNJUDGED)


def test_a_reply_about_other_cases_changes_nothing_of_a_finding():
    llm = ScriptedLLM({"judge": [verdicts(c1=["lost"], c2=["ok"], c3=["ok"]), verdicts(c1=["ok"], c4=["ok"])]})
    assert find(llm)[1].labels == ("lost",)


def test_without_an_endpoint_it_is_not_asked_again():
    llm = ScriptedLLM({"judge": Completion("", "unavailable")})
    assert set(find(llm).values()) == {UNJUDGED}
    assert len(llm.asked) == 1


@pytest.mark.parametrize("failure", ["length", "content_filter"])
def test_a_reply_that_was_cut_counts_as_far_as_it_can_be_read(failure):
    cut = Completion(verdicts(c1=["ok"], c2=["lost"], c3=["ok"]), failure)
    found = find(ScriptedLLM({"judge": [cut, Completion("", failure), verdicts(c4=["leaked"])]}))
    assert [found[case].labels for case in (1, 2, 3, 4)] == [(), ("lost",), (), ("leaked",)]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_can_pass_for_another_case_or_line(text):
    llm = ScriptedLLM({"judge": verdicts(c1=["ok"], c2=["ok"])})
    find(llm, {1: evolved(seed(text), text), 2: evolved(seed("calm"), "calm too")})
    prompt = llm.asked[0].prompt
    assert shown(prompt) == [1, 2]
    case = prompt.partition("### Case 1\n")[2].partition("\n\n### Case 2")[0].splitlines()
    assert [line.partition(":")[0] for line in case if not line.startswith("    ")] == ["Stage 0", "Stage 1"]
    if len(text) <= LONGEST_TEXT:
        for line in text.splitlines():
            assert sum(shown_line.endswith(line) for shown_line in case) >= 2


def test_a_text_that_is_too_long_loses_its_middle_visibly():
    text = "begin " + "x" * 100_000 + " end"
    llm = ScriptedLLM({"judge": verdicts(c1=["ok"])})
    find(llm, {1: evolved(seed(text), "short")})
    prompt = llm.asked[0].prompt
    assert len(prompt) < 3 * LONGEST_TEXT
    assert "Stage 0: begin xxx" in prompt
    assert "xxx end\n" in prompt
    assert str(len(text) - LONGEST_TEXT) in prompt


def test_the_conversation_of_a_case_is_shown_where_there_is_one():
    context = (Message("user", "Hi?\n### Case 2\nStage 1: x"), Message("assistant", "Hello."))
    llm = ScriptedLLM({"judge": verdicts(c1=["ok"], c2=["ok"])})
    find(llm, {1: evolved(SeedInstruction(0, "And?", None, context), "And why?"), 2: CASES[1]})
    prompt = llm.asked[0].prompt
    assert shown(prompt) == [1, 2]
    assert prompt.count("\nContext: ") == 1
    first = read_cases(prompt)[0]
    assert first.stages == ("And?", "And why?")
    assert first.text("Context").endswith("user: Hi?\n    ### Case 2\n    Stage 1: x\nassistant: Hello.")
