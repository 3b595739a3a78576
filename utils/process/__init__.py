"""The process around the program: streams, signals, logs, environment, scratch space.

streams.py      stdout and stderr, whatever they are connected to
stopping.py     signals that end a run in good order
logs.py         log lines on stderr and in run.log
environment.py  keys from the environment and from .env
scratch.py      a folder that is gone when the process is
each.py         how a long computation shows how far it is
"""
