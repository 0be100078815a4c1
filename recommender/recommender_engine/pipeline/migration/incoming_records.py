"""The records of a collection that arrives from another partition: what each becomes here."""

from __future__ import annotations

import base64
import json
from typing import NoReturn

import numpy as np

from recommender_engine.embedding import Encoders
from recommender_engine.errors import InvalidCommand, ModelError
from recommender_engine.incidents import LONGEST_WINDOW_MS
from recommender_engine.items import EntryId
from recommender_engine.items.commands import deeper_than
from recommender_engine.items.moves import (
    AnswerRecord,
    CollectionRecord,
    IncidentRecord,
    ItemRecord,
    KeyRecord,
    PointRecord,
    SubscriptionRecord,
    TombstoneRecord,
)
from recommender_engine.matching import PairModel
from recommender_engine.pipeline.batch import CollectionDecision, Decision
from recommender_engine.pipeline.candidates.novelty import Novelty
from recommender_engine.pipeline.candidates.policy_index import policy_key_of
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.incidents.incidents import Incidents
from recommender_engine.pipeline.lexical.words import Words
from recommender_engine.pipeline.stream_time.rates import latest_us, rate_note
from recommender_engine.pipeline.vectors.embedding_step import Vector, moved_key, shared_key
from recommender_engine.store import (
    Answer,
    Arrived,
    Collection,
    Incident,
    ListKey,
    Move,
    OutboxRow,
    SqliteStore,
    StoredItem,
    Subscription,
    Verdict,
)

_DEEPEST = 64  # levels of an event; the engine's have ten
_UNIT = 1e-3  # how far a vector's length may be from one
InCollection = PointRecord | ItemRecord | TombstoneRecord | AnswerRecord | SubscriptionRecord | KeyRecord
"""Records of a collection that is there."""


