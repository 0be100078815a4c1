"""The logs that `tools.same_events` records: samples, public streams, the crash tests' workload, all kinds at random,
and a move between two partitions."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recommender_engine.items import Entry, EntryId, Item, RejectedCommand
from recommender_engine.matching import LearnedMatcher
from tests.faults.workload import make_workload
from tests.support import samples
from tests.support.partitions import Pair
from tools.arrivals import STREAMS, Arrivals, rows_of, whole_groups
from tools.same_events import RecordedLog

START_MS = 1_767_225_600_000  # 2026-01-01
OF_BANKING, OF_OPENOFFICE = 3000, 1500
WORKLOADS, OF_WORKLOAD = 3, 400
RANDOM_LOGS, OF_RANDOM = 4, 400


class Writer:
    """A log as a producer, an owner and a mover append it."""

    def __init__(self, name: str, models: str = "real", partition: str = "default") -> None:
        self._last = EntryId(START_MS, 0)
        self._log = RecordedLog(name, models, partition, [])

    def add(
        self, type_: str, data: Any, *, later_ms: int = 1, fields: Mapping[str, str] | None = None, **how: Any
    ) -> None:
        """The next entry; ``data`` as it is (bytes) or as JSON."""
        raw = data if isinstance(data, bytes) else json.dumps(data, ensure_ascii=False).encode()
        said = {"type": type_, "data": raw.decode("latin-1"), **(fields or {})}
        self.put(self._last.next_at(self._last.ms + later_ms), said, **how)

    def put(self, id_: EntryId, fields: Mapping[str, str], *, permitted: bool = True, **how: Any) -> None:
        """An entry in its own place."""
        self._last = id_
        self._log.entries.append({"id": str(id_), "fields": dict(fields), "permitted": permitted, **how})

    def done(self) -> RecordedLog:
        return self._log


def recorded_logs(data: Path) -> Iterator[RecordedLog]:
    """All of them.

    Args:
        data: folder of the public sets.
    """
    for name in ("sample_tickets", "sample_products"):
        yield stream(name, STREAMS[name](data), answered=True)
    yield stream("openoffice", whole_groups(STREAMS["bugs_openoffice"](data), OF_OPENOFFICE), answered=True)
    yield stream("banking77", questions(data), answered=False)
    for seed in range(WORKLOADS):
        yield workload(seed)
    for seed in range(RANDOM_LOGS):
        yield at_random(seed)
    yield from moved()


# -- items -------------------------------------------------------------------------------------------------------------


def stream(name: str, arrivals: Arrivals, *, answered: bool) -> RecordedLog:
    """Items in the order they came, without a limit of their rate; of some a person says what they are."""
    log = Writer(name)
    log.add("collection.configured", {"collection": "default", "settings": {"review_budget": 0.2}})
    chance, first = random.Random(f"answers {name}"), {}
    for number, item in enumerate(arrivals.items):
        log.add("item.upsert", item.model_dump(mode="json", exclude_defaults=True))
        original = first.setdefault(int(arrivals.groups[number]), item.id)
        if answered and number and chance.random() < 0.2:
            other = original if original != item.id else arrivals.items[chance.randrange(number)].id
            answer = "same" if original != item.id else "different"
            log.add("feedback.given", {"id": item.id, "other": other, "answer": answer, "by": "a person"})
    return log.done()


def questions(data: Path) -> Arrivals:
    rows = rows_of(data / "intent_banking77" / "tickets.csv.gz")
    chosen = random.Random("banking77").sample(rows, OF_BANKING)
    items = [Item(id=f"q{number}", text=row["text"]) for number, row in enumerate(chosen)]
    return Arrivals(items, np.arange(len(items)))


# -- commands of every kind --------------------------------------------------------------------------------------------


def workload(seed: int) -> RecordedLog:
    """What the crash tests append."""
    log = Writer(f"workload-{seed}")
    for id_, fields in make_workload(seed, START_MS, OF_WORKLOAD).log:
        log.put(id_, {name: _latin(value) for name, value in fields.items()})
    return log.done()


def _latin(value: str | bytes) -> str:
    return (value if isinstance(value, bytes) else value.encode()).decode("latin-1")


TEXTS = (
    *samples.TEXTS,
    "refund of 20 EUR",
    "refund of 20.00 EUR please",
    "host web-01.example.org disk usage 91%",
    "host web-02.example.org disk usage 91%",
    "USB cable 2 m, black",
    "USB cable 3 m, black",
    "USB cable 2 m, white, 5 V",
)
MALFORMED = (*samples.MALFORMED, b'{"id":"a"}')
SETTINGS = (*samples.SETTINGS, {"commands_per_second": 0.5, "burst": 3}, {"candidates": 0})
IDS = [f"i{number}" for number in range(12)]
COLLECTIONS = ("default", "default", "tickets", "products")
DIMENSION = 384


class _Everything:
    """Commands of every kind, about few items, so that they meet."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(f"everything {seed}")
        self._log = Writer(f"random-{seed}")

    def write(self, commands: int) -> RecordedLog:
        kinds = {
            self._upsert: 40,
            self._patch: 6,
            self._delete: 6,
            self._feedback: 14,
            self._configure: 4,
            self._malformed: 4,
            self._of_owners: 5,
            self._refused_at_the_door: 4,
            self._elsewhere: 2,
            self._delete_collection: 1,
        }
        for _ in range(commands):
            (write,) = self._chance.choices(list(kinds), list(kinds.values()))
            write()
        return self._log.done()

    def _add(self, type_: str, data: Any, fields: Mapping[str, str] | None = None, **how: Any) -> None:
        named = {"key": self._chance.choice(("k1", "k2", "k3"))} if self._chance.random() < 0.2 else {}
        if self._chance.random() < 0.1:
            named["reply_to"] = f"celery:task-{self._chance.randrange(1000)}"
        later_ms = self._chance.choice(samples.PAUSES_MS)
        self._log.add(type_, data, later_ms=later_ms, fields={**named, **(fields or {})}, **how)

    def _target(self) -> dict[str, Any]:
        return {"id": self._chance.choice(IDS), "collection": self._chance.choice(COLLECTIONS)}

    def _versioned(self) -> dict[str, Any]:
        chance = self._chance
        said: dict[str, Any] = {"version": chance.choice((1, 2, 3))} if chance.random() < 0.3 else {}
        return {**said, "silent": True} if chance.random() < 0.2 else said

    def _upsert(self) -> None:
        chance = self._chance
        data = {**self._target(), **self._versioned()}
        if chance.random() < 0.2:
            data["fields"] = {"title": chance.choice(TEXTS), "description": chance.choice(TEXTS)}
        else:
            data["text"] = chance.choice(TEXTS)
        if chance.random() < 0.3:
            data["attributes"] = {"price": chance.choice((1, 2.5, "x"))}
        if chance.random() < 0.2:
            data["timestamp"] = f"2026-01-0{chance.randint(1, 9)}T10:00:00Z"
        if chance.random() < 0.2:
            data["vector"] = _at(chance.choice((0, 20, 38, 58, 180)), chance.choice((DIMENSION, DIMENSION, 2)))
        self._add("item.upsert", data)

    def _patch(self) -> None:
        attributes = self._chance.choice(({"price": 2}, {"price": None}, {"seen": True}))
        self._add("item.patch", {**self._target(), "attributes": attributes, **self._versioned()})

    def _delete(self) -> None:
        if self._chance.random() < 0.3:
            self._add("item.erase", self._target())
        else:
            self._add("item.delete", {**self._target(), **self._versioned()})

    def _feedback(self) -> None:
        target, other = self._target(), self._chance.choice(IDS)
        if other == target["id"] or self._chance.random() < 0.3:
            self._add("feedback.given", {**target, "answer": self._chance.choice(("right", "wrong")), "by": "jo"})
        else:
            answer = self._chance.choice(("same", "same", "different", "different", "unsure"))
            self._add("feedback.given", {**target, "other": other, "answer": answer})

    def _configure(self) -> None:
        data = {"collection": self._chance.choice(COLLECTIONS), "settings": self._chance.choice(SETTINGS)}
        self._add("collection.configured", data)

    def _delete_collection(self) -> None:
        self._add("collection.deleted", {"collection": self._chance.choice(COLLECTIONS[2:])})

    def _malformed(self) -> None:
        type_ = self._chance.choice(("item.upsert", "item.upsert", "feedback.given", "item.unheard_of"))
        self._add(type_, self._chance.choice(MALFORMED))

    def _of_owners(self) -> None:
        refused = {
            "source": "celery",
            "code": self._chance.choice(("not_json", "unknown_task")),
            "message": "no task of ours",
            "payload": "what it was",
            "payload_encoding": "utf-8",
            "payload_bytes": 11,
        }
        type_, data = self._chance.choice(
            (
                ("clock.ticked", {}),
                ("command.quarantined", {"entry": "1-0", "reason": "it ends a process"}),
                ("message.refused", refused),
            )
        )
        self._add(type_, data)

    def _refused_at_the_door(self) -> None:
        """Entries of which an owner makes rejections: quarantined, expired, without a proof, with unknown fields."""
        upsert = {**self._target(), "text": self._chance.choice(TEXTS)}
        self._chance.choice(
            (
                lambda: self._add("item.upsert", upsert, quarantined="it ended three processes"),
                lambda: self._add("item.upsert", upsert, {"expires_ms": "1"}),
                lambda: self._add("item.upsert", upsert, {"unheard": "of"}),
                lambda: self._add("collection.deleted", {"collection": "tickets"}, permitted=False),
                lambda: self._add("item.upsert", upsert, {"key": "\x01"}),
            )
        )()

    def _elsewhere(self) -> None:
        self._add("item.upsert", {"id": "far", "collection": "far", "text": TEXTS[0]}, elsewhere="b")


