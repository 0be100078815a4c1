"""The engine itself, with its state in memory: everything reaches it as commands, in the order of time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Self

from recommender_engine.embedding import Encoders
from recommender_engine.errors import ConfigurationError
from recommender_engine.evaluation.recommendations.figures import LIMIT
from recommender_engine.evaluation.recommendations.history import Interaction, Past
from recommender_engine.evaluation.recommendations.recorded import Recorded
from recommender_engine.items import (
    CollectionSettings,
    Command,
    CommandRejected,
    ConfigureCollection,
    Entry,
    EntryId,
    RecordInteraction,
    limits,
)
from recommender_engine.opening import open_recommender

BATCH = 64
INTERACTIONS = 500
"""So many of them are processed at a time."""


class Product:
    """Recommendations of the engine. A context manager.

    All candidates arrive before the first interaction, in the order of the file: when an item arrives must not give
    away when it is used. Interactions arrive at their own times, as far as the past that is asked about.

    Args:
        recorded: items and interactions; of the items the candidates of the truth are sent.
        encoders: with the model that the settings name.
        settings: of the collection.
        as_they_are: whether items are not collapsed to canonical ones, and lists are not diversified.
        done: called after each batch of commands with their number.

    Attributes:
        rejected: interactions that the engine refused, by code.

    Raises:
        ConfigurationError: the settings or an item are refused.
        EncodingError: the model failed.
    """

    def __init__(
        self,
        recorded: Recorded,
        encoders: Encoders,
        settings: CollectionSettings | None = None,
        *,
        as_they_are: bool = True,
        done: Callable[[int], None] = lambda count: None,
    ) -> None:
        items, history = recorded.items, recorded.history
        self._items = items
        self._users = history.users
        self._numbers = {item.id: number for number, item in enumerate(items)}
        self._collection = items[0].collection
        self._options: dict[str, Any] = {"collection": self._collection, "limit": LIMIT}
        # What is judged are lists, not how many commands are taken a second.
        changes: dict[str, Any] = {"commands_per_second": None}
        if as_they_are:
            self._options["diversity"] = 0.0
            changes["min_length"] = limits.MAX_TEXT_BYTES  # no text is long enough to be a duplicate
        self._done = done
        self._known = 0
        self._seconds = 0.0
        self.rejected: Counter[str] = Counter()
        self._last = EntryId(max(0, history.interactions[0].at_ms - 1), 0)
        self._engine = open_recommender(None, encoders)
        try:
            chosen = (settings or CollectionSettings()).model_copy(update=changes)
            self._send([(0, ConfigureCollection(collection=self._collection, settings=chosen))])
            sent = [
                item for item, candidate in zip(items, recorded.truth.candidates.tolist(), strict=True) if candidate
            ]
            for start in range(0, len(sent), BATCH):
                self._send([(0, item) for item in sent[start : start + BATCH]])
            if self.rejected:
                raise ConfigurationError(f"the engine refuses settings or items: {', '.join(self.rejected)}")
        except BaseException:
            self._engine.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.close()

    @property
    def interactions_per_s(self) -> float | None:
        """How many interactions were learned a second, until now."""
        return self._known / self._seconds if self._seconds else None

    def for_item(self, past: Past, item: int) -> list[int]:
        """For an item.

        Raises:
            ValueError: more than that past is known already.
        """
        return self._asked(past, {"item": self._items[item].id})

    def for_user(self, past: Past, user: int, *, known: bool) -> list[int]:
        """For a user.

        Raises:
            ValueError: more than that past is known already.
        """
        return self._asked(past, {"user": self._users[user], "known": "keep" if known else "leave_out"})

    def learn(self, past: Past) -> None:
        """Send the interactions of a past that have not been sent.

        Raises:
            ValueError: more than that past is known already.
        """
        if past.size < self._known:
            raise ValueError(f"{self._known} interactions are known, and only {past.size} may be")
        new = past.interactions[self._known :]
        started = time.perf_counter()
        for start in range(0, len(new), INTERACTIONS):
            self._send([(one.at_ms, self._recorded(one)) for one in new[start : start + INTERACTIONS]])
        self._seconds += time.perf_counter() - started
        self._known = past.size

    def _asked(self, past: Past, request: dict[str, Any]) -> list[int]:
        self.learn(past)
        return [self._numbers[one.id] for one in self._engine.recommendations({**self._options, **request}) or ()]

    def _recorded(self, one: Interaction) -> RecordInteraction:
        return RecordInteraction(
            collection=self._collection,
            item=one.item,
            user=one.user,
            session=one.session,
            kind=one.kind,
            value=one.value,
        )

    def _send(self, commands: Sequence[tuple[int, Command]]) -> None:
        entries = []
        for at_ms, command in commands:
            self._last = self._last.next_at(at_ms)
            entries.append(Entry(self._last, command))
        for event in self._engine.process(entries):
            if isinstance(event.data, CommandRejected):
                self.rejected[event.data.code] += 1
        self._done(len(entries))
