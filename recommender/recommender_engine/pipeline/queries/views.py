"""Stored items, answers of people, and outcomes of commands, for a reader. Nothing is stored."""

from __future__ import annotations

import json
from typing import Any

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import Attributes, Band, Reason
from recommender_engine.items.cursors import cursor, place_of
from recommender_engine.items.values import Value
from recommender_engine.pipeline.candidates.compared_texts import ComparedTexts
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.dedup.current_verdicts import CurrentVerdicts
from recommender_engine.pipeline.queries.paging import checked_limit
from recommender_engine.store import Answer, SqliteStore

MOST_ANSWERS_LISTED = 500
"""Answers of a page at most."""


class CutView(Value):
    """A passage that is not compared.

    Attributes:
        rule: by which it went; one of those in the setting ``cut``.
        field: in which field it stood; ``None`` in an item without fields.
        start, end: where, in characters of the text or field as a reader sees it: without mark-up.
        passage: it.
    """

    rule: str
    field: str | None
    start: int
    end: int
    passage: str


class ItemView(Value):
    """A stored item with its current verdict; fields as in the ``item.processed`` event.

    Attributes:
        text: as it was sent; of an item with fields, one to a line.
        compared: what of it is compared; ``None`` where that is all of it.
        cuts: what was cut, in order; mark-up is read and not among them.
    """

    item_id: str
    collection: str
    revision: int
    text: str
    compared: str | None
    cuts: tuple[CutView, ...]
    attributes: Attributes
    band: Band
    duplicate_of: str | None
    canonical_id: str
    group: str
    matched_id: str | None
    probability: float
    similarity: float | None
    reasons: tuple[Reason, ...]
    explanation: str


class AnswerView(Value):
    """What a person said of two items.

    Attributes:
        item_id, other_id: the two; ``item_id`` is the smaller id.
        answer: ``same`` or ``different``.
        by: name of the person.
        at_ms: stream time of the answer, in milliseconds since 1970.
        probability: that the two are the same, as the matcher had it before it heard the answer, in [0, 1].
    """

    item_id: str
    other_id: str
    answer: str
    by: str | None
    at_ms: int
    probability: float


class ListedAnswer(AnswerView):
    """What a person said of two items of a collection.

    Attributes:
        number: of the answer; later ones have higher numbers, in a partition.
    """

    collection: str
    number: int


class AnswerPage(Value):
    """Some answers, the newest first.

    Attributes:
        next: the ``after`` of the next page; ``None`` on the last one.
    """

    answers: tuple[ListedAnswer, ...]
    next: str | None


class Views:
    """Reads single items, answers and outcomes from the committed state."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        compared_texts: ComparedTexts,
        current_verdicts: CurrentVerdicts,
    ) -> None:
        self._store = store
        self._collections = collections
        self._compared_texts = compared_texts
        self._current_verdicts = current_verdicts

    def get(self, item_id: str, collection: str) -> ItemView | None:
        """The item with its current verdict."""
        found = self._collections.find(collection)
        stored = None if found is None else self._store.items.get(found.id, item_id, found.hidden_ms)
        if found is None or stored is None:
            return None
        current = self._current_verdicts.of(stored, found, hidden_ms=found.hidden_ms)
        return ItemView(
            item_id=item_id,
            collection=collection,
            revision=stored.revision,
            text=stored.item.content,
            compared=stored.compared_text,
            cuts=tuple(CutView(**cut._asdict()) for cut in self._compared_texts.cuts(found, stored)),
            attributes=stored.item.attributes,
            **current.fields(),
        )

    def outcome(self, key: str, collection: str | None) -> dict[str, Any] | None:
        """The event that answered the command with this key, or ``None`` if the key was not used recently.

        Raises:
            InvalidCommand: several collections have used the key, and none is named.
        """
        found = {
            name: json.loads(row.event) for name, row in self._store.outbox.answers(key, self._store.clock_ms).items()
        }
        if collection is not None:
            unread = found.get("")  # it could not be read whole; what it says of its collection is in the event
            about = None if unread is None else unread["data"].get("collection")
            return found.get(collection, unread if about == collection else None)
        if len(found) > 1:
            raise InvalidCommand(
                "ambiguous_key", f"several collections have used the key {key!r}: name the collection", "collection"
            )
        return next(iter(found.values()), None)

    def answers(self, collection: str) -> list[AnswerView]:
        """Answers on the items of a collection, in the order in which they were given."""
        found = self._collections.find(collection)
        return [AnswerView(**_said(answer)) for answer in (self._store.answers.all(found.id) if found else ())]

    def answer_page(self, collection: str | None, after: str | None, limit: int) -> AnswerPage:
        """A page of answers; see ``Recommender.answer_page``."""
        most = checked_limit(limit, MOST_ANSWERS_LISTED)
        before = 2**63 - 1 if after is None else place_of(after, "answers", (int,))[0]
        found = None if collection is None else self._collections.find(collection)
        if collection is not None and found is None:
            return AnswerPage(answers=(), next=None)
        rows = self._store.answers.page(None if found is None else found.id, before, most + 1)
        listed = [
            ListedAnswer(**_said(answer), collection=owner.name, number=number)
            for number, of, answer in rows[:most]
            if (owner := self._collections.by_id(of)) is not None  # not of one that has left
        ]
        following = cursor("answers", (rows[most - 1][0],)) if len(rows) > most else None
        return AnswerPage(answers=tuple(listed), next=following)


def _said(answer: Answer) -> dict[str, Any]:
    return {
        "item_id": answer.one,
        "other_id": answer.other,
        "answer": "same" if answer.same else "different",
        "by": answer.by,
        "at_ms": answer.entry.ms,
        "probability": answer.probability,
    }
