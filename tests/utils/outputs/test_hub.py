"""Uploading a result: what reaches the Hub, what never does, and that a failure costs nothing but another try."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.hub_stub import DROP, HANG, UPLOADS, HubStub, Repo
from utils.errors import ConfigError, DataError, EndpointError
from utils.files.writing import write_rows
from utils.outputs.card import LICENCE_QUESTION
from utils.outputs.hub import check_push, push
from utils.rows.records import EVOLVED

ROOT = Path(__file__).parents[3]
TOKEN, WRONG = "hf_rightToken123", "hf_wrongToken456"
REPO = "org/evolved"
CARD = (
    "---\ntags:\n- auto-evol-instruct\nconfigs:\n- config_name: default\n  data_files:\n"
    f"  - split: train\n    path: train.SUFFIX\n---\n\n# Rows\n\n{LICENCE_QUESTION}End\n"
)
TEXTS = ["한국어 👋", "\\frac{1}{2}", "{x} $y"]
ROWS = [
    {
        **{"id": id, "instruction": text, "response": text + "!", "seed_instruction": "s", "seed_response": None},
        **{"generation": 1, "method_id": "m", "model": "a", "labels": ["ok"]},
        "stages": [{"instruction": text, "method_id": "m"}],
        **{"reasoning": None, "grade": None},
    }
    for id, text in enumerate(TEXTS)
]


@pytest.fixture
def hub(monkeypatch):
    with HubStub({}, tokens=(TOKEN,)) as stub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", stub.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)  # what HF_HUB_DISABLE_XET=1 sets
        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)  # between its own tries
        yield stub


def finished_run(folder: Path, suffix: str = ".jsonl", method: str | None = "Add one constraint.\n") -> Path:
    """The files of a run: a result, a method, and much that is not to leave the machine."""
    result = folder / f"my [result]{suffix}"
    write_rows(result, ROWS, EVOLVED)
    run = result.with_suffix(".run")
    run.mkdir(exist_ok=True)
    for name in ("journal.sqlite", "rejects.jsonl", "config.json", "run.log", "summary.json"):
        (run / name).write_text("private")
    (run / "best_method.txt").unlink(missing_ok=True)
    if method:
        (run / "best_method.txt").write_text(method)
    return result


def card_for(result: Path) -> str:
    return CARD.replace(".SUFFIX", result.suffix)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(result: Path, token: str = TOKEN, repo: str = REPO) -> str:
    with pytest.raises(EndpointError) as caught:
        push(result, repo, token, card_for(result))
    message = str(caught.value)
    assert message.splitlines() == [message]
    assert token not in message
    assert message.startswith(f"{result} is complete, but ")
    assert message.endswith("; the same command uploads it again, without any LLM call")
    return message


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet"])
def test_result_card_and_method_arrive_and_nothing_else(tmp_path, hub, suffix, caplog, capfd):
    result = finished_run(tmp_path, suffix)
    before = contents(tmp_path)
    with caplog.at_level("INFO", "utils.outputs.hub"):
        push(result, REPO, TOKEN, card_for(result))
    repo = hub.repos[REPO]
    assert repo.files == {
        ".gitattributes": b"",
        "README.md": card_for(result).encode(),
        "best_method.txt": b"Add one constraint.\n",
        f"train{suffix}": result.read_bytes(),
    }
    assert repo.private
    assert contents(tmp_path) == before
    assert hub.steps.count("commit") == 1
    assert caplog.messages == [f"uploaded {result} to {hub.url}/datasets/{REPO} (private)"]
    assert capfd.readouterr() == ("", "")


def test_what_was_uploaded_loads_back(tmp_path, hub):
    for suffix in (".json", ".parquet"):
        push(finished_run(tmp_path, suffix), f"org/as{suffix}", TOKEN, card_for(Path("x" + suffix)))
    code = (
        "import datasets, json; datasets.disable_progress_bars()\n"
        "loaded = [datasets.load_dataset(f'org/as{suffix}') for suffix in ('.json', '.parquet')]\n"
        "print(json.dumps([{name: split.to_list() for name, split in one.items()} for one in loaded]))"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    at_hub = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path / "cache")}
    ran = subprocess.run([sys.executable, "-c", code], env=clean | at_hub, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [{"train": ROWS}, {"train": ROWS}]


# --- Faults ------------------------------------------------------------------------------------

FAULTS = [
    *((step, 401, "the Hub refuses the token (401)") for step in ("create", "commit")),
    *((step, 403, "the token may not write to org/evolved (403)") for step in ("preupload", "batch", "commit")),
    *((step, 500, "the Hub failed (500)") for step in ("create", "preupload", "batch", "store", "commit")),
    *((step, DROP, "could not be uploaded to org/evolved (RemoteProtocolError)") for step in UPLOADS),
    ("commit", 413, "the Hub refuses the upload to org/evolved (413)"),
    ("commit", 429, "takes no more requests for now (429)"),
    ("check card", 500, "the Hub failed (500)"),
    ("check card", 400, "the Hub refuses the upload to org/evolved (400)"),
]


@pytest.mark.parametrize(("step", "fault", "said"), FAULTS)
def test_a_failed_upload_loses_nothing_and_the_second_try_succeeds(tmp_path, hub, step, fault, said):
    result = finished_run(tmp_path, ".parquet")
    before = contents(tmp_path)
    hub.faults[step] = fault
    assert said in refusal(result)
    assert step in hub.steps
    assert contents(tmp_path) == before
    assert set(getattr(hub.repos.get(REPO), "files", {})) <= {".gitattributes"}  # a commit is whole or is not
    hub.faults.clear()
    push(result, REPO, TOKEN, card_for(result))
    assert hub.repos[REPO].files["train.parquet"] == result.read_bytes()


def test_a_hub_that_falls_silent_is_not_waited_for_for_ever(tmp_path, hub, monkeypatch):
    monkeypatch.setattr("utils.outputs.hub.TIMEOUT", 0.2)
    hub.faults["create"] = HANG
    assert "(ReadTimeout)" in refusal(finished_run(tmp_path))


def test_no_hub_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert f"could not be uploaded to {REPO} (ConnectError): check the network" in refusal(finished_run(tmp_path))


def test_a_wrong_token_and_a_namespace_that_is_not_ours(tmp_path, hub):
    result = finished_run(tmp_path)
    assert "the Hub refuses the token (401), asked for org/evolved: correct MY_HF_TOKEN" in refusal(result, WRONG)
    assert "the token may not write to closed/evolved (403)" in refusal(result, repo="closed/evolved")
    assert hub.repos == {}


# --- A data set that is there already ----------------------------------------------------------


def test_another_data_set_of_that_name_is_left_alone(tmp_path, hub):
    files = {".gitattributes": b"", "README.md": b"---\ntags: [mine]\n---\n", "train.parquet": b"precious"}
    hub.repos[REPO] = Repo(dict(files))
    result = finished_run(tmp_path)
    with pytest.raises(DataError, match="holds a data set that is not of this program"):
        push(result, REPO, TOKEN, card_for(result))
    assert hub.repos[REPO].files == files


def test_a_second_push_replaces_the_first_and_what_it_left(tmp_path, hub):
    push(finished_run(tmp_path, ".parquet"), REPO, TOKEN, card_for(Path("x.parquet")))
    hub.repos[REPO].files["notes.txt"] = b"of the user"
    push(finished_run(tmp_path, ".jsonl", method=None), REPO, TOKEN, card_for(Path("x.jsonl")))
    assert set(hub.repos[REPO].files) == {".gitattributes", "README.md", "train.jsonl", "notes.txt"}


def test_a_licence_that_was_chosen_on_the_hub_stays(tmp_path, hub):
    result = finished_run(tmp_path)
    push(result, REPO, TOKEN, card_for(result))
    first = hub.repos[REPO].files["README.md"].decode()
    assert "license" not in yaml.safe_load(first.split("---\n")[1])
    chosen = 'license: other\nlicense_name: "ours: # 한국"\n'
    hub.repos[REPO].files["README.md"] = first.replace("---\n\n", f"{chosen}---\n\n", 1).encode()
    push(result, REPO, TOKEN, card_for(result))
    second = hub.repos[REPO].files["README.md"].decode()
    fields = yaml.safe_load(second.split("---\n")[1])
    assert (fields["license"], fields["license_name"]) == ("other", "ours: # 한국")
    assert LICENCE_QUESTION not in second
    assert second.endswith("# Rows\n\nEnd\n")


def test_a_data_set_that_is_public_is_said_to_be(tmp_path, hub, caplog):
    result = finished_run(tmp_path)
    push(result, REPO, TOKEN, card_for(result))
    hub.repos[REPO].private = False
    with caplog.at_level("INFO", "utils.outputs.hub"):
        push(result, REPO, TOKEN, card_for(result))
    assert caplog.messages[-1].endswith("(public)")


# --- Before anything costs ---------------------------------------------------------------------


@pytest.fixture
def no_token(monkeypatch, tmp_path):
    for name in ("MY_HF_TOKEN", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    return tmp_path / "token"


def test_the_token_comes_from_the_usual_places_ours_first(monkeypatch, no_token):
    no_token.write_text("hf_saved")
    assert check_push(REPO) == "hf_saved"
    monkeypatch.setenv("HF_TOKEN", "hf_usual")
    assert check_push(REPO) == "hf_usual"
    monkeypatch.setenv("MY_HF_TOKEN", " hf_mine\n")
    assert check_push(REPO) == "hf_mine"


@pytest.mark.parametrize(("token", "said"), [("", "MY_HF_TOKEN is not set"), ("hf_비밀", "holds characters")])
def test_without_a_usable_token_it_is_said_at_once(monkeypatch, no_token, token, said):
    monkeypatch.setenv("MY_HF_TOKEN", token)
    with pytest.raises(EndpointError, match=said) as caught:
        check_push(REPO)
    assert "비밀" not in str(caught.value)


@pytest.mark.parametrize("name", ["alone", "a/b/c", "a b/c", "../x", "org/na--me", "", "org/x.git", "x\ny/z"])
def test_a_name_that_is_none_is_said_at_once(monkeypatch, name):
    monkeypatch.setenv("MY_HF_TOKEN", TOKEN)
    with pytest.raises(ConfigError, match="give ORG/NAME") as caught:
        check_push(name)
    assert "\n" not in str(caught.value)


def test_offline_it_is_said_at_once(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE is set"):
        check_push(REPO)
