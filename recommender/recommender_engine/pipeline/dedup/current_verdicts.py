"""Current verdicts: what was decided about items, as far as it still holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recommender_engine.items import Band, PairVerdict, Reason
from recommender_engine.policy import means_nothing
from recommender_engine.store import Collection, SqliteStore, StoredItem, Verdict

SAYS_NOTHING = Reason(code="says_nothing", text="the text is a placeholder and says nothing")


@dataclass(frozen=True, slots=True)
class CurrentVerdict:
    """The current verdict on an item.

    Attributes:
        band: ``duplicate`` while an earlier item of its group is there; else that of the verdict.
        duplicate_of: id of the earliest item of its group, if that is another one.
        canonical_id: id of the canonical item of its group.
        matched_id: id of the other item of the verdict, while it is there.
        alone: why the item was compared with nothing, if it was not.
    """

    band: Band
    duplicate_of: str | None
    canonical_id: str
    group: str
    matched_id: str | None
    pair: PairVerdict | None
    alone: Reason | None = None

    def fields(self) -> dict[str, Any]:
        """As events and views carry it."""
        pair = self.pair
        reasons = pair.reasons if pair else (self.alone,) if self.alone else ()
        return {
            "band": self.band,
            "duplicate_of": self.duplicate_of,
            "canonical_id": self.canonical_id,
            "group": self.group,
            "matched_id": self.matched_id,
            "probability": pair.probability if pair else 0.0,
            "similarity": pair.similarity if pair else None,
            "reasons": reasons,
            "explanation": pair.explanation if pair else self.alone.text if self.alone else "",
        }


class CurrentVerdicts:
    """Reads current verdicts from the store."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def of(self, row: StoredItem, collection: Collection, *, hidden_ms: int | None = None) -> CurrentVerdict:
        """The current verdict on a stored item.

        Args:
            row: the item.
            collection: in which it is.
            hidden_ms: for a question, where groups may hold expired items: those that arrived up to this stream time
                are not visible.
        """
        rule = collection.settings.canonical
        earliest = self._store.groups.canonical([row.group], hidden_ms=hidden_ms)
        canonical = earliest if rule == "earliest" else self._store.groups.canonical([row.group], rule, hidden_ms)
        return self._current(row, earliest, canonical, collection)

    def of_group(self, group: str, collection: Collection, limit: int) -> list[tuple[StoredItem, CurrentVerdict]]:
        """Current verdicts on the earliest items of a group, at most ``limit``, in order of arrival."""
        members = self._store.groups.earliest(group, limit)
        if not members:
            return []
        earliest, rule = {group: members[0].id}, collection.settings.canonical
        canonical = earliest if rule == "earliest" else self._store.groups.canonical([group], rule)
        rows = self._store.items.by_seq([member.seq for member in members])
        return [(row := rows[member.seq], self._current(row, earliest, canonical, collection)) for member in members]

    def _current(
        self, row: StoredItem, earliest: Mapping[str, str], canonical: Mapping[str, str], collection: Collection
    ) -> CurrentVerdict:
        first = earliest[row.group]
        repeats = first != row.item.id
        band = Band.DUPLICATE if repeats else unrepeated(row.verdict)
        seq = row.verdict.matched_seq
        matched_id = None if seq is None else self._store.items.id_of(seq, collection.hidden_ms)
        # When the matched item is gone, the verdict on the pair still explains the band.
        pair = None if matched_id is None and band is Band.NEW else row.verdict.pair
        alone = SAYS_NOTHING if pair is None and means_nothing(collection.settings, row.compared) else None
        return CurrentVerdict(
            band, first if repeats else None, canonical[row.group], row.group, matched_id, pair, alone
        )


def unrepeated(verdict: Verdict) -> Band:
    """The band of the earliest item of a group: every item that it repeated is gone."""
    return Band.NEW if verdict.band is Band.DUPLICATE else verdict.band
