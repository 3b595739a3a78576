"""How trajectories are shown to the Analyzer and to the judges: blocks that begin with `### Case N`."""

from collections.abc import Iterable

from utils.prompts import case_block, clip, fill, shown_context
from utils.schema import Finding, SeedInstruction, Trajectory

LONGEST_TEXT = 8_000  # characters of one text in a case; a longer one loses its middle, visibly


def shown(text: str) -> str:
    """Return `text`, or its beginning and end where it is too long to be shown to a judge."""
    return clip(text, LONGEST_TEXT)


def context_lines(seed: SeedInstruction) -> list[tuple[str, str]]:
    """Return what was said before the instruction of a case as a (name, text) line; [] where nothing was said."""
    return [("Context", fill("case_context", context=shown_context(seed.context)))] if seed.context else []


def trajectory_block(case_id: int, trajectory: Trajectory, found: str = "") -> str:
    """Write all stages of a trajectory as a case; `found` is what rules and judge say of it."""
    texts = (trajectory.seed.text, *(stage.instruction for stage in trajectory.stages))
    lines = [(f"Stage {number}", shown(text)) for number, text in enumerate(texts)]
    lines = [*context_lines(trajectory.seed), *lines]
    return case_block(case_id, [*lines, ("Found", found)] if found else lines)


def rewrite_block(case_id: int, trajectory: Trajectory) -> str:
    """Write seed and final rewrite as a case of two stages, which says so where the rewrite was made in breadth."""
    lines = [("Stage 0", shown(trajectory.seed.text)), ("Stage 1", shown(trajectory.final))]
    lines = [*context_lines(trajectory.seed), *lines]
    in_breadth = any(stage.in_breadth for stage in trajectory.stages)
    return case_block(case_id, [*lines, ("Aim", "another task of the same field")] if in_breadth else lines)


def describe(trajectory: Trajectory, finding: Finding | None) -> str:
    """Say in one line what was found in a trajectory; empty where nothing was."""
    if trajectory.stopped:
        return f"the next stage was rejected: {trajectory.stopped.reason}"
    if finding and finding.labels:
        return ", ".join(finding.labels) + (f": {finding.note}" if finding.note else "")
    return ""


def joined(blocks: Iterable[str]) -> str:
    return "\n\n".join(blocks)
