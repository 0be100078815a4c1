"""Recommendations under filters: latency and recall by how many items pass, against a look at every item.

Vectors are made of real ones as in `growth`. Filters are drawn from conditions whose truth is known of each item, apart
from what the engine makes of its attributes, and combined by and, or and not.
"""

from __future__ import annotations

import base64
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.growth import BATCH, SETTINGS, base_vectors, opened, vectors_like
from benchmarks.output import publish, show, timed
from benchmarks.report import Report
from recommender_engine import EntryId, Recommender, decode_entry
from recommender_engine.pipeline.vectors.nearest_points import similarities

LIMIT = 10
QUERIES = 200
SEED = 3
CLASSES = (1, 10, 100, 1_000, 10_000)
"""How many items pass at least, of each class that is told apart."""

Mask = NDArray[np.bool_]
Leaf = tuple[dict[str, Any], Mask]
_CATEGORIES, _TAGS = 40, 12
_STARTS_MS = 1_764_000_000_000


@click.command("filters")
@click.option("--items", default=100_000, show_default=True)
@click.option("--expressions", default=10_000, show_default=True, help="Filters that are asked with.")
def filters(items: int, expressions: int) -> None:
    """Recommendations under random filters: latency, and what is found beside a look at every item."""
    report = measure(items, expressions)
    show(report)
    publish([report])


@timed
def measure(items: int, expressions: int) -> Report:
    """Ask with so many filters over a collection of so many items."""
    chance = random.Random(SEED)
    with TemporaryDirectory(prefix="recommender-bench-") as directory:
        shop = _Shop(items)
        engine, indexes = opened(Path(directory), shop.vectors.shape[1])
        shop.fill(engine)
        indexes.settle(timeout_s=3600)
        facts: dict[str, Any] = {"index": engine.stats()["collections"]["c"]["index"]}
        facts["first filter on an attribute, ms"] = _first(engine, shop)
        facts.update(_facts(shop.asked(engine, chance, expressions)))
        facts["columns, MiB"] = round(engine.kept_bytes()["attributes"] / 2**20, 1)
        engine.close()
    subject = f"{items:,} items, {expressions:,} filters, {LIMIT} recommendations each"
    return Report("filters", "Recommendations under filters", subject, facts=facts)


