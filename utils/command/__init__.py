"""The command line around a run.

arguments.py  flags in, RunConfig out
command.py    checks in their order, errors as one line, exit codes
plan.py       --plan: calls, tokens, cost and time before anything is asked
recording.py  --replay: the settings that a recording was made with
"""
