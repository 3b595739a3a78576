"""Exploring domains: how the tree grows, what is pruned and filtered, and what a continued tree asks for."""

import asyncio
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from generator.explore import ExploreOptions, explore
from generator.explore_tree import DomainTree, TaskNode, seed_records, tree_from_json, walk
from utils.llm.offline import OfflineEndpoint
from utils.llm.offline.reading import language
from utils.schema import CallKind, Completion, Message, Request, Sampling

GOLDEN = Path(__file__).parent.parent / "golden" / "explored.jsonl"  # written by tree_to_json, a tree a line
SMALL = ExploreOptions(depth=2, breadth=(5, 3), samples=4)
Reply = str | Completion


class FakeLLM:
    """Answers by a function of prompt and draw; with `shuffle` the replies arrive in another order than asked."""

    model = "fake"

    def __init__(self, reply: Callable[[str, int], Reply], shuffle: int | None = None) -> None:
        self.asked: list[tuple[str, int]] = []
        self._reply = reply
        self._random = None if shuffle is None else Random(shuffle)

    async def complete(self, kind: CallKind, messages: tuple[Message, ...], draw: int = 0) -> Completion:
        assert kind == "explore"
        prompt = messages[-1].content
        self.asked.append((prompt, draw))
        for _ in range(self._random.randrange(30) if self._random else 0):
            await asyncio.sleep(0)
        reply = self._reply(prompt, draw)
        return reply if isinstance(reply, Completion) else Completion(reply)

    @property
    def about_tasks(self) -> list[str]:
        return [prompt for prompt, _ in self.asked if asks_for_tasks(prompt)]

    @property
    def about_instructions(self) -> list[str]:
        return [prompt for prompt, _ in self.asked if not asks_for_tasks(prompt)]


class OfflineLLM:
    """The offline LLM as a role sees it."""

    model = "offline"

    async def complete(self, kind: CallKind, messages: tuple[Message, ...], draw: int = 0) -> Completion:
        return await OfflineEndpoint().send(Request(kind, self.model, messages, Sampling(), str(draw)))


def grow(
    llm: FakeLLM | OfflineLLM,
    options: ExploreOptions = SMALL,
    *domains: str,
    known: tuple[DomainTree, ...] = (),
) -> list[DomainTree]:
    return asyncio.run(explore(llm, domains or ("gardens",), options, known))


# --- Replies that depend on the prompt alone -------------------------------------------------------


def asks_for_tasks(prompt: str) -> bool:
    return "\n## Known tasks\n" in prompt


def line(prompt: str, name: str) -> str:
    found = re.findall(rf"^{name}: (.*)$", prompt, re.M)
    assert len(found) == 1
    return found[0]


def listed(prompt: str, heading: str) -> list[str]:
    """The bullets under a heading of the prompt, up to the next one."""
    body = prompt.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [found.removeprefix("- ") for found in body.split("\n") if found.startswith("- ")]


def made_up(*parts: object) -> str:
    """Five words that no other parts lead to."""
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()
    return " ".join(digest[start : start + 6] for start in range(0, 30, 6))


def tasks_reply(*names: str) -> str:
    return json.dumps({"subtasks": [{"task": name, "reason": f"because of {name}"} for name in names]})


def texts_reply(*texts: str) -> str:
    return "\n\n".join(f"#Instruction {number}#:\n{text}" for number, text in enumerate(texts, 1))


def plenty(prompt: str, draw: int) -> str:
    """Always as many new names and instructions as were asked for."""
    task, count = line(prompt, "Task"), int(line(prompt, "How many"))
    made = [made_up(task, len(prompt), draw, number) for number in range(count)]
    return tasks_reply(*made) if asks_for_tasks(prompt) else texts_reply(*made)


def tasks_only(names: dict[str, list[str]]) -> Callable[[str, int], str]:
    """Sub-tasks from a table by the path of the task, the same at every call; no instructions."""
    return lambda prompt, draw: tasks_reply(*names.get(line(prompt, "Task"), [])) if asks_for_tasks(prompt) else ""


def shape(node: TaskNode) -> dict:
    return {child.name: shape(child) for child in node.children}


def numbers_of_children(tree: DomainTree, level: int) -> set[int]:
    return {len(node.children) for path, node in walk(tree.root) if len(path) == level + 1}


