"""Features of stated values: codes, numbers, sizes and colours that agree or contradict each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import nan

from recommender_engine.matching.features.feature import Evidence, ReasonInput, WeighedReason
from recommender_engine.matching.features.phrases import LISTED, listed
from recommender_engine.matching.pair.agreement import Agreement, alike
from recommender_engine.matching.pair.comparison import Comparison
from recommender_engine.matching.text.spans import Occurrence
from recommender_engine.matching.text.vocabulary import FUNCTION_WORDS

_MOST = 3
# A code of at least the first number of characters is rarely ambiguous; above the second, length adds no evidence.
_LONG_CODE, _LONGEST_CODE = 7, 12


def has_long_code(codes: Iterable[str]) -> bool:
    """Whether one of the codes has at least seven characters."""
    return any(len(code) >= _LONG_CODE for code in codes)


def identifiers_shared(pair: Comparison) -> float:
    """Rarity of the rarest code on both sides."""
    found = pair.identifiers
    if not (found.shared or found.here or found.there):
        return nan
    one, other = pair.one.rarity, pair.other.rarity
    return max([max(one(code), other(code)) for code in found.shared], default=0.0)


def identifiers_differ(pair: Comparison) -> float:
    """Rarity of the rarest code that the other side lacks, on the side where it is less rare."""
    found = pair.identifiers
    if not found.contradicts:
        return 0.0 if found.shared or found.here or found.there else nan
    return min(max(map(pair.one.rarity, found.here)), max(map(pair.other.rarity, found.there)))


def identifiers_alike(pair: Comparison) -> float:
    """Spelling similarity of the codes that differ."""
    found = pair.identifiers
    if not found.contradicts:
        return 0.0 if found.shared or found.here or found.there else nan
    return alike(found.here, found.there)


def longest_code_shared(pair: Comparison) -> float:
    """Characters of the longest code that both name in full or in part: 0 below seven, at most twelve."""
    found = pair.identifiers
    if not (found.shared or found.here or found.there):
        return nan
    most = max(map(len, found.shared), default=0)
    for mine in sorted(found.here, key=len)[-_MOST:]:
        for their in sorted(found.there, key=len)[-_MOST:]:
            if min(len(mine), len(their)) > most and (mine in their or their in mine):
                most = min(len(mine), len(their))
    return float(min(most, _LONGEST_CODE)) if most >= _LONG_CODE else 0.0


def longest_codes_differ(pair: Comparison) -> float:
    """Characters of the longest code that the other side lacks, where it is shorter: 0 below seven, at most twelve."""
    found = pair.identifiers
    if not found.contradicts:
        return 0.0 if found.shared or found.here or found.there else nan
    least = min(max(map(len, found.here)), max(map(len, found.there)))
    return float(min(least, _LONGEST_CODE)) if least >= _LONG_CODE else 0.0


def numbers_shared(pair: Comparison) -> float:
    """Share of the numbers that both sides state, where both state some."""
    found = pair.numbers
    if found.incomparable:
        return nan
    return len(found.shared) / (len(found.shared) + len(found.here) + len(found.there))


def numbers_differ(pair: Comparison) -> float:
    """Number of numbers that the other side lacks, on the side with fewer of them, at most three."""
    here, there = len(pair.numbers.here), len(pair.numbers.there)
    return float(min(here, there, _MOST)) if here or there or pair.numbers.shared else nan


def measures_shared(pair: Comparison) -> float:
    """Number of sizes that both sides state, at most three."""
    return float(min(len(pair.measures.shared) + len(pair.dimensions.shared), _MOST))


def measures_differ(pair: Comparison) -> float:
    """Number of sizes in dispute, at most three."""
    return float(min(len(pair.measures.here) + pair.dimensions_differ, _MOST))


def colours_shared(pair: Comparison) -> float:
    """1 if both sides name the same colour, 0 if they differ, missing if one names none."""
    return nan if pair.colours.incomparable else float(bool(pair.colours.shared))


def colours_differ(pair: Comparison) -> float:
    """1 if each side names a colour that the other lacks."""
    return nan if pair.colours.incomparable else float(pair.colours.contradicts)


def _reasons(
    noun: str, found: Callable[[Comparison], Agreement[str]]
) -> Callable[[ReasonInput], Iterator[WeighedReason]]:
    return lambda inputs: agreement_reasons(inputs, noun, found(inputs.pair))


def agreement_reasons(inputs: ReasonInput, noun: str, found: Agreement[str]) -> Iterator[WeighedReason]:
    """Reasons for values that agree and values in dispute; ``noun`` is replaced by a word that both texts use."""
    weight, texts = inputs.weight, inputs.texts
    if found.shared and (weight > 0 or not found.contradicts):
        values = list(found.shared[:LISTED])
        here, there = [texts.here.find(value) for value in values], [texts.there.find(value) for value in values]
        name = _common_name(here, there) or noun
        more = len(found.shared) - len(values)
        text = f"same {name} {listed([one.text for one in here], more)}"
        yield inputs.reason(f"same_{noun}", text, max(weight, 0.0), values=values, **_ranges(here, there))
    if found.contradicts:
        mine, theirs = list(found.here[:LISTED]), list(found.there[:LISTED])
        here, there = [texts.here.find(value) for value in mine], [texts.there.find(value) for value in theirs]
        name = _common_name(here, there)
        numbered = f"{name} numbers" if name and all(one.text.isdigit() for one in (*here, *there)) else f"{noun}s"
        ours, others = [one.text for one in here], [one.text for one in there]
        shown = listed(ours, len(found.here) - len(mine)), listed(others, len(found.there) - len(theirs))
        text = f"{numbered} differ: {shown[0]} / {shown[1]}"
        detail = {"here": mine, "there": theirs, **_ranges(here, there)}
        yield inputs.reason(f"{noun}s_differ", text, min(weight, 0.0), **detail)


def _ranges(here: Sequence[Occurrence], there: Sequence[Occurrence]) -> dict[str, list[list[int]]]:
    return {
        "here_at": [list(one.span) for one in here if one.span],
        "there_at": [list(one.span) for one in there if one.span],
    }


def _common_name(here: Sequence[Occurrence], there: Sequence[Occurrence]) -> str:
    """The word before the values in both texts: ``order`` in "order 1042" and "order 1043"."""
    names = {one.name for one in (*here, *there)}
    name = names.pop()
    return "" if names or name in FUNCTION_WORDS else name


def _sizes(inputs: ReasonInput) -> Iterator[WeighedReason]:
    pair = inputs.pair
    sizes = Agreement(*(tuple(measure.text for measure in side) for side in pair.measures))
    yield from agreement_reasons(inputs, "size", sizes)
    if pair.dimensions_differ:
        yield from agreement_reasons(inputs, "dimension", pair.dimensions)


IDENTIFIERS = Evidence("identifiers", _reasons("identifier", lambda pair: pair.identifiers))
NUMBERS = Evidence("numbers", _reasons("number", lambda pair: pair.numbers))
COLOURS = Evidence("colours", _reasons("colour", lambda pair: pair.colours))
MEASURES = Evidence("measures", _sizes)
