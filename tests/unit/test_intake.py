from __future__ import annotations

from collections.abc import Mapping

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from celery_recommender.broker.commands.log import CommandsLog
from celery_recommender.broker.commands.read_size import ReadSize
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.owner.loop.inbox import Inbox
from celery_recommender.owner.loop.intake import Intake
from recommender_engine.items import START, Entry, EntryId
from tests.support.servers import free_port
from tests.support.waiting import wait_until

KEYS = PartitionKeys.of("default")
END = EntryId(2**64 - 1, 2**64 - 1)


class BrokenLog(CommandsLog):
    """A log whose reading fails in a way that nobody thought of."""

    def read(self, after: EntryId, count: int) -> list[tuple[EntryId, Mapping[bytes, bytes]]]:
        raise ZeroDivisionError("unthought of")


def decoded(id_: EntryId, fields: Mapping[bytes, bytes]) -> Entry:
    raise AssertionError("nothing is read")


@pytest.fixture
def nowhere() -> Redis:
    return Redis(port=free_port(), retry=Retry(NoBackoff(), 0))


def test_what_ends_the_thread_reaches_the_owner(nowhere: Redis) -> None:
    intake = Intake(BrokenLog(nowhere, KEYS), Inbox(1000, 10), START, lambda read: END, decoded)
    intake.check()
    intake.start()
    intake.join(5)
    assert not intake.is_alive()
    with pytest.raises(ZeroDivisionError, match="unthought of"):
        intake.check()


def test_a_server_that_is_away_is_waited_for(nowhere: Redis, caplog: pytest.LogCaptureFixture) -> None:
    intake = Intake(CommandsLog(nowhere, KEYS), Inbox(1000, 10), START, lambda read: END, decoded)
    intake.start()
    wait_until(lambda: "intake.server_away" in caplog.text, "the intake to say so", 5)
    intake.check()
    assert intake.is_alive()
    intake.stop()
    intake.join(5)
    assert not intake.is_alive()


def test_small_entries_are_read_many_at_once() -> None:
    size = ReadSize()
    counts = []
    for _ in range(7):
        counts.append(size.count)
        size.saw([500] * size.count)
    assert counts == [1, 2, 4, 8, 16, 16, 16]


def test_large_entries_are_read_one_by_one() -> None:
    size = ReadSize()
    for _ in range(5):
        size.saw([500])
    size.saw([500, 64 << 20])
    assert size.count == 1
    size.saw([64 << 20])
    assert size.count == 1
    size.saw([0])
    size.saw([1 << 20])
    assert size.count == 4
    size.saw([])
    assert size.count == 8
