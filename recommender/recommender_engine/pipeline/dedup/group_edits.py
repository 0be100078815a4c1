"""Groups are merged and split by answers of people."""

from __future__ import annotations

from collections.abc import Collection as Some
from collections.abc import Iterator

import numpy as np

from recommender_engine.grouping import founded_by
from recommender_engine.items import Band
from recommender_engine.pipeline.dedup.answers import Answers
from recommender_engine.pipeline.dedup.groups import GROUP_DISAGREES, Groups, Moved
from recommender_engine.pipeline.dedup.judging import Judging, confirmed, contradicted
from recommender_engine.pipeline.vectors.embedding_step import Vector
from recommender_engine.store import Collection, Member, SqliteStore, Verdict

# In a larger group the vectors of the items are not compared when two of them are separated.
_MOST_COMPARED = 500
# After a split at most this many verdicts of a side are judged again; the others lose their reasons.
_MOST_REJUDGED = 20


class GroupEdits:
    """Changes groups as answers require, and nothing else of them.

    The cost of an answer depends on the items that change their group, not on the size of the group.
    """

    def __init__(self, store: SqliteStore, judging: Judging, answers: Answers, groups: Groups) -> None:
        self._store = store
        self._judging = judging
        self._answers = answers
        self._groups = groups

    def unite(self, collection: Collection, one: Member, other: Member, moved: Moved) -> None:
        """The two are the same: their groups become one, without the items that must not be in it."""
        first, second = sorted((one, other))
        verdict = confirmed(self._judging.stored(collection, second, first))
        self._store.items.correct(second.seq, Verdict(verdict, first.seq))
        if one.group == other.group:
            return
        if self._groups.kept_apart(collection, one.group, other.group):
            self._separate(collection, first, second, moved)
        first, second = self._store.items.by_number([first.seq, second.seq])
        self._groups.merge(collection, first.group, second.group, moved, judged=second.seq)

    def part(self, collection: Collection, one: Member, other: Member, moved: Moved) -> None:
        """The two are different: they are separated, and the others go with the one they are closer to."""
        first, second = sorted((one, other))
        row = self._store.items.by_seq([second.seq])[second.seq]
        if row.verdict.matched_seq == first.seq and row.verdict.pair is not None:
            self._store.items.correct(second.seq, Verdict(contradicted(row.verdict.pair), first.seq))
        if one.group != other.group:
            return
        if self._store.groups.size(one.group) > _MOST_COMPARED:
            leaving = self._like(collection, second, first)
        else:
            leaving = self._side_of(collection, one, other)
        self._split(collection, one.group, leaving, moved)

    def release(self, collection: Collection, one: Member, other: Member) -> None:
        """An answer was taken back: the verdict is the matcher's again, and groups stay as they are."""
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

    def _separate(self, collection: Collection, one: Member, other: Member, moved: Moved) -> None:
        """Before two groups merge, split off items that are different from one of the two, or from those that stay."""
        bound = self._answers.same(collection.id, one.id)  # the other and all that is the same as either
        apart = self._answers.different(collection.id, one.id)
        self._split_off(collection, one.group, apart, moved)
        staying = [member.id for member in self._groups.answered(collection, self._group_of(one))]
        others = (apart | self._answers.apart(collection.id, staying)) - bound
        self._split_off(collection, self._group_of(other), others, moved)

    def _split_off(self, collection: Collection, group: str, ids: Some[str], moved: Moved) -> None:
        """Take items out of a group, each with those that answers make the same."""
        settled: set[str] = set()
        for member in [one for one in self._store.items.named(collection.id, ids) if one.group == group]:
            if member.id in settled:
                continue
            bound = self._answers.same(collection.id, member.id)
            settled |= bound
            present = self._store.items.named(collection.id, bound)
            self._split(collection, present[0].group, {one.seq for one in present}, moved)

    def _split(self, collection: Collection, group: str, seqs: Some[int], moved: Moved) -> None:
        """Part a group in two; the side with the earliest item keeps the id."""
        leaving = [member for member in self._store.items.by_number(seqs) if member.group == group]
        (earliest,) = self._store.groups.earliest(group, 1)
        if not leaving or len(leaving) == self._store.groups.size(group):
            return
        if leaving[0].seq == earliest.seq:
            leaving = [member for member in self._store.groups.all(group) if member.seq not in seqs]
        founded = founded_by(leaving[0].seq)
        self._groups.move(leaving, founded, moved)
        for side, other in ((group, founded), (founded, group)):
            self._rematch(collection, side, other)

    def _rematch(self, collection: Collection, group: str, other_group: str) -> None:
        """After a split: no verdict of a duplicate is about an item on the other side."""
        (first,) = self._store.groups.earliest(group, 1)
        across = [seq for seq in self._store.groups.matched_across(group, other_group) if seq != first.seq]
        for member in self._store.items.by_number(across[:_MOST_REJUDGED]):
            pair = self._judging.stored(collection, member, first)
            self._store.items.correct(member.seq, Verdict(pair.model_copy(update={"band": Band.DUPLICATE}), first.seq))
        if rest := across[_MOST_REJUDGED:]:
            self._store.items.rematch(rest, first.seq)
        verdict = self._store.items.by_seq([first.seq])[first.seq].verdict
        if verdict.band is not Band.DUPLICATE or verdict.pair is None:
            return
        other = None if verdict.matched_seq is None else self._store.items.id_of(verdict.matched_seq)
        if other is None or other in self._answers.different(collection.id, first.id):
            self._store.items.correct(first.seq, Verdict(None, None))  # no question is left
        else:
            reasons = (GROUP_DISAGREES, *verdict.pair.reasons)
            pair = verdict.pair.model_copy(update={"band": Band.REVIEW, "reasons": reasons})
            self._store.items.correct(first.seq, Verdict(pair, verdict.matched_seq))

    def _side_of(self, collection: Collection, one: Member, other: Member) -> set[int]:
        """The members that go with ``other``, by the answers, then by the mean similarity of what they connect."""
        rows = self._store.groups.vectors(one.group)
        vectors = self._store.vectors.several(set(rows.values()))
        mine, theirs = vectors[rows[one.seq]], vectors[rows[other.seq]]

        def closer_to_other(vector: Vector) -> bool:
            ours, others = float(vector @ mine), float(vector @ theirs)
            return others > ours or (others == ours and other.seq < one.seq)  # of two equals, the earlier

        leaving: set[int] = set()
        for bound in self._bound_together(collection, one.group):
            seqs = [member.seq for member in bound]
            ids = {member.id for member in bound}
            mean = np.mean([vectors[rows.pop(seq)] for seq in seqs], axis=0)
            if one.id not in ids and (other.id in ids or closer_to_other(mean)):
                leaving.update(seqs)
        closer = {row: closer_to_other(vectors[row]) for row in set(rows.values())}
        return leaving.union(seq for seq, row in rows.items() if closer[row])

    def _like(self, collection: Collection, later: Member, earlier: Member) -> set[int]:
        """The members that go with the later one of two in a large group: by the answers, or the same vector.

        An item with that vector stays if answers connect it with others.
        """
        texts = self._store.items.texts([later.seq, earlier.seq], collection.name)
        bound = self._store.items.named(collection.id, self._answers.same(collection.id, later.id))
        leaving = {member.seq for member in bound}
        if texts[later.seq].vector != texts[earlier.seq].vector:
            for member in self._store.groups.with_vector(later.group, collection.id, texts[later.seq].vector):
                if len(self._answers.same(collection.id, member.id)) == 1:
                    leaving.add(member.seq)
        return leaving

    def _bound_together(self, collection: Collection, group: str) -> Iterator[list[Member]]:
        """The items of a group that have answers, those together that the answers make the same."""
        answered = {member.id: member for member in self._groups.answered(collection, group)}
        while answered:
            first = next(iter(answered))
            same = self._answers.same(collection.id, first)
            yield sorted(answered.pop(id_) for id_ in same if id_ in answered)

    def _group_of(self, member: Member) -> str:
        return self._store.items.by_number([member.seq])[0].group
