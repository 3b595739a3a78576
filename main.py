"""Auto Evol-Instruct (arXiv 2406.00770): learn how to make instructions harder, then evolve a data set.

    flags -> RunConfig -> seeds -> learn_method -> generate -> result file and run folder

`learn_method` is the paper's algorithm. Only this file knows all five roles; they know nothing of each other.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from dotenv import load_dotenv

from analyzer import analyze, compare, equal, judge
from evolver import Choose, evolve, initial_method, operation, six_operations
from generator import (
    ExploreOptions,
    Roles,
    answer,
    explore,
    groups_of_ten,
    render,
    run_group,
    run_pool,
    seed_records,
    tree_from_json,
    tree_to_json,
)
from optimizer import optimize
from utils.concurrency import for_each, together
from utils.config import EVOL_INSTRUCT, RunConfig, parse_arguments
from utils.dataset import SeedSet, SeedSource, load_seeds, split_seeds
from utils.errors import AutoEvolError, BudgetReached, ConfigError, EndpointError, Interrupted, RetentionError
from utils.journal import journal_history
from utils.ledger import Ledger
from utils.llm import JournaledLLM, check_keys, close_llms, open_llms
from utils.logs import Progress, set_up_logging
from utils.overlap import NearCopies
from utils.plan import Planner, explored_size, plan_text, seed_size
from utils.results import (
    evolved_records,
    method_record,
    near_copy_record,
    outcome_record,
    rejected_records,
    set_aside_record,
    write_rows,
)
from utils.run_folder import JOURNAL, RunFolder, check_output
from utils.schema import (
    BREADTH,
    EQUAL,
    UNJUDGED,
    Candidate,
    CandidateScore,
    Feedback,
    Finding,
    Method,
    RowOutcome,
    SeedInstruction,
    Trajectory,
)
from utils.spool import Spool
from utils.summary import Summary, as_text, rate_text, summarize
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
    first_rewrite_rule,
    leaders,
    likely_failures_first,
)

log = logging.getLogger("auto-evol")
TEST_RUN_ROWS = 10
TREES = "explored.jsonl"
T = TypeVar("T")
Case = tuple[Trajectory, Finding | None]


async def learn_method(kit: Kit, train: Sequence[SeedInstruction], dev: Sequence[SeedInstruction]) -> Learned:
    """Find the evolving method with the lowest failure rate on `dev` (paper, section 3, algorithm 1)."""
    config = kit.config
    method = initial_method()
    outcomes, cases = await together(measure(kit, method, groups_of_ten(dev)), evolve_train(kit, method, train))
    best = CandidateScore(method, outcomes)
    history, barren_steps = [Candidate(0, 0, best, selected=True)], 0

    for step in range(1, config.max_steps + 1):
        rows = likely_failures_first(dev, Counter(failed_ids(history)))
        candidates = await new_candidates(kit, best, cases, rows, step)
        winner = await choose_best(kit, best, [candidate.score for candidate in candidates])
        history += [replace(candidate, selected=candidate.score is winner) for candidate in candidates]

        barren_steps = 0 if winner is not best else barren_steps + 1
        best = winner
        log.info("step %d: failure rate %s with %s", step, rate_text(best), best.method.id)
        if barren_steps >= config.patience:
            log.info("stopped learning: %d steps brought nothing better (--patience)", barren_steps)
            break
        if step < config.max_steps:
            cases = await evolve_train(kit, best.method, train)
    return Learned(choose_portfolio(best, history, config.methods), history)


async def measure(kit: Kit, method: Method, groups: Iterable[Sequence[SeedInstruction]]) -> tuple[RowOutcome, ...]:
    """Evolve groups of dev rows once with `method`, judge, answer, apply rules: the outcomes, in row order."""
    roles = kit.roles(lambda *_: method, rounds=1, judged=kit.config.judge != "off", final=False)
    outcomes = await together(*(run_group(group, roles, attempts=1) for group in groups))
    return tuple(chain.from_iterable(outcomes))


async def evolve_train(kit: Kit, method: Method, train: Sequence[SeedInstruction]) -> list[Case]:
    """Trajectories of `loop` rounds, and what the judge finds in their final stages."""

    async def of_group(group: Sequence[SeedInstruction]) -> list[Case]:
        works = (evolve(kit.evol, seed, lambda *_: method, kit.config.loop, first_rewrite_rule) for seed in group)
        trajectories = dict(enumerate(await together(*works), start=1))
        to_judge = {case_id: t for case_id, t in trajectories.items() if t.stages and not t.stopped}
        findings = await judge(kit.optim, to_judge) if kit.config.judge != "off" and to_judge else {}
        return [(trajectory, findings.get(case_id)) for case_id, trajectory in trajectories.items()]

    groups = await together(*(of_group(group) for group in groups_of_ten(train)))
    return [case for group in groups for case in group]


async def new_candidates(
    kit: Kit, best: CandidateScore, cases: list[Case], dev: Sequence[SeedInstruction], step: int
) -> list[Candidate]:
    """Proposals to replace `best.method`, each measured for as long as it can still win (validator/race.py)."""
    groups = list(groups_of_ten(dev))
    race = Race(best, range(kit.config.candidate_size), [len(group) for group in groups], kit.config.race_width)
    proposals: dict[int, tuple[Method, Feedback]] = {}

    async def advance(draw: int, part: range) -> None:
        if draw not in proposals:
            proposal = await propose(kit, best.method, cases, (step - 1) * kit.config.candidate_size + draw)
            if proposal is None:
                log.warning("step %d, candidate %d: no usable method was proposed", step, draw + 1)
                race.drop(draw)
                return
            proposals[draw] = proposal
        race.tell(draw, part, await measure(kit, proposals[draw][0], groups[part.start : part.stop]))

    while work := race.work():
        await together(*(advance(draw, part) for draw, part in work.items()))
    return [
        Candidate(step, draw, CandidateScore(method, race.outcomes(draw)), feedback.text)
        for draw, (method, feedback) in sorted(proposals.items())
    ]


async def propose(kit: Kit, method: Method, cases: list[Case], draw: int) -> tuple[Method, Feedback] | None:
    """One analysis and one optimization; None where no usable method came of it."""
    feedback = await analyze(kit.optim, method, cases, draw)
    proposal = await optimize(kit.optim, method, feedback, draw) if feedback else None
    return (proposal, feedback) if feedback and proposal else None


async def choose_best(kit: Kit, best: CandidateScore, scores: Sequence[CandidateScore]) -> CandidateScore:
    """The lowest failure rate; among equals the pairwise judge, then the incumbent `best`."""
    equals = leaders([best, *scores])
    margins: dict[str, int] = {}
    if len(equals) > 1 and kit.config.judge != "off":
        rivals = [score for score in equals if score.method.id != best.method.id]
        works = (compare(kit.optim, pairs_of(best, rival), f"{kit.config.seed}:{rival.method.id}") for rival in rivals)
        margins = dict(zip((rival.method.id for rival in rivals), await together(*works), strict=True))
    return best_of([best, *scores], margins)


async def generate(kit: Kit, seeds: SeedSet, methods: Sequence[Method], rows: Spool) -> None:
    """Evolve and answer the whole data set, in groups of ten that know nothing of each other."""
    config = kit.config
    chosen = seeds.get(seeds.ids[:TEST_RUN_ROWS]) if config.test_run else seeds
    total = min(TEST_RUN_ROWS, len(seeds)) if config.test_run else len(seeds)
    with Progress("evolving", total, kit.ledger, config.quiet) as progress:

        async def work(group: Sequence[SeedInstruction]) -> None:
            outcomes = await evolve_group(kit, group, methods)
            rows.put_many(
                (config.row_key(o.seed.id, o.generation), outcome_record(o, kit.evol.model)) for o in outcomes
            )
            progress.done(len(group), sum(not outcome.verdict.passed for outcome in outcomes))

        await for_each(groups_of_ten(chosen), work, at_once=config.groups_at_once)


async def evolve_group(kit: Kit, group: Sequence[SeedInstruction], methods: Sequence[Method]) -> list[RowOutcome]:
    """All rounds of ten rows: the last one is the row, or every one where generations are kept."""
    config = kit.config
    judged = config.judge == "all"

    def choose(seed: SeedInstruction, number: int) -> Method:
        random = Random(f"{config.seed}:{seed.id}:{number}")
        return operation(BREADTH) if random.random() < config.breadth else random.choice(methods)

    def roles_of(generation: int) -> Roles:
        return kit.roles(lambda seed, _: choose(seed, generation), rounds=1, judged=judged, final=True)

    if config.keeps_generations:
        return await run_pool(group, roles_of, config.generations, config.attempts)
    return await run_group(group, kit.roles(choose, config.generations, judged, final=True), config.attempts)


# --- What a run is made of -------------------------------------------------------------------------


@dataclass(frozen=True)
class Kit:
    """The two LLMs, the configuration and the ledger: what every part of a run is given."""

    evol: JournaledLLM
    optim: JournaledLLM
    config: RunConfig
    ledger: Ledger

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
            found = judge(self.optim, cases) if labels else unlabelled(cases)
            findings, equals = await together(found, equal(self.optim, cases))
            return {case_id: with_equality(finding, equals.get(case_id)) for case_id, finding in findings.items()}

        return both


@dataclass(frozen=True)
class Learned:
    """The methods that the final run draws from, best first, and every method that was measured on the way."""

    methods: Sequence[Method]
    history: Sequence[Candidate] = ()


def pairs_of(best: CandidateScore, rival: CandidateScore) -> list[tuple[Trajectory, Trajectory]]:
    """Rewrites of the same seeds by both methods, where both have one, in seed order."""
    of_best = {outcome.seed.id: outcome.trajectory for outcome in best.outcomes if outcome.trajectory.stages}
    of_rival = {outcome.seed.id: outcome.trajectory for outcome in rival.outcomes if outcome.trajectory.stages}
    return [(of_best[row_id], of_rival[row_id]) for row_id in sorted(of_best.keys() & of_rival.keys())]


async def unlabelled(cases: Mapping[int, Trajectory]) -> dict[int, Finding]:
    """Findings of nobody: without labels, as the judge of labels is switched off."""
    return {case_id: Finding(()) for case_id in cases}


def with_equality(finding: Finding, is_equal: bool | None) -> Finding:
    """`finding` with the equality judge's label before its own; unscored where that judge could not tell."""
    if is_equal is None:
        return UNJUDGED
    return replace(finding, labels=(EQUAL, *(finding.labels or ()))) if is_equal else finding


