"""Feedback, findings and comparisons: replies that answer case by case."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError

from utils.llm.replies.objects import Found, json_objects, objects_in, outside
from utils.schema import GRADES, LABELS, FailedCase, Finding, Grade

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


def _grades(value: Any) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    named = tuple(_lowered(word) for word in words)
    if not named or any(word not in GRADES for word in named):
        raise ValueError("not a list of known grades")
    return named


def _lowered(value: Any) -> Any:
    return value.strip(" \t\n.*`'\"").casefold() if isinstance(value, str) else value


def clean(value: Any) -> str:
    """Strip a text and replace lone surrogates, which JSON can spell but no file can hold; "" for anything else."""
    return value.strip().encode("utf-8", "replace").decode() if isinstance(value, str) else ""


_Text = Annotated[str, BeforeValidator(clean)]


class Case(BaseModel):
    case_id: Annotated[int, BeforeValidator(_case_number)]


class _FailedCase(Case):
    reason: _Text = ""


class _JudgedCase(Case):
    labels: Annotated[tuple[str, ...], BeforeValidator(_labels)]
    note: _Text = ""


class _GradedCase(Case):
    grades: Annotated[tuple[str, ...], BeforeValidator(_grades)]
    note: _Text = ""


class _ComparedCase(Case):
    better: Annotated[Literal["first", "second", "tie"], BeforeValidator(_lowered)]


class _EqualCase(Case):
    equal: bool


def read_feedback(reply: str) -> tuple[tuple[FailedCase, ...], str]:
    """Read the failed cases and the feedback of an Analyzer's reply; one that is not JSON is feedback as it stands."""
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
    """Read a judge's finding by case id, for each case 1..count that can be read; the others count as not judged."""
    return {case: Finding(item.labels, item.note) for case, item in read_cases(reply, count, _JudgedCase).items()}


def read_grades(reply: str, count: int) -> dict[int, tuple[Grade, ...]]:
    """Read an examiner's grades by case id, in their order, for each case 1..count that can be read."""
    graded = read_cases(reply, count, _GradedCase).items()
    return {case: tuple(Grade(grade, item.note) for grade in item.grades) for case, item in graded}


def read_comparison(reply: str, count: int) -> dict[int, Literal["first", "second", "tie"]]:
    """Read which rewrite a judge prefers, by case id, for each case 1..count that can be read."""
    return {case: item.better for case, item in read_cases(reply, count, _ComparedCase).items()}


def read_equality(reply: str, count: int) -> dict[int, bool]:
    """Read whether a judge finds two instructions equal, by case id, for each case 1..count that can be read."""
    return {case: item.equal for case, item in read_cases(reply, count, _EqualCase).items()}


def read_cases(reply: str, count: int, model: type[Item]) -> dict[int, Item]:
    """Read entries by case id, wherever in the reply; where one id has several, all must be readable and agree.

    A reply may quote what the text of a case demands of it ("answer with this JSON: ..."), before or behind its own
    judgement, fenced or not, cut off or broken: whatever is said twice and differently is not said. Notes may differ.
    """
    found = list(objects_in(reply))
    items: dict[int, Item | None] = {case: None for case in _unread_ids(reply, found) if case <= count}
    for raw in chain.from_iterable(_parts(each.value)[0] for each in found):
        numbered = validated(Case, raw)
        if numbered and 1 <= numbered.case_id <= count:
            item = validated(model, raw)
            known = items.setdefault(numbered.case_id, item)
            items[numbered.case_id] = known if _agree(known, item) else None
    return {case: item for case, item in sorted(items.items()) if item}


def _agree(one: BaseModel | None, other: BaseModel | None) -> bool:
    return bool(one and other and one.model_dump(exclude={"note"}) == other.model_dump(exclude={"note"}))


_CLAIM = re.compile(r"""\\?["']case_id\\?["']\s{0,9}:\s{0,9}(?P<id>\\?["'][^"'\n]{0,30}["']|\d{1,6}+)""")


_LIST = re.compile(r"""["']cases["']\s{0,99}:\s{0,99}\[\s{0,99}\Z""")
_NEXT = re.compile(r"\s*,\s*")
_CUT = re.compile(r"\s*,\s*\{[^{}]*\Z")


def _parts(value: dict[str, Any]) -> tuple[list[Any], Any]:
    """Return the entries of an object of a reply (those of its list of cases, or itself), and what it holds besides."""
    listed = value.get("cases")
    return (listed, {**value, "cases": None}) if isinstance(listed, list) else ([value], None)


def _unread_ids(reply: str, found: Sequence[Found]) -> Iterator[int]:
    """Yield the ids of cases that are named outside of entries: in broken objects, or in odd places of whole ones."""
    for claim in _CLAIM.finditer(outside(_without_cut_entry(reply, found), found)):
        yield from _case_ids({"case_id": claim["id"].strip("\\\"'")})
    for each in found:
        entries, others = _parts(each.value)
        yield from _case_ids(others, *chain.from_iterable(e.values() if isinstance(e, dict) else [e] for e in entries))


def _case_ids(*values: Any) -> Iterator[int]:
    """Yield the case ids in JSON values, however deep."""
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if numbered := validated(Case, value):
                yield numbered.case_id
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _without_cut_entry(reply: str, found: Sequence[Found]) -> str:
    """Return a reply without its last, cut-off entry if it is one list of cases up to there; else all of it."""
    gaps = [reply[one.end : other.start] for one, other in pairwise(found)]
    is_list = found and _LIST.search(reply, 0, found[0].start) and all(map(_NEXT.fullmatch, gaps))
    return reply[: found[-1].end] if is_list and _CUT.match(reply, found[-1].end) else reply


def validated(model: type[Item], raw: Any) -> Item | None:
    try:
        return model.model_validate(raw)
    except ValidationError:
        return None
