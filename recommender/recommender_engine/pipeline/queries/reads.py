"""Questions about the state: search, recommend, get. Nothing is stored."""

from __future__ import annotations

import base64
import json
from collections import Counter
from datetime import datetime
from typing import Any

import numpy as np

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import Attributes, Band, CollectionSettings, Item, Reason
from recommender_engine.items.commands import validate
from recommender_engine.items.values import Value
from recommender_engine.pipeline.candidates.compared_texts import ComparedTexts
from recommender_engine.pipeline.candidates.recommendations import Recommendations
from recommender_engine.pipeline.candidates.search import CandidateSearch
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.dedup.answers import Answers
from recommender_engine.pipeline.dedup.current_verdicts import CurrentVerdicts
from recommender_engine.pipeline.dedup.review_budget import share_in_review
from recommender_engine.pipeline.learning.promises import Promises
from recommender_engine.pipeline.vectors.embedding_step import Embedded, EmbeddingStep, Vector
from recommender_engine.pipeline.vectors.indexes import Indexes
from recommender_engine.store import Collection, SqliteStore, StoredItem


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


class CutView(Value):
    """A passage that is not compared.

    Attributes:
        rule: by which it went; one of those in the setting ``cut``.
        field: in which field it stood; ``None`` in an item without fields.
        start, end: where, in characters of the text or field as a reader sees it: without mark-up.
        passage: it.
    """

    rule: str
    field: str | None
    start: int
    end: int
    passage: str


class ItemView(Value):
    """A stored item and where it stands now; fields as in the ``item.processed`` event.

    Attributes:
        text: as it was sent; of an item with fields, one to a line.
        compared: what of it is compared; ``None`` where that is all of it.
        cuts: what was cut, in order; mark-up is read and not among them.
    """

    item_id: str
    collection: str
    revision: int
    text: str
    compared: str | None
    cuts: tuple[CutView, ...]
    attributes: Attributes
    band: Band
    duplicate_of: str | None
    canonical_id: str
    group: str
    matched_id: str | None
    probability: float
    similarity: float | None
    reasons: tuple[Reason, ...]
    explanation: str


class AnswerView(Value):
    """What a person said of two items.

    Attributes:
        item_id, other_id: the two; ``item_id`` is the smaller id.
        answer: ``same`` or ``different``.
        by: who said so.
        at_ms: stream time of the answer, in milliseconds since 1970.
        probability: that the two are the same, as the matcher had it before it heard the answer, in [0, 1].
    """

    item_id: str
    other_id: str
    answer: str
    by: str | None
    at_ms: int
    probability: float


class ExportedItem(Value):
    """An item as it is stored, and where it stands now.

    Attributes:
        text, fields: one of them is ``None``.
        version: the producer's, if it gives one.
        at_ms: stream time of its arrival, in milliseconds since 1970.
        vector: its embedding, float32 little-endian, shape (dimension,), in Base64.
    """

    id: str
    text: str | None
    fields: dict[str, str] | None
    attributes: Attributes
    timestamp: datetime | None
    version: int | None
    at_ms: int
    band: Band
    duplicate_of: str | None
    group: str
    vector: str


class ExportPage(Value):
    """Some items of a collection, in order of arrival.

    Attributes:
        settings: of the collection.
        dimension: length of its vectors; ``None`` while it has no items.
        items: of this page.
        total: how many there are on all pages together.
        next: where the next page begins; ``None`` on the last one.
    """

    settings: CollectionSettings
    dimension: int | None
    items: tuple[ExportedItem, ...]
    total: int
    next: int | None


# A page is read between two batches and travels as one message.
_PAGE_ITEMS = 200
_PAGE_CHARACTERS = 4_000_000
_WIDEST = 25_600  # points that are looked at for an answer at most: where a few groups have nearly all that are near


