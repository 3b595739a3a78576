"""Accounting: what a run has used, stage by stage, and what it may use."""

import logging
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from utils.config import LLMConfig
from utils.errors import BudgetReached
from utils.schema import AnsweredBy, Completion, Request, Stage, Usage

log = logging.getLogger(__name__)


@dataclass(slots=True)
class StageUse:
    """What one stage has used: calls paid now, calls served from the journal, tokens, cost."""

    calls: int = 0
    journaled: int = 0
    unavailable: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: Decimal = Decimal(0)


@dataclass(slots=True)
class Ledger:
    """What the run has used, per stage, and what it may use: the budget is checked before a call starts."""

    max_calls: int | None = None
    max_cost: Decimal | None = None
    stages: defaultdict[str, StageUse] = field(default_factory=lambda: defaultdict(StageUse))
    answered_by: defaultdict[str, Counter[AnsweredBy]] = field(default_factory=lambda: defaultdict(Counter))
    """By the model that was asked for: which ones answered, and how often, the journal included."""
    retries: int = 0
    rate_limited_seconds: float = 0.0
    in_flight: int = 0
    _reserved: Decimal = Decimal(0)
    _before: tuple[int, Decimal] = (0, Decimal(0))  # calls and cost that ledgers before this one took of the budget

    @property
    def calls(self) -> int:
        return sum(use.calls for use in self.stages.values())

    @property
    def journaled(self) -> int:
        return sum(use.journaled for use in self.stages.values())

    @property
    def usage(self) -> Usage:
        return sum((use.usage for use in self.stages.values()), Usage())

    @property
    def cost(self) -> Decimal:
        return sum((use.cost for use in self.stages.values()), Decimal(0))

    def remaining(self) -> "Ledger":
        """An empty ledger whose budget is what this one has left."""
        calls = None if self.max_calls is None else self.max_calls - self.calls
        cost = None if self.max_cost is None else self.max_cost - self.cost
        return Ledger(calls, cost, _before=(self._before[0] + self.calls, self._before[1] + self.cost))

    def add(self, other: "Ledger") -> None:
        """Take over what another ledger has booked."""
        self.retries += other.retries
        self.rate_limited_seconds += other.rate_limited_seconds
        for model, counts in other.answered_by.items():
            self.answered_by[model].update(counts)
        for name, use in other.stages.items():
            own = self.stages[name]
            own.calls, own.journaled = own.calls + use.calls, own.journaled + use.journaled
            own.unavailable, own.usage = own.unavailable + use.unavailable, own.usage + use.usage
            own.cost += use.cost

    async def admit(self, request: Request, config: LLMConfig) -> Decimal:
        """`reserve` for whoever can wait, as where a budget is shared with others."""
        return self.reserve(request.stage, estimated_tokens(request), request.sampling.max_tokens, config)

    def reserve(self, stage: Stage, tokens: int, max_tokens: int | None, config: LLMConfig) -> Decimal:
        """Set aside what a request may cost; raises BudgetReached when the budget does not hold it.

        `tokens` is the size of its prompt, `max_tokens` what the reply may have.
        """
        if self.max_calls is not None and self.calls + self.in_flight >= self.max_calls:
            given = self.max_calls + self._before[0]
            raise BudgetReached(f"the budget of --max-calls {given} is used up; raise it to go on")
        estimate = Decimal(0)
        if self.max_cost is not None:
            estimate = config.cost(tokens, self._expected_output(stage, max_tokens))
            if self.cost + self._reserved + estimate > self.max_cost:
                given = self.max_cost + self._before[1]
                spent = f"{self.cost + self._before[1]:.4f} spent, and the next call may cost {estimate:.4f}"
                raise BudgetReached(f"the budget of --max-cost {given} is used up ({spent}); raise it to go on")
        self._reserved += estimate
        self.in_flight += 1
        return estimate

    def _expected_output(self, stage: Stage, max_tokens: int | None) -> int:
        use = self.stages[stage]
        if use.calls:
            return use.usage.output_tokens // use.calls
        return max_tokens or 1000

    def settle(self, reserved: Decimal, stage: Stage, completion: Completion | None, config: LLMConfig) -> None:
        """Give back what was set aside for a request, and book what came of it; None where it was given up."""
        self._reserved -= reserved
        self.in_flight -= 1
        if completion is None:
            return
        if completion.failure == "unavailable":
            self.stages[stage].unavailable += 1
            return
        self.stages[stage].calls += 1
        self.wasted(stage, completion.usage, config)
        self._note_model(completion, config.model)

    def found(self, stage: Stage, completion: Completion, model: str) -> None:
        """Book a completion of `model` that the journal had."""
        self.stages[stage].journaled += 1
        self._note_model(completion, model)

    def _note_model(self, completion: Completion, model: str) -> None:
        """Providers swap checkpoints behind a name: what the replies say is counted, and a change is told once."""
        answered_by = completion.answered_by
        if not (answered_by.model or answered_by.fingerprint):
            return
        counts = self.answered_by[model]
        if counts and answered_by not in counts and len(counts) == 1:
            before = next(iter(counts))
            log.warning("%s was answered by %s, and is now by %s: summary.json counts both", model, before, answered_by)
        counts[answered_by] += 1

    def wasted(self, stage: Stage, usage: Usage, config: LLMConfig) -> None:
        """Book tokens that make no call: those of a reply that has to be asked for again."""
        use = self.stages[stage]
        use.usage += usage
        use.cost += config.cost(usage.input_tokens, usage.output_tokens, usage.cached_tokens)


def estimated_tokens(request: Request) -> int:
    """A rough size of a prompt in tokens, for budgets and rates."""
    return sum(text_tokens(message.content) for message in request.messages)


def text_tokens(text: str) -> int:
    """A rough size in tokens: 4 ASCII characters, or 1.5 others, a token."""
    wide = 0 if text.isascii() else (len(text.encode("utf-8", "replace")) - len(text)) // 2
    return (len(text) - wide) // 4 + wide * 2 // 3
