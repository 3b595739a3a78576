"""Benchmarks, which seeds and rewrites must not repeat. They are read as seeds are; every user's turn is an item."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from utils.errors import DataError
from utils.schema import SeedInstruction
from utils.seeds.rows import RowReader
from utils.seeds.seed_set import seeds_of
from utils.seeds.source import ALL_BUT_TRAIN, NO_JOINING, SeedSource
from utils.urls import is_url

FLAG = "--decontaminate"
# What the errors of seed sets advise, and what is to be said instead: their flags are not about benchmarks.
IN_OTHER_WORDS = (
    (r"add --encoding \S+, or |, or name its encoding with .*", ""),
    (r"name one of them with --split", "put the list of its items into a file of its own"),
    (r"--instruction-field", f"{FLAG} NAME:COLUMN"),
    (r"--data-path", FLAG),
)


def benchmark_source(name: str) -> SeedSource:
    """Return the source that `FILE|HUB[:COLUMN]` means: all subsets, and all splits but that for training.

    The split for training is taken where there is no other. A path that exists wins over a column. Of an address the
    column follows the last slash, and there is none behind options (`?`). Without a column the conventions of seed
    sets hold, inputs included.
    """
    path, _, column = name.rpartition(":")
    is_whole = not path or "/" in column or (is_url(name) and "?" in name) or Path(os.path.expanduser(name)).exists()
    if is_whole or not column:
        return SeedSource(name if is_whole else path, split=ALL_BUT_TRAIN, turn="all")
    return SeedSource(path, split=ALL_BUT_TRAIN, turn="all", instruction_field=column, input_field=NO_JOINING)


def load_items(name: str) -> Iterator[str]:
    """Yield the items of a benchmark, given as `FILE|HUB[:COLUMN]`; rows that could be no seeds are left out.

    Raises DataError if it cannot be read, lacks the column or holds no item at all.
    """
    source, found = benchmark_source(name), False
    try:
        for row in seeds_of(source, RowReader(source)):
            if isinstance(row, SeedInstruction):
                found = True
                yield row.text
    except DataError as exc:
        raise DataError(f"{FLAG}: {in_other_words(str(exc))}") from exc
    if not found:
        raise DataError(f"{FLAG}: no row of {source.data_path} holds an item: name its column, {FLAG} NAME:COLUMN")


def in_other_words(message: str) -> str:
    """Return the message of an error about a seed set as one about a benchmark."""
    for said, instead in IN_OTHER_WORDS:
        message = re.sub(said, instead, message)
    return message
