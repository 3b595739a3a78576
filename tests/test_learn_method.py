"""learn_method: the paper's algorithm against an LLM whose methods are as good as a test says they are."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from main import generate, learn_method
from tests.builders import rate, seeds
from tests.command import SEEDS
from tests.fakes import Asked, ScriptedLLM
from utils.command.arguments import parse_arguments
from utils.config import RunConfig
from utils.files.row_store import RowStore
from utils.llm import JournaledLLM
from utils.llm.journal import Journal
from utils.llm.ledger import Ledger
from utils.llm.offline import OfflineEndpoint
from utils.llm.offline.reading import dice, read_cases
from utils.rows.records import evolved_records, rejected_records
from utils.run.context import RunContext
from utils.run.display import Display
from utils.run.run_folder import Folder
from utils.schema import Completion, Learned, Method, Request
from utils.seeds import SeedSource, load_seeds, split_seeds

TRAIN, DEV = seeds(14)[:4], seeds(14)[4:]
UNUSABLE = "```Optimized Method\nshort\n```"
NAME = re.compile(r"The method of quality (\d+)(?:, style (\d+))?(?:, fault (\w+))?")
ADDED = " Say what they have in common, in terms of quality {}, style {}."
HEADING = "#Finally Rewritten Instruction#:\n"


def proposal(quality: int, style: int = 0, fault: str = "none") -> str:
    """An optimizer's reply: a method that fails on the rows whose number is not below `quality`."""
    text = f"The method of quality {quality}, style {style}, fault {fault}."
    return f"```Optimized Method\n{text} Add one demand that takes knowledge and keep the rest as it stands.\n```"


def named(method: Method) -> str:
    found = NAME.search(method.text)
    return found.group() if found else method.origin


def context_of(evol, optim, config: RunConfig, ledger: Ledger) -> RunContext:
    return RunContext(evol, optim, None, config, ledger, Display(ledger, quiet=True))


@dataclass
class World:
    """Both LLMs. `proposals` are the optimizer's replies by draw (three a candidate); others are unusable.

    The pairwise judge likes a style on as many of the ten dev rows as its number says.
    """

    proposals: Mapping[int, str] = field(default_factory=dict)
    initial_quality: int = 5

    def __post_init__(self) -> None:
        self.llm = ScriptedLLM(self._reply)

    def _reply(self, asked: Asked) -> str | Completion:
        return getattr(self, f"_{asked.kind}")(asked)

    def _evolve(self, asked: Asked) -> str | Completion:
        found = NAME.search(asked.prompt)
        quality, style, fault = found.groups() if found else (self.initial_quality, 0, "none")
        if fault == "silent" and "Name 7 rivers" in asked.prompt.splitlines()[-1]:
            return Completion("", "unavailable")
        return HEADING + asked.prompt.splitlines()[-1] + ADDED.format(quality, style)

    def _judge(self, asked: Asked) -> str:
        """Of the ten dev rows, which ask for 6 to 15 rivers, as many pass as the quality of the last rewrite says."""
        cases = []
        for case in read_cases(asked.prompt):
            number = int(re.search(r"Name (\d+)", case.stages[0]).group(1))
            quality = int(re.findall(r"quality (\d+)", case.stages[-1])[-1])
            labels = ["ok"] if number < 6 + quality else ["lost"]
            cases.append({"case_id": case.id, "labels": labels, "note": "the number"})
        return json.dumps({"cases": cases})

    def _examine(self, asked: Asked) -> str:
        return json.dumps(
            {"cases": [{"case_id": c.id, "note": "", "grades": ["right"]} for c in read_cases(asked.prompt)]}
        )

    def _compare(self, asked: Asked) -> str:
        cases = []
        for case in read_cases(asked.prompt):
            number = int(re.search(r"Name (\d+)", case.text("Seed")).group(1))
            first, second = (
                number % 10 < int(re.findall(r"style (\d+)", case.text(name))[-1]) for name in ("First", "Second")
            )
            better = "tie" if first == second else "first" if first else "second"
            cases.append({"case_id": case.id, "better": better})
        return json.dumps({"cases": cases})

    def _respond(self, asked: Asked) -> str:
        return "They all reach the sea: the Nile, the Danube, the Rhine and the Elbe among them."

    def _analyze(self, asked: Asked) -> str:
        return json.dumps({"failed_cases": [], "feedback": f"feedback {asked.draw}"})

    def _optimize(self, asked: Asked) -> str:
        return self.proposals.get(asked.draw, UNUSABLE)

    def learn(self, *flags: str) -> Learned:
        config = parse_arguments(["--offline", "--loop", "2", "--candidate-size", "2", "--max-steps", "1", *flags])
        return asyncio.run(learn_method(context_of(self.llm, self.llm, config, Ledger()), TRAIN, DEV))  # type: ignore[arg-type]

    def rows_of(self, name: str) -> set[str]:
        """The seeds that the method of this name was asked to rewrite."""
        return {asked.prompt.splitlines()[-1] for asked in self.llm.of_kind("evolve") if name in asked.prompt}


