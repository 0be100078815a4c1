"""Answers from a file that somebody has filled in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from recommender.items import EntryId, FeedbackAccepted
from workers.cli.sending import outcome_of
from workers.client import Client
from workers.records import BadRow, Row, open_records

COLUMNS = ("item_id", "other_id", "answer", "probability", "text", "other_text")
"""Of a file of pairs; the first three are read again."""

_SAID = {
    **dict.fromkeys(("same", "s", "y", "yes", "1", "true"), "same"),
    **dict.fromkeys(("different", "d", "n", "no", "0", "false"), "different"),
    **dict.fromkeys(("", "unsure", "?", "skip"), ""),
}
_SHOWN = 10


@dataclass
class Taken:
    """What became of the rows of a file.

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
        first = f"{self.accepted:,} answers taken, {self.unanswered:,} rows without an answer, {self.failed:,} failed"
        return [first, *shown, *more]


def read_labels(client: Client, collection: str, source: str, by: str | None) -> Taken:
    """Send the answers of a file, and see what becomes of each.

    Args:
        client: sends them.
        collection: of the pairs.
        source: the file, with the columns `COLUMNS` begins with; ``-`` for standard input.
        by: who answered.
    """
    taken, sent = Taken(), list[tuple[int, EntryId]]()
    with open_records(source) as records:
        for record in records:
            said = _said(record)
            if isinstance(said, str):
                taken.errors.append((record.number, said))
            elif not said[2]:
                taken.unanswered += 1
            else:
                item_id, other_id, answer = said
                sent.append((record.number, client.feedback(item_id, answer, other_id, collection=collection, by=by)))
    for row, position in sent:
        outcome = outcome_of(client, position)
        if outcome["type"] == FeedbackAccepted.type:
            taken.accepted += 1
        else:
            taken.errors.append((row, outcome["data"].get("message", "one of the two items is not there")))
    taken.errors.sort()
    return taken


def _said(record: Row | BadRow) -> tuple[str, str, str] | str:
    """The two ids and the answer of a row, empty where there is none; or what is wrong with it."""
    if isinstance(record, BadRow):
        return record.error
    ids = [str(record.values.get(name) or "") for name in ("item_id", "other_id")]
    word = record.values.get("answer")
    said = _SAID.get(str("" if word is None else word).strip().lower())
    if not all(ids):
        return "item_id or other_id is empty"
    if said is None:
        return f"answer: {str(word)[:40]!r} is none of same, different (y, n)"
    return ids[0], ids[1], said
