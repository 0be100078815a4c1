"""Weights of lists: an order that knows nothing earns nothing, and the blend that predicts best serves."""

from __future__ import annotations

from contextlib import closing
from itertools import combinations
from pathlib import Path
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender_engine import Entry, Recommender
from recommender_engine.items import limits
from recommender_engine.recommend.behaviour.decay import HALF_LIFE_MS
from recommender_engine.recommend.weights import (
    BLENDS,
    CONTROLS,
    PRIOR,
    TEXT,
    Record,
    bucket,
    rewards,
    served,
)
from tests.support.engine import Log, opened
from tests.support.older_states import make_schema_10

HOUR_MS = 3600 * 1000
LESS_TEXT, BEHAVIOUR = 3, 4
WORDS = ("teapot", "lantern", "cushion", "doormat", "umbrella", "notebook", "candle", "mirror")


def filled(judged: int, means: list[float], evidence: float = 50.0, spread: float = 0.1, seed: int = 0) -> Record:
    """A record of rewards around some means: of each blend, and of behaviour alone."""
    drawn, record = np.random.default_rng(seed), Record()
    for _ in range(judged):
        common = drawn.normal(0.0, spread)
        record.add(np.array(means) + common + drawn.normal(0.0, spread / 4, len(means)), evidence, 0)
    return record


def judged_by(together: NDArray[np.float64], text: NDArray[np.float64], wanted: int) -> dict[str, float]:
    found = rewards(together, text, wanted, 50.0)
    return dict(zip([*(blend.name for blend in BLENDS), "alone"], found.tolist(), strict=True))


def test_an_order_that_knows_nothing_earns_nothing() -> None:
    drawn = np.random.default_rng(1)
    same = rewards(np.zeros(50), np.full(50, 0.4), 10, 3.0)
    assert same == pytest.approx(np.zeros(len(same)), abs=1e-12), "all ranks are equally likely"
    many = np.array(
        [rewards(drawn.random(70) * (drawn.random(70) < 0.2), drawn.random(70), 6, 50.0) for _ in range(2000)]
    )
    assert np.abs(many.mean(axis=0)).max() < 4 * many.std(axis=0).max() / np.sqrt(len(many))


def test_a_blend_earns_by_the_ranks_of_what_was_wanted() -> None:
    text = np.array([0.9, 0.8, *np.linspace(0.0, 0.5, 40)])
    found = judged_by(np.zeros(42), text, 2)
    expected = 1.0 - sum(1 / rank for rank in range(1, 42)) / 41
    assert found["text"] == pytest.approx(expected), "each is first among the controls"
    assert found["alone"] == pytest.approx(0.0, abs=1e-12)
    behaviour = np.array([0.04, 0.04, *np.zeros(40)])
    misleading = judged_by(behaviour, text[::-1].copy(), 2)
    assert misleading["behaviour"] > misleading["prior"] > misleading["text"]


@pytest.mark.parametrize(
    ("record", "blends"),
    [
        (None, (PRIOR,) * 3),
        (Record(), (PRIOR,) * 3),
        (filled(20, [0.0] * 6), (PRIOR,) * 3),  # too few to give up what is believed before
        (filled(600, [0.0] * 6), (TEXT,) * 3),
        (filled(600, [0.2, 0.0, 0.0, 0.0, 0.0, 0.0]), (TEXT,) * 3),
        (filled(600, [0.0, 0.1, 0.2, 0.2, 0.2, 0.2]), (PRIOR,) * 3),
        (filled(600, [0.0, 0.1, 0.2, 0.23, 0.22, 0.2]), (LESS_TEXT,) * 3),
        (filled(600, [0.0, 0.1, 0.2, 0.22, 0.25, 0.2]), (BEHAVIOUR,) * 3),
        (filled(600, [0.3, 0.25, 0.2, 0.15, 0.1, 0.1]), (TEXT,) * 3),
    ],
)
def test_the_best_serves_if_behaviour_predicts_anything(record: Record | None, blends: tuple[int, ...]) -> None:
    assert served(record).blends == blends


