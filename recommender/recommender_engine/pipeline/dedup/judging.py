"""Which stored items are compared with an item, and the verdicts on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from recommender_engine.grouping import JudgedMember
from recommender_engine.items import Band, CollectionSettings, PairVerdict, Reason
from recommender_engine.items.placeholders import says_nothing
from recommender_engine.matching import (
    Candidate,
    Comparable,
    CosineMatcher,
    Kind,
    Matcher,
    by_cosine,
    kind_of_items,
    only_meaning,
)
from recommender_engine.pipeline.dedup.compared_texts import ComparedTexts
from recommender_engine.pipeline.dedup.policy_index import PolicyIndex
from recommender_engine.pipeline.dedup.subject import Subject
from recommender_engine.pipeline.vectors.embedding_step import Vector
from recommender_engine.pipeline.vectors.neighbours import Neighbourhood, similarities
from recommender_engine.policy import may_be_duplicate, restricts
from recommender_engine.store import Collection, ItemText, Member, SqliteStore

# How many candidates are judged: the nearest by their vectors, and those that share the rarest words.
NEAREST = 10
BY_WORDS = 3

_CLAIMS_NOTHING = (Band.SIMILAR, Band.NEW)
_CANNOT_LINK = Reason(code="people_say_different", text="a person said that these two are not the same")
_MUST_LINK = Reason(code="people_say_same", text="a person said that these two are the same")


class Asked(NamedTuple):
    """The item about which a pair is asked: it is judged among the candidates, whether it would be one of them or not.

    Attributes:
        member: the item; of one that is not stored, the latest there is, on a point of its own.
        said: what it says, where it is not stored.
        vector: its embedding, where it is not stored.
    """

    member: Member
    said: ItemText | None = None
    vector: Vector | None = None

    def among(self, nearest: list[Member], similarity: Neighbourhood) -> list[Member]:
        """The nearest as they would be if it were stored."""
        if self.said is None:
            return nearest
        cosine = similarity[self.member.point]
        place = sum(similarity[member.point] >= cosine for member in nearest)
        return [*nearest[:place], self.member, *nearest[place:]][:NEAREST]


class PairScore(NamedTuple):
    """What the matcher makes of a pair.

    Attributes:
        probability: that the two are the same thing, in [0, 1].
        features: what it rests on, by name.
        kind: of text, where the matcher tells kinds apart.
    """

    probability: float
    features: dict[str, float]
    kind: Kind | None = None


class JudgedCandidates:
    """The candidates of an item with the verdicts on them; reasons are given for those that turn out to matter.

    Attributes:
        members: the candidates after judgement.
    """

    def __init__(
        self,
        matcher: Matcher,
        item: Comparable,
        candidates: list[Candidate],
        found: Sequence[Member],
        settings: CollectionSettings,
        forbidden: frozenset[str],
    ) -> None:
        self._matcher = matcher
        self._item = item
        self._candidates = candidates
        self._settings = settings
        self._forbidden = forbidden
        self._places = {member.seq: place for place, member in enumerate(found)}
        self.members = [
            JudgedMember(
                member.id, member.seq, member.group, contradicted(verdict) if member.id in forbidden else verdict
            )
            for member, verdict in zip(found, matcher.judge(item, candidates, settings), strict=True)
        ]

    def explained(self, member: JudgedMember) -> PairVerdict:
        """The verdict on one of the members, with its reasons.

        Most items are like nothing, and nobody asks why: there only the meaning is told, unless a contradiction is all
        that keeps a pair apart.
        """
        place = self._places.get(member.seq)
        if place is None or member.id in self._forbidden:
            return member.verdict
        if member.verdict.band in _CLAIMS_NOTHING and not member.verdict.contested:
            return only_meaning(member.verdict)
        return self._matcher.explain(self._item, self._candidates, place, self._settings)

    def told(self, member: Member) -> PairVerdict:
        """The verdict on one of the members, with all of its reasons."""
        place = self._places[member.seq]
        if member.id in self._forbidden:
            return self.members[place].verdict
        return self._matcher.explain(self._item, self._candidates, place, self._settings)

    def seen(self, member: Member) -> PairScore | None:
        """What the matcher makes of one of the members; ``None`` for any other item."""
        place = self._places.get(member.seq)
        if place is None:
            return None
        features = self._matcher.row(self._item, self._candidates, place)
        kind = kind_of_items(self._item.item, self._candidates[place].other.item)
        return PairScore(self.members[place].verdict.probability, features, kind)


class JudgedByCosine:
    """The candidates of an item where the cosine alone decides: the nearest, and every one that is near enough."""

    def __init__(
        self,
        members: Sequence[Member],
        similarity: Neighbourhood,
        settings: CollectionSettings,
        forbidden: frozenset[str],
    ) -> None:
        self._similarity = {member.seq: similarity[member.point] for member in members}
        self._forbidden = forbidden
        self.members: list[JudgedMember] = []
        for member in members:
            verdict = by_cosine(similarity[member.point], settings)
            if member.id in forbidden:
                verdict = contradicted(verdict)
            self.members.append(JudgedMember(member.id, member.seq, member.group, verdict))
            if verdict.band is not Band.DUPLICATE and member.id not in forbidden:
                break  # those behind are no nearer, and nobody asks for the second that is no duplicate

    def explained(self, member: JudgedMember) -> PairVerdict:
        """The verdict on one of the members, with its reason."""
        return member.verdict if member.id in self._forbidden else only_meaning(member.verdict)

    def seen(self, member: Member) -> PairScore | None:
        """What there is to see of one of the members; ``None`` for any other item."""
        for one in self.members:
            if one.seq == member.seq:
                return PairScore(one.verdict.probability, {"cosine": self._similarity[member.seq]})
        return None


class Judging:
    """Chooses candidates by policy and has the matcher judge them."""

    def __init__(
        self, store: SqliteStore, compared_texts: ComparedTexts, policy_index: PolicyIndex, matcher: Matcher
    ) -> None:
        self._store = store
        self._compared_texts = compared_texts
        self._policy_index = policy_index
        self._learned = matcher
        self._by_cosine = CosineMatcher()

    def twin(self, collection: Collection, subject: Subject) -> Member | None:
        """The earliest item with the same text that the policy allows; none where texts are not compared."""
        if collection.settings.rule == "cosine" or not may_be_duplicate(collection.settings, subject.item):
            return None
        if restricts(collection.settings):
            twin = self._policy_index.twin(collection, subject)
        else:
            twin = self._store.items.twin(collection.id, subject.fingerprint, collection.hidden_ms)
            twin = twin if twin is not None and subject.comes_after(twin) else None
        return twin if twin is None or self._compared_texts.is_current(collection, twin.seq) else None

    def judge(
        self,
        collection: Collection,
        subject: Subject,
        twin: Member | None,
        by_words: Sequence[Member],
        members: Iterable[Member],
        similarity: Neighbourhood,
        forbidden: frozenset[str],
    ) -> JudgedCandidates | JudgedByCosine:
        """Verdicts on the item with the same text, the nearest, and those that share its rarest words.

        Args:
            by_words: those that the policy allows.
            members: the items on the nearest points, the nearest first; of each point the earliest allowed is judged.
            similarity: cosine by point, best first.
            forbidden: ids that a person said are something else.
        """
        nearest, twin, by_words = self._current(collection, subject, twin, by_words, members, similarity)
        if collection.settings.rule == "cosine":
            nearest = [] if subject.brings_nothing else nearest
            return JudgedByCosine(nearest, similarity, collection.settings, forbidden)
        chosen = _chosen(subject, twin, nearest, by_words)
        said = self._store.items.sayings(list(chosen), collection.name)
        return self._judged(collection, subject, chosen, said, {}, similarity, forbidden)

    def ask(
        self,
        collection: Collection,
        subject: Subject,
        asked: Asked,
        twin: Member | None,
        by_words: Sequence[Member],
        members: Iterable[Member],
        similarity: Neighbourhood,
        forbidden: frozenset[str],
    ) -> tuple[PairVerdict, JudgedCandidates]:
        """The verdict on one pair among the candidates that ``judge`` would choose, with its reasons; and on all.

        Args:
            asked: the other item of the pair.
            twin: as for ``judge``, and what follows too; ``similarity`` has the point of the item asked about.
        """
        nearest, twin, by_words = self._current(collection, subject, twin, by_words, members, similarity)
        member = asked.member
        chosen = _chosen(subject, twin, asked.among(nearest, similarity), by_words)
        if asked.said is not None:  # what is stored under its id would be gone
            chosen = {seq: one for seq, one in chosen.items() if one.id != member.id}
        chosen[member.seq] = member
        said = self._store.items.sayings(
            [seq for seq in chosen if asked.said is None or seq != member.seq], collection.name
        )
        vectors: dict[int, Vector] = {}
        if asked.said is not None and asked.vector is not None:
            said, vectors = {**said, member.seq: asked.said}, {asked.said.vector: asked.vector}
        judged = self._judged(collection, subject, chosen, said, vectors, similarity, forbidden)
        return judged.told(member), judged

    def _current(
        self,
        collection: Collection,
        subject: Subject,
        twin: Member | None,
        by_words: Sequence[Member],
        members: Iterable[Member],
        similarity: Neighbourhood,
    ) -> tuple[list[Member], Member | None, Sequence[Member]]:
        """Nearest items, twin and items found by words, as far as the same of them would be compared now."""
        nearest = self._of_each_point(collection, subject, members, similarity)
        if not self._compared_texts.is_current(collection, subject.seq):
            return [], None, ()  # until its turn comes it is compared with nothing
        return (
            list(self._compared_texts.current(collection, nearest)),
            twin,
            self._compared_texts.current(collection, by_words),
        )

    def _judged(
        self,
        collection: Collection,
        subject: Subject,
        chosen: Mapping[int, Member],
        said: Mapping[int, ItemText],
        given: Mapping[int, Vector],
        similarity: Neighbourhood,
        forbidden: frozenset[str],
    ) -> JudgedCandidates:
        """Verdicts on the items chosen; ``given`` are vectors that are not stored."""
        found = [member for seq, member in chosen.items() if not says_nothing(said[seq].item.content)]
        vectors = {**self._store.vectors.several({one.vector for one in said.values()} - given.keys()), **given}
        seq = self._seq(subject) + len(given)  # what is not stored came before it
        return JudgedCandidates(
            self._learned,
            Comparable(subject.item, subject.fingerprint),
            [_candidate(said[member.seq], similarity[member.point], vectors, seq - member.seq) for member in found],
            found,
            collection.settings,
            forbidden,
        )

    def alone(self, collection: Collection, subject: Subject, other: Member, *, explained: bool = False) -> PairVerdict:
        """The verdict on one pair, whatever other candidates there are."""
        candidate = self._single(collection, subject, other)
        item = Comparable(subject.item, subject.fingerprint)
        if explained:
            return self.pair(item, candidate, collection.settings)
        return self._matcher(collection.settings).judge(item, [candidate], collection.settings)[0]

    def pair(self, item: Comparable, candidate: Candidate, settings: CollectionSettings) -> PairVerdict:
        """The verdict on a pair that need not be stored, with its reasons."""
        return self._matcher(settings).explain(item, [candidate], 0, settings)

    def stored(self, collection: Collection, later: Member, earlier: Member) -> PairVerdict:
        """The verdict on two stored items, with its reasons."""
        return self.alone(collection, self.subject(collection, later), earlier, explained=True)

    def seen_alone(self, collection: Collection, subject: Subject, other: Member) -> PairScore:
        """What the matcher makes of one pair, whatever other candidates there are."""
        candidates = [self._single(collection, subject, other)]
        item = Comparable(subject.item, subject.fingerprint)
        matcher = self._matcher(collection.settings)
        (verdict,) = matcher.judge(item, candidates, collection.settings)
        kind = None if matcher is self._by_cosine else kind_of_items(item.item, candidates[0].other.item)
        return PairScore(verdict.probability, matcher.row(item, candidates, 0), kind)

    def similarity(self, subject: Subject, other: ItemText) -> float:
        """Cosine of the two embeddings, in [-1, 1]."""
        return float(similarities(subject.vector, self._store.vectors.get(other.vector)[None])[0])

    def subject(self, collection: Collection, member: Member) -> Subject:
        """A stored item as one that is judged."""
        said = self._store.items.sayings([member.seq], collection.name)[member.seq]
        return Subject(said.item, said.fingerprint, self._store.vectors.get(said.vector), said.at_ms, member.seq)

    def _matcher(self, settings: CollectionSettings) -> Matcher:
        return self._by_cosine if settings.rule == "cosine" else self._learned

    def _single(self, collection: Collection, subject: Subject, other: Member) -> Candidate:
        said = self._store.items.sayings([other.seq], collection.name)[other.seq]
        return Candidate(
            Comparable(said.item, said.fingerprint),
            self.similarity(subject, said),
            arrivals_apart=abs(self._seq(subject) - other.seq),
        )

    def _seq(self, subject: Subject) -> int:
        return self._store.items.next_seq() if subject.seq is None else subject.seq

    def _of_each_point(
        self, collection: Collection, subject: Subject, members: Iterable[Member], points: Neighbourhood
    ) -> list[Member]:
        """Of each point, the nearest first, the earliest item that the policy allows."""
        if not may_be_duplicate(collection.settings, subject.item):
            return []
        if restricts(collection.settings):
            return self._policy_index.on_points(collection, subject, points, NEAREST)
        first: dict[int, Member] = {}
        for member in members:
            if member.point not in first and subject.comes_after(member):
                first[member.point] = member
                if len(first) == NEAREST:
                    break
        return list(first.values())


def _chosen(
    subject: Subject, twin: Member | None, nearest: Sequence[Member], by_words: Sequence[Member]
) -> dict[int, Member]:
    """The candidates by arrival number, each once."""
    chosen = {} if twin is None else {twin.seq: twin}
    for member in nearest:
        if twin is None or member.point != twin.point:
            chosen[member.seq] = member
    for member in by_words:
        if subject.comes_after(member):
            chosen[member.seq] = member
    return chosen


def _candidate(said: ItemText, similarity: float, vectors: Mapping[int, Vector], arrivals_apart: int) -> Candidate:
    return Candidate(
        Comparable(said.item, said.fingerprint), similarity, vectors[said.vector], arrivals_apart=arrivals_apart
    )


def contradicted(verdict: PairVerdict) -> PairVerdict:
    """The verdict on a pair of which a person said that they are not the same."""
    return verdict.model_copy(
        update={
            "band": Band.SIMILAR,
            "probability": 0.0,
            "reasons": (_CANNOT_LINK,),
            "explanation": _CANNOT_LINK.text,
            "contested": True,
        }
    )


def confirmed(verdict: PairVerdict) -> PairVerdict:
    """The verdict on a pair of which a person said that they are the same."""
    return verdict.model_copy(
        update={
            "band": Band.DUPLICATE,
            "probability": 1.0,
            "reasons": (_MUST_LINK, *verdict.reasons),
            "explanation": _MUST_LINK.text,
            "contested": False,
        }
    )
