"""Completions at half price: requests that wait for nobody go to the provider in batches, or to a folder as files.

roles -> JournaledLLM -> BatchEndpoint.send -> Rounds.ask -> an Outlet: ApiOutlet, FolderOutlet

endpoint.py   a request of one LLM: a few rounds, then live or given up
rounds.py     what is asked is gathered until nothing in the program can go on without an answer
requests.py   requests as the lines of batch files, split by the provider's limits
replies.py    the lines of output and error files: completions, refusals, what has to be asked for again
records.py    the journal's table of batches: written before anything is paid, so that nothing is paid twice
api.py        /v1/files and /v1/batches through the SDK
patience.py   its calls, made again while it is down
provider.py   batches of one model: sent, waited for, read, split where they are too large, found again after a kill
folder.py     rounds as files that something else answers (--batch-folder)
opening.py    all that, as the flags ask for it
"""

from utils.llm.batch.endpoint import BatchEndpoint
from utils.llm.batch.opening import in_rounds, open_rounds
from utils.llm.batch.rounds import Rounds

__all__ = ["BatchEndpoint", "Rounds", "in_rounds", "open_rounds"]
