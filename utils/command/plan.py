"""`--plan`: what a run will ask for and cost, without a single call to an LLM.

Calls are counted from the algorithm (plan_calls.py). Input tokens are estimated from the real texts and prompts, output
tokens from the journal's own history of the kind where there is one, else from `max_tokens` or a rule of thumb.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from utils.command.plan_batches import said_of_rounds
from utils.command.plan_calls import (
    ASSUMED_OUTPUT,
    WEAK,
    PerCall,
    PlannedCalls,
    Planner,
    explored_size,
    llm_of,
    seed_size,
)
from utils.config import RunConfig
from utils.llm.journal import CallHistory, journal_history
from utils.run.run_folder import JOURNAL
from utils.schema import Method, SeedInstruction

__all__ = ["PerCall", "cost_of", "plan_of", "plan_text", "seconds_of"]

TOKENS_PER_SECOND = 40  # of one reply, for the time
FIRST_TOKEN_SECONDS = 1.0


def cost_of(line: PlannedCalls, calls: int, config: RunConfig) -> Decimal:
    llm = llm_of(line.title, line.kind, config)
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
    said = _assumptions(config, history, times) + said_of_rounds(
        line.rounds for line in lines if WEAK not in line.title
    )
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
    if any(llm.price_in is None for llm in config.llm_configs):
        lines.append("cost: give price_in and price_out (per million tokens) in all llm-configs to see it")
    return lines
