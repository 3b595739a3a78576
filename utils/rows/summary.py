"""`summary.json` and the short text on stdout: every seed is accounted for, and every call."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple

from pydantic import Field, ValidationError

from utils.config import RunConfig
from utils.llm.ledger import CallUse, Ledger
from utils.rows.counts import RowCounts
from utils.rows.figures import DifficultySummary, Documented, UnseenSummary, difficulty_summary, unseen_summary
from utils.rows.held_out import HELD_OUT, held_out_path
from utils.schema import Candidate, CandidateScore, Learned, SeedGrades


class CallKindSummary(Documented):
    """What one stage has used in this run."""

    calls: int
    """Completions that the endpoint was asked for and gave."""
    journaled: int
    """Completions that were served from the journal: they cost nothing."""
    unavailable: int
    """Requests that no answer came for within all retries."""
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    """Of the input tokens, those that the server reported as cached."""
    cost: Decimal
    """At the prices given; 0 without prices."""


class MethodSummary(Documented):
    """A measured method: the initial one (step 0) or a candidate."""

    step: int
    method_id: str
    failure_rate: float | None
    """Lambda = failed / judged; null where not a single row could be judged."""
    interval: tuple[float, float]
    """The 95 % Wilson interval of the failure rate."""
    by_rules: int
    """Failed rows that rules found."""
    by_judge: int
    """Failed rows that only the judge saw."""
    by_examiner: int = 0
    """Failed rows that only the examiner of answers saw."""
    judged: int
    """Rows judged; fewer than --dev-size for a candidate that could no longer win."""
    unscored: int
    """Rows that could not be judged; they count for neither side."""
    selected: bool
    """Did it become the best method of its step?"""


class AnsweredBySummary(Documented):
    """Which model really answered: a provider may swap what is behind a name."""

    asked: str
    """The model that the llm-config names."""
    model: str
    """The model that the replies name; empty where they name none."""
    fingerprint: str
    """Their `system_fingerprint`; empty where there is none."""
    completions: int
    """How many completions it gave, those from the journal included."""

    def __str__(self) -> str:
        return f"{self.model or self.asked}{f' ({self.fingerprint})' if self.fingerprint else ''}"


class BenchmarkSummary(Documented):
    """A benchmark that must stay out (`--decontaminate`), and what was found of it."""

    name: str
    """As the flag names it."""
    items: int
    seeds: int
    """Seeds that were set aside because they repeat one of its items."""
    rewrites: int
    """Rewrites that were eliminated for the same."""

    def __str__(self) -> str:
        found = f"{self.seeds:,} seeds set aside, {self.rewrites:,} rewrites eliminated"
        return f"{self.name}: {found}, {self.items:,} items"


class Summary(Documented):
    """`summary.json` of a run folder. rows_in = evolved + held_out + eliminated + set_aside + unavailable."""

    schema_version: Literal[1] = 1
    rows_in: int
    """Rows of the ledger: seeds and rows set aside; every generation of a seed where generations are kept."""
    evolved: int
    """Rows in the result file."""
    held_out: int = 0
    """Rows evolved like these, but kept out of the result by --hold-out."""
    eliminated: dict[str, int]
    """Rows that failed all their attempts, by the last reason."""
    set_aside: dict[str, int]
    """Rows of the data set that are no seeds, by reason."""
    unavailable: int
    """Rows that no answer came for; the same command asks for them again."""
    benchmarks: list[BenchmarkSummary] = Field(default_factory=list)
    """Benchmarks that must stay out; each row that repeats items is counted for one of them."""
    retention: float
    """(evolved + held_out) / rows_in."""
    unseen: UnseenSummary | None = None
    """The failure rate on rows that learning never saw; null where they were not judged as those of learning."""
    labels: dict[str, int] = Field(default_factory=dict)
    """Labels and marks of the evolved rows; a row may have several."""
    grades: dict[str, int] = Field(default_factory=dict)
    """Grades of the answers of evolved rows."""
    difficulty: DifficultySummary | None = None
    """What a weak LLM answers rightly; null without --weak-llm-config."""
    used_methods: list[str]
    """Ids of the methods that the final run drew from, best first."""
    methods: list[MethodSummary]
    """Every method measured in learning, in order; empty where nothing was learned."""
    stages: dict[str, CallKindSummary]
    answered_by: list[AnsweredBySummary] = Field(default_factory=list)
    """Empty where no reply said which model it is from."""
    calls: int
    journaled: int
    retries: int
    input_tokens: int
    output_tokens: int
    cost: Decimal
    seconds: float
    """Wall time, from opening the LLMs to the summary."""

    @property
    def result_share(self) -> float:
        """The share (0 to 1) of the rows that the result file holds: `retention`, but for rows held out."""
        return self.retention if not self.held_out else self.evolved / self.rows_in

    @property
    def adds_up(self) -> bool:
        """Every row read is in the result or in the rejects, exactly once."""
        lost = sum(self.eliminated.values()) + sum(self.set_aside.values()) + self.unavailable
        return self.rows_in == self.evolved + self.held_out + lost


def summarize(
    counts: RowCounts,
    learned: Learned,
    ledger: Ledger,
    seconds: float,
    config: RunConfig,
    of_seeds: SeedGrades | None = None,
    benchmarks: Sequence[BenchmarkSummary] = (),
) -> Summary:
    """Return the summary of a run: its rows, its methods, and what its calls used; `seconds` is its wall time.

    `of_seeds` are the grades of the answers to a sample of the seeds, if there is a weak LLM.
    """
    evolved, held_out = (counts.by_reason(outcome).total() for outcome in ("evolved", HELD_OUT))
    total, usage = counts.total, ledger.usage
    return Summary(
        rows_in=total,
        evolved=evolved,
        held_out=held_out,
        eliminated=dict(counts.by_reason("eliminated").most_common()),
        set_aside=dict(counts.by_reason("set_aside").most_common()),
        unavailable=counts.by_reason("unavailable").total(),
        benchmarks=list(benchmarks),
        retention=(evolved + held_out) / total,
        unseen=unseen_summary(counts) if config.judges_alike and config.generations else None,
        labels=dict(counts.labels.most_common()),
        grades=dict(counts.grades.most_common()),
        difficulty=of_seeds and difficulty_summary(counts, of_seeds),
        used_methods=[method.id for method in learned.methods],
        methods=[_method(candidate) for candidate in learned.history],
        stages={name: _stage(use) for name, use in sorted(ledger.kinds.items())},
        answered_by=list(_answered_by(ledger)),
        calls=ledger.calls,
        journaled=ledger.journaled,
        retries=ledger.retries,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost=ledger.cost,
        seconds=round(seconds, 3),
    )


def _method(candidate: Candidate) -> MethodSummary:
    score = candidate.score
    return MethodSummary(
        step=candidate.step,
        method_id=score.method.id,
        failure_rate=score.failure_rate,
        interval=score.interval,
        by_rules=score.by_rules,
        by_judge=score.by_judge,
        by_examiner=score.by_examiner,
        judged=score.judged,
        unscored=score.unscored,
        selected=candidate.selected,
    )


def _answered_by(ledger: Ledger) -> Iterator[AnsweredBySummary]:
    """Yield which models answered, by the model asked for, the most frequent first."""
    for asked, counts in sorted(ledger.answered_by.items()):
        for who, count in sorted(counts.items(), key=lambda item: (-item[1], item[0].model, item[0].fingerprint)):
            yield AnsweredBySummary(asked=asked, model=who.model, fingerprint=who.fingerprint, completions=count)


def _stage(use: CallUse) -> CallKindSummary:
    return CallKindSummary(
        calls=use.calls,
        journaled=use.journaled,
        unavailable=use.unavailable,
        input_tokens=use.usage.input_tokens,
        output_tokens=use.usage.output_tokens,
        cached_tokens=use.usage.cached_tokens,
        cost=use.cost,
    )


def rate_text(score: CandidateScore) -> str:
    """Return a failure rate with its interval and origin as text: `8.0% [3.2%, 18.8%]: rules 1, judge 3 of 50`."""
    if score.failure_rate is None:
        return f"not measured ({score.unscored} rows unscored)"
    low, high = score.interval
    examiner = f", examiner {score.by_examiner}" if score.by_examiner else ""
    parts = f"rules {score.by_rules}, judge {score.by_judge}{examiner} of {score.judged}"
    unscored = f", {score.unscored} unscored" if score.unscored else ""
    return f"{score.failure_rate:.1%} [{low:.1%}, {high:.1%}]: {parts}{unscored}"


class Told(NamedTuple):
    """What stdout is told when all is done; a comparison of runs has no one summary."""

    text: str
    summary: Summary | None = None


def told(summary: Summary, history: Sequence[Candidate], config: RunConfig, former: str | None) -> Told:
    """Put a run in words: its summary, and what changed against the `former` summary.json of its folder, if any."""
    texts = (as_text(summary, history, config), changes(former, summary))
    return Told("\n".join(filter(None, texts)), summary)


def as_text(summary: Summary, history: Sequence[Candidate], config: RunConfig) -> str:
    """Return the summary as lines of text for stdout."""
    saw = "rows that learning never saw" if config.learns else "rows, first attempts"
    lines = [
        *([f"failure rate  {summary.unseen} {saw}"] if summary.unseen else []),
        f"rows in       {summary.rows_in}",
        f"evolved       {summary.evolved} ({summary.result_share:.1%}) -> {config.save_path}",
        f"eliminated    {_by_reason(summary.eliminated)}",
        f"set aside     {_by_reason(summary.set_aside)}",
    ]
    if config.hold_out:
        at = next(number for number, line in enumerate(lines) if line.startswith("evolved"))
        lines.insert(at + 1, f"held out      {summary.held_out} -> {config.on_store(held_out_path(config.result))}")
    lines += [f"benchmark     {benchmark}" for benchmark in summary.benchmarks]
    if summary.unavailable:
        lines.append(f"unavailable   {summary.unavailable} (the same command asks for them again)")
    if summary.grades:
        lines.append(f"answers       {', '.join(f'{name} {n}' for name, n in summary.grades.items())}")
    if summary.difficulty:
        lines.append(f"difficulty    {summary.difficulty}")
    lines += [f"on dev rows   {text}" for text in _rates(history)]
    lines += [
        f"calls         {summary.calls:,} made, {summary.journaled:,} from the journal, {summary.retries:,} retries",
        f"tokens        {summary.input_tokens:,} in, {summary.output_tokens:,} out",
        *([f"cost          {summary.cost:.4f}"] if summary.cost else []),
        *(f"answered by   {who}: {who.completions:,}" for who in summary.answered_by),
        f"time          {summary.seconds:.1f} s; journal, methods, rejects and summary are in {config.run_folder}",
    ]
    return "\n".join(lines)


def changes(former: str | None, summary: Summary) -> str:
    """Return lines that say what this run changed against the former one in the same folder; empty where nothing did.

    Rows can be judged again by other rules, thresholds and settings at no cost: the lines show what came of that.
    """
    try:
        before = Summary.model_validate_json(former or "null")
    except ValidationError:  # none, or one of another version: there is nothing to compare with
        return ""
    counts = [_counts(before), _counts(summary)]
    names = dict.fromkeys((*counts[0], *counts[1]))
    lines = [f"  {name:20} {counts[0][name]:>7,} -> {counts[1][name]:,}" for name in names
             if counts[0][name] != counts[1][name]]  # fmt: skip
    return "\n".join(("changed since the last run here", *lines)) if lines else ""


def _counts(summary: Summary) -> Counter[str]:
    kept = {"evolved": summary.evolved, HELD_OUT: summary.held_out}
    return Counter({**kept, **summary.eliminated, "unavailable": summary.unavailable})


def _by_reason(counts: Mapping[str, int]) -> str:
    shown = ", ".join(f"{reason} {count}" for reason, count in counts.items())
    return f"{sum(counts.values())}" + (f" ({shown})" if shown else "")


def _rates(history: Sequence[Candidate]) -> Iterator[str]:
    """Yield, for each step, the failure rate of the best method so far as text."""
    best = None
    for step in sorted({candidate.step for candidate in history}):
        best = next((c for c in history if c.step == step and c.selected), best)
        if best:
            yield f"step {step}: {rate_text(best.score)}"
