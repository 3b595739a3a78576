"""The journal in an object store: what a lost disk takes is there, and what is there is not asked for again."""

import gzip
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.object_store import environment, object_store
from utils.errors import DataError
from utils.files.storage import ObjectStore
from utils.llm import journal_segments
from utils.llm.journal import Journal
from utils.llm.journal_segments import SEGMENTS, open_journal
from utils.schema import Completion, Message, Request, Sampling, Usage


@pytest.fixture(scope="module", autouse=True)
def s3() -> Iterator[None]:
    with object_store() as variables, environment(variables):
        yield


@pytest.fixture
def root(tmp_path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    return f"s3://bucket/{tmp_path.name}/x.run"


@pytest.fixture
def store(root) -> ObjectStore:
    return ObjectStore(root)


def request(number: int) -> Request:
    return Request("evolve", "m", (Message("user", f"한글 {number}"),), Sampling(), "42:0")


def record(journal: Journal, numbers: range) -> None:
    for number in numbers:
        journal.put(request(number), Completion(f"answer {number}", None, Usage(1, 2, 0)))


def stored(store: ObjectStore) -> dict[int, str | None]:
    """What a machine with an empty disk would find, by number."""
    with closing(Journal(None)) as journal:
        for name in store.names(SEGMENTS):
            Path("segment").write_bytes(gzip.decompress(store.read(name) or b""))
            journal.load(Path("segment"))
        found = {number: journal.get(request(number)) for number in range(20)}
        assert len(journal) == len(list(filter(None, found.values())))
    return {number: completion.text for number, completion in found.items() if completion}


def answers(numbers: range) -> dict[int, str]:
    return {number: f"answer {number}" for number in numbers}


def test_what_is_recorded_is_in_the_store_when_the_journal_is_closed(root, store):
    with closing(open_journal(Path("one"), None, root)) as journal:
        record(journal, range(5))
        assert journal.get(request(3))
    assert stored(store) == answers(range(5))


def test_what_comes_while_the_journal_is_open_is_there_soon(root, store, monkeypatch):
    monkeypatch.setattr(journal_segments, "EVERY", 0.01)
    with closing(open_journal(Path("one"), None, root)) as journal:
        record(journal, range(2))
        while stored(store) != answers(range(2)):  # the time-out of the tests ends it if it never comes
            pass
        record(journal, range(2, 4))
    assert stored(store) == answers(range(4))


def test_a_lost_disk_costs_nothing_that_is_in_the_store(root, store):
    with closing(open_journal(Path("one"), None, root)) as journal:
        record(journal, range(5))
    before = store.names(SEGMENTS)
    with closing(open_journal(Path("other"), None, root)) as journal:
        assert len(journal) == 5
        assert journal.get(request(4)) == Completion("answer 4", None, Usage(1, 2, 0))
    assert store.names(SEGMENTS) == before


def test_what_a_killed_run_had_not_brought_there_is_brought_by_the_next(root, store, monkeypatch):
    monkeypatch.setattr(journal_segments, "LARGEST", 3)
    with closing(open_journal(Path("one"), None, root)) as journal:
        record(journal, range(5))
    with closing(Journal(Path("one"))) as killed:
        record(killed, range(5, 8))
    with closing(open_journal(Path("one"), None, root)) as journal:
        assert len(journal) == 8
    assert stored(store) == answers(range(8))
    assert [name.rpartition("-")[2] for name in store.names(SEGMENTS)] == ["3.jsonl.gz", "3.jsonl.gz", "2.jsonl.gz"]


def test_a_disk_that_knows_less_learns_the_rest(root, store):
    with closing(open_journal(Path("one"), None, root)) as journal:
        record(journal, range(5))
    with closing(Journal(Path("old"))) as old:
        record(old, range(1, 3))
    with closing(open_journal(Path("old"), None, root)) as journal:
        assert len(journal) == 5
    assert stored(store) == answers(range(5))


def test_a_store_that_fails_is_told_and_nothing_here_is_lost(root, monkeypatch):
    journal = open_journal(Path("one"), None, root)
    record(journal, range(2))
    monkeypatch.setattr(ObjectStore, "write", _fails)
    with pytest.raises(DataError, match="the store is full"):
        journal.close()
    with closing(Journal(Path("one"))) as kept:
        assert len(kept) == 2


def _fails(*_: object) -> None:
    raise DataError("the store is full")
