"""Which events belong to commands that name a user, so that an erasure finds them."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable

from recommender_engine.items import EntryId
from recommender_engine.items.limits import MAX_ID_BYTES

MOST_MENTIONS = 1_000_000
"""The oldest go first: of events that have long left their streams."""

_MOST_NAMES = 1000  # of one message
_STRING = rb"""("(?:[^"\\]|\\.){1,%d}"|'(?:[^'\\]|\\.){1,%d}')""" % (6 * MAX_ID_BYTES, 6 * MAX_ID_BYTES)
_USER = re.compile(rb"""["'](?:user|session)["']\s*:\s*""" + _STRING)
_COLLECTION = re.compile(rb"""["']collection["']\s*:\s*""" + _STRING)


class MentionTable:
    """Reads and writes mentions; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def add(self, event: EntryId, collection: str, users: Iterable[str]) -> None:
        """Note that the command of an event names these users or sessions."""
        self._db.executemany(
            "INSERT INTO mentions (collection, user, ms, n) VALUES (?,?,?,?)",
            [(collection, user, *event) for user in users],
        )

    def add_rejected(self, event: EntryId, payload: bytes) -> None:
        """Note the users and sessions that a rejected message names, whether or not it is whole or JSON."""
        users = _named(_USER, payload)
        for collection in (_named(_COLLECTION, payload) or ["default"]) if users else ():
            self.add(event, collection, users)

    def copy(self, collection: str, user: str, to: str) -> None:
        """What names a session names the user that it has become too."""
        self._db.execute(
            "INSERT INTO mentions (collection, user, ms, n)"
            " SELECT collection, ?, ms, n FROM mentions WHERE collection=? AND user=? ORDER BY id",
            (to, collection, user),
        )

    def take(self, collection: str, user: str) -> list[EntryId]:
        """The events that name a user or session; they are forgotten here."""
        rows = self._db.execute(
            "DELETE FROM mentions WHERE collection=? AND user=? RETURNING ms, n", (collection, user)
        ).fetchall()
        self._db.executemany("DELETE FROM mentions WHERE ms=? AND n=?", rows)
        return sorted({EntryId(ms, n) for ms, n in rows})

    def forget_old(self, limit: int) -> int:
        """Delete the oldest where there are more than ``MOST_MENTIONS``, at most ``limit``; returns their number."""
        return self._db.execute(
            "DELETE FROM mentions WHERE id IN (SELECT id FROM mentions ORDER BY id LIMIT ?)"
            " AND id <= (SELECT max(id) FROM mentions) - ?",
            (limit, MOST_MENTIONS),
        ).rowcount


def _named(pattern: re.Pattern[bytes], payload: bytes) -> list[str]:
    found = pattern.findall(payload)
    if b'\\"' in payload:  # JSON in a string of JSON
        found += pattern.findall(payload.replace(b'\\"', b'"'))
    return [name for name in dict.fromkeys(map(_read, found)) if _storable(name)][:_MOST_NAMES]


def _storable(name: str) -> bool:
    """Whether a name is Unicode; with half of a surrogate pair it is that of no user, and SQLite has no form for it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read(quoted: bytes) -> str:
    """A string of JSON, or of a Python literal such as Celery writes beside its JSON."""
    inside = quoted[1:-1].decode(errors="replace")
    try:
        return str(json.loads(f'"{inside}"'))
    except ValueError:
        return inside
