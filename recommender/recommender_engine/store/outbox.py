"""The outbox: events with their committed entry ids, the keys of their commands, and pending replies."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from recommender_engine.event_log import event_log
from recommender_engine.items import START, EntryId, Event, EventData, InteractionAccepted, ItemProcessed, ItemRevised
from recommender_engine.items.limits import KEY_WINDOW_MS
from recommender_engine.recent import Recent
from recommender_engine.store.outbox_rows import DROPPED, KeyUse, OutboxRow, Reply
from recommender_engine.store.payloads import PayloadTable
from recommender_engine.store.tally import Held, Tally, size

log = event_log(__name__)

MOST_KEYS = 20_000_000
"""How many keys are kept in a partition; the oldest go first."""

MOST_EVENTS = 20_000_000
"""How many events are kept …"""

MOST_BYTES = 16 * 2**30
"""… and how many bytes they have; the oldest that have reached everybody go first."""

MOST_REPLIES = 1_000_000
"""How many callers may wait; the oldest go first."""

_UNUSED_KEPT = 4096  # keys; each is looked up twice: before its item is embedded, and when the command is processed
_LARGEST = 2**63 - 1  # integer of SQLite
_ADOPTED = 2  # silent as well: the outcome of a command on another partition's log


class Outbox:
    """Reads and writes events; every call runs in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection, source: str) -> None:
        self._db = connection
        self._source = source
        self._voided: dict[str, EntryId] | None = None
        self.payloads = PayloadTable(connection)
        self._unused: Recent[tuple[str, str], None] = Recent(_UNUSED_KEPT)
        self._events = Tally(connection, "events kept", self._measured)
        self._keys = Tally(connection, "keys kept", lambda: Held(self._count("keys")))

    def forget(self) -> None:
        """Clear the cache after a rollback."""
        self._unused.clear()
        self._voided = None
        self._events.forget()
        self._keys.forget()

    def flush(self) -> None:
        """Store the counts; part of the running transaction."""
        self._events.flush()
        self._keys.flush()

    @property
    def kept(self) -> Held:
        """Number and bytes of the stored events."""
        return self._events.held

    def add(self, event: Event) -> None:
        """Store an event for publishing."""
        collection, item_id = (
            (None, None) if isinstance(event.data, InteractionAccepted) else event.subject or (None, None)
        )
        said = event.to_json(self._source)
        self._events.change(1, size(said))
        self._db.execute(
            "INSERT INTO outbox VALUES (?,?,?,?,?,?,?,?)",
            (
                *event.id,
                event.data.type,
                collection,
                item_id,
                _quoted(event.data),
                event.silent,
                said,
            ),
        )

    def adopt(self, row: OutboxRow, collection: str, item_id: str | None, matched_id: str | None) -> None:
        """Store the outcome of a command of another partition for repeats of its key; it is published there."""
        self._events.change(1, size(row.event))
        self._db.execute(
            "INSERT INTO outbox VALUES (?,?,?,?,?,?,?,?)",
            (*row.id, row.type, collection if item_id else None, item_id, matched_id, _ADOPTED, row.event),
        )

    def after(self, position: EntryId, limit: int) -> list[OutboxRow]:
        """Events to publish that come after ``position``, in order."""
        rows = self._db.execute(
            "SELECT ms, n, type, event FROM outbox WHERE (ms, n) > (?, ?) AND NOT silent ORDER BY ms, n LIMIT ?",
            (*(min(part, _LARGEST) for part in position), limit),  # callers may pass any id
        )
        return [OutboxRow(EntryId(ms, n), type_, event) for ms, n, type_, event in rows]

    def dropped_from(self, first: EntryId, before: EntryId) -> EntryId | None:
        """The first stored event to publish from ``first`` on and before ``before``, if any."""
        row = self._db.execute(
            "SELECT ms, n FROM outbox WHERE (ms, n) >= (?, ?) AND (ms, n) < (?, ?) AND NOT silent ORDER BY ms, n"
            " LIMIT 1",
            tuple(min(part, _LARGEST) for part in (*first, *before)),
        ).fetchone()
        return None if row is None else EntryId(*row)

    def oldest(self) -> EntryId | None:
        """Id of the oldest stored event."""
        row = self._db.execute("SELECT ms, n FROM outbox ORDER BY ms, n LIMIT 1").fetchone()
        return None if row is None else EntryId(*row)

    def count_after(self, position: EntryId) -> int:
        """Number of events to publish after ``position``."""
        row = self._db.execute(
            "SELECT count(*) FROM outbox WHERE (ms, n) > (?, ?) AND NOT silent", tuple(position)
        ).fetchone()
        return int(row[0])

    def get(self, id_: EntryId) -> OutboxRow | None:
        """One event, silent or not."""
        row = self._db.execute("SELECT ms, n, type, event FROM outbox WHERE ms=? AND n=?", id_).fetchone()
        return None if row is None else OutboxRow(EntryId(row[0], row[1]), row[2], row[3])

    def commands(self, since: EntryId) -> dict[EntryId, str | None]:
        """Positions of the commands of the stored events, from ``since`` on, with their keys."""
        rows = self._db.execute(
            "SELECT json_extract(event, '$.data.command.id'), json_extract(event, '$.data.command.key') FROM outbox"
            " WHERE silent < ? ORDER BY ms DESC, n DESC",
            (_ADOPTED,),
        )
        found: dict[EntryId, str | None] = {}
        for id_, key in rows:
            position = START if id_ is None else EntryId.parse(id_)
            if START < position < since:
                break  # events are in the order of their commands
            found.setdefault(position, key)
        return found

    def prune(self, before_ms: int, published: EntryId, limit: int, most_bytes: int = MOST_BYTES) -> int:
        """Delete published events without a pending reply, at most ``limit``, the oldest first; returns their number.

        Those older than ``before_ms``, and others while there are more than `MOST_EVENTS` or ``most_bytes``.
        """
        surplus, surplus_bytes = self.kept.rows - MOST_EVENTS, self.kept.bytes - most_bytes
        gone: list[tuple[int, int]] = []
        dropped_bytes = 0
        for ms, n, bytes_ in self._db.execute(
            "SELECT ms, n, length(CAST(event AS BLOB)) FROM outbox WHERE (ms, n) <= (?, ?)"
            " AND NOT EXISTS (SELECT 1 FROM replies WHERE event_ms = outbox.ms AND event_n = outbox.n)"
            " ORDER BY ms, n LIMIT ?",
            (*published, limit),
        ):
            if ms >= before_ms and len(gone) >= surplus and dropped_bytes >= surplus_bytes:
                break
            gone.append((ms, n))
            dropped_bytes += bytes_
        self._db.executemany("DELETE FROM outbox WHERE ms=? AND n=?", gone)
        self._events.change(-len(gone), -dropped_bytes)
        return len(gone)

    def _measured(self) -> Held:
        rows = self._count("outbox")
        (mean,) = self._db.execute(
            "SELECT avg(length(CAST(event AS BLOB))) FROM"
            " (SELECT event FROM outbox ORDER BY ms DESC, n DESC LIMIT 1000)"
        ).fetchone()
        return Held(rows, round(rows * (mean or 0)))

    def _count(self, table: str) -> int:
        return int(self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 (constants)

    # -- keys: a repeat returns the first outcome ----------------------------------------------------------------------

    def used(self, collection: str, key: str, now_ms: int) -> KeyUse | None:
        """The first command of a collection under this key, if it came within the window before ``now_ms``."""
        if (collection, key) in self._unused:
            return None
        row = self._db.execute(
            "SELECT ms, event_ms, event_n, digest FROM keys WHERE key=? AND (collection=? OR (collection='' AND"
            " digest IS NULL)) ORDER BY collection DESC LIMIT 1",  # the last: stored before keys had a collection
            (key, collection),
        ).fetchone()
        if row is None:
            self._unused.put((collection, key), None)
        if row is None or now_ms - row[0] >= KEY_WINDOW_MS or self._is_void(collection, row[1:3]):
            return None
        return KeyUse(EntryId(row[1], row[2]), bytes(row[3] or b""))

    def answers(self, key: str, now_ms: int) -> dict[str, OutboxRow]:
        """The events that answered the commands with this key, by collection; an empty name means none."""
        rows = self._db.execute(
            "SELECT k.collection, o.ms, o.n, type, event FROM keys k JOIN outbox o ON o.ms = event_ms AND o.n = event_n"
            " WHERE key=? AND k.ms > ? ORDER BY k.collection",
            (key, now_ms - KEY_WINDOW_MS),
        )
        return {
            collection: OutboxRow(EntryId(ms, n), type_, event)
            for collection, ms, n, type_, event in rows
            if not self._is_void(collection, (ms, n))
        }

    def remember_key(self, collection: str, key: str, ms: int, use: KeyUse) -> None:
        """Store the first use of a key."""
        self.adopt_key(collection, key, ms, use.outcome, use.digest)

    def adopt_key(self, collection: str, key: str, ms: int, outcome: EntryId, digest: bytes | None) -> None:
        """Like ``remember_key``, for a key that is not known here (``used``).

        Args:
            digest: ``None`` if not known; then any body counts as a repeat.
        """
        self._unused.drop((collection, key))
        row = (key, collection, ms, *outcome, digest)
        kept = self._keys.held.rows
        if self._db.execute("INSERT OR IGNORE INTO keys VALUES (?,?,?,?,?,?)", row).rowcount:
            self._keys.change(1)
        else:
            self._db.execute("REPLACE INTO keys VALUES (?,?,?,?,?,?)", row)
        if kept >= MOST_KEYS:
            self._drop_oldest_keys(self._keys.held.rows - MOST_KEYS)

    def keys_of(
        self, collection: str, after: str, limit: int
    ) -> tuple[list[tuple[str, int, str, str | None, str | None, str, bytes | None]], str | None]:
        """Keys of a collection: key, time, type, item, matched item, event, and digest of the command.

        Args:
            collection: its name.
            after: the last key read so far.
            limit: most keys to read, of all collections.

        Returns:
            The keys of the collection, and the last key read; ``None`` at the end.
        """
        rows = self._db.execute(
            "SELECT looked.key, k.ms, type, item_id, matched_id, event, digest, event_ms, event_n FROM"
            " (SELECT DISTINCT key FROM keys WHERE key > ? ORDER BY key LIMIT ?) looked"
            " LEFT JOIN keys k ON k.key = looked.key AND k.collection = ?"
            " LEFT JOIN outbox o ON o.ms = event_ms AND o.n = event_n ORDER BY looked.key",
            (after, limit, collection),
        ).fetchall()
        found = [row[:7] for row in rows if row[5] is not None and not self._is_void(collection, row[7:])]
        return found, rows[-1][0] if len(rows) == limit else None

    def forget_keys(self, now_ms: int, limit: int) -> int:
        """Delete keys past their window, at most ``limit``; returns their number."""
        if self._db.execute("DELETE FROM deletions WHERE ms <= ?", (now_ms - KEY_WINDOW_MS,)).rowcount:
            self._voided = None
        kept = self._keys.held.rows
        gone = self._db.execute(
            "DELETE FROM keys WHERE (key, collection) IN (SELECT key, collection FROM keys WHERE ms <= ? LIMIT ?)",
            (now_ms - KEY_WINDOW_MS, min(limit, kept)),
        ).rowcount
        self._keys.change(-gone)
        return gone

    def _drop_oldest_keys(self, count: int) -> None:
        """Delete the oldest keys, first those past their window. Which ones depends only on the commands."""
        gone = self._db.execute(
            "DELETE FROM keys WHERE (key, collection) IN"
            " (SELECT key, collection FROM keys ORDER BY ms, key, collection LIMIT ?)",
            (max(0, count),),
        ).rowcount
        self._keys.change(-gone)

    def void_keys(self, collection: str, ms: int, by: EntryId) -> None:
        """Invalidate the keys of a collection deleted by the event ``by``."""
        self._db.execute("INSERT OR REPLACE INTO deletions VALUES (?,?,?,?)", (collection, ms, *by))
        self._deletions()[collection] = by

    def _is_void(self, collection: str, outcome: tuple[int, int]) -> bool:
        by = self._deletions().get(collection)
        return by is not None and EntryId(*outcome) < by

    def _deletions(self) -> dict[str, EntryId]:
        if self._voided is None:
            rows = self._db.execute("SELECT collection, event_ms, event_n FROM deletions")
            self._voided = {name: EntryId(ms, n) for name, ms, n in rows}
        return self._voided

    # -- replies -------------------------------------------------------------------------------------------------------

    def promise(self, reply_to: str, outcome: EntryId) -> None:
        """Store a caller to be sent this outcome."""
        self._db.execute("INSERT INTO replies (reply_to, event_ms, event_n) VALUES (?,?,?)", (reply_to, *outcome))

    def replies(self, after: int, limit: int) -> list[Reply]:
        """Pending replies, in order of their commands."""
        rows = self._db.execute(
            "SELECT r.id, reply_to, event_ms, event_n, type, event FROM replies r"
            " LEFT JOIN outbox o ON o.ms = event_ms AND o.n = event_n WHERE r.id > ? ORDER BY r.id LIMIT ?",
            (after, limit),
        )
        return [
            Reply(id_, reply_to, OutboxRow(EntryId(ms, n), *((type_, event) if event is not None else DROPPED)))
            for id_, reply_to, ms, n, type_, event in rows
        ]

    def settle(self, replies: Sequence[int]) -> None:
        """Delete replies that were sent."""
        self._db.executemany("DELETE FROM replies WHERE id=?", [(id_,) for id_ in replies])

    def drop_replies(self) -> int:
        """Delete the oldest pending replies above `MOST_REPLIES`; returns their number."""
        first, last = self._db.execute("SELECT min(id), max(id) FROM replies").fetchone()
        surplus = 0 if first is None or last - first < MOST_REPLIES else self._count("replies") - MOST_REPLIES
        if surplus <= 0:
            return 0
        dropped = self._db.execute(
            "DELETE FROM replies WHERE id IN (SELECT id FROM replies ORDER BY id LIMIT ?)", (surplus,)
        ).rowcount
        log.error("store.replies_dropped", extra={"callers": dropped})
        return dropped

    # -- erasure -------------------------------------------------------------------------------------------------------

    def redact(self, collection: str, item_id: str) -> None:
        """Empty the item's events, mark their entries for removal from the events stream, delete its commands' digests.

        Verdicts on other items lose reasons that may quote the item; published entries of other items stay in the
        stream, since a consumer may not have read them yet.
        """
        self._db.execute(
            "DELETE FROM payloads WHERE (ms, n) IN (SELECT ms, n FROM outbox WHERE collection=? AND item_id=?)",
            (collection, item_id),
        )
        self._db.execute(
            "INSERT OR IGNORE INTO redactions SELECT ms, n FROM outbox WHERE collection=? AND item_id=? AND NOT silent",
            (collection, item_id),
        )
        self._db.execute(
            "UPDATE keys SET digest=x'' WHERE collection=? AND key IN (SELECT json_extract(event,"
            " '$.data.command.key') FROM outbox WHERE collection=? AND item_id=?)",
            (collection, collection, item_id),
        )
        kept, before = self.kept, self._bytes_about(collection, item_id)
        self._db.execute(
            "UPDATE outbox SET event=json_set(event, '$.data.reasons', json('[]'), '$.data.explanation', '')"
            " WHERE collection=? AND matched_id=?",
            (collection, item_id),
        )
        self._db.execute(
            "UPDATE outbox SET matched_id=NULL, silent=max(silent, 1), event=json_set(event, '$.data', json_object("
            "'command', json_extract(event, '$.data.command'), 'item_id', item_id, 'collection', collection,"
            " 'erased', json('true'))) WHERE collection=? AND item_id=?",
            (collection, item_id),
        )
        if kept.rows:
            self._events.change(0, self._bytes_about(collection, item_id) - before)

    def forget_outcomes(self, ids: Sequence[EntryId], *, published: bool = False) -> None:
        """Delete outcomes, and the keys of their commands: a repeat of the command counts anew.

        Args:
            ids: of the outcomes; those that are not kept any more may be among them.
            published: they may be in the events stream or be dead letters, and are to be removed there.
        """
        if published:
            self._db.executemany("INSERT OR IGNORE INTO redactions VALUES (?,?)", ids)
            self._db.executemany("DELETE FROM payloads WHERE ms=? AND n=?", ids)
        kept, gone = self._keys.held.rows, 0  # counted before rows are deleted
        for id_ in ids:
            row = self.get(id_)
            if row is not None:
                key = json.loads(row.event)["data"]["command"]["key"]
                gone += self._db.execute(
                    "DELETE FROM keys WHERE key=? AND (event_ms, event_n)=(?,?)", (key, *id_)
                ).rowcount
                self._events.change(-1, -size(row.event))
                self._db.execute("DELETE FROM outbox WHERE ms=? AND n=?", id_)
        self._keys.change(-min(gone, kept))
        self._unused.clear()

    def _bytes_about(self, collection: str, item_id: str) -> int:
        """Bytes of the events that are about an item, or may quote it."""
        row = self._db.execute(
            "SELECT COALESCE(sum(bytes), 0) FROM (SELECT length(CAST(event AS BLOB)) bytes FROM outbox"
            " WHERE collection=:of AND item_id=:id UNION ALL SELECT length(CAST(event AS BLOB)) FROM outbox"
            " WHERE collection=:of AND matched_id=:id AND item_id IS NOT :id)",
            {"of": collection, "id": item_id},
        ).fetchone()
        return int(row[0])

    def redactions(self) -> list[EntryId]:
        """Entries still to be removed from the events stream."""
        return [EntryId(*row) for row in self._db.execute("SELECT ms, n FROM redactions ORDER BY ms, n")]

    def redacted(self, ids: Sequence[EntryId]) -> None:
        """Delete the marks of entries removed from the events stream."""
        self._db.executemany("DELETE FROM redactions WHERE ms=? AND n=?", ids)


def _quoted(data: EventData) -> str | None:
    """The other item that the reasons of an event may quote."""
    return data.matched_id if isinstance(data, ItemProcessed | ItemRevised) and data.reasons else None
