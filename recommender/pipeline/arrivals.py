"""An item arrives: find its twins and neighbours, judge, place it in a group, recommend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from recommender.grouping import JudgedMember, best_match, group_for
from recommender.items import Band, Item, PairVerdict, Recommendation
from recommender.matching import Candidate, Comparable, Matcher
from recommender.pipeline.embedding_step import Embedded
from recommender.pipeline.neighbours import Neighbourhood
from recommender.pipeline.overlay import CollectionOverlay
from recommender.ranking import ScoredMember, recommend
from recommender.store import Collection, Member, SqliteStore, StoredItem, Verdict

# Vectors closer than this are one point of the index: near-identical ones wreck the graph of HNSW.
_SAME_POINT = 1.0 - 1e-6
# How many candidates are judged; the nearest ones, each point once.
_JUDGED = 10


class Surroundings(NamedTuple):
    """What an item finds when it arrives.

    Attributes:
        similarity: cosine by point, best first.
        members: the earliest items on those points, the nearest first.
    """

    similarity: Neighbourhood
    members: list[Member]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an item stands now: its verdict on arrival, as far as it still holds.

    Attributes:
        band: ``duplicate`` while an earlier item of its group is there.
        canonical_id: the earliest item of its group.
        matched_id: the item that was closest, while it is there.
    """

    band: Band
    canonical_id: str
    group: str
    matched_id: str | None
    pair: PairVerdict | None

    @property
    def duplicate_of(self) -> str | None:
        """The earlier item that this one repeats."""
        return self.canonical_id if self.band is Band.DUPLICATE else None

    def fields(self) -> dict[str, Any]:
        """As events and views carry it."""
        return {
            "band": self.band,
            "duplicate_of": self.duplicate_of,
            "canonical_id": self.canonical_id,
            "group": self.group,
            "matched_id": self.matched_id,
            "probability": self.pair.probability if self.pair else 0.0,
            "similarity": self.pair.similarity if self.pair else None,
            "reasons": self.pair.reasons if self.pair else (),
        }


class Arrivals:
    """Decides items of one collection, one after another."""

    def __init__(self, store: SqliteStore, matcher: Matcher) -> None:
        self._store = store
        self._matcher = matcher

    def place(
        self,
        collection: Collection,
        embedded: Embedded,
        surroundings: Surroundings,
        overlay: CollectionOverlay,
        *,
        revision: int,
        version: int | None,
    ) -> StoredItem:
        """Decide a new arrival and store it."""
        judged = self._judge(collection, Comparable(embedded.item, embedded.fingerprint), surroundings)
        best = best_match(judged)
        seq = self._store.items.next_seq()
        vector = self._vector(embedded)
        row = StoredItem(
            seq=seq,
            collection=collection.id,
            item=embedded.item,
            revision=revision,
            version=version,
            fingerprint=embedded.fingerprint,
            vector=vector,
            point=self._point(collection, vector, embedded, surroundings, overlay),
            group=group_for(seq, best),
            verdict=Verdict(best.verdict if best else None, best.seq if best else None),
        )
        self._store.items.insert(row)
        return row

    def refresh(self, row: StoredItem, item: Item, *, revision: int, version: int | None) -> StoredItem:
        """The same text again: attributes are replaced; arrival, group and verdict stay."""
        self._store.items.update(row.seq, item, revision, version)
        return self._store.items.by_seq([row.seq])[row.seq]

    def withdraw(self, row: StoredItem, overlay: CollectionOverlay) -> None:
        """Take an item out of its group and, if it was the last on its point, out of the index."""
        self._store.items.delete(row.seq)
        if self._store.vectors.release(row.point, row.vector):
            overlay.remove(row.point)

    def _judge(self, collection: Collection, item: Comparable, surroundings: Surroundings) -> list[JudgedMember]:
        """Verdicts on the item with the same text, and on the earliest of each of the nearest points."""
        twin = self._store.items.twin(collection.id, item.fingerprint)
        nearest: dict[int, Member] = {} if twin is None else {twin.point: twin}
        for member in surroundings.members:
            nearest.setdefault(member.point, member)
        chosen = list(nearest.values())[:_JUDGED]
        said = self._store.items.sayings([member.seq for member in chosen])
        candidates = [
            Candidate(Comparable(*said[member.seq]), surroundings.similarity[member.point]) for member in chosen
        ]
        verdicts = self._matcher.judge(item, candidates, collection.settings)
        return [
            JudgedMember(member.id, member.seq, member.group, verdict)
            for member, verdict in zip(chosen, verdicts, strict=True)
        ]

    def standing(self, row: StoredItem) -> Standing:
        """Where a stored item stands now."""
        canonical_id = self._store.items.canonical([row.group])[row.group]
        band = row.verdict.band
        if band is Band.DUPLICATE and canonical_id == row.item.id:
            band = Band.NEW  # every earlier item of its group has gone
        seq = row.verdict.matched_seq
        matched_id = None if seq is None else self._store.items.id_of(seq)
        # With the matched item gone, what was found out about it still tells why the band is what it is.
        pair = None if matched_id is None and band is Band.NEW else row.verdict.pair
        return Standing(band, canonical_id, row.group, matched_id, pair)

    def surroundings(self, neighbourhood: Neighbourhood) -> Surroundings:
        """The items on the points of a neighbourhood."""
        members = self._store.items.members(list(neighbourhood))
        members.sort(key=lambda member: (-neighbourhood[member.point], member.seq))
        return Surroundings(neighbourhood, members)

    def recommendations(
        self, collection: Collection, surroundings: Surroundings, *, but: str | None, limit: int | None = None
    ) -> tuple[Recommendation, ...]:
        """Canonical items of the neighbouring groups; ``but`` is the group of the item itself, if it has one."""
        members = [
            ScoredMember(member.group, member.seq, surroundings.similarity[member.point])
            for member in surroundings.members
            if member.group != but
        ]
        canonical = self._store.items.canonical({member.group for member in members})
        settings = collection.settings
        return recommend(
            members, canonical, floor=settings.similar_from, limit=settings.recommendations if limit is None else limit
        )

    def twin_points(self, collection: Collection, embedded: Embedded) -> list[int]:
        """Points of items with the same text, which a vector the producer sent may lie far from."""
        twin = self._store.items.twin(collection.id, embedded.fingerprint)
        return [] if twin is None else [twin.point]

    def _vector(self, embedded: Embedded) -> int:
        vectors = self._store.vectors
        found = vectors.find(embedded.model.key, embedded.vector_key)
        if found is not None:
            return found[0]
        return vectors.add(embedded.model.key, embedded.vector_key, embedded.vector, embedded.truncated)

    def _point(
        self,
        collection: Collection,
        vector: int,
        embedded: Embedded,
        surroundings: Surroundings,
        overlay: CollectionOverlay,
    ) -> int:
        same = self._store.items.point_of_vector(collection.id, vector)
        if same is not None:
            return same
        nearest = next(iter(surroundings.similarity.items()), None)
        if nearest is not None and nearest[1] >= _SAME_POINT:
            return nearest[0]
        point = self._store.vectors.add_point(collection.id, vector)
        overlay.add(point, embedded.vector)
        return point
