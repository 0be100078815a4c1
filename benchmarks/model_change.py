"""A collection changes its model while items arrive at a steady rate: how long it takes, and what the items notice.

In this process, as an owner does it: an item is decided, then a slice is stored and the next begun. There is no server
and no model: the encoders are deterministic, so that the change itself is measured. Exit code 1 when an event is
missing, or decided by a model that it should not be.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import click

from benchmarks.texts import CHOICES, measured_texts
from celery_recommender.measuring import percentile
from recommender_engine import Entry, EntryId, Recommender, decode_entry, open_recommender
from recommender_engine.items import DEFAULT_MODEL, CollectionSettings, ItemProcessed
from recommender_engine.testing import DeterministicEncoder

_BATCH = 500
_IDLE_S = 0.02
_FEW = 25  # those that have just arrived


class _Encoders:
    """Two models."""

    def __init__(self) -> None:
        self._encoders = {DEFAULT_MODEL: DeterministicEncoder(384), "second": DeterministicEncoder(512)}
        self.names = tuple(self._encoders)

    def encoder(self, name: str) -> DeterministicEncoder:
        return self._encoders[name]


class Phase(NamedTuple):
    """What items noticed of a phase, in milliseconds."""

    items: int
    p50: float
    p99: float
    most: float


class _Stream:
    """Items one after the other, in a log."""

    def __init__(self, texts: Sequence[str], rule: str) -> None:
        self._texts = texts
        self._rule = rule
        self._last = EntryId(1_764_000_000_000, 0)
        self.sent = 0

    def command(self, type_: str, **data: Any) -> Entry:
        self._last = EntryId(self._last.ms + 10, 0)
        return decode_entry(self._last, type_, json.dumps(data))

    def configure(self) -> Entry:
        settings = CollectionSettings(rule=self._rule, recommendations=5)  # type: ignore[arg-type]
        return self.command("collection.configured", collection="default", settings=settings.model_dump(mode="json"))

    def item(self) -> Entry:
        text = self._texts[self.sent % len(self._texts)]
        self.sent += 1
        return self.command("item.upsert", id=f"i{self.sent}", text=f"{text} ({self.sent})")

    def about(self, what: str, name: str, encoders: _Encoders) -> Entry:
        digest = encoders.encoder(name).identity.fingerprint
        return self.command(f"model.{what}", collection="default", model=name, digest=digest)


class _Live:
    """Decides items one by one, and checks by which model."""

    def __init__(self, engine: Recommender, stream: _Stream, encoders: _Encoders) -> None:
        self._engine = engine
        self._stream = stream
        self._encoders = encoders
        self.wrong = 0

    def items(self, name: str, rate: float, more: Callable[[int], bool]) -> Phase:
        """Decide items at a rate for as long as there are to be more; slices are stored and begun meanwhile."""
        key = self._encoders.encoder(name).identity.key
        taken_ms: list[float] = []
        began = time.perf_counter()
        while more(len(taken_ms)):
            while (early_s := began + len(taken_ms) / rate - time.perf_counter()) > 0:
                self._engine.second_models.build()
                time.sleep(min(early_s, _IDLE_S))
            entry = self._stream.item()
            started = time.perf_counter()
            events = self._engine.process([entry])
            taken_ms.append((time.perf_counter() - started) * 1000)
            found = [event.data.model for event in events if isinstance(event.data, ItemProcessed)]
            self.wrong += found != [key]
            self._engine.second_models.build(1)
        p50, p99 = (round(percentile(taken_ms, percent), 2) for percent in (50, 99))
        return Phase(len(taken_ms), p50, p99, round(max(taken_ms), 2))

    def command(self, what: str, name: str) -> dict[str, float]:
        """Decide a change, and one item behind it; how many seconds that took together, and of the processors."""
        started, processors = time.perf_counter(), time.process_time()
        (event,) = self._engine.process([self._stream.about(what, name, self._encoders)])
        self._engine.process([self._stream.item()])
        self.wrong += event.data.type != f"recommender.model.{what}.v1"
        return {
            "wall_s": round(time.perf_counter() - started, 3),
            "processor_s": round(time.process_time() - processors, 3),
        }


@click.command()
@click.option("--texts", "name", default="banking77", show_default=True, type=click.Choice(CHOICES))
@click.option("--items", default=20_000, show_default=True, help="Items that are there before the change.")
@click.option("--live", default=500, show_default=True, help="Items of the phases before and behind it.")
@click.option("--rule", default="learned", show_default=True, type=click.Choice(["learned", "cosine"]))
@click.option("--rate", default=50.0, show_default=True, help="Items a second.")
def main(name: str, items: int, live: int, rule: str, rate: float) -> None:
    """Print the figures as JSON."""
    encoders, stream = _Encoders(), _Stream(measured_texts(name).texts, rule)
    with TemporaryDirectory() as directory:
        engine = open_recommender(Path(directory), encoders)
        engine.process([stream.configure()])
        for batch in _batches(stream, items):
            engine.process(batch)
        found = _change(engine, _Live(engine, stream, encoders), live, rate)
        engine.close()
    print(json.dumps({"texts": name, "items": items, "rule": rule, "rate": rate, **found}, indent=1))
    sys.exit(1 if found["wrong"] else 0)


def _change(engine: Recommender, one: _Live, live: int, rate: float) -> dict[str, Any]:
    before = one.items(DEFAULT_MODEL, rate, lambda count: count < live)
    proposed = one.command("proposed", "second")
    started = time.perf_counter()
    during = one.items(DEFAULT_MODEL, rate, lambda count: _left(engine) > _FEW)
    build_s = round(time.perf_counter() - started, 1)
    switch = one.command("promoted", "second")
    behind = one.items("second", rate, lambda count: count < live)
    while _left(engine):
        engine.second_models.build()
    rollback = one.command("promoted", DEFAULT_MODEL)
    back = one.items(DEFAULT_MODEL, rate, lambda count: count < live)
    phases = {"before": before, "during": during, "behind": behind, "rolled_back": back}
    times = {"propose": proposed, "build_s": build_s, "switch": switch, "rollback": rollback}
    return {**times, "item_ms": {phase: found._asdict() for phase, found in phases.items()}, "wrong": one.wrong}


def _left(engine: Recommender) -> int:
    second = engine.second_models.view(1)
    return int(second["left"]) if second else 0


def _batches(stream: _Stream, items: int) -> Iterator[list[Entry]]:
    for start in range(0, items, _BATCH):
        yield [stream.item() for _ in range(min(_BATCH, items - start))]


if __name__ == "__main__":
    main()
