"""Rows in the shapes that real seed sets have: which turns become seeds, in what context, and what is set aside."""

import json
import logging
import unicodedata

import pytest

from utils.errors import DataError
from utils.schema import Message
from utils.seeds import SeedSource, load_seeds


@pytest.fixture
def read(tmp_path):
    """Load rows and give the seed set."""
    opened = []

    def reader(*rows, **fields):
        path = tmp_path / "seeds.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        opened.append(load_seeds([SeedSource(str(path), **fields)], tmp_path / f"{len(opened)}.sqlite"))
        return opened[-1]

    yield reader
    for seeds in opened:
        seeds.close()


def shown(seeds) -> list[tuple]:
    """Text, reference, and the context as `role: content`."""
    return [(seed.text, seed.reference, [f"{m.role}: {m.content}" for m in seed.context]) for seed in seeds]


def said(*turns: str) -> list[dict]:
    """`u Hi?` as a turn of the user, with `a` and `s` for assistant and system."""
    roles = {"u": "user", "a": "assistant", "s": "system", "d": "developer"}
    return [{"role": roles[turn[0]], "content": turn[2:]} for turn in turns]


# --- Turns -------------------------------------------------------------------------------------

ROWS = {  # name: a row, and the seed that it becomes
    "system prompt": ({"messages": said("s Be brief.", "u Hi?", "a Hello.")}, ("Hi?", "Hello.", ["system: Be brief."])),
    "earlier turns": (
        {"messages": said("u One?", "a 1", "u Two?", "a 2")},
        ("Two?", "2", ["user: One?", "assistant: 1"]),
    ),
    "unanswered end": ({"messages": said("u One?", "a 1", "u Thanks!")}, ("One?", "1", [])),
    "no answer at all": ({"messages": said("u One?")}, ("One?", None, [])),
    "developer and system": (
        {"messages": said("s Be brief.", "d Use JSON.", "u Hi?", "a {}")},
        ("Hi?", "{}", ["system: Be brief.\n\nUse JSON."]),
    ),
    "system prompt in the middle": (
        {"messages": said("u One?", "a 1", "s Be brief.", "u Two?", "a 2")},
        ("Two?", "2", ["system: Be brief.", "user: One?", "assistant: 1"]),
    ),
    "later system prompt": ({"messages": said("u One?", "a 1", "s Bye.")}, ("One?", "1", [])),
    "joined turns": (
        {"messages": said("u One", "u thing?", "a 1", "a 2", "u Two?", "a 3")},
        ("Two?", "3", ["user: One\n\nthing?", "assistant: 1\n\n2"]),
    ),
    "opening assistant": ({"messages": said("s S.", "a Welcome.", "u Hi?", "a Yes.")}, ("Hi?", "Yes.", ["system: S."])),
    "empty turns": ({"messages": said("s ", "u Hi?", "a ", "a Yes.")}, ("Hi?", "Yes.", [])),
    "list of strings": (
        {"conversations": ["Hi?", "Hello.", "More?", "No."]},
        ("More?", "No.", ["user: Hi?", "assistant: Hello."]),
    ),
    "list of pairs": (
        {"dialog": [["Hi?", "Hello."], ["More?", "No."]]},
        ("More?", "No.", ["user: Hi?", "assistant: Hello."]),
    ),
    "roles and texts in pairs": ({"dialog": [["human", "Hi?"], ["gpt", "Hello."]]}, ("Hi?", "Hello.", [])),
    "pairs by name": ({"conversation": [{"input": "Hi?", "output": "Hello."}]}, ("Hi?", "Hello.", [])),
    "open pair": ({"conversation": [{"input": "Hi?", "output": None}]}, ("Hi?", None, [])),
    "dict of lists": ({"turns": {"role": ["user", "assistant"], "content": ["Hi?", "Hello."]}}, ("Hi?", "Hello.", [])),
    "parts": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]},
        ("a\nb", None, []),
    ),
    "thinking": (
        {
            "messages": [
                *said("u Hi?"),
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, "Hello."]},
            ]
        },
        ("Hi?", "Hello.", []),
    ),
    "JSON text": ({"messages": json.dumps(said("u Hi?", "a Hello."))}, ("Hi?", "Hello.", [])),
    "Python text": ({"messages": str(said("u It's?", "a Yes."))}, ("It's?", "Yes.", [])),
    "Python text of numpy": (
        {"messages": str(said("u Hi?", "a Hello.")).replace("}, {", "}\n {")},
        ("Hi?", "Hello.", []),
    ),
    "a text that looks like a list": (
        {"instruction": "[1, 2] reversed?", "response": "[2, 1]"},
        ("[1, 2] reversed?", "[2, 1]", []),
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_chat_is_read_as_the_conversation_that_it_is(read, name):
    row, expected = ROWS[name]
    assert shown(read(row)) == [expected]


NAMES = ["human gpt", "user assistant", "prompter assistant", "USER ASSISTANT", "user chatgpt", "Human bing", "user AI",
         "user bot", "user model", "<|user|> <|assistant|>", "사용자 챗봇"]  # fmt: skip


@pytest.mark.parametrize("names", NAMES)
def test_roles_of_all_conventions_are_known(read, names):
    user, assistant = names.split(" ")
    turns = [{"from": user, "value": "Hi?"}, {"from": assistant, "value": "Hello."}]
    assert shown(read({"conversations": turns})) == [("Hi?", "Hello.", [])]


TOOL = {"role": "assistant", "content": None, "tool_calls": [{"id": "a"}]}
ASIDE = {
    "call": ([*said("u Hi?"), TOOL], "tool_use"),
    "observation": ([{"from": "human", "value": "a"}, {"from": "observation", "value": "b"}], "tool_use"),
    "function call": ([{"from": "human", "value": "a"}, {"from": "function_call", "value": "b"}], "tool_use"),
    "part of a call": ([{"role": "assistant", "content": [{"type": "tool_use", "id": "a"}]}], "tool_use"),
    "picture": ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], "not_text"),
    "number": ([{"role": "user", "content": 5}], "not_text"),
    "unknown role": ([{"role": "narrator", "content": "Once."}], "unknown_shape"),
    "unknown turn": ([{"who": "user", "what": "Hi?"}], "unknown_shape"),
    "one text": ("USER: Hi? ASSISTANT: Hello.", "unknown_shape"),
    "no user": (said("a Hello."), "no_user_turn"),
    "empty": (said("u  ", "a Hello."), "empty"),
}


