"""A collection that arrives from another partition, page by page, as the log brings it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import numpy as np
from pydantic import ValidationError

from recommender.embedding import Encoders
from recommender.errors import InvalidCommand, ModelError
from recommender.items import Entry, EntryId
from recommender.items.moves import (
    PAGE,
    AnswerRecord,
    CollectionRecord,
    ItemRecord,
    KeyRecord,
    PointRecord,
    ReceiveRecords,
    Record,
    TombstoneRecord,
)
from recommender.pipeline.batch import Batch
from recommender.pipeline.collections import Collections
from recommender.pipeline.embedding_step import Vector
from recommender.pipeline.moves import Moves
from recommender.pipeline.rates import rate_note
from recommender.pipeline.spots import spot_of
from recommender.pipeline.words import Words
from recommender.store import Answer, Collection, Move, OutboxRow, SqliteStore, StoredItem, Verdict

_UNIT = 1e-3  # how far a vector's length may be from one


class Incoming:
    """Puts records in their place. Nobody reads them before the last is there; after a rejection it is cancelled."""

    def __init__(
        self, store: SqliteStore, encoders: Encoders, collections: Collections, words: Words, moves: Moves
    ) -> None:
        self._store = store
        self._encoders = encoders
        self._collections = collections
        self._words = words
        self._moves = moves

    def receive(self, entry: Entry, command: ReceiveRecords, batch: Batch) -> None:
        """Take a part of a page; with the last one, the page.

        Part 0 begins the page anew: whoever goes on after a crash may find it changed (keys come and go).

        Raises:
            InvalidCommand: it is not the one that comes next, or damaged, or fits nothing that is here.
        """
        move = self._moves.of(command.collection)
        if move is None or move.place != "arriving" or move.move != command.move:
            raise InvalidCommand("unknown_move", "no such move brings this collection here", "move")
        before = move.parts if command.part else ()
        if (command.page, command.part) != (move.page, len(before)) or command.part >= command.parts:
            raise InvalidCommand("out_of_order", f"next is part {len(move.parts)} of page {move.page!r}", "page")
        parts = (*before, command.data)
        if len(parts) < command.parts:
            self._moves.put(replace(move, parts=parts))
            return
        records = _page(parts, command.sha256)
        origins = move.origins
        for record in records:
            if isinstance(record, CollectionRecord):
                self._open(record, move)
                origins = tuple(one for one in record.origins if one != move.target)
            else:
                self._take(record, self._collection(move), move, entry, batch)
        self._moves.put(replace(move, page=command.next, parts=(), origins=origins))

    def _collection(self, move: Move) -> Collection:
        found = self._collections.find(move.collection)
        if found is None:
            raise InvalidCommand("out_of_order", "the first page is missing", "page")
        return found

    def _open(self, record: CollectionRecord, move: Move) -> None:
        if self._collections.find(move.collection) is not None:
            raise InvalidCommand("collection_exists", "there is a collection of this name", "collection")
        if record.model is not None:
            self._require_model(record)
        collection = self._collections.configure(move.collection, record.settings)
        collection.model, collection.dimension = record.model, record.dimension
        self._collections.touch(collection)
        if record.next_us is not None:
            self._store.set_note(rate_note(collection.id), str(record.next_us))
        if record.matcher is not None:
            self._store.transfer.keep_model(collection.id, record.answers, record.pending, record.matcher)

    def _require_model(self, record: CollectionRecord) -> None:
        name = record.settings.model
        try:
            here = self._encoders.encoder(name).identity if name in self._encoders.names else None
        except ModelError:  # its files are missing, or not what they should be
            here = None
        if here is None or (here.key, here.dimension) != (record.model, record.dimension):
            raise InvalidCommand(
                "unknown_model",
                f"its vectors are of {record.model}, and this partition has "
                f"{here.key if here else 'no model ' + repr(name)}: give its worker the same model",
                "settings.model",
            )

    def _take(self, record: Record, collection: Collection, move: Move, entry: Entry, batch: Batch) -> None:
        match record:
            case PointRecord():
                self._point(record, collection, move, batch)
            case ItemRecord():
                self._item(record, collection, move)
            case TombstoneRecord():
                self._store.tombstones.bury(collection.id, record.id, record.version, entry.time_ms)
            case AnswerRecord():
                self._answer(record, collection)
            case KeyRecord():
                self._key(record, collection, entry, batch)

    def _point(self, record: PointRecord, collection: Collection, move: Move, batch: Batch) -> None:
        point = record.id + move.points
        if not move.points < point <= move.last_point or self._store.transfer.vector_of(point) is not None:
            raise InvalidCommand("invalid_value", "a point has a number that was not kept for it", "data")
        vector = _vector(record.vector, collection)
        row = self._vector_row(collection, bytes.fromhex(record.key), vector, truncated=record.truncated)
        self._store.transfer.add_point(point, collection.id, row)
        kept = self._store.vectors.get(row)  # the one that was here, if the text was known here
        batch.overlay(collection, len(kept)).add(point, kept)

    def _item(self, record: ItemRecord, collection: Collection, move: Move) -> None:
        point, seq = record.point + move.points, record.seq + move.offset
        numbers = (seq, record.group + move.offset, (record.matched or 1) + move.offset)
        fitting = all(move.offset < number <= move.last_arrival for number in numbers)
        if not fitting or self._store.transfer.taken(collection.id, seq, record.item.id):
            raise InvalidCommand("invalid_value", "an item has a number or an id that was not kept for it", "data")
        owner, row = self._store.transfer.vector_of(point) or (None, 0)
        if owner != collection.id:
            raise InvalidCommand("invalid_value", "an item has no point", "data")
        if record.key is not None and record.vector is not None:
            vector = _vector(record.vector, collection)
            row = self._vector_row(collection, bytes.fromhex(record.key), vector, truncated=record.truncated)
        stored = StoredItem(
            seq=seq,
            collection=collection.id,
            item=record.item.model_copy(update={"collection": collection.name}),
            revision=record.revision,
            version=record.version,
            fingerprint=bytes.fromhex(record.fingerprint),
            vector=row,
            point=point,
            group=f"g{record.group + move.offset}",
            verdict=Verdict(record.verdict, None if record.matched is None else record.matched + move.offset),
            at_ms=record.at_ms,
        )
        self._store.items.insert(stored, spot_of(collection, stored.item, stored.at_ms))
        self._words.add(collection.id, stored.seq, stored.item)

    def _vector_row(self, collection: Collection, key: bytes, vector: Vector, *, truncated: bool) -> int:
        found = self._store.vectors.find(str(collection.model), key)
        return self._store.vectors.add(str(collection.model), key, vector, truncated) if found is None else found[0]

    def _answer(self, record: AnswerRecord, collection: Collection) -> None:
        one, other = sorted((record.one, record.other))
        entry = EntryId.parse(record.entry)
        answer = Answer(one, other, record.same, entry, record.by, record.probability, record.features)
        self._store.answers.put(collection.id, answer)

    def _key(self, record: KeyRecord, collection: Collection, entry: Entry, batch: Batch) -> None:
        if self._store.outbox.used(collection.name, record.key, record.ms) is not None:
            return
        outcome = batch.next_event(entry)
        row = OutboxRow(outcome, record.type, record.event)
        self._store.outbox.adopt(row, collection.name, record.item_id, record.matched_id)
        digest = None if record.digest is None else bytes.fromhex(record.digest)
        self._store.outbox.adopt_key(collection.name, record.key, record.ms, outcome, digest)


def _page(parts: tuple[str, ...], sha256: str) -> list[Record]:
    try:
        data = b"".join(base64.b64decode(part, validate=True) for part in parts)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise InvalidCommand("damaged", "the page is not what it was where it came from", "sha256")
        return PAGE.validate_json(data)
    except (ValueError, ValidationError) as error:
        raise InvalidCommand("invalid_value", f"no page of records: {str(error)[:200]}", "data") from None


def _vector(text: str, collection: Collection) -> Vector:
    try:
        vector = np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)
    except ValueError:
        vector = np.empty(0, np.float32)
    if len(vector) != collection.dimension or not abs(float(np.linalg.norm(vector)) - 1.0) < _UNIT:
        raise InvalidCommand("invalid_value", "a vector is not one of the collection's model", "data")
    return vector
