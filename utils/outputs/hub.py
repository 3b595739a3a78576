"""Uploading a result to the Hugging Face Hub (`--push-to-hub ORG/NAME`), once it is safe on disk.

One commit holds the result, its card and the method that made it, so that the Hub has all of them or none.
Whatever goes wrong there, no file here changes, and the same command uploads again: its answers are in the journal.
"""

import logging
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from utils.errors import AutoEvolError, ConfigError, DataError, EndpointError
from utils.outputs.card import DATA_FILE, TAGS, with_licence

if TYPE_CHECKING:
    from huggingface_hub import DatasetInfo, HfApi

log = logging.getLogger(__name__)

TIMEOUT = 300.0  # seconds without a sign of life from the Hub; huggingface_hub itself would wait for ever
TOKEN_VARIABLE = "MY_HF_TOKEN"
METHOD_FILE = "best_method.txt"
OF_A_PUSH = {"README.md", METHOD_FILE, *(DATA_FILE + suffix for suffix in (".json", ".jsonl", ".parquet"))}
OF_THE_HUB = {".gitattributes"}  # the Hub itself puts it into every data set
LICENCE_FIELDS = ("license", "license_name", "license_link", "license_details")


def check_push(repo: str) -> str:
    """Return the token to upload to `repo` with. Needs no network, so that a run can call it before anything costs.

    Raises ConfigError where `repo` is not ORG/NAME or HF_HUB_OFFLINE is set, EndpointError where there is no token, or
    one with characters that no token has.
    """
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as exc:
        raise _misnamed(repo) from exc
    if "/" not in repo:
        raise _misnamed(repo)
    if constants.HF_HUB_OFFLINE:
        raise ConfigError("--push-to-hub needs the network, but HF_HUB_OFFLINE is set: unset it, or leave the flag out")
    token = os.environ.get(TOKEN_VARIABLE, "").strip() or get_token()
    if not token or not re.fullmatch("[!-~]+", token):
        problem = "holds characters that no token has" if token else "is not set"
        raise EndpointError(f"--push-to-hub: {TOKEN_VARIABLE} {problem}; give it a token that may write to {repo}")
    return token


def push(result: Path, repo: str, token: str, card: str) -> None:
    """Upload `result`, its card and its run's `best_method.txt`, if there is one, to the data set `repo` (ORG/NAME).

    A data set that is not there yet is made, and is private. A licence that somebody has chosen on the Hub stays.
    Raises DataError where `repo` holds something else, EndpointError where the Hub cannot be reached or refuses.
    """
    from huggingface_hub import HfApi, get_session
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)  # what matters is raised as an error
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    api = HfApi(token=token)
    try:
        get_session().timeout = TIMEOUT
        api.create_repo(repo, repo_type="dataset", private=True, exist_ok=True)
        info = api.dataset_info(repo)
        _check_ours(repo, info)
        with warnings.catch_warnings(action="ignore"):  # the Hub's advice on front matter
            _commit(api, result, card, info)
    except AutoEvolError:
        raise
    except Exception as exc:  # huggingface_hub lets through what its HTTP client, its parsers and its threads raise
        problem = _problem(repo, list(_causes(exc)))
        raise EndpointError(
            f"{result} is complete, but {problem}; the same command uploads it again, without any LLM call"
        ) from exc
    log.info("uploaded %s to %s/datasets/%s (%s)", result, api.endpoint, repo, "private" if info.private else "public")


def _misnamed(repo: str) -> ConfigError:
    return ConfigError(f"--push-to-hub: {repo[:100]!r} is no name of a data set; give ORG/NAME or USER/NAME")


def _check_ours(repo: str, info: "DatasetInfo") -> None:
    """Raise DataError where `repo` has files but not this program's tag: it is somebody else's data set."""
    files = {file.rfilename for file in info.siblings or ()} - OF_THE_HUB
    tags = (info.card_data.get("tags") if info.card_data else None) or ()
    if files and TAGS[-1] not in tags:
        raise DataError(
            f"{repo} on the Hub holds a data set that is not of this program (no tag {TAGS[-1]}): give --push-to-hub "
            "a new name; the same command then uploads, without any LLM call"
        )


def _commit(api: "HfApi", result: Path, card: str, info: "DatasetInfo") -> None:
    """Upload card, result and method in one commit, which deletes files of a former push that these do not replace."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    chosen = {name: info.card_data.get(name) for name in LICENCE_FIELDS} if info.card_data else {}
    if chosen.get("license"):
        card = with_licence(card, {name: value for name, value in chosen.items() if value})
    files: dict[str, bytes | Path] = {"README.md": card.encode(), DATA_FILE + result.suffix: result}
    method = result.with_suffix(".run") / METHOD_FILE
    if method.exists():
        files[METHOD_FILE] = method
    stale = OF_A_PUSH.intersection(file.rfilename for file in info.siblings or ()) - set(files)
    api.create_commit(
        info.id,
        [
            *(CommitOperationAdd(path_in_repo=name, path_or_fileobj=content) for name, content in files.items()),
            *(CommitOperationDelete(path_in_repo=name) for name in sorted(stale)),
        ],
        repo_type="dataset",
        commit_message="Result of Auto Evol-Instruct",
    )


def _problem(repo: str, causes: list[BaseException]) -> str:
    """Return why an upload failed and what to do. Never the error's own text: it is long, and may hold an address."""
    from huggingface_hub.errors import HfHubHTTPError

    refused = next((exc for exc in causes if isinstance(exc, HfHubHTTPError)), None)
    if refused is None:
        return f"it could not be uploaded to {repo} ({type(causes[-1]).__name__}): check the network and HF_ENDPOINT"
    status = refused.response.status_code
    if status == 401:
        return f"the Hub refuses the token (401), asked for {repo}: correct {TOKEN_VARIABLE}"
    if status in (403, 404):
        return f"the token may not write to {repo} ({status}): check the name, or give {TOKEN_VARIABLE} one that may"
    if status == 429:
        return f"the Hub takes no more requests for now (429), asked for {repo}: wait"
    if status < 500:
        return f"the Hub refuses the upload to {repo} ({status}): check its name, and the quota of its owner"
    return f"the Hub failed ({status}), asked for {repo}: try later"


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    while exc:
        yield exc
        exc = exc.__cause__
