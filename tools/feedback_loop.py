"""Simulates a shop whose lists bring about what its lists are made of, with and without damping.

    python -m tools.feedback_loop [--days 22] [--visits 40] [--items 150] [--each 2] [--seed 1]
                                  [--spread 0.3] [--taste 0.5] [--liked 0.2]

Visitors come on ``each`` days, find an item by themselves, and are shown a list of ten. What they like is drawn: the
appeal of an item (log-normal, ``spread``) times their own ``taste``. The first item of a list is used with the
probability ``liked``, if it is liked like the mean of all, later ones less. The first week has no lists.

Printed are, for each setting: the share of all uses of the first and of the last week that went to the ten items used
most, how many items were used in the last week, the mean appeal of what was listed then (1 is that of all items), and
which share of the lists was used. Every figure is a function of the seed.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, deque
from collections.abc import Iterator
from math import log2
from typing import NamedTuple

import numpy as np

from recommender_engine import EntryId, Recommender, decode_entry, open_recommender
from recommender_engine.items import DEFAULT_MODEL
from recommender_engine.testing import DeterministicEncoders

START_MS = 1_767_225_600_000
DAY_MS = 24 * 3600 * 1000
WEEK = 7
SETTINGS: tuple[tuple[str, bool, float, float], ...] = (
    ("no lists", False, 1.0, 0.0),
    ("no damping", True, 1.0, 0.0),
    ("fatigue 0.25", True, 1.0, 0.25),
    ("weight 0.5, fatigue 0.25", True, 0.5, 0.25),
    ("weight 0.3, fatigue 0.25", True, 0.3, 0.25),
    ("weight 0.1, fatigue 0.25", True, 0.1, 0.25),
    ("weight 0, fatigue 0.25", True, 0.0, 0.25),
)
"""Name, whether lists are shown, ``shown_weight``, ``impression_fatigue``."""


class Outcome(NamedTuple):
    """What came of one setting.

    Attributes:
        first, last: share of the uses of the first and of the last week that went to the ten items used most.
        items: how many items were used in the last week.
        appeal: mean appeal of the items of the lists of the last week, as a multiple of that of all items.
        hit_rate: share of the lists that were used.
    """

    first: float
    last: float
    items: int
    appeal: float
    hit_rate: float


class Shop:
    """An engine with items, and a clock."""

    def __init__(self, items: int, shown_weight: float, impression_fatigue: float) -> None:
        self._engine: Recommender = open_recommender(None, DeterministicEncoders(DEFAULT_MODEL))
        self.now_ms = START_MS
        settings = {"shown_weight": shown_weight, "impression_fatigue": impression_fatigue}
        self._send("collection.configured", settings=settings)
        for n in range(items):
            words = " ".join(f"w{n * 7919 % 1009 + k * 31}" for k in range(5))
            self._send("item.upsert", id=f"i{n}", text=f"{words} number {n}", silent=True)

    def _send(self, type_: str, **fields: object) -> None:
        self.now_ms += 1
        data = json.dumps({"collection": "shop", **fields})
        self._engine.process([decode_entry(EntryId(self.now_ms, 0), type_, data)])

    def use(self, visitor: str, item: int, list_id: str | None = None) -> None:
        """A visitor uses an item."""
        named = {} if list_id is None else {"recommendation_id": list_id}
        self._send("interaction.recorded", item=f"i{item}", user=visitor, **named)

    def shown(self, visitor: str, list_id: str) -> list[int]:
        """A visitor sees a list; the items."""
        listed = self._engine.recommendations({"collection": "shop", "user": visitor, "limit": 10}) or []
        ids = [one.id for one in listed]
        if ids:
            self._send("recommendation.shown", recommendation_id=list_id, items=ids, user=visitor)
        return [int(id_[1:]) for id_ in ids]

    def hit_rate(self) -> float:
        """The share of the lists that were used, of four weeks."""
        rates = self._engine.hits("shop") or []
        return sum(one.hits for one in rates) / max(1, sum(one.lists for one in rates))

    def close(self) -> None:
        """End it."""
        self._engine.close()


def visits(day: int, count: int, each: int, chance: np.random.Generator) -> Iterator[tuple[str, np.random.Generator]]:
    """The visitors of a day, each with what is drawn for the visit; one in ``each`` comes for the first time."""
    for n in chance.permutation(count):
        begun = day - (day + int(n)) % each
        yield f"v{begun}-{n}", np.random.default_rng([int(n), day])


def simulate(given: argparse.Namespace, *, lists: bool, shown_weight: float, impression_fatigue: float) -> Outcome:
    """A shop for some weeks."""
    chance = np.random.default_rng(given.seed)
    appeal = chance.lognormal(0.0, given.spread, given.items)
    listed: list[int] = []
    shop = Shop(given.items, shown_weight, impression_fatigue)
    uses: deque[Counter[int]] = deque(maxlen=given.days)
    for day in range(given.days):
        used: Counter[int] = Counter()
        shop.now_ms = START_MS + (day + 1) * DAY_MS
        for visitor, drawn in visits(day, given.visits, given.each, chance):
            taste = np.random.default_rng([given.seed, *visitor.encode()]).lognormal(0.0, given.taste, given.items)
            liking = appeal * taste
            shop.now_ms += 1000
            found = int(drawn.choice(given.items, p=liking / liking.sum()))
            used[found] += 1
            shop.use(visitor, found)
            if lists and day >= WEEK:
                list_id = f"{visitor} {day}"
                shown = shop.shown(visitor, list_id)
                if day >= given.days - WEEK:
                    listed += shown
                for rank, item in enumerate(shown):
                    if drawn.random() < given.liked * liking[item] / liking.mean() / log2(rank + 2):
                        used[item] += 1
                        shop.use(visitor, item, list_id)
        uses.append(used)
    rate = shop.hit_rate()
    shop.close()
    first, last = sum(list(uses)[:WEEK], Counter()), sum(list(uses)[-WEEK:], Counter())
    liked = float(appeal[listed].mean() / appeal.mean()) if listed else 0.0
    return Outcome(share_of_top(first), share_of_top(last), len(last), liked, rate)


def share_of_top(used: Counter[int]) -> float:
    """The share of the ten that were used most."""
    return sum(count for _, count in used.most_common(10)) / used.total()


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (("days", 22), ("visits", 40), ("items", 150), ("each", 2), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, share in (("spread", 0.3), ("taste", 0.5), ("liked", 0.2)):
        parser.add_argument(f"--{name}", type=float, default=share)
    given = parser.parse_args()
    print(f"{'setting':26} {'first week':>10} {'last week':>10} {'items used':>10} {'appeal':>7} {'hit rate':>9}")
    for name, lists, weight, fatigue in SETTINGS:
        found = simulate(given, lists=lists, shown_weight=weight, impression_fatigue=fatigue)
        shares = f"{name:26} {found.first:10.3f} {found.last:10.3f} {found.items:10}"
        print(f"{shares} {found.appeal:7.2f} {found.hit_rate:9.3f}", flush=True)


if __name__ == "__main__":
    main()
