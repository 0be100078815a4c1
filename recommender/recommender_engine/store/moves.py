"""Collections that move between partitions, and commands waiting to be forwarded."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from recommender_engine.store.tally import Held, size

Place = Literal["leaving", "left", "arriving", "here"]


@dataclass(frozen=True, slots=True)
class Move:
    """The state of a collection that moves, or moved, between partitions.

    Attributes:
        collection: its name.
        move: name of its last move.
        place: ``leaving`` (sealed), ``left``, ``arriving``, or ``here`` (has arrived).
        source: the partition of origin.
        target: the destination partition.
        offset: what is added to arrival and group numbers of the source.
        points: what is added to its points' numbers.
        last_arrival: the highest reserved arrival number.
        last_point: the highest reserved point number.
        page: the next page; ``None`` after the last.
        part: number of received parts of that page.
        part_bytes: size of these parts in base64.
        origins: partitions that have events about it.
    """

    collection: str
    move: str
    place: Place
    source: str
    target: str
    offset: int = 0
    points: int = 0
    last_arrival: int = 0
    last_point: int = 0
    page: str | None = None
    part: int = 0
    part_bytes: int = 0
    origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Forward:
    """A command for another partition.

    Attributes:
        id: rises in the order of the commands.
        target: the partition.
        command: ``type``, ``data``, ``key``, ``reply_to`` (or ``None``) and ``via``, the partitions it came through.
    """

    id: int
    target: str
    command: Mapping[str, Any]


MOST_HELD = 100_000
"""How many commands may wait for collections that are on their way …"""

MOST_HELD_BYTES = 256 * 2**20
"""… and how many bytes they may have."""


class MoveTable:
    """Reads and writes moves and forwarded commands; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._held: Held | None = None

    def forget(self) -> None:
        """Clear the cache after a rollback."""
        self._held = None

    def all(self) -> list[Move]:
        """The moves of all collections, by name of the collection."""
        rows = self._db.execute("SELECT state FROM moves ORDER BY collection")
        found = (json.loads(state) for (state,) in rows)
        return [Move(**{**one, "origins": tuple(one["origins"])}) for one in found]

    def put(self, move: Move) -> None:
        """Store a move; replaces that of the same collection."""
        self._db.execute("INSERT OR REPLACE INTO moves VALUES (?,?)", (move.collection, json.dumps(asdict(move))))

    def remove(self, collection: str) -> None:
        """Delete the move of a collection."""
        self._db.execute("DELETE FROM moves WHERE collection=?", (collection,))
        self.drop_parts(collection)

    # -- parts of the incoming page ------------------------------------------------------------------------------------

    def add_part(self, collection: str, part: int, data: str) -> None:
        """Store a part until the page is complete."""
        self._db.execute("INSERT OR REPLACE INTO move_parts VALUES (?,?,?)", (collection, part, data))

    def parts(self, collection: str) -> list[str]:
        """The stored parts, in order."""
        rows = self._db.execute("SELECT data FROM move_parts WHERE collection=? ORDER BY part", (collection,))
        return [data for (data,) in rows]

    def drop_parts(self, collection: str) -> None:
        """Delete the stored parts."""
        self._db.execute("DELETE FROM move_parts WHERE collection=?", (collection,))

    # -- commands to be forwarded --------------------------------------------------------------------------------------

    def forward(self, collection: str, target: str, command: Mapping[str, Any], *, held: bool) -> None:
        """Store a command to be forwarded at once or, if ``held``, when the collection has arrived."""
        said = json.dumps(command, ensure_ascii=False)
        self._held = self.held  # before the row is inserted
        self._db.execute(
            "INSERT INTO forwards (collection, target, held, command) VALUES (?,?,?,?)",
            (collection, target, held, said),
        )
        if held:
            before = self.held
            self._held = Held(before.rows + 1, before.bytes + size(said))

    @property
    def held(self) -> Held:
        """Number and bytes of the commands that wait for the arrival of a collection."""
        if self._held is None:
            rows = self._db.execute(
                "SELECT count(*), COALESCE(sum(length(CAST(command AS BLOB))), 0) FROM forwards WHERE held = 1"
            )
            self._held = Held(*rows.fetchone())
        return self._held

    def has_room(self) -> bool:
        """Whether one more command can be held."""
        return self.held.rows < MOST_HELD and self.held.bytes < MOST_HELD_BYTES

    def forwards(self, limit: int) -> list[Forward]:
        """Commands to be forwarded now, in order."""
        rows = self._db.execute("SELECT id, target, command FROM forwards WHERE held = 0 ORDER BY id LIMIT ?", (limit,))
        return [Forward(id_, target, json.loads(command)) for id_, target, command in rows]

    def sent(self, ids: Sequence[int]) -> None:
        """Delete commands that were appended to the streams of their partitions."""
        self._db.executemany("DELETE FROM forwards WHERE id=?", [(id_,) for id_ in ids])

    def waiting(self, collection: str | None = None) -> int:
        """Number of commands not forwarded yet, for a collection or for all."""
        asked = "SELECT count(*) FROM forwards"
        if collection is None:
            return int(self._db.execute(asked).fetchone()[0])
        return int(self._db.execute(f"{asked} WHERE collection=?", (collection,)).fetchone()[0])  # constant

    def held_erasures(self, collection: str) -> list[str]:
        """Ids of the items with a held erasure."""
        rows = self._db.execute(
            "SELECT json_extract(command, '$.data') FROM forwards WHERE collection=? AND held"
            " AND json_extract(command, '$.type')='item.erase' ORDER BY id",
            (collection,),
        )
        return [json.loads(data)["id"] for (data,) in rows]

    def let_go(self, collection: str, target: str) -> None:
        """Release the held commands of a collection, to be forwarded to ``target``."""
        self._held = None
        self._db.execute("UPDATE forwards SET held=0, target=? WHERE collection=? AND held", (target, collection))
