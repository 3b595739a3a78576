"""The command line in, RunConfig out: argparse knows the names, pydantic the values."""

import argparse
import json
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from utils.config import FROM_RECORDINGS, LLM_FLAGS, LLMConfig, RunConfig
from utils.errors import ConfigError
from utils.process.logs import complain, writes_json
from utils.process.streams import say
from utils.redaction import holds_key, names_secret, value_shown
from utils.run.recording import as_recorded

_VALUE = re.compile(r" '.*'")  # as argparse repeats one

KEYS_BELONG = (
    "keys belong into the environment or into .env, as DEEPSEEK_API_KEY or MY_HF_TOKEN; "
    "api_key_env=NAME in the llm-config names another variable"
)


class _Parser(argparse.ArgumentParser):
    """argparse whose last line on stderr is `error: …`, as the contract of this program wants it.

    No value is repeated there: who mistakes a flag may have given it a key.
    """

    def error(self, message: str) -> NoReturn:
        if not writes_json():
            self.print_usage(sys.stderr)
        complain(f"{re.sub(_VALUE, '', ' '.join(message.split()))}; see --help")
        self.exit(2)

    def parse_args(self, args: Sequence[str]) -> argparse.Namespace:  # type: ignore[override]
        options, unknown = self.parse_known_args(args)
        for word in unknown:
            flag = word.partition("=")[0]
            if re.fullmatch(r"--?[a-z][a-z_-]{1,30}", flag):
                self.error(f"unknown flag {flag}" + (f": {KEYS_BELONG}" if names_secret(flag) else ""))
        if unknown:
            self.error("a word belongs to no flag: quote a text with blanks, and a pattern with stars")
        return options

    def print_help(self, file: Any = None) -> None:
        say(self.format_help().rstrip("\n"))


