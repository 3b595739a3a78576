"""Verdicts: passed, failed with a reason, or unscored; `could not judge` is neither of the first two."""

import pytest

from analyzer.equal import with_equality
from tests.builders import evolved, seed
from utils.schema import EQUAL, LABELS, PASSED, UNJUDGED, Answer, Finding, failed, unscored
from validator.rules import ANSWER_RULES, REWRITE_RULES
from validator.verdicts import check_answer, check_finding, explain

TRAJECTORY = evolved(seed(), "Name three rivers that flow north, and say why that is rare.")


@pytest.mark.parametrize("label", LABELS)
def test_every_label_is_fatal_in_learning_and_all_but_stagnant_in_the_final_run(label):
    finding = Finding((label,))
    assert check_finding(finding, final=False) == failed(label)
    assert check_finding(finding, final=True) == (PASSED if label == "stagnant" else failed(label))


def test_the_reason_is_the_first_label_that_is_fatal():
    assert check_finding(Finding(("stagnant", "lost")), final=True) == failed("lost")


@pytest.mark.parametrize("keep", [True, False])
def test_what_the_judge_found_fine_or_was_not_asked_has_passed(keep):
    assert check_finding(Finding(()), keep) == PASSED
    assert check_finding(None, keep) == PASSED


def test_what_could_not_be_judged_is_unscored_in_learning_and_kept_in_the_final_run():
    assert check_finding(UNJUDGED, final=False) == unscored("unjudged")
    assert check_finding(UNJUDGED, final=True) == PASSED


@pytest.mark.parametrize(
    ("text", "error", "verdict"),
    [
        ("The Nile, the Lena and the Ob: their plains slope north.", None, PASSED),
        ("", "unavailable", unscored("unavailable")),
        ("The Nile, the Lena and", "length", failed("length")),
        ("", "content_filter", failed("content_filter")),
        ("I'm sorry, but I can't help with that.", None, failed("refusal")),
        ("...", None, failed("empty")),
    ],
)
def test_an_answer_is_judged_by_how_it_ended_then_by_the_rules(text, error, verdict):
    assert check_answer(Answer(TRAJECTORY, text, error)) == verdict


def test_every_reason_that_can_occur_is_explained_in_other_words():
    names = {
        *LABELS,
        EQUAL,
        "unreadable",
        "length",
        "content_filter",
        *(rule.name for rule in (*ANSWER_RULES, *REWRITE_RULES)),
    }
    assert [name for name in names if explain(name) == name] == []
    assert explain("lost", "the price") == f"{explain('lost')} (the price)"


# --- The equality judge ----------------------------------------------------------------------------


def joined(finding: Finding, is_equal: bool | None) -> Finding:
    return with_equality({3: finding}, {} if is_equal is None else {3: is_equal})[3]


@pytest.mark.parametrize("labels", [(), ("stagnant",), ("lost", "leaked")])
def test_equality_comes_before_other_labels_and_a_difference_adds_none(labels):
    assert joined(Finding(labels, "n"), True) == Finding((EQUAL, *labels), "n")
    assert joined(Finding(labels, "n"), False) == Finding(labels, "n")


@pytest.mark.parametrize("finding", [Finding(()), Finding(("lost",)), UNJUDGED])
def test_where_the_equality_judge_could_not_tell_nothing_is_scored(finding):
    assert joined(finding, None) == UNJUDGED


def test_what_only_the_equality_judge_could_judge_counts_where_it_is_equal():
    assert joined(UNJUDGED, True) == Finding((EQUAL,))
    assert joined(UNJUDGED, False) == UNJUDGED


def test_every_case_keeps_its_own_verdict_and_no_other_gets_one():
    findings = {1: Finding(()), 4: Finding(("lost",)), 7: Finding(())}
    assert with_equality(findings, {1: True, 4: False, 7: False, 9: True}) == {**findings, 1: Finding((EQUAL,))}


def test_what_is_equal_to_its_parent_fails_for_that_reason():
    finding = joined(Finding(("stagnant", "lost")), True)
    assert check_finding(finding, final=True) == failed(EQUAL)
