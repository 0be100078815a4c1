"""Which user a session belongs to, in memory: thousands are asked for at once."""

from __future__ import annotations

import sqlite3

import numpy as np
from numpy.typing import NDArray

_GROWN, _FEW = 2, 100_000


class SessionUsers:
    """Users by session, read once and kept in step with the table; 16 bytes for each session."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._opened: dict[int, int] = {}
        self._read = 0
        self._known: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None

    def forget(self) -> None:
        """They may be wrong, after a rollback."""
        self._known = None
        self._opened.clear()

    def opened(self, session: int, user: int) -> None:
        """A session with a higher number than any before; it is in the table later."""
        self._opened[session] = user

    def written(self) -> None:
        """All sessions are in the table; sessions that are there no more are forgotten when they are too many."""
        if self._known is None:
            self._opened.clear()
        elif len(self._known[0]) > _GROWN * self._read + _FEW:
            self.forget()

    def moved(self, user: int, other: int) -> None:
        """The sessions of a user are those of another from now on; 0 is nobody."""
        if self._known is not None:
            _, users = self._all()
            users[users == user] = other  # the table says so already

    def of(self, sessions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The users of some sessions, shape (n,); 0 where a session is not there or was erased."""
        numbers, users = self._all()
        if not len(numbers):
            return np.zeros(len(sessions), np.int64)
        places = np.searchsorted(numbers, sessions)
        places[places == len(numbers)] = 0
        return np.where(numbers[places] == sessions, users[places], 0)

    def _all(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of sessions, in order, and their users."""
        if self._known is None:
            rows = self._db.execute("SELECT num, user FROM sessions INDEXED BY sessions_by_user").fetchall()
            read = np.array(sorted(rows), np.int64).reshape(len(rows), 2)
            self._known = np.ascontiguousarray(read[:, 0]), np.ascontiguousarray(read[:, 1])
            self._read = len(rows)
        if self._opened:
            numbers, users = self._known
            self._known = (
                np.concatenate([numbers, np.fromiter(self._opened, np.int64, len(self._opened))]),
                np.concatenate([users, np.fromiter(self._opened.values(), np.int64, len(self._opened))]),
            )
            self._opened.clear()
        return self._known
