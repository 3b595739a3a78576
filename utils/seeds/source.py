"""Where seeds come from, and which columns of a row hold what."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from utils.errors import DataError
from utils.seeds.conventions import COLUMNS, DELIMITERS

ALL = "all"
NO_JOINING = "none"  # of --input-field
ALL_BUT_TRAIN = "*"  # the split that stands for all but the one for training, if there are more, of all subsets

Row = dict[str, Any]
Getter = Callable[[Row], Any]


@dataclass(frozen=True, slots=True)
class SeedSource:
    """Where seeds come from, as the flags say it; None stands for the default.

    `data_path` is a file, a folder, a glob, any of these in an object store (a URL), or a Hub data set. The columns
    default to those of the conventions, the split to `train`, else the only one. `keep_columns` are passed through.
    """

    data_path: str
    split: str | None = None
    subset: str | None = None
    instruction_field: str | None = None
    response_field: str | None = None
    input_field: str | None = None
    turn: Literal["last", "first", "all"] = "last"
    keep_columns: tuple[str, ...] = ()
    encoding: str | None = None

    @property
    def named(self) -> dict[str, str]:
        """Columns that flags name, by what they hold."""
        fields = {"instruction": self.instruction_field, "response": self.response_field, "input": self.input_field}
        return {what: name for what, name in fields.items() if name and (what, name) != ("input", NO_JOINING)}


class Layout:
    """Which columns hold what, for all rows that have the same names.

    `of` lists, for each kind of COLUMNS, the columns there are, in the order in which they are tried, each with the
    function that takes its value. `rest` are the columns that hold nothing of any kind.
    """

    def __init__(self, source: SeedSource, names: Sequence[str]) -> None:
        there = set(names)
        wanted = COLUMNS | {what: (name,) for what, name in source.named.items()}
        if source.input_field == NO_JOINING:
            wanted["input"] = ()
        self.of: dict[str, list[tuple[str, Getter]]] = {
            what: [(name, get) for name in named if (get := getter(name, there))] for what, named in wanted.items()
        }
        if len(self.of["instruction"]) > 1:  # then a column `input` holds the input to another one
            self.of["instruction"] = [(name, get) for name, get in self.of["instruction"] if name != "input"]
        self.names = {name for held in self.of.values() for name, _ in held}
        roots = {name.partition(".")[0] for name in self.names}
        self.rest = [name for name in names if name not in self.names | roots]


def getter(name: str, names: Container[str]) -> Getter | None:
    """Return a function that takes the value of a column, or of a path into one, from a row; None if there is none."""
    if name in names:
        return lambda row: row[name]
    root, *path = name.split(".")
    if not path or root not in names:
        return None

    def follow(row: Row) -> Any:
        value = row[root]
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
                value = value[int(part)]
            else:
                return None
        return value

    return follow


class Columns:
    """The columns of a source, as its rows show them: which there are, which were used, and what is missing."""

    def __init__(self, source: SeedSource) -> None:
        self._source = source
        self._layouts: dict[tuple[str, ...], Layout] = {}
        self._used: set[str] = set()
        self.names: dict[str, None] = {}

    def layout(self, row: Row) -> Layout:
        """Return the layout for rows that have the names of `row`."""
        names = tuple(row)
        if names not in self._layouts:
            self.names.update(dict.fromkeys(names))
            self._layouts[names] = Layout(self._source, names)
        return self._layouts[names]

    def use(self, name: str) -> None:
        """Mark a column as used: something was taken from it, or would have been."""
        self._used.add(name)

    def needed(self, names: Sequence[str]) -> list[str]:
        """Return the columns of a table that are worth reading, in its order: without embeddings, for example."""
        self.names.update(dict.fromkeys(names))
        kept = self._source.keep_columns
        rest = () if ALL in kept else {*Layout(self._source, names).rest} - {name.partition(".")[0] for name in kept}
        return [name for name in names if name in kept or name not in rest]

    def check(self) -> None:
        """Raise DataError where a column that a flag names was in no row."""
        named = [(f"--{what}-field", name) for what, name in self._source.named.items()]
        kept = [("--keep-columns", name) for name in self._source.keep_columns if name != ALL]
        for flag, name in (*named, *kept):
            if getter(name, self.names) is None:
                raise no_column(self._source.data_path, repr(name), list(self.names), flag)

    def unused(self) -> list[str]:
        """Return the columns that nothing was taken from, in their order."""
        kept = self._source.keep_columns
        used = {part for name in (*self._used, *kept) for part in (name, name.partition(".")[0])}
        return [] if ALL in kept else [name for name in self.names if name not in used]


def no_column(where: str, name: str, columns: Sequence[str], flag: str) -> DataError:
    hint = ""
    if len(columns) == 1 and any(mark in columns[0] for mark in (*DELIMITERS, "^", "~", ":")):
        hint = "; if that is several columns, separate them by commas"
    return DataError(f"{where} has no column {name}; it has {names(columns)}: name one of them with {flag}{hint}")


def plain_names(names: Sequence[str]) -> str:
    """Join names for a log line: printable characters only, names cut to 60 of them, at most 20 names."""
    shown = ["".join(char for char in name if char.isprintable())[:60] for name in names[:20]]
    return ", ".join(shown) + (f", … ({len(names)})" if len(names) > 20 else "")


def names(names: Sequence[str]) -> str:
    """Join names for a message: quoted, so that they stay on its line, cut to 60 characters, at most 20 names."""
    shown = ", ".join(repr(name[:60]) for name in names[:20])
    return f"{shown}, … ({len(names)})" if len(names) > 20 else shown or "none"
