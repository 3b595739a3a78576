"""Reading the data set on the cluster: every piece of it (mostly a file) by a task, in chunks, once.

    pieces -> read_piece, a task each -> chunk files on the store, and a line about each chunk -> Layout

What travels to the driver is a line per chunk, with sixteen bytes per seed that tell equal instructions. They are
looked at on its disk, in shares of the whole, so that its memory does not grow with the data set.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from generator.scale_out.layout import CHUNK, Layout, Row, chunk_name, write_chunk
from utils.dataset import RowReader, SeedSource, SetAside, digest, iter_records, look_into, none_usable, pieces_of
from utils.errors import AutoEvolError, DataError
from utils.schema import SeedInstruction
from utils.storage import Store, file_system, is_url

log = logging.getLogger(__name__)

LAYOUT, MADE_FROM = "seeds/layout.npz", "seeds/made_from.txt"
POSITIONS = 40  # bits of a row's position in its piece; what stands above them is the number of the piece
SHARES = 64
ENTRY = np.dtype([("high", "<u8"), ("low", "<u8"), ("place", "<i8")])

Line = dict[str, Any]  # what a task tells of a chunk, as Ray Data carries it


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the data set that one task reads."""

    number: int
    source: SeedSource

    def stamp(self) -> str:
        """Changes when the piece does; empty for a file that cannot be seen from here."""
        if is_url(self.source.data_path):
            system, path = file_system(self.source.data_path)
            info = system.get_file_info(path)
            return f"{info.size} {info.mtime_ns}"
        try:
            status = Path(self.source.data_path).stat()
        except OSError:
            return ""
        return f"{status.st_size} {status.st_mtime_ns}"


def pieces(sources: Sequence[SeedSource]) -> list[Piece]:
    """The pieces of all sources in row order. Raises DataError where one cannot be read or lacks a column."""
    for source in sources:
        look_into(source)
    found = [piece for source in sources for piece in pieces_of(source)]
    return [Piece(number, _absolute(piece)) for number, piece in enumerate(found)]


def _absolute(source: SeedSource) -> SeedSource:
    """`source` as other processes find it, which stand in other folders."""
    path = Path(source.data_path)
    is_here = not is_url(source.data_path) and path.exists()
    return replace(source, data_path=str(path.absolute())) if is_here else source


def read_piece(piece: Piece, store: Store, tell: Callable[[], None]) -> Iterator[Line]:
    """Write the chunks of a piece; gives a line about each. What is wrong with the data is a line with an `error`.

    `tell` is called for each chunk, as a sign of life.
    """
    reader, start = RowReader(piece.source), 0
    rows = chain.from_iterable(reader.read(0, record) for record in iter_records(piece.source))
    rows = (row._replace(id=n) if isinstance(row, SetAside) else replace(row, id=n) for n, row in enumerate(rows))
    try:
        while chunk := list(islice(rows, CHUNK)):
            tell()
            yield _line(piece, start, chunk, write_chunk(store, chunk_name(piece.number, start), chunk))
            start += len(chunk)
    except AutoEvolError as exc:
        yield _line(piece, start, [], "", str(exc))


def _line(piece: Piece, start: int, rows: list[Row], made: str, error: str = "") -> Line:
    seeds = [row for row in rows if isinstance(row, SeedInstruction)]
    return {
        "piece": piece.number,
        "start": start,
        "rows": len(rows),
        "seeds": np.array([seed.id for seed in seeds], np.int64).tobytes(),
        "texts": b"".join(digest(seed) for seed in seeds),
        "digest": made,
        "reasons": " ".join(sorted({row.reason for row in rows if not isinstance(row, SeedInstruction)})),
        "error": error,
    }


