"""How the plus tests compare an answer with the reference's. Its source runs in the sandbox beside the tests: it imports nothing of ours.

Numbers that are not whole are compared with a tolerance, as evalplus does (its own, or 1e-6 where any expected number is a float); all else
must be equal.
"""

import math

DEFAULT_TOLERANCE = 1e-6


def same(got, expected, tolerance):
    """Whether an answer is the expected one."""
    if type(expected) is float or (tolerance and type(expected) is int):
        return _is_number(got) and _close(got, expected, tolerance or DEFAULT_TOLERANCE)
    if type(expected) is complex:
        return _is_number(got) and abs(got - expected) <= (tolerance or DEFAULT_TOLERANCE)
    if type(expected) in (list, tuple):
        return (
            type(got) is type(expected)
            and len(got) == len(expected)
            and all(same(a, b, tolerance) for a, b in zip(got, expected))  # noqa: B905 - of one length
        )
    if type(expected) is dict:
        return (
            type(got) is dict
            and got.keys() == expected.keys()
            and all(same(got[k], expected[k], tolerance) for k in expected)
        )
    return bool(got == expected)


def _is_number(value):
    return type(value) in (int, float, complex, bool)


def _close(got, expected, tolerance):
    if math.isnan(expected):
        return got != got
    if math.isinf(expected):
        return got == expected
    return abs(got - expected) <= tolerance + 1e-7 * abs(expected)


def shaped(value, like, parent=list):
    """A value read from JSON, with the types that the benchmark's own calls show at the same place: tuples, sets, keys that are no strings.

    A list at a place deeper than those calls go is of the type that it stands in.
    """
    if like is None:
        return (
            parent(shaped(item, None, parent) for item in value)
            if isinstance(value, list) and parent is tuple
            else value
        )
    kind, inner = like
    if kind == "parts":
        rest = inner[-1] if inner else None
        return [shaped(item, inner[at] if at < len(inner) else rest) for at, item in enumerate(value)]
    if kind == "complex":
        return complex(value)
    if kind in ("list", "tuple", "set") and isinstance(value, list):
        make = {"list": list, "tuple": tuple, "set": set}[kind]
        return make(shaped(item, inner, make) for item in value)
    if kind == "dict" and isinstance(value, dict):
        keys, values = inner
        return {_key(key, keys): shaped(item, values) for key, item in value.items()}
    return value


def _key(key, kind):
    try:
        return {"int": int, "float": float}.get(kind, str)(key)
    except ValueError:
        return key
