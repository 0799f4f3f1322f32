"""What goes into the sandbox and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a program ended."""

    PASSED = "passed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    CRASHED = "crashed"
    DISK_QUOTA = "disk_quota"
    UNPARSABLE = "unparsable"
    UNSPLITTABLE = "unsplittable"
    SANDBOX_BROKE = "sandbox_broke"


@dataclass(frozen=True)
class Limits:
    """What one program (one page, for `run`) may use. Beyond it, it ends, with a status that says so."""

    cpu_seconds: float = 5.0
    """CPU time. HumanEval's references need under 0.2 seconds each."""
    wall_seconds: float = 30.0
    """Backstop for programs that wait. Generous: on a busy machine a tight wall limit fails right programs."""
    memory_bytes: int = 512 << 20
    """Address space of each process; an interpreter with its library takes about 60 MiB of it."""
    disk_bytes: int = 16 << 20
    """Files in the scratch folder, in all."""
    output_bytes: int = 64 << 10
    """Standard output kept of one block, in UTF-8; the rest is dropped."""

    def __post_init__(self) -> None:
        if min(self.cpu_seconds, self.wall_seconds) <= 0 or self.output_bytes < 0:
            raise ValueError("limits must be positive")
        if self.memory_bytes < 128 << 20 or self.disk_bytes < 1 << 20:
            raise ValueError("a program needs at least 128 MiB of memory and 1 MiB of disk")


@dataclass(frozen=True)
class Job:
    """A program, the tests that call it, and the function that they call."""

    code: str
    tests: str
    """`assert` lines that call `entry_point`, or HumanEval's `def check(candidate)`."""
    entry_point: str
    prompt: str = ""
    """The problem's own text. Helpers in it run beside the tests, out of the program's reach; without it, helpers are the program's."""


@dataclass(frozen=True)
class Result:
    """The verdict on one program."""

    status: Status
    detail: str
    """One line: the assertion that failed, the exception, the limit passed. Empty for `passed`."""
    cpu_seconds: float
    """Of the program's process."""
    tier: str
    """Protection that it ran under: A, B, C, or E (none)."""
    kernel: str
    """Release of the kernel that kept it in."""
    landlock_abi: int
    """Version of the kernel's Landlock; 0 where the tier has none."""
    alone: bool = True
    """Whether it ran in processes of its own. In screening, programs that pass share theirs; CPU seconds are then their batch's mean."""


@dataclass(frozen=True)
class BlockResult:
    """What one block of a page did."""

    status: Status
    stdout: str
    error: str
    """The exception with the block's line, or the limit passed. Empty for `passed`."""
    tier: str
