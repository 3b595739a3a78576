"""Files of seeds as they come: which of them are read, in which encoding, with which delimiter, in which shape."""

import json
import logging
from pathlib import Path

import pyarrow
import pytest

from utils.errors import DataError
from utils.seeds import SeedSource, load_seeds

ROWS = [{"instruction": "Why is chalk white?", "response": "Calcite."}, {"instruction": "왜?", "response": "0042"}]


def lines(rows) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def arrow(kind) -> bytes:
    table, sink = pyarrow.Table.from_pylist(ROWS), pyarrow.BufferOutputStream()
    with kind(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


@pytest.fixture
def read(tmp_path):
    """Write files, and give what is read of a path below them as (instruction, response)."""

    def reader(files: dict[str, bytes], path: str | None = None, **fields) -> list[tuple]:
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
        source = SeedSource(str(tmp_path / (path or next(iter(files)))), **fields)
        with load_seeds([source], tmp_path / "seeds.sqlite") as seeds:
            return [(seed.text, seed.reference) for seed in seeds]

    return reader


BOTH = [(row["instruction"], row["response"]) for row in ROWS]
TABLE = "instruction,response\nWhy is chalk white?,Calcite.\n왜?,0042\n"
FILES = {
    "x.ndjson": lines(ROWS),
    "array.jsonl": json.dumps(ROWS).encode(),
    "values.json": b"\n".join(json.dumps(row, indent=1).encode() for row in ROWS),
    "values.jsonl": b"\n".join(json.dumps(row, indent=1).encode() for row in ROWS),
    "wrapped.json": json.dumps({"data": ROWS, "languages": ["ko", "en"]}).encode(),
    "wrapped.jsonl": json.dumps({"data": ROWS}).encode(),
    "viewer.json": json.dumps({"rows": [{"row_idx": n, "row": row} for n, row in enumerate(ROWS)]}).encode(),
    "splits.json": json.dumps({"train": ROWS, "test": ROWS[:1]}).encode(),
    "columns.json": json.dumps({name: [row[name] for row in ROWS] for name in ROWS[0]}).encode(),
    "x.tsv": TABLE.replace(",", "\t").encode(),
    "tab.csv": TABLE.replace(",", "\t").encode(),
    "semicolon.csv": TABLE.replace(",", ";").encode(),
    "pipe.csv": TABLE.replace(",", "|").encode(),
    "utf16.csv": TABLE.encode("utf-16"),
    "utf16.jsonl": lines(ROWS).decode().encode("utf-16"),
    "utf16.json": json.dumps(ROWS, ensure_ascii=False).encode("utf-16"),
    "stream.arrow": arrow(pyarrow.ipc.new_stream),
    "file.arrow": arrow(pyarrow.ipc.new_file),
    "x.feather": arrow(pyarrow.ipc.new_file),
}


@pytest.mark.parametrize("name", FILES)
def test_every_shape_of_file_gives_the_same_rows(read, name):
    assert read({name: FILES[name]}) == BOTH


TURNS = [[{"from": "human", "value": "Hi?"}, {"from": "gpt", "value": "Hello."}], [["More?", "No."]]]
BARE = {
    "array.json": json.dumps(TURNS).encode(),
    "lines.jsonl": lines(TURNS[:1]) + json.dumps(TURNS[0]).replace("Hi", "More").replace("Hello", "No").encode(),
    "strings.jsonl": lines([["Hi?", "Hello."], ["More?", "No."]]),
}


@pytest.mark.parametrize("name", BARE)
def test_rows_may_be_bare_chats(read, name):
    assert read({name: BARE[name]}) == [("Hi?", "Hello."), ("More?", "No.")]


def test_a_single_chat_on_one_line_is_one_row(read):
    row = {"source": "own", "conversation": [{"input": "Hi?", "output": "Hello."}]}
    assert read({"x.jsonl": lines([row])}) == [("Hi?", "Hello.")]
    assert read({"x.jsonl": lines([{"messages": [{"role": "user", "content": "Hi?"}]}])}) == [("Hi?", None)]
    assert read({"x.json": json.dumps(ROWS[0]).encode()}) == BOTH[:1]


def test_a_split_within_a_file(read):
    assert read({"splits.json": FILES["splits.json"]}, split="test") == BOTH[:1]
    with pytest.raises(DataError, match="has no split 'dev'; it has 'train', 'test': name one of them with --split"):
        read({"splits.json": FILES["splits.json"]}, split="dev")
    with pytest.raises(DataError, match=r"several lists of rows: 'a', 'b': name one of them with --split"):
        read({"x.json": json.dumps({"a": ROWS, "b": ROWS}).encode()})


def test_an_encoding_is_told_and_can_be_given(read):
    korean = {"x.csv": TABLE.encode("cp949"), "x.jsonl": lines(ROWS).decode().encode("cp949")}
    for name, content in korean.items():
        with pytest.raises(DataError, match=rf"{name} is not UTF-8; it reads as cp949: add --encoding cp949"):
            read({name: content})
        assert read({name: content}, encoding="cp949") == BOTH
    with pytest.raises(DataError, match=r"x.csv is not ascii: leave out --encoding, or give it another one"):
        read({"x.csv": TABLE.encode()}, encoding="ascii")


def test_a_delimiter_that_is_not_the_usual_one_is_told(read, caplog):
    with caplog.at_level(logging.INFO, "utils.seeds"):
        read({"semicolon.csv": FILES["semicolon.csv"]})
        read({"x.tsv": FILES["x.tsv"]})
    assert [line for line in caplog.messages if "separated" in line and "';'" in line]
    assert not [line for line in caplog.messages if "x.tsv" in line]


def test_a_comma_in_a_name_of_a_column_does_not_win(read):
    assert read({"x.csv": b"instruction;response;notes, in short\na;b;c\n"}) == [("a", "b")]


BAD = {
    "short.csv": (
        b"id,instruction,response\n1,Write\nmore,b\n",
        "line 2 of .*short.csv has fewer fields than its header",
    ),
    "long.csv": (b"instruction\na\nb,c\n", "line 3 of .*long.csv has more fields"),
    "twice.csv": (b"instruction,response,instruction\na,b,c\n", "twice.csv has more than one column 'instruction'"),
    "odd.csv": (b"instruction^response\na^b\n", "has no column .* separate them by commas"),
    "json.csv": (lines(ROWS), "json.csv holds JSON, no table: rename it to end in .jsonl"),
    "table.jsonl": (TABLE.encode(), "line 1 of .*table.jsonl is not valid JSON .* must end in .csv"),
    "parquet.jsonl": (b"PAR1....PAR1", "parquet.jsonl holds what a .parquet file holds: rename it to parquet.parquet"),
    "arrow.csv": (FILES["file.arrow"], "rename it to arrow.arrow"),
    "book.csv": (b"PK\x03\x04....", "book.csv is a .zip file by its content: save its rows as"),
    "packed.jsonl": (b"\x1f\x8b\x08....", "packed.jsonl holds what a .gz file holds: rename it to packed.jsonl.gz"),
    "plain.jsonl.gz": (lines(ROWS), "plain.jsonl.gz is not compressed: take .gz off its name"),
    "text.parquet": (TABLE.encode(), "text.parquet holds text, no .parquet: rename it to end in .jsonl, .json, .csv"),
    "torn.arrow": (b"ARROW1 torn", "torn.arrow is not a valid Arrow file"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_a_file_is_told_with_its_remedy(read, name):
    content, message = BAD[name]
    with pytest.raises(DataError, match=message) as caught:
        read({name: content})
    assert "\n" not in str(caught.value)


def test_texts_of_a_folder_are_texts(read):
    table = b"instruction,response\nNamibia?,NA\nNone?,None\nCode?,0042\nWhen?,2024-05-01\n"
    assert [answer for _, answer in read({"d/train.csv": table}, "d")] == ["NA", "None", "0042", "2024-05-01"]


def test_a_data_set_that_was_saved_to_disk(read):
    files = {"d/data-00000-of-00001.arrow": FILES["stream.arrow"], "d/state.json": b"{}", "d/dataset_info.json": b"{}"}
    assert read(files, "d") == BOTH
    assert read({f"s/{split}/data-0.arrow": FILES["stream.arrow"] for split in ("test", "train")}, "s") == BOTH


def test_splits_of_a_folder_are_told_by_names(read, caplog):
    files = {
        "d/train-1.jsonl": lines(ROWS[:1]),
        "d/sub/train_2.jsonl": lines(ROWS[1:]),
        "d/dev/x.jsonl": lines(ROWS[1:]),
    }
    assert sorted(read(files, "d")) == sorted(BOTH)
    assert read(files, "d", split="validation") == BOTH[1:]
    assert read(files, "d", split="train[:50%]+validation") in ([BOTH[0], BOTH[1]], [BOTH[1]])
    with pytest.raises(DataError, match="has no split 'test'; it has 'train', 'validation'"):
        read(files, "d", split="test")
    with caplog.at_level(logging.INFO, "utils.seeds"):
        read({"d/more.jsonl": lines(ROWS), "d/notes.txt": b"x"}, "d")
    assert "more.jsonl" in caplog.text
    assert "not read, as they are no data files: notes.txt" in caplog.text


def test_a_readme_that_describes_a_folder_is_followed(read):
    card = b"---\nconfigs:\n- config_name: ko\n  data_files: b.jsonl\n- config_name: en\n  data_files: a.jsonl\n---\n"
    files = {"d/README.md": card, "d/a.jsonl": lines(ROWS[:1]), "d/b.jsonl": lines(ROWS[1:])}
    assert read(files, "d", subset="ko") == BOTH[1:]


# --- What runs have written ---------------------------------------------------------------------


def with_results(folder: Path) -> None:
    """A result with its export and run folder, a folder of partitions, and hidden files."""
    made = {"out.jsonl": 1, "out.messages.jsonl": 2, "out.run/rejects.jsonl": 3, "out.run/earlier/1/out.jsonl": 4}
    made |= {"cluster.parquet/part-0.jsonl": 5, ".out.jsonl.tmp": 6, ".hidden.jsonl": 7}
    for name, number in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(lines([{"instruction": f"made by a run {number}"}]))
    for name in ("out.run", "cluster.run"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "config.json").write_text("{}")
    (folder / "seeds.jsonl").write_bytes(lines(ROWS))
    (folder / "not.run").mkdir()
    (folder / "not.run" / "more.jsonl").write_bytes(lines([{"instruction": "Mine."}]))


@pytest.mark.parametrize("path", ["", "**/*.jsonl"])
def test_what_runs_have_written_is_not_read_and_told(tmp_path, read, path, caplog):
    folder = tmp_path / "d"
    folder.mkdir()
    with_results(folder)
    with caplog.at_level(logging.INFO, "utils.seeds"):
        texts = [text for text, _ in read({}, f"d/{path}")]
    assert texts == ["Mine.", *(text for text, _ in BOTH)]
    [told] = [line for line in caplog.messages if line.startswith("not read, as runs have written them")]
    assert "out.jsonl" in told


def test_a_result_that_is_named_is_read(tmp_path, read):
    folder = tmp_path / "d"
    folder.mkdir()
    with_results(folder)
    assert read({}, "d/out.jsonl") == [("made by a run 1", None)]
