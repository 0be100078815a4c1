"""What sets two texts of the same wording apart for certain: what only one of them says, and what contradicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from recommender_engine.matching.differences import figures, hosts, sentences, titles
from recommender_engine.matching.differences.pair import Sides
from recommender_engine.matching.pair.agreement import Agreement
from recommender_engine.matching.text.reading import Reading

Differences = Mapping[str, Agreement[str]]
NONE: Differences = MappingProxyType({})

_MOST_TOKENS = 150

_RULES: tuple[tuple[str, Callable[[Sides], Agreement[str] | None]], ...] = (
    ("condition", titles.condition),
    ("accessory", titles.accessory),
    ("edition", titles.edition),
    ("pack", titles.pack),
    ("letter size", titles.size),
    ("version", figures.version),
    ("sign", figures.sign),
    ("symbol", figures.symbol),
    ("moment", figures.moment),
    ("negation", sentences.negation),
    ("opposite", sentences.opposite),
    ("direction", sentences.direction),
    ("numeral", figures.numeral),
    ("amount", figures.amount),
    ("host", hosts.host),
)


def differences(one: Reading, other: Reading) -> Differences:
    """By the name of the evidence, what each side says of its own."""
    if one.tokens == other.tokens or max(len(one.tokens), len(other.tokens)) > _MOST_TOKENS:
        return NONE
    sides = Sides(one, other)
    found = {name: agreement for name, rule in _RULES if (agreement := rule(sides)) is not None}
    return found or NONE
