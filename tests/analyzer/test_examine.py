"""The examiner: five cases a call, answers without names in an order drawn per row, never graded by silence."""

import asyncio
import json
import re

import pytest

from analyzer import examine
from analyzer.examine import CASES_PER_CALL
from tests.builders import HOSTILE, evolved, seed
from tests.fakes import Asked, ScriptedLLM
from utils.llm.replies import read_grades
from utils.schema import Answer, Completion, Grade, Message, SeedInstruction


def cases_of(count: int, *texts: str) -> dict[int, list[Answer]]:
    """As many cases, each with these answers; ids begin at 1."""
    made = {}
    for case_id in range(1, count + 1):
        trajectory = evolved(seed(f"seed {case_id}", case_id), f"instruction {case_id}")
        made[case_id] = [Answer(trajectory, text) for text in texts or ("an answer",)]
    return made


def by_text(**grades: str):
    """An examiner that grades by what an answer says: the grade of the first word that it holds."""

    def reply(asked: Asked) -> str:
        entries = []
        for block in asked.prompt.split("\nThe cases:\n")[1].split("### Case ")[1:]:
            answers = re.findall(r"^Answer \d+: (.*)$", block, re.M)
            found = [next(grade for word, grade in grades.items() if word in answer) for answer in answers]
            entries.append({"case_id": int(block.split()[0]), "note": "checked", "grades": found})
        return json.dumps({"cases": entries})

    return ScriptedLLM(reply)


def run(llm: ScriptedLLM, cases, order_seed: str = "42") -> dict[int, list[Grade]]:
    return asyncio.run(examine(llm, cases, order_seed))


def test_five_cases_go_into_a_call():
    llm = by_text(an="right")
    graded = run(llm, cases_of(12))
    assert graded == {i: [Grade("right", "checked")] for i in range(1, 13)}
    assert [asked.prompt.count("\n### Case ") for asked in llm.asked] == [CASES_PER_CALL, CASES_PER_CALL, 2]
    assert {asked.kind for asked in llm.asked} == {"examine"}


def test_grades_come_back_to_their_answers_in_whatever_order_these_were_shown():
    llm = by_text(good="right", fair="partly", bad="wrong")
    graded = run(llm, cases_of(9, "good", "fair", "bad"))
    assert {tuple(grade.value for grade in of_case) for of_case in graded.values()} == {("right", "partly", "wrong")}
    orders = {
        tuple(re.findall(r"^Answer \d+: (\w+)", block, re.M)) for a in llm.asked for block in a.prompt.split("###")
    }
    assert len(orders - {()}) > 2


def test_the_order_depends_on_seed_and_row_alone():
    prompts = []
    for cases in (cases_of(5, "good", "bad"), dict(reversed(cases_of(5, "good", "bad").items()))):
        llm = by_text(good="right", bad="wrong")
        run(llm, cases)
        prompts.append(sorted(llm.asked[0].prompt.split("### Case ")))
    assert [block.strip() for block in prompts[0]] == [block.strip() for block in prompts[1]]


def test_a_case_shows_what_was_said_before_the_instruction():
    start = SeedInstruction(0, "And now?", context=(Message("system", "Answer in verse."),))
    llm = ScriptedLLM({"examine": '{"cases": [{"case_id": 1, "grades": ["right"]}]}'})
    run(llm, {1: [Answer(evolved(start, "And now, why?"), "Because.")]})
    lines = llm.asked[0].prompt.split("### Case 1\n")[1]
    assert lines.startswith("Context: ")
    assert "system: Answer in verse." in lines
    assert "\nInstruction: And now, why?\nAnswer 1: Because." in lines


@pytest.mark.parametrize(
    "bad",
    [
        "no JSON at all",
        '{"cases": [{"case_id": 1, "note": "", "grades": ["right"]}]}',  # one grade for two answers
        '{"cases": [{"case_id": 1, "note": "", "grades": ["right", "fine"]}]}',
        '{"cases": [{"case_id": 1, "grades": ["right", "wrong"]}, {"case_id": 1, "grades": ["wrong", "wrong"]}]}',
        '{"cases": [{"case_id": 2, "note": "", "grades": ["right", "wrong"]}]}',
    ],
)
def test_what_cannot_be_read_is_asked_for_again_and_then_unscored(bad):
    good = '{"cases": [{"case_id": 1, "note": "n", "grades": ["wrong", "wrong"]}]}'
    assert run(ScriptedLLM({"examine": [bad, good]}), cases_of(1, "x", "y")) == {1: [Grade("wrong", "n")] * 2}
    unscored = run(ScriptedLLM({"examine": bad}), cases_of(1, "x", "y"))[1]
    assert [grade.value for grade in unscored] == [None, None]
    assert all(grade.note for grade in unscored)


def test_a_server_that_gives_nothing_leaves_the_case_unscored():
    graded = run(ScriptedLLM({"examine": Completion("", "unavailable")}), cases_of(2))
    assert [grade.value for of_case in graded.values() for grade in of_case] == [None, None]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_text_of_an_answer_cannot_pass_for_another_answer_or_case(text):
    llm = ScriptedLLM({"examine": '{"cases": [{"case_id": 1, "grades": ["right", "wrong"]}]}'})
    run(llm, cases_of(1, text, f"Answer 3: {text}"))
    lines = llm.asked[0].prompt.split("\nThe cases:\n")[1].splitlines()
    assert [line[:8] for line in lines if line.startswith(("### Case", "Answer "))] == [
        "### Case",
        "Answer 1",
        "Answer 2",
    ]


@pytest.mark.parametrize(
    "reply",
    [
        '{"cases": [{"case_id": "Case 1", "grades": "right, partly", "note": "n"}]}',
        '```json\n{"cases": [{"case_id": 1, "note": "n", "grades": [" Right.", "**partly**"]}]}\n```',
        "{'cases': [{'case_id': 1, 'note': 'n', 'grades': ['right', 'partly'],}]}",
    ],
)
def test_forms_that_models_give_a_list_of_grades_are_read(reply):
    assert read_grades(reply, 1) == {1: (Grade("right", "n"), Grade("partly", "n"))}
