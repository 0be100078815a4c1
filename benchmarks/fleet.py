"""Throughput with 1, 2, 4 and 8 embed workers whose model sleeps: what sharing the work out costs.

The sleep stands for a model on a processor of its own, so that the figures are those of the fleet and not of this
machine. It is long, and a batch small, so that owner, broker and the workers' own work do not count on two cores: a
batch of four items in 0.8 seconds, 40 items a second with eight workers. Each run has as many batches for each worker,
counted from the first command to the last event, so the time to fill the window is in it.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import click

from benchmarks.output import publish, show, timed
from benchmarks.report import Report
from celery_recommender.broker.redis.connections import connect
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from tests.support.fleet_app import SLEEP_S
from tests.support.processes import EmbedProcess, OwnerProcess
from tests.support.servers import make_server, running
from tests.support.waiting import wait_until

WORKERS = (1, 2, 4, 8)
BATCH_ITEMS = 4
BATCHES_EACH = 40
SECONDS_A_BATCH = 0.8


@click.command()
def fleet() -> None:
    """Throughput with 1 to 8 embed workers whose model sleeps; some four minutes."""
    report = measure()
    show(report)
    publish([report])


@timed
def measure() -> Report:
    """Items a second for each number of workers, and how near that is to so many times one worker's."""
    rates: dict[int, float] = {}
    for workers in WORKERS:
        with tempfile.TemporaryDirectory(prefix="fleet-") as directory:
            rates[workers] = _items_per_s(workers, Path(directory))
            click.echo(f"{workers} embed workers: {rates[workers]:.2f} items/s", err=True)
    limit = BATCH_ITEMS / SECONDS_A_BATCH
    facts = {
        "seconds a batch": SECONDS_A_BATCH,
        "items a batch": BATCH_ITEMS,
        **{f"{n} workers, items/s": round(rate, 2) for n, rate in rates.items()},
        **{f"{n} workers, of {n} times one": round(rate / (n * rates[1]), 3) for n, rate in rates.items()},
        **{f"{n} workers, of what the sleep allows": round(rate / (n * limit), 3) for n, rate in rates.items()},
    }
    return Report("fleet", "Embed workers share the work", "A model that sleeps", facts=facts)


def _items_per_s(workers: int, directory: Path) -> float:
    with ExitStack() as stack:
        server = stack.enter_context(running(make_server("redis-server", directory / "server")))
        settings = Settings(
            redis_url=server.url, state_dir=directory / "state", embed_workers=workers, batch_items=BATCH_ITEMS
        )
        sleep = {SLEEP_S: str(SECONDS_A_BATCH)}
        fleet = [
            stack.enter_context(EmbedProcess(settings, directory / f"embed{n}.log", environment=sleep))
            for n in range(workers)
        ]
        owner = stack.enter_context(
            OwnerProcess(settings, directory / "owner.log", "tests.support.fleet_app:owner", environment=sleep)
        )
        for process in (*fleet, owner):
            process.start()
        for process in (*fleet, owner):
            process.wait_ready()
        wait_until(lambda: (owner.status() or {}).get("fleet", {}).get("state") == "serving", "the fleet", 60)
        redis = stack.enter_context(connect(settings.redis_url))
        count = BATCH_ITEMS * BATCHES_EACH * workers
        started_s = time.monotonic()
        positions = Client(settings, redis).ingest_many(
            [{"id": f"i{n}", "text": f"item {n} is about the matter {n * n}"} for n in range(count)]
        )
        wait_until(lambda: redis.xlen(f"recommender:{settings.partition}:commands") == 0, "the last event", 300)
        seconds = time.monotonic() - started_s
        told = redis.xlen(f"recommender:{settings.partition}:events")
        if told < len(positions) or "fleet.resent" in owner.output or "fleet.silent" in owner.output:
            raise RuntimeError(f"{told} events for {count} items, or batches were lost: {owner.output[-2000:]}")
        return count / seconds
