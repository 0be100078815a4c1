"""What applies commands: a handler of each."""

from __future__ import annotations

from recommender_engine.items import (
    ConfigureCollection,
    DeleteCollection,
    DeleteItem,
    DropModel,
    EraseItem,
    EraseUser,
    GiveFeedback,
    MergeUser,
    MoveCollection,
    PatchItem,
    PromoteModel,
    ProposeModel,
    ReceiveRecords,
    RecordInteraction,
    RecordShownList,
    SubscribeList,
    UnsubscribeList,
    UpsertItem,
)
from recommender_engine.pipeline.arrival.arrivals import Arrivals
from recommender_engine.pipeline.commands.collection_deletions import CollectionDeletions
from recommender_engine.pipeline.commands.feedback import Feedback
from recommender_engine.pipeline.commands.handlers import Handlers
from recommender_engine.pipeline.commands.item_deletions import ItemDeletions
from recommender_engine.pipeline.commands.item_patches import ItemPatches
from recommender_engine.pipeline.commands.model_changes import ModelChanges
from recommender_engine.pipeline.commands.promotion import Promotion
from recommender_engine.pipeline.commands.settings_changes import SettingsChanges
from recommender_engine.pipeline.commands.upsert_events import UpsertEvents
from recommender_engine.pipeline.commands.upserts import Upserts
from recommender_engine.pipeline.dedup.group_edits import GroupEdits
from recommender_engine.pipeline.dedup.pair_answers import PairAnswers
from recommender_engine.pipeline.interactions.interactions import Interactions
from recommender_engine.pipeline.migration.incoming import Incoming
from recommender_engine.pipeline.migration.incoming_records import IncomingRecords
from recommender_engine.pipeline.migration.move_steps import MoveSteps
from recommender_engine.pipeline.migration.moving import Moving
from recommender_engine.pipeline.migration.outgoing import Outgoing
from recommender_engine.pipeline.migration.retirement import Retirement
from recommender_engine.pipeline.migration.source_steps import SourceSteps
from recommender_engine.pipeline.migration.target_steps import TargetSteps
from recommender_engine.pipeline.outcomes.outcomes import Outcomes
from recommender_engine.pipeline.subscriptions.subscribing import Subscribing
from recommender_engine.pipeline.vectors.switching import Switching
from recommender_engine.pipeline.wiring.base import Base
from recommender_engine.pipeline.wiring.changes import Changes


class Commands:
    """Parts that apply commands.

    Attributes:
        handlers: all of them by their command. A new command is added here.
    """

    def __init__(self, base: Base, changes: Changes) -> None:
        self._base, self._changes = base, changes
        store, collections, moves = base.store, base.collections, changes.moves
        self._outcomes = Outcomes(changes.summaries)
        self._retirement = Retirement(store, collections)
        self.interactions = Interactions(store, collections, changes.changed_lists)
        outgoing = Outgoing(store, moves, changes.incidents, changes.novelty)
        self.moving = Moving(store, collections, moves, outgoing)
        upserts, feedback = self._upserts(), self._feedback()
        patches = ItemPatches(store, collections, self._outcomes, changes.changed_lists)
        self.deletions = ItemDeletions(store, collections, changes.departures, feedback, self._outcomes, moves)
        subscribing = Subscribing(store, collections, changes.changed_lists)
        settings = SettingsChanges(collections, changes.incidents, subscribing)
        collection_deletions = CollectionDeletions(
            store, collections, changes.summaries, moves, self._retirement, changes.incidents
        )
        models, steps = self._models(), self._move_steps()
        self.handlers = Handlers(
            store,
            moves,
            {
                UpsertItem: upserts.apply,
                PatchItem: patches.patch,
                DeleteItem: self.deletions.delete,
                EraseItem: self.deletions.erase,
                GiveFeedback: feedback.apply,
                RecordInteraction: self.interactions.record,
                RecordShownList: self.interactions.shown.show,
                MergeUser: self.interactions.merge,
                EraseUser: self.interactions.erase,
                SubscribeList: subscribing.subscribe,
                UnsubscribeList: subscribing.unsubscribe,
                ConfigureCollection: settings.configure,
                DeleteCollection: collection_deletions.delete,
                ProposeModel: models.propose,
                PromoteModel: models.promote,
                DropModel: models.drop,
                MoveCollection: steps.move,
                ReceiveRecords: steps.receive,
            },
        )

    def _upserts(self) -> Upserts:
        base, changes = self._base, self._changes
        events = UpsertEvents(
            base.current_verdicts,
            base.recommendations,
            changes.corrections,
            changes.departures,
            self._outcomes,
            changes.changed_lists,
        )
        arrivals = Arrivals(
            base.search, changes.verdicts, changes.rows, changes.departures, changes.novelty, changes.corrections
        )
        return Upserts(base.store, base.collections, arrivals, changes.incidents, events)

    def _feedback(self) -> Feedback:
        base, changes = self._base, self._changes
        group_edits = GroupEdits(base.store, base.judging, base.answers, changes.groups)
        pair_answers = PairAnswers(base.store, base.answers, changes.verdicts, group_edits)
        return Feedback(
            base.store, base.collections, pair_answers, base.models, base.current_verdicts, changes.corrections
        )

    def _models(self) -> ModelChanges:
        base, changes = self._base, self._changes
        switching = Switching(base.store, base.embedding, base.indexes, base.second_models)
        promotion = Promotion(base.collections, switching, changes.novelty, changes.relearning, changes.changed_lists)
        return ModelChanges(base.store, base.collections, base.embedding, base.second_models, promotion)

    def _move_steps(self) -> MoveSteps:
        base, changes = self._base, self._changes
        store, collections, moves, retirement = base.store, base.collections, changes.moves, self._retirement
        records = IncomingRecords(store, base.encoders, collections, base.words, changes.incidents, changes.novelty)
        return MoveSteps(
            store,
            collections,
            moves,
            SourceSteps(store, collections, changes.summaries, moves, retirement),
            TargetSteps(store, collections, moves, retirement, base.answers, changes.changed_lists),
            Incoming(store, collections, moves, records),
        )
