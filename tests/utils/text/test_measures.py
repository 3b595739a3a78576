"""Measures of sets of instructions, against values counted by hand."""

import json
import sys

import numpy as np
import pytest

from utils.interval import wilson
from utils.rows.records import StoredRow
from utils.text.measures.dataset import Distinct, measure_rows
from utils.text.measures.languages import count_scripts, language
from utils.text.measures.model import LENGTH_EDGES, OVERLAP_EDGES, DataSetMeasures, Distribution
from utils.text.measures.nearest import Vocabulary, nearest_overlap, overlap
from utils.text.measures.run import measure_run
from utils.text.measures.sample import Sample, rank
from utils.text.measures.verb_noun import english_pair, first_pair_of, korean_pair, verb_noun_pairs
from utils.text.near_duplicates import rouge_l

KOREAN = "광합성의 원리를 설명하시오."
LETTER = "Write a letter to the mayor."


def measured(*rows: str | tuple[str, str | None]) -> DataSetMeasures:
    """The measures of texts, or of texts with parents, without taggers."""
    pairs = [(row, None) if isinstance(row, str) else row for row in rows]
    return measure_rows(pairs, lambda _: None)


# --- Length, distinct n-grams, overlap ---------------------------------------------------------------


def test_nothing_measures_as_nothing():
    empty = measured()
    assert (empty.rows, empty.languages, empty.scripts) == (0, {}, {})
    assert empty.characters is empty.tokens is empty.parent_overlap is empty.nearest_overlap is None
    assert empty.distinct_1 is empty.distinct_2 is empty.verb_noun is None
    assert DataSetMeasures.model_validate_json(empty.model_dump_json()) == empty


def test_a_row_without_any_token_is_a_row_of_length_zero():
    found = measured("", "?!", ("", "a"))
    assert (found.rows, found.tokens.maximum, found.characters.maximum) == (3, 0, 2)
    assert found.distinct_1 is found.distinct_2 is None
    assert found.parent_overlap.mean == found.nearest_overlap.distribution.maximum == 0
    assert found.languages == {"none": 1.0}


def test_length_is_counted_in_characters_and_in_tokens():
    found = measured("a b", "a b c d", "가나다 라")  # a token per word, and per syllable
    assert (found.characters.count, found.characters.minimum, found.characters.maximum) == (3, 3, 7)
    assert found.characters.median == 5
    assert (found.tokens.minimum, found.tokens.median, found.tokens.maximum) == (2, 4, 4)
    assert found.tokens.mean == pytest.approx(10 / 3, abs=1e-4)


def test_quartiles_and_bins():
    spread = Distribution.of(np.array([0, 0.05, 0.5, 1.0]), OVERLAP_EDGES)
    assert (spread.lower_quartile, spread.median, spread.upper_quartile) == (0.0375, 0.275, 0.625)
    assert {n: count for n, count in enumerate(spread.counts) if count} == {0: 1, 1: 1, 10: 1, 19: 1}


def test_what_is_longer_than_the_last_border_is_in_the_last_bin():
    spread = Distribution.of(np.array([3, 10**6]), LENGTH_EDGES)
    assert (spread.counts[0], spread.counts[-1], spread.maximum) == (1, 1, 10**6)


def test_distinct_tokens_and_pairs():
    found = measured("a b a b", "A c")  # tokens a b a b a c; pairs ab ba ab, ac; none from one row to the next
    assert found.distinct_1 == 0.5
    assert found.distinct_2 == 0.75


def test_tokens_of_a_parent_are_not_those_of_the_set():
    assert measured(("a a", "b c d e")).distinct_1 == 0.5


