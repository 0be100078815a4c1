"""Where a precision is measured on its own: in which view a pair is judged, and what kind of text it is.

What a stated probability is worth differs by both. Among other candidates a pair has more evidence than alone; two long
reports can agree in most of their words and tell of two faults, where two short questions cannot.
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
    """What a pair of texts is, by its own words and fields.

    Prose is running text: a sixth of its words are function words, three at least, or there are more than a hundred;
    and neither item has a price. It is long where one of the two has more than `LONG_WORDS` words. All else names a
    thing: with codes where both name an identifier.
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
    """What a pair of texts is; the same whichever of the two came first."""
    mine, theirs = one.said, other.said
    if (mine.running or theirs.running) and one.price is None and other.price is None:
        return Kind.LONG_PROSE if max(mine.length, theirs.length) > LONG_WORDS else Kind.SHORT_PROSE
    return Kind.WITH_CODES if mine.whole.identifiers and theirs.whole.identifiers else Kind.WITHOUT_CODES


def kind_of_items(one: Item, other: Item) -> Kind:
    """The same of two items, by what is compared of them; it does not depend on what else the collection holds."""
    mine, theirs = (profile(item, item_terms(item), CountedTerms()) for item in (one, other))
    return kind_of(mine, theirs)
