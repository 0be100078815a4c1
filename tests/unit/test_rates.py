"""Commands per second of stream time: what is too many is rejected, whatever the batching."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender_engine import Entry, Event, Recommender
from recommender_engine.embedding.encoder import Embeddings
from recommender_engine.errors import EncodingError
from recommender_engine.items import CommandRejected, ItemProcessed
from recommender_engine.testing import DeterministicEncoder
from tests.support.engine import Log, lines, opened


class Counting(DeterministicEncoder):
    """Counts the texts it embeds, and fails when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.fails = False

    def encode(self, texts: Sequence[str]) -> Embeddings:
        if self.fails:
            raise EncodingError("out of order")
        self.texts += texts
        return super().encode(texts)


@pytest.fixture
def engine() -> Iterator[Recommender]:
    with contextlib.closing(opened()) as engine:
        yield engine


def codes(events: Sequence[Event]) -> list[str]:
    return [event.data.code if isinstance(event.data, CommandRejected) else "taken" for event in events]


def upserts(log: Log, count: int, later_ms: int, **fields: Any) -> list[Entry]:
    return [log.upsert(f"i{n}", f"text number {n}", later_ms=later_ms, **fields) for n in range(count)]


def test_a_second_takes_so_many_and_the_next_as_many_again(engine: Recommender) -> None:
    log = Log()
    engine.process([log.configure(commands_per_second=3)])
    events = engine.process([*upserts(log, 5, later_ms=0), log.upsert("later", "after a second", later_ms=1000)])
    assert codes(events) == ["taken"] * 3 + ["rate_limited"] * 2 + ["taken"]
    refused = events[3].data
    assert isinstance(refused, CommandRejected)
    assert (refused.item_id, refused.message) == ("i3", "collection takes 3 commands per second")


def test_a_steady_sender_at_the_limit_is_never_refused(engine: Recommender) -> None:
    log = Log()
    engine.process([log.configure(commands_per_second=8, burst=1)])
    assert codes(engine.process(upserts(log, 40, later_ms=125))) == ["taken"] * 40
    assert codes(engine.process(upserts(log, 4, later_ms=63))) == ["rate_limited", "taken"] * 2


def test_a_burst_may_be_larger_than_a_second(engine: Recommender) -> None:
    log = Log()
    engine.process([log.configure(commands_per_second=0.5, burst=4)])
    assert codes(engine.process(upserts(log, 6, later_ms=0))) == ["taken"] * 4 + ["rate_limited"] * 2
    assert codes(engine.process([log.upsert("late", "two seconds later", later_ms=2000)])) == ["taken"]
    assert codes(engine.process([log.upsert("more", "nothing left")])) == ["rate_limited"]


def test_other_collections_go_on(engine: Recommender) -> None:
    log = Log()
    engine.process([log.configure("noisy", commands_per_second=1)])
    mixed = [log.upsert(f"i{n}", f"text {n}", collection=("noisy", "calm")[n % 2], later_ms=0) for n in range(6)]
    assert codes(engine.process(mixed)) == ["taken", "taken"] + ["rate_limited", "taken"] * 2


def test_settings_and_erasures_always_pass(engine: Recommender) -> None:
    log = Log()
    engine.process([log.configure(commands_per_second=1), log.upsert("a", "one thing")])
    limited = [log.patch("a", {"x": 1}), log.feedback("a", "right"), log.delete("a")]
    assert codes(engine.process(limited)) == ["rate_limited"] * 3
    passing = [log.erase("a"), log.configure(commands_per_second=None), *upserts(log, 3, later_ms=0)]
    assert codes(engine.process(passing)) == ["taken"] * 5


def test_what_is_refused_is_not_embedded() -> None:
    encoder = Counting()
    with contextlib.closing(opened(encoder=encoder)) as engine:
        log = Log()
        engine.process([log.configure(commands_per_second=2), *upserts(log, 50, later_ms=0)])
    assert encoder.texts == ["text number 0", "text number 1"]


def test_a_refusal_is_the_outcome_of_its_key(engine: Recommender) -> None:
    log = Log()
    engine.process([log.configure(commands_per_second=1), log.upsert("a", "one thing")])
    assert codes(engine.process([log.add("item.upsert", key="k", id="b", text="x")])) == ["rate_limited"]
    repeat = log.add("item.upsert", key="k", later_ms=5000, id="b", text="x")
    assert engine.process([repeat]) == []
    other = engine.process([log.add("item.upsert", key="k2", later_ms=5000, id="b", text="x")])
    assert isinstance(other[0].data, ItemProcessed)


def test_a_batch_that_failed_counts_once() -> None:
    encoder = Counting()
    with contextlib.closing(opened(encoder=encoder)) as engine:
        log = Log()
        engine.process([log.configure(commands_per_second=3)])
        batch = upserts(log, 3, later_ms=0)
        encoder.fails = True
        for _ in range(3):
            with pytest.raises(EncodingError, match="out of order"):
                engine.process(batch)
        encoder.fails = False
        assert codes(engine.process(batch)) == ["taken"] * 3


def test_a_restart_remembers(tmp_path: Path) -> None:
    log = Log()
    with contextlib.closing(opened(tmp_path)) as engine:
        engine.process([log.configure(commands_per_second=2), *upserts(log, 2, later_ms=0)])
    with contextlib.closing(opened(tmp_path)) as engine:
        assert codes(engine.process([log.upsert("c", "one more", later_ms=0)])) == ["rate_limited"]
        assert codes(engine.process([log.upsert("d", "later", later_ms=500)])) == ["taken"]


@settings(max_examples=50, deadline=None)
@given(
    gaps=st.lists(st.sampled_from([0, 0, 0, 1, 40, 300, 2000]), min_size=1, max_size=40),
    rates=st.lists(st.sampled_from([None, 0.7, 3, 25]), min_size=1, max_size=3),
    cuts=st.sets(st.integers(0, 45)),
)
def test_batching_makes_no_difference(gaps: list[int], rates: list[float | None], cuts: set[int]) -> None:
    log = Log()
    entries: list[Entry] = []
    for place, gap in enumerate(gaps):
        if place % 15 == 0:
            entries.append(log.configure(commands_per_second=rates[place // 15 % len(rates)]))
        entries.append(log.upsert(f"i{place % 7}", f"text {place % 11}", later_ms=gap))
    with contextlib.closing(opened()) as whole, contextlib.closing(opened()) as cut:
        at_once = lines(whole.process(entries))
        places = [0, *sorted(place for place in cuts if 0 < place < len(entries)), len(entries)]
        in_parts = [
            line for start, end in itertools.pairwise(places) for line in lines(cut.process(entries[start:end]))
        ]
    assert at_once == in_parts
