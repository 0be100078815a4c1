"""The one event that answers a command, and the rule that older versions lose."""

from __future__ import annotations

from recommender_engine.items import (
    Band,
    CommandIgnored,
    DeleteItem,
    EntryId,
    EventData,
    IgnoreReason,
    ItemKey,
    PatchItem,
    UpsertItem,
)
from recommender_engine.pipeline.batch import CollectionDecision, Decision
from recommender_engine.pipeline.outcomes.summaries import Summaries
from recommender_engine.store import Collection, SqliteStore, StoredItem


class Outcomes:
    """Emits outcomes; silent ones are counted instead of published."""

    def __init__(self, summaries: Summaries) -> None:
        self._summaries = summaries

    def emit(self, decision: CollectionDecision, data: EventData, band: Band | None, *, silent: bool) -> EntryId:
        """The command was applied; ``band`` is that of the item that arrived, if one did."""
        if silent:
            self._summaries.count(decision, band)
        return decision.emit(data, silent=silent)


def ignore(decision: Decision, key: ItemKey, reason: IgnoreReason, *, silent: bool = False) -> EntryId:
    """Emit the outcome of a valid command that changes nothing."""
    ignored = CommandIgnored(command=decision.cause, item_id=key.id, collection=key.collection, reason=reason)
    return decision.emit(ignored, silent=silent)


def is_older(
    store: SqliteStore,
    collection: Collection,
    command: UpsertItem | PatchItem | DeleteItem,
    stored: StoredItem | None,
    now_ms: int,
) -> bool:
    """Whether a later version of the item has been seen; a command without a version is never older.

    The version of a deleted item is kept for a week of stream time.
    """
    if command.version is None:
        return False
    last = stored.version if stored else store.tombstones.version(collection.id, command.id, now_ms)
    return last is not None and command.version < last
