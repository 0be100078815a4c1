"""Collections: settings, identity of the vectors, pending summaries, and pending background work."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from recommender_engine.items import Band, CollectionSettings

_LAST_NUMBER = "last collection"
_HUNDREDTHS = 100


@dataclass(slots=True)
class Arrived:
    """Decayed counts of the items that arrived recently, for the review budget.

    Attributes:
        items: number of items.
        review: number of them in ``review``.
        likely: histogram, by hundredth of the probability, of the items that qualified for review, within the budget
            or not; empty if none did.
    """

    items: int = 0
    review: int = 0
    likely: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Arrived:
        """Inverse of ``numbers``; an empty sequence means no items."""
        items, review, *likely = numbers or (0, 0)
        return cls(items, review, (likely + [0] * _HUNDREDTHS)[:_HUNDREDTHS] if likely else [])

    def add(self, probability: float) -> None:
        """Count an item that qualified for review."""
        self.likely = self.likely or [0] * _HUNDREDTHS
        self.likely[_hundredth(probability)] += 1

    def likelier(self, probability: float) -> float:
        """Number of items that qualified for review with a higher probability, plus half of the same hundredth."""
        place = _hundredth(probability)
        return sum(self.likely[place + 1 :]) + sum(self.likely[place : place + 1]) / 2

    def halve(self) -> None:
        """Halve all counts."""
        self.items, self.review, self.likely = self.items // 2, self.review // 2, [count // 2 for count in self.likely]

    def numbers(self) -> tuple[int, ...]:
        """The counts in stored form."""
        return (self.items, self.review, *self.likely)


@dataclass(slots=True)
class Collection:
    """One collection; the pipeline changes it in memory and saves it once per batch.

    Attributes:
        model: identity of its vectors, once it has any.
        dimension: length of its vectors.
        silent_commands: silent commands since the last summary.
        silent_bands: bands of the items among these commands.
        silent_since_ms: stream time of the first of these commands.
        unsorted_seq: items up to this arrival number still need their policy key under the current settings.
        expired_ms: items that arrived up to this stream time have expired.
        cut_by: identity of the cutting rules of its texts.
        uncut_seq: items up to this arrival number still need to be cut by these rules.
        arrived: counts of the recent items.
        unlearned_answer: answers up to this number have features of another embedding model.
        has_expired_rows: whether expired items are still stored.
    """

    id: int
    name: str
    settings: CollectionSettings
    model: str | None = None
    dimension: int | None = None
    silent_commands: int = 0
    silent_since_ms: int = 0
    unsorted_seq: int = 0
    expired_ms: int = 0
    cut_by: str = ""
    uncut_seq: int = 0
    unlearned_answer: int = 0
    has_expired_rows: bool = False
    silent_bands: Counter[Band] = field(default_factory=Counter)
    arrived: Arrived = field(default_factory=Arrived)

    @property
    def hidden_ms(self) -> int | None:
        """Stored items that arrived up to this stream time are hidden; ``None`` if none are."""
        return self.expired_ms if self.has_expired_rows else None


def _collection(id_: int, name: str, settings: str, bands: str, arrived: str, *others: Any) -> Collection:
    found = Collection(id_, name, CollectionSettings.model_validate_json(settings), *others)
    found.silent_bands = Counter({Band(band): count for band, count in json.loads(bands).items()})
    found.arrived = Arrived.of(json.loads(arrived))
    return found


def _hundredth(probability: float) -> int:
    return min(int(probability * _HUNDREDTHS), _HUNDREDTHS - 1)


class CollectionTable:
    """Reads and writes collections; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def all(self) -> list[Collection]:
        """Every collection, oldest first, without those moved to another partition."""
        rows = self._db.execute(
            "SELECT id, name, settings, silent_bands, arrived, model, dimension, silent_commands, silent_since_ms,"
            " unsorted_seq, gone_ms, cut_by, uncut_seq, unlearned_answer"
            " FROM collections WHERE NOT instr(name, char(10)) ORDER BY id"
        )
        return [_collection(*row) for row in rows]

    def create(self, name: str, settings: CollectionSettings) -> Collection:
        """A new, empty collection under a number never used before: rows of a deleted collection can outlive it."""
        (last,) = self._db.execute(
            "SELECT max(COALESCE((SELECT max(id) FROM collections), 0),"
            " CAST(COALESCE((SELECT value FROM meta WHERE key=?), 0) AS INTEGER))",
            (_LAST_NUMBER,),
        ).fetchone()
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?,?)", (_LAST_NUMBER, str(last + 1)))
        self._db.execute(
            "INSERT INTO collections (id, name, settings, silent_commands, silent_bands, silent_since_ms)"
            " VALUES (?,?,?,0,'{}',0)",
            (last + 1, name, settings.model_dump_json()),
        )
        return Collection(last + 1, name, settings)

    def save(self, collection: Collection) -> None:
        """Write everything but its name."""
        self._db.execute(
            "UPDATE collections SET settings=?, model=?, dimension=?, silent_commands=?, silent_bands=?,"
            " silent_since_ms=?, unsorted_seq=?, gone_ms=?, cut_by=?, uncut_seq=?, arrived=?,"
            " unlearned_answer=? WHERE id=?",
            (
                collection.settings.model_dump_json(),
                collection.model,
                collection.dimension,
                collection.silent_commands,
                json.dumps(collection.silent_bands),
                collection.silent_since_ms,
                collection.unsorted_seq,
                collection.expired_ms,
                collection.cut_by,
                collection.uncut_seq,
                json.dumps(collection.arrived.numbers(), separators=(",", ":")),
                collection.unlearned_answer,
                collection.id,
            ),
        )
