"""Validator: rules and findings become verdicts, verdicts a failure rate, rates the best method. No LLM, no I/O.

rules.py       the table of failure rules, of rewrites and of answers
rules_*.py     the rules, by kind and language
verdicts.py    a row failed if a rule or a fatal label says so, and what the next attempt is told of it
score.py       failure rates compared: the best method, the score of the authors' code
race.py        which candidate is measured on which rows next, and when it can no longer win
portfolio.py   several methods that differ in effect
"""
