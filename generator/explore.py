"""Explore-Instruct (arXiv 2310.09168): a domain is explored as a tree of tasks, which yields seed instructions.

Depth first. *Lookahead* splits a task into sub-tasks; each of them is explored in turn; *backtracking* then goes
from the last of them to its parent and finds further ones there. A name that overlaps with one of the tree is
pruned. Then every task but the domain itself gets instructions, and near-duplicates among them are filtered out.

The calls of one tree follow one another, as each is told what is known; trees, and the tasks that instructions are
written for, go side by side. What comes out depends on the replies alone, not on the order in which they arrive.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path as FilePath

from generator.explore_replies import read_instructions, read_subtasks
from generator.explore_tree import (
    DomainTree,
    Path,
    TaskNode,
    new_tree,
    one_line,
    render,
    seed_records,
    shown_path,
    tree_from_json,
    tree_to_json,
    walk,
)
from utils.concurrency import gather_or_cancel
from utils.errors import EndpointError
from utils.llm import LLM
from utils.process.streams import say
from utils.prompts import INDENT, fill, user
from utils.run.context import RunContext
from utils.run.run_folder import RunFolder
from utils.seeds import SeedSet, SeedSource, load_seeds
from utils.text.decontamination import benchmarks_of

TREES, SEEDS = "explored.jsonl", "seeds.jsonl"  # in the run folder
SUBTASKS_PER_CALL = 4  # M: half a level, so that the other half is found knowing what lies below the first
INSTRUCTIONS_PER_CALL = 10
PATIENCE = 2  # calls in a row that bring nothing new, after which a task is not asked about any more
SHOWN = 20  # instructions of a task that its next call is shown, the latest ones


@dataclass(frozen=True, slots=True)
class ExploreOptions:
    """How far to explore: K levels below the domain, sub-tasks of a task per level, instructions of a task.

    The last number of `breadth` holds for all deeper levels. `max_overlap` is the ROUGE-L above which a name is
    pruned and an instruction is a near-duplicate.
    """

    depth: int = 2
    breadth: tuple[int, ...] = (8, 6)
    samples: int = 10
    max_overlap: float = 0.7

    def breadth_at(self, level: int) -> int:
        """Return how many sub-tasks a task is to have that lies `level` steps below the domain; 0 from `depth` on."""
        return self.breadth[min(level, len(self.breadth) - 1)] if level < self.depth else 0


async def explored_seeds(ctx: RunContext, folder: RunFolder, path: FilePath) -> SeedSet:
    """Explore the domains of `--explore`; return the seeds that came of it, in a store at `path`.

    The trees are kept in the run folder, so that they can be deepened later. Raise EndpointError where nothing came,
    and DataError for a kept tree that cannot be read.
    """
    config = ctx.config
    options = ExploreOptions(config.explore_depth, config.explore_breadth, config.explore_samples, config.max_overlap)
    known = [tree_from_json(line, str(folder.path / TREES)) for line in folder.read_lines(TREES)]
    trees = await explore(ctx.optim, config.explore, options, known)
    others = [tree for tree in known if tree.domain not in {tree.domain for tree in trees}]
    folder.write(TREES, "".join(tree_to_json(tree) + "\n" for tree in (*trees, *others)))
    for tree in trees:
        say(render(tree))
    folder.write_lines(SEEDS, seed_records(trees))
    if not any(seed_records(trees)):
        raise EndpointError("exploring brought no instructions; see run.log, then run again")
    return load_seeds([SeedSource(str(folder.path / SEEDS))], path, benchmarks_of(config))


async def explore(
    llm: LLM, domains: Sequence[str], options: ExploreOptions, known: Sequence[DomainTree] = ()
) -> list[DomainTree]:
    """Return one tree per domain, in their order; a domain that is named twice is explored once.

    A tree of the same domain in `known` is continued: all of it stays, and only what `options` want beyond what was
    looked for is asked for. What the endpoint could not deliver is missing, and is asked for by the next call with
    that tree. Raise what `llm.complete` raises.
    """
    former = {one_line(tree.domain): tree for tree in known}
    named = {one_line(domain): domain for domain in reversed(domains)}
    trees = [former.get(name) or new_tree(named[name]) for name in dict.fromkeys(map(one_line, domains))]
    grown = await gather_or_cancel(*(_grown(llm, tree, options) for tree in trees))
    return await _with_instructions(llm, grown, options)


async def _reply(llm: LLM, prompt: str, draw: int) -> str | None:
    """Return the reply; "" where the server cut or refused it, None where the endpoint gave none within all retries."""
    completion = await llm.complete("explore", user(prompt), draw)
    if completion.failure == "unavailable":
        return None
    return "" if completion.failure else completion.text


class _Texts:
    """Names or instructions that are known; it takes in what is new and turns away what says the same again."""

    def __init__(self, max_overlap: float, known: Iterable[str]) -> None:
        from utils.text.near_duplicates import NearDuplicates  # numpy, which a run that explores nothing can spare

        self._copies = NearDuplicates(max_overlap)
        self._rows = count()  # each text is a row of its own
        self._folded: set[str] = set()
        for text in known:
            self._copies.add(next(self._rows), text)
            self._folded.add(text.casefold())

    def take(self, text: str) -> bool:
        """Take `text` in unless it or a near-duplicate of it is there already; return whether it was new."""
        folded = text.casefold()
        if folded in self._folded or self._copies.check(next(self._rows), text):
            return False
        self._folded.add(folded)
        return True


# --- Tasks -------------------------------------------------------------------------------------


async def _grown(llm: LLM, tree: DomainTree, options: ExploreOptions) -> DomainTree:
    growth = _Growth(llm, options, [path for path, _ in walk(tree.root)])
    return replace(tree, root=await growth.explored(tree.root, (tree.root.name,)))


class _Growth:
    """The exploration of one domain; `paths` are all tasks known so far, oldest first.

    Listed in that order they only grow at the end, so that the prompts of one domain share a long beginning.
    """

    def __init__(self, llm: LLM, options: ExploreOptions, paths: list[Path]) -> None:
        self._llm = llm
        self._options = options
        self._paths = paths
        self._names = _Texts(options.max_overlap, (path[-1] for path in paths))

    async def explored(self, node: TaskNode, path: Path) -> TaskNode:
        """Return the task with its sub-tasks, each explored in turn before the next are looked for."""
        wanted = self._options.breadth_at(len(path) - 1)
        children = [await self.explored(child, (*path, child.name)) for child in node.children]
        idle = 0
        while node.breadth < wanted and len(children) < wanted and idle < PATIENCE:
            number = min(SUBTASKS_PER_CALL, wanted - len(children))
            reply = await _reply(self._llm, self._prompt(path, children, number), draw=idle)
            if reply is None:
                return replace(node, children=tuple(children))
            found = self._new_tasks(reply, path, number)
            idle = 0 if found else idle + 1
            children += [await self.explored(child, (*path, child.name)) for child in found]
        return replace(node, children=tuple(children), breadth=max(node.breadth, wanted))

    def _prompt(self, path: Path, children: Sequence[TaskNode], number: int) -> str:
        """Write the prompt: lookahead from a task without sub-tasks, else backtracking from the last of them."""
        task = shown_path(path)
        if children:
            subtask = shown_path((*path, children[-1].name))
            order = fill("explore/backtrack", subtask=subtask, task=task, count=str(number))
        else:
            order = fill("explore/lookahead", task=task, count=str(number))
        return fill("explore/subtasks", domain=path[0], known=_listed(self._paths), order=order)

    def _new_tasks(self, reply: str, path: Path, limit: int) -> list[TaskNode]:
        """Return up to `limit` tasks of the reply whose names overlap with none of the tree, and note them as known."""
        new = islice((subtask for subtask in read_subtasks(reply) if self._names.take(subtask.name)), limit)
        found = [TaskNode(subtask.name, subtask.reason) for subtask in new]
        self._paths += [(*path, node.name) for node in found]
        return found


def _listed(paths: Iterable[Path]) -> str:
    """List all tasks but the domain, a line each; "(none)" where there is no other."""
    return "\n".join(f"- {shown_path(path[1:])}" for path in paths if len(path) > 1) or "(none)"


# --- Instructions ------------------------------------------------------------------------------


async def _with_instructions(llm: LLM, trees: Sequence[DomainTree], options: ExploreOptions) -> list[DomainTree]:
    """Return the trees with up to `options.samples` instructions per task: fewer where the LLM has no more new ones."""
    before = [node for tree in trees for _, node in walk(tree.root)]
    after = await gather_or_cancel(
        *(
            _sampled(llm, tasks, path, node, options)
            for tree in trees
            for tasks in (_listed(path for path, _ in walk(tree.root)),)
            for path, node in walk(tree.root)
        )
    )
    filtered = _filtered(before, after, options.max_overlap)
    return [replace(tree, root=_rebuilt(tree.root, filtered)) for tree in trees]


async def _sampled(llm: LLM, tasks: str, path: Path, node: TaskNode, options: ExploreOptions) -> TaskNode:
    """Return the task with instructions that are no near-duplicates of each other; the domain itself gets none."""
    if len(path) == 1 or node.samples >= options.samples:
        return node
    written = list(node.instructions)
    known = _Texts(options.max_overlap, written)
    idle = 0
    while len(written) < options.samples and idle < PATIENCE:
        number = min(INSTRUCTIONS_PER_CALL, options.samples - len(written))
        reply = await _reply(llm, _instructions_prompt(tasks, path, node.reason, written, number), draw=idle)
        if reply is None:
            return replace(node, instructions=tuple(written))
        found = list(islice(filter(known.take, read_instructions(reply)), number))
        idle = 0 if found else idle + 1
        written += found
    return replace(node, instructions=tuple(written), samples=options.samples)


def _instructions_prompt(tasks: str, path: Path, reason: str, written: Sequence[str], number: int) -> str:
    # Indented, so that no instruction can pass for a line of the prompt.
    listed = "\n".join("- " + text.replace("\n", "\n" + INDENT) for text in written[-SHOWN:])
    return fill(
        "explore/instructions",
        domain=path[0],
        tasks=tasks,
        task=shown_path(path),
        reason=reason or "(none given)",
        count=str(number),
        written=fill("explore/written", instructions=listed) if written else "",
    )


def _filtered(before: Sequence[TaskNode], after: Sequence[TaskNode], max_overlap: float) -> Iterator[TaskNode]:
    """Yield the nodes `after`, in tree order, without new instructions that nearly repeat others of the trees.

    Instructions of the nodes `before` stay; a new one is compared with all of these and with the new ones kept so far.
    """
    known = _Texts(max_overlap, (text for node in before for text in node.instructions))
    for old, node in zip(before, after, strict=True):
        fresh = node.instructions[len(old.instructions) :]
        yield replace(node, instructions=(*old.instructions, *filter(known.take, fresh)))


def _rebuilt(node: TaskNode, fresh: Iterator[TaskNode]) -> TaskNode:
    """Return the tree below `node` with its tasks taken from `fresh`, which holds them in tree order."""
    own = next(fresh)
    return replace(own, children=tuple(_rebuilt(child, fresh) for child in node.children))
