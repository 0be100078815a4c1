"""An item arrives: find its twins and neighbours, judge, place it in a group, recommend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from recommender_engine.grouping import ranked
from recommender_engine.items import Band, PairVerdict, Recommendation
from recommender_engine.pipeline.dedup.answers import Answers
from recommender_engine.pipeline.dedup.compared_texts import ComparedTexts
from recommender_engine.pipeline.dedup.groups import GroupAssignment, Groups
from recommender_engine.pipeline.dedup.judging import (
    BY_WORDS,
    Asked,
    JudgedByCosine,
    JudgedCandidates,
    Judging,
    PairScore,
)
from recommender_engine.pipeline.dedup.policy_index import PolicyIndex, policy_key_of
from recommender_engine.pipeline.dedup.review_budget import ReviewBudget
from recommender_engine.pipeline.dedup.subject import Subject
from recommender_engine.pipeline.lexical.words import Words
from recommender_engine.pipeline.vectors.embedding_step import Embedded
from recommender_engine.pipeline.vectors.nearby_items import NearbyItems, Wider
from recommender_engine.pipeline.vectors.neighbours import Having, Neighbourhood
from recommender_engine.pipeline.vectors.overlay import CollectionOverlay
from recommender_engine.policy import may_be_duplicate, restricts
from recommender_engine.ranking import ScoredMember, recommend
from recommender_engine.store import Collection, Member, SqliteStore, StoredItem, Verdict

# Vectors closer than this are one point of the index: near-identical ones wreck the graph of HNSW.
_SAME_POINT = 1.0 - 1e-6


class LexicalCandidates(NamedTuple):
    """Items worth a look that may lie far off as vectors go.

    Attributes:
        twin: the item with the same text.
        by_words: items that share the rarest words.
        allowed: points of all that the item may repeat, if its policy leaves few.
        having: where the policy leaves many, tells of points which have an item that it may repeat.
    """

    twin: Member | None
    by_words: list[Member]
    allowed: Sequence[int] = ()
    having: Having | None = None

    @property
    def points(self) -> set[int]:
        """Their points."""
        return {*self.allowed, *(member.point for member in (*self.by_words, *([self.twin] if self.twin else [])))}


class Arrivals:
    """Decides items of one collection, one after another."""

    def __init__(
        self,
        store: SqliteStore,
        compared_texts: ComparedTexts,
        words: Words,
        policy_index: PolicyIndex,
        judging: Judging,
        answers: Answers,
        groups: Groups,
        review: ReviewBudget,
    ) -> None:
        self._store = store
        self._compared_texts = compared_texts
        self._policy_index = policy_index
        self._words = words
        self._judging = judging
        self._answers = answers
        self._groups = groups
        self._review = review

    def lexical(self, collection: Collection, subject: Subject) -> LexicalCandidates:
        """Twin and word search; neither asks the vector index."""
        if not may_be_duplicate(collection.settings, subject.item):
            return LexicalCandidates(None, [])
        twin = self._judging.twin(collection, subject)
        if not restricts(collection.settings):
            by_words = self._words.search(collection.id, subject.item, BY_WORDS, self._seen(collection))
            return LexicalCandidates(twin, self._store.items.by_number(by_words) if by_words else [])
        keep = self._policy_index.among(collection, subject)
        by_words = self._words.search(collection.id, subject.item, BY_WORDS, keep)
        few = self._policy_index.near(collection, subject)
        having = self._policy_index.having(collection, subject) if few is None else None
        return LexicalCandidates(twin, self._store.items.by_number(by_words) if by_words else [], few or (), having)

    def _seen(self, collection: Collection) -> Having | None:
        """Chooses the arrival numbers of items that are to be seen; ``None`` where all are."""
        hidden_ms = collection.hidden_ms
        return None if hidden_ms is None else lambda seqs: self._store.items.seen(seqs, hidden_ms)

    def there(self, collection: Collection) -> Having | None:
        """Chooses the points on which an item hangs that is to be seen; ``None`` where all have one."""
        hidden_ms = collection.hidden_ms
        return None if hidden_ms is None else lambda points: self._store.items.seen_points(points, hidden_ms)

    def nearby(self, collection: Collection, neighbourhood: Neighbourhood, wider: Wider | None = None) -> NearbyItems:
        """The items on the points of a neighbourhood, and those beyond as far as they are asked for."""
        return NearbyItems(self._store, neighbourhood, wider, collection.hidden_ms)

    def decide(
        self,
        collection: Collection,
        subject: Subject,
        lexical: LexicalCandidates,
        nearby: NearbyItems,
        settle: Callable[[Iterable[str]], None],
    ) -> GroupAssignment:
        """Where a new arrival belongs, and why.

        Args:
            settle: lets groups be without their items that are gone; called before they are looked at.
        """
        forbidden = self._answers.different(collection.id, subject.item.id)
        judged = self._judge(collection, subject, lexical, nearby, forbidden)
        if collection.hiding:
            same = self._store.items.named(collection.id, self._answers.same(collection.id, subject.item.id))
            settle([*(one.group for one in judged.members), *(member.group for member in same)])
        place = self._groups.place(collection, subject, lexical.twin, judged, forbidden)
        return place._replace(verdict=self._review.arrived(collection, place.verdict))

    def store(
        self,
        collection: Collection,
        embedded: Embedded,
        subject: Subject,
        place: GroupAssignment,
        nearby: NearbyItems,
        overlay: CollectionOverlay,
        *,
        revision: int,
        version: int | None,
    ) -> StoredItem:
        """Store a new arrival in its place."""
        vector, point = self._hung(collection, embedded, nearby, overlay)
        row = StoredItem(
            seq=place.seq,
            collection=collection.id,
            item=embedded.item,
            revision=revision,
            version=version,
            fingerprint=subject.fingerprint,
            vector=vector,
            point=point,
            group=place.group,
            verdict=place.verdict,
            at_ms=subject.at_ms,
            cut=embedded.cut,
        )
        self._store.items.insert(row, policy_key_of(collection, row.compared, row.at_ms))
        self._words.add(collection.id, place.seq, subject.item)
        return row

    def rejudge(
        self, collection: Collection, subject: Subject, lexical: LexicalCandidates, nearby: NearbyItems
    ) -> Verdict:
        """The verdict on an item that stands alone, from the items that arrived before it and are still there."""
        forbidden = self._answers.different(collection.id, subject.item.id)
        judged = self._judge(collection, subject, lexical, nearby, forbidden)
        best = next(iter(ranked(judged.members)), None)
        if best is None:
            return Verdict(None, None)
        pair = judged.explained(best)
        if pair.band is Band.DUPLICATE:
            pair = pair.model_copy(update={"band": Band.REVIEW})  # it has been told to be an item of its own
        return Verdict(pair, best.seq)

    def seen(
        self,
        collection: Collection,
        subject: Subject,
        other: Member,
        lexical: LexicalCandidates,
        nearby: NearbyItems,
    ) -> PairScore:
        """What the matcher makes of a pair: among the item's candidates if the other is one, else alone."""
        judged = self._judge(collection, subject, lexical, nearby, frozenset())
        return judged.seen(other) or self._judging.seen_alone(collection, subject, other)

    def judged(
        self,
        collection: Collection,
        subject: Subject,
        asked: Asked,
        lexical: LexicalCandidates,
        nearby: NearbyItems,
    ) -> tuple[PairVerdict, JudgedCandidates]:
        """The verdict on an item and one other, among the item's candidates, and those on all of them."""
        forbidden = self._answers.different(collection.id, subject.item.id)
        around = lexical.twin, lexical.by_words, nearby.members(), nearby.similarity
        return self._judging.ask(collection, subject, asked, *around, forbidden)

    def told(
        self,
        collection: Collection,
        subject: Subject,
        asked: Asked,
        pair: PairVerdict,
        twin: Member | None,
        judged: JudgedCandidates | None = None,
    ) -> PairVerdict:
        """What an item is told of one other when it arrives, by the verdict on the pair, whichever candidate is best.

        One that is stored has been told.

        Args:
            judged: verdicts on all candidates of the item, where there are others.
        """
        if subject.seq is not None:
            return pair
        if asked.said is None:
            forbidden = self._answers.different(collection.id, subject.item.id)
            pair = self._groups.told(collection, subject, pair, asked.member, twin, forbidden, judged)
        return self._review.would_say(collection, pair)

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
        collection: Collection,
        row: StoredItem,
        changed: StoredItem,
        embedded: Embedded,
        nearby: NearbyItems,
        overlay: CollectionOverlay,
    ) -> None:
        """Another part of the same text is compared: the item hangs where that belongs, all else stays.

        Args:
            row: the item as it is stored.
            changed: with what is compared now; its vector and point are found here.
        """
        self._words.remove(collection.id, row.seq, row.compared)
        vector, point = self._hung(collection, embedded, nearby, overlay)
        changed = replace(changed, vector=vector, point=point)
        self._store.items.recut(changed, policy_key_of(collection, changed.compared, row.at_ms))
        if self._store.vectors.release(row.point, row.vector):
            overlay.remove(row.point)
        self._words.add(collection.id, row.seq, changed.compared)

    def withdraw(self, row: StoredItem, overlay: CollectionOverlay) -> None:
        """Take an item out of its group and, if it was the last on its point, out of the index."""
        self._words.remove(row.collection, row.seq, row.compared)
        self._store.items.delete(row.seq)
        if self._store.vectors.release(row.point, row.vector):
            overlay.remove(row.point)

    def recommendations(
        self, collection: Collection, nearby: NearbyItems, *, but: str | None, limit: int | None = None
    ) -> tuple[Recommendation, ...]:
        """Canonical items of the neighbouring groups; ``but`` is the group of the item itself, if it has one."""
        settings = collection.settings
        most = settings.recommendations if limit is None else limit
        nearest: dict[str, ScoredMember] = {}
        for member, similarity in nearby.nearest():  # so the first of a group is its nearest
            if similarity < settings.similar_from or len(nearest) == most:
                break
            known = member.group == but or member.group in nearest
            if not known and self._compared_texts.is_current(collection, member.seq):
                nearest[member.group] = ScoredMember(member.group, member.seq, similarity)
        canonical = self._store.groups.canonical(list(nearest), settings.canonical, collection.hidden_ms)
        return recommend(nearest.values(), canonical, floor=settings.similar_from, limit=most)

    def _judge(
        self,
        collection: Collection,
        subject: Subject,
        lexical: LexicalCandidates,
        nearby: NearbyItems,
        forbidden: frozenset[str],
    ) -> JudgedCandidates | JudgedByCosine:
        return self._judging.judge(
            collection,
            subject,
            lexical.twin,
            lexical.by_words,
            nearby.members(),
            nearby.similarity,
            forbidden,
        )

    def _hung(
        self, collection: Collection, embedded: Embedded, nearby: NearbyItems, overlay: CollectionOverlay
    ) -> tuple[int, int]:
        """Row of the vector, and the point on which it hangs."""
        known = self._store.vectors.find(embedded.model.key, embedded.vector_key)
        vector = self._record(embedded) if known is None else known.row
        same = None if known is None else self._store.items.point_of_vector(collection.id, vector)
        return vector, self._point(collection, vector, embedded, nearby, overlay) if same is None else same

    def _record(self, embedded: Embedded) -> int:
        return self._store.vectors.add(embedded.model.key, embedded.vector_key, embedded.vector, embedded.truncated)

    def _point(
        self,
        collection: Collection,
        vector: int,
        embedded: Embedded,
        nearby: NearbyItems,
        overlay: CollectionOverlay,
    ) -> int:
        """Where an item hangs whose very vector no item of the collection has."""
        nearest = next(iter(nearby.similarity.items()), None)
        if nearest is not None and nearest[1] >= _SAME_POINT:
            return nearest[0]
        point = self._store.vectors.add_point(collection.id, vector)
        overlay.add(point, embedded.vector)
        return point
