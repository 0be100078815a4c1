"""What waits for the engine thread: entries read ahead, and questions."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from celery_recommender.settings import BYTES_PER_TOKEN
from recommender_engine import Recommender
from recommender_engine.items import START, Entry, EntryId


class Waiting(NamedTuple):
    """An entry in memory.

    Attributes:
        entry: decoded.
        size: bytes it took in the stream.
    """

    entry: Entry
    size: int


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask the engine between two batches."""

    ask: Callable[[Recommender], Any]
    answer: Future[Any] = field(default_factory=Future)

    def settle(self, engine: Recommender) -> None:
        """Ask, and hand over the answer or the error."""
        if not self.answer.set_running_or_notify_cancel():
            return
        try:
            self.answer.set_result(self.ask(engine))
        except Exception as error:  # the asker gets it; the engine thread goes on
            self.answer.set_exception(error)


class Inbox:
    """Bounded queue from the reading threads to the engine thread. No timer: a single entry is taken at once, many are
    taken together.

    Args:
        tokens: a batch holds about this much text …
        items: … and limit of its entries.
        batches: limit of waiting batches.
    """

    def __init__(self, tokens: int, items: int, batches: int = 4) -> None:
        self._bytes = tokens * BYTES_PER_TOKEN
        self._items = items
        self._batches = batches
        self._entries: deque[Waiting] = deque()
        self._waiting_bytes = 0
        self._questions: deque[Question] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._read = START

    @property
    def read(self) -> EntryId:
        """Position of the last entry that was put in; 0-0 before the first."""
        return self._read

    def put(self, entries: list[Waiting]) -> None:
        """Add entries; waits while as many batches are waiting already as may, so that memory stays bounded."""
        bytes_, items = self._batches * self._bytes, self._batches * self._items
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or (self._waiting_bytes < bytes_ and len(self._entries) < items)
            )
            if not self._closed:
                self._entries.extend(entries)
                self._read = entries[-1].entry.id
                self._waiting_bytes += sum(waiting.size for waiting in entries)
                self._changed.notify_all()

    def ask(self, ask: Callable[[Recommender], Any]) -> Future[Any]:
        """Put a question; its future holds the answer."""
        question = Question(ask)
        with self._changed:
            if self._closed:
                question.answer.set_exception(RuntimeError("the owner is shutting down"))
            else:
                self._questions.append(question)
                self._changed.notify_all()
        return question.answer

    def take(self, timeout_s: float) -> tuple[list[Entry], list[Question]]:
        """What waits now, up to one batch; waits for something at most ``timeout_s`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._entries or self._questions, timeout_s)
            batch = next(self._cut(), [])
            for waiting in batch:
                self._entries.popleft()
                self._waiting_bytes -= waiting.size
            self._changed.notify_all()
            return [waiting.entry for waiting in batch], self._asked()

    def take_questions(self, timeout_s: float) -> list[Question]:
        """Questions that wait now; waits for one at most ``timeout_s`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._questions, timeout_s)
            return self._asked()

    def peek(self, batches: int) -> list[list[Entry]]:
        """The next batches, without taking them; the last of all may still grow."""
        with self._changed:
            return [[waiting.entry for waiting in batch] for batch in islice(self._cut(), batches)]

    def _cut(self) -> Iterator[list[Waiting]]:
        """What waits, in batches."""
        batch: list[Waiting] = []
        budget = self._bytes
        for waiting in self._entries:
            if len(batch) == self._items or (budget <= 0 and batch):
                yield batch
                batch, budget = [], self._bytes
            budget -= waiting.size
            batch.append(waiting)
        if batch:
            yield batch

    def __len__(self) -> int:
        with self._changed:
            return len(self._entries)

    def oldest(self) -> EntryId | None:
        """Position of the first entry in memory."""
        with self._changed:
            return self._entries[0].entry.id if self._entries else None

    def close(self) -> None:
        """Take no more; questions still waiting get an error."""
        with self._changed:
            self._closed = True
            questions = self._asked()
            self._changed.notify_all()
        for question in questions:
            question.answer.set_exception(RuntimeError("the owner is shutting down"))

    def _asked(self) -> list[Question]:
        questions = list(self._questions)
        self._questions.clear()
        return questions
