"""When an endpoint is given up, and whose failure a refusal is: with a clock that the test moves."""

import asyncio

import pytest

from utils.errors import EndpointError
from utils.llm.faults import Fault, FaultKind
from utils.llm.health import FIRST_PAUSE, MOST_REFUSALS, Health, Refusals

MANY = 100


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time


def health(worked: bool = False) -> tuple[Health, Clock]:
    clock = Clock()
    return Health(600, worked, clock.now), clock


def test_an_address_that_never_worked_is_given_seconds():
    of, clock = health()
    for _ in range(3):
        of.fault(Fault(FaultKind.CONNECTION, "refused"), MANY)
    clock.time += 2
    with pytest.raises(EndpointError, match="cannot reach refused"):
        of.fault(Fault(FaultKind.CONNECTION, "refused"), MANY)


@pytest.mark.parametrize(
    ("worked", "kind"), [(True, FaultKind.CONNECTION), (True, FaultKind.SERVER), (False, FaultKind.SERVER)]
)
def test_an_outage_is_waited_for_ten_minutes(worked, kind, caplog):
    of, clock = health(worked)
    for _ in range(60):
        of.fault(Fault(kind, "url: HTTP 503"), MANY)
        clock.time += 10
    assert of.down
    assert [record.getMessage().count("HTTP 503") for record in caplog.records] == [1]
    with pytest.raises(EndpointError, match="down for 10 minutes"):
        of.fault(Fault(kind, "url: HTTP 503"), MANY)


def test_any_answer_ends_an_outage():
    of, _ = health()
    for end in (of.success, of.alive, lambda: of.fault(Fault(FaultKind.THROTTLED, "429"), MANY)):
        for _ in range(3):
            of.fault(Fault(FaultKind.SERVER, "HTTP 503"), MANY)
        assert of.down
        end()
        assert not of.down


def test_probes_pause_for_longer_and_longer():
    of, _ = health(worked=True)
    pauses = []
    for _ in range(12):
        of.fault(Fault(FaultKind.SERVER, "HTTP 503"), MANY, probing=of.down)
        pauses.append(of.pause)
    assert pauses[:6] == [FIRST_PAUSE * n for n in (1, 1, 1, 2, 4, 8)]
    assert pauses[-1] == 30


def test_what_was_in_flight_when_it_went_down_makes_no_pause_longer():
    of, _ = health(worked=True)
    for _ in range(64):
        of.fault(Fault(FaultKind.SERVER, "HTTP 503"), MANY)
    assert of.pause == FIRST_PAUSE


def test_few_requests_that_are_left_are_given_up_instead_of_the_run():
    of, clock = health(worked=True)
    for _ in range(200):
        of.fault(Fault(FaultKind.SERVER, "HTTP 500"), 2)
        clock.time += 10
    assert of.gives_up(2)
    assert not of.gives_up(MANY)


def test_a_success_between_makes_good():
    of, clock = health()
    for _ in range(100):
        for kind in (FaultKind.CONNECTION, FaultKind.THROTTLED, FaultKind.BROKEN_OFF, FaultKind.UNREADABLE):
            of.fault(Fault(kind, "again"), MANY)
        clock.time += 100
        of.success()


def test_a_server_that_gives_nothing_but_faults_stops_the_run():
    of, clock = health()
    for _ in range(19):
        of.fault(Fault(FaultKind.BROKEN_OFF, "half"), MANY)
        clock.time += 10
    with pytest.raises(EndpointError, match="nothing but faults"):
        of.fault(Fault(FaultKind.BROKEN_OFF, "half"), MANY)


@pytest.mark.parametrize(("kind", "seconds"), [(FaultKind.THROTTLED, 600), (FaultKind.QUOTA, 240)])
def test_429_without_a_wait_is_borne_for_minutes(kind, seconds):
    of, clock = health()
    for _ in range(seconds // 10):
        of.fault(Fault(kind, "429"), MANY)
        clock.time += 10
    with pytest.raises(EndpointError, match="nothing but 429"):
        of.fault(Fault(kind, "429"), MANY)


def test_a_wait_that_was_asked_for_is_announced_once_and_is_no_patience(caplog):
    of, clock = health()
    for _ in range(20):
        for _ in range(50):
            of.fault(Fault(FaultKind.THROTTLED, "HTTP 429: slow down", wait=60), MANY)
        clock.time += 61
    assert len(caplog.records) == 20
    assert all("slow down" in record.getMessage() for record in caplog.records)


def settled(work):
    async def bounded():
        async with asyncio.timeout(10):
            return await work

    return asyncio.run(bounded())


def test_a_refusal_before_the_first_success_waits_for_the_others():
    async def asking() -> list[str]:
        of, _ = health()
        refusals = Refusals(of)
        for _ in range(3):
            refusals.posted()
        refusals.answered(usable=False)
        first = asyncio.ensure_future(refusals.whose(surely_a_row=False))
        await asyncio.sleep(0)
        refusals.answered(usable=False)
        second = asyncio.ensure_future(refusals.whose(surely_a_row=False))
        await asyncio.sleep(0)
        assert not first.done()
        of.success()
        refusals.answered(usable=True)
        return [await first, await second]

    assert settled(asking()) == ["row", "row"]


@pytest.mark.parametrize(("to_come", "whose"), [(0, "run"), (1, "again")])
def test_where_all_are_refused_it_is_the_run_unless_one_is_to_be_asked_again(to_come, whose):
    async def asking() -> str:
        of, _ = health()
        refusals = Refusals(of)
        refusals.asked_again(to_come)
        refusals.posted()
        refusals.answered(usable=False)
        return await refusals.whose(surely_a_row=False)

    assert settled(asking()) == whose


def test_too_many_refusals_in_a_row_are_the_run_s():
    async def asking() -> list[str]:
        of, _ = health(worked=True)
        refusals = Refusals(of)
        told = [await refusals.whose(surely_a_row=True) for _ in range(MOST_REFUSALS + 1)]
        refusals.posted()
        refusals.answered(usable=True)
        return [*told[-2:], await refusals.whose(surely_a_row=False)]

    assert settled(asking()) == ["row", "run", "row"]
