"""A sandbox has nothing to do with what others have on the same server."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from redis import Redis

from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.cli.run import bench, demo
from celery_recommender.sandbox import ProcessFailed, nearby, running_worker, sandboxed
from celery_recommender.settings import Settings
from recommender_engine.errors import ConfigurationError

OF_OTHERS = {
    "RECOMMENDER_REDIS_URL": "redis://production:6379/0",
    "RECOMMENDER_BROKER_URL": "amqp://production",
    "RECOMMENDER_RESULT_BACKEND": "redis://production:6379/1",
    "RECOMMENDER_PARTITION": "a",
    "RECOMMENDER_PARTITIONS": "a,b",
    "RECOMMENDER_ROUTES": "tickets=b",
    "RECOMMENDER_DELIVER_TASK": "production.task",
    "RECOMMENDER_BACKUP_DIR": "/production/backups",
    "RECOMMENDER_STANDBY": "true",
    "RECOMMENDER_EMBED_WORKERS": "3",
    "RECOMMENDER_METRICS_PORT": "9100",
}
_ENDS_AT_ONCE = (sys.executable, "-c", "")


@pytest.mark.parametrize("settings_of", [demo._settings, bench._settings])
def test_demo_and_bench_have_nothing_of_others(
    settings_of: Callable[[], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in OF_OTHERS.items():
        monkeypatch.setenv(name, value)
    settings, default = settings_of(), Settings()
    assert settings.home == settings.partition
    concern_others = {name.removeprefix("RECOMMENDER_").lower() for name in OF_OTHERS} - {"redis_url", "partition"}
    for name in concern_others:
        assert getattr(settings, name) == getattr(default, name), name


def test_the_demo_is_in_a_partition_of_its_own_and_the_bench_on_a_server_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in OF_OTHERS.items():
        monkeypatch.setenv(name, value)
    assert demo._settings().home.startswith("demo-")
    assert bench._settings().redis_url == ""


def test_only_the_keys_of_the_sandbox_are_removed() -> None:
    with nearby(sandboxed(Settings(), partition="mine"), "recommender-test-") as settings:
        redis = Redis.from_url(settings.redis_url)
        theirs, mine = PartitionKeys.of("a"), PartitionKeys.of("mine")
        for key in (*theirs, *mine):
            redis.set(key, "precious")
        redis.delete(mine.status, mine.state)
        with pytest.raises(ProcessFailed, match="the worker has ended"), running_worker(settings, _ENDS_AT_ONCE):
            pass
        assert redis.exists(*theirs) == len(theirs)
        assert redis.exists(*mine) == 0
        redis.close()


@pytest.mark.parametrize("partition", ["mine", "default"])
def test_a_worker_whose_clients_would_talk_to_another_partition_is_refused(partition: str) -> None:
    with nearby(Settings(partition=partition, partitions=("a", "b")), "recommender-test-") as settings:
        redis = Redis.from_url(settings.redis_url)
        theirs = PartitionKeys.of("a")
        redis.set(theirs.commands, "precious")
        with pytest.raises(ConfigurationError, match="it is not one of"), running_worker(settings, _ENDS_AT_ONCE):
            pass
        assert redis.exists(theirs.commands)
        redis.close()
