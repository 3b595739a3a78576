"""Seed sets: rows of files or of a Hub data set become seed instructions.

    source.py      where seeds come from, and which columns hold what
    files.py       files, globs and object stores
    hub.py         Hub data sets and folders
    rows.py        a row becomes a seed, or is set aside
    seed_set.py    all of them, on a spool; the split into train and dev

Whatever is wrong with the data is a DataError of one line that says what to do.
"""

from utils.dataset.rows import SetAside, digest, read_row
from utils.dataset.seed_set import (
    SeedSet,
    column_of,
    iter_records,
    load_seeds,
    none_usable,
    pieces_of,
    split_seeds,
)
from utils.dataset.source import SeedSource

__all__ = [
    "SeedSet",
    "SeedSource",
    "SetAside",
    "column_of",
    "digest",
    "iter_records",
    "load_seeds",
    "none_usable",
    "pieces_of",
    "read_row",
    "split_seeds",
]
