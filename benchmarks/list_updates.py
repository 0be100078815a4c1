"""What subscribed lists cost the engine: processor time of arrivals, interactions and a deletion, beside none.

    python -m benchmarks.list_updates [--items 12000] [--commands 2000] [--subscriptions 0,1000,10000] [--every-ms 50]

Items are points around topics, most of them with ten similar ones. Commands come at a steady rate of stream time, in
batches of 50. The deletion is of the item that is in most lists; its cost is that of the command, and of the ticks that
work it off.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import numpy as np

from benchmarks.interactions import START_MS, Models
from recommender_engine import Entry, Event, Recommender, decode_entry, open_recommender
from recommender_engine.items import EntryId, RecommendationsUpdated

DIMENSION, TOPICS, BATCH = 64, 1200, 50


class Shop:
    """An engine with a catalogue, and its log."""

    def __init__(self, engine: Recommender, every_ms: int) -> None:
        self.engine = engine
        self._every_ms = every_ms
        self._ms = START_MS
        self._chance = np.random.default_rng(1)
        topics = self._chance.normal(size=(TOPICS, DIMENSION))
        self._topics = topics / np.linalg.norm(topics, axis=1, keepdims=True)
        self._items = 0
        self.lists: dict[str | None, list[str]] = {}
        """The lists as they were told last."""

    def entry(self, type_: str, later_ms: int | None = None, **data: object) -> Entry:
        self._ms += self._every_ms if later_ms is None else later_ms
        return decode_entry(EntryId(self._ms, 0), type_, json.dumps(data))

    def arrival(self) -> Entry:
        near = self._topics[self._chance.integers(TOPICS)] + self._chance.normal(size=DIMENSION) / 12
        vector = [round(float(one), 6) for one in near / np.linalg.norm(near)]
        self._items += 1
        return self.entry("item.upsert", id=f"P-{self._items}", text=f"article {self._items}", vector=vector)

    def interaction(self) -> Entry:
        user, item = self._chance.integers(500), self._chance.integers(1, self._items)
        return self.entry("interaction.recorded", user=f"U-{user}", item=f"P-{item}")

    def decide(self, entries: Iterator[Entry]) -> list[Event]:
        told: list[Event] = []
        batch: list[Entry] = []
        for entry in entries:
            batch.append(entry)
            if len(batch) == BATCH:
                told += self.process(batch)
                batch = []
        return told + self.process(batch)

    def process(self, entries: list[Entry]) -> list[Event]:
        events = self.engine.process(entries)
        for event in events:
            if isinstance(event.data, RecommendationsUpdated):
                self.lists[event.data.item_id] = [one.id for one in event.data.recommendations]
        return events

    def settle(self) -> tuple[int, float]:
        """Tick until nothing is due; how many ticks, and the longest in milliseconds of processor time."""
        ticks, longest = 0, 0.0
        while (due := self.engine.due_ms()) is not None:
            spent = time.process_time()
            self.process([self.entry("clock.ticked", max(1000, due - self._ms))])
            longest, ticks = max(longest, time.process_time() - spent), ticks + 1
        return ticks, 1000 * longest


def told_of(events: list[Event]) -> int:
    return sum(isinstance(event.data, RecommendationsUpdated) for event in events)


def measured(subscriptions: int, items: int, commands: int, every_ms: int) -> dict[str, float]:
    """Figures for so many subscriptions."""
    with closing(open_recommender(None, Models())) as engine:
        shop = Shop(engine, every_ms)
        shop.decide(shop.arrival() for _ in range(items))
        shop.decide(shop.entry("recommendations.subscribed", 1, item=f"P-{n + 1}") for n in range(subscriptions))
        shop.settle()
        found: dict[str, float] = {"subscriptions": subscriptions}
        for name, make in (("arrival", shop.arrival), ("interaction", shop.interaction)):
            spent = time.process_time()
            events = shop.decide(make() for _ in range(commands))
            found[f"{name}_us"] = round(1e6 * (time.process_time() - spent) / commands)
            found[f"told_with_{name}s"] = told_of(events)
            shop.settle()
        holding = Counter(id_ for ids in shop.lists.values() for id_ in ids)
        for id_, count in holding.most_common(1):
            found["lists_with_the_deleted"] = count
            spent = time.process_time()
            engine.process([shop.entry("item.delete", id=id_)])
            found["deletion_ms"] = round(1000 * (time.process_time() - spent), 1)
            ticks, longest = shop.settle()
            found.update(ticks=ticks, longest_tick_ms=round(longest, 1))
        return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (("items", 12_000), ("commands", 2000), ("every-ms", 50)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--subscriptions", default="0,1000,10000")
    given = parser.parse_args()
    for count in given.subscriptions.split(","):
        print(json.dumps(measured(int(count), given.items, given.commands, given.every_ms)), flush=True)


if __name__ == "__main__":
    main()