def test_a_bucket_of_evidence_has_a_blend_of_its_own_if_it_is_clearly_better_there() -> None:
    record = filled(600, [0.0, 0.1, 0.2, 0.19, 0.18, 0.2])
    for row in range(200):
        record.add(np.array([0.3, 0.25, 0.2, 0.1, 0.1, 0.1]) + row % 7 / 70, 2.0, 0)
    found = served(record)
    assert found.blends == (TEXT, PRIOR, PRIOR)
    assert found.names == {"1 to 4": "text", "5 to 19": "prior", "20 or more": "prior"}
    assert found.weights(3.0)["together"] == 0.0
    assert found.weights(30.0)["together"] == 1.0


def test_any_blend_leaves_an_item_without_interactions_to_its_text() -> None:
    for blend in BLENDS:
        weights = blend.weights(0.0)
        assert weights["text"] > 0.0
        assert weights["bridge"] == 0.0
    assert [bucket(uses) for uses in (0, 4.9, 5, 19, 20)] == [0, 0, 1, 1, 2]


def test_older_judgements_count_less_and_ever_fewer_interactions_are_judged() -> None:
    record = filled(1, [0.1] * 6)
    record.add(np.zeros(6), 50.0, HALF_LIFE_MS)
    assert record.sums[2, 0, 0] == pytest.approx(1.5)
    shares = [filled(judged, [0.0] * 6).share for judged in (0, 99, 100, 140, 180, 420, 2000)]
    assert shares == [1, 1, 2, 4, 8, 512, 512]
    for item in range(CONTROLS + 9):
        record.saw(item)
    assert record.recent == list(range(9, CONTROLS + 9))
    again = Record.decoded(record.judged, record.at_ms, *record.encoded())
    assert (again.recent, again.judged, again.at_ms) == (record.recent, record.judged, record.at_ms)
    assert again.sums.tobytes() == record.sums.tobytes()


def shop(log: Log) -> list[Entry]:
    """Eight kinds of goods with ten of each, whose texts are alike; none is a duplicate."""
    first = log.configure(min_length=limits.MAX_TEXT_BYTES)
    return [
        first,
        *(log.upsert(f"{word}-{n}", f"{word} {word}s number {n}{n}") for word in WORDS for n in range(10)),
    ]


def visits(log: Log, seed: int, count: int, *, noise: bool) -> list[Entry]:
    """Visits of five items: of any kind, or of one line, which goes across all kinds."""
    random, entries = Random(seed), []
    for visit in range(count):
        if noise:
            items = random.sample([f"{word}-{n}" for word in WORDS for n in range(10)], 5)
        else:
            line = random.randrange(10)
            items = [f"{word}-{line}" for word in random.sample(WORDS, 5)]
        entries += [log.interact(item, f"u{visit}", later_ms=HOUR_MS if not n else 1) for n, item in enumerate(items)]
    return entries


def kinds(engine: Recommender, item: str) -> list[str]:
    asked = {"collection": "default", "item": item, "diversity": 0.0, "limit": 7}
    found = engine.recommendations(asked)
    assert found is not None
    return [one.id for one in found]


def test_noise_leaves_a_collection_to_its_texts() -> None:
    log = Log()
    with closing(opened()) as engine:
        engine.process(shop(log))
        before = {item: kinds(engine, item) for item in ("teapot-1", "mirror-7")}
        engine.process(visits(log, 3, 400, noise=True))
        weights = engine.stats()["collections"]["default"]["list_weights"]
        assert set(weights["by_interactions"].values()) == {"text"}, weights
        assert weights["judged"] > 200
        for item, by_text in before.items():  # what has no similar text can still follow
            assert kinds(engine, item)[: len(by_text)] == by_text, "in the order of the texts, as if nobody came"
        asked = {"collection": "default", "item": "teapot-1"}
        assert all(one.why == "similar to teapot-1" for one in engine.recommendations(asked) or ())


def test_behaviour_that_predicts_keeps_its_weight() -> None:
    log = Log()
    with closing(opened()) as engine:
        engine.process(shop(log))
        engine.process(visits(log, 3, 400, noise=False))
        weights = engine.stats()["collections"]["default"]["list_weights"]
        assert "text" not in weights["by_interactions"].values(), weights
        lines = [f"{word}-1" for word in WORDS if word != "teapot"]
        assert sorted(kinds(engine, "teapot-1")) == sorted(lines)


