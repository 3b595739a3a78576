"""What an address is, and whether it holds a secret."""

import re
from urllib.parse import urlsplit

from utils.redaction import KEY, SECRET_NAME

_SECRET_FIELD = re.compile(rf"(?i)(?<=[?&;#]){SECRET_NAME}=|[?#&;=/]{KEY}")


def is_url(path: str) -> bool:
    """Tell whether `path` is a URL, not a path on this machine."""
    return "://" in path


def holds_password(path: str) -> bool:
    """Tell whether a URL holds a password, or is none that can be read but may hold one, and must not be shown."""
    try:
        return is_url(path) and urlsplit(path).password is not None
    except ValueError:
        return "@" in path


def holds_secret_field(url: str) -> bool:
    """Tell whether a URL carries a key behind its host: as a field (`?key=...`) or in its path."""
    return bool(_SECRET_FIELD.search(url))
