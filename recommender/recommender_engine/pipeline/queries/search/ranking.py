"""The ranking of items for a question: like it in meaning, in words, and like the best hits.

The score of an item is its cosine to the question, and what is missing to 1 is filled by a share of the words
(``cosine + (1 - cosine) * WORDS * words``): words bring up an item that has the code or the name of the question, and
change little between items that are near in meaning anyway. Words that many items have do not count (`shared_words`).

The vectors of the first hits then complete the question (pseudo-relevance feedback, Rocchio 1971): items that are near
them come up. The more of the question's words the first hits have, and the less they are like each other, the less
this counts: a code asks for one item, and nothing like it.

The ranking is exact for the vectors that the index finds: it is read further until no item that was not seen can have a
higher score than those returned (threshold algorithm, Fagin 2001). Pages are therefore parts of one ranking.
"""

from __future__ import annotations

from collections.abc import Collection as Some
from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import NamedTuple

import numpy as np

from recommender_engine.index import ReadIndex, Vectors
from recommender_engine.pipeline.candidates.compared_texts import ComparedTexts
from recommender_engine.pipeline.candidates.filtering import Filters, Survivors
from recommender_engine.pipeline.candidates.nearby import AllItems, Nearby, PassingItems
from recommender_engine.pipeline.candidates.search import CandidateSearch
from recommender_engine.pipeline.lexical.shared import SharedWords
from recommender_engine.pipeline.lexical.words import Words
from recommender_engine.pipeline.vectors.embedding_step import Embedded, Vector
from recommender_engine.pipeline.vectors.indexes import Indexes
from recommender_engine.pipeline.vectors.nearest_points import Similarities, similarities
from recommender_engine.store import Collection, Member, SqliteStore

WORDS = 0.5
"""Weight of the words: an item that has all of them gains half of what is missing to 1."""

# The vectors of so many first hits complete the question, but for those that say the same, with less than this weight.
_FIRST_HITS = 3
_SAME = 0.999
_COMPLETION = 1.2
_SCORED = 200  # items that share words are compared whatever their distance, at most so many
_WIDER = 4


class ScoredItem(NamedTuple):
    """A member with its score.

    Attributes:
        member: the best of its group.
        cosine, words, first_hits: the terms of the score …
        score: … and their sum.
    """

    member: Member
    cosine: float
    words: float
    first_hits: float
    score: float


class _Question(NamedTuple):
    """What is asked for.

    Attributes:
        vectors: of the text, and of the text completed by the first hits once these are known; float32, each of shape
            (dimension,).
        shared: the items that share its words.
        members: those of them that are compared whatever their distance.
        most_beyond: the largest share of an item that is not among ``members``.
        found: what was found near the vectors, by their place and how many were asked for.
    """

    vectors: tuple[Vector, ...]
    shared: SharedWords
    members: list[Member]
    most_beyond: float
    found: dict[tuple[int, int], Similarities]


