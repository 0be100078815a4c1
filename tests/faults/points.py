"""Where a process can be made to die: names for moments in the production code, which knows nothing of them.

This table is the whole seam. Each point names a function or method of the product and a moment of its call; the test
build of the worker (``saboteur.py``) wraps what is named here, and nothing else.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

Moment = Literal["before", "after", "entered", "leaving", "half sent", "sent"]
"""When in a call.

* ``before``, ``after``: around the call of a function that returns.
* ``entered``, ``leaving``: in a context manager, before its block begins and after it ended well; ``after`` is when the
  context is left.
* ``half sent``, ``sent``: in a function that talks to Redis, when half of its MULTI … EXEC is in the socket, and when
  all of it is and the reply has not been read.
"""


def anything(result: object) -> bool:
    """Every call counts."""
    return True


def something(result: object) -> bool:
    """Only a call that returned something counts."""
    return bool(result[0] if isinstance(result, tuple) else result)


class Point(NamedTuple):
    """A moment at which a process can die.

    Attributes:
        name: ``STEP: MOMENT``, as a report shows it.
        target: ``module:name`` or ``module:class.method``.
        moment: when in the call.
        counts: which calls count, by what they returned; for ``after`` only.
        context: whether the target is a context manager.
    """

    name: str
    target: str
    moment: Moment
    counts: Callable[[object], bool] = anything
    context: bool = False

    @property
    def step(self) -> str:
        """The step of the main path."""
        return self.name.partition(":")[0]

    def resolve(self) -> tuple[Any, str]:
        """The object that holds the target, and its name there.

        Raises:
            AttributeError: the product has no such thing (any more).
        """
        module, _, path = self.target.partition(":")
        holder: Any = importlib.import_module(module)
        *outer, name = path.split(".")
        for part in outer:
            holder = getattr(holder, part)
        getattr(holder, name)
        return holder, name


_STORE = "recommender_engine.store.sqlite:SqliteStore.transaction"
_INCIDENTS = "recommender_engine.store.incidents:IncidentTable"
_INTERACTIONS = "recommender_engine.pipeline.interactions.interactions:Interactions"
_BEHAVIOUR = "recommender_engine.store.behaviour"
_EVENTS = "celery_recommender.broker.events.stream:EventsStream"
_COMMANDS = "celery_recommender.broker.commands.log:CommandsLog"
_SUBSCRIPTIONS = "recommender_engine.store.subscriptions:SubscriptionTable"
_ENGINE = "recommender_engine.pipeline.recommender:Recommender"
_DECIDING = "recommender_engine.pipeline.wiring.deciding:Deciding"
_SNAPSHOT = "recommender_engine.index.snapshot"
_OWNER = "celery_recommender.owner.owner:Owner"
_TENURE = "celery_recommender.owner.tenure:Tenure"
_IN_HAND = "celery_recommender.owner.poison.in_hand:BatchInHand"
_QUARANTINE = "celery_recommender.broker.coordination.quarantine:Quarantine"
_EXAMINATION = "celery_recommender.owner.poison.bisection"
_RECOVERY = "celery_recommender.owner.continuity.recovery:Recovery"
_MODELS = "recommender_engine.pipeline.commands.model_changes:ModelChanges"
_SECOND_MODELS = "recommender_engine.pipeline.vectors.second_models:SecondModels"
_SWITCHING = "recommender_engine.pipeline.vectors.switching:Switching"
_BACKUPS, _WRITING = "recommender_engine.backups", "recommender_engine.backups.writing"

POINTS = (
    # A fresh or a known state is opened.
    Point("open: tables made", "recommender_engine.store.schema:_create", "after"),
    Point("open: database ready", "recommender_engine.store.sqlite:connect", "after"),
    Point("open: partition claimed", "celery_recommender.owner.continuity.state_identity:StateIdentity.claim", "after"),
    Point("open: lease acquired", "celery_recommender.broker.coordination.lease:Lease.acquire", "after"),
    Point("open: stream kept above the position", f"{_COMMANDS}.keep_above", "after"),
    Point(
        "open: state and events stream compared",
        "celery_recommender.owner.delivery.publisher:Publisher.take_over",
        "after",
    ),
    # A, B: read, decode, hand over.
    Point("read: before", f"{_COMMANDS}.read", "before"),
    Point("read: after", f"{_COMMANDS}.read", "after", something),
    Point("decode: after", "celery_recommender.owner.tenure:decode", "after"),
    Point("inbox: filled", "celery_recommender.owner.loop.inbox:Inbox.put", "after"),
    Point("inbox: taken from", "celery_recommender.owner.loop.inbox:Inbox.take", "after", something),
    # C: embed.
    Point("embed: before", "recommender_engine.pipeline.vectors.embedding_step:EmbeddingStep.embed", "before"),
    Point("embed: begun ahead", f"{_ENGINE}.embed_ahead", "after"),
    Point("embed: after", "recommender_engine.pipeline.vectors.embedding_step:EmbeddingStep.embed", "after"),
    # D: candidates and decision.
    Point("candidates: after", "recommender_engine.pipeline.preparing:Preparation.search", "after"),
    Point("decide: before", f"{_DECIDING}.decide", "before"),
    Point("decide: after", f"{_DECIDING}.decide", "after"),
    # E: inside the transaction, and its end.
    Point("transaction: begun", _STORE, "entered", context=True),
    Point("transaction: before a vector", "recommender_engine.store.vectors:VectorTable.add", "before"),
    Point("transaction: after an item", "recommender_engine.store.items:ItemTable.insert", "after"),
    Point("transaction: before an event", "recommender_engine.store.outbox:Outbox.add", "before"),
    Point("transaction: after an event", "recommender_engine.store.outbox:Outbox.add", "after"),
    Point("transaction: a list made again", f"{_SUBSCRIPTIONS}.looked", "before"),
    Point("transaction: lists marked", f"{_SUBSCRIPTIONS}.go_on", "after"),
    Point("transaction: distances written", "recommender_engine.pipeline.candidates.novelty:Novelty.flush", "after"),
    Point("transaction: before an incident", f"{_INCIDENTS}.put", "before"),
    Point("transaction: after an incident", f"{_INCIDENTS}.put", "after"),
    Point("transaction: hours of traffic counted", f"{_INCIDENTS}.count", "after"),
    Point("transaction: before interactions are written", f"{_BEHAVIOUR}:BehaviourTable.flush", "before"),
    Point("transaction: interactions written", f"{_BEHAVIOUR}:BehaviourTable.flush", "after"),
    Point("transaction: before rows of behaviour are written", f"{_BEHAVIOUR}_rows:BehaviourRowTable.write", "before"),
    Point("transaction: rows of items written", f"{_BEHAVIOUR}_rows:BehaviourRowTable._write_items", "after"),
    Point("transaction: rows of behaviour written", f"{_BEHAVIOUR}_rows:BehaviourRowTable.write", "after"),
    Point("transaction: a user merged", f"{_INTERACTIONS}.merge", "after"),
    Point("transaction: a user erased", f"{_BEHAVIOUR}:BehaviourTable.erase_user", "after"),
    Point("transaction: learned again", f"{_BEHAVIOUR}_rows:BehaviourRowTable.catch_up", "after"),
    Point("transaction: before the position", "recommender_engine.pipeline.batch:Batch.finish", "before"),
    Point("transaction: after the position", "recommender_engine.pipeline.batch:Batch.finish", "after"),
    Point(
        "commit: before asking for the lease", "celery_recommender.broker.coordination.lease:Lease.require", "before"
    ),
    Point("commit: before", _STORE, "leaving", context=True),
    Point("commit: after", _STORE, "after", context=True),
    # F: the indexes in memory, and what an erasure leaves in the file.
    Point("index: before", "recommender_engine.pipeline.vectors.indexes:Indexes.apply", "before"),
    Point("index: after", "recommender_engine.pipeline.vectors.indexes:Indexes.apply", "after"),
    Point("scrub: before", "recommender_engine.store.sqlite:SqliteStore.truncate_log", "before"),
    Point("scrub: after", "recommender_engine.store.sqlite:SqliteStore.truncate_log", "after"),
    # G: publish.
    Point("publish: before", f"{_EVENTS}.publish", "before"),
    Point("publish: half of MULTI/EXEC sent", f"{_EVENTS}.publish", "half sent"),
    Point("publish: MULTI/EXEC sent, no reply", f"{_EVENTS}.publish", "sent"),
    Point("publish: after", f"{_EVENTS}.publish", "after"),
    Point("redact: before", f"{_EVENTS}.remove", "before"),
    Point("redact: after", f"{_EVENTS}.remove", "after"),
    # H: what has arrived is noted; what is old is dropped.
    Point("acknowledge: before", f"{_ENGINE}.acknowledge", "before"),
    Point("acknowledge: after", f"{_ENGINE}.acknowledge", "after"),
    Point("prune: before", "recommender_engine.pipeline.migration.retention:Retention._prune", "before"),
    Point("prune: after", "recommender_engine.pipeline.migration.retention:Retention._prune", "after"),
    # The courier.
    Point("courier: before", "celery_recommender.celery.worker.result_delivery:ResultDelivery.__call__", "before"),
    Point(
        "courier: caller told, request kept",
        "celery_recommender.celery.worker.result_delivery:ResultDelivery._complete",
        "after",
    ),
    Point("courier: after", "celery_recommender.celery.worker.result_delivery:ResultDelivery.__call__", "after"),
    # I: trim.
    Point("trim: before", "celery_recommender.broker.commands.trimming:Trimming.trim", "before"),
    Point("trim: sent, no reply", "celery_recommender.broker.commands.trimming:Trimming.trim", "sent"),
    Point("trim: after", "celery_recommender.broker.commands.trimming:Trimming.trim", "after"),
    # J: snapshots of indexes.
    Point("snapshot: graph in a temporary file", "recommender_engine.index.hnsw:HnswIndex.save", "after"),
    Point("snapshot: before a rename", "pathlib:Path.rename", "before"),
    Point("snapshot: after a rename", "pathlib:Path.rename", "after"),
    Point("snapshot: file published", f"{_SNAPSHOT}:whole_file", "after", context=True),
    Point("snapshot: graph there, no manifest", f"{_SNAPSHOT}:_write_graph", "after"),
    Point("snapshot: before older ones go", f"{_SNAPSHOT}:_prune", "before"),
    Point("snapshot: written, not noted", f"{_SNAPSHOT}:write", "after"),
    # The ordered end.
    Point("stop: asked for", f"{_OWNER}.stop", "before"),
    Point("stop: before the last publishing", f"{_TENURE}._finish", "before"),
    Point("stop: after the last trim", f"{_TENURE}._finish", "after"),
    Point("stop: lease released", "celery_recommender.broker.coordination.lease:Lease.release", "after"),
    Point("stop: before the last snapshots", f"{_ENGINE}.close", "before"),
    Point("stop: closed", f"{_ENGINE}.close", "after"),
    # The note of the batch in hand.
    Point("in hand: before it is noted", f"{_IN_HAND}.take", "before"),
    Point("in hand: noted", f"{_IN_HAND}.take", "after"),
    Point("stop: before the batch is put down", f"{_IN_HAND}.put_down", "before"),
    Point("stop: batch put down", f"{_IN_HAND}.put_down", "after"),
    # A batch over which processes have died is searched.
    Point("examination: suspicion found", f"{_IN_HAND}.suspicion", "after", something),
    Point("examination: before", f"{_EXAMINATION}:Bisection.find", "before"),
    Point("examination: process ready", f"{_EXAMINATION}:_TrialProcess._start", "after"),
    Point("examination: before a part", f"{_EXAMINATION}:_TrialProcess.failure", "before"),
    Point("examination: after a part", f"{_EXAMINATION}:_TrialProcess.failure", "after"),
    Point("examination: harm seen", f"{_EXAMINATION}:_TrialProcess.failure", "after", something),
    Point("examination: culprits found", f"{_EXAMINATION}:Bisection.find", "after", something),
    # What is found is set aside.
    Point("quarantine: before old findings go", f"{_QUARANTINE}.forget", "before"),
    Point("quarantine: old findings gone", f"{_QUARANTINE}.forget", "after"),
    Point("quarantine: findings read", f"{_QUARANTINE}.read", "after"),
    Point("quarantine: before", f"{_QUARANTINE}.add", "before"),
    Point("quarantine: half of MULTI/EXEC sent", f"{_QUARANTINE}.add", "half sent"),
    Point("quarantine: MULTI/EXEC sent, no reply", f"{_QUARANTINE}.add", "sent"),
    Point("quarantine: after", f"{_QUARANTINE}.add", "after"),
    Point("quarantine: before the suspicion is cleared", f"{_IN_HAND}.clear", "before"),
    Point("quarantine: suspicion cleared", f"{_IN_HAND}.clear", "after"),
    # A restored state catches up with its events.
    Point("recovery: before", f"{_RECOVERY}.begin", "before"),
    Point("recovery: time of a command noted", f"{_RECOVERY}._note_time", "after"),
    Point("recovery: begun", f"{_RECOVERY}.begin", "after"),
    Point("recovery: before a batch is compared", f"{_RECOVERY}._compare", "before"),
    Point("recovery: batch compared", f"{_RECOVERY}._compare", "after"),
    Point("recovery: before going on behind the stream", f"{_ENGINE}.continue_after", "before"),
    Point("recovery: going on behind the stream", f"{_ENGINE}.continue_after", "after"),
    # Backups.
    Point("backup: before the database is held still", f"{_ENGINE}.begin_copy", "before"),
    Point("backup: database held still", f"{_ENGINE}.begin_copy", "after"),
    Point("backup: before", f"{_BACKUPS}:write", "before"),
    Point("backup: leftovers cleared", f"{_WRITING}:_clear", "after"),
    Point("backup: before the database is copied", f"{_WRITING}:_write_database", "before"),
    Point("backup: database there, no manifest", f"{_WRITING}:_write_database", "after"),
    Point("backup: manifest in a temporary file", f"{_WRITING}:whole_file", "leaving", context=True),
    Point("backup: manifest there, nothing verified", f"{_WRITING}:whole_file", "after", context=True),
    Point("backup: verified", f"{_WRITING}:verify", "after"),
    Point("backup: before the rename", f"{_WRITING}:whole_directory", "leaving", context=True),
    Point("backup: in its place", f"{_WRITING}:whole_directory", "after", context=True),
    Point("backup: before older ones go", f"{_BACKUPS}:prune", "before"),
    Point("backup: before an older one goes", f"{_WRITING}:_delete", "before"),
    Point("backup: its files deleted, its directory there", "os:rmdir", "before"),
    Point("backup: an older one gone", f"{_WRITING}:_delete", "after"),
    Point("backup: older ones gone", f"{_BACKUPS}:prune", "after"),
    Point("backup: before it is noted", "celery_recommender.owner.continuity.backups:BackupKeeper._end", "before"),
    Point("backup: noted", "celery_recommender.owner.continuity.backups:BackupKeeper._end", "after"),
    # The model of a collection changes.
    Point("model: before it is proposed", f"{_MODELS}.propose", "before"),
    Point("model: proposed", f"{_MODELS}.propose", "after"),
    Point("model: a slice begun", f"{_SECOND_MODELS}._begin", "after", something),
    Point("model: before a slice is stored", f"{_SECOND_MODELS}._finish", "before"),
    Point("model: a slice stored", f"{_SECOND_MODELS}._finish", "after"),
    Point("model: before the switch", f"{_SWITCHING}.switch", "before"),
    Point("model: vectors there", f"{_SWITCHING}._vectors", "after"),
    Point("model: items switched", "recommender_engine.store.second_models:SecondModelTable.switch", "after"),
    Point("model: old points gone", "recommender_engine.store.second_models:SecondModelTable.drop_points", "after"),
    Point("model: index made", "recommender_engine.pipeline.vectors.indexes:Indexes.switch", "after"),
    Point("model: promoted", f"{_MODELS}.promote", "after"),
    Point("model: before it is dropped", f"{_MODELS}.drop", "before"),
    Point("model: dropped", f"{_MODELS}.drop", "after"),
    Point("model: vectors swept", "recommender_engine.store.vectors:VectorTable.sweep", "after", something),
)
BY_NAME = {point.name: point for point in POINTS}
assert len(BY_NAME) == len(POINTS), "two points have one name"