class IncomingRecords:
    """Stores records. They are not read before the last has arrived; after a rejection the move is cancelled."""

    def __init__(
        self,
        store: SqliteStore,
        encoders: Encoders,
        collections: Collections,
        words: Words,
        incidents: Incidents,
        novelty: Novelty,
    ) -> None:
        self._store = store
        self._encoders = encoders
        self._collections = collections
        self._words = words
        self._incidents = incidents
        self._novelty = novelty

    def open(self, decision: Decision, record: CollectionRecord, move: Move) -> None:
        """Make the collection that a move brings.

        Raises:
            InvalidCommand: there is one of this name, or this partition has not its model.
        """
        if self._collections.find(move.collection) is not None:
            raise InvalidCommand("collection_exists", "there is a collection of this name", "collection")
        if record.model is not None or record.dimension is not None:
            self._require_model(record)
        if record.matcher is not None:
            _require_matcher(record.matcher)
        collection = self._collections.configure(move.collection, record.settings)
        collection.model, collection.dimension = record.model, record.dimension
        if record.uncut or record.cut_by != collection.cut_by:
            collection.uncut_seq = move.last_arrival
        collection.arrived = Arrived.of(record.arrived)
        self._collections.touch(collection)
        if record.next_us is not None:
            next_us = min(record.next_us, latest_us(record.settings, decision.time_ms * 1000))
            self._store.set_note(rate_note(collection.id), str(next_us))
        if record.matcher is not None:
            self._store.transfer.keep_model(collection.id, record.answers, record.pending, record.matcher)
        self._store.incidents.count(collection.id, {one.hour: one.items for one in record.traffic})
        self._novelty.adopt(collection, record.novelty)
        for incident in record.incidents:
            self._incident(decision.within(collection), incident, move)

    def _incident(self, decision: CollectionDecision, record: IncidentRecord, move: Move) -> None:
        numbers = (record.group + move.offset, *(seq + move.offset for seq in record.members))
        if not all(move.offset < number <= move.last_arrival for number in numbers):
            raise InvalidCommand("invalid_value", "an incident has a number that was not kept for it", "data")
        group, *members = numbers
        said = {**record.model_dump(), "group": f"g{group}", "members": tuple(members)}
        latest_ms = decision.time_ms + LONGEST_WINDOW_MS  # one that is due in the future would stay for ever
        said["due_ms"] = min(record.due_ms, latest_ms)
        self._incidents.open.put(decision.collection, Incident(**said))

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

    def take(self, decision: CollectionDecision, record: InCollection, move: Move) -> None:
        """Store one record of the collection.

        Raises:
            InvalidCommand: it has a number that was not reserved for it, or is damaged.
        """
        match record:
            case PointRecord():
                self._point(decision, record, move)
            case ItemRecord():
                self._item(decision, record, move)
            case TombstoneRecord():
                self._store.tombstones.bury(decision.collection.id, record.id, record.version, decision.time_ms)
            case AnswerRecord():
                self._answer(decision.collection, record)
            case SubscriptionRecord():
                self._subscription(decision, record)
            case KeyRecord():
                self._key(decision, record)

    def _point(self, decision: CollectionDecision, record: PointRecord, move: Move) -> None:
        collection = decision.collection
        point = record.id + move.points
        if not move.points < point <= move.last_point or self._store.transfer.vector_of(point) is not None:
            raise InvalidCommand("invalid_value", "a point has a number that was not kept for it", "data")
        vector = _vector(record.vector, collection)
        row = self._vector_row(collection, bytes.fromhex(record.key), vector, truncated=record.truncated)
        self._store.transfer.add_point(point, collection.id, row)
        kept = self._store.vectors.get(row)  # the one that was here, if the text was known here
        decision.overlay.add(point, kept)

    def _item(self, decision: CollectionDecision, record: ItemRecord, move: Move) -> None:
        collection = decision.collection
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
            at_ms=min(record.at_ms, decision.time_ms),  # an arrival in the future would never expire
            cut=None if record.cut is None else record.cut.model_copy(update={"collection": collection.name}),
            happened_ms=None if record.happened_ms is None else min(record.happened_ms, decision.time_ms),
        )
        self._store.items.insert(stored, policy_key_of(collection, stored.compared, stored.at_ms))
        self._words.add(collection.id, stored.seq, stored.compared)

    def _vector_row(self, collection: Collection, key: bytes, vector: Vector, *, truncated: bool) -> int:
        """Row of the vector: a known one stays; a new one serves only the collection that it came with."""
        model, moved = str(collection.model), moved_key(key, collection.name)
        if (found := self._store.vectors.find(model, key, moved)) is not None:
            return found.row
        return self._store.vectors.add(model, shared_key(key, vector) or moved, vector, truncated)

    def _answer(self, collection: Collection, record: AnswerRecord) -> None:
        one, other = sorted((record.one, record.other))
        entry = EntryId.parse(record.entry)
        learned_from = record.probability, record.features, record.text_kind
        answer = Answer(one, other, record.same, entry, record.by, *learned_from)
        self._store.answers.put(collection.id, answer)

    def _subscription(self, decision: CollectionDecision, record: SubscriptionRecord) -> None:
        """Its list is made again here: changes that were queued at the source are not known."""
        key = ListKey(record.id, record.for_user, record.scenario)
        if self._store.subscriptions.find(decision.collection.id, key) is not None:
            raise InvalidCommand("invalid_value", "a list has two subscriptions", "data")
        looked_ms = min(record.looked_ms, decision.time_ms)
        known = 0, decision.collection.id, key, record.asked, tuple(dict.fromkeys(record.listed))
        self._store.subscriptions.adopt(Subscription(*known, looked_ms, decision.time_ms))

    def _key(self, decision: CollectionDecision, record: KeyRecord) -> None:
        _require_event(record)
        collection = decision.collection
        used_ms = min(record.ms, decision.time_ms)  # a use in the future would be remembered for ever
        if self._store.outbox.used(collection.name, record.key, used_ms) is not None:
            return
        outcome = decision.batch.next_event(decision.entry)
        row = OutboxRow(outcome, record.type, record.event)
        self._store.outbox.adopt(row, collection.name, record.item_id, record.matched_id)
        digest = None if record.digest is None else bytes.fromhex(record.digest)
        self._store.outbox.adopt_key(collection.name, record.key, used_ms, outcome, digest)


def _require_matcher(text: str) -> None:
    try:
        PairModel.checked(text)
    except ValueError as error:
        raise InvalidCommand("invalid_value", f"what the matcher has learned is {error}", "matcher") from None


def _require_event(record: KeyRecord) -> None:
    """Require that the answer to a repeat is an event: callers get it, and an erasure empties it."""
    try:
        event = json.loads(record.event, parse_constant=_no_number)
        json.dumps(event, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        event = None
    if (
        not isinstance(event, dict)
        or event.get("type") != record.type
        or not isinstance(data := event.get("data"), dict)
        or not isinstance(data.get("command"), dict)
        or deeper_than(event, _DEEPEST)
    ):
        raise InvalidCommand("invalid_value", "what answers a key is no event", "event")


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _vector(text: str, collection: Collection) -> Vector:
    try:
        vector = np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)
    except ValueError:
        vector = np.empty(0, np.float32)
    if len(vector) != collection.dimension or not abs(float(np.linalg.norm(vector)) - 1.0) < _UNIT:
        raise InvalidCommand("invalid_value", "a vector is not one of the collection's model", "data")
    return vector
