"""Figures that describe methods and data sets.

model.py       the results, as they stand in files
dataset.py     measure_rows: one set of instructions
run.py         measure_run: the seeds and every generation of a run
tags.py        measure_tags: complexity and diversity from intention tags
nearest.py, languages.py, verb_noun.py, sample.py    parts of measure_rows
"""
