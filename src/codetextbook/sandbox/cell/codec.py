"""The wire format between processes that do not trust each other: length-free tagged plain data, decoded strictly.

Why not pickle or JSON: unpickling runs code, and JSON loses tuples, sets, bytes and the keys of dictionaries, which tests compare. A value
crosses as one tag byte and its content. Subclasses are flattened through methods of their base class, so that an overridden `__eq__`
stays behind. What is not plain data crosses as a reference, if the caller's `export` allows it.

Limits: 16 MiB a message, 100 levels of nesting. Both are faults of the message (CodecError), never of the reader.
"""

from __future__ import annotations

import builtins
import datetime
import struct
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

MESSAGE_CAP_BYTES = 16 << 20
_COUNT = struct.Struct("<I")
_FLOAT = struct.Struct("<d")
DEPTH_CAP = 100
PACKED_ITEMS, PIECE_ITEMS = 8, 1024
"""Lists and tuples of so many numbers or more cross as one block, their types as letters before it."""

# Builtins that both sides have and that keep no state: they cross by name.
_SHARED_TEXT = (
    "abs all any ascii bin bool bytearray bytes chr complex dict divmod enumerate filter float format frozenset hash hex int "
    "isinstance issubclass iter len list map max min next object oct ord pow range repr reversed round set slice sorted str sum "
    "tuple type zip ArithmeticError AssertionError AttributeError Exception IndexError KeyError LookupError NotImplementedError "
    "OverflowError RuntimeError StopIteration TypeError ValueError ZeroDivisionError"
)
_SHARED = {name: getattr(builtins, name) for name in _SHARED_TEXT.split()}
_SHARED_NAME_OF = {id(value): name for name, value in _SHARED.items()}

_EMPTY: dict[Any, Any] = {}
_KEYS, _VALUES, _ITEMS = type(_EMPTY.keys()), type(_EMPTY.values()), type(_EMPTY.items())


class CodecError(ValueError):
    """The value cannot cross, or the bytes are no message."""


class Ref(NamedTuple):
    """An object that stays where it is. `home`: it lives with the receiver. `truth`: what bool() of it says."""

    number: int
    home: bool
    truth: bool


def _no_export(value: Any) -> Ref:
    raise CodecError(f"{type(value).__name__} is not plain data")


def _no_resolve(ref: Ref) -> Any:
    raise CodecError("an unexpected reference")


def encode(value: Any, export: Callable[[Any], Ref] = _no_export) -> bytes:
    """The bytes of a value.

    Raises:
        CodecError: too large, nested too deep, or holding what `export` refuses.
    """
    return _Encoder(export).message(value)


def decode(data: bytes, resolve: Callable[[Ref], Any] = _no_resolve) -> Any:
    """The value of the bytes; exactly one, nothing after it.

    Only for a process that may be kept busy: dictionaries of colliding keys take quadratic time. Others use `decode_texts`.

    Raises:
        CodecError: the bytes are not one whole message.
    """
    reader = _Reader(data, resolve)
    try:
        value = reader.value(0)
    except (struct.error, IndexError, TypeError, ValueError, OverflowError, ArithmeticError) as error:
        raise CodecError(f"malformed message: {error}") from None
    if reader.at != len(data):
        raise CodecError("bytes after the message")
    return value


def decode_texts(data: bytes, count: int, cap_characters: int) -> tuple[str, ...]:
    """A tuple of that many texts, each cut to the cap, in linear time: what trusted processes read of untrusted ones.

    Raises:
        CodecError: the bytes are anything else.
    """
    reader = _Reader(data, _no_resolve)
    if reader.take(5) != b"t" + struct.pack("<I", count):
        raise CodecError("not the texts that were expected")
    texts = []
    for _ in range(count):
        if reader.take(1) != b"s":
            raise CodecError("not a text")
        texts.append(reader.take(reader.count()).decode("utf-8", "replace")[:cap_characters])
    return tuple(texts)