def test_the_lowest_failure_rate_wins():
    learned = World({0: proposal(3), 3: proposal(8)}).learn()
    assert [rate(candidate.score) for candidate in learned.history] == [rate_of(5), rate_of(3), rate_of(8)]
    assert [candidate.selected for candidate in learned.history] == [True, False, True]
    assert named(learned.methods[0]).startswith("The method of quality 8")


def rate_of(quality: int):
    from fractions import Fraction

    return Fraction(len(DEV) - quality, len(DEV))


def test_worse_candidates_leave_the_incumbent_and_no_pairs_are_judged():
    world = World({0: proposal(3, style=9), 3: proposal(4, style=9)})
    learned = world.learn()
    assert learned.methods[0].origin == "initial"
    assert world.llm.of_kind("compare") == []


@pytest.mark.parametrize(
    ("styles", "winner"),
    [((0, 0), "initial"), ((3, 2), "style 3"), ((2, 3), "style 3"), ((1, 1), "style 1")],
)
def test_equal_rates_are_told_apart_by_the_pairwise_judge_then_the_incumbent(styles, winner):
    learned = World({0: proposal(5, styles[0], "a"), 3: proposal(5, styles[1], "b")}).learn()
    assert winner in named(learned.methods[0])
    if styles == (1, 1):  # equal in all: the first draw
        assert "fault a" in named(learned.methods[0])


def test_an_incumbent_that_is_liked_better_stays():
    learned = World({0: proposal(8, style=5), 6: proposal(8, style=4), 9: proposal(8, style=3)}).learn(
        "--max-steps", "2"
    )
    assert "style 5" in named(learned.methods[0])


def test_over_the_steps_the_failure_rate_never_rises():
    proposals = {draw: proposal(dice("quality", str(draw)).randrange(11), draw) for draw in range(0, 90, 3)}
    learned = World(proposals).learn("--max-steps", "6", "--candidate-size", "3", "--patience", "6")
    best = [rate(candidate.score) for candidate in learned.history if candidate.selected]
    assert best == sorted(best, reverse=True)
    assert rate(learned.history[0].score) > best[-1] == min(rate(c.score) for c in learned.history)


def test_each_step_proposes_from_the_method_that_is_best_by_then():
    learned = World({0: proposal(6), 6: proposal(7), 9: proposal(4)}).learn("--max-steps", "2")
    parents = {named(c.score.method): c.score.method.parent_id for c in learned.history}
    ids = {named(c.score.method): c.score.method.id for c in learned.history}
    first = next(name for name in ids if "quality 6" in name)
    assert parents[first] == ids["initial"]
    assert {parents[name] for name in ids if "quality 7" in name or "quality 4" in name} == {ids[first]}


def test_all_methods_are_measured_on_the_same_rows():
    world = World({0: proposal(6), 3: proposal(7)})
    learned = world.learn()
    dev = {start.text for start in DEV}
    assert world.rows_of("quality 6") == world.rows_of("quality 7") == dev
    assert all({o.seed.text for o in c.score.outcomes} == dev for c in learned.history)


def test_rows_without_an_answer_are_not_counted_against_a_method():
    learned = World({0: proposal(6, fault="silent"), 3: proposal(5, style=9)}).learn()
    silent = learned.history[1].score
    assert (silent.judged, silent.unscored, silent.failed) == (9, 1, 4)
    assert learned.methods[0] is silent.method  # 4 of 9 beats 5 of 10


