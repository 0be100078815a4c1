"""Webhooks from a real worker to the receiver of ``docs/guide/webhooks.md``, and to one that fails."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from celery_recommender.client import Client
from celery_recommender.settings import Settings
from tests.integration.conftest import Owners, Run
from tests.support.command_line import call, doctor_finds
from tests.support.processes import ROOT
from tests.support.receivers import LOOPBACK, SECRET, Receiver, receiving
from tests.support.streams import KEYS
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@pytest.fixture
def hooked(settings: Settings, tmp_path: Path, receiver: Receiver) -> Settings:
    """With an endpoint."""
    path = tmp_path / "webhooks.toml"
    path.write_text(f'[[endpoint]]\nname = "shop"\nurl = "{receiver.url}"\nallow = {json.dumps(LOOPBACK)}\n')
    return settings.replaced(webhooks=path, webhook_secret=SECRET)


def upsert(client: Client, *ids: str) -> None:
    for id_ in ids:
        client.send("item.upsert", {"id": id_, "text": f"a text about {id_}"})


def test_what_a_killed_worker_did_not_deliver_is_delivered_by_the_next(
    hooked: Settings, client: Client, owner_process: Owners, receiver: Receiver
) -> None:
    changes = {"webhooks": hooked.webhooks, "webhook_secret": SECRET}
    first = owner_process("first", changes=changes)
    first.running()
    upsert(client, "a")
    wait_until(lambda: len(receiver.taken) == 1, "the first event")
    receiver.otherwise = 503
    upsert(client, "b", "c")
    wait_until(lambda: len(receiver.bodies) > 1, "an attempt at the second")
    first.kill()
    receiver.otherwise = 204
    upsert(client, "d")
    owner_process("second", changes=changes).running()
    wait_until(lambda: len(set(receiver.taken)) == 4, "all events")
    by_id = {event["id"]: event["data"]["item_id"] for event in receiver.events}
    places = [id_.removeprefix("default:") for id_ in dict.fromkeys(receiver.taken)]
    assert [by_id[place] for place in places] == ["a", "b", "c", "d"]


def test_what_is_given_up_is_a_letter_that_can_be_replayed(
    hooked: Settings, redis: Redis, client: Client, owner_process: Owners, receiver: Receiver, recommender: Run
) -> None:
    receiver.otherwise = 422
    owner_process(changes={"webhooks": hooked.webhooks, "webhook_secret": SECRET}).running()
    upsert(client, "a")
    wait_until(lambda: redis.xlen(KEYS.dead_letters) == 1, "the letter")
    receiver.otherwise = 204
    wait_until(lambda: len(receiver.taken) == 1, "the next event, which is about the letter")
    kept = recommender("dead-letters", "replay", "--all", status=1)
    assert "where RECOMMENDER_WEBHOOKS names its endpoint" in kept.stderr
    done = call(hooked, "dead-letters", "replay", "--all")
    assert (done.returncode, "sent again: 1" in done.stdout) == (0, True), done.stderr
    assert receiver.events[-1]["data"]["item_id"] == "a"
    assert redis.xlen(KEYS.dead_letters) == 0
    assert doctor_finds(hooked, "webhook shop", "ok")["found"] == "127.0.0.1 is 127.0.0.1"


def test_the_receiver_of_the_guide_verifies_and_prints(
    settings: Settings, tmp_path: Path, client: Client, owner_process: Owners
) -> None:
    guide = (ROOT / "docs/guide/webhooks.md").read_text()
    (program,) = re.findall(r"```python\n# receiver.py\n(.*?)```", guide, re.DOTALL)
    announced = 'server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)\nprint(server.server_port, flush=True)\n'
    head, _, last = program.rstrip().rpartition("\n")
    assert last.startswith("ThreadingHTTPServer((")
    (tmp_path / "receiver.py").write_text(f"{head}\n{announced}server.serve_forever()\n")
    with subprocess.Popen(
        [sys.executable, "receiver.py"],
        cwd=tmp_path,
        env={**os.environ, "WEBHOOK_SECRET": SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as receiver:
        assert receiver.stdout is not None
        port = int(receiver.stdout.readline())
        path = tmp_path / "webhooks.toml"
        table = f'name = "guide"\nurl = "http://127.0.0.1:{port}/"\nallow = {json.dumps(LOOPBACK)}\n'
        path.write_text(f"[[endpoint]]\n{table}")
        owner_process(changes={"webhooks": path, "webhook_secret": SECRET}).running()
        upsert(client, "a")
        client.send("item.delete", {"id": "a"})
        shown = [receiver.stdout.readline().split() for _ in range(2)]
        receiver.kill()
    assert shown == [["a", "new", "None"], ["a", "deleted"]]