def set_near_copies_aside(seeds: SeedSet, rows: Spool, max_overlap: float) -> None:
    """Eliminate new instructions that nearly repeat another row's, in the order of rows, not of their making."""
    near = NearCopies(max_overlap)
    for seed in seeds:
        near.add_seed(seed.id, seed.text)
    for key, (kind, record) in rows.items():
        if kind == "evolved" and record["generation"] and near.check(record["id"], record["instruction"]):
            rows.put(key, near_copy_record(record))


def failed_ids(history: Sequence[Candidate]) -> Iterator[int]:
    """The dev rows that methods have failed on so far, once for each failure."""
    return (o.seed.id for candidate in history for o in candidate.score.outcomes if o.verdict.failed)


async def find_methods(kit: Kit, seeds: SeedSet) -> Learned:
    """The methods that `--method` asks for: learned, the six operations, or read from a file."""
    config = kit.config
    if config.method == EVOL_INSTRUCT:
        return Learned(six_operations())
    if config.method != "auto":
        return Learned([read_method_file(Path(config.method))])
    if config.max_steps == 0:
        return Learned([initial_method()])
    train_ids, dev_ids = split_seeds(seeds.ids, config.train_size, config.dev_size, config.seed)
    return await learn_method(kit, seeds.get(train_ids), seeds.get(dev_ids))


