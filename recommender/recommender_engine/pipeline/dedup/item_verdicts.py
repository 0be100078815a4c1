"""Verdicts on items among their candidates: on one that arrives, and again on stored ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from recommender_engine.grouping import ranked
from recommender_engine.items import Band, PairVerdict
from recommender_engine.matching import Candidate, Comparable
from recommender_engine.pipeline.batch import CollectionDecision
from recommender_engine.pipeline.candidates.candidates import Candidates
from recommender_engine.pipeline.candidates.search import CandidateSearch, Counterpart
from recommender_engine.pipeline.candidates.subject import Subject
from recommender_engine.pipeline.dedup.answers import Answers
from recommender_engine.pipeline.dedup.groups import GroupAssignment, Groups, Moved
from recommender_engine.pipeline.dedup.judging import JudgedCandidates, Judging, PairScore
from recommender_engine.pipeline.dedup.review_budget import ReviewBudget
from recommender_engine.pipeline.vectors.nearest_points import similarities
from recommender_engine.pipeline.vectors.overlay import CollectionOverlay
from recommender_engine.store import Collection, Member, SqliteStore, StoredItem, Verdict


class ItemVerdicts:
    """Judges items of one collection, with the answers of people, the groups and the review budget."""

    def __init__(
        self,
        store: SqliteStore,
        search: CandidateSearch,
        judging: Judging,
        answers: Answers,
        groups: Groups,
        review: ReviewBudget,
    ) -> None:
        self._store = store
        self._search = search
        self._judging = judging
        self._answers = answers
        self._groups = groups
        self._review = review

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

    def rejudge(self, decision: CollectionDecision, row: StoredItem) -> Verdict:
        """The verdict on a stored item, from earlier items that are still stored."""
        collection = decision.collection
        subject = Subject(row.compared, row.fingerprint, self._store.vectors.get(row.vector), row.at_ms, row.seq)
        candidates = self._search.find(collection, subject, decision.overlay)
        forbidden = self._answers.different(collection.id, subject.item.id)
        judged = self._judging.judge(collection, subject, candidates, forbidden)
        best = next(iter(ranked(judged.members)), None)
        if best is None:
            return Verdict(None, None)
        pair = judged.explained(best)
        if pair.band is Band.DUPLICATE:
            pair = pair.model_copy(update={"band": Band.REVIEW})  # it was published as an item of its own
        return Verdict(pair, best.seq)

    def score(self, decision: CollectionDecision, later: Member, earlier: Member) -> PairScore:
        """The score of two stored items: among the candidates of the later one if the other is one, else alone."""
        collection = decision.collection
        subject = self._judging.subject(collection, later)
        candidates = self._search.find(collection, subject, decision.overlay)
        judged = self._judging.judge(collection, subject, candidates, frozenset())
        return judged.score(earlier) or self._judging.score_alone(collection, subject, earlier)

    def on_pair(
        self, collection: Collection, later: Subject, earlier: Subject, counterpart: Counterpart
    ) -> PairVerdict:
        """The verdict on two items that are asked about, judged among the candidates of the later one.

        If the later one is not stored, it is as it would be when it arrives, whichever candidate is best.

        Args:
            collection: of both.
            later: the one whose candidates count.
            earlier: the other one …
            counterpart: … as a candidate.
        """
        if not collection.settings.compares_texts:  # no other candidate counts
            similarity = float(similarities(later.vector, earlier.vector[None])[0])
            other = Candidate(Comparable(earlier.item, earlier.fingerprint), similarity)
            pair = self._judging.pair(Comparable(later.item, later.fingerprint), other, collection.settings)
            return self._on_arrival(collection, later, counterpart, pair, None)
        candidates = self._search.find(collection, later, CollectionOverlay(), counterpart=counterpart)
        forbidden = self._answers.different(collection.id, later.item.id)
        pair, judged = self._judging.ask(collection, later, counterpart, candidates, forbidden)
        return self._on_arrival(collection, later, counterpart, pair, candidates.twin, judged)

    def _on_arrival(
        self,
        collection: Collection,
        subject: Subject,
        counterpart: Counterpart,
        pair: PairVerdict,
        twin: Member | None,
        judged: JudgedCandidates | None = None,
    ) -> PairVerdict:
        """The verdict on a pair as it would be when the item arrives; on a stored item as it is.

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
