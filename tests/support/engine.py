"""Parts for tests of the engine: a log of commands, models, and events as a replay repeats them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recommender_engine import Entry, EntryId, Event, Recommender, decode_entry, open_recommender
from recommender_engine.embedding import Encoder
from recommender_engine.errors import ConfigurationError
from recommender_engine.items import (
    DEFAULT_MODEL,
    START,
    CommandForwarded,
    GroupChanged,
    IncidentClosed,
    IncidentOpened,
    ItemDeleted,
    ItemRevised,
    ItemsBackfilled,
    RecommendationsJudged,
    RecommendationsUpdated,
)
from recommender_engine.matching import MatcherFactory
from recommender_engine.testing import DeterministicEncoder
from tests.support.matchers import cosine_matcher

SOURCE = "/recommender/default"


class Models:
    """``Encoders`` over encoders that exist already; the first argument is the default model."""

    def __init__(self, default: Encoder | None = None, **others: Encoder) -> None:
        self._encoders: dict[str, Encoder] = {DEFAULT_MODEL: default or DeterministicEncoder(), **others}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._encoders)

    def encoder(self, name: str) -> Encoder:
        if name not in self._encoders:
            raise ConfigurationError(f"model {name!r} is not declared")
        return self._encoders[name]


class Log:
    """A commands log that gives each entry the next id."""

    def __init__(self, start_ms: int = 1_700_000_000_000) -> None:
        self._last = EntryId(start_ms, 0)

    def add(
        self,
        type_: str,
        data: Any = None,
        *,
        key: str | None = None,
        reply_to: str | None = None,
        later_ms: int = 1,
        **fields: Any,
    ) -> Entry:
        """The next entry; ``data`` as it is (bytes) or as JSON, or made of the keywords."""
        self._last = self._last.next_at(self._last.ms + later_ms)
        said = fields if data is None else data
        raw = said if isinstance(said, bytes) else json.dumps(said).encode()
        return decode_entry(self._last, type_, raw, key, reply_to)

    def upsert(self, id_: str, text: str, **fields: Any) -> Entry:
        return self.add("item.upsert", id=id_, text=text, **fields)

    def patch(self, id_: str, attributes: dict[str, Any], **fields: Any) -> Entry:
        return self.add("item.patch", id=id_, attributes=attributes, **fields)

    def delete(self, id_: str, **fields: Any) -> Entry:
        return self.add("item.delete", id=id_, **fields)

    def erase(self, id_: str, **fields: Any) -> Entry:
        return self.add("item.erase", id=id_, **fields)

    def configure(self, collection: str = "default", **settings: Any) -> Entry:
        return self.add("collection.configured", {"collection": collection, "settings": settings})

    def feedback(self, id_: str, answer: str, other: str | None = None, **fields: Any) -> Entry:
        named: dict[str, Any] = {} if other is None else {"other": other}
        return self.add("feedback.given", id=id_, answer=answer, **named, **fields)

    def interact(self, item: str, user: str, later_ms: int = 1, **fields: Any) -> Entry:
        return self.add("interaction.recorded", {"item": item, "user": user, **fields}, later_ms=later_ms)

    def tick(self, later_ms: int = 1) -> Entry:
        return self.add("clock.ticked", {}, later_ms=later_ms)


def opened(
    directory: Path | None = None,
    encoder: Encoder | None = None,
    *,
    matcher: MatcherFactory = cosine_matcher,
    **others: Encoder,
) -> Recommender:
    """An engine whose default model is ``encoder``; without a directory its state is in memory.

    By default it judges by fixed thresholds of the cosine.
    """
    return open_recommender(directory, Models(encoder, **others), matcher=matcher)


def is_correction(event: Event) -> bool:
    """Whether an event is a further change of a command, besides its outcome."""
    return isinstance(event.data, GroupChanged | ItemRevised)


def is_outcome(event: Event) -> bool:
    """Whether an event is the one answer that a command gets."""
    if isinstance(event.data, ItemDeleted):
        return not event.data.expired
    beside = (
        ItemsBackfilled
        | CommandForwarded
        | IncidentOpened  # an update is an opened one
        | IncidentClosed
        | RecommendationsJudged
        | RecommendationsUpdated
    )
    return not is_correction(event) and not isinstance(event.data, beside)


def data_of(event: Event) -> dict[str, Any]:
    """The data of an event as JSON values, without the timings."""
    data: dict[str, Any] = event.data.model_dump(mode="json")
    data.pop("timings", None)
    return {"type": event.data.type, **data}


def lines(events: Sequence[Event]) -> list[str]:
    """Events as they are published, byte for byte but for the timings."""
    return [_untimed(event.to_json(SOURCE)) + (" silent" if event.silent else "") for event in events]


def outbox_lines(engine: Recommender) -> list[str]:
    """What the outbox would publish from the beginning, byte for byte but for the timings."""
    return [f"{row.id} {row.type} {_untimed(row.event)}" for row in engine.outbox.after(START, 1_000_000)]


def _untimed(event: str) -> str:
    said = json.loads(event)
    said.get("data", {}).pop("timings", None)
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def at(degrees: float, dimension: int = 64) -> list[float]:
    """A vector in a plane; the cosine of two of them is that of the angle between.

    By `CosineMatcher` two are duplicates up to 30 degrees apart, for review up to 41, and similar up to 69.
    """
    radians = math.radians(degrees)
    return [math.cos(radians), math.sin(radians), *[0.0] * (dimension - 2)]


def corrections_of(events: Sequence[Event]) -> list[dict[str, Any]]:
    """The further changes besides the outcomes, without the commands that caused them."""
    told = [data_of(event) for event in events if is_correction(event)]
    return [{name: value for name, value in data.items() if name != "command"} for data in told]


def group_changed(
    group: str,
    change: str,
    items: Sequence[str],
    *,
    size: int,
    canonical: str,
    other: str | None = None,
    collection: str = "default",
) -> dict[str, Any]:
    """A ``group.changed`` event as `corrections_of` gives it."""
    return {
        "type": "recommender.group.changed.v1",
        "collection": collection,
        "group": group,
        "change": change,
        "items": list(items),
        "other_group": other,
        "canonical_id": canonical,
        "size": size,
    }


def assert_same_in_one_batch(before: Sequence[Entry], batch: Sequence[Entry]) -> list[Event]:
    """Process a batch at once in one engine and entry by entry in another, compare both; the events."""
    together, apart = opened(), opened()
    together.process(before)
    apart.process(before)
    events = together.process(batch)
    assert lines(events) == lines([event for entry in batch for event in apart.process([entry])])
    assert together.stats() == apart.stats()
    assert outbox_lines(together) == outbox_lines(apart)
    assert together.due_ms() == apart.due_ms()
    return events
