"""The state of one partition: one SQLite database, one connection, one writer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from recommender_engine.errors import StateError, StateFull
from recommender_engine.files import read_ahead
from recommender_engine.items import START, EntryId
from recommender_engine.store.answers import AnswerTable
from recommender_engine.store.behaviour import BehaviourTable
from recommender_engine.store.collections import CollectionTable
from recommender_engine.store.copying import DatabaseCopy, facts_of
from recommender_engine.store.failures import explained
from recommender_engine.store.groups import GroupTable
from recommender_engine.store.incidents import IncidentTable
from recommender_engine.store.items import ItemTable
from recommender_engine.store.list_weights import ListWeightTable
from recommender_engine.store.listing import ListingTable
from recommender_engine.store.mentions import MentionTable
from recommender_engine.store.moves import MoveTable
from recommender_engine.store.novelty import NoveltyTable
from recommender_engine.store.outbox import Outbox
from recommender_engine.store.policy_keys import PolicyKeyTable
from recommender_engine.store.recent_items import RecentItems
from recommender_engine.store.schema import check, connect, forget_statistics
from recommender_engine.store.second_models import SecondModelTable
from recommender_engine.store.shown import ShownTable
from recommender_engine.store.space import give_back, let_shrink
from recommender_engine.store.standings import Standings
from recommender_engine.store.subscriptions import SubscriptionTable
from recommender_engine.store.tombstones import TombstoneTable
from recommender_engine.store.training import TrainingTable
from recommender_engine.store.transfer import TransferTable
from recommender_engine.store.vectors import VectorTable
from recommender_engine.store.words import WordTable

_ERASED = "something was erased"
_LAST_ERASURE = "last_erasure"
_DUE, _BEGUN, _AGAIN = "1", "begun", "again"  # progress of rewriting the words
_CHECKPOINT_PAGES = 1000


class SqliteStore:
    """Items, vectors, decisions, outbox and position; effects and position commit in one transaction.

    A database from another process must be checked (``check``) before any change.

    Args:
        path: the database file; ``None`` keeps everything in memory.
        source: name of the partition, as events carry it.

    Raises:
        StateLocked, StateDamaged, StateTooNew: see :mod:`recommender_engine.errors`.
    """

    def __init__(self, path: Path | None = None, source: str = "/recommender/default") -> None:
        self._path = path
        self.source = source
        self.partition = source.rpartition("/")[2]
        self._descriptor: int | None = None
        self._copying = False
        self._db = connect(path)
        self._on_rollback: list[Callable[[], None]] = []
        self._on_retire: list[Callable[[int], None]] = []
        self.collections = CollectionTable(self._db)
        recent = RecentItems()
        self.standings = Standings(self._db)
        self.listing = ListingTable(self._db)
        self.items = ItemTable(self._db, recent, self.standings)
        self.groups = GroupTable(self._db, recent, self.standings)
        self.policy_index = PolicyKeyTable(self._db)
        self.vectors = VectorTable(self._db, recent)
        self.second_models = SecondModelTable(self._db)
        self.words = WordTable(self._db)
        self.answers = AnswerTable(self._db)
        self.training = TrainingTable(self._db)
        self.tombstones = TombstoneTable(self._db)
        self.behaviour = BehaviourTable(self._db)
        self.shown = ShownTable(self._db)
        self.list_weights = ListWeightTable(self._db)
        self.mentions = MentionTable(self._db)
        self.outbox = Outbox(self._db, source)
        self.moves = MoveTable(self._db)
        self.novelty = NoveltyTable(self._db)
        self.incidents = IncidentTable(self._db)
        self.subscriptions = SubscriptionTable(self._db)
        self.transfer = TransferTable(self._db)
        self.on_rollback(recent.clear)
        self.on_retire(lambda collection: recent.clear())
        self.on_rollback(self.items.changes.rolled_back)
        self.on_retire(self.items.changes.forget)
        for counts in (self.items.counts, self.answers.counts, self.tombstones.counts, self.subscriptions.counts):
            self.on_rollback(counts.forget)
            self.on_retire(counts.retire)
        kept = self.vectors, self.words, self.outbox, self.moves, self.behaviour, self.shown, self.standings
        for table in (*kept, self.list_weights):
            self.on_rollback(table.forget)
        self.on_retire(self.list_weights.retire)

    def on_rollback(self, reload: Callable[[], None]) -> None:
        """Register a function that reloads or clears a cache after a rollback.

        The functions are called in the order of registration, even if others fail.
        """
        self._on_rollback.append(reload)

    def on_retire(self, forget: Callable[[int], None]) -> None:
        """Register a function that clears cached data of a collection, called with its number when it leaves."""
        self._on_retire.append(forget)

    def check(self) -> None:
        """Check the whole database, and finish pending work of the previous process.

        May be called from another thread while the store is not in use.

        Raises:
            StateDamaged: the check failed; nothing was changed.
        """
        if self._path is not None:
            with suppress(OSError):  # then the check is slower, or reports the error
                read_ahead(self._plain_descriptor(self._path))  # the check reads table by table
        check(self._db, self._path)
        with explained():
            forget_statistics(self._db)
            let_shrink(self._db)
        with suppress(StateFull):  # left to the next compaction
            self._lower_words()
        self.truncate_log()  # the process may have ended right after an erasure

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """An atomic transaction; durable (fsync) when the block ends.

        Raises:
            StateFull, StateDamaged, StateError: disk errors, see :mod:`recommender_engine.errors`; nothing was changed.
        """
        with explained():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.outbox.flush()
                self.standings.flush()
                self._db.execute("COMMIT")
            except BaseException:
                with ExitStack() as reloads:  # the last callback is called first
                    for reload in reversed(self._on_rollback):
                        reloads.callback(reload)
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                raise

    @property
    def position(self) -> EntryId:
        """Id of the last command whose effects are committed."""
        return EntryId.parse(self.note("position") or str(START))

    @position.setter
    def position(self, value: EntryId) -> None:
        self.set_note("position", str(value))

    @property
    def clock_ms(self) -> int:
        """Stream time of the last command."""
        return int(self.note("clock_ms") or 0)

    @clock_ms.setter
    def clock_ms(self, value: int) -> None:
        self.set_note("clock_ms", str(value))

    def erased(self, by: EntryId) -> None:
        """Mark ``scrub`` as due, as part of the caller's transaction: deleted data must leave no trace.

        It is not due if nothing was removed since the last time.

        Args:
            by: the erasing command; backups made before it contain the erased data.
        """
        self.set_note(_LAST_ERASURE, str(by))
        if self.words.marked:
            self.set_note(_ERASED, _AGAIN if self.note(_ERASED) in (_BEGUN, _AGAIN) else _DUE)

    @property
    def last_erasure(self) -> EntryId | None:
        """Position of the last command that erased something."""
        noted = self.note(_LAST_ERASURE)
        return None if noted is None else EntryId.parse(noted)

    def retire(self, collection: int, name: str, why: str) -> None:
        """Free the name of a collection; its rows are deleted in small steps (``transfer.clear``)."""
        self.behaviour.write()  # before rows go that are needed to learn again
        self.transfer.retire(collection, name, why)
        self.shown.retire(collection)
        for forget in self._on_retire:
            forget(collection)

    def scrub(self) -> None:
        """Remove all traces of erased data: rewrite the words, and truncate the write-ahead log.

        Postponed while the database is being copied.
        """
        while self.scrub_some():
            pass
        self.truncate_log()

    def scrub_some(self) -> bool:
        """Rewrite some of the words if an erasure requires it; false if nothing is left to do.

        Takes some milliseconds, whatever the size of the state.
        """
        state = self.note(_ERASED)
        if self._copying or state is None:
            return False
        if state == _DUE:
            self._lower_words()
        with self.transaction():
            if state == _DUE:
                self.words.begin_compaction()
                self.set_note(_ERASED, _BEGUN)
            elif not self.words.compact():
                if state == _AGAIN:
                    self.set_note(_ERASED, _DUE)
                else:
                    self._db.execute("DELETE FROM meta WHERE key=?", (_ERASED,))
        return True

    def _lower_words(self) -> None:
        """Remove empty levels of the word index, in a transaction of its own."""
        with self.transaction():
            changed = self.words.lower()
        if changed:
            self.words.look_again()

    def truncate_log(self) -> None:
        """Checkpoint and truncate the write-ahead log: it has pages from before an erasure."""
        if not self._copying:
            with explained():
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def give_back(self) -> bool:
        """Return some free pages to the disk; false if there are none.

        Postponed while the database is being copied: the change would go to the write-ahead log.
        """
        with explained():
            return not self._copying and give_back(self._db)

    def begin_copy(self) -> DatabaseCopy:
        """Keep the database file unchanged; commits go to the write-ahead log until ``end_copy``.

        Raises:
            StateError: the database is in memory or already being copied, or an I/O error.
        """
        if self._path is None or self._copying:
            raise StateError("there is no file to copy" if self._path is None else "the state is being copied already")
        self.scrub()
        descriptor = self._plain_descriptor(self._path)
        self._db.execute("PRAGMA wal_autocheckpoint=0")
        self._copying = True
        copy = DatabaseCopy(self._path, descriptor, facts_of(self._db))
        if copy.log_bytes():
            self.end_copy()
            raise StateError("the write-ahead log could not be moved into the database")
        return copy

    def end_copy(self) -> None:
        """End the copy: checkpoints may change the file again."""
        self._copying = False
        self._db.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        self.truncate_log()

    @property
    def last_event(self) -> EntryId:
        """Id of the last event."""
        return EntryId.parse(self.note("last_event") or str(START))

    @last_event.setter
    def last_event(self, value: EntryId) -> None:
        self.set_note("last_event", str(value))

    def continue_after(self, last_event: EntryId | None, position: EntryId | None) -> None:
        """Continue after this event, or after this position, with new streams."""
        with self.transaction():
            if last_event is not None:
                self.last_event = last_event
            if position is not None:
                self.position = position
                erasure = self.note(_LAST_ERASURE)
                if erasure is not None and EntryId.parse(erasure) > position:
                    self.set_note(_LAST_ERASURE, str(position))

    def kept_bytes(self) -> dict[str, int]:
        """Estimated bytes of the caches, by kind."""
        return {"items": self.items.recent.kept_bytes, "vectors": self.vectors.kept_bytes}

    def note(self, key: str) -> str | None:
        """The value of a note, a small key-value pair."""
        row = self._db.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def drop_note(self, key: str) -> None:
        """Delete a note; part of the caller's transaction."""
        self._db.execute("DELETE FROM meta WHERE key=?", (key,))

    def set_note(self, key: str, value: str) -> None:
        """Store a note; part of the caller's transaction, if any."""
        with explained():
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?,?)", (key, value))

    def _plain_descriptor(self, path: Path) -> int:
        """A descriptor of the database file. It stays open: closing it would silently release SQLite's lock."""
        if self._descriptor is None:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return self._descriptor

    def close(self) -> None:
        """Close the database; commits are already durable."""
        self._db.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
