"""Files of rows, here or in an object store: which of them a path means, their splits, and their bytes."""

import glob
import io
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from utils.errors import DataError
from utils.files.storage import brief, file_system
from utils.seeds.conventions import MAGIC, NO_DATA, SPLITS
from utils.seeds.source import SeedSource
from utils.urls import is_url

if TYPE_CHECKING:
    from pyarrow import NativeFile

log = logging.getLogger(__name__)

TEXTS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
TABLES = (".parquet", ".arrow", ".feather")
SUFFIXES = (*TEXTS, *TABLES)
COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")
SHAPES = (".alpaca", ".messages", ".sharegpt", ".heldout")  # what lies beside a result
CHUNK = 1 << 20  # bytes of a stream at a time
WILD = re.compile(r"[*?\[]")

Splits = dict[str, list["File"]]


@dataclass(frozen=True, slots=True)
class File:
    """A file of rows; `path` is a path of this machine or a URL, `shown` what messages call it.

    `revision` is set for a file of a Hub data set that is still to be fetched.
    """

    path: str
    shown: str
    revision: str | None = None

    @property
    def compressed(self) -> bool:
        return _name(self.path).lower().endswith(COMPRESSED)

    @property
    def suffix(self) -> str:
        """The suffix that tells the format, in lower case."""
        path = PurePosixPath(_name(self.path).lower())
        return path.with_suffix("").suffix if self.compressed else path.suffix

    @property
    def is_known(self) -> bool:
        """Whether its suffix tells how it is to be read."""
        return self.suffix in (TEXTS if self.compressed else SUFFIXES)

    def binary(self) -> io.BufferedReader:
        """Open the file as a stream of its bytes, decompressed."""
        if not is_url(self.path) and not self.compressed:
            return open(self.path, "rb")
        from pyarrow.fs import LocalFileSystem

        system, path = file_system(self.path) if is_url(self.path) else (LocalFileSystem(), self.path)
        stream = system.open_input_stream(path, compression="detect" if self.compressed else None)
        return io.BufferedReader(stream, CHUNK)

    def seekable(self) -> "NativeFile":
        """Open the file as pyarrow reads it: its bytes, from any place."""
        from pyarrow.fs import LocalFileSystem

        system, path = file_system(self.path) if is_url(self.path) else (LocalFileSystem(), self.path)
        return system.open_input_file(path)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Yield `binary`'s stream if it holds what the name says. Raises DataError if not, or if reading fails."""
        try:
            self._check_packing()
            with self.binary() as stream:
                if kind := looks_like(stream.peek(16)):
                    raise self.misnamed(kind)
                yield stream
        except EOFError as exc:
            raise DataError(f"{self.shown} ends too early ({brief(exc)}): write or copy it again") from exc
        except UnicodeError:
            raise
        except OSError as exc:
            cause = exc.strerror or brief(exc)
            raise DataError(f"cannot read {self.shown} ({cause}): check the file and its permissions") from exc

    def _check_packing(self) -> None:
        if self.compressed and not is_url(self.path):
            with open(self.path, "rb") as stream:
                head = stream.read(16)
            suffix = PurePosixPath(self.path).suffix.lower()
            if head and looks_like(head) != suffix:
                raise DataError(f"{self.shown} is not compressed: take {suffix} off its name, or pack it as {suffix}")

    def misnamed(self, kind: str) -> DataError:
        if kind in (*SUFFIXES, *COMPRESSED):
            stem = PurePosixPath(self.shown).name
            stem = stem + kind if kind in COMPRESSED else PurePosixPath(stem).stem + kind
            return DataError(f"{self.shown} holds what a {kind} file holds: rename it to {stem}")
        return DataError(f"{self.shown} is a {kind} file by its content: save its rows as .jsonl, .csv or .parquet")


def looks_like(head: bytes) -> str | None:
    """Return the suffix of the format that a file's first bytes tell; None for text, and for an unknown one."""
    return next((suffix for magic, suffix in MAGIC.items() if head.startswith(magic)), None)


def _name(path: str) -> str:
    return path.partition("?")[0] if is_url(path) else path


# --- Which files a path means -------------------------------------------------------------------


def files_of(source: SeedSource) -> list[File]:
    """Return the files that a path, a glob or a URL means, sorted by name. Raises DataError where there are none."""
    data_path = source.data_path
    if is_url(data_path):
        found = _in_object_store(source)
    elif Path(data_path).exists() or not WILD.search(data_path):
        found = [data_path]
    else:
        fits = [path for path in glob.glob(data_path, recursive=True) if Path(path).is_file()]
        found = without_results(sorted(fits), is_run_here)
    if not found:
        raise DataError(f"no file fits {data_path}: check --data-path")
    return [File(path, path) for path in found]


def files_in(folder: str) -> list[str]:
    """Return the data files in and below a folder, as sorted paths relative to it; log those that are left out."""
    names = sorted(
        os.path.relpath(os.path.join(place, name), folder) for place, _, files in os.walk(folder) for name in files
    )
    meant = [name for name in names if is_data(name)]
    if skipped := [name for name in names if name not in set(meant) and not _is_hidden(name)]:
        log.info("not read, as they are no data files: %s", _some(skipped))
    kept = set(without_results([os.path.join(folder, name) for name in meant], is_run_here))
    return [name for name in meant if os.path.join(folder, name) in kept]


