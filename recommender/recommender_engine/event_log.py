"""Log of events with keys, for any formatter: the message contains the keys too."""

from __future__ import annotations

import json
import logging
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Adapter = logging.LoggerAdapter[logging.Logger]
else:
    Adapter = logging.LoggerAdapter


def event_log(name: str) -> EventLog:
    """The log of a module."""
    return EventLog(logging.getLogger(name), {})


class EventLog(Adapter):
    """Takes an event's name and keys (``extra``).

    The message is the name and the keys, so that a formatter which knows nothing of them shows why something happened.
    The record has the name as ``event``, and each key.
    """

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """As a logger's."""
        if self.isEnabledFor(level):
            kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
            super().log(level, str(msg) % args if args else msg, **kwargs)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Put the keys into the message."""
        keys = kwargs.get("extra")
        if not keys:
            return msg, kwargs
        said = " ".join(f"{key}={shown(value)}" for key, value in keys.items())
        return f"{msg} {said}", {**kwargs, "extra": {**keys, "event": str(msg)}}


def shown(value: Any) -> str:
    """A value in a line: with quotes where it would not be one word."""
    text = str(value)
    return text if text and text.isprintable() and " " not in text and "=" not in text else json.dumps(text)
