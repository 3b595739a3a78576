"""The offline LLM: rules in the place of a model, so that the whole program runs without key or network.

Frankly: it understands nothing. It reads the prompt that the role really sent, adds ready-made demands, answers with
ready-made sentences, fails at rates that depend on what the method says, and finds the failures of its own making.
It shows the flow, serves tests and benchmarks and costs nothing; its text is no training data, and its failure rates
say nothing about a real LLM.

The same request always gives the same completion, whatever came before: chance is derived from the request.
A further kind of call is a further line of `REPLIES`: a function from a request to a text.
"""

from collections.abc import Callable, Mapping

from utils.errors import ConfigError
from utils.llm.offline.examining import analyze, compare, equal, examine, judge, on_each_case, optimize, tag
from utils.llm.offline.writing import evolve, explore, respond
from utils.schema import Completion, Request, Usage

REPLIES: Mapping[str, Callable[[Request], str]] = {
    "evolve": evolve,
    "respond": respond,
    "explore": explore,
    "judge": on_each_case(judge),
    "examine": on_each_case(examine),
    "compare": on_each_case(compare),
    "equal": on_each_case(equal),
    "tag": on_each_case(tag),
    "analyze": analyze,
    "optimize": optimize,
}


class OfflineEndpoint:
    """Answers requests by rule; stands where the client of a real server would."""

    async def send(self, request: Request) -> Completion:
        """Return the completion of `request`, with estimated tokens.

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
        """Do nothing: every request is answered at once."""

    async def close(self) -> None:
        """Do nothing: nothing is open."""


def tokens(text: str) -> int:
    """Estimate the tokens of a text: one for 4 ASCII characters, or for 2 others; at least 1 unless it is empty."""
    ascii_count = len(text) if text.isascii() else len(text.encode("ascii", "ignore"))
    return max(ascii_count // 4 + (len(text) - ascii_count) // 2, int(bool(text)))
