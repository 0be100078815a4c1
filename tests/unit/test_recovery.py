"""A state behind its events stream: what it takes for the record, what it compares, where it refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from celery_recommender.broker.events.stream import EventsConflict
from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.owner.continuity.recovery import Recovery
from recommender_engine import Entry, EntryId, Recommender
from recommender_engine.items import START
from tests.support.engine import Log, opened

KEYS = PartitionKeys.of("default")


class Streams:
    """Two streams as a server would give them back."""

    def __init__(self, commands: list[Entry], events: Mapping[EntryId, bytes]) -> None:
        self._entries: dict[str, dict[EntryId, bytes]] = {
            KEYS.commands: {entry.id: b"" for entry in commands},
            KEYS.events: dict(events),
        }

    def xrange(self, key: str, min: str, max: str, count: int | None = None) -> list[Any]:  # noqa: A002
        low, high = EntryId.parse(min), EntryId.parse(max)
        found = [
            (str(id_).encode(), {b"event": event})
            for id_, event in sorted(self._entries[key].items())
            if low <= id_ <= high
        ]
        return found[:count]

    def xrevrange(self, key: str, max: str, count: int) -> list[Any]:  # noqa: A002 (the name is redis-py's)
        return self.xrange(key, "0-0", f"{max}-{2**64 - 1}")[::-1][:count]


def decided(entries: list[Entry], before: int) -> dict[EntryId, bytes]:
    """What an owner has published for the entries behind the first ``before``."""
    with closing(opened()) as engine:
        engine.process(entries[:before])
        behind = engine.last_event
        engine.process(entries[before:])
        return {row.id: row.event.encode() for row in engine.outbox.after(behind, 1000)}


def recovered(
    entries: list[Entry], events: dict[EntryId, bytes], before: int = 2, last: EntryId | None = None
) -> tuple[Recommender, Recovery]:
    """An engine with the first entries, brought to where the stream is."""
    engine = opened()
    engine.process(entries[:before])
    recovery = Recovery(engine, Streams(entries, events), KEYS)  # type: ignore[arg-type]
    recovery.begin(last or max(events))
    while recovery.running:
        for part in recovery.parts([entry for entry in entries if entry.id > engine.position][:3]):
            engine.process(part)
            recovery.follow()
    return engine, recovery


@pytest.fixture
def entries() -> list[Entry]:
    log = Log()
    return [log.upsert(f"T-{n}", f"the printer of room {n} is out of {('paper', 'ink')[n % 2]}") for n in range(8)]


def changed(event: bytes, **data: Any) -> bytes:
    said = json.loads(event)
    return json.dumps({**said, "data": {**said["data"], **data}}).encode()


def test_the_same_decisions_are_the_same(entries: list[Entry]) -> None:
    events = decided(entries, 2)
    engine, recovery = recovered(entries, events)
    assert recovery.counts == {"same": len(events), "different": 0, "absent": 0, "unknown": 0}
    assert engine.last_event == max(events)


def test_timings_reasons_and_noise_are_no_difference(entries: list[Entry]) -> None:
    events = decided(entries, 2)
    first, *others = sorted(events)
    second = next(id_ for id_ in others if "similarity" in json.loads(events[id_])["data"])
    said = json.loads(events[second])["data"]
    events[first] = changed(events[first], timings={"embed_ms": 99.0, "decide_ms": 1.0}, reasons=[], explanation="")
    events[second] = changed(events[second], similarity=said["similarity"] + 0.0005)
    _, recovery = recovered(entries, events)
    assert recovery.counts["different"] == 0


@pytest.mark.parametrize("data", [{"group": "g99"}, {"band": "review"}, {"similarity": 0.1}, {"item_id": "another"}])
def test_another_decision_is_reported_and_nothing_stops(
    entries: list[Entry], data: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    events = decided(entries, 2)
    second = sorted(events)[1]
    events[second] = changed(events[second], **data)
    engine, recovery = recovered(entries, events)
    assert recovery.counts["different"] == 1
    assert "recovery.decided_otherwise" in caplog.text
    assert engine.position == entries[-1].id


def test_removed_entries_and_undecided_entries_are_counted(entries: list[Entry]) -> None:
    events = decided(entries, 2)
    third = sorted(events)[2]
    strange = third.next_at(third.ms)
    while strange in events:
        strange = strange.next_at(strange.ms)
    events[strange] = events[third]
    del events[third]
    _, recovery = recovered(entries, events)
    assert (recovery.counts["absent"], recovery.counts["unknown"]) == (1, 1)


def test_what_comes_next_has_ids_behind_the_stream_even_if_decisions_differ(entries: list[Entry]) -> None:
    """A noisy vector has turned a decision that once gave one more event."""
    events = decided(entries, 2)
    more = max(events).next_at(max(events).ms)
    events[more] = events[max(events)]
    engine, _ = recovered(entries, events)
    assert engine.last_event == more


def test_commands_beyond_the_last_confirmed_one_are_dropped(entries: list[Entry]) -> None:
    events = decided(entries[:5], 2)
    with closing(opened()) as engine:
        recovery = Recovery(engine, Streams(entries, events), KEYS)  # type: ignore[arg-type]
        engine.process(entries[:2])
        recovery.begin(max(events))
        assert recovery.parts(entries[2:]) == [entries[2:5], entries[5:]]
        assert recovery.parts(entries[2:4]) == [entries[2:4]]
        assert recovery.parts([]) == []
        engine.process(entries[2:5])
        recovery.follow()
        assert not recovery.running
        assert recovery.parts(entries[5:]) == [entries[5:]]


def test_a_last_entry_that_was_erased_is_found_by_its_time(entries: list[Entry]) -> None:
    events = decided(entries, 2)
    last = max(events)
    del events[last]
    engine, recovery = recovered(entries, events, last=last)
    assert engine.position == entries[-1].id
    assert recovery.counts["absent"] == 1


def test_a_recovery_that_was_cut_short_at_its_very_end_is_ended(entries: list[Entry]) -> None:
    events = decided(entries, 2)
    more = max(events).next_at(max(events).ms)
    events[more] = events[max(events)]
    engine = opened()
    engine.process(entries)
    recovery = Recovery(engine, Streams(entries, events), KEYS)  # type: ignore[arg-type]
    recovery.begin(more)
    assert not recovery.running
    assert engine.last_event == more


@pytest.mark.parametrize("event", [b"", b"[]", b'"text"', b'{"data":{"command":{"id":"x"}}}', b'{"data":[]}'])
def test_what_is_no_event_of_ours_is_refused(entries: list[Entry], event: bytes) -> None:
    events = decided(entries, 2)
    events[EntryId(max(events).ms + 5, 0)] = event
    with pytest.raises(EventsConflict, match="recommender restore"):
        recovered(entries, events)


def test_an_event_whose_command_is_gone_is_refused(entries: list[Entry]) -> None:
    events = decided(entries, 2)
    with pytest.raises(EventsConflict, match="the commands between them are gone"):
        recovered(entries[:4], events)
    with pytest.raises(EventsConflict, match="the commands between them are gone"):
        recovered(entries[:2], {}, last=max(events))


def test_what_was_misrouted_is_rejected_again(entries: list[Entry]) -> None:
    """Settings have been mended since; the record stays as it is."""
    log = Log()
    log.upsert("x", "text")
    lost = log.add("item.upsert", {"id": "y", "collection": "c", "text": "text"})
    entries = [*entries[:1], replace(lost, via=("b", "c"), elsewhere="b")]
    events = decided(entries, 1)
    assert [json.loads(event)["data"]["code"] for event in events.values()] == ["misrouted"]
    with closing(opened()) as engine:
        recovery = Recovery(engine, Streams(entries, events), KEYS)  # type: ignore[arg-type]
        engine.process(entries[:1])
        recovery.begin(max(events))
        mended = replace(entries[-1], elsewhere=None)
        elsewhere = recovery.passed_on(mended, None)
        engine.process([replace(mended, elsewhere=elsewhere)])
        recovery.follow()
    assert recovery.counts == {"same": 1, "different": 0, "absent": 0, "unknown": 0}


def test_the_record_tells_when_a_command_was_read(entries: list[Entry]) -> None:
    events = decided(entries, 2)
    ids = sorted(events)
    rejected = {**json.loads(events[ids[0]]), "type": "recommender.command.rejected.v1"}
    rejected["data"] = {"command": {"id": str(entries[2].id)}, "code": "expired"}
    events[ids[0]] = json.dumps(rejected).encode()
    ahead = EntryId(entries[-1].id.ms + 1, 0)
    early = EntryId(max(events).ms, max(events).n + 7)
    events[early] = json.dumps({"data": {"command": {"id": str(ahead)}}}).encode()
    commands = [*entries, Log(ahead.ms - 1).upsert("ahead", "text")]
    assert commands[-1].id.ms == ahead.ms
    with closing(opened()) as engine:
        recovery = Recovery(engine, Streams(commands, events), KEYS)  # type: ignore[arg-type]
        assert recovery.read_at_ms(ahead, 77) == 77, "nothing is being recovered"
        engine.process(entries[:2])
        recovery.begin(early)
        assert recovery.read_at_ms(entries[2].id, 77) == 77, "it was late then"
        assert recovery.read_at_ms(entries[3].id, 77) == entries[3].id.ms, "it was in time"
        assert recovery.read_at_ms(ahead, 77) == early.ms, "its id lay ahead of the clock"
        assert recovery.read_at_ms(EntryId(ahead.ms + 1, 0), 77) == 77, "it is read for the first time"
    assert early > START
