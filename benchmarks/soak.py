"""``python -m benchmarks.soak``: many commands through one worker; its memory and descriptors must stay as they are.

The state is held constant: a working set of items that are sent again, edited, patched, deleted and brought back, with
answers by people in between. What a worker keeps in memory for each *item* (vector, index, counts of words) is then no
reason to grow, and whatever grows is a leak. Ends with one line of counts; exit code 0 only if every command has one
outcome and neither memory nor descriptors grow.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from benchmarks.worker_process import RunningWorker, deterministic_worker
from celery_recommender.broker.commands.encoding import CommandFields, command_fields
from celery_recommender.broker.coordination.status import read_status
from celery_recommender.broker.events.outcomes import is_outcome
from recommender_engine.items import START, EntryId

SAMPLE_EVERY_S = 2.0
WORDS = 3000


@dataclass
class Sample:
    """The worker's resources at some moment."""

    commands: int
    memory_mb: float
    descriptors: int


@dataclass
class Soak:
    """Counts of one run."""

    sent: int = 0
    outcomes: int = 0
    rejected: int = 0
    samples: list[Sample] = field(default_factory=list)
    all_sent: bool = False
    start_s: float = field(default_factory=time.monotonic)  # of the worker
    first_event_s: float = float("nan")
    error: BaseException | None = None


@click.command()
@click.option("-n", "--commands", default=1_000_000, show_default=True, help="How many.")
@click.option("--minutes", type=float, help="Send no more after so long.")
@click.option("--items", default=5000, show_default=True, help="Size of the working set.")
@click.option("--backlog", is_flag=True, help="All commands wait already when the worker starts.")
@click.option("--seed", default=1, show_default=True)
@click.option("--most-mb-per-100k", default=8.0, show_default=True, help="Growth of memory that is no leak yet.")
def main(
    *, commands: int, minutes: float | None, items: int, backlog: bool, seed: int, most_mb_per_100k: float
) -> None:
    """Run it, and print one line."""
    run = Soak()
    stop_at = time.monotonic() + minutes * 60 if minutes else float("inf")
    stream = commands_of(random.Random(seed), items, commands)
    changes = {"events_max_length": 200_000, "most_waiting": 0}
    started = time.monotonic()
    with deterministic_worker(
        preload=(lambda client: preload(client, stream, run)) if backlog else None, **changes
    ) as worker:
        reader = threading.Thread(target=read_outcomes, args=(worker, run), daemon=True)
        reader.start()
        if not backlog:
            send(worker, stream, run, stop_at)
        run.all_sent = True
        watch(worker, run, stop_at if backlog else float("inf"))
        drained = not worker.client.log.length()
        reader.join(60 if drained else 0)
    seconds = time.monotonic() - started
    finish(run, seconds, drained=drained, most_mb_per_100k=most_mb_per_100k)


def commands_of(chance: random.Random, items: int, count: int) -> Iterator[CommandFields]:
    """A mix over a working set; each item has a few texts that it changes between, so the state has an end."""
    for number in range(count):
        item = chance.randrange(items)
        kind = chance.random()
        key = f"soak {number}"
        if kind < 0.80:
            data = {"id": f"S-{item}", "text": text_of(item, chance.randrange(3)), "attributes": {"status": "open"}}
            yield command_fields("item.upsert", data, key=key)
        elif kind < 0.90:
            yield command_fields("item.patch", {"id": f"S-{item}", "attributes": {"price": number % 100}}, key=key)
        elif kind < 0.97:
            yield command_fields("item.delete", {"id": f"S-{item}"}, key=key)
        elif kind < 0.99:
            yield command_fields("item.upsert", {"id": f"S-{item}"}, key=key)  # rejected: it says nothing
        else:
            # Always the same of the same pair, so that answers have an end as well, and none contradicts another.
            other = item ^ 1
            data = {"id": f"S-{item}", "other": f"S-{other}", "answer": "different" if item % 4 < 2 else "unsure"}
            yield command_fields("feedback.given", data, key=key)


def text_of(item: int, version: int) -> str:
    """A dozen words, a few of them common and most of them rare; one item in ten says what another one says."""
    chance = random.Random(f"{item if item % 10 else item // 20} {version}")
    return " ".join(f"word{int(WORDS * chance.random() ** 3)}" for _ in range(12))


