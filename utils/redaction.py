"""Text as it may be shown: the border that everything passes which goes to a terminal or into `run.log`.

Texts of servers, models and data are hostile there: escape sequences move the cursor and set titles, bidirectional
overrides show another line than the one that is written, line breaks forge a second line. And what somebody typed, or
a server repeats, may hold a key.
"""

import re

# C0, DEL, C1, marks and overrides of direction, line and paragraph separators, halves of surrogate pairs.
_CONTROLS = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff"
_UNSEEN = re.compile(f"[{_CONTROLS}]")
_BREAKS = re.compile("[\t\n\r\v\f\x1c-\x1f\x85\u2028\u2029]+")

# What keys and tokens of the services in use begin with. All patterns are bounded, as texts are hostile.
KEY = (
    r"(?:(?:sk|xai|nvapi|pplx|csk|glpat)-[\w-]{6,}|(?:hf|gsk|r8|tgp_v1|gh[pousr]|github_pat)_[A-Za-z0-9_]{16,}"
    r"|AIza[\w-]{20,}|AKIA[A-Z0-9]{12,}|eyJ[\w-]{8,500}\.[\w.-]{8,}|[Bb]earer\s{1,9}[\w.-]{6,})"
)
SECRET_NAME = r"(?:[\w.-]{0,40}(?:key|token|secret|passw|pwd|credential|auth(?!or))[\w.-]{0,40}|sig(?:nature)?)"
_TYPED_KEY = re.compile(rf"(?<![\w./-]){KEY}(?![\w./-])")
# Names that ask for a key, and not for a number of tokens or the key of a cache.
_SECRET_WORD = re.compile(
    r"(?i)-{0,2}(?!max|min|stop|budget|prompt|cache)(?:[a-z]{1,20}[-_.]){0,4}"
    r"(?:api-?key|key|token|secret|password|passwd|pwd|credentials?|auth(?:orization)?|bearer|sig(?:nature)?)"
)
_MASKED = re.compile(
    rf"(?P<kept>://)[^/\s@:]{{0,100}}:[^/\s]{{0,300}}@|(?i:(?P<field>[?&;]{SECRET_NAME}=)[^&;\s\"']+)|(?<!\w){KEY}"
)


def printable(text: str) -> str:
    """Spell out the characters in a text of lines that act on a terminal, and put stars in the place of keys."""
    return "\n".join(_spelled(line) for line in masked(text).split("\n"))


def one_line(text: str) -> str:
    """Do what `printable` does for a text that is to stay one line: its line breaks become blanks."""
    return _spelled(_BREAKS.sub(" ", masked(text)))


def printable_json(text: str) -> str:
    """Escape the characters in the strings of a JSON text that act on a terminal; it reads back the same."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _spelled(line: str) -> str:
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), line)


def masked(text: str) -> str:
    """Replace by stars what looks like a key in a text, or stands where one does."""
    return _MASKED.sub(lambda found: f"{found['kept'] or found['field'] or ''}***{'@' if found['kept'] else ''}", text)


# --- What was typed --------------------------------------------------------------------------------


def holds_key(word: str) -> bool:
    """Tell whether a word of the command line is, or has as a value, what looks like a key."""
    return bool(_TYPED_KEY.search(word))


def names_secret(name: str) -> bool:
    """Tell whether a name is that of a secret, which must not stand on a command line, as `--api-key` and `api_key`."""
    return bool(_SECRET_WORD.fullmatch(name))


def value_shown(value: object) -> str:
    """Return a wrong value as an error may repeat it: short, and not at all where it may be a key."""
    text = str(value)
    long_word = re.search(r"[\w+/=-]{8,}", text)
    if long_word and re.search(r"\d", long_word[0]) and re.search(r"[A-Za-z]", long_word[0]):
        return "a value that is not repeated here, as it may be a key,"
    return repr(text[:80])
