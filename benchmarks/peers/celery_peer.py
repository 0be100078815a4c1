"""A Celery worker that is not ours, over the same server: started, given items, waited for."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis

from benchmarks.peers.hand_written import PUBLISHED, TASK, make_hand_written
from celery_recommender.broker.redis.connections import connect
from celery_recommender.sandbox import ProcessFailed, log_end, start, stop, wait_for
from celery_recommender.settings import Settings, environment_of_others

_SILENCE_S = 120.0


class CeleryPeer:
    """The hand-written worker, or another with the same task, started. A context manager.

    Args:
        settings: that name the server.
        threads: that its model may keep busy.
        module: of its app.
        python: interpreter that runs it.
        pool: options of ``celery worker`` that choose its pool.
    """

    def __init__(
        self,
        settings: Settings,
        threads: int,
        module: str = "benchmarks.peers.hand_written",
        python: str = sys.executable,
        pool: Sequence[str] = ("--pool=solo",),
    ) -> None:
        queue = module.rpartition(".")[2]
        self._queue = queue
        self._app = make_hand_written(settings)
        self._redis: Redis = connect(settings.redis_url)
        self._log: Path = settings.state_dir / f"{queue}.log"
        celery = [python, "-m", "celery", "-A", module, "worker", "--queues", queue, *pool]
        quiet = ["--loglevel=WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        self._process = start(
            [*celery, *quiet],
            {**environment_of_others(), **settings.to_environment(), "OMP_NUM_THREADS": str(threads)},
            self._log,
        )
        self._sent = 0

    def seconds(self, texts: Sequence[str]) -> float:
        """From the first call to the last event.

        Raises:
            ProcessFailed: it ended, or fell silent.
        """
        done = self._published() + len(texts)
        started = time.perf_counter()
        for text in texts:
            self._app.send_task(TASK, [str(self._sent), text], queue=self._queue, ignore_result=True)
            self._sent += 1
        wait_for(self._require, lambda: self._published() >= done, _SILENCE_S + len(texts))
        return time.perf_counter() - started

    def close(self) -> None:
        """End it."""
        stop(self._process)
        self._app.close()
        self._redis.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _published(self) -> int:
        return int(self._redis.xlen(PUBLISHED))

    def _require(self) -> None:
        if self._process.poll() is not None:
            raise ProcessFailed(f"the worker of {self._queue} has ended: {log_end(self._log)}")
