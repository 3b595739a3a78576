"""Accounting: what a run has used, by kind of call, and what it may use.

The budget is a cap: a request is admitted when it is sent, not before, and what is in flight counts with the largest
reply of its kind so far, or with `max_tokens`.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from utils.errors import BudgetReached
from utils.llm_config import LLMConfig
from utils.schema import AnsweredBy, CallKind, Completion, Request, Usage

log = logging.getLogger(__name__)


FEW = 2  # without max_tokens, a kind may have this many more requests in flight than it has had replies
FIRST_GUESS = 1_000  # tokens of a reply, as long as no reply of the kind has come
ENOUGH = 10  # replies of a kind after which its longest one, not max_tokens, is the estimate for the next


@dataclass(slots=True)
class CallUse:
    """What one kind of call has used: calls paid now, calls served from the journal, tokens, cost."""

    calls: int = 0
    journaled: int = 0
    unavailable: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: Decimal = Decimal(0)
    in_vain: int = 0  # replies of no use, which were paid for all the same
    in_flight: int = 0
    prompts_in_flight: Decimal = Decimal(0)  # what the prompts of these will cost
    largest: int = 0  # tokens of the longest reply
    estimated: int = 0  # tokens of the prompts of all replies, as they were estimated

    def prompt_tokens(self, estimated: int) -> int:
        """Correct the estimated tokens of a prompt by how the estimates of earlier prompts came out."""
        return estimated * self.usage.input_tokens // self.estimated if self.estimated else estimated

    def at_stake(self, more: int, max_tokens: int | None, config: LLMConfig, by_the_limit: bool) -> Decimal:
        """Return the cost of the prompts in flight, and of the replies to them and to `more` further requests.

        A reply is taken to have `max_tokens`, or those of the longest so far: without a limit, and unless all is
        reckoned `by_the_limit`, after ENOUGH replies.
        """
        is_known = self.calls >= ENOUGH and not by_the_limit
        longest = self.largest if is_known or not max_tokens else max_tokens
        return self.prompts_in_flight + (self.in_flight + more) * config.cost(0, longest or FIRST_GUESS)


@dataclass(slots=True)
class Ledger:
    """What the run has used, per kind, and what it may use."""

    max_calls: int | None = None
    max_cost: Decimal | None = None
    kinds: defaultdict[str, CallUse] = field(default_factory=lambda: defaultdict(CallUse))
    answered_by: defaultdict[str, Counter[AnsweredBy]] = field(default_factory=lambda: defaultdict(Counter))
    """By the model that was asked for: which ones answered, and how often, the journal included."""
    by_the_limit: bool = False
    """Is a reply taken to have `max_tokens`, however short all others were? So many are in flight in a batch."""
    retries: int = 0
    rate_limited_seconds: float = 0.0
    in_flight: int = 0
    _at_stake: dict[str, Decimal] = field(default_factory=dict)  # by kind, what the requests in flight may cost
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)
    _before: tuple[int, Decimal] = (0, Decimal(0))  # calls and cost that ledgers before this one took of the budget

    @property
    def calls(self) -> int:
        return sum(use.calls for use in self.kinds.values())

    @property
    def journaled(self) -> int:
        return sum(use.journaled for use in self.kinds.values())

    @property
    def usage(self) -> Usage:
        return sum((use.usage for use in self.kinds.values()), Usage())

    @property
    def cost(self) -> Decimal:
        return sum((use.cost for use in self.kinds.values()), Decimal(0))

    def remaining(self) -> "Ledger":
        """Return an empty ledger whose budget is what this one has left."""
        calls = None if self.max_calls is None else self.max_calls - self.paid
        cost = None if self.max_cost is None else self.max_cost - self.cost
        return Ledger(
            calls,
            cost,
            by_the_limit=self.by_the_limit,
            _before=(self._before[0] + self.paid, self._before[1] + self.cost),
        )

    def add(self, other: "Ledger") -> None:
        """Add what another ledger has booked to this one."""
        self.retries += other.retries
        self.rate_limited_seconds += other.rate_limited_seconds
        for model, counts in other.answered_by.items():
            self.answered_by[model].update(counts)
        for name, use in other.kinds.items():
            own = self.kinds[name]
            own.calls, own.journaled = own.calls + use.calls, own.journaled + use.journaled
            own.in_vain, own.largest = own.in_vain + use.in_vain, max(own.largest, use.largest)
            own.unavailable, own.usage = own.unavailable + use.unavailable, own.usage + use.usage
            own.cost += use.cost

    async def admit(self, request: Request, config: LLMConfig) -> Decimal:
        """Set aside what a request may cost, once the budget has room for it; return the cost of its prompt.

        Raises BudgetReached where there will be no room.
        """
        limits = (request.kind, estimated_tokens(request), request.sampling.max_tokens)
        while (reserved := self.reserve(*limits, config)) is None:
            self._waiting.append(asyncio.get_running_loop().create_future())
            await self._waiting[-1]
        return reserved

    def reserve(self, kind: CallKind, tokens: int, max_tokens: int | None, config: LLMConfig) -> Decimal | None:
        """Set aside what a request may cost, and return the cost of its prompt; None where it has to wait for others.

        `tokens` is the prompt's estimated size, `max_tokens` the reply's limit; `settle` takes back what is returned.
        Raises BudgetReached when the budget is too small and nothing is in flight that may turn out to be cheaper.
        """
        use, prompt = self.kinds[kind], Decimal(0)
        if self.max_calls is not None and self.paid + self.in_flight >= self.max_calls:
            if self.in_flight:
                return None
            raise BudgetReached(self._used_up("--max-calls", self.max_calls + self._before[0]))
        if self.max_cost is not None:
            if max_tokens is None and use.in_flight >= FEW + use.calls:
                return None
            prompt = config.cost(use.prompt_tokens(tokens), 0)
            with_this = prompt + use.at_stake(1, max_tokens, config, self.by_the_limit)
            others = sum(cost for name, cost in self._at_stake.items() if name != kind)
            if self.cost + others + with_this > self.max_cost:
                if self.in_flight:
                    return None
                used_up = self._used_up("--max-cost", self.max_cost + self._before[1])
                raise BudgetReached(f"{used_up} (the next call may cost {with_this:.4f})")
            self._at_stake[kind] = with_this
        use.prompts_in_flight += prompt
        self.in_flight += 1
        use.in_flight += 1
        return prompt

    def committed(self, kind: CallKind) -> Decimal:
        """Count a request as in flight that an earlier run has sent, whatever the budget; `settle` takes the result."""
        self.in_flight += 1
        self.kinds[kind].in_flight += 1
        return Decimal(0)

    def _used_up(self, flag: str, given: int | Decimal) -> str:
        calls, cost = self.paid + self._before[0], self.cost + self._before[1]
        return f"the budget of {flag} {given} is used up: {calls} calls made, {cost:.4f} spent; raise it to go on"

    @property
    def paid(self) -> int:
        """Replies that were paid for, those of no use included."""
        return sum(use.calls + use.in_vain for use in self.kinds.values())

    def settle(self, prompt: Decimal, request: Request, completion: Completion | None, config: LLMConfig) -> None:
        """Give back what was set aside for a request, and book its completion; None books nothing.

        `prompt` is what `admit` or `reserve` returned.
        """
        use = self.kinds[request.kind]
        self.in_flight -= 1
        use.in_flight -= 1
        use.prompts_in_flight -= prompt
        if completion is not None:
            use.calls += 1
            self._book(request, completion.usage, config)
            self._note_model(completion, config.model)
        if self.max_cost is not None:
            limit = request.sampling.max_tokens
            self._at_stake[request.kind] = use.at_stake(0, limit, config, self.by_the_limit)
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def wasted(self, request: Request, usage: Usage, config: LLMConfig) -> None:
        """Book a reply of no use to a request, which has to be asked for again."""
        self.kinds[request.kind].in_vain += 1
        self._book(request, usage, config)

    def gave_up(self, kind: CallKind) -> None:
        """Book a request that no answer came for."""
        self.kinds[kind].unavailable += 1

    def _book(self, request: Request, usage: Usage, config: LLMConfig) -> None:
        use = self.kinds[request.kind]
        use.usage += usage
        use.estimated += estimated_tokens(request) if usage.input_tokens else 0
        use.largest = max(use.largest, usage.output_tokens)
        use.cost += config.cost(usage.input_tokens, usage.output_tokens, usage.cached_tokens)

    def found(self, kind: CallKind, completion: Completion, model: str) -> None:
        """Book a completion of `model` that the journal had."""
        self.kinds[kind].journaled += 1
        self._note_model(completion, model)

    def _note_model(self, completion: Completion, model: str) -> None:
        """Count the model that a reply names; warn of the first change, as providers swap checkpoints behind a name."""
        answered_by = completion.answered_by
        if not (answered_by.model or answered_by.fingerprint):
            return
        counts = self.answered_by[model]
        if counts and answered_by not in counts and len(counts) == 1:
            before = next(iter(counts))
            log.warning("%s was answered by %s, and is now by %s: summary.json counts both", model, before, answered_by)
        counts[answered_by] += 1


def estimated_tokens(request: Request) -> int:
    """Estimate the tokens of a request's prompt, for budgets and rates."""
    return sum(text_tokens(message.content) for message in request.messages)


def text_tokens(text: str) -> int:
    """Estimate the tokens of a text: one for 4 ASCII characters, or for 1.5 others of 3 bytes in UTF-8 (as Hangul)."""
    wide = 0 if text.isascii() else (len(text.encode("utf-8", "replace")) - len(text)) // 2
    return (len(text) - wide) // 4 + wide * 2 // 3
