"""The command that repeats a run, from the flags that `config.json` holds."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from utils.config import LLM_FLAGS, RunConfig
from utils.llm_config import LLMConfig

# They change nothing of what comes out, or would put it up on the Hub once more, whoever tries the command.
NOT_REPEATED = {"plan", "fresh", "quiet", "log_level", "push_to_hub"}
SHELL_WIDTH = 100


def changed_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that are not what they are by default; of llm-configs the keys that are not."""
    defaults = RunConfig(offline=True).model_dump(mode="json") | {"offline": False}
    changed = {name: value for name, value in flags.items() if value != defaults.get(name)}
    llm_defaults = LLMConfig().model_dump(mode="json")
    for name in set(LLM_FLAGS) & changed.keys():
        changed[name] = {key: value for key, value in changed[name].items() if value != llm_defaults.get(key)}
    return changed


def repeat_command(flags: Mapping[str, Any]) -> str:
    """A line for a POSIX shell, broken with backslashes where it is long."""
    words = ["sh main.sh"]
    for name, value in changed_flags(flags).items():
        if name not in NOT_REPEATED:
            words += (shlex.join(argument) for argument in _arguments(name, value))
    return " ".join(words) if sum(map(len, words)) < SHELL_WIDTH else " \\\n    ".join(words)


def _arguments(name: str, value: Any) -> Iterator[list[str]]:
    """A flag with its value as words of the command line; once for each value of a flag that is repeated."""
    flag = "--" + name.replace("_", "-")
    if name in LLM_FLAGS:
        # quoted twice: the program itself splits these words once more
        yield [flag, *(f"{key}={shlex.quote(str(setting))}" for key, setting in value.items())]
    elif name == "explore":
        yield from (_with_value(flag, domain) for domain in value)
    elif isinstance(value, list):
        yield _with_value(flag, ",".join(map(str, value)))
    elif value is True:
        yield [flag]
    elif value is False:
        yield ["--no-" + flag.removeprefix("--")]
    elif value is not None:
        yield _with_value(flag, str(value))


def _with_value(flag: str, value: str) -> list[str]:
    return [f"{flag}={value}"] if value.startswith("-") else [flag, value]
