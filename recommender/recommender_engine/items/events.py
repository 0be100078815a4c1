"""Events of the engine: one class of data per type, in a CloudEvents 1.0 envelope."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal

from recommender_engine.items.collection import CollectionSettings
from recommender_engine.items.decisions import Band, HitRate, Probability, Reason, Recommendation
from recommender_engine.items.entry_id import EntryId
from recommender_engine.items.values import Attributes, Value

Revision = Literal["item_deleted", "item_expired", "item_changed", "feedback", "groups_merged"]
GroupChange = Literal["joined", "left", "merged", "split", "canonical_changed"]
IncidentEnd = Literal["calm", "merged", "switched_off", "collection_deleted"]
IgnoreReason = Literal["older_version", "unknown_item"]
MoveStep = Literal["sealed", "begun", "receiving", "arrived", "released", "cancelled"]


class Cause(Value):
    """The command that an event answers.

    Attributes:
        id: its position in the commands log (what XADD returned).
        key: the producer's key, if it gave one.
    """

    id: str
    key: str | None = None


class Timings(Value):
    """Where the time went; the only part of an event that a replay does not repeat.

    Attributes:
        embed_ms: milliseconds the batch spent in the model, divided by the texts it embedded.
        decide_ms: milliseconds spent on this item's neighbours and verdict.
    """

    embed_ms: float
    decide_ms: float


class EventData(Value):
    """Base of the data of all events."""

    type: ClassVar[str]
    command: Cause


class ItemProcessed(EventData):
    """The verdict on one item.

    Attributes:
        item_id: the item; ``collection`` is where it lives.
        revision: 1 for a new item, counted up by every change.
        band: ``duplicate``, ``review``, ``similar`` or ``new``.
        duplicate_of: id of the earlier item that this one repeats; set if and only if the band is ``duplicate``.
        canonical_id: the item that represents the whole group; the item itself when it has no duplicate.
        group: stable id of the group of items judged to be the same thing.
        matched_id: the single closest item, which ``probability`` and ``similarity`` speak about.
        probability: that the item and ``matched_id`` are the same thing, in [0, 1].
        similarity: cosine of the two embeddings, in [-1, 1].
        reasons: the evidence, strongest first.
        explanation: the same in one sentence.
        recommendations: similar items, best first; duplicates of one another appear once.
        recommendation_id: names this list in ``recommendation.shown``; the id of the event. ``None`` if the list
            is empty.
        novelty: how unlike anything before it is: share of recent arrivals that were closer to their five nearest
            items, in [0, 1]; ``None`` while too few arrived before, and of a text that was sent again.
        truncated: whether the text was longer than the model reads.
        model: identity of the embedding model.
    """

    type: ClassVar = "recommender.item.processed.v1"
    item_id: str
    collection: str
    revision: int
    band: Band
    duplicate_of: str | None
    canonical_id: str
    group: str
    matched_id: str | None
    probability: Probability
    similarity: float | None
    reasons: tuple[Reason, ...]
    explanation: str
    recommendations: tuple[Recommendation, ...]
    recommendation_id: str | None = None
    novelty: Probability | None = None
    truncated: bool
    model: str
    timings: Timings


class ItemRevised(EventData):
    """The new verdict on an earlier item; replaces the previous one. The fields are those of ``item.processed``.

    Attributes:
        cause: what changed it: the other item was deleted, expired or changed its text, feedback, or a new item that
            joined two groups.
        previous_band: the band until now.
        previous_duplicate_of: the item that it repeated until now.
    """

    type: ClassVar = "recommender.item.revised.v1"
    item_id: str
    collection: str
    revision: int
    cause: Revision
    previous_band: Band
    previous_duplicate_of: str | None
    band: Band
    duplicate_of: str | None
    canonical_id: str
    group: str
    matched_id: str | None
    probability: Probability
    similarity: float | None
    reasons: tuple[Reason, ...]
    explanation: str


class GroupChanged(EventData):
    """A group of items judged to be the same thing has changed.

    Attributes:
        group: its id; it outlives its members.
        change: items ``joined`` or ``left``; another group ``merged`` into it; some of its items were ``split`` off;
            another item is canonical (``canonical_changed``).
        items: those that joined, left, came with the other group or were split off; the new canonical item. At most
            a hundred.
        other_group: the group that merged into this one, or that was split off.
        canonical_id: the item that represents the group now; ``None`` when the group is empty.
        size: number of its items now.
    """

    type: ClassVar = "recommender.group.changed.v1"
    collection: str
    group: str
    change: GroupChange
    items: tuple[str, ...]
    other_group: str | None
    canonical_id: str | None
    size: int


class FeedbackAccepted(EventData):
    """A person's answer is recorded and holds from now on.

    Attributes:
        item_id, other_id: the two items.
        answer: ``same``, ``different``, or ``unsure``: an earlier answer was taken back.
        by: name of the person.
        probability: that the two are the same, by the matcher before the answer, in [0, 1].
        answers: how many answers the collection has learned from.
    """

    type: ClassVar = "recommender.feedback.accepted.v1"
    item_id: str
    collection: str
    other_id: str
    answer: Literal["same", "different", "unsure"]
    by: str | None
    probability: Probability
    answers: int


class InteractionAccepted(EventData):
    """An interaction is recorded. It is the outcome of its command and is not published; it names no user.

    Attributes:
        item_id: the item.
        kind: of the interaction.
    """

    type: ClassVar = "recommender.interaction.accepted.v1"
    item_id: str
    collection: str
    kind: str


class ListShown(EventData):
    """A shown list is stored. It is the outcome of its command and is not published; it names no user.

    Attributes:
        recommendation_id: of the list.
        scenario, arm: what it is counted under.
        repeated: it does not count: the list was there already, or was shown more than 28 days ago.
    """

    type: ClassVar = "recommender.recommendation.shown.v1"
    collection: str
    recommendation_id: str
    scenario: str | None
    arm: str | None
    repeated: bool


class RecommendationsJudged(HitRate, EventData):
    """What became of the lists that were shown on one day, once they can have no more hits: a day later.

    The other fields are those of the question ``hits``; the lists are of one scenario and arm.

    Attributes:
        since_ms, until_ms: the day in UTC, in milliseconds since 1970.
    """

    type: ClassVar = "recommender.recommendations.judged.v1"
    collection: str
    since_ms: int
    until_ms: int


class UserMerged(EventData):
    """A session is part of a user's profile now; not published. ``merged`` is false if there was no such session."""

    type: ClassVar = "recommender.user.merged.v1"
    collection: str
    merged: bool


