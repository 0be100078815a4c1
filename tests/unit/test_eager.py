"""Tasks answered in memory: eager test suites, and the test kit."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, chain, chord, group

from celery_recommender import attach
from celery_recommender.celery.tasks.commands import CommandRefused
from celery_recommender.celery.worker.plugin import Plugin
from celery_recommender.settings import Settings
from celery_recommender.testing import answered_in_memory
from recommender_engine.errors import InvalidCommand
from tests.support.processes import SOURCES

ROOT = Path(__file__).parents[2]
NOWHERE = "redis://127.0.0.1:1/0"
TEXT = "The export button does nothing"


@pytest.fixture(autouse=True)
def nothing_touches_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*args: object) -> None:
        raise AssertionError("something was connected")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(subprocess.Popen, "__init__", connect)


def made(**configuration: Any) -> Celery:
    app = Celery("shop", broker=NOWHERE, backend=NOWHERE, set_as_current=False)
    app.conf.update(**configuration)
    attach(app, Settings())
    return app


@pytest.fixture
def app() -> Celery:
    return made(task_always_eager=True)


def ask(app: Celery, name: str, *args: Any, **kwargs: Any) -> Any:
    return app.tasks[f"recommender.{name}"].delay(*args, **kwargs).get()


def test_every_task_is_answered(app: Celery) -> None:
    assert ask(app, "search", TEXT) == []
    first = ask(app, "ingest", {"id": "T-1", "text": TEXT, "attributes": {"price": 3}})
    assert (first["type"], first["band"], first["item_id"]) == ("recommender.item.processed.v1", "new", "T-1")
    second = ask(app, "ingest", {"id": "T-2", "text": TEXT.upper()})
    assert (second["band"], second["duplicate_of"]) == ("duplicate", "T-1")
    assert ask(app, "search", TEXT)[0]["id"] == "T-1"
    assert [hit["id"] for hit in ask(app, "search", TEXT, filter={"price": {"$lt": 4}})] == ["T-1"]
    assert ask(app, "search", TEXT, "default", 10, 0, {"price": {"$gt": 4}}) == []
    with pytest.raises(InvalidCommand, match="did you mean 'price'"):
        ask(app, "search", TEXT, filter={"prise": 4})
    many = ask(
        app, "ingest_many", [{"id": "a", "text": "a red bicycle"}, {"id": "b"}, {"id": "c", "text": "red bicycles"}]
    )
    assert [one["item_id"] for one in many] == ["a", "b", "c"]
    assert many[1]["code"] == "invalid_value"
    assert [hit["id"] for hit in ask(app, "recommend", "a")] == ["c"]
    assert [ask(app, "recommend", ["a", "c"], filter={"price": 3})] == [[[], []]]
    assert ask(app, "compare", TEXT, TEXT.lower())["band"] == "duplicate"
    stored = ask(app, "compare", "the bicycle is red", {"id": "a"}, collection="default")
    assert (stored["view"], ask(app, "compare", "x", "y")["view"]) == ("in the stream", "alone")
    assert ask(app, "patch", {"id": "T-1", "attributes": {"price": 4}})["attributes"] == {"price": 4}
    assert ask(app, "feedback", {"id": "T-2", "other": "T-1", "answer": "different"})["answer"] == "different"
    assert ask(app, "get", "T-1")["attributes"] == {"price": 4}
    assert len(ask(app, "answers")) == 1
    assert [one["id"] for one in ask(app, "export")["items"]] == ["T-1", "T-2", "a", "c"]
    assert ask(app, "delete", {"id": "a"})["erased"] is False
    assert ask(app, "erase", {"id": "c"})["erased"] is True
    assert ask(app, "stats")["items"] == 2
    assert ask(app, "events")["events"]
    assert ask(app, "incidents") == []


def test_keys_count_as_in_the_stream(app: Celery) -> None:
    first = ask(app, "ingest", {"id": "T-1", "text": TEXT}, key="k")
    assert ask(app, "ingest", {"id": "T-1", "text": TEXT}, key="k") == first
    assert ask(app, "outcomes", ["k"])[0]["data"]["item_id"] == "T-1"


def test_what_is_refused_is_refused_as_in_production(app: Celery) -> None:
    result = app.tasks["recommender.ingest"].delay({"id": "T-1"})
    with pytest.raises(CommandRefused, match="the item has no text"):
        result.get()
    with pytest.raises(InvalidCommand, match="262144"):
        app.tasks["recommender.ingest"].delay({"id": "T-1", "text": "long " * 100_000})
    app.conf.task_eager_propagates = True
    with pytest.raises(CommandRefused, match="the item has no text"):
        app.tasks["recommender.ingest"].delay({"id": "T-1"})


def test_what_follows_is_called(app: Celery) -> None:
    @app.task(shared=False)
    def ids(outcomes: Any) -> Any:
        return [one["item_id"] for one in outcomes] if isinstance(outcomes, list) else outcomes["item_id"]

    ingest = app.tasks["recommender.ingest"]
    items = [{"id": f"i{n}", "text": f"text {n}"} for n in range(3)]
    assert chain(ingest.s(items[0]), ids.s()).delay().get() == "i0"
    assert [one["item_id"] for one in group(ingest.s(item) for item in items).delay().get()] == ["i0", "i1", "i2"]
    assert chord([ingest.s(item) for item in items])(ids.s()).get() == ["i0", "i1", "i2"]
    linked = ingest.apply_async([items[0]], link=ids.s(), countdown=60, expires=60, priority=3)
    assert linked.get()["item_id"] == "i0"


def test_settings_of_django_s_kind_count() -> None:
    class Django:
        CELERY_TASK_ALWAYS_EAGER = True
        CELERY_TASK_STORE_EAGER_RESULT = True
        CELERY_RESULT_BACKEND = "cache+memory://"
        CELERY_BROKER_URL = "amqp://nowhere//"

    app = Celery("django", set_as_current=False)
    attach(app, Settings())
    app.config_from_object(Django, namespace="CELERY")
    result = app.tasks["recommender.ingest"].delay({"id": "T-1", "text": TEXT})
    assert result.get()["band"] == "new"
    assert app.AsyncResult(result.id).result["item_id"] == "T-1"


def test_threads_share_one_engine(app: Celery) -> None:
    failed: list[BaseException] = []

    def send(number: int) -> None:
        try:
            ask(app, "ingest", {"id": str(number), "text": f"text {number}"})
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=send, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert ask(app, "stats")["items"] == 8


def test_the_kit_begins_with_nothing_and_leaves_nothing() -> None:
    app = made()
    for _ in range(2):
        with answered_in_memory() as memory:
            assert ask(app, "get", "T-1") is None
            later = made()
            assert ask(later, "ingest", {"id": "T-1", "text": TEXT})["band"] == "new"
            assert ask(app, "get", "T-1")["text"] == TEXT, "one engine for all apps"
            assert memory.ask(lambda engine: engine.stats())["items"] == 1
        assert Plugin.kit is None
        assert not app.conf.task_always_eager
        assert not later.conf.task_always_eager


def test_the_guide_is_a_test_suite_that_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # here a process is started
    page = (ROOT / "docs/guide/testing.md").read_text()
    files = re.findall(r"^```python file=(\S+)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert [name for name, _ in files] == ["shop.py", "conftest.py", "test_shop.py"]
    for name, code in files:
        (tmp_path / name).write_text(code)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "."],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{SOURCES}:{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "5 passed" in done.stdout, done.stdout + done.stderr
    left = {path.name for path in tmp_path.iterdir()} - {"shop.py", "conftest.py", "test_shop.py", "__pycache__"}
    assert left == set(), "no server, no state"
