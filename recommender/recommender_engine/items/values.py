"""The base class of all values, and constrained types."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from recommender_engine.items import limits


class Value(BaseModel):
    """A frozen, strictly validated value: unknown keys and wrong types are errors, never coerced."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _bounded(max_bytes: int) -> AfterValidator:
    def check(text: str) -> str:
        if len(text) > max_bytes or len(text.encode()) > max_bytes:
            raise ValueError(f"longer than {max_bytes} bytes in UTF-8")
        return text

    return AfterValidator(check)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds a character that cannot be printed")
    return text


Id = Annotated[str, Field(min_length=1), AfterValidator(_printable), _bounded(limits.MAX_ID_BYTES)]
"""Any printable text of 1 to 256 bytes; it never becomes part of a key or a file name."""

Key = Annotated[str, Field(min_length=1), AfterValidator(_printable), _bounded(limits.MAX_KEY_BYTES)]
"""A producer's own name for one command, so that saying it twice has one effect."""

Name = Annotated[str, Field(min_length=1, max_length=limits.MAX_NAME_CHARS), AfterValidator(_printable)]
"""The name of a field or an attribute."""

Text = Annotated[str, _bounded(limits.MAX_TEXT_BYTES)]


def _scalar(value: object) -> object:
    if not isinstance(value, str | int | float | bool | None):
        raise ValueError("must be a string, a number, a boolean or null")
    return _bounded_scalar(value)


def _attribute(value: object) -> object:
    if not isinstance(value, list):
        if not isinstance(value, str | int | float | bool | None):
            raise ValueError("must be a string, a number, a boolean, null, or a list of strings or of numbers")
        return _bounded_scalar(value)
    if len(value) > limits.MAX_ATTRIBUTE_VALUES:
        raise ValueError(f"is a list of {len(value)} values; at most {limits.MAX_ATTRIBUTE_VALUES} are accepted")
    if not (all(isinstance(one, str) for one in value) or all(map(_is_number, value))):
        raise ValueError("is a list of something else than strings only or numbers only")
    for one in value:
        _bounded_scalar(one)
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bounded_scalar(value: object) -> object:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("an integer must fit into 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be a finite number")
    if isinstance(value, str) and len(value.encode(errors="replace")) > limits.MAX_ATTRIBUTE_BYTES:
        raise ValueError(f"longer than {limits.MAX_ATTRIBUTE_BYTES} bytes in UTF-8")
    return value


Scalar = Annotated[str | int | float | bool | None, BeforeValidator(_scalar)]
AttributeValue = Annotated[
    str
    | int
    | float
    | bool
    | Annotated[list[str], Field(max_length=limits.MAX_ATTRIBUTE_VALUES)]
    | Annotated[list[int | float], Field(max_length=limits.MAX_ATTRIBUTE_VALUES)]
    | None,
    BeforeValidator(_attribute),
]
"""One value, or a list of strings or of numbers."""
Attributes = Annotated[dict[Name, AttributeValue], Field(max_length=limits.MAX_ATTRIBUTES)]

Sentence = Annotated[str, Field(min_length=1), AfterValidator(_printable), _bounded(limits.MAX_SENTENCE_BYTES)]
"""A sentence of this package for people."""

Position = Annotated[str, Field(pattern=r"^[0-9]{1,20}-[0-9]{1,20}$")]
"""Id of an entry in a stream."""

Version = Annotated[int, Field(ge=0, lt=2**63)]