@pytest.mark.parametrize("name", ASIDE)
def test_what_is_no_conversation_is_set_aside_with_its_reason(read, name, caplog):
    turns, reason = ASIDE[name]
    with caplog.at_level(logging.INFO, "utils.seeds"):
        seeds = read({"messages": said("u Fine?")}, {"messages": turns})
    assert [row[::2] for row in seeds.set_aside] == [(1, reason)]
    assert f"set aside: {reason} 1" in caplog.text


@pytest.mark.parametrize("media", [{"image": "cat.png"}, {"images": ["a"]}, {"video": {"path": "x"}}])
def test_a_row_with_a_picture_is_not_text(read, media):
    seeds = read({"instruction": "What is this?", **media}, {"instruction": "Fine?", **dict.fromkeys(media)})
    assert [row[::2] for row in seeds.set_aside] == [(0, "not_text")]


def test_no_row_that_can_be_used_says_what_would_help(read):
    with pytest.raises(DataError, match=r"\(tool_use\): calls of tools cannot be evolved"):
        read({"messages": [*said("u Hi?"), TOOL]})
    with pytest.raises(DataError, match=r'\(unknown_shape\): write a chat as \{"messages"'):
        read({"messages": "USER: Hi?"})


TURNS = {
    "last": [("Two?", "2", ["user: One?", "assistant: 1"])],
    "first": [("One?", "1", [])],
    "all": [
        ("One?", "1", []),
        ("Two?", "2", ["user: One?", "assistant: 1"]),
        ("Bye.", None, ["user: One?", "assistant: 1", "user: Two?", "assistant: 2"]),
    ],
}


@pytest.mark.parametrize("turn", TURNS)
def test_which_turn_is_the_seed(read, turn):
    chat = {"messages": said("u One?", "a 1", "u Two?", "a 2", "u Bye.")}
    seeds = read(chat, {"instruction": "Plain?"}, turn=turn)
    assert shown(seeds) == [*TURNS[turn], ("Plain?", None, [])]
    assert list(seeds.ids) == list(range(len(TURNS[turn]) + 1))