class UserErased(EventData):
    """A user is deleted; the event does not say which. ``interactions`` is how many were deleted with the user."""

    type: ClassVar = "recommender.user.erased.v1"
    collection: str
    interactions: int


class RecommendationsSubscribed(EventData):
    """Publishing a list of recommendations begins or ends. It does not say which user's.

    Attributes:
        item_id: the item whose list it is; ``None`` for a user's.
        scenario: the options of the list; ``None``: those of a plain request.
        subscribed: whether it is told from now on.
    """

    type: ClassVar = "recommender.recommendations.subscribed.v1"
    collection: str
    item_id: str | None
    scenario: str | None
    subscribed: bool


class ListedItem(Value):
    """An item of a list of recommendations.

    Attributes:
        id: the canonical item of its group.
        score: of the item, at least 0; comparable inside one list.
        group: its group.
        terms: what the score is made of, by name, before boosts: ``text`` (cosine), ``together`` (used together),
            ``bridge`` (used together with similar items), ``own`` (used before), ``users``, ``sessions``,
            ``interests``, ``popular``, ``trending``, ``newest``, ``pinned``; each in [0, 1] before it is weighed.
        why: the same for people, strongest first.
    """

    id: str
    score: float
    group: str
    terms: dict[str, float]
    why: str


class RecommendationsUpdated(EventData):
    """A subscribed list of recommendations as it is now.

    Attributes:
        command: before which it was noticed, without its key; the change came earlier.
        item_id: the item whose list it is; ``None`` for a user's.
        user: the user whose list it is; ``None`` for an item's.
        scenario: the options of the list; ``None``: those of a plain request.
        recommendations: the list, best first.
        came: ids that were not in the list that was told last.
        went: ids that were in it and are not in this one.
        recommendation_id: names this list in ``recommendation.shown``; the id of the event. ``None`` if the list is
            empty.
        arm: of the experiment of the scenario, if the user is in one.
    """

    type: ClassVar = "recommender.recommendations.updated.v1"
    collection: str
    item_id: str | None
    user: str | None
    scenario: str | None
    recommendations: tuple[ListedItem, ...]
    came: tuple[str, ...]
    went: tuple[str, ...]
    recommendation_id: str | None = None
    arm: str | None = None


class ItemPatched(EventData):
    """Attributes changed; ``attributes`` are all of them as they stand now."""

    type: ClassVar = "recommender.item.patched.v1"
    item_id: str
    collection: str
    revision: int
    attributes: Attributes


