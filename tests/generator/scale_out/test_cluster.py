import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-ray.txt")

from generator.scale_out.cluster import cause_of

IN_A_TASK = """\x1b[36mray::MapWorker(MapBatches(Worker)).submit()\x1b[39m (pid=1, ip=10.0.0.1, actor_id=1)
  File "generator/scale_out/workers.py", line 123, in _open
    self._hands = self._build(self._journal, self._ledger)
ModuleNotFoundError: No module named 'openai'

The above exception was the direct cause of the following exception:

ray.exceptions.UserCodeException: UDF failed to process a data block.
"""


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (IN_A_TASK, "ModuleNotFoundError: No module named 'openai'"),
        (
            "At least one of the input arguments for this task could not be computed:\n"
            "ray.exceptions.RaySystemError: System error: No module named 'pydantic'\ntraceback: ...",
            "ray.exceptions.RaySystemError: System error: No module named 'pydantic'",
        ),
        ("The actor died\n\tunexpectedly.", "RuntimeError: The actor died unexpectedly."),
    ],
)
def test_an_error_of_the_cluster_is_told_by_what_began_it(text, cause):
    assert cause_of(RuntimeError(text)) == cause


def test_the_cause_is_of_a_length_that_can_be_read():
    assert len(cause_of(RuntimeError("ValueError: " + "x" * 10_000))) == 500
