"""Rates, windows and the gate with a clock that stands still; tasks that fail or are cancelled."""

import asyncio
from collections.abc import Callable, Iterator
from random import Random

import pytest

from tests.command import TIMEOUT
from utils.concurrency import for_each, gather_or_cancel
from utils.llm.limits import AUTO_START, Gate, Rate, Window


class Clock:
    """Time that moves when it is told to."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


# --- Rate ------------------------------------------------------------------------------------------


def starts(per_minute: float, seconds: float) -> list[float]:
    """When units are taken by somebody who takes each as soon as it may be taken."""
    clock = Clock()
    rate, end, times = Rate(per_minute, clock), clock.time + seconds, []
    while clock.time < end:
        if (wait := rate.wait()) > 0:
            clock.time += wait + 1e-9
        else:
            rate.take(1)
            times.append(clock.time)
    return times


@pytest.mark.parametrize("per_minute", [1, 6, 60, 90, 600, 3000])
def test_no_minute_holds_more_than_the_rate_and_little_of_it_is_wasted(per_minute):
    times = starts(per_minute, 300)
    assert all(late - early >= 60 for early, late in zip(times, times[per_minute:], strict=False))
    assert len(times) >= 0.97 * 5 * per_minute


def test_a_pause_saves_up_no_more_than_a_burst():
    clock = Clock()
    rate = Rate(600, clock)
    clock.time += 3600
    taken = 0
    while rate.wait() == 0:
        rate.take(1)
        taken += 1
    assert taken == 10


def test_a_large_request_leaves_a_debt():
    clock = Clock()
    rate = Rate(60_000, clock)
    assert rate.wait() == 0
    rate.take(30_000)
    assert 29 <= rate.wait() <= 31
    clock.time += 31
    assert rate.wait() == 0


# --- Window ----------------------------------------------------------------------------------------


def succeed(window: Window, clock: Clock, times: int, seconds: float = 0.0) -> None:
    """So many answers while the window is used to the full, each `seconds` after its request."""
    for _ in range(times):
        window.in_flight = int(window.size)
        started = clock.time
        clock.time += seconds
        window.succeeded(started, 0)
    window.in_flight = 0


def test_a_window_of_a_given_size_starts_full_and_never_exceeds_it():
    clock = Clock()
    window = Window(32, now=clock)
    assert window.size == 32
    succeed(window, clock, 100)
    assert window.size == 32


def test_429_halves_once_per_event_and_never_below_one():
    clock = Clock()
    window = Window(32, now=clock)
    sent = clock.time
    clock.time += 1
    for _ in range(32):
        window.throttled(sent, 1.0)
    assert window.size == 16
    for _ in range(10):
        clock.time += 1
        window.throttled(clock.time, 1.0)
    assert window.size == 1


def test_a_halved_window_grows_by_about_one_per_window_of_successes():
    clock = Clock()
    window = Window(32, now=clock)
    window.throttled(clock.time, 0.0)
    succeed(window, clock, 16)
    assert 16.9 <= window.size <= 17
    succeed(window, clock, 1000)
    assert window.size == 32


def test_a_window_that_is_not_used_does_not_grow():
    clock = Clock()
    window = Window(None, now=clock)
    window.in_flight = 1
    for _ in range(100):
        window.succeeded(clock.time, 0)
    assert window.size == AUTO_START


def test_auto_doubles_per_window_until_the_first_429():
    clock = Clock()
    window = Window(None, now=clock)
    succeed(window, clock, AUTO_START)
    assert window.size == 2 * AUTO_START
    window.throttled(clock.time, 0.0)
    assert window.size == AUTO_START
    succeed(window, clock, AUTO_START)
    assert AUTO_START < window.size <= AUTO_START + 1


def test_auto_shrinks_when_latency_blows_up():
    clock = Clock()
    window = Window(None, now=clock)
    succeed(window, clock, 64, seconds=0.1)
    before = window.size
    succeed(window, clock, 64, seconds=1.0)
    assert window.size < before + 64 - before / 2


def test_long_answers_are_no_blow_up():
    clock = Clock()
    window = Window(None, now=clock)
    window.in_flight = 10**6
    for work in [50] * 64 + [5000] * 64:
        started = clock.time
        clock.time += (50 + work) * 0.001
        window.succeeded(started, work)
    assert window.size == AUTO_START + 128


def test_a_window_with_a_number_does_not_watch_latency():
    clock = Clock()
    window = Window(32, now=clock)
    succeed(window, clock, 64, seconds=0.1)
    succeed(window, clock, 64, seconds=10.0)
    assert window.size == 32


def test_a_pause_holds_everything_back_and_is_counted_once():
    clock = Clock()
    window = Window(4, now=clock)
    window.throttled(clock.time, 3.0)
    window.throttled(clock.time, 2.0)
    assert window.wait() == 3.0
    clock.time += 1
    window.throttled(clock.time, 5.0)
    assert window.wait() == 5.0
    assert window.rate_limited_seconds == 6.0
    clock.time += 5
    assert window.wait() == 0


def test_a_full_window_waits_for_an_end():
    window = Window(1, now=Clock())
    window.start(0)
    assert window.wait() is None
    window.finish()
    assert window.wait() == 0


def test_requests_and_tokens_per_minute_bound_together():
    clock = Clock()
    window = Window(100, rpm=60, tpm=6000, now=clock)
    window.start(300)
    assert window.wait() == pytest.approx(2, abs=0.1)  # 300 tokens, with a burst of 100, at 100 a second
    window.spent(500)
    assert window.wait() == pytest.approx(7, abs=0.2)
    clock.time += 8
    assert window.wait() == 0
    window.start(0)
    assert window.wait() == pytest.approx(1, abs=0.1)  # one request a second


# --- Gate ------------------------------------------------------------------------------------------


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Visitors:
    """Tasks that pass a gate one after another, and stay until they are told to go."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.entered: list[str] = []
        self.most = 0
        self._leave: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def arrive(self, name: str, window: Window, priority: int = 0, tokens: int = 0) -> None:
        self._leave[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._visit(name, window, priority, tokens))
        await settle()

    async def _visit(self, name: str, window: Window, priority: int, tokens: int) -> None:
        async with self.gate.slot(window, priority, tokens):
            self.entered.append(name)
            self.most = max(self.most, self.gate.in_flight)
            await self._leave[name].wait()

    async def leave(self, name: str) -> None:
        self._leave[name].set()
        await settle()


