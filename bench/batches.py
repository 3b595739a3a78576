"""Peak memory and CPU of a final run in rounds as files, where all rows are in flight at once.

    python -m bench.batches [--rows 1000 10000 50000]

Each round is a run of the program of its own; between them the offline LLM answers in the place of `vllm run-batch`.
Nothing is learned, every row is evolved, judged and answered once.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.harness import ROOT, table, timed, write_seeds
from utils.llm.offline import OfflineEndpoint
from utils.schema import Message, Request, Sampling


async def answer(path: Path) -> int:
    """Answer a round, and return how many requests it has."""
    offline = OfflineEndpoint()
    count = 0
    with path.open(encoding="utf-8") as lines, path.with_suffix(".out.jsonl").open("w", encoding="utf-8") as out:
        for count, line in enumerate(map(json.loads, lines), start=1):  # noqa: B007
            out.write(json.dumps(await output_line(offline, line)) + "\n")
    return count


async def output_line(offline: OfflineEndpoint, line: dict[str, Any]) -> dict[str, Any]:
    body = line["body"]
    messages = tuple(Message(turn["role"], turn["content"]) for turn in body["messages"])
    done = await offline.send(Request(line["custom_id"].partition("-")[0], body["model"], messages, Sampling()))
    usage = {"prompt_tokens": done.usage.input_tokens, "completion_tokens": done.usage.output_tokens}
    choice = {"message": {"role": "assistant", "content": done.text}, "finish_reason": "stop"}
    response = {"status_code": 200, "body": {"choices": [choice], "usage": usage}}
    return {"custom_id": line["custom_id"], "response": response, "error": None}


def measure(rows: int) -> list[list[str]]:
    """Run all rounds over `rows` seeds; return a line of the table for each."""
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        llm = ["model=bench", "base_url=http://127.0.0.1:9/v1"]
        flags = ["--data-path", str(write_seeds(folder / "seeds.jsonl", rows)), "--max-steps", "0", "--attempts", "1"]
        flags += ["--batch-api", "all", "--batch-folder", ".", "--max-overlap", "1", "--no-report", "--quiet"]
        command = [sys.executable, str(ROOT / "main.py"), *flags, "--evol-llm-config", *llm, "--optim-llm-config", *llm]
        while True:
            measured = timed(command, folder)
            if measured.code:
                raise SystemExit(f"the run failed:\n{measured.output}")
            waiting = [path for path in sorted(folder.glob("round-????.jsonl"))
                       if not path.with_suffix(".out.jsonl").exists()]  # fmt: skip
            sizes = [asyncio.run(answer(path)) for path in waiting]
            asked = f"writes {sum(sizes):,}" if sizes else "ends"
            lines.append([f"{rows:,}", asked, f"{measured.peak:.0f}", f"{measured.cpu:.1f}", f"{measured.wall:.1f}"])
            if not waiting:
                return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    lines = [line for rows in parser.parse_args().rows for line in measure(rows)]
    table("Rounds as files, offline LLM", ("rows", "the run", "peak MiB", "CPU s", "wall s"), lines)


if __name__ == "__main__":
    main()
