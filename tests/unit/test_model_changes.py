"""The model of a collection changes while its stream goes on: it is proposed, promoted, rolled back, dropped."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from recommender_engine import Entry, Event, Recommender
from recommender_engine.embedding import Embeddings, ModelIdentity
from recommender_engine.errors import EncodingError, InvalidCommand
from recommender_engine.items import DEFAULT_MODEL
from recommender_engine.matching import LearnedMatcher
from recommender_engine.pipeline.vectors import overlay, second_models
from recommender_engine.testing import DeterministicEncoder
from tests.support.encoders import FailingEncoder
from tests.support.engine import Log, data_of, lines, opened
from tests.support.older_states import make_schema_11

LIVE, NEW = DeterministicEncoder(64), DeterministicEncoder(128, max_tokens=40)
DIGESTS = {DEFAULT_MODEL: LIVE.identity.fingerprint, "new": NEW.identity.fingerprint}
WORDS = ["card", "shop", "declined", "payment", "order", "late", "parcel", "refund", "login", "password", "reset"]


def engine(directory: Path | None = None, new: Any = NEW) -> Recommender:
    return opened(directory, LIVE, matcher=LearnedMatcher, new=new)


def about(log: Log, what: str, model: str = "new", digest: str | None = None, collection: str = "default") -> Entry:
    return log.add(f"model.{what}", collection=collection, model=model, digest=digest or DIGESTS[model])


def items(log: Log, count: int, start: int = 0) -> list[Entry]:
    chance = Random(start)
    return [log.upsert(f"i{n}", " ".join(chance.sample(WORDS, 5))) for n in range(start, start + count)]


def build(one: Recommender) -> None:
    while one.second_models.build():
        if (part := one.second_models._slice) is not None:
            wait([part.future])


def models_of(one: Recommender) -> dict[str, int]:
    rows = one._store._db.execute("SELECT model, count(*) FROM vectors GROUP BY model")
    return {model.rpartition("@")[2]: count for model, count in rows}


def second(one: Recommender, collection: str = "default") -> dict[str, Any] | None:
    found: dict[str, Any] | None = one.stats()["collections"][collection]["second_model"]
    return found


def code(events: Sequence[Event]) -> str:
    (event,) = events
    data = data_of(event)
    assert data["type"] == "recommender.command.rejected.v1", data
    return str(data["code"])


def test_a_second_model_is_built_beside_and_promoted_and_rolled_back() -> None:
    one, log = engine(), Log()
    one.process(items(log, 30))
    (proposed,) = one.process([about(log, "proposed")])
    assert data_of(proposed)["type"] == "recommender.model.proposed.v1"
    assert data_of(proposed)["dimension"] == 128
    assert second(one)["left"] == 30
    one.second_models.build()
    one.process(items(log, 5, 30))  # intake goes on; what arrives has its turn as well
    build(one)
    assert second(one) == {
        "name": "new",
        "model": NEW.identity.key,
        "dimension": 128,
        "left": 0,
        "stopped": None,
        "previous": False,
    }
    before = [one.get(f"i{n}") for n in range(35)]
    (promoted,) = one.process([about(log, "promoted")])
    told = data_of(promoted)
    assert (told["type"], told["before"], told["items"]) == (
        "recommender.model.promoted.v1",
        LIVE.identity.key,
        35,
    )
    assert one.stats()["collections"]["default"]["model"] == NEW.identity.key
    assert (second(one)["model"], second(one)["previous"]) == (LIVE.identity.key, True)
    assert [one.get(f"i{n}") for n in range(35)] == before, "groups and verdicts stay"
    (view,) = {data_of(event)["model"] for event in one.process(items(log, 1, 50))}
    assert view == NEW.identity.key
    build(one)
    one.process([about(log, "promoted", DEFAULT_MODEL)])
    assert one.stats()["collections"]["default"]["model"] == LIVE.identity.key
    assert second(one)["previous"] is False, "the way back leads to it by a promotion again"
    one.process([about(log, "dropped")])
    assert second(one) is None
    one.prune(0, one.last_event)
    assert set(models_of(one)) == {LIVE.identity.fingerprint}
    one.close()


def test_a_rollback_finds_everything_as_it_was() -> None:
    """The events behind a change and its rollback are those of a stream without it."""
    calm, changed = engine(), engine()
    log, also = Log(), Log()
    for one, its, switched in ((calm, log, False), (changed, also, True)):
        one.process(items(its, 40))
        for what, model in (("proposed", "new"), ("promoted", "new"), ("promoted", DEFAULT_MODEL), ("dropped", "new")):
            entry = about(its, what, model)
            if switched:
                one.process([entry])
                build(one)
    ours, theirs = items(log, 30, 20), items(also, 30, 20)
    expected, told = calm.process(ours), changed.process(theirs)

    def said(events: Sequence[Event]) -> list[dict[str, Any]]:
        return [{name: value for name, value in data_of(event).items() if name != "novelty"} for event in events]

    assert said(told) == said(expected)


def history(log: Log) -> list[Entry]:
    """Everything that meets a change: arrivals, edits, deletions, answers, and switches amid them."""
    entries = [*items(log, 12), about(log, "proposed"), *items(log, 4, 12), log.erase("i2"), log.delete("i3")]
    entries += [log.feedback("i0", "different", "i1"), log.feedback("i4", "same", "i5")]
    entries += [about(log, "promoted"), *items(log, 9, 14), log.upsert("i6", "late parcel"), log.erase("i7")]
    entries += [about(log, "promoted", DEFAULT_MODEL), *items(log, 6, 18), about(log, "promoted")]
    entries += [log.feedback("i9", "same", "i10"), *items(log, 8, 25), about(log, "dropped", DEFAULT_MODEL)]
    return [*entries, *items(log, 5, 31), about(log, "proposed", DEFAULT_MODEL), *items(log, 3, 36)]


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_models, "LEAST", 3)


@pytest.mark.parametrize(
    ("size", "slices", "restarted"), [(1, 1, False), (7, 0, True), (7, 3, True), (500, 3, False), (3, 1, True)]
)
def test_neither_batches_nor_slices_nor_restarts_change_an_event(
    tmp_path: Path, size: int, slices: int, *, restarted: bool
) -> None:
    expected = lines(engine().process(history(Log())))
    one, told = engine(tmp_path), []
    for batch in batches(history(Log()), size):
        told += lines(one.process(batch))
        for _ in range(slices):
            one.second_models.build()
        if restarted:
            one.close()
            one = engine(tmp_path)
    assert told == expected
    one.close()


def batches(entries: list[Entry], size: int) -> Iterator[list[Entry]]:
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


class _Slow(FailingEncoder):
    """Counts texts, and fails for as long as it is told to."""

    def __init__(self) -> None:
        super().__init__(NEW)
        self.texts: list[str] = []

    @property
    def identity(self) -> ModelIdentity:
        return NEW.identity

    def encode(self, texts: Sequence[str]) -> Embeddings:
        found = super().encode(texts)
        self.texts += texts
        return found


def test_a_switch_that_cannot_embed_is_undone_and_tried_again() -> None:
    model = _Slow()
    one, log = engine(new=model), Log()
    one.process([*items(log, 10), about(log, "proposed")])
    model.failing = True
    switch = [*items(log, 2, 10), about(log, "promoted"), *items(log, 2, 12)]
    with pytest.raises(EncodingError, match="the model fails"):
        one.process(switch)
    assert one.stats()["collections"]["default"]["model"] == LIVE.identity.key
    found = one.recommend("i1")  # by the index of before
    assert found is not None
    model.failing = False
    told = one.process(switch)
    calm = engine()
    again = Log()
    calm.process([*items(again, 10), about(again, "proposed")])
    assert lines(told) == lines(calm.process([*items(again, 2, 10), about(again, "promoted"), *items(again, 2, 12)]))


def test_a_text_is_embedded_once_by_either_model() -> None:
    model = _Slow()
    one, log = engine(new=model), Log()
    one.process([*items(log, 20), about(log, "proposed")])
    build(one)
    one.process([about(log, "promoted"), about(log, "promoted", DEFAULT_MODEL), about(log, "promoted")])
    assert sorted(model.texts) == sorted(set(model.texts))


def test_vectors_of_two_models_are_never_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each vector that is compared is marked by its length: of one model 64 numbers, of the other 128."""
    one, log = engine(), Log()
    one.process([*items(log, 20), about(log, "proposed")])
    build(one)
    compared: set[tuple[int, int]] = set()
    inner = overlay.cosines

    def noting(query: Any, vectors: Any) -> Any:
        compared.add((len(query), np.shape(vectors)[1]))
        return inner(query, vectors)

    monkeypatch.setattr(overlay, "cosines", noting)
    one.process([*items(log, 5, 20), about(log, "promoted"), *items(log, 5, 25)])
    one.process([*items(log, 5, 30), about(log, "promoted", DEFAULT_MODEL), *items(log, 5, 35)])
    assert compared == {(64, 64), (128, 128)}
    rows = one._store._db.execute(
        "SELECT DISTINCT vectors.model, collections.model FROM items JOIN vectors ON vectors.id = items.vector"
        " JOIN points ON points.id = items.point JOIN collections ON collections.id = items.collection"
        " UNION SELECT DISTINCT vectors.model, collections.model FROM points"
        " JOIN vectors ON vectors.id = points.vector JOIN collections ON collections.id = points.collection"
    ).fetchall()
    assert rows == [(LIVE.identity.key, LIVE.identity.key)]