def test_priority_first_then_age():
    async def visiting() -> None:
        visitors, window = Visitors(Gate(1)), Window(8)
        for name, priority in [("first", 3), ("c", 3), ("a", 0), ("d", 3), ("b", 0)]:
            await visitors.arrive(name, window, priority)
        for name in ["first", "a", "b", "c", "d"]:
            assert visitors.entered[-1] == name
            await visitors.leave(name)
        assert (visitors.most, visitors.gate.in_flight, window.in_flight) == (1, 0, 0)

    asyncio.run(visiting())


def test_the_gate_bounds_all_windows_together_and_each_window_itself():
    async def visiting() -> None:
        visitors, small, large = Visitors(Gate(3)), Window(1), Window(8)
        for number in range(3):
            await visitors.arrive(f"small {number}", small)
        for number in range(3):
            await visitors.arrive(f"large {number}", large, priority=1)
        assert visitors.entered == ["small 0", "large 0", "large 1"]  # a full window does not hold up the other
        await visitors.leave("large 0")
        assert visitors.entered[-1] == "large 2"
        await visitors.leave("small 0")
        assert visitors.entered[-1] == "small 1"
        for name in ["large 1", "large 2", "small 1", "small 2"]:
            await visitors.leave(name)
        assert (visitors.gate.in_flight, small.in_flight, large.in_flight) == (0, 0, 0)

    asyncio.run(visiting())


def test_who_is_cancelled_while_waiting_takes_no_place():
    async def visiting() -> None:
        visitors, window = Visitors(Gate(1)), Window(8)
        for name in ["first", "second", "third"]:
            await visitors.arrive(name, window)
        visitors.tasks["second"].cancel()
        await settle()
        await visitors.leave("first")
        assert visitors.entered == ["first", "third"]
        await visitors.leave("third")
        assert (visitors.gate.in_flight, window.in_flight) == (0, 0)

    asyncio.run(visiting())


def test_who_is_cancelled_at_the_moment_of_entering_gives_the_place_back():
    async def visiting() -> None:
        visitors, window = Visitors(Gate(1)), Window(8)
        for name in ["first", "second", "third"]:
            await visitors.arrive(name, window)
        first = visitors.tasks["first"]
        visitors._leave["first"].set()
        while not first.done():
            await asyncio.sleep(0)
        visitors.tasks["second"].cancel()  # let in already, but it has not run since
        await settle()
        assert visitors.entered == ["first", "third"]
        await visitors.leave("third")
        assert (visitors.gate.in_flight, window.in_flight) == (0, 0)

    asyncio.run(visiting())


