"""The plan against reality: exact where the algorithm fixes the calls, an upper bound elsewhere."""

import json
from collections import Counter
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from analyzer.examine import CASES_PER_CALL
from evolver import methods_at_hand
from generator import GROUP_SIZE
from generator.answering import SAMPLE
from generator.explore import INSTRUCTIONS_PER_CALL, SUBTASKS_PER_CALL
from tests.builders import seed, seeds
from tests.command import SEEDS, SMALL, run_here
from utils.command.arguments import parse_arguments
from utils.command.plan import cost_of, plan_text
from utils.command.plan_calls import PerCall, PlannedCalls, Planner, explored_size, seed_size, task_count
from utils.config import RunConfig
from utils.llm.journal import CallHistory

PER_CALL = PerCall(GROUP_SIZE, CASES_PER_CALL, SUBTASKS_PER_CALL, INSTRUCTIONS_PER_CALL, SAMPLE)
GOLDEN = ("--data-path", str(SEEDS))
EXPLORE = ("--explore", "gardens", "--explore-depth", "2", "--explore-breadth", "5,2", "--explore-samples", "3")
# name -> the flags of a run, offline; SMALL learns for one step from 4 rows, with 2 candidates on 6
RUNS = {
    "learned": GOLDEN,
    "learned over steps": (*GOLDEN, "--max-steps", "2", "--candidate-size", "3", "--attempts", "3", "--methods", "2"),
    "without a judge": (*GOLDEN, "--judge", "off", "--generations", "2"),
    "evol-instruct": (*GOLDEN, "--method", "evol-instruct", "--generations", "3", "--tag", "--tag-size", "5"),
    "one row per seed": (*GOLDEN, "--method", "evol-instruct", "--generations", "2", "--no-keep-generations"),
    "seeds as they are": (*GOLDEN, "--max-steps", "0", "--generations", "0", "--tag"),
    "explored": (*EXPLORE, "--max-steps", "0"),
    "weak and several": (*GOLDEN, "--weak-llm-config", "model=small", "--answers", "2", "--attempts", "3"),
    "compared": (*GOLDEN, "--compare", "auto,evol-instruct", "--max-steps", "0", "--generations", "2"),
}


def config_of(*flags: str) -> RunConfig:
    return parse_arguments(["--offline", "--quiet", *SMALL, *flags])


def planned(config: RunConfig) -> list[PlannedCalls]:
    """The lines of the plan, as the command makes them; the golden seeds where they are not explored."""
    rows = [json.loads(line) for line in SEEDS.read_text(encoding="utf-8").splitlines()]
    starts = [seed(row["instruction"], id, row.get("response")) for id, row in enumerate(rows)]
    size = explored_size(config) if config.explore else seed_size(starts)
    return [
        line for run in config.runs() for line in Planner(run, size, methods_at_hand(run.method), PER_CALL, {}).lines()
    ]


@cache
def asked(name: str) -> Counter[str]:
    """By kind, what the run of this name has asked for: calls made, and those served from the journal."""
    with TemporaryDirectory() as folder:
        assert run_here("--offline", "--quiet", *SMALL, *RUNS[name], "--save-path", f"{folder}/x.json") == 0
        told = [json.loads(path.read_text(encoding="utf-8")) for path in Path(folder).rglob("summary.json")]
    asked: Counter[str] = Counter()
    for summary in told:
        for kind, use in summary["stages"].items():
            asked[kind] += use["calls"] + use["journaled"]
    return asked