def test_an_erasure_takes_the_vectors_of_both_models() -> None:
    one, log = engine(), Log()
    one.process([log.upsert("a", "the lamp flickers"), log.upsert("b", "a parcel"), about(log, "proposed")])
    build(one)
    one.process([log.erase("a")])
    assert models_of(one) == {LIVE.identity.fingerprint: 1, NEW.identity.fingerprint: 1}
    one.process([about(log, "promoted"), log.erase("b")])
    assert models_of(one) == {}
    one.process([log.upsert("c", "a lamp"), about(log, "dropped", DEFAULT_MODEL), log.erase("c")])
    assert models_of(one) == {}


def test_an_item_that_is_erased_while_it_is_embedded_leaves_no_vector() -> None:
    one, log = engine(), Log()
    one.process([log.upsert("a", "the lamp flickers"), log.upsert("b", "a parcel"), about(log, "proposed")])
    assert one.second_models.build()  # begun
    one.process([log.erase("a")])
    build(one)
    assert models_of(one) == {LIVE.identity.fingerprint: 1, NEW.identity.fingerprint: 1}


def test_what_cannot_be_is_rejected() -> None:
    one, log = engine(), Log()
    assert code(one.process([about(log, "proposed")])) == "unknown_collection"
    one.process(items(log, 3))
    assert code(one.process([about(log, "proposed", digest="0" * 16)])) == "unknown_model"
    assert code(one.process([log.add("model.proposed", collection="default", model="x", digest="0" * 16)])) == (
        "unknown_model"
    )
    assert code(one.process([about(log, "proposed", DEFAULT_MODEL)])) == "model_in_use"
    assert code(one.process([about(log, "promoted")])) == "not_proposed"
    assert code(one.process([about(log, "dropped")])) == "not_proposed"
    assert code(one.process([log.add("model.proposed", collection="default", model="new", digest="xyz")])) == (
        "invalid_value"
    )
    one.process([log.upsert("given", "a lamp", vector=[1.0] + [0.0] * 63), about(log, "proposed")])
    build(one)
    assert code(one.process([about(log, "promoted")])) == "given_vectors"
    one.process([log.delete("given")])
    (event,) = one.process([about(log, "promoted")])
    assert data_of(event)["type"] == "recommender.model.promoted.v1"


