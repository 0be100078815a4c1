"""From items to themes.

Items with the same vector are one node of a graph. Two nodes are linked where each is among the ten nearest of the
other; the communities of that graph by modularity are the themes, so their number follows from the items. A node
outside of them joins the theme that at least half of its ten nearest are in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender_engine.index import Vectors
from recommender_engine.items.values import Value
from recommender_engine.matching.text.terms import terms_of
from recommender_engine.themes.communities import communities
from recommender_engine.themes.labels import labels, words_of
from recommender_engine.themes.neighbours import NEAREST, Neighbours

MOST_ITEMS = 100_000
"""Items that are read."""

LEAST_MEMBERS = 5
"""Members of a theme by default."""

# Plain modularity joins themes of a large collection (resolution limit, Fortunato and Barthélemy 2007).
_RESOLUTION = 3.0
_REPRESENTATIVES = 3
_LONGEST_SHOWN = 500
_MOST_WORDS_READ = 200  # different words of one item
_NO_THEME = -1

Numbers = NDArray[np.int64]


class ThemeItem(NamedTuple):
    """An item as `find_themes` reads it.

    Attributes:
        id: its id.
        text: what is compared of its text, or of its fields, one to a line.
        vector: float32, shape (dimension,), of unit length.
    """

    id: str
    text: str
    vector: Vectors


class Representative(Value):
    """An item that stands for a theme.

    Attributes:
        id: its id.
        text: what is compared of its text, at most 500 characters.
    """

    id: str
    text: str


class Theme(Value):
    """Items that are about one thing.

    Attributes:
        label: words that tell it from the other themes, those that tell most first; no two themes have the same.
        size: how many items.
        representatives: up to three with different vectors, the nearest to the mean of the theme first.
        members: ids, in order of arrival.
    """

    label: tuple[str, ...]
    size: int
    representatives: tuple[Representative, ...]
    members: tuple[str, ...]


class Themes(Value):
    """The themes of some items.

    Attributes:
        items: how many were read.
        covered: how many of them are in a theme.
        themes: the largest first, equal ones in order of arrival.
    """

    items: int
    covered: int
    themes: tuple[Theme, ...]


def find_themes(items: Iterable[ThemeItem], least: int = LEAST_MEMBERS) -> Themes:
    """Find the themes of items: the same items in the same order give the same themes.

    100,000 items take some minutes and, at 384 dimensions, about 800 MB.

    Args:
        items: in order of arrival, all with vectors of one length; the first `MOST_ITEMS` are read.
        least: members of a theme, at least 2.
    """
    read = _Read()
    for item in islice(items, MOST_ITEMS):
        read.add(item)
    if not read.ids:
        return Themes(items=0, covered=0, themes=())
    vectors = read.vectors()
    node_of = np.array(read.nodes, np.int64)
    node_theme = _themes_of_nodes(vectors, node_of, least)
    order = _by_size(node_theme[node_of])
    members = [np.flatnonzero(node_theme[node_of] == theme) for theme in order]
    texts = labels([read.words_in(mine) for mine in members])
    found = [
        Theme(
            label=label,
            size=len(mine),
            representatives=tuple(read.shown(_nearest_to_mean(vectors, node_of, mine))),
            members=tuple(read.ids[one] for one in mine.tolist()),
        )
        for label, mine in zip(texts, members, strict=True)
    ]
    return Themes(items=len(read.ids), covered=sum(theme.size for theme in found), themes=tuple(found))


class _Read:
    """Items that were read, without what is not needed of them.

    Attributes:
        ids: of the items.
        nodes: the number of the vector of each.
    """

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.nodes: list[int] = []
        self._texts: list[str] = []
        self._words: list[NDArray[np.int32]] = []
        self._number: dict[str, int] = {}
        self._known: list[str] = []
        self._vectors: dict[bytes, int] = {}

    def add(self, item: ThemeItem) -> None:
        """Take an item."""
        key = np.ascontiguousarray(item.vector, np.float32).tobytes()
        self.ids.append(item.id)
        self.nodes.append(self._vectors.setdefault(key, len(self._vectors)))
        self._texts.append(item.text[:_LONGEST_SHOWN])
        words = words_of(terms_of(item.text).counts)[:_MOST_WORDS_READ]
        self._words.append(np.array([self._numbered(word) for word in words], np.int32))

    def _numbered(self, word: str) -> int:
        number = self._number.setdefault(word, len(self._known))
        if number == len(self._known):
            self._known.append(word)
        return number

    def vectors(self) -> Vectors:
        """The distinct vectors, shape (nodes, dimension)."""
        return np.stack([np.frombuffer(key, np.float32) for key in self._vectors])

    def words_in(self, members: Numbers) -> Counter[str]:
        """How many of some items have a word."""
        numbers, counts = np.unique(np.concatenate([self._words[one] for one in members.tolist()]), return_counts=True)
        return Counter(
            {self._known[number]: count for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)}
        )

    def shown(self, members: Iterable[int]) -> Iterable[Representative]:
        """Some items as a person sees them."""
        return (Representative(id=self.ids[one], text=self._texts[one]) for one in members)


def _themes_of_nodes(vectors: Vectors, node_of: Numbers, least: int) -> Numbers:
    """The theme of each node, or `_NO_THEME`."""
    near = Neighbours(vectors)
    found = np.array(communities(near.mutual(), _RESOLUTION), np.int64)
    sizes = np.bincount(found[node_of], minlength=len(vectors))
    found[sizes[found] < least] = _NO_THEME
    joined = found.copy()
    for node in np.flatnonzero(found == _NO_THEME).tolist():
        around = found[near.numbers[node][near.numbers[node] >= 0]]
        themes, counts = np.unique(around[around >= 0], return_counts=True)
        if len(themes) and 2 * counts.max() >= NEAREST:
            joined[node] = themes[counts.argmax()]  # the smaller of equals
    return joined


def _by_size(themes: Numbers) -> Sequence[int]:
    found, first, sizes = np.unique(themes[themes >= 0], return_index=True, return_counts=True)
    order: list[int] = found[np.lexsort((first, -sizes))].tolist()
    return order


def _nearest_to_mean(vectors: Vectors, node_of: Numbers, members: Numbers) -> list[int]:
    """The first items on the nodes that are nearest to the mean of the members."""
    nodes, first = np.unique(node_of[members], return_index=True)
    mean = vectors[node_of[members]].mean(axis=0, dtype=np.float64)
    cosines = (vectors[nodes] @ mean).round(6)
    best = np.lexsort((nodes, -cosines))[:_REPRESENTATIVES]
    chosen: list[int] = members[first[best]].tolist()
    return chosen
