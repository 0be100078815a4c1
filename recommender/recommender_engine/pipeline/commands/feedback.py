"""What people say of two items is recorded, holds for ever, and teaches the matcher."""

from __future__ import annotations

from typing import Literal

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import Band, Entry, FeedbackAccepted, GiveFeedback
from recommender_engine.pipeline.arrival.arrivals import Arrivals
from recommender_engine.pipeline.batch import Batch, cause
from recommender_engine.pipeline.candidates.search import CandidateSearch
from recommender_engine.pipeline.dedup.answers import Answers, Chain
from recommender_engine.pipeline.dedup.corrections import Before, Corrections
from recommender_engine.pipeline.dedup.current_verdicts import CurrentVerdicts
from recommender_engine.pipeline.dedup.group_edits import GroupEdits
from recommender_engine.pipeline.dedup.judging import Judging
from recommender_engine.pipeline.learning.models import Models
from recommender_engine.store import Answer, Collection, Member, SqliteStore, StoredItem

_DELETED = "a deleted item"

AnswerWord = Literal["same", "different", "unsure"]


class Feedback:
    """Applies answers: to the groups, to the rules for all later items, and to the matcher's model."""

    def __init__(
        self,
        store: SqliteStore,
        judging: Judging,
        arrivals: Arrivals,
        search: CandidateSearch,
        answers: Answers,
        reshaping: GroupEdits,
        models: Models,
        current_verdicts: CurrentVerdicts,
        corrections: Corrections,
    ) -> None:
        self._store = store
        self._judging = judging
        self._arrivals = arrivals
        self._search = search
        self._answers = answers
        self._reshaping = reshaping
        self._models = models
        self._current_verdicts = current_verdicts
        self._corrections = corrections

    def meant(self, command: GiveFeedback, stored: StoredItem, collection: Collection) -> tuple[str, AnswerWord]:
        """The other item and the answer on the two that a command amounts to.

        Raises:
            InvalidCommand: ``right`` or ``wrong``, but the item's band is not ``duplicate``.
        """
        if command.other is not None and command.answer not in {"right", "wrong"}:
            return command.other, command.answer  # type: ignore[return-value]
        current = self._current_verdicts.of(stored, collection)
        if current.band is not Band.DUPLICATE or current.duplicate_of is None:
            raise InvalidCommand(
                "no_duplicate",
                f"answer: {command.answer!r} speaks of a duplicate, but the item's band is {current.band.value!r}; "
                "say 'same' or 'different' and name the other item",
                "answer",
            )
        if command.answer == "wrong":
            return current.duplicate_of, "different"  # the flag goes, whichever pair the verdict speaks about
        return current.matched_id or current.duplicate_of, "same"

    def give(
        self,
        entry: Entry,
        command: GiveFeedback,
        answer: AnswerWord,
        pair: tuple[Member, Member],
        collection: Collection,
        batch: Batch,
    ) -> tuple[FeedbackAccepted, Before]:
        """Record an answer on two stored items and let it take effect.

        Returns:
            The outcome, and how the groups stood before.

        Raises:
            InvalidCommand: it contradicts what people said before; the message has the chain. Or there are as many
                answers as are kept.
        """
        one, other = pair
        self._refuse_contradiction(collection.id, one.id, other.id, answer)
        instead = self._answers.answered(collection.id, one.id, other.id)
        if answer != "unsure" and not instead:
            self._answers.require_room(collection.id)
        first, second = sorted(pair)
        later = self._judging.subject(collection, second)
        candidates = self._search.find(collection, later, batch.overlay(collection))
        seen = self._arrivals.score(collection, later, first, candidates)
        before = self._corrections.note(
            Before(),
            collection,
            [one.group, other.group],
            self._store.items.by_seq([one.seq, other.seq]).values(),
            shapes=True,
        )
        if answer == "unsure":
            self._answers.take_back(collection.id, one.id, other.id)
            self._reshaping.release(collection, one, other)
        else:
            small, large = sorted((one.id, other.id))
            same, learned_from = answer == "same", (seen.probability, seen.features, seen.kind)
            self._answers.put(collection.id, Answer(small, large, same, entry.id, command.by, *learned_from))
            if answer == "same":
                self._reshaping.unite(collection, one, other, before.moved)
            else:
                self._reshaping.part(collection, one, other, before.moved)
        self._models.answered(collection.id, entry, instead=instead)
        accepted = FeedbackAccepted(
            command=cause(entry),
            item_id=one.id,
            collection=collection.name,
            other_id=other.id,
            answer=answer,
            by=command.by,
            probability=seen.probability,
            answers=self._models.learned_from(collection.id),
        )
        return accepted, before

    def publish(self, before: Before, entry: Entry, collection: Collection, batch: Batch) -> None:
        """Publish what an answer changed."""
        self._corrections.publish(before, entry, collection, "feedback", batch)

    def forget(self, collection: int, item_id: str) -> None:
        """Every trace of what people said of an item goes; what was learned from it stays."""
        if self._answers.forget(collection, item_id):
            self._models.disturb(collection)

    def _refuse_contradiction(self, collection: int, one: str, other: str, answer: AnswerWord) -> None:
        chain = None
        if answer == "same":
            chain = self._answers.chain_of_different(collection, one, other)
        elif answer == "different":
            chain = self._answers.chain_of_same(collection, one, other)
        if chain is not None:
            raise InvalidCommand(
                "contradiction", f"answer: people said before that {self._spelled(collection, chain)}", "answer"
            )

    def _spelled(self, collection: int, chain: Chain) -> str:
        """A chain for people; an item that was deleted appears in no event, not by its id either."""
        there = {member.id for member in self._store.items.named(collection, {id_ for _, id_ in chain})}
        (_, first), *rest = chain
        shown = [repr(first), *(f"{sign} {repr(id_) if id_ in there else _DELETED}" for sign, id_ in rest)]
        return " ".join(shown)
