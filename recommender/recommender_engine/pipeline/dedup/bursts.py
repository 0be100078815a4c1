"""Bursts: several reports of one incident that arrive within minutes, each in other words."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from recommender_engine.grouping import JudgedMember
from recommender_engine.items import Band, Item, PairVerdict, Reason
from recommender_engine.items.prices import is_price
from recommender_engine.matching import CLOSED, Kind, PairModel, Segment, View, item_terms, kind_of_items
from recommender_engine.matching.matchers.incidents import ALIKE, REPORTS, Report, describes_the_present, same_incident
from recommender_engine.matching.pair.segments import LONG_WORDS
from recommender_engine.pipeline.candidates.subject import Subject
from recommender_engine.pipeline.dedup.judging import JudgedCandidates
from recommender_engine.policy import Dated
from recommender_engine.store import Collection, SqliteStore

# Limits of the distance of reports of one incident, in arrivals of their collection and in time.
ARRIVALS = 30
MINUTES = 60

PRECISION = 0.95
"""The precision that such groups had where it was measured: none is found where the target is higher."""

# Texts that are neither long nor name a code; sentences of a language without a word list read as names of things.
_REPORTS = (Kind.SHORT_PROSE, Kind.WITHOUT_CODES)
_US_PER_MINUTE = 60_000_000


class Burst(NamedTuple):
    """The earlier reports of the incident that an item reports.

    Attributes:
        members: candidates of the item, the likeliest first.
        since: arrival number behind which all of it has arrived.
        reason: why they are the same.
    """

    members: list[JudgedMember]
    since: int
    reason: Reason


class Bursts:
    """Finds the burst that an item belongs to.

    Nothing is kept in memory between arrivals. Three reports stay in their groups; the fourth brings all together.

    Args:
        store: the items.
        model_of: the model of a collection, by its name.
    """

    def __init__(self, store: SqliteStore, model_of: Callable[[str], PairModel]) -> None:
        self._store = store
        self._model_of = model_of

    def of(self, collection: Collection, subject: Subject, judged: JudgedCandidates) -> Burst | None:
        """The burst that an item belongs to when it arrives; ``None`` for nearly every item."""
        if not collection.settings.compares_texts:
            return None
        words = collection.settings.words
        alike = [one for one in judged.members if one.verdict.similarity >= ALIKE and not one.verdict.contested]
        if len(alike) < REPORTS - 1 or not describes_the_present(item_terms(subject.item), words):
            return None  # as for nearly all items
        if not self._may(collection, subject.item):
            return None
        first = self._store.items.before_last(collection.id, ARRIVALS)
        recent = [one for one in alike if one.seq > first]
        if len(recent) < REPORTS - 1:
            return None
        texts = self._store.items.texts([one.seq for one in recent], collection.name)
        now_us = Dated(subject.item, subject.at_ms).time_us
        found = []
        for one in recent:
            text = texts[one.seq]
            minutes_apart = abs(now_us - Dated(text.item, text.at_ms).time_us) / _US_PER_MINUTE
            if minutes_apart <= MINUTES and _kind(text.item) is not None:
                report = Report(item_terms(text.item), self._store.vectors.get(text.vector), words)
                found.append((one, report, minutes_apart))
        latest = Report(item_terms(subject.item), subject.vector, words)
        chosen = same_incident(latest, [report for _, report, _ in found])
        if not chosen:
            return None
        members = [found[number][0] for number in chosen]
        members.sort(key=lambda one: (-one.verdict.probability, -one.verdict.similarity, one.seq))
        return Burst(members, first, _reason(len(members), max(found[number][2] for number in chosen)))

    def takes(self, burst: Burst, group: str) -> bool:
        """Whether a group belongs to a burst: founded during it, or with nearly all reports that make one."""
        inside = sum(one.group == group for one in burst.members)
        return inside >= REPORTS - 1 or self._store.groups.earliest(group, 1)[0].seq > burst.since

    def _may(self, collection: Collection, item: Item) -> bool:
        """Whether an item is a report, and the band is open for its kind at a precision that was measured."""
        target, kind = collection.settings.target_precision, _kind(item)
        if kind is None or target > PRECISION:
            return False
        return self._model_of(collection.name).duplicate_threshold(target, Segment(View.STREAM, kind)) < CLOSED


def _kind(item: Item) -> Kind | None:
    """Kind of text of a report; ``None`` for what is none: a long text, one with a code, a thing with a price."""
    kind = kind_of_items(item, item) if item_terms(item).length <= LONG_WORDS else None
    return kind if kind in _REPORTS and not any(map(is_price, item.attributes)) else None


def in_burst(pair: PairVerdict, reason: Reason) -> PairVerdict:
    """The verdict on a pair of reports of one incident."""
    return pair.model_copy(
        update={
            "band": Band.DUPLICATE,
            "probability": max(pair.probability, PRECISION),
            "reasons": (reason, *pair.reasons),
            "explanation": f"{reason.text}; {pair.explanation}" if pair.explanation else reason.text,
        }
    )


def _reason(reports: int, minutes: float) -> Reason:
    within = "a minute" if minutes <= 1 else f"{-int(-minutes // 1)} minutes"
    text = f"like {reports} other reports that arrived within {within} and speak of now"
    return Reason(code="same_incident", text=text, detail={"reports": reports, "minutes": round(minutes, 1)})
