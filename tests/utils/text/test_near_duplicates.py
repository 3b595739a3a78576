"""Overlap: tokens that suit the language, ROUGE-L, and a near-copy filter that equals comparing all pairs."""

from math import nextafter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.growth import grows_linearly
from utils.schema import Message, SeedInstruction
from utils.text import near_duplicates
from utils.text.near_duplicates import (
    NearDuplicate,
    NearDuplicates,
    NearDuplicatesInContext,
    near_duplicates_among,
    rouge_l,
    tokens,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("?! — \n 🙂", ""),
        ("Sort the LIST, then print it twice.", "sort the list then print it twice"),
        ("f(x_1) = 3.14e5", "f x 1 3 14e5"),
        ("Ｃafé ＡＢ １２", "café ab 12"),
        ("사과를 사과는", "^사 사과 과를 ^사 사과 과는"),
        ("10km를 KTX로", "10km ^를 ktx ^로"),
        ("東京へ", "^東 東京 京へ"),
    ],
)
def test_tokens_are_words_or_for_unspaced_scripts_pairs_of_characters(text, expected):
    assert tokens(text) == tuple(expected.split())


def test_decomposed_hangul_is_the_same_text():
    assert tokens("\u1112\u1161\u11ab\u1100\u1173\u11af") == tokens("한글") == ("^한", "한글")


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("the cat sat", "the cat sat", 1.0),
        ("the cat sat", "The cat, sat!", 1.0),
        ("the cat sat", "sat cat the", 2 / 6),
        ("a b c d", "a x c", 4 / 7),
        ("a a b", "a b b", 4 / 6),
        ("하나", "셋", 0.0),
        ("사과를", "사과는", 4 / 6),
        ("", "", 0.0),
        ("", "words", 0.0),
        ("...", "...", 0.0),
    ],
)
def test_rouge_l_is_twice_the_lcs_over_both_lengths(a, b, expected):
    assert rouge_l(a, b) == rouge_l(b, a) == expected


def by_table(x: tuple[str, ...], y: tuple[str, ...]) -> int:
    row = [0] * (len(y) + 1)
    for one in x:
        before, row = row, [0]
        for place, other in enumerate(y):
            row.append(before[place] + 1 if one == other else max(before[place + 1], row[-1]))
    return row[-1]


@given(st.text("ab가나 1", max_size=40), st.text("ab가나 1", max_size=40))
def test_rouge_l_is_exact(a, b):
    x, y = tokens(a), tokens(b)
    assert rouge_l(a, b) == (2 * by_table(x, y) / (len(x) + len(y)) if x and y else 0.0)


NEAR = [
    ("십진수 45를 이진수로 바꾸는 방법을 알려줘.", "십진수 45를 이진수로 바꾸는 방법을 알려 주세요."),
    ("강이 얼어도 물고기가 사는 까닭을 설명하시오.", "강이 얼어도 물고기들이 사는 이유를 설명하시오."),
    ("List four uses of baking soda in the kitchen.", "Please list five uses of baking soda in the kitchen."),
]
FAR = [
    ("강이 얼어도 물고기가 사는 까닭을 설명하시오.", "강이 어는 온도와 바다가 어는 온도를 비교하시오."),
    ("광전 효과는 무엇인가요?", "이중 결합은 무엇인가요?"),
    ("List four uses of baking soda in the kitchen.", "List the steps of baking bread in a cold kitchen."),
]


@pytest.mark.parametrize(("a", "b"), NEAR)
def test_what_says_the_same_is_above_the_usual_threshold(a, b):
    assert rouge_l(a, b) > 0.7


@pytest.mark.parametrize(("a", "b"), FAR)
def test_another_task_in_the_same_frame_is_below_it(a, b):
    assert rouge_l(a, b) < 0.7


@pytest.mark.parametrize("piece", ["\u0301\u0323", "\u0e38\u0e48", "\ufdfa", "ᄒ"])
def test_hostile_text_is_read_in_linear_time(piece):
    assert grows_linearly(lambda length: tokens("a" + piece * (length // len(piece))))


# --- Near copies -------------------------------------------------------------------------------

Row = tuple[int, str]


def by_brute_force(max_overlap: float, seeds: list[Row], new: list[Row]) -> list[NearDuplicate | None]:
    kept, outcome = list(seeds), []
    for row, text in new:
        scores = [(rouge_l(text, other), other_row) for other_row, other in kept if other_row != row]
        best, other_row = max(scores, key=lambda score: score[0], default=(0.0, row))
        outcome.append(NearDuplicate(other_row, best) if best > max_overlap else None)
        if outcome[-1] is None:
            kept.append((row, text))
    return outcome


def filtered(max_overlap: float, seeds: list[Row], new: list[Row]) -> list[NearDuplicate | None]:
    copies = NearDuplicates(max_overlap)
    for row, text in seeds:
        copies.add(row, text)
    return [copies.check(row, text) for row, text in new]


TEN = "one two three four five six seven eight nine ten"

few_words = st.lists(st.sampled_from(("the", "of", "a", "b", "1", "사과", "사과를", "사과는")), max_size=25).map(
    " ".join
)
repeated = st.builds(
    lambda word, count, end: f"{word * count} {end}", st.sampled_from(["a ", "b "]), st.integers(0, 30), few_words
)
variants = st.sets(st.sampled_from(TEN.split()), max_size=6).map(
    lambda left_out: " ".join(w for w in TEN.split() if w not in left_out)
)
texts = st.one_of(few_words, repeated, variants, st.text(max_size=8))
rows = st.lists(st.tuples(st.integers(0, 4), texts), max_size=14)
thresholds = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.25, 0.4, 0.5, 0.6, 2 / 3, 0.7, 0.75, 0.8, 1.0]))


