"""Run folders written for tests of the report, through the same functions that a run uses."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.builders import score
from utils.config import RunConfig
from utils.files.writing import dumps, write_rows
from utils.outputs.report import write_report
from utils.rows.records import EVOLVED, StoredRow, method_record
from utils.rows.summary import CallKindSummary, Summary
from utils.schema import Candidate, EvolvedRow, Method, Reject, Rewrite
from utils.text.measures.run import measure_run

ATTACKS = {
    "script end": "</script><script>document.title = 'taken'</script>",
    "comment": "<!-- <script> </textarea></title></style>",
    "image": "<img src=x onerror=\"document.title = 'taken'\">",
    "network": '<link rel=stylesheet href="http://127.0.0.1:9/x.css"><iframe src="http://127.0.0.1:9/"></iframe>',
    "quotes": "\"' onmouseover=document.title='taken' `${document.title='taken'}` &lt;b&gt;",
    "lines": "one\u2028two\u2029three\x00four\r\nfive",
    "Korean": "<b>한글</b> & <i>태그</i>",
}


def evolved(row_id: int, *stages: str, seed: str = "", **fields: Any) -> dict[str, Any]:
    """A record of the result: `stages` after the seed's text."""
    text = seed or f"Name river {row_id}."
    row = EvolvedRow(
        id=row_id,
        instruction=stages[-1] if stages else text,
        response=f"answer {row_id}",
        seed_instruction=text,
        seed_response=None,
        generation=len(stages),
        method_id="m1" if stages else None,
        model="a-model",
        stages=[Rewrite(stage, "m1") for stage in stages],
        labels=["ok"],
    )
    return asdict(replace(row, **fields))


def rejected(row_id: int, reason: str, **fields: Any) -> dict[str, Any]:
    """A record of the rejects."""
    fields = {"outcome": "unavailable" if reason == "unavailable" else "eliminated"} | fields
    row = Reject(row_id, f"Name river {row_id}.", None, None, None, reason, "eliminated", 1, 2)
    return asdict(replace(row, **fields))


def set_aside(row_id: int, reason: str) -> dict[str, Any]:
    return rejected(row_id, reason, outcome="set_aside", generation=0, attempts=0)


def candidate(step: int, draw: int, text: str, outcomes: str, **fields: Any) -> Candidate:
    """A measured method; `parent` is the text of the method that it was made from."""
    parent, method = fields.pop("parent", None), Method(text, "optimized" if step else "initial")
    with_parent = replace(method, parent_id=Method(parent, "").id if parent else None)
    return Candidate(step, draw, replace(score(text, outcomes), method=with_parent), **fields)


FIRST = "Add one constraint. Keep the language."
SECOND = "Add two constraints. Keep the language."
LEARNED = (
    candidate(0, 0, FIRST, "pffffj", selected=True),
    candidate(1, 0, SECOND, "pppffu", parent=FIRST, feedback="It adds <b>too little</b>.", selected=True),
    candidate(1, 1, "Add nothing.", "ff", parent=FIRST, feedback="Less."),
)


@dataclass
class Folder:
    """A result file and its run folder."""

    result: Path

    @property
    def path(self) -> Path:
        return self.result.with_suffix(".run")

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def write(self, lang: Any = "en") -> str:
        write_report(self.path, self.result, lang)
        return self.report.read_text(encoding="utf-8")


def make_folder(
    where: Path,
    result: Sequence[dict[str, Any]] = (),
    rejects: Sequence[dict[str, Any]] = (),
    history: Sequence[Candidate] = (),
    suffix: str = ".json",
    measured: bool = False,
    **flags: Any,
) -> Folder:
    """What a run with these rows and methods leaves behind, but the journal."""
    folder = Folder(where / f"out{suffix}")
    folder.path.mkdir()
    write_rows(folder.result, iter(result), EVOLVED)
    write_rows(folder.path / "rejects.jsonl", iter(rejects))
    write_rows(folder.path / "methods.jsonl", (method_record(each, 0.5) for each in history))
    config = RunConfig(**{"data_path": "seeds.jsonl", "save_path": folder.result.name} | flags)
    (folder.path / "config.json").write_text(dumps({"settings": {}, "flags": config.model_dump(mode="json")}))
    (folder.path / "summary.json").write_text(summary(result, rejects, history).model_dump_json())
    if measured:
        kinds = [StoredRow("evolved", row) for row in result] + [StoredRow(row["outcome"], row) for row in rejects]
        measures = measure_run(sorted(kinds, key=lambda entry: entry[1]["id"]), lambda language: None)
        (folder.path / "measures.json").write_text(measures.model_dump_json())
    return folder


def summary(result: Sequence[dict], rejects: Sequence[dict], history: Sequence[Candidate]) -> Summary:
    eliminated = Counter(row["reason"] for row in rejects if row["attempts"] and row["reason"] != "unavailable")
    aside = Counter(row["reason"] for row in rejects if not row["attempts"])
    use = CallKindSummary(
        calls=12,
        journaled=3,
        unavailable=0,
        input_tokens=4_500,
        output_tokens=600,
        cached_tokens=70,
        cost=Decimal("0.25"),
    )
    total = len(result) + len(rejects)
    return Summary(
        rows_in=total,
        evolved=len(result),
        eliminated=dict(eliminated),
        set_aside=dict(aside),
        unavailable=total - len(result) - eliminated.total() - aside.total(),
        retention=len(result) / total if total else 0,
        used_methods=[next((c.score.method.id for c in reversed(history) if c.selected), "m1")],
        methods=[],
        stages={"respond": use, "evolve": use},
        calls=24,
        journaled=6,
        retries=1,
        input_tokens=9_000,
        output_tokens=1_200,
        cost=Decimal("0.5"),
        seconds=75,
    )
