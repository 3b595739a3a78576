"""Figures that describe methods and data sets.

    interval.py    how sure a failure rate is
    model.py       the results, as they stand in files
    dataset.py     measure_rows: one set of instructions
    run.py         measure_run: the seeds and every generation of a run
    tags.py        measure_tags: complexity and diversity from intention tags
    nearest.py, languages.py, verb_noun.py, sample.py    parts of measure_rows

Only `wilson` is imported here: the other parts need numpy and rapidfuzz, which a run that measures nothing can spare.
"""

from utils.measures.interval import wilson

__all__ = ["wilson"]
