"""What the engine keeps in memory of what it read: bounds that a test can lower."""

from __future__ import annotations

import pytest

from recommender_engine.pipeline.lexical import counts as counts_module
from recommender_engine.pipeline.lexical import postings as postings_module
from recommender_engine.store import outbox, recent_items, vectors

BOUNDS = (
    (recent_items, "_TEXTS_KEPT"),
    (recent_items, "_POINTS_KEPT"),
    (recent_items, "_GROUPS_KEPT"),
    (vectors, "_VECTORS_KEPT"),
    (vectors, "_UNKNOWN_KEPT"),
    (outbox, "_UNUSED_KEPT"),
    (counts_module, "_TERMS_KEPT"),
    (postings_module, "LONGEST_KEPT"),
)


def keep_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is asked of the database each time."""
    for module, bound in BOUNDS:
        monkeypatch.setattr(module, bound, 0)
