"""Contradictions between figures: versions, signs, symbols, moments, numerals and amounts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from recommender_engine.matching.differences.pair import ReadingPair, agreement, has_kind, words_of
from recommender_engine.matching.pair.agreement import Agreement
from recommender_engine.matching.text.reading import MONEY, READ_UNITS, Reading, Value

_MOST_DATED = 60  # in a longer text, the date is likely that of writing
# Tolerance between systems of units; within one system, amounts must be equal.
_ROUGHLY = 0.02
_EXACT = 1e-12
# A long whole number by itself, such as an order or ticket number, and the next word, which may be a unit.
_LONG = re.compile(r"(?:(?<=[a-z]\s)|\A)([1-9]\d{5,14})[.,;!?)]*(?:\s([a-z]+)(?!\S)|\Z)")
# Numbers whose value may have other digits than the text: with separators, of several parts, or rounded.
_SPREAD = re.compile(r"\d[\W_v]+\d{3}(?!\d)|\d[.,']\d+[.,']\d|[.,]\d{9}")
_NO_DIGITS = re.compile(r"\D+")


def version(pair: ReadingPair) -> Agreement[str] | None:
    """Versions that are equal as numbers: 3.1 and 3.10, of one product."""
    for mine in pair.one.values:
        if not mine.decimals or mine.sign or has_kind(mine):
            continue
        for their in pair.other.values:
            if not their.decimals or their.sign or mine.readings != their.readings or has_kind(their):
                continue
            if mine.named != their.named or not mine.named or not mine.decimals.strip("0"):
                continue
            if mine.decimals != their.decimals and pair.alike({mine.text}, {their.text}):
                return agreement([mine.text], [their.text])
    return None


def sign(pair: ReadingPair) -> Agreement[str] | None:
    """A number with a plus on one side and a minus on the other."""
    mine = [value for value in pair.one.values if value.sign]
    for value in mine:
        for their in pair.other.values:
            if their.sign and their.sign != value.sign:
                same = [one for one in mine if one.sign == their.sign and _equal(one, their)]
                if not same and pair.alike({value.text}, {their.text}):
                    return agreement([value.text], [their.text])
    return None


def symbol(pair: ReadingPair) -> Agreement[str] | None:
    """Names that differ in a sign, or separate signs that differ."""
    here, there = pair.one.symbols - pair.other.symbols, pair.other.symbols - pair.one.symbols
    repeated = _repeated(pair.one, pair.other), _repeated(pair.other, pair.one)
    if all(repeated) and pair.alike(*repeated):
        return agreement(sorted(repeated[0]), sorted(repeated[1]))
    bare = pair.one.content.keys(), pair.other.content.keys()
    for mark in sorted(here | there):
        base = mark.rstrip("+#-")
        theirs = there if mark in here else here
        other = bare[1] if mark in here else bare[0]
        found = sorted(one for one in theirs if (one.rstrip("+#-") or not base) and bool(base) == one[0].isalnum())
        if not found and base in other and base not in (bare[0] if mark in here else bare[1]):
            found = [base]
        if found and pair.alike({mark, base, *found}, {mark, base, *found}):
            return agreement([mark], [found[0]]) if mark in here else agreement([found[0]], [mark])
    return None


def _repeated(reading: Reading, other: Reading) -> set[str]:
    """Tokens like ``AAA`` where the other text has ``AA``."""
    return {token for token in reading.content if len(set(token)) == 1 < len(token)} - other.content.keys()


def moment(pair: ReadingPair) -> Agreement[str] | None:
    """Different dates, times of day or ratios."""
    if max(len(pair.one.tokens), len(pair.other.tokens)) > _MOST_DATED:
        return None
    here = [text for date, text in pair.one.dates.items() if not any(_same_day(date, one) for one in pair.other.dates)]
    there = [text for date, text in pair.other.dates.items() if not any(_same_day(date, one) for one in pair.one.dates)]
    mine = [text for key, text in pair.one.moments.items() if key not in pair.other.moments]
    theirs = [text for key, text in pair.other.moments.items() if key not in pair.one.moments]
    for ours, others in ((here, there), (mine, theirs)):
        if ours and others and pair.alike(_figures(pair.one), _figures(pair.other)):
            return agreement(ours, others)
    return None


def _figures(reading: Reading) -> set[str]:
    return {token for token in reading.tokens if token[0].isdigit()} | words_of(reading, reading.marks.get("month", ()))


def _same_day(one: Iterable[tuple[int, int, int]], other: Iterable[tuple[int, int, int]]) -> bool:
    return any(
        mine[1:] == their[1:] and (mine[0] == their[0] or not mine[0] or not their[0])
        for mine in one
        for their in other
    )


def numeral(pair: ReadingPair) -> Agreement[str] | None:
    """Different Roman numerals."""
    here, there = pair.one.romans, pair.other.romans
    mine, theirs = here.keys() - set(pair.other.tokens), there.keys() - set(pair.one.tokens)
    if not mine or not theirs or {here[one] for one in mine} & {there[one] for one in theirs}:
        return None
    return agreement(sorted(mine), sorted(theirs)) if pair.alike(mine, theirs) else None


def amount(pair: ReadingPair) -> Agreement[str] | None:
    """Different numbers and measures."""
    here, there = _unmatched(pair.one, pair.other), _unmatched(pair.other, pair.one)
    if not here and not there:
        return None
    if not here or not there:
        return _grouped(pair, here, there)
    figures = _units(pair.one) | _figures(pair.one), _units(pair.other) | _figures(pair.other)
    return agreement([one.text for one in here], [one.text for one in there]) if pair.alike(*figures) else None


def _grouped(pair: ReadingPair, here: list[Value], there: list[Value]) -> Agreement[str] | None:
    """``1 000`` against ``1``: the only difference is a group of three digits after a number."""
    (longer, shorter), own = ((pair.one, pair.other), here) if here else ((pair.other, pair.one), there)
    if len(own) != 1 or not any(own[0].position == positions[1] for positions in _joined(longer).values()):
        return None
    position = own[0].position
    if (*longer.tokens[:position], *longer.tokens[position + 1 :]) != shorter.tokens:
        return None
    grouped, alone = f"{longer.tokens[position - 1]} {longer.tokens[position]}", longer.tokens[position - 1]
    return agreement([grouped], [alone]) if here else agreement([alone], [grouped])


def all_agree(one: Reading, other: Reading) -> bool:
    """Whether both texts state the same numbers, at least one, in any spelling."""
    return bool(one.values and other.values) and not (_unmatched(one, other) or _unmatched(other, one))


def surely_differ(one: str, other: str) -> bool:
    """Whether one text has a number whose digits do not occur in the other: then they do not `all_agree`.

    A cheap test before `read`: it decides most pairs of texts that name an order or a ticket.

    Args:
        one: folded text, see `read`.
        other: folded text.
    """
    if not (one.isascii() and other.isascii()):
        return False
    return _lacks(other, _LONG.findall(one)) or _lacks(one, _LONG.findall(other))


def _lacks(folded: str, found: list[tuple[str, str]]) -> bool:
    """Whether the digits of one of the numbers without a unit do not occur in a text."""
    numbers = [number for number, follows in found if follows not in READ_UNITS and follows not in MONEY]
    if not numbers or _SPREAD.search(folded):
        return False
    digits = _NO_DIGITS.sub("", folded)
    return any(number not in digits for number in numbers)


def _units(reading: Reading) -> set[str]:
    return {
        reading.tokens[value.position + 1]
        for value in reading.values
        if has_kind(value) and value.position + 1 < len(reading.tokens)
    }


def _unmatched(reading: Reading, other: Reading) -> list[Value]:
    found = [value for value in reading.values if not any(_equal(value, their) for their in other.values)]
    if not found:
        return found
    romans = {float(amount) for amount in other.romans.values()}
    joined = _joined(other)
    alone = [value for value in found if not any(amount in romans or amount in joined for _, amount in value.readings)]
    wanted = {amount for value in other.values for _, amount in value.readings}
    pieces = {position for amount, positions in _joined(reading).items() if amount in wanted for position in positions}
    return [value for value in alone if value.position not in pieces]


def _joined(reading: Reading) -> dict[float, tuple[int, ...]]:
    """Adjacent numbers that may be one: ``1 000``."""
    found: dict[float, tuple[int, ...]] = {}
    for one, other in zip(reading.values, reading.values[1:], strict=False):
        if (
            other.position == one.position + 1
            and len(other.text) == 3
            and other.text.isdecimal()
            and one.text.isdecimal()
        ):
            for kind, amount in other.readings:
                scale = amount / float(other.text) if float(other.text) else _scale(kind, reading, other)
                found[round(float(one.text + other.text) * scale, 9)] = (one.position, other.position)
    return found


def _scale(kind: str, reading: Reading, value: Value) -> float:
    if not kind or value.position + 1 >= len(reading.tokens):
        return 1.0
    return READ_UNITS.get(reading.tokens[value.position + 1], (kind, 1.0))[1]


def _equal(one: Value, other: Value) -> bool:
    if not (has_kind(one) and has_kind(other)):
        return not one.numbers.isdisjoint(other.numbers) or _year(one.text, other.text)
    for kind, amount in one.readings:
        for their, value in other.readings:
            rough = _ROUGHLY if one.imperial != other.imperial else _EXACT
            if kind == their and abs(amount - value) <= rough * max(abs(amount), abs(value)):
                return True
    return False


def _year(one: str, other: str) -> bool:
    """Whether two numbers are one year, with two and four digits: ``98`` and ``1998``."""
    short, full = sorted((one, other), key=len)
    return len(short) == 2 and len(full) == 4 and full[:2] in {"19", "20"} and full.endswith(short)
