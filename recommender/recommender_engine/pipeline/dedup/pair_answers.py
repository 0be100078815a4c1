"""A person's answer on two stored items is recorded, and takes effect on their groups."""

from __future__ import annotations

from typing import Literal, NamedTuple

from recommender_engine.errors import InvalidCommand
from recommender_engine.pipeline.batch import CollectionDecision
from recommender_engine.pipeline.dedup.answers import Answers, Chain
from recommender_engine.pipeline.dedup.group_edits import GroupEdits
from recommender_engine.pipeline.dedup.groups import Moved
from recommender_engine.pipeline.dedup.item_verdicts import ItemVerdicts
from recommender_engine.store import Answer, Member, SqliteStore

_DELETED = "a deleted item"

AnswerWord = Literal["same", "different", "unsure"]


class RecordedAnswer(NamedTuple):
    """What was recorded.

    Attributes:
        probability: that the two are the same, by the matcher before the answer, in [0, 1].
        instead: whether there was an answer on the two before.
    """

    probability: float
    instead: bool


class PairAnswers:
    """Records answers, unless they contradict earlier ones."""

    def __init__(self, store: SqliteStore, answers: Answers, verdicts: ItemVerdicts, group_edits: GroupEdits) -> None:
        self._store = store
        self._answers = answers
        self._verdicts = verdicts
        self._group_edits = group_edits

    def require_possible(self, collection: int, one: str, other: str, answer: AnswerWord) -> None:
        """Require that an answer can be recorded.

        Raises:
            InvalidCommand: it contradicts earlier answers; the message has the chain. Or there are as many answers as
                are kept.
        """
        self._refuse_contradiction(collection, one, other, answer)
        if answer != "unsure" and not self._answers.answered(collection, one, other):
            self._answers.require_room(collection)

    def record(
        self,
        decision: CollectionDecision,
        pair: tuple[Member, Member],
        answer: AnswerWord,
        by: str | None,
        moved: Moved,
    ) -> RecordedAnswer:
        """Record an answer on two stored items, or take theirs back, and change their groups.

        Args:
            decision: of the command.
            pair: the two.
            answer: on them.
            by: name of the person.
            moved: where to note the items that change their group.
        """
        collection, (one, other) = decision.collection, pair
        instead = self._answers.answered(collection.id, one.id, other.id)
        earlier, later = sorted(pair)
        score = self._verdicts.score(decision, later, earlier)
        if answer == "unsure":
            self._answers.take_back(collection.id, one.id, other.id)
            self._group_edits.release(collection, one, other)
        else:
            small, large = sorted((one.id, other.id))
            same, learned_from = answer == "same", (score.probability, score.features, score.kind)
            self._answers.put(collection.id, Answer(small, large, same, decision.entry.id, by, *learned_from))
            change = self._group_edits.unite if same else self._group_edits.part
            change(collection, one, other, moved)
        return RecordedAnswer(score.probability, instead)

    def forget(self, collection: int, item_id: str) -> bool:
        """Delete every answer on an item; whether there was one."""
        return self._answers.forget(collection, item_id)

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
        """A chain for people to read, without the ids of deleted items: those appear in no event."""
        there = {member.id for member in self._store.items.named(collection, {id_ for _, id_ in chain})}
        (_, first), *rest = chain
        shown = [repr(first), *(f"{sign} {repr(id_) if id_ in there else _DELETED}" for sign, id_ in rest)]
        return " ".join(shown)
