"""Counts and sizes of the state."""

from __future__ import annotations

from collections import Counter
from typing import Any

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import Band, CollectionSettings, ConfigureCollection
from recommender_engine.items.commands import validate
from recommender_engine.items.cursors import cursor, place_of
from recommender_engine.items.values import Value
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.dedup.answers import Answers
from recommender_engine.pipeline.dedup.review_budget import share_in_review
from recommender_engine.pipeline.learning.promises import Promises
from recommender_engine.pipeline.queries.listed_items import iso
from recommender_engine.pipeline.queries.paging import checked_limit
from recommender_engine.pipeline.vectors.indexes import Indexes
from recommender_engine.pipeline.vectors.second_models import SecondModels
from recommender_engine.recommend.weights import served
from recommender_engine.store import BANDS, DAY_MS, GROUPS, HOUR_MS, PARTS, Collection, SqliteStore

MOST_OVERVIEWED = 50
"""Collections of a page at most."""

_HUNDREDTHS = 100


class Arrivals(Value):
    """How many items arrived in an hour or a day.

    Attributes:
        start: when it began, in stream time, ISO 8601.
        bands: items by the band in which they were put when they arrived.
    """

    start: str
    bands: dict[Band, int]


class ArrivalRates(Value):
    """Arrivals of late; without the hours and days in which nothing arrived.

    Attributes:
        hours: the latest 48, the earliest first.
        days: the latest 60 (UTC), the earliest first.
    """

    hours: tuple[Arrivals, ...]
    days: tuple[Arrivals, ...]


class CollectionOverview(Value):
    """Counts of a collection.

    Attributes:
        items: that are stored.
        bands: items by the band in which they stand now.
        groups: of two items or more.
        answers: of people.
        review_backlog: items that stand in ``review``.
        rates: of arrivals.
    """

    name: str
    items: int
    bands: dict[Band, int]
    groups: int
    answers: int
    review_backlog: int
    rates: ArrivalRates


class OverviewPage(Value):
    """Some collections, by name.

    Attributes:
        next: the ``after`` of the next page; ``None`` on the last one.
    """

    collections: tuple[CollectionOverview, ...]
    next: str | None


class BandPreview(Value):
    """How many items of a collection would stand in each band.

    Attributes:
        bands: of now.
        preview: with the borders that were asked for, by the stated probabilities alone.
        histogram: items by band and hundredth of their probability, 100 numbers each, the least probable first.
        duplicate_from: the probability from which ``preview`` has items as duplicates; ``None``: no border was asked
            for. 1 where the target precision is not measured: only the same text is a duplicate then.
        settings: of the collection, as they are now.
    """

    bands: dict[Band, int]
    preview: dict[Band, int]
    histogram: dict[Band, tuple[int, ...]]
    duplicate_from: float | None
    settings: CollectionSettings


