"""What every part of a run is given: the LLMs, the configuration, the account, the display."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field

from utils.config import RunConfig
from utils.errors import BudgetReached
from utils.llm import JournaledLLM, Recorder, close_llms, open_llms
from utils.llm.batch import Rounds, open_rounds
from utils.llm.ledger import Ledger
from utils.run.display import Display


@dataclass(frozen=True, slots=True)
class RunContext:
    """The evol LLM, the optimizer LLM and the weak LLM (or None), opened, with what they were opened for."""

    evol: JournaledLLM
    optim: JournaledLLM
    weak: JournaledLLM | None
    config: RunConfig
    ledger: Ledger
    display: Display
    rounds: Rounds | None = None
    started: float = field(default_factory=time.monotonic)

    @staticmethod
    def of(config: RunConfig, journal: Recorder, ledger: Ledger, quiet: bool) -> "RunContext":
        """Open the LLMs of `config`; the caller drains or closes them in the end."""
        display = Display(ledger, quiet)
        rounds = open_rounds(config, ledger, display.waits)
        return RunContext(*open_llms(config, journal, ledger, rounds), config, ledger, display, rounds)

    @property
    def llms(self) -> tuple[JournaledLLM, ...]:
        return (self.evol, self.optim, *([self.weak] if self.weak else []))

    @contextmanager
    def final_run(self, rows: int) -> Iterator[None]:
        """Show the final run over `rows` rows while the context lasts; its requests go into batches if any do."""
        with self.display.phase("evolving", rows), self.rounds.gathering() if self.rounds else nullcontext():
            yield

    async def drain(self) -> None:
        """Wait for the calls under way; none is begun any more."""
        await asyncio.gather(*(llm.drain() for llm in self.llms))


@asynccontextmanager
async def open_context(config: RunConfig, journal: Recorder, ledger: Ledger) -> AsyncIterator[RunContext]:
    """Open the LLMs of a run, and close them in the end; where the budget ends it, calls under way come home first."""
    ctx = RunContext.of(config, journal, ledger, config.quiet)
    try:
        yield ctx
    except BudgetReached:
        await ctx.drain()
        raise
    finally:
        await close_llms(*ctx.llms)
