"""`--plan`: what a run will ask for and cost, without a single call to an LLM.

Calls are counted from the algorithm: `least` and `most` are equal where it fixes them; elsewhere `most` is an
upper bound (every row fails until its last attempt, every candidate is measured to the end, a call of exploring brings
one thing every other time) and `least` the smooth run (nothing fails, one candidate is measured to the end, the
others drop out after ten rows). Input tokens
are estimated from the real texts and prompts, output tokens from the journal's own history of the kind where there
is one, else from `max_tokens` or a rule of thumb.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import ceil
from typing import NamedTuple

from utils.command.plan_batches import rounds_of, said_of_rounds
from utils.config import EVOL_INSTRUCT, RunConfig
from utils.llm.journal import CallHistory, journal_history
from utils.llm.ledger import text_tokens
from utils.llm_config import LLMConfig
from utils.prompts import template
from utils.run.run_folder import JOURNAL
from utils.schema import Method, SeedInstruction

ASSUMED_OUTPUT = {  # tokens of one reply where nothing is known; a reasoning model's thinking comes on top
    "evolve": 350,
    "respond": 500,
    "judge": 250,
    "equal": 120,
    "compare": 120,
    "analyze": 350,
    "optimize": 600,
    "explore": 600,
    "tag": 300,
}
TOKENS_PER_SECOND = 40  # of one reply, for the time
FIRST_TOKEN_SECONDS = 1.0
OF_EVOL_LLM = ("evolve", "respond")
GROWTH = 1.3  # a rewrite against its instruction, per round


@dataclass(frozen=True, slots=True)
class PlannedCalls:
    """One line of the plan: how often which kind of call is made, and the tokens of one call."""

    title: str
    kind: str
    least: int
    most: int
    input_tokens: float
    output_tokens: float
    rounds: tuple[int, int] = (0, 0)
    """In how many rounds of batches they go, at least and at most."""


@dataclass(frozen=True, slots=True)
class SeedSize:
    """How many seeds there are, their tokens in total, and how many have a reference answer."""

    rows: int
    tokens: int
    referenced: int

    @property
    def mean(self) -> float:
        return self.tokens / self.rows if self.rows else 0.0


def seed_size(seeds: Iterable[SeedInstruction]) -> SeedSize:
    """Count the seeds, the tokens of their texts and contexts, and their references, in one pass."""
    rows = tokens = referenced = 0
    for seed in seeds:
        texts = (seed.text, *(turn.content for turn in seed.context))  # the context is shown wherever the seed is
        rows, tokens = rows + 1, tokens + sum(map(text_tokens, texts))
        referenced += seed.reference is not None
    return SeedSize(rows, tokens, referenced)


def explored_size(config: RunConfig) -> SeedSize:
    """Return how many seeds exploring brings at most; an instruction is taken to have 40 tokens."""
    rows = len(config.explore) * task_count(config) * config.explore_samples
    return SeedSize(rows, rows * 40, 0)


def task_count(config: RunConfig) -> int:
    """Count the tasks of a fully explored domain, without the domain itself."""
    return sum(tasks * breadth for tasks, breadth in _levels(config))


def _levels(config: RunConfig) -> list[tuple[int, int]]:
    """List for each level that is split up how many tasks it has, and into how many sub-tasks each is split."""
    levels, tasks = [], 1
    for depth in range(config.explore_depth):
        breadth = config.explore_breadth[min(depth, len(config.explore_breadth) - 1)]
        levels.append((tasks, breadth))
        tasks *= breadth
    return levels


class PerCall(NamedTuple):
    """What one call is about, by the constants of the roles: rows of a group; in exploring, sub-tasks, instructions."""

    rows: int
    subtasks: int
    instructions: int


class Planner:
    """Counts the calls of a run of `config` over seeds of the given size."""

    def __init__(
        self,
        config: RunConfig,
        size: SeedSize,
        methods: Sequence[Method],
        per_call: PerCall,
        history: Mapping[str, CallHistory],
    ) -> None:
        self._per_call = per_call
        self._config = config
        self._size = size
        self._method = max((text_tokens(method.text) for method in methods), default=0)
        self._history = history

    def lines(self) -> list[PlannedCalls]:
        """Return all lines of the plan, in the order of the run; lines without calls are left out."""
        learns = self._config.learns
        lines = [*self._exploring(), *(self._learning() if learns else ()), *self._final()]
        size = (self._config, self._size.rows, self._per_call.rows)
        return [
            replace(line, rounds=rounds_of(line.title, line.least, line.most, *size)) for line in lines if line.most
        ]

    def _line(self, title: str, kind: str, least: int, most: int, shown: float) -> PlannedCalls:
        """Make a line of the plan; `shown` counts the tokens of the texts in one prompt, besides the prompt's own."""
        frame = {"respond": 0, "explore": 600}.get(kind)
        own = text_tokens(template(kind).template) if frame is None else frame
        llm = self._config.evol_llm_config if kind in OF_EVOL_LLM else self._config.optim_llm_config
        known = self._history.get(kind)
        output = known.output_tokens if known else min(ASSUMED_OUTPUT[kind], llm.max_tokens or 10**9)
        return PlannedCalls(title, kind, least, most, own + shown, output)

    def _exploring(self) -> list[PlannedCalls]:
        config = self._config
        if not config.explore:
            return []
        domains, tasks, samples = len(config.explore), task_count(config), config.explore_samples
        splits = sum(tasks * ceil(breadth / self._per_call.subtasks) for tasks, breadth in _levels(config))
        least = splits + tasks * ceil(samples / self._per_call.instructions)
        return [self._line("explore", "explore", domains * least, domains * tasks * (2 + 2 * samples), 200)]

    def _learning(self) -> list[PlannedCalls]:
        config, mean, group = self._config, self._size.mean, self._per_call.rows
        steps, candidates, dev, train = config.max_steps, config.candidate_size, config.dev_size, config.train_size
        groups, tried = ceil(dev / group), steps * candidates
        first_group = min(group, dev)
        least = dev + steps * ((candidates - 1) * first_group + dev)
        most = dev + tried * dev
        judged = config.judge != "off"
        trajectories = train * mean * GROWTH * (config.loop + 1)
        evolve, train_groups = self._method + mean, steps * ceil(train / group) * judged
        return [
            self._line("evolve train", "evolve", steps * train * config.loop, steps * train * config.loop, evolve),
            self._line("judge train", "judge", train_groups, 3 * train_groups, 2 * group * mean * GROWTH),
            self._line("analyze", "analyze", steps * candidates, tried, self._method + trajectories),
            self._line("optimize", "optimize", steps * candidates, 3 * tried, 1.5 * self._method + trajectories),
            self._line("validate: evolve", "evolve", least, most, evolve),
            self._line("validate: judge", "judge", ceil(least / group) * judged, 3 * (1 + tried) * groups * judged,
                       2 * group * mean * GROWTH),
            self._line("validate: answer", "respond", least, most, mean * GROWTH),
            self._line("validate: compare", "compare", 0, tried * groups * judged, 3 * group * mean * GROWTH),
        ]  # fmt: skip

    def _final(self) -> list[PlannedCalls]:
        config, size, group = self._config, self._size, self._per_call.rows
        rounds, rows, groups = config.generations, size.rows, ceil(size.rows / group)
        if rounds == 0:
            unanswered = rows - size.referenced
            answers = self._line("answer", "respond", unanswered, unanswered * config.attempts, size.mean)
            return [answers, *self._tagging(size.mean)]
        kept = rounds if config.keeps_generations else 1
        judges = kept * groups * (config.judge == "all")
        equals = kept * groups * (config.method == EVOL_INSTRUCT)
        grown = size.mean * (1 + GROWTH**rounds) / 2
        pairs = 2 * group * grown
        return [
            self._line("final: evolve", "evolve", rows * rounds, rows * rounds * config.attempts, self._method + grown),
            self._line("final: judge", "judge", judges, 3 * judges * config.attempts, pairs),
            self._line("final: equality", "equal", equals, equals * config.attempts, pairs),
            self._line("final: answer", "respond", rows * kept, rows * kept * config.attempts, size.mean * GROWTH),
            *self._tagging(grown),
        ]  # fmt: skip

    def _tagging(self, mean: float) -> list[PlannedCalls]:
        """Plan the tagging of a sample of seeds and one as large of evolved rows; `mean` is the tokens of a text."""
        config = self._config
        calls = ceil(2 * min(config.tag_size, self._size.rows) / self._per_call.rows) * config.tag
        return [self._line("tagging", "tag", calls, 3 * calls, self._per_call.rows * mean)]


