"""Finds the messages that end a process, one at a time, in processes that may be ended."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from multiprocessing import get_context
from types import TracebackType
from typing import Self

from celery_recommender.owner.poison.isolated_run import FAILED, PASSED, READY, TrialSetup, run_on_demand
from recommender_engine.errors import RecommenderError
from recommender_engine.items import EntryId

_PARTS = 16  # a process that ends costs loading the model again, a part that passes next to nothing


class Inconclusive(RecommenderError):
    """A process for trials does not even work on a harmless text, so no message can be judged."""


class Bisection:
    """Searches a batch over which processes have died.

    Args:
        setup: the batch, and what it is decided on; it is pickled for another process.
        start_s: how long a process may take until it is ready.
        part_s: time limit for a part with a number of messages.
    """

    def __init__(self, setup: TrialSetup, start_s: float, part_s: Callable[[int], float]) -> None:
        self._setup = setup
        self._start_s = start_s
        self._part_s = part_s

    def find(self) -> dict[EntryId, str]:
        """Messages that fail alone, each twice, with how.

        The batch is tried in its order: on a copy of the state each message is decided behind those before it.

        Raises:
            Inconclusive: no process works.
        """
        found, batch = {}, self._setup.raw
        with _TrialProcess(self._setup, self._start_s) as process:
            parts = _cut(0, len(batch))
            while parts:
                start, end = parts.pop(0)
                failure = process.failure(start, end, self._part_s(end - start))
                if failure is None:
                    continue
                if end - start > 1:
                    parts[:0] = _cut(start, end)
                elif process.failure(start, end, self._part_s(1)) is not None:
                    found[batch[start][0]] = f"the message alone {failure}"
        return found


def _cut(start: int, end: int) -> list[tuple[int, int]]:
    step = max(1, (end - start + _PARTS - 1) // _PARTS)
    return [(first, min(first + step, end)) for first in range(start, end, step)]


class _TrialProcess:
    """A process for trials; when it has ended, another one."""

    def __init__(self, setup: TrialSetup, start_s: float) -> None:
        self._setup = setup
        self._start_s = start_s
        # Not forked: torch, threads and connections do not survive that.
        self._context = get_context("spawn")
        self._start()

    def failure(self, start: int, end: int, limit_s: float) -> str | None:
        """How messages from ``start`` to ``end`` fail; ``None`` when they pass."""
        self._connection.send_bytes(json.dumps([start, end, limit_s]).encode())
        failure = self._answer(PASSED, limit_s)
        if not self._process.is_alive():
            self.close()
            self._start()
        return failure

    def _start(self) -> None:
        self._connection, other = self._context.Pipe()
        self._process = self._context.Process(
            target=run_on_demand, args=(self._setup, other), name="recommender-trial", daemon=True
        )
        try:
            self._process.start()
        except Exception as error:  # encoders of a user's own that cannot be pickled
            raise Inconclusive(f"no process for trials could be started: {error}") from error
        other.close()
        failure = self._answer(READY, self._start_s)
        if failure is not None:
            self.close()
            raise Inconclusive(f"a process for trials {failure} on a harmless text")

    def _answer(self, expected: bytes, limit_s: float) -> str | None:
        if not self._connection.poll(limit_s):
            self.close()
            return f"kept a process busy for more than {limit_s:g} s"
        try:
            answer = self._connection.recv_bytes()
        except (EOFError, OSError):
            self._process.join()
            return _end(self._process.exitcode)
        return None if answer == expected else f"raised {answer.removeprefix(FAILED).decode(errors='replace')}"

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _end(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"ended a process with {signal.Signals(-exit_code).name}"
    return f"ended a process with exit code {exit_code}"
