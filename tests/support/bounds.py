"""Bounds of the engine's caches, which a test can lower."""

from __future__ import annotations

import pytest

from recommender_engine.pipeline.lexical import counts as counts_module
from recommender_engine.pipeline.lexical import postings as postings_module
from recommender_engine.store import outbox, recent_items, vectors

BOUNDS = (
    (recent_items, "_TEXTS_KEPT"),
    (recent_items, "_POINTS_KEPT"),
    (recent_items, "_GROUPS_KEPT"),
    (recent_items, "_NAMED_KEPT"),
    (vectors, "_VECTORS_KEPT"),
    (vectors, "_UNKNOWN_KEPT"),
    (outbox, "_UNUSED_KEPT"),
    (counts_module, "_TERMS_KEPT"),
    (postings_module, "LONGEST_KEPT"),
)


def keep_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cache nothing: every read is a query."""
    for module, bound in BOUNDS:
        monkeypatch.setattr(module, bound, 0)
