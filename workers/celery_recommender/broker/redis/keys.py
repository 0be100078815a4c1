"""Names of what a partition has in Redis. Built from the partition alone: nothing a message says becomes a key."""

from __future__ import annotations

from typing import NamedTuple


class PartitionKeys(NamedTuple):
    """Keys of one partition.

    Attributes:
        commands: the commands stream.
        events: the events stream.
        events_trimmed: hash of what consumer groups have missed, by group.
        rewritten: the commands stream while it is written anew, with other ids.
        replies: hash of Celery requests that wait for an outcome, by task id.
        status: the owner's status.
        state: identity of the state directory that owns the partition.
        lease: the current owner of the partition; expires unless it is renewed.
        epoch: the number of that owner's epoch; every new owner's is higher.
        trimmed: up to where the commands stream has been trimmed, and by which state.
        dead_letters: stream of what was rejected, quarantined, or refused at the Celery door.
        quarantined: hash of commands that end every process which decides them, by position.
        embed_requests: hash of batches of texts that embed workers are asked for, by request.
        embed_replies: list of what they say.
        proof: hash of the secret by which commands of owners and movers are proven. Only they may read it; no other key
            behind the name of the partition begins with a ``p``, which is what users are kept off by.
        web: what names of the web page's keys begin with: sessions, claims, each with an end.
        queue: the Celery queue that only the owner consumes, by its name; kombu puts the prefix before it.
        queue_key: the list that holds it.
    """

    commands: str
    events: str
    events_trimmed: str
    rewritten: str
    replies: str
    status: str
    state: str
    lease: str
    epoch: str
    trimmed: str
    dead_letters: str
    quarantined: str
    embed_requests: str
    embed_replies: str
    proof: str
    web: str
    queue: str
    queue_key: str

    @classmethod
    def of(cls, partition: str, key_prefix: str = "") -> PartitionKeys:
        """The keys of ``partition``.

        Args:
            partition: its name.
            key_prefix: of every key (``RECOMMENDER_KEY_PREFIX``).
        """
        prefix = f"{key_prefix}recommender:{partition}"
        return cls(
            f"{prefix}:commands",
            f"{prefix}:events",
            f"{prefix}:events-trimmed",
            f"{prefix}:commands-rewritten",
            f"{prefix}:replies",
            f"{prefix}:status",
            f"{prefix}:state",
            f"{prefix}:lease",
            f"{prefix}:epoch",
            f"{prefix}:trimmed",
            f"{prefix}:dead-letters",
            f"{prefix}:quarantined",
            f"{prefix}:embed-requests",
            f"{prefix}:embed-replies",
            f"{prefix}:private:proof",
            f"{prefix}:web:",
            f"recommender.{partition}",
            f"{key_prefix}recommender.{partition}",
        )


ROUTES = "recommender:routes"
"""Hash of collections that are not where hash and settings put them: the partition of each, of all partitions.

It begins with the key prefix too."""

GROUP = "recommender"
"""A consumer group beside the commands stream, moved along so that standard tools see the lag."""
