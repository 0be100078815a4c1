"""What became of the lists that were shown. Nothing is stored."""

from __future__ import annotations

from recommender_engine.items import HitRate
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.interactions.shown import hit_rate
from recommender_engine.recommend.behaviour.decay import DAY_MS
from recommender_engine.store import SqliteStore


class HitRates:
    """Reads the figures of shown lists."""

    def __init__(self, store: SqliteStore, collections: Collections) -> None:
        self._store = store
        self._collections = collections

    def of(self, name: str, days: int) -> list[HitRate] | None:
        """Figures by scenario and arm; ``None`` when there is no such collection.

        Args:
            name: of the collection.
            days: of stream time in UTC, today included.
        """
        collection = self._collections.find(name)
        if collection is None:
            return None
        found = self._store.shown.figures(collection.id, self._store.clock_ms // DAY_MS - days + 1)
        return [hit_rate(scenario, arm, figures) for scenario, arm, figures in found]

    def recent(self) -> tuple[int, int]:
        """Lists of about the last two days of all collections, and how many of them led to an interaction."""
        figures = self._store.shown.open_figures()
        return figures.lists, figures.hits
