"""Which ids are believed: by the clock, and by what was read before it was set back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_recommender.broker.commands.trusted_ids import CLOCK_TOLERANCE_MS, TrustedIds, is_lost, last_trusted
from recommender_engine.items import START, EntryId

NOW_MS = 1_700_000_000_000
MOST = 2**64 - 1
HOUR_MS, YEAR_MS = 3_600_000, 365 * 24 * 3_600_000


def test_as_far_ahead_as_clocks_differ() -> None:
    for read in (START, EntryId(NOW_MS - YEAR_MS, 3), EntryId(NOW_MS, MOST)):
        assert last_trusted(NOW_MS, read) == EntryId(NOW_MS + CLOCK_TOLERANCE_MS, MOST)


@pytest.mark.parametrize("n", [0, 7, MOST])
def test_behind_what_was_read_a_server_goes_on_whose_clock_was_set_back(n: int) -> None:
    read = EntryId(NOW_MS + HOUR_MS, n)
    assert read.successor <= last_trusted(NOW_MS, read) < EntryId(read.ms + 2, 0)


@given(st.lists(st.integers(0, MOST), max_size=20))
def test_no_entry_takes_the_position_further_ahead_than_a_millisecond(steps: list[int]) -> None:
    """However many strangers append, and whatever ids they give."""
    read = EntryId(NOW_MS, 0)
    for ms in steps:
        id_ = EntryId(ms, MOST)
        if read < id_ <= last_trusted(NOW_MS, read):
            read = id_
    assert read.ms <= NOW_MS + CLOCK_TOLERANCE_MS + len(steps)


@pytest.mark.parametrize(
    ("position", "lost"),
    [
        (EntryId(MOST, MOST), True),
        (EntryId(MOST, 0), True),
        (EntryId(NOW_MS + YEAR_MS, 0), True),
        (EntryId(NOW_MS + 24 * HOUR_MS, 0), False),
        (EntryId(NOW_MS, 0), False),
        (START, False),
    ],
)
def test_a_position_is_lost_where_no_clock_was_set_back_from(position: EntryId, *, lost: bool) -> None:
    assert is_lost(position, NOW_MS) is lost


def test_reading_trusts_the_same_ids_as_the_repair() -> None:
    """Else an entry would be decided under its id and moved as well."""
    now_ms = NOW_MS
    belief = TrustedIds(lambda: now_ms)
    read = EntryId(NOW_MS - 5, 0)
    in_use = belief.reading(read)
    now_ms = NOW_MS - HOUR_MS  # it was corrected: what has been read meanwhile was believed
    with belief.held(read) as held:
        assert held == in_use
        now_ms = NOW_MS + HOUR_MS
        assert belief.reading(read) == held
    assert belief.reading(read) == EntryId(now_ms + CLOCK_TOLERANCE_MS, MOST)
