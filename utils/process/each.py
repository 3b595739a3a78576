"""How a long computation goes through its items: by a function it is given, which may show progress, or stop it."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Each(Protocol):
    """Gives `items` back one by one; `title` says what is done with them, `total` how many there are."""

    def __call__(self, title: str, items: Iterable[T], total: int) -> Iterator[T]: ...


def in_silence(title: str, items: Iterable[T], total: int) -> Iterator[T]:
    """Return an iterator over `items` that shows nothing."""
    return iter(items)
