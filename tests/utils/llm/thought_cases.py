"""Replies with thoughts in them, form by form, and replies that only speak of such marks.

THOUGHTS: by the name of a form in `utils.llm.replies.forms`, (content, answer, thoughts). UNHARMED: what must come out
as it is. TURNS: (content, answer) where a turn's end was not noticed.
"""

WHY = "We need to answer.\nFirst the cost."
WHY_KO = "먼저 비용을 따져 보자.\n그다음은 예산이다."
TEXT = "The cost is 4.\n\n- It is low."
TEXT_KO = "비용은 4입니다.\n\n- 적습니다."
START, FINAL = "<|start|>assistant", "<|channel|>final<|message|>"


def _tag(name: str) -> list[tuple[str, str, str | None]]:
    return [
        (f"<{name}>\n{WHY}\n</{name}>\n\n{TEXT}", TEXT, WHY),
        (f"<{name}>{WHY_KO}</{name}>{TEXT_KO}", TEXT_KO, WHY_KO),
        (f" \n<{name.upper()} a='1'>\n{WHY}\n</{name} >\n{TEXT}", TEXT, WHY),
        (f"<{name}>{WHY}", "", WHY),
    ]


def _pair(opening: str, closing: str) -> list[tuple[str, str, str | None]]:
    return [
        (f"{opening}\n{WHY}\n{closing}\n\n{TEXT}", TEXT, WHY),
        (f"{opening}{WHY_KO}{closing}{TEXT_KO}", TEXT_KO, WHY_KO),
        (f"{WHY}{closing}{TEXT}", TEXT, WHY),
        (f"{WHY_KO}\n{closing}\n\n{TEXT_KO}", TEXT_KO, WHY_KO),
        (f"{opening}{WHY}", "", WHY),
    ]


