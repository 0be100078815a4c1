"""A server that is shared: everything of ours is under one prefix, and a user who may see no other key is enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from celery_recommender.broker.redis.connections import connect
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.celery.worker.app import make_app
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from recommender_engine.errors import ConfigurationError
from tests.support.access import GuardedServer
from tests.support.command_line import call
from tests.support.processes import EmbedProcess, OwnerProcess
from tests.support.servers import running
from tests.support.user_project import make_user_app

pytestmark = pytest.mark.server

PREFIX = "team1:"
KEYS = PartitionKeys.of("default", PREFIX)
TIMEOUT_S = 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedServer]:
    guarded = GuardedServer(tmp_path_factory.mktemp("server"), "valkey-server", PREFIX)
    with running(guarded):
        yield guarded


def test_a_user_of_one_prefix_can_do_the_whole_of_its_work(server: GuardedServer, tmp_path: Path) -> None:
    def settings(role: str) -> Settings:
        url = server.url_of(role)
        return Settings(redis_url=url, state_dir=tmp_path / "state", key_prefix=PREFIX, embed_workers=1)

    (tmp_path / "items.jsonl").write_text('{"id": "file", "text": "a kettle"}\n')
    with ExitStack() as stack:
        owner = stack.enter_context(OwnerProcess(settings("worker"), tmp_path / "owner.log"))
        embedder = stack.enter_context(EmbedProcess(settings("embed-worker"), tmp_path / "embed.log"))
        owner.start()
        embedder.running()
        owner.wait_ready()
        owner.until(lambda: "fleet.serving" in owner.output, "the embed worker to answer")
        client = Client(settings("producer"))
        stack.callback(client.close)
        assert client.outcome(client.ingest({"id": "stream", "text": "a pan"}))["data"]["item_id"] == "stream"

        app, _ = make_app(settings("celery-producer"))
        stack.callback(app.close)
        by_name = app.send_task("recommender.ingest", [{"id": "name", "text": "a lid"}], queue=KEYS.queue)
        assert by_name.get(timeout=TIMEOUT_S)["item_id"] == "name"
        theirs = make_user_app(settings("celery-producer"))
        theirs.conf.broker_transport_options = {"global_keyprefix": PREFIX}
        theirs.conf.result_backend_transport_options = {"global_keyprefix": PREFIX}
        stack.callback(theirs.close)
        assert theirs.tasks["recommender.ingest"].delay({"id": "task", "text": "a pot"}).get(timeout=TIMEOUT_S)
        assert theirs.tasks["recommender.get"].delay("task").get(timeout=TIMEOUT_S)["item_id"] == "task"

        for role, *arguments in (
            ("auditor", "doctor"),
            ("producer", "ingest", str(tmp_path / "items.jsonl")),
            ("dashboard", "search", "a pan"),
            ("dashboard", "stats"),
        ):
            done = call(settings(role), *arguments)
            assert done.returncode == 0, done.stdout + done.stderr
        assert embedder.terminate() == 0
        assert owner.terminate() == 0
    assert server.refusals() == []
    with connect(server.url) as redis:
        assert [key for key in redis.scan_iter() if not key.startswith(PREFIX.encode())] == []


def test_a_key_prefix_is_of_plain_characters() -> None:
    assert Settings.from_environment({"RECOMMENDER_KEY_PREFIX": "team1:"}).key_prefix == "team1:"
    for wrong in ("a b:", "*:", "é", "x" * 65):
        with pytest.raises(ConfigurationError, match=r"RECOMMENDER_KEY_PREFIX=.*only, at most 64"):
            Settings.from_environment({"RECOMMENDER_KEY_PREFIX": wrong})
