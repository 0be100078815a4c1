"""What a source does, and how it turns numbers of used items into items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from recommender_engine.pipeline.recommend.pool import Pool
from recommender_engine.pipeline.recommend.resolved_request import ResolvedRequest
from recommender_engine.store import Member, SqliteStore


class Source(Protocol):
    """Finds items for a list."""

    def find(self, asked: ResolvedRequest, pool: Pool, count: int) -> bool:
        """Add items with their term to the pool; whether there may be more than were found.

        Args:
            asked: the request.
            pool: collects the items.
            count: about how many are wanted.
        """


def listed(store: SqliteStore, asked: ResolvedRequest, scores: Mapping[int, float]) -> tuple[list[Member], list[float]]:
    """The items that may be listed, of some used items, with their scores; keys are their numbers."""
    values = {one.id: scores[num] for num, one in store.behaviour.used_items(scores).items()}
    members = passing(asked, store.items.named(asked.collection.id, values))
    return members, [values[member.id] for member in members]


def passing(asked: ResolvedRequest, members: list[Member]) -> list[Member]:
    """Those that may be listed."""
    kept = asked.nearby.among(np.array([member.seq for member in members], np.int64))
    if len(kept) == len(members):
        return members
    there = set(kept.tolist())
    return [member for member in members if member.seq in there]


def normalised(scores: Mapping[int, float]) -> dict[int, float]:
    """Scores divided by the largest."""
    best = max(scores.values(), default=0.0)
    return {num: score / best for num, score in scores.items()} if best > 0.0 else {}