def preload(client: Any, stream: Iterator[CommandFields], run: Soak) -> None:
    for block in client.pacing.blocks(stream, lambda fields: fields):
        client.log.append(block)
        run.sent += len(block)
    run.start_s = time.monotonic()


def send(worker: RunningWorker, stream: Iterator[CommandFields], run: Soak, stop_at: float) -> None:
    next_sample = 0.0
    for block in worker.client.pacing.blocks(stream, lambda fields: fields):
        worker.client.pacing.wait_for_room(block)
        worker.client.log.append(block)
        run.sent += len(block)
        if time.monotonic() >= next_sample:
            next_sample = time.monotonic() + SAMPLE_EVERY_S
            take_sample(worker, run)
        if time.monotonic() > stop_at:
            return


def watch(worker: RunningWorker, run: Soak, stop_at: float) -> None:
    """Until everything is decided, or it is time to stop."""
    while worker.client.log.length() and time.monotonic() < stop_at:
        take_sample(worker, run)
        if worker.process.poll() is not None:
            raise RuntimeError("the worker has ended")
        time.sleep(SAMPLE_EVERY_S)
    take_sample(worker, run)


def read_outcomes(worker: RunningWorker, run: Soak) -> None:
    """Count outcomes as they come, by a connection of its own."""
    client = worker.another_client()
    last: tuple[int, int] = START
    try:
        for event in client.events(START, until=lambda: run.all_sent and run.outcomes >= run.sent):
            if run.outcomes == 0:
                run.first_event_s = time.monotonic() - run.start_s
            if EntryId.parse(event["id"]) <= last:
                raise RuntimeError("an event stands in the stream twice")
            last = EntryId.parse(event["id"])
            run.outcomes += is_outcome(event)
            run.rejected += event["type"] == "recommender.command.rejected.v1"
    except BaseException as error:
        run.error = error


def take_sample(worker: RunningWorker, run: Soak) -> None:
    waiting = worker.client.log.length()
    process = Path(f"/proc/{worker.process.pid}")
    rollup = (process / "statm").read_text().split()
    run.samples.append(Sample(run.sent - waiting, int(rollup[1]) * 4096 / 2**20, len(list((process / "fd").iterdir()))))
    if read_status(worker.client.redis, worker.client.keys) is None:
        raise RuntimeError("the owner is gone")


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Least squares."""
    if len({x for x, _ in points}) < 2:
        return 0.0
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope


def finish(run: Soak, seconds: float, *, drained: bool, most_mb_per_100k: float) -> None:
    # What comes before fills what is bounded: the page cache of SQLite (64 MiB), other caches, the working set.
    last = [one for one in run.samples if one.commands >= run.samples[-1].commands * 2 / 3]
    mb_per_100k = slope([(one.commands / 100_000, one.memory_mb) for one in last])
    descriptors = slope([(one.commands / 100_000, one.descriptors) for one in last])
    decided = run.samples[-1].commands
    counts_agree = run.error is None and (run.outcomes == run.sent if drained else run.outcomes <= run.sent)
    steady = mb_per_100k <= most_mb_per_100k and descriptors < 1.0
    result = {
        "sent": run.sent,
        "decided": decided,
        "outcomes": run.outcomes,
        "rejected": run.rejected,
        "waiting": run.sent - decided,
        "first event s after the start of the worker": round(run.first_event_s, 2),
        "commands/s": round(decided / seconds),
        "MiB at 10 %": round(at_share(run.samples, 0.1).memory_mb),
        "at 50 %": round(at_share(run.samples, 0.5).memory_mb),
        "at 67 %": round(last[0].memory_mb),
        "at the end": round(run.samples[-1].memory_mb),
        "MiB per 100,000 in the last third": round(mb_per_100k, 2),
        "descriptors": run.samples[-1].descriptors,
        "descriptors per 100,000": round(descriptors, 3),
    }
    if run.error is not None:
        print(f"error: {run.error!r}", file=sys.stderr)
    print(json.dumps({"ok": counts_agree and steady, **result}))
    sys.exit(0 if counts_agree and steady else 1)


def at_share(samples: Sequence[Sample], share: float) -> Sample:
    return next(one for one in samples if one.commands >= share * samples[-1].commands)


if __name__ == "__main__":
    main()