class ItemDeleted(EventData):
    """The item was deleted: ``erased`` with every trace of its text, ``expired`` at the end of its time to live."""

    type: ClassVar = "recommender.item.deleted.v1"
    item_id: str
    collection: str
    erased: bool
    expired: bool = False


class CommandIgnored(EventData):
    """A valid command that changed nothing: an older version, or an item that is not there."""

    type: ClassVar = "recommender.command.ignored.v1"
    item_id: str
    collection: str
    reason: IgnoreReason


class CommandRejected(EventData):
    """A message that could not be accepted, with the reason and its content.

    Attributes:
        code: machine-readable reason.
        field: the field that is wrong, if it is one.
        message: the reason in a sentence.
        item_id: the item it was about, as far as that can be read; ``collection`` is where it lives.
        command_type: the type it claimed.
        payload: the beginning of the original, at most 8 KiB; UTF-8 text, or Base64, see ``payload_encoding``.
            The dead letter holds all of it.
        payload_bytes: length of the original; longer than ``payload`` when that was truncated.
        source: how it came: through the ``stream``, as a message to ``celery`` that is no command, from the
            ``delivery`` of an event that the user's task could not be called with, from the ``forward`` of a command
            that could not be passed on to another partition, or from a ``webhook`` whose endpoint took no event.
    """

    type: ClassVar = "recommender.command.rejected.v1"
    code: str
    field: str | None
    message: str
    item_id: str | None
    collection: str | None
    command_type: str
    payload: str
    payload_encoding: Literal["utf-8", "base64"]
    payload_bytes: int
    source: Literal["stream", "celery", "delivery", "forward", "webhook"] = "stream"


class CollectionConfigured(EventData):
    """A collection has new settings."""

    type: ClassVar = "recommender.collection.configured.v1"
    collection: str
    settings: CollectionSettings


class CollectionDeleted(EventData):
    """A collection was deleted with all its items.

    Attributes:
        items: number of its items; 0 if there was no such collection.
    """

    type: ClassVar = "recommender.collection.deleted.v1"
    collection: str
    items: int


class ModelProposed(EventData):
    """The items of a collection are being embedded by a second model; nothing is decided by it yet.

    Attributes:
        model: its name.
        digest: fingerprint of its files.
        dimension: length of its vectors.
        items: of the collection.
    """

    type: ClassVar = "recommender.model.proposed.v1"
    collection: str
    model: str
    digest: str
    dimension: int
    items: int


class ModelPromoted(EventData):
    """What is behind this event in the collection is decided by another model; that of before is its second one now.

    Attributes:
        model: name of the model.
        digest: fingerprint of its files.
        before: name and fingerprint of the model of before, as ``name@fingerprint``.
        items: of the collection, all of which have their vectors of it.
    """

    type: ClassVar = "recommender.model.promoted.v1"
    collection: str
    model: str
    digest: str
    before: str
    items: int


class ModelDropped(EventData):
    """The second model of a collection is gone, with its vectors.

    Attributes:
        model: its name.
        digest: fingerprint of its files.
    """

    type: ClassVar = "recommender.model.dropped.v1"
    collection: str
    model: str
    digest: str


class ItemsBackfilled(EventData):
    """Summary of silent commands since the last summary.

    Attributes:
        collection: where they went.
        commands: how many.
        bands: of the items among them, by band.
    """

    type: ClassVar = "recommender.items.backfilled.v1"
    collection: str
    commands: int
    bands: dict[Band, int]


class CommandForwarded(EventData):
    """The command is for a collection of another partition, and was passed on: its outcome is in that one's events.

    Attributes:
        collection: which it is about; ``item_id`` is the item, if it is about one.
        to: the partition.
        key: the command's key there: its own, or one derived from its position.
    """

    type: ClassVar = "recommender.command.forwarded.v1"
    collection: str
    item_id: str | None
    to: str
    key: str


class CollectionMoved(EventData):
    """A step of a collection's move from one partition to another.

    Attributes:
        move: names the move.
        step: the ``source`` has it ``sealed``, and at the end ``released``; at the ``target`` it has ``begun`` to
            arrive, is ``receiving``, has ``arrived``; or the move was ``cancelled``.
        items: how many items it has where the step is done.
        groups_offset: when it has arrived: the group ``g7`` of the source is ``g(7 + groups_offset)`` from now on.
    """

    type: ClassVar = "recommender.collection.moved.v1"
    collection: str
    move: str
    step: MoveStep
    source: str
    target: str
    items: int
    groups_offset: int | None


