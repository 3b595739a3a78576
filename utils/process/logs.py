"""Logs: lines on stderr and in `run.log`, as text or as JSON; whatever they hold is made safe to show."""

import json
import logging
import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from utils.errors import DataError
from utils.redaction import masked, one_line, printable_json

log = logging.getLogger("auto-evol")


class _ThroughBar(logging.StreamHandler[TextIO]):
    """Writes log lines above a progress bar, not through it."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        with tqdm.external_write_mode(file=sys.stderr):
            super().emit(record)


def set_up_logging(level: str, as_json: bool = False) -> None:
    """Show our own log lines on stderr from `level` up, as text or JSON; those of libraries from warnings up."""
    handler = _ThroughBar(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else TextLines("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    handler.setLevel(level.upper())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)  # warnings of Python modules become log lines
    logging.raiseExceptions = False  # a line that a full disk does not take is no reason for a traceback
    # run.log holds everything, so the loggers let it through; what is shown is the handler's choice.
    for name in ("auto-evol", "utils", "analyzer", "optimizer", "generator", "evolver"):
        logging.getLogger(name).setLevel(logging.DEBUG)


def log_to_file(path: Path) -> logging.Handler:
    """Write all log lines to a file too; return the handler, to be removed when the run folder closes.

    Raises DataError where the file cannot be opened.
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
        return open(  # type: ignore[return-value]
            self.baseFilename, self.mode, encoding=self.encoding, opener=_no_link
        )


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
    """Print why the command ends as the last line of stderr: `error: …`, or a JSON object where log lines are JSON."""
    if writes_json():
        line = JsonLines().format(logging.LogRecord("auto-evol", logging.ERROR, "", 0, message, None, None))
    else:
        line = f"error: {one_line(message)}"
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def writes_json() -> bool:
    """Tell whether log lines on stderr are JSON, as `set_up_logging` was told."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logging.getLogger().handlers)
