"""Texts of the next batch, embedded while this one is decided."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from recommender.embedding import Embeddings

_MOST_IN_HAND = 4  # this batch and the next, each of which may have grown since it was first seen


class Made(NamedTuple):
    """What came of some texts.

    Attributes:
        places: of each text in ``embeddings``.
        embeddings: their vectors.
        embed_ms: milliseconds for each text.
    """

    places: dict[str, int]
    embeddings: Embeddings
    embed_ms: float


class _InHand(NamedTuple):
    model: str
    texts: frozenset[str]
    made: Future[Made]


class Ahead:
    """One thread that embeds, in the order in which it was asked.

    What comes of it makes no difference to a decision: a text that was not embedded ahead, or on which the model
    failed, is embedded when its turn comes.

    Args:
        encode: embeds texts with the model of a name; called in the thread.
    """

    def __init__(self, encode: Callable[[str, list[str]], Embeddings]) -> None:
        self._encode = encode
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recommender-embedding")
        self._in_hand: deque[_InHand] = deque()

    def begin(self, model: str, texts: Sequence[str]) -> None:
        """Embed texts soon, if they are not in hand."""
        in_hand = {text for one in self._in_hand if one.model == model for text in one.texts}
        wanted = [text for text in texts if text not in in_hand]
        if not wanted:
            return
        while len(self._in_hand) >= _MOST_IN_HAND:  # nobody came for it
            self._in_hand.popleft().made.cancel()
        made = self._thread.submit(self._make, model, wanted)
        self._in_hand.append(_InHand(model, frozenset(wanted), made))

    def take(self, model: str, texts: Sequence[str]) -> list[Made]:
        """What there is of these texts; waits for what is in hand. Each is given once."""
        wanted = set(texts)
        found: list[Made] = []
        kept: deque[_InHand] = deque()
        for one in self._in_hand:
            if one.model != model or wanted.isdisjoint(one.texts):
                kept.append(one)
            elif one.made.exception() is None:  # whoever embeds the text in its turn meets the error
                found.append(one.made.result())
        self._in_hand = kept
        return found

    def close(self) -> None:
        """Wait for what is being embedded, and embed no more."""
        self._thread.shutdown(cancel_futures=True)

    def _make(self, model: str, texts: list[str]) -> Made:
        started = time.perf_counter()
        embeddings = self._encode(model, texts)
        each_ms = (time.perf_counter() - started) * 1000 / len(texts)
        return Made({text: place for place, text in enumerate(texts)}, embeddings, round(each_ms, 3))