def test_counting_in_parts_changes_nothing(monkeypatch):
    monkeypatch.setattr("utils.text.measures.dataset.PENDING", 3)
    distinct = Distinct()
    for numbers in ([1, 2], [2, 3], [3], [4, 1, 1]):
        distinct.add(np.array(numbers, np.uint64))
    assert distinct.share() == 0.5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("the cat sat", "the cat sat down"),
        ("사과를 먹는다", "사과가 먹는다"),
        ("a b c", "x y"),
        ("a b a", "b a b"),
        ("", "a"),
    ],
)
def test_overlap_of_encoded_texts_is_rouge_l(one, other):
    vocabulary = Vocabulary()
    assert overlap(vocabulary.encode(one), vocabulary.encode(other)) == pytest.approx(rouge_l(one, other))


def test_overlap_with_the_parent_counts_rows_that_have_one():
    found = measured(("the cat sat", "the cat sat"), ("a b c d", "a x"), "alone").parent_overlap
    assert (found.count, found.maximum) == (2, 1)
    assert found.minimum == pytest.approx(2 / 6, abs=1e-4)  # LCS 1 of 4 and 2 tokens


def test_the_nearest_instruction_is_another_row():
    found = measured("a b c d", "a b c x", "p q", "p q", "").nearest_overlap
    assert found.exact
    assert (found.among, found.distribution.count) == (5, 5)
    assert found.distribution.mean == pytest.approx((0.75 + 0.75 + 1 + 1 + 0) / 5)


def test_one_row_has_no_nearest_other():
    assert measured("a b").nearest_overlap is None


def test_what_was_sampled_is_said(monkeypatch):
    monkeypatch.setattr("utils.text.measures.nearest.STEPS", 1)
    monkeypatch.setattr("utils.text.measures.nearest.FEWEST", 3)
    found = measured(*(f"a b {number}" for number in range(20))).nearest_overlap
    assert (found.exact, found.distribution.count, found.among) == (False, 3, 20)
    assert found.distribution.mean == pytest.approx(2 / 3, abs=1e-4)


def test_looking_at_all_of_a_sample_is_not_exact():
    assert not nearest_overlap(["ab", "ac"], rows=3).exact


def test_a_sample_depends_on_what_comes_not_on_when():
    forward, backward = Sample(5), Sample(5)
    for number in range(100):
        forward.add(rank(str(number)), number)
        backward.add(rank(str(99 - number)), 99 - number)
    assert forward.values() == backward.values() == sorted(range(100), key=lambda n: rank(str(n)))[:5]


def test_half_a_surrogate_pair_is_measured_like_any_character():
    assert measured("a \ud800 b", "a b").rows == 2


def test_a_hostile_text_is_measured_in_linear_time():
    text = "a\u0301" * 50_000
    assert measured((text, text[1:]), ("<script>" * 12_000, "x ")).rows == 2


# --- Languages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (KOREAN, "ko"),
        ("Python의 list.sort()와 sorted()의 차이는?", "ko"),
        ("Explain gravity.", "en"),
        ("What does 사과 mean in English, and when is it used?", "en"),
        ("Describe Rio de Janeiro.", "en"),
        ("Explique la gravedad y dé tres ejemplos de la vida diaria.", "other"),
        ("光合作用是什么？", "zh"),
        ("光合成について説明してください。", "ja"),
        ("Что такое гравитация?", "other"),
        ("2 + 2 = ?", "none"),
        ("", "none"),
    ],
)
def test_language_of_a_text(text, expected):
    assert language(text, count_scripts(text)) == expected


def test_shares_of_languages_and_letters():
    found = measured("가나다", "abc", "abcdef 漢", "12")
    assert found.languages == {"en": 0.5, "ko": 0.25, "none": 0.25}
    assert found.scripts == {"Latin": round(9 / 13, 4), "Hangul": round(3 / 13, 4), "Han": round(1 / 13, 4)}


# --- Verb-noun pairs ---------------------------------------------------------------------------------


def tagged(text: str) -> list[tuple[str, str, str]]:
    """`a/AT0 list/NN1` as a tagger gives it; the lemma is the word itself."""
    return [(word, word, tag) for word, tag in (entry.split("/") for entry in text.split())]


