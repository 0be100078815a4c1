"""The verdicts on rows of a file that were sent, asked of the owner."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from celery_recommender.celery.tasks.questions import Get, Outcomes, Recommend
from celery_recommender.frames.columns import added_cells, noted
from celery_recommender.records import BadRow, ItemRow
from recommender_engine.items import CommandRejected

Ask = Callable[..., Any]
"""``ask(TaskClass, *args, **kwargs)`` gives what the task's ``.get()`` would."""


class VerdictRow(NamedTuple):
    """A row of a file with what is added to it.

    Attributes:
        cells: its own, by column name.
        added: the cells beside them, by the names in ``ADDED``.
        item_id: of its item; ``None`` for a row without a verdict.
        rejected: why a row that was an item has no verdict.
    """

    cells: Mapping[str, Any]
    added: dict[str, Any]
    item_id: str | None = None
    rejected: BadRow | None = None


class RowVerdicts:
    """Asks for the verdicts on rows.

    Args:
        ask: the way to the owner.
        collection: of the items.
        key: of the command of a row, by its number; ``None``: they were sent before, and have no outcome of their own.
        replaced: by number of a row that a later one has replaced, the number of that one.
        similar: ids of similar items of a row at most.
    """

    def __init__(
        self,
        ask: Ask,
        collection: str,
        key: Callable[[int], str] | None,
        replaced: Mapping[int, int],
        similar: int,
    ) -> None:
        self._ask = ask
        self._collection = collection
        self._key = key
        self._replaced = replaced
        self._similar = similar

    def beside(self, rows: Sequence[ItemRow]) -> list[VerdictRow]:
        """The rows with their verdicts."""
        ids = [one.item["id"] for one in rows if not isinstance(one.item, BadRow)]
        outcomes = self._outcomes(rows)
        views = dict(zip(ids, self._ask(Get, ids, collection=self._collection), strict=True))
        found = self._ask(Recommend, ids, collection=self._collection, limit=self._similar or 1)
        hits = dict(zip(ids, found, strict=True))
        return [self._row(one, outcome, views, hits) for one, outcome in zip(rows, outcomes, strict=True)]

    def _outcomes(self, rows: Sequence[ItemRow]) -> list[dict[str, Any] | None]:
        if self._key is None:
            return [None] * len(rows)
        keys = [self._key(one.row.number) for one in rows]
        found: list[dict[str, Any] | None] = self._ask(Outcomes, keys, collection=self._collection)
        return found

    def _row(
        self,
        one: ItemRow,
        outcome: Mapping[str, Any] | None,
        views: Mapping[str, Mapping[str, Any] | None],
        hits: Mapping[str, Sequence[Mapping[str, Any]] | None],
    ) -> VerdictRow:
        cells = one.row.values
        if isinstance(one.item, BadRow):
            return VerdictRow(cells, added_cells(error=one.item.error))
        if (later := self._replaced.get(one.row.number)) is not None:
            return VerdictRow(cells, added_cells(error=f"row {later} has the same id, and has replaced it"))
        id_ = one.item["id"]
        bad = None if self._key is None else error_of(one.row.number, outcome)
        if bad is None and views[id_] is None:
            bad = BadRow(one.row.number, "the item was deleted meanwhile", "deleted")
            if self._key is None:
                bad = BadRow(one.row.number, "the collection does not have it: not sent, or deleted", "not_there")
        if bad is not None:
            return VerdictRow(cells, added_cells(error=bad.error), rejected=bad)
        similar = [hit["id"] for hit in hits[id_] or []][: self._similar]
        novelty = None if outcome is None else outcome["data"].get("novelty")
        added = added_cells(view=views[id_], similar=similar, novelty=novelty, error=noted(one.remarks))
        return VerdictRow(cells, added, id_)


def error_of(row: int, event: Mapping[str, Any] | None) -> BadRow | None:
    """Why the command of a row came to nothing, by the event that answered it; ``None``: it did not."""
    if event is None:
        return BadRow(row, "no outcome is known any more (they are kept for 24 hours)", "outcome_unknown")
    if event["data"].get("erased"):  # an erased event keeps its type only
        return BadRow(row, "erased meanwhile", "erased")
    return rejected(row, event)


def rejected(row: int, event: Mapping[str, Any]) -> BadRow | None:
    """The row of a command that was rejected, with the reason; ``None`` for any other event."""
    if event["type"] != CommandRejected.type:
        return None
    data = event["data"]
    return BadRow(row, f"{data['code']}: {data['message']}", data["code"])
