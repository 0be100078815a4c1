"""Rules for contradictions between two texts of the same wording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from recommender_engine.matching.differences import exchange, figures, hosts, sentences, titles, words
from recommender_engine.matching.differences.pair import ReadingPair
from recommender_engine.matching.pair.agreement import Agreement
from recommender_engine.matching.text.reading import Reading

Differences = Mapping[str, Agreement[str]]
NONE: Differences = MappingProxyType({})

_MOST_TOKENS = 150

# Name, rule, and the content (`Reading.has`) that one of the texts needs for the rule to apply; empty: none needed.
# The difference in one word, ``word``, is looked for where none of these is found.
RULES: tuple[tuple[str, Callable[[ReadingPair], Agreement[str] | None], frozenset[str]], ...] = (
    ("condition", titles.condition, frozenset({"condition"})),
    ("accessory", titles.accessory, frozenset({"accessories", "for", "from"})),
    ("edition", titles.edition, frozenset({"editions"})),
    ("pack", titles.pack, frozenset({"values"})),
    ("letter size", titles.size, frozenset({"size"})),
    ("version", figures.version, frozenset({"values"})),
    ("sign", figures.sign, frozenset({"values"})),
    ("symbol", figures.symbol, frozenset({"symbols", "repeated"})),
    ("moment", figures.moment, frozenset({"dates", "moments"})),
    ("negation", sentences.negation, frozenset({"negation"})),
    ("opposite", sentences.opposite, frozenset()),
    ("direction", sentences.direction, frozenset({"from", "to"})),
    ("exchange", exchange.exchange, frozenset()),
    ("numeral", figures.numeral, frozenset({"romans"})),
    ("amount", figures.amount, frozenset({"values"})),
    ("host", hosts.host, frozenset({"hosts"})),
)


def differences(one: Reading, other: Reading) -> Differences:
    """The values that differ between two texts, by the name of the evidence."""
    if one.tokens == other.tokens or max(len(one.tokens), len(other.tokens)) > _MOST_TOKENS:
        return NONE
    sides, has = ReadingPair(one, other), one.has | other.has
    found = {
        name: agreement
        for name, rule, needs in RULES
        if not (needs and has.isdisjoint(needs)) and (agreement := rule(sides)) is not None
    }
    if not found and (agreement := words.word(sides)) is not None:
        found = {"word": agreement}
    return found or NONE
