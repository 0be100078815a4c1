"""The word index bears any number of erasures: SQLite takes a record of it with 2,000 levels for damaged."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender_engine import Recommender
from recommender_engine.matching import LearnedMatcher
from recommender_engine.store import word_levels
from recommender_engine.store.word_levels import MOST_LEVELS, lowered
from tests.support.engine import Log, opened

segments = st.lists(st.tuples(*[st.integers(0, 2**56 - 1)] * 3), max_size=3)
levels = st.lists(st.one_of(st.just([]), segments), max_size=200)


def record(said: list[list[tuple[int, ...]]], merging: int = 0) -> bytes:
    """A record as FTS5 writes it."""
    numbers = [len(said), sum(map(len, said)), 7]
    for level in said:
        numbers += [merging if level else 0, len(level), *(number for one in level for number in one)]
    return b"\0\0\0\5" + b"".join(map(word_levels._varint, numbers))


@given(st.integers(0, 2**56 - 1))
def test_integers_are_read_as_they_are_written(value: int) -> None:
    said = word_levels._varint(value)
    assert list(word_levels._integers(said)) == [value]
    assert len(said) <= 8


@given(levels)
def test_no_segment_is_lost_and_their_order_stays(said: list[list[tuple[int, ...]]]) -> None:
    found = lowered(record(said))
    if len(said) <= MOST_LEVELS:
        assert found is None
        return
    kept = [*said[:20], *(level for level in said[20:] if level)]
    assert found == record(kept)


@pytest.mark.parametrize("odd", [b"", b"\0\0\0\1", b"\0\0\0\1\x81", b"\0\0\0\1\xff\0\0\1" + bytes(40)])
def test_a_record_of_another_form_stays_as_it_is(odd: bytes) -> None:
    assert lowered(odd) is None
    assert lowered(record([[(1, 1, 1)]] * 80, merging=1)) is None


def structure(engine: Recommender) -> bytes:
    (block,) = engine._store._db.execute("SELECT block FROM words_data WHERE id=10").fetchone()
    return bytes(block)


def count(engine: Recommender) -> int:
    return next(word_levels._integers(structure(engine)[4:]))


def text(number: int) -> str:
    return " ".join(f"word{(number * step) % 901}" for step in range(1, 60))


def erase(engine: Recommender, log: Log, number: int) -> None:
    """One item comes, another is erased, and the index is rewritten."""
    engine.process([log.upsert(f"i{number}", text(number))])
    engine.process([log.erase(f"i{number - 40}")])
    while engine._store.scrub_some():
        pass


def test_levels_do_not_grow_with_erasures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_levels, "MOST_LEVELS", 24)
    log = Log()
    with closing(opened(matcher=LearnedMatcher)) as engine:
        engine.process([log.upsert(f"i{number}", text(number)) for number in range(40)])
        most = 0
        for number in range(40, 90):
            erase(engine, log, number)
            most = max(most, count(engine))
        assert 20 < most <= 27
        engine._store._db.execute("INSERT INTO words (words) VALUES ('integrity-check')")
        assert [hit.id for hit in engine.search(text(80), limit=1)] == ["i80"]
        seqs = {row[0]: row[1] for row in engine._store._db.execute("SELECT seq, content FROM items")}
        for word in ("word7", "word300", "word880"):
            expected = [seq for seq, content in seqs.items() if f"{word} " in content.replace('"', " ")]
            assert engine._store.words.having(1, word) == expected


def test_a_state_with_too_many_levels_is_mended_when_it_is_opened(tmp_path: Path) -> None:
    log = Log()
    with closing(opened(tmp_path, matcher=LearnedMatcher)) as engine:
        engine.process([log.upsert(f"i{number}", text(number)) for number in range(40)])
        said = structure(engine)
        numbers = list(word_levels._integers(said[4:]))
        high = [numbers[0] + 2100, *numbers[1:3], *[0, 0] * 2100, *numbers[3:]]
        block = said[:4] + b"".join(map(word_levels._varint, high))
        engine._store._db.execute("UPDATE words_data SET block=? WHERE id=10", (block,))
    with closing(opened(tmp_path, matcher=LearnedMatcher)) as engine:
        assert count(engine) < MOST_LEVELS
        erase(engine, log, 41)
        assert engine._store.words.having(1, "word2")
