"""Where each collection keeps the precision that its settings state, and what people's answers still lack for it."""

from __future__ import annotations

from collections import Counter
from typing import Literal, NamedTuple

import numpy as np

from recommender_engine.items import Band, Item
from recommender_engine.items.values import Value
from recommender_engine.matching import (
    Answered,
    Floats,
    Kind,
    PairModel,
    Promise,
    Segment,
    View,
    kind_of_items,
    promises,
)
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.learning.models import Models
from recommender_engine.pipeline.learning.training import MOST_LEARNED_FROM, answered, answered_since, recorded
from recommender_engine.recent import Recent
from recommender_engine.store import CODES, Collection, ListedRow, Place, SqliteStore, TrainingExample
from recommender_engine.store.items import item_of

_NOTHING = Answered(np.zeros(0), np.zeros(0, np.bool_), np.zeros(0, np.bool_), [])
_SAMPLED = 20  # pairs whose kinds are looked at
_KEPT = 100  # collections of which answers are kept in memory, up to 100 kB each


class PromiseView(Value):
    """Whether the target precision of a collection is kept, in one view and for one kind of text.

    Attributes:
        view: ``stream``: judged among other candidates; ``alone``: by itself.
        kind: ``long_prose``, ``short_prose``, ``with_codes`` or ``without_codes`` (names of things).
        measured: whether it is; else the band is closed there, but for the same text and what people said.
        begins_at: probability from which pairs are flagged; ``None`` where it is not measured.
        answers: how many answers of people speak of such pairs, of the newest that are learned from.
        missing: if it is not measured, least number of further answers that open the band: if all of them are "same".
            ``None`` where it is, or where the target is above every precision that answers can measure.
    """

    view: Literal["stream", "alone"]
    kind: Literal["long_prose", "short_prose", "with_codes", "without_codes"]
    measured: bool
    begins_at: float | None
    answers: int
    missing: int | None

    @classmethod
    def of(cls, one: Promise) -> PromiseView:
        """As JSON values for answers and the status."""
        return cls.model_validate(
            {
                "view": one.segment.view.value,
                "kind": one.segment.kind.value,
                "measured": one.begins_at is not None,
                "begins_at": None if one.begins_at is None else round(one.begins_at, 4),
                "answers": one.answers,
                "missing": one.missing,
            }
        )


_AnswersOf = tuple[int, int, int, str, int]


class _Read(NamedTuple):
    """What is kept of the answers of a collection.

    Attributes:
        of: number of the newest answer, how many there are, how many of them the model has learned from, the embedding
            model, and up to which answer features are of another one.
        all: what they say.
        recorded: probability of each pair when it was answered.
        learned: hash of those that the model had learned from.
        taught: what these say.
    """

    of: _AnswersOf
    all: Answered
    recorded: Floats
    learned: int
    taught: Answered