def test_unusable_proposals_are_asked_for_again_and_then_dropped():
    world = World({1: proposal(9)})  # the first candidate's second try; the second candidate never becomes usable
    learned = world.learn()
    assert [(c.step, c.draw, c.score.method.origin) for c in learned.history] == [
        (0, 0, "initial"),
        (1, 0, "optimized"),
    ]
    assert sorted(asked.draw for asked in world.llm.of_kind("optimize")) == [0, 1, 3, 4, 5]


def test_a_step_in_which_nothing_usable_is_proposed_changes_nothing():
    learned = World().learn("--max-steps", "2")
    assert [candidate.score.method.origin for candidate in learned.history] == ["initial"]


def test_no_draw_is_used_twice():
    world = World({6: proposal(6)})
    world.learn("--max-steps", "3")
    for kind in ("analyze", "optimize"):
        asked = [(question.messages, question.draw) for question in world.llm.of_kind(kind)]
        assert len(asked) == len(set(asked))
    assert len({question.draw for question in world.llm.of_kind("analyze")}) == 6


def test_patience_ends_learning_when_nothing_better_comes():
    proposals = {0: proposal(6)} | {draw: proposal(2, fault=str(draw)) for draw in range(6, 60, 3)}
    learned = World(proposals).learn("--max-steps", "9", "--patience", "2")
    assert max(candidate.step for candidate in learned.history) == 3


def test_the_analyzer_sees_rounds_and_findings_of_the_train_rows_only():
    world = World({0: proposal(6)}, initial_quality=0)
    world.learn("--loop", "3")
    prompt = world.llm.of_kind("analyze")[0].prompt
    assert [f"Name {start.id + 2} " in prompt for start in [*TRAIN, *DEV]] == [True] * 4 + [False] * 10
    assert "Stage 3: " in prompt
    assert "Found: lost: the number" not in prompt.split("### Case 4")[0]


def test_after_the_last_step_no_train_rows_are_evolved():
    world = World({0: proposal(9)})
    world.learn("--max-steps", "1", "--loop", "2")
    assert not world.rows_of("quality 9") & {start.text for start in TRAIN}


def test_without_a_judge_rules_alone_measure_and_equals_stay():
    world = World({0: proposal(9, style=9), 3: proposal(1)})
    learned = world.learn("--judge", "off")
    assert {rate(candidate.score) for candidate in learned.history} == {0}
    assert learned.methods[0].origin == "initial"
    assert not world.llm.of_kind("judge") + world.llm.of_kind("compare")


# --- The order in which replies arrive -------------------------------------------------------------


class Late:
    """The offline LLM, whose replies arrive in an order that `salt` decides."""

    def __init__(self, salt: str) -> None:
        self._salt = salt
        self._endpoint = OfflineEndpoint()

    async def send(self, request: Request) -> Completion:
        turns = dice(self._salt, request.kind, request.draw, request.messages[-1].content).randrange(40)
        for _ in range(turns):
            await asyncio.sleep(0)
        return await self._endpoint.send(request)

    async def close(self) -> None:
        """Nothing is open."""


async def whole_run(config: RunConfig, salt: str, folder) -> tuple[Learned, list[dict], list[dict]]:
    llm_config = config.evol_llm_config
    ledger, journal = Ledger(), Journal(None)
    llms = [JournaledLLM(Late(salt), llm_config, journal, ledger, config.seed) for _ in range(2)]
    ctx = context_of(*llms, config, ledger)
    with (
        load_seeds([SeedSource(str(SEEDS))], folder / f"{salt}.seeds") as loaded,
        RowStore(folder / f"{salt}.rows") as rows,
    ):
        train, dev = split_seeds(loaded.ids, config.train_size, config.dev_size, config.seed)
        learned = await learn_method(ctx, loaded.get(train), loaded.get(dev))
        await generate(ctx, loaded, learned.methods, rows, Folder(folder, folder / "x.json"))
        return learned, list(evolved_records(rows)), list(rejected_records(rows))


def test_the_order_in_which_replies_arrive_changes_nothing(tmp_path):
    flags = ["--offline", "--train-size", "4", "--dev-size", "8", "--max-steps", "2", "--loop", "2", "--quiet"]
    config = parse_arguments([*flags, "--generations", "2"])
    runs = [asyncio.run(whole_run(config, salt, tmp_path)) for salt in ("no", "other", "third")]
    assert len(runs[0][1]) + len(runs[0][2]) == 12
    assert runs[0] == runs[1] == runs[2]
