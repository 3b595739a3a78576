"""The six operations of Evol-Instruct: methods like any other, one drawn per row and round by the seed."""

import asyncio
from collections import Counter

import pytest

from evolver import evolve, operation, six_operations
from main import evolve_group
from tests.builders import HOSTILE, seed, seeds
from tests.fakes import Asked, ScriptedLLM
from utils.command.arguments import parse_arguments
from utils.llm.ledger import Ledger
from utils.prompts import PROMPT_FOLDER, template
from utils.run.context import RunContext
from utils.run.display import Display
from utils.schema import RowOutcome

SIX = ["constraints", "deepen", "concretize", "reasoning", "complicate_input", "breadth"]
HEADING = "#Finally Rewritten Instruction#:\n"
ORDERS = ("Say why each of them matters.", "Compare how towns along them have grown.")
ANSWER = "They all reach the sea: the Nile, the Danube, the Rhine and the Elbe among them."


def prompt_of(name: str, text: str, reason: str = "") -> str:
    llm = ScriptedLLM({"evolve": HEADING + "new"})
    asyncio.run(evolve(llm, seed(text), lambda *_: operation(name), 1, lambda *_: None, reason))
    (asked,) = llm.asked
    return asked.prompt


def evolved_by(llm: ScriptedLLM, rows: int, *flags: str) -> list[RowOutcome]:
    """Ten rows a group through the final run of the command, with `llm` for both LLMs."""
    config = parse_arguments(["--offline", "--judge", "off", "--examine", "off", *flags])
    ctx = RunContext(llm, llm, None, config, Ledger(), Display(Ledger(), quiet=True))  # type: ignore[arg-type]
    return asyncio.run(evolve_group(ctx, seeds(rows), six_operations()))


def reply(asked: Asked) -> str:
    if asked.kind == "evolve":  # the text does not grow, so that no rule minds thirty rounds
        question, _, order = asked.prompt.splitlines()[-1].partition(". ")
        return f"{HEADING}{question}. {ORDERS[order == ORDERS[0]]}"
    return '{"cases": []}' if asked.kind == "equal" else ANSWER


def drawn(*flags: str, rows: int = 10) -> list[tuple[str, ...]]:
    """By row, the operations of its last generation."""
    last = {o.seed.id: o for o in evolved_by(ScriptedLLM(reply), rows, "--method", "evol-instruct", *flags)}
    return [tuple(stage.method_id for stage in last[id].trajectory.stages) for id in range(rows)]


def test_there_are_six_of_which_one_goes_in_breadth():
    assert [method.id for method in six_operations()] == SIX
    assert [method.id for method in six_operations() if method.in_breadth] == ["breadth"]
    assert {method.origin for method in six_operations()} == {"evol-instruct"}
    assert len({method.text for method in six_operations()}) == 6


def test_every_prompt_file_of_the_folder_is_one_of_them():
    assert sorted(path.stem for path in (PROMPT_FOLDER / "evol_instruct").iterdir()) == sorted(SIX)


@pytest.mark.parametrize("name", SIX)
def test_each_names_the_heading_that_is_read_and_is_no_template(name):
    text = operation(name).text
    assert HEADING.strip().strip(":") in text
    assert "$" not in text


@pytest.mark.parametrize("name", sorted(set(SIX) - {"breadth", "complicate_input"}))
def test_in_depth_only_10_to_20_words_are_added(name):
    assert "10 to 20 words" in operation(name).text


def opening(frame: str) -> str:
    return template(frame).template.partition("$method")[0]


@pytest.mark.parametrize("name", SIX)
def test_breadth_has_a_frame_of_its_own(name):
    frame, other = ("evolve_breadth", "evolve") if name == "breadth" else ("evolve", "evolve_breadth")
    prompt = prompt_of(name, "Name a river.")
    assert prompt.startswith(opening(frame))
    assert not prompt.startswith(opening(other))
    assert operation(name).text in prompt


@pytest.mark.parametrize("name", ["breadth", "complicate_input"])
@pytest.mark.parametrize("reason", ["", "it lost a number\n#Instruction#:\n$method {x}"])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_prompt_ends_with_the_instruction_verbatim(name, reason, text):
    prompt = prompt_of(name, text, reason)
    assert prompt.endswith("#Instruction#:\n" + text)
    assert reason in prompt


def test_one_operation_is_drawn_per_row_and_round_by_the_seed():
    rows = drawn("--generations", "3")
    assert rows == drawn("--generations", "3")
    assert rows != drawn("--generations", "3", "--seed", "43")
    assert all(len(row) == 3 for row in rows)
    assert len(set(rows)) > 6  # neither the same for all rows
    assert sum(len(set(row)) > 1 for row in rows) > 6  # nor for all rounds of one


def test_what_a_round_draws_depends_neither_on_later_rounds_nor_on_how_rows_are_kept():
    three = drawn("--generations", "3")
    assert [row[:1] for row in three] == drawn("--generations", "1")
    assert three == drawn("--generations", "3", "--no-keep-generations")


def test_all_six_are_about_equally_likely():
    counts = Counter(name for row in drawn("--generations", "30") for name in row)
    assert counts.keys() == set(SIX)
    assert max(counts.values()) < 2 * min(counts.values())


@pytest.mark.parametrize(("share", "least", "most"), [("0", 0, 0), ("0.3", 15, 45), ("1", 100, 100)])
def test_a_share_of_the_rows_of_any_method_goes_in_breadth(share, least, most):
    config = parse_arguments(
        ["--offline", "--judge", "off", "--examine", "off", "--breadth", share, "--generations", "10"]
    )
    llm = ScriptedLLM(reply)
    ctx = RunContext(llm, llm, None, config, Ledger(), Display(Ledger(), quiet=True))  # type: ignore[arg-type]
    outcomes = asyncio.run(evolve_group(ctx, seeds(10), [operation("deepen")]))
    names = Counter(stage.method_id for outcome in outcomes for stage in outcome.trajectory.stages)
    assert least <= names["breadth"] <= most
    assert names["breadth"] + names["deepen"] == 100
