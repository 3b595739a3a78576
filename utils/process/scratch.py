"""The scratch folder of a run. A killed one leaves its own behind, which the next start removes."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from utils.errors import DataError

PREFIX = "auto-evol-scratch-"  # not the prefix of older versions, which do not lock their folders


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a folder for temporary files, locked while in use, then deleted. Raises DataError if none can be made."""
    try:
        new = Path(tempfile.mkdtemp(prefix=f"new-{PREFIX}"))
        folder = new.with_name(new.name.removeprefix("new-"))
        lock = os.open(new, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        new.rename(folder)  # nobody sees it unlocked under this name
    except OSError as exc:
        raise DataError(f"cannot make a folder for scratch files: {exc.strerror}; make room, or set TMPDIR") from exc
    try:
        remove_stale(folder.parent)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def remove_stale(place: Path) -> None:
    """Remove this user's scratch folders in `place` that no process has locked."""
    for folder in place.glob(f"{PREFIX}*"):
        with suppress(OSError):  # gone meanwhile, or somebody else's
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(lock).st_uid == os.getuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
