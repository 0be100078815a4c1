"""People put groups together and take them apart."""

from __future__ import annotations

from collections.abc import Collection as Some
from collections.abc import Iterator, Sequence

import numpy as np

from recommender.grouping import founded_by
from recommender.items import Band
from recommender.pipeline.answers import Answers
from recommender.pipeline.groups import GROUP_DISAGREES, Groups
from recommender.pipeline.judging import Judging, confirmed, contradicted
from recommender.store import Collection, Member, SqliteStore, Verdict


class Reshaping:
    """Changes groups so that they are as people said, and leaves the rest of them as it is."""

    def __init__(self, store: SqliteStore, judging: Judging, answers: Answers, groups: Groups) -> None:
        self._store = store
        self._judging = judging
        self._answers = answers
        self._groups = groups

    def unite(self, collection: Collection, one: Member, other: Member) -> None:
        """The two are the same: their groups become one, without those who must not be in it."""
        first, second = sorted((one, other))
        verdict = confirmed(self._judging.stored(collection, second, first))
        self._store.items.correct(second.seq, Verdict(verdict, first.seq))
        if one.group == other.group:
            return
        if self._groups.kept_apart(collection, one.group, other.group):
            self._make_room(collection, first, second)
        first, second = self._store.items.by_number([first.seq, second.seq])
        self._groups.merge(collection, first.group, second.group, told=second.seq)

    def part(self, collection: Collection, one: Member, other: Member) -> None:
        """The two are not the same: they part, and the others go with the one they are closer to."""
        first, second = sorted((one, other))
        row = self._store.items.by_seq([second.seq])[second.seq]
        if row.verdict.matched_seq == first.seq and row.verdict.pair is not None:
            self._store.items.correct(second.seq, Verdict(contradicted(row.verdict.pair), first.seq))
        if one.group == other.group:
            self._split(collection, one.group, self._side_of(collection, one, other))

    def release(self, collection: Collection, one: Member, other: Member) -> None:
        """An answer was taken back: the verdict is the matcher's again, and who is together stays together."""
        first, second = sorted((one, other))
        row = self._store.items.by_seq([second.seq])[second.seq]
        if row.verdict.matched_seq != first.seq:
            return
        pair = self._judging.stored(collection, second, first)
        if one.group == other.group:
            pair = pair.model_copy(update={"band": Band.DUPLICATE})
        elif pair.band is Band.DUPLICATE:
            pair = pair.model_copy(update={"band": Band.REVIEW})
        self._store.items.correct(second.seq, Verdict(pair, first.seq))

    def _make_room(self, collection: Collection, one: Member, other: Member) -> None:
        """Before two groups merge, part off who is different from one of the two, or from who stays of the first."""
        bound = self._answers.same(collection.id, one.id)  # the other and all that is the same as either
        apart = self._answers.different(collection.id, one.id)
        self._part_off(collection, one.group, apart)
        staying = [member.id for member in self._store.groups.all(self._group_of(one))]
        self._part_off(collection, self._group_of(other), (apart | self._answers.apart(collection.id, staying)) - bound)

    def _part_off(self, collection: Collection, group: str, ids: Some[str]) -> None:
        """Take items out of a group, each with those that people said are the same."""
        for bound in list(self._bound_together(collection, self._store.groups.all(group))):
            if not bound & frozenset(ids):
                continue
            present = self._store.items.named(collection.id, bound)
            self._split(collection, present[0].group, {member.seq for member in present})

    def _split(self, collection: Collection, group: str, seqs: Some[int]) -> None:
        """Part a group in two; the side with the earliest item keeps the id."""
        members = self._store.groups.all(group)
        sides = [member for member in members if member.seq in seqs], [one for one in members if one.seq not in seqs]
        if not all(sides):
            return
        staying, leaving = sorted(sides)
        self._store.groups.move([member.seq for member in leaving], founded_by(leaving[0].seq))
        for side in (staying, leaving):
            self._rematch(collection, side)

    def _rematch(self, collection: Collection, members: Sequence[Member]) -> None:
        """After a split: no verdict of a duplicate speaks of an item on the other side."""
        inside = {member.seq for member in members}
        rows = self._store.items.by_seq(list(inside))
        first, *others = members
        for member in others:
            if rows[member.seq].verdict.matched_seq not in inside:
                pair = self._judging.stored(collection, member, first)
                self._store.items.correct(
                    member.seq, Verdict(pair.model_copy(update={"band": Band.DUPLICATE}), first.seq)
                )
        verdict = rows[first.seq].verdict
        if verdict.band is not Band.DUPLICATE or verdict.pair is None:
            return
        other = None if verdict.matched_seq is None else self._store.items.id_of(verdict.matched_seq)
        if other is None or other in self._answers.different(collection.id, first.id):
            self._store.items.correct(first.seq, Verdict(None, None))  # nothing is left to ask
        else:
            reasons = (GROUP_DISAGREES, *verdict.pair.reasons)
            pair = verdict.pair.model_copy(update={"band": Band.REVIEW, "reasons": reasons})
            self._store.items.correct(first.seq, Verdict(pair, verdict.matched_seq))

    def _side_of(self, collection: Collection, one: Member, other: Member) -> set[int]:
        """The members that go with ``other``: what people said, then the mean similarity of those they vouch for."""
        theirs: set[int] = set()
        members = self._store.groups.all(one.group)
        rows = self._store.items.by_seq([member.seq for member in members])
        vectors = {seq: self._store.vectors.get(row.vector) for seq, row in rows.items()}
        for ids in self._bound_together(collection, members):
            seqs = [member.seq for member in members if member.id in ids]
            mean = np.mean([vectors[seq] for seq in seqs], axis=0)
            ours, others = float(mean @ vectors[one.seq]), float(mean @ vectors[other.seq])
            closer = others > ours or (others == ours and other.seq < one.seq)  # of two equals, the earlier
            if one.id not in ids and (other.id in ids or closer):
                theirs.update(seqs)
        return theirs

    def _bound_together(self, collection: Collection, members: Sequence[Member]) -> Iterator[frozenset[str]]:
        settled: set[str] = set()
        for member in members:
            if member.id not in settled:
                bound = self._answers.same(collection.id, member.id)
                settled |= bound
                yield bound

    def _group_of(self, member: Member) -> str:
        return self._store.items.by_number([member.seq])[0].group
