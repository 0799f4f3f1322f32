"""From bytes to text, or to the reason why not: encodings by PEP 263, byte-order marks, newlines spelt one way."""

from __future__ import annotations

import codecs
import io
import tokenize
from typing import NamedTuple


class Decoded(NamedTuple):
    """Text, or an empty text with a reason and its detail."""

    text: str
    reason: str = ""
    detail: str = ""


def decode_python(data: bytes) -> Decoded:
    """Text of a Python file. Reasons: `unknown_encoding`, `not_utf8` (or not the encoding it declares), `nul_bytes`."""
    if b"\0" in data:
        return Decoded("", "nul_bytes", f"first at byte {data.index(0)}")
    try:
        encoding = _declared(data)
    except SyntaxError as error:
        known = "unknown encoding" in str(error)
        return Decoded("", "unknown_encoding" if known else "not_utf8", str(error))
    return _decode(data, encoding)


def _declared(data: bytes) -> str:
    """The encoding that a file's first two lines declare; two lines of ASCII that do not speak of one are in UTF-8, as the rest then is."""
    head = data[: 1 + data.find(b"\n", 1 + data.find(b"\n"))]
    if head and head.isascii() and b"coding" not in head:
        return "utf-8"
    return tokenize.detect_encoding(io.BytesIO(data).readline)[0]


def decode_prose(data: bytes) -> Decoded:
    """Text of any other file, which must be UTF-8. Reasons: `not_utf8`, `nul_bytes`."""
    if b"\0" in data:
        return Decoded("", "nul_bytes", f"first at byte {data.index(0)}")
    return _decode(data.removeprefix(codecs.BOM_UTF8), "utf-8")


def settle(text: str) -> Decoded:
    """Text that came as text, newlines spelt one way. Reasons: `not_utf8` (half of a pair of code points), `nul_bytes`."""
    if "\0" in text:
        return Decoded("", "nul_bytes", f"first at character {text.index(chr(0))}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return Decoded("", "not_utf8", f"half of a pair of code points at character {error.start}")
    return Decoded(_one_newline(text.removeprefix("\ufeff")))


def _decode(data: bytes, encoding: str) -> Decoded:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        return Decoded("", "not_utf8", f"not {error.encoding} at byte {error.start}")
    return Decoded(_one_newline(text))


def _one_newline(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
