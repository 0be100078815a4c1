"""Pages of a collection that arrives from another partition, part by part, from the log."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

from pydantic import ValidationError

from recommender_engine.errors import InvalidCommand
from recommender_engine.items.moves import PAGE, CollectionRecord, ReceiveRecords, Record
from recommender_engine.pipeline.batch import Decision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.migration.incoming_records import IncomingRecords
from recommender_engine.pipeline.migration.moved_collections import MovedCollections
from recommender_engine.store import Collection, Move, SqliteStore

_MOST_PAGE_BYTES = 16 * 1024 * 1024  # a page has about 100 kB, or a single larger record


class Incoming:
    """Puts the parts of pages together, and has the records of each page stored."""

    def __init__(
        self, store: SqliteStore, collections: Collections, moves: MovedCollections, records: IncomingRecords
    ) -> None:
        self._store = store
        self._collections = collections
        self._moves = moves
        self._records = records

    def receive(self, decision: Decision, command: ReceiveRecords) -> None:
        """Store a part of a page; with the last one, the records of the page.

        Part 0 begins the page again: after a crash of the mover it may have changed (keys come and go).

        Raises:
            InvalidCommand: it is not the part that comes next, it is damaged, or no move expects it.
        """
        move = self._moves.of(command.collection)
        if move is None or move.place != "arriving" or move.move != command.move:
            raise InvalidCommand("unknown_move", "no such move brings this collection here", "move")
        before = move.part if command.part else 0
        if (command.page, command.part) != (move.page, before) or command.part >= command.parts:
            raise InvalidCommand("out_of_order", f"next is part {move.part} of page {move.page!r}", "page")
        size = len(command.data) + (move.part_bytes if command.part else 0)
        if size > _MOST_PAGE_BYTES:
            raise InvalidCommand("too_large", f"a page has at most {_MOST_PAGE_BYTES} bytes in base64", "data")
        if command.part + 1 < command.parts:
            if not command.part:
                self._store.moves.drop_parts(command.collection)
            self._store.moves.add_part(command.collection, command.part, command.data)
            self._moves.put(replace(move, part=command.part + 1, part_bytes=size))
            return
        records = _page((*self._parts(command), command.data), command.sha256)
        origins = move.origins
        for record in records:
            if isinstance(record, CollectionRecord):
                self._records.open(decision, record, move)
                origins = tuple(one for one in record.origins if one != move.target)
            else:
                self._records.take(decision.within(self._collection(move)), record, move)
        self._store.moves.drop_parts(command.collection)
        self._moves.put(replace(move, page=command.next, part=0, part_bytes=0, origins=origins))

    def _parts(self, command: ReceiveRecords) -> list[str]:
        """Parts of the page that came before this one."""
        return self._store.moves.parts(command.collection) if command.part else []

    def _collection(self, move: Move) -> Collection:
        found = self._collections.find(move.collection)
        if found is None:
            raise InvalidCommand("out_of_order", "the first page is missing", "page")
        return found


def _page(parts: tuple[str, ...], sha256: str) -> list[Record]:
    try:
        data = b"".join(base64.b64decode(part, validate=True) for part in parts)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise InvalidCommand("damaged", "the page is not what it was where it came from", "sha256")
        return PAGE.validate_json(data)
    except (ValueError, ValidationError) as error:
        raise InvalidCommand("invalid_value", f"no page of records: {str(error)[:200]}", "data") from None
