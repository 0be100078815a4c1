"""Features of contradictions between two items of otherwise the same wording."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from recommender_engine.matching.features.feature import Evidence, Feature, Kind, ReasonInput, WeighedReason
from recommender_engine.matching.features.phrases import LISTED, listed
from recommender_engine.matching.pair.agreement import NOTHING, Agreement
from recommender_engine.matching.pair.comparison import Comparison
from recommender_engine.matching.text.spans import Occurrence, Spans

CONTRADICTIONS = Kind("contradictions", lambda pair, _: pair if pair.differences else None)
"""Of both texts, word by word, where something sets them apart."""


def condition_differs(pair: Comparison) -> float:
    """1 if only one is refurbished, used, opened, for parts, of second quality or an empty box."""
    return float("condition" in pair.differences)


def accessory_differs(pair: Comparison) -> float:
    """1 if only one is a part of the other, or an accessory for it."""
    return float("accessory" in pair.differences)


def edition_differs(pair: Comparison) -> float:
    """1 if only one is a particular edition or trim: Pro, Plus, Limited Edition."""
    return float("edition" in pair.differences)


def pack_differs(pair: Comparison) -> float:
    """1 if only one is a pack of several."""
    return float("pack" in pair.differences)


def letter_size_differs(pair: Comparison) -> float:
    """1 if both name a size in letters or words, and the sizes differ."""
    return float("letter size" in pair.differences)


def version_differs(pair: Comparison) -> float:
    """1 if versions differ that are equal as numbers: 3.1 and 3.10."""
    return float("version" in pair.differences)


def sign_differs(pair: Comparison) -> float:
    """1 if a number is positive on one side and negative on the other."""
    return float("sign" in pair.differences)


def symbol_differs(pair: Comparison) -> float:
    """1 if names differ in a sign: C++ and C#."""
    return float("symbol" in pair.differences)


def moment_differs(pair: Comparison) -> float:
    """1 if the dates, times of day or ratios of two short texts differ."""
    return float("moment" in pair.differences)


def negation_differs(pair: Comparison) -> float:
    """1 if only one of the two has a negation."""
    return float("negation" in pair.differences)


def opposite_differs(pair: Comparison) -> float:
    """1 if a word of one is replaced by its opposite in the other."""
    return float("opposite" in pair.differences)


def direction_differs(pair: Comparison) -> float:
    """1 if the two name opposite directions between the same ends."""
    return float("direction" in pair.differences)


def exchange_differs(pair: Comparison) -> float:
    """1 if two words or numbers are in each other's place: Anna's call to Ben, Ben's call to Anna."""
    return float("exchange" in pair.differences)


def numeral_differs(pair: Comparison) -> float:
    """1 if the Roman numerals differ."""
    return float("numeral" in pair.differences)


def amount_differs(pair: Comparison) -> float:
    """1 if the numbers or measures differ, read in the notation of the language."""
    return float("amount" in pair.differences)


def host_differs(pair: Comparison) -> float:
    """1 if the two name different hosts of one domain."""
    return float("host" in pair.differences)


def word_differs(pair: Comparison) -> float:
    """1 if two titles are the same but for one word, and share no long code: drill GSR, drill GSB."""
    return float("word" in pair.differences)


def _evidence(name: str, one_sided: str, both: str) -> Evidence:
    def found(pair: Comparison) -> Agreement[str]:
        return pair.differences.get(name, NOTHING)

    def reasons_for(inputs: ReasonInput) -> Iterator[WeighedReason]:
        differing = found(inputs.pair)
        if differing.here or differing.there:
            here, there = (
                _occurrences(inputs.texts.here, differing.here),
                _occurrences(inputs.texts.there, differing.there),
            )
            mine, theirs = listed([one.text for one in here]), listed([one.text for one in there])
            text = both.format(mine, theirs) if mine and theirs else one_sided.format(mine or theirs)
            detail = {"here": list(differing.here[:LISTED]), "there": list(differing.there[:LISTED])}
            spans = {"here_at": _spans(here), "there_at": _spans(there)}
            code = f"{name.replace(' ', '_')}_differs"
            yield inputs.reason(code, text, min(inputs.weight, 0.0), **detail, **spans)._replace(
                prevents_duplicate=True
            )

    return Evidence(name, reasons_for, contradiction=found)


def _occurrences(spans: Spans, values: Sequence[str]) -> list[Occurrence]:
    """Values with their spans, including signs, which `Spans` does not find."""
    found = [spans.find(value) for value in values[:LISTED]]
    return [
        one if len(one.text) >= len(value) else one._replace(text=value)
        for one, value in zip(found, values, strict=False)
    ]


def _spans(found: Sequence[Occurrence]) -> list[list[int]]:
    return [list(one.span) for one in found if one.span]


_Function = Callable[[Comparison], float]
_ENTRIES: tuple[tuple[_Function, str, str, str], ...] = (
    (condition_differs, "condition", "only one is {}", "one is {}, the other {}"),
    (accessory_differs, "accessory", "only one is for the thing, or a part of it: {}", "one is {}, the other {}"),
    (edition_differs, "edition", "only one is called {}", "the editions differ: {} / {}"),
    (pack_differs, "pack", "only one is a pack of {}", "the packs differ: {} / {}"),
    (letter_size_differs, "letter size", "only one has the size {}", "the sizes differ: {} / {}"),
    (version_differs, "version", "only one has the version {}", "the versions differ: {} / {}"),
    (sign_differs, "sign", "only one has the sign of {}", "plus and minus differ: {} / {}"),
    (symbol_differs, "symbol", "only one has the sign {}", "the names differ in a sign: {} / {}"),
    (moment_differs, "moment", "only one names {}", "dates, times or ratios differ: {} / {}"),
    (negation_differs, "negation", "only one says no: {}", "only one says no: {} / {}"),
    (opposite_differs, "opposite", "only one says {}", "one says the opposite: {} / {}"),
    (direction_differs, "direction", "the direction is the other way round", "the direction is the other way round"),
    (exchange_differs, "exchange", "{} is in another place", "{} and {} are in each other's place"),
    (numeral_differs, "numeral", "only one has the numeral {}", "the numerals differ: {} / {}"),
    (amount_differs, "amount", "only one has the amount {}", "the amounts differ: {} / {}"),
    (host_differs, "host", "only one names the host {}", "they name two hosts: {} / {}"),
    (word_differs, "word", "only one has the word {}", "the same but for one word: {} / {}"),
)

FEATURES: tuple[Feature, ...] = tuple(
    [
        Feature(function.__name__, -1, CONTRADICTIONS, function, _evidence(*sentences), default=0.0, before=0.0)
        for function, *sentences in _ENTRIES
    ]
)
"""Entries of the table."""

KINDS = frozenset([name for _, name, *_ in _ENTRIES])
"""The names of their evidence."""