def build_parser() -> argparse.ArgumentParser:
    """All flags with their help; values are checked by RunConfig."""
    parser = _Parser(
        prog="main.sh",
        description="Auto Evol-Instruct: learn how to make instructions harder, then evolve a whole data set.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    flag = parser.add_argument
    data = parser.add_argument_group("seeds")
    kinds = ".jsonl .json .csv .tsv .parquet .arrow"
    data.add_argument("--data-path", metavar="NAME|FILE", help=f"Hub data set; or file, folder, glob, URL of {kinds}")
    data.add_argument("--split", help="split of the data set (default: train, or the only one)")
    data.add_argument("--subset", help="configuration of the data set")
    data.add_argument("--instruction-field", metavar="COLUMN", help="default: instruction, or a chat column")
    data.add_argument("--response-field", metavar="COLUMN", help="default: response, if there is one")
    data.add_argument("--input-field", metavar="COLUMN", help="default: input, if there is one; joined in; none: not")
    data.add_argument("--turn", metavar="last|first|all", help="which user turn of a chat is the seed (last answered)")
    data.add_argument("--keep-columns", metavar="A,B|all", help="columns that go through to the result, as extra")
    data.add_argument("--encoding", metavar="NAME", help="of text files that are not UTF-8: cp949, utf-16, …")
    data.add_argument("--explore", metavar="DOMAIN", action="append", help="seeds from exploring a domain; repeatable")
    data.add_argument("--explore-depth", metavar="K", help="levels of sub-tasks (2)")
    data.add_argument("--explore-breadth", metavar="B,B", help="sub-tasks of a task, per level (8,6)")
    data.add_argument("--explore-samples", metavar="N", help="instructions per task (10)")
    flag("--train-size", metavar="N", help="instructions to learn from (20)")
    flag("--dev-size", metavar="N", help="instructions that methods are measured on (50)")
    flag("--seed", metavar="N", help="of the split and of all draws (42)")
    flag("--batch-size", metavar="N|auto", help="requests in flight, over both LLMs (10)")
    learning = parser.add_argument_group("learning")
    learning.add_argument(
        "--method", metavar="auto|evol-instruct|FILE", help="learn a method, draw six operations, or read one (auto)"
    )
    learning.add_argument(
        "--compare", metavar="A,B", help="run several methods over the same rows: one table, no result"
    )
    learning.add_argument("--methods", metavar="K", help="draw from the K best methods that differ in effect (1)")
    learning.add_argument("--max-steps", "--max-step", metavar="N", help="steps of learning; 0: initial method (3)")
    learning.add_argument("--loop", metavar="N", help="rounds of evolving per trajectory in learning (3)")
    learning.add_argument("--candidate-size", metavar="N", help="candidate methods per step (5)")
    learning.add_argument("--patience", metavar="N", help="stop after so many steps that bring nothing (3)")
    learning.add_argument("--judge", metavar="all|dev|off", help="where an LLM judges rewrites besides rules (all)")
    final = parser.add_argument_group("final run")
    final.add_argument("--test-run", metavar="0|1", help="1: run with the first ten seeds only (0)")
    final.add_argument("--generations", metavar="N", help="rounds of evolving; 0: seeds as they are (1)")
    final.add_argument(
        "--keep-generations", action=argparse.BooleanOptionalAction, help="every round a row (with evol-instruct: yes)"
    )
    final.add_argument("--breadth", metavar="SHARE", help="share of rows that go in breadth: a new task (0)")
    final.add_argument("--max-overlap", metavar="X", help="ROUGE-L with another row that makes a near-duplicate (0.7)")
    final.add_argument("--attempts", metavar="N", help="tries per row before it is eliminated (2)")
    final.add_argument("--save-path", metavar="FILE", help=".json .jsonl .parquet (evolution_result.json)")
    final.add_argument("--min-retention", metavar="SHARE", help="exit 4 when a smaller share of rows survives")
    final.add_argument("--engine", metavar="local|ray", help="where the final run runs (local)")
    final.add_argument("--ray-address", metavar="HOST:PORT", help="Ray cluster; else one of this machine is started")
    llm = parser.add_argument_group("LLMs")
    known = KNOWN_KEYS.replace(",", "")
    llm.add_argument("--evol-llm-config", nargs="+", metavar="KEY=VALUE", help=f"evolves and answers; {known}")
    llm.add_argument(
        "--optim-llm-config", nargs="+", metavar="KEY=VALUE", help="analyzes, optimizes, judges; same keys"
    )
    llm.add_argument("--offline", action="store_true", help="no network: example seeds and a rule-based stand-in LLM")
    llm.add_argument("--plan", action="store_true", help="print calls, tokens, cost and time per stage, and exit")
    llm.add_argument("--max-calls", metavar="N", help="stop cleanly (exit 5) after so many calls")
    llm.add_argument("--max-cost", metavar="AMOUNT", help="stop cleanly (exit 5) at this cost; needs prices")
    llm.add_argument("--replay", metavar="FILE", help="answer from an exported journal alone")
    llm.add_argument("--export-journal", metavar="FILE", help="write the journal as readable JSONL at the end")
    output = parser.add_argument_group("output")
    output.add_argument("--quiet", action="store_true", help="no progress display")
    output.add_argument("--log-level", metavar="LEVEL", help="debug info warning error (info)")
    output.add_argument("--log-format", metavar="text|json", help="json: a JSON object per line on stderr (text)")
    output.add_argument("--no-report", action="store_true", help="do not write report.html")
    output.add_argument("--lang", metavar="en|ko", help="language of the report (the terminal's, or else the data's)")
    output.add_argument("--tag", action="store_true", help="tag samples: complexity and diversity as in the paper")
    output.add_argument("--tag-size", metavar="N", help="rows that are tagged, of seeds and of evolved rows (100)")
    output.add_argument("--export", metavar="SHAPE", help="write alpaca, messages or sharegpt beside the result")
    output.add_argument(
        "--reasoning", metavar="field|think|drop", help="how --export writes thoughts (messages: field; else drop)"
    )
    output.add_argument("--push-to-hub", metavar="ORG/NAME", help="upload the result as a private data set")
    output.add_argument("--fresh", action="store_true", help="set an earlier run folder aside and begin anew")
    return parser


def _key_values(flag: str, words: Sequence[str]) -> dict[str, Any]:
    """`key=value` words, or one quoted string of them. Raises ConfigError for what is no such word."""
    values: dict[str, Any] = {}
    for number, word in enumerate((part for text in words for part in _words(text)), start=1):
        key, equals, value = word.partition("=")
        if not equals:  # not repeated: it may be a key
            raise ConfigError(f"{flag}: word {number} is not of the form key=value; known keys: {KNOWN_KEYS}")
        if key.startswith(EXTRA):
            _set_extra(flag, values.setdefault("extra", {}), key, value)
        else:
            values[key] = f"{values[key]},{value}" if key == "base_url" and key in values else value
    return values


EXTRA = "extra."
KNOWN_KEYS = ", ".join(f"{EXTRA}NAME" if name == "extra" else name for name in LLMConfig.model_fields)
HAVE_A_KEY = {"model", "temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "service_tier"}

NOT_TO_BE_SET = {
    "messages": "the program writes the messages itself",
    "stream": "replies are read whole",
    "n": "several answers are several calls, told apart in the journal",
}

_JSON_VALUE = re.compile(r"(?:(?<=\s)|^)extra\.[^\s=]+=(?=[{\[\"])")


def _words(text: str) -> Iterator[str]:
    """Words as a shell splits them, but for JSON behind `extra.NAME=`, whose quotes and blanks stay."""
    position = 0
    while found := _JSON_VALUE.search(text, position):
        try:
            _, end = json.JSONDecoder().raw_decode(text, found.end())
        except (ValueError, RecursionError):
            break
        yield from shlex.split(text[position : found.start()])
        yield text[found.start() : end]
        position = end
    yield from shlex.split(text[position:])


def _set_extra(flag: str, extra: dict[str, Any], key: str, text: str) -> None:
    """Set what `extra.a.b=text` names, JSON if it is JSON. Raises ConfigError where it cannot be meant."""
    *outer, last = names = key.removeprefix(EXTRA).split(".")
    if any(map(names_secret, names)):
        raise ConfigError(f"{flag}: a field of a request that holds a key: {KEYS_BELONG}")
    if "" in names:
        raise ConfigError(f"{flag}: {key} has an empty name; write {EXTRA}NAME=VALUE")
    if names[0] in HAVE_A_KEY:
        raise ConfigError(f"{flag}: {key}: {names[0]} has a key of its own; known keys: {KNOWN_KEYS}")
    if names[0] in NOT_TO_BE_SET:
        raise ConfigError(f"{flag}: {key} cannot be set: {NOT_TO_BE_SET[names[0]]}")
    value = _json_or_text(flag, key, text)
    for name in outer:
        extra = extra.setdefault(name, {})
        if not isinstance(extra, dict):
            raise ConfigError(f"{flag}: {key}: {name} is set to a value of its own already; give one or the other")
    known = extra.get(last)
    if isinstance(known, dict) and isinstance(value, dict):
        known.update(value)
    elif isinstance(known, dict):
        raise ConfigError(f"{flag}: {key}: fields within it are set already; give one or the other")
    else:
        extra[last] = value


def _json_or_text(flag: str, key: str, text: str) -> Any:
    def no_json(name: str) -> NoReturn:
        raise ValueError(name)

    try:
        return json.loads(text, parse_constant=no_json)
    except (ValueError, RecursionError):
        if text.startswith(("{", "[")):
            raise ConfigError(
                f"{flag}: {key}: its value begins as JSON and is none; put the whole word in single quotes: "
                f"'{key}={{\"name\": true}}'"
            ) from None
        return text


# What is wrong with values that may hold a secret, which must not be repeated.
IN_OTHER_WORDS = {
    "api_key_env": f"give the name of the environment variable that holds the key, not the key itself: {KEYS_BELONG}",
    "base_url": f"give http:// or https://, host and path, without user, password or key: {KEYS_BELONG}",
}


def _one_line(exc: ValidationError) -> str:
    """The first thing that pydantic complains of, in terms of flags."""
    error = exc.errors()[0]
    where = [str(part) for part in error["loc"]]
    message = error["msg"].removeprefix("Value error, ")
    if not where:
        return message
    flag = "--" + where[0].replace("_", "-")
    key = where[1] if len(where) > 1 and where[0].endswith("llm_config") else None
    if error["type"] == "extra_forbidden":
        name = repr(key) if re.fullmatch(r"[a-z][a-z_.]{0,30}", key or "") else "that is none"
        why = f": {KEYS_BELONG}" if names_secret(key or "") else ""
        return f"{flag}: unknown key {name}{why}; known keys: {KNOWN_KEYS}"
    if key in IN_OTHER_WORDS:
        return f"{flag} {key}: {IN_OTHER_WORDS[key]}"
    known = f"; known keys: {KNOWN_KEYS}" if key else ""
    given = value_shown(error["input"])
    return f"{flag}{f' {key}' if key else ''}: {given} does not fit: {message}{known}"


# What main.sh passes on before the words of whoever calls it.
BY_MAIN_SH = (
    *("--save-path", "evolution_result.json", "--test-run", "0", "--batch-size", "10", "--max-steps", "3"),
    *("--loop", "3", "--candidate-size", "5", "--train-size", "20", "--dev-size", "50", "--seed", "42"),
)


def typed(argv: Sequence[str]) -> Sequence[str]:
    """The words that somebody has typed: without those by main.sh, which are the defaults."""
    return argv[len(BY_MAIN_SH) :] if tuple(argv[: len(BY_MAIN_SH)]) == BY_MAIN_SH else argv


def wants_json(argv: Sequence[str]) -> bool:
    """Whether the flags, right or wrong, ask for JSON on stderr."""
    formats = [after for word, after in zip(argv, (*argv[1:], ""), strict=False) if word == "--log-format"]
    formats += [word.partition("=")[2] for word in argv if word.startswith("--log-format=")]
    return formats[-1:] == ["json"]


def parse_arguments(argv: Sequence[str]) -> RunConfig:
    """Flags to a checked RunConfig; in a replay, what the recording was made with takes the place of defaults.

    Raises ConfigError (or exits with 2, as argparse does) for wrong flags and values.
    """
    if any(word != word.encode("utf-8", "replace").decode() for word in argv):
        raise ConfigError("the flags hold bytes that are not UTF-8; rename the file that they name")
    if any(map(holds_key, argv)):
        raise ConfigError(f"the flags hold what looks like a key, where others can read it: {KEYS_BELONG}")
    options = vars(build_parser().parse_args(typed(argv)))
    try:
        for name in LLM_FLAGS:
            if name in options:
                options[name] = _key_values("--" + name.replace("_", "-"), options[name])
        if "replay" in options:
            options = as_recorded(options, Path(options["replay"]), RunConfig.model_fields, FROM_RECORDINGS)
        return RunConfig(**options)
    except ValidationError as exc:
        raise ConfigError(_one_line(exc)) from exc
    except ValueError as exc:  # shlex: an unclosed quote
        raise ConfigError(f"cannot read the llm-config: {exc}; quote it as one string of key=value words") from exc