# --- Columns -----------------------------------------------------------------------------------

CHAT = said("u Hi?", "a Hello.")
COLUMNS = {
    "Alpaca": ({"instruction": "Sort.", "input": "b, a", "output": "a, b"}, ("Sort.\n\nb, a", "a, b", [])),
    "Dolly": (
        {"instruction": "Who?", "context": "Ada did.", "response": "Ada.", "category": "qa"},
        ("Who?\n\nAda did.", "Ada.", []),
    ),
    "seed_tasks": (
        {"instruction": "Sort.", "instances": [{"input": "b, a", "output": "a, b"}]},
        ("Sort.\n\nb, a", "a, b", []),
    ),
    "OpenOrca": (
        {"system_prompt": "Be brief.", "question": "Hi?", "response": "Hello."},
        ("Hi?", "Hello.", ["system: Be brief."]),
    ),
    "GSM8K": ({"question": "1 + 1?", "answer": "2"}, ("1 + 1?", "2", [])),
    "input and output": ({"input": "Hi?", "output": "Hello."}, ("Hi?", "Hello.", [])),
    "LLaMA-Factory": (
        {"instruction": "Two?", "input": "", "output": "2", "system": "S.", "history": [["One?", "1"]]},
        ("Two?", "2", ["system: S.", "user: One?", "assistant: 1"]),
    ),
    "unanswered with history": (
        {"instruction": "Two?", "history": [["One?", "1"]]},
        ("Two?", None, ["user: One?", "assistant: 1"]),
    ),
    "DPO, text": ({"prompt": "Hi?", "chosen": "Hello.", "rejected": "No."}, ("Hi?", "Hello.", [])),
    "DPO, messages": ({"prompt": CHAT[:1], "chosen": CHAT[1:], "rejected": []}, ("Hi?", "Hello.", [])),
    "DPO, whole chats": ({"prompt": "Hi?", "chosen": CHAT, "rejected": CHAT}, ("Hi?", "Hello.", [])),
    "DPO, chats alone": ({"chosen": CHAT, "rejected": CHAT}, ("Hi?", "Hello.", [])),
    "prompt-completion": ({"prompt": CHAT[:1], "completion": CHAT[1:]}, ("Hi?", "Hello.", [])),
    "chat and its answer": ({"messages": CHAT[:1], "answer": "Hello."}, ("Hi?", "Hello.", [])),
    "system beside a chat": ({"system": "S.", "conversations": CHAT}, ("Hi?", "Hello.", ["system: S."])),
    "chat before prompt": ({"prompt": "x", "prompt_id": "1", "messages": CHAT}, ("Hi?", "Hello.", [])),
    "null instruction": ({"instruction": None, "messages": CHAT}, ("Hi?", "Hello.", [])),
    "our own result": (
        {"instruction": "Two?", "response": "2", "seed_instruction": "x", "context": said("s S.", "u One?", "a 1")},
        ("Two?", "2", ["system: S.", "user: One?", "assistant: 1"]),
    ),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_of_known_sets_need_no_flag(read, name):
    row, expected = COLUMNS[name]
    assert shown(read(row)) == [expected]


def test_the_column_is_chosen_per_row(read):
    first = {expected[0]: (row, expected) for row, expected in reversed(COLUMNS.values())}  # the others are duplicates
    assert shown(read(*(row for row, _ in first.values()))) == [expected for _, expected in first.values()]


def test_dotted_paths_lead_into_objects_and_lists(read):
    row = {"data": {"prompt": "Hi?", "more": [{"answer": "Hello."}]}, "data.x": "flat"}
    assert shown(read(row, instruction_field="data.prompt", response_field="data.more.0.answer")) == [
        ("Hi?", "Hello.", [])
    ]
    assert shown(read(row, instruction_field="data.x")) == [("flat", None, [])]


@pytest.mark.parametrize(
    "word", ["<noinput>", "<no input>", "Noinput", "N/A", "n/a", "None", "nan", "-", "(no input)", "[None]", "없음",
             "입력 없음", "(입력 없음)", "해당 없음", "none.", " "]
)  # fmt: skip
def test_an_input_that_means_none_is_not_joined(read, word):
    assert shown(read({"instruction": "Do.", "input": word})) == [("Do.", None, [])]


@pytest.mark.parametrize("word", ["Na", "NA", "0", "no", "None of the above", "--x", "+", "nano"])
def test_an_input_that_means_something_is_joined(read, word):
    assert shown(read({"instruction": "Do.", "input": word})) == [(f"Do.\n\n{word}", None, [])]


def test_joining_can_be_switched_off(read, caplog):
    with caplog.at_level(logging.INFO, "utils.seeds"):
        assert shown(read({"instruction": "Do.", "input": "x"}, input_field="none")) == [("Do.", None, [])]
    assert "columns not used: input" in caplog.messages


def test_columns_that_were_not_used_stand_in_one_line(read, caplog):
    rows = [{"instruction": "a", "input": "", "category": "b"}, {"question": "c", "answer": "d", "so\nurce": 1}]
    with caplog.at_level(logging.INFO, "utils.seeds"):
        read(*rows)
    assert [line for line in caplog.messages if "not used" in line] == ["columns not used: category, source"]


def test_a_column_that_begins_late_is_found(read):
    rows = [{"q": f"Number {n}?"} for n in range(150)] + [{"q": "Last?", "a": "Yes."}]
    seeds = read(*rows, instruction_field="q", response_field="a")
    assert [seed.reference for seed in seeds][-2:] == [None, "Yes."]


def test_columns_that_are_kept_come_with_the_seeds_and_have_one_type(read):
    rows = [{"instruction": "a", "n": 1, "tags": [], "odd": 1, "no": None}]
    rows += [{"instruction": "b", "n": 2.5, "tags": ["x"], "odd": "y", "no": None}]
    seeds = read(*rows, keep_columns=("all",))
    assert [seed.extra for seed in seeds] == [{k: v for k, v in row.items() if k != "instruction"} for row in rows]
    assert {name: str(kind) for name, kind in seeds.columns["extra"].items()} == {
        "n": "double",
        "tags": "list<item: string>",
        "odd": "<class 'str'>",
        "no": "<class 'str'>",
    }
    assert next(iter(read(*rows, keep_columns=("n", "instruction")))).extra == {"n": 1, "instruction": "a"}


# --- Texts -------------------------------------------------------------------------------------


def test_the_same_words_in_another_context_are_no_duplicate(read):
    rows = [{"system": system, "instruction": "Introduce  yourself."} for system in ("Cook.", "Clerk.", "", "Cook.")]
    seeds = read(*rows)
    assert [seed.context for seed in seeds] == [(Message("system", "Cook."),), (Message("system", "Clerk."),), ()]
    assert [row[::2] for row in seeds.set_aside] == [(3, "duplicate")]


def test_texts_are_composed_wherever_they_stand(read):
    apart = unicodedata.normalize("NFD", "한국의 사계절")
    seeds = read({"system": apart, "instruction": apart, "response": apart, "k": apart}, keep_columns=("k",))
    [seed] = seeds
    assert {seed.text, seed.reference, seed.context[0].content, seed.extra["k"]} == {"한국의 사계절"}


@pytest.mark.parametrize(
    "text", ["\u3164\u3164", "\u2800", "\u200b\u200b", "\0\0", "\ufeff", " \u00a0\n", "\u115f\u1160"]
)
def test_an_instruction_that_shows_nothing_is_empty(read, text):
    seeds = read({"instruction": "Fine?"}, {"instruction": text}, {"messages": said("u " + text)})
    assert [row[::2] for row in seeds.set_aside] == [(1, "empty"), (2, "empty")]


def test_what_shows_nothing_is_taken_off_and_what_joins_is_left(read):
    texts = ["Why?\u200b", "How\0?", "\ufeffWho?", "Explain 👩‍👩‍👧."]
    assert [seed.text for seed in read(*({"instruction": text} for text in texts))] == [
        "Why?",
        "How?",
        "Who?",
        "Explain 👩‍👩‍👧.",
    ]


def test_an_empty_instruction_is_empty_whatever_other_columns_hold(read):
    seeds = read({"instruction": "Name a river.", "data": None}, {"instruction": "", "data": 3})
    assert [row[::2] for row in seeds.set_aside] == [(1, "empty")]
