"""Exported shapes: what trainers load, with what a chat seed began with, in all formats."""

import json
import logging
import os

import pytest

from tests.builders import HOSTILE, evolved, seed
from utils.dataset import SeedSource, load_seeds
from utils.errors import DataError
from utils.export import SHAPES, export_path, export_rows
from utils.results import outcome_record
from utils.schema import PASSED, Answer, RowOutcome, SeedInstruction

SUFFIXES = (".json", ".jsonl", ".parquet")
TEXTS = [*HOSTILE.values(), "\x00\x1f\u2028", "👩‍👩‍👧‍👦 é ﬁ"]
CHAT = [("system", "Be brief."), ("assistant", "Welcome."), ("user", "Hi?"), ("tool", "x")]
CHAT += [("assistant", "Hello."), ("user", "More."), ("assistant", "No.")]


def record(start: SeedInstruction, text: str, answer: str = "an answer") -> dict:
    trajectory = evolved(start, text)
    return outcome_record(RowOutcome(trajectory, PASSED, answer=Answer(trajectory, answer)), "a-model")[1]


PLAIN = [record(seed(text, id), text + "!", text[::-1] + "?") for id, text in enumerate(TEXTS)]


def read(path) -> list[dict]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_table(path).to_pylist()
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.split("\n")[:-1]]


def exported(folder, shape: str, records: list[dict], extras: dict | None = None, suffix: str = ".jsonl") -> list[dict]:
    path = export_path(folder / f"x{suffix}", shape)
    assert export_rows(path, shape, lambda: iter(records), lambda id: (extras or {}).get(id, {})) == len(records)
    return read(path)


@pytest.fixture
def chat(tmp_path):
    """A chat seed as it is loaded, and the record of what became of it."""
    turns = [{"role": role, "content": content} for role, content in CHAT]
    (tmp_path / "chat.jsonl").write_text(json.dumps({"messages": turns}) + "\n" + '{"messages": []}\n')
    with load_seeds([SeedSource(str(tmp_path / "chat.jsonl"))], tmp_path / "seeds.sqlite") as seeds:
        [one] = seeds
    return record(one, "How are you?", "Well."), {one.id: one.extra}


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


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("shape", "column", "role", "text", "names"),
    [
        ("messages", "messages", "role", "content", ["system", "assistant", "user", "assistant"]),
        ("sharegpt", "conversations", "from", "value", ["system", "gpt", "human", "gpt"]),
    ],
)
def test_what_a_chat_began_with_is_kept_and_what_followed_is_not(
    tmp_path, chat, suffix, shape, column, role, text, names
):
    row, extras = chat
    [kept, _] = exported(tmp_path, shape, [row, record(seed(id=5), "Another?")], extras, suffix)
    said = ["Be brief.", "Welcome.", "How are you?", "Well."]
    assert kept == {column: [{role: name, text: content} for name, content in zip(names, said, strict=True)]}


@pytest.mark.parametrize(
    ("turns", "kept"),
    [
        (["assistant", "user", "assistant"], ["assistant"]),
        (["developer", "system", "assistant"], ["developer", "system", "assistant"]),
        (["user", "assistant"], []),
        (["tool", "assistant"], []),  # the result of a call and what was made of it
    ],
)
def test_turns_up_to_the_next_user_or_tool_stood_before_the_instruction(tmp_path, turns, kept):
    extra = {"turns": [{"role": role, "content": f"{n}"} for n, role in enumerate(turns)]}
    [row] = exported(tmp_path, "messages", [record(seed(), "Why?")], {0: extra})
    assert [turn["role"] for turn in row["messages"]] == [*kept, "user", "assistant"]


def test_alpaca_has_a_system_column_in_all_rows_or_none(tmp_path, chat, caplog):
    row, extras = chat
    with caplog.at_level(logging.WARNING, "utils.export"):
        rows = exported(tmp_path, "alpaca", [record(seed(id=5), "Why?"), row], extras)
    assert [(row["instruction"], row["system"]) for row in rows] == [("Why?", ""), ("How are you?", "Be brief.")]
    assert [note.getMessage() for note in caplog.records] == [
        "--export alpaca has no place for turns before the instruction, which 1 rows have: "
        "messages and sharegpt keep them"
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("shape", SHAPES)
def test_datasets_loads_it(tmp_path, monkeypatch, chat, suffix, shape):
    import datasets

    monkeypatch.setattr("utils.results.PARQUET_BATCH", 4)
    datasets.disable_progress_bars()
    row, extras = chat
    records = [{**one, "id": one["id"] + 10} for one in PLAIN] * 3 + [row]
    rows = exported(tmp_path, shape, records, extras, suffix)
    kind = "parquet" if suffix == ".parquet" else "json"
    file = str(export_path(tmp_path / f"x{suffix}", shape))
    loaded = datasets.load_dataset(kind, data_files=file, split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.to_list() == rows


def test_rows_are_streamed_and_an_error_leaves_the_former_file(tmp_path):
    path = tmp_path / "x.messages.jsonl"
    path.write_text("old")
    asked = []

    def records():
        yield from PLAIN[:2]
        assert asked == [0, 1]  # each was made before the next one was read
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match="No space left"):
        export_rows(path, "messages", records, lambda id: asked.append(id) or {})
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


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


SAID = ("<system>Be brief.</><assistant>Welcome.</><user>How are you?</>", "<assistant>Well.</>")


def test_trl_takes_messages_as_language_modeling_and_as_prompt_completion(tmp_path, chat, trl, tokenizer):
    row, extras = chat
    [made] = exported(tmp_path, "messages", [row], extras)
    assert trl.is_conversational(made)
    assert trl.apply_chat_template(made, tokenizer) == {"text": "".join(SAID)}
    halves = {"prompt": made["messages"][:-1], "completion": made["messages"][-1:]}
    assert trl.is_conversational(halves)
    assert trl.apply_chat_template(halves, tokenizer) == {"prompt": SAID[0], "completion": SAID[1]}


def test_trl_converts_sharegpt_with_its_system_prompt(tmp_path, chat, trl, tokenizer):
    row, extras = chat
    [made] = exported(tmp_path, "sharegpt", [row], extras)
    assert trl.is_conversational_from_value(made)
    converted = trl.maybe_convert_to_chatml(made)
    assert trl.is_conversational(converted)
    text = "".join(SAID).replace("<user>", "<human>").replace("<assistant>", "<gpt>")
    assert trl.apply_chat_template(converted, tokenizer) == {"text": text}


def test_trl_takes_alpaca_with_its_columns_renamed_as_standard_prompt_completion(tmp_path, trl, tokenizer):
    [made] = exported(tmp_path, "alpaca", PLAIN[:1])
    renamed = {"prompt": made["instruction"], "completion": made["output"]}
    assert not trl.is_conversational(renamed)
    assert trl.maybe_apply_chat_template(renamed, tokenizer) == renamed
