"""Groups: an item that arrives joins, founds or merges them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from recommender_engine.grouping import JudgedMember, agree, alike, founded_by, older, ranked, strongest_by_group
from recommender_engine.items import Band, PairVerdict, Reason
from recommender_engine.matching import PairModel
from recommender_engine.matching.matchers.incidents import REPORTS
from recommender_engine.pipeline.candidates.compared_texts import ComparedTexts
from recommender_engine.pipeline.candidates.subject import Subject
from recommender_engine.pipeline.dedup.answers import Answers
from recommender_engine.pipeline.dedup.bursts import Burst, Bursts, in_burst
from recommender_engine.pipeline.dedup.judging import JudgedCandidates, Judging, confirmed, contradicted
from recommender_engine.store import Collection, Member, SqliteStore, Verdict

# A new item is compared with its group: the earliest member and this many of the latest.
_LATEST_COMPARED = 4
# How many groups one new item can bring together.
_MERGED = 3

GROUP_DISAGREES = Reason(code="group_disagrees", text="it is like one item of that group, but not like the others")


Moved = dict[int, Member]
"""Items that changed their group, as they were before, by arrival number."""


class GroupAssignment(NamedTuple):
    """The group of a new item.

    Attributes:
        seq: its arrival number.
        group: the group it joins or founds.
        verdict: on the pair that decided it.
        merges: groups that become one with ``group`` because of the item.
        because: the reason, where the verdicts on their items do not give it.
    """

    seq: int
    group: str
    verdict: Verdict
    merges: tuple[str, ...]
    because: Reason | None = None


class Groups:
    """Decides what belongs together."""

    def __init__(
        self,
        store: SqliteStore,
        compared_texts: ComparedTexts,
        judging: Judging,
        answers: Answers,
        model_of: Callable[[str], PairModel],
    ) -> None:
        self._store = store
        self._compared_texts = compared_texts
        self._judging = judging
        self._answers = answers
        self._bursts = Bursts(store, model_of)

    # -- arrivals ------------------------------------------------------------------------------------------------------

    def assign(
        self,
        collection: Collection,
        subject: Subject,
        twin: Member | None,
        judged: JudgedCandidates,
        forbidden: frozenset[str],
    ) -> GroupAssignment:
        """The group of a new item.

        It joins the group of an item that answers make the same; else that of the surest duplicate whose group agrees;
        else that of its burst, whose groups become one.

        Args:
            twin: the item with the same text; its group need not agree.
            judged: verdicts on the candidates.
            forbidden: ids of items that it must not share a group with.
        """
        seq = self._store.items.next_seq()
        confirmed_with = self._confirmed(collection, subject)
        joined = [] if confirmed_with is None else [confirmed_with]
        doubtful: list[JudgedMember] = []
        for one in strongest_by_group(judged.members):
            if len(joined) > _MERGED or any(one.group == other.group for other in joined):
                continue
            if self._holds_any(collection, one.group, forbidden):
                continue
            agreed = (twin is not None and one.seq == twin.seq) or self._agrees(collection, subject, one)
            (joined if agreed else doubtful).append(one)
        burst = self._bursts.of(collection, subject, judged)
        reports = [] if burst is None else self._reports(collection, burst, joined, forbidden)
        if not joined and not reports:
            return GroupAssignment(seq, founded_by(seq), self._unjoined(judged, doubtful), ())
        first, *others = joined or reports
        one_group = [first.group]
        for other in others if joined else ():
            if self._belong_together(collection, one_group, other.group):
                one_group.append(other.group)
        for report in reports:
            apart = any(self.kept_apart(collection, group, report.group) for group in one_group)
            if report.group not in one_group and not apart:
                one_group.append(report.group)
        pair = first.verdict if first is confirmed_with else judged.explained(first)
        because = burst.reason if burst is not None and reports else None
        if because is not None and not joined:
            pair = in_burst(pair, because)
        return GroupAssignment(seq, first.group, Verdict(pair, first.seq), tuple(one_group[1:]), because)

    def _reports(
        self, collection: Collection, burst: Burst, joined: Sequence[JudgedMember], forbidden: frozenset[str]
    ) -> list[JudgedMember]:
        """The members of a burst whose groups may be one with the item, and with those that it joins anyway."""
        if not all(self._bursts.takes(burst, one.group) for one in joined):
            return []
        found = [
            one
            for one in burst.members
            if self._bursts.takes(burst, one.group) and not self._holds_any(collection, one.group, forbidden)
        ]
        return found if len(found) >= REPORTS - 1 else []

    def verdict_on_arrival(
        self,
        collection: Collection,
        subject: Subject,
        pair: PairVerdict,
        member: Member,
        twin: Member | None,
        forbidden: frozenset[str],
        judged: JudgedCandidates | None = None,
    ) -> PairVerdict:
        """The verdict on an item that arrives and one stored item, after answers of people and a look at its group.

        Args:
            judged: verdicts on the candidates, where the item may belong to a burst.
        """
        if member.id in self._answers.same(collection.id, subject.item.id):
            return confirmed(pair)
        if pair.band is Band.DUPLICATE:
            if self._holds_any(collection, member.group, forbidden):
                return contradicted(pair)
            if (twin is not None and member.seq == twin.seq) or self._agrees(collection, subject, member):
                return pair
        burst = None if judged is None else self._bursts.of(collection, subject, judged)
        if burst is not None and any(one.seq == member.seq for one in self._reports(collection, burst, [], forbidden)):
            return in_burst(pair, burst.reason)
        return _doubted(pair) if pair.band is Band.DUPLICATE else pair

    def _confirmed(self, collection: Collection, subject: Subject) -> JudgedMember | None:
        """The earliest of the items that answers make the same."""
        same = self._answers.same(collection.id, subject.item.id) - {subject.item.id}
        partners = self._store.items.named(collection.id, same) if same else []
        visible = self._store.items.visible([member.seq for member in partners], collection.hidden_ms)
        partners = [member for member in partners if member.seq in visible]
        if not partners:
            return None
        member = partners[0]
        verdict = confirmed(self._judging.alone(collection, subject, member, explained=True))
        return JudgedMember(member.id, member.seq, member.group, verdict)

    def _agrees(self, collection: Collection, subject: Subject, best: JudgedMember | Member) -> bool:
        """Whether the rest of the group, as far as it is compared, is like the item."""
        members = {member.seq: member for member in self._store.groups.earliest(best.group, 1)}
        members.update((member.seq, member) for member in self._store.groups.latest(best.group, _LATEST_COMPARED))
        members.pop(best.seq, None)
        asked = self._compared_texts.current(collection, [members[seq] for seq in sorted(members)])
        return agree([self._judging.alone(collection, subject, member) for member in asked])

    def _unjoined(self, judged: JudgedCandidates, doubtful: Sequence[JudgedMember]) -> Verdict:
        """The verdict on an item that founds a group of its own."""
        if doubtful:
            best = doubtful[0]
            return Verdict(_doubted(judged.explained(best)), best.seq)
        rest = [one for one in ranked(judged.members) if one.verdict.band is not Band.DUPLICATE]
        return Verdict(judged.explained(rest[0]), rest[0].seq) if rest else Verdict(None, None)

    # -- merges --------------------------------------------------------------------------------------------------------

    def _belong_together(self, collection: Collection, groups: Sequence[str], other: str) -> bool:
        """Whether another group may merge with some: the earliest items are alike, and no answer is against it."""
        if any(self.kept_apart(collection, group, other) for group in groups):
            return False
        first, second = self._heads(groups[0], other)
        return alike(self._judging.alone(collection, self._judging.subject(collection, second), first))

    def kept_apart(self, collection: Collection, one: str, other: str) -> bool:
        """Whether answers make an item of one group different from one of the other."""
        ids = [member.id for member in self.answered(collection, one)]
        return bool(ids) and self._holds_any(collection, other, self._answers.apart(collection.id, ids))

    def answered(self, collection: Collection, group: str) -> list[Member]:
        """The items of a group that have answers, in order of arrival."""
        ids = self._answers.ids(collection.id)
        if len(ids) > self._store.groups.size(group):
            return [member for member in self._store.groups.all(group) if member.id in ids]
        return [member for member in self._store.items.named(collection.id, ids) if member.group == group]

    def merge(
        self,
        collection: Collection,
        one: str,
        other: str,
        moved: Moved,
        judged: int | None = None,
        because: Reason | None = None,
    ) -> str:
        """Make two groups one; the one founded first keeps its id, which is returned.

        Args:
            moved: where to note the items that change their group.
            judged: arrival number of an item whose verdict is about the other group already.
            because: see `GroupAssignment`.
        """
        kept = older(one, other)
        gone = other if kept == one else one
        first, second = self._heads(one, other)
        if second.seq != judged:
            pair = self._judging.stored(collection, second, first)
            pair = in_burst(pair, because) if because else pair.model_copy(update={"band": Band.DUPLICATE})
            self._store.items.correct(second.seq, Verdict(pair, first.seq))
        self.move(self._store.groups.all(gone), kept, moved)
        return kept

    def move(self, members: Sequence[Member], group: str, moved: Moved) -> None:
        """Put items into another group, and note the group in which each was at first."""
        for member in members:
            moved.setdefault(member.seq, member)
        self._store.groups.move([member.seq for member in members], group)

    def _heads(self, one: str, other: str) -> tuple[Member, Member]:
        """The earliest items of two groups, in order of arrival."""
        first, second = sorted(self._store.groups.earliest(one, 1) + self._store.groups.earliest(other, 1))
        return first, second

    def _holds_any(self, collection: Collection, group: str, ids: Iterable[str]) -> bool:
        wanted = frozenset(ids)
        return bool(wanted) and any(member.group == group for member in self._store.items.named(collection.id, wanted))


def _doubted(pair: PairVerdict) -> PairVerdict:
    """The verdict on a duplicate whose group is not like the item."""
    return pair.model_copy(
        update={
            "band": Band.REVIEW,
            "reasons": (GROUP_DISAGREES, *pair.reasons),
            "explanation": f"{pair.explanation}; but {GROUP_DISAGREES.text}",
        }
    )
