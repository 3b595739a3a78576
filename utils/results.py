"""Rows out: the result file, written whole or not at all, and the run folder's line files."""

import json
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from utils.each import Each, in_silence
from utils.errors import DataError
from utils.schema import Candidate, EvolvedRow, Message, Reject, RowOutcome, SeedInstruction
from utils.spool import Spool

if TYPE_CHECKING:
    import pyarrow as pa

    from utils.storage import Store

PARQUET_BATCH = 1_000
PART = 10_000  # rows of a file in a folder of files
SUCCESS = "_SUCCESS"  # as Hadoop and Spark mark that all files of a folder are there

# What a file's columns hold: str, int, a type of Arrow's, [what a list holds] or {what a struct's fields hold}.
Columns = dict[str, Any]
EVOLVED: Columns = {name: str for name in EvolvedRow.__dataclass_fields__ if name not in ("context", "extra")} | {
    **{"id": int, "generation": int, "labels": [str]},
    "stages": [{"instruction": str, "method_id": str}],
}
CONTEXT: Columns = {"context": [{"role": str, "content": str}]}  # of a result whose seeds have any
REJECTED: Columns = dict.fromkeys(Reject.__dataclass_fields__, str) | {
    **dict.fromkeys(("id", "generation", "attempts"), int),
}

Record = list  # [kind, record] as it lies on the spool; kind is evolved, eliminated, unavailable or set_aside


def outcome_record(outcome: RowOutcome, model: str) -> Record:
    """An outcome as it is spooled until all rows are there."""
    if outcome.verdict.passed:
        return ["evolved", asdict(evolved_row(outcome, model))]
    return ["eliminated" if outcome.verdict.failed else "unavailable", asdict(reject(outcome))]


def set_aside_record(row_id: int, text: str, reason: str) -> Record:
    """A row of the data set that is no seed: empty, a duplicate, not a text."""
    return ["set_aside", asdict(Reject(row_id, text, None, None, None, reason, 0, 0))]


def near_copy_record(record: dict[str, Any]) -> Record:
    """An evolved row that turned out to nearly repeat another one's instruction."""
    texts = (record["seed_instruction"], record["instruction"], record["response"], None)
    return ["eliminated", asdict(Reject(record["id"], *texts, "near_copy", record["generation"], 1))]


def set_near_copies_aside(
    rows: Spool, seeds: Collection[SeedInstruction], max_overlap: float, each: Each = in_silence
) -> None:
    """Eliminate new instructions that nearly repeat another row's in the same context, in the order of rows."""
    from utils.overlap import NearCopiesInContext  # numpy, which the start of the program can spare

    near = NearCopiesInContext(max_overlap)
    for seed in each("near copies: seeds", seeds, len(seeds)):
        near.of(seed.context).add(seed.id, seed.text)
    for key, (kind, record) in each("near copies", rows.items(), len(rows)):
        if kind == "evolved" and record["generation"]:
            context = [Message(**turn) for turn in record["context"]]
            if near.of(context).check(record["id"], record["instruction"]):
                rows.put(key, near_copy_record(record))


def evolved_records(rows: Spool) -> Iterator[dict[str, Any]]:
    """What the result file holds, in seed order."""
    return (record for _, (kind, record) in rows.items() if kind == "evolved")


def result_records(records: Iterable[dict[str, Any]], columns: Columns) -> Iterator[dict[str, Any]]:
    """Records of the result with just these columns, so that none stands there that no row has a use for."""
    kept = columns.get("extra")
    for record in records:
        row = {name: record[name] for name in columns}
        yield row | {"extra": _fitted(row["extra"], kept)} if kept else row


def _fitted(extra: dict[str, Any], columns: Columns) -> dict[str, Any]:
    """The kept values of a row, one for each of `columns`; in a column of texts, others are written as JSON."""
    values = {name: extra.get(name) for name in columns}
    return {
        name: value if value is None or isinstance(value, str) or columns[name] is not str else dumps(value)
        for name, value in values.items()
    }


def rejected_records(rows: Spool) -> Iterator[dict[str, Any]]:
    """What `rejects.jsonl` holds, in seed order."""
    return (record for _, (kind, record) in rows.items() if kind != "evolved")


def generation_of(outcome: RowOutcome) -> int:
    """The round that a row is of: its own number in a pool, else the rounds that its trajectory went through."""
    return len(outcome.trajectory.stages) if outcome.generation is None else outcome.generation


def evolved_row(outcome: RowOutcome, model: str) -> EvolvedRow:
    """The record of a row that passed."""
    trajectory, seed = outcome.trajectory, outcome.seed
    return EvolvedRow(
        id=seed.id,
        instruction=trajectory.final,
        response=outcome.answer.text if outcome.answer else "",
        seed_instruction=seed.text,
        seed_response=seed.reference,
        generation=generation_of(outcome),
        method_id=trajectory.stages[-1].method_id if trajectory.stages else None,
        model=model,
        stages=list(trajectory.stages),
        labels=_labels(outcome),
        reasoning=outcome.answer.reasoning if outcome.answer else None,
        context=list(seed.context),
        extra=seed.extra,
    )


