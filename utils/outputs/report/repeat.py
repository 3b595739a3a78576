"""The command that repeats a run, from the flags that `config.json` holds."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from utils.config import EXTRA, LLM_FLAGS, REPEATABLE, RunConfig
from utils.llm_config import LLMConfig

# These flags change nothing in the result; and whoever tries the command must not upload it once more.
NOT_REPEATED = {"plan", "fresh", "quiet", "log_level", "push_to_hub"}
SHELL_WIDTH = 100


def changed_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags whose values differ from the defaults; of an llm-config only the keys that do."""
    defaults = RunConfig(offline=True).model_dump(mode="json") | {"offline": False}
    changed = {name: value for name, value in flags.items() if value != defaults.get(name)}
    llm_defaults = LLMConfig().model_dump(mode="json")
    for name in set(LLM_FLAGS) & changed.keys():
        # The weak LLM takes what is not said from the evol LLM, unless its address is said.
        said = {"model", "base_url"} if name == "weak_llm_config" else set[str]()
        changed[name] = {k: value for k, value in changed[name].items() if k in said or value != llm_defaults.get(k)}
    return changed


def repeat_command(flags: Mapping[str, Any]) -> str:
    """Return the command that repeats a run, for a POSIX shell; a long one is broken into lines by backslashes."""
    words = ["sh main.sh"]
    for name, value in changed_flags(flags).items():
        if name not in NOT_REPEATED:
            words += (shlex.join(argument) for argument in _arguments(name, value))
    return " ".join(words) if sum(map(len, words)) < SHELL_WIDTH else " \\\n    ".join(words)


def _arguments(name: str, value: Any) -> Iterator[list[str]]:
    """Yield a flag with its value as words of the command line; one that is repeatable once for each of its values."""
    flag = "--" + name.replace("_", "-")
    if name in LLM_FLAGS:
        # quoted twice: the program itself splits these words once more
        yield [flag, *(word for key, setting in value.items() for word in _llm_words(key, setting))]
    elif name in REPEATABLE:
        yield from (_with_value(flag, each) for each in value)
    elif isinstance(value, list):
        yield _with_value(flag, ",".join(map(str, value)))
    elif value is True:
        yield [flag]
    elif value is False:
        yield ["--no-" + flag.removeprefix("--")]
    elif value is not None:
        yield _with_value(flag, str(value))


def _llm_words(key: str, setting: Any) -> Iterator[str]:
    """Yield a setting of an llm-config as words of it; fields for the body are JSON, which is not split again."""
    if key == "extra":
        yield from (f"{EXTRA}{name}={json.dumps(value, ensure_ascii=False)}" for name, value in setting.items())
    else:
        yield f"{key}={shlex.quote(str(setting))}"


def _with_value(flag: str, value: str) -> list[str]:
    return [f"{flag}={value}"] if value.startswith("-") else [flag, value]