class SearchRanking:
    """Ranks the items of a collection for a question."""

    def __init__(
        self,
        store: SqliteStore,
        compared_texts: ComparedTexts,
        indexes: Indexes,
        search: CandidateSearch,
        filters: Filters,
        words: Words,
    ) -> None:
        self._store = store
        self._compared_texts = compared_texts
        self._indexes = indexes
        self._search = search
        self._filters = filters
        self._words = words

    def best(
        self, collection: Collection, embedded: Embedded, survivors: Survivors | None, wanted: int
    ) -> list[ScoredItem]:
        """The best member of each of the best groups, best first; equal scores in order of arrival.

        Args:
            collection: in which to search.
            embedded: the question.
            survivors: what passes a filter; ``None`` without one.
            wanted: how many groups.
        """
        nearby = self._nearby(collection, len(embedded.vector), survivors)
        question = self._question(collection, embedded, nearby)
        if collection.settings.compares_texts:
            question = self._completed(collection, question, nearby)
        return self._best(collection, question, nearby, wanted)

    def _nearby(self, collection: Collection, dimension: int, survivors: Survivors | None) -> Nearby:
        if survivors is None:
            return AllItems(self._store, self._search, collection)
        return PassingItems(self._store, self._filters.points(collection, dimension, survivors), survivors)

    def _question(self, collection: Collection, embedded: Embedded, nearby: Nearby) -> _Question:
        shared = self._words.shared(collection.id, embedded.compared, nearby.among)
        numbers, beyond = shared.best(_SCORED)
        return _Question((embedded.vector,), shared, self._store.items.by_number(numbers.tolist()), beyond, {})

    def _completed(self, collection: Collection, question: _Question, nearby: Nearby) -> _Question:
        """The question with the vectors of the first hits."""
        near = self._best(collection, question, nearby, 2 * _FIRST_HITS)
        first = [one for one in near if one.cosine < _SAME][:_FIRST_HITS]
        if not first:
            return question
        shared = question.shared.of(np.array([one.member.seq for one in first], np.int64))
        (vector,) = question.vectors
        points = np.array([one.member.point for one in first], np.int64)
        vectors = self._indexes.of(collection, len(vector)).vectors(points)
        weight = _COMPLETION * (1.0 - float(shared.max())) * _agreement(vectors) ** 2
        completed = vector + np.float32(weight) * vectors.mean(axis=0)
        return question._replace(vectors=(vector, completed / np.linalg.norm(completed)))

    def _best(self, collection: Collection, question: _Question, nearby: Nearby, wanted: int) -> list[ScoredItem]:
        floor = collection.settings.similar_from
        index = self._indexes.of(collection, len(question.vectors[0]))
        count = max(collection.settings.candidates, 2 * wanted)
        while True:
            near = _near(question, nearby, count)
            members = self._members(collection, nearby, set().union(*near), question.members)
            bound = _fused(max(_reach(found, count) for found in near), question.most_beyond)
            ranked = _ranked(members, index, question)
            best = _by_group(ranked, wanted, floor)
            certain = len(best) == wanted and best[-1].score >= bound
            if certain or bound < floor or count >= nearby.most:
                return best
            count *= _WIDER

    def _members(
        self, collection: Collection, nearby: Nearby, points: Some[int], also: Sequence[Member]
    ) -> list[Member]:
        members = {member.seq: member for member in (*nearby.members(points), *also)}
        return list(self._compared_texts.current(collection, list(members.values())))


def _fused(cosine: float, words: float) -> float:
    return cosine if cosine == -inf else cosine + (1.0 - cosine) * WORDS * words


def _agreement(vectors: Vectors) -> float:
    """Mean cosine of different vectors, shape (n, dimension), in [0, 1]; 0 for one vector."""
    count = len(vectors)
    total = float(np.square(vectors.sum(axis=0, dtype=np.float64)).sum())
    return max(total - count, 0.0) / (count * (count - 1)) if count > 1 else 0.0


def _near(question: _Question, nearby: Nearby, count: int) -> list[Similarities]:
    """The nearest points of each vector; those that are known are not searched again."""
    unknown = [place for place in range(len(question.vectors)) if (place, count) not in question.found]
    if unknown:
        found = nearby.nearest([question.vectors[place] for place in unknown], count)
        question.found.update(zip([(place, count) for place in unknown], found, strict=True))
    return [question.found[place, count] for place in range(len(question.vectors))]


def _ranked(members: Sequence[Member], index: ReadIndex, question: _Question) -> Iterator[ScoredItem]:
    """Members with their scores, best first; equal scores in order of arrival."""
    if not members:
        return
    vectors = index.vectors(np.array([one.point for one in members], np.int64))
    cosines = np.stack([similarities(vector, vectors) for vector in question.vectors])
    numbers = np.array([one.seq for one in members], np.int64)
    meaning = cosines.max(axis=0)
    scores = meaning + (1.0 - meaning) * WORDS * question.shared.of(numbers)
    for place in np.lexsort((numbers, -scores)).tolist():
        cosine, near, score = float(cosines[0, place]), float(meaning[place]), float(scores[place])
        yield ScoredItem(members[place], cosine, score - near, near - cosine, score)


def _by_group(ranked: Iterable[ScoredItem], wanted: int, floor: float) -> list[ScoredItem]:
    """The best member of each of the best groups."""
    best: dict[str, ScoredItem] = {}
    for one in ranked:
        if len(best) >= wanted or one.score < floor:
            break
        best.setdefault(one.member.group, one)
    return list(best.values())


def _reach(found: Similarities, count: int) -> float:
    """The cosine down to which nothing is missing."""
    return min(found.values()) if len(found) >= count else -inf