def test_what_popular_items_share_is_no_evidence() -> None:
    """They meet often by chance alone; the controls are as popular."""
    random, log = Random(5), Log()
    ids = [f"{word}-{n}" for word in WORDS for n in range(10)]
    weights = [1.0 / rank for rank in range(1, len(ids) + 1)]
    with closing(opened()) as engine:
        engine.process(shop(log))
        entries = []
        for visit in range(500):
            items = dict.fromkeys(random.choices(ids, weights, k=6))
            entries += [
                log.interact(item, f"u{visit}", later_ms=HOUR_MS if not n else 1) for n, item in enumerate(items)
            ]
        engine.process(entries)
        found = engine._store.list_weights.of(1)
        assert found is not None
        assert found.judged > 200
        assert served(found).blends == (TEXT,) * 3, served(found).why


def test_pairs_of_a_group_of_duplicates_are_not_judged() -> None:
    """A list leaves them out, so it cannot have held them."""
    log = Log()
    with closing(opened()) as engine:
        engine.process([log.upsert(f"copy-{n}", "the very same text of one article") for n in range(30)])
        for visit in range(20):
            for one, other in list(combinations(range(30), 2))[visit * 10 : visit * 10 + 10]:
                later = {"later_ms": HOUR_MS}
                engine.process([log.interact(f"copy-{one}", "u", **later), log.interact(f"copy-{other}", "u")])
        record = engine._store.list_weights.of(1)
        assert record is not None
        assert len(record.recent) == CONTROLS
        assert record.judged == 0


def test_what_a_list_brought_about_is_not_judged() -> None:
    """It speaks for the weights that made the list."""
    log = Log()
    with closing(opened()) as engine:
        engine.process(shop(log))
        for visit in range(40):
            shown = {"recommendation_id": f"r{visit}", "user": "u"}
            items = [f"{word}-{visit % 10}" for word in WORDS]
            engine.process([log.add("recommendation.shown", {**shown, "items": items})])
            engine.process([log.interact(item, recommendation_id=f"r{visit}", user="u") for item in items])
        assert engine._store.list_weights.of(1) is None


def test_a_state_of_schema_10_begins_to_judge(tmp_path: Path) -> None:
    log, engine = Log(), opened(tmp_path)
    engine.process([*shop(log), *visits(log, 1, 10, noise=False)])
    engine.close()
    make_schema_10(tmp_path)
    with closing(opened(tmp_path)) as again:
        assert again.stats()["collections"]["default"]["list_weights"] is None
        again.process(visits(log, 2, 40, noise=False))
        weights = again.stats()["collections"]["default"]["list_weights"]
        assert weights["judged"] > 0


@pytest.mark.parametrize("kept", [1, 1000])
def test_judgements_are_the_same_in_any_batching_and_again(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recommender_engine.store.behaviour_rows._ROWS_KEPT", kept)
    log = Log()
    entries = shop(log)
    for n in range(12):
        entries += visits(log, n, 10, noise=bool(n % 2))
        entries += [log.delete(f"candle-{n % 10}"), log.upsert(f"candle-{n % 10}", f"candle candles again {n}")]

    def stored(size: int) -> list[tuple[object, ...]]:
        with closing(opened()) as engine:
            for start in range(0, len(entries), size):
                engine.process(entries[start : start + size])
            return list(engine._store._db.execute("SELECT * FROM list_weights"))

    one = stored(1)
    assert one[0][1] > 150  # type: ignore[operator]
    assert [stored(size) for size in (7, 500, 500)] == [one] * 3


def test_controls_are_of_many_visits_however_large_they_are() -> None:
    """Those of the same visit are as good as what is wanted: behaviour would seem to predict nothing."""
    log = Log()
    with closing(opened()) as engine:
        for visit in range(12):
            engine.process([log.interact(f"{visit}-{n}", f"u{visit}") for n in range(80)])
        record = engine._store.list_weights.of(1)
        assert record is not None
        ids = engine._store.behaviour.ids(record.recent)
        assert len(ids) == CONTROLS
        assert len({id_.split("-")[0] for id_ in ids}) > 6
