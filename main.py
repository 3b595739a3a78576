"""Auto Evol-Instruct (arXiv 2406.00770): learn how to make instructions harder, then evolve a data set.

    flags -> RunConfig -> seeds -> learn_method -> generate -> result file and run folder

`learn_method` is the paper's algorithm. Only this file knows all five roles; they know nothing of each other.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from analyzer import CASES_PER_CALL, analyze, compare, examine, judge, judges
from analyzer.tag import tag_samples
from evolver import Choose, drawn_from, evolve, initial_method, methods_at_hand
from generator import GROUP_SIZE, Answering, Groups, Roles, answer, grade_seeds, groups_of_ten, run_group, run_pool
from generator.answering import SAMPLE
from generator.engines import cluster_of, drop_copies
from generator.explore import INSTRUCTIONS_PER_CALL, SUBTASKS_PER_CALL, explored_seeds
from optimizer import optimize
from utils.command.command import open_command
from utils.command.plan import PerCall, plan_of
from utils.concurrency import for_each, gather_or_cancel
from utils.config import EVOL_INSTRUCT, RunConfig
from utils.files.row_store import RowStore
from utils.llm.ledger import Ledger
from utils.outputs.comparison import compare_methods
from utils.outputs.result_files import Ran, write_methods, write_result
from utils.outputs.writing import write_outputs
from utils.rows.records import keyed_rows, set_aside_rows
from utils.rows.summary import Told, rate_text, told
from utils.run.context import RunContext, open_context
from utils.run.run_folder import Folder, RunFolder
from utils.schema import Candidate, CandidateScore, Case, Feedback, Learned, Method, RowOutcome, SeedInstruction
from utils.seeds import SeedSet
from validator.portfolio import choose_portfolio
from validator.race import Race, likely_failures_first
from validator.rules import first_rewrite_rule
from validator.score import best_of, complexity_score, leaders, pairs_of
from validator.verdicts import check_answer, check_answers, check_finding, explain, first_attempt

log = logging.getLogger("auto-evol")


async def learn_method(ctx: RunContext, train: Sequence[SeedInstruction], dev: Sequence[SeedInstruction]) -> Learned:
    """Find the evolving method with the lowest failure rate on `dev` (paper, section 3, algorithm 1)."""
    config, method = ctx.config, initial_method()
    with ctx.display.phase("step 0", len(dev)):
        outcomes, cases = await gather_or_cancel(
            measure(ctx, method, groups_of_ten(dev)), evolve_train(ctx, method, train)
        )
    best = CandidateScore(method, outcomes)
    history, barren_steps = [Candidate(0, 0, best, selected=True)], 0

    for step in range(1, config.max_steps + 1):
        rows = likely_failures_first(dev, history)
        with ctx.display.phase(f"step {step}", config.candidate_size * len(dev)):
            candidates = await new_candidates(ctx, best, cases, rows, step)
        winner = await choose_best(ctx, best, [candidate.score for candidate in candidates])
        history += [replace(candidate, selected=candidate.score is winner) for candidate in candidates]

        barren_steps = 0 if winner is not best else barren_steps + 1
        best = winner
        log.info("step %d: failure rate %s with %s", step, rate_text(best), best.method.id)
        if barren_steps >= config.patience:
            log.info("stopped learning: %d steps brought nothing better (--patience)", barren_steps)
            break
        if step < config.max_steps:
            cases = await evolve_train(ctx, best.method, train)
    return Learned(choose_portfolio(best, history, config.methods), history, frozenset(s.id for s in (*train, *dev)))


async def measure(ctx: RunContext, method: Method, groups: Groups) -> tuple[RowOutcome, ...]:
    """Evolve groups of dev rows once with `method`, judge, answer, examine; return the outcomes in row order."""
    roles = roles_of(ctx, lambda *_: method, rounds=1, final=False)

    async def of_group(group: Sequence[SeedInstruction]) -> list[RowOutcome]:
        outcomes = await run_group(group, roles, attempts=1)
        ctx.display.done(len(group), sum(outcome.verdict.failed for outcome in outcomes))
        return outcomes

    return tuple(chain.from_iterable(await gather_or_cancel(*map(of_group, groups))))


async def evolve_train(ctx: RunContext, method: Method, train: Sequence[SeedInstruction]) -> list[Case]:
    """Evolve `train` with `method` for `loop` rounds; return trajectories, with what the judge finds in last stages."""

    async def of_group(group: Sequence[SeedInstruction]) -> list[Case]:
        evolving = (evolve(ctx.evol, seed, lambda *_: method, ctx.config.loop, first_rewrite_rule) for seed in group)
        trajectories = dict(enumerate(await gather_or_cancel(*evolving), start=1))
        to_judge = {case_id: t for case_id, t in trajectories.items() if t.stages and not t.stopped}
        findings = await judge(ctx.optim, to_judge) if ctx.config.judge != "off" and to_judge else {}
        return [(trajectory, findings.get(case_id)) for case_id, trajectory in trajectories.items()]

    return list(chain.from_iterable(await gather_or_cancel(*map(of_group, groups_of_ten(train)))))


async def new_candidates(
    ctx: RunContext, best: CandidateScore, cases: list[Case], dev: Sequence[SeedInstruction], step: int
) -> list[Candidate]:
    """Return candidates to replace `best.method`, each measured for as long as it can still win (validator/race.py)."""
    groups = list(groups_of_ten(dev))
    # The width does not depend on the batch size: every run makes the same calls, so that the journal has the answers.
    race = Race(best, range(ctx.config.candidate_size), [len(group) for group in groups], ctx.config.candidate_size)
    proposals: dict[int, tuple[Method, Feedback]] = {}

    async def advance(draw: int, part: range) -> None:
        if draw not in proposals:
            proposal = await propose(ctx, best.method, cases, (step - 1) * ctx.config.candidate_size + draw)
            if isinstance(proposal, str):
                log.warning("step %d, candidate %d: no usable method was proposed: %s", step, draw + 1, proposal)
                race.drop(draw)
                return
            proposals[draw] = proposal
        race.tell(draw, part, await measure(ctx, proposals[draw][0], groups[part.start : part.stop]))

    while parts := race.next_round():
        await gather_or_cancel(*(advance(draw, part) for draw, part in parts.items()))
    return [
        Candidate(step, draw, CandidateScore(method, race.outcomes(draw)), feedback.text)
        for draw, (method, feedback) in sorted(proposals.items())
    ]


async def propose(ctx: RunContext, method: Method, cases: list[Case], draw: int) -> tuple[Method, Feedback] | str:
    """Analyze and optimize once; return the new method and the feedback that led to it, or why there is none to use."""
    feedback = await analyze(ctx.optim, method, cases, draw)
    if not feedback:
        return "the analysis brought no feedback"
    proposal = await optimize(ctx.optim, method, feedback, draw)
    return proposal if isinstance(proposal, str) else (proposal, feedback)


async def choose_best(ctx: RunContext, best: CandidateScore, scores: Sequence[CandidateScore]) -> CandidateScore:
    """Return the score of lowest failure rate; of equals, the pairwise judge's choice, else the first, `best` first."""
    equals = leaders([best, *scores])
    margins: dict[str, int] = {}
    if len(equals) > 1 and ctx.config.judge != "off":
        rivals = [score for score in equals if score.method.id != best.method.id]
        asked = (compare(ctx.optim, pairs_of(best, rival), f"{ctx.config.seed}:{rival.method.id}") for rival in rivals)
        margins = dict(zip((rival.method.id for rival in rivals), await gather_or_cancel(*asked), strict=True))
    return best_of([best, *scores], margins)


