"""The whole command with batches: the same bytes as live, whoever kills it; rounds as files; signals; cancelling."""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.batch_server import BatchServer, JobScript, Line, expired_line, offline_line
from tests.command import SEEDS, SMALL, failed, finish, run, run_here, served, start
from tests.fakes import CUT, Act, MisbehavingServer
from tests.offline_server import offline_reply

FILES = ("evolution_result.json", "evolution_result.run/methods.jsonl", "evolution_result.run/rejects.jsonl")


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> tuple[dict[str, bytes], int]:
    """What a live run writes, and how many calls it takes."""
    folder = tmp_path_factory.mktemp("live")
    with MisbehavingServer(offline_reply) as server:
        assert run(folder, *served(server.url)).code == 0
    return contents(folder), len(server.received)


@pytest.fixture
def provider() -> Iterator[BatchServer]:
    with BatchServer() as server:
        yield server


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def flags(provider: BatchServer, mode: str = "final", *more: str) -> tuple[str, ...]:
    return (*served(provider.url, "batch_poll=0", *more), "--batch-api", mode)


def summary(folder: Path) -> dict:
    return json.loads((folder / "evolution_result.run/summary.json").read_text(encoding="utf-8"))


def kinds(provider: BatchServer) -> Counter[str]:
    """How many requests of each kind were in batches."""
    return Counter({name.partition("-")[0]: 0 for name in provider.asked}) + Counter(
        name.partition("-")[0] for name in provider.asked.elements()
    )


@pytest.mark.parametrize("mode", ["final", "all"])
def test_the_same_bytes_as_live(tmp_path, expected, provider, mode):
    ran = run(tmp_path, *flags(provider, mode))
    assert ran.code == 0, ran.err
    assert contents(tmp_path) == expected[0]
    assert provider.asked.total() + provider.calls.count("POST chat") == expected[1]
    assert ("POST chat" in provider.calls) == (mode == "final")
    assert not {"analyze", "optimize"} & kinds(provider).keys() or mode == "all"


def test_the_same_bytes_whatever_batches_leave_out(tmp_path, expected, provider):
    provider.script = [
        JobScript(("expired",), lambda lines: map(offline_line, lines[:2]), lambda ls: map(expired_line, ls[2:])),
        JobScript(output=lambda lines: [*map(offline_line, reversed(lines)), *map(offline_line, lines)]),
        JobScript(output=lambda lines: (), errors_file=lambda lines: map(expired_line, lines)),
    ]
    ran = run(tmp_path, *flags(provider, "all"))
    assert ran.code == 0, ran.err
    assert contents(tmp_path) == expected[0]


def test_all_rows_are_in_flight_at_once(tmp_path, provider):
    seeds = [{"instruction": f"Name {number} rivers of the world."} for number in range(250)]
    (tmp_path / "seeds.json").write_text(json.dumps(seeds), encoding="utf-8")
    more = ("--data-path", "seeds.json", "--max-steps", "0", "--attempts", "1", "--batch-size", "1")
    ran = run(tmp_path, *flags(provider), *more)
    assert ran.code == 0, ran.err
    assert [len(job.lines) for job in provider.jobs.values()][:2] == [250, 25]


# --- Killed ----------------------------------------------------------------------------------------

EVENTS = [
    (moment, call) for call in ("POST file", "POST batch", "GET batch", "GET file") for moment in ("before", "after")
]


def killing(provider: BatchServer, moment: str, call: str, after: int, kill: Callable[[], None]) -> None:
    """Have the process killed at the call of this name that follows `after` others, before or after its effect."""
    left = [after]

    def act(called: str) -> Act | None:
        if called != call or left[0] < 0:
            return None
        left[0] -= 1
        if left[0] >= 0:
            return None
        kill()
        return CUT if call != "GET file" else Act(body=b'{"custom_id": "evo', manner="cut")

    provider.before = provider.after = lambda _: None
    setattr(provider, moment, act)


