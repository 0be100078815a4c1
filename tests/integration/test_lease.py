"""What a lease makes of a server that goes away in the middle of a transaction."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ConnectionError as ServerAway

from celery_recommender.broker.coordination import lease as module
from celery_recommender.broker.coordination.lease import Lease
from tests.support.streams import KEYS

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]


@pytest.fixture
def lease(redis: Redis) -> Lease:
    made = Lease(redis, KEYS, "token", 30.0)
    assert made.acquire("here", 0) is None
    return made


@pytest.mark.parametrize(
    "use",
    [
        lambda lease: lease.execute(lambda pipe: pipe.set("x", 1)),
        lambda lease: lease.renew(),
        lambda lease: lease.release(),
        lambda lease: lease.acquire("here", 1),
    ],
)
def test_a_connection_that_breaks_is_no_change_of_the_epoch(
    lease: Lease, redis: Redis, monkeypatch: pytest.MonkeyPatch, use: Callable[[Lease], object]
) -> None:
    watch = module._watch

    def watch_and_break(pipe: Pipeline, *keys: str) -> None:
        watch(pipe, *keys)
        redis.client_kill_filter(_type="normal", skipme=True)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_watch", watch_and_break)
        with pytest.raises(ServerAway, match=r"(?i)connection|pipe"):
            use(lease)
    lease.renew()
    assert lease.epoch == 1
