"""Where seeds come from, and which columns hold what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from utils.errors import DataError

INSTRUCTION_COLUMNS = ("instruction", "messages", "conversations")


@dataclass(frozen=True, slots=True)
class SeedSource:
    """Where seeds come from, as the flags say it; None stands for the default.

    `data_path` is a file, a folder, a glob, any of these in an object store (a URL), or a Hub data set. The columns
    default to `instruction` (else `messages` or `conversations`), `response` and `input`; the split to `train`, else
    the only one.
    """

    data_path: str
    split: str | None = None
    subset: str | None = None
    instruction_field: str | None = None
    response_field: str | None = None
    input_field: str | None = None


def instruction_column(source: SeedSource, columns: Iterable[str]) -> str:
    """The column that holds the instruction; DataError if it, or another that a flag names, is missing."""
    columns = list(columns)
    named = {
        "--instruction-field": source.instruction_field,
        "--response-field": source.response_field,
        "--input-field": source.input_field,
    }
    for flag, name in named.items():
        if name is not None and name not in columns:
            raise _no_column(source, repr(name), columns, flag)
    column = source.instruction_field or next((name for name in INSTRUCTION_COLUMNS if name in columns), None)
    if column is None:
        raise _no_column(source, "'instruction' (nor 'messages' or 'conversations')", columns, "--instruction-field")
    return column


def _no_column(source: SeedSource, name: str, columns: Sequence[str], flag: str) -> DataError:
    return DataError(f"{source.data_path} has no column {name}; it has {names(columns)}: name one of them with {flag}")


def needed(source: SeedSource, columns: Sequence[str]) -> list[str]:
    """The columns worth reading, in their order; embeddings and pictures beside them are not."""
    column = instruction_column(source, columns)
    wanted = {column, source.response_field or "response", source.input_field or "input"}
    return [name for name in columns if name in wanted]


def names(names: Sequence[str]) -> str:
    """Names for a message: quoted, so that they stay on its line, and not too many."""
    shown = ", ".join(repr(name[:60]) for name in names[:20])
    return f"{shown}, … ({len(names)})" if len(names) > 20 else shown or "none"
