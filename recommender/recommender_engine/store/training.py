"""Training runs: the answers that a collection's matcher learns from, and the time when the model takes effect."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One training run; a collection has one at a time.

    Attributes:
        collection: its number.
        last: number of the last answer included.
        due_ms: stream time from which the model takes effect.
        stale: whether one of the answers was deleted since.
        begun: number of starts.
    """

    collection: int
    last: int
    due_ms: int
    stale: bool = False
    begun: int = 1


class TrainingExample(NamedTuple):
    """One labelled pair.

    Attributes:
        features: of the pair (JSON).
        same: whether the two are duplicates.
        probability: of the matcher before the answer.
        kind: of text; ``None`` in answers stored by older versions.
    """

    features: str
    same: bool
    probability: float
    kind: str | None = None


class TrainingTable:
    """Reads and writes training runs; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def all(self) -> list[TrainingRun]:
        """Every run, by collection."""
        rows = self._db.execute("SELECT collection, last, due_ms, stale, begun FROM lessons ORDER BY collection")
        return [TrainingRun(id_, last, due_ms, bool(stale), begun) for id_, last, due_ms, stale, begun in rows]

    def put(self, run: TrainingRun) -> None:
        """Record a run, in place of the one of its collection."""
        self._db.execute("INSERT OR REPLACE INTO lessons VALUES (?,?,?,?,?)", astuple(run))

    def remove(self, collection: int) -> None:
        """Delete a training run that took effect or was cancelled."""
        self._db.execute("DELETE FROM lessons WHERE collection=?", (collection,))

    def last_answer(self, collection: int) -> int:
        """Number of the newest answer of a collection; 0 if there is none."""
        row = self._db.execute("SELECT max(id) FROM answers WHERE collection=?", (collection,)).fetchone()
        return int(row[0] or 0)

    def answers(self, collection: int, last: int, limit: int) -> list[TrainingExample]:
        """The newest answers up to number ``last``, in order."""
        rows = self._db.execute(
            "SELECT features, same, probability, kind FROM answers WHERE collection=? AND id <= ?"
            " ORDER BY id DESC LIMIT ?",
            (collection, last, limit),
        ).fetchall()
        return [
            TrainingExample(features, bool(same), probability, kind)
            for features, same, probability, kind in reversed(rows)
        ]
