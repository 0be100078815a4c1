"""Kill -9 of the broker and of the worker, eight times each, under load: which messages are lost, which are done twice.

Each scenario has a producer that sends sixty messages a second and counts those that are accepted, and a worker that
writes down what it has done. Lost is what was accepted and never done, twice is what was done more than once. The runs
prove that something happens; they are no rates.
"""

from __future__ import annotations

import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import click

from benchmarks.kill_apps import SINK, VISIBILITY_TIMEOUT_S, hand_written, ours
from benchmarks.output import publish, show, timed
from benchmarks.rabbitmq import RabbitMq
from benchmarks.report import Report
from celery_recommender.broker.commands.encoding import command_fields
from celery_recommender.broker.redis.connections import connect
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from tests.support.processes import OwnerProcess, WorkerProcess
from tests.support.servers import make_server, running

KILLS = 8
MESSAGES_PER_S = 60
BETWEEN_KILLS_S = (1.5, 3.5)
SEED = 7

_KEYS = PartitionKeys.of("default")
_QUIET_S = 2 * VISIBILITY_TIMEOUT_S + 10  # nothing more was done for so long: nothing more will be
_LATEST_S = 180.0


class Killable(Protocol):
    """A broker."""

    @property
    def url(self) -> str: ...

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True)
class Scenario:
    """One way in.

    Attributes:
        name: as the table shows it.
        broker: that is killed.
        worker: that is killed.
        send: sends one message; an exception means that it may not be there.
        done: ids of what was done, with repeats.
    """

    name: str
    broker: Killable
    worker: WorkerProcess
    send: Callable[[str], None]
    done: Callable[[], Counter[str]]


class Producer(threading.Thread):
    """Sends at a steady rate until stopped; a message that failed is not sent again."""

    def __init__(self, send: Callable[[str], None]) -> None:
        super().__init__(daemon=True)
        self._send = send
        self._stopping = threading.Event()
        self.accepted: list[str] = []
        self.refused = 0

    def run(self) -> None:
        number, next_s = 0, time.monotonic()
        while not self._stopping.wait(max(0.0, next_s - time.monotonic())):
            next_s = max(next_s + 1 / MESSAGES_PER_S, time.monotonic() - 1.0)
            try:
                self._send(f"M-{number}")
            except Exception:
                self.refused += 1
            else:
                self.accepted.append(f"M-{number}")
            number += 1

    def stop(self) -> None:
        self._stopping.set()
        self.join()


@click.command()
def kills() -> None:
    """Kill -9 of the broker and of the worker: who loses messages, who does them twice."""
    report = measure()
    show(report)
    publish([report])


@timed
def measure() -> Report:
    """A row for each scenario and each process that is killed."""
    rows: dict[str, Any] = {}
    for scenario in (hand_written_over_redis, stream, task_over_redis, hand_written_over_rabbitmq, task_over_rabbitmq):
        for victim in ("broker", "worker"):
            with tempfile.TemporaryDirectory(prefix="kills-") as directory:
                if "rabbitmq" in scenario.__name__ and not RabbitMq.available():
                    rows[f"{scenario.__name__}, {victim} killed"] = "not run: no rabbitmq-server"
                    continue
                with scenario(Path(directory)) as opened:
                    row = rows[f"{opened.name}, {victim} killed"] = _run(opened, victim)
                    click.echo(f"{opened.name}, {victim} killed: {row}", err=True)
    return Report("kills", "Kill -9 of the broker and of the worker", facts=rows)


def _run(scenario: Scenario, victim: str) -> dict[str, Any]:
    chance = random.Random(SEED)
    producer = Producer(scenario.send)
    producer.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(*BETWEEN_KILLS_S))
        if victim == "broker":
            scenario.broker.kill()
            scenario.broker.start()
        else:
            scenario.worker.kill()
            scenario.worker.start()
    time.sleep(BETWEEN_KILLS_S[1])
    producer.stop()
    accepted = set(producer.accepted)
    done = _all_done(scenario, accepted)
    if stuck := len(accepted - set(done)):  # a worker that is there and consumes nothing; what is lost stays away
        scenario.worker.kill()
        scenario.worker.start()
        done = _all_done(scenario, accepted)
    time.sleep(VISIBILITY_TIMEOUT_S + 2)  # what is done twice comes after a while
    done = scenario.done()
    lost = len(accepted - set(done))
    return {
        "kills": KILLS,
        "accepted": len(accepted),
        "refused": producer.refused,
        "lost": lost,
        "twice": sum(1 for times in done.values() if times > 1),
        "only after another restart": stuck - lost,
    }