class Reads:
    """Answers questions from the committed state."""

    def __init__(
        self,
        store: SqliteStore,
        embedding: EmbeddingStep,
        compared_texts: ComparedTexts,
        collections: Collections,
        indexes: Indexes,
        search: CandidateSearch,
        recommendations: Recommendations,
        answers: Answers,
        current_verdicts: CurrentVerdicts,
        promises: Promises,
    ) -> None:
        self._store = store
        self._embedding = embedding
        self._compared_texts = compared_texts
        self._collections = collections
        self._indexes = indexes
        self._search = search
        self._recommendations = recommendations
        self._answers = answers
        self._current_verdicts = current_verdicts
        self._promises = promises

    def stats(self) -> dict[str, Any]:
        """Counts by collection, index kinds and sizes, where precisions are kept, position."""
        return {
            "position": str(self._store.position),
            "last_event": str(self._store.last_event),
            "items": self._store.items.count(),
            "collections": {
                collection.name: {
                    "items": self._store.items.count(collection.id),
                    "model": collection.model,
                    "answers": self._answers.count(collection.id),
                    "review_share": share_in_review(collection),
                    "target_precision": collection.settings.target_precision,
                    "not_measured": [
                        one.model_dump(mode="json", exclude={"measured", "begins_at"})
                        for one in self._promises.closed(collection.name)
                    ],
                    **self._indexes.stats(collection),
                }
                for collection in self._collections.all()
            },
        }

    def sizes(self) -> tuple[int, Counter[str]]:
        """How many items there are, and how many points by kind of index."""
        return self._store.items.count(), self._indexes.sizes()

    def review_share(self) -> float:
        """Share of the items that arrived lately that are in ``review``, over all collections, in [0, 1]."""
        return share_in_review(*self._collections.all())

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
        stored = None if found is None else self._stored(found, item_id)
        if found is None or stored is None:
            return None
        vector = self._store.vectors.get(stored.vector)
        if not self._compared_texts.is_current(found, stored.seq):
            vector = self._embed(stored.item).vector
        return self._hits(found, vector, limit, but=stored.group)

    def get(self, item_id: str, collection: str) -> ItemView | None:
        """The item and where it stands now."""
        found = self._collections.find(collection)
        stored = None if found is None else self._stored(found, item_id)
        if found is None or stored is None:
            return None
        current = self._current_verdicts.of(stored, found, hidden_ms=found.hidden_ms)
        return ItemView(
            item_id=item_id,
            collection=collection,
            revision=stored.revision,
            text=stored.item.content,
            compared=None if stored.cut is None else stored.cut.content,
            cuts=tuple(CutView(**cut._asdict()) for cut in self._compared_texts.cuts(found, stored)),
            attributes=stored.item.attributes,
            **current.fields(),
        )

    def outcome(self, key: str, collection: str | None) -> dict[str, Any] | None:
        """The event that answered the command with this key, or ``None`` if the key was not used lately.

        Raises:
            InvalidCommand: several collections have used the key, and none is named.
        """
        found = {
            name: json.loads(row.event) for name, row in self._store.outbox.answers(key, self._store.clock_ms).items()
        }
        if collection is not None:
            unread = found.get("")  # it could not be read whole; what it says of its collection is in the event
            about = None if unread is None else unread["data"].get("collection")
            return found.get(collection, unread if about == collection else None)
        if len(found) > 1:
            raise InvalidCommand(
                "ambiguous_key", f"several collections have used the key {key!r}: name the collection", "collection"
            )
        return next(iter(found.values()), None)

    def answers(self, collection: str) -> list[AnswerView]:
        """Answers on the items of a collection, in the order in which they were given."""
        found = self._collections.find(collection)
        return [
            AnswerView(
                item_id=answer.one,
                other_id=answer.other,
                answer="same" if answer.same else "different",
                by=answer.by,
                at_ms=answer.entry.ms,
                probability=answer.probability,
            )
            for answer in (self._store.answers.all(found.id) if found else ())
        ]

    def export(self, collection: str, after: int, last: int | None) -> ExportPage | None:
        """A page of items in order of arrival, or ``None`` when there is no such collection.

        Args:
            collection: its name.
            after: ``next`` of the page before; 0 begins.
            last: the newest so many items only.
        """
        found = self._collections.find(collection)
        if found is None:
            return None
        count = self._store.items.count(found.id)
        total = count if last is None else min(last, count)
        if after == 0 and total < count:
            after = self._store.items.before_last(found.id, total)
        items: list[ExportedItem] = []
        rows = self._store.items.after(found.id, after, _PAGE_ITEMS + 1, found.hidden_ms)
        characters = 0
        for row in rows[:_PAGE_ITEMS]:
            characters += len(row.item.content)
            if items and characters > _PAGE_CHARACTERS:
                break
            items.append(self._exported(row, found))
        return ExportPage(
            settings=found.settings,
            dimension=found.dimension,
            items=tuple(items),
            total=total,
            next=rows[len(items) - 1].seq if len(items) < len(rows) else None,
        )

    def _stored(self, collection: Collection, item_id: str) -> StoredItem | None:
        """An item, unless it is gone."""
        row = self._store.items.get(collection.id, item_id)
        return row if row is None or collection.hidden_ms is None or row.at_ms > collection.hidden_ms else None

    def _exported(self, row: StoredItem, collection: Collection) -> ExportedItem:
        current = self._current_verdicts.of(row, collection, hidden_ms=collection.hidden_ms)
        vector = np.ascontiguousarray(self._store.vectors.get(row.vector), "<f4")
        return ExportedItem(
            id=row.item.id,
            text=row.item.text,
            fields=row.item.fields,
            attributes=row.item.attributes,
            timestamp=row.item.timestamp,
            version=row.version,
            at_ms=row.at_ms,
            band=current.band,
            duplicate_of=current.duplicate_of,
            group=current.group,
            vector=base64.b64encode(vector.tobytes()).decode(),
        )

    def _hits(self, collection: Collection, vector: Vector, limit: int, but: str | None) -> list[SearchHit]:
        k = max(collection.settings.candidates, 2 * limit)
        candidates = self._search.nearest(collection, vector, k, _WIDEST)
        found = self._recommendations.of(collection, candidates, but=but, limit=limit)
        rows = {one.id: self._stored(collection, one.id) for one in found}
        return [
            SearchHit(
                id=one.id, score=one.score, group=one.group, text=row.item.content, attributes=row.item.attributes
            )
            for one in found
            if (row := rows[one.id]) is not None
        ]

    def _embed(self, item: Item) -> Embedded:
        embedded = self._embedding.embed_question(item, self._collections.settings(item.collection))
        if isinstance(embedded, InvalidCommand):
            raise embedded
        return embedded
