"""What a run has left in its folder, as the report needs it: checked once, at the edge."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from utils.errors import DataError
from utils.outputs.report.rows import OUTCOMES
from utils.rows.summary import Summary
from utils.text.measures.model import RunMeasures
from utils.text.measures.tags import TagComparison

T = TypeVar("T", bound=BaseModel)


class MeasuredMethod(BaseModel):
    """One line of `methods.jsonl`."""

    model_config = ConfigDict(frozen=True)

    method_id: str
    parent_id: str | None
    step: int
    draw: int
    origin: str
    text: str
    feedback: str
    judged: int
    failed: int
    unscored: int
    failure_rate: float | None
    interval: tuple[float, float]
    failures: dict[str, int]
    complexity_score: float | None
    selected: bool

    @property
    def rows(self) -> int:
        return self.judged + self.unscored


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The small files of a run folder."""

    summary: Summary
    flags: dict[str, Any]
    methods: tuple[MeasuredMethod, ...]
    best_method: str | None
    measures: RunMeasures | None
    tags: TagComparison | None = None

    @property
    def used(self) -> frozenset[str]:
        """The methods that the final run drew from."""
        return frozenset(self.summary.used_methods)

    @property
    def by_id(self) -> dict[str, MeasuredMethod]:
        """Measured methods; of several with one text, the first."""
        return {method.method_id: method for method in reversed(self.methods)}

    @property
    def winners(self) -> list[MeasuredMethod]:
        """The candidates that became the best method, the initial one first, without those of unknown failure rate."""
        return [method for method in self.methods if method.selected and method.failure_rate is not None]

    @property
    def outcomes(self) -> dict[str, int]:
        """The number of rows by outcome."""
        lost, aside = sum(self.summary.eliminated.values()), sum(self.summary.set_aside.values())
        counts = (self.summary.evolved, self.summary.held_out, lost, aside, self.summary.unavailable)
        return dict(zip(OUTCOMES, counts, strict=True))

    @property
    def lost(self) -> Counter[str]:
        """The number of rows that are not in the result, by reason."""
        summary = self.summary
        lost = Counter(summary.eliminated) + Counter(summary.set_aside)
        return lost + Counter(unavailable=summary.unavailable)


def read_run(folder: Path) -> RunFiles:
    """Read the small files of a run folder.

    Raises DataError where summary or configuration is missing, a file cannot be read, or it is not what a run writes.
    """
    methods = _optional(folder / "methods.jsonl") or ""
    measures = _optional(folder / "measures.json")
    tags = _optional(folder / "tags.json")
    return RunFiles(
        summary=_parsed(Summary, folder / "summary.json", _required(folder / "summary.json")),
        flags=_flags(folder / "config.json"),
        methods=tuple(_parsed(MeasuredMethod, folder / "methods.jsonl", line) for line in methods.split("\n") if line),
        best_method=_optional(folder / "best_method.txt"),
        measures=None if measures is None else _parsed(RunMeasures, folder / "measures.json", measures),
        tags=None if tags is None else _parsed(TagComparison, folder / "tags.json", tags),
    )


def _flags(path: Path) -> dict[str, Any]:
    try:
        return TypeAdapter(dict[str, Any]).validate_python(json.loads(_required(path))["flags"])
    except (LookupError, TypeError, ValueError) as exc:
        raise _torn(path, exc) from exc


def _parsed(model: type[T], path: Path, text: str) -> T:
    try:
        return model.model_validate_json(text)
    except ValidationError as exc:
        raise _torn(path, exc) from exc


def _torn(path: Path, exc: Exception) -> DataError:
    return DataError(f"{path} is not what a run writes ({type(exc).__name__}); run again to restore it")


def _required(path: Path) -> str:
    text = _optional(path)
    if text is None:
        raise DataError(f"{path} is missing: a report needs the folder of a run that has come to its end")
    return text


def _optional(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise DataError(f"cannot read {path} ({exc}); run again to restore it") from exc
