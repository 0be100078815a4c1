"""How long commands take from their append to the publication of their events."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from recommender_engine.items import EntryId, Event

_MOST = 100_000  # that wait for publication; of more, as while the server is away, the oldest are not measured


class Latencies:
    """Times of commands whose events are committed and not published yet."""

    def __init__(self) -> None:
        self._appended_ms: deque[int] = deque(maxlen=_MOST)

    def committed(self, events: Iterable[Event]) -> None:
        """Events are decided; each command counts once, and one that is answered silently not at all."""
        commands = dict.fromkeys(event.data.command.id for event in events if not event.silent)
        self._appended_ms.extend(EntryId.parse(id_).ms for id_ in commands)

    def published(self, now_ms: int) -> list[float]:
        """All of them are in the stream: seconds since the append of each, by the clock of the server."""
        seconds = [max(0, now_ms - ms) / 1000 for ms in self._appended_ms]
        self._appended_ms.clear()
        return seconds
