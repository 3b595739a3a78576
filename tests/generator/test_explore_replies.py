"""What real models do to the two reply formats of exploring, and what is never taken for an instruction."""

import pytest

from generator.explore_replies import Subtask, read_instructions, read_subtasks
from tests.growth import grows_linearly

ONE, TWO = "Plan a bed of roses.\n\nUse at most 3 plants.", "세 가지 꽃을 비교하시오."
BOTH = [ONE, TWO]


@pytest.mark.parametrize(
    "reply",
    [
        f"#Instruction 1#:\n{ONE}\n\n#Instruction 2#:\n{TWO}",
        f"#Instruction 1#: {ONE}\n#Instruction 2#: {TWO}",
        f"Here are two instructions:\n\n**#Instruction 1#:**\n\n{ONE}\n\n**#Instruction 2#:**\n\n{TWO}\n",
        f"### Instruction 1\n{ONE}\n\n### Instruction 2\n{TWO}",
        f"**Instruction 1:** {ONE}\n\n**Instruction 2:** {TWO}",
        f"Instruction 1: {ONE}\nInstruction 2: {TWO}",
        f"Instruction 1\n{ONE}\nInstruction 2\n{TWO}",
        f"# Instruction 1 #\n{ONE}\n---\n\n# Instruction 2 #\n{TWO}\n\n---",
        f"#INSTRUCTION 1:#\n{ONE}\n#INSTRUCTION 2:#\n{TWO}",
        f"#지시문 1#:\n{ONE}\n\n#지시문 2#:\n{TWO}",
        f"**지시 사항 1:**\n{ONE}\n\n**지시 사항 2:**\n{TWO}",
        f"1번 지시문: {ONE}\n2번 지시문: {TWO}",
        f"1. #Instruction#:\n{ONE}\n2. #Instruction#:\n{TWO}",
        f"#Instruction#:\n{ONE}\n\n#Instruction#:\n{TWO}",
        f"#Instruction 1#:\n{ONE}\n\n#Instruction 1#:\n{TWO}",
        f"#Instruction 11#:\n{ONE}\n\n#Instruction 12#:\n{TWO}",
        f"[Instruction 1]\n{ONE}\n\n[Instruction 2]\n{TWO}",
        f"```\n#Instruction 1#:\n{ONE}\n\n#Instruction 2#:\n{TWO}\n```",
        f"Sure:\n\n```text\n#Instruction 1#:\n{ONE}\n\n#Instruction 2#:\n{TWO}\n```\n\nI hope that helps!",
        f"```\n#Instruction 1#:\n{ONE}\n\n#Instruction 2#:\n{TWO}",
        f"#Instruction 1#:\n```\n{ONE}\n```\n\n#Instruction 2#:\n```\n{TWO}\n```",
        f'#Instruction 1#:\n"{ONE}"\n\n#Instruction 2#:\n"{TWO}"',
        f"<think>\n#Instruction 1#: no\n</think>\n#Instruction 1#:\n{ONE}\n\n#Instruction 2#:\n{TWO}",
        f"#Instruction 1#:\n{ONE}\n\n#Instruction 2#:\n{TWO}\n\nNote: these instructions vary in form and length.",
        f"#Instruction 1#:\n{ONE}\n\n#Instruction 2#:\n{TWO}\n\n---\n\nThese instructions cover the whole task.",
        f"#Instruction 1#:\n{ONE}\n\n#Instruction 2#:\n{TWO}\n\nLet me know if you'd like more.",
        f"#지시문 1#:\n{ONE}\n\n#지시문 2#:\n{TWO}\n\n위 지시문들은 서로 다른 유형으로 작성했습니다.",
        f"#지시문 1#:\n{ONE}\n\n#지시문 2#:\n{TWO}\n\n---\n\n총 2개의 지시문을 작성했습니다.",
        f"#Instruction 1#:\n{ONE}\n\n#Instruction 2#:\n{TWO}\n\n#Instruction 3#:\n(the instruction)\n#Instruction 4#:",
    ],
)
def test_instructions_are_read_from_what_real_models_write(reply: str) -> None:
    assert read_instructions(reply) == BOTH
    assert read_instructions(reply.replace("\n", "\r\n")) == BOTH


