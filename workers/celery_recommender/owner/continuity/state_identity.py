"""Identity of the state directory that a partition belongs to."""

from __future__ import annotations

from typing import Any

from celery_recommender.broker.commands.continuity import group_and_last_id
from celery_recommender.broker.coordination.held_partition import HeldPartition
from celery_recommender.broker.coordination.proofs import Proofs
from recommender_engine import Recommender
from recommender_engine.errors import StateError
from recommender_engine.items import START, EntryId


class ForeignState(StateError):
    """The partition belongs to another state directory."""


class StateIdentity:
    """The partition's entry in Redis that names the state directory which owns it.

    A worker with an empty or foreign state directory must not decide commands again that another has decided, nor trim
    commands that the other has not read. A second process on the same directory is excluded by the directory's lock.

    Args:
        engine: has the secrets of the partition in its notes.
        partition: to claim.
        proofs: of its commands stream.
    """

    def __init__(self, engine: Recommender, partition: HeldPartition, proofs: Proofs) -> None:
        self._engine = engine
        self._partition = partition
        self._proofs = proofs

    def claim(self) -> None:
        """Claim the partition if no state directory has it, and reconcile its secrets with those of the state.

        Raises:
            ForeignState: it belongs to another state directory; the message says what to do.
        """
        redis, key, state = self._partition.redis, self._partition.keys.state, self._partition.state
        found: Any = redis.get(key)
        if found is None:  # otherwise no write: a full server refuses it
            redis.set(key, state, nx=True)
            found = redis.get(key)
        if found != state.encode():
            raise ForeignState(
                "the partition belongs to another state directory: use that one (RECOMMENDER_STATE_DIR), or choose "
                "another RECOMMENDER_PARTITION. If that state is lost, put its newest backup in place with "
                f"`recommender restore`. Only if there is none: DEL {key}, and this one takes over with what is "
                "still in the commands stream"
            )
        noted = self._engine.notes.secrets()
        if (known := self._proofs.keep(noted, self._before_proofs(noted))) != noted:
            self._engine.notes.keep_secrets(known)

    def _before_proofs(self, noted: list[str]) -> EntryId:
        """Position of the last command that was appended for a state of a release without proofs."""
        if noted or self._engine.position == START:
            return START
        return group_and_last_id(self._partition.redis, self._partition.keys.commands)[1] or START
