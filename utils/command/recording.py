"""The settings and prompts of a recording (`--replay FILE`), which may come from a stranger.

Taken are settings that determine a run, and of these no address; a file only where it travels with the recording. What
is given on the command line wins. Its prompts only say which answers are looked up: a replay sends nothing.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from utils.errors import ConfigError
from utils.files.lines import lines_of
from utils.prompts import use_prompts

ROWS = (".json", ".jsonl", ".csv", ".parquet", ".gz", ".bz2", ".zst", ".lz4")
HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
INSTEAD = {"data_path": "explore", "explore": "data_path", "method": "compare", "compare": "method"}


def as_recorded(
    options: Mapping[str, Any], recording: Path, known: Collection[str], taken: Mapping[str, Collection[str]]
) -> dict[str, Any]:
    """Return the given `options` and, where they say nothing, the settings that a recording was made with.

    `known` are the names of all settings, `taken` those that a recording may bring, each with the keys that it may
    bring of it (of an llm-config; else none). Raise ConfigError for what is no recording, and where it needs a file
    that is not beside it.
    """
    recorded = _settings(recording)
    if strange := recorded.keys() - known:
        raise ConfigError(f"--replay: {recording} has a setting that is none, {min(strange)!r}; {REMEDY}")
    replaced = {INSTEAD.get(name) for name in options}
    result = dict(options)
    for name, keys in taken.items():
        if name not in recorded or (not keys and (name in options or name in replaced)):
            continue
        value = recorded[name]
        if keys:
            value = value and {key: value[key] for key in keys if key in value} | options.get(name, {})
        elif name in FILES and value:
            value = FILES[name](value, recording)
        result[name] = value
    return result


REMEDY = "write one with --export-journal"


def use_prompts_of(recording: Path | None) -> None:
    """Use the prompts that a recording was made with, where it has them, else those of the files.

    Raise ConfigError for what is no recording, and for prompts that cannot be filled.
    """
    recorded: dict[str, str] = {}
    if recording:
        with _first_line(recording) as line:
            recorded = {name: str(text) for name, text in line.get("prompts", {}).items()}
    use_prompts(recorded)


def _settings(recording: Path) -> dict[str, Any]:
    """Read the settings of a recording; empty where it has none. Raise ConfigError for what is no recording."""
    with _first_line(recording) as line:
        return {
            name: dict(value) if value and name.endswith("_llm_config") else value
            for name, value in line.get("settings", {}).items()
        }


@contextmanager
def _first_line(recording: Path) -> Iterator[Any]:
    """Read the first line of a recording; it, or what is done with it, may show that it is none: then ConfigError."""
    try:
        with recording.open(encoding="utf-8") as file:
            yield json.loads(next(lines_of(file, str(recording)), ""))
    except OSError as exc:
        raise ConfigError(f"--replay: cannot read {recording}: {exc.strerror}; give an exported journal") from exc
    except (ValueError, TypeError, AttributeError, RecursionError) as exc:
        raise ConfigError(f"--replay: {recording} is no exported journal; {REMEDY}") from exc


# --- What names a file -----------------------------------------------------------------------------


def _data_path(value: Any, recording: Path) -> Any:
    return _named_data(value, recording, "data set", "--data-path")


def _named_data(value: Any, recording: Path, what: str, flag: str) -> Any:
    if found := _beside(value, recording):
        return found
    is_name = isinstance(value, str) and HUB_NAME.fullmatch(value) and Path(value).suffix.lower() not in ROWS
    if is_name and not Path(value).exists():  # a folder here would be taken for the data set
        return value
    raise _missing(what, value, flag)


def _benchmarks(values: Any, recording: Path) -> Any:
    return [_benchmark(value, recording) for value in values] if isinstance(values, list) else values


def _benchmark(value: Any, recording: Path) -> Any:
    """Return a recorded benchmark: the file beside the recording, or a name of the Hub, with the column there is."""
    path, colon, column = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if colon and path and not _beside(value, recording):
        return f"{_named_data(path, recording, 'benchmark', '--decontaminate')}:{column}"
    return _named_data(value, recording, "benchmark", "--decontaminate")


def _method(value: Any, recording: Path) -> Any:
    if value in ("auto", "evol-instruct"):
        return value
    if found := _beside(value, recording):
        return found
    raise _missing("method file", value, "--method")


def _compared(values: Any, recording: Path) -> Any:
    return [_method(value, recording) for value in values] if isinstance(values, list) else values


def _beside(value: Any, recording: Path) -> str | None:
    """Return the file that a recorded path means, where it lies in the folder of the recording; else None."""
    if not isinstance(value, str) or "\0" in value:
        return None
    folder = recording.parent.resolve()
    for path in (folder / value, folder / Path(value).name):
        found = path.resolve()  # links are followed first
        if found.is_relative_to(folder) and found.is_file():
            return str(found)
    return None


def _missing(what: str, value: Any, flag: str) -> ConfigError:
    return ConfigError(
        f"--replay: the recording was made with the {what} {str(value)[:200]!r}, which is not beside it; "
        f"no other place is taken from a recording: give it with {flag}"
    )


FILES: dict[str, Callable[[Any, Path], Any]] = {
    "data_path": _data_path,
    "decontaminate": _benchmarks,
    "method": _method,
    "compare": _compared,
}
