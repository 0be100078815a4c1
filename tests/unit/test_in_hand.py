from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from celery_recommender.owner.poison.in_hand import BatchInHand, CrashRecord
from recommender_engine.items import START, Entry, EntryId, TickClock


def note(path: Path) -> BatchInHand:
    """As a new process finds it."""
    return BatchInHand(path / "in-hand.json")


def ids(*numbers: int) -> list[EntryId]:
    return [EntryId(number, 0) for number in numbers]


def test_deaths_over_one_batch_are_counted_and_a_commit_ends_the_count(tmp_path: Path) -> None:
    ten, twenty, thirty = ids(10, 20, 30)
    first = note(tmp_path)
    assert first.suspicion(ten) is None
    first.take(ten, thirty)

    second = note(tmp_path)
    assert second.suspicion(ten) == CrashRecord(1, thirty)
    second.take(ten, twenty)  # cut smaller this time: it died within what both had in hand
    third = note(tmp_path)
    assert third.suspicion(ten) == CrashRecord(2, twenty)
    third.take(ten, thirty)
    assert note(tmp_path).suspicion(ten) == CrashRecord(3, twenty)
    assert note(tmp_path).suspicion(twenty) is None, "it was committed, and death came behind that"

    third.take(twenty, thirty)
    assert note(tmp_path).suspicion(twenty) == CrashRecord(1, thirty)
    third.put_down()
    assert note(tmp_path).suspicion(twenty) is None


def test_what_was_searched_goes_one_by_one(tmp_path: Path) -> None:
    batch = [Entry(id_, TickClock()) for id_ in ids(1, 2, 3, 4)]
    in_hand = note(tmp_path)
    assert in_hand.suspicion(START) is None
    assert list(in_hand.parts(batch)) == [batch]
    assert list(in_hand.parts([])) == []
    in_hand.take(START, batch[1].id)

    after = note(tmp_path)
    assert after.suspicion(START) == CrashRecord(1, batch[1].id)
    after.clear()
    assert list(after.parts(batch)) == [batch[:1], batch[1:2], batch[2:]]
    assert note(tmp_path).suspicion(START) is None, "the count starts anew"
    after.take(START, batch[0].id)
    assert note(tmp_path).suspicion(START) == CrashRecord(1, batch[0].id)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"after": "0-0"}',
        '{"after": "0-0", "last": 7, "deaths": 1}',
        "\0" * 128,
        '{"after": "0-0"',
    ],
)
def test_a_note_that_cannot_be_read_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "in-hand.json").write_text(text)
    with contextlib.closing(note(tmp_path)) as in_hand:
        assert in_hand.suspicion(START) is None
        in_hand.take(START, EntryId(1, 0))
    assert note(tmp_path).suspicion(START) == CrashRecord(1, EntryId(1, 0))


def test_an_end_in_order_neither_counts_as_a_death_nor_clears_a_suspicion(tmp_path: Path) -> None:
    (last,) = ids(4)
    note(tmp_path).take(START, last)
    for _ in range(2):
        stopped = note(tmp_path)
        assert stopped.suspicion(START) == CrashRecord(1, last)
        stopped.put_down()
    stopped = note(tmp_path)
    assert stopped.suspicion(START) == CrashRecord(1, last)
    stopped.take(START, last)
    stopped.put_down()
    assert note(tmp_path).suspicion(START) == CrashRecord(1, last)


def test_a_suspicion_outlives_neighbours_that_are_committed(tmp_path: Path) -> None:
    first, second, third = ids(1, 2, 3)
    note(tmp_path).take(START, third)
    after = note(tmp_path)
    assert after.suspicion(START) == CrashRecord(1, third)
    after.take(START, first)  # cut smaller, committed
    after.take(first, third)  # and death again behind that
    again = note(tmp_path)
    assert again.suspicion(first) == CrashRecord(2, third)
    assert note(tmp_path).suspicion(third) is None
    again.take(second, third)
    again.take(third, EntryId(9, 0))
    assert note(tmp_path).suspicion(third) == CrashRecord(1, EntryId(9, 0)), "all that was suspected has been committed"
