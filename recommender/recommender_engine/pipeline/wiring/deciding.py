"""What decides commands: all that falls due before one, and its handler."""

from __future__ import annotations

from collections.abc import Iterator

from recommender_engine.pipeline.arrival.recutting import Recutting
from recommender_engine.pipeline.batch import Batch, Decision
from recommender_engine.pipeline.migration.retention import Retention
from recommender_engine.pipeline.prepared import Prepared
from recommender_engine.pipeline.recommend.updates import ListUpdates
from recommender_engine.pipeline.stream_time.rates import Rates
from recommender_engine.pipeline.wiring.base import Base
from recommender_engine.pipeline.wiring.changes import Changes
from recommender_engine.pipeline.wiring.commands import Commands


class Deciding:
    """Decides commands and changes the state."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self.changes = changes = Changes(base)
        self.commands = Commands(base, changes)
        store, collections = base.store, base.collections
        self.rates = Rates(store, collections)
        self.recutting = Recutting(store, collections, base.embedding, base.compared_texts, changes.rows, base.search)
        self.tidying = Retention(store, changes.moves.leftovers)
        self._list_updates = ListUpdates(store, changes.changed_lists, base.resolver, base.lists, base.indexes)

    def decide(self, prepared: Prepared, batch: Batch) -> None:
        """Decide one entry, after all that falls due before it."""
        entry, decision, changes = prepared.entry, Decision(prepared.entry, batch), self.changes
        self._base.models.take_effect(entry)
        for collection, rows in changes.expiry.due(entry):
            self.commands.deletions.expire(decision.within(collection), rows)
        for collection, groups in changes.expiry.groups_named(entry):
            changes.departures.settle(decision.within(collection), groups)
        self._base.policy_index.assign_keys(entry.command)
        self.recutting.some(decision)
        changes.relearning.some(decision)
        changes.summaries.emit_due(decision)
        changes.incidents.emit_due(decision)
        self.commands.interactions.shown.emit_due(decision)
        self._list_updates.emit_due(decision)
        self.commands.handlers.handle(prepared, decision)
        changes.incidents.unite(decision)
        batch.position, batch.clock_ms = entry.id, entry.time_ms

    def due_ms(self) -> Iterator[int | None]:
        """Stream times at which something falls due even if no command comes."""
        changes, shown = self.changes, self.commands.interactions.shown
        for one in (changes.summaries, changes.expiry, changes.incidents, shown, changes.changed_lists):
            yield one.due_ms()
