"""Many pairs of the review queue answered ``same`` at once, after a preview, and taken back at once."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from redis import Redis

from celery_recommender.web.service.claims import Claims, Given, Pair
from celery_recommender.web.service.review import Reviewer, steps_back
from celery_recommender.web.service.service import Service
from recommender_engine.items import FeedbackAccepted, GiveFeedback

MOST_AT_ONCE = 200
"""Answers of one confirmation."""
_SHOWN = 20
_PAGE, _MOST_PAGES = 100, 20
_PREVIEW_S, _TRAIL_S = 900, 12 * 3600

Sees = Callable[[str], bool]


class Preview(NamedTuple):
    """What a confirmation would answer.

    Attributes:
        token: names it.
        pairs: how many, at most `MOST_AT_ONCE`.
        more: whether further pairs are as probable.
        least: the twenty least probable of them, as the review queue lists pairs, the least probable first.
    """

    token: str
    pairs: int
    more: bool
    least: list[dict[str, Any]]


class Answered(NamedTuple):
    """What became of a confirmation.

    Attributes:
        collection: of the pairs.
        token: names it.
        sent: answers that were sent.
        refused: of these, how many contradict earlier answers, or are about an item that is gone.
        taken: pairs that another person had taken or answered meanwhile; nothing was sent for them.
        waiting: answers that wait for their owner.
    """

    collection: str
    token: str
    sent: int
    refused: int
    taken: int
    waiting: int


class BulkService:
    """Answers in bulk. A confirmation answers what its preview has shown. Redis keeps the last of each for a browser.

    Args:
        service: asks and sends.
        claims: on pairs.
        redis: the server.
        prefix: of the keys (``PartitionKeys.web``).
    """

    def __init__(self, service: Service, claims: Claims, redis: Redis, prefix: str) -> None:
        self._service = service
        self._claims = claims
        self._redis = redis
        self._prefix = prefix

    def preview(self, collection: str, least: float, who: Reviewer) -> Preview:
        """The free pairs of a collection from a probability on.

        Args:
            collection: its name.
            least: probability of the pairs, in [0, 1].
            who: the reviewer; pairs that others have are left out.

        Raises:
            OwnerAway: nobody can be asked.
        """
        found: list[dict[str, Any]] = []
        for one in self._likeliest_first(collection, who):
            if one["probability"] < least or len(found) > MOST_AT_ONCE:
                break
            found.append(one)
        chosen, token = found[:MOST_AT_ONCE], secrets.token_hex(16)
        sides = [(one["item"], one["other"]) for one in chosen]
        pairs = [(one["id"], other["id"], one["group"] != other["group"]) for one, other in sides]
        self._keep("bulk", who.browser, {"token": token, "collection": collection, "pairs": pairs}, _PREVIEW_S)
        return Preview(token, len(chosen), len(found) > len(chosen), chosen[-_SHOWN:][::-1])

    def give(self, token: str, who: Reviewer, sees: Sees) -> Answered | None:
        """Answer what a preview has shown, each pair by a command of its own; ``None``: the preview has ended.

        Sent again, it has no second effect.

        Raises:
            RedisError: a part may have been sent.
            Overloaded: likewise.
        """
        kept = self._kept("bulk", token, who, sees)
        if kept is None:
            return None
        collection = kept["collection"]
        count = len(kept["pairs"])
        trail = self._kept("bulk-given", token, who, sees)
        if trail is None:
            pairs = {Pair(collection, one, other): apart for one, other, apart in kept["pairs"]}
            free = self._claims.available(list(pairs), who.browser)
            trail = kept | {"pairs": [(pair.one, pair.other, pairs[pair]) for pair in free]}
            # First, so that what is sent in part can be sent again, and taken back.
            self._keep("bulk-given", who.browser, trail, _TRAIL_S)
        mine = [Pair(collection, one, other) for one, other, _ in trail["pairs"]]
        if not mine:
            return Answered(collection, token, 0, 0, count, 0)
        keys = [f"web/{token}-{number}" for number in range(len(mine))]
        outcomes = self._send(collection, [(pair, "same") for pair in mine], keys, who.name)
        for pair, outcome in zip(mine, outcomes, strict=True):
            if outcome is None or outcome["type"] == FeedbackAccepted.type:
                self._claims.answered(pair, who.browser, who.name)
            else:
                self._claims.skip(pair, who.browser)
        refused = sum(one is not None and one["type"] != FeedbackAccepted.type for one in outcomes)
        waiting = sum(one is None for one in outcomes)
        return Answered(collection, token, len(mine), refused, count - len(mine), waiting)

    def take_back(self, token: str, who: Reviewer, sees: Sees) -> int | None:
        """Undo what the last confirmation of this browser answered; how many pairs, ``None``: there is no such one.

        Sent again, it has no second effect.

        Raises:
            RedisError: a part may have been taken back.
            Overloaded: likewise.
        """
        kept = self._kept("bulk-given", token, who, sees)
        if kept is None:
            return None
        collection = kept["collection"]
        # The last first: what an answer has joined is parted before what earlier ones have.
        given = [Given(Pair(collection, one, other), "same", apart) for one, other, apart in reversed(kept["pairs"])]
        steps = [(one.pair, answer) for one in given for answer in steps_back(one)]
        self._send(collection, steps, [f"web/{token}-{number}-back" for number in range(len(steps))], who.name)
        for one in given:
            self._claims.free(one.pair)
        self._redis.delete(self._key("bulk-given", who.browser))
        return len(given)

    def _likeliest_first(self, collection: str, who: Reviewer) -> Iterator[dict[str, Any]]:
        """Free pairs; by what an answer is worth, which is the order of the probability of now."""
        after: str | None = None
        for _ in range(_MOST_PAGES):
            page = self._service.ask("recommender.review", collection=collection, after=after, limit=_PAGE)
            if page is None:
                return
            found = {Pair(collection, one["item"]["id"], one["other"]["id"]): one for one in page["pairs"]}
            yield from (found[pair] for pair in self._claims.available(list(found), who.browser))
            after = page["next"]
            if after is None:
                return

    def _send(
        self, collection: str, answers: list[tuple[Pair, str]], keys: list[str], by: str
    ) -> list[dict[str, Any] | None]:
        """Send answers in order; the outcome of each, ``None`` where it waits for its owner."""
        data = [
            {"id": pair.one, "other": pair.other, "collection": collection, "answer": answer, "by": by}
            for pair, answer in answers
        ]
        names = iter(keys)
        self._service.client.send_many(GiveFeedback.type, data, key=lambda _: next(names))
        return self._service.outcomes(keys, collection)

    def _keep(self, what: str, browser: str, value: dict[str, Any], seconds: int) -> None:
        self._redis.set(self._key(what, browser), json.dumps(value), ex=seconds)

    def _kept(self, what: str, token: str, who: Reviewer, sees: Sees) -> dict[str, Any] | None:
        found: Any = self._redis.get(self._key(what, who.browser))
        value: dict[str, Any] = {} if found is None else json.loads(found)
        return value if value.get("token") == token and sees(value["collection"]) else None

    def _key(self, what: str, browser: str) -> str:
        return f"{self._prefix}{what}:{browser}"
