"""The types, in the order in which they flow: a seed becomes a trajectory, an answer, a verdict, a row.

Reading this file is reading the architecture. All types are frozen; each wraps the one before it.
Terms are those of Auto Evol-Instruct (arXiv 2406.00770): a *method* is the prompt that says how to
evolve, a *trajectory* holds all stages of one instruction, lambda is the *failure rate*.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal, NamedTuple, Protocol

from utils.interval import wilson

CallKind = Literal["evolve", "respond", "analyze", "judge", "examine", "compare", "optimize", "equal", "explore", "tag"]


# --- What goes to an LLM and what comes back ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation with an LLM."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling fields of a request; None means that the field is not sent at all.

    `extra` holds the other fields that the user wants in the body, as the text of a JSON object.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    extra: str | None = None


def as_extra(fields: Mapping[str, Any]) -> str:
    """Write further fields of a request as `Sampling.extra`: the same fields are the same text."""
    return json.dumps(fields, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that determines a completion, and the kind of call that pays for it.

    `draw` tells apart several samples of one prompt; it is a text, as it may carry the run's seed. `llm_config` says
    in JSON what else the user has set about the endpoint: a refusal holds only for as long as that stays the same.
    """

    kind: CallKind
    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    draw: str = "0"
    llm_config: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one completion as the server reported them (0 where it did not)."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True)
class AnsweredBy:
    """What a reply says of the model that wrote it; empty where it says nothing."""

    model: str = ""
    fingerprint: str = ""

    def __str__(self) -> str:
        return f"{self.model or 'a model without a name'}{f' ({self.fingerprint})' if self.fingerprint else ''}"


Failure = Literal["length", "content_filter", "rejected", "too_long", "empty", "unavailable"]


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back. `text` never holds reasoning (`<think>` blocks, `reasoning_content`): that is in `reasoning`.

    `failure` is None for a text to use. `length` and `content_filter` are texts that the server cut, `empty` is
    reasoning without an answer. `content_filter`, `too_long` and `rejected` are also what the server makes of a
    request that it refuses, in words that `said` holds. `unavailable` means that the endpoint gave no answer within
    all retries.
    """

    text: str
    failure: Failure | None = None
    usage: Usage = Usage()
    reasoning: str | None = None
    answered_by: AnsweredBy = AnsweredBy()
    said: str | None = None

    @property
    def refused(self) -> bool:
        """Whether the server refused the request, so that no text came at all."""
        return self.said is not None


# --- Seeds and methods -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SeedInstruction:
    """A user's turn in its context. `id` is its position in the seed set, from 0; `reference` its answer, if any.

    `context` is what was said before it: a system prompt, then turns of user and assistant by turns. Only `text` is
    rewritten. `extra` holds the columns of the row that are passed through (`--keep-columns`).
    """

    id: int
    text: str
    reference: str | None = None
    context: tuple[Message, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)


class SetAside(NamedTuple):
    """A row of the data set that cannot be a seed.

    `reason` is `empty`, `duplicate`, `no_user_turn`, `not_text`, `tool_use` or `unknown_shape`; or `contaminated`, and
    then `note` is the item of a benchmark.
    """

    id: int
    text: str
    reason: str
    note: str | None = None


class Seeds(Protocol):
    """Seeds that can be gone through more than once, however many there are."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[SeedInstruction]: ...


BREADTH = "breadth"  # the one operation of Evol-Instruct that leaves the given task


@dataclass(frozen=True)
class Method:
    """An evolving method: the prompt that tells the evol LLM how to rewrite (paper, section 3).

    `name` is what an operation of Evol-Instruct is called; stages then show it in place of the hash.
    """

    text: str
    origin: str
    parent_id: str | None = None
    name: str | None = None

    @cached_property
    def id(self) -> str:
        """The operation's name, or twelve hexadecimal digits that depend on the text alone."""
        return self.name or hashlib.sha256(self.text.encode()).hexdigest()[:12]

    @property
    def in_breadth(self) -> bool:
        """Whether it makes a new instruction of the same field, instead of a harder version of the given one."""
        return self.name == BREADTH


