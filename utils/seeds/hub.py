"""Data sets of the Hugging Face Hub: which files they are made of, and how these come here.

`datasets` says which files make up a split and a subset; they are fetched into the cache of huggingface_hub and read
as any other file. Before `datasets` is asked, one request asks the Hub itself: `datasets` would retry a dead network
for 23 seconds. An old copy from the cache is used only if HF_HUB_OFFLINE=1 asks for it, or where the Hub answers but
its files cannot be fetched; both are logged as warnings.
"""

import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from utils.errors import DataError
from utils.files.storage import brief
from utils.seeds.files import SUFFIXES, File, Splits, files_in, in_splits, without_results
from utils.seeds.source import ALL_BUT_TRAIN, SeedSource, names

if TYPE_CHECKING:
    from datasets import DatasetBuilder
    from huggingface_hub.hf_api import DatasetInfo

log = logging.getLogger(__name__)

HUB_TIMEOUT = 20.0  # seconds
TOKENS = ("MY_HF_TOKEN", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
OLDER_COPY = "the Hub's present version of %s cannot be fetched: using an older copy"
ADDRESS = re.compile(r"hf://datasets/(?P<repo>[^/@]+/[^/@]+|[^/@]+)(@[^/]+)?/(?P<path>.+)")
DESCRIBED = re.compile(r"\A---\s.*?^configs:", re.DOTALL | re.MULTILINE)  # a README that says which files are what


def hub_splits(source: SeedSource) -> Splits:
    """Return the files of a Hub data set by split, once the Hub has said that it is there; nothing is downloaded yet.

    Where the user is offline by choice, or their list cannot be fetched, they are those of the copy in the cache.
    """
    log.info("reading the Hub data set %s", source.data_path)
    with _errors_explained(source):
        token = _token()
        _silence()
        info = _info(source, token)
        if info is None:
            return _folder_splits(source, _cached(source))
        from datasets.data_files import EmptyDatasetError
        from datasets.exceptions import DatasetNotFoundError

        try:
            splits = _by_split(source, _builders(source, source.data_path, token), info.sha)
            return _without_results(source, splits, [file.rfilename for file in info.siblings or ()])
        except (DatasetNotFoundError, EmptyDatasetError):
            raise
        except OSError:
            splits = _folder_splits(source, _cached(source))
            log.warning(OLDER_COPY, source.data_path)
            return splits


def folder_splits(source: SeedSource) -> Splits:
    """Return the files of a folder by split: as a Hub data set's README.md in it says, else as their names tell."""
    folder = str(Path(source.data_path).expanduser())
    log.info("reading the folder %s", source.data_path)
    with _errors_explained(source):
        return _folder_splits(source, folder)


def _folder_splits(source: SeedSource, folder: str) -> Splits:
    inside = files_in(folder)
    try:
        described = DESCRIBED.search(Path(folder, "README.md").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        described = None
    if described:
        _silence()
        splits = _by_split(source, _builders(source, os.path.abspath(folder), None), None)
        wanted = {os.path.abspath(os.path.join(folder, name)) for name in inside}
        return {split: [file for file in files if file.path in wanted] for split, files in splits.items()}
    if source.subset:
        raise DataError(f"{source.data_path} has no subsets, as its README.md names none: leave out --subset")
    return in_splits((name, File(path := os.path.join(folder, name), path)) for name in inside) if inside else {}


def _without_results(source: SeedSource, splits: Splits, inside: list[str]) -> Splits:
    """Return `splits` without what runs wrote and somebody uploaded; `inside` names all files of the data set."""
    names = [file.shown for files in splits.values() for file in files]
    folders = {f"{source.data_path}/{folder}" for name in inside for folder in PurePosixPath(name).parents}
    kept = set(without_results(names, folders.__contains__))
    return {split: [file for file in files if file.shown in kept] for split, files in splits.items()}


def _by_split(source: SeedSource, builders: "Sequence[DatasetBuilder]", revision: str | None) -> Splits:
    found = defaultdict[str, dict[File, None]](dict)  # a file may be in several subsets
    for builder in builders:
        for split, paths in (builder.config.data_files or {}).items():
            found[str(split)].update(dict.fromkeys(_file(source, str(path), revision) for path in paths))
    return {split: list(files) for split, files in found.items()}


def _file(source: SeedSource, path: str, revision: str | None) -> File:
    match = ADDRESS.fullmatch(path)
    return File(path, f"{source.data_path}/{match['path']}" if match and revision else path, revision)


def fetched(source: SeedSource, file: File) -> File:
    """Download a file of a Hub data set and return the copy in the cache; return any other file as it is."""
    match = ADDRESS.fullmatch(file.path)
    if match is None or file.revision is None:
        return file
    if not file.is_known:
        raise DataError(f"{file.shown} is in none of the formats {', '.join(SUFFIXES)}: choose another data set")
    from huggingface_hub import hf_hub_download

    with _errors_explained(source):
        path = hf_hub_download(match["repo"], match["path"], repo_type="dataset", token=_token())
    if file.revision not in Path(path).parts:
        log.warning(OLDER_COPY, source.data_path)
    return File(path, file.shown)


def _cached(source: SeedSource) -> str:
    """Return the path of the folder in the cache that holds what was downloaded of a data set."""
    from huggingface_hub import snapshot_download

    return snapshot_download(source.data_path, repo_type="dataset", local_files_only=True)


@contextmanager
def _errors_explained(source: SeedSource) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except Exception as exc:  # datasets lets through whatever its readers, pyarrow and the network raise
        raise _dataset_error(source, exc) from exc


def _token() -> str | None:
    """Return MY_HF_TOKEN, or None: huggingface_hub then looks for the usual ones itself."""
    for name in TOKENS:
        if not re.fullmatch(r"[!-~]*", os.environ.get(name, "").strip()):
            raise DataError(f"{name} holds characters that no token has: copy it again, or unset it")
    return os.environ.get("MY_HF_TOKEN", "").strip() or None


def _silence() -> None:
    """Switch off progress bars and log lines of these libraries, which drown ours; what matters comes as an error."""
    import datasets
    import huggingface_hub.utils

    datasets.disable_progress_bars()
    huggingface_hub.utils.disable_progress_bars()
    for name, level in (
        ("datasets", logging.CRITICAL),
        ("huggingface_hub", logging.CRITICAL),
        ("httpx2", logging.WARNING),
    ):
        logging.getLogger(name).setLevel(level)


def _info(source: SeedSource, token: str | None) -> "DatasetInfo | None":
    """Ask the Hub for what it has now, once and without retries; return None if the user chose to stay offline."""
    import datasets
    import httpx2
    from huggingface_hub import HfApi, errors

    name = source.data_path
    if datasets.config.HF_HUB_OFFLINE:
        log.warning("HF_HUB_OFFLINE is set: %s is the copy in the cache, which may be old", name)
        return None
    try:
        return HfApi().dataset_info(name, token=token, timeout=HUB_TIMEOUT)
    except errors.GatedRepoError as exc:
        raise _gated(name) from exc
    except errors.HfHubHTTPError as exc:
        raise DataError(
            _refusal(name, exc.response.status_code, isinstance(exc, errors.RepositoryNotFoundError))
        ) from exc
    except errors.HFValidationError as exc:
        raise DataError(f"{name!r} is no file here, and no name of a Hub data set (ORG/NAME): correct it") from exc
    except (httpx2.TransportError, httpx2.InvalidURL, OSError) as exc:
        raise _unreachable(name, exc) from exc
    except (ValueError, TypeError, KeyError) as exc:
        raise DataError(f"what HF_ENDPOINT names does not answer as a Hub does, asked for {name}: correct it") from exc


def _refusal(name: str, status: int, unknown: bool) -> str:
    if unknown or status == 404:
        return (
            f"there is no data set {name} on the Hub (and no such file here), or it is private: check the name "
            "(ORG/NAME), or set MY_HF_TOKEN to a token that may read it"
        )
    if status in (401, 403):
        return f"the Hub refuses the token ({status}), asked for {name}: correct MY_HF_TOKEN or HF_TOKEN, or unset it"
    if status == 429:
        return f"the Hub takes no more requests for now (429), asked for {name}: wait, or set MY_HF_TOKEN"
    return f"the Hub failed ({status}), asked for {name}: try again later, or give --data-path a local file"


def _gated(name: str) -> DataError:
    return DataError(f"{name} is gated: accept its terms on its page, then set MY_HF_TOKEN to a token of that account")


def _unreachable(name: str, exc: Exception) -> DataError:
    return DataError(
        f"cannot reach the Hub for {name} ({type(exc).__name__}): check the network, set HF_ENDPOINT to a mirror, set "
        "HF_HUB_OFFLINE=1 to use a copy in the cache, or give --data-path a local file"
    )


def _builders(source: SeedSource, name: str, token: str | None) -> "list[DatasetBuilder]":
    """Return the builder of the subset that is meant; where all are, and there are several, of each of them."""
    import datasets

    try:
        return [datasets.load_dataset_builder(name, source.subset, token=token)]
    except ValueError as exc:
        subsets = datasets.get_dataset_config_names(name, token=token)
        if source.subset in subsets or subsets == ["default"]:
            raise
        if source.split == ALL_BUT_TRAIN:
            return [datasets.load_dataset_builder(name, subset, token=token) for subset in subsets]
        problem = f"has no subset {source.subset!r}; it has" if source.subset else "has several subsets:"
        raise DataError(f"{source.data_path} {problem} {names(subsets)}: name one of them with --subset") from exc


def _dataset_error(source: SeedSource, exc: Exception) -> DataError:
    """Return the DataError for an error raised after the data set, or folder, was found to exist."""
    import datasets
    import httpx2
    from datasets.data_files import EmptyDatasetError
    from datasets.exceptions import DataFilesNotFoundError, DatasetNotFoundError

    name, is_folder = source.data_path, Path(source.data_path).expanduser().is_dir()
    if isinstance(exc, DatasetNotFoundError):
        return _gated(name)
    if isinstance(exc, (EmptyDatasetError, DataFilesNotFoundError)):
        return DataError(f"{name} holds no rows, or no files that can be read: choose another one")
    if isinstance(exc, (OSError, httpx2.HTTPError)) and not is_folder:
        if datasets.config.HF_HUB_OFFLINE:
            return DataError(f"HF_HUB_OFFLINE is set, and the cache holds no copy of {name}: unset it")
        return DataError(f"the files of {name} cannot be fetched ({type(exc).__name__}): try again later")
    cause = brief(exc, map(os.environ.get, TOKENS))
    return DataError(f"{name} cannot be read ({cause}): correct it, or give --data-path a local file")
