"""What a command and a second's upkeep cost as collections become many: small ones, with and without a time to live."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import click

from benchmarks.output import publish, show, timed
from benchmarks.report import Report
from recommender import EntryId, Recommender, decode_entry, open_recommender
from recommender.embedding import Encoder
from recommender.items import DEFAULT_MODEL, Entry
from recommender.testing import DeterministicEncoder

ITEMS = 10  # of each collection
BATCH = 50
COMMANDS = 1_000
ROUNDS = 50
_TTL_S = 7 * 86_400
_WORDS = tuple(
    f"{one}{other}" for one in ("pri", "rou", "lap", "ser", "mon") for other in ("nter", "ter", "top", "ver")
)


class _Models:
    """``Encoders`` that cost nothing: it is the rest that is measured."""

    names = (DEFAULT_MODEL,)

    def __init__(self) -> None:
        self._encoder = DeterministicEncoder()

    def encoder(self, name: str) -> Encoder:
        return self._encoder


class _Log:
    """Commands with the ids of a stream, a millisecond apart."""

    def __init__(self) -> None:
        self._ms = 1_700_000_000_000

    def add(self, type_: str, **data: Any) -> Entry:
        self._ms += 1
        return decode_entry(EntryId(self._ms, 0), type_, json.dumps(data), f"key {self._ms}")


@click.command("tenants")
@click.option("--collections", default=10_000, show_default=True, help="How many there are in the end.")
def tenants(collections: int) -> None:
    """Many small collections in one worker, with and without a time to live."""
    report = measure(collections)
    show(report)
    publish([report])


@timed
def measure(collections: int) -> Report:
    """Ten collections, then many: processor time of a command that changes an item, and of a second's upkeep."""
    facts: dict[str, Any] = {"items of each": ITEMS, "commands measured": COMMANDS}
    for name, settings in (("no time to live", {}), ("ttl_seconds", {"ttl_seconds": _TTL_S})):
        with TemporaryDirectory(prefix="recommender-bench-") as directory:
            engine, log = open_recommender(Path(directory), _Models()), _Log()
            few = 10
            _fill(engine, log, range(few), settings)
            before = _costs(engine, log, few)
            _fill(engine, log, range(few, collections), settings)
            after = _costs(engine, log, collections)
            engine.close()
        for kind, one in before.items():
            facts[f"{name}: {kind}, ms at {few} and {collections:,} collections"] = one, after[kind]
        facts[f"{name}: a command in a batch, times"] = round(after["in a batch"] / before["in a batch"], 2)
    return Report("tenants", "Many small collections", facts=facts)


def _fill(engine: Recommender, log: _Log, collections: range, settings: dict[str, Any]) -> None:
    chance = random.Random(1)
    for first in range(collections.start, collections.stop, 100):
        some = range(first, min(first + 100, collections.stop))
        if settings:
            engine.process([log.add("collection.configured", collection=f"c{n}", settings=settings) for n in some])
        engine.process([log.add("item.upsert", **_item(chance, n, place)) for n in some for place in range(ITEMS)])


def _item(chance: random.Random, collection: int, place: int) -> dict[str, str]:
    text = " ".join(chance.choices(_WORDS, k=8))
    return {"collection": f"c{collection}", "id": f"i{place}", "text": f"{text} {chance.randrange(10**6)}"}


def _costs(engine: Recommender, log: _Log, collections: int) -> dict[str, float]:
    """Medians of processor time, in milliseconds."""
    chance = random.Random(2)

    def commands(count: int) -> list[Entry]:
        return [
            log.add("item.upsert", **_item(chance, chance.randrange(collections), chance.randrange(ITEMS)))
            for _ in range(count)
        ]

    return {
        "in a batch": round(median(_times(engine, [commands(BATCH) for _ in range(COMMANDS // BATCH)])) / BATCH, 2),
        "alone": round(median(_times(engine, [commands(1) for _ in range(COMMANDS // BATCH)])), 2),
        "upkeep": round(median(_upkeep(engine)), 3),
    }


def _times(engine: Recommender, batches: list[list[Entry]]) -> Iterator[float]:
    for batch in batches:
        started = time.process_time()
        engine.process(batch)
        yield (time.process_time() - started) * 1000


def _upkeep(engine: Recommender) -> Iterator[float]:
    """What an owner asks of the engine once a second."""
    for _ in range(ROUNDS):
        started = time.process_time()
        engine.due_ms()
        engine.sizes()
        engine.recalls()
        engine.snapshot()
        yield (time.process_time() - started) * 1000
