"""Similar-item recommendations and duplicate verdicts for a log of commands: the engine, without any queue.

``Recommender.process(entries)`` is the main path; ``open_recommender`` puts one together from a state directory.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recommender_engine.items import (
        CollectionSettings,
        Entry,
        EntryId,
        Event,
        Item,
        ItemKey,
        ListRequest,
        UpsertItem,
        decode_entry,
    )
    from recommender_engine.opening import open_recommender
    from recommender_engine.pipeline import (
        ComparedPair,
        FoundItem,
        ItemView,
        Listed,
        Recommender,
        SearchHit,
    )

__all__ = [
    "CollectionSettings",
    "ComparedPair",
    "Entry",
    "EntryId",
    "Event",
    "FoundItem",
    "Item",
    "ItemKey",
    "ItemView",
    "ListRequest",
    "Listed",
    "Recommender",
    "SearchHit",
    "UpsertItem",
    "decode_entry",
    "open_recommender",
]
__version__ = "0.1.0"

_ENGINE = {"ComparedPair", "FoundItem", "ItemView", "Listed", "Recommender", "SearchHit"}


def __getattr__(name: str) -> Any:
    """Import the public names when they are asked for: ``recommender_engine.errors`` alone loads no engine."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "opening" if name == "open_recommender" else "pipeline" if name in _ENGINE else "items"
    return getattr(import_module(f"{__name__}.{home}"), name)
