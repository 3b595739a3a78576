"""Evolver: rounds that build on each other, ends that say why, and texts that stay texts."""

import asyncio

import pytest

from evolver import Choose, evolve, initial_method, method_from_file
from tests.builders import HOSTILE, method, seed
from tests.fakes import Asked, ScriptedLLM
from utils.errors import ConfigError, EndpointError
from utils.prompts import LONGEST_CONTEXT, shown_context
from utils.schema import Completion, Message, Outcome, SeedInstruction, Trajectory

HEADING = "#Finally Rewritten Instruction#:\n"


def accept(parent: str, rewrite: str) -> str | None:
    return None


def grow(llm: ScriptedLLM, text: str = "Name a river.", rounds: int = 1, **more) -> Trajectory:
    options = {"choose": lambda *_: method(), "check": accept} | more
    choose: Choose = options.pop("choose")
    return asyncio.run(evolve(llm, seed(text), choose, rounds, **options))


def last_line(asked: Asked) -> str:
    return asked.prompt.splitlines()[-1]


def test_each_round_rewrites_what_the_round_before_has_made():
    llm = ScriptedLLM({"evolve": [HEADING + "first", HEADING + "second", HEADING + "third"]})
    trajectory = grow(llm, rounds=3)
    assert [stage.instruction for stage in trajectory.stages] == ["first", "second", "third"]
    assert [last_line(asked) for asked in llm.asked] == ["Name a river.", "first", "second"]
    assert (trajectory.final, trajectory.stopped, trajectory.reply) == ("third", None, None)


def test_no_rounds_ask_nothing():
    assert grow(ScriptedLLM({}), rounds=0) == Trajectory(seed())


def test_the_method_is_chosen_by_seed_and_round():
    methods = [method("Method of round one."), method("Method of round two.")]
    llm = ScriptedLLM({"evolve": HEADING + "new"})
    trajectory = grow(llm, rounds=2, choose=lambda row, number: methods[row.id + number - 1])
    assert [stage.method_id for stage in trajectory.stages] == [m.id for m in methods]
    assert all(m.text in asked.prompt for m, asked in zip(methods, llm.asked, strict=True))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("reason", ["", "it lost a number\n#Instruction#:\n$method {x}"])
def test_every_prompt_ends_with_the_instruction_verbatim(text, reason):
    llm = ScriptedLLM({"evolve": HEADING + "new"})
    grow(llm, text, choose=lambda *_: method("Use $braces {x} \\1\n#Instruction#:\nwell."), reason=reason)
    (asked,) = llm.asked
    assert [message.role for message in asked.messages] == ["user"]
    assert asked.prompt.endswith("#Instruction#:\n" + text)
    assert "Use $braces {x} \\1\n#Instruction#:\nwell." in asked.prompt
    assert reason in asked.prompt


def test_why_a_former_attempt_failed_makes_another_prompt_and_nothing_else_does():
    llm = ScriptedLLM({"evolve": HEADING + "new"})
    for reason in ("", "", "too short", "lost"):
        grow(llm, reason=reason)
    assert len({asked.prompt for asked in llm.asked}) == 3
    assert {asked.draw for asked in llm.asked} == {0}


@pytest.mark.parametrize(
    ("reply", "outcome", "reason"),
    [
        (Completion("", "unavailable"), Outcome.UNSCORED, "unavailable"),
        (Completion("half a rep", "length"), Outcome.FAILED, "length"),
        (Completion("", "content_filter"), Outcome.FAILED, "content_filter"),
        (Completion("I think it is fine as it is."), Outcome.FAILED, "unreadable"),
        (Completion(HEADING + "broken"), Outcome.FAILED, "the rule"),
    ],
)
def test_a_stage_that_cannot_be_used_ends_the_trajectory_and_says_why(reply, outcome, reason):
    llm = ScriptedLLM({"evolve": [HEADING + "first", reply]})
    trajectory = grow(llm, rounds=3, check=lambda parent, rewrite: "the rule" if rewrite == "broken" else None)
    assert (trajectory.stopped.outcome, trajectory.stopped.reason) == (outcome, reason)
    assert [stage.instruction for stage in trajectory.stages] == ["first"]
    if reason == "the rule":  # it could be read: the rewrite itself is kept
        assert (trajectory.rejected, trajectory.reply) == ("broken", None)
    else:
        assert (trajectory.rejected, trajectory.reply) == (None, reply.text or None)
    assert len(llm.asked) == 2


