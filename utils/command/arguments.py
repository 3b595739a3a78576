"""The command line in, RunConfig out: argparse knows the names, pydantic the values."""

import argparse
import json
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from utils.command.recording import as_recorded
from utils.config import EXTRA, FROM_RECORDINGS, KNOWN_KEYS, LLM_FLAGS, Flag, RunConfig
from utils.errors import ConfigError
from utils.llm_config import LLMConfig, marked
from utils.process.logs import complain, writes_json
from utils.process.streams import say
from utils.redaction import holds_key, names_secret, value_shown

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
    """Make a parser of all flags, as they stand in RunConfig, which checks the values."""
    parser = _Parser(
        prog="main.sh",
        description="Auto Evol-Instruct: learn how to make instructions harder, then evolve a whole data set.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    for title, flags in flags_by_group():
        group = parser.add_argument_group(title)
        for name, flag in flags:
            words = [flag_of(name), *ALSO_CALLED.get(name, ())]
            default = default_shown(RunConfig.model_fields[name].default)
            text = (flag.help + (f" ({default})" if default else "")).replace("%", "%%")
            group.add_argument(*words, help=text, **_read_as(name, flag))
    return parser


ALSO_CALLED = {"max_steps": ("--max-step",)}


def flags_by_group() -> Iterator[tuple[str, Iterator[tuple[str, Flag]]]]:
    """Yield each group of flags: its title, and the names of the fields of RunConfig with their flags."""
    return groupby(marked(RunConfig, Flag).items(), key=lambda item: item[1].group)


def flag_of(name: str) -> str:
    """Return what a field of RunConfig is called on the command line."""
    return "--" + name.replace("_", "-")


def default_shown(value: Any) -> str:
    """Return a default as the help shows it; empty for None, (), an llm-config, and a flag that is on or off."""
    if value is None or isinstance(value, bool | LLMConfig) or value == ():
        return ""
    return ",".join(map(str, value)) if isinstance(value, tuple) else f"{value}"


def _read_as(name: str, flag: Flag) -> dict[str, Any]:
    """Return how argparse is to read a flag, as keywords: one word, several of them, several times, or none."""
    if RunConfig.model_fields[name].annotation is bool:
        return {"action": "store_true"}
    if not flag.metavar:
        return {"action": argparse.BooleanOptionalAction}
    several = {"nargs": "+"} if name in LLM_FLAGS else {"action": "append"} if flag.repeatable else {}
    return {"metavar": flag.metavar, **several}


def _key_values(flag: str, words: Sequence[str]) -> dict[str, Any]:
    """Read `key=value` words, or one quoted string of them. Raise ConfigError for what is no such word."""
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


def _beside(weak: dict[str, Any], evol: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of the weak LLM: what is not given is as for the evol LLM, if it is on the same server.

    Prices are another model's own. A key for one server never goes to another.
    """
    if "base_url" in weak:
        return weak
    own_prices = {"price_in", "price_out", "price_cached"} if "model" in weak else set[str]()
    shared = {key: value for key, value in evol.items() if key not in own_prices}
    return shared | weak | ({"extra": extra} if (extra := shared.get("extra", {}) | weak.get("extra", {})) else {})


HAVE_A_KEY = {"model", "temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "service_tier"}

NOT_TO_BE_SET = {
    "messages": "the program writes the messages itself",
    "stream": "replies are read whole",
    "n": "several answers are several calls, told apart in the journal",
}

_JSON_VALUE = re.compile(r"(?:(?<=\s)|^)extra\.[^\s=]+=(?=[{\[\"])")


def _words(text: str) -> Iterator[str]:
    """Yield words as a shell splits them, but for JSON behind `extra.NAME=`, whose quotes and blanks stay."""
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
    """Set what `extra.a.b=text` names, JSON if it is JSON. Raise ConfigError where it may not, or cannot, be set."""
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
    """Say the first thing that pydantic complains of, in terms of flags."""
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
    """Return the words that somebody has typed: without the defaults that main.sh puts before them."""
    return argv[len(BY_MAIN_SH) :] if tuple(argv[: len(BY_MAIN_SH)]) == BY_MAIN_SH else argv


def wants_json(argv: Sequence[str]) -> bool:
    """Tell whether the flags, right or wrong, ask for JSON on stderr."""
    formats = [after for word, after in zip(argv, (*argv[1:], ""), strict=False) if word == "--log-format"]
    formats += [word.partition("=")[2] for word in argv if word.startswith("--log-format=")]
    return formats[-1:] == ["json"]


def parse_arguments(argv: Sequence[str]) -> RunConfig:
    """Read flags into a checked RunConfig; in a replay, the settings of the recording take the place of defaults.

    Raise ConfigError (or exit with 2, as argparse does) for wrong flags and values.
    """
    if any(word != word.encode("utf-8", "replace").decode() for word in argv):
        raise ConfigError("the flags hold bytes that are not UTF-8; rename the file that they name")
    if any(map(holds_key, argv)):
        raise ConfigError(f"the flags hold what looks like a key, where others can read it: {KEYS_BELONG}")
    options = vars(build_parser().parse_args(typed(argv)))
    try:
        for name in LLM_FLAGS:
            if name in options:
                options[name] = _key_values(flag_of(name), options[name])
        if weak := options.get("weak_llm_config"):
            options["weak_llm_config"] = _beside(weak, options.get("evol_llm_config", {}))
        if "replay" in options:
            options = as_recorded(options, Path(options["replay"]), RunConfig.model_fields, FROM_RECORDINGS)
        return RunConfig(**options)
    except ValidationError as exc:
        raise ConfigError(_one_line(exc)) from exc
    except ValueError as exc:  # shlex: an unclosed quote
        raise ConfigError(f"cannot read the llm-config: {exc}; quote it as one string of key=value words") from exc
