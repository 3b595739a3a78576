"""The tree of tasks: its file, how it is drawn, and the seeds that it yields."""

import pytest

from generator.explore_tree import (
    DomainTree,
    TaskNode,
    new_tree,
    one_line,
    render,
    seed_records,
    tree_from_json,
    tree_to_json,
)
from utils.errors import DataError

TREE = DomainTree(
    "정원",
    TaskNode(
        "정원",
        children=(
            TaskNode(
                "장미",
                '다들 \\ "좋아한다".\n',
                ("$x {y}\n```\n`a`\n```", "b\u2028"),
                (TaskNode("분갈이", "", ("c",), samples=3), TaskNode("비료")),
                breadth=2,
            ),
            TaskNode("water\x1b[2J", "", ("d",)),
        ),
    ),
)


def test_a_tree_is_read_back_as_it_was_written_on_one_line() -> None:
    text = tree_to_json(TREE)
    assert "\n" not in text
    assert "정원" in text
    assert tree_from_json(text) == TREE


def test_a_tree_without_marks_of_what_was_looked_for_can_be_read() -> None:
    text = '{"domain": "a", "root": {"name": "a", "children": [{"name": "b"}]}}'
    assert tree_from_json(text) == DomainTree("a", TaskNode("a", children=(TaskNode("b"),)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        tree_to_json(TREE)[:-20],
        "[]",
        "null",
        '{"domain": "a"}',
        '{"domain": "a", "root": {"name": ["a\\nb"]}}',
        '{"domain": "a", "root": {"name": "a", "children": "b"}}',
        '{"root": ' * 5_000,
    ],
)
def test_a_torn_or_foreign_file_is_an_error_of_one_line(text: str) -> None:
    with pytest.raises(DataError, match=r"^tree.json cannot be read \(.+\); restore it, or start with --fresh$"):
        tree_from_json(text, "tree.json")


def test_a_tree_is_drawn_with_its_numbers_of_instructions() -> None:
    assert render(TREE).split("\n") == [
        "정원 (4 tasks, 4 instructions)",
        "├── 장미 (2, with sub-tasks 3)",
        "│   ├── 분갈이 (1)",
        "│   └── 비료 (0)",
        "└── water [2J (1)",
    ]
    assert render(new_tree("roses")) == "roses (0 tasks, 0 instructions)"


def test_of_equal_siblings_the_last_one_closes_the_branch() -> None:
    twin = TaskNode("b")
    assert render(DomainTree("a", TaskNode("a", children=(twin, twin)))).split("\n")[1:] == ["├── b (0)", "└── b (0)"]


def test_seeds_come_in_tree_order_with_the_path_of_their_task() -> None:
    assert list(seed_records([TREE, TREE]))[:5] == [
        {"instruction": "$x {y}\n```\n`a`\n```", "task": "정원 > 장미"},
        {"instruction": "b\u2028", "task": "정원 > 장미"},
        {"instruction": "c", "task": "정원 > 장미 > 분갈이"},
        {"instruction": "d", "task": "정원 > water\x1b[2J"},
        {"instruction": "$x {y}\n```\n`a`\n```", "task": "정원 > 장미"},
    ]


def test_a_name_on_one_line_keeps_its_words() -> None:
    assert one_line(" a\r\n\tb \x85\u2028c\udce9👩‍🍳 ") == "a b c 👩‍🍳"
