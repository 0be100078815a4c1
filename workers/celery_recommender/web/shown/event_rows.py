"""Events as rows of the live feed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

_DETAILS = {
    "recommender.group.changed.v1": "change",
    "recommender.feedback.accepted.v1": "answer",
    "recommender.command.rejected.v1": "message",
    "recommender.command.ignored.v1": "reason",
    "recommender.item.revised.v1": "explanation",
    "recommender.item.processed.v1": "explanation",
}
_MOST = 300


class Row(NamedTuple):
    """One event.

    Attributes:
        kind: its type without prefix and version.
        time: RFC 3339; empty if it has none.
        collection: it is about; empty: none.
        item: id of the item it is about; empty: none.
        other: id of the item that it repeats, or that an answer is about too.
        band: of the verdict; empty: it is none.
        probability: of the verdict.
        detail: a sentence.
        by: of an answer.
    """

    kind: str
    time: str
    collection: str
    item: str
    other: str
    band: str
    probability: float | None
    detail: str
    by: str


def row_of(event: Mapping[str, Any]) -> Row:
    """The row of an event."""
    data: Mapping[str, Any] = event["data"]
    kind = str(event["type"]).removeprefix("recommender.").removesuffix(".v1")
    detail = data.get(_DETAILS.get(event["type"], ""), "")
    return Row(
        kind=kind,
        time=event.get("time", ""),
        collection=data.get("collection") or "",
        item=data.get("item_id") or data.get("canonical_id") or "",
        other=data.get("duplicate_of") or data.get("other_id") or "",
        band=data.get("band", ""),
        probability=data.get("probability"),
        detail=str(detail or "")[:_MOST],
        by=data.get("by") or "",
    )
