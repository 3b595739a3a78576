"""The data set in chunks and partitions is the data set: same ids, same seeds, same groups as on one machine."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-ray.txt")

from generator import groups_of_ten
from generator.scale_out import ingest
from generator.scale_out.ingest import Piece, Survey, keep_layout, known_layout, made_from, pieces, read_piece
from generator.scale_out.layout import Layout, Partitions, chunk_name, partition_size
from generator.scale_out.seeds import ClusterSeeds
from utils.dataset import SeedSet, SeedSource, load_seeds, split_seeds
from utils.errors import DataError
from utils.schema import Message
from utils.storage import LocalFolder

KINDS = ("seed", "seed", "seed", "empty", "number", "repeated")


def write_data(folder: Path, random: Random, files: int, most: int) -> list[SeedSource]:
    """Files of rows of all kinds, in an order that chance has made; some files hold no seed at all."""
    texts: list[str] = []
    for number in range(files):
        kinds = [random.choice(KINDS if number % 4 != 3 else ("empty",)) for _ in range(random.randint(1, most))]
        lines = []
        for kind in kinds:
            if kind == "seed" or not texts:
                texts.append(f"Name {len(texts)} rivers.")
            value = {"empty": " ", "number": 7, "repeated": random.choice(texts)}.get(kind, texts[-1])
            turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": value}]
            lines.append({"messages": turns if isinstance(value, str) else 7})
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{number}.jsonl").write_text(text, encoding="utf-8")
    return [SeedSource(str(folder / "*.jsonl"))]


@contextmanager
def both(folder: Path, sources: list[SeedSource], shuffle: Random | None = None) -> Iterator[tuple[SeedSet, Layout]]:
    """The data set as one machine reads it, and its layout, made of lines that come in any order, some twice."""
    found, store = pieces(sources), LocalFolder(folder / "x.run")
    lines = [line for piece in found for line in read_piece(piece, store, lambda: None)]
    if shuffle:
        lines += shuffle.sample(lines, len(lines) // 3)
        shuffle.shuffle(lines)
    survey = Survey(folder)
    for line in lines:
        survey.take(line)
    keep_layout(store, made_from(found), survey.layout(sources))
    with load_seeds(sources, folder / "seeds.sqlite") as seeds:
        yield seeds, known_layout(store, made_from(found))


@pytest.mark.parametrize("draw", range(12))
def test_partitions_hold_the_rows_and_groups_of_one_machine(tmp_path, draw, monkeypatch):
    random = Random(draw)
    monkeypatch.setattr(ingest, "CHUNK", random.choice((1, 3, 7, 50)))
    sources = write_data(tmp_path, random, random.randint(1, 6), random.choice((5, 60)))
    with both(tmp_path, sources, random) as (seeds, layout):
        store, size = LocalFolder(tmp_path / "x.run"), 10 * random.choice((1, 2, 5))
        assert (layout.total, int(layout.first_ids[-1])) == (len(seeds), seeds.total)
        partitions = Partitions(layout, size)
        read = [partitions.read(store, number) for number in range(len(partitions))]
        assert [group for some, _ in read for group in groups_of_ten(some)] == list(groups_of_ten(seeds))
        assert [row for _, aside in read for row in aside] == list(seeds.set_aside)
        assert all(len(some) == size for some, _ in read[:-1])

        few = Partitions(layout, 10, limit=4)
        assert [few.read(store, number) for number in range(len(few))] == [(seeds.get(seeds.ids[:4]), [])]


@pytest.mark.parametrize("draw", range(4))
def test_the_driver_finds_seeds_by_id_and_by_number(tmp_path, draw, monkeypatch):
    random = Random(f"find {draw}")
    monkeypatch.setattr(ingest, "CHUNK", 4)
    sources = write_data(tmp_path, random, 3, 40)
    with both(tmp_path, sources) as (seeds, layout):
        place = SimpleNamespace(here=lambda: LocalFolder(tmp_path / "x.run"))
        found = ClusterSeeds(None, place, layout)
        assert list(found.ids) == list(seeds.ids)
        assert (found.ids[-1], found.ids[2:5]) == (seeds.ids[-1], list(seeds.ids[2:5]))
        drawn, _ = split_seeds(found.ids, 5, 2, 42)
        assert found.get(drawn) == seeds.get(drawn)
        assert found.get(drawn)[0].context == (Message("system", "Be brief."),)
        assert (len(found), found.total) == (len(seeds), seeds.total)
        with pytest.raises(IndexError):
            found.ids[len(seeds)]
        with pytest.raises(KeyError):
            found.get([next(seeds.set_aside).id])


def test_a_partition_is_known_by_what_it_is_made_from(tmp_path, monkeypatch):
    monkeypatch.setattr(ingest, "CHUNK", 10)

    def sources(*texts: str) -> list[str]:
        lines = (json.dumps({"instruction": text}) + "\n" for text in texts)
        (tmp_path / "seeds.jsonl").write_text("".join(lines))
        with both(tmp_path, [SeedSource(str(tmp_path / "seeds.jsonl"))]) as (_, layout):
            partitions = Partitions(layout, 10)
            return [partitions.source(number, "work") for number in range(len(partitions))]

    texts = [f"Name {number} rivers." for number in range(30)]
    before = sources(*texts)
    assert sources(*texts) == before
    assert sources(*texts, "One more.")[:2] == before[:2]  # the last may get rows that are set aside
    changed = sources(*texts[:25], "Another.", *texts[26:])
    assert [old == new for old, new in zip(before, changed, strict=True)] == [True, False, False]
    shifted = sources("First.", *texts)
    assert not set(shifted) & set(before)  # all ids are others
    with both(tmp_path, [SeedSource(str(tmp_path / "seeds.jsonl"))]) as (_, layout):
        assert Partitions(layout, 10).source(0, "other work") not in shifted


def test_a_data_set_that_has_not_changed_is_not_read_again(tmp_path):
    path = tmp_path / "seeds.jsonl"
    path.write_text('{"instruction": "a"}\n')
    source = SeedSource(str(path))
    with both(tmp_path, [source]) as (_, layout):
        store = LocalFolder(tmp_path / "x.run")
        known = known_layout(store, made_from(pieces([source])))
        assert known.to_bytes() == layout.to_bytes()
    path.write_text('{"instruction": "a"}\n{"instruction": "b"}\n')
    assert known_layout(store, made_from(pieces([source]))) is None
    path.write_text('{"instruction": "a"}\n')
    with both(tmp_path, [source]):
        """Read anew, as its time of change is another one."""
    assert store.names("seeds") == ["seeds/000000-000000000000.parquet", "seeds/layout.npz", "seeds/made_from.txt"]


def test_what_is_wrong_with_a_piece_is_told_as_on_one_machine(tmp_path):
    (tmp_path / "seeds.jsonl").write_text('{"instruction": "a"}\n{"instruction": \n')
    piece = Piece(0, SeedSource(str(tmp_path / "seeds.jsonl")))
    [line] = read_piece(piece, LocalFolder(tmp_path / "x.run"), lambda: None)
    with pytest.raises(DataError, match=r"line 2 of .*seeds.jsonl is not valid JSON"):
        Survey(tmp_path).take(line)


def test_a_data_set_without_a_seed_says_why(tmp_path):
    (tmp_path / "seeds.jsonl").write_text('{"instruction": " "}\n{"instruction": 7}\n')
    with (
        pytest.raises(DataError, match=r"none of the 2 rows of .* is usable as a seed \(empty, not_text\)"),
        both(tmp_path, [SeedSource(str(tmp_path / "seeds.jsonl"))]),
    ):
        """Not reached."""


def test_a_chunk_that_is_gone_is_one_line(tmp_path):
    (tmp_path / "seeds.jsonl").write_text('{"instruction": "a"}\n')
    with both(tmp_path, [SeedSource(str(tmp_path / "seeds.jsonl"))]) as (_, layout):
        store = LocalFolder(tmp_path / "x.run")
        store.delete([chunk_name(0, 0)])
        with pytest.raises(DataError, match="gone from the run folder"):
            Partitions(layout, 10).read(store, 0)


def test_partitions_are_whole_groups_and_not_too_many():
    sizes = {seeds: partition_size(seeds) for seeds in (1, 1_000, 1_001, 10**6, 10**8, 10**9)}
    assert all(size % 10 == 0 for size in sizes.values())
    assert all(seeds / size <= 1_000_000 for seeds, size in sizes.items())
    assert sizes[1_000] == 10
