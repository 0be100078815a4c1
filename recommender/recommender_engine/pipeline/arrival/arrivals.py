"""An item arrives: it is judged, put into a group and stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from recommender_engine.grouping import ranked
from recommender_engine.items import Band, PairVerdict
from recommender_engine.pipeline.batch import CollectionDecision
from recommender_engine.pipeline.candidates.candidates import Candidates
from recommender_engine.pipeline.candidates.policy_index import policy_key_of
from recommender_engine.pipeline.candidates.search import Counterpart
from recommender_engine.pipeline.candidates.subject import Subject
from recommender_engine.pipeline.dedup.answers import Answers
from recommender_engine.pipeline.dedup.groups import GroupAssignment, Groups, Moved
from recommender_engine.pipeline.dedup.judging import JudgedCandidates, Judging, PairScore
from recommender_engine.pipeline.dedup.review_budget import ReviewBudget
from recommender_engine.pipeline.lexical.words import Words
from recommender_engine.pipeline.vectors.embedding_step import Embedded
from recommender_engine.pipeline.vectors.overlay import CollectionOverlay
from recommender_engine.pipeline.vectors.switching import SAME_POINT
from recommender_engine.store import Collection, Member, SqliteStore, StoredItem, Verdict


class Arrivals:
    """Decides items of one collection, one after another."""

    def __init__(
        self,
        store: SqliteStore,
        words: Words,
        judging: Judging,
        answers: Answers,
        groups: Groups,
        review: ReviewBudget,
    ) -> None:
        self._store = store
        self._words = words
        self._judging = judging
        self._answers = answers
        self._groups = groups
        self._review = review

    def subject(self, collection: Collection, member: Member) -> Subject:
        """A stored item, to be judged again."""
        return self._judging.subject(collection, member)

    def decide(
        self,
        collection: Collection,
        subject: Subject,
        candidates: Candidates,
        settle: Callable[[Iterable[str]], None],
    ) -> GroupAssignment:
        """The group of a new arrival, and why.

        Args:
            settle: takes expired items out of groups; called before the groups are read.
        """
        forbidden = self._answers.different(collection.id, subject.item.id)
        judged = self._judging.judge(collection, subject, candidates, forbidden)
        if collection.has_expired_rows:
            same = self._store.items.named(collection.id, self._answers.same(collection.id, subject.item.id))
            settle([*(one.group for one in judged.members), *(member.group for member in same)])
        assignment = self._groups.assign(collection, subject, candidates.twin, judged, forbidden)
        return assignment._replace(verdict=self._review.arrived(collection, assignment.verdict))

    def store(
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
        return row

    def merge(self, collection: Collection, row: StoredItem, assignment: GroupAssignment, moved: Moved) -> StoredItem:
        """Merge the groups that an arrived item joins; returns the item as it is stored then.

        Args:
            collection: of the item.
            row: the item.
            assignment: its group, and the groups that merge into it.
            moved: where to note the other items that change their group.
        """
        kept = row.group
        for group in assignment.merges:
            kept = self._groups.merge(collection, kept, group, moved, because=assignment.because)
        moved.pop(row.seq, None)  # it has just arrived
        return self._store.items.by_seq([row.seq])[row.seq]

    def rejudge(self, collection: Collection, subject: Subject, candidates: Candidates) -> Verdict:
        """The verdict on a stored item without a group, from earlier items that are still stored."""
        forbidden = self._answers.different(collection.id, subject.item.id)
        judged = self._judging.judge(collection, subject, candidates, forbidden)
        best = next(iter(ranked(judged.members)), None)
        if best is None:
            return Verdict(None, None)
        pair = judged.explained(best)
        if pair.band is Band.DUPLICATE:
            pair = pair.model_copy(update={"band": Band.REVIEW})  # it was published as an item of its own
        return Verdict(pair, best.seq)

    def score(
        self,
        collection: Collection,
        subject: Subject,
        other: Member,
        candidates: Candidates,
    ) -> PairScore:
        """The score of a pair: among the item's candidates if the other is one, else alone."""
        judged = self._judging.judge(collection, subject, candidates, frozenset())
        return judged.score(other) or self._judging.score_alone(collection, subject, other)

    def judged(
        self,
        collection: Collection,
        subject: Subject,
        counterpart: Counterpart,
        candidates: Candidates,
    ) -> tuple[PairVerdict, JudgedCandidates]:
        """The verdict on an item and one other, among the item's candidates, and those on all of them."""
        forbidden = self._answers.different(collection.id, subject.item.id)
        return self._judging.ask(collection, subject, counterpart, candidates, forbidden)

    def verdict_on_arrival(
        self,
        collection: Collection,
        subject: Subject,
        counterpart: Counterpart,
        pair: PairVerdict,
        twin: Member | None,
        judged: JudgedCandidates | None = None,
    ) -> PairVerdict:
        """The verdict on an item and one other as it would be when the item arrives, whichever candidate is best.

        For a stored item it is the verdict on the pair.

        Args:
            judged: verdicts on all candidates of the item, where there are others.
        """
        if subject.seq is not None:
            return pair
        if counterpart.text is None:
            forbidden = self._answers.different(collection.id, subject.item.id)
            pair = self._groups.verdict_on_arrival(
                collection, subject, pair, counterpart.member, twin, forbidden, judged
            )
        return self._review.limited_to_budget(collection, pair)

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

    def withdraw(self, row: StoredItem, overlay: CollectionOverlay) -> None:
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