def _in_object_store(source: SeedSource) -> list[str]:
    """Return the URLs of the files that a URL means: a file, the data files of a folder, or what a glob matches.

    A glob is looked for in the folder before its first wildcard. A question mark is no wildcard here: options for
    pyarrow follow it.
    """
    from pyarrow.fs import FileSelector, FileType

    url = source.data_path
    address, question, query = url.partition("?")
    wild = WILD.search(address)
    base = address[: address.rindex("/", 0, wild.start())] if wild else address.rstrip("/")
    system, root = file_system(f"{base}{question}{query}")
    root = root.rstrip("/")
    try:
        info = system.get_file_info(root)
        if info.type == FileType.File and not wild:
            return [url]
        if info.type == FileType.NotFound:
            raise DataError(f"there is no {url}: check --data-path")
        infos = system.get_file_info(FileSelector(root, recursive=True))
    except OSError as exc:
        raise DataError(f"cannot read {url} ({brief(exc)}): check the address and the credentials") from exc
    inside = sorted(info.path.removeprefix(f"{root}/") for info in infos if info.type == FileType.File)
    fits = _pattern(address[len(base) + 1 :]).fullmatch if wild else is_data
    folders = {str(folder) for name in inside for folder in PurePosixPath(name).parents}
    meant = without_results([name for name in inside if fits(name)], folders.__contains__)
    return [f"{base}/{name}{question}{query}" for name in meant]


def is_data(name: str) -> bool:
    """Tell by its name whether a file of a folder holds rows: hidden files, success marks and descriptions do not."""
    return File(name, name).is_known and not _is_hidden(name) and PurePosixPath(name).name not in NO_DATA


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) for part in name.split("/"))


def _pattern(wild: str) -> re.Pattern[str]:
    """Turn a glob into a regular expression: `*` stays within a folder, `**/` is any number of folders."""
    rules = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    parts = re.split(r"(\*\*/|\*\*|\*|\[[^]/]+\])", wild)
    return re.compile("".join(rules.get(part) or (part if part[:1] == "[" else re.escape(part)) for part in parts))


# --- What runs have written is no seed set ---------------------------------------------------------


def without_results(paths: list[str], is_run: Callable[[str], bool]) -> list[str]:
    """Return `paths` without results, their exports and files in run folders; log what is left out.

    `is_run` tells whether a path is that of a run folder. A result whose run folder is gone counts as anybody's file.
    """
    ours = [path for path in paths if _of_run(path, is_run)]
    if ours:
        log.info("not read, as runs have written them: %s", _some(ours))
    return [path for path in paths if path not in set(ours)]


def _of_run(path: str, is_run: Callable[[str], bool]) -> bool:
    """Tell whether a file, or a folder that it lies in, is a run folder, or has one beside it."""
    for place in (PurePosixPath(path), *PurePosixPath(path).parents):
        stem = PurePosixPath(place.stem)
        beside = [stem, PurePosixPath(stem.stem)] if stem.suffix in SHAPES else [stem]
        names = [f"{name}.run" for name in beside if name.name] + ([place.name] if place.suffix == ".run" else [])
        if place.name and any(is_run(str(place.with_name(name))) for name in names):
            return True
    return False


def is_of_run_here(path: str) -> bool:
    """Tell whether a run has written a file of this machine: a result, an export, or what lies in a run folder."""
    return _of_run(os.path.abspath(path), is_run_here)


def is_run_here(path: str) -> bool:
    """Tell whether a path of this machine is that of a run folder: it holds a configuration or a journal."""
    return any(Path(path, name).is_file() for name in ("config.json", "journal.sqlite"))


def _some(paths: Iterable[str]) -> str:
    paths = list(paths)
    return ", ".join(paths[:5]) + (f", … ({len(paths)})" if len(paths) > 5 else "")


# --- Splits ---------------------------------------------------------------------------------------


def in_splits(files: Iterable[tuple[str, File]]) -> Splits:
    """Group files by the split that a word in their name, or else in a folder's, tells; if none does, all are `train`.

    `files` are pairs of a name, relative to the data set, and a file. If only some tell a split, the rest is left out.
    """
    splits: dict[str, list[File]] = {split: [] for split in ("", *SPLITS)}
    for name, file in files:
        splits[split_of(name) or ""].append(file)
    rest = splits.pop("")
    found = {split: files for split, files in splits.items() if files}
    if found and rest:
        log.info("not read, as their names tell no split, and others do: %s", _some(file.shown for file in rest))
    return found or {"train": rest}


def split_of(name: str) -> str | None:
    """Return the split that a path tells, its last part looked at first; None where it tells none."""
    for part in reversed(PurePosixPath(name).parts):
        words = re.split(r"[^a-z]+", part.lower())
        if found := next((split for split, said in SPLITS.items() if any(word in said for word in words)), None):
            return found
    return None
