"""Which events belong to commands that name a user, so that an erasure finds them."""

from __future__ import annotations

import json
import re
import sqlite3
from base64 import b64decode
from collections.abc import Iterable, Iterator

from recommender_engine.items import EntryId
from recommender_engine.items.limits import MAX_ID_BYTES

MOST_MENTIONS = 1_000_000
"""The oldest go first: of events that have long left their streams."""

_MOST_NAMES = 1000  # of one message
_STRING = rb"""("(?:[^"\\]|\\.){1,%d}"|'(?:[^'\\]|\\.){1,%d}')""" % (6 * MAX_ID_BYTES, 6 * MAX_ID_BYTES)
_USER = re.compile(rb"""["'](?:user|session)["']\s*:\s*""" + _STRING)
_COLLECTION = re.compile(rb"""["']collection["']\s*:\s*""" + _STRING)
# Behind a key, pickle may note it: MEMOIZE, BINPUT, LONG_BINPUT.
_NOTED = rb"(?:\x94|q.|r....)?"
_PACKED_USER = re.compile(rb"(?:user|session)" + _NOTED, re.DOTALL)
_PACKED_COLLECTION = re.compile(rb"collection" + _NOTED, re.DOTALL)
_LONG = 5 + MAX_ID_BYTES
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{24,}={0,2}")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_DEEPEST = 2  # Base64 in Base64


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
        forms = list(_forms(payload))
        users = _named(_USER, _PACKED_USER, forms)
        for collection in (_named(_COLLECTION, _PACKED_COLLECTION, forms) or ["default"]) if users else ():
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


def _forms(payload: bytes, depth: int = _DEEPEST) -> Iterator[bytes]:
    """A message in every form in which it may name a user: as it is, JSON in a string of JSON, Base64 in it."""
    yield payload
    if b'\\"' in payload:
        yield payload.replace(b'\\"', b'"')
    for run in _BASE64.findall(payload) if depth else ():
        whole = run.rstrip(b"=").translate(_URL_SAFE)
        whole = whole[: len(whole) - (len(whole) % 4 == 1)]  # the end may have been cut off
        yield from _forms(b64decode(whole + b"=" * (-len(whole) % 4)), depth - 1)


def _named(quoted: re.Pattern[bytes], packed: re.Pattern[bytes], forms: Iterable[bytes]) -> list[str]:
    found: dict[str, None] = {}
    for form in forms:
        found.update(dict.fromkeys(map(_read, quoted.findall(form))))
        found.update(
            dict.fromkeys(name for match in packed.finditer(form) for name in _packed(form[match.end() :][:_LONG]))
        )
    return [name for name in found if _storable(name)][:_MOST_NAMES]


def _packed(value: bytes) -> Iterator[str]:
    """A string of pickle or MessagePack, which begins with its length."""
    first = value[:1]
    if first in (b"\x8c", b"\xd9"):
        length, start = int.from_bytes(value[1:2]), 2
    elif first == b"X":
        length, start = int.from_bytes(value[1:5], "little"), 5
    elif first and 0xA0 <= first[0] <= 0xBF:
        length, start = first[0] - 0xA0, 1
    else:
        return
    if 0 < length <= len(value) - start:
        yield value[start : start + length].decode(errors="replace")


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
