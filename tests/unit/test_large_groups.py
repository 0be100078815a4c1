"""An answer in a large group costs by the items that change, not by the size of the group."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from typing import Any

import pytest

from recommender_engine import Recommender
from recommender_engine.pipeline.dedup import group_edits as reshaping
from recommender_engine.store import items as item_rows
from tests.support.engine import Log, data_of, opened

TEXT = "the export button of the report does nothing since the update"
_STEP = 100  # instructions of SQLite's machine that are counted as one
_ROWS_READ = 60


def filled(log: Log, size: int) -> Recommender:
    """An engine with one group of items that all say the same, and an item of its own."""
    engine = opened()
    engine.process([log.upsert(f"i{number}", TEXT) for number in range(size)])
    engine.process([log.upsert("other", "my card was swallowed by the machine in Lisbon")])
    return engine


@contextmanager
def counted(engine: Recommender, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """What is done meanwhile: items read whole, and steps of SQLite."""
    rows, steps = count(), count()
    found: dict[str, int] = {}
    original = item_rows._stored

    def stored(row: Any) -> Any:
        next(rows)
        return original(row)

    with monkeypatch.context() as patched:
        patched.setattr(item_rows, "_stored", stored)
        engine._store._db.set_progress_handler(lambda: next(steps) and None, _STEP)
        yield found
        engine._store._db.set_progress_handler(None, _STEP)
    found |= {"rows": next(rows), "steps": next(steps)}


def test_an_answer_costs_by_what_changes_and_not_by_the_size_of_the_group(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs: dict[int, list[int]] = {}
    for size in (reshaping._MOST_COMPARED + 100, 3 * (reshaping._MOST_COMPARED + 100)):
        with closing(filled(log, size)) as engine:
            for entry in (
                log.feedback(f"i{size - 1}", "wrong"),
                log.feedback("i30", "different", "i20"),
                log.feedback("i30", "unsure", "i20"),
                log.feedback("i41", "same", "i40"),
                log.feedback("other", "same", "i5"),
                log.feedback("other", "different", "i3"),
                log.feedback("i0", "different", "i50"),
            ):
                with counted(engine, monkeypatch) as cost:
                    outcome, *_ = engine.process([entry])
                assert "code" not in data_of(outcome)
                assert cost["rows"] <= _ROWS_READ
                costs.setdefault(size, []).append(cost["steps"])
    few, many = costs.values()
    # Members are counted, by an index. Nothing else goes by their number, and nothing by its square.
    assert all(more <= 3.5 * fewer + 200 for fewer, more in zip(few, many, strict=True)), (few, many)


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every group is a large one."""
    monkeypatch.setattr(reshaping, "_MOST_COMPARED", 2)
    monkeypatch.setattr(reshaping, "_MOST_REJUDGED", 1)


def groups(engine: Recommender, *ids: str) -> list[str]:
    views = [engine.get(id_) for id_ in ids]
    return [view.group for view in views if view is not None]


@pytest.mark.usefixtures("small_limits")
def test_in_a_large_group_the_later_of_two_leaves_with_its_very_text_and_what_people_put_to_it(log: Log) -> None:
    with closing(opened()) as engine:
        engine.process([log.upsert(id_, TEXT) for id_ in "abcd"])
        engine.process([log.upsert(id_, f"{TEXT} again", vector=[1.0] + [0.0] * 63) for id_ in "xyz"])
        for id_ in "xyz":
            engine.process([log.feedback(id_, "same", "a")])
        engine.process([log.feedback("z", "unsure", "a"), log.feedback("y", "unsure", "a")])
        engine.process([log.feedback("z", "same", "d")])
        assert len(set(groups(engine, *"abcdxyz"))) == 1
        engine.process([log.feedback("c", "different", "z")])
        # y has the text of z, x as well but people put it to a, and d was put to z.
        assert groups(engine, *"abc") == [groups(engine, "a")[0]] * 3
        assert groups(engine, "x") == groups(engine, "a")
        assert len(set(groups(engine, *"dyz"))) == 1
        assert groups(engine, "z") != groups(engine, "a")


@pytest.mark.usefixtures("small_limits")
def test_after_a_split_no_duplicate_names_an_item_of_the_other_side(log: Log) -> None:
    with closing(opened()) as engine:
        engine.process([log.upsert(id_, TEXT) for id_ in "abcdef"])  # all of them repeat a
        engine.process([log.upsert("z", "my card was swallowed by the machine in Lisbon")])
        engine.process([log.feedback("z", "same", "b")])
        engine.process([log.feedback("z", "different", "a")])
        engine.process([log.feedback("a", "different", "f")])
        for id_ in "abcdefz":
            view = engine.get(id_)
            assert view is not None
            if view.matched_id is not None and view.band.value == "duplicate":
                assert groups(engine, view.matched_id) == [view.group], id_
