"""The batches in flight: their workers, and which are lost. It has no clock and no connection."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass

from celery_recommender.fleet.messages import EmbedRequest
from recommender_engine.errors import EncodingError
from recommender_engine.pipeline import TimedEmbeddings

MOST_ATTEMPTS = 2
"""A batch that was lost so often is not sent to another worker: it may be what ends them."""

_REMEMBERED = 32
_LATE = 4.0  # times the slowest recent batch: one can be longer, and a machine busier
_SHORTEST_TIMEOUT_S = 2.0
_PRESENT_S = 60.0
_MOST_WORKERS = 1024  # names of workers remembered; a reply may carry any


@dataclass(slots=True, eq=False)
class Flight:
    """A batch in flight.

    Attributes:
        request: with the texts.
        made: its vectors, later.
        sent_s: when it was last sent.
        attempts: how often it was sent.
        started_s: when a worker began it, since it was last sent.
        overtaken_s: when a worker began a batch that was sent later.
    """

    request: EmbedRequest
    made: Future[TimedEmbeddings]
    sent_s: float
    attempts: int = 1
    started_s: float | None = None
    overtaken_s: float | None = None

    def give_up(self, why: str) -> None:
        """The owner embeds the texts itself when their turn comes."""
        with suppress(InvalidStateError):  # it was cancelled
            self.made.set_exception(EncodingError(why))


class Window:
    """Batches in flight, in the order in which they were sent. Times are seconds of one clock, given by the caller.

    Args:
        timeout_s: the longest that a worker may keep a batch; less where they have been faster.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._flights: dict[str, Flight] = {}
        self._took_s: deque[float] = deque(maxlen=_REMEMBERED)
        self._heard_s: dict[str, float] = {}
        self._last_report_s = 0.0

    def __len__(self) -> int:
        return len(self._flights)

    @property
    def limit_s(self) -> float:
        """How long a worker may keep a batch."""
        late = max(_SHORTEST_TIMEOUT_S, _LATE * max(self._took_s)) if self._took_s else self._timeout_s
        return min(late, self._timeout_s)

    @property
    def pickup_s(self) -> float:
        """How long no worker may report anything while batches wait and none has begun."""
        return self._timeout_s / 3

    def workers(self, now_s: float) -> int:
        """How many have reported within the last minute."""
        self._heard_s = {worker: at_s for worker, at_s in self._heard_s.items() if now_s - at_s < _PRESENT_S}
        return len(self._heard_s)

    def idle_s(self, now_s: float) -> float:
        """For how long no worker has reported."""
        return now_s - self._last_report_s

    def add(self, flight: Flight) -> None:
        """It has been sent."""
        self._flights[flight.request.id] = flight

    def heard(self, worker: str, now_s: float) -> None:
        """A worker has reported."""
        self._last_report_s = now_s
        if worker in self._heard_s or len(self._heard_s) < _MOST_WORKERS or self.workers(now_s) < _MOST_WORKERS:
            self._heard_s[worker] = now_s

    def started(self, request_id: str, now_s: float) -> None:
        """A worker has begun a batch."""
        if (flight := self._flights.get(request_id)) is None:
            return
        flight.started_s = now_s
        for other in self._flights.values():
            if other.started_s is None and other.overtaken_s is None and other.sent_s < flight.sent_s:
                other.overtaken_s = now_s

    def find(self, request_id: str) -> Flight | None:
        """The batch with this id, ``None`` if it was answered or given up already."""
        return self._flights.get(request_id)

    def answered(self, request_id: str, now_s: float) -> Flight | None:
        """A batch has been answered: it is no longer in flight, and how long it took is remembered."""
        flight = self.drop(request_id)
        if flight is not None and flight.started_s is not None:
            self._took_s.append(now_s - flight.started_s)
        return flight

    def drop(self, request_id: str) -> Flight | None:
        """Remove a batch: it is no longer in flight."""
        return self._flights.pop(request_id, None)

    def lost(self, now_s: float) -> list[Flight]:
        """Batches that a worker has had for too long, or that later ones have overtaken for as long."""
        return [
            flight
            for flight in self._flights.values()
            if (since_s := flight.started_s or flight.overtaken_s) is not None and now_s - since_s > self.limit_s
        ]

    def resent(self, flight: Flight, now_s: float) -> None:
        """It has been sent again."""
        self._flights.pop(flight.request.id, None)
        flight.sent_s, flight.started_s, flight.overtaken_s = now_s, None, None
        flight.attempts += 1
        self.add(flight)

    def withdrawn(self) -> list[Flight]:
        """Batches that were cancelled; no longer in flight."""
        gone = [flight for flight in self._flights.values() if flight.made.cancelled()]
        for flight in gone:
            del self._flights[flight.request.id]
        return gone

    def is_silent(self, now_s: float) -> bool:
        """Whether batches wait, none has been begun, and no worker has reported for too long."""
        if not self._flights or any(self._at_work(flight, now_s) for flight in self._flights.values()):
            return False
        since_s = max(self._last_report_s, min(flight.sent_s for flight in self._flights.values()))
        return now_s - since_s > self.pickup_s

    def _at_work(self, flight: Flight, now_s: float) -> bool:
        return flight.started_s is not None and now_s - flight.started_s <= self.limit_s

    def empty(self) -> list[Flight]:
        """Remove and return all batches."""
        flights = list(self._flights.values())
        self._flights.clear()
        self._heard_s.clear()
        return flights
