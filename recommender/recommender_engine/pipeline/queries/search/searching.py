"""Search: items for a question, with what their scores are made of and where its terms stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import Item
from recommender_engine.items.commands import validate
from recommender_engine.items.values import Value
from recommender_engine.matching import item_terms
from recommender_engine.matching.text.highlights import highlights
from recommender_engine.matching.text.vocabulary import FUNCTION_WORDS
from recommender_engine.pipeline.candidates.filtering import Filters, Survivors
from recommender_engine.pipeline.candidates.recommendations import Recommendations
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.queries.search.ranking import ScoredItem, SearchRanking
from recommender_engine.pipeline.queries.search.similar import SearchHit
from recommender_engine.pipeline.vectors.embedding_step import EmbeddingStep
from recommender_engine.recommend.filters import parse
from recommender_engine.store import Collection, SqliteStore

MOST_HITS = 1000
"""Hits that can be paged through: ``offset`` and ``limit`` together."""

_DECIMALS = 6


class Highlight(Value):
    """A place in a text where a term of the question stands.

    Attributes:
        start, end: first character, and the one after the last; in Unicode code points.
    """

    start: int
    end: int


class ScoreTerms(Value):
    """What a score is made of: it is their sum.

    Attributes:
        cosine: of the question and the closest member of the group, in [-1, 1].
        words: what the words that both have add, from 0.
        first_hits: what likeness to the first hits adds, from 0.
    """

    cosine: float
    words: float
    first_hits: float


class FoundItem(SearchHit):
    """One found item; ``score`` is that of the best member of the group, the sum of the ``terms``.

    Attributes:
        terms: what the score is made of; in a collection with ``rule=cosine`` the cosine alone.
        highlights: where terms of the question stand in ``text``, in order, without overlap; at most 100.
        compared_highlights: where they stand in ``compared``.
    """

    terms: ScoreTerms
    highlights: tuple[Highlight, ...]
    compared_highlights: tuple[Highlight, ...]


class Searching:
    """Finds items for a question in words. Nothing is stored."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        embedding: EmbeddingStep,
        filters: Filters,
        ranking: SearchRanking,
        recommendations: Recommendations,
    ) -> None:
        self._store = store
        self._collections = collections
        self._embedding = embedding
        self._filters = filters
        self._ranking = ranking
        self._recommendations = recommendations

    def search(self, text: str, collection: str, limit: int, offset: int = 0, filter_: Any = None) -> list[FoundItem]:
        """Items for a text, best first, each group once; only those with at least the score ``similar_from``.

        Args:
            text: the question.
            collection: its name; nothing is found where there is none.
            limit: how many, at least 1.
            offset: hits that are left out before.
            filter_: as it was parsed from JSON; ``None`` is no filter.

        Raises:
            InvalidCommand: the text is empty, ``limit`` or ``offset`` is too low, both are more than `MOST_HITS`
                together, or the filter is wrong.
        """
        if limit < 1 or offset < 0:
            raise InvalidCommand(
                "invalid_value", "limit is at least 1, offset at least 0", "limit" if limit < 1 else "offset"
            )
        if offset + limit > MOST_HITS:
            raise InvalidCommand("invalid_value", f"offset and limit are at most {MOST_HITS} together", "offset")
        passing = None if filter_ is None else parse(filter_)
        item = validate(Item, {"id": "question", "collection": collection, "text": text})
        embedded = self._embedding.embed_question(item, self._collections.settings(collection))
        found = self._collections.find(collection)
        if found is None:
            return []
        survivors = None if passing is None else self._filters.survivors(found, passing)
        best = self._ranking.best(found, embedded, survivors, offset + limit)[offset:]
        return list(self._hits(found, best, survivors, embedded.compared))

    def _hits(
        self, collection: Collection, best: Sequence[ScoredItem], survivors: Survivors | None, question: Item
    ) -> Iterator[FoundItem]:
        canonical = self._recommendations.canonical(collection, [one.member.group for one in best], survivors)
        wanted: set[str] = set()
        if collection.settings.compares_texts:
            wanted = set(item_terms(question).distinct) - FUNCTION_WORDS
        for one in best:
            row = self._store.items.get(collection.id, canonical[one.member.group], collection.hidden_ms)
            if row is not None:
                text, compared = row.item.content, row.compared_text
                yield FoundItem(
                    id=row.item.id,
                    score=round(one.score, _DECIMALS),
                    group=one.member.group,
                    text=text,
                    compared=compared,
                    attributes=row.item.attributes,
                    terms=_rounded(one),
                    highlights=_highlights(text, wanted),
                    compared_highlights=_highlights(compared or "", wanted),
                )


def _highlights(text: str, wanted: set[str]) -> tuple[Highlight, ...]:
    return tuple(Highlight(start=start, end=end) for start, end in highlights(text, wanted))


def _rounded(one: ScoredItem) -> ScoreTerms:
    words, first_hits = round(one.words, _DECIMALS), round(one.first_hits, _DECIMALS)
    return ScoreTerms(cosine=one.cosine, words=words, first_hits=first_hits)
