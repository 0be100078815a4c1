"""Answers from a file that was filled in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from celery_recommender.cli.common import counted
from celery_recommender.cli.input.labelled_files import same_or_not
from celery_recommender.cli.input.sending import outcome_of
from celery_recommender.client import Client
from celery_recommender.records import BadRow, Row, open_records
from celery_recommender.records.values.guessing import matching
from celery_recommender.records.values.text import to_id, to_text
from recommender_engine.errors import ConfigurationError
from recommender_engine.items import EntryId, FeedbackAccepted

COLUMNS = ("item_id", "other_id", "answer", "probability", "text", "other_text")
"""Of a file of pairs; the first three are read again."""

_NO_ANSWER = {"", "unsure", "?", "skip"}
_READ = 3
_SHOWN = 10


@dataclass
class Taken:
    """The rows of a file by outcome.

    Attributes:
        accepted: answers that count.
        unanswered: rows without an answer.
        errors: of rows that could not be used, and answers that were not taken: number of the row, and why.
    """

    accepted: int = 0
    unanswered: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """How many rows came to nothing."""
        return len(self.errors)

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        errors = [{"row": row, "error": error} for row, error in self.errors]
        return {"accepted": self.accepted, "unanswered": self.unanswered, "failed": self.failed, "errors": errors}

    def lines(self) -> list[str]:
        """For people."""
        shown = [f"  row {row}: {error}" for row, error in self.errors[:_SHOWN]]
        more = [f"  … and {self.failed - _SHOWN:,} more"] if self.failed > _SHOWN else []
        taken, rest = counted(self.accepted, "answer"), counted(self.unanswered, "row")
        return [f"{taken} taken, {rest} without an answer, {self.failed:,} failed", *shown, *more]


def read_labels(client: Client, collection: str, source: str, by: str | None) -> Taken:
    """Send the answers of a file, and see what becomes of each.

    Args:
        client: sends them.
        collection: of the pairs.
        source: the file, with the columns `COLUMNS` begins with.
        by: name of the person who answered.

    Raises:
        ConfigurationError: one of these columns is missing. Then nothing was sent.
    """
    taken, sent = Taken(), list[tuple[int, EntryId]]()
    for row, answered in answers_in(source):
        if isinstance(answered, str):
            taken.errors.append((row, answered))
        elif not answered[2]:
            taken.unanswered += 1
        else:
            item_id, other_id, answer = answered
            sent.append((row, client.feedback(item_id, answer, other_id, collection=collection, by=by)))
    for row, position in sent:
        outcome = outcome_of(client, position)
        if outcome["type"] == FeedbackAccepted.type:
            taken.accepted += 1
        else:
            taken.errors.append((row, outcome["data"].get("message", "one of the two items is not there")))
    taken.errors.sort()
    return taken


def answers_in(source: str) -> Iterator[tuple[int, tuple[str, str, str] | str]]:
    """For each row its number, the two ids and the answer, empty where there is none; or what is wrong with it.

    Raises:
        ConfigurationError: a column is missing.
    """
    with open_records(source) as records:
        columns = _columns(source, records.columns)
        for record in records:
            yield record.number, _said(record, columns)


def _columns(source: str, names: Sequence[str]) -> list[str]:
    """The names in the file of the columns that are read."""
    found = [matching(wanted, names) for wanted in COLUMNS[:_READ]]
    missing = [repr(wanted) for wanted, name in zip(COLUMNS, found, strict=False) if name is None]
    if missing and names:
        there = ", ".join(map(repr, names))
        raise ConfigurationError(f"{source} has no column {' and no column '.join(missing)}; there are {there}")
    return [name or wanted for wanted, name in zip(COLUMNS, found, strict=False)]


def _said(record: Row | BadRow, columns: Sequence[str]) -> tuple[str, str, str] | str:
    """The two ids and the answer of a row, empty where there is none; or what is wrong with it."""
    if isinstance(record, BadRow):
        return record.error
    item_id, other_id, cell = (record.values.get(name) for name in columns)
    ids = to_id(item_id), to_id(other_id)
    answered = to_text(cell).strip()
    if not all(ids):
        return "item_id or other_id is empty"
    if answered.lower() in _NO_ANSWER:
        return *ids, ""
    same = same_or_not(cell)
    if same is None:
        return f"answer: {answered[:40]!r} is none of same, different (y, n)"
    return *ids, "same" if same else "different"
