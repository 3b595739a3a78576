"""Intention tags: what is asked, what is read, how tags are made comparable, and the figures they give."""

import asyncio
import json
from random import Random

import pytest

from analyzer.tag import MOST, read_tags, sample_ids, tag
from tests.builders import HOSTILE
from tests.fakes import Asked, ScriptedLLM
from utils.llm.offline import OfflineEndpoint
from utils.llm.offline.reading import read_cases
from utils.schema import Completion, Request, Sampling
from utils.text.measures.tags import LONGEST, Tags, fold, measure_tags, merge_similar

INSTRUCTIONS = ["Explain tides.", "김치의 발효를 설명해 주세요.", "Write a haiku."]


def reply(*tags: object) -> str:
    """A reply that gives these tags to the cases from 1 on; None leaves a case out."""
    cases = [{"case_id": number, "tags": found} for number, found in enumerate(tags, start=1) if found is not None]
    return json.dumps({"cases": cases}, ensure_ascii=False)


def tagged(llm: ScriptedLLM, instructions: list[str] = INSTRUCTIONS) -> list[Tags]:
    return asyncio.run(tag(llm, instructions))


def shown(asked: Asked) -> list[int]:
    return [case.id for case in read_cases(asked.prompt)]


# --- Asking ------------------------------------------------------------------------------------------


def test_instructions_are_tagged_in_their_order():
    llm = ScriptedLLM({"tag": reply(["physics", "explanation"], ["food science"], ["poetry"])})
    assert tagged(llm) == [("physics", "explanation"), ("food science",), ("poetry",)]
    assert [case.text("Instruction") for case in read_cases(llm.asked[0].prompt)] == INSTRUCTIONS


def test_ten_instructions_make_one_call():
    llm = ScriptedLLM(lambda asked: reply(*([chr(96 + number) * 5] for number in shown(asked))))
    found = tagged(llm, [f"Instruction {number}." for number in range(23)])
    assert [len(shown(asked)) for asked in llm.asked] == [10, 10, 3]
    assert found == [(chr(97 + number % 10) * 5,) for number in range(23)]


def test_no_instructions_are_no_call():
    llm = ScriptedLLM({})
    assert tagged(llm, []) == []
    assert not llm.asked


def test_what_is_missing_or_unreadable_is_asked_for_again_and_then_stays_untagged():
    llm = ScriptedLLM({"tag": [reply(["physics"], []), "no JSON", reply(["else"], ["korean food"], ["한국어"])]})
    assert tagged(llm) == [("physics",), ("korean food",), None]
    assert [shown(asked) for asked in llm.asked] == [[1, 2, 3], [2, 3], [2, 3]]
    assert [asked.draw for asked in llm.asked] == [0, 1, 2]


def test_without_an_endpoint_it_is_not_asked_again():
    llm = ScriptedLLM({"tag": Completion("", "unavailable")})
    assert tagged(llm) == [None, None, None]
    assert len(llm.asked) == 1


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_can_pass_for_another_case(text):
    llm = ScriptedLLM({"tag": reply(["one"], ["two"])})
    assert tagged(llm, [text, "calm"]) == [("one",), ("two",)]
    assert shown(llm.asked[0]) == [1, 2]


def test_tags_are_merged_over_all_calls():
    llm = ScriptedLLM(lambda asked: reply(*(["poem" if len(shown(asked)) == 10 else "Poems"] for _ in shown(asked))))
    assert set(tagged(llm, ["x"] * 13)) == {("poem",)}


# --- Reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        ["Machine Learning", "length-limit", "machine_learning"],
        "machine learning, length limit",
        [{"tag": "machine learning", "explanation": "why"}, {"tag": "Length limit"}],
        ["machine learning", 7, None, {"no": "tag"}, "기계 학습", "", "length limit"],
    ],
)
def test_tags_are_read_from_every_usual_shape(given):
    assert read_tags(f"```json\n{reply(given)}\n```", 1) == {1: ("machine learning", "length limit")}


@pytest.mark.parametrize(
    "given", [[], "", ["한국어"], {"a": 1}, None, 3, [["nested"]], [f"t{n}" for n in range(MOST + 1)]]
)
def test_unreadable_tags_are_no_tags(given):
    assert read_tags(json.dumps({"cases": [{"case_id": 1, "tags": given}]}), 1) == {}


def test_two_readings_of_one_case_are_none():
    cases = [{"case_id": 1, "tags": ["a"]}, {"case_id": 1, "tags": ["b"]}, {"case_id": 5, "tags": ["c"]}]
    assert read_tags(json.dumps({"cases": cases}), 2) == {}


