"""Whether an app can read the results that an owner writes: looked at before the first call of a task, not waited for.

Host names, database numbers, key prefixes and serializers of two processes cannot be compared by their settings. So
the owner keeps one result of its own in its result backend and says in its status what it holds; an app looks it up
in its own backend, as it would any other one.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from celery import Celery, states
from celery.backends.base import DisabledBackend
from celery.backends.rpc import RPCBackend
from kombu.exceptions import KombuError
from redis import Redis
from redis.exceptions import RedisError

from celery_recommender.broker.coordination.status import read_status
from celery_recommender.broker.redis.keys import PartitionKeys
from recommender_engine.errors import ConfigurationError
from recommender_engine.event_log import event_log

if TYPE_CHECKING:
    from celery_recommender.owner.telemetry.status import Status

log = event_log(__name__)

_KEPT_UP_S = 2.0
_PATIENCE_S = 2 * _KEPT_UP_S
_POLL_S = 0.25
_PLACES = (
    "RECOMMENDER_RESULT_BACKEND of that worker and result_backend of this app to the same server, database and"
    " global_keyprefix"
)
_LOOK_AGAIN_S = 10.0


class ResultMarker(threading.Thread):
    """Keeps the owner's own result where its others go, and says so in its status once it is there.

    Args:
        app: whose result backend it is.
        partition: that is owned.
        status: of the owner.
        elected: set once it is the owner: a standby leaves the place to the one that is.
    """

    def __init__(self, app: Celery, partition: str, status: Status, elected: threading.Event) -> None:
        super().__init__(name="recommender-results", daemon=True)
        self._app = app
        self._id = marker_of(partition)
        self._status = status
        self._partition = partition
        self._elected = elected
        self._ended = threading.Event()

    def run(self) -> None:
        """Look after it until stopped."""
        while not self._elected.wait(_POLL_S):
            if self._ended.is_set():
                return
        kind = kind_of(self._app)
        found = {"kind": kind, "where": _shown(self._app)}
        if kind != "stored":
            self._status.update(results=found)
            return
        while not self._ended.wait(_KEPT_UP_S if self._keep() else _LOOK_AGAIN_S):
            pass

    def _keep(self) -> bool:
        # The same whichever process owns the partition: the status of one that was killed is read for a while.
        where = _shown(self._app)
        noted = _marker(self._partition, where)
        try:
            if self._app.backend.get_task_meta(self._id, cache=False).get("result") != noted:
                self._app.backend.store_result(self._id, noted, states.SUCCESS)
        except Exception as error:  # any backend; lost results are reported elsewhere
            log.info("results.marker_not_written", extra={"error": repr(error)[:200]})
            return False
        self._status.update(results={"kind": "stored", "where": where})
        return True

    def stop(self) -> None:
        """Look after it no more."""
        self._ended.set()


class ResultCheck:
    """Finds out once for each partition whether its owner's results can be read; asks again while there is no owner.

    Args:
        app: which is to read them.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._known: set[str] = set()
        self._again_s: dict[str, float] = {}
        self._refused: dict[str, str] = {}

    def require(self, redis: Redis, keys: PartitionKeys, partition: str) -> None:
        """Check that a caller can read its result.

        Raises:
            ConfigurationError: the owner's results go elsewhere, or in a form that this app does not read; the message
                names the settings.
        """
        if partition not in self._known and time.monotonic() >= self._again_s.get(partition, 0.0):
            refused = self._look(redis, keys, partition)
            self._again_s[partition] = time.monotonic() + _LOOK_AGAIN_S
            self._refused.pop(partition, None)
            if refused is not None:
                self._refused[partition] = refused
        if partition in self._refused:
            raise ConfigurationError(self._refused[partition])

    def _look(self, redis: Redis, keys: PartitionKeys, partition: str) -> str | None:
        """Why results cannot be read; nothing if they can, or while it is unknown."""
        if (ours := kind_of(self._app)) == "disabled":  # Celery itself refuses to wait for a result here
            return None
        deadline_s = time.monotonic() + _PATIENCE_S  # a server that was emptied has the marker back in a moment
        while (noted := _noted(redis, keys)) is not None:
            wrong = self._objection(noted, ours, partition) or self._misplaced(noted, ours, partition)
            if wrong is None:
                self._known.add(partition)
                return None
            if not wrong.endswith(_PLACES) or time.monotonic() > deadline_s:
                return (
                    f"this app could not get the results of recommender tasks: {wrong}. Or send tasks with"
                    " ignore_result=True"
                )
            time.sleep(_POLL_S)
        return None

    def _objection(self, noted: dict[str, Any], ours: str, partition: str) -> str | None:
        owner = f"the worker that owns partition {partition!r}"
        if noted["kind"] == "disabled":
            there = "RECOMMENDER_RESULT_BACKEND, or result_backend of its app"
            return f"{owner} keeps none: set {there}, to {_shown(self._app)}"
        if noted["kind"] != ours:
            return f"{owner} writes them to {noted['where']}, and result_backend of this app is {_shown(self._app)}"
        if ours == "rpc":
            return None
        try:
            self._found(partition)
        except (KombuError, ValueError) as error:  # its own form is not the owner's
            return (
                f"{owner} writes them in another form than result_serializer={self._app.conf.result_serializer!r},"
                f" accept_content={self._app.conf.accept_content!r} and result_accept_content of this app read"
                f" ({type(error).__name__}): set result_serializer='json' and accept it"
            )
        except Exception:  # a backend that is away: the waiting caller gets its error
            return None
        return None

    def _misplaced(self, noted: dict[str, Any], ours: str, partition: str) -> str | None:
        try:
            if ours == "rpc" or self._found(partition) == _marker(partition, noted["where"]):
                return None
        except Exception:
            return None
        return (
            f"the worker that owns partition {partition!r} writes them to {noted['where']}, and result_backend of this"
            f" app ({_shown(self._app)}, with its result_backend_transport_options) is another place: set {_PLACES}"
        )

    def _found(self, partition: str) -> Any:
        return self._app.backend.get_task_meta(marker_of(partition), cache=False).get("result")


def marker_of(partition: str) -> str:
    """The id of the owner's own result."""
    return f"recommender-results-{partition}"


def _marker(partition: str, where: str) -> dict[str, str]:
    return {"partition": partition, "where": where}


def kind_of(app: Celery) -> str:
    """How an app handles results: ``stored``, ``rpc`` (a message to the caller) or ``disabled``."""
    if isinstance(app.backend, DisabledBackend):
        return "disabled"
    return "rpc" if isinstance(app.backend, RPCBackend) else "stored"


def _noted(redis: Redis, keys: PartitionKeys) -> dict[str, Any] | None:
    try:
        noted: dict[str, Any] | None = (read_status(redis, keys) or {}).get("results")
    except RedisError:
        return None
    return noted


def _shown(app: Celery) -> str:
    """The result backend without its password."""
    try:
        return str(app.backend.as_uri())
    except Exception:  # backends of others
        return type(app.backend).__name__
