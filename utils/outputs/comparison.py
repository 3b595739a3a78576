"""`--compare`: several methods over the same rows, in one table."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from utils.files.row_store import RowStore
from utils.outputs.result_files import Ran
from utils.process.each import Each
from utils.rows.records import stored_rows
from utils.rows.summary import Summary, Told
from utils.run.context import RunContext, open_context
from utils.run.run_folder import Folder, RunFolder
from utils.text.measures.model import RunMeasures


class Compared(BaseModel):
    """One method of a comparison: its ledger, and what it did to the instructions."""

    method: str
    summary: Summary
    measures: RunMeasures

    @staticmethod
    def of(method: str, ran: Ran, each: Each) -> "Compared":
        """Measure the rows of a run by `method`; `each` shows the progress."""
        from utils.text.measures.run import measure_run  # numpy, which other runs can spare

        rows = ran.rows
        stored = (row for _, row in each("measuring: rows", stored_rows(rows), len(rows)))
        return Compared(method=method, summary=ran.summary, measures=measure_run(stored, each=each))


async def compare_methods(
    whole: RunContext, run: Callable[[RunContext, RowStore, Folder], Awaitable[Ran]], folder: RunFolder, scratch: Path
) -> Told:
    """Run every method of `--compare` over the same rows, one after the other, under one budget; return the table."""
    compared = []
    for number, of_one in enumerate(whole.config.runs(), start=1):
        async with open_context(of_one, folder.journal, whole.ledger.remaining()) as ctx:
            with RowStore(scratch / "compared.sqlite") as rows:
                ran = await run(ctx, rows, folder.below(f"compare/{number}", of_one.result.suffix))
                compared.append(Compared.of(of_one.method, ran, ctx.display.each))
        whole.ledger.add(ctx.ledger)
    return Told(write_comparison(folder, compared))


def write_comparison(folder: Folder, runs: Sequence[Compared]) -> str:
    """Write all figures of the comparison to `compare.json`, and return them as a table for the terminal."""
    folder.write("compare.json", comparison_json(runs))
    return comparison_text(runs)


def comparison_json(runs: Sequence[Compared]) -> str:
    """Return all figures of the comparison as JSON."""
    return TypeAdapter(list[Compared]).dump_json(list(runs), indent=2).decode() + "\n"


COLUMNS = (
    "method",
    "rows",
    "retention",
    "length growth",
    "to parent",
    "to nearest",
    "distinct-1",
    "distinct-2",
    "calls",
    "journaled",
    "tokens",
    "cost",
)


def comparison_text(runs: Sequence[Compared]) -> str:
    """Return a table of the methods, then what each eliminated, by reason. Overlaps (to …) are mean ROUGE-L."""
    rows = [COLUMNS, *map(_row, runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for run in runs:
        reasons = ", ".join(f"{reason} {count}" for reason, count in run.summary.eliminated.items())
        lines.append(f"{run.method} eliminated: {reasons or 'none'}")
    return "\n".join(lines)


def _row(run: Compared) -> tuple[str, ...]:
    summary, seeds = run.summary, run.measures.seeds
    last = run.measures.generations[-1] if run.measures.generations else None
    tokens = (summary.input_tokens + summary.output_tokens, last.tokens if last else None)
    return (
        run.method,
        f"{summary.evolved}/{summary.rows_in}",
        f"{summary.retention:.1%}",
        f"{tokens[1].mean / seeds.tokens.mean:.2f}x" if tokens[1] and seeds.tokens else "-",
        f"{last.parent_overlap.mean:.2f}" if last and last.parent_overlap else "-",
        f"{last.nearest_overlap.distribution.mean:.2f}" if last and last.nearest_overlap else "-",
        f"{last.distinct_1:.3f}" if last and last.distinct_1 is not None else "-",
        f"{last.distinct_2:.3f}" if last and last.distinct_2 is not None else "-",
        f"{summary.calls:,}",
        f"{summary.journaled:,}",
        f"{tokens[0]:,}",
        f"{summary.cost:.4f}" if summary.cost else "-",
    )
