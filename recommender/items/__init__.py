"""Values: items, commands, events and decisions; frozen, validated, free of any effect."""

from recommender.items.collection import DEFAULT_MODEL, CollectionSettings
from recommender.items.commands import (
    Command,
    ConfigureCollection,
    DeleteItem,
    Entry,
    EraseItem,
    Malformed,
    PatchItem,
    TickClock,
    UpsertItem,
    claimed_item,
    decode_entry,
    malformed,
    parse_command,
)
from recommender.items.decisions import Band, PairVerdict, Reason, Recommendation
from recommender.items.entry_id import START, EntryId
from recommender.items.events import (
    Cause,
    CollectionConfigured,
    CommandIgnored,
    CommandRejected,
    Event,
    EventData,
    ItemDeleted,
    ItemPatched,
    ItemProcessed,
    ItemsBackfilled,
    Timings,
)
from recommender.items.item import Item, ItemKey
from recommender.items.values import Attributes

__all__ = [
    "DEFAULT_MODEL",
    "START",
    "Attributes",
    "Band",
    "Cause",
    "CollectionConfigured",
    "CollectionSettings",
    "Command",
    "CommandIgnored",
    "CommandRejected",
    "ConfigureCollection",
    "DeleteItem",
    "Entry",
    "EntryId",
    "EraseItem",
    "Event",
    "EventData",
    "Item",
    "ItemDeleted",
    "ItemKey",
    "ItemPatched",
    "ItemProcessed",
    "ItemsBackfilled",
    "Malformed",
    "PairVerdict",
    "PatchItem",
    "Reason",
    "Recommendation",
    "TickClock",
    "Timings",
    "UpsertItem",
    "claimed_item",
    "decode_entry",
    "malformed",
    "parse_command",
]
