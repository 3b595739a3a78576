"""Rows of a run: what becomes of each, counted and summed up.

records.py  a row as the result, the rejects and methods.jsonl hold it
counts.py   rows by outcome and reason, their labels, grades and first attempts
figures.py  the honest failure rate, and how hard the rewrites are
summary.py  summary.json, and what stdout is told
"""
