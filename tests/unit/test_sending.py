"""A file on its way into the stream waits for commands that wait, not for those that are kept for a backup."""

from __future__ import annotations

import json
from typing import Any

import pytest

from workers.broker.keys import PartitionKeys
from workers.cli.sending import _OUTSTANDING, wait_for_room


class Server:
    """A stream of some length, and an owner that says how much of it is decided."""

    keys = PartitionKeys.of("default")

    def __init__(self, length: int, held: int | None) -> None:
        self._length = length
        self._held = held
        self.log = self.redis = self
        self.asked = 0

    def length(self) -> int:
        return self._length

    def get(self, key: str) -> Any:
        self.asked += 1
        if self.asked > 3:
            raise TimeoutError("it waits")
        return None if self._held is None else json.dumps({"held": self._held})


@pytest.mark.parametrize(
    ("length", "held", "waits"),
    [
        (_OUTSTANDING, 0, False),
        (_OUTSTANDING + 1, 0, True),
        (1_000_000, 1_000_000, False),
        (1_000_000 + _OUTSTANDING + 1, 1_000_000, True),
        (1_000_000, None, False),
    ],
)
def test_room_is_what_is_not_waiting(length: int, held: int | None, waits: bool) -> None:
    client: Any = Server(length, held)
    if not waits:
        wait_for_room(client)
        assert client.asked == 1
        return
    with pytest.raises(TimeoutError, match="it waits"):
        wait_for_room(client)
