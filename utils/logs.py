"""Logs and progress, both on stderr: one calm bar on a terminal, a plain line now and then elsewhere."""

import logging
import sys
import time
from pathlib import Path
from typing import Any, Self

from tqdm import tqdm

from utils.errors import DataError
from utils.ledger import Ledger

LINE_EVERY = 10.0  # seconds between progress lines where there is no terminal

log = logging.getLogger("auto-evol")


class _ThroughBar(logging.StreamHandler):
    """Writes log lines above a progress bar, not through it."""

    def emit(self, record: logging.LogRecord) -> None:
        with tqdm.external_write_mode(file=sys.stderr):
            super().emit(record)


def set_up_logging(level: str) -> None:
    """Our own log lines from `level` on stderr; libraries speak from warning on."""
    handler = _ThroughBar(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    handler.setLevel(level.upper())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.raiseExceptions = False  # a line that a full disk does not take is no reason for a traceback
    # run.log holds everything, so the loggers let it through; what is shown is the handler's choice.
    for name in ("auto-evol", "utils", "analyzer", "optimizer", "generator", "evolver"):
        logging.getLogger(name).setLevel(logging.DEBUG)


def log_to_file(path: Path) -> logging.Handler:
    """Add `run.log`; remove the handler when the run folder closes.

    Raises DataError where it cannot be written.
    """
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as exc:
        raise DataError(
            f"cannot write {path}: {exc.strerror}; check permissions, or choose another --save-path"
        ) from exc
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger().addHandler(handler)
    return handler


class Progress:
    """How far a stage is: rows, failures, calls. `done` after each group of rows."""

    def __init__(self, title: str, total: int, ledger: Ledger, quiet: bool) -> None:
        self._title, self._total, self._ledger = title, total, ledger
        self._rows = self._failed = 0
        self._shown = self._started = time.monotonic()
        self._quiet = quiet
        terminal = sys.stderr.isatty() and not quiet
        self._bar = tqdm(total=total, desc=title, unit="row", leave=False, file=sys.stderr) if terminal else None

    def done(self, rows: int, failed: int) -> None:
        self._rows += rows
        self._failed += failed
        if self._bar is not None:
            self._bar.set_postfix(self._figures(), refresh=False)
            self._bar.update(rows)
        elif not self._quiet and time.monotonic() - self._shown >= LINE_EVERY:
            self._shown = time.monotonic()
            rate = self._rows / (self._shown - self._started)
            figures = ", ".join(f"{name} {value}" for name, value in self._figures().items())
            log.info("%s: %d of %d rows, %.1f rows/s, %s", self._title, self._rows, self._total, rate, figures)

    def _figures(self) -> dict[str, Any]:
        return {
            "failed": self._failed,
            "calls": self._ledger.calls,
            "journaled": self._ledger.journaled,
            "retries": self._ledger.retries,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