def test_one_second_model_at_a_time() -> None:
    third = DeterministicEncoder(32)
    one, log = opened(None, LIVE, new=NEW, third=third), Log()
    one.process([*items(log, 3), about(log, "proposed")])
    assert code(one.process([about(log, "proposed", "third", third.identity.fingerprint)])) == "model_proposed"


def test_settings_go_on_with_the_model_of_now() -> None:
    one, log = engine(), Log()
    one.process([*items(log, 3), about(log, "proposed"), about(log, "promoted")])
    assert one.settings()["default"].model == "new"
    assert code(one.process([log.configure(model=DEFAULT_MODEL)])) == "model_in_use"
    one.process([log.configure(model="new", candidates=20)])
    assert one.settings()["default"].candidates == 20


def test_a_model_that_ends_processes_is_given_up(tmp_path: Path) -> None:
    log = Log()
    one = engine(tmp_path)
    one.process([*items(log, 9), about(log, "proposed")])
    for _ in range(second_models.MOST_TRIES):
        assert one.second_models.build(), "begun, and never finished"
        one.close()
        one = engine(tmp_path)
    one.second_models.build()
    one.close()
    one = engine(tmp_path)
    assert not one.second_models.build()
    stopped = second(one)
    assert stopped is not None
    assert stopped["stopped"] == "failed"
    one.process([about(log, "proposed")])  # once more
    build(one)
    assert second(one)["left"] == 0
    one.close()


def test_a_model_that_is_not_here_stops_nothing_else(tmp_path: Path) -> None:
    log = Log()
    one = engine(tmp_path)
    one.process([*items(log, 5), about(log, "proposed")])
    one.close()
    one = opened(tmp_path, LIVE, matcher=LearnedMatcher)
    assert not one.second_models.build()
    assert second(one)["stopped"] == "unknown_model"
    assert len(one.process(items(log, 2, 5))) == 2
    assert code(one.process([about(log, "promoted")])) == "unknown_model"
    one.close()


