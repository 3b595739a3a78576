"""Is the evolved set better than what I had? Tune one model on each set, and measure all on answers none has seen.

    python examples/finetune/compare.py seeds.messages.json evolved.messages.json --heldout evolved.heldout.json \\
        --model Qwen/Qwen3-0.6B

Every set is learned for the same number of steps, each over the same number of answer tokens, so that more text does
not pass for better text. The loss on answers (nats per token; lower is better) is told for the evolved rows held out
(`--hold-out` of the main run) and for the seeds that they were made of, with 95 % bootstrap intervals. A set is at home
where the answers are of its own kind: what counts is how it does away. With `--examiner` an LLM grades, blind, what the
tuned models answer to the evolved instructions (grading.py).
"""

import argparse
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np

from figures import table
from sft import Turn, chat, exchange, read_rows


@dataclass(frozen=True, slots=True)
class Example:
    """The tokens of a chat; those from `start` to `end` are the answer, as far as there is a loss on it."""

    tokens: Sequence[int]
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


def encode(tokenizer: Any, turns: Sequence[Turn], max_length: int) -> Example | None:
    """Return a chat in tokens, cut to `max_length`; None where nothing of the answer is left."""
    asked = tokenizer.apply_chat_template(turns[:-1], add_generation_prompt=True, return_dict=False)
    whole = tokenizer.apply_chat_template(turns, return_dict=False)
    start = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(asked, whole, strict=False))))
    cut = whole[:max_length]
    return Example(cut, start, len(cut)) if start < len(cut) else None


# --- What is learned, and what it is measured on -----------------------------------------------------


def held_out_chats(rows: Iterable[dict[str, Any]]) -> dict[str, list[list[Turn]]]:
    """Return the chats to measure on, by kind: held-out rows as evolved, and their seeds where these have an answer."""
    kinds: dict[str, list[list[Turn]]] = {"evolved": [], "seeds": []}
    for row in rows:
        kinds["evolved"].append(chat(row))
        if row["seed_response"]:
            context = [dict(turn) for turn in row.get("context") or ()]
            kinds["seeds"].append([*context, *exchange(row["seed_instruction"], row["seed_response"])])
    return kinds


def without(chats: Iterable[list[Turn]], held_out: Iterable[list[Turn]]) -> list[list[Turn]]:
    """Return the chats whose instruction is none of those held out: a seed set may still hold them."""
    asked = {turns[-2]["content"] for turns in held_out}
    return [turns for turns in chats if turns[-2]["content"] not in asked]


def steps_of(examples: Sequence[Example], steps: int, step_tokens: int, seed: str) -> Iterator[list[Example]]:
    """Yield the examples of every step, with exactly `step_tokens` answer tokens among them; the last one is cut.

    Examples come in an order drawn by `seed`, all of them before one comes again. Raises ValueError without any.
    """
    if not examples:
        raise ValueError("a set without answers cannot be learned")
    drawn, queue = random.Random(seed), []
    for _ in range(steps):
        taken, missing = [], step_tokens
        while missing:
            queue = queue or drawn.sample(examples, len(examples))
            example = queue.pop()
            part = min(example.size, missing)
            taken.append(Example(example.tokens[: example.start + part], example.start, example.start + part))
            missing -= part
        yield taken


# --- The model -----------------------------------------------------------------------------------------


