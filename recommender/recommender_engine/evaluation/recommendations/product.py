"""The engine itself, with its state in memory: everything reaches it as commands, in the order of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

from recommender_engine.embedding import Encoders
from recommender_engine.errors import ConfigurationError
from recommender_engine.evaluation.recommendations.figures import LIMIT
from recommender_engine.evaluation.recommendations.history import History, Past
from recommender_engine.evaluation.recommendations.truth import Truth
from recommender_engine.items import (
    CollectionSettings,
    Command,
    CommandRejected,
    ConfigureCollection,
    Entry,
    EntryId,
    UpsertItem,
)
from recommender_engine.opening import open_recommender

BATCH = 64


class Product:
    """Recommendations of the engine. A context manager.

    All candidates arrive before the first interaction, in the order of the file: when an item arrives must not give
    away when it is used.

    Args:
        items: all items, in the order of their numbers.
        history: with the interactions.
        truth: with the candidates; no other items are sent.
        encoders: with the model that the settings name.
        settings: of the collection.
        done: called after each batch with the number of its items.

    Raises:
        ConfigurationError: the settings or an item are refused.
        EncodingError: the model failed.
    """

    def __init__(
        self,
        items: Sequence[UpsertItem],
        history: History,
        truth: Truth,
        encoders: Encoders,
        settings: CollectionSettings | None = None,
        done: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._items = items
        self._numbers = {item.id: number for number, item in enumerate(items)}
        self._collection = items[0].collection
        self._last = EntryId(max(0, history.interactions[0].at_ms - 1), 0)
        self._engine = open_recommender(None, encoders)
        try:
            # What is judged are lists, not how many commands are taken a second.
            unlimited = (settings or CollectionSettings()).model_copy(update={"commands_per_second": None})
            self._process([ConfigureCollection(collection=self._collection, settings=unlimited)])
            sent = [item for item, candidate in zip(items, truth.candidates.tolist(), strict=True) if candidate]
            for start in range(0, len(sent), BATCH):
                batch = sent[start : start + BATCH]
                self._process(batch)
                done(len(batch))
        except BaseException:
            self._engine.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.close()

    def for_item(self, past: Past, item: int) -> list[int]:
        """For an item."""
        found = self._engine.recommend(self._items[item].id, self._collection, LIMIT)
        return [self._numbers[one.id] for one in found or ()]

    def _process(self, commands: Sequence[Command], at_ms: int = 0) -> None:
        entries = []
        for command in commands:
            self._last = self._last.next_at(at_ms)
            entries.append(Entry(self._last, command))
        for event in self._engine.process(entries):
            if isinstance(event.data, CommandRejected):
                raise ConfigurationError(f"refused: {event.data.message}")