def cost_of(line: PlannedCalls, calls: int, config: RunConfig) -> Decimal:
    llm: LLMConfig = config.evol_llm_config if line.kind in OF_EVOL_LLM else config.optim_llm_config
    cost = llm.cost(round(calls * line.input_tokens), round(calls * line.output_tokens))
    return cost * llm.price_batch if any(line.rounds) else cost


def seconds_of(line: PlannedCalls, calls: int, config: RunConfig) -> float:
    if any(line.rounds):
        return 0.0
    at_once = 32 if config.batch_size == "auto" else config.batch_size
    return calls * (FIRST_TOKEN_SECONDS + line.output_tokens / TOKENS_PER_SECOND) / at_once


def plan_of(
    config: RunConfig,
    seeds: Iterable[SeedInstruction] | None,
    methods: Sequence[Sequence[Method]],
    per_call: PerCall,
) -> str:
    """Return the text of `--plan`; for a comparison, of all its runs.

    `seeds` are those of the run, None where exploring has yet to find them; `methods` those at hand for each of
    `config.runs()`.
    """
    size = explored_size(config) if seeds is None else seed_size(seeds)
    history = journal_history(config.run_folder / JOURNAL)
    lines: list[PlannedCalls] = []
    for of_one, at_hand in zip(config.runs(), methods, strict=True):
        of_run = Planner(of_one, size, at_hand, per_call, history).lines()
        name = f"{of_one.method}: " if config.compare else ""
        lines += (replace(line, title=f"{name}{line.title}") for line in of_run)
    return plan_text(lines, config, history)


