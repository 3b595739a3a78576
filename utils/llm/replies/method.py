"""The method in a reply of the Optimizer: the block labelled `Optimized Method`."""

import re

from utils.llm.replies.text import fence_in, peel_fence

_METHOD_NAME = r"[#*_\s\[\"']*+optimi[sz]ed[\s_-]*+method\b"
_METHOD_INFO = re.compile(_METHOD_NAME + r"[#*_\s\]\"':]*+$", re.I)
_METHOD_LABEL = re.compile(r"[>\s]*+" + _METHOD_NAME + r"[#*_\s\]\"']*+(?:[:：][*_]*+(?P<rest>.*+))?$", re.I | re.S)


def read_method(reply: str) -> str | None:
    """Read the text of the last block labelled "Optimized Method" in a reply; None where there is none.

    The label stands in the fence's info text, or on a line before a fence or (as a heading) before plain text.
    Fences inside the method belong to it: the block ends at the last fence that can close it.
    """
    lines = reply.split("\n")
    labelled = [n for n, line in enumerate(lines) if (fence := fence_in(line)) and _METHOD_INFO.match(fence[1])]
    headed = [n for n, line in enumerate(lines) if _METHOD_LABEL.match(line)]
    for number in reversed(labelled):
        if method := _block_text(lines[number:]):
            return method
    for number in reversed(headed):
        if method := _text_under_label(lines[number:]):
            return method
    return None


def _text_under_label(lines: list[str]) -> str:
    label = _METHOD_LABEL.match(lines[0])
    rest = (label and label["rest"]) or ""
    following = next((n for n, line in enumerate(lines) if n and line.strip()), None)
    if not rest.strip() and following is not None and fence_in(lines[following]):
        return _block_text(lines[following:])
    return peel_fence("\n".join([rest, *lines[1:]]).strip()).strip()


def _block_text(lines: list[str]) -> str:
    """Return the text of the block that the first line opens, up to the last fence that can be its closing one."""
    opening = fence_in(lines[0])
    assert opening
    end, depth = None, 0
    for number, line in enumerate(lines[1:], start=1):
        fence = fence_in(line)
        if fence is None or not fence[0].startswith(opening[0]):
            continue
        if fence[1]:
            depth += 1
        elif depth:
            depth -= 1
        else:
            end, depth = number, 1  # if there is a later one that fits, this one opened a block inside
    text = "\n".join(lines[1:end]).strip()
    return text if end else text.removesuffix(opening[0]).rstrip()
