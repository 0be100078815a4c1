"""Events in their CloudEvents 1.0 envelope."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from recommender_engine.items import (
    Band,
    Cause,
    CollectionConfigured,
    CollectionDeleted,
    CollectionMoved,
    CollectionSettings,
    CommandForwarded,
    CommandIgnored,
    CommandRejected,
    EntryId,
    Event,
    EventData,
    FeedbackAccepted,
    GroupChanged,
    IncidentClosed,
    IncidentOpened,
    IncidentUpdated,
    IncidentWindow,
    InteractionAccepted,
    ItemDeleted,
    ItemPatched,
    ItemProcessed,
    ItemRevised,
    ItemsBackfilled,
    ListedItem,
    ListShown,
    ModelDropped,
    ModelPromoted,
    ModelProposed,
    Reason,
    Recommendation,
    RecommendationsJudged,
    RecommendationsSubscribed,
    RecommendationsUpdated,
    Timings,
    UserErased,
    UserMerged,
)
from recommender_engine.items.events import EVENT_TYPES

SOURCE = "/recommender/default"
# What the JSON format of CloudEvents 1.0.2 asks for.
CLOUD_EVENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1, "format": "uri-reference"},
        "specversion": {"const": "1.0"},
        "type": {"type": "string", "minLength": 1},
        "datacontenttype": {"type": "string", "minLength": 1},
        "dataschema": {"type": "string", "minLength": 1},
        "subject": {"type": "string", "minLength": 1},
        "time": {"type": "string", "minLength": 1},
        "data": {},
        "data_base64": {"type": "string"},
    },
    "required": ["id", "source", "specversion", "type"],
    "propertyNames": {"pattern": "^[a-z0-9]{1,20}$|^datacontenttype$|^data_base64$"},
    "additionalProperties": {"type": ["string", "boolean", "integer"]},
}
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")

CAUSE = Cause(id="1700000000000-0", key="k")
ABOUT = {"command": CAUSE, "item_id": "T-1", "collection": "tickets"}
DELETED = ItemDeleted(command=CAUSE, item_id="T-1", collection="tickets", erased=True, expired=False)
INCIDENT: dict[str, Any] = {
    "command": CAUSE,
    "collection": "tickets",
    "incident": "i7",
    "group": "g1",
    "canonical_id": "T-1",
    "examples": ("T-1", "T-7"),
    "items": 7,
    "rate_per_hour": 42.0,
    "usual_per_hour": 0.1,
    "score": 12.4,
    "windows": (IncidentWindow(seconds=600, items=7, expected=0.02, score=12.4),),
    "opened_ms": 1_700_000_000_000,
    "explanation": "7 items like T-1 within 10 minutes, where none are usual",
}
EXAMPLES: tuple[EventData, ...] = (
    ItemProcessed(
        command=CAUSE,
        item_id="T-1",
        collection="tickets",
        revision=2,
        band=Band.DUPLICATE,
        duplicate_of="T-0",
        canonical_id="T-0",
        group="g1",
        matched_id="T-0",
        probability=0.97,
        similarity=0.93,
        reasons=(Reason(code="cosine_similarity", text="the meaning is 93% alike", detail={"similarity": 0.93}),),
        explanation="the meaning is 93% alike",
        recommendations=(Recommendation(id="T-9", score=0.5, group="g9"),),
        truncated=False,
        model="m@1",
        timings=Timings(embed_ms=1.5, decide_ms=0.25),
    ),
    ItemRevised(
        command=CAUSE,
        item_id="T-1",
        collection="tickets",
        revision=2,
        cause="item_deleted",
        previous_band=Band.DUPLICATE,
        previous_duplicate_of="T-0",
        band=Band.REVIEW,
        duplicate_of=None,
        canonical_id="T-1",
        group="g1",
        matched_id="T-5",
        probability=0.6,
        similarity=0.8,
        reasons=(Reason(code="cosine_similarity", text="the meaning is 80% alike"),),
        explanation="the meaning is 80% alike",
    ),
    GroupChanged(
        command=CAUSE,
        collection="tickets",
        group="g1",
        change="merged",
        items=("T-7", "T-8"),
        other_group="g7",
        canonical_id="T-1",
        size=4,
    ),
    FeedbackAccepted(
        command=CAUSE,
        item_id="T-1",
        collection="tickets",
        other_id="T-5",
        answer="different",
        by="ada",
        probability=0.6,
        answers=12,
    ),
    InteractionAccepted(command=CAUSE, item_id="T-1", collection="tickets", kind="view"),
    ListShown(command=CAUSE, collection="tickets", recommendation_id="r1", scenario="home", arm=None, repeated=False),
    RecommendationsJudged(
        command=CAUSE,
        collection="tickets",
        scenario="home",
        arm="fresh",
        since_ms=1_764_028_800_000,
        until_ms=1_764_115_200_000,
        lists=200,
        hits=30,
        hit_rate=0.15,
        hit_rate_low=0.107,
        hit_rate_high=0.206,
        items=2000,
        items_used=34,
        mean_reciprocal_rank=0.06,
    ),
    UserMerged(command=CAUSE, collection="tickets", merged=True),
    UserErased(command=CAUSE, collection="tickets", interactions=3),
    RecommendationsSubscribed(command=CAUSE, collection="tickets", item_id=None, scenario="home-page", subscribed=True),
    RecommendationsUpdated(
        command=CAUSE,
        collection="tickets",
        item_id="T-1",
        user=None,
        scenario=None,
        recommendations=(
            ListedItem(id="T-4", score=0.31, group="g4", terms={"text": 0.62, "together": 0.1}, why="similar to T-1"),
        ),
        came=("T-4",),
        went=("T-3",),
    ),
    ItemPatched(
        command=CAUSE, item_id="T-1", collection="tickets", revision=3, attributes={"price": 1.5, "sold": None}
    ),
    DELETED,
    CommandIgnored(command=CAUSE, item_id="T-1", collection="tickets", reason="older_version"),
    CommandRejected(
        command=CAUSE,
        code="not_json",
        field=None,
        message="not JSON",
        item_id=None,
        collection=None,
        command_type="item.upsert",
        payload="{",
        payload_encoding="utf-8",
        payload_bytes=1,
    ),
    CollectionConfigured(command=CAUSE, collection="tickets", settings=CollectionSettings()),
    CollectionDeleted(command=CAUSE, collection="tickets", items=3),
    ModelProposed(command=CAUSE, collection="tickets", model="tuned", digest="0" * 16, dimension=384, items=3),
    ModelPromoted(command=CAUSE, collection="tickets", model="tuned", digest="0" * 16, before="old@1", items=3),
    ModelDropped(command=CAUSE, collection="tickets", model="tuned", digest="0" * 16),
    ItemsBackfilled(command=CAUSE, collection="tickets", commands=3, bands={Band.NEW: 2, Band.DUPLICATE: 1}),
    CommandForwarded(command=CAUSE, collection="tickets", item_id="T-1", to="b", key="k"),
    CollectionMoved(
        command=CAUSE,
        collection="tickets",
        move="m",
        step="arrived",
        source="a",
        target="b",
        items=3,
        groups_offset=7,
    ),
    IncidentOpened(**INCIDENT),
    IncidentUpdated(**INCIDENT),
    IncidentClosed(
        command=CAUSE,
        collection="tickets",
        incident="i7",
        group="g1",
        canonical_id=None,
        items=60,
        peak=58,
        opened_ms=1_700_000_000_000,
        closed_ms=1_700_003_600_000,
        reason="calm",
        explanation="60 items in 60 minutes",
    ),
)

examples = pytest.mark.parametrize("data", EXAMPLES, ids=lambda data: type(data).__name__)
printable = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.isprintable)


def envelope(data: EventData, id_: EntryId = EntryId(1_700_000_000_123, 4)) -> dict[str, Any]:  # noqa: B008 (immutable)
    said: dict[str, Any] = json.loads(Event(id_, data).to_json(SOURCE))
    return said


def test_there_is_an_example_of_every_type() -> None:
    assert [data.type for data in EXAMPLES] == list(EVENT_TYPES)


@examples
def test_the_envelope_is_a_cloud_event(data: EventData) -> None:
    said = envelope(data)
    Draft202012Validator(CLOUD_EVENT).validate(said)
    assert RFC_3339.fullmatch(said["time"])
    assert said["type"] == data.type
    assert re.fullmatch(r"recommender(\.[a-z]+)+\.v\d+", said["type"])
    assert (said["id"], said["source"], said["datacontenttype"]) == ("1700000000123-4", SOURCE, "application/json")


@examples
def test_data_can_be_read_back(data: EventData) -> None:
    said = envelope(data)["data"]
    assert type(data).model_validate(said, strict=False) == data


@examples
def test_the_same_event_is_the_same_bytes(data: EventData) -> None:
    event = Event(EntryId(5, 6), data)
    assert event.to_json(SOURCE) == Event(EntryId(5, 6), data.model_copy(deep=True)).to_json(SOURCE)
    assert "\n" not in event.to_json(SOURCE)


@examples
def test_the_subject_is_the_item_if_there_is_one(data: EventData) -> None:
    item_id = getattr(data, "item_id", None)
    assert Event(EntryId(1, 0), data).subject == (None if item_id is None else ("tickets", item_id))
    said = envelope(data)
    assert said.get("subject") == item_id
    assert ("subject" in said) == (item_id is not None)


@given(printable, printable)
def test_any_printable_id_survives(item_id: str, collection: str) -> None:
    data = ItemDeleted(command=CAUSE, item_id=item_id, collection=collection, erased=False)
    said = envelope(data)
    assert (said["subject"], said["data"]["collection"]) == (item_id, collection)
    json.dumps(said, ensure_ascii=False).encode()


@given(st.integers(0, 253_402_300_799_999))
def test_time_is_that_of_the_entry_id_to_the_millisecond(ms: int) -> None:
    told = datetime.fromisoformat(envelope(DELETED, EntryId(ms, 0))["time"])
    since = told - datetime(1970, 1, 1, tzinfo=UTC)
    assert since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000 == ms


@given(st.integers(253_402_300_800_000, 2**64 - 1))
def test_an_event_behind_the_year_9999_has_no_time(ms: int) -> None:
    said = envelope(DELETED, EntryId(ms, 0))
    assert "time" not in said
    assert said["id"] == f"{ms}-0"


def test_text_is_not_escaped_into_ascii() -> None:
    data = ItemPatched(**ABOUT, revision=1, attributes={"naïve": "🔑"})  # type: ignore[arg-type]
    assert '"naïve":"🔑"' in Event(EntryId(1, 0), data).to_json(SOURCE)
