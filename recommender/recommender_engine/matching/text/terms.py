"""Terms of a text for comparison: words, numbers, identifiers, measures, colours."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from recommender_engine.items.marks import legible
from recommender_engine.matching.text.units import ONLY_ATTACHED, UNITS, Measure
from recommender_engine.matching.text.vocabulary import COLOURS, NUMBER_WORDS

# A run of letters and digits, with the signs inside codes, addresses, versions and amounts.
COMPOUND = re.compile(r"[^\W_]+(?:(?:[-_.@:+]|,(?=\d))[^\W_]+)*")
PART = re.compile(r"[^\W_]+")
_SIGNS = re.compile(r"[\W_]+")
_DIGIT = re.compile(r"\d")
# For Latin, Greek and Cyrillic; marks of other scripts are separate letters.
_ACCENT = re.compile("[\u0300-\u036f]")
_NUMBER = r"\d+(?:[.,]\d+)*"
MEASURE = re.compile(
    rf"(?<![\w.,])({_NUMBER})( ?-?)("
    + "|".join(sorted((re.escape(unit) for unit in UNITS), key=len, reverse=True))
    + r")(?!\w)"
)
_TIMES = re.compile(r" ?[x\u00d7*] ?")
_DIMENSIONS = re.compile(rf"{_NUMBER}(?: ?[x\u00d7*] ?{_NUMBER})+(?!\w)")
# Possible dimensions, matched as a whole. If no end of the match is a dimension, no later start has one either: trying
# each start would take quadratic time for "1x 1x 1x ... 1z".
_PRODUCT = re.compile(rf"(?<![\w.,])(?>{_NUMBER}(?: ?[x\u00d7*] ?{_NUMBER})+)")
_PLAIN = re.compile(rf"{_NUMBER}\Z")
_POINT_THOUSANDS = re.compile(r"\d{1,3}(?:\.\d{3})+,\d+\Z")
_COMMA_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?\Z")
_COUNTED_WORD = re.compile(r"\d{1,3}-[^\W\d_]+\Z")
# Dates and times are usually those of writing, not of the subject.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:t[\d:.z+-]*)?\Z|\d\d?:\d\d(?::\d\d)?(?:\.\d+)?\Z|\d\d?\.\d\d?\.\d{4}\Z")

# The subject of a mail thread or a log is on its first pages; the cost of a comparison must be bounded.
MOST_READ = 20_000
_MOST_FOLDED = 2 * MOST_READ  # "ß" is folded to two letters, and some ligatures to eighteen

# A number of at least this many digits is an identifier: an order, a customer, an invoice.
_IDENTIFIER_DIGITS = 5
_PHONE_DIGITS = 7
_SHORTEST_IDENTIFIER = 2
_LONGEST_JOIN = 24
# Limit: each is compared with each of the other text, and a log file may have thousands.
_MOST_MEASURES = 50


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a text.

    Attributes:
        counts: occurrences of each term: words, numbers and identifiers, folded.
        identifiers: order numbers, model numbers, error codes, addresses; letters and digits only (``dscw120``).
        joins: adjacent parts joined (``dsc w120`` gives ``dscw120``): identifiers in other spellings.
        numbers: plain numbers that are not part of a measure, normalised (``7.0`` is ``7``).
        measures: sizes, capacities, quantities; each once, the first fifty.
        dimensions: ``140x250``, in the order given.
        colours: by their English name.
        folded: the whole text folded, for comparison by character.
    """

    counts: Mapping[str, int]
    identifiers: frozenset[str]
    joins: frozenset[str]
    numbers: frozenset[str]
    measures: tuple[Measure, ...]
    dimensions: frozenset[str]
    colours: frozenset[str]
    folded: str


def fold(text: str) -> str:
    """Lower case without accents: ``Größe`` and ``GROSSE`` become ``grosse``."""
    if text.isascii():
        return text.lower()
    return _ACCENT.sub("", unicodedata.normalize("NFKD", legible(text).casefold()))


def terms_of(text: str) -> Terms:
    """The terms of a text; of one longer than `MOST_READ` characters, those of the beginning."""
    folded = fold(text[:MOST_READ])[:_MOST_FOLDED]
    gathered = _Gathered()
    gathered.take(gathered.take_measures(folded) if _DIGIT.search(folded) else folded)
    counts = gathered.counts
    gathered.numbers.update([NUMBER_WORDS[word] for word in counts if word in NUMBER_WORDS])
    return Terms(
        counts=counts,
        identifiers=frozenset(gathered.identifiers),
        joins=frozenset(gathered.joins),
        numbers=frozenset(gathered.numbers),
        measures=tuple(gathered.measures),
        dimensions=frozenset(gathered.dimensions),
        colours=frozenset([COLOURS[word] for word in counts if word in COLOURS]),
        folded=folded,
    )


