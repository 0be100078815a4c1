"""Dates in the forms that people and programs write them; what can be read in two ways is not guessed."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Literal

from dateutil import parser as named_months

from celery_recommender.records.values.text import is_missing

Order = Literal["day", "month"]
"""The order of day and month in 3/4/2025."""

_LONGEST = 64
# How many of each unit make a second, with the range of numbers that are moments between 1973 and 2286.
_UNITS = {1: (10**8, 10**10), 10**3: (10**11, 10**13), 10**6: (10**14, 10**16), 10**9: (10**17, 10**19)}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SHEET_EPOCH = dt.datetime(1899, 12, 30, tzinfo=dt.UTC)
_SHEET_DAYS = (1, 2_958_466)  # from 1900 to 9999
_PLAUSIBLE_YEARS = (1900, 2200)  # of eight digits in a row
_CENTURY_TURNS = 69  # as POSIX has it: 68 is 2068, 69 is 1969

_NUMBER = re.compile(r"[0-9]{1,20}([.,][0-9]{1,12})?")
_COMPACT = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_TIME = (
    r"(?:[T ,]+(?:(?:um|at|om|alle|a las|à) )?(?P<hour>\d{1,2})[:.h](?P<minute>\d{2})"
    r"(?:[:.](?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r" ?(?:(?P<half>[AaPp])\.?[Mm]\.?|Uhr)? ?(?P<offset>[A-Z]{1,4}|[+-]\d{2}:?\d{2}|[+-]\d{2})?)?"
)
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})" + _TIME)
_YEAR_LAST = re.compile(r"(?P<one>\d{1,2})(?P<mark>[-/.])(?P<two>\d{1,2})(?P=mark)(?P<year>\d{4}|\d{2})" + _TIME)
_NEVER = re.compile(r"0{1,4}([-/.])0{1,2}\1(0{1,4})(\D.*)?|0001-01-01(\D.*)?", re.DOTALL)
_WEEK_ONLY = re.compile(r"\d{4}-?W\d{2}")
_OFFSET_APART = re.compile(r" *([+-]\d{2}:?\d{2}|[Zz])$")
_DAY_OF_YEAR = re.compile(r"\d{4}-\d{3}")
_ZONE_NAME = re.compile(r"\[[A-Za-z_+\-/0-9]*\]$")
_SERVER_LOG = re.compile(r"^(\d{1,2}/\w{3}/\d{4}):")
_ORACLE = re.compile(r"^(\d{1,2}-\w+-\d{2,4}) (\d{1,2})\.(\d{2})\.(\d{2})((?:\.\d{1,9})?(?: ?[AaPp][Mm])?)(?= |$)")
_EMPTY_DATES = {(1970, 1, 1), (1900, 1, 1), (1899, 12, 30), (1899, 12, 31), (1753, 1, 1), (9999, 12, 31)}


class NotADateError(ValueError):
    """The value is no date, or can be read as more than one; the message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class DateForm:
    """How the dates of one column are to be read.

    Attributes:
        order: what comes first in 3/4/2025; ``None`` where no option says it.
        sheet_days: whether numbers are days since 1900, as spreadsheets count them.
        per_second: how many of the column's numbers make a second since 1970; ``None`` where numbers are no moments.
    """

    order: Order | None = None
    sheet_days: bool = False
    per_second: int | None = None

    def read(self, value: Any) -> dt.datetime | None:
        """The moment that a cell names, with an offset (UTC where it gives none); ``None`` for no date.

        Raises:
            NotADateError: it names none, or more than one.
        """
        if isinstance(value, dt.datetime):
            return _aware(value)
        if isinstance(value, dt.date):
            return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
        if is_missing(value):
            return None
        number = _number(value)
        if number is not None:
            return self._numbered(number)
        if not isinstance(value, str):
            raise NotADateError("not a date")
        return self._written(" ".join(value.split()))

    def _numbered(self, number: Decimal) -> dt.datetime:
        if self.sheet_days and _SHEET_DAYS[0] <= number < _SHEET_DAYS[1]:
            return _SHEET_EPOCH + dt.timedelta(milliseconds=round(float(number) * 86_400_000))
        if self.per_second is not None and _unit(number) == self.per_second:
            return _EPOCH + dt.timedelta(microseconds=int(number * 1_000_000 / self.per_second))
        if (written := _compact(number)) is not None:
            return written
        if self.sheet_days:
            raise NotADateError("not a day that a spreadsheet counts from 1900")
        if number == 0:
            raise NotADateError("0 is taken for no date, and not for 1970")
        if 1000 <= number < 3000:
            raise NotADateError("a year is not a date")
        if 20_000 <= number < 80_000:
            raise NotADateError("a number and no date (--excel-dates reads the days that spreadsheets count)")
        raise NotADateError("a number and no date (seconds since 1970 only where the whole column is of that kind)")

    def _written(self, text: str) -> dt.datetime | None:
        if not text or _NEVER.fullmatch(text):
            return None
        if len(text) > _LONGEST or _WEEK_ONLY.fullmatch(text):
            raise NotADateError("not a date")
        text = _ZONE_NAME.sub("", text)
        found = _iso(_OFFSET_APART.sub(_upper, text)) or self._in_figures(text) or _with_a_name(text)
        if found is None:
            raise NotADateError("not a date")
        return found

    def _in_figures(self, text: str) -> dt.datetime | None:
        if parts := _YEAR_FIRST.fullmatch(text):
            return _made(int(parts["year"]), int(parts["month"]), int(parts["day"]), parts)
        parts = _YEAR_LAST.fullmatch(text)
        if parts is None:
            return None
        one, two = int(parts["one"]), int(parts["two"])
        order = self.order or _evident(one, two, parts["mark"], four_digits=len(parts["year"]) == 4)
        if order is None:
            raise NotADateError("a date that can be read in two ways (say --day-first or --month-first)")
        day, month = (one, two) if order == "day" else (two, one)
        return _made(_year(parts["year"]), month, day, parts)


