"""Lines of files that may be hostile: a line of a gigabyte packs into a megabyte."""

from collections.abc import Iterator
from typing import IO, AnyStr

from utils.errors import DataError

LONGEST = 1 << 26  # characters, or bytes, of one line: far beyond any text, and read in a second


def lines_of(file: IO[AnyStr], name: str) -> Iterator[AnyStr]:
    """Yield the lines of an open file, called `name` in messages. Raises DataError for a line that is too long."""
    number = 1
    while line := file.readline(LONGEST + 1):
        if len(line) > LONGEST:
            raise too_long(f"line {number} of {name}")
        yield line
        number += 1


def too_long(what: str) -> DataError:
    """Return the error for a part of a file, described by `what`, that is longer than `LONGEST`."""
    return DataError(f"{what} is longer than {LONGEST >> 20} million characters: take it out, or write shorter rows")
