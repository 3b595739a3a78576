"""Exported shapes: what trainers load, with what a chat seed began with, in all formats."""

import json
import logging
import os

import pytest

from tests.builders import HOSTILE, answered, evolved, seed
from utils.errors import DataError
from utils.outputs.export import SHAPES, export_path, export_rows
from utils.rows.records import stored_row
from utils.schema import PASSED, Message, RowOutcome, SeedInstruction

SUFFIXES = (".json", ".jsonl", ".parquet")
TEXTS = [*HOSTILE.values(), "\x00\x1f\u2028", "👩‍👩‍👧‍👦 é ﬁ"]
CONTEXT = (Message("system", "Be brief."), Message("user", "Hi?"), Message("assistant", "Hello."))
CHAT = SeedInstruction(3, "More?", "No.", CONTEXT)


def record(start: SeedInstruction, text: str, answer: str = "an answer") -> dict:
    trajectory = evolved(start, text)
    return stored_row(RowOutcome(trajectory, PASSED, answers=answered(trajectory, answer)), "a-model")[1]


PLAIN = [record(seed(text, id), text + "!", text[::-1] + "?") for id, text in enumerate(TEXTS)]


def read(path) -> list[dict]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_table(path).to_pylist()
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.split("\n")[:-1]]


def exported(folder, shape: str, records: list[dict], suffix: str = ".jsonl") -> list[dict]:
    path = export_path(folder / f"x{suffix}", shape)
    assert export_rows(path, shape, lambda: iter(records)) == len(records)
    return read(path)


CHATTED = record(CHAT, "How are you?", "Well.")


def test_the_file_lies_beside_the_result(tmp_path):
    assert export_path(tmp_path / "a.b.json", "alpaca") == tmp_path / "a.b.alpaca.json"
    assert export_path(tmp_path / "x.parquet", "sharegpt") == tmp_path / "x.sharegpt.parquet"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_text_comes_back_in_every_shape(tmp_path, suffix):
    pairs = [(row["instruction"], row["response"]) for row in PLAIN]
    assert exported(tmp_path, "alpaca", PLAIN, suffix=suffix) == [
        {"instruction": asked, "input": "", "output": told} for asked, told in pairs
    ]
    assert exported(tmp_path, "messages", PLAIN, suffix=suffix) == [
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": told}]}
        for asked, told in pairs
    ]
    assert exported(tmp_path, "sharegpt", PLAIN, suffix=suffix) == [
        {"conversations": [{"from": "human", "value": asked}, {"from": "gpt", "value": told}]} for asked, told in pairs
    ]
    assert sorted(os.listdir(tmp_path)) == sorted(f"x.{shape}{suffix}" for shape in SHAPES)


SAID = ["Be brief.", "Hi?", "Hello.", "How are you?", "Well."]
NAMES = {
    "messages": ["system", *["user", "assistant"] * 2],
    "sharegpt": ["system", *["human", "gpt"] * 2],
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("shape", "column", "role", "text"),
    [("messages", "messages", "role", "content"), ("sharegpt", "conversations", "from", "value")],
)
def test_a_row_is_the_conversation_that_its_answer_was_asked_for_with(tmp_path, suffix, shape, column, role, text):
    [kept, _] = exported(tmp_path, shape, [CHATTED, record(seed(id=5), "Another?")], suffix)
    names = NAMES[shape]
    assert kept == {column: [{role: name, text: content} for name, content in zip(names, SAID, strict=True)]}


