"""Finds the candidates of an item, and chooses those that are judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from recommender_engine.pipeline.candidates.candidates import Candidates, Wider
from recommender_engine.pipeline.candidates.compared_texts import ComparedTexts
from recommender_engine.pipeline.candidates.policy_index import PolicyIndex
from recommender_engine.pipeline.candidates.sources import CandidateSource, SameText, SharedWords
from recommender_engine.pipeline.candidates.subject import Subject
from recommender_engine.pipeline.lexical.words import Words
from recommender_engine.pipeline.vectors.embedding_step import Vector
from recommender_engine.pipeline.vectors.indexes import Indexes
from recommender_engine.pipeline.vectors.nearest_points import (
    Chooser,
    NearestPoints,
    Similarities,
    search_all,
    similarities,
)
from recommender_engine.pipeline.vectors.overlay import CollectionOverlay, Found
from recommender_engine.policy import may_be_duplicate, restricts
from recommender_engine.store import Collection, ItemText, Member, SqliteStore

# How many of the nearest items are judged.
NEAREST = 10
# So many points are looked at for recommendations at most: where items of the item's own group are nearest.
WIDEST = 3200


class Counterpart(NamedTuple):
    """The other item of a pair in question: it is judged among the candidates, whether it would be one or not.

    Attributes:
        member: the item; of one that is not stored, the latest there is, on a point of its own.
        text: its text, where it is not stored.
        vector: its embedding, where it is not stored.
    """

    member: Member
    text: ItemText | None = None
    vector: Vector | None = None

    def among(self, nearest: list[Member], similarity: Similarities) -> list[Member]:
        """The nearest as they would be if it were stored."""
        if self.text is None:
            return nearest
        cosine = similarity[self.member.point]
        place = sum(similarity[member.point] >= cosine for member in nearest)
        return [*nearest[:place], self.member, *nearest[place:]][:NEAREST]


class CandidateSearch:
    """Asks the vector index and the other sources."""

    def __init__(
        self,
        store: SqliteStore,
        indexes: Indexes,
        compared_texts: ComparedTexts,
        policy_index: PolicyIndex,
        words: Words,
    ) -> None:
        self._store = store
        self._indexes = indexes
        self._compared_texts = compared_texts
        self._policy_index = policy_index
        self._same_text = SameText(store, compared_texts, policy_index)
        self._sources: tuple[CandidateSource, ...] = (SharedWords(store, policy_index, words),)

    def find(
        self,
        collection: Collection,
        subject: Subject,
        overlay: CollectionOverlay,
        *,
        found: Found | None = None,
        counterpart: Counterpart | None = None,
    ) -> Candidates:
        """What an item finds when it arrives; of a stored one only what came before it counts.

        Args:
            overlay: what the batch has changed in the collection's index.
            found: what the index has found for the item before the batch was decided; by default it is asked now.
            counterpart: an item that belongs to the candidates, whatever its distance.
        """
        if not may_be_duplicate(collection.settings, subject.item):
            twin, others, few, usable = None, list[Member](), list[int](), None
        else:
            twin = next(iter(self._same_text.find(collection, subject)), None)
            others = [member for source in self._sources for member in source.find(collection, subject)]
            few, usable = self._allowed(collection, subject)
        also = {*few, *(member.point for member in others)}
        if twin is not None:
            also.add(twin.point)
        if counterpart is not None and counterpart.text is None:
            also.add(counterpart.member.point)
        points = self._points(collection, subject.vector, overlay, collection.settings.candidates, found)
        near = points.near(also, usable)
        if counterpart is not None and counterpart.vector is not None:
            cosine = float(similarities(subject.vector, counterpart.vector[None])[0])
            near = dict(sorted({**near, counterpart.member.point: cosine}.items(), key=lambda one: -one[1]))
        wider = Wider(collection.settings.candidates, WIDEST, points.nearest)
        return Candidates(self._store, near, twin, others, wider, collection.hidden_ms)

    def nearest(self, collection: Collection, vector: Vector, k: int, most: int) -> Candidates:
        """What is near a vector among committed items, for recommendations; nothing of it is judged.

        Args:
            k: how many points are read at first.
            most: how many are looked at.
        """
        points = self.points(collection, vector, k)
        return Candidates(
            self._store, points.near(), wider=Wider(k, most, points.nearest), hidden_ms=collection.hidden_ms
        )

    def points(self, collection: Collection, vector: Vector, k: int) -> NearestPoints:
        """The committed points near a vector."""
        return self._points(collection, vector, CollectionOverlay(), k)

    def points_of_each(self, collection: Collection, vectors: Sequence[Vector], k: int) -> list[NearestPoints]:
        """The committed points near each vector; the index is asked once."""
        if not vectors:
            return []
        found = search_all(self._indexes.of(collection, len(vectors[0])), vectors, k)
        return [
            self._points(collection, vector, CollectionOverlay(), k, near)
            for vector, near in zip(vectors, found, strict=True)
        ]

    def chosen(
        self, collection: Collection, subject: Subject, candidates: Candidates, counterpart: Counterpart | None = None
    ) -> dict[int, Member]:
        """The candidates that are judged, by arrival number: the same text, the nearest, those of other sources.

        They are those of which the same would be compared now; an item that is stored and of which something else
        would be, is compared with nothing until its turn comes.

        Args:
            counterpart: an item that is one of them in any case.
        """
        twin, others = candidates.twin, candidates.others
        nearest = self._of_each_point(collection, subject, candidates)
        if self._compared_texts.is_current(collection, subject.seq):
            nearest = list(self._compared_texts.current(collection, nearest))
            others = self._compared_texts.current(collection, others)
        else:
            nearest, twin, others = [], None, ()
        if counterpart is not None:
            nearest = counterpart.among(nearest, candidates.similarity)
        chosen = {} if twin is None else {twin.seq: twin}
        chosen.update((one.seq, one) for one in nearest if twin is None or one.point != twin.point)
        chosen.update((one.seq, one) for one in others if subject.comes_after(one))
        if counterpart is not None:
            if counterpart.text is not None:  # what is stored under its id would be gone
                chosen = {seq: one for seq, one in chosen.items() if one.id != counterpart.member.id}
            chosen[counterpart.member.seq] = counterpart.member
        return chosen

    def _points(
        self, collection: Collection, vector: Vector, overlay: CollectionOverlay, k: int, found: Found | None = None
    ) -> NearestPoints:
        index = self._indexes.of(collection, len(vector))
        return NearestPoints(index, vector, k, overlay, self._visible(collection), found)

    def _allowed(self, collection: Collection, subject: Subject) -> tuple[list[int], Chooser | None]:
        """Points of all that the item may repeat, if its policy leaves few; else what chooses points that have one."""
        if not restricts(collection.settings):
            return [], None
        few = self._policy_index.few_points(collection, subject)
        return (few, None) if few is not None else ([], self._policy_index.points_chooser(collection, subject))

    def _visible(self, collection: Collection) -> Chooser | None:
        """Chooses the points on which an item hangs that is to be seen; ``None`` where all have one."""
        hidden_ms = collection.hidden_ms
        return None if hidden_ms is None else lambda points: self._store.items.visible_points(points, hidden_ms)

    def _of_each_point(self, collection: Collection, subject: Subject, candidates: Candidates) -> list[Member]:
        """Of each point, the nearest first, the earliest item that the policy allows."""
        if not may_be_duplicate(collection.settings, subject.item) or subject.brings_nothing:
            return []
        if restricts(collection.settings):
            return self._policy_index.on_points(collection, subject, candidates.similarity, NEAREST)
        return _first_of_each_point(subject, candidates.members())


def _first_of_each_point(subject: Subject, members: Iterable[Member]) -> list[Member]:
    first: dict[int, Member] = {}
    for member in members:
        if member.point not in first and subject.comes_after(member):
            first[member.point] = member
            if len(first) == NEAREST:
                break
    return list(first.values())
