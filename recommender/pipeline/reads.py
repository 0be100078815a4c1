"""Questions about the state: search, recommend, compare, get. Nothing is stored."""

from __future__ import annotations

from recommender.errors import InvalidCommand
from recommender.items import Attributes, Band, EntryId, Item, PairVerdict, Reason
from recommender.items.commands import validate
from recommender.items.values import Value
from recommender.matching import Candidate, Comparable, Matcher
from recommender.pipeline.arrivals import Arrivals
from recommender.pipeline.collections import Collections
from recommender.pipeline.embedding_step import Embedded, EmbeddingStep, Vector
from recommender.pipeline.indexes import Indexes
from recommender.pipeline.neighbours import Neighbourhood, similarities
from recommender.pipeline.overlay import CollectionOverlay
from recommender.store import Collection, SqliteStore


class SearchHit(Value):
    """One similar item.

    Attributes:
        id: the canonical item of its group.
        score: cosine similarity of the closest member of the group, in [-1, 1].
        group: the group.
        text: what the canonical item says.
        attributes: its attributes.
    """

    id: str
    score: float
    group: str
    text: str
    attributes: Attributes


class ItemView(Value):
    """A stored item and where it stands now; fields as in the ``item.processed`` event."""

    item_id: str
    collection: str
    revision: int
    text: str
    attributes: Attributes
    band: Band
    duplicate_of: str | None
    canonical_id: str
    group: str
    matched_id: str | None
    probability: float
    similarity: float | None
    reasons: tuple[Reason, ...]


_QUESTION = EntryId(0, 0)  # the place of a question in a batch of its own


class Reads:
    """Answers questions from the committed state."""

    def __init__(
        self,
        store: SqliteStore,
        embedding: EmbeddingStep,
        collections: Collections,
        indexes: Indexes,
        arrivals: Arrivals,
        matcher: Matcher,
    ) -> None:
        self._store = store
        self._embedding = embedding
        self._collections = collections
        self._indexes = indexes
        self._arrivals = arrivals
        self._matcher = matcher

    def search(self, text: str, collection: str, limit: int) -> list[SearchHit]:
        """Items similar to a text, best first, duplicates once.

        Raises:
            InvalidCommand: the text is empty.
        """
        embedded = self._embed(validate(Item, {"id": "question", "collection": collection, "text": text}))
        found = self._collections.find(collection)
        return [] if found is None else self._hits(found, embedded.vector, limit, but=None)

    def recommend(self, item_id: str, collection: str, limit: int) -> list[SearchHit] | None:
        """Items similar to a stored one, or ``None`` when it is not there."""
        found = self._collections.find(collection)
        stored = None if found is None else self._store.items.get(found.id, item_id)
        if found is None or stored is None:
            return None
        return self._hits(found, self._store.vectors.get(stored.vector), limit, but=stored.group)

    def compare(self, one: Item, other: Item) -> PairVerdict:
        """The verdict on two items under the settings of the collection of ``one``.

        Raises:
            InvalidCommand: a text is empty or a vector has the wrong dimension.
        """
        mine, theirs = self._embed(one), self._embed(other.model_copy(update={"collection": one.collection}))
        similarity = float(similarities(mine.vector, theirs.vector[None])[0])
        candidate = Candidate(Comparable(theirs.item, theirs.fingerprint), similarity)
        item = Comparable(mine.item, mine.fingerprint)
        return self._matcher.judge(item, [candidate], self._collections.settings(one.collection))[0]

    def get(self, item_id: str, collection: str) -> ItemView | None:
        """The item and where it stands now."""
        found = self._collections.find(collection)
        stored = None if found is None else self._store.items.get(found.id, item_id)
        if stored is None:
            return None
        standing = self._arrivals.standing(stored)
        return ItemView(
            item_id=item_id,
            collection=collection,
            revision=stored.revision,
            text=stored.item.content,
            attributes=stored.item.attributes,
            **standing.fields(),
        )

    def _hits(self, collection: Collection, vector: Vector, limit: int, but: str | None) -> list[SearchHit]:
        neighbourhood = self._neighbourhood(collection, vector, limit)
        found = self._arrivals.recommendations(
            collection, self._arrivals.surroundings(neighbourhood), but=but, limit=limit
        )
        rows = {one.id: self._store.items.get(collection.id, one.id) for one in found}
        return [
            SearchHit(
                id=one.id, score=one.score, group=one.group, text=row.item.content, attributes=row.item.attributes
            )
            for one in found
            if (row := rows[one.id]) is not None
        ]

    def _neighbourhood(self, collection: Collection, vector: Vector, limit: int) -> Neighbourhood:
        neighbours = self._indexes.neighbours(
            collection,
            {_QUESTION: vector},
            dimension=len(vector),
            k=max(collection.settings.candidates, 2 * limit),
            removals=0,
        )
        return neighbours.of(_QUESTION, CollectionOverlay(len(vector)))

    def _embed(self, item: Item) -> Embedded:
        (embedded,) = self._embedding.embed([(item, self._collections.settings(item.collection))])
        if isinstance(embedded, InvalidCommand):
            raise embedded
        return embedded
