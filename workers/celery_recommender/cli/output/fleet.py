"""The embedding fleet as the owner sees it, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from celery_recommender.cli.output.findings import Finding

_ANOTHER_MODEL = "embed workers need the owner's model: docs/guide/fleet.md"
_NOBODY = "start some with `recommender embed-worker`; see RecommenderFleetSilent in the runbook"


def fleet_sentence(fleet: Mapping[str, Any]) -> str:
    """The fleet in the owner's status, in one line."""
    if fleet["state"] != "serving":
        return "no embed worker answers: the owner embeds by itself"
    who = f"{fleet['workers']} of {fleet['expected']} embed workers answered within the last minute"
    return f"{who}, {fleet['in_flight']} batches with them"


def check_fleet(status: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether embed workers answer, where there are to be some."""
    fleet = status.get("fleet")
    if fleet is None:
        return
    found = fleet_sentence(fleet)
    if fleet["complaint"]:
        yield Finding("fleet", "failed", f"{found}; {fleet['complaint']}", _ANOTHER_MODEL)
    elif fleet["state"] != "serving":
        yield Finding("fleet", "warning", found, _NOBODY)
    else:
        yield Finding("fleet", "ok", found)
