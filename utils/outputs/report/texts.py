"""The words of the page, as data: `texts/en.json` and `texts/ko.json` say the same in two languages."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Lang = Literal["en", "ko"]
TEXTS = Path(__file__).resolve().parent / "texts"
LOCALE = ("LC_ALL", "LC_MESSAGES", "LANG")  # as gettext ranks them: the first that is set speaks for all


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one language.

    `page` is what the templates say, `script` what page.js says (templates may say it too). The others name codes:
    kinds of calls in the order in which they take part, methods, labels, and reasons with a sentence that tells why.
    """

    lang: Lang
    page: Mapping[str, str]
    script: Mapping[str, str]
    call_kinds: Mapping[str, str]
    methods: Mapping[str, str]
    labels: Mapping[str, str]
    reasons: Mapping[str, Mapping[str, str]]

    def __call__(self, key: str, **values: object) -> str:
        """A text of the page, its places filled with `values`. Raises KeyError for a text that there is not."""
        return (self.page if key in self.page else self.script)[key].format(**values)

    def label(self, name: str) -> str:
        return self.labels.get(name) or self.reason(name)

    def reason(self, code: str) -> str:
        """The name of a reason; one unknown here names itself."""
        return self.reasons[code]["name"] if code in self.reasons else code

    def why(self, code: str) -> str:
        """A sentence on a reason; empty for one unknown here."""
        return self.reasons[code]["why"] if code in self.reasons else ""

    def for_script(self, learned: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
        """What page.js needs to name things; `learned` are the names of methods of this run by their ids."""
        names = {code: self.reason(code) for code in self.reasons}
        why = {code: self.why(code) for code in self.reasons}
        labels, methods = {**names, **self.labels}, {**self.methods, **learned}
        return {"ui": self.script, "reasons": names, "why": why, "labels": labels, "methods": methods}


def read_texts(lang: Lang) -> Texts:
    """The texts of a language."""
    return Texts(lang, **json.loads((TEXTS / f"{lang}.json").read_text(encoding="utf-8")))


def language_of_locale(variables: Mapping[str, str]) -> Lang | None:
    """The language that a terminal's environment variables ask for, where it is one of the report's."""
    locale = next((variables[name] for name in LOCALE if variables.get(name)), "")
    ours: dict[str, Lang] = {"en": "en", "ko": "ko"}
    return ours.get(re.split("[^a-z]", locale.lower(), maxsplit=1)[0])
