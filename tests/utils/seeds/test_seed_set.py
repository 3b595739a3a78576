"""Seed sets: what files and Hub data sets become, and what is said when they cannot be read."""

import bz2
import gzip
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from tests.hub_stub import HubStub, Repo
from tests.object_store import environment, object_store
from utils.errors import DataError
from utils.files.storage import ObjectStore
from utils.schema import SeedInstruction
from utils.seeds import SeedSource, iter_records, load_seeds, split_seeds
from utils.seeds.files import CHUNK

ROOT = Path(__file__).parents[3]
ROWS = [
    {"instruction": "Name a {colour}.", "response": "Red"},
    {"instruction": "서울의 인구를 쓰시오.\n\\frac{1}{2} 👋", "response": "약 940만 명"},
    {"instruction": '   padded, "quoted"', "response": ""},
]
SEEDS = [
    SeedInstruction(0, "Name a {colour}.", "Red"),
    SeedInstruction(1, "서울의 인구를 쓰시오.\n\\frac{1}{2} 👋", "약 940만 명"),
    SeedInstruction(2, '   padded, "quoted"'),
]


def as_lines(rows) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_parquet(rows) -> bytes:
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), sink)
    return sink.getvalue().to_pybytes()


def as_csv(rows) -> bytes:
    quoted = (["instruction", "response"], *(list(row.values()) for row in rows))
    return "".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\r\n" for row in quoted).encode()


@pytest.fixture
def load(tmp_path):
    """Write a file, load it, and give the seed set."""
    opened = []

    def loader(content: bytes | list, name: str = "seeds.jsonl", **fields):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else as_lines(content))
        opened.append(load_seeds([SeedSource(str(path), **fields)], tmp_path / f"{len(opened)}.sqlite"))
        return opened[-1]

    yield loader
    for seeds in opened:
        seeds.close()


def refusal(load, *args, **kwargs) -> str:
    with pytest.raises(DataError) as caught:
        load(*args, **kwargs)
    message = str(caught.value)
    assert message.splitlines() == [message]
    return message


# --- Formats -----------------------------------------------------------------------------------

COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}
FORMATS = {
    "lines.jsonl": as_lines(ROWS),
    "windows.jsonl": b"\xef\xbb\xbf" + as_lines(ROWS).replace(b"\n", b"\r\n") + b"\r\n\r\n",
    "unfinished.jsonl": as_lines(ROWS).rstrip(b"\n"),
    "array.json": json.dumps(ROWS).encode(),
    "indented.json": b"\xef\xbb\xbf\n" + json.dumps(ROWS, ensure_ascii=False, indent=2).encode(),
    "lists.json": json.dumps(COLUMNS).encode(),
    "pandas.json": json.dumps({name: dict(enumerate(values)) for name, values in COLUMNS.items()}).encode(),
    "wrapped.json": json.dumps({"version": "1", "data": ROWS}).encode(),
    "lines.json": as_lines(ROWS),
    "plain.csv": as_csv(ROWS),
    "excel.csv": b"\xef\xbb\xbf" + as_csv(ROWS),
    "UPPER.PARQUET": as_parquet(ROWS),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_seeds(load, name):
    assert list(load(FORMATS[name], name)) == SEEDS


def test_an_array_larger_than_the_window_is_read_whole(load):
    rows = [{"instruction": f"{i} " + "긴 글 " * (CHUNK // 2 if i == 1 else 40_000), "response": "x"} for i in range(4)]
    text = json.dumps(rows, ensure_ascii=False)
    assert len(text) > 2 * CHUNK
    assert [seed.text for seed in load(text.encode(), "big.json")] == [row["instruction"] for row in rows]


def test_a_csv_keeps_numbers_as_text_and_long_fields(load):
    long = "x" * 200_000
    seeds = list(load(f"instruction,response\n007,1.50\n{long},\n".encode(), "seeds.csv"))
    assert seeds == [SeedInstruction(0, "007", "1.50"), SeedInstruction(1, long)]


def test_a_table_gives_only_the_columns_that_are_needed(tmp_path):
    row = {"id": 5, "instruction": "a", "vector": [0.1] * 8, "input": "b", "response": "c"}
    (tmp_path / "seeds.parquet").write_bytes(as_parquet([row]))
    assert list(iter_records(SeedSource(str(tmp_path / "seeds.parquet")))) == [
        {"instruction": "a", "input": "b", "response": "c"}
    ]


def test_rows_are_read_only_as_far_as_they_are_asked_for(tmp_path):
    (tmp_path / "seeds.jsonl").write_bytes(as_lines([{"instruction": "fine"}]) + b"torn")
    rows = iter_records(SeedSource(str(tmp_path / "seeds.jsonl")))
    assert next(rows) == {"instruction": "fine"}


# --- Several files, compressed files, object stores ----------------------------------------------

PACKED = {"lines.jsonl.gz": gzip.compress, "array.json.bz2": bz2.compress, "plain.csv.gz": gzip.compress}


@pytest.mark.parametrize("name", PACKED)
def test_compressed_files_are_read(load, name):
    assert list(load(PACKED[name](FORMATS[name.rpartition(".")[0]]), name)) == SEEDS


def test_a_torn_compressed_file_is_one_line(load):
    assert "x.jsonl.gz" in refusal(load, gzip.compress(as_lines(ROWS) * 1000)[:-20], "x.jsonl.gz")
    assert "x.json.gz" in refusal(load, b"no gzip", "x.json.gz")


def many_files(write) -> None:
    """Nine rows in five files, of all formats but one that a glob `*.jsonl` alone would give."""
    for name, rows in {"b/2.jsonl": ROWS, "a/1.jsonl": ROWS, "b/10.parquet": ROWS, "b/deep/er.jsonl": ROWS[:1]}.items():
        made = [{**row, "instruction": f"{name} {row['instruction']}"} for row in rows]
        write(name, as_parquet(made) if name.endswith("parquet") else as_lines(made))
    write("b/_SUCCESS", b"")
    write("b/notes.txt", b"no data")


FILES = {  # what is asked for: the files that it means, in their order
    "a/1.jsonl": ["a/1.jsonl"],
    "*/*.jsonl": ["a/1.jsonl", "b/2.jsonl"],
    "**/*.jsonl": ["a/1.jsonl", "b/2.jsonl", "b/deep/er.jsonl"],
    "b/[0-9]*": ["b/10.parquet", "b/2.jsonl"],
}
FOLDERS = {"b": ["b/10.parquet", "b/2.jsonl", "b/deep/er.jsonl"]}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A folder and an object store that hold the same files: what a path below them begins with."""
    folder = tmp_path_factory.mktemp("files")

    def here(name: str, content: bytes) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    with object_store() as variables, environment(variables):
        many_files(here)
        many_files(ObjectStore("s3://bucket/some/place").write)
        yield {"folder": str(folder), "store": "s3://bucket/some/place"}


def texts_of(source: SeedSource) -> list[str]:
    return [row["instruction"] for row in iter_records(source)]


@pytest.mark.parametrize("place", ["folder", "store"])
@pytest.mark.parametrize("asked", FILES)
def test_globs_mean_files_in_the_order_of_their_names(places, place, asked):
    source = SeedSource(f"{places[place]}/{asked}")
    texts = texts_of(source)
    assert list(dict.fromkeys(text.split()[0] for text in texts)) == FILES[asked]
    assert len(texts) == sum(1 if "deep" in name else 3 for name in FILES[asked])


def test_a_folder_of_an_object_store_is_its_data_files(places):
    assert list(dict.fromkeys(t.split()[0] for t in texts_of(SeedSource(f"{places['store']}/b/")))) == FOLDERS["b"]


@pytest.mark.parametrize("asked", ["gone/*.jsonl", "a/*.csv"])
@pytest.mark.parametrize("place", ["folder", "store"])
def test_a_glob_that_nothing_fits_is_one_line(places, place, asked, tmp_path):
    with pytest.raises(DataError, match=r"^(no file fits|there is no) .*: check --data-path$"):
        load_seeds([SeedSource(f"{places[place]}/{asked}")], tmp_path / "s.sqlite")


@pytest.mark.parametrize("asked", ["gone.jsonl", "b/notes.txt", "b/_SUCCESS"])
def test_an_object_that_is_no_data_is_one_line(places, asked, tmp_path):
    with pytest.raises(DataError, match=r"there is no s3://|cannot tell what s3://"):
        load_seeds([SeedSource(f"{places['store']}/{asked}")], tmp_path / "s.sqlite")


def test_a_name_with_brackets_that_exists_is_no_glob(load):
    assert list(load(FORMATS["lines.jsonl"], "x[1].jsonl")) == SEEDS


def test_files_of_one_glob_share_their_columns(places, tmp_path):
    with load_seeds([SeedSource(f"{places['folder']}/**/*.jsonl")], tmp_path / "s.sqlite") as seeds:
        assert [seed.id for seed in seeds] == list(range(7))
        assert seeds.get([3])[0].reference == "Red"


# --- Files that cannot be read -----------------------------------------------------------------

KOREAN = "instruction\n안녕하세요\n".encode("cp949")
BAD = [
    ("x.jsonl", b"", "holds no rows"),
    ("x.json", b" \n", "holds no rows"),
    ("x.json", b"[]", "holds no rows"),
    ("x.json", b'{"data": []}', "holds no rows"),
    ("x.csv", b"", "holds no rows"),
    ("x.csv", b"instruction\n", "holds no rows"),
    ("x.parquet", b"", "not a valid Parquet file"),
    ("x.parquet", b"PAR1 torn", "not a valid Parquet file"),
    ("x.jsonl", b'{"instruction": "a"}\n\n{"instruction": \n', "line 3 of .*x.jsonl is not valid JSON"),
    ("x.jsonl", b'{"instruction": "a"}\n["b"]\n', "line 2 of .*x.jsonl is not an object"),
    ("x.jsonl", b'{"instruction": "a"}\n' + b"[" * 100_000, "line 2 of .*x.jsonl is not valid JSON"),
    ("x.jsonl", b'{"instruction": ' + b"9" * 5000 + b"}", "line 1 of .*x.jsonl is not valid JSON"),
    ("x.json", b'[{"instruction": "a"}, {"instruction": b}]', "record 2 of .*x.json is not valid JSON"),
    ("x.json", b'[{"instruction": "a"}, "b"]', "record 2 of .*x.json is not an object"),
    ("x.json", b'[{"instruction": "a"}, ]', "record 2 of .*x.json is not valid JSON"),
    ("x.json", b'[{"instruction": "a"}', "neither a comma nor the end follows record 1"),
    ("x.json", b'[{"instruction": "a"} {"instruction": "b"}]', "neither a comma nor the end follows record 1"),
    ("x.json", b'[{"instruction": "a"}] more', "text follows the end"),
    ("x.json", b'[{"instruction": "a', "record 1 of .*x.json is not valid JSON"),
    ("x.json", b'{"instruction": ["a", "b"], "response": ["c"]}', "columns of equal length"),
    ("x.json", b'{"instruction": {"0": "a"}, "response": {"1": "c"}}', "columns of equal length"),
    ("x.json", b'{"task": "a"}', "neither an array of records nor columns"),
    ("x.json", b"{}", "neither an array of records nor columns"),
    ("x.json", b'"text"', "is not an object"),
    ("x.csv", b"instruction,response\na,b,c\n", "line 2 of .*x.csv has more fields than its header"),
    ("x.csv", b'instruction,response\n"a,b\nc,d\n', "not valid CSV near line"),
    ("x.csv", KOREAN, "x.csv is not UTF-8; it reads as cp949: add --encoding cp949"),
    (
        "x.json",
        '[{"instruction": "안녕"}]'.encode("cp949"),
        "x.json is not UTF-8; it reads as cp949: add --encoding cp949",
    ),
    (
        "x.jsonl",
        as_lines(ROWS) + '{"instruction": "안녕"}'.encode("cp949"),
        "line 4 of .*x.jsonl is not UTF-8; it reads as cp949",
    ),
    ("x.jsonl", '{"instruction": "a"}'.encode("utf-16-le"), "x.jsonl is not UTF-8; it reads as utf-16-le"),
    ("x.jsonl", '{"instruction": "a"}\n'.encode("utf-16")[:-1], "x.jsonl is damaged or cut off: it begins as UTF-16"),
    ("x.csv", b"instruction\ncaf\xe9\n", "it reads as cp1252: add --encoding cp1252"),
    ("x.csv", b"instruction\n\x81\xff\n", "is not UTF-8: save it as UTF-8, or name its encoding with --encoding"),
    ("x.txt", b"hello", "use one of .jsonl, .ndjson, .json, .csv, .tsv, .parquet, .arrow"),
    ("noending", b"hello", "use one of .jsonl"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD)
def test_a_bad_file_is_one_line_that_names_it(load, name, content, message):
    said = refusal(load, content, name)
    assert name in said
    with pytest.raises(DataError, match=message):
        load(content, name)


@pytest.mark.parametrize("where", ["missing.jsonl", "no/such/folder", "./missing", "/missing", "notes.old"])
def test_a_missing_file_is_not_looked_for_on_the_hub(where, tmp_path):
    with pytest.raises(DataError, match=r"there is no file (.*missing|no/such/folder|notes.old)"):
        load_seeds([SeedSource(where)], tmp_path / "s.sqlite")


def test_an_empty_path_is_not_the_present_folder(tmp_path):
    with pytest.raises(DataError, match="--data-path is empty"):
        load_seeds([SeedSource("")], tmp_path / "s.sqlite")


def test_a_folder_without_data(tmp_path):
    (tmp_path / "seeds.json").mkdir()
    with pytest.raises(DataError, match="holds no rows, or no files that can be read"):
        load_seeds([SeedSource(str(tmp_path / "seeds.json"))], tmp_path / "s.sqlite")


def test_a_path_longer_than_the_system_takes(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .* check --data-path"):
        load_seeds([SeedSource("x" * 5000 + ".json")], tmp_path / "s.sqlite")


@pytest.mark.parametrize("field", ["split", "subset"])
def test_one_file_has_no_splits(load, field):
    assert f"leave out --{field}" in refusal(load, ROWS, **{field: "train"})


@pytest.mark.parametrize("name", ["x.jsonl", "x.parquet", "x.csv"])
@pytest.mark.parametrize(
    ("fields", "flag"),
    [
        ({}, "--instruction-field"),
        ({"instruction_field": "task"}, "--instruction-field"),
        ({"instruction_field": "문제", "response_field": "task"}, "--response-field"),
        ({"instruction_field": "문제", "input_field": "task"}, "--input-field"),
        ({"instruction_field": "문제", "keep_columns": ("task",)}, "--keep-columns"),
    ],
)
def test_a_missing_column_names_those_there_and_the_flag(load, name, fields, flag):
    rows = [{"문제": "q", "답": "a"}]
    content = {"x.jsonl": as_lines(rows), "x.parquet": as_parquet(rows), "x.csv": "문제,답\nq,a\n".encode()}
    said = refusal(load, content[name], name, **fields)
    assert f"it has '문제', '답': name one of them with {flag}" in said


def test_column_names_of_a_hostile_file_stay_on_one_line_and_are_few(load):
    rows = [{f"a\nb\x1b[31m{i}" + "x" * 500: 1 for i in range(300)}]
    assert len(refusal(load, rows)) < 2500


@pytest.mark.parametrize("rows", [[{"instruction": ""}, {"instruction": None}], [{"instruction": 1}]])
def test_a_set_without_a_usable_row_says_why(load, rows):
    said = refusal(load, rows)
    assert f"none of the {len(rows)} rows" in said
    assert ("empty" if len(rows) == 2 else "not_text") in said


def test_an_error_leaves_no_scratch_file(load, tmp_path):
    refusal(load, b"torn", "x.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["x.jsonl"]


# --- Rows --------------------------------------------------------------------------------------


def test_rows_set_aside_keep_their_id_and_say_why(load):
    values = [
        "Write a poem.",
        " \u200b\n",
        "Write  a\npoem. ",
        42,
        None,
        float("nan"),
        "half \ud83d",
        True,
        ["a"],
        "Last.",
    ]
    lines = [json.dumps({"instruction": value}) for value in values] + ['{"response": "alone"}']
    seeds = load("\n".join(lines).encode())
    assert (list(seeds.ids), len(seeds), seeds.total) == ([0, 9], 2, 11)
    assert list(seeds.set_aside) == [
        (1, " \u200b\n", "empty", None),
        (2, "Write  a\npoem. ", "duplicate", None),
        (3, "42", "not_text", None),
        (4, "", "empty", None),
        (5, "", "empty", None),
        (6, "half ?", "not_text", None),
        (7, "True", "not_text", None),
        (8, '["a"]', "not_text", None),
        (10, "", "empty", None),
    ]
    assert list(seeds.set_aside) == list(seeds.set_aside)


def test_composed_and_decomposed_hangul_are_one_instruction(load):
    seeds = load([{"instruction": "한국"}, {"instruction": "\u1112\u1161\u11ab\u1100\u116e\u11a8"}])
    assert [(row.id, row.reason) for row in seeds.set_aside] == [(1, "duplicate")]


def test_a_blank_tells_instructions_apart(load):
    assert len(load([{"instruction": "It is now here."}, {"instruction": "It is nowhere."}])) == 2


def test_equal_instructions_with_other_inputs_are_no_duplicates(load):
    rows = [{"instruction": "Translate.", "input": word} for word in ("cat", "dog", "cat")]
    seeds = load(rows)
    assert [seed.text for seed in seeds] == ["Translate.\n\ncat", "Translate.\n\ndog"]


@pytest.mark.parametrize(
    ("value", "text"), [("", "Do."), (None, "Do."), ("<noinput>", "Do."), (" x ", "Do.\n\n x "), (3, "Do.\n\n3")]
)
def test_an_input_is_joined_unless_it_is_empty(load, value, text):
    assert [seed.text for seed in load([{"instruction": "Do.", "input": value}])] == [text]


@pytest.mark.parametrize(
    ("value", "reference"), [(None, None), (" ", None), (float("nan"), None), (4, "4"), (0, "0"), (["a"], '["a"]')]
)
def test_a_response_becomes_text_or_nothing(load, value, reference):
    assert [seed.reference for seed in load([{"instruction": "q", "response": value}])] == [reference]


def test_other_columns_by_name(load):
    rows = [{"q": "ask", "a": "answer", "ctx": "context", "instruction": "no", "response": "no", "input": "no"}]
    seeds = load(rows, instruction_field="q", response_field="a", input_field="ctx")
    assert list(seeds) == [SeedInstruction(0, "ask\n\ncontext", "answer")]


def test_ids_and_duplicates_run_on_over_several_sources(tmp_path):
    sources = []
    for name, texts in {"ko": ["하나", "둘"], "en": ["one", "하나"]}.items():
        (tmp_path / f"{name}.jsonl").write_bytes(as_lines([{"instruction": text} for text in texts]))
        sources.append(SeedSource(str(tmp_path / f"{name}.jsonl")))
    with load_seeds(sources, tmp_path / "s.sqlite") as seeds:
        assert [(seed.id, seed.text) for seed in seeds] == [(0, "하나"), (1, "둘"), (2, "one")]
        assert list(seeds.set_aside) == [(3, "하나", "duplicate", None)]


def test_get_follows_the_ids_it_is_given_and_iteration_crosses_batches(load):
    seeds = load([{"instruction": f"number {i}"} for i in range(2500)])
    assert [seed.id for seed in seeds.get([2400, 3])] == [2400, 3]
    assert [seed.id for seed in seeds] == list(range(2500))


# --- Chats -------------------------------------------------------------------------------------

CHATS = {
    "messages": [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hello."}],
    "conversations": [{"from": "human", "value": "Hi?"}, {"from": "gpt", "value": "Hello."}],
}


@pytest.mark.parametrize("column", CHATS)
@pytest.mark.parametrize("name", ["chat.jsonl", "chat.parquet"])
def test_chat_columns_are_read_without_being_named(load, column, name):
    rows = [{"id": 1, column: CHATS[column]}]
    content = as_parquet(rows) if name.endswith("parquet") else as_lines(rows)
    assert list(load(content, name)) == [SeedInstruction(0, "Hi?", "Hello.")]


def test_a_chat_column_is_used_before_instruction_only_when_named(load):
    rows = [{"instruction": "plain", "messages": CHATS["messages"]}]
    assert [seed.text for seed in load(rows)] == ["plain"]
    assert [seed.text for seed in load(rows, instruction_field="messages")] == ["Hi?"]


def test_parts_of_a_turn_are_joined(load):
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    [seed] = load([{"messages": [{"role": "user", "content": parts}]}])
    assert (seed.text, seed.reference) == ("one\ntwo", None)


def test_turns_as_a_dict_of_lists(load):
    [seed] = load([{"messages": {"role": ["user", "assistant"], "content": ["Hi?", "Hello."]}}])
    assert (seed.text, seed.reference) == ("Hi?", "Hello.")


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([], "no_user_turn"),
        ([{"role": "assistant", "content": "a"}], "no_user_turn"),
        ([{"role": "user", "content": " "}], "empty"),
        ([{"role": "user", "content": 5}], "not_text"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "not_text"),
        ([{"speaker": "user"}], "unknown_shape"),
        ([{"role": "narrator", "content": "Once."}], "unknown_shape"),
        ("USER: Hi? ASSISTANT: Hello.", "unknown_shape"),
    ],
)
def test_a_chat_that_cannot_be_read_is_set_aside(load, turns, reason):
    seeds = load([{"messages": CHATS["messages"]}, {"messages": turns}])
    assert [(row.id, row.reason) for row in seeds.set_aside] == [(1, reason)]


# --- Train and dev -----------------------------------------------------------------------------


def test_train_and_dev_are_disjoint_and_depend_on_the_seed_alone():
    ids = list(range(0, 300, 3))
    train, dev = split_seeds(ids, 20, 50, 42)
    random.random()
    assert (train, dev) == split_seeds(ids, 20, 50, 42)
    assert (len(train), len(dev), len({*train, *dev} & {*ids})) == (20, 50, 70)
    assert (train, dev) != split_seeds(ids, 20, 50, 43)


def test_the_split_may_take_all_but_no_more():
    assert [sorted(part) for part in split_seeds(range(3), 3, 0, 1)] == [[0, 1, 2], []]
    with pytest.raises(
        DataError, match="--train-size 20 and --dev-size 50 need 70 seeds, but only 69 are usable: lower"
    ):
        split_seeds(range(69), 20, 50, 42)


# --- The Hub -----------------------------------------------------------------------------------

TOKEN, WRONG = "hf_rightToken123", "hf_wrongToken456"
CARD = b"---\nconfigs:\n- {config_name: en, data_files: en.jsonl}\n- {config_name: ko, data_files: ko.jsonl}\n---\n"
REPOS = {
    "org/public": Repo({"train.jsonl": as_lines(ROWS), "test.jsonl": as_lines(ROWS[:1])}),
    "org/one-split": Repo({"validation.jsonl": as_lines(ROWS)}),
    "org/two-splits": Repo({"validation.jsonl": as_lines(ROWS), "test.jsonl": as_lines(ROWS)}),
    "org/subsets": Repo({"README.md": CARD, "en.jsonl": as_lines(ROWS[:1]), "ko.jsonl": as_lines(ROWS[1:2])}),
    "org/private": Repo({"train.parquet": as_parquet(ROWS)}, private=True),
    "org/gated": Repo({"train.csv": as_csv(ROWS)}, gated=True),
    "org/closed": Repo({"train.csv": as_csv(ROWS)}, gated=True),
    "org/empty": Repo(),
    "org/empty-file": Repo({"train.jsonl": b""}),
    "org/torn": Repo({"train.jsonl": b'{"instruction": "a"}\n{"instruction": \n'}),
    "org/cp949": Repo({"train.jsonl": '{"instruction": "안녕"}\n'.encode("cp949")}),
    "org/ours": Repo(
        {
            "seeds.jsonl": as_lines(ROWS),
            **{name: as_lines([{"instruction": name}]) for name in ("out.jsonl", "out.run/rejects.jsonl")},
        }
    ),
    "org/failing": Repo(info_status=500),
    "org/limited": Repo(info_status=429),
    "org/unfetched": Repo({"train.jsonl": as_lines(ROWS)}, file_status=403),
}
HUB_CASES = {  # name of the case: (fields of its source, MY_HF_TOKEN)
    "public": ({"data_path": "org/public"}, ""),
    "other split": ({"data_path": "org/public", "split": "test"}, ""),
    "slice": ({"data_path": "org/public", "split": "train[1:]"}, ""),
    "only split": ({"data_path": "org/one-split"}, ""),
    "subset": ({"data_path": "org/subsets", "subset": "ko"}, ""),
    "all but train": ({"data_path": "org/public", "split": "*"}, ""),
    "all subsets": ({"data_path": "org/subsets", "split": "*"}, ""),
    "private": ({"data_path": "org/private"}, TOKEN),
    "gated": ({"data_path": "org/gated"}, TOKEN),
    "with a run": ({"data_path": "org/ours"}, ""),
    "no split": ({"data_path": "org/two-splits"}, ""),
    "missing split": ({"data_path": "org/public", "split": "dev"}, ""),
    "no subset": ({"data_path": "org/subsets"}, ""),
    "missing subset": ({"data_path": "org/subsets", "subset": "fr"}, ""),
    "missing column": ({"data_path": "org/public", "instruction_field": "task"}, ""),
    "private without token": ({"data_path": "org/private"}, ""),
    "gated without token": ({"data_path": "org/closed"}, ""),
    "unknown": ({"data_path": "org/unknown"}, ""),
    "wrong token, though cached": ({"data_path": "org/public"}, WRONG),
    "token no header can hold": ({"data_path": "org/public"}, WRONG + "\n비밀"),
    "no name": ({"data_path": "a b/c"}, ""),
    "empty": ({"data_path": "org/empty"}, ""),
    "empty file": ({"data_path": "org/empty-file"}, ""),
    "torn": ({"data_path": "org/torn"}, ""),
    "cp949": ({"data_path": "org/cp949"}, ""),
    "failing": ({"data_path": "org/failing"}, ""),
    "limited": ({"data_path": "org/limited"}, ""),
    "unfetched": ({"data_path": "org/unfetched"}, ""),
}
READ = list(HUB_CASES)[:10]
HUB_REFUSALS = {
    "no split": "has no split 'train'; it has 'validation', 'test': name one of them with --split",
    "missing split": "has no split 'dev'; it has 'train', 'test': name one of them with --split",
    "no subset": "has several subsets: 'en', 'ko': name one of them with --subset",
    "missing subset": "has no subset 'fr'; it has 'en', 'ko': name one of them with --subset",
    "missing column": "has no column 'task'; it has 'instruction', 'response': name one of them",
    "private without token": "set MY_HF_TOKEN to a token that may read it",
    "gated without token": "org/closed is gated: accept its terms on its page, then set MY_HF_TOKEN",
    "unknown": "there is no data set org/unknown on the Hub",
    "wrong token, though cached": "the Hub refuses the token (401)",
    "token no header can hold": "MY_HF_TOKEN holds characters that no token has",
    "no name": "no name of a Hub data set (ORG/NAME)",
    "empty": "holds no rows",
    "empty file": "holds no rows",
    "torn": "line 2 of org/torn/train.jsonl is not valid JSON",
    "cp949": "line 1 of org/cp949/train.jsonl is not UTF-8",
    "failing": "the Hub failed (500)",
    "limited": "(429)",
    "unfetched": "the files of org/unfetched cannot be fetched",
}

WORKER = """
import json, logging, os, sys
from dataclasses import asdict
from pathlib import Path
from utils.seeds import SeedSource, load_seeds
from utils.errors import DataError

notes = []
logging.getLogger("utils.seeds").addHandler(logging.NullHandler())
logging.getLogger("utils.seeds").handlers[0].handle = lambda record: notes.append(record.getMessage())
results = {}
for name, (fields, token) in json.load(sys.stdin).items():
    os.environ["MY_HF_TOKEN"] = token
    notes.clear()
    try:
        with load_seeds([SeedSource(**fields)], Path(sys.argv[1])) as seeds:
            results[name] = {"seeds": [asdict(seed) for seed in seeds]}
    except DataError as exc:
        results[name] = {"error": str(exc)}
    results[name]["notes"] = list(notes)
json.dump(results, sys.stdout)
"""


def in_a_process(folder: Path, cases: dict, **environment: str) -> tuple[dict, str]:
    """What each case gives in a fresh process whose cache is in `folder`, and all that it wrote."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    ran = subprocess.run(
        [sys.executable, "-c", WORKER, str(folder / "seeds.sqlite")],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        env=clean | {"HF_HOME": str(folder / "cache"), "PYTHONPATH": str(ROOT)} | environment,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout), ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """All cases against the stand-in, in one process: (results by case, all output)."""
    with HubStub(REPOS, tokens=(TOKEN,)) as stub:
        return in_a_process(tmp_path_factory.mktemp("hub"), HUB_CASES, HF_ENDPOINT=stub.url)


@pytest.mark.parametrize(
    ("case", "texts"),
    [
        ("public", [seed.text for seed in SEEDS]),
        ("other split", [SEEDS[0].text]),
        ("slice", [seed.text for seed in SEEDS[1:]]),
        ("only split", [seed.text for seed in SEEDS]),
        ("subset", [SEEDS[1].text]),
        ("all but train", [SEEDS[0].text]),
        ("all subsets", [seed.text for seed in SEEDS[:2]]),
        ("private", [seed.text for seed in SEEDS]),
        ("gated", [seed.text for seed in SEEDS]),
        ("with a run", [seed.text for seed in SEEDS]),
    ],
)
def test_a_hub_data_set_is_read(hub, case, texts):
    results, _ = hub
    assert [seed["text"] for seed in results[case].get("seeds", results[case])] == texts


def test_references_come_from_the_hub_too(hub):
    results, _ = hub
    assert [seed["reference"] for seed in results["public"]["seeds"]] == [seed.reference for seed in SEEDS]


@pytest.mark.parametrize("case", HUB_REFUSALS)
def test_a_hub_data_set_that_cannot_be_read_is_one_line(hub, case):
    results, _ = hub
    said = results[case].get("error", "it was read")
    assert HUB_REFUSALS[case] in said
    assert said.splitlines() == [said]


def test_every_hub_case_is_checked():
    assert set(HUB_REFUSALS) == set(HUB_CASES) - set(READ)


def test_tokens_and_progress_bars_reach_no_output(hub):
    results, output = hub
    assert TOKEN not in output
    assert WRONG not in output
    assert output == json.dumps(results)


def test_no_network_is_said_at_once_and_a_copy_is_used_only_on_request(tmp_path):
    case = {"it": HUB_CASES["public"]}
    dead = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    with HubStub(REPOS) as stub:
        in_a_process(tmp_path, case, HF_ENDPOINT=stub.url)
    alone, _ = in_a_process(tmp_path, case, **dead)
    assert "cannot reach the Hub for org/public (ConnectError)" in alone["it"]["error"]
    asked, _ = in_a_process(tmp_path, case | {"unknown": HUB_CASES["only split"]}, **dead, HF_HUB_OFFLINE="1")
    assert len(asked["it"]["seeds"]) == len(SEEDS)
    assert any("the copy in the cache" in note for note in asked["it"]["notes"])
    assert "the cache holds no copy of org/one-split" in asked["unknown"]["error"]


def test_an_older_copy_is_announced(tmp_path):
    case = {"it": HUB_CASES["public"]}
    repo = Repo({"train.jsonl": as_lines(ROWS)})
    with HubStub({"org/public": repo}) as stub:
        in_a_process(tmp_path, case, HF_ENDPOINT=stub.url)
        repo.files["train.jsonl"], repo.file_status = as_lines(ROWS[:1]), 403
        second, _ = in_a_process(tmp_path, case, HF_ENDPOINT=stub.url)
    assert len(second["it"]["seeds"]) == len(SEEDS)
    assert any("older copy" in note for note in second["it"]["notes"])


def test_a_folder_is_read_without_the_hub(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_bytes(as_lines(ROWS))
    (tmp_path / "nothing").mkdir()
    cases = {name: ({"data_path": str(tmp_path / name)}, "") for name in ("data", "nothing")}
    results, _ = in_a_process(tmp_path, cases, HF_ENDPOINT="http://127.0.0.1:9")
    assert [seed["text"] for seed in results["data"]["seeds"]] == [seed.text for seed in SEEDS]
    assert "holds no rows, or no files that can be read" in results["nothing"]["error"]
