"""Auto Evol-Instruct (arXiv 2406.00770): learn how to make instructions harder, then evolve a data set.

    flags -> RunConfig -> seeds -> learn_method -> generate -> result file and run folder

`learn_method` is the paper's algorithm. Only this file knows all five roles; they know nothing of each other.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from analyzer import analyze, compare, equal, judge
from evolver import Choose, evolve, initial_method, method_from_file, operation, six_operations
from generator import Roles, answer, groups_of_ten, run_group, run_pool
from optimizer import optimize
from utils.concurrency import for_each, gather_or_cancel
from utils.config import EVOL_INSTRUCT, RunConfig
from utils.errors import BudgetReached, EndpointError
from utils.files.row_store import RowStore
from utils.files.storage import store_of
from utils.files.writing import write_parts, write_rows
from utils.llm import JournaledLLM, Recorder, close_llms, open_llms
from utils.llm.journal import journal_history
from utils.llm.ledger import Ledger
from utils.outputs.writing import FinishedRun, write_outputs
from utils.process.streams import say
from utils.rows.counts import Finished
from utils.rows.records import (
    EVOLVED,
    REJECTED,
    Record,
    method_record,
    outcome_record,
    result_records,
    set_aside_record,
)
from utils.rows.summary import Summary, as_text, changes, rate_text, summarize
from utils.run.command import Job, run_command
from utils.run.display import Display
from utils.run.plan import Planner, explored_size, plan_text, seed_size
from utils.run.run_folder import JOURNAL, Folder, RunFolder
from utils.schema import (
    BREADTH,
    Candidate,
    CandidateScore,
    Feedback,
    Finding,
    Method,
    RowOutcome,
    SeedInstruction,
    Trajectory,
)
from utils.seeds import SeedSet, SeedSource, load_seeds, split_seeds
from validator import (
    FINAL_FATAL,
    LEARNING_FATAL,
    Race,
    best_of,
    check_answer,
    check_finding,
    choose_portfolio,
    complexity_score,
    explain,
    failed_ids,
    first_rewrite_rule,
    leaders,
    likely_failures_first,
    pairs_of,
    with_equality,
)

if TYPE_CHECKING:
    from generator.scale_out import GroupWorker

log = logging.getLogger("auto-evol")
TEST_RUN_ROWS = 10
MOST_STEPS = 12  # in the paper accuracy falls again after so many
TREES = "explored.jsonl"
Case = tuple[Trajectory, Finding | None]


async def learn_method(ctx: RunContext, train: Sequence[SeedInstruction], dev: Sequence[SeedInstruction]) -> Learned:
    """Find the evolving method with the lowest failure rate on `dev` (paper, section 3, algorithm 1)."""
    config = ctx.config
    method = initial_method()
    with ctx.display.phase("step 0", len(dev)):
        outcomes, cases = await gather_or_cancel(
            measure(ctx, method, groups_of_ten(dev)), evolve_train(ctx, method, train)
        )
    best = CandidateScore(method, outcomes)
    history, barren_steps = [Candidate(0, 0, best, selected=True)], 0

    for step in range(1, config.max_steps + 1):
        rows = likely_failures_first(dev, Counter(failed_ids(history)))
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
    return Learned(choose_portfolio(best, history, config.methods), history)


async def measure(
    ctx: RunContext, method: Method, groups: Iterable[Sequence[SeedInstruction]]
) -> tuple[RowOutcome, ...]:
    """Evolve groups of dev rows once with `method`, judge, answer, apply rules: the outcomes, in row order."""
    roles = ctx.roles(lambda *_: method, rounds=1, judged=ctx.config.judge != "off", final=False)

    async def of_group(group: Sequence[SeedInstruction]) -> list[RowOutcome]:
        outcomes = await run_group(group, roles, attempts=1)
        ctx.display.done(len(group), sum(outcome.verdict.failed for outcome in outcomes))
        return outcomes

    return tuple(chain.from_iterable(await gather_or_cancel(*map(of_group, groups))))


async def evolve_train(ctx: RunContext, method: Method, train: Sequence[SeedInstruction]) -> list[Case]:
    """Trajectories of `loop` rounds, and what the judge finds in their final stages."""

    async def of_group(group: Sequence[SeedInstruction]) -> list[Case]:
        works = (evolve(ctx.evol, seed, lambda *_: method, ctx.config.loop, first_rewrite_rule) for seed in group)
        trajectories = dict(enumerate(await gather_or_cancel(*works), start=1))
        to_judge = {case_id: t for case_id, t in trajectories.items() if t.stages and not t.stopped}
        findings = await judge(ctx.optim, to_judge) if ctx.config.judge != "off" and to_judge else {}
        return [(trajectory, findings.get(case_id)) for case_id, trajectory in trajectories.items()]

    groups = await gather_or_cancel(*(of_group(group) for group in groups_of_ten(train)))
    return [case for group in groups for case in group]


async def new_candidates(
    ctx: RunContext, best: CandidateScore, cases: list[Case], dev: Sequence[SeedInstruction], step: int
) -> list[Candidate]:
    """Proposals to replace `best.method`, each measured for as long as it can still win (validator/race.py)."""
    groups = list(groups_of_ten(dev))
    # As wide as there are candidates, whatever the batch size: the same calls in every run, so that the journal fits.
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

    while work := race.work():
        await gather_or_cancel(*(advance(draw, part) for draw, part in work.items()))
    return [
        Candidate(step, draw, CandidateScore(method, race.outcomes(draw)), feedback.text)
        for draw, (method, feedback) in sorted(proposals.items())
    ]


async def propose(ctx: RunContext, method: Method, cases: list[Case], draw: int) -> tuple[Method, Feedback] | str:
    """One analysis and one optimization; where no usable method came of it, why."""
    feedback = await analyze(ctx.optim, method, cases, draw)
    if not feedback:
        return "the analysis brought no feedback"
    proposal = await optimize(ctx.optim, method, feedback, draw)
    return proposal if isinstance(proposal, str) else (proposal, feedback)


async def choose_best(ctx: RunContext, best: CandidateScore, scores: Sequence[CandidateScore]) -> CandidateScore:
    """The lowest failure rate; among equals the pairwise judge, then the incumbent `best`."""
    equals = leaders([best, *scores])
    margins: dict[str, int] = {}
    if len(equals) > 1 and ctx.config.judge != "off":
        rivals = [score for score in equals if score.method.id != best.method.id]
        works = (compare(ctx.optim, pairs_of(best, rival), f"{ctx.config.seed}:{rival.method.id}") for rival in rivals)
        margins = dict(zip((rival.method.id for rival in rivals), await gather_or_cancel(*works), strict=True))
    return best_of([best, *scores], margins)


async def generate(
    ctx: RunContext, seeds: SeedSet, methods: Sequence[Method], rows: RowStore, folder: Folder
) -> Finished:
    """Evolve and answer the whole data set, in groups of ten that know nothing of each other; drop near-duplicates."""
    config = ctx.config
    chosen = seeds.get(seeds.ids[:TEST_RUN_ROWS]) if config.test_run else seeds

    async def work(group: Sequence[SeedInstruction]) -> None:
        records = await group_records(ctx, group, methods)
        rows.put_many(records)
        ctx.display.done(len(group), sum(kind != "evolved" for _, (kind, _) in records))

    with ctx.display.phase("evolving", len(chosen)):
        if config.engine == "ray":
            await generate_on_ray(ctx, chosen, methods, rows, folder)
        else:
            await for_each(groups_of_ten(chosen), work, at_once=config.groups_at_once)
    if not config.test_run:
        aside = (set_aside_record(row.id, row.text, row.reason) for row in seeds.set_aside)
        rows.put_many((config.row_key(record["id"], 1), [kind, record]) for kind, record in aside)
    if config.max_overlap < 1 and config.engine == "ray":
        from generator.scale_out import eliminate_near_duplicates_in_shards

        await eliminate_near_duplicates_in_shards(rows, seeds, config.max_overlap, ctx.display.each)
    elif config.max_overlap < 1:
        from utils.text.near_duplicates import eliminate_near_duplicates  # numpy, which other runs can spare

        eliminate_near_duplicates(rows, seeds, config.max_overlap, ctx.display.each)
    return Finished.on(rows)


async def generate_on_ray(
    ctx: RunContext, seeds: Iterable[SeedInstruction], methods: Sequence[Method], rows: RowStore, folder: Folder
) -> None:
    """The same on a Ray cluster: what became of the rows comes back, and the rest is as on one machine."""
    from generator.scale_out import FinalRun, evolve_on_ray

    build, ids = partial(open_worker, tuple(methods)), [method.id for method in methods]
    final_run = FinalRun(ctx.config, build, ids, ctx.ledger, ctx.display.done)
    await evolve_on_ray(seeds, final_run, ctx.config.on_store(folder.path), rows)


def open_worker(methods: Sequence[Method], config: RunConfig, journal: Recorder, ledger: Ledger) -> GroupWorker:
    """What one worker of a cluster works with; `config` is its share of the whole."""
    from generator.scale_out import GroupWorker

    evol, optim = open_llms(config, journal, ledger)
    ctx = RunContext(evol, optim, config, ledger, Display(ledger, quiet=True))
    return GroupWorker(
        partial(group_records, ctx, methods=methods), lambda: gather_or_cancel(evol.drain(), optim.drain())
    )


async def group_records(
    ctx: RunContext, group: Sequence[SeedInstruction], methods: Sequence[Method]
) -> list[tuple[int, Record]]:
    """What became of ten rows, as it is stored."""
    outcomes = await evolve_group(ctx, group, methods)
    return [(ctx.config.row_key(o.seed.id, o.generation), outcome_record(o, ctx.evol.model)) for o in outcomes]


async def evolve_group(
    ctx: RunContext, group: Sequence[SeedInstruction], methods: Sequence[Method]
) -> list[RowOutcome]:
    """All rounds of ten rows: the last one is the row, or every one where generations are kept."""
    config = ctx.config
    judged = config.judge == "all"

    def choose(seed: SeedInstruction, number: int) -> Method:
        random = Random(f"{config.seed}:{seed.id}:{number}")
        return operation(BREADTH) if random.random() < config.breadth else random.choice(methods)

    def roles_of(generation: int) -> Roles:
        return ctx.roles(lambda seed, _: choose(seed, generation), rounds=1, judged=judged, final=True)

    if config.keeps_generations:
        return await run_pool(group, roles_of, config.generations, config.attempts)
    return await run_group(group, ctx.roles(choose, config.generations, judged, final=True), config.attempts)


# --- What a run is made of -------------------------------------------------------------------------


@dataclass(frozen=True)
class RunContext:
    """The two LLMs, the configuration, the ledger and the display: what every part of a run is given."""

    evol: JournaledLLM
    optim: JournaledLLM
    config: RunConfig
    ledger: Ledger
    display: Display

    def roles(self, choose: Choose, rounds: int, judged: bool, final: bool) -> Roles:
        """The roles as a group of rows needs them. The final run keeps what is merely no harder, or unjudged."""
        return Roles(
            evolve=lambda seed, reason, draw: evolve(self.evol, seed, choose, rounds, first_rewrite_rule, reason, draw),
            judge=self.judges(judged),
            answer=partial(answer, self.evol),
            check_finding=partial(check_finding, fatal=FINAL_FATAL if final else LEARNING_FATAL, keep_unjudged=final),
            check_answer=check_answer,
            explain=explain,
        )

    def judges(self, labels: bool) -> Callable[[Mapping[int, Trajectory]], Awaitable[dict[int, Finding]]] | None:
        """What reads rewrites besides the rules: the judge of labels, Evol-Instruct's equality judge, both, none."""
        if self.config.method != EVOL_INSTRUCT:
            return partial(judge, self.optim) if labels else None

        async def both(cases: Mapping[int, Trajectory]) -> dict[int, Finding]:
            equals = asyncio.ensure_future(equal(self.optim, cases))
            findings = await judge(self.optim, cases) if labels else dict.fromkeys(cases, Finding(()))
            return with_equality(findings, await equals)

        return both


