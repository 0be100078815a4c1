"""What holds for the handlers of all commands: one outcome, repeats of keys, rejections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import (
    Command,
    Entry,
    EntryId,
    QuarantineCommand,
    RefuseMessage,
    RejectedCommand,
    TickClock,
)
from recommender_engine.items.repeats import digest_of, repeats, scope_of
from recommender_engine.pipeline.batch import Decision
from recommender_engine.pipeline.migration.moved_collections import MovedCollections
from recommender_engine.pipeline.outcomes.rejections import refused, refused_elsewhere, rejected
from recommender_engine.pipeline.prepared import (
    Prepared,
    PreparedForward,
    PreparedRejection,
    PreparedRepeat,
    PreparedUpsert,
)
from recommender_engine.store import KeyUse, SqliteStore

Handler = Callable[[Decision, Any], EntryId | None]
"""Applies a command, given as its own class (an upsert as ``PreparedUpsert``), inside the batch's transaction.

Returns the id of its outcome; ``None`` if it has none here. Raises ``InvalidCommand``, before it changes anything, if
the command is to be rejected.
"""


class Handlers:
    """Applies commands in the order of the log.

    Args:
        store: the state.
        moves: forwards commands of collections that are in another partition.
        by_type: the handler of each command that changes something.

    Attributes:
        by_type: the handler of each command.
    """

    def __init__(
        self,
        store: SqliteStore,
        moves: MovedCollections,
        by_type: Mapping[type[Command | RejectedCommand], Handler],
    ) -> None:
        self._store = store
        self._moves = moves
        self.by_type: Mapping[type[Command | RejectedCommand], Handler] = {**BY_THEMSELVES, **by_type}

    def first_use(self, entry: Entry) -> KeyUse | None:
        """The first use of its key in its collection, if that was within the last 24 hours of stream time."""
        return None if entry.key is None else self._store.outbox.used(scope_of(entry), entry.key, entry.time_ms)

    def handle(self, prepared: Prepared, decision: Decision) -> None:
        """Decide one entry: exactly one outcome, which also answers every later repeat of its key.

        An entry that is forwarded has its outcome in the other partition, and so have its repeats.
        """
        entry = decision.entry
        first = self.first_use(entry)  # asked again: the batch may have used the key, or erased the item
        if first is None and isinstance(prepared, PreparedRepeat):
            first = prepared.first
        if first is None:
            outcome = self._apply(prepared, decision)
            if outcome is not None and entry.key is not None:
                use = KeyUse(outcome, digest_of(entry))
                self._store.outbox.remember_key(scope_of(entry), entry.key, entry.time_ms, use)
        elif repeats(entry, first.digest):
            outcome = first.outcome
        else:
            outcome = _refuse_reuse(decision)
        if outcome is not None and entry.reply_to is not None:
            self._store.outbox.promise(entry.reply_to, outcome)

    def _apply(self, prepared: Prepared, decision: Decision) -> EntryId | None:
        command = decision.entry.command
        try:
            if isinstance(prepared, PreparedForward):
                return self._moves.forward(decision, prepared.partition)
            if isinstance(prepared, PreparedRejection):
                raise prepared.error
            return self.by_type[type(command)](decision, prepared if isinstance(prepared, PreparedUpsert) else command)
        except InvalidCommand as error:
            return _reject(decision, refused(command, error))


def _reject(decision: Decision, command: RejectedCommand) -> EntryId:
    return decision.batch.reject(decision.entry, *rejected(decision.entry, command))


def _reject_refused(decision: Decision, command: RefuseMessage) -> EntryId:
    return decision.batch.reject(decision.entry, *refused_elsewhere(decision.entry, command))


def _refuse_reuse(decision: Decision) -> EntryId:
    """Another command under a key that has been used: the key stays with the first."""
    command = decision.entry.command
    if isinstance(command, RejectedCommand):  # its own error is more precise
        return _reject(decision, command)
    error = InvalidCommand(
        "key_reused",
        "another command of this collection came under this key within the last 24 hours, and that one counts:"
        " send this one under a key of its own",
        "key",
    )
    return _reject(decision, refused(command, error))


def _do_nothing(_decision: Decision, _command: Command) -> None:
    """The command has no effect of its own, and no outcome."""


BY_THEMSELVES: Mapping[type[Command | RejectedCommand], Handler] = {
    RefuseMessage: _reject_refused,
    TickClock: _do_nothing,  # what was due has been emitted before
    QuarantineCommand: _do_nothing,  # it is only a record in the log
    RejectedCommand: _reject,
}
"""Handlers that need no part of the engine."""
