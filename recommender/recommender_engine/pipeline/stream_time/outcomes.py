"""The one event that answers a command, and the rule that older versions lose."""

from __future__ import annotations

from recommender_engine.items import (
    Band,
    CommandIgnored,
    DeleteItem,
    Entry,
    EntryId,
    EventData,
    ItemKey,
    PatchItem,
    UpsertItem,
)
from recommender_engine.pipeline.batch import Batch, cause
from recommender_engine.pipeline.stream_time.summaries import Summaries
from recommender_engine.store import Collection, SqliteStore, StoredItem


class Outcomes:
    """Emits outcomes; silent ones are counted instead of published."""

    def __init__(self, summaries: Summaries) -> None:
        self._summaries = summaries

    def emit(
        self, entry: Entry, collection: Collection, data: EventData, band: Band | None, silent: bool, batch: Batch
    ) -> EntryId:
        """The command was applied; ``band`` is that of the item that arrived, if one did."""
        if silent:
            self._summaries.count(collection, entry, band)
        return batch.emit(entry, data, silent=silent)

    def ignore(self, entry: Entry, key: ItemKey, reason: str, batch: Batch) -> EntryId:
        """The command is valid and changes nothing."""
        ignored = CommandIgnored.model_validate(
            {"command": cause(entry), "item_id": key.id, "collection": key.collection, "reason": reason}
        )
        return batch.emit(entry, ignored, silent=getattr(key, "silent", False))


def is_older(
    store: SqliteStore,
    collection: Collection,
    command: UpsertItem | PatchItem | DeleteItem,
    stored: StoredItem | None,
    now_ms: int,
) -> bool:
    """Whether a later version of the item has been seen; a command without a version is never older.

    The version of an item that is gone is known for a week of stream time.
    """
    if command.version is None:
        return False
    last = stored.version if stored else store.tombstones.version(collection.id, command.id, now_ms)
    return last is not None and command.version < last
