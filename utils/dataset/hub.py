"""Data sets of the Hugging Face Hub, and folders of data files, both through `datasets`.

Before `datasets` is asked for a Hub name, one request asks the Hub itself: `datasets` would retry a dead network for
23 seconds, and serve an old copy from its cache for any reason, a wrong token too. Here an old copy is
served only if HF_HUB_OFFLINE=1 asks for it, or where the Hub answers but its files cannot be fetched;
both are logged as warnings.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.dataset.files import BATCH, File, not_utf8, transposed
from utils.dataset.source import SeedSource, names, needed
from utils.errors import DataError
from utils.storage import brief

if TYPE_CHECKING:
    from datasets import Dataset, DatasetBuilder

log = logging.getLogger(__name__)

HUB_TIMEOUT = 20.0  # seconds
TOKENS = ("MY_HF_TOKEN", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
PLAIN = (".jsonl", ".parquet")  # formats that we read as `datasets` does


def dataset_rows(source: SeedSource) -> Iterator[dict[str, Any]]:
    """Rows of a Hub data set, or of a folder of data files, in batches of a memory-mapped table."""
    with _errors_explained(source):
        builder = _prepared(source)
        builder.download_and_prepare()
        dataset = _split(source, builder)
        for batch in dataset.select_columns(needed(source, dataset.column_names)).iter(BATCH):
            yield from transposed(batch)


def data_files(source: SeedSource) -> list[File]:
    """The files that a split of a Hub data set or of a folder is made of, in their order, as paths or URLs.

    Empty where it is not made of whole files that can be read one by one (a slice, other formats than JSON Lines and
    Parquet): `dataset_rows` reads those.
    """
    with _errors_explained(source):
        builder = _prepared(source)
        by_split = builder.config.data_files or {}
        split = source.split or _default_split(list(map(str, by_split)))
        files = [File(str(path)) for path in by_split.get(split, ())]
        return files if all(file.is_known and file.suffix in PLAIN for file in files) else []


def _prepared(source: SeedSource) -> "DatasetBuilder":
    """What knows the data set, once the Hub has said that it is there."""
    is_folder = Path(source.data_path).expanduser().is_dir()
    log.info("reading %s %s", "the folder" if is_folder else "the Hub data set", source.data_path)
    token = _token()
    _silence()
    if is_folder:
        return _builder(source, str(Path(source.data_path).expanduser().resolve()), token)
    revision = _revision(source, token)
    builder = _builder(source, source.data_path, token)
    if revision and Path(builder.cache_dir).name != revision:
        log.warning("the Hub's present version of %s cannot be fetched: using an older copy", source.data_path)
    return builder


def _default_split(splits: list[str]) -> str:
    return "train" if "train" in splits or len(splits) != 1 else splits[0]


@contextmanager
def _errors_explained(source: SeedSource) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except Exception as exc:  # datasets lets through whatever its readers, pyarrow and the network raise
        raise _dataset_error(source, exc) from exc


def _token() -> str | None:
    """MY_HF_TOKEN, or None: huggingface_hub then looks for the usual ones itself."""
    for name in TOKENS:
        if not re.fullmatch(r"[!-~]*", os.environ.get(name, "").strip()):
            raise DataError(f"{name} holds characters that no token has: copy it again, or unset it")
    return os.environ.get("MY_HF_TOKEN", "").strip() or None


def _silence() -> None:
    """Progress bars and log lines of these libraries would drown ours; what matters comes as an error."""
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


def _revision(source: SeedSource, token: str | None) -> str | None:
    """The commit that the Hub has now, None if the user chose to stay offline. One request, no retries."""
    import datasets
    import httpx2
    from huggingface_hub import HfApi, errors

    name = source.data_path
    if datasets.config.HF_HUB_OFFLINE:
        log.warning("HF_HUB_OFFLINE is set: %s is the copy in the cache, which may be old", name)
        return None
    try:
        return HfApi().dataset_info(name, token=token, timeout=HUB_TIMEOUT).sha
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


def _split(source: SeedSource, builder: "DatasetBuilder") -> "Dataset":
    splits = list(builder.info.splits or ())
    split = source.split or _default_split(splits)
    try:
        return builder.as_dataset(split)
    except (ValueError, AssertionError) as exc:
        raise DataError(
            f"{source.data_path} has no split {split!r}; it has {names(splits)}: name one of them with --split"
        ) from exc


def _builder(source: SeedSource, name: str, token: str | None) -> "DatasetBuilder":
    import datasets

    try:
        return datasets.load_dataset_builder(name, source.subset, token=token)
    except ValueError as exc:
        subsets = datasets.get_dataset_config_names(name, token=token)
        if source.subset in subsets or subsets == ["default"]:
            raise
        problem = f"has no subset {source.subset!r}; it has" if source.subset else "has several subsets:"
        raise DataError(f"{source.data_path} {problem} {names(subsets)}: name one of them with --subset") from exc


def _dataset_error(source: SeedSource, exc: Exception) -> DataError:
    """What an error of `datasets` means once the Hub has said that the data set is there."""
    import datasets
    import httpx2
    from datasets.data_files import EmptyDatasetError
    from datasets.exceptions import DataFilesNotFoundError, DatasetNotFoundError

    name, is_folder = source.data_path, Path(source.data_path).expanduser().is_dir()
    causes = list(_causes(exc))
    if any(isinstance(cause, UnicodeError) for cause in causes):
        return not_utf8(f"a file of {name}")
    if isinstance(exc, DatasetNotFoundError):
        return _gated(name)
    if isinstance(exc, (EmptyDatasetError, DataFilesNotFoundError, StopIteration)):
        return DataError(f"{name} holds no rows, or no files that can be read: choose another one")
    if isinstance(exc, (ConnectionError, httpx2.HTTPError, FileNotFoundError)) and not is_folder:
        if datasets.config.HF_HUB_OFFLINE:
            return DataError(f"HF_HUB_OFFLINE is set, and the cache holds no copy of {name}: unset it")
        return DataError(f"the files of {name} cannot be fetched ({type(exc).__name__}): try again later")
    secrets = map(os.environ.get, TOKENS)
    return DataError(
        f"{name} cannot be read ({brief(causes[-1], secrets)}): correct it, or give --data-path a local file"
    )


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    while exc:
        yield exc
        exc = exc.__cause__