class IncidentWindow(Value):
    """A window of time that ends with the event.

    Attributes:
        seconds: its length.
        items: of the group, in it.
        expected: how many are usual.
        score: minus the decimal logarithm of the probability of so many or more; 0 where the window does not count.
    """

    seconds: int
    items: int
    expected: float
    score: float


class IncidentOpened(EventData):
    """A group grows out of its own baseline: an outage, most likely.

    Attributes:
        incident: names it within its collection.
        group: the group, as it is now.
        canonical_id: the item that stands for the group; ``None`` when none is visible.
        examples: ids of its latest items, at most five, in order of arrival.
        items: how many it has had.
        rate_per_hour: items per hour in the window with the highest score.
        usual_per_hour: how many are usual at this hour of the week.
        score: the highest of the windows.
        windows: ten minutes, an hour and six hours.
        opened_ms: stream time at which it opened, in milliseconds since 1970.
        explanation: the same in one sentence.
    """

    type: ClassVar = "recommender.incident.opened.v1"
    collection: str
    incident: str
    group: str
    canonical_id: str | None
    examples: tuple[str, ...]
    items: int
    rate_per_hour: float
    usual_per_hour: float
    score: float
    windows: tuple[IncidentWindow, ...]
    opened_ms: int
    explanation: str


class IncidentUpdated(IncidentOpened):
    """An open incident has twice as many items as were published last. The fields are those of ``incident.opened``."""

    type: ClassVar = "recommender.incident.updated.v1"


class IncidentClosed(EventData):
    """An incident is over.

    Attributes:
        incident, group, canonical_id, opened_ms: as in ``incident.opened``.
        items: how many it has had.
        peak: the most items within ten minutes.
        closed_ms: stream time at which it ended, in milliseconds since 1970.
        reason: the last hour was ``calm``; its group ``merged`` with that of an older incident; the setting was
            ``switched_off``; or ``collection_deleted``.
        explanation: the same in one sentence.
    """

    type: ClassVar = "recommender.incident.closed.v1"
    collection: str
    incident: str
    group: str
    canonical_id: str | None
    items: int
    peak: int
    opened_ms: int
    closed_ms: int
    reason: IncidentEnd
    explanation: str


EVENT_TYPES: dict[str, type[EventData]] = {
    model.type: model
    for model in (
        ItemProcessed,
        ItemRevised,
        GroupChanged,
        FeedbackAccepted,
        InteractionAccepted,
        ListShown,
        RecommendationsJudged,
        UserMerged,
        UserErased,
        RecommendationsSubscribed,
        RecommendationsUpdated,
        ItemPatched,
        ItemDeleted,
        CommandIgnored,
        CommandRejected,
        CollectionConfigured,
        CollectionDeleted,
        ModelProposed,
        ModelPromoted,
        ModelDropped,
        ItemsBackfilled,
        CommandForwarded,
        CollectionMoved,
        IncidentOpened,
        IncidentUpdated,
        IncidentClosed,
    )
}


@dataclass(frozen=True, slots=True)
class Event:
    """One event with its place in the events stream.

    Attributes:
        id: entry id in the events stream, given when the event is committed.
        data: what happened.
        silent: kept as the outcome of its command but not published.
        traceparent: trace context of the command, if its producer gave one.
    """

    id: EntryId
    data: EventData
    silent: bool = False
    traceparent: str | None = None

    @property
    def subject(self) -> tuple[str, str] | None:
        """Collection and id of the item it is about."""
        item_id = getattr(self.data, "item_id", None)
        return None if item_id is None else (self.data.collection, item_id)  # type: ignore[attr-defined]

    def to_json(self, source: str) -> str:
        """The CloudEvents 1.0 envelope as JSON; ``source`` names the partition."""
        subject = self.subject
        envelope = {
            "specversion": "1.0",
            "id": str(self.id),
            "source": source,
            "type": self.data.type,
            **({"subject": subject[1]} if subject else {}),
            **({"time": _rfc3339(self.id.ms)} if self.id.ms <= _LAST_MS else {}),
            **({"traceparent": self.traceparent} if self.traceparent else {}),
            "datacontenttype": "application/json",
            "data": self.data.model_dump(mode="json"),
        }
        return _JSON.encode(envelope)


# Made once: ``json.dumps`` makes one at each call.
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

# The end of the year 9999. A producer may give its entry an id of its own, in microseconds for example; such an event
# has no time rather than a wrong one.
_LAST_MS = 253_402_300_799_999


def _rfc3339(ms: int) -> str:
    return (datetime.fromtimestamp(ms // 1000, UTC) + timedelta(milliseconds=ms % 1000)).isoformat(
        timespec="milliseconds"
    )
