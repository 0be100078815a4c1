"""Recommendations for users while interactions arrive, over many items and interactions.

Items have vectors of topics, and attributes. Each user has one interest or five, baskets are from them. Items are
written into the tables as they are, interactions are learned by the engine; ``--state`` keeps what was made. Then a
worker serves it, and is asked through Celery while others' interactions come by the stream. Vectors are given, so no
model is needed.
"""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
from celery import Celery

from benchmarks.celery_results import celery_app
from benchmarks.output import publish, show, timed
from benchmarks.report import Report
from benchmarks.worker_process import DETERMINISTIC, RunningWorker, bench_settings
from celery_recommender import sandbox
from recommender_engine import Entry, EntryId, Recommender, decode_entry, open_recommender
from recommender_engine.items import Item
from recommender_engine.opening import DATABASE
from recommender_engine.store import StoredItem, Verdict
from tests.support.encoders import FixedEncoders

ITEMS_IN_TOPIC, INTERESTS = 250, 5
SETTINGS = {"rule": "cosine", "duplicate_cosine": 0.97, "candidates": 5}
ITEMS_IN_BASKET = 20
BATCH = 500
_ROWS_AT_ONCE = 5000
DIMENSION = 64
START_MS = 1_760_000_000_000
FILTERS: dict[str, dict[str, Any] | None] = {
    "no filter": None,
    "in stock, half of the items": {"stock": {"$gt": 24}},
    "a category, one item of 40": {"category": "category 7"},
    "a price and a tag, one item of 100": {"$and": [{"price": {"$lt": 12}}, {"tags": "tag 3"}]},
    "one item of 10,000": {"rank": {"$lt": 10}},
}
_TICK_S = 0.05


class Shop:
    """Items, and users with one interest (even numbers) or five.

    Args:
        items: how many.
        users: how many.
    """

    def __init__(self, items: int, users: int) -> None:
        self.items, self.users = items, users
        self._chance = np.random.default_rng(3)
        self._count = max(2, items // ITEMS_IN_TOPIC)
        self._topics = np.arange(items) % self._count
        self._of_topic = [np.flatnonzero(self._topics == topic) for topic in range(self._count)]
        self._shares = [np.cumsum(1.0 / np.arange(1, len(members) + 1) ** 0.8) for members in self._of_topic]
        self._interests = self._chance.integers(0, self._count, (users, INTERESTS))
        self._now_ms = START_MS

    def catalogue(self) -> Iterator[Entry]:
        """The items."""
        centres = self._chance.normal(size=(self._count, DIMENSION))
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
        yield self._entry("collection.configured", {"settings": SETTINGS})
        for n, topic in enumerate(self._topics.tolist()):
            vector = centres[topic] + self._chance.normal(size=DIMENSION) * (0.6 / np.sqrt(DIMENSION))
            vector /= np.linalg.norm(vector)
            said = {"text": f"item {n}", "vector": base64.b64encode(vector.astype("<f4").tobytes()).decode()}
            yield self._entry("item.upsert", {"id": f"i{n}", **said, "attributes": self._attributes(n), "silent": True})

    def _attributes(self, number: int) -> dict[str, Any]:
        stock, category, tags = self._chance.integers(0, (50, 40, 12)).tolist()
        price = round(float(self._chance.lognormal(3, 1)), 2)
        rank = number * 7919 % self.items
        return {
            "stock": stock,
            "category": f"category {category}",
            "price": price,
            "tags": [f"tag {tags}"],
            "rank": rank,
        }

    def interactions(self) -> Iterator[dict[str, Any]]:
        """Baskets of users, without end: of items of their interests, a few of any topic."""
        while True:
            user = int(self._chance.integers(0, self.users))
            topic = self._interests[user, int(self._chance.integers(0, INTERESTS)) if user % 2 else 0]
            for _ in range(int(self._chance.integers(1, 2 * ITEMS_IN_BASKET))):
                mine = topic if self._chance.random() < 0.9 else int(self._chance.integers(0, self._count))
                place = np.searchsorted(self._shares[mine], self._chance.random() * self._shares[mine][-1])
                yield {"item": f"i{self._of_topic[mine][place]}", "user": f"u{user}", "kind": "buy"}
            self._now_ms += 60_000

    def entries(self) -> Iterator[Entry]:
        """The same as a worker reads them."""
        for said in self.interactions():
            yield self._entry("interaction.recorded", said)

    def _entry(self, type_: str, data: dict[str, Any]) -> Entry:
        self._now_ms += 100
        return decode_entry(EntryId(self._now_ms, 0), type_, json.dumps({"collection": "shop", **data}))


@click.command("recommending")
@click.option("--items", default=100_000, show_default=True)
@click.option("--interactions", default=1_000_000, show_default=True)
@click.option("--questions", default=300, show_default=True, help="Of each kind of filter and user.")
@click.option("--rate", default=100, show_default=True, help="Interactions a second that arrive meanwhile.")
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the state there, and take it from there the next time.",
)
def recommending(items: int, interactions: int, questions: int, rate: int, state: Path | None) -> None:
    """Recommendations for users through Celery while interactions arrive: latency; state of each item and user."""
    report = measure(items, interactions, questions, rate, state)
    show(report)
    publish([report])


