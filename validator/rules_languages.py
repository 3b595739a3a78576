"""The languages that the failure rules speak; a third one is added here."""

from validator.rules_en import ENGLISH
from validator.rules_ko import KOREAN
from validator.rules_pattern import Language

LANGUAGES = (ENGLISH, KOREAN)


def spoken_in(text: str) -> tuple[Language, ...]:
    """Return the languages that have a letter in a text that `plain` has levelled; all languages where none has."""
    return tuple(language for language in LANGUAGES if language.letters.search(text)) or LANGUAGES


def says(text: str, name: str) -> bool:
    """Tell whether a text that `plain` has levelled matches the pattern of this name, in any of its languages."""
    return any(getattr(language, name).search(text) for language in spoken_in(text))
