"""A collection changes its model under a real worker and steady traffic, and back; again with kills of the worker.

Every item that was sent has to have one event, decided by the model that was live at its place of the stream.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import click

from benchmarks.output import publish, show, timed
from benchmarks.report import Report
from benchmarks.texts import CHOICES, measured_texts
from benchmarks.worker_process import bench_settings
from celery_recommender.broker.coordination.status import read_status
from celery_recommender.celery.tasks.questions import Stats
from celery_recommender.celery.worker.plugin import catalogue
from celery_recommender.client import Client
from celery_recommender.measuring import percentile
from celery_recommender.sandbox import WORKER, start, stop, wait_for
from celery_recommender.settings import Settings, process_environment
from recommender_engine.embedding import identity_of
from recommender_engine.items import DEFAULT_MODEL, EntryId, ItemProcessed, ModelPromoted

_COLLECTION = "texts"
_BATCH = 500
_FEW = 25  # those that have just arrived
_WAIT_S = 3600.0


class _Worker:
    """The worker of the partition, which can be killed and started again."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self._settings = settings
        self._client = client
        self._log = settings.state_dir / "worker.log"
        self.kills = 0
        self.begin()

    def begin(self) -> None:
        """Start it, and wait until it serves."""
        self._process = start(WORKER, {**process_environment(), **self._settings.to_environment()}, self._log)
        wait_for(self._require, self._serves)

    def kill(self) -> None:
        """End it by SIGKILL, and start another."""
        self._process.kill()
        self._process.wait()
        self.kills += 1
        self.begin()

    def end(self) -> None:
        stop(self._process)

    def _require(self) -> None:
        if self._process.poll() is not None:
            raise click.ClickException(f"the worker has ended: {self._log.read_text(errors='replace')[-2000:]}")

    def _serves(self) -> bool:
        status = read_status(self._client.redis, self._client.keys) or {}
        return (status.get("state"), status.get("pid")) == ("running", self._process.pid)


@dataclass
class _Traffic:
    """Items that were sent, and what came of them.

    Attributes:
        sent: when, by position in the commands stream.
        phases: what went on then.
        answered: events by position: when, and by which model.
        switches: positions of promotions with the model that is live behind each.
    """

    texts: Sequence[str]
    rate: float
    phase: str = "before"
    sent: dict[str, float] = field(default_factory=dict)
    phases: dict[str, str] = field(default_factory=dict)
    answered: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    switches: list[tuple[EntryId, str]] = field(default_factory=list)

    def send(self, client: Client, ended: threading.Event) -> None:
        """Send an item each 1 / rate seconds."""
        began = time.monotonic()
        while not ended.wait(max(0.0, began + len(self.sent) / self.rate - time.monotonic())):
            number = len(self.sent)
            text = f"{self.texts[number % len(self.texts)]} [{number}]"
            phase, now = self.phase, time.monotonic()
            position = str(client.ingest({"id": f"live-{number}", "collection": _COLLECTION, "text": text}))
            self.phases[position], self.sent[position] = phase, now

    def read(self, client: Client, after: EntryId, ended: threading.Event) -> None:
        """Note the events of the partition as they come."""
        for event in client.events({client.home: after}, until=ended.is_set):
            data, now = event["data"], time.monotonic()
            position = data["command"]["id"]
            if event["type"] == ItemProcessed.type:
                self.answered.setdefault(position, []).append((now, data["model"]))
            elif event["type"] == ModelPromoted.type:
                self.switches.append((EntryId.parse(position), f"{data['model']}@{data['digest']}"))

    def wrong(self, first: str) -> list[str]:
        """Positions without exactly one event, or decided by a model that was not live there."""
        found = []
        for position in self.sent:
            place, live = EntryId.parse(position), first
            for switch, model in self.switches:
                live = model if switch < place else live
            if [model for _, model in self.answered.get(position, [])] != [live]:
                found.append(position)
        return found

    def milliseconds(self) -> dict[str, dict[str, float]]:
        """From the append of an item to its event, by phase."""
        by_phase: dict[str, list[float]] = {}
        for position, phase in self.phases.items():
            for seen, _ in self.answered.get(position, [])[:1]:
                by_phase.setdefault(phase, []).append((seen - self.sent[position]) * 1000)
        return {
            phase: {
                "items": len(taken),
                **{f"p{percent}": round(percentile(taken, percent), 1) for percent in (50, 99)},
                "most": round(max(taken), 1),
            }
            for phase, taken in by_phase.items()
        }


