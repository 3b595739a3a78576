"""Every failure rule on examples of both languages, on everyday answers full of traps, and on hostile texts."""

import json
import re
from collections import Counter
from dataclasses import fields
from pathlib import Path

import pytest

from validator.rules import ANSWER_RULES, REWRITE_RULES, first_answer_rule, first_rewrite_rule
from validator.rules_languages import LANGUAGES, spoken_in
from validator.rules_pattern import Language, Pattern, any_of
from validator.rules_text import fences, opening, plain, scripts, tokens

HERE = Path(__file__).parent
TABLES = {"answer": ANSWER_RULES, "rewrite": REWRITE_RULES}
FIRST = {"answer": first_answer_rule, "rewrite": first_rewrite_rule}
ONE_IN = 500


def read_lines(name: str) -> list[dict]:
    return [json.loads(line) for line in (HERE / name).read_text(encoding="utf-8").split("\n") if line]


EXAMPLES = read_lines("rule_examples.jsonl")
EVERYDAY = read_lines("everyday_answers.jsonl")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e['table']}-{e['rule']}-{e['language']}-{e['fires']}")
def test_example(example: dict):
    fired = FIRST[example["table"]](example["given"], example["made"])
    assert fired == (example["rule"] if example["fires"] else None)


@pytest.mark.parametrize("table", TABLES)
def test_every_rule_has_examples_for_and_against_in_every_language(table: str):
    seen = Counter((e["rule"], e["language"], e["fires"]) for e in EXAMPLES if e["table"] == table)
    wanted = {(r.name, lang.name, fires) for r in TABLES[table] for lang in LANGUAGES for fires in (True, False)}
    assert set(seen) == wanted


def test_rules_have_distinct_names_and_one_line_reasons():
    for rules in TABLES.values():
        assert len({rule.name for rule in rules}) == len(rules)
        assert all(rule.why and "\n" not in rule.why for rule in rules)


def test_everyday_answers_raise_no_alarm():
    alarms = [row for row in EVERYDAY if first_answer_rule(row["instruction"], row["answer"])]
    assert len(alarms) * ONE_IN <= len(EVERYDAY), alarms


def test_everyday_answers_are_many_and_half_korean():
    korean = sum(scripts(row["instruction"])["hangul"] > 0 for row in EVERYDAY)
    assert len(EVERYDAY) >= 250
    assert 0.4 <= korean / len(EVERYDAY) <= 0.6


def test_the_same_words_fail_as_an_answer_and_pass_as_a_letter():
    text = "I'm sorry, but I can't accept your offer at this time."
    assert first_answer_rule("Give me three ideas for a garden.", text) == "refusal"
    assert first_answer_rule("Write a sentence that declines a job offer.", text) is None


def test_a_long_instruction_may_grow_by_a_few_words():
    parent = " ".join(f"Step {n} of the plan names a city, a cost and a date." for n in range(60))
    assert first_rewrite_rule(parent, parent) == "unchanged"
    assert first_rewrite_rule(parent, f"{parent} Keep the total below 900 euros.") is None


HOSTILE = {
    "letters": "a" * 100_000,
    "words": "please provide the text " * 4_000,
    "no sentence end": "i cannot " * 11_000,
    "quotes": '"' * 100_000,
    "half quotes": '"a ' * 33_000,
    "fences": "```\n" * 25_000,
    "backticks": "`" * 100_000,
    "dollars": "$ " * 50_000,
    "backslashes": "\\" * 100_000,
    "spaces": " " * 100_000,
    "lines": "\n" * 100_000,
    "list": "- **a**\n" * 12_000,
    "hashes": "#" * 100_000,
    "urls": "https://" * 12_000,
    "korean": "정보를 제공할 " * 12_000,
    "korean questions": "어떤 것을 " * 16_000,
    "korean condemnation": "것은 매우 " * 16_000,
    "mojibake": "ìë" * 50_000,
    "numbers": "1.2," * 25_000,
    "digits": "1" * 100_000,
    "dots": "." * 100_000,
}


class CountingPattern(Pattern):
    """A pattern that adds up how much text it is given to search."""

    def __init__(self, pattern: Pattern, read: Counter):
        super().__init__(pattern.alternatives, pattern.hints)
        self._read = read

    def possible(self, text: str) -> bool:
        self._read["characters"] += len(text)
        return super().possible(text)


