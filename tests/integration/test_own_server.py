"""The ``recommender`` command on a bare machine: no server given, none running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from celery_recommender.broker.redis.embedded import EmbeddedServer
from celery_recommender.cli.main import main
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from recommender_engine import open_recommender
from tests.support.command_line import command, environment
from tests.support.encoders import FixedEncoders
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

REFERENCE = "torch-float32"  # nothing is measured before the worker runs
WITHIN_S = 150.0  # a busy machine takes its time over a real model
TEXTS = ("The printer is on fire", "the printer is on FIRE", "Nothing works since Monday")


@pytest.mark.timeout(500)
def test_worker_starts_a_server_of_its_own_and_exits_with_a_reason(tmp_path: Path) -> None:
    """Two workers on one state directory: the second says whose it is, and exits with a code that is not 0."""
    settings = Settings(state_dir=tmp_path / "own", encoder=REFERENCE)
    first = subprocess.Popen(
        command("worker"), env=environment(settings), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        server = EmbeddedServer(settings.state_dir / "redis")
        wait_until(lambda: server.is_running(), "the server to answer", WITHIN_S)
        client = Client(settings.replaced(redis_url=server.url))
        wait_until(lambda: client.redis.exists(client.keys.status), "the owner to run", WITHIN_S)
        second = subprocess.run(
            command("worker"), env=environment(settings), capture_output=True, text=True, timeout=WITHIN_S, check=False
        )
        assert second.returncode != 0
        assert f"is owned by process {first.pid}" in second.stderr
        subscribed = (client.redis.pubsub_channels(), client.redis.pubsub_numpat())
        assert subscribed == ([], 0), "no remote control, no gossip, no mingle"
        client.close()
    finally:
        first.send_signal(signal.SIGTERM)
        assert first.wait(WITHIN_S) == 0
    assert not server.is_running()


@pytest.mark.timeout(500)
def test_a_worker_leaves_its_server_running_for_connected_clients(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "own", encoder=REFERENCE)
    worker = subprocess.Popen(
        command("worker"), env=environment(settings), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    server = EmbeddedServer(settings.state_dir / "redis")
    wait_until(lambda: server.is_running(), "the server to answer", WITHIN_S)
    client = Client(settings.replaced(redis_url=server.url))
    pid = client.redis.info("server")["process_id"]
    try:
        wait_until(lambda: client.redis.exists(client.keys.status), "the owner to run", WITHIN_S)
        worker.send_signal(signal.SIGTERM)
        _, said = worker.communicate(timeout=WITHIN_S)
        assert worker.returncode == 0
        assert "server.left_running" in said
        assert client.redis.ping()
    finally:
        worker.kill()
        worker.wait()
        client.close()
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not server.is_running(), "the server to end")


def test_stats_start_no_server(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "own")
    open_recommender(settings.partition_dir, FixedEncoders(), partition=settings.partition).close()
    before = sorted(settings.state_dir.iterdir())
    for arguments in (("stats", "--json"), ("stats",)):
        done = subprocess.run(
            command(*arguments), env=environment(settings), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        if "--json" in arguments:
            said = json.loads(done.stdout)
            assert (said["owner"], said["streams"], said["items"]) == (None, None, 0)
        else:
            assert "their server is not running" in done.stdout
    assert sorted(settings.state_dir.iterdir()) == before
    assert not EmbeddedServer(settings.state_dir / "redis").is_running()


@pytest.mark.model
def test_demo_with_its_own_sample_and_with_a_file_of_yours(tmp_path: Path) -> None:
    mine = tmp_path / "mine.jsonl"
    mine.write_text("".join(json.dumps({"id": str(n), "text": text}) + "\n" for n, text in enumerate(TEXTS)))
    for arguments in ((), ("--input", str(mine))):
        done = subprocess.run(
            command("demo", "--json", *arguments),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        summary: dict[str, Any] = json.loads(done.stdout)
        assert set(summary) >= {
            *("items", "items_per_s", "duplicate_precision", "duplicate_recall", "recommendations", "seconds")
        }
    assert summary["items"] == len(TEXTS)


def test_a_wrong_option_is_named() -> None:
    done = subprocess.run(
        command("worker", "--partition", "a b"),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 78
    assert done.stderr == "Error: RECOMMENDER_PARTITION='a b': letters, digits, - and _ only, at most 64\n"


def test_a_wrong_setting_is_named() -> None:
    done = subprocess.run(
        command("stats"),
        env={**environment(), "RECOMMENDER_BATCH_ITEMS": "many"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "RECOMMENDER_BATCH_ITEMS='many'" in done.stderr


@pytest.mark.parametrize("name", main.list_commands(click.Context(main)))
def test_every_command_teaches(name: str) -> None:
    shown = CliRunner().invoke(main, [name, "--help"])
    assert shown.exit_code == 0
    assert len(shown.output.splitlines()) > 6
