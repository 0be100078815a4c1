"""The test build of the worker: the real one, in a child forked from a process that has imported it already."""

from __future__ import annotations

import importlib
import os
import traceback
from pathlib import Path
from typing import Any, NamedTuple

from celery.bin.celery import celery as command_line

from celery_recommender.celery.worker.app import make_app
from celery_recommender.logs import configure_logs
from celery_recommender.settings import Settings
from recommender_engine.embedding import Encoders
from tests.faults.rehearsals import forking
from tests.faults.saboteur import Saboteur, Shot, send_signals
from tests.support.processes import QUIET

# What a worker imports when it starts, so that its parent has it before it forks.
for _name in (
    "celery.apps.worker",
    "celery.backends.redis",
    "celery.concurrency.thread",
    "celery.fixups.django",
    "celery.worker.components",
    "celery.worker.consumer",
    "kombu.transport.redis",
):
    importlib.import_module(_name)

# A trial waits for these: what the owner does once a second it does here many times a second.
PACE: dict[str, Any] = {
    "celery_recommender.owner.delivery.dispatch:_IDLE_S": 0.05,
    "celery_recommender.owner.loop.upkeep:_EVERY_S": 0.05,
    "celery_recommender.owner.resources:RETRY_S": 0.05,
    "celery_recommender.owner.tenure:RETRY_S": 0.05,
    "celery_recommender.owner.loop.intake:_RETRY_AFTER_S": 0.05,
    "celery_recommender.owner.telemetry.status:_EVERY_S": 0.02,
    "celery_recommender.owner.delivery.lanes:ResultLane.longest_wait_s": 0.2,
    "celery_recommender.owner.delivery.lanes:DeliveryLane.longest_wait_s": 0.2,
    "celery_recommender.owner.poison.bisection:get_context": forking,
}


class Life(NamedTuple):
    """One run of a worker.

    Attributes:
        settings: of the worker.
        directory: where its log and what the saboteur notes go.
        read_count: commands that the intake reads at once.
        shot: what happens to it, if anything.
        encoders: its models; those that the settings name by default.
    """

    settings: Settings
    directory: Path
    read_count: int
    shot: Shot | None = None
    encoders: Encoders | None = None

    @property
    def log(self) -> Path:
        return self.directory / "worker.log"

    @property
    def record(self) -> Path:
        """Names the point at which the shot fell."""
        return self.directory / "shot"

    @property
    def hits(self) -> Path:
        """How often each point was reached, after an ordered end."""
        return self.directory / "hits.json"


def fork_worker(life: Life) -> int:
    """Start it; its process id."""
    if pid := os.fork():
        return pid
    status = os.EX_SOFTWARE
    try:
        os.setsid()
        log = os.open(life.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        status = _work(life)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


def _work(life: Life) -> int:
    for target, value in {
        **PACE,
        "celery_recommender.broker.commands.read_size:ReadSize.MOST": life.read_count,
    }.items():
        _set(target, value)

    def strike(shot: Shot) -> None:
        life.record.write_text(f"{shot.point} #{shot.hit}")
        send_signals(shot)

    saboteur = Saboteur(life.shot, strike)
    saboteur.arm()
    configure_logs(life.settings)
    app, _ = make_app(life.settings, life.encoders)
    options = ["--pool=threads", "--concurrency=1", f"--recommender={life.settings.partition}", "--hostname=owner@%h"]
    command_line.params[0].default = app  # as `app.start()` does it, which does not tell the exit status
    try:
        command_line.main(args=["worker", *QUIET, "--loglevel=INFO", *options])
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        saboteur.save(life.hits)
    return 0


def _set(target: str, value: Any) -> None:
    name, _, path = target.partition(":")
    holder: Any = importlib.import_module(name)
    *outer, attribute = path.split(".")
    for part in outer:
        holder = getattr(holder, part)
    getattr(holder, attribute)  # what is not there any more must not be set in silence
    setattr(holder, attribute, value)
