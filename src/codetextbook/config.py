"""Settings as frozen, validated objects, and the digest that gives everything its identity.

Every stage's settings are a `Config`: unknown keys are refused with the nearest known one, each field's docstring (unit and source)
becomes its help, and equal settings have equal digests on every machine. Values without a stable form (functions, NaN, objects)
are refused by the encoder rather than hashed by their address.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from codetextbook.errors import ConfigError


class Config(BaseModel):
    """A frozen table of settings; validated once, at the edge."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True)

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, where: str) -> Self:
        """Validate a table read from a file.

        Raises:
            ConfigError: names the file and the key, and suggests the key that was probably meant.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise _explain(cls, error, where) from None

    def replace(self, changes: Mapping[str, Any]) -> Self:
        """A copy with some settings changed; dotted keys (`"curate.threshold"`) reach into tables."""
        values = self.model_dump()
        for dotted, value in changes.items():
            table: Any = values
            *path, last = dotted.split(".")
            for key in path:
                table = table.get(key) if isinstance(table, dict) else None
            if not isinstance(table, dict):
                raise ConfigError(f"{dotted!r} names no setting", where=type(self).__name__)
            table[last] = value
        return type(self).parse(values, where="replace()")


def _explain(cls: type[Config], error: ValidationError, where: str) -> ConfigError:
    problem = error.errors(include_url=False)[0]
    path = [str(part) for part in problem["loc"]]
    dotted = ".".join(path)
    if problem["type"] == "extra_forbidden":
        known = _known_keys(cls, path[:-1])
        near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
        hint = f"{near[0]!r}" if near else f"one of {', '.join(sorted(known))}" if known else ""
        return ConfigError(f"unknown key {dotted!r}", where=where, hint=hint)
    given = problem.get("input")
    shown = "" if isinstance(given, Mapping) or given is None else f" (given: {given!r})"
    return ConfigError(f"{dotted or cls.__name__}: {problem['msg'].lower()}{shown}", where=where)


def _known_keys(cls: type[BaseModel], path: Sequence[str]) -> list[str]:
    current: Any = cls
    for part in path:
        field = getattr(current, "model_fields", {}).get(part)
        if field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            current = field.annotation
        elif field is not None:
            return []
    return list(getattr(current, "model_fields", {}))


def canonical_json(value: Any) -> str:
    """One spelling for equal values: sorted keys, no spaces, shortest floats.

    Raises:
        ConfigError: the value has no stable form (NaN, an object, a function, a key that is not text).
    """
    return json.dumps(_stable(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """16 hexadecimal digits of SHA-256 over the canonical form of a value."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def _stable(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _stable(value.model_dump(mode="python"))
    if isinstance(value, Enum):
        return _stable(value.value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ConfigError(f"{value} has no stable form", where="settings")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ConfigError("a table's keys must be text", where="settings")
        return {key: _stable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_stable(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_stable(item) for item in value), key=canonical_json)
    raise ConfigError(
        f"a {type(value).__name__} has no stable form", where="settings", hint="use text, numbers, lists or tables"
    )