# --- The shape of the tree -------------------------------------------------------------------------


def test_every_level_has_its_breadth_and_every_task_but_the_domain_its_instructions() -> None:
    [tree] = grow(FakeLLM(plenty))
    assert [numbers_of_children(tree, level) for level in range(3)] == [{5}, {3}, {0}]
    assert tree.root.instructions == ()
    assert {len(node.instructions) for path, node in walk(tree.root) if len(path) > 1} == {4}
    assert all(node.reason == f"because of {node.name}" for path, node in walk(tree.root) if len(path) > 1)


def test_the_last_breadth_holds_for_deeper_levels() -> None:
    [tree] = grow(FakeLLM(plenty), ExploreOptions(depth=3, breadth=(2, 1), samples=0))
    assert [numbers_of_children(tree, level) for level in range(4)] == [{2}, {1}, {1}, {0}]


def test_depth_zero_explores_nothing() -> None:
    llm = FakeLLM(plenty)
    [tree] = grow(llm, ExploreOptions(depth=0))
    assert (tree.root.children, llm.asked) == ((), [])


def test_a_reply_with_more_than_asked_for_does_not_widen_the_tree() -> None:
    names = [made_up(number) for number in range(9)]
    [tree] = grow(FakeLLM(tasks_only({"gardens": names})), ExploreOptions(depth=1, breadth=(3,), samples=0))
    assert [child.name for child in tree.root.children] == names[:3]


def test_many_instructions_take_a_few_calls_that_show_what_is_written() -> None:
    llm = FakeLLM(plenty)
    [tree] = grow(llm, ExploreOptions(depth=1, breadth=(1,), samples=25))
    assert [line(prompt, "How many") for prompt in llm.about_instructions] == ["10", "10", "5"]
    first = tree.root.children[0].instructions[0]
    assert [first in prompt for prompt in llm.about_instructions] == [False, True, True]


# --- Lookahead and backtracking --------------------------------------------------------------------


def test_exploring_goes_depth_first_and_tells_what_is_known() -> None:
    llm = FakeLLM(plenty)
    [tree] = grow(llm, ExploreOptions(depth=2, breadth=(5, 2), samples=0))
    first = [child.name for child in tree.root.children]
    below = [[child.name for child in node.children] for node in tree.root.children]
    orders = [
        ("Lookahead" if "\n## Lookahead\n" in prompt else "Backtracking", line(prompt, "Task"))
        for prompt in llm.about_tasks
    ]
    assert orders == [
        ("Lookahead", "gardens"),
        *(("Lookahead", f"gardens > {name}") for name in first[:4]),
        ("Backtracking", "gardens"),
        ("Lookahead", f"gardens > {first[4]}"),
    ]
    assert listed(llm.about_tasks[0], "Known tasks") == []
    assert listed(llm.about_tasks[2], "Known tasks") == [*first[:4], *(f"{first[0]} > {name}" for name in below[0])]
    backtracking = llm.about_tasks[5]
    assert line(backtracking, "Sub-task") == f"gardens > {first[3]}"
    assert line(backtracking, "How many") == "1"
    assert len(listed(backtracking, "Known tasks")) == 4 + 4 * 2


def test_prompts_of_a_domain_share_all_that_comes_before_what_is_new() -> None:
    llm = FakeLLM(plenty)
    grow(llm)
    for before, after in zip(llm.about_tasks[1:], llm.about_tasks[2:], strict=False):
        assert after.startswith(before.split("\n\n## Lookahead\n")[0].split("\n\n## Backtracking\n")[0])
    heads = {prompt.split("\n## Task\n")[0] for prompt in llm.about_instructions}
    assert len(heads) == 1


def test_instructions_are_asked_for_with_task_reason_and_all_tasks() -> None:
    llm = FakeLLM(plenty)
    [tree] = grow(llm)
    paths = [path for path, _ in walk(tree.root)][1:]
    for prompt, path in zip(llm.about_instructions, paths, strict=True):
        assert line(prompt, "Task") == " > ".join(path)
        assert line(prompt, "Reason") == f"because of {path[-1]}"
        assert listed(prompt, "All tasks") == [" > ".join(path[1:]) for path in paths]


# --- Pruning and filtering -------------------------------------------------------------------------