@pytest.mark.parametrize(
    ("sentence", "pair"),
    [
        ("Write/VVB a/AT0 short/AJ0 thank/NN1 letter/NN1 to/PRP her/PNP", ("write", "letter")),
        ("Give/VVB me/PNP five/CRD facts/NN2 about/PRP tides/NN2", ("give", "facts")),
        ("How/AVQ do/VDB you/PNP answer/VVI this/DT0 question/NN1", ("answer", "question")),
        ("Given/VVN a/AT0 set/NN1 find/VVB subsets/NN2", ("find", "subsets")),
        ("Name/NN1 three/CRD rivers/NN2", ("name", "rivers")),
        ("Explain/VVB how/AVQ it/PNP works/VVZ", None),
        ("Photosynthesis/NN1 is/VBZ the/AT0 topic/NN1", None),
    ],
)
def test_the_english_pair_is_a_verb_with_the_head_of_its_object(sentence, pair):
    assert english_pair(tagged(sentence)) == pair


def morphemes(*sentences: str) -> list[tuple[str, str, int]]:
    return [(*entry.split("/"), number) for number, text in enumerate(sentences) for entry in text.split()]


@pytest.mark.parametrize(
    ("sentences", "pair"),
    [
        (["보내/VV ㄹ/ETM 편지/NNG 를/JKO 쓰/VV 어/EC 주/VX 세요/EF"], ("쓰다", "편지")),
        (["글/NNG 을/JKO 읽/VV 고/EC 요지/NNG 를/JKO 요약/NNG 하/XSV 시오/EF"], ("요약하다", "요지")),
        (["아이/NNG 들/XSN 을/JKO 위하/VV ㄴ/ETM 게임/NNG 을/JKO 추천/NNG 하/XSV 세요/EF"], ("추천하다", "게임")),
        (["표/NNG 들/XSN 을/JKO 그리/VV 시오/EF"], ("그리다", "표")),
        (["설명/NNG 을/JKO 하/VV 시오/EF"], None),
        (["답/NNG 은/JX"], None),
        (
            ["차/NNG 가/JKS 가/VV ㄴ다/EF", "값/NNG 을/JKO 구하/VV 시오/EF", "근거/NNG 를/JKO 쓰/VV 시오/EF"],
            ("구하다", "값"),
        ),
    ],
)
def test_the_korean_pair_is_the_last_verb_with_its_object(sentences, pair):
    assert korean_pair(morphemes(*sentences)) == pair


def test_pairs_are_counted_once_per_row_and_listed_by_frequency():
    pairs = {"a": ("write", "letter"), "b": ("bake", "bread"), "c": None}
    texts = [("en", text) for text in "abab"] + [("en", "c"), ("zh", "x"), ("en", "b")]
    found, note = verb_noun_pairs(texts, lambda _: pairs.get)
    assert (found.unique, found.found, found.rows, note) == (2, 5, 6, "")
    assert [(pair.verb, pair.noun, pair.count) for pair in found.most_common] == [
        ("bake", "bread", 3),
        ("write", "letter", 2),
    ]


def test_without_a_tagger_there_is_no_figure_but_the_way_to_install_it():
    found = measured(KOREAN, LETTER)
    assert found.verb_noun is None
    assert found.verb_noun_note == "needs HanTa and kiwipiepy: pip install -r requirements-measures.txt"


def test_a_tagger_for_one_of_two_languages_gives_no_figure():
    finders = {"en": lambda _: ("write", "letter")}
    assert verb_noun_pairs([("en", LETTER), ("ko", KOREAN)], finders.get)[1].startswith("needs kiwipiepy:")
    assert verb_noun_pairs([("en", LETTER), ("zh", "x")], finders.get)[0].unique == 1


def test_other_languages_need_no_tagger():
    assert verb_noun_pairs([("zh", "x"), ("none", "1")], lambda _: None) == (None, "no Korean or English rows")


