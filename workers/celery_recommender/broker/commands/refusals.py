"""The part of a message that a ``message.refused`` command holds."""

from __future__ import annotations

import base64
import json
from typing import Any

from recommender_engine.items.limits import MAX_SENTENCE_BYTES

_KEPT_BYTES = 128 * 1024  # as much as a command can hold, in base64 or with everything escaped
_MOST_ESCAPED_BYTES = 192 * 1024


def payload_of(raw: bytes) -> dict[str, Any]:
    """The payload as ``message.refused`` has it, truncated if it is too long."""
    text, encoding = _encoded(raw[:_KEPT_BYTES])
    return {"payload": text, "payload_encoding": encoding, "payload_bytes": len(raw)}


def sentence(text: str) -> str:
    """A text made fit for a command: printable, and short enough."""
    shown = "".join(character if character.isprintable() else "·" for character in text)
    return shown.encode()[: MAX_SENTENCE_BYTES - 1].decode(errors="ignore") or "no reason given"


def _encoded(raw: bytes) -> tuple[str, str]:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = None
    if text is not None and len(json.dumps(text, ensure_ascii=False).encode()) <= _MOST_ESCAPED_BYTES:
        return text, "utf-8"
    return base64.b64encode(raw).decode(), "base64"
