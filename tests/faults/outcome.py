"""What a run leaves behind, and in what two runs differ."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from redis import Redis

from recommender_engine import open_recommender
from recommender_engine.embedding import Encoders
from recommender_engine.items import EntryId
from recommender_engine.items.limits import KEY_WINDOW_MS
from recommender_engine.opening import DATABASE
from tests.faults.workload import Workload
from tests.support.streams import PROCESSED, REJECTED, Published, outcomes, published, without_quotes

DELIVERIES = "deliveries"
"""The queue of the user's own task."""

_OUTBOX_MS = 48 * 3600 * 1000
_TIMINGS = re.compile(r'"timings":\{[^{}]*\},?')
# The position of the run is compared apart; the others name the directory, files in it, or notes of the delivery.
_NOTES_OF_THE_RUN = (
    *("position", "clock_ms", "identity", "delivered", "epoch", "proof secrets"),
    *("something was erased", "words were removed"),  # how far upkeep has come with the word index
    *("events kept", "keys kept"),  # … and with what is kept for a time
)
_VECTOR = 8  # place of the column in the table of items
_TABLES = (
    *("collections", "vectors", "points", "items", "tombstones", "terms", "answers", "models", "sqlite_sequence"),
    *("users", "used_items", "sessions", "session_rings", "interactions", "behaviour_redo", "list_weights"),
)


class Outcome(NamedTuple):
    """What a run leaves behind.

    Attributes:
        events: the events stream, without timings and without reasons that an erasure may or may not have caught.
        results: what callers were told, by task id.
        delivered: ids of events that the user's own task was called with, and how often.
        tables: rows of the state that matter, by table.
        waiting: replies and redactions that are still to be done.
        stats: counts as the engine gives them.
        ids: all events that were ever given an id, as far as they are kept.
        answered: commands with an outcome; rejected ones among them.
    """

    events: list[Published]
    results: dict[str, Any]
    delivered: Counter[str]
    tables: dict[str, list[Any]]
    waiting: int
    stats: dict[str, Any]
    ids: set[str]
    answered: set[str]
    rejected: set[str]

    @property
    def undelivered(self) -> set[str]:
        """Verdicts that the user's own task was not called with."""
        return {event.id for event in self.events if event.type == PROCESSED} - set(self.delivered)

    @property
    def untold(self) -> set[str]:
        """Callers that got no result."""
        return {task_id for task_id, result in self.results.items() if result is None}

    def without_carried(self, other: Outcome) -> Outcome:
        """The same, with what was carried into Celery taken from another run."""
        return self._replace(results=other.results, delivered=self.delivered + Counter(self.undelivered))


def collect(redis: Redis, state: Path, workload: Workload, encoders: Encoders | None) -> Outcome:
    """What the run left behind in Redis and in the state directory; the worker has ended.

    Without ``encoders`` the engine is not asked.
    """
    events = published(redis)
    stats = {} if encoders is None else _stats(state, workload, encoders)
    with sqlite3.connect(state / DATABASE) as database:
        tables = _tables(database, workload.last.ms)
        (waiting,) = database.execute(
            "SELECT (SELECT count(*) FROM replies) + (SELECT count(*) FROM redactions)"
        ).fetchone()
        rows = database.execute("SELECT ms || '-' || n, type, event FROM outbox").fetchall()
    database.close()
    kept = [Published(id_, type_, event.encode()) for id_, type_, event in rows]
    answers = outcomes([*events, *kept])
    return Outcome(
        events=without_quotes([event.without_timings() for event in events]),
        results={task_id: _result(redis, task_id) for task_id in workload.callers},
        delivered=delivered(redis),
        tables=tables,
        waiting=waiting,
        stats=stats,
        ids={event.id for event in (*events, *kept)},
        answered={event.command for event in answers},
        rejected={event.command for event in answers if event.type == REJECTED},
    )


def _stats(state: Path, workload: Workload, encoders: Encoders) -> dict[str, Any]:
    engine = open_recommender(state, encoders)  # checks the database, and builds the indexes from files and rows
    try:
        stats = engine.stats()
    finally:
        engine.close()
    if EntryId.parse(stats["position"]) >= workload.last:
        stats["position"] = "the end"  # or a tick of the clock behind it
    for collection in stats["collections"].values():
        del collection["recall"]  # of when it was last sampled, if it was since the index was loaded
    return stats


def delivered(redis: Redis) -> Counter[str]:
    """Ids of the events that the user's own task was called with."""
    messages: Any = redis.lrange(DELIVERIES, 0, -1)
    return Counter(json.loads(message)["headers"]["id"].partition(":")[2] for message in messages)


def differences(
    outcome: Outcome, undisturbed: Outcome, workload: Workload, *, ordered: bool, tolerance: float
) -> list[str]:
    """In what a run differs from the undisturbed one; nothing, if all is well.

    Args:
        outcome: of the run.
        undisturbed: what it should be.
        workload: of both.
        ordered: whether the run ended in order, and so has noted what it did.
        tolerance: by how much fractions may differ.
    """
    found = [*_conservation(outcome, workload), *_events(outcome, undisturbed, tolerance)]
    for name, rows in undisturbed.tables.items():
        if not _alike(outcome.tables[name], rows, tolerance):
            found.append(f"table {name}: {_first_difference(outcome.tables[name], rows, tolerance)}")
    for name in ("results", "stats"):
        one, other = getattr(outcome, name), getattr(undisturbed, name)
        if not _alike(one, other, tolerance):
            found.append(f"{name}: {one} instead of {other}")
    if ordered and outcome.waiting:
        found.append(f"{outcome.waiting} replies or redactions are still waiting after an ordered end")
    return found


