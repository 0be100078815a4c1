"""Claims on pairs: while one lasts, nobody else gets the pair. They live in Redis, each with an end."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from redis import Redis

CLAIM_S = 180
"""How long a claim lasts: time to read two texts. It is not renewed."""
_ANSWERED_S = 3600  # an answered pair may stay in the list until its owner has decided the answer
_SKIPPED_S, _MOST_SKIPPED = 3600, 2000
_TRAIL_S, _MOST_UNDONE = 12 * 3600, 100


class Pair(NamedTuple):
    """Two items of a collection; ``one`` is the item that the queue names first."""

    collection: str
    one: str
    other: str

    @property
    def name(self) -> str:
        """The same for both orders, of a length that does not depend on the ids."""
        text = json.dumps([self.collection, *sorted((self.one, self.other))])
        return hashlib.sha256(text.encode()).hexdigest()


class Held(NamedTuple):
    """What is known of a pair, and who has it.

    Attributes:
        state: ``free``, claimed by this browser (``mine``) or an ``other``, or answered: here (``given``) or elsewhere
            (``answered``).
        by: the user who has claimed or answered it.
    """

    state: Literal["free", "mine", "other", "given", "answered"]
    by: str = ""


class Given(NamedTuple):
    """An answer that can be taken back.

    Attributes:
        pair: that it is about.
        answer: it.
        apart: whether the two were in two groups before.
    """

    pair: Pair
    answer: str
    apart: bool


class Kept(NamedTuple):
    """An answer that can be taken back, as it is kept.

    Attributes:
        given: the answer.
        stored: what Redis has; no two are alike.
    """

    given: Given
    stored: bytes

    @property
    def name(self) -> str:
        """Of the keys of what takes it back, so that it is taken back once however often that is tried."""
        return hashlib.sha256(self.stored).hexdigest()[:24]


class Claims:
    """Claims, answered pairs, what a browser has skipped, and what it can undo.

    Args:
        redis: the server.
        prefix: of the keys (``PartitionKeys.web``).
    """

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix

    def claim(self, pair: Pair, browser: str, by: str) -> bool:
        """Claim a pair that is free; whether this browser has it now."""
        mark = _mark("claimed", browser, by)
        return (
            bool(self._redis.set(self._key(pair), mark, ex=CLAIM_S, nx=True)) or self.held(pair, browser)[0] == "mine"
        )

    def held(self, pair: Pair, browser: str) -> Held:
        """Whose a pair is now."""
        found: Any = self._redis.get(self._key(pair))
        return _held(found, browser)

    def available(self, pairs: Sequence[Pair], browser: str) -> list[Pair]:
        """Those of some pairs that this browser has, or that are free, in their order."""
        if not pairs:
            return []
        marks: Any = self._redis.mget([self._key(pair) for pair in pairs])
        return [pair for pair, mark in zip(pairs, marks, strict=True) if _held(mark, browser).state in {"free", "mine"}]

    def answered(self, pair: Pair, browser: str, by: str) -> None:
        """The pair is answered: nobody gets it, whether or not its owner has decided the answer."""
        self._redis.set(self._key(pair), _mark("answered", browser, by), ex=_ANSWERED_S)

    def free(self, pair: Pair) -> None:
        """End the claim, or forget the answer."""
        self._redis.delete(self._key(pair))

    def skip(self, pair: Pair, browser: str) -> None:
        """Do not show a pair to a browser again for an hour."""
        self.free(pair)
        key = self._of("skipped", browser)
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.sadd(key, pair.name)
            pipe.expire(key, _SKIPPED_S)
            pipe.scard(key)
            count = int(pipe.execute()[-1])
        if count > _MOST_SKIPPED:
            self._redis.spop(key, count - _MOST_SKIPPED)

    def skipped(self, browser: str) -> set[str]:
        """Names of the pairs that a browser has skipped."""
        found: Any = self._redis.smembers(self._of("skipped", browser))
        return {name.decode() for name in found}

    def remember(self, given: Given, browser: str) -> None:
        """Keep an answer to be taken back."""
        key = self._of("given", browser)
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.lpush(key, json.dumps([*given.pair, given.answer, given.apart, secrets.token_hex(8)]))
            pipe.ltrim(key, 0, _MOST_UNDONE - 1)
            pipe.expire(key, _TRAIL_S)
            pipe.execute()

    def count_given(self, browser: str) -> int:
        """How many answers a browser can take back."""
        return int(self._redis.llen(self._of("given", browser)))

    def last_given(self, browser: str) -> Kept | None:
        """The last answer that can be taken back."""
        found: Any = self._redis.lindex(self._of("given", browser), 0)
        if found is None:
            return None
        *pair, answer, apart, _ = json.loads(found)
        return Kept(Given(Pair(*pair), answer, apart), found)

    def forget(self, kept: Kept, browser: str) -> None:
        """An answer is taken back."""
        self._redis.lrem(self._of("given", browser), 1, kept.stored.decode())

    def _key(self, pair: Pair) -> str:
        return f"{self._prefix}claim:{pair.name}"

    def _of(self, what: str, browser: str) -> str:
        return f"{self._prefix}{what}:{browser}"


def _held(found: bytes | None, browser: str) -> Held:
    if found is None:
        return Held("free")
    mark = json.loads(found)
    here = mark["browser"] == browser
    if mark["state"] == "answered":
        return Held("given" if here else "answered", mark["by"])
    return Held("mine" if here else "other", mark["by"])


def _mark(state: str, browser: str, by: str) -> str:
    return json.dumps({"state": state, "browser": browser, "by": by})