@given(thresholds, rows, rows)
@example(0.7, [(0, "a b c d e f g h i j")], [(1, "a b c d e f g x y z")])  # exactly at the threshold
@example(0.0, [(0, ""), (1, "a")], [(2, ""), (3, "b a"), (1, "a")])
def test_the_filter_equals_brute_force(max_overlap, seeds, new):
    assert filtered(max_overlap, seeds, new) == by_brute_force(max_overlap, seeds, new)


@given(thresholds, rows, rows)
def test_it_equals_brute_force_in_small_batches_with_the_least_lookups(max_overlap, seeds, new):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "BATCH", 2)
        patch.setattr(near_duplicates, "PROBED_BEYOND", 0)
        assert filtered(max_overlap, seeds, new) == by_brute_force(max_overlap, seeds, new)


@given(thresholds, rows, rows)
def test_all_that_is_above_is_listed(max_overlap, known, asked):
    copies = NearDuplicates(max_overlap)
    for row, text in known:
        copies.add(row, text)
    for row, text in asked:
        above = [
            n for n, (other, known_text) in enumerate(known) if other != row and rouge_l(text, known_text) > max_overlap
        ]
        assert copies.all_above(row, text) == above


@pytest.mark.parametrize("length", range(1, 31))
def test_the_shortest_partners_are_found(length, monkeypatch):
    monkeypatch.setattr(near_duplicates, "PROBED_BEYOND", 0)
    words = [f"w{number}" for number in range(length)]
    for part in range(1, length + 1):
        exact = 2 * part / (length + part)
        seeds, new = [(0, " ".join(words[:part]))], [(1, " ".join(words))]
        assert filtered(nextafter(exact, 0), seeds, new) == [NearDuplicate(0, exact)]
        assert filtered(exact, seeds, new) == [None]


def test_at_the_threshold_is_not_above_it():
    other = "one two three four five six seven x y z"
    assert rouge_l(TEN, other) == 0.7
    assert filtered(0.7, [(0, TEN)], [(1, other)]) == [None]
    assert filtered(0.69, [(0, TEN)], [(1, other)]) == [NearDuplicate(0, 0.7)]


def test_texts_of_the_same_row_never_count():
    assert filtered(0.7, [(5, TEN)], [(5, TEN), (5, f"{TEN} more"), (6, TEN)]) == [None, None, NearDuplicate(5, 1.0)]


def test_what_was_dropped_is_no_copy_source():
    first, second, third = TEN, f"{TEN} a b c d e", f"{TEN} a b c d e f g h i j k"
    assert rouge_l(first, second) > 0.75 > rouge_l(first, third)
    assert rouge_l(second, third) > 0.75
    assert filtered(0.75, [(0, first)], [(1, second), (2, third)]) == [NearDuplicate(0, rouge_l(first, second)), None]


def test_the_closest_is_named_and_of_equals_the_first():
    seeds = [(0, f"{TEN} x"), (1, TEN), (2, TEN)]
    assert filtered(0.5, seeds, [(3, TEN)]) == [NearDuplicate(1, 1.0)]


def test_tokens_beyond_the_number_of_characters_are_told_apart():
    copies = NearDuplicates(0.5)
    copies._ids = dict.fromkeys(range(0x110000))
    copies._postings = [None] * 0x110000
    copies.add(0, "alpha beta gamma")
    assert copies.check(1, "delta epsilon zeta") is None
    assert copies.check(2, "alpha beta zeta") == NearDuplicate(0, 4 / 6)


def test_texts_that_share_only_common_words_are_not_compared():
    copies = NearDuplicates(0.7)
    for row in range(200):
        copies.add(row, f"what is the use of a{row} and b{row} in c{row} or d{row}")
    for row in range(200, 400):
        assert copies.check(row, f"what is the use of a{row} and b{row} in c{row} or d{row}") is None
    assert copies.verified < 200


def test_repetitions_of_a_word_count_only_as_often_as_both_texts_have_them():
    copies = NearDuplicates(0.7)
    copies.add(0, "a a d e f g h i j k")
    assert copies.check(1, "a a a a a a a a b c") is None
    assert copies.verified == 0


# --- Seeds ---------------------------------------------------------------------------------------

CONTEXT = (Message("system", "Be brief."),)


def test_words_in_another_context_are_no_near_copy():
    near = NearDuplicatesInContext(0.7)
    near.of(()).add(0, "Name three rivers of the north.")
    assert near.of(CONTEXT).check(1, "Name three rivers of the north.") is None
    assert near.of(()).check(2, "Name three rivers of the north!") == NearDuplicate(0, 1.0)
    assert near.of(CONTEXT).check(3, "Name three rivers of the north?") == NearDuplicate(1, 1.0)


def test_of_many_seeds_the_first_ones_are_looked_at_and_that_is_said(monkeypatch):
    monkeypatch.setattr("utils.text.near_duplicates.MOST_SEEDS", 3)
    seeds = [SeedInstruction(n, "Name three rivers of the north.") for n in range(5)]
    assert near_duplicates_among(seeds, 0.7).startswith(
        "near-duplicates among the first 3 of 5 seeds: 2 (--max-overlap 0.7)"
    )
    assert near_duplicates_among(seeds[:3], 0.7).startswith("near-duplicates among 3 seeds: 2 ")
