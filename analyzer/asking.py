"""Asking about several cases in one call, so that no case costs the others their findings."""

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from utils.concurrency import gather_or_cancel
from utils.schema import Completion

T = TypeVar("T")
TRIES = 3  # how often a case is asked for that is missing or unreadable, before it stays unscored
IN_HALVES = {"content_filter", "rejected", "too_long", "length"}  # failures that may not occur with fewer cases


async def ask_about(
    cases: Collection[int],
    ask: Callable[[Collection[int], int], Awaitable[Completion]],
    read: Callable[[str, int], dict[int, T]],
    tries: int = TRIES,
) -> tuple[dict[int, T], dict[int, str]]:
    """Ask about cases; return what the replies say of each case, and for every other case why nothing is known of it.

    `ask` takes the ids of the cases to ask for and the draw; `read` takes a reply and the highest id. Cases that a
    reply lacks are asked for again, `tries` times in all. What the server refuses or cuts, or finds too long, is asked
    for in halves, down to single cases. Raise what `ask` raises.
    """
    found: dict[int, T] = {}
    why = "no reply could be read"
    for draw in range(tries):
        missing = [case_id for case_id in cases if case_id not in found]
        if not missing:
            break
        completion = await ask(missing, draw)
        if completion.failure == "unavailable":
            why = "no reply came"
            break
        told = read(completion.text, max(missing))
        found |= {case_id: told[case_id] for case_id in missing if case_id in told}
        if completion.failure in IN_HALVES and not told:
            why = f"{completion.failure}: {completion.said or 'the reply was cut before it could be read'}"
            if len(missing) == 1 and completion.refused:
                break
            if len(missing) == 1:
                continue
            half = len(missing) // 2
            halves = await gather_or_cancel(
                *(ask_about(part, ask, read, tries) for part in (missing[:half], missing[half:]))
            )
            return found | halves[0][0] | halves[1][0], halves[0][1] | halves[1][1]
    return found, {case_id: why for case_id in cases if case_id not in found}