@dataclass(frozen=True)
class Learned:
    """The methods that the final run draws from, best first, and every method that was measured on the way."""

    methods: Sequence[Method]
    history: Sequence[Candidate] = ()


async def find_methods(ctx: RunContext, seeds: SeedSet) -> Learned:
    """The methods that `--method` asks for: learned, the six operations, or read from a file."""
    config = ctx.config
    if config.method != "auto" or config.max_steps == 0:
        return Learned(methods_at_hand(config))
    if config.max_steps > MOST_STEPS:
        log.warning("more than %d steps tend to over-optimize the method (see the paper)", MOST_STEPS)
    train_ids, dev_ids = split_seeds(seeds.ids, config.train_size, config.dev_size, config.seed)
    return await learn_method(ctx, seeds.get(train_ids), seeds.get(dev_ids))


def methods_at_hand(config: RunConfig) -> Sequence[Method]:
    """The methods that nothing has to be learned for; of a learned one, what learning starts from."""
    if config.method == EVOL_INSTRUCT:
        return six_operations()
    return [initial_method() if config.method == "auto" else method_from_file(Path(config.method))]


async def run(ctx: RunContext, seeds: SeedSet, folder: Folder, rows: RowStore, started: float) -> FinishedRun:
    """The whole job once the seeds are there, from learning to files; `rows` is where rows wait for the end."""
    config = ctx.config
    learned = await find_methods(ctx, seeds)
    tried = ((candidate, complexity_score(candidate.score.outcomes)) for candidate in learned.history)
    folder.write_lines("methods.jsonl", (method_record(candidate, complexity) for candidate, complexity in tried))
    if config.method != EVOL_INSTRUCT:
        folder.write("best_method.txt", learned.methods[0].text + "\n")

    finished = await generate(ctx, seeds, learned.methods, rows, folder)
    columns, each, counts = EVOLVED | seeds.columns, ctx.display.each, finished.counts
    kept = counts.by_reason("evolved").total()
    evolved = each("writing: rows", result_records(finished.evolved(), columns), kept)
    lost = each("writing: rejects", finished.rejected(), counts.rows.total() - kept)
    if config.in_partitions:
        write_parts(store_of(config.on_store(folder.result)), evolved, columns)
        write_parts(store_of(config.on_store(folder.path / "rejects")), lost, REJECTED)
    else:
        write_rows(folder.result, evolved, columns, through_link=True)
        folder.write_lines("rejects.jsonl", lost)
    if config.tag:
        folder.write("tags.json", await tag_samples(ctx, rows))
    summary = summarize(finished.counts, learned.methods, learned.history, ctx.ledger, time.monotonic() - started)
    folder.write("summary.json", summary.model_dump_json(indent=2) + "\n")
    return FinishedRun(config, folder, finished, columns, learned.methods, learned.history, summary)


