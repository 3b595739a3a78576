"""docs/flags.md, made of RunConfig: `python -m utils.command.flags_page > docs/flags.md`."""

from collections.abc import Iterator

from utils.command.arguments import default_shown, flag_of, flags_by_group
from utils.config import EXTRA, RunConfig
from utils.llm_config import Key, LLMConfig, marked

HEAD = """# Flags

`sh main.sh --help` says the same. A star marks what does not change what comes out: such a flag may differ when a run
is continued. (This page is made of `RunConfig` in utils/config.py: `python -m utils.command.flags_page`.)
"""
KEYS = """
## Keys of `--evol-llm-config` and `--optim-llm-config`

`key=value` words, or one quoted string of them. A star marks what only says how an endpoint is reached, or what it
costs.
"""
TABLE = "\n| {} | default | |\n|---|---|---|"


def page() -> str:
    """Write the whole page, as Markdown."""
    return "\n".join((HEAD.rstrip(), *_flags(), KEYS.rstrip(), TABLE.format("key"), *_keys())) + "\n"


def _flags() -> Iterator[str]:
    for group, flags in flags_by_group():
        yield f"\n## {group[0].upper()}{group[1:]}"
        yield TABLE.format("flag")
        for name, flag in flags:
            words = f"{flag_of(name)} {flag.metavar}".rstrip()
            yield _line(words, flag.how, default_shown(RunConfig.model_fields[name].default), flag.help)


def _keys() -> Iterator[str]:
    for name, key in marked(LLMConfig, Key).items():
        words = f"{EXTRA}NAME" if name == "extra" else name
        default = LLMConfig.model_fields[name].default
        yield _line(words, key.how, default_shown(default) if default != {} else "", key.help)


def _line(words: str, how: bool, default: str, text: str) -> str:
    star = " \\*" if how else ""
    cells = (f"`{words}`{star}", f"`{default}`" if default else "", text)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    print(page(), end="")