class _Gathered:
    """Terms found so far, in reading order."""

    __slots__ = ("_after_digit", "_previous", "counts", "dimensions", "identifiers", "joins", "measures", "numbers")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.identifiers: set[str] = set()
        self.joins: set[str] = set()
        self.numbers: set[str] = set()
        self.measures: list[Measure] = []
        self.dimensions: list[str] = []
        self._previous = ""
        self._after_digit = False

    def take_measures(self, folded: str) -> str:
        """Collect dimensions and measures; returns the rest of the text."""

        def dimensions(product: re.Match[str]) -> str:
            match = _DIMENSIONS.match(folded, product.start())
            if match is None:
                return product[0]
            self.dimensions.append(_TIMES.sub("x", match[0]))
            self._count(self.dimensions[-1])
            return " " + folded[match.end() : product.end()]

        def measure(match: re.Match[str]) -> str:
            number, gap, unit = match.groups()
            if gap and unit in ONLY_ATTACHED:
                return match[0]
            kind, factor = UNITS[unit]
            value = _value(number) * factor
            term = f"{value:.3g} {kind}"
            if term not in self.counts and len(self.measures) < _MOST_MEASURES:
                self.measures.append(Measure(kind, value, match[0]))
            self._count(term)
            return " "

        return MEASURE.sub(measure, _PRODUCT.sub(dimensions, folded))

    def take(self, running: str) -> None:
        """Collect the rest: words, numbers, codes."""
        counts = self.counts
        for compound in COMPOUND.findall(running):
            if compound.isalpha():  # nearly all of most texts
                counts[compound] = counts.get(compound, 0) + 1
                if self._after_digit:
                    self._join(compound, has_digit=False)
                else:
                    self._previous = compound
            else:
                self._take_compound(compound)

    def _take_word(self, word: str) -> None:
        self._count(word)
        self._join(word, has_digit=False)

    def _take_compound(self, compound: str) -> None:
        if _MOMENT.match(compound):
            self._previous, self._after_digit = "", False
        elif _PLAIN.match(compound):
            self._take_number(compound)
        elif not _DIGIT.search(compound):
            self._take_signed_words(compound)
        elif _COUNTED_WORD.match(compound):
            number, word = compound.split("-", 1)
            self._take_number(number)
            self._take_word(word)
        else:
            self._take_code(compound)

    def _take_signed_words(self, compound: str) -> None:
        """``multi-level`` is two words; ``ERR_FAILED`` and ``a.b@example.com`` are identifiers."""
        if "_" in compound or "@" in compound:
            self._identify(compound)
        for part in PART.findall(compound):
            self._take_word(part)

    def _take_number(self, number: str) -> None:
        plain = _plain(number)
        self._count(plain)
        round_ = plain.endswith("0" * (len(plain) - 1))  # an amount: 10,000
        if plain.count(".") > 1 or (len(plain) >= _IDENTIFIER_DIGITS and plain.isdigit() and not round_):
            self.identifiers.add(plain)
        else:
            self.numbers.add(plain)
        self._join(plain, has_digit=True)

    def _take_code(self, compound: str) -> None:
        parts = PART.findall(compound)
        if len(parts) > 1:
            digits = sum(len(part) for part in parts if part.isdigit())
            if all(part.isdigit() for part in parts) and digits < _PHONE_DIGITS:  # 20-30, a range
                for part in parts:
                    self._take_number(part)
                return
            for part in parts:
                self._count(part)
        self._identify(compound)
        self._join("".join(parts), has_digit=True)

    def _identify(self, compound: str) -> None:
        joined = _SIGNS.sub("", compound)
        self._count(joined)
        if len(joined) >= _SHORTEST_IDENTIFIER:
            self.identifiers.add(joined)

    def _join(self, part: str, *, has_digit: bool) -> None:
        """Adjacent parts with a letter and a digit between them may be one code: ``dsc w120``, ``55 r16``."""
        joined = self._previous + part
        one_code = (has_digit or self._after_digit) and not joined.isdecimal()
        if self._previous and one_code and len(joined) <= _LONGEST_JOIN:
            self.joins.add(joined)
        self._previous, self._after_digit = part, has_digit

    def _count(self, term: str) -> None:
        self.counts[term] = self.counts.get(term, 0) + 1


def _plain(number: str) -> str:
    """A number in normal form: ``1,250.00``, ``1.250,00`` and ``1250`` are equal, ``7.0`` is ``7``, ``1.2.3`` stays."""
    if _POINT_THOUSANDS.match(number):
        number = number.replace(".", "").replace(",", ".")
    elif _COMMA_THOUSANDS.match(number):
        number = number.replace(",", "")
    else:
        number = number.replace(",", ".")
    if number.count(".") == 1:
        number = number.rstrip("0").rstrip(".")
    return number


def _value(number: str) -> float:
    plain = _plain(number)
    return float(plain) if plain.count(".") <= 1 else float(plain.split(".", 1)[0])
