"""Dead letters: messages that were rejected, set aside, refused by the Celery consumer, or could not be
delivered, kept until they are replayed or dropped."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from celery_recommender.broker.redis.keys import PartitionKeys
from recommender_engine.errors import RecommenderError
from recommender_engine.items import EntryId

_PAGE = 100


class NotReplayable(RecommenderError):
    """This letter cannot be replayed; the message says why."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter.

    Attributes:
        id: its id in the stream, and that of the rejection in the events stream.
        event: the rejection, a CloudEvent.
        full: all of the message that was read, where the event holds the beginning only.
    """

    id: EntryId
    event: dict[str, Any]
    full: bytes | None = None

    @property
    def data(self) -> dict[str, Any]:
        """Reason, origin and payload: the data of ``recommender.command.rejected.v1``."""
        data: dict[str, Any] = self.event["data"]
        return data

    @property
    def code(self) -> str:
        """The code of the reason."""
        return str(self.data["code"])

    @property
    def payload(self) -> bytes:
        """The message, as far as it was kept."""
        if self.full is not None:
            return self.full
        text: str = self.data["payload"]
        return base64.b64decode(text) if self.data["payload_encoding"] == "base64" else text.encode()

    def whole_payload(self) -> bytes:
        """The whole message.

        Raises:
            NotReplayable: it was too long to be kept.
        """
        if len(self.payload) < self.data["payload_bytes"]:
            raise NotReplayable(
                f"{self.id}: only the first {len(self.payload)} of {self.data['payload_bytes']} bytes were kept"
            )
        return self.payload


class DeadLetters:
    """Reads letters, sends them again, drops them. The owner alone writes them.

    Args:
        redis: the server of the streams.
        keys: of the partition.
        broker: Celery's broker; ``None`` if it is no Redis.
        deliver: calls the user's task with an event; ``None`` if no task is named.
        post: sends an event, as JSON, to the endpoint of a name; ``None`` if there are no endpoints. Raises
            `NotReplayable` if the endpoint does not take it.
    """

    def __init__(
        self,
        redis: Redis,
        keys: PartitionKeys,
        broker: Redis | None = None,
        deliver: Callable[[dict[str, Any]], object] | None = None,
        post: Callable[[str, str], object] | None = None,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._broker = broker
        self._deliver = deliver
        self._post = post

    def newest_first(self, before: EntryId | None = None) -> Iterator[Letter]:
        """All letters, or those with a smaller id than ``before``."""
        last = "+" if before is None else f"({before}"
        while True:
            reply: Any = self._redis.xrevrange(self._keys.dead_letters, max=last, count=_PAGE)
            yield from (_letter(id_, fields) for id_, fields in reply)
            if len(reply) < _PAGE:
                return
            last = f"({reply[-1][0].decode()}"

    def get(self, id_: EntryId) -> Letter | None:
        """One letter, if it is there."""
        reply: Any = self._redis.xrange(self._keys.dead_letters, min=str(id_), max=str(id_))
        return _letter(*reply[0]) if reply else None

    def drop(self, ids: Sequence[EntryId]) -> int:
        """Delete letters; how many of them were there."""
        return int(self._redis.xdel(self._keys.dead_letters, *map(str, ids))) if ids else 0

    def replay(self, letter: Letter) -> None:
        """Send the message again, the way it came, and drop the letter.

        A command goes to the end of the stream under a key made of the letter's id: its own key is used by the
        rejection for 24 hours, and with this one a replay that is repeated has one effect.

        Raises:
            NotReplayable: the payload was not kept whole, or was never a message; or the broker is unknown.
        """
        if letter.data["source"] == "celery":
            self._replay_task(letter)
        elif letter.data["source"] == "delivery":
            self._replay_delivery(letter)
        elif letter.data["source"] == "webhook":
            self._replay_webhook(letter)
        else:
            self._replay_command(letter)

    def _replay_command(self, letter: Letter) -> None:
        fields = {
            "type": letter.data["command_type"],
            "data": letter.whole_payload(),
            "key": f"dead letter {letter.id}",
        }
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.xadd(self._keys.commands, fields)  # type: ignore[arg-type]
            pipe.xdel(self._keys.dead_letters, str(letter.id))
            pipe.execute()

    def _replay_task(self, letter: Letter) -> None:
        if self._broker is None:
            raise NotReplayable(f"{letter.id}: Celery's broker is no Redis; send the task again from where it came")
        try:
            message = json.loads(letter.whole_payload())
            message["headers"]["replayed"] = str(letter.id)  # else it would be the same bytes, which were refused
        except (ValueError, TypeError, KeyError, RecursionError):
            raise NotReplayable(f"{letter.id}: what came was no message of Celery's") from None
        self._require_proven_origin(letter)
        self._broker.lpush(self._keys.queue_key, json.dumps(message))
        self.drop([letter.id])

    def _require_proven_origin(self, letter: Letter) -> None:
        """Make sure that the Celery consumer wrote the letter, not a producer that may only append to the stream."""
        since: Any = self._redis.hget(self._keys.proof, "since")
        if since is None or EntryId.parse(letter.data["command"]["id"]) <= EntryId.parse(since.decode()):
            raise NotReplayable(
                f"{letter.id}: it is from before commands of the door carried a proof, so nothing shows that the door"
                " left it; send the task again from where it came"
            )

    def _replay_delivery(self, letter: Letter) -> None:
        if self._deliver is None:
            raise NotReplayable(f"{letter.id}: RECOMMENDER_DELIVER_TASK names no task that could be called")
        self._deliver(json.loads(letter.whole_payload()))
        self.drop([letter.id])

    def _replay_webhook(self, letter: Letter) -> None:
        if self._post is None:
            raise NotReplayable(
                f"{letter.id}: use recommender dead-letters replay where RECOMMENDER_WEBHOOKS names its endpoint"
            )
        sent = json.loads(letter.whole_payload())
        try:
            self._post(sent["endpoint"], json.dumps(sent["event"], ensure_ascii=False, separators=(",", ":")))
        except NotReplayable as error:
            raise NotReplayable(f"{letter.id}: {error}") from error
        self.drop([letter.id])


def _letter(id_: bytes, fields: dict[bytes, bytes]) -> Letter:
    return Letter(EntryId.parse(id_.decode()), json.loads(fields[b"event"]), fields.get(b"payload"))
