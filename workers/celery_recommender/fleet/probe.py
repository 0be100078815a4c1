"""Whether a worker answers: a harmless request that waits for the first worker that starts."""

from __future__ import annotations

import secrets

from celery_recommender.fleet.messages import EmbedRequest
from recommender_engine.embedding import ModelIdentity

_IDLE_S = 10.0
_WAIT_S, _LONGEST_WAIT_S = 5.0, 600.0
_REFUSED_S = 30.0


def probe_request(name: str, identity: ModelIdentity) -> EmbedRequest:
    """The request of a probe: a harmless text for a model that every worker has."""
    return EmbedRequest(secrets.token_hex(16), name, identity.key, identity.dimension, ("hello",))


class Probe:
    """One request at a time. Without workers it waits in the queue, and the first that starts answers it; it is
    repeated at growing intervals, in case the broker has lost it. While nothing is to be embedded it is a heartbeat.

    Args:
        pickup_s: how long a worker with nothing else to do may take to report.
    """

    def __init__(self, pickup_s: float) -> None:
        self._pickup_s = pickup_s
        self._request: EmbedRequest | None = None
        self._sent_s = 0.0
        self._wait_s = 0.0

    def is_due(self, now_s: float, idle_s: float, *, serving: bool, busy: bool) -> bool:
        """Whether to send one now.

        Args:
            now_s: seconds of the caller's clock, which is that of all other calls.
            idle_s: for how long no worker has reported.
            serving: whether the last one was answered.
            busy: whether batches are in flight, which show as much.
        """
        if serving:
            return self._request is None and not busy and idle_s > _IDLE_S
        return now_s - self._sent_s >= self._wait_s

    def is_unanswered(self, now_s: float, idle_s: float) -> bool:
        """Whether no worker has begun the one that is out, or reported anything since."""
        return self._request is not None and min(now_s - self._sent_s, idle_s) > self._pickup_s

    def is_answered_by(self, request_id: str) -> bool:
        """Whether this is the id of the one that is out."""
        return self._request is not None and self._request.id == request_id

    def sent(self, request: EmbedRequest, now_s: float) -> tuple[str, ...]:
        """One was sent. Returns the ids of those that need no answer any more."""
        before = () if self._request is None else (self._request.id,)
        self._request, self._sent_s = request, now_s
        self._wait_s = min(max(_WAIT_S, 2 * self._wait_s), _LONGEST_WAIT_S)
        return before

    def answered(self, now_s: float) -> EmbedRequest:
        """It has been answered; the next is due after a while if with a refusal."""
        if self._request is None:
            raise LookupError("no probe is out")
        request, self._request = self._request, None
        self._sent_s, self._wait_s = now_s, _REFUSED_S
        return request

    def hurry(self) -> None:
        """The fleet has fallen silent: unless one is out already, one is due."""
        if self._request is None:
            self._wait_s = 0.0
