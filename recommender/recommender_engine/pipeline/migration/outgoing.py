"""A collection page by page, for the partition that it moves to."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from recommender_engine.errors import InvalidCommand
from recommender_engine.items.moves import (
    FIRST_PAGE,
    PAGE,
    AnswerRecord,
    CollectionRecord,
    HourRecord,
    IncidentRecord,
    ItemRecord,
    KeyRecord,
    PointRecord,
    Record,
    SubscriptionRecord,
    TombstoneRecord,
)
from recommender_engine.items.values import Value
from recommender_engine.pipeline.candidates.novelty import Novelty
from recommender_engine.pipeline.incidents.incidents import Incidents
from recommender_engine.pipeline.migration.moved_collections import MovedCollections
from recommender_engine.pipeline.stream_time.rates import rate_note
from recommender_engine.store import Collection, Incident, SqliteStore, StoredItem

_RECORDS = 200
_KEYS = 2000
_BYTES = 100_000
_BY_NUMBER = ("points", "items", "answers", "subscriptions")


class MovePage(Value):
    """A page of a collection.

    Attributes:
        data: a JSON array of records.
        sha256: of its bytes.
        items: how many of the records are items.
        next: name of the page behind it, ``None`` behind the last.
    """

    data: str
    sha256: str
    items: int
    next: str | None


class Outgoing:
    """Reads pages. A sealed collection does not change, but its keys expire: a page of them may differ when it is read
    again.
    """

    def __init__(self, store: SqliteStore, moves: MovedCollections, incidents: Incidents, novelty: Novelty) -> None:
        self._store = store
        self._incidents = incidents
        self._novelty = novelty
        self._moves = moves
        self._makers: dict[str, Callable[[Collection, str], tuple[list[Record], str | None]]] = {
            "points": self._points,
            "items": self._items,
            "tombstones": self._tombstones,
            "answers": self._answers,
            "subscriptions": self._subscriptions,
            "keys": self._keys,
        }

    def page(self, collection: Collection, name: str) -> MovePage:
        """One page.

        Raises:
            InvalidCommand: there is no page of this name.
        """
        if name == FIRST_PAGE:
            records: list[Record] = [self._collection(collection)]
            following: str | None = self._begin("points")
        else:
            kind, _, last = name.partition(" ")
            make = self._makers.get(kind)
            if make is None or (kind in _BY_NUMBER and not last.isdecimal()):
                raise InvalidCommand("invalid_value", "there is no such page", "page")
            records, behind = make(collection, last)
            following = f"{kind} {behind}" if behind is not None else self._behind(kind)
        data = PAGE.dump_json(records)
        items = sum(isinstance(record, ItemRecord) for record in records)
        return MovePage(data=data.decode(), sha256=hashlib.sha256(data).hexdigest(), items=items, next=following)

    def _begin(self, kind: str) -> str:
        return f"{kind} 0" if kind in _BY_NUMBER else f"{kind} "

    def _behind(self, kind: str) -> str | None:
        kinds = list(self._makers)
        place = kinds.index(kind) + 1
        return self._begin(kinds[place]) if place < len(kinds) else None

    def _collection(self, collection: Collection) -> Record:
        kept = self._store.answers.model(collection.id)
        next_us = self._store.note(rate_note(collection.id))
        move = self._moves.of(collection.name)
        origins = () if move is None else tuple(dict.fromkeys((*move.origins, move.source)))
        return CollectionRecord(
            settings=collection.settings,
            model=collection.model,
            dimension=collection.dimension,
            next_us=None if next_us is None else int(next_us),
            answers=0 if kept is None else kept[0],
            pending=self._store.transfer.pending(collection.id),
            matcher=self._store.answers.model_text(collection.id),
            cut_by=collection.cut_by,
            uncut=collection.uncut_seq > 0,
            arrived=collection.arrived.numbers(),
            origins=origins,
            traffic=tuple(
                HourRecord(hour=hour, items=items)
                for hour, items in self._store.incidents.traffic(collection.id).items()
            ),
            novelty=self._novelty.sample(collection),
            incidents=tuple(_incident(one) for one in self._incidents.open.of(collection)),
        )

    def _points(self, collection: Collection, after: str) -> tuple[list[Record], str | None]:
        rows = self._store.transfer.points(collection.id, int(after), _RECORDS)
        most = max(1, _BYTES // (2 * 4 * (collection.dimension or 1)))
        taken: list[Record] = [
            PointRecord(id=id_, key=key.hex(), truncated=bool(truncated), vector=_base64(data))
            for id_, key, truncated, data in rows[:most]
        ]
        return taken, str(rows[len(taken) - 1][0]) if taken else None

    def _items(self, collection: Collection, after: str) -> tuple[list[Record], str | None]:
        taken: list[Record] = []
        size, last = 0, int(after)
        for row in self._store.items.after(collection.id, last, _RECORDS):
            taken.append(self._item(row))
            last = row.seq
            size += len(row.item.content) + (0 if row.cut is None else len(row.cut.content)) + 1000
            if size > _BYTES:
                break
        return taken, str(last) if taken else None

    def _item(self, row: StoredItem) -> Record:
        own = self._store.transfer.own_vector(row.seq)
        return ItemRecord(
            seq=row.seq,
            item=row.item,
            cut=row.cut,
            revision=row.revision,
            version=row.version,
            fingerprint=row.fingerprint.hex(),
            point=row.point,
            key=None if own is None else own[0].hex(),
            truncated=own is not None and bool(own[1]),
            vector=None if own is None else _base64(own[2]),
            group=int(row.group.removeprefix("g") or row.seq),  # an expired item has no group: its own
            verdict=row.verdict.pair,
            matched=row.verdict.matched_seq,
            at_ms=row.at_ms,
            happened_ms=row.happened_ms,
        )

    def _tombstones(self, collection: Collection, after: str) -> tuple[list[Record], str | None]:
        rows = self._store.transfer.tombstones(collection.id, after, _RECORDS)
        return [TombstoneRecord(id=id_, version=version) for id_, version in rows], rows[-1][0] if rows else None

    def _answers(self, collection: Collection, after: str) -> tuple[list[Record], str | None]:
        """In the order in which they were given; a page is named by the number of answers before it."""
        start = int(after)
        rows = self._store.answers.all(collection.id)[start : start + _RECORDS]
        taken: list[Record] = [
            AnswerRecord(
                one=answer.one,
                other=answer.other,
                same=answer.same,
                entry=str(answer.entry),
                by=answer.by,
                probability=answer.probability,
                features=dict(answer.features),
                text_kind=answer.kind,
            )
            for answer in rows
        ]
        return taken, str(start + len(taken)) if taken else None

    def _subscriptions(self, collection: Collection, after: str) -> tuple[list[Record], str | None]:
        rows = self._store.subscriptions.after(collection.id, int(after), _RECORDS)
        taken: list[Record] = [
            SubscriptionRecord(
                id=one.key.id,
                for_user=one.key.for_user,
                scenario=one.key.scenario,
                asked=one.asked,
                listed=one.listed,
                looked_ms=one.looked_ms,
            )
            for one in rows
        ]
        return taken, str(rows[-1].num) if rows else None

    def _keys(self, collection: Collection, after: str) -> tuple[list[Record], str | None]:
        rows, looked = self._store.outbox.keys_of(collection.name, after, _KEYS)
        taken: list[Record] = []
        size = 0
        for key, ms, type_, item_id, matched_id, event, digest in rows:
            hexed = digest.hex() if digest else None
            taken.append(
                KeyRecord(key=key, ms=ms, type=type_, item_id=item_id, matched_id=matched_id, event=event, digest=hexed)
            )
            size += len(event)
            if size > _BYTES:
                return taken, key
        return taken, looked


def _incident(one: Incident) -> IncidentRecord:
    return IncidentRecord(**{**asdict(one), "group": int(one.group.removeprefix("g"))})


def _base64(data: Any) -> str:
    return base64.b64encode(bytes(data)).decode()
