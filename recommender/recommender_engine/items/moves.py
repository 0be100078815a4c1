"""Commands and records that take a collection from one partition to another; `recommender move` appends them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from recommender_engine.items import limits
from recommender_engine.items.collection import CollectionSettings
from recommender_engine.items.command import CollectionCommand
from recommender_engine.items.decisions import PairVerdict, Probability
from recommender_engine.items.item import Item
from recommender_engine.items.list_request import MOST_LISTED
from recommender_engine.items.values import Id, Key, Position, Value, Version

Partition = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
PageName = Annotated[str, Field(min_length=1, max_length=1024)]
MOST_NUMBERS = 2**48
"""Arrivals and points of a partition are numbered below this."""
Distance = Annotated[float, Field(ge=-1.0, le=3.0)]
Milliseconds = Annotated[int, Field(ge=0, lt=2**63)]
Count = Annotated[int, Field(ge=0, lt=MOST_NUMBERS)]
_Hex = Annotated[str, Field(pattern=r"^([0-9a-f]{2}){1,64}$")]
_Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}$")]

FIRST_PAGE = "collection"
"""Every export begins with this page."""


class MoveCollection(CollectionCommand):
    """A step of moving a collection to another partition; appended by ``recommender move``.

    Attributes:
        collection: what moves.
        move: names this move, on both logs.
        step: to the source: it is ``sealed``, and ``released`` when it has arrived; to the target: it has ``begun``,
            and ``arrived`` when every page is there. To both, before that: ``cancelled``.
        source: the partition that it leaves.
        target: the partition that it moves to.
        arrivals: with ``begun``, the highest arrival number of the source.
        points: with ``begun``, the highest number of a point of the source.
    """

    type: ClassVar = "collection.moved"
    privileged: ClassVar = True
    alters_collection: ClassVar = True
    move: Id
    step: Literal["sealed", "begun", "arrived", "released", "cancelled"]
    source: Partition
    target: Partition
    arrivals: Count | None = None
    points: Count | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.source == self.target:
            raise ValueError("'source' and 'target' are one and the same partition")
        if self.step == "begun" and None in (self.arrivals, self.points):
            raise ValueError("'begun' needs 'arrivals' and 'points'")
        return self


class ReceiveRecords(CollectionCommand):
    """A part of a page of a collection that arrives; appended by ``recommender move``. It publishes nothing.

    Attributes:
        collection: what arrives.
        move: which move brings it.
        page: name of the page; pages come in their order.
        part: number of the part, from 0; parts come in their order.
        parts: how many the page has.
        data: bytes of the page from here on, in base64.
        sha256: of the whole page.
        next: name of the next page; ``null`` on the last.
    """

    type: ClassVar = "collection.records"
    privileged: ClassVar = True
    alters_collection: ClassVar = True
    move: Id
    page: PageName
    part: Annotated[int, Field(ge=0, lt=1000)]
    parts: Annotated[int, Field(ge=1, le=1000)]
    data: _Base64
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    next: PageName | None


class HourRecord(Value):
    """How many items happened in an hour since 1970."""

    hour: Count
    items: Count


class IncidentRecord(Value):
    """An incident, with the numbers of the source: see ``recommender_engine.store.Incident``."""

    id: Id
    group: Count
    members: Annotated[tuple[Count, ...], Field(strict=False, min_length=1, max_length=5)]
    opened_ms: Milliseconds
    items: Count
    told: Count
    peak: Count
    usual: Annotated[float, Field(ge=0.0, le=1e9)]
    due_ms: Milliseconds
    closed_ms: Milliseconds | None


class CollectionRecord(Value):
    """The collection itself.

    Attributes:
        model: identity of its vectors; ``null`` while it has none.
        dimension: length of its vectors.
        next_us: when a steady sender would send next, for collections with a rate.
        answers: that the matcher has learned from …
        pending: … and that it has not; ``matcher`` is what it has learned, as JSON.
        cut_by: the rules that its texts are cut by.
        uncut: whether some of its items were cut by others.
        arrived: how many items arrived recently, how many of them in ``review``, and how many were for review, by
            hundredth of the probability.
        origins: partitions that it was in before, with their events.
        traffic: how many items happened by hour since 1970, if it is watched for incidents.
        incidents: open ones, and those of the last hours.
        novelty: distances of recent arrivals, by slot.
    """

    kind: Literal["collection"] = "collection"
    settings: CollectionSettings
    model: str | None
    dimension: Annotated[int, Field(ge=1, le=limits.MAX_VECTOR_DIMENSION)] | None
    next_us: Annotated[int, Field(ge=0, lt=2**63)] | None
    answers: Count
    pending: Count
    matcher: str | None
    cut_by: Annotated[str, Field(max_length=1024)] = ""
    uncut: bool = False
    arrived: Annotated[tuple[Count, ...], Field(strict=False, max_length=102)] = ()
    origins: tuple[Partition, ...] = Field(strict=False, max_length=64)
    traffic: Annotated[tuple[HourRecord, ...], Field(strict=False, max_length=limits.MAX_TRAFFIC_HOURS)] = ()
    incidents: Annotated[tuple[IncidentRecord, ...], Field(strict=False, max_length=limits.MAX_INCIDENTS)] = ()
    novelty: Annotated[tuple[Distance | None, ...], Field(strict=False, max_length=limits.NOVELTY_SAMPLE)] = ()


class PointRecord(Value):
    """A point of the index with its vector (little-endian float32, base64)."""

    kind: Literal["point"] = "point"
    id: Count
    key: _Hex
    truncated: bool
    vector: _Base64


class ItemRecord(Value):
    """An item in its current state. Its vector is that of its point, unless it has one of its own.

    Attributes:
        cut: the item with what is compared for its text; ``None`` where that is all of it.
        happened_ms: stream time of what it reports; ``None`` where that is its arrival, 0 where it is not known.
    """

    kind: Literal["item"] = "item"
    seq: Count
    item: Item
    cut: Item | None = None
    revision: Annotated[int, Field(ge=1, lt=2**48)]
    version: Version | None
    fingerprint: _Hex
    point: Count
    key: _Hex | None
    truncated: bool
    vector: _Base64 | None
    group: Count
    verdict: PairVerdict | None
    matched: Count | None
    at_ms: Milliseconds
    happened_ms: Milliseconds | None = None


class TombstoneRecord(Value):
    """The version of a deleted item."""

    kind: Literal["tombstone"] = "tombstone"
    id: Id
    version: Version


class AnswerRecord(Value):
    """A person's answer on two items."""

    kind: Literal["answer"] = "answer"
    one: Id
    other: Id
    same: bool
    entry: Position
    by: Id | None
    probability: Probability
    features: dict[str, Annotated[float, Field(ge=-1e9, le=1e9)]]
    text_kind: Annotated[str, Field(max_length=32)] | None = None

    @model_validator(mode="after")
    def _of_two(self) -> Self:
        if self.one == self.other:
            raise ValueError("'one' and 'other' are one and the same item")
        return self


class SubscriptionRecord(Value):
    """A list of recommendations that is told when it changes: see ``recommender_engine.store.Subscription``."""

    kind: Literal["subscription"] = "subscription"
    id: Id
    for_user: bool
    scenario: Annotated[str, Field(max_length=limits.MAX_NAME_CHARS)]
    asked: bool
    listed: Annotated[tuple[Id, ...], Field(strict=False, max_length=MOST_LISTED)]
    looked_ms: Milliseconds


class KeyRecord(Value):
    """A key of the last 24 hours, the event (JSON) that answers its repeat, and the digest of its command."""

    kind: Literal["key"] = "key"
    key: Key
    ms: Annotated[int, Field(ge=0, lt=2**63)]
    type: Annotated[str, Field(max_length=256)]
    item_id: Id | None
    matched_id: Id | None
    event: str
    digest: _Hex | None = None


Record = CollectionRecord | PointRecord | ItemRecord | TombstoneRecord | AnswerRecord | SubscriptionRecord | KeyRecord
PAGE: TypeAdapter[list[Record]] = TypeAdapter(list[Annotated[Record, Field(discriminator="kind")]])
"""A page as bytes, and back."""