class Statistics:
    """Counts of items, answers and points, and shares of recent verdicts."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        indexes: Indexes,
        answers: Answers,
        promises: Promises,
        second_models: SecondModels,
    ) -> None:
        self._store = store
        self._collections = collections
        self._indexes = indexes
        self._answers = answers
        self._promises = promises
        self._second_models = second_models

    def stats(self) -> dict[str, Any]:
        """Counts by collection, index kinds and sizes, where precisions are kept, weights of lists, position."""
        return {
            "position": str(self._store.position),
            "last_event": str(self._store.last_event),
            "items": self._store.items.count(),
            "collections": {
                collection.name: {
                    "items": self._store.items.count(collection.id),
                    "model": collection.model,
                    "second_model": self._second_models.view(collection.id),
                    "answers": self._answers.count(collection.id),
                    "review_share": share_in_review(collection),
                    "target_precision": collection.settings.target_precision,
                    "not_measured": [
                        one.model_dump(mode="json", exclude={"measured", "begins_at"})
                        for one in self._promises.closed(collection.name)
                    ],
                    "list_weights": self._list_weights(collection),
                    **self._indexes.stats(collection),
                }
                for collection in self._collections.all()
            },
        }

    def _list_weights(self, collection: Collection) -> dict[str, Any] | None:
        record = self._store.list_weights.of(collection.id)
        if record is None:
            return None
        serving = served(record)
        return {"by_interactions": serving.names, "judged": record.judged, "why": serving.why}

    def sizes(self) -> tuple[int, Counter[str]]:
        """How many items there are, and how many points by kind of index."""
        return self._store.items.count(), self._indexes.sizes()

    def review_share(self) -> float:
        """Share of ``review`` among the recent items of all collections, in [0, 1]."""
        return share_in_review(*self._collections.all())

    def overview(self, after: str | None, limit: int) -> OverviewPage:
        """A page of collections; see ``Recommender.overview``."""
        most = checked_limit(limit, MOST_OVERVIEWED)
        behind: Any = "" if after is None else place_of(after, "overview", (str,))[0]
        found = sorted([one for one in self._collections.all() if one.name > behind], key=lambda one: one.name)
        shown = found[:most]
        return OverviewPage(
            collections=tuple([self._overview_of(one) for one in shown]),
            next=cursor("overview", (shown[-1].name,)) if len(found) > most else None,
        )

    def preview(
        self, name: str, duplicate_from: float | None, review_from: float | None, target_precision: float | None
    ) -> BandPreview | None:
        """How many items would stand in each band; see ``Recommender.preview``."""
        duplicate, review = _border(duplicate_from, "duplicate_from"), _border(review_from, "review_from")
        if target_precision is not None:
            validate(ConfigureCollection, {"collection": name, "settings": {"target_precision": target_precision}})
            if duplicate is not None:
                raise InvalidCommand(
                    "invalid_value", "give duplicate_from or target_precision, not both", "target_precision"
                )
        collection = self._collections.find(name)
        if collection is None:
            return None
        if target_precision is not None and collection.settings.compares_texts:
            duplicate_from = min(self._promises.border(collection, target_precision), 1.0)
            duplicate = _border(duplicate_from, "duplicate_from")
        bands, moved = dict.fromkeys(BANDS, 0), dict.fromkeys(BANDS, 0)
        histogram = {band: [0] * _HUNDREDTHS for band in BANDS}
        for code, part, items in self._store.standings.probabilities(collection.id):
            band = BANDS[code]
            bands[band] += items
            moved[_moved(band, part, duplicate, review)] += items
            histogram[band][min(part * _HUNDREDTHS // PARTS, _HUNDREDTHS - 1)] += items
        return BandPreview(
            bands=bands,
            preview=moved,
            histogram={band: tuple(counts) for band, counts in histogram.items()},
            duplicate_from=duplicate_from,
            settings=collection.settings,
        )

    def _overview_of(self, collection: Collection) -> CollectionOverview:
        counts = self._store.standings.counts(collection.id)
        return CollectionOverview(
            name=collection.name,
            items=self._store.items.count(collection.id),
            bands={band: counts[band] for band in BANDS},
            groups=counts[GROUPS],
            answers=self._answers.count(collection.id),
            review_backlog=counts[Band.REVIEW],
            rates=ArrivalRates(hours=self._rates(collection, HOUR_MS), days=self._rates(collection, DAY_MS)),
        )

    def _rates(self, collection: Collection, span_ms: int) -> tuple[Arrivals, ...]:
        counted = self._store.standings.arrivals(collection.id, span_ms)
        return tuple(
            [
                Arrivals(start=iso(start_ms), bands={band: counts[band] for band in BANDS})
                for start_ms, counts in counted.items()
            ]
        )


def _border(probability: object, field: str) -> int | None:
    """A probability in thousandths.

    Raises:
        InvalidCommand: it is none.
    """
    if probability is None:
        return None
    if isinstance(probability, bool) or not isinstance(probability, int | float) or not 0 <= probability <= 1:
        raise InvalidCommand("invalid_value", f"{field} must be a number between 0 and 1", field)
    return round(probability * PARTS)


def _moved(band: Band, part: int, duplicate: int | None, review: int | None) -> Band:
    """The band of an item under other borders; ``None``: that border stays."""
    if duplicate is not None and part >= duplicate:
        return Band.DUPLICATE
    if duplicate is None and band is Band.DUPLICATE:
        return band
    if review is None:
        return Band.REVIEW if band is Band.DUPLICATE else band
    if part >= review:
        return Band.REVIEW
    return Band.SIMILAR if band in (Band.DUPLICATE, Band.REVIEW) else band
