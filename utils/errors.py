"""The error tree. Every run failure is one of these; a row failure is never an exception.

    AutoEvolError                   exit code
    +-- ConfigError                 2   wrong flags or configuration
    +-- DataError                   2   seed set or result path cannot be used
    |   +-- JournalError            2   journal torn, foreign, locked, or a replay lacks an answer
    +-- EndpointError               3   no key, bad key, unknown model, quota, unreachable
    +-- RetentionError              4   fewer rows survived than --min-retention asks for
    +-- BudgetReached               5   --max-calls or --max-cost used up
    +-- Interrupted               130   Ctrl-C or SIGTERM
    +-- Waiting                     0   no failure: the run ends between two rounds of --batch-folder, or was asked to

Each message is one line: the cause, then the remedy. Foreign errors are wrapped once, where they
enter the program, with `raise ... from exc`.
"""


class AutoEvolError(Exception):
    """Base of all run failures; `exit_code` is what the process ends with."""

    exit_code = 1


class ConfigError(AutoEvolError):
    exit_code = 2


class DataError(AutoEvolError):
    exit_code = 2


class JournalError(DataError):
    pass


class EndpointError(AutoEvolError):
    exit_code = 3


class RetentionError(AutoEvolError):
    exit_code = 4


class BudgetReached(AutoEvolError):
    exit_code = 5


class Interrupted(AutoEvolError):
    exit_code = 130


class Waiting(AutoEvolError):
    exit_code = 0
