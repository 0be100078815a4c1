"""What is done for a segment of the log at once, before its commands are decided in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import Entry, EntryId, UpsertItem
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.commands.handlers import Handlers
from recommender_engine.pipeline.migration.moved_collections import MovedCollections
from recommender_engine.pipeline.prepared import (
    Prepared,
    PreparedForward,
    PreparedRejection,
    PreparedRepeat,
    PreparedUpsert,
)
from recommender_engine.pipeline.stream_time.rates import Rates
from recommender_engine.pipeline.vectors.embedding_step import Embedded, EmbeddingStep, Vector
from recommender_engine.pipeline.vectors.indexes import Indexes
from recommender_engine.pipeline.vectors.overlay import Found


class Preparation:
    """Drops repeats, embeds items, and asks the indexes once for all of them."""

    def __init__(
        self,
        collections: Collections,
        embedding: EmbeddingStep,
        indexes: Indexes,
        moves: MovedCollections,
        rates: Rates,
        handlers: Handlers,
    ) -> None:
        self._collections = collections
        self._embedding = embedding
        self._indexes = indexes
        self._moves = moves
        self._rates = rates
        self._handlers = handlers

    def prepare(self, entries: Sequence[Entry]) -> Iterable[Prepared]:
        """The entries of a segment, in order, with what is known of them before they are decided.

        Raises:
            EncodingError: the model failed.
        """
        forwards = {entry.id: to for entry in entries if (to := self._moves.destination(entry)) is not None}
        refused = self._rates.refusals([entry for entry in entries if entry.id not in forwards])
        prepared = {entry.id: Prepared(entry) for entry in entries}
        upserts: list[tuple[Entry, UpsertItem]] = []
        for entry in entries:
            if (partition := forwards.get(entry.id)) is not None:
                prepared[entry.id] = PreparedForward(entry, partition)
            elif (error := refused.get(entry.id)) is not None:
                prepared[entry.id] = PreparedRejection(entry, error)
            elif (first := self._handlers.first_use(entry)) is not None:
                prepared[entry.id] = PreparedRepeat(entry, first)
            elif isinstance(entry.command, UpsertItem):
                upserts.append((entry, entry.command))
        results = self._embedding.embed(
            [(command, self._collections.settings(command.collection)) for _, command in upserts]
        )
        pairs = list(zip(upserts, results, strict=True))
        found = self.search({entry.id: one for (entry, _), one in pairs if isinstance(one, Embedded)})
        for (entry, command), result in pairs:
            prepared[entry.id] = (
                PreparedRejection(entry, result)
                if isinstance(result, InvalidCommand)
                else PreparedUpsert(entry, command, result, found.get(entry.id))
            )
        return prepared.values()

    def search(self, embedded: Mapping[EntryId, Embedded]) -> dict[EntryId, Found]:
        """The neighbours of items in the indexes as they were before this batch."""
        queries: dict[str, dict[EntryId, Vector]] = {}
        for id_, one in embedded.items():
            queries.setdefault(one.item.collection, {})[id_] = one.vector
        found: dict[EntryId, Found] = {}
        for name, vectors in queries.items():
            if (collection := self._collections.find(name)) is not None:
                found.update(self._indexes.search(collection, vectors))
        return found
