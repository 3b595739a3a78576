"""What an actor gives back of a group, and what it tells."""

import asyncio
import json
import os
from dataclasses import asdict
from types import SimpleNamespace

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-ray.txt")

from generator.scale_out import pipeline
from generator.scale_out.coordinator import Coordinator
from generator.scale_out.pipeline import Evolver, workers_for
from tests.builders import seeds as seeds_of
from tests.generator.scale_out.test_coordinator import Remote
from utils.config import RunConfig
from utils.errors import BudgetReached
from utils.llm.journal import Journal
from utils.llm.ledger import Ledger
from utils.schema import PASSED, Rewrite, RowOutcome, Trajectory, failed, unscored

ROW = {"group": "x", "seeds": json.dumps([asdict(seed) for seed in seeds_of(2)])}


@pytest.fixture
def office(monkeypatch) -> Coordinator:
    monkeypatch.setenv("A_KEY", "")
    opened = Coordinator()
    opened.open(lambda: Journal(None), {"A_KEY": "secret"}, Ledger())
    return opened


def given(office: Coordinator, work, monkeypatch, drained=None) -> list[dict]:
    """What an actor that does `work` gives of one group."""

    async def drain():
        drained.append("home")

    async def calling() -> list[dict]:
        remote = Remote(office)
        remote.enter = SimpleNamespace(remote=office.enter)
        return await Evolver(lambda ctx, group: work(group), RunConfig(offline=True), {}, remote)(ROW)

    monkeypatch.setattr(
        pipeline.RunContext, "of", lambda *_, quiet: SimpleNamespace(drain=drain, evol=SimpleNamespace(model="m"))
    )
    monkeypatch.setattr(pipeline.ray, "get", lambda answer: answer)
    monkeypatch.setattr(pipeline.ray, "get_runtime_context", lambda: SimpleNamespace(current_actor="an actor"))
    return asyncio.run(calling())


def becomes(*kinds: str):
    verdicts = {"evolved": PASSED, "eliminated": failed("lost"), "unavailable": unscored("unavailable")}

    async def work(group):
        trajectories = (Trajectory(seed, (Rewrite(seed.text, "m"),)) for seed in group)
        return [RowOutcome(made, verdicts[kind]) for made, kind in zip(trajectories, kinds, strict=True)]

    return work


def test_a_finished_group_is_a_row_and_is_told(office, monkeypatch):
    (row,) = given(office, becomes("evolved", "eliminated"), monkeypatch)
    assert row["group"] == "x"
    key, (outcome, record, *_) = json.loads(row["records"])[1]
    assert (key, outcome, record["reason"], record["instruction"]) == (1, "eliminated", "lost", seeds_of(2)[1].text)
    news, _ = office.news()
    assert (news.rows, news.failed, news.unfinished, office.take_begun()[0]) == (2, 1, {}, set())
    assert os.environ["A_KEY"] == "secret"


def test_a_group_with_a_row_that_went_without_an_answer_is_told_and_not_written(office, monkeypatch):
    assert given(office, becomes("evolved", "unavailable"), monkeypatch) == []
    news, _ = office.news()
    assert [kind for _, (kind, *_) in news.unfinished["x"]] == ["evolved", "unavailable"]
    assert office.take_begun()[0] == set()


@pytest.mark.parametrize("fault", [KeyError("a bug"), SystemExit(1)])
def test_a_group_that_the_program_fails_on_stays_begun(office, fault, monkeypatch):
    async def work(group):
        raise fault

    assert given(office, work, monkeypatch) == []
    begun, why = office.take_begun()
    assert begun == {"x"}
    assert type(fault).__name__ in why


def test_where_the_budget_ends_the_run_calls_come_home(office, monkeypatch):
    async def work(group):
        raise BudgetReached("used up")

    drained: list[str] = []
    assert given(office, work, monkeypatch, drained) == []
    assert drained == ["home"]
    assert str(office.news()[1]) == "used up"
    assert given(office, becomes("evolved", "evolved"), monkeypatch) == []


@pytest.mark.parametrize(
    ("nodes", "cpus", "requests", "groups", "workers"),
    [
        (3, 3, 12, 20, 3),
        (3, 3, 12, 2, 2),
        (3, 3, 2, 20, 2),
        (2, 64, 4096, 10_000, 16),
        (2, 8, 4096, 10_000, 8),
        (2, 0, 4096, 10_000, 2),
        (4, 8, None, 100, 4),
    ],
)
def test_workers_are_one_per_node_and_more_for_many_requests(nodes, cpus, requests, groups, workers, monkeypatch):
    monkeypatch.setattr(pipeline.ray, "nodes", lambda: [{"Alive": True}] * nodes + [{"Alive": False}])
    monkeypatch.setattr(pipeline.ray, "cluster_resources", lambda: {"CPU": cpus})
    assert workers_for(requests, groups) == workers
