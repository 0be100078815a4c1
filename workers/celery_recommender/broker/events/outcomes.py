"""Which events answer a command, and which are consequences of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recommender_engine.items import (
    CommandForwarded,
    GroupChanged,
    IncidentClosed,
    IncidentOpened,
    IncidentUpdated,
    ItemDeleted,
    ItemRevised,
    ItemsBackfilled,
    RecommendationsJudged,
    RecommendationsUpdated,
)

_CONSEQUENCES = {
    ItemsBackfilled.type,
    ItemRevised.type,
    GroupChanged.type,
    CommandForwarded.type,
    IncidentOpened.type,
    IncidentUpdated.type,
    IncidentClosed.type,
    RecommendationsJudged.type,
    RecommendationsUpdated.type,
}


def is_outcome(event: Mapping[str, Any]) -> bool:
    """Whether an event is the outcome of its command.

    Summaries, expired items, revised verdicts, changed groups, incidents and changed lists name the command at which
    they came, and some of them come before its outcome. The outcome of a forwarded command is in another partition.
    """
    expired = event["type"] == ItemDeleted.type and event["data"].get("expired", False)
    return event["type"] not in _CONSEQUENCES and not expired


def in_run(event: Mapping[str, Any], run: str) -> bool:
    """Whether an event belongs to a command whose key begins with ``run``."""
    return (event["data"]["command"]["key"] or "").startswith(run)