class _Shop:
    """Items with attributes, and conditions with their truth of each item."""

    def __init__(self, items: int) -> None:
        made = vectors_like(base_vectors())
        self.vectors = np.stack([next(made) for _ in range(items)])
        numbers = np.random.default_rng(SEED)
        category, price = numbers.integers(0, _CATEGORIES, items), numbers.lognormal(3, 1, items).round(2)
        stock, rank = numbers.integers(0, 50, items), numbers.permutation(items)
        days, tagged = numbers.integers(0, 1_000, items), numbers.random((items, _TAGS)) < 0.15
        dates = np.datetime64("2023-01-01") + days
        self.attributes: list[dict[str, Any]] = [
            {
                "category": f"category {category[n]}",
                "price": float(price[n]),
                "stock": int(stock[n]),
                "rank": int(rank[n]),
                "made": str(dates[n]),
                "tags": [f"tag {tag}" for tag in np.flatnonzero(tagged[n])],
                "vip": bool(stock[n] > 25),
            }
            for n in range(items)
        ]
        self.leaves: list[Leaf] = [
            *(({"category": f"category {n}"}, category == n) for n in range(_CATEGORIES)),
            *(({"tags": f"tag {n}"}, tagged[:, n]) for n in range(_TAGS)),
            *(({"price": {"$lt": bound}}, price < bound) for bound in (1.5, 3, 8, 20, 50, 120)),
            *(({"stock": {"$gt": bound}}, stock > bound) for bound in (0, 10, 40, 48)),
            *(({"made": {"$gte": f"{2023 + n}-06-01"}}, dates >= np.datetime64(f"{2023 + n}-06-01")) for n in range(3)),
            ({"vip": True}, stock > 25),
            ({"tags": {"$exists": False}}, ~tagged.any(axis=1)),
        ]
        self._rank = rank
        self._items = items

    def fill(self, engine: Recommender) -> None:
        """Send all items."""
        engine.process([_entry(0, "collection.configured", {"collection": "c", "settings": SETTINGS})])
        for start in range(0, self._items, BATCH):
            some = range(start, min(start + BATCH, self._items))
            engine.process([_entry(n + 1, "item.upsert", self._item(n)) for n in some])

    def _item(self, number: int) -> dict[str, Any]:
        vector = base64.b64encode(self.vectors[number].tobytes()).decode()
        said = {"text": f"item {number}", "attributes": self.attributes[number], "vector": vector}
        return {"collection": "c", "id": f"i{number}", **said}

    def filter(self, chance: random.Random) -> Leaf:
        """One filter with its truth: conditions by and, or, not, and mostly a bound on how many pass."""
        said, truth = self._combined(chance, 2)
        if chance.random() < 0.7:
            bound = int(self._items ** chance.random())
            return {"$and": [said, {"rank": {"$lt": bound}}]}, truth & (self._rank < bound)
        return said, truth

    def _combined(self, chance: random.Random, depth: int) -> Leaf:
        kind = chance.randrange(4) if depth else 3
        if kind == 3:
            return chance.choice(self.leaves)
        parts = [self._combined(chance, depth - 1) for _ in range(1 if kind == 2 else 2)]
        saids, truths = zip(*parts, strict=True)
        if kind == 2:
            return {"$not": saids[0]}, ~truths[0]
        combine: Callable[..., Mask] = (np.logical_and, np.logical_or)[kind].reduce
        return {("$and", "$or")[kind]: list(saids)}, combine(truths)

    def asked(self, engine: Recommender, chance: random.Random, count: int) -> list[tuple[int, float, float]]:
        """Of each filter how many pass, the time of the answer in ms, and its recall in [0, 1]."""
        groups = np.array([engine.get(f"i{n}", "c").group for n in range(self._items)])  # type: ignore[union-attr]
        chosen = chance.sample(range(self._items), min(QUERIES, self._items))
        # As answers have them: summed in float64 and rounded, or else an item at the floor is found by one of the two.
        near = np.stack([similarities(self.vectors[one], self.vectors) for one in chosen], axis=1)
        found = []
        for number in range(count):
            place = number % len(chosen)
            said, truth = self.filter(chance)
            started = time.process_time()
            hits = engine.recommend(f"i{chosen[place]}", "c", LIMIT, filter=said)
            took_ms = (time.process_time() - started) * 1000
            expected = _best(near[:, place], truth & (groups != groups[chosen[place]]), groups)
            got = {hit.group for hit in hits or ()}
            recall = len(got & expected) / len(expected) if expected else 1.0
            found.append((int(truth.sum()), took_ms, recall if len(got) == len(expected) else -1.0))
        return found


def _best(near: NDArray[np.float64], truth: Mask, groups: NDArray[np.str_]) -> set[str]:
    """The groups of the nearest items that pass, down to the floor."""
    rows = np.flatnonzero(truth & (near >= 0.35))
    best: set[str] = set()
    for row in rows[np.argsort(-near[rows])]:
        best.add(str(groups[row]))
        if len(best) == LIMIT:
            break
    return best


def _first(engine: Recommender, shop: _Shop) -> list[float]:
    """The time of the first two questions about each attribute, in ms."""
    times = []
    for _ in range(2):
        started = time.process_time()
        engine.recommend("i0", "c", LIMIT, filter={"price": {"$gt": 0}, "category": shop.attributes[0]["category"]})
        times.append(round((time.process_time() - started) * 1000, 1))
    return times


def _facts(found: list[tuple[int, float, float]]) -> dict[str, Any]:
    passing, times, recalls = (np.array(one) for one in zip(*found, strict=True))
    facts: dict[str, Any] = {"answers with fewer or more hits than there are": int((recalls < 0).sum())}
    for least, most in zip(CLASSES, (*CLASSES[1:], 10**9), strict=True):
        chosen = (passing >= least) & (passing < most)
        if chosen.any():
            p50, p99 = np.percentile(times[chosen], (50, 99)).round(2).tolist()
            name = f"{least:,} to {most - 1:,} pass" if most < 10**9 else f"{least:,} or more pass"
            facts[name] = {
                "filters": int(chosen.sum()),
                "p50 ms": p50,
                "p99 ms": p99,
                "same groups as a look at every item": float(np.mean(recalls[chosen] == 1).round(4)),
                "recall": float(np.abs(recalls[chosen]).mean().round(4)),
            }
    return facts


def _entry(number: int, type_: str, data: dict[str, Any]) -> Any:
    return decode_entry(EntryId(_STARTS_MS + number, 0), type_, json.dumps(data))
