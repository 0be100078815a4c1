"""Makes the process it runs in die, or strike, at a chosen point: the other half of the seam."""

from __future__ import annotations

import functools
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from redis.connection import AbstractConnection

from tests.faults.points import POINTS, Point

_SENDING = ("half sent", "sent")


class Shot(NamedTuple):
    """What to do, when.

    Attributes:
        point: name of a point.
        hit: at which time that it is reached, from 1.
        signals: to send.
        target: process that gets them; 0 is this one.
    """

    point: str
    hit: int
    signals: tuple[signal.Signals, ...] = (signal.SIGKILL,)
    target: int = 0


class Saboteur:
    """Wraps points, counts how often each is reached, and strikes once.

    Args:
        shot: if any.
        strike: what to do then; by default send the signals of the shot.
    """

    def __init__(self, shot: Shot | None = None, strike: Callable[[Shot], None] | None = None) -> None:
        self.hits: Counter[str] = Counter()
        self._shot = shot
        self._strike = strike or send_signals
        self._lock = threading.Lock()
        self._sending = threading.local()
        self._process = 0

    def aim(self, shot: Shot | None) -> None:
        """Begin anew, with another shot."""
        self.hits.clear()
        self._shot = shot

    def arm(self, points: Sequence[Point] = POINTS, set_: Callable[[Any, str, Any], None] = setattr) -> None:
        """Wrap what the points name, in this process.

        Args:
            points: the seam.
            set_: replaces an attribute.
        """
        self._process = os.getpid()
        by_target: dict[str, list[Point]] = {}
        for point in points:
            by_target.setdefault(point.target, []).append(point)
        for several in by_target.values():
            holder, name = several[0].resolve()
            wrap = self._wrap_context if several[0].context else self._wrap_call
            set_(holder, name, wrap(getattr(holder, name), several))
        if any(point.moment in _SENDING for point in points):
            sending = self._wrap_sending(AbstractConnection.send_packed_command)
            set_(AbstractConnection, "send_packed_command", sending)

    def save(self, path: Path) -> None:
        """Write how often each point was reached."""
        path.write_text(json.dumps(self.hits))

    def _reached(self, point: Point, first: Callable[[], None] = lambda: None) -> None:
        if os.getpid() != self._process:  # a child of it
            return
        with self._lock:
            self.hits[point.name] += 1
            shot = self._shot
            if shot is None or (point.name, self.hits[point.name]) != (shot.point, shot.hit):
                return
            first()
        self._strike(shot)

    def _wrap_call(self, original: Callable[..., Any], points: Sequence[Point]) -> Callable[..., Any]:
        before = [point for point in points if point.moment == "before"]
        after = [point for point in points if point.moment == "after"]
        sending = [point for point in points if point.moment in _SENDING]

        @functools.wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            for point in before:
                self._reached(point)
            self._sending.points = sending
            try:
                result = original(*args, **kwargs)
            finally:
                self._sending.points = []
            for point in after:
                if point.counts(result):
                    self._reached(point)
            return result

        return wrapped

    def _wrap_context(self, original: Callable[..., Any], points: Sequence[Point]) -> Callable[..., Any]:
        at = {moment: [p for p in points if p.moment == moment] for moment in ("entered", "leaving", "after")}

        @functools.wraps(original)
        @contextmanager
        def wrapped(*args: Any, **kwargs: Any) -> Iterator[Any]:
            with original(*args, **kwargs) as value:
                for point in at["entered"]:
                    self._reached(point)
                yield value
                for point in at["leaving"]:
                    self._reached(point)
            for point in at["after"]:
                self._reached(point)

        return wrapped

    def _wrap_sending(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """What a connection sends while a function with such a point runs."""

        @functools.wraps(original)
        def wrapped(connection: Any, command: Any, *args: Any, **kwargs: Any) -> None:
            points: list[Point] = getattr(self._sending, "points", [])
            whole = command if isinstance(command, bytes) else b"".join(command)
            if not points or b"EXEC" not in whole:  # a health check, or a WATCH before it
                original(connection, command, *args, **kwargs)
                return
            self._sending.points = []
            for point in points:
                if point.moment == "half sent":
                    self._reached(point, lambda: connection._sock.sendall(whole[: len(whole) // 2]))
            original(connection, command, *args, **kwargs)
            for point in points:
                if point.moment == "sent":
                    self._reached(point)

        return wrapped


def send_signals(shot: Shot) -> None:
    """Send the signals of a shot to its target."""
    for number in shot.signals:
        os.kill(shot.target or os.getpid(), number)
