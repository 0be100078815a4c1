"""Variants of one product: offers whose titles say the same but for colours, sizes and numbers of pieces."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from recommender_engine.items import Item, WordLists
from recommender_engine.matching.text.lexicon import lexicon
from recommender_engine.matching.text.reading import Reading, read
from recommender_engine.matching.text.terms import fold
from recommender_engine.matching.text.vocabulary import COLOURS

_LONGEST_TITLE = 300  # characters that are read
_MOST_TOKENS = 60
_LABEL_BLANKS = 4
# Quantities in which the variants of a product differ; those of another power or speed are other products.
_SIZES = frozenset({"length", "area", "volume", "mass", "data", "count"})
_SHADES = frozenset(["light", "dark", "pale", "bright", "deep", "hell", "dunkel", "clair", "fonce", "claro", "oscuro"])
_SIZE_WORDS = frozenset(["size", "sizes", "grosse", "gr", "taille", "talla", "maat", "taglia", "rozmiar", "tamanho"])
_TELLING = ("negation", "editions", "condition")  # words of these lists count though they are common
_PACK_LISTS = ("packs", "pieces", "packs_of")
_PACK_WORDS = frozenset({"x", "\u00d7", "pack", "pk", "pcs", "er"})
_CROSS = "\u00d7"
# The colour at the end of a maker's code: 700HB and 700HS, COM2BLACK.
_SUFFIX = re.compile(rf"(?<=\d)(?:[a-z]{{1,3}}|{'|'.join(sorted(COLOURS))})\Z")
_SHORTEST_CODE = 5


class Family(NamedTuple):
    """What is the same of all variants of a product.

    Attributes:
        title: words, numbers and codes of the title and of short fields, without colours, sizes and numbers of pieces.
        stem: the same, codes without the letters behind their last digit.
        colours: that the title names.
    """

    title: tuple[str, ...]
    stem: tuple[str, ...]
    colours: frozenset[str]

    def includes(self, other: Family) -> bool:
        """Whether two offers are variants of one product: codes may end in other letters where the colours differ."""
        return self.title == other.title or (self.stem == other.stem and self.colours != other.colours)


def family_of(item: Item, words: tuple[WordLists, ...] = ()) -> Family | None:
    """The family of an offer; ``None`` where nothing names a product: no words, or too many.

    Args:
        item: its first field, or the first line of its text, is the title.
        words: of its collection.
    """
    filled = [value for value in (item.fields or {}).values() if value.strip()]
    title = filled[0] if filled else item.content.strip().partition("\n")[0]
    known = lexicon(words)
    reading = read(fold(title[:_LONGEST_TITLE]), known)
    if len(reading.tokens) > _MOST_TOKENS:
        return None
    kept, colours = _kept(reading)
    if not any(token.isalpha() and len(token) > 1 for token in kept):
        return None
    for label in filled[1:]:
        if label.count(" ") < _LABEL_BLANKS:
            kept += [token for token in _kept(read(fold(label), known))[0] if token.isalpha()]
    kept.sort()
    return Family(tuple(kept), tuple(sorted(_stem(token) for token in kept)), colours)


def _kept(reading: Reading) -> tuple[list[str], frozenset[str]]:
    """The tokens that variants have in common, and the colours."""
    tokens = reading.tokens
    colours = {place: COLOURS[token] for place, token in enumerate(tokens) if token in COLOURS}
    shades = {place - 1 for place in colours if place and tokens[place - 1] in _SHADES}
    named = _places(reading, _TELLING)
    left_out = {*colours, *shades, *_sizes(reading), *_pieces(reading)}
    kept = [
        token
        for place, token in enumerate(tokens)
        if place not in left_out and (token in reading.content or place in named)
    ]
    return kept, frozenset(colours.values())


def _sizes(reading: Reading) -> set[int]:
    """Places of sizes in letters, words and quantities: ``XL``, ``size 42``, ``10 x 20 cm``."""
    tokens = reading.tokens
    found = _places(reading, ("size",))
    for value in reading.values:
        if any(kind in _SIZES for kind, _ in value.readings):
            found |= {value.position, value.position + 1}
        elif value.position and tokens[value.position - 1] in _SIZE_WORDS:
            found.add(value.position)
    for value in reversed(reading.values):
        if value.position + 2 in found and tokens[value.position + 1] == _CROSS:
            found |= {value.position, value.position + 1}
    return found | {place for place, token in enumerate(tokens[:-1]) if token in _SIZE_WORDS and place + 1 in found}


def _pieces(reading: Reading) -> set[int]:
    """Places of numbers of pieces with their words: ``set of 6``, ``6-pack``, ``4 x``."""
    named = _places(reading, _PACK_LISTS)
    found: set[int] = set()
    for phrase in reading.packs.values():
        for start in range(len(reading.tokens) - len(phrase) + 1):
            if reading.tokens[start : start + len(phrase)] == phrase:
                found.update(
                    place
                    for place, token in enumerate(phrase, start)
                    if place in named or token in _PACK_WORDS or token[0].isdigit()
                )
    return found


def _places(reading: Reading, lists: Iterable[str]) -> set[int]:
    return {place for name in lists for mark in reading.marks.get(name, ()) for place in range(mark.start, mark.end)}


def _stem(token: str) -> str:
    return _SUFFIX.sub("", token) if len(token) >= _SHORTEST_CODE else token
