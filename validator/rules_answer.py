"""Failure rules on answers: each looks at an instruction and its answer and says whether the rule fires.

A refusal stands in the opening, speaks in the first person and is about the request itself. So these rules
look at the first sentences, at what follows them, and at what the instruction wanted: a letter of apology,
a role or a quiz may say anything. A rule that is not sure does not fire.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby, islice

from validator.rules_languages import LANGUAGES
from validator.rules_text import (
    INSTRUCTION_WINDOW,
    Language,
    fences,
    is_quotation,
    list_items,
    opening,
    plain,
    sentences,
)

SHORT = 400
"""Characters up to which an answer that asks back, promises or does not know can be nothing but that."""

HEDGE = 60
"""Characters after a refusing verb in which its object still stands."""

SERMON = 2
"""Kinds of moral argument that make a sermon."""


ENDLESS = 20
"""Equal words in a row that are no figure of speech."""

FEW_WORDS = 8
FEW_ITEMS = 2
MANY_SENTENCES = 8
MOSTLY = 0.66
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
_MOJIBAKE = re.compile(r"â€|[ÃÂ][\u0080-\u00bf]|[ìíëê][\u0080-\u00bf\u0152-\u02dc\u2013-\u2122]")
_ENCODING = re.compile(
    r"encod|decod|unicode|utf-?8|mojibake|ascii|control character|fffd|인코딩|디코딩|유니코드|깨진|깨져|제어 ?문자"
)


def _instructs(instruction: str, pattern: str) -> bool:
    """Whether the instruction, read at both ends, matches this pattern of any language."""
    text = plain(instruction, INSTRUCTION_WINDOW)
    if len(instruction) > INSTRUCTION_WINDOW:
        text += "\n" + plain(instruction[-INSTRUCTION_WINDOW:], INSTRUCTION_WINDOW)
    return any(getattr(language, pattern).search(text) for language in LANGUAGES)


def is_refusal(instruction: str, answer: str) -> bool:
    """Whether the answer declines the instruction, or moralizes in place of an answer."""
    head = opening(answer)
    return any(
        _declines(language, instruction, answer, head) or _moralizes(language, instruction, answer)
        for language in LANGUAGES
    )


def _declines(language: Language, instruction: str, answer: str, head: str) -> bool:
    found = language.declines.search(head)
    if not found:
        if not language.names_itself.search(head) or _instructs(instruction, "asks_whether"):
            return False
        return _only_hedges(language, answer, head, SERMON)
    if _instructs(instruction, "wants_refusal"):
        return bool(language.names_itself.search(head))
    if _speaks_for_someone(instruction, answer):
        return bool(language.names_itself.search(head) or language.declines_generically.search(head))
    if language.hedges.search(head, found.start(), found.end() + HEDGE):
        return _only_hedges(language, answer, head)
    return found.start() == 0 or not (language.names_itself.search(head) and _complies(language, answer))


def _only_hedges(language: Language, answer: str, head: str, enough: int = 1) -> bool:
    """Whether a caveat ("as an AI I have no opinion") is followed by admonitions alone."""
    hedge = language.hedges.search(head)
    if not hedge or len(answer) > 2 * SHORT or _complies(language, answer):
        return False
    text = opening(answer, MANY_SENTENCES)[hedge.end() :]
    turned = language.turns.search(head)
    if not turned and _morals(language, text) >= enough:
        return True
    said = list(sentences(language.turns.sub("\n", text)))[1:]
    return list_items(answer) < FEW_ITEMS and _preaches(language, said, 1.0 if turned else MOSTLY)


def _preaches(language: Language, said: list[str], share: float = MOSTLY) -> bool:
    """Whether this share of the sentences argues, admonishes or sends elsewhere, and the rest gives no step or list."""
    patterns = (language.preaches, language.appeals, language.sermonizes)
    rest = [sentence for sentence in said if not any(pattern.search(sentence) for pattern in patterns)]
    if any(sentence.count(",") > 1 or not language.states.search(sentence) for sentence in rest):
        return False
    return bool(said) and len(rest) <= (1 - share) * len(said)


def _complies(language: Language, answer: str) -> bool:
    """Whether a caveat is followed by the answer all the same."""
    return bool(language.complies_after_all.search(plain(answer)))


def _speaks_for_someone(instruction: str, answer: str) -> bool:
    addressed = any(language.addresses.match(plain(answer)) for language in LANGUAGES)
    return addressed or is_quotation(answer) or _instructs(instruction, "wants_text")


def _moralizes(language: Language, instruction: str, answer: str) -> bool:
    """Whether a condemnation stands in place of an answer: arguments of many kinds follow it, or nothing else does."""
    preaches = _is_sermon(language, answer)
    condemns = preaches or language.condemns.search(opening(answer, 2))
    if not condemns or _complies(language, answer):
        return False
    if _instructs(instruction, "asks_whether") or _speaks_for_someone(instruction, answer):
        return False
    if preaches:
        return _instructs(instruction, "asks_how") or _instructs(instruction, "asks_why")
    if _morals(language, opening(answer, 4)) < SERMON:
        return False
    return _instructs(instruction, "asks_how") and not _instructs(instruction, "asks_why")


def _is_sermon(language: Language, answer: str) -> bool:
    """Whether an answer opens with a condemnation and goes on with little but appeals to the reader."""
    said = list(sentences(opening(answer, MANY_SENTENCES)))
    if len(said) < 2 or not any(language.sermonizes.search(sentence) for sentence in said[:2]):
        return False
    if list_items(answer) >= FEW_ITEMS or not any(language.appeals.search(sentence) for sentence in said):
        return False
    return _preaches(language, said)


def _morals(language: Language, text: str) -> int:
    return sum(bool(pattern.search(text)) for pattern in language.morals)


def asks_for_input(instruction: str, answer: str) -> bool:
    """Whether a short answer asks for missing material, or asks what is wanted, instead of answering."""
    if len(answer) > SHORT or list_items(answer) > 3 or _instructs(instruction, "wants_question"):
        return False
    if _speaks_for_someone("", answer) or _instructs(instruction, "wants_refusal"):
        return False
    text = opening(answer, 6)
    quoted = _instructs(instruction, "wants_text")
    return any(
        language.asks_back.search(text) and (not quoted or language.names_task.search(text)) for language in LANGUAGES
    )


def is_acknowledgement(instruction: str, answer: str) -> bool:
    """Whether the answer only says that it understood, or promises an answer and stops."""
    text = plain(answer).strip()
    if len(answer) > SHORT // 2 or _instructs(instruction, "wants_reply"):
        return False
    parts = list(sentences(text))
    for language in LANGUAGES:
        if language.acknowledges.fullmatch(text):
            return True
        if len(parts) <= 2 and parts and language.promises.search(parts[-1]):
            return True
    return False


def does_not_know(instruction: str, answer: str) -> bool:
    """Whether the speaker says that it does not know, and says nothing else of substance."""
    if len(answer) > SHORT or list_items(answer) > 1 or _instructs(instruction, "wants_text"):
        return False
    head = opening(answer, 2)
    return any(
        language.does_not_know.search(head) and not language.turns.search(plain(answer)) for language in LANGUAGES
    )


def is_empty(instruction: str, answer: str) -> bool:
    """Whether the answer has no word in it that could answer anything."""
    text = plain(answer, SHORT).strip()
    if len(answer) > SHORT and answer.strip():
        return False
    if _PLACEHOLDER.fullmatch(text):
        return text.strip("[]<>(). ") not in instruction.lower()
    words = _WORD.findall(text)
    if not words:
        return not (_SIGN.search(text) or (text and _instructs(instruction, "wants_word")))
    if _instructs(instruction, "wants_word") or len(words) > FEW_WORDS:
        return False
    return any(language.function_words.issuperset(words) for language in LANGUAGES)


def is_broken(instruction: str, answer: str) -> bool:
    """Whether characters were lost in decoding, or one word or line is repeated without end."""
    about_characters = _ENCODING.search(plain(instruction, INSTRUCTION_WINDOW))
    if not about_characters and (_UNREADABLE.search(answer) or _is_mojibake(answer)):
        return True
    return not _instructs(instruction, "wants_repetition") and _repeats(answer)


def _is_mojibake(answer: str) -> bool:
    """UTF-8 read as Latin-1 or Windows-1252: pairs that no language writes, more than a few."""
    garbled = sum(1 for _ in islice(_MOJIBAKE.finditer(answer), MANY_GARBLED))
    return garbled >= min(MANY_GARBLED, 2 + len(answer) // 200)


def _repeats(answer: str) -> bool:
    prose, _, _ = fences(answer)
    if any(word[0].isalpha() and n >= ENDLESS for word, n in _runs(prose.split())):
        return True
    if any(char.isalpha() and n >= 4 * ENDLESS for char, n in _runs(prose)):
        return True
    lines = (line for line in sentences(prose) if len(line) > 3 and not line.startswith("|"))
    return any(n >= ENDLESS // 2 for _, n in _runs(lines))


def _runs(items: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Each item with the length of the run of its equals."""
    return ((item, sum(1 for _ in run)) for item, run in groupby(items))


def is_truncated(instruction: str, answer: str) -> bool:
    """Whether the answer visibly breaks off: a code fence is open at its end."""
    _, _, still_open = fences(answer)
    return still_open > 0 and not answer.rstrip().endswith(("```", "~~~"))