class _Encoder:
    def __init__(self, export: Callable[[Any], Ref]) -> None:
        self.export, self.parts, self.num_bytes = export, [], 0  # type: tuple[Callable[[Any], Ref], list[bytes], int]

    def message(self, value: Any) -> bytes:
        self.value(value, 0)
        return b"".join(self.parts)

    def put(self, part: bytes) -> None:
        self.num_bytes += len(part)
        if self.num_bytes > MESSAGE_CAP_BYTES:
            raise CodecError("the value is larger than 16 MiB")
        self.parts.append(part)

    def sized(self, tag: bytes, content: bytes) -> None:
        if len(content) > MESSAGE_CAP_BYTES:
            raise CodecError("the value is larger than 16 MiB")
        self.put(tag + _COUNT.pack(len(content)) + content)

    def items(self, tag: bytes, items: Iterable[Any], depth: int) -> None:
        held = list(items)
        self.put(tag + _COUNT.pack(len(held)))
        for item in held:
            self.value(item, depth + 1)

    def row(self, tag: bytes, items: Sequence[Any], depth: int) -> None:
        """A list or a tuple: as a block where it holds nothing but numbers that fit into 8 bytes each."""
        kinds = set(map(type, items)) if len(items) >= PACKED_ITEMS else set()
        if not kinds or not kinds <= _LETTER_OF.keys():
            self.items(tag, items, depth)
            return
        letters = "".join(map(_LETTER_OF.__getitem__, map(type, items)))
        try:
            block = b"".join(struct.Struct("<" + letters[at]).pack(*items[at]) for at in _pieces(len(items)))
        except struct.error:  # an integer of more than 8 bytes
            self.items(tag, items, depth)
            return
        self.sized(b"P" + tag, letters.encode())
        self.sized(b"", block)

    def pairs(self, tag: bytes, pairs: Iterable[tuple[Any, Any]], depth: int) -> None:
        held = list(pairs)
        self.put(tag + _COUNT.pack(len(held)))
        for key, value in held:
            self.value(key, depth + 1)
            self.value(value, depth + 1)

    def value(self, value: Any, depth: int) -> None:
        if depth > DEPTH_CAP:
            raise CodecError("the value is nested more than 100 levels deep")
        kind = type(value)  # isinstance() would believe a forged __class__
        write = _PLAIN.get(kind)
        if write is not None:
            write(self, value, depth)
        elif value is None:
            self.put(b"N")
        elif value is Ellipsis:
            self.put(b".")
        elif not self.scalar(value, kind) and not self.container(value, kind, depth):
            self.other(value, kind, depth)

    def scalar(self, value: Any, kind: type) -> bool:
        if issubclass(kind, int):
            self.sized(b"i", int.to_bytes(value, int.bit_length(value) // 8 + 1, "little", signed=True))
        elif issubclass(kind, float):
            self.put(b"f" + _FLOAT.pack(float.__float__(value)))
        elif issubclass(kind, str):
            self.sized(b"s", str.encode(value, "utf-8", "surrogatepass"))
        elif issubclass(kind, bytes):
            self.sized(b"b", bytes.__getitem__(value, slice(None)))
        elif issubclass(kind, bytearray):
            self.sized(b"B", bytes(bytearray.__getitem__(value, slice(None))))
        elif issubclass(kind, complex):
            real, imag = complex.real.__get__(value), complex.imag.__get__(value)  # type: ignore[attr-defined]
            self.put(b"c" + struct.pack("<dd", real, imag))
        else:
            return False
        return True

    def container(self, value: Any, kind: type, depth: int) -> bool:
        if issubclass(kind, list):
            self.items(b"l", list.__iter__(value), depth)
        elif issubclass(kind, tuple):
            self.items(b"t", tuple.__iter__(value), depth)
        elif issubclass(kind, dict):
            self.pairs(b"d", dict.items(value), depth)
        elif issubclass(kind, set):
            self.items(b"S", set.__iter__(value), depth)
        elif issubclass(kind, frozenset):
            self.items(b"Z", frozenset.__iter__(value), depth)
        elif issubclass(kind, deque):
            self.items(b"q", deque.__iter__(value), depth)
        elif kind is _KEYS:
            self.items(b"K", value, depth)
        elif kind is _VALUES:
            self.items(b"V", value, depth)
        elif kind is _ITEMS:
            self.pairs(b"I", value, depth)
        else:
            return False
        return True

    def other(self, value: Any, kind: type, depth: int) -> None:
        if kind is range:
            self.items(b"r", (value.start, value.stop, value.step), depth)
        elif issubclass(kind, Decimal):
            self.sized(b"D", Decimal.__str__(value).encode())
        elif issubclass(kind, Fraction):
            self.items(b"Q", (value._numerator, value._denominator), depth)
        elif kind is datetime.datetime and value.tzinfo in (None, datetime.UTC):
            self.sized(b"m", value.isoformat().encode())
        elif kind is datetime.date:
            self.sized(b"a", value.isoformat().encode())
        elif kind is datetime.time and value.tzinfo is None:
            self.sized(b"h", value.isoformat().encode())
        elif kind is datetime.timedelta:
            self.items(b"e", (value.days, value.seconds, value.microseconds), depth)
        elif id(value) in _SHARED_NAME_OF:
            self.sized(b"n", _SHARED_NAME_OF[id(value)].encode())
        else:
            ref = self.export(value)
            self.put(b"R" + struct.pack("<I??", *ref))


def _pieces(length: int) -> list[slice]:
    """A row in pieces: a format takes many times the memory of the numbers that it describes."""
    return [slice(start, start + PIECE_ITEMS) for start in range(0, length, PIECE_ITEMS)]


_LETTER_OF: dict[type, str] = {int: "q", float: "d"}
# What messages consist of nearly always, without the search through base classes.
_PLAIN: dict[type, Callable[[_Encoder, Any, int], None]] = {
    int: lambda e, value, depth: e.sized(b"i", value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)),
    str: lambda e, value, depth: e.sized(b"s", value.encode("utf-8", "surrogatepass")),
    float: lambda e, value, depth: e.put(b"f" + _FLOAT.pack(value)),
    bool: lambda e, value, depth: e.put(b"T" if value else b"F"),
    list: lambda e, value, depth: e.row(b"l", value, depth),
    tuple: lambda e, value, depth: e.row(b"t", value, depth),
    dict: lambda e, value, depth: e.pairs(b"d", value.items(), depth),
}


class _Reader:
    def __init__(self, data: bytes, resolve: Callable[[Ref], Any]) -> None:
        self.data, self.resolve, self.at = data, resolve, 0

    def take(self, num_bytes: int) -> bytes:
        end = self.at + num_bytes
        if end > len(self.data):
            raise CodecError("the message ends early")
        taken, self.at = self.data[self.at : end], end
        return taken

    def count(self) -> int:
        number: int = _COUNT.unpack_from(self.data, self.at)[0]
        self.at += 4
        if number > len(self.data) - self.at:  # every item takes a byte at least
            raise CodecError("the message ends early")
        return number

    def sized(self) -> bytes:
        start = self.at + 4
        (num_bytes,) = _COUNT.unpack_from(self.data, self.at)
        self.at = start + num_bytes
        if self.at > len(self.data):
            raise CodecError("the message ends early")
        return self.data[start : self.at]

    def text(self) -> str:
        return self.sized().decode("utf-8", "surrogatepass")

    def items(self, depth: int) -> list[Any]:
        return [self.value(depth + 1) for _ in range(self.count())]

    def pairs(self, depth: int) -> dict[Any, Any]:
        return {self.value(depth + 1): self.value(depth + 1) for _ in range(self.count())}

    def row(self) -> Any:
        tag, letters = self.take(1), self.sized()
        if tag not in _ROWS or letters.strip(b"qd"):
            raise CodecError("a block of an unknown kind")
        block = self.sized()
        if len(block) != 8 * len(letters):
            raise CodecError("a block of another size")
        return _ROWS[tag](
            number
            for at in _pieces(len(letters))
            for number in struct.Struct("<" + letters[at].decode()).unpack_from(block, 8 * at.start)
        )

    def value(self, depth: int) -> Any:
        if depth > DEPTH_CAP:
            raise CodecError("nested too deep")
        tag = self.data[self.at]
        self.at += 1
        read = _READER_OF[tag]
        if read is None:
            raise CodecError("an unknown tag")
        return read(self, depth)

    def span(self, depth: int) -> datetime.timedelta:
        days, seconds, microseconds = self.items(depth)
        return datetime.timedelta(days, seconds, microseconds)

    def shared(self, depth: int) -> Any:
        name = self.text()
        if name not in _SHARED:
            raise CodecError("an unknown name")
        return _SHARED[name]


_ROWS: dict[bytes, Callable[[Iterable[Any]], Any]] = {b"l": list, b"t": tuple}
_READERS: dict[bytes, Callable[[_Reader, int], Any]] = {
    b"N": lambda r, depth: None,
    b"T": lambda r, depth: True,
    b"F": lambda r, depth: False,
    b".": lambda r, depth: Ellipsis,
    b"i": lambda r, depth: int.from_bytes(r.sized(), "little", signed=True),
    b"f": lambda r, depth: _FLOAT.unpack(r.take(8))[0],
    b"s": lambda r, depth: r.text(),
    b"b": lambda r, depth: r.sized(),
    b"B": lambda r, depth: bytearray(r.sized()),
    b"c": lambda r, depth: complex(*struct.unpack("<dd", r.take(16))),
    b"l": lambda r, depth: r.items(depth),
    b"t": lambda r, depth: tuple(r.items(depth)),
    b"d": lambda r, depth: r.pairs(depth),
    b"P": lambda r, depth: r.row(),
    b"S": lambda r, depth: set(r.items(depth)),
    b"Z": lambda r, depth: frozenset(r.items(depth)),
    b"q": lambda r, depth: deque(r.items(depth)),
    b"K": lambda r, depth: dict.fromkeys(r.items(depth)).keys(),
    b"V": lambda r, depth: dict(enumerate(r.items(depth))).values(),
    b"I": lambda r, depth: r.pairs(depth).items(),
    b"r": lambda r, depth: range(*r.items(depth)),
    b"D": lambda r, depth: Decimal(r.text()),
    b"Q": lambda r, depth: Fraction(*r.items(depth)),
    b"m": lambda r, depth: datetime.datetime.fromisoformat(r.text()),
    b"a": lambda r, depth: datetime.date.fromisoformat(r.text()),
    b"h": lambda r, depth: datetime.time.fromisoformat(r.text()),
    b"e": lambda r, depth: r.span(depth),
    b"n": lambda r, depth: r.shared(depth),
    b"R": lambda r, depth: r.resolve(Ref(*struct.unpack("<I??", r.take(6)))),
}
_READER_OF = [_READERS.get(bytes([tag])) for tag in range(256)]
