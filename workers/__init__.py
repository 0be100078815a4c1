"""The edge: Celery, Redis, settings and the command line around the engine.

``attach(app)`` plugs the recommender into an existing Celery app; ``Client`` is a producer for any Python process;
both raise ``Overloaded`` while too much waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workers.broker.admission import Overloaded
    from workers.celery.plugin import attach
    from workers.client import Client

__all__ = ["Client", "Overloaded", "attach"]

_HOMES = {
    "Client": "workers.client",
    "Overloaded": "workers.broker.admission",
    "attach": "workers.celery.plugin",
}


def __getattr__(name: str) -> Any:
    """Import the public names only when asked for: a producer need not load what an owner needs."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
