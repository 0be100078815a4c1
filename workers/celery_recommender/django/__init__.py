"""A Django app: rows of models become items, sent through a table in the transaction that saves them.

``follow`` names a model whose rows are items; ``enqueue`` sends a row whose related rows changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery_recommender.django.following import enqueue, follow

__all__ = ["enqueue", "follow"]


def __getattr__(name: str) -> Any:
    """Import the public names only when asked for: models cannot be imported before Django is set up."""
    if name in __all__:
        from celery_recommender.django import following

        return getattr(following, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