class Survey:
    """Takes in the lines of all chunks, in any order, and gives the layout."""

    def __init__(self, scratch: Path) -> None:
        self._chunks: dict[tuple[int, int], tuple[int, int, str]] = {}
        self._reasons: set[str] = set()
        self._texts = EqualTexts(scratch)

    def take(self, line: Line) -> None:
        """Raises DataError for what a task found wrong. A line that comes twice, of a task done again, counts once."""
        if line["error"]:
            raise DataError(line["error"])
        place = (int(line["piece"]), int(line["start"]))
        if place in self._chunks:
            return
        positions = np.frombuffer(line["seeds"], np.int64)
        self._chunks[place] = (int(line["rows"]), len(positions), str(line["digest"]))
        self._reasons.update(line["reasons"].split())
        self._texts.add((place[0] << POSITIONS) + positions, line["texts"])

    def layout(self, sources: Sequence[SeedSource]) -> Layout:
        """Raises DataError where no row at all is a seed."""
        places = sorted(self._chunks)
        pieces, starts = (np.array([place[i] for place in places], np.int64) for i in range(2))
        rows, usable = (np.array([self._chunks[place][i] for place in places], np.int64) for i in range(2))
        digests = np.array([self._chunks[place][2] for place in places], "U16")
        if not usable.sum():
            raise none_usable(sources, int(rows.sum()), self._reasons)
        repeated = self._texts.repeated()
        of_chunk = np.searchsorted((pieces << POSITIONS) + starts, repeated, side="right") - 1
        first_ids = np.cumsum(rows) - rows
        ids = first_ids[of_chunk] + (repeated & ((1 << POSITIONS) - 1)) - starts[of_chunk]
        seeds = usable - np.bincount(of_chunk, minlength=len(places))
        log.info("%d rows read, %d usable as seeds", rows.sum(), seeds.sum())
        return Layout(pieces, starts, rows, seeds, digests, ids)


class EqualTexts:
    """Finds texts that repeat an earlier one by their digests: 32 bytes a text on disk, a share of it in memory."""

    def __init__(self, scratch: Path) -> None:
        self._paths = [scratch / f"texts-{number:02}" for number in range(SHARES)]
        self._files = [path.open("wb") for path in self._paths]

    def add(self, places: np.ndarray, digests: bytes) -> None:
        """Take in texts by their places, which order them, and their digests of sixteen bytes each."""
        entries = np.empty(len(places), ENTRY)
        halves = np.frombuffer(digests, "<u8").reshape(-1, 2)
        entries["high"], entries["low"], entries["place"] = halves[:, 0], halves[:, 1], places
        shares = entries["high"] % SHARES
        for number in np.unique(shares):
            self._files[number].write(entries[shares == number].tobytes())

    def repeated(self) -> np.ndarray:
        """The places of all texts but the first of each kind, ascending."""
        found = []
        for file, path in zip(self._files, self._paths, strict=True):
            file.close()
            entries = np.fromfile(path, ENTRY)
            path.unlink()
            entries = entries[np.lexsort((entries["place"], entries["low"], entries["high"]))]
            same = (entries["high"][1:] == entries["high"][:-1]) & (entries["low"][1:] == entries["low"][:-1])
            found.append(entries["place"][1:][same])
        return np.sort(np.concatenate(found))


def made_from(pieces: Iterable[Piece]) -> str:
    """Stands for the data set as it is now: what was read of the same one need not be read again."""
    told = sha256()
    for piece in pieces:
        told.update(f"{piece}\0{piece.stamp()}\0".encode())
    return f"{CHUNK} {told.hexdigest()}"


def known_layout(store: Store, made: str) -> Layout | None:
    """The layout of an earlier reading of the same data set."""
    return kept_layout(store) if store.read(MADE_FROM) == made.encode() else None


def kept_layout(store: Store) -> Layout:
    """The layout that stands there. Raises DataError where none does."""
    content = store.read(LAYOUT)
    if content is None:
        raise DataError("the table of seeds is gone from the run folder; run again to read the data set anew")
    return Layout.from_bytes(content)


def keep_layout(store: Store, made: str, layout: Layout) -> None:
    """Keep it for the next run, and nothing that former data have left."""
    named = {chunk_name(piece, start) for piece, start in zip(layout.pieces, layout.starts, strict=True)}
    store.delete(set(store.names("seeds")) - named)
    store.write(LAYOUT, layout.to_bytes())
    store.write(MADE_FROM, made.encode())  # last: now it is complete


def forget_layout(store: Store) -> None:
    """Before chunks are written anew: until all stand, those there are belong to no data set."""
    store.delete([MADE_FROM])
