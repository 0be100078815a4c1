"""Export of a collection, page by page. Nothing is stored."""

from __future__ import annotations

import base64
from datetime import datetime

import numpy as np

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import Attributes, Band, CollectionSettings
from recommender_engine.items.values import Value
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.dedup.current_verdicts import CurrentVerdicts
from recommender_engine.pipeline.vectors.second_models import SecondModels
from recommender_engine.store import Collection, SecondModel, SqliteStore, StoredItem

# A page is read between two batches and travels as one message.
_PAGE_ITEMS = 200
_PAGE_CHARACTERS = 4_000_000


class ExportedItem(Value):
    """An item as it is stored, with its current verdict.

    Attributes:
        text, fields: one of them is ``None``.
        compared: what is compared of it, fields one to a line; ``None`` where that is all of it.
        version: the producer's, if it gives one.
        at_ms: stream time of its arrival, in milliseconds since 1970.
        vector: its embedding, float32 little-endian, shape (dimension,), in Base64; empty while the second model, whose
            vectors are asked for, has not embedded it.
    """

    id: str
    text: str | None
    fields: dict[str, str] | None
    compared: str | None
    attributes: Attributes
    timestamp: datetime | None
    version: int | None
    at_ms: int
    band: Band
    duplicate_of: str | None
    group: str
    vector: str


class ExportPage(Value):
    """Some items of a collection, in order of arrival.

    Attributes:
        settings: of the collection.
        dimension: length of its vectors; ``None`` while it has no items.
        items: of this page.
        total: how many there are on all pages together.
        next: where the next page begins; ``None`` on the last one.
    """

    settings: CollectionSettings
    dimension: int | None
    items: tuple[ExportedItem, ...]
    total: int
    next: int | None


class Export:
    """Reads items of a collection in order of arrival."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        current_verdicts: CurrentVerdicts,
        second_models: SecondModels,
    ) -> None:
        self._store = store
        self._second_models = second_models
        self._collections = collections
        self._current_verdicts = current_verdicts

    def page(self, collection: str, after: int, last: int | None, *, second: bool = False) -> ExportPage | None:
        """A page of items in order of arrival, or ``None`` when there is no such collection.

        Args:
            collection: its name.
            after: ``next`` of the page before; 0 begins.
            last: the newest so many items only.
            second: with their vectors by the second model of the collection.

        Raises:
            InvalidCommand: there is no second model.
        """
        found = self._collections.find(collection)
        if found is None:
            return None
        model = self._second_models.of(found.id) if second else None
        if second and model is None:
            raise InvalidCommand("not_proposed", f"{collection!r} has no second model", "second")
        count = self._store.items.count(found.id)
        total = count if last is None else min(last, count)
        if after == 0 and total < count:
            after = self._store.items.before_last(found.id, total)
        items: list[ExportedItem] = []
        rows = self._store.items.after(found.id, after, _PAGE_ITEMS + 1, found.hidden_ms)
        characters = 0
        for row in rows[:_PAGE_ITEMS]:
            characters += len(row.item.content) + len(row.compared_text or "")
            if items and characters > _PAGE_CHARACTERS:
                break
            items.append(self._exported(row, found, model))
        return ExportPage(
            settings=found.settings,
            dimension=found.dimension if model is None else model.dimension,
            items=tuple(items),
            total=total,
            next=rows[len(items) - 1].seq if len(items) < len(rows) else None,
        )

    def _exported(self, row: StoredItem, collection: Collection, second: SecondModel | None) -> ExportedItem:
        current = self._current_verdicts.of(row, collection, hidden_ms=collection.hidden_ms)
        vector = self._store.vectors.get(row.vector) if second is None else self._second_models.vector(second, row)
        given = b"" if vector is None else np.ascontiguousarray(vector, "<f4").tobytes()
        return ExportedItem(
            id=row.item.id,
            text=row.item.text,
            fields=row.item.fields,
            compared=row.compared_text,
            attributes=row.item.attributes,
            timestamp=row.item.timestamp,
            version=row.version,
            at_ms=row.at_ms,
            band=current.band,
            duplicate_of=current.duplicate_of,
            group=current.group,
            vector=base64.b64encode(given).decode(),
        )
