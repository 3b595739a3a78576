"""Recorded runs: answers that were really given, replayed without key or network, byte for byte."""

import pytest

from tests.command import PROJECT, run

RECORDED = PROJECT / "examples/recorded"
RECORDINGS = sorted(path.stem for path in RECORDED.glob("*.json"))


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recorded_run_is_repeated_byte_for_byte(name, tmp_path):
    replayed = run(tmp_path, "--replay", RECORDED / f"{name}.jsonl", "--save-path", "x.json", "--no-report")
    assert replayed.code == 0, replayed.err
    assert (tmp_path / "x.json").read_bytes() == (RECORDED / f"{name}.json").read_bytes()
    assert " 0 made," in replayed.out


def test_there_are_recordings():
    assert RECORDINGS