def at_random(seed: int) -> RecordedLog:
    return _Everything(seed).write(OF_RANDOM)


def _at(degrees: float, dimension: int) -> list[float]:
    radians = math.radians(degrees)
    return [math.cos(radians), math.sin(radians), *[0.0] * (dimension - 2)]


# -- a move ------------------------------------------------------------------------------------------------------------


def moved() -> Iterator[RecordedLog]:
    """The logs of two partitions between which a collection moves while commands for it come, there and back."""
    pair = Pair(matcher=LearnedMatcher)
    try:
        chance, numbers = random.Random("a move"), iter(range(10_000))

        def send(count: int) -> None:
            for _ in range(count):
                place = next(numbers)
                item = {"id": f"i{place % 40}", "collection": "c"}
                kind = chance.random()
                if kind < 0.7:
                    pair["a"].add("item.upsert", {**item, "text": chance.choice(TEXTS[:-1])}, key=f"k{next(numbers)}")
                elif kind < 0.8:
                    pair["a"].add("item.delete", item)
                else:
                    answer = chance.choice(("same", "different"))
                    pair["a"].add("feedback.given", {**item, "other": f"i{(place + 3) % 40}", "answer": answer})

        for name in ("a", "b"):
            pair[name].add("item.upsert", {"id": "o", "collection": "other", "text": TEXTS[0]})
        send(80)
        pair.settle()
        sealed = 0
        for source, target, move in (("a", "b", "m1"), ("b", "a", "m2")):
            for _ in pair.move(source, target, move):
                send(3)
                pair["a"].decide()
                pair.pump()
                if move == "m1" and not sealed and pair["a"].engine.moving.status("c")["place"] == "leaving":
                    sealed = len(pair["a"].entries)
            pair.settle()
            send(20)
            pair.settle()
        yield _of_side("moves-a", "a", pair["a"].entries)
        yield _of_side("moves-b", "b", pair["b"].entries)
        yield _of_side("moves-a-sealed", "a", pair["a"].entries[:sealed])
    finally:
        pair.close()


def _of_side(name: str, partition: str, entries: Sequence[Entry]) -> RecordedLog:
    log = Writer(name, "deterministic", partition)
    for one in entries:
        if isinstance(one.command, RejectedCommand):
            raise ValueError("a move appends only what can be read")
        fields = {"type": one.command.type, "data": _latin(one.command.model_dump_json(exclude_unset=True))}
        named = {"key": one.key, "reply_to": one.reply_to, "via": ",".join(one.via) or None}
        fields |= {name: _latin(value) for name, value in named.items() if value is not None}
        log.put(one.id, fields, elsewhere=one.elsewhere)
    return log.done()