def _all_done(scenario: Scenario, accepted: set[str]) -> Counter[str]:
    """The messages that were done, once all are or none comes any more."""
    done, since, started = scenario.done(), time.monotonic(), time.monotonic()
    while accepted - set(done) and time.monotonic() - since < _QUIET_S and time.monotonic() - started < _LATEST_S:
        time.sleep(0.5)
        now = scenario.done()
        if now != done:
            done, since = now, time.monotonic()
    return done


# -- the scenarios -----------------------------------------------------------------------------------------------------


@contextmanager
def hand_written_over_redis(directory: Path) -> Iterator[Scenario]:
    """Late acknowledgement, reject on worker lost, Redis as the broker."""
    with (
        running(make_server("redis-server", directory / "server")) as broker,
        _hand_written("hand-written worker, Redis", directory, broker) as scenario,
    ):
        yield scenario


@contextmanager
def hand_written_over_rabbitmq(directory: Path) -> Iterator[Scenario]:
    """The same with RabbitMQ and publisher confirms."""
    with _rabbitmq(directory) as broker, _hand_written("hand-written worker, RabbitMQ", directory, broker) as scenario:
        yield scenario


@contextmanager
def stream(directory: Path) -> Iterator[Scenario]:
    """The stream: a producer appends, the owner reads by position."""
    with running(make_server("redis-server", directory / "server")) as server, connect(server.url) as redis:
        settings = Settings(redis_url=server.url, state_dir=directory / "state")
        client = Client(settings, redis)

        def send(id_: str) -> None:
            client.log.append([command_fields("item.upsert", {"id": id_, "text": f"message {id_}"}, key=id_)])

        with OwnerProcess(settings, directory / "worker.log") as worker:
            yield Scenario("stream", server, worker.running(), send, lambda: _published(server.url))


@contextmanager
def task_over_redis(directory: Path) -> Iterator[Scenario]:
    """`recommender.ingest` by name, through a Redis broker that also holds the streams."""
    with running(make_server("redis-server", directory / "server")) as server:
        settings = Settings(
            redis_url=server.url, broker_url=server.url, result_backend="disabled", state_dir=directory / "state"
        )
        with _task("recommender.ingest by name, Redis", directory, settings, server) as scenario:
            yield scenario


@contextmanager
def task_over_rabbitmq(directory: Path) -> Iterator[Scenario]:
    """`recommender.ingest` by name, through RabbitMQ; the streams are in a Redis that is not killed."""
    with running(make_server("embedded", directory / "server")) as server, _rabbitmq(directory) as broker:
        settings = Settings(
            redis_url=server.url, broker_url=broker.url, result_backend="disabled", state_dir=directory / "state"
        )
        with _task("recommender.ingest by name, RabbitMQ", directory, settings, broker) as scenario:
            yield scenario


@contextmanager
def _hand_written(name: str, directory: Path, broker: Killable) -> Iterator[Scenario]:
    sink = directory / "done"
    sink.touch()
    app = hand_written(broker.url)

    def send(id_: str) -> None:
        app.send_task("dedup.ingest", [{"id": id_, "text": f"message {id_}"}], retry=False, task_id=id_)

    worker = WorkerProcess(
        "benchmarks.kill_apps:hand",
        Settings(broker_url=broker.url, redis_url=broker.url),
        directory / "worker.log",
        ["--concurrency=2"],
        environment={SINK: str(sink)},
    )
    with worker:
        yield Scenario(name, broker, worker.running(), send, lambda: Counter(sink.read_text().split()))
    app.close()


@contextmanager
def _task(name: str, directory: Path, settings: Settings, broker: Killable) -> Iterator[Scenario]:
    app = ours(settings)

    def send(id_: str) -> None:
        app.send_task(
            "recommender.ingest",
            [{"id": id_, "text": f"message {id_}"}],
            queue=_KEYS.queue,
            ignore_result=True,
            retry=False,
            task_id=id_,
        )

    with OwnerProcess(settings, directory / "worker.log", app="benchmarks.kill_apps:recommender") as worker:
        yield Scenario(name, broker, worker.running(), send, lambda: _published(settings.redis_url))
    app.close()


@contextmanager
def _rabbitmq(directory: Path) -> Iterator[RabbitMq]:
    with ExitStack() as stack:
        broker = RabbitMq(directory / "rabbitmq")
        stack.callback(broker.stop)
        broker.start()
        yield broker


def _published(url: str) -> Counter[str]:
    """Items with a verdict in the events stream."""
    done: Counter[str] = Counter()
    with suppress(ConnectionError, OSError), connect(url) as redis:
        entries: Any = redis.xrange(_KEYS.events)
        for _, fields in entries:
            if fields[b"type"] == b"recommender.item.processed.v1":
                done[json.loads(fields[b"event"])["data"]["item_id"]] += 1
    return done
