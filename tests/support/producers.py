"""A producer that keeps every item until it has seen the answer, as the guide tells producers to."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from redis import Redis
from redis.exceptions import RedisError

from celery_recommender.broker.commands.encoding import command_fields
from celery_recommender.broker.redis.connections import connect
from tests.support.streams import KEYS, PROCESSED, Published, outcomes, published
from tests.support.waiting import wait_until

Item = dict[str, str]


def tickets(count: int, name: str = "T") -> list[Item]:
    return [
        {"id": f"{name}-{n}", "text": f"Order {n} came without its {('cable', 'box', 'lid')[n % 3]}"}
        for n in range(count)
    ]


class Producer(threading.Thread):
    """Sends items one by one, with the id as the key, and repeats until the server confirms.

    Args:
        url: of the server.
        items: what to send.
        every_s: pause after each.
    """

    def __init__(self, url: str, items: Sequence[Item], every_s: float = 0.0) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._items = items
        self._every_s = every_s
        self._stopping = threading.Event()
        self.sent = 0

    def run(self) -> None:
        with connect(self._url) as redis:
            for item in self._items:
                wait_until(lambda item=item: self._send(redis, item), f"the server to take {item['id']}", 90)
                self.sent += 1
                if self._stopping.wait(self._every_s):
                    return

    def wait_sent(self, count: int) -> None:
        wait_until(lambda: self.sent >= count, f"{count} items to be sent", 90)

    def stop(self) -> None:
        self._stopping.set()
        self.join(90)

    def finish(self) -> None:
        self.join(90)
        assert self.sent == len(self._items)

    @staticmethod
    def _send(redis: Redis, item: Item) -> bool:
        try:
            redis.xadd(KEYS.commands, dict(command_fields("item.upsert", item, key=item["id"])))
        except RedisError:
            return False
        return True


def answered_items(events: Sequence[Published]) -> list[str]:
    """Ids of the items that have a verdict, in order."""
    return [event.data["item_id"] for event in events if event.type == PROCESSED]


def settle(redis: Redis, items: Sequence[Item], timeout_s: float = 60.0) -> int:
    """Wait until all is decided, resend items without an answer, and wait for those; how many they were."""
    drained(redis, timeout_s)
    answered = set(answered_items(published(redis)))
    lost = [item for item in items if item["id"] not in answered]
    for item in lost:
        redis.xadd(KEYS.commands, dict(command_fields("item.upsert", item, key=item["id"])))
    wanted = {item["id"] for item in items}
    wait_until(lambda: wanted <= set(answered_items(published(redis))), "every item to be answered", timeout_s)
    drained(redis, timeout_s)
    return len(lost)


def drained(redis: Redis, timeout_s: float = 60.0) -> None:
    """Wait until the commands stream exists and is empty, in two reads."""
    wait_until(
        lambda: redis.exists(KEYS.commands) and redis.xlen(KEYS.commands) == 0, "the backlog to drain", timeout_s
    )


def once_each(events: Sequence[Published], items: Sequence[Item]) -> None:
    """Published = committed, nothing twice, ids rising."""
    kinds = {event.type for event in outcomes(events)}
    assert kinds == {PROCESSED}, kinds
    assert sorted(answered_items(events)) == sorted(item["id"] for item in items)
    assert len({event.id for event in events}) == len(events)
