"""Two texts, their differing words, and whether the wording is otherwise the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

from rapidfuzz.fuzz import ratio

from recommender_engine.matching.pair.agreement import Agreement
from recommender_engine.matching.text.reading import Reading, Value, likeliest
from recommender_engine.matching.text.tokens import Mark

# The same wording allows this many further differing words: one, or one in this many.
_ONE_IN = 5
_SPELLED_ALIKE = 0.75
_STEM = 4
# Lists with words that have another meaning in another language.
_BOUND = frozenset({"negation", "for", "from", "to", "auxiliary", "failing", "joining", "with"})


class ReadingPair:
    """Two texts and their differing words."""

    def __init__(self, one: Reading, other: Reading) -> None:
        self.one, self.other = one, other
        self.only_here = [token for token in one.content if token not in other.content]
        self.only_there = [token for token in other.content if token not in one.content]
        self.shared = len(one.content) - len(self.only_here)
        self.few = max(1, self.shared // _ONE_IN)
        self.titles = not (one.prose and other.prose)

    @cached_property
    def here(self) -> frozenset[str]:
        """Words of the first text that the second lacks in any inflected form."""
        return _unlike(self.only_here, self.only_there)

    @cached_property
    def there(self) -> frozenset[str]:
        """Words of the second text that the first lacks in any inflected form."""
        return _unlike(self.only_there, self.only_here)

    @cached_property
    def _languages(self) -> frozenset[str]:
        return likeliest(self.one.languages + self.other.languages, within=1)

    def alike(self, here: Iterable[str] = (), there: Iterable[str] = (), more: int = 0) -> bool:
        """Whether the wording is the same except for the given words; one text may have ``more`` further words."""
        mine = len(self.here.difference(here))
        theirs = len(self.there.difference(there))
        few = self.few if self.shared else 0
        return min(mine, theirs) <= few and max(mine, theirs) <= few + more

    def marks(self, kind: str) -> tuple[list[Mark], list[Mark]]:
        """The marks of both texts; for a language-dependent list, only those of the language of the texts."""
        mine, theirs = (self.marked(side, kind) for side in (self.one, self.other))
        return mine, theirs

    def marked(self, side: Reading, kind: str) -> list[Mark]:
        """The marks of one text."""
        found = side.marks.get(kind, [])
        if not found or kind not in _BOUND or not self._languages:
            return found
        return [mark for mark in found if not mark.language or mark.language in self._languages]


def _unlike(mine: Sequence[str], theirs: Sequence[str]) -> frozenset[str]:
    """The words that are no inflected form of one of the others."""
    stems = {word[:_STEM] for word in theirs}
    return frozenset(
        [word for word in mine if word[:_STEM] not in stems or not any(_same_word(word, their) for their in theirs)]
    )


def _same_word(one: str, other: str) -> bool:
    if not (one.isalpha() and other.isalpha()) or min(len(one), len(other)) < _STEM:
        return False
    return one[:_STEM] == other[:_STEM] and ratio(one, other) >= _SPELLED_ALIKE * 100


def agreement(here: Iterable[str], there: Iterable[str]) -> Agreement[str] | None:
    """The distinct values of each text; ``None`` if both are empty."""
    mine, theirs = tuple(dict.fromkeys(here)), tuple(dict.fromkeys(there))
    return Agreement((), mine, theirs) if mine or theirs else None


def texts_of(reading: Reading, marks: Iterable[Mark]) -> list[str]:
    """The texts of marks."""
    return [" ".join(reading.tokens[mark.start : mark.end]) for mark in marks]


def words_of(reading: Reading, marks: Iterable[Mark]) -> set[str]:
    """The tokens of marks."""
    return {token for mark in marks for token in reading.tokens[mark.start : mark.end]}


def has_kind(value: Value) -> bool:
    """Whether a value is a measure."""
    return any(kind for kind, _ in value.readings)
