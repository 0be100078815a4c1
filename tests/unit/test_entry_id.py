"""Ids of stream entries order as Redis orders them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender_engine.items import START, EntryId

whole = st.integers(0, 2**64 - 1)
entry_ids = st.builds(EntryId, whole, whole)


@given(entry_ids)
def test_text_and_back(id_: EntryId) -> None:
    assert EntryId.parse(str(id_)) == id_


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "-",
        "1-",
        "-1",
        "1-2-3",
        "a-b",
        "1-b",
        " 1-2",
        "1-2\n",
        "+1-2",
        "1--2",
        "1.0-2",
        "0x1-2",
        "\u0661-\u0662",
        f"{'1' * 21}-0",
        "*",
        "$",
        "1-*",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a stream entry id"):
        EntryId.parse(text)


def test_order_is_by_number_and_not_by_text() -> None:
    ids = [EntryId.parse(text) for text in ("9-0", "10-0", "10-9", "10-10", "100-0")]
    assert sorted(ids, reverse=True)[::-1] == ids
    assert min(ids) > START


HIGHEST = EntryId(2**64 - 1, 2**64 - 1)
# Where sums overflow, and in between.
edges = st.sampled_from([0, 1, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1]) | whole
edge_ids = st.builds(EntryId, edges, edges)


@given(edge_ids, edges)
def test_next_is_later_and_no_earlier_than_asked(id_: EntryId, ms: int) -> None:
    after = id_.next_at(ms)
    assert after > id_ or after == id_ == HIGHEST
    assert after.ms >= ms
    assert after <= HIGHEST, "no server knows it"


@given(edge_ids, edges)
def test_next_leaves_no_smaller_id_out(id_: EntryId, ms: int) -> None:
    after = id_.next_at(ms)
    if after == id_ == HIGHEST:
        return
    before = EntryId(after.ms, after.n - 1) if after.n else EntryId(after.ms - 1, 2**64 - 1)
    assert before <= id_ or before.ms < ms


@given(edge_ids)
def test_nothing_is_between_an_id_and_its_successor(id_: EntryId) -> None:
    after = id_.successor
    assert after == (id_ if id_ == HIGHEST else id_.next_at(0))


@pytest.mark.parametrize(
    ("id_", "next_"),
    [
        (EntryId(0, 0), EntryId(0, 1)),
        (EntryId(7, 2**64 - 1), EntryId(8, 0)),
        (EntryId(2**64 - 1, 3), EntryId(2**64 - 1, 4)),
        (EntryId(2**64 - 1, 2**64 - 1), EntryId(2**64 - 1, 2**64 - 1)),
    ],
)
def test_the_successor_is_the_smallest_id_behind(id_: EntryId, next_: EntryId) -> None:
    assert id_.successor == next_
