"""Texts of batches to come, embedded while this one is decided."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from recommender_engine.embedding import Embeddings, ModelIdentity

_MOST_BATCHES = 4  # this batch and the next, each of which may have grown since it was first seen


class Embedding(NamedTuple):
    """What the model makes of one text.

    Attributes:
        vector: float32, shape (dimension,), unit length.
        truncated: whether the text was longer than the model reads.
        embed_ms: its share of the milliseconds that its batch took.
    """

    vector: NDArray[np.float32]
    truncated: bool
    embed_ms: float


class TimedEmbeddings(NamedTuple):
    """What came of a batch of texts.

    Attributes:
        embeddings: one for each text, in order.
        seconds: that the model took.
    """

    embeddings: Embeddings
    seconds: float

    def of(self, place: int) -> Embedding:
        """What came of one of the texts."""
        vectors, truncated = self.embeddings
        return Embedding(vectors[place], bool(truncated[place]), round(self.seconds * 1000 / len(vectors), 3))


class EmbeddingExecutor(Protocol):
    """Embeds batches of texts asynchronously, in this process or elsewhere. One thread hands them over."""

    @property
    def window(self) -> int:
        """How many batches beyond the next are worth handing over at present; 0: none, and what is, is refused."""

    def submit(self, name: str, identity: ModelIdentity, texts: list[str]) -> Future[TimedEmbeddings] | None:
        """Begin to embed ``texts`` (at least one).

        Args:
            name: what the model is called here.
            identity: which model it must be.
            texts: all different.

        Returns:
            What will come of it: unit vectors of that very model, or an error, and within a bounded time. ``None``
            where the texts are embedded sooner by whoever needs them.
        """

    def close(self) -> None:
        """Take no more; whoever waits for something gets it soon, or an error."""


class LocalExecutor:
    """One thread of this process, which embeds in the order in which it was asked.

    Args:
        encode: embeds texts with the model of a name; called in the thread.
    """

    window = 0

    def __init__(self, encode: Callable[[str, list[str]], Embeddings]) -> None:
        self._encode = encode
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recommender-embedding")

    def submit(self, name: str, identity: ModelIdentity, texts: list[str]) -> Future[TimedEmbeddings]:
        """Begin to embed them as soon as the thread is free."""
        return self._thread.submit(self._timed, name, texts)

    def close(self) -> None:
        """Wait for what is being embedded, and embed no more."""
        self._thread.shutdown(cancel_futures=True)

    def _timed(self, name: str, texts: list[str]) -> TimedEmbeddings:
        started = time.perf_counter()
        embeddings = self._encode(name, texts)
        return TimedEmbeddings(embeddings, time.perf_counter() - started)


@dataclass(slots=True, eq=False)
class _InHand:
    """A batch's texts for one model that were handed over; ``places`` are those that nobody has taken yet."""

    batch: int
    executor: EmbeddingExecutor
    name: str
    places: dict[str, int]
    made: Future[TimedEmbeddings]

    def has_failed(self) -> bool:
        """Whether nothing will come of it."""
        return self.made.done() and self.made.exception() is not None


class TextsOfModel(NamedTuple):
    """What a batch needs of one model.

    Attributes:
        name: what the model is called here.
        identity: which it must be.
        texts: all different.
    """

    name: str
    identity: ModelIdentity
    texts: Iterable[str]


class Prefetcher:
    """What executors have in hand, and what came of it.

    It makes no difference to a decision: a text that was not embedded ahead, or whose batch failed, is embedded when
    its turn comes.
    """

    def __init__(self) -> None:
        self._in_hand: deque[_InHand] = deque()
        self._widest = 0
        self._batch = 0

    def begin(self, executor: EmbeddingExecutor, batch: Iterable[TextsOfModel]) -> bool:
        """Have an executor embed those texts of a batch that are not in hand, or on which another has failed.

        Returns:
            Whether all of them are in hand now.
        """
        self._batch += 1
        self._in_hand = deque(one for one in self._in_hand if one.executor is executor or not one.has_failed())
        begun = [self._begin(executor, *needed) for needed in batch]
        return all(begun)

    def take(self, name: str, texts: Iterable[str]) -> dict[str, Embedding]:
        """What there is of these texts; waits for what is in hand. Each is given once."""
        wanted = set(texts)
        found: dict[str, Embedding] = {}
        for one in list(self._in_hand):
            taken = wanted & one.places.keys() if one.name == name else set()
            if not taken:
                continue
            if one.made.exception() is None:
                made = one.made.result()
                found |= {text: made.of(one.places.pop(text)) for text in taken}
            else:  # whoever embeds the text in its turn meets the error
                one.places.clear()
            if not one.places:
                self._in_hand.remove(one)
        return found

    def _begin(self, executor: EmbeddingExecutor, name: str, identity: ModelIdentity, texts: Iterable[str]) -> bool:
        in_hand = {text for one in self._in_hand if one.name == name for text in one.places}
        wanted = [text for text in texts if text not in in_hand]
        if not wanted:
            return True
        self._widest = max(self._widest, executor.window)
        self._drop_those_nobody_came_for(_MOST_BATCHES + self._widest)
        made = executor.submit(name, identity, wanted)
        if made is not None:
            places = {text: place for place, text in enumerate(wanted)}
            self._in_hand.append(_InHand(self._batch, executor, name, places, made))
        return made is not None

    def _drop_those_nobody_came_for(self, most: int) -> None:
        """Make room for this batch among at most so many, the oldest first; each is in hand for one or more models."""
        while len({one.batch for one in self._in_hand} | {self._batch}) > most:
            self._in_hand.popleft().made.cancel()
