"""The whole command against a real server with real weights: a model of 135M gets nearly everything wrong.

    pytest -m real

Whatever such a model replies, the run ends as it should, and its account is that of the server to the token.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.command import Ran, failed, finish, start
from tests.real_server import MODEL, SLOT_TOKENS, SLOTS, RealServer, Tokens, is_installed, real_server

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not is_installed(), reason="no real server is installed: pip install --no-deps -r requirements-real.txt"
    ),
]
LONGEST = 1_200  # seconds: where a machine has other work to do, a model of any size is slow
SMALL = ("--train-size", "1", "--dev-size", "2", "--max-steps", "1", "--loop", "1", "--candidate-size", "1")
SEEDS = ("Name three rivers in Europe.", "Why does the sky turn red at sunset?", "Write a poem about rain.")
EASY = ("Write one sentence about cats.", "What color is the sky?", "Which planet is the largest?")
ENDLESS = "Name a river. " * SLOT_TOKENS


class Done(NamedTuple):
    """A run that has ended, how it was started, and what the server had counted when it ended."""

    folder: Path
    argv: Sequence[str]
    ran: Ran
    tokens: Tokens

    def lines(self, name: str) -> list[dict]:
        return [json.loads(line) for line in (self.folder / name).read_text(encoding="utf-8").splitlines()]

    @property
    def summary(self) -> dict:
        return json.loads((self.folder / "x.run/summary.json").read_text(encoding="utf-8"))

    @property
    def written(self) -> dict[str, bytes]:
        names = ("x.jsonl", "x.run/methods.jsonl", "x.run/rejects.jsonl")
        return {name: (self.folder / name).read_bytes() for name in names}


def ask(server: RealServer, folder: Path, seeds: Sequence[str], *flags: str) -> Done:
    """Run the command over `seeds`, in `folder`."""
    records = (json.dumps({"instruction": seed}) + "\n" for seed in seeds)
    (folder / "seeds.jsonl").write_text("".join(records), encoding="utf-8")
    llm = (f"base_url={server.url}", f"model={MODEL}", "max_tokens=200", "seed=7", f"timeout={LONGEST}")
    files = ("--data-path", "seeds.jsonl", "--save-path", "x.jsonl", "--export-journal", "journal.jsonl")
    argv = (*files, *flags, "--batch-size", str(SLOTS), "--evol-llm-config", *llm, "--optim-llm-config", *llm)
    return Done(folder, argv, run(folder, *argv), server.tokens())


def run(folder: Path, *argv: str) -> Ran:
    return finish(start(folder, *argv), LONGEST)


@pytest.fixture(scope="module")
def server() -> Iterator[RealServer]:
    with real_server() as server:
        yield server


@pytest.fixture(scope="module")
def done(server, tmp_path_factory) -> Done:
    """The whole job over three seeds; it comes first, so all that the server has counted by then is its."""
    return ask(server, tmp_path_factory.mktemp("whole"), SEEDS, *SMALL)


@pytest.fixture(scope="module")
def answered(done, server, tmp_path_factory) -> Done:
    """Easy seeds, answered as they are, and one that is longer than the context."""
    flags = ("--max-steps", "0", "--generations", "0")
    return ask(server, tmp_path_factory.mktemp("answered"), (*EASY, ENDLESS), *flags)


def test_it_ends_well_and_every_seed_is_accounted_for(done):
    told, kept, lost = done.summary, done.lines("x.jsonl"), done.lines("x.run/rejects.jsonl")
    assert done.ran.code == (0 if kept else 4), done.ran.err  # such a model may evolve none of three
    assert sorted(row["id"] for row in kept + lost) == [0, 1, 2]
    assert (told["rows_in"], told["evolved"], told["unavailable"]) == (3, len(kept), 0)
    assert told["eliminated"] == Counter(row["reason"] for row in lost)


def test_its_account_is_the_servers_to_the_token(done):
    told, journal = done.summary, done.lines("journal.jsonl")[1:]
    assert Tokens(told["input_tokens"], told["output_tokens"]) == done.tokens
    assert told["calls"] == len(journal)
    assert {name: stage["calls"] for name, stage in told["stages"].items()} == Counter(r["stage"] for r in journal)


def test_every_failure_has_a_reason(done):
    lost, methods = done.lines("x.run/rejects.jsonl"), done.lines("x.run/methods.jsonl")
    assert all(row["reason"] for row in lost)
    assert all(row["instruction"] or row["reply"] for row in lost)
    assert methods
    for method in methods:
        assert method["failed"] == sum(method["failures"].values())
        assert "" not in method["failures"]
    proposed = len(methods) - 1  # the first is the initial one
    assert done.ran.err.count("no usable method was proposed: ") == 1 - proposed


def test_what_it_can_answer_is_in_the_result(answered):
    assert answered.ran.code == 0, answered.ran.err
    kept = answered.lines("x.jsonl")
    assert kept  # not all of them on every machine: arithmetic differs in its last digits, and so do replies
    assert all(row["instruction"] == EASY[row["id"]] and row["response"] for row in kept)


def test_a_prompt_beyond_the_context_is_too_long(answered):
    reasons = {row["id"]: row["reason"] for row in answered.lines("x.run/rejects.jsonl")}
    assert reasons[len(EASY)] == "too_long"


@pytest.mark.parametrize("fixture", ["done", "answered"])
def test_a_rerun_makes_no_call_and_the_same_files(fixture, server, request):
    former: Done = request.getfixturevalue(fixture)
    written, counted = former.written, server.tokens()
    ran = run(former.folder, *former.argv)
    assert (ran.code, former.summary["calls"]) == (former.ran.code, 0), ran.err
    assert (former.written, server.tokens()) == (written, counted)


def test_with_a_bound_on_retention_a_run_that_lost_a_row_ends_with_4(answered):
    assert "--min-retention" in failed(run(answered.folder, *answered.argv, "--min-retention", "0.9"), 4)
