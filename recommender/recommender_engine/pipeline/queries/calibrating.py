"""Which pairs a person is asked about, so that few answers measure a precision.

The precision of a band is the share of right ones among all that it flags. Answers estimate it without bias where
every pair that would be flagged had the same chance of being asked (Cochran 1977, chapter 5: proportional allocation).
Answers on what the model is least sure of say nothing about it: they come from another population.

So one pair in so many is asked, from the likeliest pair downwards. Which ones is settled by a number between 0 and 1
that each pair has from its ids, and that stays with it (permanent random numbers, Ohlsson 1995): asked are the pairs
whose number is below the rate. At every moment the answers are thus an even sample of all pairs from some probability
on, which is what a band that begins there would hold: whoever stops early has wasted nothing, whoever goes on is asked
about no pair twice, and a higher rate only adds pairs.

How far down it is worth asking says the model: as far as the mean of the stated probabilities lies halfway between the
target and one, since the lower bound of the answers has to reach nearly the target. The rate is the lowest power of one
half by which the way down there takes as many answers as would do if all of them are "same". If they do not do, the
rate is doubled there. Once the band is open, the way goes on downwards at the same rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import CollectionSettings
from recommender_engine.items.values import Value
from recommender_engine.matching import Kind, Segment, View, kind_of_items, more_right, upper_bound
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.dedup.answers import Answers
from recommender_engine.pipeline.dedup.review_order import chance_of, turn
from recommender_engine.pipeline.learning.models import Models
from recommender_engine.pipeline.learning.promises import Promises, PromiseView
from recommender_engine.recent import Recent
from recommender_engine.store import Collection, LikelyPair, SqliteStore

# What was said of the newest so many items is looked at, and of that the likeliest so many pairs.
_NEWEST = 20_000
_MOST_PAIRS = 400
_KINDS_KEPT = 10_000
_LONGEST_SHOWN = 8_000
# So many answers may show that a precision is out of reach.
_TELLING = 5


class PairToAnswer(Value):
    """Two stored items of which a person is to say whether they are the same thing.

    Attributes:
        item_id: the one that arrived later.
        other_id: the one that it was matched with.
        text: what of the item is compared, at most 8,000 characters.
        other_text: the same of the other.
        probability: that was stated when the item arrived, in [0, 1].
    """

    item_id: str
    other_id: str
    text: str
    other_text: str
    probability: float


class Calibration(Value):
    """How far a precision is measured for one kind of text in the stream of a collection, and what to ask next.

    Attributes:
        collection: its name.
        target_precision: of its settings.
        promise: the kind and how it stands; ``None`` where every kind is measured, or no pair is likely enough to ask.
        closed: where else the precision is not measured in streams.
        same: how many of the answers that speak of it are "same".
        opens_at: about the probability at which the band opens if all answers that are missing are "same".
        out_of_reach: whether the answers so far say that the precision is not there.
        waiting: how many pairs could still be asked about.
        pairs: those to ask next, in this order.
    """

    collection: str
    target_precision: float
    promise: PromiseView | None
    closed: tuple[PromiseView, ...]
    same: int = 0
    opens_at: float | None = None
    out_of_reach: bool = False
    waiting: int = 0
    pairs: tuple[PairToAnswer, ...] = ()


class Candidate(NamedTuple):
    """A pair that may be asked about.

    Attributes:
        pair: it.
        chance: its number in [0, 1), which settles at which rate it is asked about.
    """

    pair: LikelyPair
    chance: float


class Calibrating:
    """Proposes pairs for people to answer. Nothing is stored, and nothing is judged again."""

    def __init__(
        self, store: SqliteStore, collections: Collections, models: Models, answers: Answers, promises: Promises
    ) -> None:
        self._store = store
        self._collections = collections
        self._models = models
        self._answers = answers
        self._promises = promises
        self._kinds: Recent[tuple[int, int], Kind] = Recent(_KINDS_KEPT)

    def propose(self, name: str, kind: str | None = None, limit: int = 1) -> Calibration | None:
        """What to ask next; ``None`` when there is no such collection.

        Args:
            name: of the collection.
            kind: of text; by default the closed one with the most pairs that are worth asking about.
            limit: how many pairs at most.

        Raises:
            InvalidCommand: there is no such kind, or the collection is judged by the cosine, which states no precision.
        """
        collection = self._collections.find(name)
        if collection is None:
            return None
        settings = collection.settings
        if not settings.compares_texts:
            raise InvalidCommand(
                "invalid_value", f"{name!r} is judged by the cosine, which states no precision", "rule"
            )
        if kind is not None and kind not in list(Kind):
            raise InvalidCommand("invalid_value", f"kind must be one of {', '.join(Kind)}", "kind")
        current = {one.kind: one for one in self._promises.of(name) if one.view == "stream"}
        pairs = self._pairs(collection)
        missing = [one for one in current.values() if not one.measured]
        chosen = _most(pairs, missing) if kind is None else Kind(kind)
        promise = None if chosen is None else current[chosen.value]
        about = Calibration(
            collection=name,
            target_precision=settings.target_precision,
            promise=promise,
            closed=tuple([one for one in missing if one is not promise]),
        )
        if chosen is None or promise is None:
            return about
        return about.model_copy(update=self._asked(promise, collection, pairs.get(chosen, []), limit))

    def _asked(
        self, promise: PromiseView, collection: Collection, pairs: list[Candidate], limit: int
    ) -> dict[str, Any]:
        """What is to be asked of one kind of text, and what the answers say so far."""
        target = collection.settings.target_precision
        place = Segment(View.STREAM, Kind(promise.kind))
        stated, labels = self._promises.answered(collection.id).at(place)
        asked = self._promises.asked_at(collection.id, place).tolist()
        unasked = in_order(pairs, asked, target, measured=promise.measured)
        opening = [one.pair.probability for one in unasked[: promise.missing or 0]]
        falling = labels[np.argsort(-stated, kind="stable")]
        return {
            "same": int(labels.sum()),
            "opens_at": min(opening, default=None),
            "out_of_reach": not promise.measured and out_of_reach(falling, target),
            "waiting": len(unasked),
            "pairs": tuple(self._to_answer(collection, [one.pair for one in unasked[:limit]])),
        }

    def _to_answer(self, collection: Collection, pairs: Sequence[LikelyPair]) -> Iterator[PairToAnswer]:
        seqs = {seq for one in pairs for seq in (one.seq, one.other_seq)}
        said = self._store.items.texts(list(seqs), collection.name)
        for one in pairs:
            yield PairToAnswer(
                item_id=one.id,
                other_id=one.other_id,
                text=_shown(said[one.seq].item.content),
                other_text=_shown(said[one.other_seq].item.content),
                probability=one.probability,
            )

    def _pairs(self, collection: Collection) -> dict[Kind, list[Candidate]]:
        """The likeliest pairs that may be asked about, by kind, the likeliest first."""
        least = self._review_from(collection)
        since = self._store.items.before_last(collection.id, _NEWEST)
        found: dict[Kind, list[Candidate]] = {}
        likely = self._store.items.likely(collection.id, since, least, _MOST_PAIRS, collection.hidden_ms)
        likely = self._open(collection, likely)
        for pair, kind in zip(likely, self._kinds_of(collection, likely), strict=True):
            found.setdefault(kind, []).append(Candidate(pair, chance_of(pair.id, pair.other_id)))
        return found

    def _open(self, collection: Collection, pairs: Sequence[LikelyPair]) -> list[LikelyPair]:
        """Those that nothing people said tells of, and of which both are compared as the rules of now have it."""
        current = [one for one in pairs if one.other_seq > collection.uncut_seq]
        if not self._answers.count(collection.id):
            return current
        settled = self._answers.settled(collection.id, [(one.id, one.other_id) for one in current])
        return [one for one, known in zip(current, settled, strict=True) if not known]

    def _kinds_of(self, collection: Collection, pairs: Sequence[LikelyPair]) -> list[Kind]:
        unknown = [one for one in pairs if (one.seq, one.other_seq) not in self._kinds]
        seqs = {seq for one in unknown for seq in (one.seq, one.other_seq)}
        said = self._store.items.texts(list(seqs), collection.name) if seqs else {}
        read = {one: kind_of_items(said[one.seq].item, said[one.other_seq].item) for one in unknown}
        kinds = [self._kinds.get((one.seq, one.other_seq)) or read[one] for one in pairs]
        for one, kind in read.items():
            self._kinds.put((one.seq, one.other_seq), kind)
        return kinds

    def _review_from(self, collection: Collection) -> float:
        settings: CollectionSettings = collection.settings
        return self._models.of(collection.name).review_from if settings.review_from is None else settings.review_from


def in_order(
    pairs: Sequence[Candidate], answered: Sequence[float], target: float, *, measured: bool
) -> list[Candidate]:
    """The pairs in the order in which they are to be asked about.

    Args:
        pairs: not answered yet, the likeliest first.
        answered: stated probabilities of those that are.
        target: the precision that is to be measured.
        measured: whether it is measured, from some probability on: then the way goes on downwards.
    """
    enough = more_right(0, 0, target)
    stated = np.array(sorted([*(one.pair.probability for one in pairs), *answered], reverse=True))
    worth = _worth_asking(stated, target, enough)
    rate = rate_of(worth, enough)
    if measured and answered:  # at which rate the part was asked about that is flagged now
        lowest = min(answered)
        share = len(answered) / max(int((stated >= lowest).sum()), 1)
        rate = max(rate, 2.0 ** min(round(math.log2(share)), 0))
    floor = 0.0 if measured or not len(stated) else float(stated[min(worth, len(stated)) - 1])

    def place(one: Candidate) -> tuple[bool, float]:
        return one.pair.probability < floor, turn(one.pair.probability, one.chance, rate)

    return sorted(pairs, key=place)


def rate_of(pairs: int, enough: int) -> float:
    """One in how many of the likeliest pairs is asked about: a power of one half, at which at least ``enough`` are."""
    return 1.0 if pairs <= enough else 2.0 ** -math.floor(math.log2(pairs / enough))


def out_of_reach(labels: np.ndarray, target: float) -> bool:
    """Whether, from whichever probability on, so few are the same that the precision is hardly there.

    The upper end of the 95 % score interval of every share (Wilson 1927) is below it.

    Args:
        labels: of the answers, the likeliest pair first.
        target: the precision.
    """
    right = np.cumsum(labels).tolist()
    shares = [upper_bound(same, asked) for asked, same in enumerate(right, start=1) if asked >= _TELLING]
    return bool(shares) and max(shares) < target


def _worth_asking(stated: np.ndarray, target: float, enough: int) -> int:
    """How many of the likeliest pairs are worth asking about, by their stated probabilities, falling."""
    if not len(stated):
        return 0
    means = np.cumsum(stated) / np.arange(1, len(stated) + 1)
    sure = np.flatnonzero(means >= (1 + target) / 2)
    return min(max(int(sure[-1]) + 1 if len(sure) else 0, enough), len(stated))


def _most(pairs: dict[Kind, list[Candidate]], closed: Sequence[PromiseView]) -> Kind | None:
    """The closed kind that most of the pairs are of."""
    kinds = [Kind(one.kind) for one in closed if pairs.get(Kind(one.kind)) and one.missing is not None]
    return max(kinds, key=lambda kind: len(pairs[kind]), default=None)


def _shown(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
