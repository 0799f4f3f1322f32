"""A conversation over two pipes: calls by value, functions and objects by reference.

The judge asks, the candidate answers. A function that the tests pass as an argument stays with the judge, and the candidate calls back; an
object or generator that the candidate returns stays with the candidate, and the judge holds a `Remote`: it can be called, iterated,
indexed, asked for attributes and given them, and it is equal to nothing.

Trade-off: arguments go by value, so a function that only changes its argument in place cannot be tested this way.
"""

from __future__ import annotations

import builtins
import errno
import os
import struct
from collections.abc import Callable, Iterator
from typing import Any

from .codec import MESSAGE_CAP_BYTES, CodecError, Ref, decode, encode

_SPACE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Exceptions that would steer the tests instead of failing them arrive as RemoteError.
_STEERING = (StopIteration, StopAsyncIteration, GeneratorExit, SystemExit, KeyboardInterrupt)
_WALKING = ("iterate", "next")


class Gone(Exception):
    """The other side closed the channel or died."""


class Unsplittable(BaseException):
    """The tests pass something that cannot leave their process. Not an Exception: tests must not catch it."""


class RemoteError(Exception):
    """An exception of the candidate that has no builtin type to arrive as."""


def read_exactly(descriptor: int, num_bytes: int) -> bytes:
    """Bytes of a pipe, waiting for all of them.

    Raises:
        Gone: the pipe ended before.
    """
    parts = []
    while num_bytes:
        part = os.read(descriptor, min(num_bytes, 1 << 20))
        if not part:
            raise Gone("the channel was closed")
        parts.append(part)
        num_bytes -= len(part)
    return b"".join(parts)


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything to a pipe."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def send_frame(descriptor: int, message: bytes) -> None:
    """One message behind its length."""
    write_all(descriptor, struct.pack("<I", len(message)) + message)


def receive_frame(descriptor: int) -> bytes:
    """One message.

    Raises:
        Gone: the channel ended.
        CodecError: a length beyond the cap.
    """
    (num_bytes,) = struct.unpack("<I", read_exactly(descriptor, 4))
    if num_bytes > MESSAGE_CAP_BYTES:
        raise CodecError("a message larger than 16 MiB")
    return read_exactly(descriptor, num_bytes)


class Peer:
    """One end of the conversation. `trusting`: whether the other side may do more with our objects than call them."""

    def __init__(self, read_fd: int, write_fd: int, *, trusting: bool) -> None:
        self.read_fd, self.write_fd, self.trusting = read_fd, write_fd, trusting
        self.exported: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.calls = 0
        self.own: dict[str, Callable[..., Any]] = {}
        """What this side does itself when asked, beside what it does with its objects."""

    def request(self, operation: str, ref: int, *operands: Any) -> Any:
        """Ask the other side to do something with its object, serving its own requests meanwhile.

        Raises:
            Gone, CodecError: the other side broke the conversation.
            Exception: what the operation raised there.
        """
        self.calls += operation == "call"
        self._send(("ask", operation, ref, operands))
        while True:
            message = self._receive()
            if message[0] == "ask":
                self._answer(message)
            elif message[0] == "value":
                return message[1]
            elif message[0] == "end" and operation == "next":
                raise StopIteration
            else:
                raise _revived(message)

    def forget(self) -> None:
        """Begin anew: the next program's objects and calls are counted from nothing."""
        self.exported.clear()
        self.numbers.clear()
        self.calls = 0

    def serve(self) -> None:
        """Answer until the other side closes."""
        while True:
            try:
                message = self._receive()
            except Gone:
                return
            self._answer(message)

    def _answer(self, message: Any) -> None:
        _, operation, ref, operands = message
        try:
            reply = self._bytes(("value", self._perform(operation, ref, operands)))
        except StopIteration as error:
            reply = self._bytes(("end",) if operation == "next" else _told(error))
        except Unsplittable:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever the program raises is its answer
            reply = self._bytes(_told(error))
        send_frame(self.write_fd, reply)

    def _perform(self, operation: str, ref: int, operands: Any) -> Any:
        if operation in self.own:
            return self.own[operation](*operands)
        value = self.exported[ref]
        if not self.trusting and not (operation == "call" or (operation in _WALKING and isinstance(value, Iterator))):
            raise CodecError("this side's objects can only be called or iterated")
        return _OPERATIONS[operation](value, *operands)

    def _send(self, message: Any) -> None:
        try:
            data = self._bytes(message)
        except CodecError as error:
            raise Unsplittable(str(error)) from None
        try:
            send_frame(self.write_fd, data)
        except BrokenPipeError:
            raise Gone("the channel was closed") from None

    def _bytes(self, message: Any) -> bytes:
        return encode(message, self._export)

    def _receive(self) -> Any:
        message = decode(receive_frame(self.read_fd), self._resolve)
        if type(message) is not tuple or not message or message[0] not in _SHAPES:
            raise CodecError("a message of an unknown kind")
        shape = _SHAPES[message[0]]
        if len(message) != len(shape) or not all(
            isinstance(part, kind) for part, kind in zip(message, shape, strict=True)
        ):
            raise CodecError("a malformed message")
        return message

    def _export(self, value: Any) -> Ref:
        if type(value) is Remote:
            return Ref(value._ref, True, value._truth)
        if not self.trusting and not callable(value) and not isinstance(value, Iterator):
            raise Unsplittable(f"the tests pass a {type(value).__name__}, which cannot cross to the program")
        known = self.numbers.get(id(value))
        if known is None:
            known = self.numbers[id(value)] = len(self.exported)
            self.exported.append(value)  # held, so that its id stays its own
        return Ref(known, False, _truth(value))

    def _resolve(self, ref: Ref) -> Any:
        if not ref.home:
            return Remote(self, ref.number, ref.truth)
        if ref.number >= len(self.exported):
            raise CodecError("a reference to nothing")
        return self.exported[ref.number]


