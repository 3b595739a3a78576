"""Feedback, findings and comparisons: replies that answer case by case."""

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError

from utils.replies.objects import json_objects
from utils.schema import LABELS, FailedCase, Finding

Item = TypeVar("Item", bound=BaseModel)


def _case_number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a truth value is no case id")
    found = re.fullmatch(r"[^\d]{0,20}+(\d{1,6}+)[^\d]{0,5}+", value) if isinstance(value, str) else None
    return int(found[1]) if found else value


def _labels(value: Any) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    named = {str(word).strip(" \t\n.*`'\"").casefold() for word in words}
    if named == {"ok"}:
        return ()
    if not named or not named.issubset(LABELS):
        raise ValueError("not a set of known labels")
    return tuple(label for label in LABELS if label in named)


def _lowered(value: Any) -> Any:
    return value.strip(" \t\n.*`'\"").casefold() if isinstance(value, str) else value


def clean(value: Any) -> str:
    """A text without lone surrogates, which JSON can spell but no file can hold; "" for anything else."""
    return value.strip().encode("utf-8", "replace").decode() if isinstance(value, str) else ""


_Text = Annotated[str, BeforeValidator(clean)]


class Case(BaseModel):
    case_id: Annotated[int, BeforeValidator(_case_number)]


class _FailedCase(Case):
    reason: _Text = ""


class _JudgedCase(Case):
    labels: Annotated[tuple[str, ...], BeforeValidator(_labels)]
    note: _Text = ""


class _ComparedCase(Case):
    better: Annotated[Literal["first", "second", "tie"], BeforeValidator(_lowered)]


class _EqualCase(Case):
    equal: bool


def read_feedback(reply: str) -> tuple[tuple[FailedCase, ...], str]:
    """The failed cases and the feedback of an Analyzer's reply; one that is not JSON is feedback as it stands."""
    found = [value for value in json_objects(reply) if "feedback" in value or "failed_cases" in value]
    if not found:
        return (), reply.strip()
    listed, text = found[-1].get("failed_cases"), found[-1].get("feedback")
    items = [validated(_FailedCase, item) for item in listed] if isinstance(listed, list) else []
    cases = tuple(FailedCase(item.case_id, item.reason) for item in items if item)
    if isinstance(text, list):
        text = "\n".join(line for line in text if isinstance(line, str))
    return cases, clean(text if isinstance(text, str) else reply)


def read_findings(reply: str, count: int) -> dict[int, Finding]:
    """A judge's finding by case id, for each case 1..count that can be read; the others count as not judged."""
    return {case: Finding(item.labels, item.note) for case, item in read_cases(reply, count, _JudgedCase).items()}


def read_comparison(reply: str, count: int) -> dict[int, Literal["first", "second", "tie"]]:
    """Which rewrite a judge prefers, by case id, for each case 1..count that can be read."""
    return {case: item.better for case, item in read_cases(reply, count, _ComparedCase).items()}


def read_equality(reply: str, count: int) -> dict[int, bool]:
    """Whether a judge finds two instructions equal, by case id, for each case 1..count that can be read."""
    return {case: item.equal for case, item in read_cases(reply, count, _EqualCase).items()}


def read_cases(reply: str, count: int, model: type[Item]) -> dict[int, Item]:
    """Entries by case id; where one id has several, all must be readable and agree (notes apart)."""
    items: dict[int, Item | None] = {}
    for raw in _case_objects(reply):
        numbered = validated(Case, raw)
        if numbered and 1 <= numbered.case_id <= count:
            item = validated(model, raw)
            known = items.setdefault(numbered.case_id, item)
            items[numbered.case_id] = known if _agree(known, item) else None
    return {case: item for case, item in sorted(items.items()) if item}


def _agree(one: BaseModel | None, other: BaseModel | None) -> bool:
    return bool(one and other and one.model_dump(exclude={"note"}) == other.model_dump(exclude={"note"}))


def _case_objects(reply: str) -> list[Any]:
    """The entries of the last list of cases; of a bare list, or one that was cut off, the entries that are whole."""
    objects = json_objects(reply)
    lists = [cases for found in objects if isinstance(cases := found.get("cases"), list) and cases]
    return lists[-1] if lists else objects


def validated(model: type[Item], raw: Any) -> Item | None:
    try:
        return model.model_validate(raw)
    except ValidationError:
        return None
