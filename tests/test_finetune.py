"""examples/finetune without torch: what trainers are given, and what a comparison does with rows and losses."""

import json
import re
import shlex
from collections import Counter

import numpy as np
import pytest
import yaml

import compare
import figures
import grading
import sft
from tests.builders import HOSTILE, seed
from tests.command import PROJECT
from tests.fakes import Act, MisbehavingServer, Received, answered
from tests.report_folder import evolved
from utils.command.arguments import parse_arguments
from utils.outputs.export import export_path, export_rows
from utils.schema import Message, SeedInstruction

FOLDER = PROJECT / "examples" / "finetune"
CONTEXT = (Message("system", "Be brief."), Message("user", "Hi?"), Message("assistant", "Hello."))
README = ("README.md", "README.ko.md")


def record(start: SeedInstruction, text: str = "And more?", reasoning: str | None = None) -> dict:
    """A row of a result or of what is held out, as a file has it."""
    said = {"response": "An answer.", "reasoning": reasoning}
    return evolved(start.id, text, seed=start.text, seed_response=start.reference, context=list(start.context), **said)


PLAIN = [record(seed(id=number), text) for number, text in enumerate(HOSTILE.values())]
CHAT = record(SeedInstruction(20, "More?", "No.", CONTEXT))
SYSTEM = record(SeedInstruction(21, "More?", "No.", CONTEXT[:1]))
THOUGHT = record(seed(id=22), reasoning="Let me see.")


def exported(folder, shape: str, records: list[dict], suffix: str = ".json") -> list[dict]:
    """Rows of an export as the scripts read them."""
    path = export_path(folder / f"x{suffix}", shape)
    export_rows(path, shape, lambda: iter(records))
    return list(sft.read_rows([str(path)]))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


# --- sft.py ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet"])
def test_every_export_is_the_same_chat(suffix, tmp_path):
    rows = [*PLAIN, SYSTEM]
    native = [sft.chat(row) for row in rows]
    assert native[0] == sft.exchange(PLAIN[0]["instruction"], "An answer.")
    assert native[-1][0] == {"role": "system", "content": "Be brief."}
    for shape in ("messages", "sharegpt", "alpaca"):
        assert [sft.chat(row) for row in exported(tmp_path, shape, rows, suffix)] == native


def test_a_row_is_the_prompt_completion_type_of_trl(tmp_path):
    """https://huggingface.co/docs/trl/dataset_formats: two lists of messages, of which the second is learned."""
    for row in exported(tmp_path, "messages", [CHAT, *PLAIN]):
        made = sft.prompt_and_completion(row)
        assert set(made) == {"prompt", "completion"}
        assert all(set(turn) == {"role", "content"} for turns in made.values() for turn in turns)
        assert [turn["role"] for turn in made["completion"]] == ["assistant"]
        assert made["prompt"][-1]["role"] == "user"
    assert [turn["role"] for turn in sft.chat(exported(tmp_path, "messages", [CHAT])[0])] == [
        *("system", "user", "assistant", "user", "assistant")
    ]


def test_thoughts_stay_with_the_answer_where_they_were_kept(tmp_path):
    with_thoughts, without = (sft.chat(row) for row in exported(tmp_path, "messages", [THOUGHT, PLAIN[0]]))
    assert with_thoughts[-1] == {"role": "assistant", "content": "An answer.", "reasoning_content": "Let me see."}
    assert "reasoning_content" not in with_thoughts[0]
    assert not without[-1].get("reasoning_content")
    assert sft.chat(THOUGHT) == with_thoughts


# --- The files of other trainers -------------------------------------------------------------------


def parsed(name: str) -> dict:
    text = (FOLDER / name).read_text(encoding="utf-8")
    return json.loads(text) if name.endswith(".json") else yaml.safe_load(text)


@pytest.fixture
def message(tmp_path) -> tuple[set[str], set[str], set[str]]:
    """Columns of the export `messages`, fields of its turns, roles in it."""
    rows = exported(tmp_path, "messages", [CHAT])
    turns = rows[0]["messages"]
    return set(rows[0]), set(turns[0]), {turn["role"] for turn in turns}


def test_llamafactory_finds_what_the_export_holds(message):
    columns, fields, roles = message
    config, info = parsed("llamafactory.yaml"), parsed("dataset_info.json")
    told = info[config["dataset"]]
    tags = told["tags"]
    assert set(told["columns"].values()) == columns
    assert {tags["role_tag"], tags["content_tag"]} == fields
    assert {tags["user_tag"], tags["assistant_tag"], tags["system_tag"]} == roles
    assert told["file_name"] == "evolution_result.messages.json"


def test_axolotl_finds_what_the_export_holds(message):
    columns, fields, roles = message
    (told,) = parsed("axolotl.yaml")["datasets"]
    assert {told["field_messages"]} == columns
    assert set(told["message_property_mappings"].values()) == fields
    assert set(told["roles_to_train"]) < roles
    assert told["path"] == "evolution_result.messages.json"


