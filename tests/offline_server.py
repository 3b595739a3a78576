"""What an OpenAI-compatible server would reply if the offline LLM were its model, for runs over a real connection."""

import asyncio

from tests.fakes import Act, Received, answered
from utils.llm.offline import OfflineEndpoint
from utils.schema import Message, Request, Sampling


def offline_reply(received: Received) -> Act:
    """The reply of the offline LLM to a request; draws differ by the seed that was sent, as with a real server."""
    body = received.body
    request = Request(
        kind=received.headers["x-stage"],  # type: ignore[arg-type]
        model=body["model"],
        messages=tuple(Message(turn["role"], turn["content"]) for turn in body["messages"]),
        sampling=Sampling(),
        draw=str(body.get("seed", 0)),
    )
    completion = asyncio.run(OfflineEndpoint().send(request))
    usage = {"prompt_tokens": completion.usage.input_tokens, "completion_tokens": completion.usage.output_tokens}
    return answered(completion.text, usage=usage)
