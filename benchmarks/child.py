"""A process that measures on request, with modules and threads of its own.

Requests and answers are JSON, one a line, over its standard input and output. It ends when its input does, so it does
not outlive its parent.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from celery_recommender.sandbox import ProcessFailed, log_end, stop

Answer = dict[str, Any]
Handler = Callable[[Mapping[str, Any]], Answer]


class Child:
    """A connection to the process. A context manager.

    Args:
        module: that is run; it calls ``serve``.
        environment: all of it.
        log: file that takes its standard error.
        python: interpreter that runs it.
    """

    def __init__(self, module: str, environment: Mapping[str, str], log: Path, python: str = sys.executable) -> None:
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [python, "-m", module],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )

    def ask(self, what: str, **arguments: object) -> Answer:
        """Ask for one thing, and wait for it.

        Raises:
            ProcessFailed: it has ended instead.
        """
        self.begin(what, **arguments)
        return self.answer()

    def begin(self, what: str, **arguments: object) -> None:
        """Ask without waiting; ``answer`` waits.

        Raises:
            ProcessFailed: it has ended.
        """
        if self._process.stdin is None:
            raise ProcessFailed("no standard input")
        try:
            self._process.stdin.write(json.dumps({"what": what, **arguments}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._failure() from None

    def answer(self) -> Answer:
        """The answer to what was asked first of what has none yet.

        Raises:
            ProcessFailed: it has ended instead.
        """
        line = b"" if self._process.stdout is None else self._process.stdout.readline()
        if not line:
            raise self._failure()
        answer: Answer = json.loads(line)
        return answer

    def cpu_s(self) -> float:
        """Processor seconds used so far."""
        return float(self.ask("cpu")["seconds"])

    def close(self) -> None:
        """End it."""
        stop(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what it has not read is of no use to it any more
                    pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _failure(self) -> ProcessFailed:
        return ProcessFailed(f"a process that measures has ended: {log_end(self._log)}")


def serve(handlers: Mapping[str, Handler]) -> None:
    """Answer requests until there are no more. What libraries print goes to standard error.

    Args:
        handlers: by what is asked; ``cpu`` is there already.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    all_handlers = {"cpu": _cpu, **handlers}
    for line in sys.stdin:
        request = json.loads(line)
        answers.write(json.dumps(all_handlers[request["what"]](request)) + "\n")
        answers.flush()


def _cpu(request: Mapping[str, Any]) -> Answer:
    used = os.times()
    return {"seconds": used.user + used.system}