def test_who_fails_inside_gives_the_place_back():
    async def visiting() -> None:
        gate, window = Gate(1), Window(8)
        with pytest.raises(ValueError, match="inside"):
            async with gate.slot(window, 0, 0):
                raise ValueError("inside")
        assert (gate.in_flight, window.in_flight) == (0, 0)

    asyncio.run(visiting())


def test_a_pause_ends_by_itself():
    async def visiting() -> None:
        visitors, window = Visitors(Gate(4)), Window(4)
        window.throttled(window.now(), 0.005)
        await visitors.arrive("waiting", window)
        assert visitors.entered == []
        async with asyncio.timeout(TIMEOUT):
            while not visitors.entered:
                await asyncio.sleep(0.001)

    asyncio.run(visiting())


def test_no_place_is_lost_whatever_is_cancelled_when():
    random = Random(7)

    async def visit(gate: Gate, window: Window, seen: list[int]) -> None:
        async with gate.slot(window, random.randrange(4), 10):
            seen.append(gate.in_flight)
            for _ in range(random.randrange(6)):
                await asyncio.sleep(0)
            if random.random() < 0.1:
                raise ValueError("inside")

    async def visiting() -> None:
        gate, windows, seen = Gate(5), [Window(3), Window(8), Window(None)], []
        tasks = [asyncio.create_task(visit(gate, random.choice(windows), seen)) for _ in range(400)]
        while not all(task.done() for task in tasks):
            random.choice(tasks).cancel()
            await asyncio.sleep(0)
        assert max(seen) == 5
        assert gate.in_flight == 0
        assert [window.in_flight for window in windows] == [0, 0, 0]
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(TIMEOUT):  # and the next one finds the door open
            await visit(Gate(1), windows[0], seen)

    asyncio.run(visiting())


# --- Tasks -----------------------------------------------------------------------------------------


def test_for_each_runs_all_and_never_more_at_once_than_allowed():
    under_way, most, done, drawn = 0, 0, [], 0

    def items() -> Iterator[int]:
        nonlocal drawn
        for number in range(50):
            drawn += 1
            assert drawn <= len(done) + 4  # no item is drawn before there is a place for it
            yield number

    async def work(number: int) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(number % 5):
            await asyncio.sleep(0)
        under_way -= 1
        done.append(number)

    asyncio.run(for_each(items(), work, 4))
    assert (sorted(done), most) == (list(range(50)), 4)


@pytest.mark.parametrize("at_once", [1, 9])
def test_for_each_of_nothing(at_once):
    async def work(_: int) -> None:
        raise AssertionError("there is nothing to do")

    asyncio.run(for_each([], work, at_once))


class Bad(Exception):
    pass


def unhappy(log: list[str], raising: Callable[[], BaseException] = Bad) -> Callable[[str], object]:
    """Work that fails for `bad`, and for all others never ends, but takes its time to be cancelled."""

    async def work(name: str) -> None:
        if name == "bad":
            await asyncio.sleep(0)
            raise raising()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.002)
            log.append(name)
            raise

    return work


def test_for_each_raises_the_first_error_as_it_is_after_all_others_have_ended():
    log: list[str] = []
    with pytest.raises(Bad):
        asyncio.run(for_each(["a", "b", "bad", "c", "never drawn"], unhappy(log), 4))
    assert sorted(log) == ["a", "b", "c"]


def test_an_error_of_the_items_is_raised_as_it_is():
    def items() -> Iterator[str]:
        yield "a"
        raise Bad

    log: list[str] = []
    with pytest.raises(Bad):
        asyncio.run(for_each(items(), unhappy(log), 2))
    assert log == ["a"]


def test_together_returns_results_in_order():
    async def after(turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return turns

    async def waiting() -> list[int]:
        return await gather_or_cancel(after(3), after(1), after(2))

    assert asyncio.run(waiting()) == [3, 1, 2]


def test_together_raises_one_error_though_two_fail_at_once():
    async def waiting() -> None:
        log: list[str] = []
        work = unhappy(log)
        with pytest.raises(Bad):
            await gather_or_cancel(work("bad"), work("a"), work("bad"))
        assert log == ["a"]

    asyncio.run(waiting())


def test_together_cancelled_from_outside_ends_all_its_works():
    async def waiting() -> None:
        log: list[str] = []
        work = unhappy(log)
        task = asyncio.create_task(gather_or_cancel(work("a"), work("b")))
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sorted(log) == ["a", "b"]

    asyncio.run(waiting())
