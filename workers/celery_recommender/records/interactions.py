"""From the columns of a file to interactions: who did what with which item, and when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from celery_recommender.records.mapping import parsed
from celery_recommender.records.reader import RecordReader
from celery_recommender.records.rows import BadRow, Row
from celery_recommender.records.values.blanks import Blanks
from celery_recommender.records.values.dates import DateForm, NotADateError, Order, date_form
from celery_recommender.records.values.guessing import Columns, listed, matching
from celery_recommender.records.values.text import meant, to_id, to_text
from recommender_engine.errors import ConfigurationError

FIELDS = ("user", "session", "item", "kind", "value", "time")
"""Fields of an interaction; the columns have these names unless an option names others."""

_NEEDED = ("item", "time")
DEFAULT_KIND = "buy"
NO_INTERACTION = "no_interaction"
"""The kind of a row that could be read and is none; for counting."""

_USUAL: Mapping[str, tuple[str, ...]] = {
    "item": ("itemid", "product", "productid", "sku", "article", "articleid", "stockcode", "asin", "artikel"),
    "user": ("userid", "customer", "customerid", "visitor", "visitorid", "client", "clientid", "buyer", "kunde"),
    "session": ("sessionid", "visit", "visitid", "basket", "basketid", "order", "orderid", "invoice", "invoiceno"),
    "kind": ("event", "eventtype", "action", "interaction", "type"),
    "value": ("rating", "stars"),
    "time": ("timestamp", "datetime", "date", "createdat", "eventtime", "invoicedate", "orderdate", "zeit", "datum"),
}
"""Usual names of the columns, in lower case and without signs between letters."""
_NO_OPTIONS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class FileInteraction:
    """One row.

    Attributes:
        item: id.
        at: when.
        user: id; ``None`` for an anonymous one.
        session: id; ``None`` where none is known.
        kind: the default of the mapping where the row says none.
        value: a number, where there is one.
    """

    item: str
    at: dt.datetime
    user: str | None
    session: str | None
    kind: str
    value: float | None


@dataclass(frozen=True, slots=True)
class InteractionMapping:
    """Turns the rows of one file into interactions.

    Attributes:
        columns: by field, the column that holds it.
        dates: how the times are written.
        blanks: which cells say nothing.
        kind: of a row that says none.
        guessed: whether a column was chosen by another name than that of its field.
    """

    columns: Mapping[str, str]
    dates: DateForm
    blanks: Blanks = Blanks()  # noqa: RUF009
    kind: str = DEFAULT_KIND
    guessed: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """For people: which column is what."""
        said = tuple(f"{field}: column {column!r}" for field, column in self.columns.items())
        return said if "kind" in self.columns else (*said, f"kind: {self.kind!r} in each row")

    def read(self, row: Row) -> FileInteraction | BadRow:
        """The interaction of a row, or what is wrong with it, with the name of the column."""
        try:
            return self._read(row)
        except _RowError as error:
            return BadRow(row.number, str(error), NO_INTERACTION, row.values)

    def _read(self, row: Row) -> FileInteraction:
        item, user, session = (self._id(row, name) for name in ("item", "user", "session"))
        if item is None:
            raise _RowError(f"column {self.columns['item']!r}: no item")
        if user is None and session is None:
            raise _RowError(f"neither a user nor a session in column {listed(self._of('user', 'session'))}")
        kind = self._id(row, "kind")
        return FileInteraction(item, self._time(row), user, session, kind or self.kind, self._value(row))

    def _id(self, row: Row, name: str) -> str | None:
        cell = meant(row.values.get(self.columns.get(name, "")))
        said = "" if self.blanks.names_nothing(cell) else to_id(cell)
        return said or None

    def _time(self, row: Row) -> dt.datetime:
        column = self.columns["time"]
        try:
            moment = self.dates.read(meant(row.values.get(column)))
        except NotADateError as error:
            raise _RowError(f"column {column!r}: {error}") from None
        if moment is None:
            raise _RowError(f"column {column!r}: no time")
        return moment

    def _value(self, row: Row) -> float | None:
        column = self.columns.get("value", "")
        cell = meant(row.values.get(column))
        if self.blanks.is_null(cell):
            return None
        value = parsed(to_text(cell))
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _RowError(f"column {column!r}: not a number")
        return float(value)

    def _of(self, *fields: str) -> list[str]:
        return [self.columns[one] for one in fields if one in self.columns]


def resolve_interactions(
    reader: RecordReader,
    named: Mapping[str, str] = _NO_OPTIONS,
    *,
    order: Order | None = None,
    kind: str = DEFAULT_KIND,
) -> InteractionMapping:
    """Find the columns of a file of interactions: those named, those called like their field, and those of usual names.

    Args:
        reader: of the file, before its rows are taken.
        named: columns by field, of those that are not called like their field.
        order: what comes first in a time such as 3/4/2025.
        kind: of rows that say none.

    Raises:
        ConfigurationError: a field or a column is not there, or the columns of item, time, or of user and session.
    """
    if unknown := [one for one in named if one not in FIELDS]:
        raise ConfigurationError(f"no field {listed(unknown)} of interactions; there are {listed(FIELDS)}")
    columns = {field: matching(named.get(field, field), reader.columns) for field in FIELDS}
    found = {field: column for field, column in columns.items() if column is not None}
    guessed = _guessed([field for field in FIELDS if field not in found and field not in named], reader, found)
    found = {field: column for field in FIELDS if (column := {**found, **guessed}.get(field)) is not None}
    missing = [named.get(field, field) for field in FIELDS if field not in found and field in (*_NEEDED, *named)]
    if not missing and "user" not in found and "session" not in found:
        missing = ["user"]
    if missing and reader.columns:
        raise ConfigurationError(f"no column {listed(missing)}; there are {listed(reader.columns)}")
    sample = Columns(reader.columns, reader.sample(waiting=True))
    dates = date_form(sample.cells(found["time"]) if "time" in found else (), order=order)
    return InteractionMapping(found, dates, kind=kind, guessed=bool(guessed))


def _guessed(fields: list[str], reader: RecordReader, taken: Mapping[str, str]) -> dict[str, str]:
    """Columns of usual names, by field; of several the one whose name is listed first."""
    plain = {_plain(column): column for column in reversed(reader.columns) if column not in taken.values()}
    found = {field: next((plain[name] for name in _USUAL[field] if name in plain), None) for field in fields}
    return {field: column for field, column in found.items() if column is not None}


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


class _RowError(ValueError):
    """One row cannot be an interaction."""