def test_unsloth_is_given_the_export():
    assert parsed("unsloth.yaml")["data"]["local_dataset"] == ["evolution_result.messages.json"]


def test_all_trainers_are_given_the_same_numbers():
    ours = sft.parser().parse_args(["x", "--model", "m", "--output", "o"])
    factory, axolotl, unsloth = parsed("llamafactory.yaml"), parsed("axolotl.yaml"), parsed("unsloth.yaml")["training"]
    expected = (ours.epochs, 2e-4, ours.batch_size, ours.accumulate, ours.max_length)
    assert expected == (
        *(factory["num_train_epochs"], factory["learning_rate"], factory["per_device_train_batch_size"]),
        *(factory["gradient_accumulation_steps"], factory["cutoff_len"]),
    )
    assert expected == (
        *(axolotl["num_epochs"], axolotl["learning_rate"], axolotl["micro_batch_size"]),
        *(axolotl["gradient_accumulation_steps"], axolotl["sequence_len"]),
    )
    assert expected == (
        *(unsloth["num_epochs"], unsloth["learning_rate"], unsloth["batch_size"]),
        *(unsloth["gradient_accumulation_steps"], unsloth["max_seq_length"]),
    )


# --- compare.py ------------------------------------------------------------------------------------


class Letters:
    """A tokenizer with a letter to a token, whose template opens an answer with `>` and ends every turn with `.`."""

    def apply_chat_template(self, turns, add_generation_prompt=False, return_dict=True):
        assert not return_dict
        text = "".join(f"{'>' if turn['role'] == 'assistant' else '<'}{turn['content']}." for turn in turns)
        return [*map(ord, text + ">" * add_generation_prompt)]


@pytest.mark.parametrize(("limit", "answer"), [(99, "yes."), (9, "ye"), (7, None), (3, None)])
def test_the_answer_is_what_the_loss_is_over(limit, answer):
    found = compare.encode(Letters(), sft.exchange("why?", "yes"), limit)
    assert (found and "".join(map(chr, found.tokens[found.start : found.end]))) == answer
    assert not found or len(found.tokens) <= limit


def examples(*sizes: int) -> list[compare.Example]:
    """Examples with a prompt of three tokens and answers of these sizes."""
    return [compare.Example([number] * (3 + size), 3, 3 + size) for number, size in enumerate(sizes)]


@pytest.mark.parametrize("sizes", [(1,), (5, 7, 11), (500, 2), tuple(range(1, 40))])
def test_every_step_has_the_same_answer_tokens_whatever_the_rows(sizes):
    plan = list(compare.steps_of(examples(*sizes), 9, 64, "seed"))
    assert [sum(example.size for example in step) for step in plan] == [64] * 9
    assert all(example.size <= sizes[example.tokens[0]] and len(example.tokens) == example.end
               for step in plan for example in step)  # fmt: skip


def test_every_row_comes_before_one_comes_again_in_an_order_of_the_seed():
    def order(seed: str) -> list[int]:
        return [one.tokens[0] for step in compare.steps_of(examples(*[4] * 8), 4, 16, seed) for one in step]

    assert Counter(order("1")) == Counter(dict.fromkeys(range(8), 2))
    assert sorted(order("1")[:8]) == [*range(8)]
    assert order("1") == order("1") != order("2")


def test_a_set_without_answers_is_an_error():
    with pytest.raises(ValueError, match="without answers"):
        list(compare.steps_of([], 1, 1, "1"))


def test_rows_that_are_held_out_are_not_learned_from_whichever_form_they_have():
    kinds = compare.held_out_chats([record(seed("Name a river.", 1, "The Rhine."), "Name two rivers."), PLAIN[0]])
    assert [len(chats) for chats in kinds.values()] == [2, 1]  # the other seed has no answer
    assert kinds["seeds"] == [sft.exchange("Name a river.", "The Rhine.")]
    unseen = [chat for chats in kinds.values() for chat in chats]
    rows = [sft.exchange(text, "x") for text in ("Name a river.", "Name two rivers.", "Name a lake.")]
    assert compare.without(rows, unseen) == [rows[2]]


def test_the_context_of_a_seed_that_is_held_out_is_kept():
    chats = compare.held_out_chats([CHAT])
    assert [[turn["content"] for turn in chats[kind][0]] for kind in ("evolved", "seeds")] == [
        ["Be brief.", "Hi?", "Hello.", "And more?", "An answer."],
        ["Be brief.", "Hi?", "Hello.", "More?", "No."],
    ]


def test_a_mean_weighs_rows_by_their_tokens_and_its_interval_holds_it():
    mean, low, high = figures.interval(np.array([[10.0, 300.0, 40.0]]), np.array([10, 100, 40]))
    assert mean == pytest.approx(350 / 150)
    assert 1 <= low < mean < high <= 3
    assert figures.interval(np.array([[10.0, 20.0]]), np.array([5, 10])) == pytest.approx((2, 2, 2))


