"""Ask the owner, wherever it is; with none at work, open the state ourselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import click
from celery import Celery
from celery.exceptions import TimeoutError as CeleryTimeoutError

from celery_recommender.broker.coordination.status import read_status
from celery_recommender.broker.redis.connections import connect, masked
from celery_recommender.broker.redis.embedded import EmbeddedServer, redis_url
from celery_recommender.broker.redis.fitness import require_usable
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.celery.tasks.questions import QuestionTask
from celery_recommender.celery.worker.app import make_app
from celery_recommender.celery.worker.plugin import catalogue
from celery_recommender.settings import Settings
from recommender_engine import Recommender, open_recommender
from recommender_engine.errors import ConfigurationError, StateLocked
from recommender_engine.opening import DATABASE

_ANSWER_TIMEOUT_S = 90.0
_STARTING_S, _POLL_S = 5.0, 0.1

Ask = Callable[..., Any]
"""``ask(TaskClass, *args, **kwargs)`` gives what the task's ``.get()`` would."""


@contextmanager
def owner_or_state(settings: Settings) -> Iterator[Ask]:
    """A way to ask: through Celery when an owner is at work, else in this process.

    Raises:
        ClickException: there is neither an owner nor a state.
        ConfigurationError: there is an owner, and nowhere for its answers to go.
    """
    if owner_is_at_work(settings):
        yield _through_celery(settings)
        return
    directory = settings.partition_dir
    if not (directory / DATABASE).exists():
        raise click.ClickException(
            f"no worker is running{_where(settings)} and there is no state in {directory}: start one with "
            "`recommender worker`, or set RECOMMENDER_REDIS_URL or RECOMMENDER_STATE_DIR to where one is"
        )
    try:
        engine = open_recommender(
            directory, catalogue(settings), partition=settings.partition, message_rules=settings.message_rules
        )
    except StateLocked as error:
        raise click.ClickException(f"{error}, which does not answer on this server (starting up, perhaps)") from error
    try:
        yield lambda task, *args, **kwargs: ask_here(engine, task, args, kwargs)
    finally:
        engine.close()


def owner_at_work(settings: Settings) -> Ask:
    """A way to ask the owner, for what is of no use without one.

    Raises:
        ClickException: there is none.
        ConfigurationError: there is one, and nowhere for its answers to go.
    """
    if not owner_is_at_work(settings):
        raise click.ClickException(f"no worker is running{_where(settings)}: start one with `recommender worker`")
    return _through_celery(settings)


def require_answers(settings: Settings) -> None:
    """See to it that a worker that is asked can answer.

    Raises:
        ConfigurationError: results are disabled.
    """
    if settings.result_backend == "disabled":
        raise ConfigurationError(
            "RECOMMENDER_RESULT_BACKEND='disabled': answers of a running worker come through the result backend: set"
            " one, for this command and for the worker"
        )


def server_at_work(settings: Settings) -> str | None:
    """The URL of the server, ``None`` when it is one of our own that is not running; it is not started.

    Raises:
        Unfit: it cannot be used.
        RedisError: it does not answer.
    """
    if settings.redis_url:
        _look_once(settings.redis_url)
        return settings.redis_url
    server = EmbeddedServer(settings.state_dir / "redis")
    return server.url if server.is_running() else None


@cache
def _look_once(url: str) -> None:
    require_usable(url)


def require_server(settings: Settings) -> Settings:
    """The settings with the URL of a server that answers.

    Raises:
        ConfigurationError: there is none, or it cannot be used.
        RedisError: it does not answer.
    """
    settings = named_server(settings)
    _look_once(settings.redis_url)
    return settings


def named_server(settings: Settings) -> Settings:
    """The settings with the URL of the server; for a private one, which a worker may only just be starting, it waits.

    Raises:
        ConfigurationError: there is none.
    """
    if settings.redis_url:
        return settings
    deadline_s = time.monotonic() + _STARTING_S
    while (url := server_at_work(settings)) is None and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
    return settings.replaced(redis_url=url or redis_url(settings))


def owner_is_at_work(settings: Settings) -> bool:
    """Whether a worker says that it owns the partition."""
    url = server_at_work(settings)
    if url is None:
        return False
    with connect(url) as redis:
        return read_status(redis, PartitionKeys.of(settings.partition, settings.key_prefix)) is not None


def _through_celery(settings: Settings) -> Ask:
    require_answers(settings)
    app, _ = make_app(settings)
    return lambda task, *args, **kwargs: _ask_owner(app, task, args, kwargs)


def _ask_owner(app: Celery, task: type[QuestionTask], args: Any, kwargs: Any) -> Any:
    try:
        return app.tasks[task.name].apply_async(args, kwargs, expires=_ANSWER_TIMEOUT_S).get(timeout=_ANSWER_TIMEOUT_S)
    except CeleryTimeoutError as error:
        raise click.ClickException(f"the worker did not answer within {_ANSWER_TIMEOUT_S:.0f} s") from error


def ask_here(engine: Recommender, task: type[QuestionTask], args: Any, kwargs: Any) -> Any:
    """Put a question to an engine in this process."""

    class Here(task):  # type: ignore[valid-type, misc]
        def ask(self, question: Callable[[Recommender], Any], about: str | None = None) -> Any:
            return question(engine)

    return Here().run(*args, **kwargs)


def _where(settings: Settings) -> str:
    return f" on {masked(settings.redis_url)}" if settings.redis_url else ""