def test_rules_are_given_the_parent_and_the_rewrite():
    seen = []
    llm = ScriptedLLM({"evolve": [HEADING + "first", HEADING + "second"]})
    grow(llm, rounds=2, check=lambda parent, rewrite: seen.append((parent, rewrite)))
    assert seen == [("Name a river.", "first"), ("first", "second")]


def test_an_end_of_the_run_is_passed_on():
    def refuse(_: Asked) -> str:
        raise EndpointError("bad key")

    with pytest.raises(EndpointError):
        grow(ScriptedLLM(refuse))


def test_the_initial_method_is_the_prompt_file_and_names_the_heading_that_is_read():
    assert initial_method().origin == "initial"
    assert initial_method().id == initial_method().id
    assert HEADING.strip().strip(":") in initial_method().text


def test_a_reply_in_the_format_of_the_initial_method_is_read():
    reply = "#Methods List#:\n1. a\n#Plan#:\nb\n#Rewritten Instruction#:\nnot this\n" + HEADING + "Name two rivers."
    assert grow(ScriptedLLM({"evolve": reply})).final == "Name two rivers."


def test_a_method_file_is_read_as_it_was_written(tmp_path):
    (tmp_path / "best_method.txt").write_text("Step 1: {x} $y\n단계 2: #Plan#\n", encoding="utf-8")
    read = method_from_file(tmp_path / "best_method.txt")
    assert (read.text, read.origin) == ("Step 1: {x} $y\n단계 2: #Plan#", "file")


@pytest.mark.parametrize("content", [None, b"", b" \n", "méthode".encode("latin-1")])
def test_a_method_file_that_is_none_is_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "m.txt").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        method_from_file(tmp_path / "m.txt")
    assert "--method" in str(caught.value)
    assert "\n" not in str(caught.value)


# --- A seed in a conversation ---------------------------------------------------------------------

CONTEXT = (Message("system", "Be brief."), Message("user", "Hi?\n#Instruction#:\nNo."), Message("assistant", "Hello."))


def of_chat(llm: ScriptedLLM, context: tuple[Message, ...], reason: str = "") -> Trajectory:
    start = SeedInstruction(0, "And then?", None, context)
    return asyncio.run(evolve(llm, start, lambda *_: method(), 2, accept, reason))


def test_the_conversation_is_shown_and_the_turn_alone_is_rewritten():
    llm = ScriptedLLM({"evolve": [HEADING + "And why?", HEADING + "And how?"]})
    trajectory = of_chat(llm, CONTEXT, "it was lost")
    assert [stage.instruction for stage in trajectory.stages] == ["And why?", "And how?"]
    for asked, instruction in zip(llm.asked, ["And then?", "And why?"], strict=True):
        assert asked.prompt.endswith(f"\n#Instruction#:\n{instruction}")
        assert asked.prompt.count("\n#Instruction#:\n") == 1  # what the conversation holds is indented
        assert "\n    system: Be brief.\n    user: Hi?\n" in asked.prompt
        assert asked.prompt.index("What was said before") < asked.prompt.index("Reason: it was lost")


def test_without_a_conversation_the_prompt_is_what_it_always_was():
    llm = ScriptedLLM({"evolve": [HEADING + "a", HEADING + "b"]})
    of_chat(llm, ())
    assert "What was said before" not in llm.asked[0].prompt
    assert "(the new instruction)\n\n#Instruction#:\nAnd then?" in llm.asked[0].prompt


@pytest.mark.parametrize("turns", [2, 40])
def test_a_long_conversation_is_shown_with_a_bound(turns):
    said = [Message("assistant" if n % 2 else "user", f"turn {n} " + "x" * 50_000) for n in range(turns)]
    shown = shown_context((Message("system", "s" * 50_000), *said))
    assert len(shown) < LONGEST_CONTEXT * 1.2
    assert "characters are not shown here" in shown
    assert ("earlier turns are not shown here" in shown) == (turns > 5)
    assert f"turn {turns - 1} " in shown
    assert shown.startswith("system: ")
