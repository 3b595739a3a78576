"""Validation calls that lossless pruning saves, over random tables of outcomes.

    python -m bench.pruning [--tables 2000]

A row fails with a candidate when its own difficulty exceeds the candidate's strength, with some noise, so that
the same rows tend to fail with all. A row costs two calls (evolve, answer), one where it fails before its answer,
and a tenth of a judge call.
"""

import argparse
from random import Random

from bench.harness import table
from utils.schema import PASSED, Candidate, CandidateScore, Method, RowOutcome, SeedInstruction, Trajectory, failed
from validator.race import Race, likely_failures_first
from validator.score import leaders

DEV, GROUP, CANDIDATES = 50, 10, 5


def measured(name: str, rate: float, rows: list[SeedInstruction], noise: float, random: Random) -> CandidateScore:
    """Make up the outcomes of a method: a row fails if its text, a number, blurred by `noise`, is below `rate`."""
    outcomes = []
    for row in rows:
        own, shared = random.random(), float(row.text)
        bad = (noise * own + (1 - noise) * shared) < rate
        outcomes.append(RowOutcome(Trajectory(row), failed("lost") if bad else PASSED))
    return CandidateScore(Method(name, "bench"), tuple(outcomes))


def calls(outcomes: tuple[RowOutcome, ...] | list[RowOutcome]) -> float:
    return sum(1.1 if outcome.verdict.failed else 2.1 for outcome in outcomes)


def one_step(random: Random, low: float, high: float, noise: float, width: int) -> tuple[float, float]:
    """Return the calls of one step of learning, with pruning and without; exit if the winners differ."""
    rows = [SeedInstruction(number, str(random.random())) for number in range(DEV)]
    base = measured("incumbent", random.uniform(low, high), rows, noise, random)
    rows = likely_failures_first(rows, [Candidate(0, 0, base)])
    full = [measured(f"m{n}", random.uniform(low, high), rows, noise, random) for n in range(CANDIDATES)]
    race = Race(base, range(CANDIDATES), [GROUP] * (DEV // GROUP), width)
    while work := race.next_round():
        for number, groups in work.items():
            race.tell(number, groups, full[number].outcomes[groups.start * GROUP : groups.stop * GROUP])
    pruned = [CandidateScore(c.method, race.outcomes(number)) for number, c in enumerate(full)]
    if [c.method.id for c in leaders([base, *pruned])] != [c.method.id for c in leaders([base, *full])]:
        raise SystemExit("pruning has changed the winner")
    return sum(calls(c.outcomes) for c in pruned), sum(calls(c.outcomes) for c in full)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=2000)
    options = parser.parse_args()
    lines = []
    for title, low, high in (("alike, 5 to 10 %", 0.05, 0.1), ("5 to 30 %", 0.05, 0.3), ("5 to 60 %", 0.05, 0.6)):
        for width in (1, 5, 25):
            random = Random(f"{title}:{width}")
            steps = [one_step(random, low, high, noise=0.3, width=width) for _ in range(options.tables)]
            saved = 1 - sum(step[0] for step in steps) / sum(step[1] for step in steps)
            lines.append([title, width * GROUP, f"{saved:.0%}"])
    head = ("failure rates", "at once", "calls saved")
    table(f"Validation calls saved, {CANDIDATES} candidates, {DEV} rows, {options.tables} steps each", head, lines)


if __name__ == "__main__":
    main()
