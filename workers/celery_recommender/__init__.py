"""The edge: Celery, Redis, settings and the command line around the engine.

``attach(app)`` plugs the recommender into an existing Celery app; ``Client`` is a producer for any Python process;
both raise ``Overloaded`` while too much waits. ``dedupe`` and ``similar`` take a data frame and need no server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery_recommender.broker.commands.admission import Overloaded
    from celery_recommender.celery.worker.plugin import attach
    from celery_recommender.client import Client
    from celery_recommender.frames.deduping import dedupe, similar

__all__ = ["Client", "Overloaded", "attach", "dedupe", "similar"]

_HOMES = {
    "Client": "celery_recommender.client",
    "Overloaded": "celery_recommender.broker.commands.admission",
    "attach": "celery_recommender.celery.worker.plugin",
    "dedupe": "celery_recommender.frames.deduping",
    "similar": "celery_recommender.frames.deduping",
}


def __getattr__(name: str) -> Any:
    """Import the public names only when asked for: a producer need not load what an owner needs."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
