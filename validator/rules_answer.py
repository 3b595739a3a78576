"""Failure rules on answers: each looks at an instruction and its answer and says whether the rule fires.

They look at the first sentences, at what follows them, and at what the instruction wanted: one that asks for a
question may be answered by one. A rule that is not sure does not fire. Tests go from cheap to dear, since nearly
all answers are good and nothing is to be found in them.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby, islice, pairwise

from validator.rules_languages import spoken_in
from validator.rules_refusal import instructs, speaks_for_someone
from validator.rules_text import INSTRUCTION_WINDOW, fences, list_items, opening, plain, sentences

SHORT = 400
"""Characters up to which an answer that asks back, promises or does not know can be nothing but that."""

ENDLESS = 20
"""Equal words in a row that are no figure of speech."""

FEW_WORDS = 8
MANY_GARBLED = 12

_WORD = re.compile(r"[^\W_]+")
_SIGN = re.compile(r"[<>=+×÷√∞∴≤≥≠±→←↑↓⇒★☆○●■□\u2600-\u27bf\U0001f000-\U0001faff]")
_PLACEHOLDER = re.compile(
    r"[\[<(]{0,2}(?:n/a|no (?:output|response|answer|input|comment|reply)|no(?:input|output|answer|response)|"
    r"(?:insert|your|write|add) (?:\w+ ){0,3}(?:answer|response|text|output)(?: here)?|"
    r"(?:answer|response|text|output)(?: goes)? here|todo|tbd|placeholder|empty|blank|lorem ipsum|"
    r"해당 ?(?:사항 ?)?없음|(?:출력|응답|답변|내용|입력) ?없음|"
    r"(?:여기에 )?(?:답변|내용|텍스트)[을를]? ?(?:입력|작성)(?:하세요|해 ?주세요)?)[\])>.]{0,3}"
)
_UNREADABLE = re.compile(r"[\ufffd\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff]")
_GARBLED = re.compile("[âÃÂìíëê]")
_MOJIBAKE = re.compile(r"â€|[ÃÂ][\u0080-\u00bf]|[ìíëê][\u0080-\u00bf\u0152-\u02dc\u2013-\u2122]")
_ENCODING = re.compile(
    r"encod|decod|unicode|utf-?8|mojibake|ascii|control character|fffd|인코딩|디코딩|유니코드|깨진|깨져|제어 ?문자"
)


def asks_for_input(instruction: str, answer: str) -> bool:
    """Tell whether a short answer asks for missing material, or asks what is wanted, instead of answering."""
    if len(answer) > SHORT:
        return False
    text = opening(answer, 6)
    asking = [language for language in spoken_in(text) if language.asks_back.search(text)]
    if not asking or list_items(answer) > 3 or speaks_for_someone("", answer):
        return False
    if instructs(instruction, "wants_question") or instructs(instruction, "wants_refusal"):
        return False
    if not instructs(instruction, "wants_text"):
        return True
    return any(language.names_task.search(text) for language in asking)


def is_acknowledgement(instruction: str, answer: str) -> bool:
    """Tell whether the answer only says that it understood, or promises an answer and stops."""
    if len(answer) > SHORT // 2:
        return False
    text = plain(answer).strip()
    parts = list(sentences(text))
    promise = parts[-1] if len(parts) <= 2 and parts else ""
    return any(
        language.acknowledges.fullmatch(text) or language.promises.search(promise) for language in spoken_in(text)
    ) and not instructs(instruction, "wants_reply")


def does_not_know(instruction: str, answer: str) -> bool:
    """Tell whether the speaker says that it does not know, and says nothing else of substance."""
    if len(answer) > SHORT:
        return False
    head = opening(answer, 2)
    ignorant = [language for language in spoken_in(head) if language.does_not_know.search(head)]
    if not ignorant or all(language.turns.search(plain(answer)) for language in ignorant):
        return False
    return list_items(answer) <= 1 and not instructs(instruction, "wants_text")


def is_empty(instruction: str, answer: str) -> bool:
    """Tell whether the answer has no word in it that could answer anything."""
    if len(answer) > SHORT and not answer.isspace():
        return False
    text = plain(answer, SHORT).strip()
    if _PLACEHOLDER.fullmatch(text):
        return text.strip("[]<>(). ") not in instruction.lower()
    words = _WORD.findall(text)
    if not words:
        return not (_SIGN.search(text) or (text and instructs(instruction, "wants_word")))
    if len(words) > FEW_WORDS or not any(language.function_words.issuperset(words) for language in spoken_in(text)):
        return False
    return not instructs(instruction, "wants_word")


def is_broken(instruction: str, answer: str) -> bool:
    """Tell whether characters were lost in decoding, or one word or line is repeated without end."""
    garbled = _UNREADABLE.search(answer) or _is_mojibake(answer)
    if garbled and not _ENCODING.search(plain(instruction, INSTRUCTION_WINDOW)):
        return True
    return _repeats(answer) and not instructs(instruction, "wants_repetition")


def _is_mojibake(answer: str) -> bool:
    """Tell whether UTF-8 was read as Latin-1 or Windows-1252: several pairs of characters that no language writes."""
    if answer.isascii() or not _GARBLED.search(answer):
        return False
    garbled = sum(1 for _ in islice(_MOJIBAKE.finditer(answer), MANY_GARBLED))
    return garbled >= min(MANY_GARBLED, 2 + len(answer) // 200)


def _repeats(answer: str) -> bool:
    """Tell whether a word, letter or sentence stands many times in a row, by cheap tests before dear ones."""
    prose, _, _ = fences(answer)
    words = prose.split()
    every_tenth = words[:: ENDLESS // 2]  # two neighbours of these lie within any run of words
    if any(a == b for a, b in pairwise(every_tenth)) and any(w[0].isalpha() and n >= ENDLESS for w, n in _runs(words)):
        return True
    long_words = (word for word in words if len(word) >= 4 * ENDLESS)
    if any(char.isalpha() and n >= 4 * ENDLESS for word in long_words for char, n in _runs(word)):
        return True
    lines = [line for line in sentences(prose) if len(line) > 3 and not line.startswith("|")]
    return len(lines) - len(set(lines)) >= ENDLESS // 2 - 1 and any(n >= ENDLESS // 2 for _, n in _runs(lines))


def _runs(items: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield for each run of equal items the item and the length of the run."""
    return ((item, sum(1 for _ in run)) for item, run in groupby(items))


def is_truncated(instruction: str, answer: str) -> bool:
    """Tell whether the answer visibly breaks off: a code fence is open at its end."""
    _, _, still_open = fences(answer)
    return still_open > 0 and not answer.rstrip().endswith(("```", "~~~"))
