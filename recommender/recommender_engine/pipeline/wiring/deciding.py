"""What decides commands: arrivals and departures, groups, what falls due, a handler of each command."""

from __future__ import annotations

from collections.abc import Iterator

from recommender_engine.pipeline.arrival.arrivals import Arrivals
from recommender_engine.pipeline.arrival.departures import Departures
from recommender_engine.pipeline.arrival.recutting import Recutting
from recommender_engine.pipeline.arrival.relearning import Relearning
from recommender_engine.pipeline.batch import Batch, Decision
from recommender_engine.pipeline.candidates.novelty import Novelty
from recommender_engine.pipeline.commands.collection_changes import CollectionChanges
from recommender_engine.pipeline.commands.feedback import Feedback
from recommender_engine.pipeline.commands.handlers import Handlers
from recommender_engine.pipeline.commands.item_changes import ItemChanges
from recommender_engine.pipeline.commands.model_changes import ModelChanges
from recommender_engine.pipeline.commands.upsert_events import UpsertEvents
from recommender_engine.pipeline.commands.upserts import Upserts
from recommender_engine.pipeline.dedup.corrections import Corrections
from recommender_engine.pipeline.dedup.group_edits import GroupEdits
from recommender_engine.pipeline.dedup.groups import Groups
from recommender_engine.pipeline.dedup.review_budget import ReviewBudget
from recommender_engine.pipeline.incidents.incidents import Incidents
from recommender_engine.pipeline.interactions.interactions import Interactions
from recommender_engine.pipeline.migration.move_steps import MoveSteps
from recommender_engine.pipeline.migration.moved_collections import MovedCollections
from recommender_engine.pipeline.migration.retention import Retention
from recommender_engine.pipeline.migration.retirement import Retirement
from recommender_engine.pipeline.outcomes.outcomes import Outcomes
from recommender_engine.pipeline.outcomes.summaries import Summaries
from recommender_engine.pipeline.prepared import Prepared
from recommender_engine.pipeline.recommend.updates import ListUpdates
from recommender_engine.pipeline.stream_time.expiry import Expiry
from recommender_engine.pipeline.stream_time.rates import Rates
from recommender_engine.pipeline.subscriptions.changed_lists import ChangedLists
from recommender_engine.pipeline.subscriptions.subscribing import Subscribing
from recommender_engine.pipeline.vectors.switching import Switching
from recommender_engine.pipeline.wiring.base import Base


class Deciding:
    """Parts that decide commands and change the state."""

    def __init__(self, base: Base) -> None:
        self._base = base
        store, collections, search, answers = base.store, base.collections, base.search, base.answers
        self.summaries = Summaries(store, collections)
        self.expiry = Expiry(store, collections)
        self.rates = Rates(store, collections)
        groups = Groups(store, base.compared_texts, base.judging, answers, base.models.of)
        self.changed_lists = ChangedLists(store, collections)
        corrections = Corrections(store, base.current_verdicts, self.changed_lists)
        review = ReviewBudget(collections, base.models.of)
        store.standings.rank_by(review.rank)
        self.arrivals = Arrivals(store, base.words, base.judging, answers, groups, review)
        self.recutting = Recutting(store, collections, base.embedding, base.compared_texts, self.arrivals, search)
        self.relearning = Relearning(store, collections, search, self.arrivals, base.models)
        self.departures = Departures(store, self.arrivals, search, corrections)
        edits = GroupEdits(store, base.judging, answers, groups)
        feedback = Feedback(
            store,
            collections,
            search,
            self.arrivals,
            answers,
            edits,
            base.models,
            base.current_verdicts,
            corrections,
        )
        outcomes = Outcomes(self.summaries)
        self.incidents = Incidents(store, collections)
        self.novelty = Novelty(store)
        upserts = Upserts(
            store,
            collections,
            search,
            self.arrivals,
            self.departures,
            self.expiry,
            self.incidents,
            self.novelty,
            UpsertEvents(
                base.current_verdicts, base.recommendations, corrections, self.departures, outcomes, self.changed_lists
            ),
        )
        self.moves = MovedCollections(store, collections, base.words)
        retirement = Retirement(store, collections)
        self.moving = MoveSteps(
            store,
            base.encoders,
            collections,
            base.words,
            self.summaries,
            self.moves,
            retirement,
            answers,
            self.incidents,
            self.novelty,
            self.changed_lists,
        )
        subscribing = Subscribing(store, collections, self.changed_lists)
        whole = CollectionChanges(
            store, collections, self.summaries, self.moves, retirement, self.incidents, subscribing
        )
        models = ModelChanges(
            store,
            collections,
            base.embedding,
            base.second_models,
            Switching(store, base.embedding, base.indexes, base.second_models),
            self.novelty,
            self.changed_lists,
            self.relearning,
        )
        self.tidying = Retention(store, self.moves.leftovers)
        self.items = ItemChanges(
            store, collections, self.departures, feedback, outcomes, self.moves, self.changed_lists
        )
        self.interactions = Interactions(store, collections, self.changed_lists)
        self.list_updates = ListUpdates(store, self.changed_lists, base.resolver, base.lists, base.indexes)
        self.handlers = Handlers(
            store, self.moves, upserts, self.items, feedback, whole, models, self.moving, self.interactions, subscribing
        )

    def decide(self, prepared: Prepared, batch: Batch) -> None:
        """Decide one entry, after all that falls due before it."""
        entry, decision = prepared.entry, Decision(prepared.entry, batch)
        self._base.models.take_effect(entry)
        for collection, rows in self.expiry.due(entry):
            self.items.expire(decision.within(collection), rows)
        for collection, groups in self.expiry.groups_named(entry):
            self.departures.settle(decision.within(collection), groups)
        self._base.policy_index.assign_keys(entry.command)
        self.recutting.some(decision)
        self.relearning.some(decision)
        self.summaries.emit_due(decision)
        self.incidents.emit_due(decision)
        self.interactions.shown.emit_due(decision)
        self.list_updates.emit_due(decision)
        self.handlers.handle(prepared, decision)
        self.incidents.unite(decision)
        batch.position, batch.clock_ms = entry.id, entry.time_ms

    def due_ms(self) -> Iterator[int | None]:
        """Stream times at which something falls due even if no command comes."""
        for one in (self.summaries, self.expiry, self.incidents, self.interactions.shown, self.changed_lists):
            yield one.due_ms()