def test_names_that_say_the_same_again_are_pruned_wherever_they_stand_in_the_tree() -> None:
    names = {
        "gardens": ["growing roses in clay pots", "Gardens", "Growing ROSES in clay pots", "water"],
        "gardens > growing roses in clay pots": ["growing red roses in clay pots", "water", "pruning"],
        "gardens > water": ["pruning", "rain barrels"],
    }
    [tree] = grow(FakeLLM(tasks_only(names)), ExploreOptions(depth=2, breadth=(4, 3), samples=0))
    assert shape(tree.root) == {"growing roses in clay pots": {"pruning": {}}, "water": {"rain barrels": {}}}


def test_korean_names_that_differ_by_a_particle_are_pruned() -> None:
    names = {"정원 가꾸기": ["장미 화분 분갈이 하기", "장미 화분의 분갈이 하기", "물 주기"]}
    [tree] = grow(FakeLLM(tasks_only(names)), ExploreOptions(depth=1, breadth=(3,), samples=0), "정원 가꾸기")
    assert list(shape(tree.root)) == ["장미 화분 분갈이 하기", "물 주기"]


def test_two_trees_may_have_tasks_of_the_same_name() -> None:
    names = {domain: ["basic terms", "tools"] for domain in ("gardens", "kitchens")}
    trees = grow(FakeLLM(tasks_only(names)), ExploreOptions(1, (2,), 0), "gardens", "kitchens")
    assert [list(shape(tree.root)) for tree in trees] == [["basic terms", "tools"]] * 2


COPIED = "Explain to a beginner why roses in clay pots need water more often"


def one_copied(prompt: str, draw: int) -> str:
    """Every task has an instruction of its own and one that all tasks share but for a word."""
    if asks_for_tasks(prompt):
        return plenty(prompt, draw)
    own = made_up(line(prompt, "Task"), draw, len(prompt))
    return texts_reply(f"{COPIED} {own.split()[0]}", own)


def test_of_near_copies_the_first_in_tree_order_is_kept_whatever_arrives_first() -> None:
    options = ExploreOptions(depth=2, breadth=(3, 2), samples=2)
    trees = [grow(FakeLLM(one_copied, shuffle), options, "gardens", "kitchens") for shuffle in (None, 1, 2, 3, 4)]
    assert all(tree == trees[0] for tree in trees)
    rows = list(seed_records(trees[0]))
    copies = [row for row in rows if row["instruction"].startswith(COPIED)]
    assert copies == [rows[0]]
    assert len(rows) == 2 * 9 + 1


def test_near_copies_within_a_reply_are_filtered_and_asked_for_anew() -> None:
    replies = iter([texts_reply("plan a bed of roses", "Plan a bed of roses!"), texts_reply("name three shrubs")])
    llm = FakeLLM(lambda prompt, draw: tasks_reply("roses") if asks_for_tasks(prompt) else next(replies))
    [tree] = grow(llm, ExploreOptions(depth=1, breadth=(1,), samples=2))
    assert tree.root.children[0].instructions == ("plan a bed of roses", "name three shrubs")
    assert [line(prompt, "How many") for prompt in llm.about_instructions] == ["2", "1"]


def test_max_overlap_one_leaves_only_exact_copies_out() -> None:
    names = {"gardens": ["roses in clay pots", "roses in clay pots now", "Roses in clay pots"]}
    [tree] = grow(FakeLLM(tasks_only(names)), ExploreOptions(1, (3,), 0, max_overlap=1.0))
    assert list(shape(tree.root)) == ["roses in clay pots", "roses in clay pots now"]


# --- When to stop ----------------------------------------------------------------------------------


def scripted(tasks: list[Reply], texts: list[Reply]) -> FakeLLM:
    """Replies in the order of the calls."""
    waiting = {True: iter(tasks), False: iter(texts)}
    return FakeLLM(lambda prompt, draw: next(waiting[asks_for_tasks(prompt)]))


ONE_TASK = ExploreOptions(depth=1, breadth=(1,), samples=2)
THREE_TASKS = ExploreOptions(depth=1, breadth=(3,), samples=0)


def test_two_calls_in_a_row_without_anything_new_end_the_search() -> None:
    llm = scripted([tasks_reply("roses"), tasks_reply("Roses"), "no idea"], [])
    [tree] = grow(llm, THREE_TASKS)
    assert list(shape(tree.root)) == ["roses"]
    assert [draw for _, draw in llm.asked] == [0, 0, 1]
    assert llm.asked[1][0] == llm.asked[2][0]


