"""Similar-item recommendations and duplicate verdicts for a log of commands: the engine, without any queue.

``Recommender.process(entries)`` is the main path; ``open_recommender`` puts one together from a state directory.
"""

from recommender_engine.items import CollectionSettings, Entry, EntryId, Event, Item, ItemKey, UpsertItem, decode_entry
from recommender_engine.opening import open_recommender
from recommender_engine.pipeline import ComparedPair, ItemView, Recommender, SearchHit

__all__ = [
    "CollectionSettings",
    "ComparedPair",
    "Entry",
    "EntryId",
    "Event",
    "Item",
    "ItemKey",
    "ItemView",
    "Recommender",
    "SearchHit",
    "UpsertItem",
    "decode_entry",
    "open_recommender",
]
__version__ = "0.1.0"
