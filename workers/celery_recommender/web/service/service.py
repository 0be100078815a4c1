"""Questions to the owners, commands into the stream, and how the owners are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from celery.exceptions import TaskRevokedError
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from celery_recommender.broker.coordination.status import commands_waiting, read_status
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.client import Client
from celery_recommender.settings import Settings

ANSWER_TIMEOUT_S = 15.0
OUTCOME_TIMEOUT_S = 4.0
_MOST_PAGES = 4  # of fifty collections: more are no overview
_SILENT_AFTER_MS = 2500  # a living owner renews its status twice a second, also while it computes
_GONE_AFTER_MS = 5000  # on a machine under load a living one may be late: it is still asked, for a shorter time
_SILENT_TIMEOUT_S = 5.0
_STATUS_MS = 15_000
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0

State = Literal["running", "starting", "silent", "away", "unreachable"]


class OwnerAway(Exception):
    """No owner answers for what is asked; ``state`` says how it is."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.state = state


class Health(NamedTuple):
    """How the owner of a partition is.

    Attributes:
        partition: its name.
        state: ``running``, ``starting``, ``silent`` (its status is not renewed), ``away`` (there is none), or
            ``unreachable``: Redis does not answer.
        waiting: commands that wait.
        waited_s: for how long the oldest has waited, in seconds.
        items: in the partition.
        age_ms: of the owner's status.
    """

    partition: str
    state: State
    waiting: int = 0
    waited_s: float = 0.0
    items: int = 0
    age_ms: int = 0

    @property
    def may_answer(self) -> bool:
        """Whether it is worth asking the owner."""
        return self.state == "running" or (self.state == "silent" and self.age_ms < _GONE_AFTER_MS)


class Service:
    """What the pages ask, and what they send. Safe to be used by several threads.

    Args:
        settings: of this process.
        client: that sends and asks.
    """

    def __init__(self, settings: Settings, client: Client) -> None:
        self.settings = settings
        self.client = client
        self._clients: dict[str, Client] = {}

    @property
    def redis(self) -> Redis:
        """The connection to the server of the streams."""
        return self.client.redis

    def health(self) -> list[Health]:
        """How the owner of each partition is."""
        return [self._health(partition) for partition in self.settings.all_partitions]

    def ask(self, question: str, *args: Any, collection: str | None = None, **options: Any) -> Any:
        """The answer to a question of the owner, see ``Client.ask``.

        Raises:
            OwnerAway: nobody would answer, or nobody did.
            InvalidCommand: the owner refuses the question.
        """
        partition = self.client.partitions.routing.partition_of(collection)
        return self._put(self._required(partition), question, args, collection, options)

    def overview(self, sees: Callable[[str], bool]) -> list[dict[str, Any]]:
        """Counts of the collections of all owners that run, by name, see ``recommender.overview``.

        Args:
            sees: which collections are wanted.

        Raises:
            OwnerAway: no owner runs.
        """
        asked = [one for one in self.health() if one.may_answer] or [self._required(self.settings.home)]
        found: dict[str, dict[str, Any]] = {}
        for owner in asked:
            for one in self._overviewed(owner):
                here = self.client.partitions.routing.partition_of(one["name"]) == owner.partition
                if sees(one["name"]) and (here or one["name"] not in found):  # while one moves, it is in two
                    found[one["name"]] = one
        return [found[name] for name in sorted(found)]

    def _overviewed(self, owner: Health) -> Iterator[dict[str, Any]]:
        after: str | None = None
        for _ in range(_MOST_PAGES):
            page = self._put(owner, "recommender.overview", (), None, {"after": after, "limit": 50})
            yield from page["collections"]
            after = page["next"]
            if after is None:
                return

    def items(self, ids: list[str], collection: str) -> dict[str, dict[str, Any]]:
        """Items as they stand, by id; without those that are not there."""
        found = self.ask("recommender.get", ids, collection=collection)
        return {view["item_id"]: view for view in found if view is not None}

    def outcome(self, position: Any) -> dict[str, Any] | None:
        """The event that answers a command; ``None``: it waits for its owner, which will decide it."""
        try:
            return self.client.outcome(position, timeout_s=OUTCOME_TIMEOUT_S)
        except TimeoutError:
            return None

    def outcomes(self, keys: list[str], collection: str) -> list[dict[str, Any] | None]:
        """The events that answer commands that were sent in this order, by their keys, once the last is decided.

        Args:
            keys: of the commands, at most 1,000.
            collection: of the commands.

        Returns:
            ``None`` for each that waits for its owner.
        """
        end_s, pause_s = time.monotonic() + ANSWER_TIMEOUT_S, _FIRST_PAUSE_S
        try:
            while self.ask("recommender.outcomes", keys[-1:], collection=collection)[0] is None:
                if time.monotonic() + pause_s > end_s:
                    break
                time.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            found: list[dict[str, Any] | None] = self.ask("recommender.outcomes", keys, collection=collection)
        except OwnerAway:
            return [None] * len(keys)
        return found

    def answer(
        self, one: str, answer: str, other: str | None, collection: str, by: str, key: str
    ) -> dict[str, Any] | None:
        """Send a person's answer; its outcome, see `outcome`. With the same key it has one effect.

        Raises:
            RedisError: it may not have been sent.
            Overloaded: it was not sent.
        """
        return self.outcome(self.client.feedback(one, answer, other, collection=collection, by=by, key=key))

    def configure(self, collection: str, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """Set the settings of a collection; the outcome."""
        return self.outcome(self.client.configure(collection, settings))

    def _put(
        self, owner: Health, question: str, args: tuple[Any, ...], collection: str | None, options: dict[str, Any]
    ) -> Any:
        about = {} if collection is None else {"collection": collection}
        client = self.client if collection is not None else self._of(owner.partition)
        timeout_s = ANSWER_TIMEOUT_S if owner.state == "running" else _SILENT_TIMEOUT_S
        try:
            return client.ask(question, *args, timeout_s=timeout_s, **about, **options)
        except (TimeoutError, TaskRevokedError):  # revoked: an owner that came back found the question too old
            raise OwnerAway(self._health(owner.partition).state) from None
        except OperationalError:
            raise OwnerAway("unreachable") from None

    def _of(self, partition: str) -> Client:
        """A client whose home is a partition."""
        if partition == self.settings.home:
            return self.client
        if partition not in self._clients:
            self._clients[partition] = Client(self.settings.replaced(partition=partition), self.redis)
        return self._clients[partition]

    def _required(self, partition: str) -> Health:
        """The owner of a partition, which may answer."""
        owner = self._health(partition)
        if not owner.may_answer:
            raise OwnerAway(owner.state)
        return owner

    def _health(self, partition: str) -> Health:
        keys = PartitionKeys.of(partition, self.settings.key_prefix)
        try:
            status = read_status(self.redis, keys)
            waiting = commands_waiting(self.redis, keys, status)
            if status is None:
                return Health(partition, "away", waiting)
            age_ms = _STATUS_MS - int(self.redis.pttl(keys.status))
        except RedisError:
            return Health(partition, "unreachable")
        running = status.get("state") == "running"
        state: State = "silent" if age_ms > _SILENT_AFTER_MS else "running" if running else "starting"
        waited_s = float(status.get("oldest_waiting_s", 0.0))
        return Health(partition, state, waiting, waited_s, int(status.get("items", 0)), age_ms)
