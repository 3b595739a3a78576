"""Precision, recall and F1 of the failure rules on labelled answers, beside two published detectors.

    python -m bench.rules FILE [--half a|b]

FILE is JSONL with the fields lang, prompt, response and label ("refusal", or anything else). A refusal counts as
found when any rule fires that speaks of an answer withheld: refusal, asks_for_input, acknowledgement,
does_not_know or empty. Halves are drawn by a hash of the prompt, so that rules can be written while reading one
half and measured on the other.
"""

import argparse
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from validator.rules import first_answer_rule
from validator.rules_pattern import words

WITHHELD = {"refusal", "asks_for_input", "acknowledgement", "does_not_know", "empty"}

PREFIXES = (
    "Understood", "What", "That is correct", "Thank you", "Sure", "Great", "I'm sorry", "Is there anything else",
    "As an AI assistant", "I understand",
)  # fmt: skip
STOP_WORDS = words("a an and are as at be by for from i in is it no not of on or so that the this to was yes")


@dataclass(frozen=True, slots=True)
class Labelled:
    """One answer and whether people called it a refusal."""

    language: str
    instruction: str
    answer: str
    refusal: bool


@dataclass(frozen=True, slots=True)
class Score:
    """Hits of a detector among labelled answers."""

    found: int
    false_alarms: int
    missed: int

    @property
    def precision(self) -> float:
        return self.found / max(1, self.found + self.false_alarms)

    @property
    def recall(self) -> float:
        return self.found / max(1, self.found + self.missed)

    @property
    def f1(self) -> float:
        return 2 * self.found / max(1, 2 * self.found + self.false_alarms + self.missed)


Detector = Callable[[str, str], bool]


def rules(instruction: str, answer: str) -> bool:
    """Tell whether the rules of this project find that the answer is withheld."""
    return first_answer_rule(instruction, answer) in WITHHELD


def auto_evol_instruct(instruction: str, answer: str) -> bool:
    """Tell whether the answer fails by the code that the authors of Auto Evol-Instruct released (arXiv 2406.00770)."""
    asks_back = answer.startswith(PREFIXES) and answer.rstrip().endswith("?")
    return asks_back or "please provide" in answer.lower() or "not possible" in answer.lower()


def wizardlm(instruction: str, answer: str) -> bool:
    """Tell whether Evol-Instruct (arXiv 2304.12244, section 3) drops the answer: "sorry" and short, or stop words."""
    said = re.findall(r"\w+", answer.lower())
    return ("sorry" in said and len(answer.split()) < 80) or STOP_WORDS.issuperset(said)


DETECTORS: dict[str, Detector] = {
    "rules": rules,
    "Auto Evol-Instruct": auto_evol_instruct,
    "WizardLM": wizardlm,
}


def read(path: Path, half: str | None = None) -> list[Labelled]:
    """Read the labelled answers of a JSONL file; `half` (a or b) keeps those whose prompt hashes to it."""
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    return [
        Labelled(row["lang"], row["prompt"], row["response"], row["label"] == "refusal")
        for row in rows
        if half in (None, half_of(row["prompt"]))
    ]


def half_of(prompt: str) -> str:
    """Return the half, a or b, that a prompt belongs to, by its text alone."""
    return "ab"[hashlib.sha256(prompt.strip().encode()).digest()[0] % 2]


def measure(detector: Detector, rows: Iterable[Labelled]) -> Score:
    """Count the hits, false alarms and misses of a detector on labelled answers."""
    seen = [(detector(row.instruction, row.answer), row.refusal) for row in rows]
    return Score(seen.count((True, True)), seen.count((True, False)), seen.count((False, True)))


def table(rows: list[Labelled]) -> str:
    """Return a table of the scores of all detectors per language, as text."""
    lines = [f"{'language':<10}{'answers':>8}{'refusals':>10}  {'detector':<20}{'precision':>10}{'recall':>8}{'F1':>7}"]
    for language in sorted({row.language for row in rows}):
        chosen = [row for row in rows if row.language == language]
        refusals = sum(row.refusal for row in chosen)
        for name, detector in DETECTORS.items():
            score = measure(detector, chosen)
            lines.append(
                f"{language:<10}{len(chosen):>8}{refusals:>10}  {name:<20}"
                f"{score.precision:>10.3f}{score.recall:>8.3f}{score.f1:>7.3f}"
            )
    return "\n".join(lines)


def rate(rows: list[Labelled]) -> float:
    """Measure how many answers per second the rules judge on one core."""
    start = time.perf_counter()
    measure(rules, rows)
    return len(rows) / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--half", choices=("a", "b"), help="measure on one half only")
    args = parser.parse_args()
    rows = read(args.file, args.half)
    print(table(rows))
    print(f"{rate(rows):,.0f} answers/s")


if __name__ == "__main__":
    main()
