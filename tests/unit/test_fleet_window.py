"""Which batches are lost, and when a fleet is silent. Time is a number here."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from celery_recommender.fleet.messages import EmbedRequest
from celery_recommender.fleet.probe import Probe
from celery_recommender.fleet.window import Flight, Window

TIMEOUT_S = 30.0


def flight(window: Window, id_: str, sent_s: float) -> Flight:
    made = Flight(EmbedRequest(id_, "model", "model@1", 8, ("text",)), Future(), sent_s)
    window.add(made)
    return made


def answered(window: Window, id_: str, started_s: float, seconds: float) -> None:
    window.heard("w", started_s)
    window.started(id_, started_s)
    assert window.answered(id_, started_s + seconds) is not None


@pytest.fixture
def window() -> Window:
    return Window(TIMEOUT_S)


def test_patience_follows_what_was_seen_of_late(window: Window) -> None:
    assert window.limit_s == TIMEOUT_S, "nothing is known"
    for number, seconds in enumerate((1.0, 0.1, 0.1)):
        flight(window, str(number), 0.0)
        answered(window, str(number), 0.0, seconds)
    assert window.limit_s == 4.0
    for number in range(32):
        flight(window, str(number), 0.0)
        answered(window, str(number), 0.0, 0.1)
    assert window.limit_s == 2.0, "never less"
    flight(window, "slow", 0.0)
    answered(window, "slow", 0.0, 20.0)
    assert window.limit_s == TIMEOUT_S, "never more"


def test_names_of_workers_are_bounded(window: Window) -> None:
    """A reply may carry any name, and each may carry another."""
    for number in range(3000):
        window.heard(f"w{number}", 1.0)
    assert window.workers(1.0) == 1024
    assert window.idle_s(1.0) == 0
    window.heard("w0", 100.0)
    assert window.workers(100.0) == 1


def test_what_a_worker_keeps_too_long_is_lost(window: Window) -> None:
    lost = flight(window, "a", 0.0)
    assert window.lost(1000.0) == [], "nobody has taken it up"
    window.started("a", 1000.0)
    assert window.lost(1000.0 + TIMEOUT_S) == []
    assert window.lost(1000.1 + TIMEOUT_S) == [lost]
    window.resent(lost, 1040.0)
    assert (lost.attempts, window.lost(1100.0)) == (2, []), "it waits again"


def test_what_later_ones_overtake_is_lost(window: Window) -> None:
    overtaken = flight(window, "a", 1.0)
    flight(window, "b", 2.0)
    flight(window, "c", 3.0)
    window.started("b", 10.0)
    window.answered("b", 10.1)
    window.started("c", 20.0)
    window.answered("c", 20.1)
    assert window.limit_s == 2.0
    assert window.lost(11.9) == []
    assert window.lost(12.1) == [overtaken], "counted from when it was overtaken first"


def test_lost_requests_do_not_lengthen_the_wait(window: Window) -> None:
    flight(window, "a", 0.0)
    answered(window, "a", 0.0, 0.1)
    flight(window, "b", 0.0)
    window.started("b", 0.0)
    assert window.drop("b") is not None
    assert (window.limit_s, len(window)) == (2.0, 0)


def test_a_fleet_is_silent_when_no_worker_takes_waiting_requests(window: Window) -> None:
    assert not window.is_silent(1e9), "nobody was asked"
    flight(window, "a", 100.0)
    assert not window.is_silent(100.0 + window.pickup_s)
    assert window.is_silent(100.1 + window.pickup_s)
    window.heard("w", 105.0)
    assert not window.is_silent(105.0 + window.pickup_s)
    window.started("a", 105.0)
    assert not window.is_silent(105.0 + TIMEOUT_S), "it is at work"
    assert window.is_silent(105.1 + TIMEOUT_S)


def test_a_second_answer_finds_nothing(window: Window) -> None:
    first = flight(window, "a", 0.0)
    assert window.answered("a", 1.0) is first
    assert window.answered("a", 1.0) is None
    window.started("a", 2.0)
    assert len(window) == 0


def test_requests_without_a_waiter_are_withdrawn(window: Window) -> None:
    kept, gone = flight(window, "a", 0.0), flight(window, "b", 0.0)
    assert gone.made.cancel()
    assert window.withdrawn() == [gone]
    assert window.find("a") is kept
    gone.give_up("too late to matter")


def test_workers_are_those_of_the_last_minute(window: Window) -> None:
    window.heard("one", 0.0)
    window.heard("two", 30.0)
    assert window.workers(59.0) == 2
    assert window.workers(61.0) == 1
    assert window.workers(91.0) == 0


def request(id_: str) -> EmbedRequest:
    return EmbedRequest(id_, "model", "model@1", 8, ("hello",))


def test_the_probe_waits_for_the_first_to_come_and_is_seldom_repeated() -> None:
    probe = Probe(pickup_s=10.0)
    assert probe.is_due(0.0, 0.0, serving=False, busy=False)
    assert probe.sent(request("1"), 0.0) == ()
    due = []
    now_s = 0.0
    while now_s < 3600:
        now_s += 1.0
        if probe.is_due(now_s, now_s, serving=False, busy=False):
            due.append(now_s)
            assert len(probe.sent(request(str(now_s)), now_s)) == 1
    assert due == [5.0, 15.0, 35.0, 75.0, 155.0, 315.0, 635.0, 1235.0, 1835.0, 2435.0, 3035.0]
    assert probe.is_answered_by("3035.0")
    probe.answered(3600.0)


def test_the_probe_is_a_heartbeat_when_nothing_is_to_do() -> None:
    probe = Probe(pickup_s=3.0)
    probe.sent(request("1"), 0.0)
    probe.answered(1.0)
    assert not probe.is_due(5.0, 4.0, serving=True, busy=False)
    assert not probe.is_due(20.0, 19.0, serving=True, busy=True)
    assert probe.is_due(20.0, 19.0, serving=True, busy=False)
    probe.sent(request("2"), 20.0)
    assert not probe.is_due(40.0, 39.0, serving=True, busy=False), "one is out"
    assert not probe.is_unanswered(22.0, 21.0)
    assert probe.is_unanswered(23.1, 22.1)
    assert not probe.is_unanswered(23.1, 0.1), "somebody has said something"


def test_a_silent_fleet_is_asked_at_once() -> None:
    probe = Probe(pickup_s=3.0)
    probe.sent(request("1"), 0.0)
    probe.answered(1.0)
    assert not probe.is_due(2.0, 1.0, serving=False, busy=False), "it refused a moment ago"
    probe.hurry()
    assert probe.is_due(2.0, 1.0, serving=False, busy=False)
