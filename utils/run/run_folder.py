"""The run folder `x.run/` beside the result: one process at a time, and earlier results are kept."""

import fcntl
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from utils.config import RunConfig
from utils.errors import DataError
from utils.files.storage import ObjectStore, Store
from utils.files.writing import SUCCESS, replacing, temporary_of, write_rows
from utils.llm.batch.records import under_way
from utils.llm.journal_segments import SEGMENTS, open_journal
from utils.process.logs import log_to_file
from utils.rows.held_out import held_out_path
from utils.urls import is_url

log = logging.getLogger(__name__)

JOURNAL = "journal.sqlite"
OF_A_RUN = (
    "config.json",
    "rejects",
    "methods.jsonl",
    "best_method.txt",
    "rejects.jsonl",
    "summary.json",
    "measures.json",
    "tags.json",
    "report.html",
    "compare.json",
    "compare",
    "run.log",
)
OF_EXPLORING = ("explored.jsonl", "seeds.jsonl")
RANDOM_PART = 8  # characters that `tempfile` adds to a prefix
OF_CLUSTER = ("groups", "rows", SEGMENTS)  # what a run on a cluster has read, made and, in an object store, paid for


class Folder:
    """A folder of files about one result."""

    def __init__(self, path: Path, result: Path) -> None:
        self.path = path
        self.result = result

    def write(self, name: str, text: str) -> None:
        """Write a small file of the folder, replaced as a whole."""
        with replacing(self.path / name) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def read_lines(self, name: str) -> list[str]:
        """Read the lines of a file of the folder; none where there is no file. Raise DataError if it is unreadable."""
        try:
            return (self.path / name).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as exc:
            raise DataError(f"cannot read {self.path / name} ({exc}); restore it, or start with --fresh") from exc

    def write_lines(self, name: str, records: Iterable[dict[str, Any]]) -> None:
        """Write a file of JSON lines, streamed and replaced as a whole."""
        write_rows(self.path / name, records)

    def below(self, name: str, suffix: str) -> "Folder":
        """Make a folder in this one, for a result of its own. Raise DataError where it cannot be made."""
        path = self.path / name
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise DataError(f"cannot make {path}: {exc.strerror}; free space or check permissions") from exc
        return Folder(path, path / f"result{suffix}")


