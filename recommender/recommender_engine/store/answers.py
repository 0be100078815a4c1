"""People's answers on pairs of items, and the model that a collection's matcher learned from them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recommender_engine.items import EntryId
from recommender_engine.store.tally import CollectionCounts


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; the last one on a pair counts.

    Attributes:
        one: the smaller id of the two; ``other`` the larger.
        same: whether the two are duplicates.
        entry: the feedback command.
        by: name of the person.
        probability: of the matcher before the answer, in [0, 1].
        features: of the pair, by name.
        kind: of text, as `recommender_engine.matching` names it; ``None`` in answers stored by older versions.
    """

    one: str
    other: str
    same: bool
    entry: EntryId
    by: str | None
    probability: float
    features: Mapping[str, float]
    kind: str | None = None


_COLUMNS = "one, other, same, entry, said_by, probability, features, kind"
_SELECT = f"SELECT {_COLUMNS} FROM answers WHERE collection=?"  # noqa: S608 (constant)


class AnswerTable:
    """Reads and writes answers; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.counts = CollectionCounts(connection, "answers")

    def all(self, collection: int) -> list[Answer]:
        """Every answer, in order of arrival."""
        return [_answer(row) for row in self._db.execute(f"{_SELECT} ORDER BY id", (collection,))]

    def page(self, collection: int | None, before: int, limit: int) -> list[tuple[int, int, Answer]]:
        """Answers, the newest first, each after its number and that of its collection.

        Args:
            collection: its number; ``None``: of all.
            before: only answers with lower numbers.
            limit: how many at most.
        """
        chosen, ours = ("", ()) if collection is None else (" AND collection=?", (collection,))
        rows = self._db.execute(
            f"SELECT id, collection, {_COLUMNS} FROM answers WHERE id < ?{chosen} ORDER BY id DESC LIMIT ?",  # noqa: S608
            (before, *ours, limit),
        )
        return [(number, of, _answer(row)) for number, of, *row in rows]

    def up_to(self, collection: int, number: int, limit: int) -> list[tuple[int, str, str]]:
        """Number and items of answers up to a number, the newest first."""
        return self._db.execute(
            "SELECT id, one, other FROM answers WHERE collection=? AND id <= ? ORDER BY id DESC LIMIT ?",
            (collection, number, limit),
        ).fetchall()

    def put_features(self, number: int, features: Mapping[str, float], kind: str | None) -> None:
        """Replace what the matcher saw of an answered pair."""
        self._db.execute("UPDATE answers SET features=?, kind=? WHERE id=?", (json.dumps(dict(features)), kind, number))

    def pairs(self, collection: int) -> list[tuple[str, str, bool]]:
        """The two ids of every answer and whether they are duplicates, in order of arrival."""
        rows = self._db.execute("SELECT one, other, same FROM answers WHERE collection=? ORDER BY id", (collection,))
        return [(one, other, bool(same)) for one, other, same in rows]

    def put(self, collection: int, answer: Answer) -> None:
        """Store an answer; replaces an earlier one on the same pair."""
        self.remove(collection, answer.one, answer.other)
        self.counts.change(collection, 1)
        self._db.execute(
            "INSERT INTO answers (collection, one, other, same, entry, said_by, probability, features, kind)"
            " VALUES (?,?,?,?,?,?,?,?,?)",
            (
                collection,
                answer.one,
                answer.other,
                answer.same,
                str(answer.entry),
                answer.by,
                answer.probability,
                json.dumps(dict(answer.features)),
                answer.kind,
            ),
        )

    def remove(self, collection: int, one: str, other: str) -> None:
        """Delete an answer; ids in ascending order."""
        gone = self._db.execute(
            "DELETE FROM answers WHERE collection=? AND one=? AND other=?", (collection, one, other)
        ).rowcount
        self.counts.change(collection, -gone)

    def forget_item(self, collection: int, item_id: str) -> None:
        """Delete every answer on an item."""
        for side in ("one", "other"):
            gone = self._db.execute(
                f"DELETE FROM answers WHERE collection=? AND {side}=?",  # noqa: S608 (constant)
                (collection, item_id),
            ).rowcount
            self.counts.change(collection, -gone)

    def count(self, collection: int | None = None) -> int:
        """Number of answers of a collection, or of all collections of this partition; cached."""
        return self.counts.total() if collection is None else self.counts.of(collection)

    def model(self, collection: int) -> tuple[int, dict[str, Any]] | None:
        """The learned model as JSON values, and the number of answers it has learned from."""
        row = self._db.execute("SELECT answers, model FROM models WHERE collection=?", (collection,)).fetchone()
        return None if row is None else (int(row[0]), json.loads(row[1]))

    def model_text(self, collection: int) -> str | None:
        """The learned model as stored text."""
        row = self._db.execute("SELECT model FROM models WHERE collection=?", (collection,)).fetchone()
        return None if row is None else str(row[0])

    def put_model(self, collection: int, answers: int, model: Mapping[str, Any]) -> None:
        """Store a learned model; replaces the previous one."""
        self._db.execute("INSERT OR REPLACE INTO models VALUES (?,?,0,?)", (collection, answers, json.dumps(model)))

    def begin_training(self, collection: int) -> None:
        """Start a training run with all answers; later ones are pending."""
        self._db.execute("UPDATE models SET pending=0 WHERE collection=?", (collection,))

    def replace_model(self, collection: int, answers: int, model: Mapping[str, Any]) -> None:
        """Store the model of a training run; answers since its start remain pending."""
        self._db.execute(
            "INSERT INTO models VALUES (?,?,0,?)"
            " ON CONFLICT DO UPDATE SET answers=excluded.answers, model=excluded.model",
            (collection, answers, json.dumps(model)),
        )

    def pend(self, collection: int) -> int:
        """Count one more pending change; returns the number of pending changes, 1 without a model."""
        row = self._db.execute(
            "UPDATE models SET pending = pending + 1 WHERE collection=? RETURNING pending", (collection,)
        ).fetchone()
        return 1 if row is None else int(row[0])

    def pending(self, collection: int) -> int:
        """Number of changes that the model has not learned from; 0 without a model."""
        row = self._db.execute("SELECT pending FROM models WHERE collection=?", (collection,)).fetchone()
        return 0 if row is None else int(row[0])

    def drop_model(self, collection: int) -> None:
        """Delete the learned model; the shipped one is used again."""
        self._db.execute("DELETE FROM models WHERE collection=?", (collection,))


def _answer(row: Any) -> Answer:
    one, other, same, entry, by, probability, features, kind = row
    return Answer(one, other, bool(same), EntryId.parse(entry), by, probability, json.loads(features), kind)