async def generate(ctx: RunContext, seeds: SeedSet, methods: Sequence[Method], rows: RowStore, folder: Folder) -> None:
    """Evolve and answer the seeds of the run in independent groups of ten, into `rows`; then drop near-duplicates."""
    config, chosen = ctx.config, seeds.of_run(ctx.config)

    async def of_group(group: Sequence[SeedInstruction]) -> None:
        outcomes = await evolve_group(ctx, group, methods)
        rows.put_many(keyed_rows(outcomes, config, ctx.evol.model))
        ctx.display.done(len(outcomes), sum(not outcome.verdict.passed for outcome in outcomes))

    rows.put_many(set_aside_rows(seeds.aside_of_run(config), config))
    with ctx.final_run(len(chosen)):
        if config.engine == "ray":
            from generator.scale_out import FinalRun, evolve_on_ray

            await evolve_on_ray(
                chosen, FinalRun(ctx, partial(evolve_group, methods=methods), methods), rows, folder.path
            )
        else:
            at_once = min(config.groups_at_once, len(chosen) // GROUP_SIZE + 1)
            await for_each(groups_of_ten(chosen), of_group, at_once)
    await drop_copies(rows, seeds, config, ctx.display.each)


async def evolve_group(
    ctx: RunContext, group: Sequence[SeedInstruction], methods: Sequence[Method]
) -> list[RowOutcome]:
    """Evolve and answer ten rows; return an outcome per row, or one per row and round where generations are kept."""
    config = ctx.config
    choose = drawn_from(methods, config.seed, config.breadth)

    def roles_in(generation: int) -> Roles:
        return roles_of(ctx, lambda seed, _: choose(seed, generation), rounds=1, final=True)

    if config.keeps_generations:
        return await run_pool(group, roles_in, config.generations, config.attempts)
    return await run_group(group, roles_of(ctx, choose, config.generations, final=True), config.attempts)


def roles_of(ctx: RunContext, choose: Choose, rounds: int, final: bool) -> Roles:
    """Return the roles as a group of rows calls them; the `final` run keeps, and marks, what is poor but sound."""
    config = ctx.config
    return Roles(
        evolve=lambda seed, reason, draw: evolve(ctx.evol, seed, choose, rounds, first_rewrite_rule, reason, draw),
        judge=judges(ctx.optim, labels=config.judges(final), equality=config.method == EVOL_INSTRUCT),
        answering=answering_of(ctx, config.answers if final else 1, config.examines(final)),
        check_finding=partial(check_finding, final=final, drop=config.drop),
        check_answers=partial(check_answers, final=final, drop=config.drop),
        first_attempt=first_attempt,
        explain=explain,
    )


def answering_of(ctx: RunContext, samples: int, examined: bool) -> Answering:
    """Return how instructions are answered; the weak LLM's answers are of use where the examiner grades them."""
    return Answering(
        answer=partial(answer, ctx.evol.varied() if samples > 1 else ctx.evol),
        check_answer=check_answer,
        examine=partial(examine, ctx.optim, order_seed=str(ctx.config.seed)) if examined else None,
        weak=partial(answer, ctx.weak) if ctx.weak and examined else None,
        samples=samples,
    )


# --- The run around it -------------------------------------------------------------------------------


async def run(seeds: SeedSet, ctx: RunContext, rows: RowStore, folder: Folder) -> Ran:
    """Learn a method if the flags say so; evolve and answer all rows, kept in `rows`; write and return the result."""
    config, learned, grades = ctx.config, Learned(methods_at_hand(ctx.config.method)), None
    if config.learns:
        train_ids, dev_ids = seeds.split(config)
        learned = await learn_method(ctx, seeds.get(train_ids), seeds.get(dev_ids))
    write_methods(folder, learned, complexity_score)
    await generate(ctx, seeds, learned.methods, rows, folder)
    if config.tag:
        folder.write("tags.json", await tag_samples(ctx.optim, rows, config))
    if ctx.weak and config.examines(final=True):
        grades = await grade_seeds(seeds.of_run(config), answering_of(ctx, 1, examined=True), config.seed)
    return write_result(ctx, folder, rows, seeds, learned, grades)


async def run_job(config: RunConfig, seeds: SeedSet | None, folder: RunFolder, scratch: Path) -> Told:
    """Do all that the flags ask for, under one budget: explore if there are no seeds; one run, or several compared."""
    async with open_context(config, folder.journal, Ledger(config.max_calls, config.max_cost)) as ctx:
        if seeds is None:
            seeds = await explored_seeds(ctx, folder, scratch / "seeds.sqlite")
        with seeds, cluster_of(config):
            if config.compare:
                return await compare_methods(ctx, lambda *of_one: run(seeds, *of_one), folder, scratch)
            with RowStore(scratch / "rows.sqlite") as rows:
                ran = await run(seeds, ctx, rows, folder)
                await write_outputs(config, folder, ran, ctx.display.each)
    return told(ran.summary, ran.learned.history, config, folder.former_summary)


def main(argv: Sequence[str]) -> int:
    """Run the command; return its exit code (utils/errors.py)."""
    with open_command(argv) as command:
        config, seeds = command.read()
        at_hand = [methods_at_hand(of_one.method) for of_one in config.runs()]
        if config.plan:
            per_call = PerCall(GROUP_SIZE, CASES_PER_CALL, SUBTASKS_PER_CALL, INSTRUCTIONS_PER_CALL, SAMPLE)
            command.say_plan(plan_of(config, seeds and seeds.of_run(config), at_hand, per_call))
        else:
            folder = command.open_folder()
            command.end(folder, command.wait(folder, run_job(config, seeds, folder, command.scratch)))
    return command.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
