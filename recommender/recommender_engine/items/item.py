"""The item: what is compared."""

from __future__ import annotations

import base64
import math
import struct
from datetime import datetime
from typing import Annotated, Self

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from recommender_engine.items import limits
from recommender_engine.items.values import Attributes, Id, Name, Text, Value


def _text_or_datetime(value: object) -> object:
    if not isinstance(value, str | datetime):
        raise ValueError("must be an RFC 3339 string")
    return value


Timestamp = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_text_or_datetime)]
"""RFC 3339 with an offset, for example ``2026-03-01T09:30:00Z``."""


def _float32(value: object) -> object:
    """The bytes of a vector in Base64, checked; numbers are for pydantic to judge."""
    if not isinstance(value, str | bytes):
        return value
    data = value if isinstance(value, bytes) else _decoded(value)
    if not data or len(data) % 4 or len(data) > 4 * limits.MAX_VECTOR_DIMENSION:
        raise ValueError(f"must be the bytes of 1 to {limits.MAX_VECTOR_DIMENSION} float32 numbers")
    numbers = struct.unpack(f"<{len(data) // 4}f", data)
    if not all(map(math.isfinite, numbers)):
        raise ValueError("holds a number that is not finite")
    if not any(numbers):
        raise ValueError("has length zero")
    return data


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("is not Base64") from None


_MAX_VECTOR_CHARS = 4 * -(-4 * limits.MAX_VECTOR_DIMENSION // 3)

Vector = Annotated[
    Annotated[list[float], Field(min_length=1, max_length=limits.MAX_VECTOR_DIMENSION)]
    | Annotated[
        bytes,
        PlainSerializer(lambda data: base64.b64encode(data).decode(), return_type=str, when_used="json"),
        WithJsonSchema({"type": "string", "contentEncoding": "base64", "maxLength": _MAX_VECTOR_CHARS}),
    ],
    BeforeValidator(_float32),
]
"""Numbers, or their bytes as float32, little-endian, in Base64: half the size, and read in a tenth of the time."""


class ItemKey(Value):
    """Which item: its collection and its id there."""

    collection: Id = "default"
    id: Id


class Item(ItemKey):
    """A product, a ticket, any short text with an id.

    Attributes:
        collection: the set of items it is compared with.
        id: unique within the collection.
        text: its text; give this or ``fields``.
        fields: the same in named parts (``title``, ``description``, ``brand`` …), in order of importance.
        attributes: filterable facts that are not part of the text (price, stock, status).
        timestamp: when the item came into being, in the producer's eyes.
        vector: a ready-made embedding of the collection's own model, shape (dimension,); any length but zero. Numbers,
            or the bytes of float32 numbers, little-endian, in Base64.
    """

    # What the validator below checks, as far as a schema can say it.
    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["text"]}, {"required": ["fields"]}]})

    text: Text | None = None
    fields: Annotated[dict[Name, Text], Field(max_length=limits.MAX_FIELDS)] | None = None
    attributes: Attributes = Field(default_factory=dict)
    timestamp: Timestamp | None = None
    vector: Vector | None = None

    @field_validator("attributes", "fields", mode="before")
    @classmethod
    def _nothing_named(cls, value: object, info: ValidationInfo) -> object:
        """PHP encodes an empty object as an empty list."""
        if not isinstance(value, list) or value:
            return value
        return {} if info.field_name == "attributes" else None

    @model_validator(mode="after")
    def _says_something_once(self) -> Self:
        if self.text is not None and self.fields is not None:
            raise ValueError("give text or fields, not both")
        if not self.content.strip():
            raise ValueError("the item has no text")
        if len(self.content.encode()) > limits.MAX_TEXT_BYTES:
            raise ValueError(f"the fields together are longer than {limits.MAX_TEXT_BYTES} bytes in UTF-8")
        if isinstance(self.vector, list) and not any(self.vector):
            raise ValueError("the vector has length zero")
        return self

    @property
    def content(self) -> str:
        """The text, or the fields one to a line in the order given."""
        if self.fields is not None:
            return "\n".join(value for value in self.fields.values() if value)
        return self.text or ""
