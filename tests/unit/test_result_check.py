"""The result that an owner keeps, by which callers see whether they can read the others."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from celery import Celery

from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.celery.tasks import result_check
from celery_recommender.celery.tasks.result_check import ResultCheck, ResultMarker, marker_of
from celery_recommender.owner.telemetry.status import Status
from recommender_engine.errors import ConfigurationError
from tests.support.waiting import wait_until

KEYS = PartitionKeys.of("default")


class Server:
    """Has the status of an owner."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def get(self, key: str) -> bytes:
        return json.dumps(self._status.health()[1]).encode()


def app_with(**configuration: Any) -> Celery:
    app = Celery("shop", set_as_current=False)
    app.conf.update({"result_backend": "cache+memory://", **configuration})
    return app


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_check, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(result_check, "_LOOK_AGAIN_S", 0.0)
    app_with().backend.client.delete(app_with().backend.get_key_for_task(marker_of("default")))


def marking(app: Celery, status: Status, *, elected: bool = True) -> ResultMarker:
    event = threading.Event()
    if elected:
        event.set()
    marker = ResultMarker(app, "default", status, event)
    marker.start()
    return marker


def told(status: Status) -> bool:
    return "results" in status.health()[1]


def test_a_successor_keeps_what_its_predecessor_kept() -> None:
    """The status of an owner that was killed is read for a while, beside the result of the one that follows."""
    killed, successor = Status(60), Status(60)
    for status in (killed, successor):
        marker = marking(app_with(), status)
        wait_until(lambda status=status: told(status), "the result to be there", 5)
        marker.stop()
        marker.join()
    for status in (killed, successor):
        ResultCheck(app_with()).require(Server(status), KEYS, "default")  # type: ignore[arg-type]


def test_a_standby_leaves_the_place_alone() -> None:
    status = Status(60)
    marker = marking(app_with(), status, elected=False)
    marker.join(0.5)
    assert marker.is_alive()
    assert not told(status)
    marker.stop()
    marker.join(5)
    assert not marker.is_alive()
    assert app_with().backend.get_task_meta(marker_of("default"), cache=False)["status"] == "PENDING"


@pytest.mark.parametrize(
    ("results", "configuration", "refused"),
    [
        (None, {}, None),
        ({"kind": "stored", "where": "redis://elsewhere/0"}, {}, "is another place"),
        ({"kind": "disabled", "where": "disabled://"}, {}, "keeps none"),
        ({"kind": "rpc", "where": "rpc://"}, {}, "writes them to rpc://"),
        ({"kind": "stored", "where": "redis://elsewhere/0"}, {"result_backend": None}, None),
    ],
)
def test_an_unreadable_result_is_refused_each_time_and_an_unknown_one_is_not(
    results: dict[str, str] | None, configuration: dict[str, Any], refused: str | None
) -> None:
    status = Status(60)
    if results is not None:
        status.update(results=results)
    check = ResultCheck(app_with(**configuration))
    for _ in range(2):
        if refused is None:
            check.require(Server(status), KEYS, "default")  # type: ignore[arg-type]
            continue
        with pytest.raises(ConfigurationError, match=refused):
            check.require(Server(status), KEYS, "default")  # type: ignore[arg-type]
