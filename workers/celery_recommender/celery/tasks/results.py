"""A Celery result that is not missed when the connection breaks on which it would be announced, and whose wait ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from celery import exceptions
from celery.result import AsyncResult

_LOOK_AGAIN_S = 5.0
LONGEST_WAIT_S = 600.0
"""How long ``get()`` waits that is given no ``timeout``."""


class LookedUpResult(AsyncResult):
    """Waits as Celery's does, looks the result up every few seconds, and says what to look at when none comes.

    Celery gets a result once, over a subscription. If its connection breaks at that moment, the library below
    subscribes again silently, and a caller without a time limit waits without end, although the result is there.

    Attributes:
        advice: says why there may be no result.
    """

    advice: Callable[[], str] = staticmethod(lambda: "")

    def get(self, timeout: float | None = None, **options: Any) -> Any:
        """Wait until the result is there; arguments and errors are those of Celery's ``AsyncResult.get``.

        Args:
            timeout: seconds; by default `LONGEST_WAIT_S`.
            options: as Celery's.

        Raises:
            TimeoutError: Celery's; the message says what to look at.
        """
        wait_s = LONGEST_WAIT_S if timeout is None else timeout
        deadline_s = time.monotonic() + wait_s
        while True:
            left_s = max(0.0, deadline_s - time.monotonic())
            try:
                return super().get(timeout=min(left_s, _LOOK_AGAIN_S), **options)
            except exceptions.TimeoutError as error:
                if self.ready():  # from now on it is known here, and so is what the task may have raised
                    return super().get(**options)
                if time.monotonic() >= deadline_s:
                    raise exceptions.TimeoutError(
                        f"no result of task {self.id} within {wait_s:g} s: {self.advice()}"
                    ) from error