def test_a_list_of_single_numbered_lines_is_read_without_headings() -> None:
    assert read_instructions("Here you are:\n\n1. Plant one.\n2. **Feed** them.\n3) Why?") == [
        "Plant one.",
        "**Feed** them.",
        "Why?",
    ]


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I cannot write such instructions.",
        "Which roses do you mean?\n\n1. Tea roses\nThey smell.\n2. Climbers",
        "Instructions for roses:\ncut them.",
        "Instruction 3 of the manual says more.",
        "1. Only one line",
        "#Instruction 1#:\n...\n\n#Instruction 2#:\n",
    ],
)
def test_what_holds_no_instruction_is_not_taken_for_one(reply: str) -> None:
    assert read_instructions(reply) == []


@pytest.mark.parametrize(
    "text",
    [
        "Correct this prompt:\n\nInstruction 2: fold the paper.\nInstruction 3: cut it.",
        "Which of these headings is wrong?\n#Instruction 1#: add water\n#Instruction 0#: stir",
        "Say what is wrong with the sheet:\n\n```\n#Instruction 2#: add water\n#Instruction 3#: stir\n```",
        "Solve \\frac{1}{2}x = 3.\n\n1. Show the steps.\n2. Check them.\n\n| x | y |\n|---|---|\n| 1 | $2 |",
        "```python\nprint({'a': 1})\n```\nWhat does this print?",
        "What is wrong here?\n```python\nprint(1\n```",
        "Translate.\n\nNote: keep the names.\n\n> A quotation",
        "Improve this.\n\nOriginal: Ich bin da.\n\nTranslation: I am there.\n\nNote: it is said on the phone.",
        "Plan it.\n\nNote: all prices are in euros.\n\nThese people come: Ann, Bo.\n\n원하시면 표를 써도 됩니다.",
        "문제 2: 다음 글을 요약하시오.\n\n문제 3: 제목을 붙이시오.",
    ],
)
def test_what_an_instruction_holds_stays_in_it(text: str) -> None:
    assert read_instructions(f"#Instruction 1#:\n{text}\n\n#Instruction 2#:\n{TWO}") == [text, TWO]
    assert read_instructions(f"#Instruction 1#:\n{TWO}\n\n#Instruction 2#:\n{text}") == [TWO, text]


ROSES, WATER = Subtask("tea roses", "They need care."), Subtask("물 주기", "")


@pytest.mark.parametrize(
    "reply",
    [
        '{"subtasks": [{"task": "tea roses", "reason": "They need care."}, {"task": "물 주기"}]}',
        'Sure!\n```json\n{"subtasks": [{"task": "tea roses", "reason": "They need care."}, "물 주기"]}\n```\nDone.',
        '[{"task": "1. **tea roses**", "reason": "They need\\ncare."}, {"task": " 물\\n주기 ", "reason": null}]',
        "{'subtasks': [{'task': 'tea roses', 'reason': 'They need care.'}, {'task': '물 주기', 'reason': ''},]}",
        '{"subtasks": [{"subtask": "tea roses", "reason": "They need care."}, {"name": "물 주기"}, {"reason": ""}, 7]}',
        '{"subtasks": [{"task": "tea roses", "reason": "They need care."}, {"task": "물 주기"}, {"task": "cut o',
        '<think>{"subtasks": [{"task": "none"}]}</think>{"subtasks": [{"task": "tea roses", "reason": '
        '"They need care."}, {"task": "물 주기"}, {"task": "..."}, {"task": "' + "long " * 40 + '"}]}',
    ],
)
def test_subtasks_are_read_from_what_real_models_write(reply: str) -> None:
    assert read_subtasks(reply) == [ROSES, WATER]


@pytest.mark.parametrize("reply", ["", "none", '{"subtasks": []}', '{"subtasks": "roses"}', "[1, 2]", '{"a": {}}'])
def test_a_reply_without_subtasks_has_none(reply: str) -> None:
    assert read_subtasks(reply) == []


@pytest.mark.parametrize(
    "piece",
    ["#", "*", "1. ", "#Instruction 1#:\n", "Instruction ", "```\n", '{"subtasks": [', '"', "> ", "( ", "\n\n---\n"],
)
def test_reading_takes_linear_time(piece: str) -> None:
    def read(length: int) -> None:
        reply = f"#Instruction 1#: {piece * (length // len(piece))}"
        read_instructions(reply)
        read_subtasks(reply)

    assert grows_linearly(read)
