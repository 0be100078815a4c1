"""Collections: their settings, the identity of their vectors, and what awaits a summary."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from dataclasses import dataclass, field

from recommender.items import Band, CollectionSettings

_LAST_NUMBER = "last collection"


@dataclass(slots=True)
class Collection:
    """One collection; the pipeline changes it in memory and saves it once a batch.

    Attributes:
        model: identity of its vectors, once it has any.
        dimension: length of its vectors.
        silent_commands: silent commands since the last summary.
        silent_bands: bands of the items among them.
        silent_since_ms: stream time of the first of them.
        unsorted_seq: items up to this arrival number have yet to be given their spot under these settings.
        gone_ms: items that arrived up to this stream time are gone.
        cut_by: the rules that its texts are cut by.
        uncut_seq: items up to this arrival number have yet to be looked at under these rules.
        hiding: whether some of them have yet to be deleted.
    """

    id: int
    name: str
    settings: CollectionSettings
    model: str | None = None
    dimension: int | None = None
    silent_commands: int = 0
    silent_bands: Counter[Band] = field(default_factory=Counter)
    silent_since_ms: int = 0
    unsorted_seq: int = 0
    gone_ms: int = 0
    cut_by: str = ""
    uncut_seq: int = 0
    hiding: bool = False

    @property
    def hidden_ms(self) -> int | None:
        """Stored items that arrived up to this stream time are not to be seen; ``None`` where all are."""
        return self.gone_ms if self.hiding else None


class CollectionTable:
    """Reads and writes collections; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def all(self) -> list[Collection]:
        """Every collection, oldest first, without those that have left for another partition."""
        rows = self._db.execute(
            "SELECT id, name, settings, model, dimension, silent_commands, silent_bands, silent_since_ms,"
            " unsorted_seq, gone_ms, cut_by, uncut_seq"
            " FROM collections WHERE NOT instr(name, char(10)) ORDER BY id"
        )
        return [
            Collection(
                id_,
                name,
                CollectionSettings.model_validate_json(settings),
                model,
                dimension,
                commands,
                Counter({Band(band): count for band, count in json.loads(bands).items()}),
                *others,
            )
            for id_, name, settings, model, dimension, commands, bands, *others in rows
        ]

    def create(self, name: str, settings: CollectionSettings) -> Collection:
        """A new, empty collection, under a number that none has had: much goes by that, and goes later than it."""
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
            " silent_since_ms=?, unsorted_seq=?, gone_ms=?, cut_by=?, uncut_seq=? WHERE id=?",
            (
                collection.settings.model_dump_json(),
                collection.model,
                collection.dimension,
                collection.silent_commands,
                json.dumps(collection.silent_bands),
                collection.silent_since_ms,
                collection.unsorted_seq,
                collection.gone_ms,
                collection.cut_by,
                collection.uncut_seq,
                collection.id,
            ),
        )
