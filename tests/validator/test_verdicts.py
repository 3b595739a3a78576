"""Verdicts: passed, failed with a reason, or unscored; `could not judge` is neither of the first two."""

import pytest

from analyzer.equal import with_equality
from tests.builders import evolved, seed
from utils.schema import (
    EQUAL,
    GRADE_REASONS,
    LABELS,
    PASSED,
    UNJUDGED,
    Answer,
    Answers,
    Finding,
    Grade,
    Outcome,
    RowOutcome,
    failed,
    unscored,
)
from validator.rules import ANSWER_RULES, REWRITE_RULES
from validator.verdicts import check_answer, check_answers, check_finding, explain, first_attempt

TRAJECTORY = evolved(seed(), "Name three rivers that flow north, and say why that is rare.")


@pytest.mark.parametrize("label", LABELS)
def test_every_label_is_fatal_in_learning_and_in_the_final_run_those_that_make_a_row_useless(label):
    finding = Finding((label,))
    assert check_finding(finding, final=False) == failed(label)
    kept = label in ("stagnant", "contrived", "narrowed")
    assert check_finding(finding, final=True) == (PASSED if kept else failed(label))
    assert check_finding(finding, final=True, drop=[label]) == failed(label)


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
        *GRADE_REASONS,
        "unreadable",
        "length",
        "content_filter",
        *(rule.name for rule in (*ANSWER_RULES, *REWRITE_RULES)),
    }
    said = {name: explain(RowOutcome(TRAJECTORY, failed(name))) for name in names}
    assert [name for name in names if said[name] == name] == []
    assert (
        explain(RowOutcome(TRAJECTORY, failed("lost"), Finding(("lost",), "the price")))
        == said["lost"] + " (the price)"
    )
    # a note on a sound rewrite says nothing about why its answer failed
    assert explain(RowOutcome(TRAJECTORY, failed("refusal"), Finding((), "a new sum"))) == said["refusal"]


def test_a_wrong_or_partly_right_answer_is_explained_by_the_note_of_the_examiner():
    wrong = RowOutcome(TRAJECTORY, failed("wrong_answer"), None, of_grades("wrong"))
    partly = RowOutcome(TRAJECTORY, PASSED, None, of_grades("partly"))
    assert [explain(outcome).rpartition(" (")[2] for outcome in (wrong, partly)] == ["note 0)", "note 0)"]
    assert partly.partly
    assert not wrong.partly


# --- Grades ----------------------------------------------------------------------------------------


def of_grades(*grades: str | None, weak: str | None = None) -> Answers:
    samples = [Answer(TRAJECTORY, f"answer {n}", grade=Grade(grade, f"note {n}")) for n, grade in enumerate(grades)]
    return Answers(tuple(samples), Answer(TRAJECTORY, "weak", grade=Grade(weak)) if weak else None)


@pytest.mark.parametrize(
    ("grades", "weak", "drop", "in_learning", "in_final"),
    [
        (["right"], None, [], PASSED, PASSED),
        (["partly"], None, [], PASSED, PASSED),
        (["partly"], None, ["partly"], failed("partly"), failed("partly")),
        (["wrong"], None, [], failed("wrong_answer"), failed("wrong_answer")),
        ([None], None, [], unscored("unexamined"), PASSED),
        (["right", "wrong"], None, ["unstable"], failed("unstable"), failed("unstable")),
        (["right"], "right", [], failed("easy"), PASSED),
        (["right"], "right", ["easy"], failed("easy"), failed("easy")),
        (["right"], "partly", ["easy"], PASSED, PASSED),
        (["wrong"], "right", [], failed("wrong_answer"), failed("wrong_answer")),
        (["wrong", "right"], None, [], PASSED, PASSED),
        (["wrong", "wrong"], None, [], failed("wrong_answer"), failed("wrong_answer")),
    ],
)
def test_answers_are_judged_by_the_best_grade_among_them(grades, weak, drop, in_learning, in_final):
    answers = of_grades(*grades, weak=weak)
    assert check_answers(answers, final=False, drop=drop) == in_learning
    assert check_answers(answers, final=True, drop=drop) == in_final


def test_the_best_answer_is_the_first_of_the_best_grade_that_broke_no_rule():
    assert of_grades("wrong", "partly", "partly").best.text == "answer 1"
    assert of_grades("partly", "right", "right").best.text == "answer 1"
    assert of_grades(None, None).best.text == "answer 0"
    refused = Answer(TRAJECTORY, "no", verdict=failed("refusal"))
    assert Answers((refused, *of_grades("wrong").samples)).best.text == "answer 0"
    assert check_answers(Answers((refused,)), final=True) == failed("refusal")


def test_answers_that_are_graded_apart_are_unstable():
    assert of_grades("right", "partly").unstable
    assert not of_grades("right", "right").unstable
    assert not of_grades("right", None).unstable


def test_the_first_attempt_counts_its_first_answer_alone_as_learning_draws_one():
    outcome = RowOutcome(TRAJECTORY, PASSED, Finding(()), of_grades("wrong", "right", weak="partly"))
    assert first_attempt(outcome) == (Outcome.FAILED, "wrong_answer", "wrong", "partly")


def test_a_label_that_the_final_run_keeps_counts_in_the_first_attempt():
    outcome = RowOutcome(TRAJECTORY, PASSED, Finding(("contrived",)), of_grades("right"))
    assert first_attempt(outcome) == (Outcome.FAILED, "contrived", "right", None)


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
