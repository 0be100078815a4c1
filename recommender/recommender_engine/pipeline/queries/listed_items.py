"""What lists show of stored items: an item as it stands now, in short."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from recommender_engine.items import Band
from recommender_engine.items.values import Value
from recommender_engine.pipeline.dedup.current_verdicts import CurrentVerdicts
from recommender_engine.store import BANDS, Collection, ListedRow, SqliteStore
from recommender_engine.store.items import item_of

SHORT = 300
"""Characters of a title or text in a list."""


class ListedItem(Value):
    """An item as it stands now, in short.

    Attributes:
        band: of now: ``duplicate`` while an earlier item of its group is stored.
        probability: of its verdict, as it was stated when the item arrived or was judged again, in [0, 1].
        duplicate_of: the earliest item of its group, if that is another one.
        title: the first field that is filled, of an item with fields.
        text: what the item says, with the title.
        compared: what of the text is compared; ``None`` where that is all of it.
        arrived_at: stream time, ISO 8601.
    """

    id: str
    collection: str
    band: Band
    probability: float
    duplicate_of: str | None
    group: str
    title: str | None
    text: str
    compared: str | None
    arrived_at: str


class ListedItems:
    """Makes them of rows."""

    def __init__(self, store: SqliteStore, current_verdicts: CurrentVerdicts) -> None:
        self._store = store
        self._current_verdicts = current_verdicts

    def of(self, collection: Collection, rows: Iterable[ListedRow], longest: int = SHORT) -> dict[int, ListedItem]:
        """Visible ones of some items, by arrival number.

        Args:
            collection: of the items.
            rows: of them.
            longest: at how many characters titles and texts are cut.
        """
        shown = [row for row in rows if row.band is not None and row.at_ms > (collection.hidden_ms or -1)]
        if collection.hidden_ms is not None:
            return self._beside_expired(collection, shown, longest)
        repeating = {row.group for row in shown if BANDS[row.band or 0] is Band.DUPLICATE}
        first = self._store.groups.canonical(sorted(repeating)) if repeating else {}
        return {row.seq: _listed(collection, row, BANDS[row.band or 0], first.get(row.group), longest) for row in shown}

    def _beside_expired(self, collection: Collection, rows: list[ListedRow], longest: int) -> dict[int, ListedItem]:
        """Bands are looked at again while expired items are stored yet: they count for nothing."""
        stored = self._store.items.by_seq([row.seq for row in rows])
        found: dict[int, ListedItem] = {}
        for row in rows:
            now = self._current_verdicts.of(stored[row.seq], collection, hidden_ms=collection.hidden_ms)
            found[row.seq] = _listed(collection, row, now.band, now.duplicate_of, longest)
        return found


def _listed(collection: Collection, row: ListedRow, band: Band, first: str | None, longest: int) -> ListedItem:
    item = item_of(row.id, collection.name, row.content, "{}")
    compared = None if row.compared is None else item_of(row.id, collection.name, row.compared, "{}").content
    title = next((value for value in (item.fields or {}).values() if value), None)
    return ListedItem(
        id=row.id,
        collection=collection.name,
        band=band,
        probability=row.stated,
        duplicate_of=first if band is Band.DUPLICATE else None,
        group=row.group,
        title=None if title is None else _cut(title, longest),
        text=_cut(item.content, longest),
        compared=None if compared is None else _cut(compared, longest),
        arrived_at=iso(row.at_ms),
    )


def iso(time_ms: int) -> str:
    """A stream time in ISO 8601, in UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
