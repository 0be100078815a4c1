"""From the columns of a file to the data of ``item.upsert``, as ``recommender_engine.items.item.Item`` describes it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from celery_recommender.records.rows import BadRow, Row
from celery_recommender.records.values.blanks import Blanks
from celery_recommender.records.values.dates import DateForm, NotADateError, Order, stands_for_none
from celery_recommender.records.values.guessing import listed
from celery_recommender.records.values.quantities import DecimalMark, NumberForm
from celery_recommender.records.values.text import is_missing, meant, to_id, to_text
from recommender_engine.items import limits
from recommender_engine.items.prices import is_price
from recommender_engine.items.values import AttributeValue

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+([eE][+-]?[0-9]{1,3})?")
_CUT_BY_A_SHEET = re.compile(r"[0-9]([.,][0-9]+)?[Ee]\+[0-9]{2,3}")
_MADE_A_FLOAT = re.compile(r"[0-9]+\.0")
_EXACT = 2**53


class NoItem(StrEnum):
    """Why a row that could be read is no item; for counting."""

    NO_ID = "no_id"
    NO_TEXT = "no_text"
    CONTINUES = "continues_row_above"
    REPEATED_ID = "repeated_id"


class Finding(StrEnum):
    """An oddity of a row that is an item all the same; for counting."""

    BAD_DATE = "bad_date"
    EMPTY_DATE = "empty_date"
    PRICE_AS_TEXT = "price_as_text"
    CUT_ID = "id_in_scientific_notation"
    FLOAT_ID = "id_with_a_point"
    PADDED_ID = "id_with_blanks_around"
    FORMULA_ID = "id_as_formula"
    MARKED_ID = "id_with_apostrophe"


class Remark(NamedTuple):
    """One finding.

    Attributes:
        kind: which.
        text: a sentence for people; it never quotes the cell.
    """

    kind: Finding
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingOptions:
    """Options about the columns; what is left out is guessed by ``resolve_mapping``.

    Attributes:
        id_field: the column with the ids.
        text_fields: one column for ``text``, several for named ``fields`` in this order of importance.
        attributes: columns to carry along as filterable attributes.
        timestamp_field: the column that says when the item came into being.
        collection: the collection of all items; left to the receiver when ``None``.
        date_order: what comes first in 3/4/2025.
        excel_dates: whether numbers are days since 1900.
        decimal: the decimal mark of numbers.
        placeholders: words that say nothing, beside the known ones.
        known_placeholders: whether the known ones (``N/A``, ``-`` …) count.
    """

    id_field: str | None = None
    text_fields: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    timestamp_field: str | None = None
    collection: str | None = None
    date_order: Order | None = None
    excel_dates: bool = False
    decimal: DecimalMark | None = None
    placeholders: tuple[str, ...] = ()
    known_placeholders: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemMapping:
    """Turns the rows of one file into items.

    Attributes:
        id_field: the column with the ids; without one the id is ``id_prefix``, a dash and the row number.
        text_fields: one column for ``text``, several for named ``fields``.
        attributes: columns that become attributes of the same name.
        timestamp_field: the column with the dates.
        collection: put into every item unless ``None``.
        id_prefix: for ids made of row numbers.
        parse_attributes: whether attributes are text that may mean a number or a truth value.
        dates: how the dates are written.
        numbers: how the numbers are written, of attributes that have units, decimal commas or marks of thousands.
        blanks: which cells say nothing.
        notes: for people, what was chosen without being asked for.
        guessed: whether the id or the text was chosen without being asked for.
        doubt: why the choice may be wrong, and what to say instead; empty where there is no doubt.
        unused: options that would take further columns along, by their names.
    """

    id_field: str | None = None
    text_fields: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    timestamp_field: str | None = None
    collection: str | None = None
    id_prefix: str = "row"
    parse_attributes: bool = False
    dates: DateForm = DateForm()  # noqa: RUF009
    numbers: Mapping[str, NumberForm] = field(default_factory=dict)
    blanks: Blanks = Blanks()  # noqa: RUF009
    notes: tuple[str, ...] = ()
    guessed: bool = False
    doubt: str = ""
    unused: Mapping[str, str] = field(default_factory=dict)

    def item(self, row: Row) -> dict[str, Any] | BadRow:
        """The data of an ``item.upsert`` command, or why the row cannot be an item (no id, no text)."""
        return self.read(row)[0]

    def read(self, row: Row) -> tuple[dict[str, Any] | BadRow, tuple[Remark, ...]]:
        """The same, and what is odd in it."""
        remarks: list[Remark] = []
        try:
            data: dict[str, Any] = {"id": self._id(row, remarks)}
            if self.collection is not None:
                data["collection"] = self.collection
            data |= self._content(row)
            if attributes := self._attributes(row, remarks):
                data["attributes"] = attributes
            if (timestamp := self._timestamp(row, remarks)) is not None:
                data["timestamp"] = timestamp
        except _RowError as error:
            return BadRow(row.number, str(error), error.kind, row.values), ()
        return data, tuple(remarks)

    def id_of(self, row: Row | BadRow) -> str | None:
        """The id of a row, also of one that is no item for other reasons."""
        value = meant(row.values.get(self.id_field)) if self.id_field is not None else None
        return None if self.blanks.names_nothing(value) else to_id(value)

    def _id(self, row: Row, remarks: list[Remark]) -> str:
        if self.id_field is None:
            return f"{self.id_prefix}-{row.number}"
        given = row.values.get(self.id_field)
        value = meant(given)
        if self.blanks.names_nothing(value):
            raise _RowError(NoItem.NO_ID, f"no id in column {self.id_field!r}{_placeholder(value)}")
        if isinstance(value, bytes | dict | list):
            what = "bytes that are no text" if isinstance(value, bytes) else "several values, and not one"
            raise _RowError(NoItem.NO_ID, f"no id in column {self.id_field!r}: {what}")
        text = to_id(value)
        if finding := _odd_id(given, text):
            kind, what = finding
            remarks.append(Remark(kind, f"column {self.id_field!r}: {what}"))
        return text

    def _content(self, row: Row) -> dict[str, Any]:
        cells = {name: meant(row.values.get(name)) for name in self.text_fields}
        said = {name: "" if isinstance(cell, bytes) else _text(cell) for name, cell in cells.items()}
        texts = {name: text for name, text in said.items() if not self.blanks.holds(text)}
        if not texts:
            where = f"no text in column {listed(self.text_fields)}" if self.text_fields else "no text column"
            raise _RowError(NoItem.NO_TEXT, where + _placeholder("".join(said.values())))
        return {"fields": texts} if len(self.text_fields) > 1 else {"text": texts[self.text_fields[0]]}

    def _attributes(self, row: Row, remarks: list[Remark]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name in self.attributes:
            cell = meant(row.values.get(name))
            if self.blanks.is_null(cell) and (self.parse_attributes or cell != ""):
                continue
            value = values[name] = self._attribute(name, cell)
            if isinstance(value, str) and is_price(name):
                remarks.append(
                    Remark(Finding.PRICE_AS_TEXT, f"column {name!r}: not a number; it is kept, and not compared")
                )
        return {name: value for name, value in values.items() if value is not None}

    def _attribute(self, name: str, cell: Any) -> AttributeValue:
        form = self.numbers.get(name)
        if form is not None and isinstance(cell, str):
            number = form.read(cell)
            return cell if number is None else number
        return parsed(cell) if self.parse_attributes else _attribute(cell)

    def _timestamp(self, row: Row, remarks: list[Remark]) -> str | None:
        value = meant(row.values.get(self.timestamp_field)) if self.timestamp_field is not None else None
        if self.blanks.holds(value):
            return None
        try:
            moment = self.dates.read(value)
        except NotADateError as error:
            remarks.append(Remark(Finding.BAD_DATE, f"column {self.timestamp_field!r}: {error}; the item has none"))
            return None
        if moment is not None and stands_for_none(moment):
            text = f"column {self.timestamp_field!r}: a date that many systems write where they have none"
            remarks.append(Remark(Finding.EMPTY_DATE, text))
        return None if moment is None else moment.isoformat()


class _RowError(ValueError):
    """One row cannot be an item."""

    def __init__(self, kind: NoItem, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def _odd_id(value: Any, text: str) -> tuple[Finding, str] | None:
    """What is odd about an id, if anything: it may be another one than the file had before a program rounded it."""
    if isinstance(value, float) and abs(value) >= _EXACT:
        return Finding.CUT_ID, "a number that has been rounded; several items may have the same"
    if not isinstance(value, str):
        return None
    if value != text:
        return Finding.FORMULA_ID, "a formula that gives a text, as spreadsheets keep zeros; the text is taken"
    if text.startswith("'"):
        return Finding.MARKED_ID, "an apostrophe before it, as spreadsheets mark texts; it is kept"
    if _CUT_BY_A_SHEET.fullmatch(text):
        return Finding.CUT_ID, "a number that a spreadsheet has cut short; several items may have the same"
    if _MADE_A_FLOAT.fullmatch(text):
        return Finding.FLOAT_ID, "a whole number that a program has given a point; it is kept as it stands"
    if text != text.strip():
        return Finding.PADDED_ID, "blanks around it; they are kept, and tell it from one without"
    return None


def _placeholder(value: Any) -> str:
    return " (a placeholder says nothing)" if isinstance(value, str) and value.strip() else ""


def _text(value: Any) -> str:
    """The text of a cell; catalogues give some texts as a list of paragraphs."""
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "\n".join(value)
    return to_text(value)


def _attribute(value: Any) -> AttributeValue:
    """Lists of texts or of numbers stay lists; other lists and objects become JSON."""
    if is_missing(value):
        return None
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list) and value and len(value) <= limits.MAX_ATTRIBUTE_VALUES:
        numbers = [float(one) if isinstance(one, Decimal) else one for one in value]
        if all(isinstance(one, str) for one in value) or all(map(_is_number, numbers)):
            return numbers
    return value if isinstance(value, str | int | float) else to_text(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not is_missing(value)


def parsed(value: str | None) -> str | int | float | bool | None:
    """The value of the text of a CSV cell. Codes stay text: leading zeros, a plus sign, an exponent without a point."""
    if value is None or not value.strip():
        return None
    figure = value.strip()
    if figure.casefold() in ("true", "false"):
        return figure.casefold() == "true"
    if _INTEGER.fullmatch(figure):
        return int(figure)
    if _DECIMAL.fullmatch(figure) and math.isfinite(number := float(figure)):
        return number
    return value
