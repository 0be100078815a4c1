"""Proofs without a server."""

from __future__ import annotations

from typing import Any, cast

from redis import Redis

from celery_recommender.broker.coordination.proofs import Proofs
from tests.support.streams import KEYS

SECRET = "5ec2e7"


class _Server:
    """The part of a server that signing needs."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def hget(self, key: str, name: str) -> bytes:
        return SECRET.encode()

    def info(self, section: str) -> dict[str, Any]:
        return {"server_time_usec": self._now_ms * 1000}


class Proving(Proofs):
    """Makes proofs with ``SECRET`` at one moment."""

    def __init__(self, now_ms: int) -> None:
        super().__init__(cast("Redis", _Server(now_ms)), KEYS)
