from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from celery_recommender.broker.redis.connections import connect
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from tests.support.command_line import call
from tests.support.command_line import run as run_command
from tests.support.processes import OwnerProcess
from tests.support.servers import KINDS, Server, make_server, running

Owners = Callable[..., OwnerProcess]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with running(make_server(request.param, tmp_path / "server")) as started:
        yield started


@pytest.fixture
def settings(server: Server, tmp_path: Path) -> Settings:
    return Settings(redis_url=server.url, state_dir=tmp_path / "state", encoder="torch-float32")


@pytest.fixture
def redis(settings: Settings) -> Iterator[Redis]:
    with connect(settings.redis_url) as client:
        yield client


@pytest.fixture
def client(settings: Settings, redis: Redis) -> Client:
    return Client(settings, redis)


@pytest.fixture
def owner_process(settings: Settings, tmp_path: Path) -> Iterator[Owners]:
    """Makes owners of the partition, not started; all of them are gone when the test is over."""
    with ExitStack() as stack:

        def make(name: str = "owner", **options: Any) -> OwnerProcess:
            changed = settings.replaced(**options.pop("changes", {}))
            return stack.enter_context(OwnerProcess(changed, tmp_path / f"{name}.log", **options))

        yield make


@pytest.fixture
def recommender(settings: Settings) -> Run:
    """Runs ``recommender ARGUMENT …`` in this process, and expects an exit status."""
    return _expecting(call, settings)


@pytest.fixture
def recommender_process(settings: Settings) -> Run:
    """The same in a process of its own, as its user starts it: a second of processor time each."""
    return _expecting(run_command, settings)


def _expecting(how: Run, settings: Settings) -> Run:
    def run(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = how(settings, *arguments)
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return run