# --- Verdicts: passed, failed with a reason, or unscored ---------------------------------------


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    UNSCORED = "unscored"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Passed, failed for a reason (a rule or a label), or unscored: it could not be judged."""

    outcome: Outcome
    reason: str | None = None

    @property
    def failed(self) -> bool:
        return self.outcome is Outcome.FAILED

    @property
    def passed(self) -> bool:
        return self.outcome is Outcome.PASSED


PASSED = Verdict(Outcome.PASSED)


def failed(reason: str) -> Verdict:
    return Verdict(Outcome.FAILED, reason)


def unscored(reason: str) -> Verdict:
    return Verdict(Outcome.UNSCORED, reason)


# --- Trajectories and what is said of them -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One stage of a trajectory: the instruction after a round, and the method that made it."""

    instruction: str
    method_id: str

    @property
    def in_breadth(self) -> bool:
        return self.method_id == BREADTH


@dataclass(frozen=True, slots=True)
class Trajectory:
    """All stages of one seed. `stopped` says why evolving ended early.

    Then `rejected` is the rewrite that broke a rule, and `reply` the raw text of one that could not be read, or what
    the server said where it refused the request.
    """

    seed: SeedInstruction
    stages: tuple[Rewrite, ...] = ()
    stopped: Verdict | None = None
    reply: str | None = None
    rejected: str | None = None

    @property
    def final(self) -> str:
        """The last instruction that could be read: the seed itself where there is none."""
        return self.stages[-1].instruction if self.stages else self.seed.text

    @property
    def keeps_reference(self) -> bool:
        """Whether the seed was not rewritten and has an answer, which it keeps."""
        return not self.stages and bool(self.seed.reference)


LABELS = ("stagnant", "unsolvable", "lost", "leaked", "contrived", "narrowed", "ambiguous")
GRADE_REASONS = ("wrong_answer", "partly", "easy", "unstable")  # why the examiner's grades fail a row
EQUAL = "equal"  # Evol-Instruct's first elimination rule, found by a judge of its own: no information gain


@dataclass(frozen=True, slots=True)
class Finding:
    """What the judge found in one rewrite: labels (none means ok), or `labels` None for unscored."""

    labels: tuple[str, ...] | None
    note: str = ""


UNJUDGED = Finding(None)
Case = tuple[Trajectory, Finding | None]  # a trajectory, and what the judge found in it if it was asked


GRADES = ("right", "partly", "wrong")  # best first


@dataclass(frozen=True, slots=True)
class Grade:
    """The examiner's grade of an answer, one of GRADES, or None for unscored; `note` is about the whole case."""

    value: str | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to the final instruction of a trajectory, and the thoughts that led to it.

    `error` is a completion's failure, `said` what the server said where it refused the request. `verdict` is that of
    the answer rules, `grade` the examiner's, None where it was not asked.
    """

    trajectory: Trajectory
    text: str
    error: str | None = None
    reasoning: str | None = None
    said: str | None = None
    verdict: Verdict = PASSED
    grade: Grade | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to one instruction: `samples` of the evol LLM, in the order of their draws, and the weak LLM's."""

    samples: tuple[Answer, ...]
    weak: Answer | None = None

    @property
    def best(self) -> Answer:
        """The sample to use: sound before broken, then by grade (unscored before wrong), then the first."""
        order = ("right", "partly", None, "wrong")
        return min(self.samples, key=lambda a: (not a.verdict.passed, order.index(a.grade.value if a.grade else None)))

    @property
    def easy(self) -> bool:
        """Whether the weak LLM has answered rightly, so that the instruction is not hard."""
        return _value(self.weak) == "right"

    @property
    def unstable(self) -> bool:
        """Whether samples were graded apart."""
        return len({_value(answer) for answer in self.samples} - {None}) > 1


def _value(answer: Answer | None) -> str | None:
    return answer.grade.value if answer and answer.grade else None


@dataclass(frozen=True, slots=True)
class FailedCase:
    """A case that the Analyzer names; `case_id` counts from 1 within the transcript."""

    case_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """The Analyzer's reply, and the conversation that led to it."""

    failed_cases: tuple[FailedCase, ...]
    text: str
    transcript: tuple[Message, ...] = ()


class FirstAttempt(NamedTuple):
    """What became of a row's first attempt, judged as in learning: how good the method is, whatever is done afterwards.

    `grade` and `weak_grade` are the examiner's, of the first answer and of the weak LLM's; None where there is none.
    """

    outcome: Outcome
    reason: str | None
    grade: str | None
    weak_grade: str | None


