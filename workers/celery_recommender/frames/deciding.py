"""Rows of a frame through an engine in this process, and the verdicts that hold after the last one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from celery_recommender.frames.columns import noted
from celery_recommender.records import BadRow, ItemRow
from celery_recommender.replaying import Seen
from recommender_engine import Entry, EntryId, Recommender, decode_entry
from recommender_engine.errors import InvalidCommand
from recommender_engine.items import CommandRejected, ConfigureCollection, ItemProcessed, UpsertItem
from recommender_engine.items.commands import validate

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Sent:
    """A row that was decided, or why it was not.

    Attributes:
        id: of the item; ``None`` where the row is none.
        error: why the row has no verdict, or what of it was not used.
        novelty: of the item when it arrived, in [0, 1].
    """

    id: str | None
    error: str | None = None
    novelty: float | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A row with what holds of it after the last row.

    Attributes:
        sent: the row.
        view: the item as ``recommender.get`` answers it; ``None`` where there is none.
        similar: ids and scores of similar items, best first.
    """

    sent: Sent
    view: Mapping[str, Any] | None = None
    similar: Sequence[tuple[str, float]] = ()


def decide(
    engine: Recommender,
    rows: Iterable[ItemRow],
    collection: str,
    settings: Mapping[str, Any] | None,
    advance: Callable[[int], None],
) -> list[Sent]:
    """Decide rows in order; all arrive at one moment, so that no outcome depends on the speed of this machine.

    Args:
        engine: that decides.
        rows: as ``Items`` makes them, of this collection.
        collection: its name.
        settings: of the collection from now on; ``None`` leaves them.
        advance: called with the number of rows decided since the last call.

    Raises:
        InvalidCommand: a setting is wrong.
    """
    entries = _Entries(engine.position, time.time_ns() // 1_000_000)
    if settings is not None:
        data = {"collection": collection, "settings": dict(settings)}
        validate(ConfigureCollection, data)
        for event in engine.process([entries.make(ConfigureCollection.type, data)]):
            if isinstance(event.data, CommandRejected):  # a model that is not there
                raise InvalidCommand(event.data.code, event.data.message, event.data.field)
    sent: list[Sent] = []
    blocks = _batches(rows)
    following = next(blocks, None)
    while following is not None:
        block, batch = following, []
        places: dict[EntryId, int] = {}
        for one in block:
            if isinstance(one.item, BadRow):
                sent.append(Sent(None, one.item.error))
                continue
            entry = entries.make(UpsertItem.type, one.item)
            places[entry.id] = len(sent)
            batch.append(entry)
            sent.append(Sent(one.item["id"], noted(one.remarks)))
        engine.embed_ahead(batch)
        following = next(blocks, None)
        _take(engine.process(batch), places, sent)
        advance(len(block))
    return sent


def judged(engine: Recommender, sent: Iterable[Sent], collection: str, similar: int) -> list[Judged]:
    """The verdicts that hold now, with at most so many similar items."""
    found = []
    for one in sent:
        view = None if one.id is None else engine.get(one.id, collection)
        if view is None or one.id is None:
            found.append(Judged(one))
            continue
        hits = engine.recommend(one.id, collection, similar) if similar else None
        pairs = [(hit.id, float(hit.score)) for hit in hits or ()]
        found.append(Judged(one, view.model_dump(mode="json"), pairs))
    return found


def seen_in(engine: Recommender, collection: str) -> Seen | None:
    """What a replay under other settings needs; ``None`` while there is no item."""
    items: list[Mapping[str, Any]] = []
    after: int | None = 0
    page = None
    while after is not None:
        page = engine.export(collection, after)
        if page is None:
            return None
        items += page.model_dump(mode="json")["items"]
        after = page.next
    if page is None or page.dimension is None:
        return None
    answers = [one.model_dump(mode="json") for one in engine.answers(collection)]
    return Seen(collection, page.settings, page.dimension, items, answers)


class _Entries:
    """Makes entries of one moment, behind the position of an engine."""

    def __init__(self, position: EntryId, now_ms: int) -> None:
        self._last = position
        self._now_ms = now_ms

    def make(self, type_: str, data: Mapping[str, Any]) -> Entry:
        self._last = self._last.next_at(self._now_ms)
        return decode_entry(self._last, type_, json.dumps(data))


def _batches(rows: Iterable[ItemRow]) -> Iterator[list[ItemRow]]:
    rows = iter(rows)
    while block := list(islice(rows, _BATCH)):
        yield block


def _take(events: Iterable[Any], places: Mapping[EntryId, int], sent: list[Sent]) -> None:
    """Note of each row that it was rejected, or how new it was."""
    for data in (event.data for event in events):
        place = places.get(EntryId.parse(str(data.command.id)))
        if place is None:
            continue
        if isinstance(data, CommandRejected):
            sent[place] = Sent(None, f"{data.code}: {data.message}")
        elif isinstance(data, ItemProcessed):
            sent[place] = replace(sent[place], novelty=data.novelty)