class Learner:
    """A model that is tuned anew on every set: LoRA layers come and go, its own weights stay as they are."""

    def __init__(self, name: str, learning_rate: float) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(name)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.bfloat16 if self._device == "cuda" else torch.float32
        self._model = AutoModelForCausalLM.from_pretrained(name, dtype=dtype).to(self._device).eval()
        self._rate = learning_rate

    @contextmanager
    def tuned(self, steps: Sequence[list[Example]], seed: int) -> Iterator[None]:
        """Learn `steps`, an update each; `losses` and `answers` are those of the tuned model until the context ends."""
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import get_cosine_schedule_with_warmup

        torch.manual_seed(seed)
        model = get_peft_model(self._model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"))
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=self._rate, weight_decay=0)
        schedule = get_cosine_schedule_with_warmup(optimizer, max(1, len(steps) // 20), len(steps))
        model.train()
        for step in steps:
            size = sum(example.size for example in step)
            for example in step:  # one at a time: what counts is the sum over the step
                (self._nats(example) / size).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        model.eval()
        yield
        self._model = model.unload()

    def losses(self, test: Sequence[Example]) -> np.ndarray:
        """Return the loss in nats of each example's answer."""
        import torch

        with torch.no_grad():
            return np.array([self._nats(example).item() for example in test])

    def answers(self, chats: Sequence[list[Turn]], longest: int) -> list[str]:
        """Answer each chat anew, in place of its last turn, always with the likeliest token, `longest` at most."""
        return [self._answer(turns[:-1], longest) for turns in chats]

    def _answer(self, asked: list[Turn], longest: int) -> str:
        prompt = self.tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt")
        prompt = prompt.to(self._device)
        tokens = self._model.generate(**prompt, max_new_tokens=longest, do_sample=False)
        return self.tokenizer.decode(tokens[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True).strip()

    def _nats(self, example: Example) -> Any:
        """Return the loss of an example's answer; LoRA layers are put into the model itself."""
        import torch

        tokens = torch.tensor(example.tokens[: example.end], device=self._device)
        logits = self._model(tokens[None, :-1]).logits[0, example.start - 1 :].float()
        return torch.nn.functional.cross_entropy(logits, tokens[example.start :], reduction="sum")


# --- The comparison ------------------------------------------------------------------------------------


def compare(options: argparse.Namespace) -> None:
    """Tune on every set of `options.sets`, `options.runs` times, and print what came of it."""
    if options.examiner:
        import grading

        grading.check(options.examiner)
    held_out = read_rows([options.heldout])
    if "seed_response" not in held_out.column_names:
        sys.exit(f"error: {options.heldout} holds no rows of the main run: give x.heldout.json, not an export")
    kinds = held_out_chats(held_out)
    unseen = [turns for of_kind in kinds.values() for turns in of_kind]
    learner = Learner(options.model, options.learning_rate)

    def encoded(chats: Iterable[list[Turn]]) -> list[Example]:
        return [found for turns in chats if (found := encode(learner.tokenizer, turns, options.max_length))]

    sets = {name: encoded(without(map(chat, read_rows([name])), unseen)) for name in options.sets}
    for name, examples in sets.items():
        if not examples:
            sys.exit(
                f"error: {name} has no answer within --max-length {options.max_length}: raise it, or look at the file"
            )
    smallest = min(sum(example.size for example in examples) for examples in sets.values())
    steps = options.steps or max(1, 3 * smallest // options.step_tokens)
    for name, examples in sets.items():
        passes = steps * options.step_tokens / sum(example.size for example in examples)
        print(f"{name}: {len(examples)} rows, {passes:.1f} passes in {steps} steps of {options.step_tokens} tokens")

    tests = {kind: encoded(chats) for kind, chats in kinds.items()}
    test = [example for of_kind in tests.values() for example in of_kind]
    measured, answers = {"untuned": [learner.losses(test)], **{name: [] for name in sets}}, {}
    for run in range(options.runs):
        for name, examples in sets.items():
            plan = list(steps_of(examples, steps, options.step_tokens, f"{options.seed + run}"))
            with learner.tuned(plan, options.seed + run):
                measured[name].append(learner.losses(test))
                if options.examiner and not run:
                    answers[name] = learner.answers(kinds["evolved"], options.answer_tokens)

    print(*lines_of(tests, measured, options.sets[0]), sep="\n")
    if options.examiner:
        print(*grading.table(held_out, answers, options.examiner, options.heldout), sep="\n")


def lines_of(tests: dict[str, list[Example]], measured: dict[str, list[np.ndarray]], first: str) -> Iterator[str]:
    """Yield a table for each kind of answers; `measured` are losses by model and run on the examples of all kinds."""
    begin = 0
    for kind, examples in tests.items():
        part, begin = slice(begin, begin + len(examples)), begin + len(examples)
        tokens = np.array([example.size for example in examples])
        yield f"answers to held-out {kind}: {len(examples)} rows, {tokens.sum():.0f} tokens; nats per token [95 %]"
        if examples:
            yield from table({name: np.array(losses)[:, part] for name, losses in measured.items()}, tokens, first)


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument(
        "sets", nargs="+", metavar="SET", help="exports or results; the others are held against the first"
    )
    flags.add_argument("--heldout", required=True, metavar="FILE", help="x.heldout.json of the main run")
    flags.add_argument("--model", required=True, help="name on the Hub, or folder")
    flags.add_argument("--steps", type=int, help="updates per set (three passes over the smallest set)")
    flags.add_argument("--step-tokens", type=int, default=2048, help="answer tokens of an update")
    flags.add_argument("--max-length", type=int, default=2048, help="tokens of a chat; what is longer is cut")
    flags.add_argument("--learning-rate", type=float, default=2e-4)
    flags.add_argument("--runs", type=int, default=1, help="trainings per set, each with another seed")
    flags.add_argument("--seed", type=int, default=42)
    flags.add_argument(
        "--examiner", nargs="+", metavar="KEY=VALUE", help="an llm-config: it grades answers of all models"
    )
    flags.add_argument("--answer-tokens", type=int, default=512, help="longest answer that is graded")
    return flags


if __name__ == "__main__":
    compare(parser().parse_args())
