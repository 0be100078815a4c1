"""The engine and the publisher in one thread, under a scheduler that a seed drives: no process, no server, no clock.

Real are the engine, its store (SQLite, in memory), and the publisher. Simulated are the commands log, the events stream
with its lost replies, and the model with its failures. A crash is an exception at a point of the seam: what was not
committed is gone, and a new engine opens over what was.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from redis.exceptions import ConnectionError as ServerAway

from celery_recommender.broker.events.stream import EventsConflict, EventsSetBack
from celery_recommender.owner.delivery.publisher import Publisher
from recommender_engine import Entry, Recommender, decode_entry
from recommender_engine.errors import EncodingError
from recommender_engine.items import START, EntryId
from recommender_engine.pipeline import Options
from recommender_engine.store import OutboxRow, SqliteStore
from recommender_engine.testing import DeterministicEncoder
from tests.faults.points import POINTS
from tests.faults.saboteur import Saboteur, Shot
from tests.faults.workload import make_workload
from tests.support.encoders import FailingEncoder
from tests.support.engine import Models, outbox_lines
from tests.support.matchers import cosine_matcher
from tests.support.streams import Published, without_quotes

# Moments of the engine's own thread; what is about files, Redis or other threads is left to real processes.
STEPS = ("embed", "candidates", "decide", "transaction", "commit", "index", "scrub", "acknowledge", "prune")
ENGINE_POINTS = tuple(
    point
    for point in POINTS
    if point.step in STEPS and point.target.startswith("recommender_engine.") and "ahead" not in point.name
)
COMMANDS = 20
WRITE_AFTER = 3
"""Rows of behaviour are written after so few interactions: the logs are short."""

LIVES_PER_LOG = 12
START_MS = 1_700_000_000_000

_STEPS_WITH_FAULTS = 60
_STEPS_TO_DRAIN = 200
_OUTBOX_MS = 48 * 3600 * 1000


class Crash(BaseException):
    """The process died."""


class Broken(AssertionError):
    """What must hold does not."""


class EventsSink:
    """An events stream as a server keeps it: ids grow, an entry that stands there is not written again."""

    def __init__(self, chance: random.Random) -> None:
        self.entries: dict[EntryId, OutboxRow] = {}
        self.trouble = 0.0
        self.lost_replies = 0
        self.last = START
        self.fresh: list[OutboxRow] = []
        self._chance = chance

    def last_id(self) -> EntryId:
        self._perhaps_away()
        return self.last

    def publish(self, rows: Sequence[OutboxRow], after: EntryId) -> None:
        """All of it or nothing; whether it was done may stay unknown."""
        self._perhaps_away()
        if self.last < after:
            raise EventsSetBack(f"the stream ends at {self.last}")
        for row in rows:
            if row.id > self.last:
                self.entries[row.id], self.last = row, row.id
                self.fresh.append(row)
            elif self.entries.get(row.id) != row:
                raise EventsConflict(f"another event stands under {row.id}, or behind it")
        self._perhaps_lost()

    def remove(self, ids: Sequence[EntryId]) -> None:
        self._perhaps_away()
        for id_ in ids:
            self.entries.pop(id_, None)
        self._perhaps_lost()

    def _perhaps_away(self) -> None:
        if self._chance.random() < self.trouble:
            raise ServerAway("no answer, and nothing was done")

    def _perhaps_lost(self) -> None:
        if self._chance.random() < self.trouble:
            self.lost_replies += 1
            raise ServerAway("no answer, and everything was done")


class Told(NamedTuple):
    """What a life leaves behind."""

    events: list[Published]
    outbox: list[str]
    position: EntryId
    items: int


class Simulation:
    """One life; everything in it follows from the seed and the log.

    Args:
        seed: of what happens to it.
        entries: the log.
        saboteur: armed with ``ENGINE_POINTS``; it must raise ``Crash``.
        expected: events that may be said, by id; whatever is by default.
    """

    def __init__(
        self, seed: int, entries: Sequence[Entry], saboteur: Saboteur, expected: Mapping[EntryId, str] | None = None
    ) -> None:
        self._chance = random.Random(f"simulation {seed}")
        self._saboteur = saboteur
        self._expected = expected
        self.given: dict[EntryId, str] = {}
        self.entries = entries
        self.encoder = FailingEncoder(DeterministicEncoder(16))
        self.sink = EventsSink(self._chance)
        self.faults: Counter[str] = Counter()
        self._trimmed = START
        self._saboteur.aim(None)
        self._open(SqliteStore(None))

    def disturb(self) -> None:
        """The first half: anything may fail at any step; what has been said is never taken back or said twice."""
        for _ in range(_STEPS_WITH_FAULTS):
            if not self._waiting() and not self._unsaid():
                return
            self.sink.trouble = self._chance.choice((0.0, 0.0, 0.2, 0.6))
            self.encoder.failing = self._chance.random() < 0.15
            shot = None
            if self._chance.random() < 0.4:
                shot = Shot(self._chance.choice(ENGINE_POINTS).name, self._chance.choice((1, 1, 2, 3, 5)))
            self._saboteur.aim(shot)
            try:
                self._step()
            except Crash:
                self.faults["crashes"] += 1
                self._reopen()
            self._check()

    def drain(self) -> None:
        """The second half: nothing fails any more, and everything gets done."""
        self._saboteur.aim(None)
        self.sink.trouble, self.encoder.failing = 0.0, False
        for _ in range(_STEPS_TO_DRAIN):
            if not self._waiting() and not self._unsaid():
                self._publisher.check()
                return
            self._step()
            self._check()
        raise Broken(f"not drained within {_STEPS_TO_DRAIN} steps without faults")

    def told(self) -> Told:
        """What is there at the end."""
        events = [
            Published(str(row.id), row.type, row.event.encode()).without_timings() for row in self.sink.entries.values()
        ]
        stats = self._engine.stats()
        kept = [line for line in outbox_lines(self._engine) if int(line.partition("-")[0]) >= START_MS]
        return Told(without_quotes(events), kept, self._engine.position, stats["items"])

    def _step(self) -> None:
        """One turn of the owner's loop, or a part of it."""
        engine = self._engine
        if self._chance.random() < 0.7:
            batch = [entry for entry in self.entries if entry.id > self._read][: self._chance.randint(1, 6)]
            if batch:
                self._read = self._process(batch)
        if self._chance.random() < 0.7 and not self._publisher.publish():
            self.faults["publishing failed"] += 1
        if self._chance.random() < 0.5:
            self._trimmed = max(self._trimmed, engine.position)
        if self._chance.random() < 0.3:
            self._upkeep()

    def _process(self, batch: list[Entry]) -> EntryId:
        if self._chance.random() < 0.1:  # read once more, as after a reconnection
            batch = [entry for entry in self.entries if self._trimmed < entry.id <= batch[-1].id]
        try:
            events = self._engine.process(batch)
        except EncodingError:
            self.faults["model failed"] += 1
            return self._read
        self.given.update({event.id: event.data.type for event in events})
        return batch[-1].id

    def _upkeep(self) -> None:
        try:
            self._publisher.check()
        except ServerAway:
            self.faults["upkeep failed"] += 1
        self._engine.tidying.prune(_OUTBOX_MS, self._publisher.published)
        self._engine.acknowledge(delivered=self._engine.last_event)

    def _waiting(self) -> bool:
        return self._engine.position < self.entries[-1].id

    def _unsaid(self) -> bool:
        return bool(self._engine.outbox.after(self.sink.last, 1) or self._engine.outbox.redactions())

    def _check(self) -> None:
        """Safety, after every step."""
        if self._trimmed > self._engine.position:
            raise Broken("a command was trimmed whose effects are not committed")
        if self._expected is None:
            return
        strange = [row.id for row in self.sink.fresh if self._expected.get(row.id) != row.type]
        if strange:
            raise Broken(f"published what an undisturbed life does not: {strange}")
        self.sink.fresh.clear()

    def _open(self, store: SqliteStore) -> None:
        self._store = store
        self._engine = Recommender(store, Models(self.encoder), options=Options(matcher=cosine_matcher))
        self._publisher = Publisher(self._engine, self.sink)  # type: ignore[arg-type]
        self._read = self._engine.position
        if self._read < self._trimmed:
            raise Broken(f"committed up to {self._read}, but trimmed up to {self._trimmed}")

    def _reopen(self) -> None:
        """What a new process finds: the committed pages, and nothing of what was in memory."""
        if self._store._db.in_transaction:
            self._store._db.execute("ROLLBACK")
        committed = self._store._db.serialize()
        self._saboteur.aim(None)
        self._store._db.close()
        store = SqliteStore(None)
        store._db.deserialize(committed)
        store.scrub()
        self._open(store)


