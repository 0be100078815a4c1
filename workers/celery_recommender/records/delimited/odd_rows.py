"""Rows of a table that are no records: units or types below the names, totals at the end."""

from __future__ import annotations

import re
from collections.abc import Sequence

from celery_recommender.records.rows import Fault
from celery_recommender.records.values.quantities import is_number, is_unit
from recommender_engine.items.placeholders import bare

_TOTALS = frozenset(
    {"total", "totals", "grand total", "subtotal", "sub total", "sum", "overall", "summe", "gesamt", "gesamtsumme"}
    | {"zwischensumme", "insgesamt", "total general", "total geral", "somme", "sous total", "totale", "subtotale"}
    | {"totale generale", "totaal", "subtotaal", "eindtotaal", "suma", "razem", "ogolem", "celkem", "итого", "合计"}
    | {"合計", "总计"}
)
_LONGEST_TOTAL = 16
_LONGEST_BELOW = 40
_BELOW = re.compile(
    r"(?:grand |sub)?totals?\b[^\w]*+\d[\d.,' ]*+\w{0,8}"
    r"|\(?[\d,.]+ (?:rows?|records?|zeilen|lignes|filas)(?: affected| selected)?\)?"
    r"|(?:page|seite|página|pagina) -?\d+ (?:of|von|de|di|/) \d+",
    re.IGNORECASE,
)
_TYPES = frozenset(
    {"text", "string", "str", "varchar", "char", "nvarchar", "object", "int", "integer", "int64", "int32", "bigint"}
    | {"long", "smallint", "float", "float64", "double", "decimal", "number", "numeric", "real", "date", "datetime"}
    | {"timestamp", "time", "bool", "boolean", "uuid", "json", "jsonb", "category"}
)
_BRACKETED = re.compile(
    r"\[[^\[\]]{1,24}\]|\([^()]{1,24}\)|(?:n?varchar|char|decimal|numeric)\([\d, ]{1,9}\)", re.IGNORECASE
)


def odd_row(texts: Sequence[str], *, first: bool) -> tuple[Fault, str] | None:
    """What a row is that is no record, and the same for people.

    Args:
        texts: its cells.
        first: whether it is the first below the header.
    """
    filled = [text.strip() for text in texts if text and text.strip()]
    if first and _are_units(filled, len(texts)):
        return Fault.HEADER, "units or types below the names of the columns, and no values"
    if _are_totals(filled, len(texts)):
        return Fault.TOTALS, "a row of totals"
    alone = len(filled) == 1 and len(texts) > 1 and len(filled[0]) <= _LONGEST_BELOW
    if alone and _BELOW.fullmatch(filled[0]) is not None:
        return Fault.TOTALS, "a line about the table, such as stands below it"
    return None


def _are_units(filled: Sequence[str], width: int) -> bool:
    words = [text for text in filled if any(map(str.isalnum, text)) or is_unit(text)]
    if len(words) < (2 if width < 3 else 1):
        return False
    return all(_BRACKETED.fullmatch(word) or word.casefold() in _TYPES or is_unit(word) for word in words)


def _are_totals(filled: Sequence[str], width: int) -> bool:
    """A word for totals, numbers behind it, and nothing else; a table of several columns leaves some empty."""
    if len(filled) < 2 or (width > 2 and len(filled) == width) or len(filled[0]) > _LONGEST_TOTAL:
        return False
    return bare(filled[0]) in _TOTALS and all(map(is_number, filled[1:]))
