"""From the columns of a file to the data of ``item.upsert``, as ``recommender.items.item.Item`` describes it."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter, ValidationError

from recommender.errors import ConfigurationError
from recommender.items import limits
from workers.records.reader import RecordReader
from workers.records.rows import BadRow, Row
from workers.records.values import is_missing, to_text

_HEADINGS = ("title", "name", "subject", "summary")
_BODIES = ("description", "body", "content", "message")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+([eE][+-]?[0-9]{1,3})?")
_DATE = TypeAdapter(dt.datetime)


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingOptions:
    """What a person said about the columns; what is left out is guessed by ``resolve_mapping``.

    Attributes:
        id_field: the column with the ids.
        text_fields: one column for ``text``, several for named ``fields`` in this order of importance.
        attributes: columns to carry along as filterable attributes.
        timestamp_field: the column that says when the item came into being.
        collection: the collection of all items; left to the receiver when ``None``.
    """

    id_field: str | None = None
    text_fields: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    timestamp_field: str | None = None
    collection: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemMapping:
    """Turns the rows of one file into items.

    Attributes:
        id_field: the column with the ids; without one the id is ``id_prefix``, a dash and the row number.
        text_fields: one column for ``text``, several for named ``fields``.
        attributes: columns that become attributes of the same name.
        timestamp_field: column with a date, or with seconds or milliseconds since the Unix epoch.
        collection: put into every item unless ``None``.
        id_prefix: for ids made of row numbers.
        parse_attributes: whether attributes are text that may mean a number or a truth value.
        notes: for people, what was chosen without being asked for.
    """

    id_field: str | None = None
    text_fields: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    timestamp_field: str | None = None
    collection: str | None = None
    id_prefix: str = "row"
    parse_attributes: bool = False
    notes: tuple[str, ...] = ()

    def item(self, row: Row) -> dict[str, Any] | BadRow:
        """The data of an ``item.upsert`` command, or why the row cannot be an item (no id, no text, no date)."""
        try:
            data: dict[str, Any] = {"id": self._id(row)}
            if self.collection is not None:
                data["collection"] = self.collection
            data |= self._content(row)
            if attributes := self._attributes(row):
                data["attributes"] = attributes
            if (timestamp := self._timestamp(row)) is not None:
                data["timestamp"] = timestamp
        except _RowError as error:
            return BadRow(row.number, str(error))
        return data

    def _id(self, row: Row) -> str:
        if self.id_field is None:
            return f"{self.id_prefix}-{row.number}"
        value = row.values.get(self.id_field)
        if isinstance(value, float) and value.is_integer():  # what pandas makes of integers when one is missing
            value = int(value)
        if _is_blank(value):
            raise _RowError(f"no id in column {self.id_field!r}")
        return to_text(value)

    def _content(self, row: Row) -> dict[str, Any]:
        texts = {name: _text(row.values[name]) for name in self.text_fields if not _is_blank(row.values.get(name))}
        if not texts:
            raise _RowError(f"no text in column {_listed(self.text_fields)}" if self.text_fields else "no text column")
        return {"fields": texts} if len(self.text_fields) > 1 else {"text": texts[self.text_fields[0]]}

    def _attributes(self, row: Row) -> dict[str, Any]:
        convert = _parsed if self.parse_attributes else _attribute
        values = {name: convert(row.values.get(name)) for name in self.attributes}
        return {name: value for name, value in values.items() if value is not None}

    def _timestamp(self, row: Row) -> str | None:
        value = row.values.get(self.timestamp_field) if self.timestamp_field is not None else None
        if _is_blank(value):
            return None
        try:
            moment = _DATE.validate_python(value)
        except ValidationError:
            raise _RowError(f"not a date in column {self.timestamp_field!r}") from None
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)).isoformat()


def resolve_mapping(reader: RecordReader, options: MappingOptions) -> ItemMapping:
    """Complete the options from the columns and the first row of the file.

    Without an id column, ``id`` is taken, else the row number behind the stem of the file name. Without text columns,
    ``text``, else ``title`` (or ``name``, ``subject``, ``summary``) and ``description`` (or ``body``, ``content``,
    ``message``), else the column with the longest text in the first row; upper and lower case do not matter here. Where
    reading starts makes no difference. Dates without an offset are UTC.

    Raises:
        ConfigurationError: a column is not there, there are more of them than an item may have, or none holds text.
    """
    named = [options.id_field, options.timestamp_field, *options.text_fields, *options.attributes]
    _check([name for name in named if name is not None], reader.columns)
    id_field, text_fields = options.id_field, tuple(dict.fromkeys(options.text_fields))
    notes = []
    if id_field is None:
        id_field = _called("id", reader.columns)
        notes.append(
            f"id: column {id_field!r}" if id_field is not None else f"id: {reader.stem}-ROW, with the row number"
        )
    if not text_fields:
        taken = {id_field, options.timestamp_field, *options.attributes}
        text_fields = _guess_text(reader.first, [name for name in reader.columns if name not in taken])
        notes.append(f"text: column {_listed(text_fields)}" if text_fields else "text: no row to choose a column by")
    attributes = tuple(dict.fromkeys(options.attributes))
    _check_size("text columns", text_fields, limits.MAX_FIELDS)
    _check_size("attributes", attributes, limits.MAX_ATTRIBUTES)
    return ItemMapping(
        id_field=id_field,
        text_fields=text_fields,
        attributes=attributes,
        timestamp_field=options.timestamp_field,
        collection=options.collection,
        id_prefix="".join(char if char.isprintable() else "_" for char in reader.stem),
        parse_attributes=not reader.typed,
        notes=tuple(notes),
    )


class _RowError(ValueError):
    """One row cannot be an item."""


def _check(names: Iterable[str], columns: Sequence[str]) -> None:
    missing = list(dict.fromkeys(name for name in names if name not in columns))
    if missing and columns:  # a file without any column has no rows either
        raise ConfigurationError(f"no column {_listed(missing)}; there are {_listed(columns)}")


def _check_size(what: str, names: Sequence[str], most: int) -> None:
    if len(names) > most:
        raise ConfigurationError(f"{len(names)} {what}, but an item has at most {most}")
    too_long = [name for name in names if len(name) > limits.MAX_NAME_CHARS]
    if too_long:
        raise ConfigurationError(f"longer than {limits.MAX_NAME_CHARS} characters: column {_listed(too_long)}")


def _called(wanted: str, columns: Iterable[str]) -> str | None:
    return next((name for name in columns if name.casefold() == wanted), None)


def _first_called(wanted: Iterable[str], columns: Sequence[str]) -> str | None:
    return next((name for word in wanted if (name := _called(word, columns)) is not None), None)


def _guess_text(first: Row | None, columns: Sequence[str]) -> tuple[str, ...]:
    if (text := _called("text", columns)) is not None:
        return (text,)
    heading, body = (_first_called(words, columns) for words in (_HEADINGS, _BODIES))
    if heading is not None and body is not None:
        return (heading, body)
    if first is None:
        return ()
    lengths = {name: len(value) for name in columns if isinstance(value := first.values.get(name), str)}
    if not lengths:
        raise ConfigurationError(f"no column holds text; there are {_listed(list(first.values))}")
    return (max(lengths, key=lengths.__getitem__),)


def _is_blank(value: Any) -> bool:
    return is_missing(value) or (isinstance(value, str) and not value.strip())


def _text(value: Any) -> str:
    """The text of a cell; catalogues give some texts as a list of paragraphs."""
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "\n".join(value)
    return to_text(value)


def _attribute(value: Any) -> str | int | float | bool | None:
    if is_missing(value):
        return None
    if isinstance(value, Decimal):
        return float(value)
    return value if isinstance(value, str | int | float) else to_text(value)


def _parsed(value: str | None) -> str | int | float | bool | None:
    """What the text of a CSV cell means. Codes stay text: leading zeros, a plus sign, an exponent without a point."""
    if value is None or not value.strip():
        return None
    if value.casefold() in ("true", "false"):
        return value.casefold() == "true"
    if _INTEGER.fullmatch(value):
        return int(value)
    if _DECIMAL.fullmatch(value) and math.isfinite(number := float(value)):
        return number
    return value


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
