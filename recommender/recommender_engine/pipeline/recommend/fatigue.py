"""Impression fatigue: what a user was shown again and again and did not use counts less for that user."""

from __future__ import annotations

from recommender_engine.items.list_request import ListRequest
from recommender_engine.pipeline.recommend.resolved_request import ResolvedRequest
from recommender_engine.recommend.exposure import LISTS_KEPT_MS, fatigue, impressions
from recommender_engine.store import SqliteStore, UserKey


class Fatigue:
    """Factors of scores, by the lists that a user was shown."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def factors(self, asked: ResolvedRequest) -> dict[str, float]:
        """The factor of each group for which it is not 1."""
        collection, strength = asked.collection, asked.collection.settings.impression_fatigue
        key = key_of(asked.request)
        if key is None or not strength or not self._store.shown.any_in(collection.id):
            return {}
        lists = self._store.shown.of_user(collection.id, key, asked.now_ms - LISTS_KEPT_MS)
        used = {} if asked.profile is None else asked.profile.items
        last_used_ms = {num: 1000 * entry.last_s for num, entry in used.items()}
        counts = impressions(((one.at_ms, one.items) for one in lists), last_used_ms, asked.now_ms)
        ids = self._store.shown.item_ids(counts) if counts else {}
        groups = {one.id: one.group for one in self._store.items.named(collection.id, ids.values())} if ids else {}
        of_group: dict[str, float] = {}
        for num, id_ in ids.items():
            if id_ in groups:
                of_group[groups[id_]] = of_group.get(groups[id_], 0.0) + counts[num]
        return {group: fatigue(count, strength) for group, count in of_group.items()}


def key_of(request: ListRequest) -> UserKey | None:
    """For whom a list is, if anybody is named."""
    if request.user is not None:
        return UserKey(request.user, anonymous=False)
    return None if request.session is None else UserKey(request.session, anonymous=True)
