"""The one place where the program asks an LLM; it owns all retrying.

roles -> JournaledLLM.complete -> journal, or an Endpoint: OpenAIEndpoint, OfflineEndpoint, ReplayEndpoint

journaled.py   the journal before the endpoint: what the roles use
endpoint.py    addresses, retries, what is held back
health.py      when requests wait together, when the run must stop, whose failure a refusal is
client.py      the SDK's client, bounded, and the body of a request
reply.py       the body of a 200: texts, thoughts, finish reason, usage
faults.py      every other reply and every error: asked again, refused, or the end of the run
wordings.py    what servers say, in tables
keys.py        keys from the environment
opening.py     the two LLMs of a run
"""

from utils.llm.journaled import LLM, Endpoint, JournaledLLM, Recorder, ReplayEndpoint
from utils.llm.keys import check_keys
from utils.llm.opening import close_llms, open_llms

__all__ = ["LLM", "Endpoint", "JournaledLLM", "Recorder", "ReplayEndpoint", "check_keys", "close_llms", "open_llms"]