def test_runs_that_differ_widen_the_interval():
    tokens, losses = np.array([10, 10, 10]), np.array([[10.0, 20.0, 30.0]])
    _, low, high = figures.interval(losses, tokens)
    _, lower, higher = figures.interval(np.concatenate([losses, losses + 30]), tokens)
    assert higher - lower > high - low


def test_a_table_shows_each_set_and_its_difference_to_the_first():
    losses = np.array([[30.0, 50.0]])
    lines = figures.table({"untuned": losses, "a": losses - 10, "b": losses - 20}, np.array([10, 10]), "a")
    assert [line.split()[:2] for line in lines] == [["untuned", "4.000"], ["a", "3.000"], ["b", "2.000"]]
    assert lines[2].endswith("against a: -1.000 [-1.000, -1.000]")
    assert "against" not in lines[1]


def test_each_kind_of_answers_is_told_of_its_own_rows():
    tests = {"evolved": examples(10, 10), "seeds": examples(10), "none": []}
    lines = list(compare.lines_of(tests, {"a": [np.array([10.0, 30.0, 50.0])]}, "a"))
    assert [line.split(":")[0] for line in lines[::2]] == ["answers to held-out evolved", "answers to held-out seeds",
                                                           "answers to held-out none"]  # fmt: skip
    assert [line.split()[:2] for line in lines[1::2]] == [["a", "2.000"], ["a", "5.000"]]


# --- grading.py ------------------------------------------------------------------------------------


def test_answers_are_graded_side_by_side_and_blind(tmp_path):
    """The examiner sees both answers to an instruction in one case, in an order that is drawn, and no model's name."""

    pytest.importorskip("analyzer.examine")

    def reply(received: Received) -> Act:
        text = received.body["messages"][-1]["content"]
        blocks = text.split("The cases:")[1].split("### Case ")[1:]
        graded = [re.findall(r"Answer \d: (good|bad)", block) for block in blocks]
        orders.extend(graded)
        cases = [{"case_id": int(block.split("\n")[0]), "note": "", "grades": [GRADED[word] for word in words]}
                 for block, words in zip(blocks, graded, strict=True)]  # fmt: skip
        seen.append(text)
        return answered(json.dumps({"cases": cases}))

    seen, orders = [], []
    held_out = [record(seed(f"Name {number} rivers.", number), f"Name {number} long rivers.") for number in range(12)]
    answers = {"seeds.json": ["bad"] * 12, "evolved.json": ["good"] * 12}
    with MisbehavingServer(reply) as server:
        examiner = [f"base_url={server.url}", "model=m", "api_key_env=none"]
        grading.check(examiner)
        lines = grading.table(held_out, answers, examiner, str(tmp_path / "x.heldout.json"))
        again = grading.table(held_out, answers, examiner, str(tmp_path / "x.heldout.json"))
    assert lines == again
    assert lines[0].startswith("answers of the tuned models, graded: 12 of 12 rows")
    assert lines[1].split()[:2] == ["seeds.json", "0.000"]
    assert lines[2].endswith("against seeds.json: +1.000 [+1.000, +1.000]")
    assert lines[3:] == ["  seeds.json: wrong 12", "  evolved.json: right 12"]
    assert {*map(tuple, orders)} == {("good", "bad"), ("bad", "good")}
    assert len(seen) == 3  # calls, by five cases; the second time the journal answers
    assert not any(name in text for text in seen for name in answers)


GRADED = {"good": "right", "bad": "wrong"}


def test_an_examiner_that_cannot_be_used_is_one_line(monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    for words, told in ((["no_key=1"], "no_key"), (["api_key_env=NO_SUCH_KEY"], "NO_SUCH_KEY")):
        with pytest.raises(SystemExit) as ended:
            grading.check(words)
        assert str(ended.value.code).startswith("error: ")
        assert told in str(ended.value.code)


# --- What the pages say ----------------------------------------------------------------------------


def commands(page: str) -> list[list[str]]:
    """The words of every command in the shell blocks of a page; a backslash joins lines."""
    text = (FOLDER / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\w*\n(.*?)```", text, re.DOTALL)
    return [shlex.split(line, comments=True) for block in blocks for line in block.replace("\\\n", " ").splitlines()]


@pytest.mark.parametrize("page", README)
def test_the_commands_of_the_pages_are_accepted(page):
    accepted = Counter()
    for words in commands(page):
        if words[:2] == ["sh", "main.sh"]:
            parse_arguments(words[2:])
        elif len(words) > 1 and words[1].endswith("sft.py"):
            sft.parser().parse_args(words[2:])
        elif len(words) > 1 and words[1].endswith("compare.py"):
            compare.parser().parse_args(words[2:])
        else:
            continue
        accepted[words[1]] += 1
    assert accepted["main.sh"] >= 2
    assert accepted["examples/finetune/sft.py"] >= 1
    assert accepted["examples/finetune/compare.py"] >= 1


def test_both_pages_have_the_same_commands():
    assert commands(README[0]) == commands(README[1])
