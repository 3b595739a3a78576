"""How far a run is, on stderr: one calm bar on a terminal, a plain line now and then elsewhere."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from utils.process.logs import writes_json
from utils.process.stopping import heed_signals

if TYPE_CHECKING:
    from utils.llm.ledger import Ledger

T = TypeVar("T")
log = logging.getLogger("auto-evol")
LINE_EVERY = 10.0  # seconds between progress lines where there is no terminal


class Display:
    """One calm display of how far a run is, phase by phase.

    On a terminal a single bar; elsewhere a line every few seconds and one at the end of each phase.
    """

    def __init__(self, ledger: "Ledger", quiet: bool) -> None:
        self._ledger = ledger
        self._quiet = quiet
        self._phase: _Phase | None = None

    def each(self, title: str, items: Iterable[T], total: int) -> Iterator[T]:
        """Yield `items`, showing how far the computation over all `total` of them has come; a short one shows nothing.

        Raise Interrupted between two items when a signal has come.
        """
        phase = _Phase(title, total, self._ledger, self._quiet, computing=True)
        try:
            for item in items:
                heed_signals()
                yield item
                phase.done(1, 0)
        finally:
            phase.end()

    @contextmanager
    def phase(self, title: str, total: int) -> Iterator[None]:
        """Show a phase of `total` rows, which `done` counts, while the context lasts."""
        self._phase = _Phase(title, total, self._ledger, self._quiet)
        try:
            yield
        finally:
            self._phase.end()
            self._phase = None

    def waits(self, text: str) -> None:
        """Show what is waited for while no row comes to its end."""
        if self._phase:
            self._phase.waits(text)

    def done(self, rows: int, failed: int) -> None:
        """Count `rows` more that have come to their end in this phase, and the `failed` ones among them."""
        if self._phase:
            self._phase.done(rows, failed)


class _Phase:
    """`computing` tells a phase in which no LLM is asked and no row fails."""

    def __init__(self, title: str, total: int, ledger: "Ledger", quiet: bool, computing: bool = False) -> None:
        self._title, self._total, self._ledger, self._quiet = title, total, ledger, quiet
        self._computing, self._told = computing, False
        self._rows = self._failed = 0
        self._shown = self._started = time.monotonic()
        self._before = (ledger.calls, ledger.journaled)
        self._bar = None
        if sys.stderr.isatty() and not quiet and not writes_json():
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=title, unit="row", leave=False, file=sys.stderr)

    def done(self, rows: int, failed: int) -> None:
        self._rows += rows
        self._failed += failed
        if self._bar is not None:
            if not self._computing:
                self._bar.set_postfix_str(self._short(), refresh=False)
            self._bar.update(rows)
        elif not self._quiet and time.monotonic() - self._shown >= LINE_EVERY:
            self._shown = time.monotonic()
            self._tell()

    def waits(self, text: str) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(text)
        elif not self._quiet and time.monotonic() - self._shown >= LINE_EVERY:
            self._shown = time.monotonic()
            log.info("%s: %s", self._title, text)

    def end(self) -> None:
        if self._bar is not None:
            self._bar.close()
        elif not self._quiet and self._rows and (self._told or not self._computing):
            self._tell()

    def _tell(self) -> None:
        self._told = True
        figures = self._figures()
        others = (f"{name} {value}" for name, value in figures.items() if name not in ("stage", "rows", "of"))
        text = f"{self._title}: {self._rows} of {self._total} rows, {', '.join(others)}"
        log.info("%s", text, extra={"figures": figures})

    def _figures(self) -> dict[str, Any]:
        ledger, seconds = self._ledger, time.monotonic() - self._started
        usage = ledger.usage
        return {
            "stage": self._title,
            "rows": self._rows,
            "of": self._total,
            "rows_per_second": round(self._rows / seconds, 1) if seconds else None,
            "failure_rate": round(self._failed / self._rows, 3) if self._rows and not self._computing else None,
            "calls": ledger.calls - self._before[0],
            "journaled": ledger.journaled - self._before[1],
            "tokens": usage.input_tokens + usage.output_tokens,
            "cost": float(ledger.cost),
            "in_flight": ledger.in_flight,
            "retries": ledger.retries,
            "rate_limited_seconds": round(ledger.rate_limited_seconds, 1),
        }

    def _short(self) -> str:
        """Say what fits behind a bar: failure rate so far, tokens, cost, requests in flight, and what goes wrong."""
        ledger, usage = self._ledger, self._ledger.usage
        parts = [
            f"λ {self._failed / self._rows:.0%}" if self._rows else "",
            f"{(usage.input_tokens + usage.output_tokens) / 1000:,.0f}k tokens",
            f"cost {ledger.cost:.2f}" if ledger.cost else "",
            f"{ledger.in_flight} in flight",
            f"{ledger.retries} retries" if ledger.retries else "",
            f"{ledger.rate_limited_seconds:.0f} s rate-limited" if ledger.rate_limited_seconds else "",
        ]
        return ", ".join(filter(None, parts))
