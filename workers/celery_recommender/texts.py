"""What of an item people are shown: the text that is compared, without mark-up, quotations and signatures."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import CollectionSettings
from recommender_engine.items.commands import UpsertItem, validate

if TYPE_CHECKING:
    from recommender_engine.message import Messages


def compared_text(answer: Mapping[str, Any]) -> str:
    """What is compared of an item, fields one to a line.

    Args:
        answer: the item in an answer of the owner (``recommender.get``, ``list``, ``review``, ``search``,
            ``recommendations``, ``export`` …).
    """
    for text in (answer["compared"], answer["text"]):
        if text is not None:
            return str(text)
    return "\n".join(value for value in answer["fields"].values() if value)


def highlights_of(hit: Mapping[str, Any]) -> list[dict[str, int]]:
    """Where terms of the question stand in the `compared_text` of a hit of ``recommender.search``."""
    found: list[dict[str, int]] = hit["highlights" if hit["compared"] is None else "compared_highlights"]
    return found


def compared_parts(item: Mapping[str, Any], message_rules: Path | None = None) -> list[str]:
    """What a new collection would compare of an item that is not sent yet: its text, or its fields in order.

    Args:
        item: the data of ``item.upsert``.
        message_rules: see ``Settings.message_rules``.
    """
    try:
        read = _messages(message_rules).compared(validate(UpsertItem, dict(item)), CollectionSettings())
    except InvalidCommand:  # it is refused when it is sent
        return [str(value) for value in item.get("fields", {"text": item.get("text", "")}).values()]
    return [read.text or ""] if read.fields is None else [value for value in read.fields.values() if value]


def compared_cell(text: str, message_rules: Path | None = None) -> str:
    """What a new collection would compare of one text."""
    return _messages(message_rules).of(text, CollectionSettings()).text


@lru_cache(maxsize=1)
def _messages(message_rules: Path | None) -> Messages:
    from recommender_engine.message import Messages

    return Messages(message_rules)