def test_something_new_after_a_call_in_vain_starts_the_count_again() -> None:
    llm = scripted([tasks_reply(), tasks_reply("roses"), "?", tasks_reply("water"), tasks_reply(), tasks_reply()], [])
    [tree] = grow(llm, THREE_TASKS)
    assert list(shape(tree.root)) == ["roses", "water"]
    assert [draw for _, draw in llm.asked] == [0, 1, 0, 1, 0, 1]


def test_instructions_that_cannot_be_read_are_asked_for_once_more_with_another_draw() -> None:
    llm = scripted([tasks_reply("roses")], ["Which roses?", texts_reply("plant one", "feed them twice")])
    [tree] = grow(llm, ONE_TASK)
    assert tree.root.children[0].instructions == ("plant one", "feed them twice")
    assert [draw for prompt, draw in llm.asked if not asks_for_tasks(prompt)] == [0, 1]


@pytest.mark.parametrize("reply", ["Which roses?", Completion(texts_reply("plant one"), "length"), ""])
def test_instructions_that_stay_unreadable_or_cut_are_left_and_not_asked_for_again(reply: Reply) -> None:
    [tree] = grow(scripted([tasks_reply("roses")], [reply, reply]), ONE_TASK)
    assert tree.root.children[0].instructions == ()
    silent = scripted([], [])
    assert grow(silent, ONE_TASK, known=(tree,)) == [tree]


def test_what_the_endpoint_could_not_deliver_is_missing_and_asked_for_by_the_next_run() -> None:
    gone = Completion("", "unavailable")
    llm = scripted([tasks_reply("roses", "water"), gone], [texts_reply("plant one", "feed them twice"), gone])
    options = ExploreOptions(depth=1, breadth=(3,), samples=2)
    [partial] = grow(llm, options)
    assert [node.instructions for node in partial.root.children] == [("plant one", "feed them twice"), ()]
    again = scripted([tasks_reply("soil")], [texts_reply("fill a barrel", "mend the hose"), texts_reply("dig", "rake")])
    [whole] = grow(again, options, known=(partial,))
    assert [node.instructions for node in whole.root.children] == [
        ("plant one", "feed them twice"),
        ("fill a barrel", "mend the hose"),
        ("dig", "rake"),
    ]
    assert [line(prompt, "Task") for prompt, _ in again.asked] == ["gardens", "gardens > water", "gardens > soil"]


# --- Continuing and deepening ----------------------------------------------------------------------


def contains(after: TaskNode, before: TaskNode) -> bool:
    """Whether all of `before` stands in `after`, in the same order and at the beginning."""
    return (
        after.name == before.name
        and after.instructions[: len(before.instructions)] == before.instructions
        and len(after.children) >= len(before.children)
        and all(map(contains, after.children, before.children))
    )


def test_a_tree_that_is_known_in_full_asks_for_nothing() -> None:
    trees = grow(FakeLLM(plenty), SMALL, "gardens", "kitchens")
    llm = FakeLLM(plenty)
    assert grow(llm, SMALL, "gardens", "kitchens", known=tuple(trees)) == trees
    smaller = ExploreOptions(depth=1, breadth=(2,), samples=1)
    assert grow(llm, smaller, "kitchens", "gardens", known=tuple(trees)) == trees[::-1]
    assert llm.asked == []


def test_more_samples_ask_for_the_missing_instructions_alone() -> None:
    [known] = grow(FakeLLM(plenty))
    llm = FakeLLM(plenty)
    [tree] = grow(llm, ExploreOptions(depth=2, breadth=(5, 3), samples=6), known=(known,))
    assert contains(tree.root, known.root)
    assert llm.about_tasks == []
    assert {line(prompt, "How many") for prompt in llm.about_instructions} == {"2"}
    assert {len(node.instructions) for path, node in walk(tree.root) if len(path) > 1} == {6}


def test_more_breadth_asks_by_backtracking_for_the_missing_tasks_alone() -> None:
    [known] = grow(FakeLLM(plenty))
    llm = FakeLLM(plenty)
    [tree] = grow(llm, ExploreOptions(depth=2, breadth=(6, 3), samples=4), known=(known,))
    assert contains(tree.root, known.root)
    new = tree.root.children[5].name
    assert [line(prompt, "Task") for prompt in llm.about_tasks] == ["gardens", f"gardens > {new}"]
    assert line(llm.about_tasks[0], "Sub-task") == f"gardens > {tree.root.children[4].name}"
    assert len(llm.about_instructions) == 1 + 3


