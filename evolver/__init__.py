"""Evolver: one instruction and the chosen methods become a trajectory (paper, section 3.1)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from evolver.operations import operation, six_operations
from utils.config import EVOL_INSTRUCT
from utils.errors import ConfigError
from utils.llm import LLM
from utils.llm.replies import read_rewrite
from utils.prompts import fill, indented, shown_context, template, user
from utils.schema import BREADTH, Completion, Method, Rewrite, SeedInstruction, Trajectory, Verdict, failed, unscored

__all__ = ["CheckRewrite", "Choose", "drawn_from", "evolve", "initial_method", "methods_at_hand", "six_operations"]

LONGEST_METHOD = 100_000  # characters
Choose = Callable[[SeedInstruction, int], Method]  # which method rewrites this seed in this round (from 1)
CheckRewrite = Callable[[str, str], str | None]  # parent and rewrite -> name of the rule that it breaks


def initial_method() -> Method:
    """Return the method that learning starts from: list ways, plan, rewrite, review (paper, section 3.1)."""
    return Method(template("initial_method").template, origin="initial")


def method_from_file(path: Path) -> Method:
    """Read a method that was learned earlier (`best_method.txt` of a run folder) or written by hand.

    Raise ConfigError where the file cannot be read, is empty or is too long.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LONGEST_METHOD + 1).strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"--method: cannot read {path} ({exc}); give auto or the path of a method file") from exc
    if len(text) > LONGEST_METHOD:
        raise ConfigError(f"--method: {path} is too long for a method; give auto or the path of a method file")
    if not text:
        raise ConfigError(f"--method: {path} is empty; give auto or the path of a method file")
    return Method(text, origin="file")


def methods_at_hand(name: str) -> Sequence[Method]:
    """Return the methods that `--method` names; for `auto`, where one is learned first, what learning starts from.

    Raise ConfigError for a file that cannot be used.
    """
    if name == EVOL_INSTRUCT:
        return six_operations()
    return [initial_method() if name == "auto" else method_from_file(Path(name))]


def drawn_from(methods: Sequence[Method], seed: int, breadth: float) -> Choose:
    """Return a function that draws one of `methods` for a row and round, by `seed`, the row's id and the round alone.

    With probability `breadth` it gives the operation in breadth instead.
    """

    def choose(row: SeedInstruction, number: int) -> Method:
        random = Random(f"{seed}:{row.id}:{number}")
        return operation(BREADTH) if random.random() < breadth else random.choice(methods)

    return choose


async def evolve(
    llm: LLM,
    seed: SeedInstruction,
    choose: Choose,
    rounds: int,
    check: CheckRewrite,
    reason: str = "",
    draw: int = 0,
) -> Trajectory:
    """Rewrite `seed` up to `rounds` times, each stage made from the one before; its context stays as it is.

    `reason` says in the prompt why the former attempt at this seed was rejected. `draw` counts the attempts, from 0,
    so that one whose prompt is the same as that of the attempt before is asked anew as well.
    A stage that cannot be used ends the trajectory: `stopped` says why, `rejected` or `reply` holds its text.
    """
    retry = fill("retry", reason=reason) if reason else ""
    context = fill("context", context=indented(shown_context(seed.context))) if seed.context else ""
    trajectory = Trajectory(seed)
    for number in range(1, rounds + 1):
        method = choose(seed, number)
        frame = "evolve_breadth" if method.in_breadth else "evolve"
        prompt = fill(frame, method=method.text, context=context, retry=retry, instruction=trajectory.final)
        completion = await llm.complete("evolve", user(prompt), draw)
        rewrite = read_rewrite(completion.text, trajectory.final)
        if stopped := _why_stopped(completion, trajectory.final, rewrite, check):
            reply = (completion.said or completion.text or None) if rewrite is None else None
            return Trajectory(seed, trajectory.stages, stopped, reply, rewrite)
        trajectory = Trajectory(seed, (*trajectory.stages, Rewrite(rewrite or "", method.id)))
    return trajectory


def _why_stopped(completion: Completion, parent: str, rewrite: str | None, check: CheckRewrite) -> Verdict | None:
    if completion.failure == "unavailable":
        return unscored("unavailable")
    if completion.failure:
        return failed(completion.failure)
    if rewrite is None:
        return failed("unreadable")
    rule = check(parent, rewrite)
    return failed(rule) if rule else None
