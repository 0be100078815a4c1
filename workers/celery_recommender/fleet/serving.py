"""What an embed worker does with a request."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from redis import Redis

from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.fleet.exchange import Exchange
from celery_recommender.fleet.messages import EmbedReply, EmbedRequest, InvalidMessage, Kind
from recommender_engine.embedding import Encoders, require_unit_vectors
from recommender_engine.errors import EncodingError, RecommenderError
from recommender_engine.event_log import event_log

log = event_log(__name__)

Guard = Callable[[int], AbstractContextManager[None]]
"""Makes a context around the embedding of a number of texts; it may end the process if that takes too long."""

_REQUEST_ID = re.compile(r"[0-9a-f]{16,64}")


class EmbedServing:
    """Answers requests of any partition's owner; it keeps nothing.

    Args:
        encoders: the embedding models.
        connect: makes a connection to the server that holds the streams.
        guard: around the embedding of a batch.
    """

    def __init__(
        self,
        encoders: Encoders,
        connect: Callable[[], Redis],
        guard: Guard,
    ) -> None:
        self._encoders = encoders
        self._connect = connect
        self._guard = guard
        self._redis: Redis | None = None
        self._pid = 0

    def answer(self, keys: PartitionKeys, request_id: str) -> bool:
        """Answer a request, if it still needs an answer.

        Raises:
            InvalidMessage: it is no request.
            RedisError: the server is away; the owner sends the request again.
        """
        if not _REQUEST_ID.fullmatch(request_id):
            raise InvalidMessage("no id of a request")
        exchange = Exchange(self._server(), keys)
        raw = exchange.request(request_id)
        if raw is None:
            return False
        request = EmbedRequest.decode(raw)
        exchange.reply(self._refusal(request, "started").encode())
        reply = self._reply(request)
        exchange.reply(reply.encode())
        if reply.kind != "vectors":
            log.warning("embed.not_answered", extra={"kind": reply.kind, "said": reply.message})
        return True

    def _reply(self, request: EmbedRequest) -> EmbedReply:
        if request.name not in self._encoders.names:
            return self._refusal(request, "refused", message=f"asked for the model {request.name!r}, which is not here")
        try:
            encoder = self._encoders.encoder(request.name)
        except RecommenderError as error:  # its files are missing or changed
            return self._refusal(request, "refused", message=str(error))
        identity = encoder.identity
        if identity.key != request.model:
            return self._refusal(
                request, "refused", identity.key, f"asked for the model {request.model}, and this one is {identity.key}"
            )
        started = time.perf_counter()
        try:
            with self._guard(len(request.texts)):
                embeddings = encoder.encode(request.texts)
            require_unit_vectors(embeddings, len(request.texts), identity.dimension)
        except EncodingError as error:
            return self._refusal(request, "failed", identity.key, str(error))
        except Exception as error:  # the message may quote the text
            return self._refusal(request, "failed", identity.key, type(error).__name__)
        seconds = time.perf_counter() - started
        return EmbedReply(request.id, _worker(), "vectors", identity.key, "", seconds, embeddings)

    def _refusal(self, request: EmbedRequest, kind: Kind, model: str = "", message: str = "") -> EmbedReply:
        return EmbedReply(request.id, _worker(), kind, model, message)

    def _server(self) -> Redis:
        if self._redis is None or self._pid != os.getpid():  # a forked child has a connection of its own
            self._redis, self._pid = self._connect(), os.getpid()
        return self._redis


def _worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