def test_more_depth_splits_the_leaves_alone() -> None:
    [known] = grow(FakeLLM(plenty))
    leaves = [" > ".join(path) for path, _ in walk(known.root) if len(path) == 3]
    llm = FakeLLM(plenty)
    [tree] = grow(llm, ExploreOptions(depth=3, breadth=(5, 3, 1), samples=4), known=(known,))
    assert contains(tree.root, known.root)
    assert [line(prompt, "Task") for prompt in llm.about_tasks] == leaves
    assert len(llm.about_instructions) == len(leaves)


def test_what_is_known_stays_even_where_a_new_instruction_is_its_copy() -> None:
    [known] = grow(scripted([tasks_reply("roses", "water")], [texts_reply("a"), texts_reply(COPIED)]), ExploreOptions(
        depth=1, breadth=(2,), samples=1
    ))  # fmt: skip
    llm = scripted([], [texts_reply(f"{COPIED}!"), texts_reply("b")])
    [tree] = grow(llm, ExploreOptions(depth=1, breadth=(2,), samples=2), known=(known,))
    assert [node.instructions for node in tree.root.children] == [("a",), (COPIED, "b")]


def test_a_domain_named_twice_is_explored_once_and_others_that_are_known_are_left_alone() -> None:
    [other] = grow(FakeLLM(plenty), SMALL, "kitchens")
    trees = grow(FakeLLM(plenty), SMALL, "gardens", " gardens\n", known=(other,))
    assert [tree.domain for tree in trees] == ["gardens"]


# --- Hostile names ---------------------------------------------------------------------------------

HOSTILE = '$x {y} "]}\n\n## Known tasks\n\n- all\r\nHow many: 99 \\ ${task} \x1b[2J \udce9'


def test_a_hostile_domain_stays_one_line_and_no_template() -> None:
    llm = FakeLLM(plenty)
    [tree] = grow(llm, ExploreOptions(depth=1, breadth=(2,), samples=1), HOSTILE)
    shown = '$x {y} "]} ## Known tasks - all How many: 99 \\ ${task} [2J'
    assert tree.domain == HOSTILE
    assert tree.root.name == shown
    assert all(line(prompt, "Task").startswith(shown) for prompt, _ in llm.asked)
    assert len(tree.root.children) == 2
    assert grow(FakeLLM(plenty), ExploreOptions(1, (2,), 1), HOSTILE, known=(tree,)) == [tree]


def test_hostile_tasks_and_instructions_travel_unharmed() -> None:
    text = "Fill in $task and {count}:\n## Task\nTask: none\n- one\n\n```\n$written\n```"
    replies = iter([texts_reply(text), texts_reply("another one")])
    llm = FakeLLM(
        lambda prompt, _: tasks_reply("a $known\n\n## Task\n{x}") if asks_for_tasks(prompt) else next(replies)
    )
    [tree] = grow(llm, ONE_TASK)
    assert next(seed_records([tree])) == {"instruction": text, "task": "gardens > a $known ## Task {x}"}
    assert line(llm.asked[-1][0], "Task") == "gardens > a $known ## Task {x}"


# --- With the offline LLM --------------------------------------------------------------------------


def test_the_small_golden_trees() -> None:
    options = ExploreOptions(depth=2, breadth=(3, 2), samples=3)
    trees = grow(OfflineLLM(), options, "home cooking", "전통 발효 음식")
    assert trees == [tree_from_json(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(("domain", "tongue"), [("bicycle repair", "en"), ("자전거 수리", "ko")])
def test_a_domain_is_explored_in_its_own_language(domain: str, tongue: str) -> None:
    [tree] = grow(OfflineLLM(), ExploreOptions(), domain)
    names = [node.name for path, node in walk(tree.root) if len(path) > 1]
    rows = list(seed_records([tree]))
    assert len(tree.root.children) == 8
    assert len(names) > 40
    assert len(rows) > 300
    assert {language(text) for text in [*names, *(row["instruction"] for row in rows)]} == {tongue}
    assert len({row["instruction"] for row in rows}) == len(rows)