def _conservation(outcome: Outcome, workload: Workload) -> Iterator[str]:
    """Published = committed + rejected, each once; repeats of a key have no outcome of their own."""
    missing = len(workload.log) - workload.repeats - len(outcome.answered)
    if missing:
        yield f"{missing} commands without an outcome"
    twice = [id_ for id_, times in Counter(event.id for event in outcome.events).items() if times > 1]
    if twice:
        yield f"events that stand in the stream twice: {twice}"
    times = Counter(event.command for event in outcomes(outcome.events))
    if any(count > 1 for count in times.values()):
        yield f"commands with two outcomes: {[id_ for id_, count in times.items() if count > 1]}"
    if outcome.undelivered:
        yield f"events that the user's task was not called with: {sorted(outcome.undelivered)}"


def _events(outcome: Outcome, undisturbed: Outcome, tolerance: float) -> Iterator[str]:
    ids, expected = ([event.id for event in run.events] for run in (outcome, undisturbed))
    if ids != expected:
        yield f"events stream: lacks {sorted(set(expected) - set(ids))}, has besides {sorted(set(ids) - set(expected))}"
    elif not _alike(outcome.events, undisturbed.events, tolerance):
        yield f"events stream: {_first_difference(outcome.events, undisturbed.events, tolerance)}"
    if outcome.rejected != undisturbed.rejected:
        yield f"rejected: {sorted(outcome.rejected ^ undisturbed.rejected)}"
    if strange := set(outcome.delivered) - undisturbed.ids:
        yield f"the user's task was called with events that nobody knows: {sorted(strange)}"


def _tables(database: sqlite3.Connection, end_ms: int) -> dict[str, list[Any]]:
    tables: dict[str, list[Any]] = {
        name: database.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in _TABLES
    }
    _name_vectors(tables)
    tables["sqlite_sequence"] = [row for row in tables["sqlite_sequence"] if row[0] != "replies"]
    tables["words"] = _words(database)
    notes = database.execute("SELECT * FROM meta ORDER BY key").fetchall()
    tables["meta"] = [row for row in notes if row[0] not in _NOTES_OF_THE_RUN and not row[0].startswith("snapshots")]
    outbox = database.execute("SELECT * FROM outbox WHERE ms >= ? ORDER BY ms, n", (end_ms - _OUTBOX_MS,))
    tables["outbox"] = [
        tuple(_TIMINGS.sub("", value) if isinstance(value, str) else value for value in row) for row in outbox
    ]
    tables["keys"] = database.execute(
        "SELECT * FROM keys WHERE ms > ? ORDER BY key", (end_ms - KEY_WINDOW_MS,)
    ).fetchall()
    return tables


def _name_vectors(tables: dict[str, list[Any]]) -> None:
    """Put the key of a vector in place of its row: when a slice comes for a second model depends on the time.

    A vector that nothing uses belongs to a second model, or to one that was dropped and has yet to be swept.
    """
    keys = {row[0]: row[1:3] for row in tables["vectors"]}
    points = [(*row[:2], keys[row[2]]) for row in tables["points"]]
    items = [(*row[:_VECTOR], keys[row[_VECTOR]], *row[_VECTOR + 1 :]) for row in tables["items"]]
    used = {point[2] for point in points} | {item[_VECTOR] for item in items}
    vectors = sorted(row[1:] for row in tables["vectors"] if row[1:3] in used)
    tables.update(points=points, items=items, vectors=vectors)


def _words(database: sqlite3.Connection) -> list[Any]:
    """Which arrivals have which term. The index keeps no text, so it is read through its vocabulary."""
    database.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab('main', 'words', 'instance')")
    rows = database.execute("SELECT term, doc FROM temp.vocabulary ORDER BY term, doc").fetchall()
    database.execute("DROP TABLE temp.vocabulary")
    return rows


def _result(redis: Redis, task_id: str) -> Any:
    """What a caller was told, but for the time and for reasons that an erasure may or may not have caught."""
    stored: Any = redis.get(f"celery-task-meta-{task_id}")
    if stored is None:
        return None
    meta = json.loads(stored)
    told = meta["result"]
    beside = ("timings", "reasons", "explanation")
    return meta["status"], {name: value for name, value in told.items() if name not in beside}


def _alike(one: Any, other: Any, tolerance: float) -> bool:
    """Equal; with a tolerance, but for the last digits of fractions, in JSON and in vectors as well."""
    if not tolerance or one == other:
        return bool(one == other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[name], other[name], tolerance) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_alike(a, b, tolerance) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, abs_tol=tolerance)
    if isinstance(one, str | bytes) and isinstance(other, str | bytes):
        try:
            return _alike(json.loads(one), json.loads(other), tolerance)
        except ValueError:
            return _vectors_alike(one, other, tolerance)
    return False


def _vectors_alike(one: str | bytes, other: str | bytes, tolerance: float) -> bool:
    if not (isinstance(one, bytes) and isinstance(other, bytes)) or len(one) != len(other) or len(one) % 4:
        return False
    return all(
        math.isclose(a, b, abs_tol=tolerance)
        for a, b in zip(*(memoryview(v).cast("f") for v in (one, other)), strict=True)
    )


def _first_difference(one: list[Any], other: list[Any], tolerance: float) -> str:
    for row, expected in zip(one, other, strict=False):
        if not _alike(row, expected, tolerance):
            return f"{row} instead of {expected}"
    return f"{len(one)} rows instead of {len(other)}"