# --- One spelling ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("  Step-by-Step  Explanation. ", "step by step explanation"),
        ("code_review", "code review"),
        ("#Python", "python"),
        ("C++", "c++"),
        ("C#", "c#"),
        ("Naïve Bayes", "naive bayes"),
        ("ｊｓｏｎ", "json"),
        ("<b>math</b>", "bmath b"),
        ("q&a", "q&a"),
        ("한국어", ""),
        ("2024", ""),
        ("x" * (LONGEST + 1), ""),
        ("a\u0301" * 50_000, ""),
    ],
)
def test_folding(written, folded):
    assert fold(written) == folded


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("poem", "poems"),
        ("story", "stories"),
        ("essay writing", "writing essay"),
        ("email", "e mail"),
        ("optimization", "optimisation"),
        ("problem solving", "problem solvin"),
    ],
)
def test_similar_tags_become_the_more_frequent_one(one, other):
    assert merge_similar([(one,), (other,), (other,)]) == [(other,)] * 3
    assert merge_similar([(one,), (one,), (other,)]) == [(one,)] * 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("translation", "transaction"),
        ("inductive reasoning", "deductive reasoning"),
        ("international relations", "internal relations"),
        ("conversation", "conversion"),
        ("c", "c++"),
        ("grade 3 maths", "grade 5 maths"),
        ("class", "clas"),
        ("arithmetic", "maths"),
    ],
)
def test_different_tags_stay_different(one, other):
    assert merge_similar([(one,), (other,)]) == [(one,), (other,)]


def test_of_equally_frequent_tags_the_first_by_name_stays_whatever_the_order():
    assert merge_similar([("poems",), ("poem",)]) == merge_similar([("poem",), ("poems",)]) == [("poem",)] * 2


def test_an_instruction_has_a_merged_tag_once_and_untagged_ones_stay_so():
    assert merge_similar([("poems", "rhyme", "poem"), None, ()]) == [("poem", "rhyme"), None, ()]


def test_rare_tags_are_kept():
    tags = [(f"{chr(97 + n) * 5} topic",) for n in range(26)]
    assert merge_similar(tags) == tags


# --- Figures -----------------------------------------------------------------------------------------


def test_complexity_and_diversity():
    found = measure_tags([("a", "b", "c"), ("a",), None, ("a", "d")])
    assert (found.instructions, found.tagged, found.unique) == (4, 3, 4)
    assert (found.complexity, found.diversity) == (2.0, 1.3333)
    assert found.tags_per_instruction == {1: 1, 2: 1, 3: 1}
    assert [(entry.tag, entry.count) for entry in found.most_common] == [("a", 3), ("b", 1), ("c", 1), ("d", 1)]


@pytest.mark.parametrize("tags", [[], [None, None]])
def test_where_nothing_was_tagged_there_is_no_figure(tags):
    found = measure_tags(tags)
    assert found.complexity is found.diversity is None
    assert json.loads(found.model_dump_json())["instructions"] == len(tags)


# --- Sampling ----------------------------------------------------------------------------------------


def test_a_sample_depends_on_ids_and_seed_alone():
    ids = list(range(1_000))
    shuffled = Random(1).sample(ids, 1_000)
    drawn = sample_ids(ids, 100, 42)
    assert drawn == sample_ids(shuffled, 100, 42) == sorted(set(drawn))
    assert len(drawn) == 100
    assert drawn != sample_ids(ids, 100, 43)
    assert sample_ids([3, 1], 100, 42) == [1, 3]
    assert sample_ids([], 100, 42) == []


def test_a_row_that_is_lost_changes_one_place_of_the_sample():
    ids = range(1_000)
    drawn = sample_ids(ids, 100, 42)
    after = sample_ids([row_id for row_id in ids if row_id != drawn[0]], 100, 42)
    assert set(drawn[1:]) < set(after)


# --- The offline LLM ---------------------------------------------------------------------------------


class OfflineLLM:
    model = "offline"

    async def complete(self, stage, messages, draw=0):
        return await OfflineEndpoint().send(Request(stage, self.model, messages, Sampling(), str(draw)))


def test_the_offline_llm_tags_both_languages_alike_and_sees_added_demands():
    texts = [
        "Explain gravity to a beginner.",
        "중력을 초보자에게 설명해 주세요.",
        "Explain gravity to a beginner. Compare it with a commonly confused concept.",
    ]
    english, korean, harder = asyncio.run(tag(OfflineLLM(), texts))
    assert set(korean) == set(english) >= {"physics", "audience adaptation"}
    assert set(harder) > set(english)


def test_the_offline_llm_tags_hostile_texts():
    assert None not in asyncio.run(tag(OfflineLLM(), list(HOSTILE.values())))