def _labels(outcome: RowOutcome) -> list[str]:
    """The judge's labels: `ok` for none, `unscored` where it could not judge, nothing where it was not asked."""
    if outcome.finding is None:
        return []
    if outcome.finding.labels is None:
        return ["unscored"]
    return list(outcome.finding.labels) or ["ok"]


def reject(outcome: RowOutcome) -> Reject:
    """The record of a row that was eliminated, or that no answer came for."""
    trajectory = outcome.trajectory
    return Reject(
        id=outcome.seed.id,
        seed_instruction=outcome.seed.text,
        instruction=trajectory.rejected or (trajectory.final if trajectory.stages else None),
        response=outcome.answer.text if outcome.answer and outcome.answer.said is None else None,
        reply=outcome.answer.said if outcome.answer else trajectory.reply,
        reason=outcome.verdict.reason or "",
        generation=generation_of(outcome),
        attempts=outcome.attempts,
    )


def temporary_of(path: Path) -> Path:
    """Where a file is written before it takes its place."""
    return path.with_name(f".{path.name}.tmp")


@contextmanager
def replacing(path: Path, through_link: bool = False) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place if all goes well, and leaves nothing if not.

    It is new: a link or a pipe of its name is removed. A link at `path` itself is replaced, or, `through_link`, what
    it leads to. Raises DataError where it cannot be written (no space, no permission); the old file is then intact.
    """
    target = Path(os.path.realpath(path)) if through_link else path
    temporary = temporary_of(target)
    try:
        temporary.unlink(missing_ok=True)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException as exc:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if not isinstance(exc, OSError):
            raise
        raise DataError(
            f"cannot write {path}: {exc.strerror or exc}; free space or check permissions, then run again"
        ) from exc


def write_rows(
    path: Path, rows: Iterable[dict[str, Any]], columns: Columns = EVOLVED, through_link: bool = False
) -> int:
    """Stream records into `.json` (one array), `.jsonl` or `.parquet` (which needs `columns`); return how many."""
    with replacing(path, through_link) as temporary:
        if path.suffix == ".parquet":
            return _write_parquet(temporary, rows, columns)
        with temporary.open("w", encoding="utf-8") as file:
            return _write_json(file, rows) if path.suffix == ".json" else _write_lines(file, rows)


def write_parts(store: "Store", rows: Iterable[dict[str, Any]], columns: Columns) -> None:
    """Stream records into a folder of Parquet files, in the place of a former one."""
    former, written, rows = store.names(""), set(), iter(rows)
    store.delete([SUCCESS])  # from here on until the end the folder is not complete
    while (batch := list(islice(rows, PART))) or not written:
        written.add(name := f"part-{len(written):06}.parquet")
        store.write(name, parquet_bytes(batch, columns))
    store.delete(set(former) - written)
    store.write(SUCCESS, b"")


def _write_json(file: TextIO, rows: Iterable[dict[str, Any]]) -> int:
    count = 0
    file.write("[")
    for count, row in enumerate(rows, start=1):
        file.write((",\n" if count > 1 else "\n") + dumps(row))
    file.write("\n]\n")
    return count


def _write_lines(file: TextIO, rows: Iterable[dict[str, Any]]) -> int:
    count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007
        file.write(dumps(row) + "\n")
    return count


def parquet_bytes(rows: Iterable[dict[str, Any]], columns: Columns) -> bytes:
    """Records as the content of a Parquet file."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    _write_parquet(sink, rows, columns)
    return sink.getvalue().to_pybytes()


def parquet_rows(content: bytes, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """The records of what `parquet_bytes` gave, or some of their columns."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    with ParquetFile(pa.BufferReader(content)) as file:
        for batch in file.iter_batches(PARQUET_BATCH, columns=columns, use_threads=False):
            yield from batch.to_pylist()


def _write_parquet(sink: "Path | pa.BufferOutputStream", rows: Iterable[dict[str, Any]], columns: Columns) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(arrow_type(columns))
    count = 0
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for batch in _batches(rows):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            count += len(batch)
    return count


def arrow_type(holds: Any) -> "pa.DataType":
    """The type of Arrow's for what columns hold, as Columns has it."""
    import pyarrow as pa

    if isinstance(holds, dict):
        return pa.struct([(name, arrow_type(kind)) for name, kind in holds.items()])
    if isinstance(holds, list):
        return pa.list_(arrow_type(holds[0]))
    if isinstance(holds, pa.DataType):
        return holds
    return pa.int64() if holds is int else pa.string()


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == PARQUET_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def dumps(value: Any) -> str:
    """JSON on one line, its characters as they are."""
    return json.dumps(value, ensure_ascii=False)


def method_record(candidate: Candidate, complexity: float | None) -> dict[str, Any]:
    """One line of `methods.jsonl`."""
    score, method = candidate.score, candidate.score.method
    return {
        "method_id": method.id,
        "parent_id": method.parent_id,
        "step": candidate.step,
        "draw": candidate.draw,
        "origin": method.origin,
        "text": method.text,
        "feedback": candidate.feedback,
        "judged": score.judged,
        "failed": score.failed,
        "unscored": score.unscored,
        "failure_rate": score.failure_rate,
        "interval": list(score.interval),
        "failures": dict(score.failures.most_common()),
        "complexity_score": complexity,
        "selected": candidate.selected,
    }