def plan_text(lines: Sequence[PlannedCalls], config: RunConfig, history: Mapping[str, CallHistory]) -> str:
    """Write the plan as a table for a person, with what it assumes."""
    head = ("stage", "calls", "at most", "input tokens", "output tokens", "cost", "at most", "journaled")
    rows = [_row(line, config, history) for line in lines]
    ends = ("least", "most")
    least, most = sum(line.least for line in lines), sum(line.most for line in lines)
    tokens = [
        round(sum(line.least * getattr(line, f"{side}_tokens") for line in lines)) for side in ("input", "output")
    ]
    costs = [sum((cost_of(line, getattr(line, end), config) for line in lines), Decimal(0)) for end in ends]
    held = sum(known.calls for known in history.values())
    rows.append(("all", f"{least:,}", f"{most:,}", *(f"{n:,}" for n in tokens), *map(_money, costs), f"{held:,}"))
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    table = [_aligned(row, widths) for row in (head, *rows)]
    times = [sum(seconds_of(line, getattr(line, end), config) for line in lines) / 60 for end in ends]
    said = _assumptions(config, history, times) + said_of_rounds(line.rounds for line in lines)
    return "\n".join((*table, "", *said))


def _row(line: PlannedCalls, config: RunConfig, history: Mapping[str, CallHistory]) -> tuple[str, ...]:
    sums = (round(line.least * line.input_tokens), round(line.least * line.output_tokens))
    costs = (cost_of(line, line.least, config), cost_of(line, line.most, config))
    held = history[line.kind].calls if line.kind in history else 0
    return (
        line.title,
        f"{line.least:,}",
        f"{line.most:,}",
        *(f"{n:,}" for n in sums),
        *map(_money, costs),
        f"{held:,}",
    )


def _money(amount: Decimal) -> str:
    return f"{amount:.2f}" if amount else "-"


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (cell.ljust(width) if not place else cell.rjust(width)
                    for place, (cell, width) in enumerate(zip(row, widths, strict=True)))  # fmt: skip
    return "  ".join((first, *rest))


def _assumptions(config: RunConfig, history: Mapping[str, CallHistory], minutes: Sequence[float]) -> list[str]:
    unknown = sorted(kind for kind in ASSUMED_OUTPUT if kind not in history)
    shown = ", ".join(f"{kind} {ASSUMED_OUTPUT[kind]}" for kind in unknown)
    lines = [
        f"time at {config.batch_size} requests in flight: about {minutes[0]:.0f} min, at most {minutes[1]:.0f} min, "
        f"assuming {TOKENS_PER_SECOND} tokens a second per reply",
        "calls: in a smooth run; at most: when every row needs all its attempts and no candidate drops out early",
        "input tokens: estimated from your texts and our prompts, 4 ASCII characters or 1.5 others to a token",
        f"output tokens: assumed per reply where the journal knows nothing yet: {shown}" if shown else
        "output tokens: as in the journal's own history",
        "journaled: completions of the kind that the journal holds already; those that fit are not paid again",
    ]  # fmt: skip
    if config.evol_llm_config.price_in is None or config.optim_llm_config.price_in is None:
        lines.append("cost: give price_in and price_out (per million tokens) in both llm-configs to see it")
    return lines
