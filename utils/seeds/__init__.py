"""Seed sets: rows of files or of a Hub data set become seed instructions.

    conventions.py  what seed sets look like, as a table: columns, turns, roles, splits, formats
    source.py       where seeds come from, and which columns of a row hold what
    files.py        files, folders, globs and object stores; what runs have written is left out
    encodings.py    bytes become text
    json_rows.py, tables.py  text becomes rows
    hub.py          Hub data sets and folders by split: they too are files
    records.py      the rows of a source, whatever it is
    turns.py        what stands in a column becomes a conversation
    rows.py         a row becomes a seed, or is set aside
    kept.py         columns that are passed through
    seed_set.py     all seeds, on a row store; the split into train and dev
    benchmarks.py   what seeds and rewrites must not repeat, read as seeds are

Whatever is wrong with the data is a DataError of one line that says what to do.
"""

from utils.seeds.benchmarks import benchmark_source, load_items
from utils.seeds.records import iter_records
from utils.seeds.rows import RowReader, digest
from utils.seeds.seed_set import SeedSet, load_seeds, none_usable, split_seeds
from utils.seeds.source import SeedSource

__all__ = [
    "RowReader",
    "SeedSet",
    "SeedSource",
    "benchmark_source",
    "digest",
    "iter_records",
    "load_items",
    "load_seeds",
    "none_usable",
    "split_seeds",
]
