"""The wire format: exact both ways, and no bytes whatever get past its reader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codetextbook.sandbox.cell.codec import DEPTH_CAP, CodecError, Ref, decode, decode_texts, encode

KEYS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
PLAIN = st.recursive(
    KEYS
    | st.complex_numbers(allow_nan=False)
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.dates()
    | st.times()
    | st.timedeltas(),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner) | st.sets(KEYS) | st.frozensets(KEYS)
    ),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_data_comes_back_equal_and_of_the_same_type(value: object) -> None:
    back = decode(encode(value))
    assert back == value and type(back) is type(value) and repr(type(back)) == repr(type(value))


@given(st.lists(st.integers() | st.floats(allow_nan=False) | st.booleans(), min_size=8, max_size=40), st.booleans())
def test_rows_of_numbers_come_back_number_by_number(numbers: list[float], as_tuple: bool) -> None:
    row = tuple(numbers) if as_tuple else numbers
    back = decode(encode(row))
    assert back == row and type(back) is type(row) and list(map(type, back)) == list(map(type, row))


@pytest.mark.parametrize("length", [7, 8, 1023, 1024, 1025, 3000])
def test_long_rows_of_two_types_cross_in_pieces(length: int) -> None:
    row = [(-1) ** k * k if k % 3 else k / 3 for k in range(length)]
    back = decode(encode(row))
    assert back == row and list(map(type, back)) == list(map(type, row))
    assert len(encode(row)) < 10 * length + 16


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    try:
        decode(data)
    except CodecError:
        return


@given(PLAIN, st.data())
def test_damaged_messages_decode_or_are_refused(value: object, data: st.DataObject) -> None:
    message = bytearray(encode(value))
    message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(message[: data.draw(st.integers(0, len(message)))]))
    except CodecError:
        return


class Sly(int):
    def __eq__(self, other: object) -> bool:
        return True

    def to_bytes(self, *args: object, **kwargs: object) -> bytes:  # type: ignore[override]
        raise AssertionError("the subclass was asked")

    __hash__ = None  # type: ignore[assignment]
    bit_length = __index__ = __int__ = to_bytes  # type: ignore[assignment]


def test_subclasses_are_not_asked() -> None:
    back = decode(encode([Sly(3)]))
    assert type(back[0]) is int and back == [3] and back != [4]


def test_limits_of_a_message() -> None:
    nested: list[object] = []
    for _ in range(DEPTH_CAP + 1):
        nested = [nested]
    for refused in (nested, "x" * (17 << 20), [bytes(1 << 20)] * 17, object(), lambda: 0):
        with pytest.raises(CodecError):
            encode(refused)


def test_references_cross_only_where_they_are_expected() -> None:
    thing = object()
    message = encode([thing], lambda value: Ref(7, False, True))
    assert decode(message, lambda ref: ref) == [Ref(7, False, True)]
    with pytest.raises(CodecError):
        decode(message)


def test_trusted_readers_accept_texts_and_nothing_else() -> None:
    assert decode_texts(encode(("a", "b")), 2, 10) == ("a", "b")
    assert decode_texts(encode(("x" * 99,)), 1, 3) == ("xxx",)
    for other in (["a", "b"], ("a",), ("a", 1), ("a", ("b",)), "ab", {"a": "b"}):
        with pytest.raises(CodecError):
            decode_texts(encode(other), 2, 10)
