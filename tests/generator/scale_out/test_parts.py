"""The files of a partition: nothing that was paid for is lost, whoever dies, and nothing is called done too early."""

import asyncio
import json

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-ray.txt")

import numpy as np

from generator.scale_out.layout import CHUNK, Layout, Partitions, chunk_name, write_chunk
from generator.scale_out.parts import PartJournal, Parts, read_rows, read_texts
from tests.builders import HOSTILE, evolved, seeds
from utils.errors import DataError
from utils.journal import Archive, Journal, as_record, request_key
from utils.results import Record, outcome_record, parquet_rows, set_aside_record
from utils.schema import (
    PASSED,
    Answer,
    Completion,
    Message,
    Request,
    RowOutcome,
    Sampling,
    Usage,
    failed,
    unscored,
)
from utils.storage import LocalFolder


class Buffering(LocalFolder):
    """A folder in which small records are gathered before they are stored."""

    flush_every = 1.0


def parts_of(folder, count: int = 30, size: int = 10, work: str = "work", store=None) -> Parts:
    store = store or LocalFolder(folder)
    rows = seeds(count)
    chunks = range(0, count, CHUNK)
    digests = [write_chunk(store, chunk_name(0, start), rows[start : start + CHUNK]) for start in chunks]
    lengths = np.array([len(rows[start : start + CHUNK]) for start in chunks])
    nothing = np.zeros(0, np.int64)
    layout = Layout(np.zeros(len(chunks), int), np.array(chunks), lengths, lengths, np.array(digests), nothing)
    return Parts(store, store, Partitions(layout, size), work)


def asked(text: str, **sampling) -> tuple[Request, bytes]:
    request = Request("evolve", "m", (Message("user", text),), Sampling(**sampling))
    return request, request_key(request)


def put(log, text: str, reply: str = "reply", failure: str | None = None, **sampling) -> None:
    journal = PartJournal()
    journal.enter(log)
    request, key = asked(text, **sampling)
    journal.put(request, Completion(reply, failure, Usage(3, 2, 1)), key)


def stored(log, text: str, **sampling) -> Completion | None:
    journal = PartJournal()
    journal.enter(log)
    return journal.get(*asked(text, **sampling))


def rows_of(part, outcome=lambda row: PASSED) -> list[tuple[int, Record]]:
    made = []
    for seed in part.seeds:
        trajectory = evolved(seed, f"{seed.text} Say why.")
        made.append(
            (seed.id, outcome_record(RowOutcome(trajectory, outcome(seed), None, Answer(trajectory, "a")), "m"))
        )
    return made[::-1]  # in any order


def test_what_was_paid_for_is_there_again_however_the_attempt_ended(tmp_path):
    parts = parts_of(tmp_path)
    first = parts.open(1, "first")
    for name, text in HOSTILE.items():
        put(first.log, name, text)
    second = parts_of(tmp_path).open(1, "second")
    for name, text in HOSTILE.items():
        assert stored(second.log, name) == Completion(text, None, Usage(3, 2, 1))
    assert stored(second.log, "another") is None
    assert stored(parts.open(0, "first").log, "braces") is None  # it belongs to another partition


def test_a_torn_line_is_no_completion(tmp_path):
    parts = parts_of(tmp_path)
    put(parts.open(0, "first").log, "whole")
    [name] = parts.store.names("log")
    with (tmp_path / name).open("ab") as file:
        file.write(b'{"key": "00", "text": "ha')
    assert stored(parts.open(0, "second").log, "whole")
    assert len(parts.open(0, "second").log.own) == 1


def test_where_records_are_gathered_they_are_stored_when_asked_for(tmp_path):
    parts = parts_of(tmp_path, store=Buffering(tmp_path))
    log = parts.open(0, "first").log
    put(log, "a")
    put(log, "b")
    assert parts.store.names("log") == []
    log.append(log.taken())
    assert log.taken() == b""
    assert stored(parts.open(0, "second").log, "b")


@pytest.mark.parametrize(
    ("failure", "then", "now", "right"),
    [
        (None, None, 5, True),
        (None, 5, None, True),
        (None, 9, 1, False),
        ("length", 5, 9, False),
        ("length", 5, 5, True),
    ],
)
def test_a_completion_is_right_under_the_same_limits_as_in_the_journal(tmp_path, failure, then, now, right):
    log = parts_of(tmp_path).open(0, "first").log
    put(log, "a", failure=failure, max_tokens=then)
    assert (stored(log, "a", max_tokens=now) is not None) == right


