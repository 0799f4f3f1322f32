"""The product's nouns, each with its Arrow schema: what flows between stages.

Rows are keyed by the hash of their content, never by position: order, file names and generated ids are not stable across engines.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa

END_OF_TEXT = "<|endoftext|>"
"""The token between two files (paper §2.3)."""

SENTINELS = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
"""The tokens of fill-in-the-middle, in a vocabulary only where that is on (not in the paper)."""

DOCUMENT = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("source", pa.string()),
        ("licence", pa.string()),
        ("path", pa.string()),
        ("quality", pa.float64()),
    ]
)
"""A file of code or prose. `quality`: probability of high educational value, null until `curate` has judged it."""

GRADE = pa.schema(
    [
        ("document_id", pa.string()),
        ("score", pa.float64()),
        ("reason", pa.string()),
        ("prompt_id", pa.string()),
        ("teacher", pa.string()),
        ("dollars", pa.float64()),
    ]
)
"""A teacher's judgement of one document, 0 to 5 (paper §2.1)."""

PAGE = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("topic", pa.string()),
        ("audience", pa.string()),
        ("words", pa.list_(pa.string())),
        ("writer", pa.string()),
    ]
)
"""A textbook section: prose interleaved with code (paper §2.2)."""

EXERCISE = pa.schema(
    [
        ("id", pa.string()),
        ("prompt", pa.string()),
        ("solution", pa.string()),
        ("tests", pa.string()),
        ("entry_point", pa.string()),
        ("topic", pa.string()),
        ("family", pa.string()),
        ("writer", pa.string()),
        ("split", pa.string()),
        ("verified", pa.bool_()),
    ]
)
"""A function to complete: `prompt + solution` is a program, `tests` are assert lines on it (paper §2.2)."""

REJECTED = pa.schema(
    [
        ("id", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("text", pa.string()),
        ("source", pa.string()),
    ]
)
"""A row that a stage did not keep, and why."""

COMPLETION = pa.schema(
    [
        ("model", pa.string()),
        ("benchmark", pa.string()),
        ("task_id", pa.string()),
        ("sample", pa.int32()),
        ("prompt", pa.string()),
        ("raw", pa.string()),
        ("extracted", pa.string()),
        ("stop_reason", pa.string()),
        ("verdict", pa.string()),
        ("detail", pa.string()),
    ]
)
"""What a model wrote for a problem, raw and extracted, with the sandbox's verdict."""


class Verdict(StrEnum):
    """How a completion fared; each kind of failure is its own verdict."""

    PASSED = "passed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out_of_memory"
    UNPARSABLE = "unparsable"
    UNSPLITTABLE = "unsplittable"
    SANDBOX_BROKE = "sandbox_broke"


@dataclass(frozen=True)
class Problem:
    """One question of a benchmark. `prompt + reference` is a program; `tests` call `entry_point` or define `check(candidate)`."""

    benchmark: str
    task_id: str
    prompt: str
    entry_point: str
    reference: str
    tests: str
    family: str = ""


_LONG_TEXT = 2_000
"""Characters from which an array is quicker than a search."""
_SPACE, _NEWLINE = b" \n"


def document_id(text: str) -> str:
    """32 hexadecimal digits of SHA-256 over the text, blind to newline style and trailing white space."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if _has_trailing_space(text):
        text = "\n".join(line.rstrip(" \t") for line in text.split("\n"))
    if not text.endswith("\n") or text.endswith("\n\n"):
        text = text.rstrip("\n") + "\n"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _has_trailing_space(text: str) -> bool:
    if text.endswith((" ", "\t")) or ("\t" in text and "\t\n" in text):
        return True
    if len(text) < _LONG_TEXT or not text.isascii():
        return " \n" in text
    bytes_n = np.frombuffer(text.encode("ascii"), np.uint8)  # five times as fast as looking for two characters
    return bool(((bytes_n[:-1] == _SPACE) & (bytes_n[1:] == _NEWLINE)).any())
