"""Which scripts and languages texts are written in, counted from their letters.

On texts as short as instructions a count of letters is more reliable than a trained detector; it cannot tell
apart languages of one script, so that texts in Latin letters are English unless their small words say otherwise.
"""

import re
from collections import Counter
from collections.abc import Mapping

_SCRIPTS = {
    "Latin": re.compile("[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f]+"),
    "Hangul": re.compile("[\uac00-\ud7a3\u3130-\u318f\u1100-\u11ff]+"),
    "Han": re.compile("[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff]+"),
    "Kana": re.compile("[\u3041-\u30ff]+"),
    "Cyrillic": re.compile("[\u0400-\u04ff]+"),
    "Greek": re.compile("[\u0370-\u03ff]+"),
    "Arabic": re.compile("[\u0600-\u06ff]+"),
    "Hebrew": re.compile("[\u0590-\u05ff]+"),
    "Devanagari": re.compile("[\u0900-\u097f]+"),
    "Thai": re.compile("[\u0e00-\u0e7f]+"),
}
HANGUL_WEIGHT = 4  # a syllable holds two or three letters, and Korean tasks often carry code and terms in Latin ones
KANA_SHARE = 0.1  # of kana and Han together, from which a text is Japanese
_HEAD = 2_000  # characters in which small words are looked for

_SMALL_WORDS = {
    "en": "the of and to is for that with are what how it you be this by an from or your which",
    "other": "de la el los las que y un una por para con le les des et du est une der das und ist ein eine mit den "
    "von zu il che di per non sono o e um uma os não het een van dat niet och att det som",
}
_ENGLISH, _FOREIGN = (frozenset(words.split()) for words in _SMALL_WORDS.values())


def count_scripts(text: str) -> Counter[str]:
    """Count the letters of `text` by script; letters of scripts not listed here do not count."""
    scripts = ("Latin",) if text.isascii() else _SCRIPTS
    counts = ((name, sum(map(len, _SCRIPTS[name].findall(text)))) for name in scripts)
    return Counter({name: count for name, count in counts if count})


def language(text: str, scripts: Mapping[str, int]) -> str:
    """Return the language of `text`, whose letters are counted in `scripts`: ko, en, ja, zh, other, or none."""
    weights = {name: count * (HANGUL_WEIGHT if name == "Hangul" else 1) for name, count in scripts.items()}
    kana, han = weights.pop("Kana", 0), weights.pop("Han", 0)
    weights["East Asian"] = kana + han
    main = max(weights, key=lambda name: weights[name])
    if not weights[main]:
        return "none"
    if main == "East Asian":
        return "ja" if kana >= KANA_SHARE * (kana + han) else "zh"
    if main == "Latin":
        return _latin_language(text)
    return "ko" if main == "Hangul" else "other"


def _latin_language(text: str) -> str:
    words = text[:_HEAD].lower().split()
    english, foreign = (sum(map(known.__contains__, words)) for known in (_ENGLISH, _FOREIGN))
    return "other" if foreign > max(english, 1) else "en"  # one alone may be part of a name


def shares(counts: Counter[str]) -> dict[str, float]:
    """Return counts as shares of their sum (0 to 1), largest first; equal ones by name."""
    total = counts.total()
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {name: round(count / total, 4) for name, count in ordered}
