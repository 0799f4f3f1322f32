"""The trusted side: runs the tests against a program in another process, and gives the verdict through a pipe of its own.

The tests are `assert` lines that call the entry point, or HumanEval's `def check(candidate)`. Names that the tests use and nobody defines
become stand-ins for the program's. Helpers that come with the problem's prompt run here, so that a program cannot redefine them.
A verdict of `passed` needs the tests to reach their end and to have called the program at least once.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import os
import symtable
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from .codec import CodecError, decode
from .peer import Gone, Peer, Remote, Unsplittable, describe, receive_frame
from .program import Freshness, read_whole

# The zygote knows a verdict by its place here.
VERDICTS = (
    "passed",
    "failed",
    "timed_out",
    "out_of_memory",
    "crashed",
    "disk_quota",
    "unparsable",
    "unsplittable",
    "gone",
)
DETAIL_CAP_BYTES = 3000  # below the smallest pipe, so that writing it never waits

_FILE = "<tests>"
_BUILTIN_NAMES = frozenset(dir(builtins))
_LOADING_STATUSES = ("failed", "unparsable", "out_of_memory", "disk_quota")


def judge(tests_fd: int, read_fd: int, write_fd: int, verdict_fd: int, detail_fd: int) -> None:
    """Read the tests, run them, send one verdict: a byte to the zygote, the words to the evaluating process.

    The words quote the tests: the zygote must not see them, or it would hand them to every later program in its memory.
    """
    status, detail = verdict_on(decode(read_whole(tests_fd)), read_fd, write_fd)
    try:
        os.write(detail_fd, detail.encode("utf-8", "replace")[:DETAIL_CAP_BYTES])
        os.write(verdict_fd, bytes([VERDICTS.index(status)]))
    except OSError:
        return  # the tests closed the pipe: no verdict is then what they get


def verdict_on(message: tuple[str, str, str], read_fd: int, write_fd: int) -> tuple[str, str]:
    """Status and words on the program at the other end of the pipes; the message holds tests, entry point and prompt."""
    peer = Peer(read_fd, write_fd, trusting=False)
    return _verdict(peer, lambda: decode(receive_frame(read_fd)), *message)


def judge_many(tests_fd: int, read_fd: int, write_fd: int, verdict_fd: int) -> None:
    """Judge many programs in turn, a byte for each. No words: whatever does not pass here is run again alone."""
    peer = Peer(read_fd, write_fd, trusting=False)
    fresh = Freshness("")
    for number, (tests, entry_point, prompt) in enumerate(decode(read_whole(tests_fd))):
        peer.forget()
        fresh.restore()
        status, _ = _verdict(peer, partial(peer.request, "load", 0, number), tests, entry_point, prompt)
        try:
            os.write(verdict_fd, bytes([VERDICTS.index(status)]))
        except OSError:
            return
        if status in ("gone", "crashed"):  # the conversation is over
            return


def _verdict(peer: Peer, load: Callable[[], Any], tests: str, entry_point: str, prompt: str) -> tuple[str, str]:
    try:
        status, detail = _loaded(load())
        if status:
            return status, detail
        compiled = compile(tests, _FILE, "exec", dont_inherit=True, optimize=0)
        table = symtable.symtable(tests, _FILE, "exec")
        namespace = _namespace(peer, table, entry_point, prompt)
        exec(compiled, namespace)
        if _wants_candidate(table, tests):
            namespace["check"](namespace[entry_point])
    except Gone:
        return "gone", "the program ended before it answered"
    except CodecError as error:
        return "crashed", f"the program broke the channel: {error}"
    except Unsplittable as error:
        return "unsplittable", str(error)
    except _Missing as error:
        return "failed", str(error)
    except BaseException as error:  # noqa: BLE001 - a test that fails may raise anything
        return _failure(error, tests)
    if not peer.calls:
        return "failed", "the tests never called the program"
    return "passed", ""


class _Missing(Exception):
    """The program does not define the entry point."""


def _loaded(message: Any) -> tuple[str, str]:
    """How the program's own text ran: an empty status where it did."""
    if type(message) is not tuple or len(message) != 2 or not all(type(part) is str for part in message):
        raise CodecError("a malformed message")
    status, detail = message
    if status == "loaded":
        return "", ""
    if status not in _LOADING_STATUSES:
        raise CodecError("a malformed message")
    return status, detail[:500]


def _namespace(peer: Peer, table: symtable.SymbolTable, entry_point: str, prompt: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "tests", "__builtins__": builtins}
    if prompt:
        exec(_helpers(prompt, entry_point), namespace)
    wanted = [name for name in _free_names(table) if name not in namespace and name not in (entry_point, "candidate")]
    answer = peer.request("names", 0, [entry_point, *wanted])
    if type(answer) is not tuple or len(answer) != 2 or type(answer[0]) is not dict or type(answer[1]) is not list:
        raise CodecError("a malformed message")
    found, modules = answer
    entry = found.get(entry_point)
    if not callable(entry):
        raise _Missing(f"the program does not define {entry_point}")
    if (
        type(entry) is not Remote
    ):  # a builtin under another name: it crossed as itself, and calling it is calling the program
        peer.calls += 1
    namespace |= {name: found[name] for name in wanted if name in found}
    for name in wanted:
        if name in modules and name in sys.stdlib_module_names:
            namespace[name] = importlib.import_module(name)
    namespace[entry_point] = namespace["candidate"] = found[entry_point]
    return namespace


def _helpers(prompt: str, entry_point: str) -> Any:
    """The prompt's imports, helper functions, classes and constants: all but the entry point."""
    try:
        body = ast.parse(prompt).body
    except SyntaxError:
        body = []
    kept: list[ast.stmt] = [
        node
        for node in body
        if isinstance(node, ast.Import | ast.ImportFrom | ast.ClassDef | ast.Assign | ast.AnnAssign)
        or (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != entry_point)
    ]
    return compile(ast.Module(kept, []), "<prompt>", "exec", dont_inherit=True, optimize=0)


def _free_names(table: symtable.SymbolTable) -> list[str]:
    """Names that the tests read as globals and give no meaning to. Builtins keep theirs."""
    read: set[str] = set()
    given: set[str] = set()
    waiting = [table]
    while waiting:
        scope = waiting.pop()
        waiting += scope.get_children()
        whole = scope is table
        for symbol in scope.get_symbols():
            if whole or symbol.is_global():
                if symbol.is_referenced():
                    read.add(symbol.get_name())
                if symbol.is_assigned() or symbol.is_imported():
                    given.add(symbol.get_name())
    return sorted(read - given - _BUILTIN_NAMES)


def _wants_candidate(table: symtable.SymbolTable, tests: str) -> bool:
    """HumanEval's form: `check(candidate)` is defined and not called."""
    defined = any(
        isinstance(scope, symtable.Function) and scope.get_name() == "check" and scope.get_parameters()
        for scope in table.get_children()
    )
    if not defined or not table.lookup("check").is_referenced():
        return defined
    return not any(
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and getattr(node.value.func, "id", "") == "check"
        for node in ast.parse(tests).body
    )


def _failure(error: BaseException, tests: str) -> tuple[str, str]:
    remote = getattr(error, "from_candidate", False)
    status = "failed"
    if isinstance(error, MemoryError):
        status = "out_of_memory"
    elif remote and getattr(error, "out_of_space", False):
        status = "disk_quota"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _FILE]
    source = tests.splitlines()[lines[-1] - 1].strip()[:300] if lines and lines[-1] else ""
    told = describe(error)
    return status, f"{told} at: {source}" if source else told
