"""Deciding: repeated attempts, batches given to embed workers ahead, and the note of the batch in hand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import ConnectionError as ServerAway
from redis.exceptions import RedisError

from celery_recommender.broker.coordination.lease import LeaseLost
from celery_recommender.owner.deciding import Deciding
from celery_recommender.owner.loop.inbox import Inbox, Waiting
from celery_recommender.owner.poison.in_hand import BatchInHand
from recommender_engine import EntryId, Event, open_recommender
from recommender_engine.embedding import ModelIdentity
from recommender_engine.errors import EncodingError, StateFull
from recommender_engine.items import Entry
from recommender_engine.pipeline import TimedEmbeddings
from recommender_engine.testing import DeterministicEncoder
from tests.support.encoders import FixedEncoders
from tests.support.engine import Log

BATCH = 4
WINDOW = 3


class Elsewhere:
    """An executor that notes what it was given, and fails when told to."""

    window = WINDOW

    def __init__(self) -> None:
        self._encoder = DeterministicEncoder()
        self.given: list[list[str]] = []
        self.failing = False
        self.closed = False

    def submit(self, name: str, identity: ModelIdentity, texts: list[str]) -> Future[TimedEmbeddings]:
        assert identity == self._encoder.identity
        self.given.append(texts)
        made: Future[TimedEmbeddings] = Future()
        if self.failing:
            made.set_exception(EncodingError("nobody answers"))
        else:
            made.set_result(TimedEmbeddings(self._encoder.encode(texts), 0.5))
        return made

    def close(self) -> None:
        self.closed = True


class Counting(FixedEncoders):
    """The encoder of this process, which counts the texts that it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def encoder(self, name: str) -> Counting:  # type: ignore[override]
        return self

    @property
    def identity(self) -> ModelIdentity:
        return self._encoder.identity

    def encode(self, texts: list[str]) -> object:
        self.texts += texts
        return self._encoder.encode(texts)


