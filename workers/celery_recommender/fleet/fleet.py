"""The owner's side of the fleet: sends batches to embed workers, receives vectors, notices when no worker answers."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Literal, NamedTuple

from redis.exceptions import RedisError

from celery_recommender.fleet.exchange import Exchange
from celery_recommender.fleet.messages import EmbedReply, EmbedRequest, InvalidMessage
from celery_recommender.fleet.probe import Probe
from celery_recommender.fleet.window import MOST_ATTEMPTS, Flight, Window
from celery_recommender.threads import WorkerThread, retry
from recommender_engine.embedding import ModelIdentity, require_unit_vectors
from recommender_engine.errors import EncodingError
from recommender_engine.event_log import event_log
from recommender_engine.pipeline import TimedEmbeddings

log = event_log(__name__)

Outcome = Literal["answered", "resent", "lost", "refused", "failed", "invalid"]
"""Outcome of a batch; ``resent`` is followed by another."""

_LOOK_EVERY_S = 0.1
_AWAY_S = 1.0
_REFUSED_S = 30.0
_REMEMBERED_S = 300.0  # a refusal; one worker of many that has another model does not matter every minute
_TOUCH_EVERY_S = 60.0
_COUNT_EVERY_S = 5.0


class Sizing(NamedTuple):
    """How much is sent to the fleet.

    Attributes:
        workers: how many there are to be.
        window: batches that may be with them.
        least_bytes: a batch with less text, and
        least_texts: with fewer texts, is not worth sending.
        timeout_s: see ``RECOMMENDER_EMBED_TIMEOUT_S``.
    """

    workers: int
    window: int
    least_bytes: int
    least_texts: int
    timeout_s: float


class Fleet(WorkerThread):
    """An `EmbeddingExecutor` over embed workers. Submitting never waits for a server: other threads do.

    Args:
        sizing: how much is given to it.
        make_probe: makes the request of a probe.
        exchange: holds texts and vectors.
        notify_embed_worker: tells an embed worker that a request waits, by its id; an exception means that none will.
        count: called with the outcome of each batch.
        clock_s: seconds that only grow.
    """

    def __init__(
        self,
        sizing: Sizing,
        make_probe: Callable[[], EmbedRequest],
        exchange: Exchange,
        notify_embed_worker: Callable[[str], None],
        count: Callable[[Outcome], None] = lambda outcome: None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("fleet")
        self._sizing = sizing
        self._exchange = exchange
        self._notify_embed_worker = notify_embed_worker
        self._count = count
        self._clock_s = clock_s
        self._make_probe = make_probe
        self._lock = threading.Lock()
        self._window = Window(sizing.timeout_s)
        self._probe = Probe(self._window.pickup_s)
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="recommender-fleet-send")
        self._serving = False
        self._refused_until_s: dict[str, float] = {}
        self._complaint, self._complained_s = "", 0.0
        self._touched_s = self._counted_s = 0.0

    # -- for the engine ------------------------------------------------------------------------------------------------

    @property
    def window(self) -> int:
        """How many batches may be in flight; 0 while no worker answers."""
        return self._sizing.window if self._serving and not self._stopping.is_set() else 0

    def submit(self, name: str, identity: ModelIdentity, texts: list[str]) -> Future[TimedEmbeddings] | None:
        """Send a batch; ``None`` for a short one, with a full window, and while no worker answers for the model."""
        sizing = self._sizing
        if len(texts) < sizing.least_texts and sum(map(len, texts)) < sizing.least_bytes:
            return None
        request = EmbedRequest(secrets.token_hex(16), name, identity.key, identity.dimension, tuple(texts))
        with self._lock:
            now_s = self._clock_s()
            full = len(self._window) >= self.window + 2  # this batch and the next beside it
            if not self.window or full or now_s < self._refused_until_s.get(identity.key, 0.0):
                return None
            flight = Flight(request, Future(), now_s)
            self._window.add(flight)
        self._send(request)
        return flight.made

    def close(self) -> None:
        """Stop; what is in flight is given up."""
        self._stopping.set()
        self._sender.shutdown(cancel_futures=True)
        self.stop()
        self._give_up_all("the fleet was closed")

    def status(self) -> dict[str, Any]:
        """For the status: ``state`` is ``serving`` or ``silent``."""
        with self._lock:
            return {
                "state": "serving" if self._serving else "silent",
                "workers": self._window.workers(self._clock_s()),
                "expected": self._sizing.workers,
                "window": self.window,
                "in_flight": len(self._window),
                "complaint": self._complaint if self._complains(self._clock_s()) else "",
            }

    # -- the thread ----------------------------------------------------------------------------------------------------

    def work(self) -> None:
        """Take replies and look after what is in flight until closed."""
        self._clear()  # of what an earlier owner has left
        while not self._stopping.is_set():
            retry(self._take_turn, self._stopping, _AWAY_S, (Exception,), self._note_failure)
        self._clear()

    def _take_turn(self) -> None:
        self._tend()
        if (raw := self._exchange.take_reply(_LOOK_EVERY_S)) is not None:
            self._receive(raw)

    def _note_failure(self, error: Exception, attempt: int) -> None:
        if not isinstance(error, RedisError):  # a batch must not wait for ever
            log.error("fleet.failed", exc_info=error)
            self._fall_silent("a defect")
        elif attempt == 1:
            log.warning("fleet.server_away", extra={"error": str(error)})

    def _clear(self) -> None:
        with suppress(RedisError):
            self._exchange.clear()

    def _tend(self) -> None:
        now_s = self._clock_s()
        with self._lock:
            withdrawn = self._window.withdrawn()
            lost = self._window.lost(now_s)
        self._withdraw(withdrawn)
        for flight in lost:
            self._lose(flight, "no answer in time")
        with self._lock:
            silent = self._window.is_silent(now_s)
            idle_s = self._window.idle_s(now_s)
            busy = len(self._window) > 0
        if silent or (self._serving and self._probe.is_unanswered(now_s, idle_s)):
            self._fall_silent("no embed worker answers")
        if self._probe.is_due(now_s, idle_s, serving=self._serving, busy=busy):
            self._send_probe(now_s)
        if now_s - self._touched_s > _TOUCH_EVERY_S:
            self._touched_s = now_s
            self._later(self._forget, ())
        if now_s - self._counted_s > _COUNT_EVERY_S:
            self._counted_s = now_s
            if self._exchange.drop_flood():
                log.error("fleet.replies_dropped", extra={"error": "more replies wait than a fleet leaves"})

    # -- replies -------------------------------------------------------------------------------------------------------

    def _receive(self, raw: bytes) -> None:
        try:
            reply = EmbedReply.decode(raw)
        except InvalidMessage as error:
            self._invalid(str(error))
            self._lose_damaged(error)
            return
        now_s = self._clock_s()
        with self._lock:
            self._window.heard(reply.worker, now_s)
            if reply.kind == "started":
                self._window.started(reply.request, now_s)
                return
            flight = self._window.find(reply.request)
        if self._probe.is_answered_by(reply.request):
            self._probed(reply, now_s)
        elif flight is not None:  # otherwise it was answered or given up before
            self._settle(flight, reply, now_s)

    def _lose_damaged(self, error: InvalidMessage) -> None:
        """The request of a damaged reply is sent again at once, if the reply still has its id."""
        with self._lock:
            flight = None if error.request is None else self._window.find(error.request)
        if flight is not None:
            self._lose(flight, str(error))

    def _settle(self, flight: Flight, reply: EmbedReply, now_s: float) -> None:
        if reply.kind == "refused":
            self._refused(flight, reply, now_s)
        elif reply.kind == "failed":
            log.warning("fleet.failed_on_batch", extra={"worker": reply.worker, "said": reply.message})
            self._end(flight, "failed", f"a worker's model failed: {reply.message}")
        elif (why := _objection(flight.request, reply)) is not None:
            self._invalid(why)
            self._lose(flight, why)
        else:
            with self._lock:
                self._window.answered(flight.request.id, now_s)
            self._withdraw([flight])
            self._count("answered")
            with suppress(InvalidStateError):  # it was cancelled
                flight.made.set_result(TimedEmbeddings(reply.embeddings, reply.seconds))  # type: ignore[arg-type]

    def _refused(self, flight: Flight, reply: EmbedReply, now_s: float) -> None:
        self._complain(reply, now_s)
        if flight.attempts < MOST_ATTEMPTS:  # another worker may accept it
            self._resend(flight)
            return
        with self._lock:
            self._refused_until_s[flight.request.model] = now_s + _REFUSED_S
        self._end(flight, "refused", reply.message)

    def _complain(self, reply: EmbedReply, now_s: float) -> None:
        if not self._complains(now_s):
            log.error("fleet.refused", extra={"worker": reply.worker, "said": reply.message})
        self._complaint, self._complained_s = f"worker {reply.worker}: {reply.message}", now_s

    def _complains(self, now_s: float) -> bool:
        return bool(self._complaint) and now_s - self._complained_s < _REMEMBERED_S

    def _invalid(self, why: str) -> None:
        self._count("invalid")
        log.error("fleet.invalid_reply", extra={"error": why})

    # -- lost batches --------------------------------------------------------------------------------------------------

    def _lose(self, flight: Flight, why: str) -> None:
        if flight.attempts < MOST_ATTEMPTS:
            log.warning("fleet.resent", extra={"texts": len(flight.request.texts), "error": why})
            self._resend(flight)
        else:
            log.error("fleet.lost", extra={"texts": len(flight.request.texts), "attempts": flight.attempts})
            self._end(flight, "lost", why)

    def _resend(self, flight: Flight) -> None:
        with self._lock:
            self._window.resent(flight, self._clock_s())
        self._count("resent")
        self._send(flight.request)

    def _end(self, flight: Flight, outcome: Outcome, why: str) -> None:
        with self._lock:
            self._window.drop(flight.request.id)
        self._count(outcome)
        self._withdraw([flight])
        flight.give_up(why)

    def _fall_silent(self, why: str) -> None:
        if self._serving:
            log.error("fleet.silent", extra={"error": why})
        self._serving = False
        self._probe.hurry()
        self._give_up_all(why)

    def _give_up_all(self, why: str) -> None:
        with self._lock:
            flights = self._window.empty()
        self._withdraw(flights)
        for flight in flights:
            self._count("lost")
            flight.give_up(why)

    # -- probes --------------------------------------------------------------------------------------------------------

    def _send_probe(self, now_s: float) -> None:
        request = self._make_probe()
        self._later(self._forget, self._probe.sent(request, now_s))
        self._send(request)

    def _probed(self, reply: EmbedReply, now_s: float) -> None:
        request = self._probe.answered(now_s)
        self._later(self._forget, (request.id,))
        if reply.kind == "vectors" and (why := _objection(request, reply)) is not None:
            self._invalid(why)
        elif reply.kind == "vectors":
            if not self._serving:
                log.info("fleet.serving", extra={"worker": reply.worker})
            self._serving = True
        else:
            self._complain(reply, now_s)

    # -- the other thread ----------------------------------------------------------------------------------------------

    def _send(self, request: EmbedRequest) -> None:
        self._later(self._sent, request)

    def _sent(self, request: EmbedRequest) -> None:
        try:
            self._exchange.put(request.id, request.encode())
            self._notify_embed_worker(request.id)
        except Exception as error:  # kombu's transports have no error in common
            log.warning("fleet.not_sent", extra={"error": repr(error)[:300]})
            with self._lock:
                flight = self._window.find(request.id)
            if flight is not None:
                self._end(flight, "lost", "it could not be sent")

    def _withdraw(self, flights: list[Flight]) -> None:
        if flights:
            self._later(self._forget, tuple(flight.request.id for flight in flights))

    def _later(self, do: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # closed meanwhile; then all is given up, and forgotten after a while
            self._sender.submit(do, *arguments)

    def _forget(self, request_ids: tuple[str, ...]) -> None:
        with suppress(RedisError):  # it expires after a while
            self._exchange.withdraw(request_ids)


def _objection(request: EmbedRequest, reply: EmbedReply) -> str | None:
    """What is wrong with vectors that a worker sent for a request."""
    if reply.model != request.model:
        return f"vectors of the model {reply.model} for {request.model}"
    try:
        if reply.embeddings is None:
            return "no vectors"
        require_unit_vectors(reply.embeddings, len(request.texts), request.dimension)
    except EncodingError as error:
        return str(error)
    return None
