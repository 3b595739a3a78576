"""The conventions of seed sets in use, as one table: names of columns and splits, shapes of turns, names of roles.

What a seed set may look like is said here; `rows.py` and `turns.py` only follow it. Where several names stand, the
first that a row has a value under is taken. A dotted name leads into an object, a number into a list.
"""

# --- Columns: what they hold, in any row --------------------------------------------------------

CHATS = ("messages", "conversations", "conversation", "dialog", "dialogue", "turns", "chat")
LISTS = (*CHATS, "data", "history")  # where a list of strings, or of pairs, is a conversation too
WRITTEN = (*LISTS, "prompt", "chosen", "completion")  # where a chat may be written as JSON, or as Python prints it
COLUMNS = {
    "instruction": (
        *("instruction", *CHATS, "prompt", "question", "query", "problem", "inputs", "data", "chosen", "input"),
    ),
    # chosen: preference data; instances: seed_tasks of Self-Instruct, of which Alpaca too takes the first
    "response": (
        *("response", "output", "completion", "chosen", "solution", "answer", "targets", "target", "reply"),
        "instances.0.output",
    ),
    "input": ("input", "context", "instances.0.input"),  # Alpaca's, Dolly's
    "system": ("system", "system_prompt", "system_message"),
    "history": ("history", "context"),  # LLaMA-Factory's, and that of our own results
    "media": ("image", "images", "video", "videos", "audio", "audios"),  # without them the text has no answer
}

# Inputs that mean that there is none, without the brackets around them.
NO_INPUT = {
    *("noinput", "no input", "no_input", "no-input", "n/a", "none", "nan", "null", "not applicable"),
    *("-", "--", "–", "—", "없음", "입력 없음", "입력없음", "해당 없음", "해당없음"),
}
BRACKETS = "<>()[]{}「」 \t\r\n."

# --- Turns ---------------------------------------------------------------------------------------

ROLE_KEYS = ("role", "from", "speaker", "author")
CONTENT_KEYS = ("content", "value", "text", "utterance")
PAIRS = (  # a turn of the user and the answer to it in one object
    *(("input", "output"), ("user", "assistant"), ("human", "assistant"), ("human", "gpt")),
    *(("question", "answer"), ("instruction", "output"), ("instruction", "response"), ("prompt", "response")),
)
CALL_KEYS = ("tool_calls", "function_call", "tool_call_id")  # of a turn that calls a tool, or gives its result

# What a role or a part of a turn may be besides one of a conversation: reasons to set its row aside.
TOOL_USE, NOT_TEXT, UNKNOWN_SHAPE = "tool_use", "not_text", "unknown_shape"
ROLES = {  # in lower case, without brackets and colons around it
    **dict.fromkeys(("user", "human", "prompter", "usr", "사용자", "질문"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bing", "bard", "claude", "gemini"), "assistant"),
    **dict.fromkeys(("ai", "bot", "model", "llm", "chatbot", "assistant_response", "답변", "챗봇"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("tool", "tools", "tool_call", "tool_calls", "tool_response", "tool_result"), TOOL_USE),
    **dict.fromkeys(("function", "function_call", "function_response", "observation", "ipython"), TOOL_USE),
    **dict.fromkeys(("function-call", "function-response", "tool-call", "tool-response"), TOOL_USE),
}
PARTS = {  # types of the parts of a content; None for one that is left out; all others are not text
    **dict.fromkeys(("", "text", "input_text", "output_text"), "text"),
    **dict.fromkeys(("thinking", "reasoning", "redacted_thinking"), None),
    **dict.fromkeys(("tool_use", "tool_call", "tool_result", "function_call", "function_call_output"), TOOL_USE),
}

# --- Files ---------------------------------------------------------------------------------------

# Words in the names of files and folders that tell their split, in the order of precedence.
SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
NO_DATA = {  # what libraries write beside data
    *("config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "dummy_data.zip"),
}
DELIMITERS = ",;\t|"
BOMS = (
    *((b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32")),
    *((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")),
)
# What is tried on a text that is not UTF-8, and a script that must then fill most of what is not ASCII.
ENCODINGS = (("cp949", "HANGUL"), ("cp932", "KANA"), ("gb18030", "CJK"), ("cp1252", "LATIN"))
MAGIC = {  # the first bytes of a file, and the suffix that it should bear
    **{b"PAR1": ".parquet", b"ARROW1": ".arrow", b"\xff\xff\xff\xff": ".arrow"},
    **{b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\x28\xb5\x2f\xfd": ".zst", b"\x04\x22\x4d\x18": ".lz4"},
    **{b"PK\x03\x04": ".zip", b"SQLite format 3": ".sqlite", b"%PDF": ".pdf", b"\xd0\xcf\x11\xe0": ".xls"},
}
