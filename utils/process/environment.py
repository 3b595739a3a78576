"""Keys and tokens from `.env` of the current folder, which may be somebody else's: it sets nothing but these."""

import io
import os
import re
from collections.abc import Collection
from pathlib import Path

from dotenv import dotenv_values

from utils.errors import ConfigError

LARGEST = 1_000_000  # bytes
SETTABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(_API_KEY|_TOKEN)", re.ASCII)
REMEDY = "write it anew as UTF-8, lines of NAME=value, or move it away"


def load_environment(also: Collection[str] = (), path: Path = Path(".env")) -> None:
    """Set environment variables from a file: keys, tokens and those named in `also`, unless they have a value already.

    Does nothing where there is no such file. Raises ConfigError for one that cannot be read.
    """
    for name, value in dotenv_values(stream=io.StringIO(_content(path)), interpolate=False).items():
        settable = SETTABLE.fullmatch(name) or name in also
        if settable and value and not os.environ.get(name, "").strip():
            os.environ[name] = value


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except (FileNotFoundError, IsADirectoryError):  # a folder of that name is a virtual environment
        return ""
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror}; change its permissions, or move it away") from exc
    if len(raw) > LARGEST:
        raise ConfigError(f"{path} is larger than a file of keys can be; {REMEDY}")
    if b"\0" in raw:
        raise ConfigError(f"{path} holds NUL bytes; {REMEDY}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path} is not UTF-8; {REMEDY}") from exc