def test_alpaca_has_a_system_column_in_all_rows_or_none(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "utils.outputs.export"):
        rows = exported(tmp_path, "alpaca", [record(seed(id=5), "Why?"), CHATTED])
    assert [(row["instruction"], row["system"]) for row in rows] == [("Why?", ""), ("How are you?", "Be brief.")]
    assert [note.getMessage() for note in caplog.records] == [
        "--export alpaca has no place for turns before the instruction, which 1 rows have: "
        "messages and sharegpt keep them"
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("shape", SHAPES)
def test_datasets_loads_it(tmp_path, monkeypatch, suffix, shape):
    import datasets

    monkeypatch.setattr("utils.files.writing.PARQUET_BATCH", 4)
    datasets.disable_progress_bars()
    rows = exported(tmp_path, shape, [*PLAIN * 3, CHATTED], suffix)
    kind = "parquet" if suffix == ".parquet" else "json"
    file = str(export_path(tmp_path / f"x{suffix}", shape))
    loaded = datasets.load_dataset(kind, data_files=file, split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.to_list() == rows


def test_rows_are_streamed_and_an_error_leaves_the_former_file(tmp_path):
    path = tmp_path / "x.messages.jsonl"
    path.write_text("old")

    def records():
        yield from PLAIN[:2]
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match="No space left"):
        export_rows(path, "sharegpt", records)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


# --- What trainers want of a conversation, by their documented rules --------------------------------

LLAMA_FACTORY = {"sharegpt": ("from", "value", "human", "gpt"), "messages": ("role", "content", "user", "assistant")}
COLUMN = {"sharegpt": "conversations", "messages": "messages"}


def as_llama_factory(row: dict, shape: str) -> tuple[str, list[str]] | None:
    """What its sharegpt converter makes of a row: system prompt and turns; None for a row that it drops.

    One system turn at most, and first; an even number of turns; the user's at even places, the assistant's at odd ones.
    """
    role, text, user, assistant = LLAMA_FACTORY[shape]
    turns = row[COLUMN[shape]]
    system = turns.pop(0)[text] if turns and turns[0][role] == "system" else ""
    fits = all(turn[role] == (assistant if place % 2 else user) for place, turn in enumerate(turns))
    return (system, [turn[text] for turn in turns]) if fits and turns and len(turns) % 2 == 0 else None


@pytest.mark.parametrize("shape", LLAMA_FACTORY)
def test_llama_factory_keeps_every_row(tmp_path, shape):
    rows = exported(tmp_path, shape, [CHATTED, *PLAIN])
    read = [as_llama_factory(row, shape) for row in rows]
    assert read == [("Be brief.", SAID[1:]), *(("", [row["instruction"], row["response"]]) for row in PLAIN)]


def test_axolotl_and_chat_templates_find_messages_that_alternate_after_a_system_prompt(tmp_path):
    for row in exported(tmp_path, "messages", [CHATTED, *PLAIN]):
        roles = [turn["role"] for turn in row["messages"]]
        said = roles[roles[0] == "system" :]
        assert said == ["user", "assistant"] * (len(said) // 2)
        assert all(isinstance(turn["content"], str) for turn in row["messages"])


def conversational(row: dict) -> bool:
    """TRL's `is_conversational`: a column of its names that begins with a turn of role and content."""
    named = [row[name] for name in ("prompt", "chosen", "rejected", "completion", "messages") if name in row]
    return any(isinstance(value, list) and {"role", "content"} <= set(value[0]) for value in named)


def test_trl_takes_messages_for_a_conversation_that_ends_with_the_answer(tmp_path):
    [row] = exported(tmp_path, "messages", [CHATTED])
    assert conversational(row)
    assert row["messages"][-1] == {"role": "assistant", "content": "Well."}
    assert conversational({"prompt": row["messages"][:-1], "completion": row["messages"][-1:]})


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet"])
def test_pandas_reads_it(tmp_path, suffix):
    import pandas

    rows = exported(tmp_path, "messages", [CHATTED, *PLAIN], suffix)
    path = export_path(tmp_path / f"x{suffix}", "messages")
    frame = pandas.read_parquet(path) if suffix == ".parquet" else pandas.read_json(path, lines=suffix == ".jsonl")
    assert [list(map(dict, turns)) for turns in frame["messages"]] == [row["messages"] for row in rows]


# --- TRL's own helpers -------------------------------------------------------------------------

TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}</>{% endfor %}"


@pytest.fixture
def trl():
    return pytest.importorskip("trl", reason="TRL is not installed: pip install trl")


@pytest.fixture
def tokenizer(trl):
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"?": 0}, unk_token="?")), chat_template=TEMPLATE
    )


BEFORE = "<system>Be brief.</><user>Hi?</><assistant>Hello.</><user>How are you?</>"
HALVES = (BEFORE, "<assistant>Well.</>")


def test_trl_takes_messages_as_language_modeling_and_as_prompt_completion(tmp_path, trl, tokenizer):
    [made] = exported(tmp_path, "messages", [CHATTED])
    assert trl.is_conversational(made)
    assert trl.apply_chat_template(made, tokenizer) == {"text": "".join(HALVES)}
    halves = {"prompt": made["messages"][:-1], "completion": made["messages"][-1:]}
    assert trl.is_conversational(halves)
    assert trl.apply_chat_template(halves, tokenizer) == {"prompt": HALVES[0], "completion": HALVES[1]}


def test_trl_converts_sharegpt_with_its_system_prompt(tmp_path, trl, tokenizer):
    [made] = exported(tmp_path, "sharegpt", [CHATTED])
    assert trl.is_conversational_from_value(made)
    converted = trl.maybe_convert_to_chatml(made)
    assert trl.is_conversational(converted)
    text = "".join(HALVES).replace("<user>", "<human>").replace("<assistant>", "<gpt>")
    assert trl.apply_chat_template(converted, tokenizer) == {"text": text}


def test_trl_takes_alpaca_with_its_columns_renamed_as_standard_prompt_completion(tmp_path, trl, tokenizer):
    [made] = exported(tmp_path, "alpaca", PLAIN[:1])
    renamed = {"prompt": made["instruction"], "completion": made["output"]}
    assert not trl.is_conversational(renamed)
    assert trl.maybe_apply_chat_template(renamed, tokenizer) == renamed


THINKING = [
    CHATTED
    | {"reasoning": "first this", "context": [{"role": turn.role, "content": turn.content} for turn in CONTEXT]},
    PLAIN[0] | {"reasoning": None},
]


def test_thoughts_stand_beside_the_content_of_messages(tmp_path):
    first, second = (row["messages"] for row in exported(tmp_path, "messages", THINKING))
    assert [turn.get("reasoning_content") for turn in first] == [None, None, "", None, "first this"]
    assert second[-1]["reasoning_content"] == ""


def test_thoughts_are_dropped_where_a_shape_has_no_place_for_them(tmp_path):
    assert "first this" not in json.dumps([exported(tmp_path, shape, THINKING) for shape in ("alpaca", "sharegpt")])


@pytest.mark.parametrize(("shape", "text"), [("alpaca", '"output": "'), ("sharegpt", '"value": "'), ("messages", "")])
def test_thoughts_in_front_of_the_response(tmp_path, shape, text):
    path = tmp_path / "x.jsonl"
    export_rows(path, shape, lambda: iter(THINKING), "think")
    lines = path.read_text(encoding="utf-8")
    assert text + "<think>\\nfirst this\\n</think>\\n\\nWell." in lines
    assert lines.count("<think>") == 1
    assert "reasoning_content" not in lines


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_thoughts_load_with_datasets(tmp_path, suffix):
    import datasets

    path = tmp_path / f"x{suffix}"
    rows = [THINKING[1]] * 3 + THINKING
    export_rows(path, "messages", lambda: iter(rows))
    builder = "parquet" if suffix == ".parquet" else "json"
    loaded = datasets.load_dataset(builder, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert [row["messages"][-1]["reasoning_content"] for row in loaded] == ["", "", "", "first this", ""]
