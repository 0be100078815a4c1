"""Similar-item recommendations and duplicate verdicts for a log of commands: the engine, without any queue.

``Recommender.process(entries)`` is the main path; ``open_recommender`` puts one together from a state directory.
"""

from recommender.items import CollectionSettings, Entry, EntryId, Event, Item, UpsertItem, decode_entry
from recommender.opening import open_recommender
from recommender.pipeline import ItemView, Recommender, SearchHit

__all__ = [
    "CollectionSettings",
    "Entry",
    "EntryId",
    "Event",
    "Item",
    "ItemView",
    "Recommender",
    "SearchHit",
    "UpsertItem",
    "decode_entry",
    "open_recommender",
]
__version__ = "0.1.0"
