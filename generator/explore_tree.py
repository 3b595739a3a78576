"""The tree of tasks that exploring a domain grows: its types, its file, and how it is shown and read out.

Explore-Instruct (arXiv 2310.09168): the domain is the root, every task may have sub-tasks, and every task
but the root has instructions. Tree order is depth first, a task before its sub-tasks.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from utils.errors import DataError

Path = tuple[str, ...]

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]++")


@dataclass(frozen=True, slots=True)
class TaskNode:
    """A task, why it belongs to its parent, its instructions, and its sub-tasks.

    `breadth` and `samples` are the numbers of sub-tasks and instructions that were looked for to the end, until they
    were found or the LLM had no more new ones. A search that a fault cut short does not count.
    """

    name: str
    reason: str = ""
    instructions: tuple[str, ...] = ()
    children: tuple["TaskNode", ...] = ()
    breadth: int = 0
    samples: int = 0


@dataclass(frozen=True, slots=True)
class DomainTree:
    """A domain as the user named it, and its tasks; the root bears the domain's name on one line."""

    domain: str
    root: TaskNode


def new_tree(domain: str) -> DomainTree:
    """Make the tree of a domain of which nothing is known yet."""
    return DomainTree(domain, TaskNode(one_line(domain)))


def one_line(text: str) -> str:
    """Make a name fit for a line of a prompt or a terminal: without line breaks and control characters."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


def walk(root: TaskNode) -> Iterator[tuple[Path, TaskNode]]:
    """Yield every task with its path from the root, in tree order; the root comes first."""
    waiting: list[tuple[Path, TaskNode]] = [((root.name,), root)]
    while waiting:
        path, node = waiting.pop()
        yield path, node
        waiting.extend(((*path, child.name), child) for child in reversed(node.children))


def shown_path(path: Path) -> str:
    return " > ".join(path)


def seed_records(trees: Iterable[DomainTree]) -> Iterator[dict[str, Any]]:
    """Yield the instructions as rows of a seed set, in tree order: `instruction`, and `task`, the path to its task."""
    for tree in trees:
        for path, node in walk(tree.root):
            for text in node.instructions:
                yield {"instruction": text, "task": shown_path(path)}


# --- The file ----------------------------------------------------------------------------------

_TREE = TypeAdapter(DomainTree)


def tree_to_json(tree: DomainTree) -> str:
    """Write the tree as one line of JSON, not ASCII-escaped."""
    return _TREE.dump_json(tree).decode()


def tree_from_json(text: str, source: str = "the saved tree of tasks") -> DomainTree:
    """Read a tree that `tree_to_json` wrote. Raise DataError, which names `source`, where it is torn or foreign."""
    try:
        return _TREE.validate_json(text)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        cause = one_line(f"{place}: {first['msg']}" if place else first["msg"])
        raise DataError(f"{source} cannot be read ({cause}); restore it, or start with --fresh") from exc


# --- For the reader ----------------------------------------------------------------------------


def render(tree: DomainTree) -> str:
    """Draw the tree with lines; behind each task stands the number of its instructions, then with those below it."""
    tasks = sum(1 for _ in walk(tree.root)) - 1
    head = f"{tree.root.name} ({_counted(tasks, 'task')}, {_counted(_below(tree.root), 'instruction')})"
    return "\n".join([head, *_branches(tree.root, "")])


def _branches(node: TaskNode, indent: str) -> Iterator[str]:
    for number, child in enumerate(node.children, 1):
        last = number == len(node.children)
        numbers = f"{len(child.instructions)}, with sub-tasks {_below(child)}" if child.children else f"{_below(child)}"
        yield f"{indent}{'└── ' if last else '├── '}{one_line(child.name)} ({numbers})"
        yield from _branches(child, indent + ("    " if last else "│   "))


def _below(node: TaskNode) -> int:
    return sum(len(found.instructions) for _, found in walk(node))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