@timed
def measure(items: int, interactions: int, questions: int, rate: int, state: Path | None = None) -> Report:
    """Make the state, ask the engine, then ask a worker over the same state."""
    shop = Shop(items, max(1, interactions // 100))
    facts: dict[str, Any] = {}
    with bench_settings() as settings, TemporaryDirectory() as temporary:
        kept = Path(temporary) / "state" if state is None else state
        if not (kept / DATABASE).exists():
            facts["processor time of an interaction, µs"] = fill(kept, shop, interactions)
        shutil.copytree(kept, settings.partition_dir, dirs_exist_ok=True)
        with closing(open_recommender(settings.partition_dir, FixedEncoders())) as engine:
            facts["state, bytes"] = sizes(engine, settings.partition_dir)
            for _, odd, filter_ in _kinds():
                _asked_engine(engine, next(_users(shop, odd, 1)), filter_)
            facts["the engine alone, processor time in ms"] = {
                name: _percentiles([_asked_engine(engine, user, filter_) for user in _users(shop, odd, questions)])
                for name, odd, filter_ in _kinds()
            }
        with sandbox.running_worker(settings, DETERMINISTIC) as worker:
            app = celery_app(worker)
            for _, odd, filter_ in _kinds():
                _asked(app, next(_users(shop, odd, 1)), filter_)
            with _Arriving(worker, shop, rate):
                facts["through Celery, ms"] = {
                    name: _percentiles([_asked(app, user, filter_) for user in _users(shop, odd, questions)])
                    for name, odd, filter_ in _kinds()
                }
            app.close()
    subject = f"{items:,} items, {interactions:,} interactions, {shop.users:,} users, {rate} more a second arriving"
    return Report("recommending", "Recommendations for users", subject, facts=facts)


def fill(directory: Path, shop: Shop, interactions: int) -> float:
    """Items and interactions; returns the processor time of one of the last tenth, in µs."""
    directory.mkdir(parents=True, exist_ok=True)
    items = shop.catalogue()
    with closing(open_recommender(directory, FixedEncoders())) as engine:
        engine.process(list(islice(items, 2)))  # the collection, and an item that shows how rows look
        while some := list(islice(items, _ROWS_AT_ONCE)):
            _write_items(engine, some)
    with closing(open_recommender(directory, FixedEncoders())) as engine:
        used, spent_s, counted = shop.entries(), 0.0, 0
        for done in range(0, interactions, BATCH):
            some = list(islice(used, BATCH))
            started = time.process_time()
            engine.process(some)
            if done >= 0.9 * interactions:
                spent_s, counted = spent_s + time.process_time() - started, counted + len(some)
    return round(1e6 * spent_s / max(1, counted), 1)


def _write_items(engine: Recommender, entries: Sequence[Entry]) -> None:
    """Items in groups of their own, as the engine writes them, without a search for duplicates."""
    store = engine._store  # noqa: SLF001 (a state is assembled)
    with store.transaction():
        (model,) = store._db.execute("SELECT model FROM vectors LIMIT 1").fetchone()  # noqa: SLF001
        for seq, entry in enumerate(entries, store.items.next_seq()):
            item = entry.command
            assert isinstance(item, Item)
            vector = np.frombuffer(item.vector or b"", "<f4").astype(np.float32)
            row = store.vectors.add(model, b"item %d" % seq, vector, False)
            point = store.vectors.add_point(1, row)
            stored = item.model_copy(update={"vector": None})
            print_ = seq.to_bytes(16, "big")
            new = Verdict(None, None)
            store.items.insert(StoredItem(seq, 1, stored, 1, None, print_, row, point, f"g{seq}", new, entry.id.ms))


def sizes(engine: Recommender, directory: Path) -> dict[str, float]:
    """Bytes of the tables of behaviour, by item and by user."""
    engine.truncate_log()
    with closing(sqlite3.connect(f"file:{directory / DATABASE}?immutable=1", uri=True)) as database:
        pages = dict(database.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
        rows = {
            table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("used_items", "users", "interactions")
        }
    of = {
        table: sum(size for name, size in pages.items() if name.removeprefix("sqlite_autoindex_").startswith(table))
        for table in ("used_items", "users", "session", "interactions")
    }
    return {
        "of an item": round(of["used_items"] / rows["used_items"]),
        "of a user, with sessions": round((of["users"] + of["session"]) / rows["users"]),
        "of an interaction": round(of["interactions"] / rows["interactions"]),
    }


def _kinds() -> Iterator[tuple[str, int, dict[str, Any] | None]]:
    for name, filter_ in FILTERS.items():
        for odd, interests in ((0, "one interest"), (1, "five interests")):
            yield f"{name}; {interests}", odd, filter_


def _users(shop: Shop, odd: int, count: int) -> Iterator[str]:
    return (f"u{(2 * n + odd) % shop.users}" for n in range(count))


def _request(user: str, filter_: dict[str, Any] | None) -> dict[str, Any]:
    return {"collection": "shop", "user": user, "limit": 10, **({} if filter_ is None else {"filter": filter_})}


def _asked_engine(engine: Recommender, user: str, filter_: dict[str, Any] | None) -> float:
    started = time.process_time()
    engine.recommendations(_request(user, filter_))
    return (time.process_time() - started) * 1000


def _asked(app: Celery, user: str, filter_: dict[str, Any] | None) -> float:
    started = time.perf_counter()
    app.tasks["recommender.recommendations"].delay(**_request(user, filter_)).get(timeout=60)
    return (time.perf_counter() - started) * 1000


def _percentiles(times: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(np.array(times), (50, 99)).round(1).tolist()
    return {"p50": p50, "p99": p99}


class _Arriving:
    """Others' interactions come by the stream at a steady rate, for the length of a block."""

    def __init__(self, worker: RunningWorker, shop: Shop, rate: int) -> None:
        self._client = worker.another_client()
        self._source = shop.interactions()
        self._rate = rate
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._client.close()

    def _send(self) -> None:
        started, sent = time.monotonic(), 0
        while not self._stopping.wait(_TICK_S):
            due = int((time.monotonic() - started) * self._rate)
            some = [{"collection": "shop", **said} for said in islice(self._source, due - sent)]
            if some:
                self._client.record_many(some)
            sent = max(sent, due)
