"""Which state directory a partition belongs to."""

from __future__ import annotations

from typing import Any

from celery_recommender.broker.commands.continuity import group_and_last_id
from celery_recommender.broker.coordination.held_partition import HeldPartition
from celery_recommender.broker.coordination.proofs import Proofs
from recommender_engine import Recommender
from recommender_engine.errors import StateError
from recommender_engine.items import START, EntryId


class NotOurs(StateError):
    """The partition belongs to another state directory."""


class Ownership:
    """The partition's identity in Redis: that of the state directory which owns it.

    It keeps a worker with an empty or a foreign state directory from deciding what another one has decided, and from
    trimming what that one has not read. A second process on the same directory is kept out by the directory's lock.

    Args:
        engine: it has noted the secrets of the partition.
        partition: that is to be owned.
        proofs: of its commands stream.
    """

    def __init__(self, engine: Recommender, partition: HeldPartition, proofs: Proofs) -> None:
        self._engine = engine
        self._partition = partition
        self._proofs = proofs

    def claim(self) -> None:
        """Take the partition if no state directory has it, and bring its secrets into step with the state.

        Raises:
            NotOurs: it is another's; the message says what to do.
        """
        redis, key, state = self._partition.redis, self._partition.keys.state, self._partition.state
        found: Any = redis.get(key)
        if found is None:  # only then: a full server refuses what writes
            redis.set(key, state, nx=True)
            found = redis.get(key)
        if found != state.encode():
            raise NotOurs(
                "the partition belongs to another state directory: use that one (RECOMMENDER_STATE_DIR), or choose "
                "another RECOMMENDER_PARTITION. If that state is lost, put its newest backup in place with "
                f"`recommender restore`. Only if there is none: DEL {key}, and this one takes over with what is "
                "still in the commands stream"
            )
        noted = self._engine.notes.secrets()
        if (known := self._proofs.keep(noted, self._before_proofs(noted))) != noted:
            self._engine.notes.keep_secrets(known)

    def _before_proofs(self, noted: list[str]) -> EntryId:
        """Up to where commands stand that were appended for a state of a release without proofs."""
        if noted or self._engine.position == START:
            return START
        return group_and_last_id(self._partition.redis, self._partition.keys.commands)[1] or START
