"""`report.html` of a run folder: one self-contained page, made of the files of the run alone.

    run_files.py   the small files of the run folder
    rows.py        result and rejects, as a stream of rows
    sampling.py    which rows the page shows, and as what its script takes them
    page.py        what the templates are filled with
    templates/     the page: page.html with a file for every section, page.css and page.js
    texts/         every text of the page, in English and in Korean
    formats.py, charts.py, word_diff.py, repeat.py    numbers, charts, changed words and the command that they show

Texts of LLMs and data sets are values, never templates. They reach the page in two ways only: escaped by Jinja, and
as JSON that the page's script puts into text nodes.
"""

from pathlib import Path

from utils.files.row_store import RowStore
from utils.files.writing import replacing
from utils.outputs.report.page import page
from utils.outputs.report.rows import read_rows
from utils.outputs.report.run_files import read_run
from utils.outputs.report.sampling import survey, survey_of
from utils.outputs.report.texts import Lang
from utils.process.each import Each, in_silence
from utils.rows.held_out import held_out_path

REPORT = "report.html"
REJECTS = "rejects.jsonl"


def write_report(
    folder: Path,
    result: Path,
    lang: Lang | None = None,
    stored: RowStore | None = None,
    each: Each = in_silence,
) -> Path:
    """Write `report.html` into the run folder `folder` of the result file `result`; return its path.

    The same files give the same page. Rows are read from `result`, rejects.jsonl and what is held out, or from `stored`
    where it is given, as by a run on a cluster, which writes folders of files. `lang` is by default that of most seeds.
    Raises DataError where a file of the run is missing or torn, or the page cannot be written.
    """
    run = read_run(folder)
    rows = read_rows(result, folder / REJECTS, held_out_path(result) if run.summary.held_out else None)
    seen = survey_of(stored) if stored is not None else survey(each("report: rows", rows, run.summary.rows_in))
    text = page(run, seen, result.name, lang)
    path = folder / REPORT
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "replace"))  # a lone surrogate has no place in UTF-8
    return path


__all__ = ["write_report"]