def test_a_collection_that_goes_leaves_nothing_of_its_second_model() -> None:
    one, log = engine(), Log()
    one.process([*items(log, 8), about(log, "proposed")])
    build(one)
    one.process([log.add("collection.deleted", collection="default"), log.upsert("x", "a parcel")])
    while one.tidying.some(0, one.last_event):
        pass
    assert models_of(one) == {LIVE.identity.fingerprint: 1}
    assert second(one) is None


def test_near_identical_vectors_share_a_point_again() -> None:
    one, log = opened(None, DeterministicEncoder(64, max_tokens=9), new=DeterministicEncoder(64, max_tokens=2)), Log()
    digest = DeterministicEncoder(64, max_tokens=2).identity.fingerprint
    one.process([log.upsert(f"i{n}", f"late parcel {n}") for n in range(6)])
    assert one.stats()["collections"]["default"]["points"] == 6
    one.process([about(log, "proposed", digest=digest), about(log, "promoted", digest=digest)])
    assert one.stats()["collections"]["default"]["points"] == 1


def features(one: Recommender) -> list[float]:
    rows = one._store._db.execute("SELECT features ->> '$.cosine' FROM answers ORDER BY id").fetchall()
    return [row[0] for row in rows]


def learned(one: Recommender) -> str | None:
    return one._store.answers.model_text(1)


def test_answers_are_compared_again_and_learned_from_before_long() -> None:
    one, log = engine(), Log()
    one.process([*items(log, 12), *(log.feedback(f"i{n}", "different", f"i{n + 1}") for n in range(0, 10, 2))])
    before, model = features(one), learned(one)
    one.process([about(log, "proposed"), about(log, "promoted")])
    assert (features(one), learned(one)) == (before, model)
    one.process(items(log, 2, 20))
    assert learned(one) == model, "once all pairs have been compared"
    one.process(items(log, 1, 22))
    after = features(one)
    assert all(a != b for a, b in zip(after, before, strict=True))
    assert learned(one) != model
    texts = [view.text for view in (one.get("i0"), one.get("i1")) if view is not None and view.text is not None]
    mine, theirs = NEW.encode(texts).vectors
    assert after[0] == pytest.approx(float(mine @ theirs), abs=1e-5)
    told = one.process([about(log, "promoted", DEFAULT_MODEL), *items(log, 4, 23)])
    assert len(told) == 5
    assert features(one) == pytest.approx(before, abs=1e-6), "and back"
    assert [answer.answer for answer in one.answers()] == ["different"] * 5


def test_a_state_of_the_release_before_can_change_its_model(tmp_path: Path) -> None:
    one, log = engine(tmp_path), Log()
    one.process(items(log, 9))
    one.close()
    make_schema_11(tmp_path)
    one = engine(tmp_path)
    told = one.process([about(log, "proposed"), about(log, "promoted")])
    assert [data_of(event)["items"] for event in told] == [9, 9]
    one.close()


def test_a_page_of_items_has_their_vectors_by_the_second_model() -> None:
    one, log = engine(), Log()
    one.process([*items(log, 5), about(log, "proposed")])
    empty = one.export(second=True)
    assert empty is not None
    assert {item.vector for item in empty.items} == {""}
    build(one)
    page = one.export(second=True)
    assert page is not None
    assert page.dimension == 128
    vectors = NEW.encode([str(item.text) for item in page.items]).vectors
    assert [item.vector for item in page.items] == [base64.b64encode(one.tobytes()).decode() for one in vectors]
    one.process([about(log, "dropped")])
    with pytest.raises(InvalidCommand, match="no second model"):
        one.export(second=True)


def test_slices_catch_up_with_what_arrives_under_any_load() -> None:
    """A slice is as large as what was decided while the one before was embedded, however many batches that were."""
    one, log = engine(), Log()
    one.process([*items(log, 30), about(log, "proposed")])
    held: list[Future[Any]] = []
    begin = one.second_models._embedding.begin_texts

    def holding(*args: Any, **more: Any) -> Future[Any]:
        held.append(begin(*args, **more))
        return held[-1]

    one.second_models._embedding.begin_texts = holding  # type: ignore[method-assign]
    one.second_models.build()
    left = []
    for start in range(30, 70, 10):
        for n in range(start, start + 10):
            one.process(items(log, 1, n))
            one.second_models._slice = replace_future(one, undone := Future())
            one.second_models.build(1)
            assert not undone.done()
        one.second_models._slice = replace_future(one, held[-1])
        wait([held[-1]])
        one.second_models.build(0)
        left.append(second(one)["left"])
    assert left == sorted(left, reverse=True)
    assert left[-1] < left[0]


def replace_future(one: Recommender, future: Future[Any]) -> Any:
    part = one.second_models._slice
    assert part is not None
    return part._replace(future=future)
