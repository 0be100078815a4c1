"""Rows of items, with their words, vectors and points."""

from __future__ import annotations

from dataclasses import replace

from recommender_engine.pipeline.batch import CollectionDecision
from recommender_engine.pipeline.candidates.candidates import Candidates
from recommender_engine.pipeline.candidates.policy_index import policy_key_of
from recommender_engine.pipeline.candidates.subject import Subject
from recommender_engine.pipeline.dedup.groups import GroupAssignment
from recommender_engine.pipeline.lexical.words import Words
from recommender_engine.pipeline.stream_time.expiry import Expiry
from recommender_engine.pipeline.vectors.embedding_step import Embedded
from recommender_engine.pipeline.vectors.overlay import CollectionOverlay
from recommender_engine.pipeline.vectors.switching import SAME_POINT
from recommender_engine.store import Collection, SqliteStore, StoredItem


class ItemRows:
    """Stores, changes and deletes the rows of items."""

    def __init__(self, store: SqliteStore, words: Words, expiry: Expiry) -> None:
        self._store = store
        self._words = words
        self._expiry = expiry

    def add(
        self,
        decision: CollectionDecision,
        embedded: Embedded,
        subject: Subject,
        assignment: GroupAssignment,
        candidates: Candidates,
        *,
        revision: int,
        version: int | None,
        happened_ms: int | None,
    ) -> StoredItem:
        """Store a new arrival in its group."""
        collection = decision.collection
        self._store.tombstones.remove(collection.id, subject.item.id)
        vector, point = self._vector_and_point(decision, embedded, candidates)
        row = StoredItem(
            seq=assignment.seq,
            collection=collection.id,
            item=embedded.item,
            revision=revision,
            version=version,
            fingerprint=subject.fingerprint,
            vector=vector,
            point=point,
            group=assignment.group,
            verdict=assignment.verdict,
            at_ms=subject.at_ms,
            cut=embedded.cut,
            happened_ms=happened_ms,
        )
        self._store.items.insert(row, policy_key_of(collection, row.compared, row.at_ms))
        self._words.add(collection.id, assignment.seq, subject.item)
        self._expiry.arrived(collection, row.at_ms)
        self._store.behaviour.arrived(collection.id, row.item.id)
        return row

    def refresh(
        self, collection: Collection, row: StoredItem, embedded: Embedded, *, revision: int, version: int | None
    ) -> StoredItem:
        """The same text again: attributes are replaced; arrival, group and verdict stay."""
        item, before = embedded.compared, row.compared
        reworded = (item.text, item.fields) != (before.text, before.fields)  # in case, or in the names of fields
        if reworded:
            self._words.remove(collection.id, row.seq, before)
        changed = replace(row, item=embedded.item, cut=embedded.cut, revision=revision, version=version)
        self._store.items.update(changed, policy_key_of(collection, item, row.at_ms))
        if reworded:
            self._words.add(collection.id, row.seq, item)
        return self._store.items.by_seq([row.seq])[row.seq]

    def recut(
        self,
        decision: CollectionDecision,
        row: StoredItem,
        changed: StoredItem,
        embedded: Embedded,
        candidates: Candidates,
    ) -> None:
        """Another part of the same text is compared: the item gets its vector and point, all else stays.

        Args:
            row: the item as it is stored.
            changed: with what is compared now; its vector and point are found here.
        """
        collection = decision.collection
        self._words.remove(collection.id, row.seq, row.compared)
        vector, point = self._vector_and_point(decision, embedded, candidates)
        changed = replace(changed, vector=vector, point=point)
        self._store.items.recut(changed, policy_key_of(collection, changed.compared, row.at_ms))
        if self._store.vectors.release(row.point, row.vector):
            decision.overlay.remove(row.point)
        self._words.add(collection.id, row.seq, changed.compared)

    def remove(self, row: StoredItem, overlay: CollectionOverlay) -> None:
        """Take an item out of its group and, if it was the last on its point, out of the index."""
        self._words.remove(row.collection, row.seq, row.compared)
        self._store.items.delete(row.seq)
        if self._store.vectors.release(row.point, row.vector):
            overlay.remove(row.point)

    def _vector_and_point(
        self, decision: CollectionDecision, embedded: Embedded, candidates: Candidates
    ) -> tuple[int, int]:
        """Row of the vector, and its point in the index."""
        vectors, collection = self._store.vectors, decision.collection
        known = vectors.find(embedded.model.key, embedded.vector_key)
        if known is None:
            row = vectors.add(embedded.model.key, embedded.vector_key, embedded.vector, embedded.truncated)
        else:
            row = known.row
            if (point := self._store.items.point_of_vector(collection.id, row)) is not None:
                return row, point
        nearest = next(iter(candidates.similarity.items()), None)
        if nearest is not None and nearest[1] >= SAME_POINT:
            return row, nearest[0]
        point = vectors.add_point(collection.id, row)
        decision.overlay.add(point, embedded.vector)
        return row, point