def make_entries(seed: int, commands: int = COMMANDS) -> list[Entry]:
    """The log of a seed."""
    log = make_workload(seed, START_MS, commands).log
    return [
        decode_entry(id_, str(fields["type"]), fields["data"], _text(fields.get("key")), _text(fields.get("reply_to")))
        for id_, fields in log
    ]


def _text(value: str | bytes | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value


class Trials:
    """Disturbed lives, each compared with an undisturbed one of the same log.

    Args:
        saboteur: armed with ``ENGINE_POINTS``; it must raise ``Crash``.
    """

    def __init__(self, saboteur: Saboteur) -> None:
        self._saboteur = saboteur
        self._log = -1
        self.faults: Counter[str] = Counter()

    def run(self, seed: int) -> None:
        """One trial.

        Raises:
            Broken: what must hold does not; the message names the seed.
        """
        if self._log != seed // LIVES_PER_LOG:
            self._log = seed // LIVES_PER_LOG
            self._entries = make_entries(self._log)
            calm = Simulation(seed, self._entries, self._saboteur)
            calm.drain()
            self._given, self._told = calm.given, calm.told()
        life = Simulation(seed, self._entries, self._saboteur, self._given)
        try:
            life.disturb()
            life.drain()
        except BaseException as error:
            error.add_note(f"seed {seed}, {dict(life.faults)}")
            raise
        told = life.told()
        for name, value in self._told._asdict().items():
            if getattr(told, name) != value:
                raise Broken(f"seed {seed}: {name} is {getattr(told, name)} instead of {value}")
        self.faults += life.faults + Counter({"lost replies": life.sink.lost_replies})


def crash(shot: Shot) -> None:
    """How a saboteur strikes in a simulation."""
    raise Crash(shot.point)
