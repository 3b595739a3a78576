"""A loopback OpenAI-compatible server with log-normal latency and injected faults.

    python -m bench.server PORT_FILE [--median 0.2 --sigma 0.8 --draw 0 --fault 0.0 --spread 0.0]

Latency is drawn from the request itself, so that a request takes as long in every run of one `--draw`.
GET /stats tells the sum of all latencies served, the number of requests, and the most in flight:
sum / concurrency is the time that no client can beat.
"""

import argparse
import asyncio
import hashlib
import json
import os
from pathlib import Path
from random import Random

from aiohttp import web

HEADING = "#Finally Rewritten Instruction#:"
ADDED = " Compare two approaches, state which assumptions each of them needs, and justify which one fits better here."
FAULTS = ("500", "reset", "429", "malformed", "empty", "length")


class Bench:
    """Answers each stage as a well-behaved LLM would, after a latency, with faults now and then."""

    def __init__(self, median: float, sigma: float, draw: int, fault: float, spread: float) -> None:
        self.median, self.sigma, self.draw, self.fault, self.spread = median, sigma, draw, fault, spread
        self.stats = {"requests": 0, "latency": 0.0, "in_flight": 0, "most": 0, "faults": 0, "in": 0, "out": 0}
        self._asked: dict[bytes, int] = {}

    def latency(self, random: Random) -> float:
        return self.median * random.lognormvariate(0, self.sigma) if self.median else 0.0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        digest = hashlib.blake2b(raw, digest_size=8).digest()
        nth = self._asked[digest] = self._asked.get(digest, 0) + 1
        random = Random(f"{self.draw}:{digest.hex()}:{nth}")
        stats = self.stats
        stats["requests"] += 1
        stats["in_flight"] += 1
        stats["most"] = max(stats["most"], stats["in_flight"])
        try:
            if seconds := self.latency(random):
                stats["latency"] += seconds
                await asyncio.sleep(seconds)
            return self._reply(request, json.loads(raw), self._fault(random.random()), random)
        finally:
            stats["in_flight"] -= 1

    def _fault(self, chance: float) -> str | None:
        """Return the kind of fault that `chance` (0 to 1) hits, or None; each kind hits the share `self.fault`."""
        return FAULTS[int(chance / self.fault)] if chance < self.fault * len(FAULTS) * 0.999999 else None

    def _reply(self, request: web.Request, body: dict, kind: str | None, random: Random) -> web.StreamResponse:
        self.stats["faults"] += kind is not None
        if kind == "reset":
            if request.transport:  # else the client has gone already
                request.transport.abort()
            return web.Response()
        if kind in ("500", "429"):
            headers = {"Retry-After": "0.2"} if kind == "429" else {}
            return web.json_response({"error": {"message": "injected"}}, status=int(kind), headers=headers)
        if kind == "malformed":
            return web.Response(text='{"choices": [{"mess', content_type="application/json")
        text = (
            "" if kind == "empty" else completion(request.headers.get("X-Stage", ""), body["messages"][-1]["content"])
        )
        reason = "length" if kind == "length" else "stop"
        message = {"role": "assistant", "content": text}
        written = len(text) // 4
        if self.spread:  # as a model that thinks for longer or shorter before it answers
            written += int(500 * random.lognormvariate(0, self.spread))
        usage = {"prompt_tokens": len(str(body)) // 4, "completion_tokens": written}
        self.stats["in"] += usage["prompt_tokens"]
        self.stats["out"] += usage["completion_tokens"]
        choice = {"index": 0, "finish_reason": reason, "message": message}
        return web.json_response({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage})


def completion(kind: str, prompt: str) -> str:
    """Return what a well-behaved LLM replies to a call of `kind`: a rewrite, labels (all ok), or an answer."""
    if kind == "evolve":
        instruction = prompt.rpartition("#Instruction#:\n")[2]
        return f"Step 1: #Methods List#:\nadd reasoning\nStep 4:\n{HEADING}\n{instruction}{ADDED}"
    if kind == "judge":
        ids = [int(line.split()[2]) for line in prompt.splitlines() if line.startswith("### Case ")]
        return json.dumps({"cases": [{"case_id": number, "labels": ["ok"], "note": ""} for number in ids]})
    return f"The first approach fits better, for it needs fewer assumptions: {prompt[:200]}"


async def serve(options: argparse.Namespace) -> None:
    bench = Bench(options.median, options.sigma, options.draw, options.fault, options.spread)
    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/v1/chat/completions", bench.answer)

    async def stats(_: web.Request) -> web.Response:
        return web.json_response(bench.stats)

    app.router.add_get("/stats", stats)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    temporary = options.port_file.with_suffix(".tmp")
    temporary.write_text(str(port))
    os.replace(temporary, options.port_file)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port_file", type=Path)
    parser.add_argument("--median", type=float, default=0.2)
    parser.add_argument("--sigma", type=float, default=0.8)
    parser.add_argument("--draw", type=int, default=0)
    parser.add_argument("--fault", type=float, default=0.0, help="share of each kind of fault")
    parser.add_argument("--spread", type=float, default=0.0, help="sigma of the tokens thought per reply; 0: none")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
