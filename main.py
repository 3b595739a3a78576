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
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from dotenv import load_dotenv

from analyzer import analyze, compare, judge
from evolver import Choose, evolve, initial_method
from generator import Roles, answer, groups_of_ten, run_group
from optimizer import optimize
from utils.concurrency import for_each, together
from utils.config import RunConfig, parse_arguments
from utils.dataset import SeedSet, SeedSource, load_seeds, split_seeds
from utils.errors import AutoEvolError, BudgetReached, ConfigError, EndpointError, Interrupted, RetentionError
from utils.ledger import Ledger
from utils.llm import JournaledLLM, check_keys, close_llms, open_llms
from utils.logs import Progress, set_up_logging
from utils.results import evolved_records, method_record, outcome_record, rejected_records, set_aside_record, write_rows
from utils.run_folder import RunFolder, check_output
from utils.schema import Candidate, CandidateScore, Finding, Method, SeedInstruction, Trajectory
from utils.spool import Spool
from utils.summary import Summary, as_text, rate_text, summarize
from validator import (
    FINAL_FATAL,
    LEARNING_FATAL,
    best_of,
    check_answer,
    check_finding,
    complexity_score,
    explain,
    first_rewrite_rule,
    leaders,
)

log = logging.getLogger("auto-evol")
TEST_RUN_ROWS = 10
T = TypeVar("T")
Case = tuple[Trajectory, Finding | None]


async def learn_method(kit: Kit, train: Sequence[SeedInstruction], dev: Sequence[SeedInstruction]) -> Learned:
    """Find the evolving method with the lowest failure rate on `dev` (paper, section 3, algorithm 1)."""
    config = kit.config
    best, cases = await together(measure(kit, initial_method(), dev), evolve_train(kit, initial_method(), train))
    history, barren_steps = [Candidate(0, 0, best, selected=True)], 0

    for step in range(1, config.max_steps + 1):
        works = (new_candidate(kit, best.method, cases, dev, step, draw) for draw in range(config.candidate_size))
        candidates = [candidate for candidate in await together(*works) if candidate]
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
    return Learned(best.method, history)


async def measure(kit: Kit, method: Method, dev: Sequence[SeedInstruction]) -> CandidateScore:
    """Evolve dev once with `method`, judge, answer, apply rules: its verdicts, in the order of `dev`."""
    roles = kit.roles(lambda *_: method, rounds=1, judged=kit.config.judge != "off", final=False)
    groups = await together(*(run_group(group, roles, attempts=1) for group in groups_of_ten(dev)))
    return CandidateScore(method, tuple(outcome for group in groups for outcome in group))


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


async def new_candidate(
    kit: Kit, method: Method, cases: list[Case], dev: Sequence[SeedInstruction], step: int, draw: int
) -> Candidate | None:
    """One analysis, one optimization, one measurement; None where no usable method came of it."""
    sample = (step - 1) * kit.config.candidate_size + draw  # when the incumbent stays, its cases are read anew
    feedback = await analyze(kit.optim, method, cases, sample)
    proposal = await optimize(kit.optim, method, feedback, sample) if feedback else None
    if feedback is None or proposal is None:
        log.warning("step %d, candidate %d: no usable method was proposed", step, draw + 1)
        return None
    return Candidate(step, draw, await measure(kit, proposal, dev), feedback.text)


async def choose_best(kit: Kit, best: CandidateScore, scores: Sequence[CandidateScore]) -> CandidateScore:
    """The lowest failure rate; among equals the pairwise judge, then the incumbent `best`."""
    equals = leaders([best, *scores])
    margins: dict[str, int] = {}
    if len(equals) > 1 and kit.config.judge != "off":
        rivals = [score for score in equals if score.method.id != best.method.id]
        works = (compare(kit.optim, pairs_of(best, rival), f"{kit.config.seed}:{rival.method.id}") for rival in rivals)
        margins = dict(zip((rival.method.id for rival in rivals), await together(*works), strict=True))
    return best_of([best, *scores], margins)


async def generate(kit: Kit, seeds: SeedSet, choose: Choose, rows: Spool) -> None:
    """Evolve and answer the whole data set, in groups of ten that know nothing of each other."""
    config = kit.config
    roles = kit.roles(choose, config.generations, judged=config.judge == "all", final=True)
    chosen = seeds.get(seeds.ids[:TEST_RUN_ROWS]) if config.test_run else seeds
    total = min(TEST_RUN_ROWS, len(seeds)) if config.test_run else len(seeds)
    with Progress("evolving", total, kit.ledger, config.quiet) as progress:

        async def work(group: Sequence[SeedInstruction]) -> None:
            outcomes = await run_group(group, roles, config.attempts)
            rows.put_many((outcome.seed.id, outcome_record(outcome, kit.evol.model)) for outcome in outcomes)
            progress.done(len(outcomes), sum(not outcome.verdict.passed for outcome in outcomes))

        await for_each(groups_of_ten(chosen), work, at_once=config.groups_at_once)


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
            evolve=lambda seed, reason: evolve(self.evol, seed, choose, rounds, first_rewrite_rule, reason),
            judge=partial(judge, self.optim) if judged else None,
            answer=partial(answer, self.evol),
            check_finding=partial(check_finding, fatal=FINAL_FATAL if final else LEARNING_FATAL, keep_unjudged=final),
            check_answer=check_answer,
            explain=explain,
        )


