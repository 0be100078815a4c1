"""Learning that takes long holds up no decision, and takes effect at a moment of the log; answers have a bound."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import pytest

from recommender_engine import Entry, Recommender
from recommender_engine.matching import LearnedMatcher
from recommender_engine.pipeline.dedup import answers as answers_module
from recommender_engine.pipeline.learning import models as learning
from recommender_engine.pipeline.learning import training as lessons
from recommender_engine.pipeline.learning.training import TRAINING_MS
from tests.support.engine import Log, data_of, is_outcome, lines, opened
from tests.support.partitions import Pair

FEW = 10


@pytest.fixture(autouse=True)
def own_model_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "OWN_MODEL_FROM", FEW)


def engine(directory: Path | None = None) -> Recommender:
    return opened(directory, matcher=LearnedMatcher)


def items(log: Log, count: int = 40, **more: Any) -> list[Entry]:
    chance = random.Random(1)
    words = ["card", "shop", "declined", "payment", "order", "late", "parcel", "refund", "login", "password", "reset"]
    return [log.upsert(f"i{n}", " ".join(chance.sample(words, 5)), **more) for n in range(count)]


def said(log: Log, start: int, end: int, answer: str = "different", **more: Any) -> list[Entry]:
    return [log.feedback(f"i{2 * n}", answer, f"i{2 * n + 1}", **more) for n in range(start, end)]


def model(engine: Recommender, collection: str = "default") -> tuple[int, str] | None:
    found = engine._base.collections.find(collection)
    kept = None if found is None else engine._store.answers.model(found.id)
    return None if kept is None else (kept[0], str(kept[1]))


def kinds_of_answers(engine: Recommender, collection: str = "c") -> list[str | None]:
    found = engine._base.collections.find(collection)
    assert found is not None
    return [one.kind for one in engine._store.answers.all(found.id)]


def lesson_count(engine: Recommender) -> int:
    return len(engine._store.training.all())


def test_a_long_lesson_is_learned_beside_and_takes_effect_half_a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    learn = lessons.learned

    def noting(rows: list[lessons.Row]) -> lessons.Model:
        threads.append(threading.current_thread().name)
        return learn(rows)

    monkeypatch.setattr(lessons, "learned", noting)
    one, log = engine(), Log()
    one.process([*items(log), *said(log, 0, FEW - 1)])
    before = model(one)
    assert before is not None
    assert before[0] == FEW - 1, "a few take effect at once"
    begun_ms = one.process(said(log, FEW - 1, FEW))[0].id.ms
    assert (model(one), lesson_count(one)) == (before, 1)
    assert one.due_ms() == begun_ms + TRAINING_MS
    one.process([log.tick(later_ms=TRAINING_MS - 1)])
    assert model(one) == before
    one.process([log.tick()])
    after = model(one)
    assert after is not None
    assert (after[0], lesson_count(one), one.due_ms()) == (FEW, 0, None)
    assert threads == ["recommender-learning"]
    assert after[1] == str(learn(one._store.training.answers(1, 1000, 1000)))


def history(log: Log) -> list[Entry]:
    """Answers that begin lessons, disturb them, and what is decided meanwhile."""
    entries = [*items(log), *said(log, 0, FEW)]
    entries += [log.tick(later_ms=TRAINING_MS // 2), *said(log, FEW, 15), *items(log, 5)]
    entries += [log.feedback("i0", "unsure", "i1"), log.tick(later_ms=TRAINING_MS // 2), *items(log, 3)]
    entries += [log.feedback("i2", "same", "i3"), log.erase("i4"), log.tick(later_ms=TRAINING_MS), *items(log, 6)]
    for _ in range(6):  # disturbed again and again
        entries += [log.feedback("i2", "different", "i3"), log.tick(later_ms=TRAINING_MS)]
    return [
        *entries,
        *items(log, 9),
        log.tick(later_ms=TRAINING_MS),
        log.upsert("last", "card declined shop late order"),
    ]


@pytest.mark.parametrize("size", [1, 4, 9])
@pytest.mark.parametrize("restarted", [True, False])
def test_what_is_learned_does_not_depend_on_batches_or_restarts(tmp_path: Path, size: int, *, restarted: bool) -> None:
    whole = engine()
    expected = lines(whole.process(history(Log())))
    one, told = engine(tmp_path), []
    entries = history(Log())
    for start in range(0, len(entries), size):
        told += lines(one.process(entries[start : start + size]))
        if restarted:
            one.close()
            one = engine(tmp_path)
    assert told == expected
    assert model(one) == model(whole)
    assert lesson_count(one) == 0
    one.close()


def test_a_batch_that_is_undone_learns_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = lines(engine().process(history(Log())))
    one, told = engine(), []

    def fail() -> None:
        raise RuntimeError("the lease is gone")

    for entry in history(Log()):
        monkeypatch.setattr(one, "_before_commit", fail)
        with pytest.raises(RuntimeError, match="the lease is gone"):
            one.process([entry])
        monkeypatch.setattr(one, "_before_commit", lambda: None)
        told += lines(one.process([entry]))
    assert told == expected


def test_an_answer_that_is_gone_before_the_lesson_is_over_teaches_nothing() -> None:
    one, log = engine(), Log()
    one.process([*items(log), *said(log, 0, FEW)])
    one.process([log.erase("i0")])
    one.process([log.tick(later_ms=TRAINING_MS)])
    assert (lesson_count(one), (model(one) or (0,))[0]) == (1, FEW - 1), "it began anew"
    one.process([log.tick(later_ms=TRAINING_MS)])
    kept = model(one)
    assert kept is not None
    assert kept[1] == str(lessons.learned(one._store.training.answers(1, 1000, 1000)))
    assert kept[0] == FEW - 1


def test_it_is_learned_from_so_many_answers_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lessons, "MOST_LEARNED_FROM", 12)
    one, log = engine(), Log()
    one.process([*items(log), *said(log, 0, 16)])
    one.process([log.tick(later_ms=TRAINING_MS)])
    one.process([*said(log, 16, 17), log.tick(later_ms=TRAINING_MS)])
    kept = model(one)
    assert kept is not None
    assert kept[0] == 12
    assert kept[1] == str(lessons.learned(one._store.training.answers(1, 1000, 12)))


def test_a_lesson_of_a_collection_that_is_deleted_ends() -> None:
    one, log = engine(), Log()
    one.process([*items(log), *said(log, 0, FEW)])
    one.process([log.add("collection.deleted", {"collection": "default"})])
    assert (lesson_count(one), one.due_ms()) == (0, None)
    one.process([log.tick(later_ms=TRAINING_MS)])


def test_a_collection_that_moves_learns_where_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair()
    source = pair["a"]
    for n in range(2 * FEW + 2):
        source.add("item.upsert", {"id": f"i{n}", "collection": "c", "text": f"card declined {n} at the shop"})
    for n in range(FEW):
        source.add("feedback.given", {"id": f"i{2 * n}", "other": f"i{2 * n + 1}", "collection": "c", "answer": "same"})
    pair.settle()
    assert lesson_count(source.engine) == 1
    kinds = kinds_of_answers(source.engine)
    assert set(kinds) == {"without_codes"}
    for _ in pair.move("a", "b", "m"):
        source.add("clock.ticked", {}, later_ms=TRAINING_MS)
        source.decide()
        assert source.engine.due_ms() is None or lesson_count(source.engine) == 1
    pair.settle()
    assert lesson_count(source.engine) == 0
    there = pair["b"]
    assert kinds_of_answers(there.engine) == kinds, "an answer keeps its kind of text"
    there.add("feedback.given", {"id": f"i{2 * FEW}", "other": f"i{2 * FEW + 1}", "collection": "c", "answer": "same"})
    pair.settle()
    assert lesson_count(there.engine) == 1, "what it had not learned from is still to be learned from"
    pair.close()


# -- how many answers there may be -------------------------------------------------------------------------------------


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> tuple[Recommender, Log]:
    monkeypatch.setattr(answers_module, "MOST_ANSWERS", 3)
    monkeypatch.setattr(answers_module, "MOST_IN_ALL", 5)
    one, log = engine(), Log()
    one.process([*items(log), *items(log, collection="other"), *said(log, 0, 3), *said(log, 0, 2, collection="other")])
    return one, log


def codes(one: Recommender, *entries: Entry) -> list[str | None]:
    return [data_of(event).get("code") for event in one.process(entries) if is_outcome(event)]


def test_what_people_said_is_kept_and_new_answers_are_refused_at_the_bound(full: tuple[Recommender, Log]) -> None:
    one, log = full
    assert codes(one, *said(log, 3, 5)) == ["too_many_answers"] * 2, "the collection has as many as are kept"
    assert codes(one, *said(log, 2, 3, collection="other")) == ["too_many_answers"], "the partition has"
    assert len(one.answers()) == 3
    assert codes(one, *said(log, 0, 1)) == [None], "one can be given again"
    assert codes(one, *said(log, 1, 2, "unsure"), *said(log, 3, 4)) == [None, None], "or make room"
    assert codes(one, log.erase("i0"), *said(log, 4, 5)) == [None, None]
    deleted = log.add("collection.deleted", {"collection": "default"})
    assert codes(one, deleted, *said(log, 2, 3, collection="other")) == [None, None], "there is room at once"


def test_in_memory_are_those_of_the_collections_asked_for_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "MOST_IN_MEMORY", 5)
    one, log = engine(), Log()
    names = [f"c{n}" for n in range(6)]
    for name in names:
        one.process([*items(log, 6, collection=name), *said(log, 0, 2, collection=name)])
    assert len(one._base.answers._links) == 2
    assert {len(one.answers(name)) for name in names} == {2}
    for name in names:
        chain = [log.feedback("i1", "same", "i2", collection=name), log.feedback("i0", "same", "i2", collection=name)]
        assert codes(one, *chain) == [None, "contradiction"], "whatever is in memory"
        assert sum(one._store.answers.count(id_) for id_ in one._base.answers._links) <= 5


def test_a_model_that_reads_a_feature_of_another_release_is_dropped_and_learned_anew(tmp_path: Path) -> None:
    log = Log()
    one = engine(tmp_path)
    one.process([*items(log), *said(log, 0, 5)])
    found = one._base.collections.find("default")
    assert found is not None
    kept = one._store.answers.model(found.id)
    assert kept is not None
    with one._store.transaction():
        one._store.answers.put_model(found.id, kept[0], {**kept[1], "features": ["letters", *kept[1]["features"][1:]]})
    one.close()

    one = engine(tmp_path)
    judged = one.process([log.upsert("late", "card declined in the shop")])
    assert [event.data.type for event in judged if is_outcome(event)] == ["recommender.item.processed.v1"], (
        "by the shipped model"
    )
    accepted = [event for event in one.process(said(log, 6, 7)) if is_outcome(event)]
    assert data_of(accepted[0])["answers"] == 6, "learned from all answers there are"
    anew = one._store.answers.model(found.id)
    assert anew is not None
    assert anew[1]["features"][0] == kept[1]["features"][0]
    one.close()
