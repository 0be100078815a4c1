"""Judges the blends of lists by interactions, each before it is learned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recommender_engine.items import EntryId
from recommender_engine.recommend.behaviour import ItemRow, Observation
from recommender_engine.recommend.behaviour.together import PartnerList, heaviest, together
from recommender_engine.recommend.weights import CONTROLS, LEAST_CONTROLS, MOST_WANTED, rewards
from recommender_engine.store import Collection, SqliteStore

_MULTIPLIER, _MASK, _HALF = 0x9E3779B97F4A7C15, 2**64 - 1, 32  # Fibonacci hashing
_FIRST_SHARE, _KEPT_SHARE = 4, 16
"""One of so many interactions becomes a control for later ones: until there are enough, and then. So they are of many
visits: those of the same one would be as good as what is wanted."""
_DECIMALS = 6


class BlendJudge:
    """Ranks the items of the open session, and as many controls, for the item that joins it.

    An item that joins a session is what lists for items are asked for; the items that it joins are what they should
    have held. The controls are items of recent interactions of anybody, as often as they were used: what is popular is
    as likely among them. A share of the interactions, chosen by a hash of the entry id, is judged.
    """

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def see(self, collection: Collection, seen: Observation, entry: EntryId, now_ms: int) -> None:
        """Judge an interaction, if it is one that is judged; call it before it is learned.

        Args:
            collection: where it is.
            seen: the interaction.
            entry: id of its entry.
            now_ms: stream time.
        """
        chosen, record = _hash(entry), self._store.list_weights.of(collection.id)
        if seen.share < 1.0:  # what lists bring about speaks for the blend that made them
            return
        if record is not None and chosen // _KEPT_SHARE % record.share == 0:
            context = self._store.behaviour.rows.context(seen)
            if context and seen.item not in context:
                self._judge(collection, seen.item, context[-MOST_WANTED:], record.recent, now_ms)
        enough = record is not None and len(record.recent) >= CONTROLS
        if chosen % (_KEPT_SHARE if enough else _FIRST_SHARE) == 0 and seen.weight > 0.0:
            self._store.list_weights.change(collection.id).saw(seen.item)

    def _judge(self, collection: Collection, item: int, wanted: list[int], recent: list[int], now_ms: int) -> None:
        row, used = self._store.behaviour.rows.item(item), self._store.behaviour.used_items({item, *wanted, *recent})
        named = self._store.items.named(collection.id, [one.id for one in used.values()])
        visible = set(self._store.items.visible([one.seq for one in named], collection.hidden_ms))
        members = {one.id: one for one in named if one.seq in visible}
        found = {num: members[one.id] for num, one in used.items() if one.id in members}
        if row is None or item not in found:  # an item without interactions has the order of its text in any case
            return
        group = found[item].group
        others = [num for num in wanted if num in found and found[num].group != group]
        controls = [num for num in recent if num in found and found[num].group != group]
        if not others or len(controls) < LEAST_CONTROLS:
            return
        places = [*others, *controls]
        vectors = self._store.vectors.of_points({found[num].point for num in (item, *places)})
        texts = np.stack([vectors[found[num].point] for num in places]) @ vectors[found[item].point]
        scores = _together(row, places, {num: one.total for num, one in used.items()}, now_ms)
        reward = rewards(scores, texts.astype(np.float64).round(_DECIMALS), len(others), row.count)
        self._store.list_weights.change(collection.id).add(reward, row.count, now_ms)


def _together(row: ItemRow, places: list[int], levels: dict[int, float], now_ms: int) -> NDArray[np.float64]:
    """How much some items are used together with one, shape (n,)."""
    pairs = sorted(num for num in set(places) if num in row.partners)
    if row.total is None or not pairs:
        return np.zeros(len(places))
    weights = np.array([row.partners[num] for num in pairs])
    partners = PartnerList(1.0, row.total, row.base_ms, np.array(pairs, np.int64), weights)
    scores = together(heaviest([partners], now_ms), levels, now_ms)
    return np.array([scores.get(num, 0.0) for num in places])


def _hash(entry: EntryId) -> int:
    """A number in [0, 2**32) that depends on all bits of an entry id."""
    mixed = (((entry.ms * _MULTIPLIER) & _MASK) ^ entry.n) * _MULTIPLIER & _MASK
    return mixed >> _HALF
