"""Content of the streams."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis import Redis

from celery_recommender.broker.events.outcomes import is_outcome
from celery_recommender.broker.redis.keys import PartitionKeys
from recommender_engine.items import EntryId
from tests.support.waiting import wait_until

KEYS = PartitionKeys.of("default")
PROCESSED = "recommender.item.processed.v1"
REJECTED = "recommender.command.rejected.v1"
DELETED = "recommender.item.deleted.v1"
_TIMINGS = re.compile(rb'"timings":\{[^{}]*\}')


class Published(NamedTuple):
    """One entry of the events stream."""

    id: str
    type: str
    event: bytes

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.event)["data"]
        return data

    @property
    def command(self) -> str:
        """Position of the command that it answers."""
        position: str = self.data["command"]["id"]
        return position

    def without_timings(self) -> Published:
        """The part that a replay repeats byte for byte."""
        return self._replace(event=_TIMINGS.sub(b'"timings":{}', self.event))


def published(redis: Redis, keys: PartitionKeys = KEYS) -> list[Published]:
    """The whole events stream."""
    entries: Any = redis.xrange(keys.events)
    return [Published(id_.decode(), fields[b"type"].decode(), fields[b"event"]) for id_, fields in entries]


def outcomes(events: Sequence[Published]) -> list[Published]:
    """The outcomes alone, without changed groups and revised verdicts."""
    return [event for event in events if is_outcome({"type": event.type, "data": event.data})]


def erasures(events: Sequence[Published]) -> dict[tuple[str, str], int]:
    """Index of the last erasure of each item, by collection and id."""
    return {
        (event.data["collection"], event.data["item_id"]): place
        for place, event in enumerate(events)
        if event.type == DELETED and event.data["erased"]
    }


def traces(events: Sequence[Published]) -> list[Published]:
    """Events of items that were erased later."""
    erased = erasures(events)
    subjects = [(event.data.get("collection"), event.data.get("item_id")) for event in events]
    return [
        event
        for place, (event, subject) in enumerate(zip(events, subjects, strict=True))
        if place < erased.get(subject, 0)
    ]


def without_quotes(events: Sequence[Published]) -> list[Published]:
    """The events, without the reasons of verdicts that may quote an item which was erased later."""
    erased = erasures(events)
    plain = []
    for place, event in enumerate(events):
        said = json.loads(event.event)
        if place < erased.get((said["data"].get("collection"), said["data"].get("matched_id")), 0):
            said["data"] |= {"reasons": [], "explanation": ""}
        plain.append(event._replace(event=json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()))
    return plain


def answered(redis: Redis, positions: Sequence[EntryId], timeout_s: float = 60.0) -> list[Published]:
    """Wait until the last of the commands is answered; the whole events stream then."""
    last = str(positions[-1])

    def there() -> bool:
        entries: Any = redis.xrevrange(KEYS.events, count=1)
        return bool(entries) and json.loads(entries[0][1][b"event"])["data"]["command"]["id"] == last

    wait_until(there, f"the answer to {last}", timeout_s)
    return published(redis)
