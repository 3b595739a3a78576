"""The words of the page, as data: `texts/en.json` and `texts/ko.json` say the same in two languages."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Lang = Literal["en", "ko"]
TEXTS = Path(__file__).resolve().parent / "texts"
LOCALE = ("LC_ALL", "LC_MESSAGES", "LANG")  # as gettext ranks them: the first that is set counts


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
        """Return a text of the page or its script with `values` filled in. Raises KeyError where there is none."""
        return (self.page if key in self.page else self.script)[key].format(**values)

    def label(self, name: str) -> str:
        return self.labels.get(name) or self.reason(name)

    def reason(self, code: str) -> str:
        """Return the name of a reason; of one that is unknown here, the code itself."""
        return self.reasons[code]["name"] if code in self.reasons else code

    def why(self, code: str) -> str:
        """Return a sentence that explains a reason; an empty one for a reason that is unknown here."""
        return self.reasons[code]["why"] if code in self.reasons else ""

    def for_script(self, learned: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
        """Return the texts and names that page.js needs; `learned` are the names of this run's methods by their ids."""
        names = {code: self.reason(code) for code in self.reasons}
        why = {code: self.why(code) for code in self.reasons}
        labels, methods = {**names, **self.labels}, {**self.methods, **learned}
        return {"ui": self.script, "reasons": names, "why": why, "labels": labels, "methods": methods}


def read_texts(lang: Lang) -> Texts:
    """Read the texts of a language."""
    return Texts(lang, **json.loads((TEXTS / f"{lang}.json").read_text(encoding="utf-8")))


def language_of_locale(variables: Mapping[str, str]) -> Lang | None:
    """Return the language that environment variables ask for, or None where the report has no such language."""
    locale = next((variables[name] for name in LOCALE if variables.get(name)), "")
    ours: dict[str, Lang] = {"en": "en", "ko": "ko"}
    return ours.get(re.split("[^a-z]", locale.lower(), maxsplit=1)[0])
