"""The lists in which Celery's Redis transport keeps one queue: a message with a priority is in a separate list.

Kombu puts separator and priority behind the queue's name; which separator and which steps is a setting of each app
(``sep`` and ``priority_steps`` of ``broker_transport_options``), so a sender's need not be the reader's.
"""

from __future__ import annotations

SEPARATORS = ("\x06\x16", ":")
"""Kombu's own, and the one that Celery's documentation of priorities uses."""

_HIGHEST = 9


def priority_lists(queue: str) -> tuple[str, ...]:
    """Lists of messages with a priority; kombu's Redis transport knows 0 (none) to 9."""
    return tuple(f"{queue}{sep}{priority}" for sep in SEPARATORS for priority in range(1, _HIGHEST + 1))


def lists_of(queue: str) -> tuple[str, ...]:
    """All lists of a queue."""
    return (queue, *priority_lists(queue))