class Remote:
    """An object of the other side. Equal to nothing."""

    __slots__ = ("_peer", "_ref", "_truth")

    def __init__(self, peer: Peer, ref: int, truth: bool) -> None:
        for name, value in (("_peer", peer), ("_ref", ref), ("_truth", truth)):
            object.__setattr__(self, name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._peer.request("call", self._ref, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._peer.request("attribute", self._ref, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._peer.request("set", self._ref, name, value)

    def __iter__(self) -> Any:
        return self._peer.request("iterate", self._ref)

    def __next__(self) -> Any:
        return self._peer.request("next", self._ref)

    def __len__(self) -> int:
        return int(self._peer.request("length", self._ref))

    def __getitem__(self, key: Any) -> Any:
        return self._peer.request("item", self._ref, key)

    def __contains__(self, item: Any) -> bool:
        return bool(self._peer.request("contains", self._ref, item))

    def __str__(self) -> str:
        return str(self._peer.request("text", self._ref))

    def __repr__(self) -> str:
        return str(self._peer.request("representation", self._ref))

    def __bool__(self) -> bool:
        if self._peer.trusting:  # the judge's objects answer no more than calls
            return self._truth
        return bool(self._peer.request("truth", self._ref))

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return self._ref


def _truth(value: Any) -> bool:
    try:
        return bool(value)
    except Exception:  # noqa: BLE001 - an object without a truth value is not true
        return False


def _next(value: Any) -> Any:
    return next(value)


def _iterated(value: Any) -> Any:
    return value if isinstance(value, Iterator) else _Walk(iter(value))


class _Walk:
    """An iterator that stays on its side even where its type would cross as data."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        self.iterator = iterator

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self.iterator)


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": lambda function, args, kwargs: function(*args, **kwargs),
    "attribute": getattr,
    "set": setattr,
    "iterate": _iterated,
    "next": _next,
    "length": len,
    "item": lambda value, key: value[key],
    "contains": lambda value, item: bool(item in value),
    "text": str,
    "truth": bool,
    "representation": repr,
}
_SHAPES: dict[Any, tuple[Any, ...]] = {
    "ask": (str, str, int, tuple),
    "value": (str, object),
    "end": (str,),
    "raised": (str, str, str, bool),
}


def describe(error: BaseException, cap_characters: int = 500) -> str:
    """Type and message of an exception on one line, whatever its `__str__` does."""
    try:
        message = str(error)
    except BaseException:  # noqa: BLE001 - a hostile __str__
        message = "(its text cannot be read)"
    name = type(error).__name__
    return f"{name}: {message}"[:cap_characters] if message else name


def _told(error: BaseException) -> tuple[str, str, str, bool]:
    space = isinstance(error, OSError) and error.errno in _SPACE_ERRORS
    try:
        message = str(error)[:2000]
    except BaseException:  # noqa: BLE001 - a hostile __str__
        message = "(its text cannot be read)"
    return ("raised", str(type(error).__name__)[:200], message, bool(space))


def _revived(message: tuple[str, str, str, bool]) -> Exception:
    """The exception that the candidate raised, as a builtin of the same name, marked as the candidate's."""
    _, name, text, space = message
    kind = getattr(builtins, name, None)
    revived: Exception
    if (
        isinstance(kind, type)
        and issubclass(kind, Exception)
        and not issubclass(kind, (*_STEERING, UnicodeError, BaseExceptionGroup))
    ):
        revived = kind(text)
    else:
        revived = RemoteError(f"{name}: {text}")
    revived.from_candidate = True  # type: ignore[attr-defined]
    revived.out_of_space = space  # type: ignore[attr-defined]
    return revived
