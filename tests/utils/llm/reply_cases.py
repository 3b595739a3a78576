"""Replies of an evol LLM in the shapes that real models give them, and what must be read from each.

`expected` None means that the reply is unreadable. Texts are raw strings: backslashes and dollars stand as they are.
"""

from dataclasses import dataclass

SEED = "Explain photosynthesis."
RESULT = "Explain photosynthesis and compare C3 with C4 plants."
KO_SEED = "광합성을 설명하시오."
KO_RESULT = "광합성의 명반응과 암반응을 비교하여 설명하시오."


@dataclass(frozen=True, slots=True)
class RewriteCase:
    name: str
    reply: str
    expected: str | None = RESULT
    instruction: str = SEED


HEADINGS = [
    "#Finally Rewritten Instruction#:",
    "#Finally Rewritten Instruction#",
    "Step 4 #Finally Rewritten Instruction#:",
    "Step 4: #Finally Rewritten Instruction#:",
    "**Step 4: #Finally Rewritten Instruction#**",
    "**#Finally Rewritten Instruction#**:",
    "**#Finally Rewritten Instruction#:**",
    "### Finally Rewritten Instruction",
    "### **Step 4: Finally Rewritten Instruction:**",
    "## Step 4 #Finally Rewritten Instruction#",
    "#Final Rewritten Instruction#:",
    "Final Rewritten Instruction",
    "Final Rewritten Instruction:",
    "**Final Rewritten Instruction:**",
    "__Final Rewritten Instruction__:",
    "`#Finally Rewritten Instruction#`:",
    "[Finally Rewritten Instruction]:",
    '"#Finally Rewritten Instruction#":',
    "4. Finally Rewritten Instruction:",
    "4) **Finally Rewritten Instruction**:",
    "- #Finally Rewritten Instruction#:",
    "* **#Finally Rewritten Instruction#:**",
    "> #Finally Rewritten Instruction#:",
    "#Finally Rewritten Instruction:",
    "Finally Rewritten Instruction#:",
    "#FINALLY REWRITTEN INSTRUCTION#:",
    "#finally rewritten instruction#:",
    "#Finally Rewritten Instructions#:",
    "#Finally Rewritten Instruction Process#:",
    "Step 6 #Finally Rewritten Instruction Process#:",
    "#Finally Re-written Instruction#:",
    "#Finally_Rewritten_Instruction#:",
    "#Finally Rewritten Instruction (10-20 words added)#:",
    "#Finally Rewritten Instruction# (English):",
    "Final Rewritten Instruction is as follows:",
    "#Finally Rewritten Instruction#：",
    "#Final Instruction#:",
    "#Final Version of the Rewritten Instruction#:",
    "   #Finally Rewritten Instruction#:   ",
    "#최종 재작성된 지시문#:",
    "#최종 수정된 지시#",
    "최종 재작성 지시:",
    "**최종 재작성된 지시사항**:",
    "### 최종 재작성된 명령",
    "4단계: #최종 재작성된 지시문#:",
    "단계 4 #최종 지시문#：",
    "최종적으로 재작성된 지시문은 다음과 같습니다:",
    "#재작성된 최종 지시문#:",
]

SAME_LINE = [
    "Step 4 #Finally Rewritten Instruction#: " + RESULT,
    "#Finally Rewritten Instruction#:" + RESULT,
    "#Finally Rewritten Instruction# " + RESULT,
    "**Final Rewritten Instruction:** " + RESULT,
    "**Final Rewritten Instruction**: " + RESULT,
    "**#Finally Rewritten Instruction#**: **" + RESULT + "**",
    "**Final Rewritten Instruction: " + RESULT + "**",
    "**Final Rewritten Instruction** " + RESULT,
    "#최종 재작성된 지시문#： " + RESULT,
    "#Finally Rewritten Instruction#: #Finally Rewritten Instruction#: " + RESULT,
    *(
        f"{heading}{joint}{RESULT}"
        for heading in (
            "#Finally Rewritten Instruction#",
            "**#Finally Rewritten Instruction#**",
            "#최종 재작성된 지시문#",
        )
        for joint in (
            *[" - ", " – ", " — ", " ―\n", "—", " : ", "： ", " -> ", " → ", " => ", ": - ", " --- ", " -\n\n"],
            *[" **-** ", " **:** ", "\n-\n", "\n\n—\n\n", "\n:\n", "\n**–**\n", "\n→\n"],
        )
    ),
    "**#Finally Rewritten Instruction#** **- " + RESULT + "**",
]

