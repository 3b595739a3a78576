"""Tasks at once: how many, and what becomes of the others when one fails."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar, overload

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[None]], at_once: int) -> None:
    """Run `work` on every item, at most `at_once` at a time; items are drawn as places become free.

    The first error cancels the rest and is raised as it is, not wrapped in a group.
    """
    iterator = iter(items)

    async def worker() -> None:
        for item in iterator:
            await work(item)

    await gather_or_cancel(*(worker() for _ in range(at_once)))


@overload
async def gather_or_cancel(first: Awaitable[A], second: Awaitable[B], /) -> tuple[A, B]: ...
@overload
async def gather_or_cancel(*works: Awaitable[T]) -> list[T]: ...
async def gather_or_cancel(*works: Awaitable[Any]) -> Any:
    """Await all, return their results in order; the first error cancels and awaits the others, and is raised as is."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