@pytest.mark.parametrize(("tongue", "package"), [("en", "HanTa.HanoverTagger"), ("ko", "kiwipiepy")])
def test_a_package_that_is_not_there_is_no_error(monkeypatch, tongue, package):
    monkeypatch.setitem(sys.modules, package, None)
    assert first_pair_of.__wrapped__(tongue) is None


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        (LETTER, ("write", "letter")),
        ("Brainstorm a list of ideas. Rank them.", ("brainstorm", "list")),
        ("Please answer the question.", ("answer", "question")),
        ("Here is a table:\nSummarize the main findings in two sentences.", ("summarize", "finding")),
        ("a " * 50_000, None),
    ],
)
def test_english_pairs_with_the_real_tagger(text, pair):
    pytest.importorskip("HanTa")
    assert first_pair_of("en")(text) == pair


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        (KOREAN, ("설명하다", "원리")),
        ("다음 글을 읽고 요지를 한 문장으로 요약해 주세요.", ("요약하다", "요지")),
        ("고객에게 보낼 사과 편지를 써 주세요.", ("쓰다", "편지")),
        ("무엇인가요? \ud800", None),
    ],
)
def test_korean_pairs_with_the_real_tagger(text, pair):
    pytest.importorskip("kiwipiepy")
    assert first_pair_of("ko")(text) == pair


# --- A whole run -------------------------------------------------------------------------------------


def evolved(row_id: int, seed: str, *stages: str, generation: int | None = None) -> StoredRow:
    record = {"id": row_id, "seed_instruction": seed, "stages": [{"instruction": s, "method_id": "m"} for s in stages]}
    return StoredRow("evolved", record | {"generation": len(stages) if generation is None else generation})


def rejected(row_id: int, seed: str, reason: str, generation: int = 1, kind: str = "eliminated") -> StoredRow:
    record = {"id": row_id, "seed_instruction": seed, "reason": reason, "generation": generation}
    return StoredRow(kind, record)


def test_seeds_and_generations_of_a_run():
    found = measure_run(
        [
            evolved(0, "a b", "a b c d", "a b c d e f"),
            rejected(1, "x", "lost", 2),
            rejected(2, "x", "duplicate", 0, "set_aside"),
            rejected(3, "y", "unavailable", 1, "unavailable"),
            rejected(4, "z", "lost", 2),
        ],
        lambda _: None,
    )
    assert found.seeds.rows == 4
    assert [generation.rows for generation in found.generations] == [1, 1]
    assert found.generations[0].parent_overlap.mean == pytest.approx(2 * 2 / 6, abs=1e-4)
    assert found.generations[1].parent_overlap.mean == pytest.approx(2 * 4 / 10, abs=1e-4)
    assert found.reasons == ({"duplicate": 1}, {}, {"lost": 2})
    json.loads(found.model_dump_json())


def test_rewrites_that_rows_of_a_pool_share_count_once_in_their_own_generation():
    found = measure_run(
        [
            evolved(0, "a", "a b", generation=1),
            rejected(0, "a", "stagnant", 2),
            evolved(0, "a", "a b", "a b c", generation=3),
        ],
        lambda _: None,
    )
    assert found.seeds.rows == 1
    assert [generation.rows for generation in found.generations] == [1, 0, 1]
    assert found.reasons == ({}, {}, {"stagnant": 1}, {})


def test_a_run_of_no_rows():
    found = measure_run([], lambda _: None)
    assert (found.seeds.rows, found.generations, found.reasons) == (0, (), ({},))


def test_every_field_is_described():
    schema = DataSetMeasures.model_json_schema()
    for name in ("characters", "distinct_1", "verb_noun_note"):
        assert schema["properties"][name]["description"]


# --- The interval ------------------------------------------------------------------------------------


def test_wilson_of_six_failures_in_fifty():
    low, high = wilson(6, 50)
    assert (round(low, 3), round(high, 3)) == (0.056, 0.238)
    assert wilson(0, 0) == (0.0, 1.0)