def bounds(lines: list[PlannedCalls], end: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for line in lines:
        counts[line.kind] += getattr(line, end)
    return counts


@pytest.mark.parametrize("name", RUNS)
def test_what_a_run_asks_for_is_never_more_than_planned(name):
    most = bounds(planned(config_of(*RUNS[name])), "most")
    assert {kind: (calls, most[kind]) for kind, calls in asked(name).items() if calls > most[kind]} == {}
    assert asked(name).keys() <= most.keys()


@pytest.mark.parametrize("name", RUNS)
def test_where_least_and_most_are_equal_the_algorithm_fixes_the_calls(name):
    lines = planned(config_of(*RUNS[name]))
    least, most = bounds(lines, "least"), bounds(lines, "most")
    fixed = {kind for kind in most if least[kind] == most[kind]}
    assert {kind: asked(name)[kind] for kind in fixed} == {kind: most[kind] for kind in fixed}


@pytest.mark.parametrize(("name", "calls"), [("learned", 2), ("learned over steps", 6), ("without a judge", 2)])
def test_the_analyzer_is_asked_exactly_once_per_step_and_candidate(name, calls):
    lines = planned(config_of(*RUNS[name]))
    assert (bounds(lines, "least")["analyze"], bounds(lines, "most")["analyze"]) == (calls, calls)
    assert asked(name)["analyze"] == calls


@pytest.mark.parametrize("name", ["evol-instruct", "one row per seed", "seeds as they are", "explored"])
def test_without_learning_nothing_is_analyzed_or_compared(name):
    lines = planned(config_of(*RUNS[name]))
    assert not {"analyze", "optimize", "compare"} & ({line.kind for line in lines} | asked(name).keys())


def test_least_is_what_a_smooth_run_asks_for():
    """Of the small runs only that of seeds as they are goes all the way without a failure."""
    lines = planned(config_of(*RUNS["seeds as they are"]))
    assert bounds(lines, "least") == asked("seeds as they are")


def lines_of(*flags: str, rows: int = 25) -> dict[str, tuple[int, int]]:
    config = config_of(*flags)
    lines = Planner(config, seed_size(seeds(rows)), methods_at_hand(config.method), PER_CALL, {}).lines()
    return {line.title: (line.least, line.most) for line in lines}


def test_the_lines_of_learning():
    flags = ("--train-size", "20", "--dev-size", "50", "--max-steps", "3", "--candidate-size", "5", "--loop", "3")
    lines = lines_of(*flags)
    assert lines["evolve train"] == (180, 180)
    assert lines["judge train"] == (6, 18)
    assert lines["analyze"] == (15, 15)
    assert lines["optimize"] == (15, 45)
    assert lines["validate: evolve"] == lines["validate: answer"] == (50 + 3 * (4 * 10 + 50), 50 + 15 * 50)
    assert lines["validate: judge"] == (32, 3 * 16 * 5)
    assert lines["validate: compare"] == (0, 75)


def test_the_lines_of_the_final_run():
    lines = lines_of("--method", "evol-instruct", "--generations", "4", "--attempts", "2")
    assert lines["final: evolve"] == lines["final: answer"] == (100, 200)
    assert lines["final: judge"] == (12, 72)
    assert lines["final: equality"] == (12, 24)
    assert lines_of("--method", "evol-instruct", "--generations", "4", "--no-keep-generations")["final: answer"] == (
        25,
        50,
    )
    assert "final: judge" not in lines_of("--judge", "dev", "--max-steps", "0")


def test_seeds_as_they_are_ask_for_the_answers_that_are_missing():
    config = config_of("--generations", "0", "--max-steps", "0", "--attempts", "3")
    starts = [*seeds(7), seed("Name a lake.", 7, "Lake Baikal.")]
    lines = Planner(config, seed_size(starts), methods_at_hand(config.method), PER_CALL, {}).lines()
    assert [(line.kind, line.least, line.most) for line in lines] == [("respond", 7, 21), ("examine", 2, 18)]


def test_the_examiner_sees_five_cases_a_call_group_by_group():
    lines = lines_of("--dev-size", "16", "--max-steps", "1", "--candidate-size", "2")
    assert lines["final: examine"] == (5, 3 * 5 * 2)
    assert lines["validate: examine"] == (4 + 2 + 4, 3 * 3 * 4)
    assert "final: examine" not in lines_of("--examine", "dev")
    assert "validate: examine" in lines_of("--examine", "dev")
    assert not {title for title in lines_of("--examine", "off") if "examine" in title}


def test_the_weak_llm_answers_rewrites_and_a_sample_of_seeds():
    lines = lines_of("--weak-llm-config", "model=small", "--max-steps", "1", rows=70)
    assert lines["final: weak answer"] == (70, 140)
    assert lines["seeds: weak answer"] == lines["seeds: answer"] == (50, 50)
    assert lines["seeds: examine"] == (10, 30)
    assert lines["validate: weak answer"] == lines["validate: answer"]
    assert not {title for title in lines_of() if "weak" in title or "seeds" in title}


def test_several_answers_are_as_many_calls_and_no_more_exams():
    one, three = lines_of(), lines_of("--answers", "3")
    assert three["final: answer"] == tuple(3 * calls for calls in one["final: answer"])
    assert three["final: examine"] == one["final: examine"]


def test_tagging_asks_for_ten_instructions_at_a_time():
    assert "tagging" not in lines_of()
    assert lines_of("--tag")["tagging"] == (5, 15)
    assert lines_of("--tag", "--tag-size", "10")["tagging"] == (2, 6)


def test_a_comparison_plans_every_run_and_explores_once():
    config = config_of(*EXPLORE, "--compare", "auto,evol-instruct")
    titles = [line.title for line in planned(config)]
    assert titles.count("explore") == 1
    assert titles.count("final: evolve") == 2
    assert titles.count("final: equality") == titles.count("analyze") == 1


@pytest.mark.parametrize(
    ("depth", "breadth", "tasks", "least"),
    [(1, "4", 4, 1 + 4), (2, "8,6", 56, 2 + 8 * 2 + 56), (3, "2", 14, 1 + 2 + 4 + 14), (3, "5,2", 35, 2 + 5 + 10 + 35)],
)
def test_a_fully_explored_domain(depth, breadth, tasks, least):
    config = config_of("--explore", "a", "--explore", "b", "--explore-depth", str(depth), "--explore-breadth", breadth)
    assert task_count(config) == tasks
    line = next(line for line in planned(config) if line.kind == "explore")
    assert line.least == 2 * least < line.most
    assert explored_size(config).rows == 2 * tasks * 10


# --- Tokens, cost and the table --------------------------------------------------------------------

PRICED = ("--evol-llm-config", "price_in=1", "price_out=10", "--optim-llm-config", "price_in=2", "price_out=20")


def test_the_size_of_the_seeds():
    size = seed_size([seed("Four score and seven.", 0, "x"), seed("a" * 40, 1), seed("a" * 80, 2)])
    assert (size.rows, size.tokens, size.referenced) == (3, 5 + 10 + 20, 1)
    assert size.mean == pytest.approx(35 / 3)
    assert seed_size([]).mean == 0


def test_longer_seeds_make_longer_prompts():
    config = config_of("--max-steps", "0")
    sizes = (seed_size([seed("a" * length)]) for length in (40, 4000))
    short, long = (Planner(config, size, methods_at_hand(config.method), PER_CALL, {}).lines() for size in sizes)
    assert all(one.input_tokens < other.input_tokens for one, other in zip(short, long, strict=True))


def test_what_the_journal_knows_takes_the_place_of_assumptions():
    config = config_of("--max-steps", "0")
    history = {"evolve": CallHistory(40, 900.0, 123.0)}
    lines = Planner(config, seed_size(seeds(3)), methods_at_hand(config.method), PER_CALL, history).lines()
    assert {line.output_tokens for line in lines if line.kind == "evolve"} == {123.0}
    assert {line.output_tokens for line in lines if line.kind == "respond"} == {500}
    text = plan_text(lines, config, history)
    assert text.splitlines()[1].split()[-1] == "40"
    assert "respond 500" in text
    assert "evolve 350" not in text


def test_max_tokens_bounds_what_is_assumed():
    config = config_of("--max-steps", "0", "--evol-llm-config", "max_tokens=100")
    lines = Planner(config, seed_size(seeds(3)), methods_at_hand(config.method), PER_CALL, {}).lines()
    tokens = {line.kind: line.output_tokens for line in lines}
    assert tokens == {"evolve": 100, "judge": 400, "respond": 100, "examine": 400}


def test_each_llm_has_its_own_price():
    config = config_of(*PRICED)
    evolve = PlannedCalls("evolve", "evolve", 1, 2, 1000.0, 100.0)
    judge = PlannedCalls("judge", "judge", 1, 2, 1000.0, 100.0)
    assert cost_of(evolve, 1000, config) == Decimal("2")
    assert cost_of(judge, 1000, config) == Decimal("4")


def test_the_table_adds_up_and_says_what_it_assumes():
    config = config_of(*PRICED)
    lines = Planner(config, seed_size(seeds(300)), methods_at_hand(config.method), PER_CALL, {}).lines()
    table, _, said = plan_text(lines, config, {}).partition("\n\n")
    head, *rows, total = table.splitlines()
    assert head.split()[:2] == ["stage", "calls"]
    assert len(rows) == len(lines)
    least, most = sum(line.least for line in lines), sum(line.most for line in lines)
    assert total.split()[:3] == ["all", f"{least:,}", f"{most:,}"]
    assert {len(row) for row in (head, *rows, total)} == {len(head)}
    for word in ("4 ASCII characters", "at 10 requests in flight", "evolve 350", "at most"):
        assert word in said
    assert "price_in" not in said


def test_without_prices_it_says_how_to_see_the_cost():
    config = config_of()
    lines = Planner(config, seed_size(seeds(3)), methods_at_hand(config.method), PER_CALL, {}).lines()
    assert "price_in and price_out" in plan_text(lines, config, {})


def test_rounds_of_batches_and_their_price():
    prices = ("price_in=1", "price_out=1")
    llms = ("--evol-llm-config", *prices, "--optim-llm-config", *prices, "price_batch=0.75")
    live = parse_arguments([*GOLDEN, *SMALL, *llms])
    final = live.model_copy(update={"batch_api": "final"})
    everything = live.model_copy(update={"batch_api": "all"})
    by_title = {line.title: line for line in planned(final)}
    assert {title: line.rounds for title, line in by_title.items() if any(line.rounds)} == {
        "final: evolve": (1, 2),
        "final: judge": (1, 6),
        "final: answer": (1, 2),
        "final: examine": (1, 6),
    }
    for title, factor in {"final: evolve": "0.5", "final: judge": "0.75", "evolve train": "1"}.items():
        of_live = next(line for line in planned(live) if line.title == title)
        assert cost_of(by_title[title], 100, final) == cost_of(of_live, 100, live) * Decimal(factor)
    text = plan_text(planned(final), final, {})
    assert "batches: 4 rounds, at most 16; about 0.7 h where a round takes 10 min" in text
    assert "at worst 384 h" in text
    assert all(line.rounds[0] or not line.least for line in planned(everything))
    assert "batches" not in plan_text(planned(live), live, {})
