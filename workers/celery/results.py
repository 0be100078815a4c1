"""A Celery result that is not missed when the connection breaks on which it would be announced."""

from __future__ import annotations

import time
from typing import Any

from celery import exceptions
from celery.result import AsyncResult

_LOOK_AGAIN_S = 5.0


class LookedUpResult(AsyncResult):
    """Waits as Celery's does, and looks the result up every few seconds.

    Celery is told of a result once, over a subscription. If its connection breaks at that moment, the library below
    subscribes again without a word, and who waits without a time limit waits for ever, although the result is there.
    """

    def get(self, timeout: float | None = None, **options: Any) -> Any:
        """Wait until the result is there; arguments and errors are those of Celery's ``AsyncResult.get``."""
        deadline_s = None if timeout is None else time.monotonic() + timeout
        while True:
            left_s = _LOOK_AGAIN_S if deadline_s is None else max(0.0, deadline_s - time.monotonic())
            try:
                return super().get(timeout=min(left_s, _LOOK_AGAIN_S), **options)
            except exceptions.TimeoutError:
                if self.ready():  # from now on it is known here, and so is what the task may have raised
                    return super().get(**options)
                if deadline_s is not None and time.monotonic() >= deadline_s:
                    raise