MENTIONS = [
    "In Step 4 the #Finally Rewritten Instruction#: will follow.",
    "- #Finally Rewritten Instruction# must stay in English.",
    "- #최종 재작성된 지시문#에는 비교를 넣는다.",
    "My finally rewritten instruction: a comparison.",
    "Final rewritten instruction should be short.",
    "최종 재작성된 지시문을 작성합니다.",
]

WRAPPERS = [
    "{}",
    '"{}"',
    "'{}'",
    "“{}”",
    "「{}」",
    "『{}』",
    "`{}`",
    "**{}**",
    '**"{}"**',
    '"**{}**"',
    "> {}",
    "```\n{}\n```",
    "```text\n{}\n```",
    "```markdown\n{}\n```\n",
    "```\n{}",
    "~~~\n{}\n~~~",
    "````\n{}\n````",
    '```\n"{}"\n```',
    "{}\n```",
    '"{}',
    '"""{}"""',
    "\n\n  {}  \n\n\n",
    "Here is the final rewritten instruction:\n\n{}",
    "다음은 최종 재작성된 지시문입니다:\n{}",
]

REMARKS = [
    "Note: I added a comparison.",
    "(Note: 12 words were added.)",
    "(Note that the language is kept.)",
    "*Note: kept in English.*",
    "**Explanation**: The comparison adds depth.",
    "**Explanation:** The comparison adds depth.",
    "### Explanation\n\nThe comparison adds depth.",
    "Explanation:\n\n- a comparison was added",
    "Translation: 광합성을 설명하고 …",
    "(English translation: Explain …)",
    "This rewritten instruction adds a comparison.",
    "The rewritten instruction now asks for more.",
    "This instruction adds a comparison of two kinds of plants.",
    "I added 8 words to increase the complexity.",
    "---\n\nNote: I added a comparison.",
    "---\n**Explanation**: The comparison adds depth.",
    "***\n\nThis revised version is harder.",
    "참고: 비교를 추가했습니다.",
    "참고 사항: 비교를 추가했습니다.",
    "(참고: 12단어 추가)",
    "**설명:** 비교를 추가했습니다.",
    "설명: 비교를 추가했습니다.",
    "번역: Explain …",
    "이 지시문은 비교를 추가했습니다.",
    "이 재작성된 지시문은 두 식물의 비교를 요구하여 난이도를 높였습니다.",
    "기존 지시문에 비교 조건을 추가했습니다.",
    "Step 5 #Review#:\nThe result is sound.",
    "**Step 5 #Check#**\nFine.",
    "Step 1 #Methods List#:\n- again",
    "#Plan#: done",
    "**Step 3: Rewritten Instruction**\nagain",
    "#Original Instruction#: Explain photosynthesis.",
    "#Instruction#:\nExplain photosynthesis.",
    "#Finally Rewritten Instruction (Korean translation)#:\n광합성을 설명하시오.",
    "**Final Rewritten Instruction (Korean translation):**\n광합성을 설명하시오.",
]

