"""The offline LLM: rules in the place of a model, so that the whole program runs without key or network.

Frankly: it understands nothing. It recognises the kind, reads the prompt that the role really sent,
adds ready-made constraints, answers with ready-made sentences, fails at rates that depend on what the
method demands, and finds the failures of its own making. It shows the flow, serves tests and benchmarks
and costs nothing; its text is no training data, and its failure rates say nothing about a real LLM.

The same request always gives the same completion, whatever came before: chance is derived from the
request. A further kind of call is a further line of `REPLIES`: a function from a request to a text.
"""

from collections.abc import Callable, Mapping

from utils.errors import ConfigError
from utils.llm.offline.answering import respond
from utils.llm.offline.exploring import explore
from utils.llm.offline.improving import analyze, optimize
from utils.llm.offline.judging import compare, equality, judge
from utils.llm.offline.rewriting import evolve
from utils.llm.offline.tagging import tag
from utils.schema import Completion, Request, Usage

REPLIES: Mapping[str, Callable[[Request], str]] = {
    "evolve": evolve,
    "respond": respond,
    "judge": judge,
    "compare": compare,
    "equal": equality,
    "analyze": analyze,
    "optimize": optimize,
    "explore": explore,
    "tag": tag,
}


class OfflineEndpoint:
    """Answers requests by rule; stands where the client of a real server would."""

    async def send(self, request: Request) -> Completion:
        """The completion of `request`, with estimated tokens.

        Raises ConfigError for a kind without a rule and for a prompt without its markers.
        """
        reply = REPLIES.get(request.kind)
        if reply is None:
            raise ConfigError(
                f"the offline LLM has no rule for calls of kind {request.kind!r}: use a real endpoint for it"
            )
        text = reply(request)
        return Completion(text, usage=Usage(sum(tokens(m.content) for m in request.messages), tokens(text)))

    def stop(self, why: Exception) -> None:
        """Every request is answered at once."""

    async def close(self) -> None:
        """Nothing is open."""


def tokens(text: str) -> int:
    """An estimate: four ASCII characters to a token, two of any other script; at least 1 unless empty."""
    ascii_count = len(text) if text.isascii() else len(text.encode("ascii", "ignore"))
    return max(ascii_count // 4 + (len(text) - ascii_count) // 2, int(bool(text)))
