"""The journal of a run whose result goes to an object store: what is recorded is there too, a few seconds later.

A machine of a cluster may take its disk with it, and then what was paid for would be gone. So completions are written
to `x.run/journal/` of the store in segments, each a small `--export-journal` of its own, and a run that finds no
journal here begins with them.
"""

import gzip
import tempfile
import threading
import time
from contextlib import closing
from itertools import islice
from pathlib import Path

from utils.errors import DataError
from utils.files.storage import ObjectStore
from utils.llm.journal import Journal
from utils.schema import Completion, Request
from utils.urls import is_url

SEGMENTS = "journal"
EVERY = 5.0  # seconds
LARGEST = 10_000  # completions of a segment


def open_journal(path: Path, recording: Path | None, root: str) -> Journal:
    """Open a run's journal at `path`, mirrored where `root`, the place of its large files, is in an object store.

    In a replay it is the recording alone, in memory, so that nothing else can answer.
    """
    if recording:
        journal = Journal(None)
        journal.load(recording)
        return journal
    return MirroredJournal(path, ObjectStore(root)) if is_url(root) else Journal(path)


class MirroredJournal(Journal):
    """A journal that begins with the completions in a store, too, and copies new ones there every few seconds.

    Raises DataError where the store fails, also later, at `put` and `close`.
    """

    def __init__(self, path: Path, store: ObjectStore) -> None:
        super().__init__(path)
        self._store = store
        self._pending: list[tuple[Request, Completion]] = []
        self._lock = threading.Lock()
        self._fault: DataError | None = None
        self._closed = threading.Event()
        self._level()
        self._mirroring = threading.Thread(target=self._mirror, daemon=True)
        self._mirroring.start()

    def put(self, request: Request, completion: Completion, key: bytes | None = None) -> None:
        super().put(request, completion, key)
        if self._fault:
            raise self._fault
        with self._lock:
            self._pending.append((request, completion))

    def close(self) -> None:
        self._closed.set()
        self._mirroring.join()
        super().close()
        if self._fault:
            raise self._fault

    def _mirror(self) -> None:
        while not self._fault:
            last = self._closed.wait(EVERY)
            try:
                self._write_pending()
            except DataError as exc:
                self._fault = exc
            if last:
                return

    def _write_pending(self) -> None:
        with self._lock:
            pending, self._pending = self._pending, []
        if pending:
            with closing(Journal(None)) as journal:
                for request, completion in pending:
                    journal.put(request, completion)
                self._write(journal)

    def _write(self, journal: Journal) -> None:
        """Write all of a journal to the store as segments, whose names tell the time and the number of completions."""
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder, "plain")
            journal.export(plain)
            with plain.open("rb") as file:
                while lines := list(islice(file, LARGEST)):
                    name = f"{SEGMENTS}/{time.time_ns():020}-{len(lines)}.jsonl.gz"
                    self._store.write(name, gzip.compress(b"".join(lines), 3))

    def _level(self) -> None:
        """Make journal and store equal: what a lost disk took is read back, what a killed run left is written."""
        segments = self._store.names(SEGMENTS)
        stored = sum(map(_count, segments))
        if stored != len(self):
            self._read(segments)
        if stored != len(self):
            self._write(self)
            self._store.delete(segments)

    def _read(self, segments: list[str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder, "plain")
            with plain.open("wb") as file:
                file.writelines(gzip.decompress(self._store.read(name) or b"") for name in segments)
            self.load(plain)
        self._pending.clear()


def _count(segment: str) -> int:
    return int(segment.rpartition("-")[2].partition(".")[0])
