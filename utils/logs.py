"""Logs and progress, both on stderr: one calm bar on a terminal, a plain line now and then elsewhere."""

import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from utils.errors import DataError
from utils.shown import masked, one_line, printable_json
from utils.stopping import heed_signals

if TYPE_CHECKING:
    from utils.ledger import Ledger

T = TypeVar("T")
LINE_EVERY = 10.0  # seconds between progress lines where there is no terminal

log = logging.getLogger("auto-evol")


class _ThroughBar(logging.StreamHandler):
    """Writes log lines above a progress bar, not through it."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        with tqdm.external_write_mode(file=sys.stderr):
            super().emit(record)


def set_up_logging(level: str, as_json: bool = False) -> None:
    """Our own log lines from `level` on stderr, as text or as JSON; libraries speak from warning on."""
    handler = _ThroughBar(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else TextLines("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    handler.setLevel(level.upper())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)  # what Python modules warn of is a line like others
    logging.raiseExceptions = False  # a line that a full disk does not take is no reason for a traceback
    # run.log holds everything, so the loggers let it through; what is shown is the handler's choice.
    for name in ("auto-evol", "utils", "analyzer", "optimizer", "generator", "evolver"):
        logging.getLogger(name).setLevel(logging.DEBUG)


def log_to_file(path: Path) -> logging.Handler:
    """Add `run.log`; remove the handler when the run folder closes.

    Raises DataError where it cannot be written.
    """
    try:
        handler = _RunLog(path, encoding="utf-8")
    except OSError as exc:
        raise DataError(
            f"cannot write {path}: {exc.strerror}; check permissions, or choose another --save-path"
        ) from exc
    handler.setFormatter(TextLines("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger().addHandler(handler)
    return handler


class _RunLog(logging.FileHandler):
    """A log file that is a file: a link in its place is not followed, a pipe not waited for."""

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, self.mode, encoding=self.encoding, opener=_no_link)


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


class TextLines(logging.Formatter):
    """A line per record, whatever its message holds."""

    def format(self, record: logging.LogRecord) -> str:
        return one_line(super().format(record))


class JsonLines(logging.Formatter):
    """A JSON object per line, for CI systems: a log line's message, or the figures of a stage that has ended."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"), "level": record.levelname.lower()}
        figures = getattr(record, "figures", None)
        said = figures or {"message": masked(record.getMessage())}
        if record.exc_info:
            said = {**said, "exception": self.formatException(record.exc_info)}
        return printable_json(json.dumps(line | said, ensure_ascii=False))


def complain(message: str) -> None:
    """Say why the command ends, as the last line of stderr: `error: …`, or a JSON object where lines are JSON."""
    if writes_json():
        line = JsonLines().format(logging.LogRecord("auto-evol", logging.ERROR, "", 0, message, None, None))
    else:
        line = f"error: {one_line(message)}"
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def writes_json() -> bool:
    """Whether `set_up_logging` was told that lines on stderr are JSON."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logging.getLogger().handlers)


class Display:
    """One calm display of how far a run is, stage by stage.

    On a terminal a single bar; elsewhere a line every few seconds and one at the end of each stage.
    """

    def __init__(self, ledger: "Ledger", quiet: bool) -> None:
        self._ledger = ledger
        self._quiet = quiet
        self._stage: _Stage | None = None

    def each(self, title: str, items: Iterable[T], total: int) -> Iterator[T]:
        """`items`, with how far a computation has come that goes through all `total` of them; short ones say nothing.

        Raises Interrupted between two items when a signal has come.
        """
        stage = _Stage(title, total, self._ledger, self._quiet, computing=True)
        try:
            for item in items:
                heed_signals()
                yield item
                stage.done(1, 0)
        finally:
            stage.end()

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[None]:
        """A stage of `total` rows; `done` counts them."""
        self._stage = _Stage(title, total, self._ledger, self._quiet)
        try:
            yield
        finally:
            self._stage.end()
            self._stage = None

    def done(self, rows: int, failed: int) -> None:
        """So many more rows have come to their end in this stage, of which so many failed."""
        if self._stage:
            self._stage.done(rows, failed)


class _Stage:
    """`computing` tells a stage in which no LLM is asked and no row fails."""

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
        """What fits behind a bar: failure rate so far, tokens, cost, requests in flight, and what goes wrong."""
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
