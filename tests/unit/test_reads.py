"""Lists, the review queue, groups, the overview and pages of answers say what single questions say."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from recommender_engine import Entry, Recommender
from recommender_engine.errors import InvalidCommand
from recommender_engine.items import Band, Item
from recommender_engine.items.cursors import cursor
from recommender_engine.matching import LearnedMatcher, MatcherFactory, Segment, View, kind_of_items
from recommender_engine.pipeline.queries import listed_items, listing, paging, review_queue, statistics, views
from recommender_engine.store import BANDS, HOUR_MS
from tests.support.engine import Log, opened
from tests.support.matchers import cosine_matcher

WORDS = ("printer", "jams", "again", "order", "1042", "1043", "lost", "router", "paper", "tray")


def text(chance: random.Random) -> str:
    return " ".join(chance.sample(WORDS, chance.randint(2, 6)))


def life(log: Log, seed: int, steps: int = 150) -> Iterator[Entry]:
    """Items come, change, go, expire; people answer, take back and contradict."""
    chance = random.Random(seed)
    for _ in range(steps):
        one, other = chance.sample([f"i{n}" for n in range(40)], 2)
        kind = chance.random()
        if kind < 0.62:
            yield log.upsert(one, text(chance), silent=chance.random() < 0.2)
        elif kind < 0.72:
            yield log.delete(one)
        elif kind < 0.92:
            yield log.feedback(one, chance.choice(["same", "different", "unsure"]), other, by="jo")
        elif kind < 0.95:
            yield log.patch(one, {"state": "open"})
        else:
            yield log.tick(20 * 60_000)


def all_pages(ask: Callable[[str | None], Any], rows: str) -> list[Any]:
    found: list[Any] = []
    after = None
    while True:
        page = ask(after)
        found += getattr(page, rows)
        if page.next is None:
            return found
        after = page.next


def listed(engine: Recommender, **options: Any) -> list[Any]:
    return all_pages(lambda after: engine.list_items(after=after, **options), "items")


@pytest.mark.parametrize("matcher", [LearnedMatcher, cosine_matcher], ids=["learned", "cosine"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ttl_s", [None, 3600])
def test_lists_say_of_each_item_what_it_says_itself(seed: int, matcher: MatcherFactory, ttl_s: int | None) -> None:
    log = Log()
    with closing(opened(matcher=matcher)) as engine:
        engine.process([log.configure(ttl_seconds=ttl_s, canonical="longest", review_budget=1.0)])
        for number, entry in enumerate(life(log, seed)):
            engine.process([entry])
            if number % 25 == 0:
                require_agreement(engine)
        require_agreement(engine)


def require_agreement(engine: Recommender) -> None:
    """Lists, pages, groups and counts against the single items."""
    views = {id_: view for id_ in (f"i{n}" for n in range(40)) if (view := engine.get(id_)) is not None}
    for band in Band:
        alone = {id_ for id_, view in views.items() if view.band is band}
        for order in ("arrival", "probability"):
            assert {one.id for one in listed(engine, bands=[band.value], order=order, limit=3)} == alone, (band, order)
    for one in listed(engine, limit=7):
        view = views[one.id]
        assert (one.band, one.duplicate_of, one.group) == (view.band, view.duplicate_of, view.group)
        assert (one.probability, one.text) == (pytest.approx(view.probability), view.text)
    groups = Counter(view.group for view in views.values())
    for id_, view in views.items():
        page = engine.group("default", id_)
        assert page is not None
        assert (page.group, page.canonical, page.size) == (view.group, view.canonical_id, groups[view.group])
        assert sorted(one.id for one in page.members) == sorted(o for o, v in views.items() if v.group == view.group)
    (counted,) = engine.overview().collections
    if engine._base.collections.all()[0].hidden_ms is None:  # else expired items are counted until they are deleted
        assert counted.bands == {band: sum(view.band is band for view in views.values()) for band in Band}
        assert counted.groups == sum(size > 1 for size in groups.values())
        stated = Counter((view.band, int(one.probability * 1000)) for one in listed(engine) for view in [views[one.id]])
        kept = engine._store.standings.probabilities(1)
        assert {(BANDS[band], part): items for band, part, items in kept} == stated
    waiting = {(pair.item.id, pair.other.id) for pair in all_pages(lambda a: engine.review(after=a, limit=4), "pairs")}
    asked = {(id_, view.matched_id) for id_, view in views.items() if view.band is Band.REVIEW and view.matched_id}
    assert waiting <= asked
    assert not any(engine._base.answers.settled(1, sorted(waiting))), "of some an answer tells, by a chain"
    assert {pair for pair in asked - waiting if not engine._base.answers.settled(1, [pair])[0]} == set()


@pytest.fixture
def engine() -> Iterator[Recommender]:
    with closing(opened(matcher=LearnedMatcher)) as engine:
        log = Log()
        engine.process([log.configure(review_budget=1.0)])
        engine.process([log.upsert(f"i{n}", text(random.Random(n)), silent=n % 9 == 0) for n in range(60)])
        engine.process([log.feedback("i2", "same", "i9", by="jo"), log.feedback("i3", "different", "i8", by="ann")])
        yield engine


@pytest.mark.parametrize("order", ["arrival", "probability"])
@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("words", [None, "printer JAMS"])
def test_pages_are_one_list_in_order(engine: Recommender, order: str, descending: bool, words: str | None) -> None:
    found = listed(engine, order=order, descending=descending, limit=4, text=words)
    whole = engine.list_items(order=order, descending=descending, limit=200, text=words)
    assert whole is not None
    assert [one.id for one in found] == [one.id for one in whole.items]
    having = [n for n in range(60) if words is None or {"printer", "jams"} <= set(text(random.Random(n)).split())]
    assert {one.id for one in found} == {f"i{n}" for n in having}
    keys = [one.probability if order == "probability" else int(one.id[1:]) for one in found]
    assert keys == sorted(keys, reverse=descending)


def test_items_that_arrive_between_pages_move_none(engine: Recommender) -> None:
    first = engine.list_items(limit=10)
    assert first is not None
    engine.process([Log(1_800_000_000_000).upsert("late", "a printer that came late")])
    second = engine.list_items(limit=10, after=first.next)
    assert second is not None
    assert [one.id for one in second.items] == [f"i{n}" for n in range(49, 39, -1)]


def test_words_are_ordered_in_blocks_where_many_items_have_them(
    engine: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_BLOCK", 7)
    found = listed(engine, order="probability", text="printer", limit=3)
    having = [n for n in range(60) if "printer" in text(random.Random(n)).split()]
    assert len(found) == len(having) > 14
    latest = [f"i{n}" for n in having[::-1]]
    for start in range(0, len(latest), 7):
        block = found[start : start + 7]
        assert {one.id for one in block} == set(latest[start : start + 7])
        assert [one.probability for one in block] == sorted([one.probability for one in block], reverse=True)


def test_where_words_have_no_index_a_page_looks_at_so_many_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "LOOKED_AT", 20)
    with closing(opened()) as engine:
        log = Log()
        engine.process([log.configure(rule="cosine")])
        engine.process([log.upsert(f"i{n}", f"paper {n}" + " Größe" * (n in (3, 41))) for n in range(60)])
        first = engine.list_items(text="GROSSE")
        assert first is not None
        assert [one.id for one in first.items] == ["i41"]
        assert [one.id for one in listed(engine, text="GROSSE")] == ["i41", "i3"]


def test_the_queue_is_ordered_by_worth_on_one_scale_and_says_the_probability_of_now(engine: Recommender) -> None:
    before = all_pages(lambda after: engine.review(after=after, limit=7), "pairs")
    log = Log(1_750_000_000_000)
    answered = [pair for pair in before if pair.worth < 0.6][:12]
    engine.process([log.feedback(pair.item.id, "different", pair.other.id, by="jo") for pair in answered])
    engine.process([log.upsert(f"n{n}", text(random.Random(100 + n))) for n in range(30)])
    pairs = all_pages(lambda after: engine.review(after=after, limit=7), "pairs")
    assert [one.worth for one in pairs] == sorted([one.worth for one in pairs], reverse=True)
    assert [one.probability for one in pairs] == sorted([one.probability for one in pairs], reverse=True)
    shift = engine._base.models.of("default").review.shift
    assert abs(shift) > 0.3
    late, early = [one for one in pairs if one.item.id[0] == "n"], [one for one in pairs if one.item.id[0] == "i"]
    assert late
    assert early
    for one in late:  # judged by the model of now
        assert one.probability == pytest.approx(one.item.probability, abs=2e-4)
    for one in early:
        assert one.worth == one.item.probability, "judged before the answers"
        assert abs(one.probability - one.item.probability) > 1e-3


def test_an_answered_pair_leaves_the_queue(engine: Recommender) -> None:
    pair = engine.review(limit=1).pairs[0]
    assert pair.reasons
    log = Log(1_750_000_000_000)
    engine.process([log.feedback(pair.item.id, "different", pair.other.id)])
    left = all_pages(lambda after: engine.review(after=after), "pairs")
    assert (pair.item.id, pair.other.id) not in {(one.item.id, one.other.id) for one in left}


def test_a_pair_says_what_the_answer_same_will_change(engine: Recommender) -> None:
    log = Log(1_750_000_000_000)
    for _ in range(3):
        pair = engine.review(limit=1).pairs[0]
        original = pair.other.duplicate_of or pair.other.id
        before = {item.id: item.duplicate_of for item in listed(engine, limit=200)}
        sizes = [engine.group("default", side.id).size for side in (pair.item, pair.other)]
        assert [pair.item.group_size, pair.other.group_size] == sizes
        engine.process([log.feedback(pair.item.id, "same", pair.other.id)])
        after = {item.id: item.duplicate_of for item in listed(engine, limit=200)}
        changed = {id_ for id_, repeated in after.items() if before[id_] != repeated}
        assert len(changed) == pair.item.group_size
        assert {after[id_] for id_ in changed} == {original}


def test_a_pair_that_a_chain_of_answers_settles_is_not_in_the_queue(engine: Recommender) -> None:
    pair = engine.review(limit=1).pairs[0]
    log = Log(1_750_000_000_000)
    third = next(f"i{n}" for n in range(60) if f"i{n}" not in (pair.item.id, pair.other.id, "i2", "i9", "i3", "i8"))
    engine.process([log.feedback(pair.other.id, "same", third), log.feedback(third, "different", pair.item.id)])
    view = engine.get(pair.item.id)
    assert view is not None
    assert (view.band, view.matched_id) == (Band.REVIEW, pair.other.id), "no answer was about this pair"
    left = all_pages(lambda after: engine.review(after=after), "pairs")
    assert (pair.item.id, pair.other.id) not in {(one.item.id, one.other.id) for one in left}


def test_arrivals_are_counted_by_hour_and_day_of_stream_time(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    log = Log(1_700_000_000_000 // (24 * HOUR_MS) * 24 * HOUR_MS)
    for day in range(70):
        entries = []
        for hour in range(24 * day, 24 * day + 24):
            if hour % 5 == 0:
                entries += [log.upsert(f"h{hour}", f"thing {hour}"), log.upsert(f"g{hour}", f"thing {hour}")]
            entries.append(log.tick(HOUR_MS))
        engine.process(entries)
    engine.close()
    engine = opened(tmp_path)
    (counted,) = engine.overview().collections
    hours, days = counted.rates.hours, counted.rates.days
    assert 48 // 5 <= len(hours) <= 48 // 5 + 1
    assert len(days) == 60
    assert all(sum(hour.bands.values()) == 2 and hour.bands[Band.DUPLICATE] == 1 for hour in hours)
    assert {sum(day.bands.values()) for day in days} <= {8, 10}
    assert hours == tuple(sorted(hours, key=lambda hour: hour.start))
    engine.close()


def test_answers_come_in_pages_the_newest_first(engine: Recommender) -> None:
    log = Log(1_750_000_000_000)
    engine.process([log.upsert("x", "one thing", collection="b"), log.upsert("y", "another", collection="b")])
    engine.process([log.feedback("x", "different", "y", collection="b", by="eve")])
    found = all_pages(lambda after: engine.answer_page(after=after, limit=1), "answers")
    assert [(one.collection, one.by, one.answer) for one in found] == [
        ("b", "eve", "different"),
        ("default", "ann", "different"),
        ("default", "jo", "same"),
    ]
    page = engine.answer_page("default", limit=1)
    assert (page.answers[0].by, page.next is not None) == ("ann", True)
    assert engine.answer_page("nowhere").answers == ()


@pytest.mark.parametrize(
    "after",
    [
        "",
        "?",
        "x" * 5000,
        7,
        "W10",
        "bnVsbA",
        cursor("list probability down", (0.5, 3)),
        cursor("list arrival down", ("a", 3)),
        cursor("list arrival down", (0.0, 2**70)),
        cursor("list arrival down", (True, 3)),
    ],
)
def test_a_cursor_of_something_else_is_refused(engine: Recommender, after: Any) -> None:
    with pytest.raises(InvalidCommand, match="after must be the next of a page") as refused:
        engine.list_items(after=after)
    assert refused.value.field == "after"


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("bands", {"bands": ["maybe"]}),
        ("bands", {"bands": "review"}),
        ("bands", {"bands": []}),
        ("order", {"order": "worth"}),
        ("limit", {"limit": 0}),
        ("limit", {"limit": 201}),
        ("limit", {"limit": True}),
        ("text", {"text": "?!"}),
        ("text", {"text": 7}),
    ],
)
def test_a_wrong_argument_is_named(engine: Recommender, field: str, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidCommand, match=field) as refused:
        engine.list_items(**asked)
    assert refused.value.field == field


def test_there_is_nothing_to_list_where_nothing_is(engine: Recommender) -> None:
    assert engine.list_items("nowhere") is None
    assert engine.review("nowhere") is None
    assert engine.group("nowhere", "i1") is None
    assert engine.group("default", "nothing") is None


def test_everything_is_json(engine: Recommender) -> None:
    pages = engine.list_items(), engine.review(), engine.group("default", "i2"), engine.overview(), engine.answer_page()
    for page in pages:
        assert page is not None
        assert json.loads(json.dumps(page.model_dump(mode="json")))


def test_counts_of_a_batch_that_is_undone_are_undone(tmp_path: Path) -> None:
    fails = [False]

    def fail() -> None:
        if fails[0]:
            raise RuntimeError("the disk is full")

    engine, log = opened(tmp_path), Log()
    engine._before_commit = fail
    engine.process([log.upsert("a", "one"), log.upsert("b", "one")])
    fails[0] = True
    with pytest.raises(RuntimeError, match="the disk is full"):
        engine.process([log.upsert("c", "one")])
    fails[0] = False
    engine.process([log.upsert("d", "two")])
    (counted,) = engine.overview().collections
    assert counted.bands == {Band.NEW: 2, Band.SIMILAR: 0, Band.REVIEW: 0, Band.DUPLICATE: 1}
    assert sum(counted.rates.hours[0].bands.values()) == 3
    engine.close()


def test_counts_of_a_collection_go_with_it(tmp_path: Path) -> None:
    engine, log = opened(tmp_path), Log()
    engine.process([log.upsert("a", "one"), log.upsert("b", "one")])
    engine.process([log.add("collection.deleted", {"collection": "default"})])
    while engine.tidying.some(0, engine.last_event):
        pass
    for table in ("standings", "probabilities", "arrivals"):
        assert engine._store._db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    engine.close()


def test_the_page_of_limits_states_those_of_pages() -> None:
    limits = (Path(__file__).parents[2] / "docs/reference/limits-and-errors.md").read_text()
    told = re.search(r"## Pages of lists\n(.*?)\n## ", limits, re.DOTALL)
    assert told is not None
    assert [int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", told[1])] == [
        *(listing.MOST_LISTED, review_queue.MOST_PAIRS, views.MOST_ANSWERS_LISTED, statistics.MOST_OVERVIEWED),
        *(paging.LOOKED_AT, listing._BLOCK, paging.MOST_CHARACTERS, listed_items.SHORT, review_queue.LONGEST_SHOWN),
    ]


@pytest.mark.parametrize(
    ("duplicate_from", "review_from"), [(None, None), (0.6, None), (None, 0.3), (0.7, 0.45), (1, 1), (0, 0)]
)
def test_a_preview_counts_by_the_stated_probabilities(
    engine: Recommender, duplicate_from: float | None, review_from: float | None
) -> None:
    engine.process([Log(1_750_000_000_000).delete("i5")])
    items = listed(engine, limit=200)
    found = engine.preview(duplicate_from=duplicate_from, review_from=review_from)
    assert found is not None
    assert found.bands == {band: sum(one.band is band for one in items) for band in Band}

    def moved(one: Any) -> Band:
        if duplicate_from is not None and one.probability >= duplicate_from:
            return Band.DUPLICATE
        if one.band is Band.DUPLICATE and duplicate_from is None:
            return Band.DUPLICATE
        if review_from is None:
            return Band.REVIEW if one.band is Band.DUPLICATE else one.band
        return Band.REVIEW if one.probability >= review_from else one.band if one.band is Band.NEW else Band.SIMILAR

    assert found.preview == {band: sum(moved(one) is band for one in items) for band in Band}
    for band in Band:
        shares = Counter(min(int(one.probability * 100 + 1e-9), 99) for one in items if one.band is band)
        assert found.histogram[band] == tuple(shares[part] for part in range(100))


def test_a_preview_of_a_target_precision_takes_the_border_of_the_usual_kind_of_text(engine: Recommender) -> None:
    model = engine._base.models.of("default")
    kinds = {
        kind_of_items(*(Item(id=side.id, text=side.text) for side in (pair.item, pair.other)))
        for pair in all_pages(lambda after: engine.review(after=after), "pairs")
    }
    borders = []
    for target in (0.5, 0.8, 0.9, 0.999):
        found = engine.preview(target_precision=target)
        assert found is not None
        assert found.settings.target_precision == 0.95, "those of now"
        expected = {min(model.duplicate_threshold(target, Segment(View.STREAM, kind)), 1.0) for kind in kinds}
        assert found.duplicate_from in expected
        assert found == engine.preview(duplicate_from=found.duplicate_from)
        borders.append(found.duplicate_from)
    assert borders == sorted(borders)
    with pytest.raises(InvalidCommand, match="target_precision"):
        engine.preview(target_precision=0.2)
    with pytest.raises(InvalidCommand, match="not both"):
        engine.preview(target_precision=0.9, duplicate_from=0.9)


@pytest.mark.parametrize(("field", "border"), [("duplicate_from", 1.1), ("review_from", "0.5"), ("review_from", True)])
def test_a_border_that_is_no_probability_is_refused(engine: Recommender, field: str, border: Any) -> None:
    with pytest.raises(InvalidCommand, match=f"{field} must be a number between 0 and 1"):
        engine.preview(**{field: border})
    assert engine.preview("nowhere") is None