def test_killed_twenty_times_it_pays_nothing_twice_and_ends_with_the_same_bytes(tmp_path, expected, provider):
    kills = 0
    for number in range(20):
        pid: Future[int] = Future()
        moment, call = EVENTS[number % len(EVENTS)]
        after = number % 3 if call == "GET batch" else number // len(EVENTS) % 2
        killing(provider, moment, call, after, lambda pid=pid: os.kill(pid.result(), signal.SIGKILL))
        ran = run(tmp_path, *flags(provider, "all"), started=pid.set_result)
        kills += ran.code == -signal.SIGKILL
        assert ran.code == -signal.SIGKILL, ran.err
    provider.before = provider.after = lambda _: None
    ran = run(tmp_path, *flags(provider, "all"))
    assert ran.code == 0, ran.err
    assert kills == 20
    assert contents(tmp_path) == expected[0]
    assert max(provider.asked.values()) == 1
    assert provider.asked.total() == expected[1]


# --- Interrupted and cancelled -----------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_says_what_goes_on_and_how_to_continue_or_cancel(tmp_path, expected, provider, number):
    process = start(tmp_path, *flags(provider))
    provider.after = lambda call: process.send_signal(number) if call == "GET batch" else None
    provider.otherwise = JobScript(("in_progress",))
    message = failed(finish(process), 130)
    assert "interrupted; 38 answers are kept, continue with: sh main.sh" in message
    assert message.endswith("still under way at the provider: batch_1, to be cancelled with --cancel-batches")
    assert "POST cancel" not in provider.calls
    provider.after = lambda call: None
    provider.otherwise = provider.jobs["batch_1"].script = JobScript()
    assert run(tmp_path, *flags(provider)).code == 0
    assert contents(tmp_path) == expected[0]
    assert max(provider.asked.values()) == 1


def test_cancelled_batches_give_back_what_they_have_finished(tmp_path, expected, provider):
    process = start(tmp_path, *flags(provider))
    provider.after = lambda call: process.kill() if call == "GET batch" else None
    provider.otherwise = JobScript(("in_progress",), output=lambda lines: map(offline_line, lines[:2]))
    finish(process)
    provider.after = lambda call: None
    ran = run(tmp_path, *flags(provider), "--cancel-batches")
    assert ran.code == 0, ran.err
    assert "batches cancelled: 1, answers read from them: 2; 40 answers are kept, continue with: sh main.sh" in ran.out
    assert "--cancel-batches" not in ran.out
    assert len(provider.jobs) == 1
    provider.otherwise = JobScript()
    assert run(tmp_path, *flags(provider)).code == 0
    assert contents(tmp_path) == expected[0]
    assert Counter(provider.asked.values())[2] == 4  # of six


# --- Rounds as files ---------------------------------------------------------------------------------


def models_of(path: Path) -> set[str]:
    return {json.loads(line)["body"]["model"] for line in path.read_text(encoding="utf-8").splitlines()}


def in_folder(*more: str) -> tuple[str, ...]:
    llm = ("base_url=http://192.0.2.1/v1", "model=served", "seed=7")
    llms = ("--evol-llm-config", *llm, "--optim-llm-config", *llm)
    return ("--data-path", str(SEEDS), *SMALL, *llms, "--batch-api", "all", "--batch-folder", "rounds", *more)


def answer_rounds(folder: Path, answer: Callable[[Line], Line] = offline_line) -> list[str]:
    """Do what `vllm run-batch` does with every round that has no answers; return their names."""
    open_rounds = [
        path for path in sorted(folder.glob("round-????.jsonl")) if not path.with_suffix(".out.jsonl").exists()
    ]
    for path in open_rounds:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        answers = (json.dumps(answer(line)) + "\n" for line in reversed(lines))
        path.with_suffix(".out.jsonl").write_text("".join(answers), encoding="utf-8")
    return [path.name for path in open_rounds]


@pytest.fixture
def ends(tmp_path, monkeypatch, capsys) -> Callable[..., str]:
    """Run the command with the rounds in a folder, in this process; return what it says in the end."""
    (tmp_path / "rounds").mkdir()
    monkeypatch.chdir(tmp_path)

    def run_to_its_end(*flags: str, code: int = 0) -> str:
        assert run_here(*in_folder("--max-steps", "0", "--quiet", *flags)) == code
        said = capsys.readouterr()
        return said.err.splitlines()[-1] if code else said.out

    return run_to_its_end


