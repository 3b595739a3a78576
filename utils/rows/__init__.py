"""Rows of a run: what becomes of each, counted and summed up.

records.py  a row as the result, the rejects and methods.jsonl hold it
counts.py   rows by outcome, reason and generation
summary.py  summary.json, and what stdout is told
"""