@dataclass(frozen=True)
class Learned:
    """The best method, and every method that was measured on the way."""

    method: Method
    history: Sequence[Candidate] = ()


def pairs_of(best: CandidateScore, rival: CandidateScore) -> list[tuple[Trajectory, Trajectory]]:
    """Rewrites of the same seeds by both methods, where both have one."""
    both = zip(best.outcomes, rival.outcomes, strict=True)
    return [(a.trajectory, b.trajectory) for a, b in both if a.trajectory.stages and b.trajectory.stages]


async def find_method(kit: Kit, seeds: SeedSet) -> Learned:
    """The method that `--method` asks for: learned, or read from a file."""
    config = kit.config
    if config.method != "auto":
        return Learned(read_method_file(Path(config.method)))
    if config.max_steps == 0:
        return Learned(initial_method())
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
    return Method(text, origin="file", name=path.name)


async def run(config: RunConfig, seeds: SeedSet, folder: RunFolder, rows: Spool) -> tuple[Summary, Learned]:
    """The whole job, from learning to files. Whatever was answered stays in the journal if it fails."""
    started = time.monotonic()
    ledger = Ledger(config.max_calls, config.max_cost)
    evol, optim = open_llms(config, folder.journal, ledger)
    kit = Kit(evol, optim, config, ledger)
    try:
        learned = await find_method(kit, seeds)
        methods = (
            method_record(candidate, complexity_score(candidate.score.outcomes)) for candidate in learned.history
        )
        folder.write_lines("methods.jsonl", methods)
        folder.write("best_method.txt", learned.method.text + "\n")
        await generate(kit, seeds, lambda *_: learned.method, rows)
    except BudgetReached:
        await asyncio.gather(evol.drain(), optim.drain())  # paid calls come home before the run stops
        raise
    finally:
        await close_llms(evol, optim)
    write_rows(folder.result, evolved_records(rows))
    folder.write_lines("rejects.jsonl", rejected_records(rows))
    summary = summarize(rows, learned.method, learned.history, ledger, time.monotonic() - started)
    folder.write("summary.json", summary.model_dump_json(indent=2) + "\n")
    return summary, learned


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
        seeds = stack.enter_context(load_seeds(seed_sources(config), scratch / "seeds.sqlite"))
        if config.method == "auto" and config.max_steps:
            split_seeds(seeds.ids, config.train_size, config.dev_size, config.seed)  # too few seeds: say so now
        check_output(config.save_path)
        check_keys(config)
        folder = stack.enter_context(RunFolder(config))
        rows = stack.enter_context(Spool(scratch / "rows.sqlite"))
        set_aside = [] if config.test_run else seeds.set_aside
        rows.put_many((row.id, set_aside_record(row.id, row.text, row.reason)) for row in set_aside)
        try:
            summary, learned = asyncio.run(stoppable(run(config, seeds, folder, rows)))
        except (Interrupted, BudgetReached) as exc:
            raise type(exc)(f"{exc}; {len(folder.journal)} answers are kept, continue with: {command}") from exc
        if config.export_journal:
            folder.journal.export(config.export_journal)
    print(as_text(summary, learned.history, config))
    check_outcome(config, summary)


def check_outcome(config: RunConfig, summary: Summary) -> None:
    """Raises EndpointError when not a single row was answered, RetentionError when too few survived."""
    if summary.unavailable and not summary.evolved:
        raise EndpointError("not a single row was answered, see run.log; check the endpoint and run again")
    if config.min_retention is not None and summary.retention < config.min_retention:
        raise RetentionError(
            f"retention {summary.retention:.3f} is below --min-retention {config.min_retention:g}; "
            f"see {config.run_folder / 'rejects.jsonl'} for the reasons"
        )


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code (utils/errors.py)."""
    command = shlex.join(["sh", "main.sh", *argv])
    try:
        config = parse_arguments(argv)
        load_dotenv(Path(".env"))
        set_up_logging(config.log_level)
        execute(config, command)
    except AutoEvolError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return exc.exit_code
    except KeyboardInterrupt:
        print(f"error: interrupted before anything was asked; start again with: {command}", file=sys.stderr)
        return Interrupted.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
