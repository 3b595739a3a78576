"""What changed from one text to the next, word by word.

The words in common are a longest common subsequence, found bit-parallel: difflib takes cubic time on texts that were
made to slow it down, and these texts come from LLMs and data sets.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from rapidfuzz.distance import LCSseq

_WORD = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")
COMPARABLE = 16_000_000  # pairs of words up to which two texts are compared in full: a matrix of 2 MB
SLIGHT = 2  # words in common that, between two changes, only make them harder to read
ALIKE = 0.25  # of the words of the shorter text, below which two texts have nothing in common


Kind = Literal["=", "+", "-"]


class Piece(NamedTuple):
    """A part of a text: kept (=), added (+) or removed (-)."""

    kind: Kind
    text: str


class _Run(NamedTuple):
    """Words in common (`kept` holds those of the new text), or a change."""

    kept: Sequence[str]
    removed: Sequence[str] = ()
    added: Sequence[str] = ()


def word_pieces(old: str, new: str) -> list[Piece]:
    """How `old` became `new`: the kept and added pieces together are `new`. One `=` piece if they are unrelated."""
    olds, news = _WORD.findall(old), _WORD.findall(new)
    runs = _slid(_readable(_runs(olds, news)))
    common = sum(len(run.kept) for run in runs)
    if common < ALIKE * min(len(olds), len(news)):
        return [Piece("=", new)]
    pieces = (piece for run in runs for piece in _pieces(run))
    joined = ((kind, "".join(piece.text for piece in group)) for kind, group in groupby(pieces, lambda p: p.kind))
    return [Piece(kind, text) for kind, text in joined]


def _pieces(run: _Run) -> Iterator[Piece]:
    parts: tuple[tuple[Kind, Sequence[str]], ...] = (("=", run.kept), ("-", run.removed), ("+", run.added))
    return (Piece(kind, "".join(words)) for kind, words in parts if words)


def _runs(olds: list[str], news: list[str]) -> list[_Run]:
    """Kept words and changes in turn; for texts too long to compare in full, only their ends are."""
    old_keys, new_keys = [word.strip() for word in olds], [word.strip() for word in news]
    if len(olds) * len(news) > COMPARABLE:
        return _ends(olds, news, old_keys, new_keys)
    runs: list[_Run] = []
    for kept, codes in groupby(LCSseq.opcodes(old_keys, new_keys), lambda code: code.tag == "equal"):
        spans = list(codes)
        old = olds[spans[0].src_start : spans[-1].src_end]
        new = news[spans[0].dest_start : spans[-1].dest_end]
        runs.append(_Run(new) if kept else _Run((), old, new))
    return runs


def _ends(olds: list[str], news: list[str], old_keys: list[str], new_keys: list[str]) -> list[_Run]:
    head = _common(old_keys, new_keys)
    tail = _common(old_keys[head:][::-1], new_keys[head:][::-1])
    old, new = olds[head : len(olds) - tail], news[head : len(news) - tail]
    return [_Run(news[:head]), _Run((), old, new), _Run(news[len(news) - tail :])]


def _common(olds: Sequence[str], news: Sequence[str]) -> int:
    pairs = enumerate(zip(olds, news, strict=False))
    return next((n for n, (old, new) in pairs if old != new), min(len(olds), len(news)))


def _readable(runs: list[_Run]) -> list[_Run]:
    """`runs` with replacements that only a word or two keep apart made into one."""
    merged: list[_Run] = []
    for position, run in enumerate(runs):
        follows = runs[position + 1] if position + 1 < len(runs) else None
        if merged and _is_slight(merged[-1], run, follows):
            before = merged.pop()
            merged.append(_Run((), (*before.removed, *run.kept), (*before.added, *run.kept)))
        elif merged and not run.kept and not merged[-1].kept:
            before = merged.pop()
            merged.append(_Run((), (*before.removed, *run.removed), (*before.added, *run.added)))
        else:
            merged.append(run)
    return merged


def _slid(runs: Sequence[_Run]) -> list[_Run]:
    """`runs` with whole sentences as changes: `One. [+Two.]` and not `One[+. Two].`, which is as short."""
    slid: list[_Run] = []
    for run in runs:
        if slid and run.kept and _begins_with_sign(slid[-1], run.kept[0]):
            change, sign = slid.pop(), run.kept[0]
            first, *rest = change.added or change.removed
            moved = _Run((), (), (*rest, sign)) if change.added else _Run((), (*rest, first))
            slid += [_Run((first if change.added else sign,)), moved, _Run(run.kept[1:])]
        else:
            slid.append(run)
    return slid


def _begins_with_sign(change: _Run, sign: str) -> bool:
    """Whether a change that only adds or only removes begins with the very sign that follows it."""
    words = change.added or change.removed
    if change.kept or bool(change.added) == bool(change.removed):
        return False
    return words[0].strip() == sign.strip() and not any(map(str.isalnum, sign))


def _is_slight(before: _Run, run: _Run, after: _Run | None) -> bool:
    """Whether `run` is a word or two between words replaced, or the full stop behind them."""
    if before.kept or not run.kept or len(run.kept) > SLIGHT:
        return False
    if after is None:
        return bool(before.removed and before.added) and not any(map(str.isalnum, "".join(run.kept)))
    return bool((before.removed or after.removed) and (before.added or after.added))
