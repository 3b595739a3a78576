"""The columns of a seed set that go through to the result untouched (`--keep-columns`), and what type each has."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


class KeptColumns:
    """Takes in the kept values of all rows, so that in the end each column has one type for all of them.

    Values that no type holds together are written as texts, those that are none as JSON.
    """

    def __init__(self) -> None:
        self._types: dict[str, pa.DataType | None] = {}  # None for texts after all

    def take(self, extras: Iterable[dict[str, Any]]) -> None:
        values: dict[str, list[Any]] = {}
        for extra in extras:
            for name, value in extra.items():
                values.setdefault(name, []).append(value)
        for name, given in values.items():
            self._types[name] = self._common(name, given)

    def _common(self, name: str, values: list[Any]) -> "pa.DataType | None":
        import pyarrow as pa

        former = self._types.get(name, pa.null())
        try:
            found = pa.array(values).type
            fields = [pa.schema([("value", kind)]) for kind in (former, found) if kind is not None]
            common = pa.unify_schemas(fields, promote_options="permissive").field(0).type
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            return None
        return None if former is None or "struct<>" in str(common) else common

    @property
    def columns(self) -> dict[str, Any]:
        """Names and types, as `utils.files.writing.Columns` has them."""
        import pyarrow as pa

        return {name: str if kind is None or pa.types.is_null(kind) else kind for name, kind in self._types.items()}