CONTENTS = [
    "| a | b |\n|---|---|\n| 1 | $x_1$ |\n\nWhich row is larger?",
    "Prove that $\\frac{a}{b} \\neq \\sqrt{2}$ for $a, b \\in \\mathbb{Z}$.\n\n\\[\n  x = 2\n\\]\n\nUse \\(p\\).",
    "Fix the bug:\n\n```python\ndef f(x):\n    return {x: '${y}'}\n```",
    "Fix the bug:\n\n```python\ndef f(x):\n    # Note: x is an int\n\n    return x\n```\n\nThen explain why it failed.",
    "```python\nprint(1)\n```\nWhat does it print, and why?",
    "```\na\n```\nand\n```\nb\n```",
    "Sum up this mail:\n\n```\nHello\n\nNote: the plan is off.\n```\n\nThen answer it.",
    "Do the following.\n\nStep 1: Read the text.\nStep 2: Sum it up.\n\n# Text\n\nPlan:\n- water",
    '"A" and "B" differ. Why do we say "A"',
    '"A" and "B"',
    "“가”와 “나”",
    "**First** compare, then **decide**",
    "What does `char **p` mean in C, and what is char**",
    ">>> 1 + 1\nWhat does the Python shell show, and why?",
    "Use {{name}} and {name} and $name and %s and \\n as they are.",
    "First line\n\n\n\nfourth\tline  with  spaces\n    indented",
    "a\u2028b\x0bc\x85d",
    "Compute 5 --- 3\n\n- item\n- item\n\n1. one\n2. two",
    "Explain the tag <think> and when a model writes it.",
    "다음 표를 보고 답하시오.\n\n| 연도 | 값 |\n|---|---|\n| 2020 | 3 |\n\n(단, 소수점 둘째 자리까지)",
    "이 질문은 한국사에 관한 것입니다.\n\n개선된 프롬프트를 작성하고 이유를 쓰시오.",
    "[1, 2, 3] 을 정렬하는 함수를 쓰시오.",
    "[1, 2, 3]",
    "Design an app.\n\nNote taking app features: search, tags.\n\nWord count: 300 to 400",
    "Edit the text below.\n\nThe revised version should keep its tone.\n\nText: It rains.",
    "다음 글을 다듬으시오.\n\n수정된 질문은 300자 이내여야 합니다.\n\n영어 번역 과제: 두 문단",
    "Write a report.\n\n## Final Prompt\nSum it up.\n\n## 최종 과제\n요약하시오.\n\n최종 질문: 왜?\n\nFinal prompt: no",
    "---\ntitle: x\n---\nExplain this front matter.",
    "Make a plan.\n\n### Plan\n- one\n\nPlan: two\n\nStep 1: Planning\n\n# Instruction\nFollow it.",
    "I have added a column to my table and it fails. Why?\n\nI've added an index, too.",
]

PREAMBLE = """Step 1 #Methods List#:
- ask for a comparison
- ask for a reason

Step 2 #Plan#:
Add a comparison.

Step 3 #Rewritten Instruction#:
Explain photosynthesis, and compare.

"""

WHOLE_FORMAT_TWICE = PREAMBLE + "Step 4 #Finally Rewritten Instruction#:\nfirst try\n\n" + PREAMBLE

QUOTING = """What is wrong with this template?
#Finally Rewritten Instruction#: foo
Answer briefly."""
QUOTING_RESULT = """What is wrong with this template, and how would you repair it?
#Finally Rewritten Instruction#: foo
Answer in three sentences."""
QUOTING_BARE = """Which text follows this heading?
#Finally Rewritten Instruction#:
foo"""
QUOTING_BARE_RESULT = """Which text follows this heading, and why?
#Finally Rewritten Instruction#:
foo"""
TAGS = "Write a regular expression that finds the tag </think> in a text."
TAGS_RESULT = "Write a regular expression that finds the tag </think> in a text of many lines."

