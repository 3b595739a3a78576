"""Where files lie: folders of this machine, and object stores (`s3://`, `gs://`, `abfs://`, `hf://`).

A Store is one place with files of relative names in it. Whatever is written there appears as a whole or not at all, so
that a file which is there can be relied on, whoever was killed.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from utils.errors import DataError
from utils.files.writing import replacing
from utils.urls import is_url

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

HUB_SCHEME = "hf"


def file_system(url: str) -> "tuple[FileSystem, str]":
    """Return the file system that a URL names, and the path inside it. Raises DataError where it cannot be opened."""
    import pyarrow.fs as pafs

    try:
        if urlsplit(url).scheme != HUB_SCHEME:
            system, path = pafs.FileSystem.from_uri(url)
            return system, path
        from huggingface_hub import HfFileSystem

        hub = HfFileSystem(token=os.environ.get("MY_HF_TOKEN", "").strip() or None)
        return pafs.PyFileSystem(pafs.FSSpecHandler(hub)), url.removeprefix(f"{HUB_SCHEME}://")
    except (ValueError, OSError) as exc:
        raise DataError(
            f"cannot open {url} ({brief(exc)}): check the address, and the credentials in the environment"
        ) from exc


def brief(exc: BaseException, secrets: Iterable[str | None] = ()) -> str:
    """Return the kind and first words of a foreign error: one line of at most 160 characters, `secrets` masked."""
    text = " ".join(f"{type(exc).__name__}: {exc}".split())
    for secret in secrets:
        text = text.replace(secret, "***") if secret else text
    return text[:160]


class Store(Protocol):
    """Files by their names, which are relative paths. Raises DataError where the place fails."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None where there is none."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a file, replacing one of the same name; it appears as a whole or not at all."""
        ...

    def names(self, folder: str) -> list[str]:
        """Return the names, relative to the store, of all files below a folder, sorted; none if it is not there."""
        ...

    def delete(self, names: Iterable[str]) -> None:
        """Delete files; those that do not exist are passed over."""
        ...


class LocalFolder:
    """A folder of this machine, or one that many machines share."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> bytes | None:
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise self._failed("read", name, exc) from exc

    def write(self, name: str, content: bytes) -> None:
        self._make_folder_of(name)
        with replacing(self._root / name) as temporary:
            temporary.write_bytes(content)

    def names(self, folder: str) -> list[str]:
        root = self._root / folder
        found = (Path(place, name) for place, _, files in os.walk(root) for name in files)
        return sorted(path.relative_to(self._root).as_posix() for path in found if not path.name.endswith(".tmp"))

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            try:
                (self._root / name).unlink(missing_ok=True)
            except OSError as exc:
                raise self._failed("delete", name, exc) from exc

    def _make_folder_of(self, name: str) -> None:
        try:
            (self._root / name).parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise self._failed("write", name, exc) from exc

    def _failed(self, what: str, name: str, exc: OSError) -> DataError:
        cause = exc.strerror or brief(exc)
        return DataError(f"cannot {what} {self._root / name}: {cause}; check space and permissions, then run again")


class ObjectStore:
    """A folder of an object store, as pyarrow reaches it. Objects there appear when they are complete."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._system, path = file_system(self._url)
        self._root = path.rstrip("/")

    def __reduce__(self) -> tuple[Any, ...]:
        return ObjectStore, (self._url,)

    def read(self, name: str) -> bytes | None:
        try:
            with self._system.open_input_file(f"{self._root}/{name}") as file:
                content: bytes = file.read()
                return content
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise self._failed("read", name, exc) from exc

    def write(self, name: str, content: bytes) -> None:
        try:
            with self._system.open_output_stream(f"{self._root}/{name}", compression=None) as file:
                file.write(content)
        except OSError as exc:
            raise self._failed("write", name, exc) from exc

    def names(self, folder: str) -> list[str]:
        from pyarrow.fs import FileSelector, FileType

        try:
            chosen = FileSelector(f"{self._root}/{folder}", recursive=True, allow_not_found=True)
            found = [info.path for info in self._system.get_file_info(chosen) if info.type == FileType.File]
        except OSError as exc:
            raise self._failed("list", folder, exc) from exc
        return sorted(path.removeprefix(f"{self._root}/") for path in found)

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            try:
                self._system.delete_file(f"{self._root}/{name}")
            except FileNotFoundError:
                continue
            except OSError as exc:
                raise self._failed("delete", name, exc) from exc

    def _failed(self, what: str, name: str, exc: OSError) -> DataError:
        return DataError(
            f"cannot {what} {self._url}/{name} ({brief(exc)}): check the address, and the credentials, then run again"
        )


def store_of(root: str) -> Store:
    """Return the store of the files below `root`: an object store for a URL, else a local folder."""
    return ObjectStore(root) if is_url(root) else LocalFolder(Path(root))
