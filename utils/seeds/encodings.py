"""How the text of a file is encoded: by its first bytes, as `--encoding` says, else UTF-8; a wrong one is named."""

import codecs
import io
import unicodedata
from typing import BinaryIO, TextIO

from utils.errors import DataError
from utils.seeds.conventions import BOMS, ENCODINGS

SAMPLE = 1 << 16  # bytes from which an encoding is guessed


def encoding_of(head: bytes, given: str | None) -> str:
    """Return the encoding of a text that begins with `head`: that of its byte order mark, else `given`, else UTF-8.

    Raises UnicodeDecodeError where, without either, so many bytes are zero that it must be UTF-16.
    """
    if given is None and not head.startswith(tuple(mark for mark, _ in BOMS)) and head.count(0) > len(head) // 4:
        raise UnicodeDecodeError("utf-8", head, 0, 1, "zero bytes")
    return next((name for mark, name in BOMS if head.startswith(mark)), given or "utf-8")


def head_of(stream: BinaryIO) -> bytes:
    """Return the first bytes of a stream, at most 64, without taking them from it."""
    head: bytes = stream.peek(64)  # type: ignore[attr-defined]  # of a buffered reader
    return head[:64]


def decoded(stream: BinaryIO, encoding: str | None, newline: str | None = None, errors: str = "strict") -> TextIO:
    """Return a stream of bytes, not yet read, as a stream of text in the encoding that `encoding_of` tells."""
    return io.TextIOWrapper(stream, encoding_of(head_of(stream), encoding), errors, newline)


def wrong_encoding(where: str, exc: UnicodeError, given: str | None) -> DataError:
    """Return the error for a text, at `where`, that is not in its encoding; it names one to try if it can guess one."""
    if given:
        return DataError(f"{where} is not {given}: leave out --encoding, or give it another one")
    if isinstance(exc, UnicodeDecodeError) and exc.encoding.startswith("utf-16"):  # then its byte order mark says so
        return DataError(f"{where} is damaged or cut off: it begins as UTF-16 and goes on as none; get it again")
    guess = guessed(exc.object) if isinstance(exc, UnicodeDecodeError) else None
    if guess:
        return DataError(f"{where} is not UTF-8; it reads as {guess}: add --encoding {guess}, or save it as UTF-8")
    return DataError(f"{where} is not UTF-8: save it as UTF-8, or name its encoding with --encoding (cp949, utf-16 …)")


def guessed(data: bytes) -> str | None:
    """Guess the encoding of a text that is not UTF-8; None where none fits."""
    sample = bytes(data[:SAMPLE])
    zeros = [sample[start::2].count(0) for start in (0, 1)]
    if max(zeros) > len(sample) // 8:
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    return next((name for name, script in ENCODINGS if _fits(sample, name, script)), None)


def _fits(sample: bytes, encoding: str, script: str) -> bool:
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample)  # it may end within a character
    except UnicodeDecodeError:
        return False
    foreign = [char for char in text if not char.isascii() and char.isalpha()]
    return sum(script in unicodedata.name(char, "") for char in foreign) > len(foreign) / 2