async def tag_samples(ctx: RunContext, rows: RowStore) -> str:
    """Complexity and diversity of samples of seeds and of evolved rows, tagged together, as JSON."""
    from analyzer.tag import sample_ids, tag
    from utils.text.measures.tags import TagComparison

    size, seed = ctx.config.tag_size, ctx.config.seed
    kinds = {key: kind for key, (kind, _) in rows.items() if kind != "set_aside"}
    # A seed counts once, however many generations of it are rows.
    drawn = sample_ids((key for key in kinds if key % max(1, ctx.config.generations) == 0), size, seed)
    texts = [rows.get(key)[1]["seed_instruction"] for key in drawn]
    # As many rows as seeds: diversity falls as a sample grows.
    evolved = sample_ids((key for key, kind in kinds.items() if kind == "evolved"), len(drawn), seed)
    tagged = await tag(ctx.optim, [*texts, *(rows.get(key)[1]["instruction"] for key in evolved)])
    return TagComparison.of(tagged[: len(drawn)], tagged[len(drawn) :]).model_dump_json(indent=2) + "\n"


@asynccontextmanager
async def open_context(config: RunConfig, folder: RunFolder, ledger: Ledger) -> AsyncIterator[RunContext]:
    """The LLMs of a run, closed in the end; where the budget ends it, calls under way come home first."""
    evol, optim = open_llms(config, folder.journal, ledger)
    try:
        yield RunContext(evol, optim, config, ledger, Display(ledger, config.quiet))
    except BudgetReached:
        await asyncio.gather(evol.drain(), optim.drain())
        raise
    finally:
        await close_llms(evol, optim)


