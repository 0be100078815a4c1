"""The verdicts on the candidates of an item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from recommender_engine.grouping import JudgedMember
from recommender_engine.items import Band, CollectionSettings, Item, PairVerdict, Reason
from recommender_engine.items.placeholders import says_nothing
from recommender_engine.matching import Candidate, Comparable, Kind, Matcher, kind_of_items, only_meaning
from recommender_engine.pipeline.candidates.candidates import Candidates
from recommender_engine.pipeline.candidates.search import CandidateSearch, Counterpart
from recommender_engine.pipeline.candidates.subject import Subject
from recommender_engine.pipeline.vectors.embedding_step import Vector
from recommender_engine.pipeline.vectors.nearest_points import Similarities, similarities
from recommender_engine.store import Collection, ItemText, Member, SqliteStore

_CLAIMS_NOTHING = (Band.SIMILAR, Band.NEW)
_CANNOT_LINK = Reason(code="people_say_different", text="a person said that these two are not the same")
_MUST_LINK = Reason(code="people_say_same", text="a person said that these two are the same")
# Stands for an item whose text no matcher reads.
_UNREAD = Comparable(Item.model_construct(id="", collection="", text="", fields=None, attributes={}), b"")


class PairScore(NamedTuple):
    """The matcher's score of a pair.

    Attributes:
        probability: that the two are the same thing, in [0, 1].
        features: values by name.
        kind: of text; ``None`` where texts are not compared.
    """

    probability: float
    features: dict[str, float]
    kind: Kind | None = None


class JudgedCandidates:
    """The candidates of an item with the verdicts on them; reasons are computed for those that matter.

    Attributes:
        members: the candidates after judgement.
    """

    def __init__(
        self,
        matcher: Matcher,
        item: Comparable,
        candidates: Sequence[Candidate],
        found: Sequence[Member],
        settings: CollectionSettings,
        forbidden: frozenset[str],
    ) -> None:
        self._matcher = matcher
        self._item = item
        self._candidates = candidates
        self._settings = settings
        self._forbidden = forbidden
        self.members: list[JudgedMember] = []
        for member, verdict in zip(found, matcher.judge(item, candidates, settings), strict=False):
            apart = member.id in forbidden
            self.members.append(
                JudgedMember(member.id, member.seq, member.group, contradicted(verdict) if apart else verdict)
            )
            if not settings.compares_texts and verdict.band is not Band.DUPLICATE and not apart:
                break  # those behind are no nearer, and at most one that is no duplicate matters
        self._positions = {member.seq: position for position, member in enumerate(self.members)}

    def explained(self, member: JudgedMember) -> PairVerdict:
        """The verdict on one of the members, with its reasons.

        For a band that claims nothing the cosine is reason enough, unless only a contradiction keeps the pair apart.
        """
        position = self._positions.get(member.seq)
        if position is None or member.id in self._forbidden:
            return member.verdict
        if member.verdict.band in _CLAIMS_NOTHING and not member.verdict.contested:
            return only_meaning(member.verdict)
        return self._matcher.explain(self._item, self._candidates, position, self._settings)

    def fully_explained(self, member: Member) -> PairVerdict:
        """The verdict on one of the members, with all of its reasons, whatever its band."""
        position = self._positions[member.seq]
        if member.id in self._forbidden:
            return self.members[position].verdict
        return self._matcher.explain(self._item, self._candidates, position, self._settings)

    def score(self, member: Member) -> PairScore | None:
        """The score of one of the members; ``None`` for any other item."""
        position = self._positions.get(member.seq)
        if position is None:
            return None
        probability = self.members[position].verdict.probability
        return _score(self._matcher, self._item, self._candidates, position, self._settings, probability)


class Judging:
    """Has the candidates of an item judged by the matcher of their collection.

    Args:
        store: the items.
        search: chooses the candidates that are judged.
        matchers: by the rule in the settings of a collection.
    """

    def __init__(self, store: SqliteStore, search: CandidateSearch, matchers: Mapping[str, Matcher]) -> None:
        self._store = store
        self._search = search
        self._matchers = matchers

    def judge(
        self, collection: Collection, subject: Subject, candidates: Candidates, forbidden: frozenset[str]
    ) -> JudgedCandidates:
        """Verdicts on the candidates of an item.

        Args:
            forbidden: ids that answers make different from the item.
        """
        chosen = self._search.chosen(collection, subject, candidates)
        return self._judged(collection, subject, chosen, candidates.similarity, forbidden)

    def ask(
        self,
        collection: Collection,
        subject: Subject,
        counterpart: Counterpart,
        candidates: Candidates,
        forbidden: frozenset[str],
    ) -> tuple[PairVerdict, JudgedCandidates]:
        """The verdict on one pair among the candidates that ``judge`` would choose, with its reasons; and on all.

        Args:
            counterpart: the other item of the pair, for which the candidates were found.
        """
        chosen = self._search.chosen(collection, subject, candidates, counterpart)
        judged = self._judged(collection, subject, chosen, candidates.similarity, forbidden, counterpart)
        return judged.fully_explained(counterpart.member), judged

    def _judged(
        self,
        collection: Collection,
        subject: Subject,
        chosen: Mapping[int, Member],
        similarity: Similarities,
        forbidden: frozenset[str],
        counterpart: Counterpart | None = None,
    ) -> JudgedCandidates:
        settings = collection.settings
        found = list(chosen.values())
        if settings.compares_texts:
            texts, vectors = self._texts(collection, chosen, counterpart)
            found = [member for member in found if not says_nothing(texts[member.seq].item.content)]
            seq = self._seq(subject) + (
                counterpart is not None and counterpart.text is not None
            )  # that one came before it
            judged = [_candidate(texts[one.seq], similarity[one.point], vectors, seq - one.seq) for one in found]
        else:
            judged = [Candidate(_UNREAD, similarity[member.point]) for member in found]
        item = Comparable(subject.item, subject.fingerprint)
        return JudgedCandidates(self._matchers[settings.rule], item, judged, found, settings, forbidden)

    def _texts(
        self, collection: Collection, chosen: Mapping[int, Member], counterpart: Counterpart | None
    ) -> tuple[Mapping[int, ItemText], Mapping[int, Vector]]:
        """Texts of the candidates by arrival number, and vectors by their row; also of one that is not stored."""
        if counterpart is None or counterpart.text is None or counterpart.vector is None:
            texts = self._store.items.texts(list(chosen), collection.name)
            return texts, self._store.vectors.several({one.vector for one in texts.values()})
        texts = self._store.items.texts([seq for seq in chosen if seq != counterpart.member.seq], collection.name)
        vectors = self._store.vectors.several({one.vector for one in texts.values()})
        return {**texts, counterpart.member.seq: counterpart.text}, {
            **vectors,
            counterpart.text.vector: counterpart.vector,
        }

    def alone(self, collection: Collection, subject: Subject, other: Member, *, explained: bool = False) -> PairVerdict:
        """The verdict on one pair, whatever other candidates there are."""
        candidate = self._single(collection, subject, other)
        item = Comparable(subject.item, subject.fingerprint)
        if explained:
            return self.pair(item, candidate, collection.settings)
        (verdict,) = self._matchers[collection.settings.rule].judge(item, [candidate], collection.settings)
        return verdict

    def pair(self, item: Comparable, candidate: Candidate, settings: CollectionSettings) -> PairVerdict:
        """The verdict on a pair that need not be stored, with its reasons."""
        return self._matchers[settings.rule].explain(item, [candidate], 0, settings)

    def stored(self, collection: Collection, later: Member, earlier: Member) -> PairVerdict:
        """The verdict on two stored items, with its reasons."""
        return self.alone(collection, self.subject(collection, later), earlier, explained=True)

    def score_alone(self, collection: Collection, subject: Subject, other: Member) -> PairScore:
        """The score of one pair, whatever other candidates there are."""
        candidates = [self._single(collection, subject, other)]
        item = Comparable(subject.item, subject.fingerprint)
        matcher = self._matchers[collection.settings.rule]
        (verdict,) = matcher.judge(item, candidates, collection.settings)
        return _score(matcher, item, candidates, 0, collection.settings, verdict.probability)

    def similarity(self, subject: Subject, other: ItemText) -> float:
        """Cosine of the two embeddings, in [-1, 1]."""
        return float(similarities(subject.vector, self._store.vectors.get(other.vector)[None])[0])

    def subject(self, collection: Collection, member: Member) -> Subject:
        """A stored item, to be judged."""
        text = self._store.items.texts([member.seq], collection.name)[member.seq]
        return Subject(text.item, text.fingerprint, self._store.vectors.get(text.vector), text.at_ms, member.seq)

    def _single(self, collection: Collection, subject: Subject, other: Member) -> Candidate:
        text = self._store.items.texts([other.seq], collection.name)[other.seq]
        return Candidate(
            Comparable(text.item, text.fingerprint),
            self.similarity(subject, text),
            arrivals_apart=abs(self._seq(subject) - other.seq),
        )

    def _seq(self, subject: Subject) -> int:
        return self._store.items.next_seq() if subject.seq is None else subject.seq


def _candidate(text: ItemText, similarity: float, vectors: Mapping[int, Vector], arrivals_apart: int) -> Candidate:
    return Candidate(
        Comparable(text.item, text.fingerprint), similarity, vectors[text.vector], arrivals_apart=arrivals_apart
    )


def _score(
    matcher: Matcher,
    item: Comparable,
    candidates: Sequence[Candidate],
    position: int,
    settings: CollectionSettings,
    probability: float,
) -> PairScore:
    kind = kind_of_items(item.item, candidates[position].other.item) if settings.compares_texts else None
    return PairScore(probability, matcher.row(item, candidates, position, settings), kind)


def contradicted(verdict: PairVerdict) -> PairVerdict:
    """The verdict on a pair that an answer makes different."""
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
    """The verdict on a pair that an answer makes the same."""
    return verdict.model_copy(
        update={
            "band": Band.DUPLICATE,
            "probability": 1.0,
            "reasons": (_MUST_LINK, *verdict.reasons),
            "explanation": _MUST_LINK.text,
            "contested": False,
        }
    )