def read_method_file(path: Path) -> Method:
    """A method learned earlier or written by hand: `best_method.txt` of a run folder, say."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"--method: cannot read {path} ({exc}); give auto or the path of a method file") from exc
    if not text:
        raise ConfigError(f"--method: {path} is empty; give auto or the path of a method file")
    return Method(text, origin="file")


Ran = tuple[Summary, Learned]


async def run(kit: Kit, seeds: SeedSet, folder: RunFolder, rows: Spool, started: float) -> Ran:
    """The whole job once the seeds are there, from learning to files."""
    config = kit.config
    set_aside = [] if config.test_run else seeds.set_aside
    rows.put_many((config.row_key(row.id, 1), set_aside_record(row.id, row.text, row.reason)) for row in set_aside)

    learned = await find_methods(kit, seeds)
    tried = ((candidate, complexity_score(candidate.score.outcomes)) for candidate in learned.history)
    folder.write_lines("methods.jsonl", (method_record(candidate, complexity) for candidate, complexity in tried))
    if config.method != EVOL_INSTRUCT:
        folder.write("best_method.txt", learned.methods[0].text + "\n")

    await generate(kit, seeds, learned.methods, rows)
    if config.max_overlap < 1:
        set_near_copies_aside(seeds, rows, config.max_overlap)
    write_rows(folder.result, evolved_records(rows))
    folder.write_lines("rejects.jsonl", rejected_records(rows))
    summary = summarize(rows, learned.methods, learned.history, kit.ledger, time.monotonic() - started)
    folder.write("summary.json", summary.model_dump_json(indent=2) + "\n")
    return summary, learned


async def with_llms(
    config: RunConfig, seeds: SeedSet | None, folder: RunFolder, scratch: Path
) -> tuple[Summary, Learned]:
    """Open the LLMs, explore if there are no seeds yet, and run. What was answered stays in the journal if it fails."""
    started, ledger = time.monotonic(), Ledger(config.max_calls, config.max_cost)
    evol, optim = open_llms(config, folder.journal, ledger)
    kit = Kit(evol, optim, config, ledger)
    try:
        with seeds or await explored_seeds(kit, folder, scratch) as seeds, Spool(scratch / "rows.sqlite") as rows:
            return await run(kit, seeds, folder, rows, started)
    except BudgetReached:
        await asyncio.gather(evol.drain(), optim.drain())  # paid calls come home before the run stops
        raise
    finally:
        await close_llms(evol, optim)


async def compare_methods(config: RunConfig, seeds: SeedSet, folder: RunFolder, scratch: Path) -> list[Compared]:
    """Every method of `--compare` over the same rows, one after the other, under one budget."""
    compared, used = [], Ledger()
    for number, name in enumerate(config.compare, start=1):
        of_one = config.model_copy(update={"method": name, "compare": ()})
        ledger = Ledger(minus(config.max_calls, used.calls), minus(config.max_cost, used.cost))
        evol, optim = open_llms(of_one, folder.journal, ledger)
        kit = Kit(evol, optim, of_one, ledger)
        async with closing_llms(evol, optim):
            with Spool(scratch / "compared.sqlite") as rows:
                place = folder.below(f"compare/{number}", config.save_path.suffix)
                summary, _ = await run(kit, seeds, place, rows, time.monotonic())
                measures = measure_run(record for _, record in rows.items())
        used = used + ledger
        compared.append(Compared(method=name, summary=summary, measures=measures))
    folder.write("compare.json", to_json(compared, indent=2).decode() + "\n")
    return compared


async def explored_seeds(kit: Kit, folder: RunFolder, scratch: Path) -> SeedSet:
    """Seeds from exploring the domains of `--explore`; the trees are kept, so that they can be deepened later."""
    config = kit.config
    options = ExploreOptions(config.explore_depth, config.explore_breadth, config.explore_samples, config.max_overlap)
    known = [tree_from_json(line, str(folder.path / TREES)) for line in folder.read_lines(TREES)]
    trees = await explore(kit.optim, config.explore, options, known)
    others = [tree for tree in known if tree.domain not in {tree.domain for tree in trees}]
    folder.write(TREES, "".join(tree_to_json(tree) + "\n" for tree in (*trees, *others)))
    for tree in trees:
        print(render(tree))
    folder.write_lines("seeds.jsonl", seed_records(trees))
    if not any(seed_records(trees)):
        raise EndpointError("exploring brought no instructions; see run.log, then run again")
    seeds = load_seeds([SeedSource(str(folder.path / "seeds.jsonl"))], scratch / "seeds.sqlite")
    check_learning(config, seeds)
    return seeds


# --- The command -----------------------------------------------------------------------------------


def seed_sources(config: RunConfig) -> list[SeedSource]:
    """The data set of the flags; offline and without one, the built-in examples, Korean first."""
    columns = (config.split, config.subset, config.instruction_field, config.response_field, config.input_field)
    if config.data_path:
        return [SeedSource(config.data_path, *columns)]
    examples = Path(__file__).resolve().parent / "examples"
    return [SeedSource(str(examples / name)) for name in ("seed_ko.jsonl", "seed_en.jsonl")]


async def stoppable(work: Coroutine[Any, Any, T]) -> T:
    """Run `work`; Ctrl-C or SIGTERM cancels it, a second one ends the process at once."""
    task = asyncio.ensure_future(work)
    signalled = []

    def stop() -> None:
        if signalled:
            os._exit(Interrupted.exit_code)
        signalled.append(True)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError as exc:
        raise Interrupted("interrupted") from exc


def execute(config: RunConfig, command: str) -> None:
    """Check in this order, before anything costs: data set, output path, key. Then run, and say what came of it."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="auto-evol-")))
        seeds = None
        if not config.explore:
            seeds = stack.enter_context(load_seeds(seed_sources(config), scratch / "seeds.sqlite"))
            check_learning(config, seeds)
        if config.plan:
            print_plan(config, seeds)
            return
        check_output(config.save_path, "--save-path")
        if config.export_journal:
            check_output(config.export_journal, "--export-journal")
        check_keys(config)
        folder = stack.enter_context(RunFolder(config))
        try:
            summary, learned = asyncio.run(stoppable(with_llms(config, seeds, folder, scratch)))
        except (Interrupted, BudgetReached) as exc:
            raise type(exc)(f"{exc}; {len(folder.journal)} answers are kept, continue with: {command}") from exc
        if config.export_journal:
            folder.journal.export(config.export_journal, config.recorded())
    print(as_text(summary, learned.history, config))
    check_outcome(config, summary)