class SeedGrades(NamedTuple):
    """How often the answers of the strong and of the weak LLM to a sample of the seeds got which grade."""

    strong: Counter[str]
    weak: Counter[str]


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """Where one seed ended after up to `attempts` tries; `answers` is None where none was asked for.

    `generation` is set where every generation is a row of its own: the round that this row is of.
    """

    trajectory: Trajectory
    verdict: Verdict
    finding: Finding | None = None
    answers: Answers | None = None
    attempts: int = 1
    generation: int | None = None
    first: FirstAttempt | None = None

    @property
    def seed(self) -> SeedInstruction:
        return self.trajectory.seed

    @property
    def answer(self) -> Answer | None:
        return self.answers.best if self.answers else None

    @property
    def partly(self) -> bool:
        """Whether the row passed with an answer that is only partly right."""
        return self.verdict.passed and _value(self.answer) == "partly"

    @property
    def note(self) -> str:
        """What the judge or the examiner said of the fault that ended or marks the row; empty where a rule found it."""
        if self.answer and self.answer.grade and (self.partly or self.verdict.reason in GRADE_REASONS):
            return self.answer.grade.note
        of_judge = self.finding and self.verdict.reason in (self.finding.labels or ())
        return self.finding.note if self.finding and of_judge else ""

    def measured(self, verdict: Verdict) -> FirstAttempt:
        """Return what this row, as a first attempt, says of the method; `verdict` is the one that learning gives it."""
        first, weak = (self.answers.samples[0], self.answers.weak) if self.answers else (None, None)
        return FirstAttempt(verdict.outcome, verdict.reason, _value(first), _value(weak))


@dataclass(frozen=True)
class CandidateScore:
    """A method measured on the development rows; failure rate lambda = failed / judged."""

    method: Method
    outcomes: tuple[RowOutcome, ...]

    @cached_property
    def failures(self) -> Counter[str]:
        """Failed rows by reason."""
        return Counter(o.verdict.reason or "" for o in self.outcomes if o.verdict.failed)

    @cached_property
    def failed(self) -> int:
        return sum(self.failures.values())

    @cached_property
    def judged(self) -> int:
        return sum(o.verdict.outcome is not Outcome.UNSCORED for o in self.outcomes)

    @property
    def unscored(self) -> int:
        return len(self.outcomes) - self.judged

    @property
    def failure_rate(self) -> float | None:
        """None where not a single row could be judged."""
        return self.failed / self.judged if self.judged else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the failure rate."""
        return wilson(self.failed, self.judged)

    @property
    def by_judge(self) -> int:
        """Failures that only the judge saw."""
        return sum(self.failures[label] for label in (*LABELS, EQUAL))

    @property
    def by_examiner(self) -> int:
        """Failures that only the examiner saw."""
        return sum(self.failures[reason] for reason in GRADE_REASONS)

    @property
    def by_rules(self) -> int:
        return self.failed - self.by_judge - self.by_examiner


@dataclass(frozen=True, slots=True)
class Candidate:
    """A measured method and how it came about: the initial one is step 0, draw 0.

    `feedback` is what the Analyzer said of its parent; `selected` whether it became the best method.
    """

    step: int
    draw: int
    score: CandidateScore
    feedback: str = ""
    selected: bool = False


@dataclass(frozen=True, slots=True)
class Learned:
    """The methods that the final run draws from, best first, and every method that was measured on the way.

    `seen` are the ids of the seeds that were used to choose them.
    """

    methods: Sequence[Method]
    history: Sequence[Candidate] = ()
    seen: frozenset[int] = frozenset()


# --- What the files hold -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SampledAnswer:
    """One of the answers to a row, with the examiner's grade, as the result holds it (`--answers`)."""

    text: str
    grade: str | None
    reasoning: str | None


@dataclass(frozen=True, slots=True)
class EvolvedRow:
    """One record of the result file; the fields are its contract.

    `grade` is the examiner's, of `response`. `context` and `extra` are written where any row of the result has one,
    `answers` with `--answers`, in the order of their draws.
    """

    id: int
    instruction: str
    response: str
    seed_instruction: str
    seed_response: str | None
    generation: int
    method_id: str | None
    model: str
    stages: list[Rewrite]
    labels: list[str]
    reasoning: str | None = None
    grade: str | None = None
    context: list[Message] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    answers: list[SampledAnswer] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reject:
    """One line of `rejects.jsonl`: a row that was eliminated, has no answer yet or was set aside, and why.

    `note` is what the judge or the examiner said, or the benchmark item that a text matches.
    """

    id: int
    seed_instruction: str
    instruction: str | None
    response: str | None
    reply: str | None
    reason: str
    outcome: Literal["eliminated", "unavailable", "set_aside"]
    generation: int
    attempts: int
    note: str | None = None