async def explored(ctx: RunContext, folder: RunFolder) -> list[SeedSource]:
    """Seeds from exploring the domains of `--explore`; the trees are kept, so that they can be deepened later."""
    from generator.explore import ExploreOptions, explore
    from generator.explore_tree import render, seed_records, tree_from_json, tree_to_json

    config = ctx.config
    options = ExploreOptions(config.explore_depth, config.explore_breadth, config.explore_samples, config.max_overlap)
    known = [tree_from_json(line, str(folder.path / TREES)) for line in folder.read_lines(TREES)]
    trees = await explore(ctx.optim, config.explore, options, known)
    others = [tree for tree in known if tree.domain not in {tree.domain for tree in trees}]
    folder.write(TREES, "".join(tree_to_json(tree) + "\n" for tree in (*trees, *others)))
    for tree in trees:
        say(render(tree))
    folder.write_lines("seeds.jsonl", seed_records(trees))
    if not any(seed_records(trees)):
        raise EndpointError("exploring brought no instructions; see run.log, then run again")
    return [SeedSource(str(folder.path / "seeds.jsonl"))]


def on_cluster(config: RunConfig) -> AbstractContextManager:
    """The Ray cluster that the final run is for, connected to before anything costs."""
    if config.engine == "local":
        return nullcontext()
    from generator.scale_out import connected

    return connected(config.ray_address)


