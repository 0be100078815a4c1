"""Numbers as people write them: with a unit, a decimal comma, marks between thousands."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

DecimalMark = Literal["point", "comma"]

_MARKS: dict[DecimalMark, str] = {"point": ".", "comma": ","}
_SIGNS = """
€ EUR, euro EUR, euros EUR, £ GBP, ¥ JPY, ₹ INR, rs INR, rs. INR, ₽ RUB, ₩ KRW, ₺ TRY, ₴ UAH, ₫ VND, ₪ ILS, zł PLN,
zl PLN, kč CZK, lei RON, лв BGN, $ $, dollar $, dollars $, us$ USD, c$ CAD, ca$ CAD, a$ AUD, au$ AUD, nz$ NZD, hk$ HKD,
r$ BRL, kr kr, kr. kr, sfr CHF, fr CHF, fr. CHF
"""
_CODES = """
aed ars aud bgn brl cad chf clp cny cop czk dkk egp eur gbp hkd hrk huf idr ils inr isk jpy krw kzt mad mxn myr nok nzd
pen php pkr pln ron rsd rub sar sek sgd thb try twd uah usd vnd zar
"""
_MEASURES = """
% g kg mg lb lbs oz l ml cl dl m cm mm km in inch ft yd mi kw v ah mah wh kwh hz khz mhz ghz kb mb gb tb ms min px dpi
db pcs pc stk stk. stück ud uds pz szt szt.
"""
_MONEY = {code: code.upper() for code in _CODES.split()} | {"": ""}
_MONEY |= dict(pair.split() for pair in _SIGNS.split(","))
_UNITS = {unit: unit for unit in _MEASURES.split()} | _MONEY

_LONGEST = 48
_SPACES = str.maketrans(dict.fromkeys("\u00a0\u202f\u2009\u2007\t", " ") | {"\u2019": "'", "\u2212": "-"})
_CELL = re.compile(r"(?P<before>[^\d\s.,+'-][^\d.,+'-]{0,7})?\s*(?P<sign>-)?\s?(?P<body>\d[\d.,' ]*)(?P<after>.{0,9})")
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_GROUPED = re.compile(r"[1-9]\d{0,2}(?P<mark>[.,' ])\d{3}(?:(?P=mark)\d{3})*")
_ENOUGH = 0.9  # of the non-empty cells; others are reported cell by cell
_MANY = 0.5


class Reading(NamedTuple):
    """The possible values of one cell.

    Attributes:
        by_point: the number if the decimal mark is a point; ``None`` where it cannot be.
        by_comma: the same for a comma.
        unit: ``EUR``, ``kg`` …; empty for none.
        grouped: whether thousands are set apart and nothing else shows that it is a number: digits of a telephone
            or order number are grouped too.
    """

    by_point: float | None
    by_comma: float | None
    unit: str
    grouped: bool


@dataclass(frozen=True, slots=True)
class NumberForm:
    """How the numbers of one column are written.

    Attributes:
        mark: the decimal mark; ``None`` where cells show both, and what can be read in two ways stays text.
        unit: of all numbers; empty for none.
    """

    mark: DecimalMark | None
    unit: str

    def read(self, cell: str) -> int | float | None:
        """The number, or ``None`` where the cell is none of this form."""
        reading = read_number(cell)
        if reading is None or reading.unit not in ("", self.unit):
            return None
        if self.mark is None:
            number = reading.by_point if reading.by_comma in (None, reading.by_point) else None
            number = reading.by_comma if reading.by_point is None else number
        else:
            number = reading.by_point if self.mark == "point" else reading.by_comma
        if number is None or not math.isfinite(number):
            return None
        return int(number) if number.is_integer() and abs(number) < 2**53 else number

    def describe(self) -> str:
        """For people."""
        parts = [f"in {self.unit}"] if self.unit else []
        if self.mark == "comma":
            parts.append("with a decimal comma")
        return " ".join(["numbers", *parts])


@dataclass(frozen=True, slots=True)
class Undecided:
    """A column of numbers that stays text.

    Attributes:
        reason: why, for people.
    """

    reason: str


def number_form(cells: Iterable[Any], mark: DecimalMark | None = None) -> NumberForm | Undecided | None:
    """How the numbers of a column are written, by some of its cells; ``None`` where plain figures or words stand.

    Args:
        cells: those that hold something.
        mark: the decimal mark, where an option names it.
    """
    texts = [cell for cell in cells if isinstance(cell, str) and cell.strip()]
    readings = [reading for cell in texts if (reading := read_number(cell)) is not None]
    if not readings or (mark is None and all(_PLAIN.fullmatch(cell.strip()) for cell in texts)):
        return None
    if len(readings) < _ENOUGH * len(texts):
        if len(readings) < _MANY * len(texts) or not any(reading.unit for reading in readings):
            return None
        return Undecided(f"of {len(texts)} cells only {len(readings)} are numbers")
    units = Counter(reading.unit for reading in readings if reading.unit)
    if len(units) > 1:
        return Undecided(f"several units: {', '.join(sorted(units))}")
    if mark is None and not units and all(reading.grouped for reading in readings if not _is_short(reading)):
        return Undecided("groups of three digits (--decimal says what they are)")
    marks = {said for reading in readings if (said := _mark_of(reading)) is not None}
    if mark is None and not marks and any(_two_ways(reading) for reading in readings):
        return Undecided("point or comma may be decimal or part thousands (say --decimal point or --decimal comma)")
    found = mark or (next(iter(marks)) if len(marks) == 1 else None if marks else "point")
    return NumberForm(found, next(iter(units), ""))


def read_number(cell: str) -> Reading | None:
    """The possible values of a cell as a number; ``None`` for other texts, also codes: leading zeros, a plus sign."""
    if len(cell) > _LONGEST:
        return None
    parts = _CELL.fullmatch(" ".join(cell.translate(_SPACES).split()))
    if parts is None:
        return None
    body = parts["body"].rstrip(" ")
    after = parts["after"].strip()
    if body[-1] in ".,'" and after.startswith(("-", "\u2013", "\u2014")):
        body, after = body[:-1], after.lstrip("-\u2013\u2014").strip()
    behind = after.startswith("-") and not parts["sign"]  # 100,00- as SAP writes it
    after = after[1:].strip() if behind else after
    before, after = ((text or "").strip().casefold() for text in (parts["before"], after))
    if (before and after) or before not in _MONEY or after not in _UNITS:
        return None
    unit = _UNITS[before or after]
    sign = -1.0 if parts["sign"] or behind else 1.0
    by_point, by_comma = (_value(body, mark) for mark in (".", ","))
    if by_point is None and by_comma is None:
        return None
    grouped = _GROUPED.fullmatch(body)
    return Reading(
        None if by_point is None else sign * by_point,
        None if by_comma is None else sign * by_comma,
        unit,
        grouped is not None and not (grouped["mark"] == "," and body.count(",") > 1) and not unit,
    )


def is_unit(text: str) -> bool:
    """Whether a text is a unit or a currency, and nothing else."""
    return text.casefold() in _UNITS and bool(text)


def is_number(value: Any) -> bool:
    """Whether a value is a number, or a text that can be read as one."""
    if isinstance(value, str):
        return read_number(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value(body: str, mark: str) -> float | None:
    """The number that a body of digits is when ``mark`` is the decimal one."""
    whole, found, fraction = body.partition(mark)
    if found and (not fraction.isdecimal() or not whole):
        return None
    if not whole.isdecimal():
        if _GROUPED.fullmatch(whole) is None:
            return None
        whole = re.sub(r"\D", "", whole)
    elif len(whole) > 1 and whole.startswith("0"):
        return None
    return float(f"{whole}.{fraction or '0'}")


def _mark_of(reading: Reading) -> DecimalMark | None:
    """The decimal mark that a cell shows, if it shows one beyond doubt."""
    if reading.by_point is None or reading.by_comma is None:
        return "comma" if reading.by_point is None else "point"
    return None


def _two_ways(reading: Reading) -> bool:
    return None not in (reading.by_point, reading.by_comma) and reading.by_point != reading.by_comma


def _is_short(reading: Reading) -> bool:
    """Whether it has neither a mark nor a group: it says nothing of how the others are written."""
    return not reading.grouped and reading.by_point == reading.by_comma