SPECIAL = [
    RewriteCase("nothing at all", "", None),
    RewriteCase("no heading", RESULT, None),
    RewriteCase("stops after step 3", PREAMBLE, None),
    RewriteCase("heading, then nothing", PREAMBLE + "#Finally Rewritten Instruction#:", None),
    RewriteCase("heading, then an empty fence", PREAMBLE + "#Finally Rewritten Instruction#:\n```\n```", None),
    RewriteCase("a refusal", "I'm sorry, but I can't help with that.", None),
    RewriteCase("a mention in the last step only", PREAMBLE + "\n".join(MENTIONS), None),
    RewriteCase(
        "last heading empty, an earlier one is not",
        PREAMBLE + f"Step 4 #Finally Rewritten Instruction#: {RESULT}\n\n#Finally Rewritten Instruction#:\n",
    ),
    RewriteCase(
        "heading twice in a row",
        PREAMBLE + f"#Finally Rewritten Instruction#:\n\n**#Finally Rewritten Instruction#**:\n{RESULT}",
    ),
    RewriteCase("the whole format twice", WHOLE_FORMAT_TWICE + f"Step 4 #Finally Rewritten Instruction#:\n{RESULT}\n"),
    RewriteCase(
        "review, then a better final",
        PREAMBLE
        + "Step 4 #Finally Rewritten Instruction#:\nfirst try\n\nStep 5 #Review#:\nToo easy.\n\n"
        + f"Step 6 #Finally Rewritten Instruction#:\n{RESULT}",
    ),
    RewriteCase(
        "original, heading, rewrite",
        f"#Finally Rewritten Instruction#:\n#Original Instruction#:\n{SEED}\n\n#Rewritten Instruction#:\n{RESULT}",
    ),
    RewriteCase(
        "the label of step 3 right under the final heading",
        f"#Finally Rewritten Instruction#:\n\nRewritten Instruction: {RESULT}",
    ),
    RewriteCase(
        "plain steps, the next one without hash signs",
        f"Step 3: Rewrite\nx\n\nStep 4: Finally Rewritten Instruction\n{RESULT}\n\nStep 5: Review\nAll is well.",
    ),
    RewriteCase("all in one closed fence", f"```\n{PREAMBLE}Step 4 #Finally Rewritten Instruction#:\n{RESULT}\n```\n"),
    RewriteCase("all in one open fence", f"```markdown\n{PREAMBLE}#Finally Rewritten Instruction#:\n{RESULT}\n"),
    RewriteCase(
        "fence, then a note behind it",
        f"#Finally Rewritten Instruction#:\n```\n{RESULT}\n```\nNote: I added a comparison.",
    ),
    RewriteCase(
        "open fence with a code block inside",
        "#Finally Rewritten Instruction#:\n```\nFix this:\n```python\nx\n```",
        "Fix this:\n```python\nx\n```",
    ),
    RewriteCase(
        "closed fence with a code block inside",
        "#Finally Rewritten Instruction#:\n```\nFix this:\n```python\nx\n```\n```",
        "Fix this:\n```python\nx\n```",
    ),
    RewriteCase(
        "closed fence with a bare code block inside",
        "#Finally Rewritten Instruction#:\n```\nFix this:\n```\nx\n```\n```",
        "Fix this:\n```\nx\n```",
    ),
    RewriteCase(
        "all in one fence, result ends in a code block",
        "```\n#Plan#:\nx\n#Finally Rewritten Instruction#:\nFix this:\n```python\nx\n```\n```",
        "Fix this:\n```python\nx\n```",
    ),
    RewriteCase(
        "bold that runs over heading and result",
        f"**#Finally Rewritten Instruction#: {RESULT}**",
    ),
    RewriteCase(
        "reasoning first",
        f"<think>#Finally Rewritten Instruction#: no</think>\n\n#Finally Rewritten Instruction#: {RESULT}",
    ),
    RewriteCase("reasoning that never ends", f"<think>\n{PREAMBLE}#Finally Rewritten Instruction#: {RESULT}", None),
    RewriteCase("only the end of reasoning", f"so I write\n</think>\n#Finally Rewritten Instruction#: {RESULT}"),
    RewriteCase(
        "windows line ends", f"#Plan#:\r\nx\r\n\r\n#Finally Rewritten Instruction#:\r\n{RESULT}\r\n\r\nNote: x\r\n"
    ),
    *(
        RewriteCase(f"no joint, {text!r} behind {gap!r}", f"#Finally Rewritten Instruction#{gap}{text}", text)
        for gap, text in [
            *[("\n", "- item\n- item"), (":\n", "– 항목\n– 항목"), (" ", "- item\n- item"), (":\n", "- one item")],
            *[("\n", "-5 + 3 = ?"), (" ", "-5 + 3 = ?"), (": ", "-5 + 3 = ?"), ("\n", "---\ntitle: x\n---\nExplain.")],
            *[(" - ", "**Bold** word"), (" — ", "what is new?")],
        ]
    ),
    RewriteCase("the seed begins with a sign, too", "#Final Instruction# - 5 + 3 = ?", "- 5 + 3 = ?", "- 5 + 2 = ?"),
    RewriteCase("rule at the end", f"#Finally Rewritten Instruction#:\n\n---\n\n{RESULT}\n\n---\n"),
    RewriteCase(
        "a Korean reply",
        "1단계 #방법 목록#:\n- 비교를 요구한다\n\n2단계 #계획#:\n비교를 넣는다.\n\n"
        "3단계 #재작성된 지시문#:\n광합성을 비교하시오.\n\n"
        f"4단계 #최종 재작성된 지시문#:\n{KO_RESULT}\n\n참고: 12단어를 추가했습니다.",
        KO_RESULT,
        KO_SEED,
    ),
    RewriteCase(
        "a Korean reply that stops after step 3",
        "1단계 #방법 목록#:\n- 비교\n\n2단계 #계획#:\n비교.\n\n3단계 #재작성된 지시문#:\n광합성을 비교하시오.",
        None,
        KO_SEED,
    ),
    # Notes and steps of the instruction's own are content.
    RewriteCase(
        "the instruction has a note of its own",
        "#Finally Rewritten Instruction#:\nSort the list twice.\n\nNote: use O(n) memory.\n\n**Explanation**: harder",
        "Sort the list twice.\n\nNote: use O(n) memory.",
        "Sort the list.\n\nNote: use O(n) memory.",
    ),
    RewriteCase(
        "the instruction has steps in hash signs of its own",
        "Step 1 #Plan#: x\nStep 4 #Finally Rewritten Instruction#:\n"
        "Do it twice.\nStep 1 #Wash#: hands\nStep 2 #Dry#: hands",
        "Do it twice.\nStep 1 #Wash#: hands\nStep 2 #Dry#: hands",
        "Do it.\nStep 1 #Wash#: hands\nStep 2 #Dry#: hands",
    ),
    RewriteCase(
        "the instruction has plain steps beyond the last one",
        "Step 4: Finally Rewritten Instruction\nDo it twice.\nStep 4: wash\nStep 5: dry",
        "Do it twice.\nStep 4: wash\nStep 5: dry",
        "Do it.\nStep 4: wash\nStep 5: dry",
    ),
    RewriteCase(
        "the instruction has just the next number",
        "Step 4: Finally Rewritten Instruction\nDo it twice after step 4.\nStep 5: dry",
        "Do it twice after step 4.\nStep 5: dry",
        "Do it.\nStep 5: dry",
    ),
    RewriteCase(
        "the rewrite counts steps that the instruction has not",
        "Step 2: Final Rewritten Instruction\nCook:\nStep 1: cut\nStep 2: fry\nStep 3: eat",
        "Cook:\nStep 1: cut\nStep 2: fry\nStep 3: eat",
    ),
    RewriteCase(
        "single quotes around an apostrophe",
        "#Finally Rewritten Instruction#:\n'Explain why plants don't sleep.'",
        "Explain why plants don't sleep.",
    ),
    RewriteCase(
        "the instruction is itself in quotes",
        '#Finally Rewritten Instruction#:\n"Carpe diem, quam minimum credula postero"',
        '"Carpe diem, quam minimum credula postero"',
        '"Carpe diem"',
    ),
    RewriteCase(
        "the instruction is itself a code block",
        "#Finally Rewritten Instruction#:\n```python\nprint(1, 2)\n```",
        "```python\nprint(1, 2)\n```",
        "```python\nprint(1)\n```",
    ),
    RewriteCase(
        "the instruction speaks of a closing tag", f"#Finally Rewritten Instruction#:\n{TAGS_RESULT}", TAGS_RESULT, TAGS
    ),
    # The instruction quotes the final heading.
    RewriteCase(
        "quoted heading kept in the rewrite",
        f"{PREAMBLE}Step 4 #Finally Rewritten Instruction#:\n{QUOTING_RESULT}",
        QUOTING_RESULT,
        QUOTING,
    ),
    RewriteCase(
        "quoted heading kept, own heading without a number",
        f"#Plan#:\nx\n\n#Finally Rewritten Instruction#:\n{QUOTING_RESULT}",
        QUOTING_RESULT,
        QUOTING,
    ),
    RewriteCase(
        "quoted heading kept but changed",
        f"#Plan#:\nx\n\n#Finally Rewritten Instruction#:\n{QUOTING_RESULT.replace('foo', 'foo bar')}",
        QUOTING_RESULT.replace("foo", "foo bar"),
        QUOTING,
    ),
    RewriteCase(
        "heading spoken of, and a line of it made up in steps 3 and 4",
        "Step 3 #Rewritten Instruction#:\nSay what this does:\n#Finally Rewritten Instruction#: x\n\n"
        "Step 4 #Finally Rewritten Instruction#:\nSay what this line does:\n#Finally Rewritten Instruction#: y",
        "Say what this line does:\n#Finally Rewritten Instruction#: y",
        'What does "#Finally Rewritten Instruction#" do?',
    ),
    RewriteCase(
        "quoted heading echoed before the own one",
        f"The instruction is:\n{QUOTING}\n\n#Finally Rewritten Instruction#:\n{QUOTING_RESULT}",
        QUOTING_RESULT,
        QUOTING,
    ),
    RewriteCase(
        "quoted heading on the very line of the own one",
        "Step 4 #Finally Rewritten Instruction#: #Finally Rewritten Instruction#: foo bar",
        "#Finally Rewritten Instruction#: foo bar",
        "#Finally Rewritten Instruction#: foo",
    ),
    RewriteCase(
        "only the quoted heading, changed, in step 3",
        f"#Plan#:\nx\n\n#Rewritten Instruction#:\n{QUOTING_RESULT.replace('foo', 'foo bar')}",
        None,
        QUOTING,
    ),
    RewriteCase("only an echo of the quoted heading", f"I read:\n{QUOTING}\nand stop here.", None, QUOTING),
    RewriteCase("only an echo, in a block quote", "> " + QUOTING.replace("\n", "\n> "), None, QUOTING),
    RewriteCase("echo in step 3 only", f"#Plan#:\nx\n\n#Rewritten Instruction#:\n{QUOTING_RESULT}", None, QUOTING),
    RewriteCase(
        "own heading reads like the quoted one",
        f"#Plan#:\nx\n\n#Finally Rewritten Instruction#:\n{QUOTING_BARE_RESULT}",
        QUOTING_BARE_RESULT,
        QUOTING_BARE,
    ),
    RewriteCase("only the bare quoted heading", f"Well:\n{QUOTING_BARE}", None, QUOTING_BARE),
    RewriteCase("one heading that may be the quoted one", "#Finally Rewritten Instruction#:\nbar", None, QUOTING_BARE),
    RewriteCase(
        "the instruction asks about the heading",
        "#Finally Rewritten Instruction#:\n#Finally Rewritten Instruction# 라는 표시의 뜻과 쓰임을 설명하시오.",
        "#Finally Rewritten Instruction# 라는 표시의 뜻과 쓰임을 설명하시오.",
        "#Finally Rewritten Instruction# 라는 표시의 뜻은?",
    ),
]

PLACEHOLDERS = [
    "[rewritten instruction]",
    "<final instruction here>",
    "(the new instruction)",
    "{{instruction}}",
    "{{…}}",
    "...",
    "…",
    "[...]",
    "[Insert the rewritten instruction here]",
    "[최종 재작성된 지시문]",
    "[여기에 지시문을 작성하세요]",
    "```\n[final rewritten instruction]\n```",
    "**[rewritten instruction]**",
]
