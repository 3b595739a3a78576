"""How many calls of which kind a run will make, counted from the algorithm.

`least` and `most` are equal where it fixes them; elsewhere `most` is an upper bound (every row fails until its last
attempt, every candidate is measured to the end, a call of exploring brings one thing every other time) and `least` the
smooth run (nothing fails, one candidate is measured to the end, the others drop out after ten rows).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple

from utils.command.plan_batches import rounds_of
from utils.config import EVOL_INSTRUCT, RunConfig
from utils.llm.journal import CallHistory
from utils.llm.ledger import text_tokens
from utils.llm_config import LLMConfig
from utils.prompts import template
from utils.schema import Method, SeedInstruction

ASSUMED_OUTPUT = {  # tokens of one reply where nothing is known; a reasoning model's thinking comes on top
    "evolve": 350,
    "respond": 500,
    "judge": 400,
    "examine": 400,
    "equal": 120,
    "compare": 120,
    "analyze": 350,
    "optimize": 600,
    "explore": 600,
    "tag": 300,
}
OF_EVOL_LLM = ("evolve", "respond")
WEAK = "weak"  # stands in the titles of the weak LLM's lines
GROWTH = 1.3  # a rewrite against its instruction, per round


def llm_of(title: str, kind: str, config: RunConfig) -> LLMConfig:
    """Return the LLM that a line of the plan asks."""
    if WEAK in title and config.weak_llm_config:
        return config.weak_llm_config
    return config.evol_llm_config if kind in OF_EVOL_LLM else config.optim_llm_config


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
    """What one call is about, by the constants of the roles: rows of a group, cases that are examined; in exploring,
    sub-tasks and instructions; and seeds that both LLMs answer to say how hard the rewrites are.
    """

    rows: int
    examined: int
    subtasks: int
    instructions: int
    seeds: int


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
        return [replace(line, rounds=self._rounds(line)) for line in lines if line.most]

    def _rounds(self, line: PlannedCalls) -> tuple[int, int]:
        group = self._per_call.examined if line.kind == "examine" else self._per_call.rows
        return rounds_of(line.title, line.least, line.most, self._config, self._size.rows, group)

    def _line(self, title: str, kind: str, least: int, most: int, shown: float) -> PlannedCalls:
        """Make a line of the plan; `shown` counts the tokens of the texts in one prompt, besides the prompt's own."""
        frame = {"respond": 0, "explore": 600}.get(kind)
        own = text_tokens(template(kind).template) if frame is None else frame
        llm = llm_of(title, kind, self._config)
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
        # Each group of dev rows is examined for itself.
        exams = [
            self._exams(dev) + steps * ((candidates - 1) * self._exams(first_group) + self._exams(dev)),
            3 * (1 + tried) * self._exams(dev),
        ]
        examined, weak = config.examines(final=False), bool(config.weak_llm_config) * config.examines(final=False)
        exam = self._per_call.examined * (mean * GROWTH + self._answer_tokens() * (1 + weak))
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
            self._line(f"validate: {WEAK} answer", "respond", least * weak, most * weak, mean * GROWTH),
            self._line("validate: examine", "examine", exams[0] * examined, exams[1] * examined, exam),
            self._line("validate: compare", "compare", 0, tried * groups * judged, 3 * group * mean * GROWTH),
        ]  # fmt: skip

    def _final(self) -> list[PlannedCalls]:
        config, size, group = self._config, self._size, self._per_call.rows
        rounds, rows, groups = config.generations, size.rows, ceil(size.rows / group)
        if rounds == 0:
            unanswered = rows - size.referenced
            return [*self._answers(unanswered, size.mean), *self._difficulty(), *self._tagging(size.mean)]
        kept = rounds if config.keeps_generations else 1
        judges = kept * groups * (config.judge == "all")
        equals = kept * groups * (config.method == EVOL_INSTRUCT)
        grown = size.mean * (1 + GROWTH**rounds) / 2
        pairs = 2 * group * grown
        return [
            self._line("final: evolve", "evolve", rows * rounds, rows * rounds * config.attempts, self._method + grown),
            self._line("final: judge", "judge", judges, 3 * judges * config.attempts, pairs),
            self._line("final: equality", "equal", equals, equals * config.attempts, pairs),
            *self._answers(rows * kept, size.mean * GROWTH),
            *self._difficulty(),
            *self._tagging(grown),
        ]  # fmt: skip

    def _exams(self, rows: int) -> int:
        """Count the calls that examine rows, group by group."""
        full, rest = divmod(rows, self._per_call.rows)
        return full * ceil(self._per_call.rows / self._per_call.examined) + ceil(rest / self._per_call.examined)

    def _answer_tokens(self) -> float:
        known = self._history.get("respond")
        return known.output_tokens if known else ASSUMED_OUTPUT["respond"]

    def _answers(self, rows: int, mean: float) -> list[PlannedCalls]:
        """Plan the answers to `rows` instructions of `mean` tokens, the weak LLM's, and the examiner's calls."""
        config, tries = self._config, self._config.attempts
        examined = config.examines(final=True)
        weak = bool(config.weak_llm_config) * examined
        of_row = mean + self._answer_tokens() * (config.answers + weak)
        exams = self._exams(rows) * examined
        answers = rows * config.answers
        return [
            self._line("final: answer", "respond", answers, answers * tries, mean),
            self._line(f"final: {WEAK} answer", "respond", rows * weak, rows * weak * tries, mean),
            self._line("final: examine", "examine", exams, 3 * exams * tries, self._per_call.examined * of_row),
        ]

    def _difficulty(self) -> list[PlannedCalls]:
        """Plan the answers of both LLMs to a sample of the seeds, and the examiner's calls."""
        config, mean = self._config, self._size.mean
        rows = min(self._per_call.seeds, self._size.rows) * bool(config.weak_llm_config) * config.examines(final=True)
        exams = ceil(rows / self._per_call.examined)
        of_call = self._per_call.examined * (mean + 2 * self._answer_tokens())
        return [
            self._line("seeds: answer", "respond", rows, rows, mean),
            self._line(f"seeds: {WEAK} answer", "respond", rows, rows, mean),
            self._line("seeds: examine", "examine", exams, 3 * exams, of_call),
        ]

    def _tagging(self, mean: float) -> list[PlannedCalls]:
        """Plan the tagging of a sample of seeds and one as large of evolved rows; `mean` is the tokens of a text."""
        config = self._config
        calls = ceil(2 * min(config.tag_size, self._size.rows) / self._per_call.rows) * config.tag
        return [self._line("tagging", "tag", calls, 3 * calls, self._per_call.rows * mean)]
