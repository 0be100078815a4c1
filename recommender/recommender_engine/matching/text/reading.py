"""Analysis of a text for contradictions with another of the same wording: signs, moments, amounts, words.

It is separate from the terms (`terms_of`), which the index of words stores and which must not change.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from recommender_engine.matching.text.hosts import hosts_of, names_domain
from recommender_engine.matching.text.lexicon import Lexicon, lexicon
from recommender_engine.matching.text.moments import moments_of
from recommender_engine.matching.text.numerals import roman
from recommender_engine.matching.text.tokens import Mark, Token, tokens_of
from recommender_engine.matching.text.units import UNITS
from recommender_engine.matching.text.vocabulary import FUNCTION_WORDS

MOST_CHARACTERS = 1500
"""A longer text is not read word by word."""

_PROSE = 0.45
_CROSS = "\u00d7"
_MOST_SIDES = 3
_LONGEST_NUMBER = 18  # longer ones are names, and a float cannot distinguish them
MONEY = {"€": "eur", "eur": "eur", "euro": "eur", "euros": "eur", "$": "usd", "usd": "usd", "dollars": "usd",
          "£": "gbp", "gbp": "gbp", "pounds": "gbp", "zł": "pln", "pln": "pln", "chf": "chf"}  # fmt: skip
READ_UNITS: dict[str, tuple[str, float]] = {
    **UNITS, "mm2": ("area", 0.01), "cm2": ("area", 1), "m2": ("area", 1e4), "m3": ("volume", 1e3),
    "mcg": ("mass", 1e-6),
    "\u00b5g": ("mass", 1e-6), "k": ("kelvin", 1), "%": ("share", 1), "dl": ("volume", 0.1), "liter": ("volume", 1),
    "litro": ("volume", 1), "pollici": ("length", 2.54), "pouces": ("length", 2.54), "pulgadas": ("length", 2.54),
    "polegadas": ("length", 2.54), "cali": ("length", 2.54), "h": ("clock", 60),
    "pf": ("capacity", 1e-12), "nf": ("capacity", 1e-9), "uf": ("capacity", 1e-6), "\u03bcf": ("capacity", 1e-6),
    "nh": ("inductance", 1e-9), "uh": ("inductance", 1e-6), "\u03bch": ("inductance", 1e-6),
    "ohm": ("resistance", 1), "ohms": ("resistance", 1), "\u03c9": ("resistance", 1), "kohm": ("resistance", 1e3),
    "k\u03c9": ("resistance", 1e3), "ma": ("current", 1e-3), "kv": ("voltage", 1e3), "mv": ("voltage", 1e-3),
    "mw": ("power", 1e-3), "hp": ("power", 745.7), "ps": ("power", 735.5), "wh": ("energy", 1), "kwh": ("energy", 1e3),
    "kbps": ("rate", 1e3), "mbps": ("rate", 1e6), "gbps": ("rate", 1e9), "mbit": ("rate", 1e6), "gbit": ("rate", 1e9),
    "psi": ("pressure", 0.06895), "kpa": ("pressure", 0.01), "mpa": ("pressure", 10), "rpm": ("rotation", 1),
    "iu": ("activity", 1), "ie": ("activity", 1), "mmol": ("amount", 1e-3), "mol": ("amount", 1),
}  # fmt: skip
"""Units that are read beside those of the terms."""

IMPERIAL = frozenset(
    {"inch", "inches", "zoll", "in", '"', "''", "'", "\u2033", "\u201d", "ft", "feet", "foot", "lb", "lbs", "oz", "gal"}
    | {"pollici", "pouces", "pulgadas", "polegadas", "cali"}
)
"""Units that are converted roughly to the metric ones."""

_THOUSANDS = re.compile(r"\d{1,3}(?:([.,'\u2019])\d{3})(?:\1\d{3})*\Z")


class Value(NamedTuple):
    """A number in a text.

    Attributes:
        readings: possible meanings: the kind of quantity, empty for a plain number, and the value in its base unit.
        numbers: possible values without the unit.
        text: as it was written.
        sign: 1 or -1 where one is written.
        decimals: digits after a single point or comma, as written.
        named: the word before it, if it may be a version.
        position: index of the token.
        imperial: whether its unit is.
    """

    readings: frozenset[tuple[str, float]]
    numbers: frozenset[float]
    text: str
    sign: int
    decimals: str
    named: str
    position: int
    imperial: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """The analysis of a text.

    Attributes:
        tokens: words, numbers and signs, folded, in reading order.
        content: occurrences of each token that is no function word.
        marks: words of the lexicon, by the name of their list.
        languages: number of its words that are common in each.
        values: numbers that are no part of a moment.
        dates: possible readings of year, month and day; 0 for a missing part.
        moments: times of day and ratios.
        romans: Roman numerals, with their values.
        symbols: names with a sign in them (``c++``), and separate signs.
        prose: whether it is written in sentences.
        packs: numbers of pieces in a pack, with their tokens.
        hosts: see `hosts_of`.
        has: kinds of content that it has: names of lists in ``marks``, and ``values``, ``dates``, ``moments``,
            ``romans``, ``symbols``, ``hosts``, ``domains`` where it names one, and ``repeated`` where a token is one
            sign several times.
    """

    tokens: tuple[str, ...]
    content: Counter[str]
    marks: dict[str, list[Mark]]
    languages: Counter[str]
    values: tuple[Value, ...]
    dates: dict[frozenset[tuple[int, int, int]], str]
    moments: dict[tuple[int, ...], str]
    romans: dict[str, int]
    symbols: frozenset[str]
    prose: bool
    packs: dict[int, tuple[str, ...]]
    hosts: frozenset[str]
    has: frozenset[str]


def read(folded: str, words: Lexicon | None = None) -> Reading:
    """Read a text.

    Args:
        folded: as `fold` makes it.
        words: of its collection; by default the shipped ones.
    """
    words = words or lexicon()
    common = words.languages
    raw = tokens_of(folded, words.lengths)
    tokens = tuple([one.text for one in raw])
    languages = _languages(tokens, common)
    grouping = _grouping(languages)
    marks = words.marks(tokens)
    dates, moments, taken = moments_of(raw, marks)
    values = tuple(_values(raw, marks, grouping, taken))
    symbols = frozenset([one.text for one in raw if one.kind in {"mark", "symbol"}])
    content = [token for token in tokens if token not in FUNCTION_WORDS and token not in common]
    romans = {token: amount for token in tokens if token[0] in "ivx" and (amount := roman(token))}
    hosts = hosts_of(folded)
    parts: dict[str, object] = {
        "values": values,
        "dates": dates,
        "moments": moments,
        "romans": romans,
        "symbols": symbols,
        "hosts": hosts,
        "domains": names_domain(folded),
    }
    repeated = any(len(set(token)) == 1 < len(token) for token in content)
    return Reading(
        tokens=tokens,
        content=Counter(content),
        marks=marks,
        languages=languages,
        values=values,
        dates=dates,
        moments=moments,
        romans=romans,
        symbols=symbols,
        prose=len(tokens) - len(content) > _PROSE * len(tokens),
        packs=_packs(tokens, marks, values),
        hosts=hosts,
        has=frozenset([*marks, *(name for name, part in parts.items() if part), *(["repeated"] if repeated else ())]),
    )


def _languages(tokens: tuple[str, ...], common: Mapping[str, frozenset[str]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for token in tokens:
        for language in common.get(token, ()):
            counts[language] += 1
    return counts


def likeliest(languages: Counter[str], within: int = 0) -> frozenset[str]:
    """The languages with the most words in a text, or at most ``within`` fewer; empty if there are none."""
    most = max(languages.values(), default=0) - within
    return frozenset([language for language, count in languages.items() if count >= most])


def _grouping(languages: Counter[str]) -> str:
    """The grouping of digits: English, continental, or unknown."""
    best = likeliest(languages)
    if not best or ("en" in best and len(best) > 1):
        return ""
    return "en" if "en" in best else "continental"


def _values(raw: list[Token], marks: dict[str, list[Mark]], grouping: str, taken: set[int]) -> list[Value]:
    found = []
    minus = {mark.end for mark in marks.get("minus", ())}
    pieces = {mark.start for mark in marks.get("pieces", ())}
    for index, (kind, text, _) in enumerate(raw):
        if kind != "number" or index in taken or len(text) > _LONGEST_NUMBER:
            continue
        signed = text[0] if not text[0].isdigit() else ""
        number = text.lstrip("+-\u2212\u2013 ")
        sign = 1 if signed == "+" else -1 if signed or index in minus else 0
        unit, follows = _unit(raw, index)
        if not sign and index and raw[index - 1].text in {"plus", "piu", "mas", "mais"} and not unit:
            sign = 1
        separators = [letter for letter in number if not letter.isdigit()]
        decimals = number.rpartition(separators[0])[2] if len(separators) == 1 and separators[0] in ".," else ""
        named = raw[index - 1].text if index and raw[index - 1].kind == "word" else ""
        kind_of, factor = unit
        counted = kind_of in MONEY.values() or index + 1 in pieces
        numbers = frozenset(_readings(number, grouping, counted=counted))
        readings = frozenset([(kind_of, round(value * factor, 9)) for value in numbers])
        found.append(
            Value(readings, numbers, text, sign, decimals, "" if kind_of else named, index, follows in IMPERIAL)
        )
    for mark in marks.get("number", ()):
        if mark.start not in taken:
            word = raw[mark.start].text
            amount = float(mark.key)
            found.append(Value(frozenset({("", amount)}), frozenset({amount}), word, 0, "", "", mark.start, False))
    return found


def _unit(raw: list[Token], index: int) -> tuple[tuple[str, float], str]:
    if index + 1 < len(raw):
        follows = raw[index + 1]
        if follows.text in MONEY:
            return (MONEY[follows.text], 1.0), follows.text
        if follows.text == _CROSS:
            return _unit_of_sides(raw, index + 2)
        known = READ_UNITS.get(follows.text)
        if known and (follows.text != "in" or follows.attached):
            return known, follows.text
    if index and raw[index - 1].text in {"€", "$", "£"}:
        return (MONEY[raw[index - 1].text], 1.0), ""
    return ("", 1.0), ""


def _unit_of_sides(raw: list[Token], index: int) -> tuple[tuple[str, float], str]:
    """The unit behind the last side, if it is a length: 40 x 25 cm. A factor has none: 6 x 1 l."""
    for _ in range(_MOST_SIDES):
        if index + 2 < len(raw) and raw[index + 1].text == _CROSS:
            index += 2
    unit, follows = _unit(raw, index) if index < len(raw) else (("", 1.0), "")
    return (unit, follows) if unit[0] == "length" else (("", 1.0), "")


def _readings(number: str, grouping: str, *, counted: bool) -> set[float]:
    """Possible values of a number; a group of three digits is a thousand if the language writes it so.

    Amounts of money and numbers of pieces have no three decimals.
    """
    grouped = _THOUSANDS.match(number)
    plain = number.replace("\u2019", "'")
    if grouped:
        sign = grouped[1].replace("\u2019", "'")
        whole = float(re.sub(r"\D", "", plain))
        if sign == "'" or plain.count(sign) > 1:
            return {whole}
        part = float(plain.replace(sign, "."))
        if plain.startswith("0"):
            return {part}
        if plain.endswith(f"{sign}000") and grouping != "en":
            return {whole}
        if counted:
            return {whole}
        if grouping == "en":
            return {whole} if sign == "," else {part}
        if grouping:
            return {whole} if sign == "." else {part}
        return {whole, part}
    last = max(plain.rfind("."), plain.rfind(","))
    if last < 0:
        return {float(plain.replace("'", ""))}
    if plain.count(".") + plain.count(",") > 1 and plain[last] in plain[:last]:
        return {float("".join(part.zfill(4) for part in re.split(r"\D", plain))[:300])}  # a version of several parts
    return {float(re.sub(r"\D", "", plain[:last]) + "." + plain[last + 1 :])}


def _packs(
    tokens: tuple[str, ...], marks: dict[str, list[Mark]], values: tuple[Value, ...]
) -> dict[int, tuple[str, ...]]:
    """Numbers of pieces, from phrases such as ``pack of 3``, ``3-pack``, ``6 x 1.5 l``, ``(3x)``, ``3 for 2``."""
    packs = {mark.start for mark in marks.get("packs", ())}
    pieces = {mark.start for mark in marks.get("pieces", ())}
    joined = {mark.start for mark in marks.get("packs_of", ())}
    found: dict[int, tuple[str, ...]] = {}
    for value in values:
        position = value.position
        amount = next((amount for kind, amount in value.readings if kind in {"", "count"}), 0.0)
        if amount < 2 or amount != int(amount) or value.decimals:
            continue
        after = tokens[position + 1] if position + 1 < len(tokens) else ""
        factor = after in {"x", _CROSS}  # box 30 x 20 x 10 cm
        before = not factor and (position - 1 in packs or (position - 1 in joined and position - 2 in packs))
        if before or position + 1 in packs or position + 1 in pieces or (after in {"pack", "pk", "pcs", "er"}):
            found[int(amount)] = tokens[max(position - 2, 0) if before else position : position + 2]
        elif factor and _counted(tokens, position, values):
            found[int(amount)] = tokens[position : position + 2]
        elif after == "for" and position + 2 < len(tokens) and tokens[position + 2].isdecimal():
            found[int(amount)] = tokens[position : position + 3]
    return found


def _counted(tokens: tuple[str, ...], position: int, values: tuple[Value, ...]) -> bool:
    """Whether the next factor is a volume, mass or count, or there is none: not the other side of a rectangle."""
    then = next((value for value in values if value.position == position + 2), None)
    if tokens[position + 1] == "x":
        return then is None
    return then is not None and any(kind in {"volume", "mass", "count"} for kind, _ in then.readings)