def test_a_round_is_a_file_and_between_rounds_the_program_ends(tmp_path, ends, tmp_path_factory):
    """Nobody can be reached, and no key is needed."""
    said = ends()
    first = tmp_path / "rounds" / "round-0001.jsonl"
    assert said.startswith(f"{first} (12 requests to served) waits for round-0001.out.jsonl; 0 answers are kept, ")
    assert said.count("\n") == 1
    before = first.read_bytes()
    assert ends() == said  # nothing has changed
    assert first.read_bytes() == before
    rounds = 0
    while answer_rounds(tmp_path / "rounds"):
        rounds += 1
        said = ends()
    assert "\nrows in       12\n" in said
    assert rounds == len(list((tmp_path / "rounds").glob("*.out.jsonl"))) > 2
    live = tmp_path_factory.mktemp("live")
    with MisbehavingServer(offline_reply) as server:
        assert run(live, *served(server.url), "--max-steps", "0").code == 0
    assert contents(tmp_path) == contents(live)


def test_two_models_have_files_of_their_own_beside_those_of_others(tmp_path, ends):
    (tmp_path / "rounds" / "round-0007.jsonl").write_text("of somebody else", encoding="utf-8")
    (tmp_path / "rounds" / "round-0007.out.jsonl").touch()
    other = ("--optim-llm-config", "model=other", "base_url=http://192.0.2.1/v1", "seed=7")
    ends(*other)
    written: list[str] = []
    while names := answer_rounds(tmp_path / "rounds"):
        written += names
        said = ends(*other)
    assert "\nrows in       12\n" in said
    assert min(written) == "round-0008.jsonl"
    models = [models_of(tmp_path / "rounds" / name) for name in written]
    assert all(len(of_file) == 1 for of_file in models)
    assert set().union(*models) == {"served", "other"}
    assert (tmp_path / "rounds" / "round-0007.jsonl").read_text(encoding="utf-8") == "of somebody else"


def test_a_round_that_was_deleted_is_written_again(tmp_path, ends):
    ends()
    first = tmp_path / "rounds" / "round-0001.jsonl"
    before = sorted(first.read_bytes().splitlines())
    first.unlink()
    ends()
    assert [path.name for path in (tmp_path / "rounds").iterdir()] == ["round-0001.jsonl"]
    assert sorted(first.read_bytes().splitlines()) == before


def test_what_a_file_leaves_out_again_and_again_is_unavailable(tmp_path, ends):
    for _ in range(4):
        assert "waits for" in ends()
        answer_rounds(tmp_path / "rounds", expired_line)
    assert ends(code=3) == "error: not a single row was answered, see run.log; check the endpoint and run again"
    assert "waits for round-0005.out.jsonl" in ends()  # who runs it again begins anew


# --- Wrong flags -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("more", "words"), [
    (("--batch-folder", "."), "--batch-folder needs --batch-api final or all"),
    (("--batch-fallback", "none"), "--batch-fallback needs --batch-api final or all"),
    (("--cancel-batches",), "--cancel-batches needs --batch-api final or all"),
    (("--batch-api", "all", "--offline"), "--offline answers at once"),
    (("--batch-api", "all", "--engine", "ray"), "--batch-api needs --engine local"),
    (("--batch-api", "all", "--batch-folder", ".", "--cancel-batches"), "of --batch-folder delete the files"),
    (("--batch-api", "all", "--max-cost", "1"), "--max-cost with --batch-api needs max_tokens"),
    (("--batch-api", "all", "--batch-folder", "missing"), "the folder missing of --batch-folder does not exist"),
    (("--batch-api", "half"), "--batch-api: 'half' does not fit"),
])  # fmt: skip
def test_flags_that_do_not_fit_together(tmp_path, more, words):
    assert words in failed(run(tmp_path, *served("http://127.0.0.1:9/v1", "price_in=1", "price_out=1"), *more), 2)
    assert os.listdir(tmp_path) == []


def test_a_live_key_is_needed_unless_all_is_in_files(tmp_path):
    llm = ("base_url=https://example.org/v1", "model=m", "api_key_env=NO_SUCH_KEY")
    flags = ("--data-path", str(SEEDS), *SMALL, "--evol-llm-config", *llm, "--optim-llm-config", *llm)
    files = ("--batch-folder", ".")
    assert "set NO_SUCH_KEY" in failed(run(tmp_path, *flags, "--batch-api", "final", *files), 3)
    assert "set NO_SUCH_KEY" in failed(
        run(tmp_path, *flags, "--batch-api", "all", *files, "--batch-fallback", "live"), 3
    )
    assert run(tmp_path, *flags, "--batch-api", "all", *files).code == 0
