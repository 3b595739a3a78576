"""A small offline run, byte for byte: whatever changes what a run gives is seen here, and must be meant.

To renew the golden files after a change that is meant (of a prompt, a rule, the offline LLM or the algorithm),
and to see in `git diff tests/golden` what it changes:

    RENEW_GOLDEN=1 python -m pytest tests/test_golden.py
"""

import os
import shutil

from tests.command import OFFLINE, PROJECT, run

GOLDEN = PROJECT / "tests" / "golden"
FILES = {
    "evolution_result.json": "evolution_result.json",
    "methods.jsonl": "evolution_result.run/methods.jsonl",
    "rejects.jsonl": "evolution_result.run/rejects.jsonl",
}


def test_a_small_run_gives_the_golden_files(tmp_path):
    ran = run(tmp_path, *OFFLINE, "--attempts", "1")
    assert ran.code == 0, ran.err
    for golden, made in FILES.items():
        if os.environ.get("RENEW_GOLDEN"):
            shutil.copy(tmp_path / made, GOLDEN / golden)
        assert (tmp_path / made).read_bytes().decode() == (GOLDEN / golden).read_bytes().decode(), (
            "if this change is meant, see the top of this file"
        )
