"""The standard streams as the command finds and leaves them: closed, full, narrow, or with nobody who reads."""

import os
import sys
from io import TextIOWrapper

from utils.errors import DataError
from utils.redaction import printable


def complete_streams() -> None:
    """Open the null device as each standard stream that is closed (`2>&-`), so that no file takes its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: SIM115


def say(text: str) -> None:
    """Print a text to stdout, escaping what its encoding lacks. A reader that has had enough (`| head`) is no error.

    Raises DataError where writing fails otherwise, as on a full disk.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print(printable(text), flush=True)
    except OSError as exc:
        _silence(sys.stdout.fileno())
        if not isinstance(exc, BrokenPipeError):
            raise DataError(
                f"cannot write to stdout: {exc.strerror}; send it elsewhere, the files of the run are written"
            ) from exc


def flush_streams() -> None:
    """Flush stdout and stderr, and discard what cannot be written.

    It would fail once more, and change the exit code, when Python flushes at its end.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _silence(stream.fileno())


def _silence(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