@click.command("model-change")
@click.option("--model", "path", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--texts", "name", default="openoffice", show_default=True, type=click.Choice(CHOICES))
@click.option("--items", default=20_000, show_default=True, help="Items that are there before the change.")
@click.option("--rate", default=5.0, show_default=True, help="Live items a second.")
@click.option("--kills", default=20, show_default=True, help="Of the worker, in the second round.")
@click.option("--seed", default=0, show_default=True, help="Of the moments of the kills.")
def model_change(path: Path, name: str, items: int, rate: float, kills: int, seed: int) -> None:
    """A change of the model under a real worker and traffic, and back; again, with kills."""
    report = measure(path, name, items, rate, kills, seed)
    show(report)
    publish([report])
    if report.facts["wrong"]:
        raise click.ClickException(f"{report.facts['wrong']} items have no event, more than one, or a wrong model")


@timed
def measure(path: Path, name: str, items: int, rate: float, kills: int, seed: int) -> Report:
    """Both rounds on one state."""
    texts = measured_texts(name).texts
    with bench_settings(models=(f"other={path.resolve()}",)) as settings:
        client = Client(settings)
        models = {one: identity_of(catalogue(settings), one) for one in (DEFAULT_MODEL, "other")}
        digests = {one: found.fingerprint for one, found in models.items()}
        worker = _Worker(settings, client)
        try:
            filled = [f"{texts[n % len(texts)]} ({n})" if n >= len(texts) else texts[n] for n in range(items)]
            fill_s = _fill(client, filled)
            traffic = _Traffic(texts, rate)
            with _running(traffic, settings):
                facts = _round(traffic, client, digests)
                if kills:
                    chance = Random(seed)
                    facts |= _round(traffic, client, digests, _Kills(worker, chance, kills, items))
        finally:
            worker.end()
        wrong = traffic.wrong(models[DEFAULT_MODEL].key)
        client.close()
    return Report(
        "model-change",
        "A change of the model through the live stream",
        f"{name}, {items:,} items, {rate:g} live items a second",
        facts={
            "items sent meanwhile": len(traffic.sent),
            "wrong": len(wrong),
            "kills": worker.kills,
            "seconds to fill": round(fill_s),
            **facts,
            **{f"ms, {phase}": value for phase, value in traffic.milliseconds().items()},
        },
    )


def _fill(client: Client, texts: Sequence[str]) -> float:
    """Send the items that are there before, and wait for them; how many seconds that took."""
    began = time.monotonic()
    for start_at in range(0, len(texts), _BATCH):
        part = enumerate(texts[start_at : start_at + _BATCH], start_at)
        sent = client.ingest_many([{"id": f"i{n}", "collection": _COLLECTION, "text": text} for n, text in part])
        client.outcome(sent[-1], timeout_s=_WAIT_S)
    return time.monotonic() - began


@contextmanager
def _running(traffic: _Traffic, settings: Settings) -> Iterator[None]:
    """Send and read in threads; at the end, wait until all that was sent has been answered."""
    sending, reading = threading.Event(), threading.Event()
    sender, reader = Client(settings), Client(settings)
    threads = [
        threading.Thread(target=traffic.send, args=(sender, sending), daemon=True),
        threading.Thread(target=traffic.read, args=(reader, reader.last_event(), reading), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        sending.set()
        threads[0].join()
        deadline = time.monotonic() + 120
        while len(traffic.answered) < len(traffic.sent) and time.monotonic() < deadline:
            time.sleep(0.1)
        reading.set()
        threads[1].join()
        sender.close()
        reader.close()


class _Kills:
    """Kills the worker: while old items are embedded, within a switch, and behind it.

    Args:
        worker: that is killed.
        chance: of the moments.
        count: of kills, of which a quarter meet the switches.
        items: that are embedded again.
    """

    def __init__(self, worker: _Worker, chance: Random, count: int, items: int) -> None:
        self._worker = worker
        self._chance = chance
        self._of_a_switch = count // 8
        self._places = sorted(chance.sample(range(_FEW, items), count - 2 * self._of_a_switch))

    def embedding(self, left: int) -> None:
        """Called again and again with the number of items that have yet to be embedded."""
        if self._places and left <= self._places[-1]:
            self._places.pop()
            self._worker.kill()

    @contextmanager
    def switching(self) -> Iterator[None]:
        """Around the command that switches."""
        killer = threading.Thread(target=self._kill)
        killer.start()
        yield
        killer.join()

    def _kill(self) -> None:
        for _ in range(self._of_a_switch):
            time.sleep(self._chance.uniform(0, 4))
            self._worker.kill()


def _round(
    traffic: _Traffic, client: Client, digests: dict[str, str], kills: _Kills | None = None, rest_s: float = 20.0
) -> dict[str, Any]:
    """Propose, wait, promote, roll back and drop; how many seconds each took."""
    suffix = "" if kills is None else ", kills"
    taken: dict[str, Any] = {}

    def command(send: Callable[..., EntryId], model: str, phase: str) -> None:
        began = time.monotonic()
        traffic.phase = phase + suffix
        with nullcontext() if kills is None or phase == "proposed" else kills.switching():
            client.outcome(send(_COLLECTION, model, digests[model]), timeout_s=_WAIT_S)
            taken[f"{phase}, s{suffix}"] = round(time.monotonic() - began, 2)

    traffic.phase = f"before{suffix}"
    time.sleep(rest_s)
    command(client.propose_model, "other", "proposed")
    began = time.monotonic()
    while (left := _left(client)) > _FEW:
        if kills is not None:
            kills.embedding(left)
        time.sleep(0.5)
    taken[f"all embedded again, s{suffix}"] = round(time.monotonic() - began, 1)
    command(client.promote_model, "other", "promoted")
    time.sleep(rest_s)
    command(client.promote_model, DEFAULT_MODEL, "rolled back")
    time.sleep(rest_s)
    client.outcome(client.drop_model(_COLLECTION, "other", digests["other"]), timeout_s=_WAIT_S)
    return taken


def _left(client: Client) -> int:
    second = client.ask(Stats.name)["collections"][_COLLECTION]["second_model"]
    return int(second["left"])
