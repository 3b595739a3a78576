"""The forms in which models write thoughts into their text, and the tokens that end and begin turns: the one table.

A new form is a row in FORMS; if it begins in a new way, `marks._SIGN` must know of it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Form:
    """One way of writing thoughts into a text: patterns of what opens and closes them, and of what opens the answer.

    lone     a closing mark that nothing has opened makes thoughts of all before it (the template had opened them)
    endless  an opening mark that nothing closes makes thoughts of all behind it
    tag      nests, as elements do; the others end where an answer, a block of the same form or a turn's end follows
    """

    name: str
    opening: str
    closing: str = ""
    answer: str = ""
    lone: bool = True
    endless: bool = True
    tag: bool = False


def _tag(name: str, lone: bool = True) -> Form:
    opening = rf"<\s{{0,3}}{name}(?:\s[^<>]{{0,200}}(?<!/))?>"
    return Form(name, opening, rf"<\s{{0,3}}/\s{{0,3}}{name}\s{{0,3}}>", lone=lone, tag=True)


_STARTED = r"<\|start\|>\s*assistant\s*"
_CHANNEL = r"<\|channel\|>\s*{}\b[^<\n]{{0,80}}(?:<\|constrain\|>[^<\n]{{0,20}})?<\|message\|>"
_THOUGHT_OF = r"(?-i:(?=We\b|The user|User|I\b|Let|Need|Okay))"

FORMS = (
    _tag("think"),  # DeepSeek, Qwen, GLM, EXAONE 4, Kanana, A.X, Phi-4, Nemotron, Granite 3.3 and most others
    _tag("thinking"),
    _tag("thought"),  # EXAONE Deep, Marco-o1
    _tag("thoughts"),
    _tag("reason"),
    _tag("reasoning"),
    _tag("reflection", lone=False),
    _tag("seed:think"),  # Seed-OSS
    _tag("mm:think"),  # MiniMax M3
    _tag("longcat_think"),  # LongCat
    Form("brackets", r"(?-i:\[THINK\])", r"(?-i:\[/THINK\])"),  # Magistral, Mistral Small 4
    Form("triangles", r"◁think▷", r"◁/think▷"),  # Kimi
    Form(
        "begin_of_thought",  # OpenThinker, Sky-T1
        r"<\|begin_of_thought\|>",
        r"<\|end_of_thought\|>",
        r"<\|begin_of_solution\|>",
    ),
    Form(
        "details",  # Open WebUI
        r"<details\s[^<>]{0,200}?type=[\"']?reasoning\b[^<>]{0,200}>(?:\s*<summary>[^<]{0,200}</summary>)?",
        r"</details>",
        lone=False,
        tag=True,
    ),
    Form(
        "harmony",  # gpt-oss; its commentary is said to tools, not to the reader
        rf"(?:{_STARTED})?" + _CHANNEL.format("(?:analysis|commentary)"),
        answer=rf"(?:{_STARTED})?" + _CHANNEL.format("final") + rf"|{_STARTED}<\|message\|>",
    ),
    Form(
        "harmony, stripped",  # by a decoder that leaves special tokens out; all of it glued: analysisWe…assistantfinal…
        rf"(?-i:\A\s*(?:assistant)?(?:analysis{_THOUGHT_OF}|(?:analysis|commentary)(?=\n?\S.*assistantfinal))"
        r"|assistant(?:analysis|commentary)(?=\S))",
        answer=r"(?-i:(?<=[.!?。…\n])assistantfinal|assistantfinal(?![a-z_]))",
    ),
    Form("gemma", r"<\|channel>(?:thought|analysis)?", r"<channel\|>"),  # Gemma 4
    Form("medgemma", r"<unused94>(?:thought)?", r"<unused95>"),
    Form(
        "cohere",  # Command A and R7B
        r"<\|START_THINKING\|>",
        r"<\|END_THINKING\|>",
        r"<\|START_(?:RESPONSE|TEXT)\|>",
    ),
    Form(
        "solar",  # Solar Open; a turn's end closes its thoughts
        r"(?:<\|begin\|>assistant)?<\|think\|>",
        answer=r"(?:<\|begin\|>assistant)?<\|content\|>",
    ),
    Form("solar 2", r"<\|think:start\|>", r"<\|think:end\|>"),
    Form("hyperclova x", r"\A\s*/think\n", answer=r"<\|im_end\|>\s*<\|im_start\|>assistant\n", lone=False),
    Form("apertus", r"<\|inner_prefix\|>", r"<\|inner_suffix\|>"),
    Form(
        "kimi k3",
        r"<\|open\|>think<\|sep\|>",
        r"<\|close\|>think<\|sep\|>",
        r"<\|open\|>response<\|sep\|>",
    ),
    Form("pangu", r"\[unused16\]", r"\[unused17\]"),
    Form(
        "granite",  # 3.2
        r"\A\s*Here(?:'s| is) my thought process:",
        r"Here(?:'s| is) my response:",
        lone=False,
        endless=False,
    ),
)

_ROLE = r"(?:user|assistant|system|developer|tool|model|human|observation)"
END = (
    r"<\|(?:im_end|eot_id|eom_id|eot|eom|end|return|call|endoftext|end_of_text|end_of_turn|endofturn|end_of_msg|stop|eos"
    r"|flush|END_OF_TURN_TOKEN|END_RESPONSE|END_TEXT|end_of_solution|close\|>(?:response|message)<\|sep)\|>"
    r"|</s>|<end_of_turn>|<turn\|>|<eos>|<seed:eos>|\[\|endofturn\|\]|<｜end▁of▁sentence｜>|\[(?:EOS|EOT)\]|\[/INST\]"
)
TURN = (
    rf"(?:<s>\s*|<\|begin_of_text\|>\s*|<bos>\s*|<seed:bos>\s*)?(?:"
    rf"<\|(?:im_start|start|begin|turn)\|?>\s*{_ROLE}|<\|start_header_id\|>\s*{_ROLE}\s*<\|end_header_id\|>"
    rf"|<start_of_turn>\s*{_ROLE}|<\|{_ROLE}\|>|\[\|{_ROLE}\|\]|<｜(?:User|Assistant)｜>|\[INST\]"
    r"|<\|START_OF_TURN_TOKEN\|>(?:<\|(?:USER|CHATBOT|SYSTEM)_TOKEN\|>)?)"
)
