"""An erased user is nowhere: not in the state and its backups, in Redis, in results, or in the log."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from celery_recommender.broker.redis.connections import connect
from celery_recommender.celery.tasks.commands import CommandRefused
from celery_recommender.celery.worker.app import make_app
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from tests.support.processes import FAST_APP, OwnerProcess
from tests.support.servers import Server
from tests.support.streams import KEYS
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.parametrize("server", ["embedded"], indirect=True)]

NAME = "Ms Unusual"
TIMEOUT_S = 20


def values(redis: Redis) -> Iterator[tuple[str, Any]]:
    """Everything in a server, by key."""
    read: dict[str, Any] = {
        "stream": lambda key: redis.xrange(key),
        "hash": lambda key: redis.hgetall(key),
        "list": lambda key: redis.lrange(key, 0, -1),
        "set": lambda key: redis.smembers(key),
        "zset": lambda key: redis.zrange(key, 0, -1),
        "string": lambda key: redis.get(key),
    }
    for key in redis.scan_iter():
        type_ = redis.type(key).decode()
        if type_ in read:
            yield key.decode(), (key, read[type_](key))


def places(redis: Redis, *folders: Path) -> list[str]:
    """Where the name stands: keys of the server, and files."""
    told = (NAME, *(base64.b64encode(b" " * shift + NAME.encode())[4:-4].decode() for shift in range(3)))
    found = [key for key, value in values(redis) if any(name in repr(value) for name in told)]
    files = [path for folder in folders for path in (folder.rglob("*") if folder.is_dir() else [folder])]
    return found + [path.name for path in files if path.is_file() and NAME.encode() in path.read_bytes()]


@pytest.mark.parametrize("backups", [False, True], ids=["no backups", "backups"])
def test_an_erased_user_is_nowhere(server: Server, tmp_path: Path, backups: bool) -> None:
    folder, log = tmp_path / "backups", tmp_path / "owner.log"
    settings = Settings(
        redis_url=server.url, state_dir=tmp_path / "state", backup_dir=folder if backups else None, backup_every_s=3600
    )
    with ExitStack() as stack:
        redis = stack.enter_context(connect(server.url))
        client = Client(settings)
        stack.callback(client.close)
        app, _ = make_app(settings)
        stack.callback(app.close)
        client.ingest({"id": "P-1", "text": "a blue mug"})
        client.ingest({"id": "P-9", "text": "an oak chair"})
        client.record("P-1", NAME, kind="buy", key=f"{NAME} buys")
        client.record("P-2", NAME, session=f"visit of {NAME}")
        client.record("P-1", session=f"visitor before {NAME} logs in")
        client.shown(["P-1"], session=f"visitor before {NAME} logs in", recommendation_id="page 2", key=f"{NAME} came")
        client.subscribe(user=NAME, key=f"{NAME} subscribes")
        client.merge_user(NAME, f"visitor before {NAME} logs in")
        client.shown(["P-1", "P-2"], NAME, recommendation_id=f"page of {NAME}", key=f"{NAME} sees a list")
        client.record("P-1", NAME, recommendation_id=f"page of {NAME}")
        client.record("P-1", NAME, kind="unheard of", key=f"{NAME} does something else")
        client.send("interaction.recorded", {"item": "P-1", "user": NAME, "note": "x" * 10_000})
        envelope = {"body": base64.b64encode(json.dumps([[{"user": NAME}], {}, {}]).encode()).decode(), "headers": {}}
        redis.lpush(KEYS.queue, json.dumps(envelope), b"\x8c\x04user\x94\x8c\x0a" + NAME.encode())  # no tasks
        stays = client.record("P-1", "Mr Usual", kind="unheard of")
        with OwnerProcess(settings, log, FAST_APP).running():
            task = app.tasks["recommender.record"].delay({"item": "P-1", "user": NAME})
            assert task.get(timeout=TIMEOUT_S)["item_id"] == "P-1"
            refused = app.tasks["recommender.record"].delay({"item": "P-1", "user": NAME, "kind": "odd"})
            with pytest.raises(CommandRefused, match="unknown_kind"):
                refused.get(timeout=TIMEOUT_S)
            wait_until(
                lambda: any(b"recommendations.updated" in fields[b"event"] for _, fields in redis.xrange(KEYS.events)),
                "the list of the user to be told",
            )
            before = places(redis, settings.state_dir / "state", folder)
            assert {KEYS.events, KEYS.dead_letters} <= set(before)
            assert any(place.startswith("state.sqlite3") for place in before)
            if backups:
                app.tasks["recommender.backup"].delay().get(timeout=TIMEOUT_S)  # the first one may be of an empty state
                assert any("sqlite3" in place for place in places(redis, folder))
        # A new process has made no backup of late, so that the next one need not wait.
        with OwnerProcess(settings, log, FAST_APP).running():
            erasure = app.tasks["recommender.erase_user"].delay({"user": NAME}, key=f"{NAME} goes")
            erased = erasure.get(timeout=TIMEOUT_S)
            assert erased["interactions"] == 5
            for folder_ in (settings.state_dir / "state", folder, log):
                wait_until(lambda folder_=folder_: not places(redis, folder_), f"{NAME} to be gone")
            assert places(redis, settings.state_dir / "state", folder, log) == []
            letters = [event[b"event"].decode() for _, event in redis.xrange(KEYS.dead_letters)]
            assert [str(stays) in letter for letter in letters] == [True], "those of others are there"
