"""A group that grows out of its own baseline: an incident opens, doubles and closes, in stream time alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from benchmarks import incidents as simulation
from celery_recommender.cli.verdicts import incidents as command
from celery_recommender.owner.telemetry.metrics import Metrics
from celery_recommender.settings import Settings
from recommender_engine import Entry, Event, Recommender
from recommender_engine.incidents import HOUR_MS, MOST_TIMES, Traffic, Watched, assess, calm_at_ms, hour_of, surprise
from recommender_engine.incidents.statistic import SHAPE
from recommender_engine.items import IncidentClosed, IncidentOpened, ItemDeleted
from tests.support.command_line import call
from tests.support.engine import Log, at, data_of, lines, opened
from tests.support.partitions import Pair

MINUTE_MS = 60_000
DAY_MS = 24 * HOUR_MS
INCIDENTS = (IncidentOpened, IncidentClosed)


def told(events: Sequence[Event]) -> list[dict[str, Any]]:
    """What was published of incidents, each without its long prefix."""
    found = [data_of(event) for event in events if isinstance(event.data, INCIDENTS)]
    return [{**one, "type": one["type"].removeprefix("recommender.incident.").removesuffix(".v1")} for one in found]


def kinds(events: Sequence[Event]) -> list[str]:
    return [one["type"] for one in told(events)]


def report(log: Log, id_: str, angle: float = 0.0, *, later_ms: int = 10_000, **fields: Any) -> Entry:
    """An item whose group is that of its angle."""
    return log.add(
        "item.upsert", id=id_, text=f"report {id_}", vector=at(angle), later_ms=later_ms, collection="tickets", **fields
    )


def burst(log: Log, count: int, prefix: str = "r", angle: float = 0.0, **fields: Any) -> list[Entry]:
    return [report(log, f"{prefix}{number}", angle, **fields) for number in range(count)]


def watching(log: Log, **settings: Any) -> Entry:
    return log.configure("tickets", incidents=True, **settings)


def calm_days(log: Log, days: int = 3) -> list[Entry]:
    """Eight items a day, of six groups."""
    return [unlike(log, f"calm{number}", number % 6, later_ms=DAY_MS // 8) for number in range(8 * days)]


def unlike(log: Log, id_: str, number: int, *, later_ms: int = 1000) -> Entry:
    """An item in the group of a number: like none of another number, and like none of any angle."""
    vector = [0.0] * 64
    vector[2 + number % 61] = 1.0
    vector[2 + number * 7 % 61] += 0.9
    return log.add("item.upsert", id=id_, text=f"matter {id_}", vector=vector, later_ms=later_ms, collection="tickets")


# -- the statistic -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("items", [1, 2, 5, 7, 12, 60, 90])
@pytest.mark.parametrize("expected", [0.008, 0.02, 0.5, 3.0, 40.0])
def test_the_score_is_the_tail_of_a_negative_binomial(items: int, expected: float) -> None:
    tail = stats.nbinom.logsf(items - 1, SHAPE, SHAPE / (SHAPE + expected)) / -np.log(10)
    assert surprise(items, expected) == pytest.approx(tail if items > expected else 0.0, rel=1e-3, abs=1e-3)


def test_a_baseline_is_learned_six_hours_late_and_follows_the_week() -> None:
    traffic = Traffic()
    start = hour_of(20_000 * DAY_MS)
    for hour in range(5 * 168):
        traffic.add(start + hour, 20 if 8 <= hour % 24 < 20 else 2)
    now = (start + 5 * 168 + 3) * HOUR_MS
    rhythm = traffic.rhythm(now)
    assert rhythm.mean == pytest.approx(11, rel=0.02)
    day, night = (traffic.expected(now + at * HOUR_MS, now + (at + 1) * HOUR_MS, rhythm) for at in (9, 0))
    assert day == pytest.approx(20 / 11, rel=0.2)
    assert night == pytest.approx(2 / 11, abs=0.3)
    before = traffic.rate({start + 100: 5}, traffic.age_hours(now), now)
    assert traffic.rate({start + 100: 5, hour_of(now) - 5: 100}, traffic.age_hours(now), now) == before


def test_a_usual_rate_is_no_surprise_and_ten_times_that_is() -> None:
    traffic = Traffic()
    now = 20_000 * DAY_MS + 40 * DAY_MS
    times = [now - number * HOUR_MS // 2 for number in range(960)]  # two an hour
    for one in times:
        traffic.add(hour_of(one))
    usual = assess(Watched(times[:MOST_TIMES]), now, traffic)
    assert usual is not None
    assert usual.usual == pytest.approx(2.0, rel=0.1)
    assert usual.best.score < 2
    grown = assess(Watched([now - number * 1000 for number in range(40)] + times), now, traffic)
    assert grown is not None
    assert grown.best.score > 12


def test_where_all_that_is_read_is_of_the_last_hours_nothing_is_known() -> None:
    now = 20_000 * DAY_MS
    assert assess(Watched([now - number for number in range(MOST_TIMES)]), now, Traffic({hour_of(now): 1000})) is None


def test_it_is_calm_when_the_last_hour_has_fewer_than_twice_the_usual_and_two() -> None:
    times = [100 * HOUR_MS + number * MINUTE_MS for number in range(10)]
    assert calm_at_ms(times, 0.0) == times[-2] + HOUR_MS  # then one is left in the last hour
    assert calm_at_ms(times, 1.0) == times[-4] + HOUR_MS
    assert calm_at_ms(times[:1], 0.0) == 0


@pytest.mark.parametrize(("kind", "most"), [("calm", 0.1), ("ordinary", 0.1), ("rough", 0.3)])
def test_simulated_traffic_is_calm_and_no_outage_is_missed(kind: str, most: float) -> None:
    traffic = simulation.simulated(simulation.KINDS[kind], seed=20, groups=100, days=40, outages=20)
    found = simulation.watched(traffic, threshold=12.0)
    assert found.missed == 0
    assert sorted(found.opened_at)[int(0.9 * (len(found.opened_at) - 1))] <= 10
    assert found.false <= max(1, most * traffic.group_days / 1000)


# -- the engine --------------------------------------------------------------------------------------------------------


def test_an_outage_opens_doubles_and_closes_by_the_clock_alone(engine: Recommender, log: Log) -> None:
    assert kinds(engine.process([watching(log), *calm_days(log)])) == []
    found = told(engine.process(burst(log, 60)))
    assert [(one["type"], one["items"]) for one in found] == [
        ("opened", 7),
        ("updated", 14),
        ("updated", 28),
        ("updated", 56),
    ]
    first = found[0]
    assert (first["collection"], first["group"], first["canonical_id"]) == ("tickets", "g25", "r0")
    assert first["examples"] == ["r2", "r3", "r4", "r5", "r6"]
    assert [(one["seconds"], one["items"]) for one in first["windows"]] == [(600, 7), (3600, 7), (21600, 7)]
    assert first["rate_per_hour"] == 42
    assert first["score"] >= 12
    assert first["explanation"] == "7 items like r0 within 10 minutes, where none are usual"
    due = engine.due_ms()
    assert due is not None
    (view,) = engine.incidents("tickets")
    assert (view.incident, view.items, view.text, view.closes_ms) == (first["incident"], 60, "report r0", due)
    last = log.tick()
    assert kinds(engine.process([last, log.tick(due - last.time_ms - 1)])) == []
    (closed,) = told(engine.process([log.tick()]))
    assert (closed["type"], closed["reason"], closed["items"], closed["peak"]) == ("closed", "calm", 60, 60)
    assert (closed["incident"], closed["closed_ms"], closed["opened_ms"]) == (view.incident, due, view.opened_ms)
    assert engine.incidents() == []
    assert engine.due_ms() is None


def test_what_follows_an_incident_does_not_open_it_again_but_a_new_burst_does(engine: Recommender, log: Log) -> None:
    engine.process([watching(log), *calm_days(log), *burst(log, 60)])
    assert kinds(engine.process([log.tick(2 * HOUR_MS)])) == ["closed"]
    assert kinds(engine.process(burst(log, 3, "late", later_ms=10 * MINUTE_MS))) == []
    found = told(engine.process(burst(log, 40, "again", later_ms=5000)))
    assert found[0]["type"] == "opened"


def test_nothing_is_watched_unless_the_collection_asks_for_it(engine: Recommender, log: Log) -> None:
    assert kinds(engine.process([*calm_days(log), *burst(log, 60)])) == []
    assert engine.due_ms() is None


def test_a_threshold_is_a_setting(engine: Recommender, log: Log) -> None:
    found = told(engine.process([watching(log, incident_score=40.0), *calm_days(log), *burst(log, 30)]))
    assert found[0]["items"] > 15
    assert found[0]["score"] >= 40


def test_silent_commands_and_old_timestamps_raise_no_alarm(engine: Recommender, log: Log) -> None:
    engine.process([watching(log), *calm_days(log)])
    assert kinds(engine.process(burst(log, 40, "silent", silent=True))) == []
    assert kinds(engine.process(burst(log, 4, "live"))) == []  # the silent ones before are not counted
    old = burst(log, 40, "old", angle=100.0, timestamp="2023-11-01T10:00:00Z", later_ms=1000)
    assert kinds(engine.process([*old, *burst(log, 4, "new", angle=100.0)])) == []


def test_timestamps_say_when_a_report_happened(engine: Recommender, log: Log) -> None:
    """A mail server that was down delivers the reports of a day at once."""
    entries = [watching(log), *calm_days(log)]
    now = entries[-1].time_ms
    when = np.datetime64(now - DAY_MS, "ms") + np.arange(40) * np.timedelta64(30, "m")
    spread = [report(log, f"s{n}", timestamp=f"{one}Z", later_ms=1) for n, one in enumerate(when)]
    assert kinds(engine.process([*entries, *spread])) == []


def test_an_import_is_no_incident(engine: Recommender, log: Log) -> None:
    """Eight of a hundred are one product in eight colours; the others come one each."""
    engine.process([watching(log), *calm_days(log)])
    mixed = [report(log, f"p{n}", later_ms=1000) if n % 12 == 0 else unlike(log, f"p{n}", n) for n in range(100)]
    assert kinds(engine.process(mixed)) == []


def test_editing_items_is_no_incident(engine: Recommender, log: Log) -> None:
    days = [report(log, f"r{n}", later_ms=DAY_MS) for n in range(12)]
    engine.process([watching(log), *days])
    edits = [
        log.add("item.upsert", id=f"r{n}", text=f"edited {n}", vector=at(0.1), collection="tickets", later_ms=1000)
        for n in range(12)
    ]
    assert kinds(engine.process(edits)) == []


@pytest.mark.parametrize("size", [1, 7, 500])
def test_the_batching_changes_nothing(size: int) -> None:
    log = Log()
    entries = _life(log)
    whole, cut = opened(), opened()
    expected = lines(whole.process(entries))
    found = [line for n in range(0, len(entries), size) for line in lines(cut.process(entries[n : n + size]))]
    assert found == expected
    assert sum(".incident." in line for line in found) >= 8


def test_a_restart_at_any_place_and_a_rollback_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = _life(Log())
    expected = lines(opened().process(entries))
    found = []
    for number, start in enumerate(range(0, len(entries), 9)):
        engine = opened(tmp_path)
        part = entries[start : start + 9]
        if number % 2:
            with monkeypatch.context() as broken:
                broken.setattr(engine, "_before_commit", _fail)
                with pytest.raises(OSError, match="the lease is lost"):
                    engine.process(part)
        found += lines(engine.process(part))
        engine.close()
    assert found == expected


def _fail() -> None:
    raise OSError("the lease is lost")


def _life(log: Log) -> list[Entry]:
    """Two incidents, of which one loses items; a merge, a switch."""
    return [
        watching(log),
        *calm_days(log),
        *burst(log, 30),
        *burst(log, 20, "second", 100.0),
        *(log.delete(f"r{n}", collection="tickets") for n in range(28)),
        log.tick(3 * HOUR_MS),
        *burst(log, 20, "third", 200.0),
        log.configure("tickets", incidents=False),
        watching(log),
        *burst(log, 20, "fourth", 300.0),
        log.add("collection.deleted", {"collection": "tickets"}),
        log.tick(DAY_MS),
    ]


def test_a_deleted_item_is_named_by_no_later_event(engine: Recommender, log: Log) -> None:
    engine.process([watching(log), *calm_days(log), *burst(log, 13)])
    engine.process([log.delete(f"r{n}", collection="tickets") for n in (0, 8, 9, 10, 11, 12)])
    (updated,) = told(engine.process([report(log, "r13")]))
    assert (updated["type"], updated["items"], updated["canonical_id"]) == ("updated", 14, "r1")
    assert updated["examples"] == ["r13"]
    engine.process([log.delete(f"r{n}", collection="tickets") for n in (1, 2, 3, 4, 5, 6, 7, 13)])
    (closed,) = told(engine.process([log.tick(2 * HOUR_MS)]))
    assert (closed["canonical_id"], closed["items"]) == (None, 14)


def test_expired_items_are_named_no_more(engine: Recommender, log: Log) -> None:
    engine.process([watching(log, ttl_seconds=1800), *calm_days(log), *burst(log, 13)])
    events = engine.process([log.tick(2 * HOUR_MS)])
    (closed,) = told(events)
    assert (closed["reason"], closed["canonical_id"]) == ("calm", None)
    assert any(isinstance(event.data, ItemDeleted) for event in events)


def test_groups_that_people_unite_are_one_incident(engine: Recommender, log: Log) -> None:
    engine.process([watching(log), *calm_days(log), *burst(log, 20), *burst(log, 20, "s", 40.0)])
    assert len(engine.incidents()) == 2
    found = told(engine.process([log.feedback("r0", "same", "s0", collection="tickets")]))
    assert [(one["type"], one.get("reason"), one["items"]) for one in found] == [("closed", "merged", 20)]
    (view,) = engine.incidents()
    assert view.items == 40
    (updated,) = told(engine.process([report(log, "r20")]))
    assert (updated["type"], updated["items"]) == ("updated", 41)


def test_groups_that_a_silent_item_brings_together_are_one_incident(engine: Recommender, log: Log) -> None:
    engine.process([watching(log), *calm_days(log), *burst(log, 20), *burst(log, 20, "s", 40.0)])
    found = told(engine.process([report(log, "between", 20.0, silent=True)]))
    assert [(one["type"], one.get("reason")) for one in found] == [("closed", "merged")]
    assert len(engine.incidents()) == 1


def test_an_incident_stays_with_the_items_that_a_person_splits_off(engine: Recommender, log: Log) -> None:
    engine.process([watching(log), *calm_days(log), *burst(log, 7), *burst(log, 7, "s", 2.0)])
    engine.process([log.feedback("r0", "different", "s6", collection="tickets")])
    (view,) = engine.incidents()
    found = engine.get("s6", "tickets")
    assert found is not None
    assert view.group == found.group


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda log: log.configure("tickets", incidents=False), "switched_off"),
        (lambda log: log.add("collection.deleted", {"collection": "tickets"}), "collection_deleted"),
    ],
)
def test_every_incident_that_opens_is_closed(engine: Recommender, log: Log, end: Any, reason: str) -> None:
    engine.process([watching(log), *calm_days(log), *burst(log, 20)])
    found = told(engine.process([end(log)]))
    assert [(one["type"], one["reason"]) for one in found] == [("closed", reason)]
    assert engine.incidents() == []
    assert kinds(engine.process([log.tick(DAY_MS)])) == []
    assert engine.due_ms() is None


def test_a_collection_that_is_watched_later_knows_what_is_usual(engine: Recommender, log: Log) -> None:
    usual = [report(log, f"u{n}", later_ms=HOUR_MS) for n in range(24 * 20)]
    engine.process([*usual, watching(log)])
    assert kinds(engine.process(burst(log, 10, "more", later_ms=20 * MINUTE_MS))) == []


def test_an_incident_moves_with_its_collection() -> None:
    pair = Pair()
    pair["b"].add("item.upsert", {"id": "o", "collection": "other", "text": "so that numbers differ"})
    pair["a"].add("collection.configured", {"collection": "c", "settings": {"incidents": True}})
    for n in range(20):
        pair["a"].add("item.upsert", {"id": f"i{n}", "collection": "c", "text": "the lift is stuck"})
    pair.settle()
    (before,) = pair["a"].engine.incidents("c")
    for _ in pair.move("a", "b", "m1"):
        pass
    pair.settle()
    assert pair["a"].engine.incidents() == []
    (after,) = pair["b"].engine.incidents("c")
    same = {"group": before.group}
    assert after.model_copy(update=same) == before
    view = pair["b"].engine.get("i19", "c")
    assert view is not None
    assert after.group == view.group
    pair.close()


def test_what_is_open_is_shown_and_counted(
    engine: Recommender, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.process([watching(log), *calm_days(log), *burst(log, 12)])
    metrics = Metrics("default")
    metrics.incidents(engine.open_incidents())
    assert metrics.registry.get_sample_value("recommender_open_incidents", {"partition": "default"}) == 1

    @contextmanager
    def owner(_settings: Settings) -> Iterator[Any]:
        yield lambda task, collection: [one.model_dump(mode="json") for one in engine.incidents(collection)]

    monkeypatch.setattr(command, "owner_or_state", owner)
    monkeypatch.setattr(command, "located", lambda settings, collection: settings)
    settings = Settings(state_dir=tmp_path)
    shown = call(settings, "incidents", "--collection", "tickets").stdout.splitlines()
    assert shown[0].split() == ["since", "(UTC)", "items", "usual", "an", "hour", "incident", "collection", "like"]
    assert shown[1].split()[2:] == ["12", "0.00", "i31", "tickets", "r0:", "report", "r0"]
    (said,) = json.loads(call(settings, "incidents", "--json").stdout)
    assert (said["incident"], said["items"], said["examples"]) == ("i31", 12, ["r7", "r8", "r9", "r10", "r11"])
    assert call(settings, "incidents", "--collection", "other").stdout == "no incident is open\n"
