"""Grams that texts share: what they are, and an index that equals comparing all with all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.growth import grows_linearly
from utils.text import shared_grams
from utils.text.near_duplicates import is_syllable_pair, tokens
from utils.text.shared_grams import SharedGrams

ITEM = "A train leaves the station at noon and travels north at sixty miles per hour until dusk"
KOREAN = "기차가 정오에 역을 떠나 시속 육십 킬로미터로 해 질 때까지 북쪽으로 달립니다."


def weights_of(text: str) -> list[int]:
    return [8 if is_syllable_pair(token) else 12 for token in tokens(text)]


def grams_of(text: str) -> dict[tuple[int, int], tuple[str, ...]]:
    """The grams of a text by where they begin and end: eight words, or twelve pairs, or as heavy; else the whole."""
    found, weights = tokens(text), weights_of(text)
    ends = {
        start: next((end for end in range(start + 1, len(found) + 1) if sum(weights[start:end]) >= 96), None)
        for start in range(len(found))
    }
    grams = {(start, end): found[start:end] for start, end in ends.items() if end}
    return grams or ({(0, len(found)): found} if found else {})


def by_brute_force(items: list[str], text: str) -> int | None:
    mine, best, largest = set(grams_of(text).values()), None, 0.0
    for number, item in enumerate(items):
        weights = weights_of(item)
        covered = {
            place for (start, end), gram in grams_of(item).items() if gram in mine for place in range(start, end)
        }
        share = sum(weights[place] for place in covered) / sum(weights) if weights else 0
        if share >= 0.5 and share > largest:
            best, largest = number, share
    return best


words = st.lists(st.sampled_from(["a", "b", "c", "1", "사과를", "사과는", "북쪽", "으", "먹는다"]), max_size=30)
spliced = st.builds(
    lambda before, start, end, after: [*before, *ITEM.split()[start:end], *KOREAN.split()[start:], *after],
    words,
    st.integers(0, 9),
    st.integers(0, 17),
    words,
)
texts = st.one_of(words, spliced).map(" ".join)


@settings(deadline=None)  # brute force is slow
@given(st.lists(texts, max_size=8), st.lists(texts, max_size=8))
def test_the_index_equals_brute_force(items, asked):
    index = SharedGrams(items)
    assert [index.most_covered(text) for text in (*items, *asked)] == [
        by_brute_force(items, text) for text in (*items, *asked)
    ]


@settings(deadline=None)  # brute force is slow
@given(st.lists(texts, max_size=8), st.lists(texts, max_size=8), st.integers(0, 3))
def test_it_equals_brute_force_where_grams_are_common(items, asked, common):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_grams, "COMMON", common)
        index = SharedGrams(items)
        assert [index.most_covered(text) for text in asked] == [by_brute_force(items, text) for text in asked]


@settings(deadline=None)  # brute force is slow
@given(st.lists(texts, max_size=6), texts)
def test_no_hash_decides(items, text):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_grams, "_hashes", lambda sequence, begins, ends: np.zeros(len(begins), np.uint64))
        assert SharedGrams(items).most_covered(text) == by_brute_force(items, text)


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (ITEM, f"Consider this. {ITEM}. Now explain every step to a beginner."),
        (ITEM, "First: LEAVES the station, at noon; and travels north at sixty miles! Why?"),  # 10 of 17 words
        (KOREAN, f"다음을 영어로 옮기고 어려운 낱말을 설명하세요. {KOREAN} 그리고 두 문장으로 요약하세요."),
        (KOREAN, "기차는 정오에 역을 떠나서 시속 육십 킬로미터로 해 질 때까지 북쪽으로 달린다."),
        ("Who wrote Hamlet?", "who wrote hamlet"),
    ],
)
def test_a_text_that_holds_half_of_an_item_is_found(item, text):
    assert SharedGrams(["something else altogether", item]).most_covered(text) == 1


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (ITEM, "A train leaves the station at noon and stays away for ever, says the old guard."),  # 8 of 17 words
        (ITEM, " ".join(reversed(ITEM.split()))),
        (KOREAN, "버스가 정오에 역을 떠나 남쪽으로 달립니다."),
        ("꽃게를 톱밥에 담는 이유는 무엇일까요?", "밤에 소리가 더 잘 들리는 이유는 무엇일까요?"),
        (
            "다음 중 옳은 것은?",
            "다음 중 옳은 것은? 가. 물은 섭씨 백 도에서 끓는다. 나. 얼음은 물에 가라앉는다.",
        ),  # short
        ("", ""),
        ("?!", "?!"),
    ],
)
def test_what_shares_less_is_not(item, text):
    assert SharedGrams([item]).most_covered(text) is None


def test_the_item_that_is_covered_most_is_named_and_of_equals_the_first():
    halves = [" ".join([*ITEM.split()[:12], "and", "so", "on"]), ITEM, ITEM]
    assert SharedGrams(halves).most_covered(f"{ITEM} today") == 1


def test_nothing_is_found_among_nothing():
    assert SharedGrams([]).most_covered(ITEM) is None


def test_a_hostile_text_is_looked_up_in_linear_time():
    index = SharedGrams(["a " * 30, ITEM])
    assert grows_linearly(lambda length: index.most_covered("a " * (length // 2)))
