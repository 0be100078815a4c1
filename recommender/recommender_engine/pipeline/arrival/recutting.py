"""Items whose texts were cut by other rules are cut again, a few before each command.

The rules change with a release, a release of the library that reads mark-up, a rule file of the user's, or the settings
of the collection. For most items nothing changes, and the cost is one comparison. Verdicts stay.
"""

from __future__ import annotations

from dataclasses import replace

from recommender_engine.errors import InvalidCommand
from recommender_engine.event_log import event_log
from recommender_engine.items import ConfigureCollection, GiveFeedback, TickClock
from recommender_engine.pipeline.arrival.item_rows import ItemRows
from recommender_engine.pipeline.batch import CollectionDecision, Decision
from recommender_engine.pipeline.candidates.compared_texts import ComparedTexts, was_compared_as
from recommender_engine.pipeline.candidates.search import CandidateSearch
from recommender_engine.pipeline.candidates.subject import Subject
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.vectors.embedding_step import EmbeddingStep
from recommender_engine.store import SqliteStore, StoredItem

log = event_log(__name__)

LOOKED_AT = 100
"""Items that are looked at before one command; ``_TIMES_ON_A_TICK`` as many before ``clock.ticked``."""
EMBEDDED = 4
"""How many of them are embedded again at most."""
_TIMES_ON_A_TICK = 10


class Recutting:
    """Cuts and embeds stored items again by the current rules."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        embedding: EmbeddingStep,
        compared_texts: ComparedTexts,
        rows: ItemRows,
        search: CandidateSearch,
    ) -> None:
        self._store = store
        self._collections = collections
        self._embedding = embedding
        self._compared_texts = compared_texts
        self._rows = rows
        self._search = search

    def open(self) -> None:
        """Note which collections were cut by other rules; to be called when a state is opened."""
        found = self._collections.cut_otherwise()
        if not found:
            return
        with self._store.transaction():
            for collection in found:
                self._collections.recut(collection)
            self._collections.flush()
        waiting = [collection.name for collection in found if collection.uncut_seq]
        log.info("engine.rules_changed", extra={"collections": len(waiting)})

    def some(self, decision: Decision) -> None:
        """Look at some items again; to be called before each command."""
        command = decision.entry.command
        if isinstance(command, ConfigureCollection):
            return
        if isinstance(command, GiveFeedback):
            self._answered(decision, command)
        collection = self._collections.uncut()
        if collection is None:
            return
        times = _TIMES_ON_A_TICK if isinstance(command, TickClock) else 1
        rows = self._store.items.up_to(collection.id, collection.uncut_seq, LOOKED_AT * times)
        embedded = 0
        for row in rows:
            if embedded == EMBEDDED * times:
                break
            embedded += self._recut(decision.within(collection), row)
            collection.uncut_seq = row.seq - 1
        else:
            if len(rows) < LOOKED_AT * times:
                collection.uncut_seq = 0
        self._collections.touch(collection)

    def _answered(self, decision: Decision, command: GiveFeedback) -> None:
        """Look at the items of an answer, so that the matcher learns from what is compared now."""
        collection = self._collections.find(command.collection)
        if collection is None or not collection.uncut_seq:
            return
        for id_ in command.item_ids:
            row = self._store.items.get(collection.id, id_)
            if row is not None and row.seq <= collection.uncut_seq:
                self._recut(decision.within(collection), row)

    def _recut(self, decision: CollectionDecision, row: StoredItem) -> bool:
        """Store what is compared of an item now; whether that differs from before."""
        collection = decision.collection
        cut = self._compared_texts.cut(collection, row.item)
        if was_compared_as(row, cut):
            return False
        embedded = self._embedding.embed_again(row, collection.settings)
        if isinstance(embedded, InvalidCommand):
            log.warning("item.not_embedded_again", extra={"seq": row.seq, "code": embedded.code})
            return False
        changed = replace(row, cut=cut, fingerprint=embedded.fingerprint)
        subject = Subject(changed.compared, embedded.fingerprint, embedded.vector, row.at_ms, row.seq)
        candidates = self._search.find(collection, subject, decision.overlay)
        self._rows.recut(decision, row, changed, embedded, candidates)
        return True
