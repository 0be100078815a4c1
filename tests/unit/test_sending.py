"""Waiting for the owner, also while it starts or is started again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.cli.input import sending
from celery_recommender.cli.input.sending import OwnerGone, wait_until_decided
from recommender_engine.items import EntryId

GONE = None
STARTING = {"state": "starting"}
BEFORE, THERE = {"position": "4-0"}, {"position": "5-0"}


class Server:
    """A client and its server: the status of the owner is another one at each look, and the last one stays."""

    keys = PartitionKeys.of("default")

    def __init__(self, *statuses: dict[str, Any] | None) -> None:
        self._statuses = list(statuses)
        self.redis = self

    def get(self, key: str) -> str | None:
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        return None if status is None else json.dumps(status)

    def xlen(self, key: str) -> int:
        return 7

    def hget(self, key: str, name: str) -> None:
        return None


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "_POLL_S", 0.0)


def looks(*statuses: dict[str, Any] | None) -> list[int]:
    return list(wait_until_decided(Server(*statuses), EntryId(5, 0)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("statuses", "waited"),
    [
        ([THERE], 0),
        ([STARTING, BEFORE, THERE], 2),
        ([GONE, GONE, STARTING, THERE], 3),
        ([BEFORE, GONE, GONE, STARTING, THERE], 4),
    ],
)
def test_an_owner_that_comes_is_waited_for(statuses: Sequence[dict[str, Any] | None], waited: int) -> None:
    assert looks(*statuses) == [7] * waited


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "_STARTS_S", 0.0)
    with pytest.raises(OwnerGone, match=r"^$"):
        looks(GONE)
    monkeypatch.setattr(sending, "_STARTS_S", 60.0)
    monkeypatch.setattr(sending, "_RETURNS_S", 0.0)
    with pytest.raises(OwnerGone, match=r"^$"):
        looks(BEFORE, GONE)
