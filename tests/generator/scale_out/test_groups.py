"""The files of groups: what is written is finished, and nothing else is."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-ray.txt")

from generator.scale_out import groups as module
from generator.scale_out.groups import SEEDS, Groups
from tests.builders import seeds as seeds_of
from utils.files.row_store import RowStore
from utils.files.storage import LocalFolder, Store
from utils.files.writing import parquet_bytes, parquet_rows
from utils.schema import Message, SeedInstruction


@pytest.fixture
def store(tmp_path) -> LocalFolder:
    return LocalFolder(tmp_path)


@pytest.fixture
def rows(tmp_path):
    with RowStore(tmp_path / "store") as store:
        yield store


def groups(store: Store, count: int = 25, work: str = "work") -> Groups:
    return Groups(store, seeds_of(count), work)


def names(of: Groups) -> list[str]:
    return [name for name, *_ in of.named()]


def write_rows(store: Store, file: str, *named: tuple[str, list[int]]) -> None:
    """What Ray Data writes of groups: an evolved row by each key, the last one eliminated."""
    kinds = [(name, [[key, ["evolved", {"id": key}]] for key in keys]) for name, keys in named]
    for _, records in kinds:
        records[-1][1][0] = "eliminated"
    lines = [{"group": name, "records": json.dumps(records)} for name, records in kinds]
    store.write(f"rows/{file}.parquet", parquet_bytes(lines, {"group": str, "records": str}))


def written(store: Store) -> dict[str, list[SeedInstruction]]:
    files = [parquet_rows(store.read(name)) for name in store.names("groups")]
    return {row["group"]: SEEDS.validate_python(json.loads(row["seeds"])) for file in files for row in file}


def test_groups_are_those_of_row_order_and_come_back_as_they_were(store, monkeypatch):
    monkeypatch.setattr(module, "IN_A_FILE", 2)
    seeds = seeds_of(25)
    turns = (Message("system", "Be brief."), Message("user", "Who?"))
    seeds[3] = replace(seeds[3], text="한글 \n {x}", reference="r", context=turns, extra={"n": [{"a": None}]})
    of = Groups(store, seeds, "work")
    of.write(set(names(of)))
    assert list(written(store).values()) == [seeds[:10], seeds[10:20], seeds[20:]]
    assert len(store.names("groups")) == 2
    of.write({names(of)[1]})
    assert written(store) == {names(of)[1]: seeds[10:20]}
    assert len(store.names("groups")) == 1


def test_a_name_stands_for_seeds_and_work_and_place(store):
    before = names(groups(store))
    assert len(set(before)) == 3
    assert names(groups(store)) == before
    assert not set(names(groups(store, work="other"))) & set(before)
    assert names(groups(store, count=23))[:2] == before[:2]
    assert names(groups(store, count=23))[2] != before[2]


def test_what_is_written_is_gathered_once(store, rows):
    of = groups(store)
    first, second, third = names(of)
    todo = {first, second, third}
    assert of.gather(todo, rows) == (0, 0)
    write_rows(store, "a", (first, [0, 1, 2]), (third, [20, 21]))
    assert of.gather(todo, rows) == (5, 2)
    assert (todo, [key for key, _ in rows.items()]) == ({second}, [0, 1, 2, 20, 21])
    write_rows(store, "b", (third, [20, 21]), (second, [10]))  # a task that Ray has done twice
    assert of.gather(todo, rows) == (1, 1)
    assert not todo
    assert len(store.names("rows")) == 2


def test_files_of_other_work_and_halves_of_files_are_deleted(store, rows, tmp_path):
    of = groups(store)
    todo = set(names(of))
    write_rows(store, "other", ("a name of other seeds", [7]))
    write_rows(store, "fine", (names(of)[0], [0]))
    whole = Path(tmp_path / "rows/fine.parquet").read_bytes()
    store.write("rows/half.parquet", whole[: len(whole) // 2])
    store.write("rows/empty.parquet", b"")
    assert of.gather(todo, rows) == (1, 1)
    assert store.names("rows") == ["rows/fine.parquet"]
    assert todo == set(names(of)[1:])
