"""Answering instructions and having the answers examined: in groups of rows, and for a sample of the seeds."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nsmallest

from utils.concurrency import gather_or_cancel
from utils.schema import Answer, Answers, Grade, SeedGrades, SeedInstruction, Trajectory, Verdict
from utils.text.measures.sample import rank

SAMPLE = 50  # seeds that both LLMs answer, to say how much harder the rewrites are
Answerer = Callable[[Trajectory, int], Awaitable[Answer]]  # takes the trajectory and the number of the draw, from 0


@dataclass(frozen=True, slots=True)
class Answering:
    """What answering needs, as capabilities. `samples` answers are drawn of each instruction.

    `weak` is the weak LLM's answer, None where there is no such LLM; `examine` grades answers by case, None where
    nobody does.
    """

    answer: Answerer
    check_answer: Callable[[Answer], Verdict]
    examine: Callable[[Mapping[int, Sequence[Answer]]], Awaitable[dict[int, list[Grade]]]] | None = None
    weak: Answerer | None = None
    samples: int = 1


async def answer_all(trajectories: Mapping[int, Trajectory], answering: Answering, attempt: int) -> dict[int, Answers]:
    """Answer the final instructions of trajectories, and have the answers graded; `attempt` counts from 0.

    A seed's own answer is kept as it is and not examined. Answers that break a rule are not shown to the examiner.
    """
    answered = await gather_or_cancel(*(_answers(t, answering, attempt) for t in trajectories.values()))
    answers = dict(zip(trajectories, answered, strict=True))
    sound = {
        i: [answer for answer in _all(of_row) if answer.verdict.passed]
        for i, of_row in answers.items()
        if of_row.best.verdict.passed and not trajectories[i].keeps_reference
    }
    if not answering.examine:
        return answers
    grades = await answering.examine(sound) if sound else {}
    return {i: _graded(of_row, grades.get(i, ())) for i, of_row in answers.items()}


async def _answers(trajectory: Trajectory, answering: Answering, attempt: int) -> Answers:
    """Draw the answers to one instruction; draws of all attempts are counted through."""
    samples = 1 if trajectory.keeps_reference else answering.samples
    asked = [answering.answer(trajectory, attempt * samples + number) for number in range(samples)]
    if answering.weak and not trajectory.keeps_reference:
        asked.append(answering.weak(trajectory, attempt))
    answered = [replace(answer, verdict=answering.check_answer(answer)) for answer in await gather_or_cancel(*asked)]
    return Answers(tuple(answered[:samples]), answered[samples] if len(answered) > samples else None)


def _all(answers: Answers) -> list[Answer]:
    return [*answers.samples, *([answers.weak] if answers.weak else [])]


def _graded(answers: Answers, grades: Iterable[Grade]) -> Answers:
    """Put grades to the sound answers, in their order; an answer that has failed a rule is wrong without asking."""
    of_sound = iter(grades)

    def graded(answer: Answer) -> Answer:
        broken = Grade("wrong", answer.verdict.reason or "") if answer.verdict.failed else None
        return replace(answer, grade=next(of_sound, None) if answer.verdict.passed else broken)

    samples = tuple(map(graded, answers.samples))
    return Answers(samples, answers.weak and graded(answers.weak))


async def grade_seeds(seeds: Iterable[SeedInstruction], answering: Answering, run_seed: int) -> SeedGrades:
    """Have the strong and the weak LLM answer a sample of seeds afresh, with or without reference; count the grades.

    So it shows how hard the rewrites are against the seeds. What could not be graded is left out.
    """
    drawn = nsmallest(SAMPLE, seeds, key=lambda seed: rank(f"{run_seed}:difficulty:{seed.id}"))
    trajectories = {i: Trajectory(replace(seed, reference=None)) for i, seed in enumerate(drawn, start=1)}
    answered = (await answer_all(trajectories, answering, 0)).values()
    return SeedGrades(_grades(a.samples[0] for a in answered), _grades(a.weak for a in answered))


def _grades(answers: Iterable[Answer | None]) -> Counter[str]:
    return Counter(answer.grade.value for answer in answers if answer and answer.grade and answer.grade.value)