def test_a_finished_partition_has_its_rows_in_order_and_its_journal(tmp_path):
    parts = parts_of(tmp_path)
    part = parts.open(1, "first")
    put(part.log, "a")
    verdicts = {12: failed("lost"), 13: unscored("unavailable")}
    made = [*rows_of(part, lambda seed: verdicts.get(seed.id, PASSED)), (20, set_aside_record(20, "", "empty"))]
    counts = parts.finish(part, made)
    assert (counts.rows, counts.evolved, counts.unavailable, counts.calls) == (11, 8, 1, {"evolve": 1})
    name = parts.partitions.name(1)
    assert [key for key, _ in read_rows(parts.store, name)] == list(range(10, 21))
    assert dict(read_rows(parts.store, name)) == dict(made)
    assert [(key, row_id) for key, row_id, _ in read_texts(parts.store, name)] == [
        (key, key) for key in range(10, 20) if key not in verdicts
    ]
    [record] = parquet_rows(parts.store.read(f"journal/{name}.parquet"))
    assert (record["stage"], json.loads(record["messages"])) == ("evolve", [["user", "a"]])
    assert parts.store.names("log") == []
    assert stored(parts.open(1, "again").log, "a")


def test_done_is_what_was_made_from_the_same_and_wants_for_nothing(tmp_path):
    parts = parts_of(tmp_path)
    assert parts.todo() == [0, 1, 2]
    for number in range(3):
        part = parts.open(number, "first")
        parts.finish(part, rows_of(part, lambda seed: unscored("unavailable") if seed.id == 25 else PASSED))
    assert parts.counts(2).unavailable == 1
    assert parts_of(tmp_path).todo() == [2]
    with pytest.raises(KeyError):
        parts.counts(2)
    assert parts_of(tmp_path, work="other").todo() == [0, 1, 2]
    assert parts_of(tmp_path).todo() == [0, 1, 2]  # what was made from other work is not called done


def test_journals_of_partitions_of_another_size_are_of_use(tmp_path):
    small = parts_of(tmp_path, 30, 10)
    for number in range(3):
        part = small.open(number, "first")
        put(part.log, f"of {number}")
        if number != 1:  # one is under way
            small.finish(part, rows_of(part))
    large = parts_of(tmp_path, 30, 20)
    others = large.other_journals()
    assert len(others) == 3
    found = {
        n: [text for text in ("of 0", "of 1", "of 2") if stored(large.open(n, "a", others).log, text)] for n in (0, 1)
    }
    assert found == {0: ["of 0", "of 1"], 1: ["of 2"]}
    assert stored(large.open(0, "b").log, "of 0")  # what was of use has become its own


def test_answers_of_the_driver_are_of_use(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    for text in ("a", "b", HOSTILE["Korean"], "half \ud83d"):
        request, key = asked(text, temperature=0.5)
        journal.put(request, Completion("said", None, Usage(1, 2, 3)), key)
    archive = Archive(tmp_path / "journal.sqlite")
    prefixes = np.frombuffer(archive.prefixes(), ">u8")
    keys = [asked(text, temperature=0.5)[1] for text in ("a", "b", HOSTILE["Korean"], "half \ud83d")]
    assert prefixes.tolist() == sorted(int.from_bytes(key[:8], "big") for key in keys)
    parts = parts_of(tmp_path)
    log = parts.open(0, "first", archive=archive.get).log
    request, key = asked("a", temperature=0.5)
    assert stored(log, "a", temperature=0.5) == Completion("said", None, Usage(1, 2, 3))
    assert log.own[key.hex()] == as_record(request, Completion("said", None, Usage(1, 2, 3)), key)
    assert stored(log, "half \ud83d", temperature=0.5)
    assert stored(log, "c") is None
    assert stored(parts.open(0, "second").log, "a", temperature=0.5)
    assert Archive(tmp_path / "none.sqlite").prefixes() == b""


def test_partitions_that_share_a_worker_do_not_share_completions(tmp_path):
    parts, journal = parts_of(tmp_path), PartJournal()
    logs = [parts.open(number, "first").log for number in range(3)]

    async def work(number: int) -> None:
        journal.enter(logs[number])

        async def ask(text: str) -> None:
            await asyncio.sleep(0)
            request, key = asked(text)
            journal.put(request, Completion(f"{number}", None), key)

        await asyncio.gather(*(asyncio.create_task(ask(text)) for text in ("a", "b")))

    async def all_of_them() -> None:
        await asyncio.gather(*(asyncio.create_task(work(number)) for number in range(3)))

    asyncio.run(all_of_them())
    assert [sorted(record["text"] for record in log.own.values()) for log in logs] == [["0"] * 2, ["1"] * 2, ["2"] * 2]


def test_rows_that_are_gone_are_one_line(tmp_path):
    with pytest.raises(DataError, match="gone from the run folder"):
        list(read_rows(LocalFolder(tmp_path), "part-10-000000"))
