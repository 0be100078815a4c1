"""Events as messages that Slack's incoming webhooks take: duplicates, and incidents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from recommender_engine.items import Band, IncidentClosed, IncidentOpened, IncidentUpdated, ItemProcessed, ItemRevised

_MOST_CHARACTERS = 2900  # of a section; Slack takes 3,000
_ID_CHARACTERS = 200


def slack_message(event: Mapping[str, Any]) -> bytes | None:
    """The body for an event; ``None``: it is not worth a message."""
    line = _LINES.get(event["type"], _nothing)(event["data"])
    if line is None:
        return None
    headline, detail = line
    text = f"*{headline}*\n{detail}"[:_MOST_CHARACTERS]
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]
    return json.dumps({"text": headline, "blocks": blocks}, ensure_ascii=False).encode()


def _duplicate(data: Mapping[str, Any]) -> tuple[str, str] | None:
    if data["band"] != Band.DUPLICATE.value:
        return None
    pair = f"{_named(data['item_id'])} repeats {_named(data['duplicate_of'])} in {_named(data['collection'])}"
    return f"Duplicate: {pair}", f"probability {data['probability']:.3f}. {_plain(data['explanation'])}"


def _revised(data: Mapping[str, Any]) -> tuple[str, str] | None:
    """A verdict that became a duplicate, or is none any more."""
    if data["previous_band"] == data["band"]:
        return None
    if data["previous_band"] == Band.DUPLICATE.value:
        pair = f"{_named(data['item_id'])} in {_named(data['collection'])}"
        return f"No duplicate after all: {pair}", _plain(data["explanation"])
    return _duplicate(data)


def _incident(verb: str) -> Any:
    def told(data: Mapping[str, Any]) -> tuple[str, str]:
        about = f" like {_named(data['canonical_id'])}" if data["canonical_id"] else ""
        return f"Incident {verb}: {data['items']} items{about} in {_named(data['collection'])}", _plain(
            data["explanation"]
        )

    return told


def _nothing(_: Mapping[str, Any]) -> None:
    return None


_LINES: dict[str, Any] = {
    ItemProcessed.type: _duplicate,
    ItemRevised.type: _revised,
    IncidentOpened.type: _incident("opened"),
    IncidentUpdated.type: _incident("grows"),
    IncidentClosed.type: _incident("over"),
}


def _named(text: str) -> str:
    return _plain(text if len(text) <= _ID_CHARACTERS else f"{text[:_ID_CHARACTERS]}…")


def _plain(text: str) -> str:
    """Text without a meaning for Slack: no link, no mention, no markup over the line."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("`", "'")
