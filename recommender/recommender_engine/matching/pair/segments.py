"""Segments with a precision of their own: the view of a pair and its kind of text.

The precision at a probability differs by both. A pair among other candidates has more evidence than a pair alone; two
long reports can share most of their words and describe different faults, two short questions cannot.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from recommender_engine.items import Item
from recommender_engine.matching.pair.profile import Profile, item_terms, profile
from recommender_engine.matching.pair.statistics import CountedTerms

LONG_WORDS = 50
"""A text with more words than a paragraph is long."""


class View(StrEnum):
    """Whether a pair is judged among an item's other candidates."""

    ALONE = "alone"
    STREAM = "stream"


class Kind(StrEnum):
    """The kind of a pair of texts, by its words and fields.

    Prose is running text: a sixth of its words, and at least three, are function words, or it has more than a hundred
    words; and neither item has a price. It is long if one of the two has more than `LONG_WORDS` words. Other texts are
    names: with codes if both have an identifier.
    """

    LONG_PROSE = "long_prose"
    SHORT_PROSE = "short_prose"
    WITH_CODES = "with_codes"
    WITHOUT_CODES = "without_codes"


class Segment(NamedTuple):
    """A view and a kind."""

    view: View
    kind: Kind


SEGMENTS = tuple([Segment(view, kind) for view in View for kind in Kind])


def kind_of(one: Profile, other: Profile) -> Kind:
    """The kind of a pair; symmetric."""
    mine, theirs = one.terms, other.terms
    if (mine.running or theirs.running) and one.price is None and other.price is None:
        return Kind.LONG_PROSE if max(mine.length, theirs.length) > LONG_WORDS else Kind.SHORT_PROSE
    return Kind.WITH_CODES if mine.whole.identifiers and theirs.whole.identifiers else Kind.WITHOUT_CODES


def kind_of_items(one: Item, other: Item) -> Kind:
    """The kind of a pair of items; independent of the rest of the collection."""
    mine, theirs = (profile(item, item_terms(item), CountedTerms()) for item in (one, other))
    return kind_of(mine, theirs)