class Desk:
    """An engine, its inbox, and the object under test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.elsewhere = Elsewhere()
        self.here = Counting()
        self.engine = open_recommender(None, self.here, remote=self.elsewhere)  # type: ignore[arg-type]
        self.inbox = Inbox(10_000, BATCH, 4 + WINDOW)
        self.in_hand = BatchInHand(directory / "in-hand.json")
        self.events: list[Event] = []
        self.deciding = deciding(self.engine, self.inbox, self.in_hand, self.elsewhere)

    def wait(self, log: Log, count: int) -> None:
        numbers = range(len(self.inbox), len(self.inbox) + count)
        self.inbox.put([Waiting(log.upsert(f"i{n}", f"text number {n}"), 20) for n in numbers])

    def decide(self) -> None:
        entries, _ = self.inbox.take(0)
        for decided in self.deciding.decide(entries):
            self.events += decided.events

    def noted(self) -> EntryId:
        return EntryId.parse(json.loads((self.directory / "in-hand.json").read_text())["last"])


def deciding(
    engine: Any, inbox: Inbox, in_hand: BatchInHand, fleet: Any = None, wait: Callable[[], None] = pytest.fail
) -> Deciding:
    settings = SimpleNamespace(hang_after_s=60.0)
    resources: Any = SimpleNamespace(fleet=fleet, inbox=inbox, settings=settings, stopping=threading.Event())
    return Deciding(engine, resources, in_hand, wait)


@pytest.fixture
def make_desk(tmp_path: Path) -> Iterator[Callable[[], Desk]]:
    desks: list[Desk] = []

    def make() -> Desk:
        desks.append(Desk(tmp_path))
        return desks[-1]

    yield make
    for desk in desks:
        desk.engine.close()
        desk.in_hand.close()


def texts(*batches: int) -> list[list[str]]:
    return [[f"text number {n}" for n in range(BATCH * batch, BATCH * (batch + 1))] for batch in batches]


def test_a_window_of_full_batches_is_given_away_each_once_and_in_order(make_desk: Callable[[], Desk]) -> None:
    desk = make_desk()
    desk.wait(Log(), 7 * BATCH)
    desk.decide()
    assert desk.elsewhere.given == texts(0, 1, 2, 3), "this one, the next, and those behind but the last of the window"
    desk.decide()
    assert desk.elsewhere.given == texts(0, 1, 2, 3, 4)
    for _ in range(5):
        desk.decide()
    assert desk.elsewhere.given == texts(*range(7))
    assert desk.here.texts == []
    plain = open_recommender(None, FixedEncoders())
    log = Log()
    expected = plain.process([log.upsert(f"i{n}", f"text number {n}") for n in range(7 * BATCH)])
    assert [event.data.model_dump(exclude={"timings"}) for event in desk.events] == [
        event.data.model_dump(exclude={"timings"}) for event in expected
    ]
    plain.close()


def test_the_last_batch_may_grow_before_it_is_given_away(make_desk: Callable[[], Desk]) -> None:
    desk, log = make_desk(), Log()
    desk.wait(log, 3 * BATCH + 1)
    desk.decide()
    assert desk.elsewhere.given == texts(0, 1, 2)
    desk.inbox.put([Waiting(log.upsert(f"i{n}", f"text number {n}"), 20) for n in range(13, 16)])
    desk.decide()
    desk.decide()
    assert desk.elsewhere.given == texts(0, 1, 2, 3)


def test_only_what_is_embedded_in_this_process_is_noted(make_desk: Callable[[], Desk]) -> None:
    desk = make_desk()
    desk.wait(Log(), 6 * BATCH)
    following = desk.inbox.peek(2)[1]
    desk.decide()
    assert desk.noted() == following[-1].id


def test_unanswered_requests_are_embedded_here(make_desk: Callable[[], Desk]) -> None:
    desk = make_desk()
    desk.elsewhere.failing = True
    desk.wait(Log(), 3 * BATCH)
    for _ in range(3):
        desk.decide()
    assert sorted(desk.here.texts) == sorted(text for batch in texts(0, 1, 2) for text in batch)
    assert len([event for event in desk.events if event.data.type.endswith("processed.v1")]) == 3 * BATCH


def test_what_ended_a_process_is_not_given_away(make_desk: Callable[[], Desk], tmp_path: Path) -> None:
    log = Log()
    ahead = [log.upsert(f"i{n}", f"text number {n}") for n in range(3 * BATCH)]
    dead = BatchInHand(tmp_path / "in-hand.json")
    dead.suspicion(EntryId(0, 0))
    dead.take(EntryId(0, 0), ahead[2 * BATCH - 1].id)
    dead.close()
    desk = make_desk()
    assert desk.in_hand.suspicion(desk.engine.position) is not None
    desk.inbox.put([Waiting(entry, 20) for entry in ahead])
    desk.decide()
    assert desk.elsewhere.given == []
    desk.in_hand.clear()  # searched: what was suspected goes one by one, and not to others either
    desk.decide()
    assert desk.elsewhere.given == []
    desk.decide()
    assert desk.elsewhere.given == texts(2)


def test_the_executor_is_closed_with_the_engine(make_desk: Callable[[], Desk]) -> None:
    desk = make_desk()
    desk.engine.close()
    assert desk.elsewhere.closed


class Failing:
    """An engine that raises these errors, one at each attempt, and then decides."""

    position = EntryId(0, 0)

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def process(self, entries: Sequence[Entry]) -> list[Event]:
        if self.errors:
            raise self.errors.pop(0)
        return []


@pytest.fixture
def in_hand(tmp_path: Path) -> Iterator[BatchInHand]:
    note = BatchInHand(tmp_path / "in-hand.json")
    yield note
    note.close()


@pytest.mark.parametrize("error", [EncodingError("no model"), StateFull("no room"), ServerAway("away")])
def test_a_batch_is_repeated_after_an_error_that_may_pass(error: Exception, in_hand: BatchInHand) -> None:
    waits: list[int] = []
    once = deciding(Failing(error, error), Inbox(10_000, BATCH, 4), in_hand, wait=lambda: waits.append(1))
    decided = list(once.decide([Log().upsert("a", "text")]))
    assert ([(one.entries, one.events) for one in decided], len(waits)) == ([(1, [])], 2)


def test_a_batch_is_not_repeated_after_any_other_error(in_hand: BatchInHand) -> None:
    once = deciding(Failing(ZeroDivisionError("a defect")), Inbox(10_000, BATCH, 4), in_hand)
    with pytest.raises(ZeroDivisionError, match="a defect"):
        list(once.decide([Log().upsert("a", "text")]))


@pytest.mark.parametrize("error", [LeaseLost("another process"), RedisError("unknown command")])
def test_an_error_of_the_server_is_not_blamed_on_the_batch(
    error: Exception, in_hand: BatchInHand, tmp_path: Path
) -> None:
    once = deciding(Failing(error), Inbox(10_000, BATCH, 4), in_hand)
    with pytest.raises(type(error), match=str(error)):
        list(once.decide([Log().upsert("a", "text")]))
    assert json.loads((tmp_path / "in-hand.json").read_text()) == {}