async def compare_methods(config: RunConfig, seeds: SeedSet, folder: RunFolder, scratch: Path, spent: Ledger) -> str:
    """Every method of `--compare` over the same rows, one after the other, under one budget: the table."""
    from utils.outputs.comparison import Compared, comparison_text, write_comparison
    from utils.text.measures.run import measure_run

    compared = []
    for number, of_one in enumerate(each_method(config), start=1):
        place = folder.below(f"compare/{number}", config.result.suffix)
        async with open_context(of_one, folder, spent.remaining()) as ctx:
            with RowStore(scratch / "compared.sqlite") as rows:
                ran = await run(ctx, seeds, place, rows, time.monotonic())
                each = ctx.display.each
                records = (record for _, record in each("measuring: rows", rows.items(), len(rows)))
                measures = measure_run(records, each=each)
        spent.add(ctx.ledger)
        compared.append(Compared(method=of_one.method, summary=ran.summary, measures=measures))
    folder.write("compare.json", write_comparison(compared))
    return comparison_text(compared)


async def work(
    config: RunConfig, seeds: SeedSet | None, folder: RunFolder, scratch: Path
) -> tuple[str, Summary | None]:
    """The job of the command: find seeds if there are none yet, then run, or compare several runs."""
    started, ledger = time.monotonic(), Ledger(config.max_calls, config.max_cost)
    if seeds is None:
        async with open_context(config, folder, ledger) as ctx:
            seeds = load_seeds(await explored(ctx, folder), scratch / "seeds.sqlite")
    with seeds, on_cluster(config):
        check(config, seeds)
        if config.compare:
            return await compare_methods(config, seeds, folder, scratch, ledger), None
        async with open_context(config, folder, ledger) as ctx:
            with RowStore(scratch / "rows.sqlite") as rows:
                ran = await run(ctx, seeds, folder, rows, started)
                await write_outputs(ran, ctx.display.each)
    text = as_text(ran.summary, ran.history, config)
    changed = changes(folder.former_summary, ran.summary)
    return f"{text}\n{changed}" if changed else text, ran.summary


def plan(config: RunConfig, seeds: SeedSet | None) -> str:
    """What this run will ask for and cost, as far as that can be known before it; of a comparison, all its runs."""
    if seeds is None:
        size = explored_size(config)
    else:
        size = seed_size(seeds.get(seeds.ids[:TEST_RUN_ROWS]) if config.test_run else seeds)
    history = journal_history(config.run_folder / JOURNAL)
    lines = []
    for of_one in each_method(config):
        of_run = Planner(of_one, size, methods_at_hand(of_one), history).stages()
        lines += (
            [replace(line, title=f"{of_one.method}: {line.title}") for line in of_run] if config.compare else of_run
        )
    return plan_text(lines, config, history)


def each_method(config: RunConfig) -> list[RunConfig]:
    """The run of every method of `--compare`, which explores only once; without it, the one run."""
    runs = [config.model_copy(update={"method": name, "compare": ()}) for name in config.compare]
    return [run.model_copy(update={"explore": ()}) if number else run for number, run in enumerate(runs)] or [config]


def check(config: RunConfig, seeds: SeedSet) -> None:
    """Say before anything costs that there are too few seeds, or no such method file."""
    for of_one in each_method(config):
        methods_at_hand(of_one)
        if of_one.method == "auto" and config.max_steps:
            split_seeds(seeds.ids, config.train_size, config.dev_size, config.seed)


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code (utils/errors.py)."""
    return run_command(argv, Job(check, plan, work))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
