"""Where terms of a question stand in a text."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice

from recommender_engine.matching.text.terms import COMPOUND, MEASURE, MOST_READ, PART, fold, terms_of

MOST_SPANS = 100

Span = tuple[int, int]
"""First character, and the one after the last."""


def highlights(text: str, wanted: Collection[str]) -> list[Span]:
    """Where terms stand in a text, in order and without overlap; at most `MOST_SPANS`.

    A code or a size is found in any spelling that gives the same term (``DSC-W120`` and ``dscw120``, ``0.75 l`` and
    ``750 ml``).

    Args:
        text: as much of it is searched as `terms_of` reads.
        wanted: terms, folded.
    """
    if not wanted:
        return []
    folded, places = _folded(text[:MOST_READ])
    return list(islice(_in_text(_found(folded, frozenset(wanted)), places), MOST_SPANS))


def _in_text(found: Iterator[Span], places: list[int]) -> Iterator[Span]:
    """From the folded text to the original, where one character may be several letters, each a term."""
    last = 0
    for start, end in found:
        first, behind = places[start], max(places[end], places[end - 1] + 1)
        if first >= last:
            last = behind
            yield first, behind


def _found(folded: str, wanted: frozenset[str]) -> Iterator[Span]:
    """Measures first, as `terms_of` reads them; between two of them words and codes."""
    start = 0
    for measure in MEASURE.finditer(folded):
        yield from _words(folded, start, measure.start(), wanted)
        if not wanted.isdisjoint(terms_of(measure[0]).counts):
            yield measure.span()
        start = measure.end()
    yield from _words(folded, start, len(folded), wanted)


def _words(folded: str, start: int, end: int, wanted: frozenset[str]) -> Iterator[Span]:
    for compound in COMPOUND.finditer(folded, start, end):
        whole = compound[0]
        if whole in wanted:
            yield compound.span()
        elif not whole.isalpha() and not wanted.isdisjoint(terms_of(whole).counts):
            parts = list(PART.finditer(folded, *compound.span()))
            shared = [part.span() for part in parts if part[0] in wanted]
            yield from shared if 0 < len(shared) < len(parts) else [compound.span()]


def _folded(text: str) -> tuple[str, list[int]]:
    """The text folded, and of each of its characters, and of the end, the place in the text."""
    if text.isascii():
        return fold(text), list(range(len(text) + 1))
    folded: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        letters = fold(character)
        folded.append(letters)
        places += [place] * len(letters)
    places.append(len(text))
    return "".join(folded), places