THOUGHTS: dict[str, list[tuple[str, str, str | None]]] = {
    "think": [
        *_tag("think"),
        *_pair("<think>", "</think>"),
        (f"<think></think>\n\n{TEXT}", TEXT, None),
        (f"</think>\n\n{TEXT}", TEXT, None),
        (f"<think>\n\n</think>\n\n{TEXT}", TEXT, None),
        (f"<think>a</think>\n<think>b</think>\n{TEXT}", TEXT, "a\n\nb"),
        (f"<think>a</think>\n</think>\n{TEXT}", TEXT, "a"),
        (f"<think>a<think>b</think>c</think>{TEXT}", TEXT, "a<think>b</think>c"),
        (f"<think>\n<think>\n{WHY}\n</think>\n{TEXT}", TEXT, f"<think>\n{WHY}"),
        ("<think>a</think>One.\n<think>b</think>\nTwo.", "One.\n\nTwo.", "a\n\nb"),
        (f"<think>a</think>{TEXT}\n<think>\nand then", TEXT + "\n", "a\n\nand then"),
        (f"<think>a</think>still a draft\n</think>\n{TEXT}", TEXT, "a\n\nstill a draft"),
        ("<think>say `</think>`, they ask</think>4", "4", "say `</think>`, they ask"),
        ("<think>use <think> here</think>Use <think> and </think>.", "Use <think> and </think>.", "use <think> here"),
        ("<think>a draft:\n```\n</think>\n```\nfine</think>4", "4", "a draft:\n```\n</think>\n```\nfine"),
        ('<think>greet</think>"Hello" is what I say.', '"Hello" is what I say.', "greet"),
        ("<think>is it 4?</think>4", "4", "is it 4?"),
        ("<think> hmm </think> hello", "hello", "hmm"),
        ("it is 2 + 2 = 4 </think> 4", "4", "it is 2 + 2 = 4"),
        ("First the cost. </think> 비용은 4입니다.", "비용은 4입니다.", "First the cost."),
        ("I use `<think>` for it.\n</think>\n4", "4", "I use `<think>` for it."),
        (f"<think>{WHY}</think>\n<answer>\n{TEXT}\n</answer>", TEXT, WHY),
        (f"<think>{WHY}</think>\n\n<response>\n{TEXT}\n</response>\n", TEXT, WHY),
        (f"<|im_start|>assistant\n<think>\n{WHY}\n</think>\n{TEXT}<|im_end|>", TEXT, WHY),
    ],
    "thinking": _tag("thinking"),
    "thought": [*_tag("thought"), (f"<Thought>{WHY}</Thought>\n<Output>{TEXT}</Output>", TEXT, WHY)],
    "thoughts": _tag("thoughts"),
    "reason": _tag("reason"),
    "reasoning": _tag("reasoning"),
    "reflection": _tag("reflection"),
    "seed:think": [*_tag("seed:think"), *_pair("<seed:think>", "</seed:think>")],
    "mm:think": _tag("mm:think"),
    "longcat_think": _tag("longcat_think"),
    "brackets": _pair("[THINK]", "[/THINK]"),
    "triangles": _pair("◁think▷", "◁/think▷"),
    "begin_of_thought": [
        *_pair("<|begin_of_thought|>", "<|end_of_thought|>"),
        (
            f"<|begin_of_thought|>\n\n{WHY}\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n{TEXT}\n<|end_of_solution|>",
            TEXT,
            WHY,
        ),
        (f"<|begin_of_thought|>{WHY}<|begin_of_solution|>{TEXT}", TEXT, WHY),
        (f"{WHY_KO}<|begin_of_solution|>{TEXT_KO}<|end_of_solution|>", TEXT_KO, WHY_KO),
    ],
    "details": [
        (f'<details type="reasoning">{WHY}</details>{TEXT}', TEXT, WHY),
        (
            '<details type="reasoning" done="true" duration="3">\n<summary>Thought for 3 seconds</summary>\n'
            f"> We need it.\n> 둘째 줄\n</details>\n{TEXT_KO}",
            TEXT_KO,
            "We need it.\n둘째 줄",
        ),
    ],
    "harmony": [
        (f"<|channel|>analysis<|message|>{WHY}<|end|>{START}{FINAL}{TEXT}", TEXT, WHY),
        (f"{START}<|channel|>analysis<|message|>{WHY_KO}<|end|>{START}{FINAL}{TEXT_KO}<|return|>", TEXT_KO, WHY_KO),
        (f"<|channel|>analysis<|message|>{WHY}<|channel|>final<|message|>{TEXT}", TEXT, WHY),
        (
            f"<|channel|>analysis<|message|>a<|end|>{START}<|channel|>commentary to=functions.x <|constrain|>json"
            f'<|message|>{{"y": 1}}<|call|>{START}<|channel|>analysis<|message|>b<|end|>\n{START}{FINAL}{TEXT}<|end|>',
            TEXT,
            'a\n\n{"y": 1}\n\nb',
        ),
        (f"<|channel|> Analysis <|message|>{WHY}<|end|>{TEXT}", TEXT, WHY),
        (f"<|channel|>analysis<|message|>{WHY}<|end|>{START}<|message|>{TEXT}", TEXT, WHY),
        (f"{FINAL}{TEXT}<|return|>", TEXT, None),
        (f"{WHY}<|end|>{START}{FINAL}{TEXT}", TEXT, WHY),
        (f"<|channel|>analysis<|message|>{WHY}", "", WHY),
    ],
    "harmony, stripped": [
        (f"analysis{WHY}assistantfinal{TEXT}", TEXT, WHY),
        (f"assistantanalysis{WHY_KO}assistantfinal{TEXT_KO}", TEXT_KO, WHY_KO),
        (f"analysisa.assistantcommentaryb.assistantanalysisc.assistantfinal{TEXT}", TEXT, "a.\n\nb.\n\nc."),
        ('analysisIt is "four".assistantfinalfour', "four", 'It is "four".'),
        (f"{WHY}assistantfinal{TEXT}", TEXT, WHY),
        (f"analysis{WHY}", "", WHY),
    ],
    "gemma": [*_pair("<|channel>thought\n", "<channel|>"), (f"<|channel>thought\n<channel|>{TEXT}", TEXT, None)],
    "medgemma": _pair("<unused94>thought\n", "<unused95>"),
    "cohere": [
        *_pair("<|START_THINKING|>", "<|END_THINKING|>"),
        (
            f"<|START_THINKING|>{WHY}<|END_THINKING|><|START_RESPONSE|>{TEXT}<|END_RESPONSE|><|END_OF_TURN_TOKEN|>",
            TEXT,
            WHY,
        ),
        (f"{WHY_KO}<|END_THINKING|><|START_TEXT|>{TEXT_KO}<|END_TEXT|>", TEXT_KO, WHY_KO),
    ],
    "solar": [
        (f"<|think|>{WHY_KO}<|end|><|begin|>assistant<|content|>{TEXT_KO}<|end|>", TEXT_KO, WHY_KO),
        (f"<|begin|>assistant<|think|>{WHY}<|end|><|content|>{TEXT}", TEXT, WHY),
        (f"{WHY}<|end|><|begin|>assistant<|content|>{TEXT}", TEXT, WHY),
        (f"<|content|>{TEXT_KO}", TEXT_KO, None),
    ],
    "solar 2": _pair("<|think:start|>", "<|think:end|>"),
    "hyperclova x": [
        (f"/think\n{WHY_KO}<|im_end|>\n<|im_start|>assistant\n{TEXT_KO}<|im_end|>", TEXT_KO, WHY_KO),
        (f"/think\n{WHY}", "", WHY),
    ],
    "apertus": _pair("<|inner_prefix|>", "<|inner_suffix|>"),
    "kimi k3": [
        *_pair("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
        (
            f"<|open|>think<|sep|>{WHY}<|close|>think<|sep|><|open|>response<|sep|>{TEXT}<|close|>response<|sep|>",
            TEXT,
            WHY,
        ),
    ],
    "pangu": _pair("[unused16]", "[unused17]"),
    "granite": [
        (f"Here is my thought process:\n{WHY}\n\nHere is my response:\n\n{TEXT}", TEXT, WHY),
        (f"Here's my thought process: {WHY_KO} Here's my response: {TEXT_KO}", TEXT_KO, WHY_KO),
    ],
}

UNHARMED: dict[str, list[str]] = {
    "think": [
        "Models wrap reasoning in <think> and </think>.",
        "use <think> tags to …",
        "The </think> tag ends it.",
        "The tag `</think>` ends it.",
        'text.split("</think>")[-1]',
        'Write "a </think> b" as it is.',
        "“</think>”를 쓰세요.",
        "모델은 </think> 토큰으로 추론을 끝낸다.",
        "추론을 마치면 </think>를 내보냅니다. 그 뒤가 답입니다.",
        "<think>와 </think> 태그는 추론을 감쌉니다.",
        "<think> 태그는 추론의 시작입니다.",
        "<think> and </think> are tags of the template.",
        "<think>…</think> tags are cut by the server.",
        "<think> tags open the thoughts; the rest is the answer.",
        "</think> marks the end of the thoughts.",
        "```\n</think>\n```",
        "```xml\n<think>a</think>\n```\nThat is how it looks.",
        "Put it first:\n\n<think>\nwhy\n</think>\n\nThen answer.",
        "4 <think>a</think>",
        "- <think>: begins\n- </think>: ends",
        "1. <think> begins.\n2. </think> ends.",
        "| tag | use |\n|---|---|\n| </think> | ends |",
        "The closing tag is </think>\nand nothing else.",
        "<think/>\nA tag without content.",
        "The thinker thinks; a < think > b.",
    ],
    "thinking": ["Write <thinking> first, <thinking/> never.", "<thinking>을 쓰지 마세요."],
    "thought": ["A <thought> element holds it.", "<thought> 요소는 생각을 담습니다."],
    "thoughts": ["Keep <thoughts> and </thoughts> apart."],
    "reason": ["<a><reason>late</reason></a>", "이유는 <reason> 요소에 적습니다."],
    "reasoning": ["4 <reasoning>a</reasoning>", "The <reasoning> block goes first."],
    "reflection": ["<reflection> tags hold it.", "It is dark.\n</reflection>\nIt is light."],
    "seed:think": ["Seed-OSS writes <seed:think> and </seed:think> itself.", "<seed:think> 토큰은 하나입니다."],
    "mm:think": ["MiniMax opens with <mm:think> now."],
    "longcat_think": ["The <longcat_think> token comes first."],
    "brackets": [
        "Magistral writes [THINK] and [/THINK].",
        "[think] He looks away. [/think]",
        "[THINK] 토큰은 하나입니다.",
    ],
    "triangles": ["Kimi의 ◁think▷ 와 ◁/think▷ 표시", "`◁/think▷` ends it"],
    "begin_of_thought": ["It writes <|begin_of_thought|> and <|end_of_thought|> around it."],
    "details": [
        "HTML has a <details> element.",
        "<details><summary>More</summary>x</details>\nThe rest.",
        '`<details type="reasoning">` is Open WebUI\'s.',
        "<b>x</b></details>\nrest",
    ],
    "harmony": [
        "The header is <|channel|>analysis<|message|> for thoughts and <|channel|>final<|message|> for answers.",
        "채널은 `<|channel|>final<|message|>`로 시작합니다.",
        "```\n<|start|>assistant<|channel|>final<|message|>Hi<|return|>\n```\nis one message.",
    ],
    "harmony, stripped": [
        "analysis of variance compares means.",
        "analysisResult = run()\nprint(analysisResult)",
        "What leaks is `analysis…assistantfinal…`, glued.",
        "The word assistantfinal is a leak.",
        "analysis: the assistantfinal marker is a leak.",
    ],
    "gemma": ["Gemma 4 opens with <|channel> and closes with <channel|> again.", "`<channel|>`로 닫습니다."],
    "medgemma": ["The token <unused95> is free in Gemma 3."],
    "cohere": ["Cohere writes <|START_THINKING|> and <|END_THINKING|> around it."],
    "solar": ["Solar opens with <|think|> and goes on with <|content|> then.", "<|think|> 토큰은 하나입니다."],
    "solar 2": ["It is closed by <|think:end|> alone."],
    "hyperclova x": ["/think switches thoughts on, /no_think off.", "Type /think\nand wait."],
    "apertus": ["Apertus has <|inner_prefix|> and <|inner_suffix|> for it."],
    "kimi k3": ["The channel opens with <|open|>think<|sep|> there."],
    "pangu": ["BERT has [unused16] and [unused17] in its vocabulary."],
    "granite": [
        "Here is my response: I agree.",
        "Dear all,\n\nHere is my response:\n\nYes.",
        "Here is my thought process: first, I add. Then I am done.",
    ],
    "turns": [
        "the </s> token marks …",
        "The </s> token marks the end of a text.",
        "The token is </s>",
        "끝 토큰은 </s>",
        "문장 끝에 </s>를 붙입니다. 그러면 모델이 멈춥니다.",
        "It was <s>$10</s>",
        "It was <s>$10</s>, now it is $8.",
        "- Qwen: <|im_end|>\n- Llama 3: <|eot_id|>",
        "- <|im_end|>\n- <|eot_id|>",
        'Stop at `<|im_end|>` or "<|eot_id|>".',
        'stop=["<|im_end|>", "</s>"]',
        "<|im_end|> ends a turn, <|im_start|> begins one.",
        "ChatML:\n\n```\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n```\n\nEach turn has a role.",
        "ChatML is this:\n\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n\nThat is all.",
        "A turn ends with:\n\n<|im_end|>\n\nThen the next begins.",
        "Gemma의 <end_of_turn> 토큰은 차례를 끝냅니다.",
        "[INST] is Llama 2's.",
        "| Mistral | </s> |\n| Qwen | <|im_end|> |",
        "<s>old</s> new",
        "a</sup> b<|pipe|> c",
    ],
}

_ENDS = [
    *["<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|return|>", "<|endoftext|>", "<|end_of_text|>", "<|EOT|>"],
    *["<|end_of_turn|>", "<|endofturn|>", "</s>", "<end_of_turn>", "<turn|>", "<eos>", "<seed:eos>", "[|endofturn|]"],
    *["<｜end▁of▁sentence｜>", "<|END_OF_TURN_TOKEN|>"],
]

TURNS: list[tuple[str, str]] = [
    *((f"{TEXT}{end}", TEXT) for end in _ENDS),
    *((f"{TEXT_KO}\n{end}\n", TEXT_KO) for end in _ENDS),
    *((f"{TEXT} {end}{end}", TEXT) for end in _ENDS),
    *((f"{TEXT}{end}\n\nThanks! Now another one.", TEXT) for end in _ENDS),
    *((f"{TEXT_KO}{end}고맙습니다! 하나 더요.", TEXT_KO) for end in _ENDS),
    (f"{TEXT}<|im_end|>\n<|im_start|>user\nThanks!<|im_end|>\n<|im_start|>assistant\n<think>a</think>Sure.", TEXT),
    (f"{TEXT}<|im_end|>\n<|im_start|>user\nThanks!<|im_end|>\n<|im_start|>assistant\na\n</think>\n\nSure.", TEXT),
    (f"{TEXT}\n<|im_start|>user\n다음 질문", TEXT),
    (f"{TEXT}<|start_header_id|>user<|end_header_id|>\n\nMore", TEXT),
    (f"{TEXT}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nMore", TEXT),
    (f"{TEXT}<|eot_id|>assistant\n\nMore", TEXT),
    (f"{TEXT}<end_of_turn>\n<start_of_turn>user\n다음", TEXT),
    (f"{TEXT}<turn|>\n<|turn>user\n다음", TEXT),
    (f"{TEXT_KO}[|endofturn|]\n[|user|]다음", TEXT_KO),
    (f"{TEXT}</s><s>[INST] More [/INST] Sure.", TEXT),
    (f"{TEXT} </s> <s>[INST] More [/INST] Sure.", TEXT),
    (f"{TEXT}<|end|>\n<|user|>\nMore<|end|>\n<|assistant|>\nSure.", TEXT),
    (f"{TEXT}<｜end▁of▁sentence｜><｜User｜>More<｜Assistant｜>Sure.", TEXT),
    (f"{TEXT}<|return|><|start|>user<|message|>More<|end|>", TEXT),
    (f"<|im_start|>assistant\n{TEXT}<|im_end|>", TEXT),
    (f"</s>{TEXT}</s>", TEXT),
    ("<|im_end|>\n<|im_start|>user\nThanks!", ""),
    ("```python\nprint(1)\n```<|im_end|>\n<|im_start|>user\nFix it.", "```python\nprint(1)\n```"),
    ("```python\nprint(1)\n<|im_end|>", "```python\nprint(1)"),
    ("답은 넷 </s>", "답은 넷"),
    ("The answer is `x`<|im_end|>", "The answer is `x`"),
    ("It was <s>$10</s>, now $8.</s>", "It was <s>$10</s>, now $8."),
    ("Use <think> tags.<|im_end|>", "Use <think> tags."),
]