def date_form(values: Iterable[Any], *, order: Order | None = None, sheet_days: bool = False) -> DateForm:
    """How to read the dates of a column, by some of its cells.

    Numbers are moments (seconds, or thousandths, millionths and billionths of them, since 1970) only where every cell
    that holds anything is a number of that one size.
    """
    units = {_unit(number) if (number := _number(value)) is not None else None for value in values if not _blank(value)}
    (per_second,) = units if len(units) == 1 else (None,)
    return DateForm(order, sheet_days, None if sheet_days else per_second)


def looks_like_a_date(value: Any) -> bool:
    """Whether a value is a date in any order, for telling columns of dates from those with texts."""
    try:
        return DateForm("day").read(value) is not None
    except NotADateError:
        return isinstance(value, str) and bool(_YEAR_LAST.fullmatch(value.strip()))


def stands_for_none(moment: dt.datetime) -> bool:
    """Whether many systems write this moment where they have no date: 1970-01-01, 1900-01-01, 9999-12-31 …"""
    return (moment.year, moment.month, moment.day) in _EMPTY_DATES


def _number(value: Any) -> Decimal | None:
    if isinstance(value, str):
        text = value.strip()
        return Decimal(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return number if number.is_finite() else None


def _blank(value: Any) -> bool:
    if is_missing(value) or (isinstance(value, str) and not value.strip()):
        return True
    return _number(value) == 0 or (isinstance(value, str) and bool(_NEVER.fullmatch(value.strip())))


def _unit(number: Decimal) -> int | None:
    if number == number.to_integral_value() and _compact(number) is not None:
        return None
    return next((unit for unit, (least, most) in _UNITS.items() if least <= number < most), None)


def _compact(number: Decimal) -> dt.datetime | None:
    """Digits in a row, such as 20250310 or 20250310143000."""
    digits = str(number)
    if len(digits) not in _COMPACT or not digits.isdecimal():
        return None
    if not _PLAUSIBLE_YEARS[0] <= int(digits[:4]) < _PLAUSIBLE_YEARS[1]:
        return None
    try:
        return dt.datetime.strptime(digits, _COMPACT[len(digits)]).replace(tzinfo=dt.UTC)
    except ValueError:
        return None


def _upper(offset: re.Match[str]) -> str:
    return offset[1].upper()


def _iso(text: str) -> dt.datetime | None:
    try:
        if _DAY_OF_YEAR.fullmatch(text):
            return _aware(dt.datetime.strptime(text, "%Y-%j"))
        return _aware(dt.datetime.fromisoformat(text.removesuffix(" UTC")))
    except ValueError:
        return None


def _evident(one: int, two: int, mark: str, *, four_digits: bool) -> Order | None:
    """Which of two numbers is the day, where it is beyond doubt. With points, people write the day first."""
    if not four_digits:
        return None
    if mark == "." or one == two or one > 12:
        return "day"
    return "month" if two > 12 else None


def _year(digits: str) -> int:
    if len(digits) == 4:
        return int(digits)
    return int(digits) + (2000 if int(digits) < _CENTURY_TURNS else 1900)


def _made(year: int, month: int, day: int, parts: re.Match[str]) -> dt.datetime:
    hour, minute, second = (int(parts[name] or 0) for name in ("hour", "minute", "second"))
    if parts["half"]:
        if not 1 <= hour <= 12:
            raise NotADateError("not a date")
        hour = hour % 12 + (12 if parts["half"] in "Pp" else 0)
    fraction = int((parts["fraction"] or "0").ljust(6, "0")[:6])
    try:
        return dt.datetime(year, month, day, hour, minute, second, fraction, tzinfo=_zone(parts["offset"]))
    except ValueError:
        raise NotADateError("not a date") from None


def _zone(offset: str | None) -> dt.tzinfo:
    if offset is None:
        return dt.UTC
    if offset.isalpha():
        return _named_zone(offset, None) or dt.UTC
    digits = offset[1:].replace(":", "").ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return dt.timezone(dt.timedelta(minutes=minutes if offset[0] == "+" else -minutes))


def _aware(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)


# -- months by their names ---------------------------------------------------------------------------------------------


class _Names(named_months.parserinfo):
    def convertyear(self, year: int, century_specified: bool = False) -> int:
        """As in figures, and whatever year it is now."""
        return year if century_specified or year >= 100 else _year(f"{year:02}")

    MONTHS: ClassVar = [
        (*english, *others.split())
        for english, others in zip(
            named_months.parserinfo.MONTHS,
            (
                "januar jänner jän januari janvier janv enero ene gennaio gen janeiro styczeń stycznia sty",
                "februar februari février févr fév febrero febbraio fevereiro fev luty lutego lut",
                "märz mär mrz maart mrt mars marzo março marzec marca",
                "avril avr abril abr aprile kwiecień kwietnia kwi",
                "mai mei mayo maggio mag maio maj maja",
                "juni juin junio giugno giu junho czerwiec czerwca cze",
                "juli juillet juil julio luglio lug julho lipiec lipca lip",
                "augustus août aoû agosto ago sierpień sierpnia sie",
                "septembre septiembre setiembre settembre set setembro wrzesień września wrz",
                "oktober okt octobre octubre ottobre ott outubro out październik października paź",
                "novembre noviembre novembro listopad listopada lis",
                "dezember dez décembre déc diciembre dic dicembre dezembro grudzień grudnia gru",
            ),
            strict=True,
        )
    ]
    JUMP: ClassVar = [
        *named_months.parserinfo.JUMP,
        "de",
        "del",
        "di",
        "den",
        "der",
        "le",
        "er",
        "um",
        "uhr",
        "om",
        "à",
        "alle",
    ]


_NAMES = _Names()
_PARSER = named_months.parser(_NAMES)
_WORD = re.compile(r"[^\W\d_]+")
# What a text leaves out shows, for it is taken from these.
_DEFAULTS = (dt.datetime(2001, 1, 1), dt.datetime(2004, 2, 2))
_ZONES = {"UTC": 0, "GMT": 0, "Z": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "MEZ": 1, "CEST": 2, "MESZ": 2}
_ZONES |= {"EET": 2, "EEST": 3, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}


def _with_a_name(text: str) -> dt.datetime | None:
    """A date whose month is a word, in one of eight languages."""
    if all(_NAMES.month(word) is None for word in _WORD.findall(text)):
        return None
    text = _ORACLE.sub(r"\1 \2:\3:\4\5", _SERVER_LOG.sub(r"\1 ", text))
    try:
        one, other = (
            _PARSER.parse(text, default=default, dayfirst=day_first, tzinfos=_named_zone)
            for default, day_first in zip(_DEFAULTS, (True, False), strict=True)
        )
    except (ValueError, OverflowError, TypeError, AttributeError):
        return None
    if one != other:
        raise NotADateError("not a whole date, or one that can be read in two ways")
    return _aware(one)


def _named_zone(name: str | None, offset: int | None) -> dt.tzinfo | None:
    if offset is not None:
        return dt.timezone(dt.timedelta(seconds=offset))
    if name is None:
        return None
    if name.upper() not in _ZONES:
        raise ValueError("a zone of an unknown name")
    return dt.timezone(dt.timedelta(hours=_ZONES[name.upper()]))
