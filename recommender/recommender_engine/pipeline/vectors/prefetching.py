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

_MOST_BATCHES = 4  # this batch and the next, each of which may have grown since it was first begun


class Embedding(NamedTuple):
    """The embedding of one text.

    Attributes:
        vector: float32, shape (dimension,), unit length.
        truncated: whether the text was longer than the model reads.
        embed_ms: its share of the milliseconds that its batch took.
    """

    vector: NDArray[np.float32]
    truncated: bool
    embed_ms: float


class TimedEmbeddings(NamedTuple):
    """The embeddings of a batch of texts.

    Attributes:
        embeddings: one for each text, in order.
        seconds: how long the model took.
    """

    embeddings: Embeddings
    seconds: float

    def of(self, position: int) -> Embedding:
        """The embedding of one of the texts."""
        vectors, truncated = self.embeddings
        return Embedding(vectors[position], bool(truncated[position]), round(self.seconds * 1000 / len(vectors), 3))


class EmbeddingExecutor(Protocol):
    """Embeds batches of texts asynchronously, in this process or in others. One thread submits them."""

    @property
    def window(self) -> int:
        """How many batches beyond the next may be submitted at present; with 0 they are refused."""

    def submit(self, name: str, identity: ModelIdentity, texts: list[str]) -> Future[TimedEmbeddings] | None:
        """Begin to embed ``texts`` (at least one).

        Args:
            name: of the model in the settings.
            identity: which model it must be.
            texts: all different.

        Returns:
            Unit vectors of exactly that model, or an error, within a bounded time. ``None`` where it is faster that the
            caller embeds the texts.
        """

    def close(self) -> None:
        """Take no more; every future that was returned is done soon, with a result or an error."""


class LocalExecutor:
    """One thread of this process, which embeds in the order of submission.

    Args:
        encode: embeds texts with the model of a name; called in the thread.
    """

    window = 0

    def __init__(self, encode: Callable[[str, list[str]], Embeddings]) -> None:
        self._encode = encode
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recommender-embedding")

    def submit(self, name: str, identity: ModelIdentity, texts: list[str]) -> Future[TimedEmbeddings]:
        """Embed them as soon as the thread is free."""
        return self._thread.submit(self._timed, name, texts)

    def close(self) -> None:
        """Wait for the batch that is being embedded, and stop."""
        self._thread.shutdown(cancel_futures=True)

    def _timed(self, name: str, texts: list[str]) -> TimedEmbeddings:
        started = time.perf_counter()
        embeddings = self._encode(name, texts)
        return TimedEmbeddings(embeddings, time.perf_counter() - started)


@dataclass(slots=True, eq=False)
class _Submitted:
    """Texts of a batch for one model; ``positions`` are those of texts that were not taken yet."""

    batch: int
    executor: EmbeddingExecutor
    name: str
    positions: dict[str, int]
    future: Future[TimedEmbeddings]

    def has_failed(self) -> bool:
        """Whether there was an error."""
        return self.future.done() and self.future.exception() is not None


class TextsOfModel(NamedTuple):
    """Texts of a batch for one model.

    Attributes:
        name: of the model in the settings.
        identity: which model it must be.
        texts: all different.
    """

    name: str
    identity: ModelIdentity
    texts: Iterable[str]


class Prefetcher:
    """The batches that were submitted to executors, and their embeddings.

    No decision depends on it: a text that was not embedded ahead, or whose batch failed, is embedded when it is needed.
    """

    def __init__(self) -> None:
        self._submitted: deque[_Submitted] = deque()
        self._widest = 0
        self._batch = 0

    def begin(self, executor: EmbeddingExecutor, batch: Iterable[TextsOfModel]) -> bool:
        """Submit the texts of a batch that were not submitted, or on which another executor failed.

        Returns:
            Whether all of them are submitted now.
        """
        self._batch += 1
        self._submitted = deque(one for one in self._submitted if one.executor is executor or not one.has_failed())
        begun = [self._begin(executor, *needed) for needed in batch]
        return all(begun)

    def take(self, name: str, texts: Iterable[str]) -> dict[str, Embedding]:
        """The embeddings of those of the texts that were submitted; waits for them. Each is returned once."""
        wanted = set(texts)
        found: dict[str, Embedding] = {}
        for one in list(self._submitted):
            taken = wanted & one.positions.keys() if one.name == name else set()
            if not taken:
                continue
            if one.future.exception() is None:
                embeddings = one.future.result()
                found |= {text: embeddings.of(one.positions.pop(text)) for text in taken}
            else:  # the text is embedded again when it is needed, and the error met there
                one.positions.clear()
            if not one.positions:
                self._submitted.remove(one)
        return found

    def _begin(self, executor: EmbeddingExecutor, name: str, identity: ModelIdentity, texts: Iterable[str]) -> bool:
        submitted = {text for one in self._submitted if one.name == name for text in one.positions}
        wanted = [text for text in texts if text not in submitted]
        if not wanted:
            return True
        self._widest = max(self._widest, executor.window)
        self._drop_oldest(_MOST_BATCHES + self._widest)
        future = executor.submit(name, identity, wanted)
        if future is not None:
            positions = {text: position for position, text in enumerate(wanted)}
            self._submitted.append(_Submitted(self._batch, executor, name, positions, future))
        return future is not None

    def _drop_oldest(self, most: int) -> None:
        """Drop the oldest batches above the limit, which includes this one; each has one or more models."""
        while len({one.batch for one in self._submitted} | {self._batch}) > most:
            self._submitted.popleft().future.cancel()
