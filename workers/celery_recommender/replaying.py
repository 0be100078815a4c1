"""Replays the items of a collection in memory, under other settings and with their recorded vectors."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recommender_engine import Entry, EntryId, Recommender, open_recommender
from recommender_engine.embedding import Encoder, ModelIdentity
from recommender_engine.embedding.encoder import Embeddings
from recommender_engine.errors import EncodingError
from recommender_engine.items import (
    CollectionSettings,
    ConfigureCollection,
    Event,
    GiveFeedback,
    ItemProcessed,
    ItemRevised,
    UpsertItem,
)

_BATCH = 50


@dataclass(frozen=True, slots=True)
class Seen:
    """The items and answers of a collection.

    Attributes:
        collection: its name.
        settings: as they are now.
        dimension: length of its vectors.
        items: as exported, in order of arrival.
        answers: about them, in their order.
    """

    collection: str
    settings: CollectionSettings
    dimension: int
    items: Sequence[Mapping[str, Any]]
    answers: Sequence[Mapping[str, Any]]


class Replayed(NamedTuple):
    """The verdicts of a replay.

    Attributes:
        said: the latest verdict on each item.
        closed: where the target precision is not measured after it, see ``PromiseView``.
    """

    said: dict[str, ItemProcessed | ItemRevised]
    closed: list[dict[str, Any]]


@contextmanager
def replayed(
    seen: Seen, settings: CollectionSettings, advance: Callable[[int], None], message_rules: Path | None = None
) -> Iterator[tuple[Recommender, dict[str, ItemProcessed | ItemRevised]]]:
    """An engine in memory in which all items have arrived again, in their order and at their times.

    Args:
        seen: items with recorded vectors, and answers.
        settings: from the first item on.
        advance: called with the number of commands decided since the last call.
        message_rules: file with phrases that are cut from texts besides our own.

    Yields:
        The engine, which can embed nothing new, and what was said last of each item.
    """
    engine = open_recommender(None, _Recorded(settings.model, seen.dimension), message_rules=message_rules)
    said: dict[str, ItemProcessed | ItemRevised] = {}
    try:
        entries = list(_entries(seen, settings))
        for start in range(0, len(entries), _BATCH):
            batch = entries[start : start + _BATCH]
            _note(engine.process(batch), said)
            advance(len(batch))
        yield engine, said
    finally:
        engine.close()


def replay(
    seen: Seen, settings: CollectionSettings, advance: Callable[[int], None], message_rules: Path | None = None
) -> Replayed:
    """The verdicts after ``replayed``, whose arguments these are."""
    with replayed(seen, settings, advance, message_rules) as (engine, said):
        closed = [one.model_dump(mode="json") for one in engine.promises.closed(seen.collection)]
    return Replayed(said, closed)


def commands(seen: Seen) -> int:
    """How many commands a replay has."""
    return 1 + len(seen.items) + len(seen.answers)


def _note(events: Sequence[Event], said: dict[str, ItemProcessed | ItemRevised]) -> None:
    for event in events:
        if isinstance(event.data, ItemProcessed | ItemRevised):
            said[event.data.item_id] = event.data


def _entries(seen: Seen, settings: CollectionSettings) -> Iterator[Entry]:
    # Recommendations are for readers; nothing is decided by them, and they are not read here.
    # What is here was admitted.
    quick = settings.model_copy(update={"recommendations": 0, "commands_per_second": None})
    first_ms = seen.items[0]["at_ms"]
    yield Entry(EntryId(1, 0), ConfigureCollection(collection=seen.collection, settings=quick), at_ms=first_ms)
    at_ms = first_ms
    for number, (time_ms, command) in enumerate(_in_order(seen), start=2):
        at_ms = max(at_ms, time_ms)
        yield Entry(EntryId(number, 0), command, at_ms=at_ms)


def _in_order(seen: Seen) -> list[tuple[int, UpsertItem | GiveFeedback]]:
    """Items as they arrived; an answer when it was given, or once both items are there (one may have been edited)."""
    arrived: dict[str, int] = {}
    timed: list[tuple[int, int, UpsertItem | GiveFeedback]] = []
    at_ms = 0
    for place, item in enumerate(seen.items):
        at_ms = max(at_ms, item["at_ms"])
        arrived[item["id"]] = at_ms
        timed.append((at_ms, place, _item(item, seen.collection)))
    for place, answer in enumerate(seen.answers, start=len(seen.items)):
        one, other = answer["item_id"], answer["other_id"]
        time_ms = max(answer["at_ms"], arrived[one], arrived[other])
        command = GiveFeedback(collection=seen.collection, id=one, other=other, answer=answer["answer"])
        timed.append((time_ms, place, command))
    return [(time_ms, command) for time_ms, _, command in sorted(timed, key=lambda one: one[:2])]


def _item(said: Mapping[str, Any], collection: str) -> UpsertItem:
    vector = np.frombuffer(base64.b64decode(said["vector"]), "<f4")
    fields = {name: said[name] for name in ("id", "text", "fields", "attributes", "timestamp")}
    return UpsertItem.model_validate({**fields, "collection": collection, "vector": vector.astype(float).tolist()})


class _Recorded:
    """``Encoders`` of one model whose vectors are all given."""

    def __init__(self, name: str, dimension: int) -> None:
        self.names = (name,)
        self._encoder = _NoEncoder(ModelIdentity(name, "recorded", dimension, 1))

    def encoder(self, name: str) -> Encoder:
        """The only one."""
        return self._encoder


@dataclass(frozen=True)
class _NoEncoder:
    identity: ModelIdentity

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Never needed: every item brings its vector."""
        raise EncodingError("a replay has recorded vectors only")