def patterns(language: Language) -> dict[str, list[Pattern]]:
    """All patterns of a language by field."""
    values = {field.name: getattr(language, field.name) for field in fields(language)}
    lists = {name: list(value) if isinstance(value, tuple) else [value] for name, value in values.items()}
    return {name: found for name, value in lists.items() if (found := [p for p in value if isinstance(p, Pattern)])}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_of_100_kb_is_judged(name: str):
    """A pattern that is quadratic takes minutes here instead of a blink."""
    hostile = HOSTILE[name]
    assert first_answer_rule(hostile, "The moon pulls the sea.") is None
    assert first_rewrite_rule(hostile, hostile) in {"unchanged", "empty", "broken_characters"}
    assert first_answer_rule("Explain tides.", hostile) in {None, *(rule.name for rule in ANSWER_RULES)}


def test_answer_patterns_read_a_bounded_part_of_a_long_answer(monkeypatch: pytest.MonkeyPatch):
    def characters_read(size: int) -> int:
        read = Counter()
        counted = tuple(counting(language, read) for language in LANGUAGES)
        monkeypatch.setattr("validator.rules_languages.LANGUAGES", counted)
        monkeypatch.setattr("validator.rules_refusal.LANGUAGES", counted)
        first_answer_rule("How do tides work? " * size, "The moon pulls the sea. " * size)
        return read["characters"]

    assert 0 < characters_read(400) == characters_read(4_000)


def counting(language, read: Counter):
    """A copy of a language whose patterns count what they read."""

    def wrap(value):
        if isinstance(value, Pattern):
            return CountingPattern(value, read)
        return tuple(map(wrap, value)) if isinstance(value, tuple) else value

    return type(language)(**{field.name: wrap(getattr(language, field.name)) for field in fields(language)})


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_every_pattern_compiles_and_nests_no_quantifiers_without_bound(language: Language):
    unbounded_group = re.compile(r"[+*]\)[+*]")
    for name, found in patterns(language).items():
        assert not any(unbounded_group.search(pattern.compiled.pattern) for pattern in found), name


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
@pytest.mark.parametrize("field", ["leaks", "requests", "asks_for_language"])
def test_patterns_that_read_whole_texts_bound_every_quantifier(language: Language, field: str):
    assert not re.search(r"(?<!\\)[+*]", getattr(language, field).compiled.pattern)


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_hints_never_hide_a_match(language: Language):
    texts = [plain(text) for e in EXAMPLES for text in (e["given"], e["made"])]
    texts += [opening(text) for text in texts]
    for name, found in patterns(language).items():
        for pattern in (p for p in found if p.hints):
            matching = [text for text in texts if pattern.compiled.search(text)]
            assert matching, name
            assert all(map(pattern.possible, matching)), name


def test_a_pattern_without_its_hint_is_not_compiled():
    pattern = any_of(r"\bsorry\b", r"\bunable\b", hints="sorry,unable")
    assert pattern.search("here is the answer") is None
    assert "compiled" not in vars(pattern)
    assert pattern.search("i am unable").group() == "unable"


@pytest.mark.parametrize(
    ("text", "names"),
    [("tea", {"english"}), ("차", {"korean"}), ("tea는 차", {"english", "korean"}), ("42", {"english", "korean"})],
)
def test_languages_spoken_in_a_text(text: str, names: set[str]):
    assert {language.name for language in spoken_in(text)} == names


@pytest.mark.parametrize(("count", "rule"), [(19, None), (20, "broken_characters")])
@pytest.mark.parametrize("before", range(10))
def test_a_run_of_words_is_found_wherever_it_stands(before: int, count: int, rule: str | None):
    text = " ".join([*(f"w{n}" for n in range(before)), *["so"] * count, "it", "ends"])
    assert first_answer_rule("Explain tides.", text) == rule


@pytest.mark.parametrize(("count", "rule"), [(9, None), (10, "broken_characters")])
def test_a_run_of_sentences_is_found(count: int, rule: str | None):
    assert first_answer_rule("Explain tides.", "Once. " + "The sea rises. " * count + "Then it falls.") == rule


@pytest.mark.parametrize(("count", "rule"), [(79, None), (80, "broken_characters")])
def test_a_run_of_letters_is_found(count: int, rule: str | None):
    assert first_answer_rule("Explain tides.", f"The moon says {'a' * count}h and pulls.") == rule


def test_opening_skips_label_heading_and_quotation():
    assert opening('## Reply\n**Answer:** He said "no way". Then he left.').startswith('he said "". then')


@pytest.mark.parametrize(
    ("text", "still_open"),
    [("```\na\n```", 0), ("```py\na", 1), ("````md\n```py\nx\n```\n````", 0), ("say ``` inline", 0), ("~~~\n", 1)],
)
def test_fences_count_what_is_open(text: str, still_open: int):
    assert fences(text)[2] == still_open


def test_tokens_level_case_width_and_punctuation():
    assert tokens("Ｈello, WORLD! 3.5") == ["hello", "world", "3.5"]
