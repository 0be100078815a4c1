"""The cost of a command and of a second's upkeep with many small collections, with and without a time to live."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import click

from benchmarks.output import publish, show, timed
from benchmarks.report import Report
from recommender_engine import EntryId, Recommender, decode_entry, open_recommender
from recommender_engine.embedding import Encoder
from recommender_engine.items import DEFAULT_MODEL, Entry
from recommender_engine.testing import DeterministicEncoder

FEW = 10  # collections to compare with
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
    """Ten collections and many, by turns: processor time of a command that changes an item, and of upkeep."""
    facts: dict[str, Any] = {"items of each": ITEMS, "commands measured": COMMANDS}
    for name, settings in (("no time to live", {}), ("ttl_seconds", {"ttl_seconds": _TTL_S})):
        with TemporaryDirectory(prefix="recommender-bench-") as directory:
            few, many = (_Engine(Path(directory), count, settings) for count in (FEW, collections))
            for kind, size, rounds in (("in a batch", BATCH, COMMANDS // BATCH), ("alone", 1, COMMANDS // BATCH)):
                pairs = [(few.command_ms(size), many.command_ms(size)) for _ in range(rounds)]
                facts.update(_facts(f"{name}: {kind}", collections, pairs))
            pairs = [(few.upkeep_ms(), many.upkeep_ms()) for _ in range(ROUNDS)]
            facts.update(_facts(f"{name}: upkeep", collections, pairs))
            few.close()
            many.close()
    return Report("tenants", "Many small collections", facts=facts)


def _facts(what: str, collections: int, pairs: list[tuple[float, float]]) -> dict[str, Any]:
    """Medians of what was measured by turns, and of the ratios."""
    few, many = (round(median(times), 3) for times in zip(*pairs, strict=True))
    ratio = round(median(of_many / of_few for of_few, of_many in pairs), 2)
    return {f"{what}, ms at {FEW} and {collections:,} collections": (few, many), f"{what}, times": ratio}


class _Engine:
    """One that has so many collections, with the commands that change their items."""

    def __init__(self, directory: Path, collections: int, settings: dict[str, Any]) -> None:
        self._engine = open_recommender(directory / str(collections), _Models())
        self._log = _Log()
        self._collections = collections
        self._chance = random.Random(2)
        _fill(self._engine, self._log, range(collections), settings)
        self.close = self._engine.close

    def command_ms(self, size: int) -> float:
        """Processor time of each of some commands that come together, in milliseconds."""
        chance = self._chance
        batch = [
            self._log.add("item.upsert", **_item(chance, chance.randrange(self._collections), chance.randrange(ITEMS)))
            for _ in range(size)
        ]
        started = time.process_time()
        self._engine.process(batch)
        return (time.process_time() - started) * 1000 / size

    def upkeep_ms(self) -> float:
        """Processor time of what an owner asks of the engine once a second, in milliseconds."""
        started = time.process_time()
        self._engine.due_ms()
        self._engine.sizes()
        self._engine.recalls()
        self._engine.snapshot()
        return (time.process_time() - started) * 1000


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