def print_plan(config: RunConfig, seeds: SeedSet | None) -> None:
    """What this run will ask for and cost, as far as that can be known before it."""
    if seeds is None:
        size = explored_size(config)
    else:
        size = seed_size(seeds.get(seeds.ids[:TEST_RUN_ROWS]) if config.test_run else seeds)
    if config.method == EVOL_INSTRUCT:
        methods = six_operations()
    else:
        methods = (initial_method() if config.method == "auto" else read_method_file(Path(config.method)),)
    history = journal_history(config.run_folder / JOURNAL)
    print(plan_text(Planner(config, size, methods, history).stages(), config, history))


def check_learning(config: RunConfig, seeds: SeedSet) -> None:
    """Say before anything costs that there are too few seeds, or no such method file."""
    if config.method not in ("auto", EVOL_INSTRUCT):
        read_method_file(Path(config.method))
    elif config.method == "auto" and config.max_steps:
        split_seeds(seeds.ids, config.train_size, config.dev_size, config.seed)


def check_outcome(config: RunConfig, summary: Summary) -> None:
    """Raises EndpointError when not a single row was answered, RetentionError when too few survived."""
    if summary.unavailable and not summary.evolved:
        raise EndpointError("not a single row was answered, see run.log; check the endpoint and run again")
    if config.min_retention is not None and summary.retention < config.min_retention:
        raise RetentionError(
            f"retention {summary.retention:.3f} is below --min-retention {config.min_retention:g}; "
            f"see {config.run_folder / 'rejects.jsonl'} for the reasons"
        )


def load_environment() -> None:
    """Keys and tokens of `.env`, where the environment does not name them already."""
    try:
        load_dotenv(Path(".env"))
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError("cannot read .env as UTF-8; write it anew, lines of NAME=value, or move it away") from exc


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code (utils/errors.py)."""
    command = shlex.join(["sh", "main.sh", *argv])
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, until `stoppable` takes over
    try:
        config = parse_arguments(argv)
        load_environment()
        set_up_logging(config.log_level)
        execute(config, command)
    except AutoEvolError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return exc.exit_code
    except BrokenPipeError:  # whoever read our output has enough of it, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print(f"error: interrupted before anything was asked; start again with: {command}", file=sys.stderr)
        return Interrupted.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
