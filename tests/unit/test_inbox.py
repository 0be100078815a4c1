from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

from celery_recommender.owner.loop.inbox import Inbox, Waiting
from recommender_engine import Recommender, open_recommender
from recommender_engine.items import Entry, EntryId, TickClock

DEADLINE_S = 5


def waiting(*places: int, size: int = 10) -> list[Waiting]:
    return [Waiting(Entry(EntryId(place, 0), TickClock()), size) for place in places]


def places(entries: list[Entry]) -> list[int]:
    return [entry.id.ms for entry in entries]


def later(call: Any, *args: Any) -> threading.Thread:
    thread = threading.Thread(target=call, args=args, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def engine() -> Recommender:
    return open_recommender()


def test_what_waits_goes_together_and_in_order() -> None:
    inbox = Inbox(tokens=1000, items=10)
    inbox.put(waiting(1, 2))
    inbox.put(waiting(3))
    assert inbox.oldest() == EntryId(1, 0)
    assert places(inbox.take(0)[0]) == [1, 2, 3]
    assert (len(inbox), inbox.oldest()) == (0, None)


def test_a_batch_holds_so_many_items() -> None:
    inbox = Inbox(tokens=1000, items=2)
    inbox.put(waiting(1, 2, 3))
    assert [places(inbox.take(0)[0]) for _ in range(3)] == [[1, 2], [3], []]


def test_a_batch_holds_about_so_much_text() -> None:
    inbox = Inbox(tokens=10, items=100)  # forty bytes
    inbox.put(waiting(1, 2, 3, 4, size=20))
    assert [places(inbox.take(0)[0]) for _ in range(2)] == [[1, 2], [3, 4]]


def test_an_entry_larger_than_a_batch_goes_alone() -> None:
    inbox = Inbox(tokens=1, items=100)
    inbox.put(waiting(1, 2, size=1_000_000))
    assert [places(inbox.take(0)[0]) for _ in range(2)] == [[1], [2]]


def test_one_entry_goes_at_once() -> None:
    inbox = Inbox(tokens=1000, items=100)
    taken: list[list[Entry]] = []
    taker = later(lambda: taken.append(inbox.take(DEADLINE_S)[0]))
    inbox.put(waiting(1))
    taker.join(DEADLINE_S)
    assert [places(entries) for entries in taken] == [[1]]


@pytest.mark.parametrize("inbox", [Inbox(tokens=10**6, items=1), Inbox(tokens=1, items=10**6)], ids=["items", "text"])
def test_reading_ahead_is_bounded(inbox: Inbox) -> None:
    for place in range(4):
        inbox.put(waiting(place, size=4))
    reader = later(inbox.put, waiting(4))
    reader.join(0.1)
    assert reader.is_alive()
    assert len(inbox) == 4
    inbox.take(0)
    reader.join(DEADLINE_S)
    assert not reader.is_alive()


def test_a_question_is_answered(engine: Recommender) -> None:
    inbox = Inbox(tokens=1000, items=10)
    answer = inbox.ask(lambda asked: asked is engine)
    entries, (question,) = inbox.take(0)
    assert entries == []
    question.settle(engine)
    assert answer.result(0) is True


def test_an_error_goes_to_the_asker(engine: Recommender) -> None:
    inbox = Inbox(tokens=1000, items=10)
    answer = inbox.ask(lambda _: 1 // 0)
    inbox.take(0)[1][0].settle(engine)
    with pytest.raises(ZeroDivisionError, match="by zero"):
        answer.result(0)


def test_a_question_that_was_withdrawn_is_not_asked(engine: Recommender) -> None:
    inbox = Inbox(tokens=1000, items=10)
    asked: list[Recommender] = []
    answer: Future[Any] = inbox.ask(asked.append)
    assert answer.cancel()
    inbox.take(0)[1][0].settle(engine)
    assert asked == []
    with pytest.raises(CancelledError, match=r"^$"):
        answer.result(0)


def test_closing_lets_everybody_go() -> None:
    inbox = Inbox(tokens=1000, items=1)
    inbox.put(waiting(1))
    for place in range(2, 5):
        inbox.put(waiting(place))
    reader = later(inbox.put, waiting(5))
    before = inbox.ask(lambda _: None)
    inbox.close()
    reader.join(DEADLINE_S)
    assert not reader.is_alive()
    for answer in (before, inbox.ask(lambda _: None)):
        with pytest.raises(RuntimeError, match="shutting down"):
            answer.result(0)
