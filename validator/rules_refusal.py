"""The failure rule that finds refusals: answers that decline, or moralize in place of an answer.

A refusal stands in the opening, speaks in the first person and is about the request itself. What follows it
decides: a caveat ("as an AI I have no opinion, but ...") that goes on to answer is an answer, one that goes on
to admonish or to send elsewhere is none. And what the instruction wanted decides: a letter of apology, a role
or a quiz may say anything. In doubt the rule does not fire.
"""

from validator.rules_languages import LANGUAGES, says, spoken_in
from validator.rules_pattern import Language
from validator.rules_text import INSTRUCTION_WINDOW, first_sentences, is_quotation, list_items, plain, sentences

LONG = 800
"""Characters beyond which a caveat is followed by more than admonitions."""

HEDGE = 60
"""Characters after a refusing verb in which its object still stands."""

SERMON = 2
"""Kinds of moral argument that make a sermon."""

MOSTLY = 0.66
"""Share of its sentences that preach in a sermon."""

FEW_ITEMS = 2
OPENING, DECLINE, CONDEMNATION, MORALS = 8, 3, 2, 4
"""Sentences at the head of an answer that are read for a sermon, a refusal, a condemnation and its arguments."""


def instructs(instruction: str, name: str) -> bool:
    """Tell whether the instruction, read at both ends, matches the pattern of this name in any of its languages."""
    text = plain(instruction, INSTRUCTION_WINDOW)
    if len(instruction) > INSTRUCTION_WINDOW:
        text += "\n" + plain(instruction[-INSTRUCTION_WINDOW:], INSTRUCTION_WINDOW)
    return says(text, name)


def speaks_for_someone(instruction: str, answer: str) -> bool:
    """Tell whether the answer is, or is asked to be, words for someone else's mouth: a letter, a role, a quotation."""
    begins_so = any(language.addresses.match(plain(answer)) for language in LANGUAGES)
    return begins_so or is_quotation(answer) or instructs(instruction, "wants_text")


def is_refusal(instruction: str, answer: str) -> bool:
    """Tell whether the answer declines the instruction, or moralizes in place of an answer."""
    said = first_sentences(answer, OPENING)
    return any(
        _declines(language, instruction, answer, said) or _moralizes(language, instruction, answer, said)
        for language in spoken_in(" ".join(said))
    )


def _declines(language: Language, instruction: str, answer: str, said: list[str]) -> bool:
    head = " ".join(said[:DECLINE])
    found = language.declines.search(head)
    if not found:
        if not language.names_itself.search(head) or not language.hedges.search(head):
            return False
        return not instructs(instruction, "asks_whether") and _only_hedges(language, answer, said, SERMON)
    if instructs(instruction, "wants_refusal"):
        return bool(language.names_itself.search(head))
    if speaks_for_someone(instruction, answer):
        return bool(language.names_itself.search(head) or language.declines_generically.search(head))
    if language.hedges.search(head, found.start(), found.end() + HEDGE):
        return _only_hedges(language, answer, said, 1)
    return found.start() == 0 or not (language.names_itself.search(head) and _complies(language, answer))


def _only_hedges(language: Language, answer: str, said: list[str], enough: int) -> bool:
    """Tell whether `enough` kinds of moral argument and no "however" follow a caveat, or mostly admonitions do."""
    head = " ".join(said[:DECLINE])
    hedge = language.hedges.search(head)
    if not hedge or len(answer) > LONG or _complies(language, answer):
        return False
    rest = " ".join(said)[hedge.end() :]
    turned = language.turns.search(head)
    if not turned and _morals(language, rest) >= enough:
        return True
    after = list(sentences(language.turns.sub("\n", rest)))[1:]
    return list_items(answer) < FEW_ITEMS and _preaches(language, after, 1.0 if turned else MOSTLY)


def _preaches(language: Language, said: list[str], share: float) -> bool:
    """Tell whether a `share` of the sentences argues, admonishes or sends elsewhere, and no other is a step or list."""
    patterns = (language.preaches, language.appeals, language.sermonizes)
    rest = [sentence for sentence in said if not any(pattern.search(sentence) for pattern in patterns)]
    if any(sentence.count(",") > 1 or not language.states.search(sentence) for sentence in rest):
        return False
    return bool(said) and len(rest) <= (1 - share) * len(said)


def _complies(language: Language, answer: str) -> bool:
    """Tell whether an answer turns from its caveat to the real answer after all."""
    return bool(language.complies_after_all.search(plain(answer)))


def _moralizes(language: Language, instruction: str, answer: str, said: list[str]) -> bool:
    """Tell whether a condemnation replaces the answer, with several kinds of moral argument or little but appeals."""
    preaches = _is_sermon(language, answer, said)
    argues = not preaches and _condemns(language, said)
    if not (preaches or argues) or _complies(language, answer):
        return False
    if instructs(instruction, "asks_whether") or speaks_for_someone(instruction, answer):
        return False
    if instructs(instruction, "asks_why"):
        return preaches
    return instructs(instruction, "asks_how")


def _is_sermon(language: Language, answer: str, said: list[str]) -> bool:
    """Tell whether an answer opens with a condemnation and goes on with little but appeals to the reader."""
    if len(said) < 2 or not any(language.sermonizes.search(sentence) for sentence in said[:CONDEMNATION]):
        return False
    if list_items(answer) >= FEW_ITEMS or not any(language.appeals.search(sentence) for sentence in said):
        return False
    return _preaches(language, said, MOSTLY)


def _condemns(language: Language, said: list[str]) -> bool:
    """Tell whether a condemnation at the head is followed by several kinds of moral argument."""
    if _morals(language, " ".join(said[:MORALS])) < SERMON:
        return False
    return bool(language.condemns.search(" ".join(said[:CONDEMNATION])))


def _morals(language: Language, text: str) -> int:
    return sum(bool(pattern.search(text)) for pattern in language.morals)