class Promises:
    """Says where precisions are kept. It looks again only when answers, model or target are others."""

    def __init__(self, store: SqliteStore, collections: Collections, models: Models) -> None:
        self._store = store
        self._collections = collections
        self._models = models
        self._read: Recent[int, _Read] = Recent(_KEPT)
        # By model, answers and target, the first two by which object they are: they are kept beside what they say. Most
        # collections share a model and have no answers.
        self._told: Recent[tuple[int, int, float], tuple[PairModel, Answered, list[PromiseView]]] = Recent(_KEPT)

    def of(self, name: str) -> list[PromiseView]:
        """Of a collection, the view of a stream first; nothing where the cosine decides, of which nothing is stated."""
        collection = self._collections.find(name)
        if collection is None or not collection.settings.compares_texts:
            return []
        model, target = self._models.of(collection.name), collection.settings.target_precision
        said = self.answered(collection.id)
        of = id(model), id(said), target
        if (known := self._told.get(of)) is None:
            found = [PromiseView.of(one) for one in promises(model, target, said)]
            found.sort(key=lambda one: one.view == "alone")
            known = model, said, found
            self._told.put(of, known)
        return known[2]

    def closed(self, name: str) -> list[PromiseView]:
        """Those of a collection that are not kept: its band is closed there."""
        return [one for one in self.of(name) if not one.measured]

    def closed_anywhere(self, most: int) -> dict[str, list[PromiseView]]:
        """Those that are not kept in streams, of the oldest collections with items, up to a limit."""
        there = [one for one in self._collections.all() if one.model is not None]
        found = {one.name: [view for view in self.closed(one.name) if view.view == "stream"] for one in there[:most]}
        return {name: closed for name, closed in found.items() if closed}

    def border(self, collection: Collection, target: float) -> float:
        """The probability from which pairs are flagged under a target precision, in a stream and for the usual kind.

        That is the kind that most of the newest flagged or reviewed pairs have. Above 1 where it is not measured.

        Args:
            collection: with a learned matcher.
            target: the precision, in (0, 1).
        """
        model = self._models.of(collection.name)
        return model.duplicate_threshold(target, Segment(View.STREAM, self._usual_kind(collection)))

    def _usual_kind(self, collection: Collection) -> Kind:
        listing, bands = self._store.listing, (CODES[Band.DUPLICATE], CODES[Band.REVIEW])
        places = listing.by_arrival(collection.id, bands, Place.beginning(descending=True), _SAMPLED, descending=True)
        rows = listing.rows([place.seq for place in places])
        others = listing.rows({row.matched_seq for row in rows.values() if row.matched_seq is not None})
        kinds = Counter(
            kind_of_items(_item(row), _item(others[row.matched_seq or 0]))
            for row in rows.values()
            if row.matched_seq in others
        )
        return max(Kind, key=lambda kind: kinds[kind])

    def asked_at(self, collection: int, segment: Segment) -> Floats:
        """Probabilities of the pairs of a place that were answered, as they were stated then; the highest first."""
        said, stated = self._given(collection)
        return -np.sort(-said._replace(stated=stated).at(segment)[0])

    def answered(self, collection: int) -> Answered:
        """What people answered, as far as it is learned from."""
        return self._given(collection)[0]

    def _given(self, collection: int) -> tuple[Answered, Floats]:
        """What people answered, and the probability of each pair when it was answered."""
        count = self._store.answers.count(collection)
        if not count:
            return _NOTHING, _NOTHING.stated
        last = self._store.training.last_answer(collection)
        found = self._collections.by_id(collection)
        by = ("", 0) if found is None else (str(found.model), found.unlearned_answer)
        of = last, count, self._models.learned_from(collection), *by
        known = self._read.get(collection)
        if known is None or known.of != of:
            since = self._since(collection, count)
            rows = self._store.training.answers(collection, last, MOST_LEARNED_FROM + since)
            known = self._reread(collection, of, rows, len(rows) - since, known)
            self._read.put(collection, known)
        return known.all, known.recorded

    def _since(self, collection: int, count: int) -> int:
        """How many answers were given since the model learned; 0 where some are gone that it may have learned from."""
        pending, learned = self._store.answers.pending(collection), self._models.learned_from(collection)
        return pending if min(count - pending, MOST_LEARNED_FROM) == learned else 0

    def _reread(
        self,
        collection: int,
        of: _AnswersOf,
        rows: list[TrainingExample],
        learned: int,
        known: _Read | None,
    ) -> _Read:
        """What answers say; what others teach of each of them is found out once for all that the model learned from."""
        before = hash(tuple(rows[:learned]))
        taught = known.taught if known is not None and known.learned == before else answered(rows[:learned])[1]
        said = taught
        if rows[learned:]:
            said = taught.and_also(answered_since(rows[learned:], self._models.by_number(collection)))
        return _Read(of, said, recorded(rows), before, taught)


def _item(row: ListedRow) -> Item:
    return item_of(row.id, "", row.compared or row.content, "{}")
