"""``feedback.given``: a person's answer on two items is recorded, holds for ever, and teaches the matcher."""

from __future__ import annotations

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import Band, EntryId, FeedbackAccepted, GiveFeedback
from recommender_engine.pipeline.batch import CollectionDecision, Decision
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.dedup.corrections import Before, Corrections
from recommender_engine.pipeline.dedup.current_verdicts import CurrentVerdicts
from recommender_engine.pipeline.dedup.pair_answers import AnswerWord, PairAnswers
from recommender_engine.pipeline.learning.models import Models
from recommender_engine.pipeline.outcomes.outcomes import ignore
from recommender_engine.store import Member, SqliteStore, StoredItem


class Feedback:
    """Applies answers: to the groups, to the rules for all later items, and to the matcher's model."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        pair_answers: PairAnswers,
        models: Models,
        current_verdicts: CurrentVerdicts,
        corrections: Corrections,
    ) -> None:
        self._store = store
        self._collections = collections
        self._pair_answers = pair_answers
        self._models = models
        self._current_verdicts = current_verdicts
        self._corrections = corrections

    def apply(self, decision: Decision, command: GiveFeedback) -> EntryId:
        """Apply ``feedback.given``; returns the id of its outcome.

        Raises:
            InvalidCommand: the answer contradicts earlier answers; the message has the chain. Or it is ``right`` or
                ``wrong``, but the item's band is not ``duplicate``. Or there are as many answers as are kept.
        """
        collection, stored = self._collections.lookup(command)
        if collection is None or stored is None:
            return ignore(decision, command, "unknown_item")
        here = decision.within(collection)
        other_id, answer = self._resolved(here, command, stored)
        members = {member.id: member for member in self._store.items.named(collection.id, {command.id, other_id})}
        if len(members) < 2:
            return ignore(decision, command.model_copy(update={"id": other_id}), "unknown_item")
        accepted, before = self._record(here, command, answer, (members[command.id], members[other_id]))
        outcome = decision.emit(accepted)
        self._corrections.publish(here, before, "feedback")
        return outcome

    def _resolved(
        self, decision: CollectionDecision, command: GiveFeedback, stored: StoredItem
    ) -> tuple[str, AnswerWord]:
        """The other item, and the answer on the pair that the command amounts to."""
        if command.other is not None and command.answer not in {"right", "wrong"}:
            return command.other, command.answer  # type: ignore[return-value]
        current = self._current_verdicts.of(stored, decision.collection)
        if current.band is not Band.DUPLICATE or current.duplicate_of is None:
            raise InvalidCommand(
                "no_duplicate",
                f"answer: {command.answer!r} speaks of a duplicate, but the item's band is {current.band.value!r}; "
                "say 'same' or 'different' and name the other item",
                "answer",
            )
        if command.answer == "wrong":
            return current.duplicate_of, "different"  # the flag goes, whichever pair the verdict is about
        return current.matched_id or current.duplicate_of, "same"

    def _record(
        self, decision: CollectionDecision, command: GiveFeedback, answer: AnswerWord, pair: tuple[Member, Member]
    ) -> tuple[FeedbackAccepted, Before]:
        """Record an answer on two stored items and let it take effect.

        Returns:
            The outcome, and the state of the groups before.
        """
        collection, (one, other) = decision.collection, pair
        self._pair_answers.require_possible(collection.id, one.id, other.id, answer)
        before = self._corrections.note(
            Before(),
            collection,
            [one.group, other.group],
            self._store.items.by_seq([one.seq, other.seq]).values(),
            shapes=True,
        )
        recorded = self._pair_answers.record(decision, pair, answer, command.by, before.moved)
        self._models.answered(collection.id, decision.entry, instead=recorded.instead)
        accepted = FeedbackAccepted(
            command=decision.cause,
            item_id=one.id,
            collection=collection.name,
            other_id=other.id,
            answer=answer,
            by=command.by,
            probability=recorded.probability,
            answers=self._models.learned_from(collection.id),
        )
        return accepted, before

    def forget(self, collection: int, item_id: str) -> None:
        """Delete every answer on an item; what was learned from it stays."""
        if self._pair_answers.forget(collection, item_id):
            self._models.disturb(collection)
