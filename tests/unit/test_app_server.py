"""Where a producer's commands go: to the server that is named, or to the app's broker; never to one of its own."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import click
import pytest
from celery import Celery
from click.testing import CliRunner

from celery_recommender import attach
from celery_recommender.broker.redis import embedded
from celery_recommender.celery.worker.app_server import with_server_of
from celery_recommender.cli.main import main
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from recommender_engine.errors import ConfigurationError


def app_with(broker: Any, **configuration: Any) -> Celery:
    app = Celery("shop", set_as_current=False)
    app.conf.update(broker_url=broker, **configuration)
    return app


@pytest.fixture(autouse=True)
def no_server_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: object) -> None:
        raise AssertionError("a server was started")

    monkeypatch.setattr(embedded.EmbeddedServer, "_start", start)


@pytest.mark.parametrize(
    ("broker", "configuration", "server"),
    [
        ("redis://h:6390/3", {}, "redis://h:6390/3"),
        ("redis://h", {}, "redis://h:6379/0"),
        ("redis://u:p%40ss@h:6390/3", {}, "redis://u:p%40ss@h:6390/3"),
        ("valkey://h:6390/3", {}, "redis://h:6390/3"),
        ("redis://[::1]:6390/3", {}, "redis://[::1]:6390/3"),
        ("redis://h:6390?virtual_host=4", {}, "redis://h:6390/4"),
        ("rediss://h/0?ssl_cert_reqs=CERT_NONE", {}, "rediss://h:6379/0?ssl_cert_reqs=none&ssl_check_hostname=False"),
        (
            "redis://h/0",
            {"broker_use_ssl": {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": "/ca.pem"}},
            "rediss://h:6379/0?ssl_cert_reqs=required&ssl_ca_certs=%2Fca.pem",
        ),
        ("redis+socket:///run/redis.sock?virtual_host=2", {}, "unix:///run/redis.sock?db=2"),
        ("redis+socket://u:p%40@/run/redis.sock", {}, "unix://u:p%40@/run/redis.sock?db=0"),
        (
            "sentinel://:pw@a:26379/1;sentinel://:pw@b:26380/1",
            {"broker_transport_options": {"master_name": "main"}},
            "sentinel://:pw@a:26379,b:26380/main/1",
        ),
        (
            "sentinel://a",
            {"broker_transport_options": {"master_name": "main", "sentinel_kwargs": {"password": "p/w"}}},
            "sentinel://a:26379/main/0?sentinel_password=p%2Fw",
        ),
        (["redis://h/5"], {}, "redis://h:6379/5"),
    ],
)
def test_a_broker_that_is_redis_or_valkey_holds_the_streams(
    broker: Any, configuration: dict[str, Any], server: str
) -> None:
    assert with_server_of(app_with(broker, **configuration), Settings()).redis_url == server


def test_a_server_that_is_named_wins() -> None:
    named = Settings(redis_url="redis://named/1")
    assert with_server_of(app_with("amqp://h"), named) == named


def test_streams_take_the_prefix_of_the_queues() -> None:
    app = app_with("redis://h/0", broker_transport_options={"global_keyprefix": "shop:", "sep": ":"})
    assert with_server_of(app, Settings()).key_prefix == "shop:"
    assert with_server_of(app, Settings(key_prefix="mine:")).key_prefix == "mine:"


@pytest.mark.parametrize(
    ("broker", "configuration", "reason"),
    [
        ("amqp://u:secret@h//", {}, r"broker \(amqp://u:\*\*\*@h//\) is neither Redis nor Valkey"),
        ("memory://", {}, "neither Redis nor Valkey"),
        ("redis://a/3;redis://b/3", {}, "a list of servers is not supported"),
        ("sentinel://a:26379", {}, r"master_name'\].*is missing"),
        (
            "sentinel://a:26379",
            {"broker_transport_options": {"master_name": "m", "sentinel_kwargs": {"ssl": True}}},
            r"sentinel_kwargs'\]\['ssl'",
        ),
        ("redis://h/0", {"broker_transport_options": {"global_keyprefix": "the shop"}}, "global_keyprefix"),
        ("redis://:p#secret@h/0", {}, "percent-encode"),
        ("redis://h/0", {"broker_use_ssl": {"keyfile": "k"}}, r"broker_use_ssl\['keyfile'\]"),
        ("redis://h/0?credential_provider=a.B", {}, "credential_provider"),
    ],
)
def test_what_cannot_be_taken_over_is_named(broker: Any, configuration: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        with_server_of(app_with(broker, **configuration), Settings())
    assert "secret" not in str(caught.value)


def test_the_first_use_says_that_a_server_is_missing_and_attaching_does_not(tmp_path: Path) -> None:
    app = app_with("amqp://localhost//")
    attach(app, Settings(state_dir=tmp_path / "state"))
    with pytest.raises(ConfigurationError, match="set RECOMMENDER_REDIS_URL"):
        app.tasks["recommender.ingest"].delay({"id": "1", "text": "a text"})
    with pytest.raises(click.UsageError, match="set RECOMMENDER_REDIS_URL"):
        app.WorkController(pool_cls="threads", recommender="default")
    assert not (tmp_path / "state").exists()


def test_what_is_configured_below_attach_counts(tmp_path: Path) -> None:
    app = Celery("shop", set_as_current=False)
    plugin = attach(app, Settings(state_dir=tmp_path / "state"))
    app.conf.broker_url = "redis://below/2"
    assert plugin.located().redis_url == "redis://below:6379/2"


def test_a_client_without_a_server_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="RECOMMENDER_REDIS_URL is not set"):
        Client(Settings(state_dir=tmp_path / "state"))
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "a text"),
        ("stats",),
        ("get", "1"),
        ("watch",),
        ("doctor",),
        ("dead-letters", "list"),
        ("feedback", "wrong", "1"),
        ("configure", "default", "ttl_seconds=60"),
        ("embed-worker",),
    ],
)
def test_commands_that_find_neither_worker_nor_state_nor_server_say_so(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("celery_recommender.cli.asking._STARTING_S", 0.0)
    environment = {"RECOMMENDER_STATE_DIR": str(tmp_path / "state"), "RECOMMENDER_REDIS_URL": ""}
    done = CliRunner().invoke(main, list(arguments), env=environment)
    assert done.exit_code == (os.EX_CONFIG if arguments == ("embed-worker",) else 1), done.output
    assert "recommender worker" in done.output
    assert "RECOMMENDER_REDIS_URL" in done.output
    assert not (tmp_path / "state").exists()
