"""The whole command over seed sets of other shapes: conversations, kept columns, globs over what it has written."""

import json
from pathlib import Path

from tests.command import failed, run

AS_THEY_ARE = ("--offline", "--no-report", "--max-steps", "0", "--generations", "0")
EVOLVED = ("--offline", "--no-report", "--max-steps", "0", "--judge", "off")
CHAT = [
    {"role": "system", "content": "You sell bread."},
    {"role": "user", "content": "Hi, is the shop open today?"},
    {"role": "assistant", "content": "Until six."},
    {"role": "user", "content": "And why does the crust of your bread stay soft in summer?"},
    {"role": "assistant", "content": "The air is moist."},
]


def write(path: Path, *rows: dict) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def test_a_conversation_stays_one_from_the_seed_to_the_export(tmp_path):
    write(tmp_path / "seeds.jsonl", {"messages": CHAT, "topic": "bread"}, {"instruction": "Name a river of the north."})
    flags = ("--keep-columns", "topic", "--save-path", "x.jsonl", "--export", "messages", "--export-journal", "j.jsonl")
    ran = run(tmp_path, *EVOLVED, "--data-path", "seeds.jsonl", *flags)
    assert ran.code == 0, ran.err
    chat, plain = read(tmp_path / "x.jsonl")
    assert (chat["context"], chat["extra"]) == (CHAT[:3], {"topic": "bread"})
    assert (plain["context"], plain["extra"]) == ([], {"topic": None})
    [exported, _] = read(tmp_path / "x.messages.jsonl")
    asked = [*CHAT[:3], {"role": "user", "content": chat["instruction"]}]
    assert exported["messages"] == [*asked, {"role": "assistant", "content": chat["response"]}]
    sent = [line["messages"] for line in read(tmp_path / "j.jsonl") if line.get("stage") == "respond"]
    assert asked in sent
    assert any(messages[-1]["content"].endswith(f"#Instruction#:\n{CHAT[3]['content']}") for messages in
               (line["messages"] for line in read(tmp_path / "j.jsonl") if line.get("stage") == "evolve"))  # fmt: skip


def test_a_result_without_context_or_kept_columns_has_no_column_for_them(tmp_path):
    write(tmp_path / "seeds.jsonl", {"instruction": "Name a river.", "response": "The Han."})
    assert run(tmp_path, *AS_THEY_ARE, "--data-path", "seeds.jsonl", "--save-path", "x.jsonl").code == 0
    assert not {"context", "extra"} & set(read(tmp_path / "x.jsonl")[0])


def test_the_same_command_over_its_own_folder_gives_the_same_file(tmp_path):
    write(tmp_path / "seeds.jsonl", *({"instruction": f"Name {n} rivers.", "response": "None."} for n in range(3)))
    results = []
    for path in ("*.jsonl", "*.jsonl", ".", "*.jsonl"):
        ran = run(tmp_path, *AS_THEY_ARE, "--data-path", path, "--save-path", "x.jsonl", "--export", "alpaca")
        assert ran.code == 0, ran.err
        results.append((tmp_path / "x.jsonl").read_bytes())
        assert ("not read, as runs have written them" in ran.err) == (len(results) > 1)
    assert len(set(results)) == 1


def test_near_copies_among_the_seeds_are_told_before_anything_is_asked(tmp_path):
    text = "Explain in two sentences why the sea is salty and how rivers carry salt into it"
    rows = [{"instruction": f"{text}{end}"} for end in (".", ", please.", " today.")]
    write(tmp_path / "seeds.jsonl", *rows, {"instruction": f"{text}.", "system": "Be brief."}, {"instruction": "Why?"})
    told = "near-duplicates among 5 seeds: 2 (--max-overlap 0.7), which will hardly survive as rewrites"
    flags = (*EVOLVED, "--data-path", "seeds.jsonl")
    planned = run(tmp_path, *flags, "--plan")
    assert planned.out.rstrip().endswith(told)
    assert told in run(tmp_path, *flags).err
    assert "near-duplicates among" not in run(tmp_path, *flags, "--max-overlap", "1", "--plan").out


def test_a_run_that_nothing_survives_ends_with_4_and_says_where_to_look(tmp_path):
    write(tmp_path / "seeds.jsonl", {"instruction": "Why?", "response": "I'm sorry, but I cannot help with that."})
    ran = run(tmp_path, *AS_THEY_ARE, "--data-path", "seeds.jsonl", "--save-path", "x.jsonl")
    assert "nothing survived: none of 1 rows; see x.run/rejects.jsonl for the reasons" in failed(ran, 4)
    assert (tmp_path / "x.jsonl").read_text() == ""


def test_a_seed_set_is_not_replaced_by_its_result(tmp_path):
    write(tmp_path / "x.jsonl", {"instruction": "Why?"})
    ran = run(tmp_path, *AS_THEY_ARE, "--data-path", "x.jsonl", "--save-path", "./x.jsonl")
    assert "x.jsonl would overwrite the file of --data-path" in failed(ran, 2)


def test_an_encoding_that_does_not_exist_is_one_line(tmp_path):
    assert "--encoding: 'klingon' does not fit" in failed(run(tmp_path, "--offline", "--encoding", "klingon"), 2)


def test_a_file_among_the_seeds_that_no_run_has_written_is_not_replaced(tmp_path):
    write(tmp_path / "seeds.jsonl", {"instruction": "Why?"})
    write(tmp_path / "x.jsonl", {"instruction": "How?"})
    for path in ("*.jsonl", "."):
        ran = run(tmp_path, *AS_THEY_ARE, "--data-path", path, "--save-path", "x.jsonl")
        assert "x.jsonl would overwrite the file of --data-path" in failed(ran, 2)
