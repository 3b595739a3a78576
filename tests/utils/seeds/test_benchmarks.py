"""Benchmarks: what names one, which of its rows are items, and errors in terms of its own flag."""

import json
from pathlib import Path

import pytest

from utils.errors import DataError
from utils.seeds.benchmarks import benchmark_source, load_items
from utils.seeds.source import ALL_BUT_TRAIN, NO_JOINING

ROWS = [{"question": "Name a river.", "context": "Only in Asia.", "answer": "Han"}, {"question": "", "answer": "x"}]


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.jsonl", "odd:name.jsonl", "data/test.jsonl", "data/train.jsonl", "alone/train.jsonl"):
        path = Path(name)
        path.parent.mkdir(exist_ok=True)
        write(path, [{**row, "split": name} for row in ROWS])


def write(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "path", "column"),
    [
        ("b.jsonl", "b.jsonl", None),
        ("b.jsonl:question", "b.jsonl", "question"),
        ("b.jsonl:", "b.jsonl", None),
        ("odd:name.jsonl", "odd:name.jsonl", None),
        ("odd:name.jsonl:question", "odd:name.jsonl", "question"),
        ("org/name", "org/name", None),
        ("org/name:turns.0", "org/name", "turns.0"),
        ("data/*.jsonl:question", "data/*.jsonl", "question"),
        ("s3://bucket/b.parquet", "s3://bucket/b.parquet", None),
        ("s3://bucket/b.parquet:question", "s3://bucket/b.parquet", "question"),
        ("s3://bucket/b.parquet?endpoint_override=127.0.0.1:9000", None, None),
    ],
)
def test_a_name_is_a_path_or_a_hub_data_set_and_maybe_a_column(name, path, column):
    source = benchmark_source(name)
    assert (source.data_path, source.instruction_field) == (path or name, column)
    assert (source.split, source.turn) == (ALL_BUT_TRAIN, "all")
    assert source.input_field == (NO_JOINING if column else None)


def test_without_a_column_a_row_is_what_it_would_be_as_a_seed_and_with_one_the_column_alone():
    assert list(load_items("b.jsonl")) == ["Name a river.\n\nOnly in Asia."]
    assert list(load_items("b.jsonl:question")) == ["Name a river."]
    assert list(load_items("b.jsonl:answer")) == ["Han", "x"]


def test_every_turn_of_a_user_is_an_item(tmp_path):
    chat = [{"role": role, "content": role + n} for n in "12" for role in ("user", "assistant")]
    write(tmp_path / "chat.jsonl", [{"messages": chat}])
    assert list(load_items("chat.jsonl")) == ["user1", "user2"]


def test_the_split_for_training_is_no_benchmark_unless_there_is_no_other():
    assert list(load_items("data:split")) == ["data/test.jsonl"] * 2
    assert list(load_items("alone:split")) == ["alone/train.jsonl"] * 2


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("nowhere.jsonl", None, "there is no file nowhere.jsonl: give --decontaminate a file"),
        ("b.jsonl:nothing", None, "b.jsonl has no column 'nothing'; it has 'question', 'context', 'answer', 'split'"),
        ("x.jsonl", b"", "x.jsonl holds no rows"),
        ("x.jsonl:a", b'{"a": ""}\n', "no row of x.jsonl holds an item: name its column, --decontaminate NAME:COLUMN"),
        ("x.csv", "question\n강\n".encode("cp949") * 9, "x.csv is not UTF-8; it reads as cp949: save it as UTF-8"),
        ("x.json", b'{"a": [{"q": "b"}], "b": [{"q": "b"}]}', "put the list of its items into a file of its own"),
    ],
)
def test_what_is_wrong_is_told_in_terms_of_the_flag(name, content, said):
    if content is not None:
        Path(name.partition(":")[0]).write_bytes(content)
    with pytest.raises(DataError) as error:
        list(load_items(name))
    message = str(error.value)
    assert message.startswith("--decontaminate: ")
    assert said in message
    assert not any(flag in message for flag in ("--data-path", "-field", "--split", "--encoding", "--subset"))