class RunFolder(Folder):
    """The folder of one run, locked while it is open.

    Raises DataError where the result cannot be written there or another process works in it, and
    JournalError for a journal that is torn or foreign.
    """

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config.run_folder, config.result)
        try:
            self.path.mkdir(exist_ok=True)
            self._lock = os.open(self.path, os.O_RDONLY)
        except OSError as exc:
            raise DataError(f"cannot use run folder {self.path}: {exc.strerror}; choose another --save-path") from exc
        self._take_lock()
        try:
            self.former_summary = "\n".join(self.read_lines("summary.json")) or None
            self._keep_former(config)
            self.journal = open_journal(self.path / JOURNAL, config.replay, config.on_store(self.path))
            self.write("config.json", _as_text(_described(config)))
            self._log = log_to_file(self.path / "run.log")
        except BaseException:
            os.close(self._lock)
            raise

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            os.close(self._lock)
            raise DataError(f"another run is using {self.path}; wait for it, or choose another --save-path") from exc
        except OSError as exc:
            os.close(self._lock)
            raise DataError(f"cannot lock {self.path}: {exc.strerror}; choose a --save-path on a local disk") from exc

    def _keep_former(self, config: RunConfig) -> None:
        """Keep what a run of other settings has left; with --fresh the journal is set aside as well.

        An object store keeps nothing: the result there will be replaced, and with --fresh what was paid for is deleted.
        """
        if not config.fresh and self._is_of(config):
            return
        former = [self.path / name for name in OF_A_RUN if (self.path / name).exists()]
        if config.fresh:
            former += list(self.path.glob(JOURNAL + "*"))
            former += [self.path / name for name in OF_CLUSTER if (self.path / name).exists()]
        result = None if is_url(config.save_path) or not self.result.exists() else self.result
        if is_url(config.save_path) and config.fresh:
            store = ObjectStore(config.on_store(self.path))
            store.delete(name for folder in OF_CLUSTER for name in store.names(folder))
        former += [path for path in (held_out_path(self.result),) if result and path.exists()]
        if not former and not result:
            return
        shelf = self._next_shelf()
        if config.fresh and (batches := under_way(self.path / JOURNAL)):
            log.warning(
                "--fresh leaves %d batches under way, which are paid for all the same (%s); to have their answers, "
                "put the journal back from %s and run again without it",
                len(batches), ", ".join(batches), shelf,
            )  # fmt: skip
        try:
            shelf.mkdir(parents=True)
            if result and result.is_dir():
                result.rename(shelf / result.name)
            elif result:  # a copy, first: it stays in its place until the new one replaces it
                shutil.copy2(result, shelf / result.name)
            for path in former:
                path.rename(shelf / path.name)
        except OSError as exc:
            with suppress(OSError):  # half a copy is none, and an empty shelf is none
                (shelf / self.result.name).unlink(missing_ok=True)
                shelf.rmdir()
            raise DataError(f"cannot keep the former result in {shelf}: {exc.strerror}; make room, run again") from exc

    def _is_of(self, config: RunConfig) -> bool:
        """Tell whether the folder is of a run of these very settings, or new and no result lies beside it."""
        before = _read_settings(self.path / "config.json")
        return not self.result.exists() if before is None else before == config.determining()

    def _next_shelf(self) -> Path:
        earlier = self.path / "earlier"
        numbers = [int(path.name) for path in earlier.glob("*") if path.name.isdecimal()]
        return earlier / str(max(numbers, default=0) + 1)

    def close(self) -> None:
        self.journal.close()
        logging.getLogger().removeHandler(self._log)
        self._log.close()
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_output(path: Path, flag: str, partitions: bool = False) -> None:
    """Raise DataError now, before anything costs, where the file that `flag` names could not be written.

    With `partitions` it may be a folder, as a run on a cluster makes one.
    """
    try:
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        folder = target.parent
        if not folder.is_dir():
            raise DataError(f"the folder {folder} of {flag} does not exist; make it, or choose another one")
        if target.is_dir() and not partitions:
            raise DataError(f"{flag} {path} is a folder; name a file")
        if path.is_file() and partitions:
            raise DataError(f"{flag} {path} is a file, where --engine ray writes a folder; move it, or name another")
        if target.is_symlink() or (target.exists() and not target.is_file() and not partitions):
            raise DataError(f"{flag} {path} is neither a file nor free; choose another name")
        # As long a name as its temporary file will have.
        length = len(os.fsencode(temporary_of(target).name)) - RANDOM_PART
        with tempfile.NamedTemporaryFile(dir=folder, prefix="." * min(1, length) + "t" * (length - 1)):
            pass
    except OSError as exc:
        raise DataError(f"cannot write {path}: {exc.strerror}; choose another {flag}") from exc


def is_run_file(folder: Path, path: Path) -> bool:
    """Tell whether a path is that of a file that a run keeps in its run folder."""
    try:
        first = Path(os.path.realpath(path)).relative_to(os.path.realpath(folder)).parts[0]
    except (ValueError, IndexError):
        return False
    return first in (*OF_A_RUN, *OF_CLUSTER, *OF_EXPLORING, "earlier") or first.startswith((JOURNAL, "."))


def check_partitions(store: Store, where: str) -> None:
    """Raise DataError where the folder `store`, named `where`, holds anything but partitions."""
    foreign = [name for name in store.names("") if not name.startswith(("part-", SUCCESS, "."))]
    if foreign:
        raise DataError(f"{where} holds {foreign[0]}, which no run has written; choose another --save-path")


def _described(config: RunConfig) -> dict[str, Any]:
    """Return the whole configuration for the reader; keys are never in it, only the names of their variables."""
    return {"settings": config.determining(), "flags": config.model_dump(mode="json")}


def _read_settings(path: Path) -> dict[str, Any] | None:
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["settings"]
        return settings
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as exc:
        raise DataError(f"{path} cannot be read ({type(exc).__name__}); move it away, or start with --fresh") from exc


def _as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
