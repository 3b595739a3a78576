"""Tune a model on what the main program wrote, with TRL: LoRA by default, loss on the answers alone.

    python examples/finetune/sft.py evolution_result.messages.json --model Qwen/Qwen3-0.6B --output adapter

The file is an export (messages, sharegpt, alpaca) or a result as it is; the model a name of the Hub or a folder. A chat
is written with the model's own template, which also decides what becomes of `reasoning_content`.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Turn = dict[str, str]
ROLES = {"system": "system", "human": "user", "gpt": "assistant"}  # of sharegpt


def chat(row: Mapping[str, Any]) -> list[Turn]:
    """Return the turns of a row in any shape that the main program writes, the last one the answer to learn."""
    if "messages" in row:  # null fields come of columns that only some turns have
        return [{name: text for name, text in turn.items() if text is not None} for turn in row["messages"]]
    if "conversations" in row:
        return [{"role": ROLES[turn["from"]], "content": turn["value"]} for turn in row["conversations"]]
    if "output" in row:
        system = [{"role": "system", "content": row["system"]}] if row.get("system") else []
        return [*system, *exchange(row["instruction"], row["output"])]
    return [*map(dict, row.get("context") or ()), *exchange(row["instruction"], row["response"], row.get("reasoning"))]


def exchange(instruction: str, answer: str, reasoning: str | None = None) -> list[Turn]:
    """Return an instruction and its answer as two turns, with the thoughts before the answer where there are any."""
    thoughts = {"reasoning_content": reasoning} if reasoning else {}
    return [{"role": "user", "content": instruction}, {"role": "assistant", "content": answer, **thoughts}]


def prompt_and_completion(row: Mapping[str, Any]) -> dict[str, list[Turn]]:
    """Return a row as TRL's conversational prompt-completion type, of which it learns the completion alone."""
    turns = chat(row)
    return {"prompt": turns[:-1], "completion": turns[-1:]}


def read_rows(files: Sequence[str]) -> Any:
    """Read `.json`, `.jsonl` or `.parquet` files of one shape as a `datasets.Dataset`; end where one is missing."""
    from datasets import load_dataset

    if missing := [file for file in files if not Path(file).exists()]:
        sys.exit(f"error: no file {missing[0]}: name what --export or --save-path of the main run has written")
    kind = "parquet" if files[0].endswith(".parquet") else "json"
    return load_dataset(kind, data_files=list(files), split="train")


def train(options: argparse.Namespace) -> None:
    """Tune `options.model` on `options.files`, and save the adapter (with `--full` the model) to `options.output`."""
    import torch
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    rows = read_rows(options.files)
    on_gpu = torch.cuda.is_available()
    trainer = SFTTrainer(
        model=options.model,
        train_dataset=rows.map(prompt_and_completion, remove_columns=rows.column_names),
        peft_config=None if options.full else LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"),
        args=SFTConfig(
            output_dir=options.output,
            max_length=options.max_length,
            num_train_epochs=options.epochs,
            max_steps=options.max_steps,
            per_device_train_batch_size=options.batch_size,
            gradient_accumulation_steps=options.accumulate,
            learning_rate=options.learning_rate or (1e-5 if options.full else 2e-4),
            lr_scheduler_type="cosine",
            warmup_steps=5,
            activation_checkpointing=on_gpu,  # time for memory, which a CPU has
            bf16=on_gpu,
            seed=options.seed,
            logging_steps=5,
            save_strategy="no",
            report_to="none",
        ),
    )
    trainer.train()
    trainer.save_model(options.output)


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("files", nargs="+", metavar="FILE", help=".json, .jsonl or .parquet, all of one shape")
    flags.add_argument("--model", required=True, help="name on the Hub, or folder")
    flags.add_argument("--output", required=True, help="folder for the adapter")
    flags.add_argument("--full", action="store_true", help="tune all weights instead of a LoRA adapter")
    flags.add_argument("--max-length", type=int, default=2048, help="tokens of a chat; what is longer is cut")
    flags.add_argument("--epochs", type=float, default=3)
    flags.add_argument("--max-steps", type=int, default=-1, help="end after so many steps, whatever the epochs")
    flags.add_argument("--batch-size", type=int, default=2, help="chats at once")
    flags.add_argument("--accumulate", type=int, default=8, help="batches of a step")
    flags.add_argument("--learning-rate", type=float, help="2e-4 for LoRA, 1e-5 for all weights")
    flags.add_argument("--seed", type=int, default=42)
    return flags


if __name__ == "__main__":
    train(parser().parse_args())
