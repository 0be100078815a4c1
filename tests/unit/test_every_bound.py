"""Whatever the state holds, filled to its bound: what happens there, and that nothing is left out.

Bounds are lowered, so that filling takes no time. What lies in Redis: tests/integration/test_bounded_in_bytes.py.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from recommender_engine import Entry, Recommender, open_recommender
from recommender_engine.errors import StateFull
from recommender_engine.items import DEFAULT_MODEL, CommandRejected
from recommender_engine.items.limits import KEY_WINDOW_MS
from recommender_engine.items.moves import FIRST_PAGE
from recommender_engine.matching import LearnedMatcher
from recommender_engine.matching.pair import profile
from recommender_engine.opening import DATABASE
from recommender_engine.pipeline.candidates import filtering, novelty
from recommender_engine.pipeline.dedup import answers
from recommender_engine.pipeline.incidents import open_incidents, traffic
from recommender_engine.pipeline.interactions import shown as shown_lists
from recommender_engine.pipeline.learning import models as learning
from recommender_engine.pipeline.learning import training as lessons
from recommender_engine.pipeline.migration import incoming, retention
from recommender_engine.pipeline.subscriptions import changed_lists, subscribing
from recommender_engine.recommend import weights
from recommender_engine.recommend.behaviour import learning as behaviour_learning
from recommender_engine.recommend.behaviour import rows as behaviour_rows
from recommender_engine.store import behaviour as behaviour_table
from recommender_engine.store import behaviour_rows as behaviour_row_table
from recommender_engine.store import mentions, moves, outbox, shown, space, standings
from recommender_engine.testing import DeterministicEncoder
from tests.support.engine import Log, Models, data_of, is_outcome, opened
from tests.support.partitions import Pair

TEXT = "the card was declined at the shop"
LIMITS = Path(__file__).parents[2] / "docs/reference/limits-and-errors.md"


@dataclass
class State:
    """An engine with a log, in a directory of its own.

    Attributes:
        lower: sets a bound: the module or object, its name, the new value.
    """

    engine: Recommender
    log: Log
    directory: Path
    lower: Callable[[Any, str, int], None]

    def rows(self, table: str) -> int:
        return int(self.engine._store._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def tidy(self, outbox_ms: int = 10**12, **bounds: int) -> None:
        while self.engine.tidying.some(outbox_ms, self.engine.last_event, **bounds):
            pass

    def codes(self, *entries: Entry) -> list[str | None]:
        return [data_of(event).get("code") for event in self.engine.process(entries) if is_outcome(event)]

    def items(self, count: int, **more: Any) -> list[Entry]:
        chance = random.Random(1)
        words = ["card", "shop", "declined", "payment", "order", "late", "parcel", "refund", "login", "reset"]
        return [self.log.upsert(f"i{n}", " ".join(chance.sample(words, 5)) + f" {n}", **more) for n in range(count)]

    def answered(self, first: int, last: int) -> list[Entry]:
        return [self.log.feedback(f"i{2 * n}", "different", f"i{2 * n + 1}") for n in range(first, last)]

    def show(self, id_: str, user: str, later_ms: int = 1) -> Entry:
        data = {"recommendation_id": id_, "items": ["i0"], "user": user}
        return self.log.add("recommendation.shown", data, later_ms=later_ms)

    def delete(self, collection: str) -> Entry:
        return self.log.add("collection.deleted", {"collection": collection})


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    with closing(opened(tmp_path / "state", matcher=LearnedMatcher, second=DeterministicEncoder(32))) as engine:
        yield State(engine, Log(), tmp_path / "state", monkeypatch.setattr)


# -- what is refused at the bound ----------------------------------------------------------------------------------


def collections_are_refused(state: State) -> None:
    with closing(open_recommender(None, Models(), most_collections=3)) as engine:
        few = State(engine, state.log, state.directory, state.lower)
        codes = few.codes(*(state.log.upsert("a", TEXT, collection=f"c{n}") for n in range(5)))
        assert codes == [None] * 3 + ["too_many_collections"] * 2
        assert few.codes(state.delete("c0"), state.log.upsert("a", TEXT, collection="c4")) == [None, None]
        few.tidy()
        assert few.rows("collections") == 3


def answers_are_refused_and_none_is_dropped(state: State) -> None:
    state.lower(answers, "MOST_ANSWERS", 3)
    state.engine.process(state.items(10))
    assert state.codes(*state.answered(0, 5)) == [None] * 3 + ["too_many_answers"] * 2
    assert state.rows("answers") == 3


def commands_that_wait_for_a_collection_are_refused(state: State) -> None:
    state.lower(moves, "MOST_HELD", 3)
    pair = Pair()
    source = pair["a"]
    source.add("item.upsert", {"id": "x", "collection": "c", "text": TEXT})
    source.decide()
    pair.step("a", "sealed", "a", "b")
    for n in range(5):
        source.add("item.upsert", {"id": f"i{n}", "collection": "c", "text": TEXT})
    source.add("item.erase", {"id": "x", "collection": "c"})
    source.decide()
    refused = [event.data.code for event in source.events if isinstance(event.data, CommandRejected)]
    assert refused == ["too_many_waiting"] * 3
    state.lower(moves, "MOST_HELD", 100)
    state.lower(moves, "MOST_HELD_BYTES", 2000)
    for n in range(20):
        source.add("item.upsert", {"id": f"i{n}", "collection": "c", "text": TEXT})
    source.decide()
    held = source.engine._store.moves.held
    assert 3 < held.rows < 23
    assert 2000 <= held.bytes < 2500, "by bytes as well"
    pair.step("a", "cancelled", "a", "b")
    assert source.engine._store.moves.held.rows == 0
    pair.settle()
    assert source.engine.moves.passing() == 0
    pair.close()


def pages_of_a_collection_that_arrives_are_refused(state: State) -> None:
    state.lower(incoming, "_MOST_PAGE_BYTES", 300)
    pair = Pair()
    pair["a"].add("item.upsert", {"id": "x", "collection": "c", "text": TEXT})
    pair["a"].decide()
    steps = pair.move()
    assert [next(steps), next(steps), next(steps)] == ["sealed", "begun", FIRST_PAGE]
    target = pair["b"]
    for part in pair.parts("a", "m1", FIRST_PAGE, part_bytes=100):
        target.add("collection.records", part)
    target.decide()
    told = [data_of(event).get("code") for event in target.events]
    assert told[1:4] == [None, None, "too_large"], told
    kept = target.engine._store._db.execute("SELECT count(*), sum(length(data)) FROM move_parts").fetchone()
    assert kept == (2, 272)
    pair.close()


# -- what goes at the bound, the oldest first ----------------------------------------------------------------------


def the_oldest_keys_go(state: State) -> None:
    state.lower(outbox, "MOST_KEYS", 5)
    state.engine.process([state.log.upsert(f"i{n}", TEXT, key=f"k{n}") for n in range(8)])
    kept = state.engine._store._db.execute("SELECT key FROM keys ORDER BY key").fetchall()
    assert kept == [(f"k{n}",) for n in range(3, 8)]
    state.engine.process([state.log.upsert("i7", "not this one", key="k7"), state.log.upsert("i0", "new", key="k0")])
    texts = [view.text for view in map(state.engine.get, ("i7", "i0")) if view is not None]
    assert texts == [TEXT, "new"], "one that is known is refused, one that is not is decided"
    state.engine.process([state.log.tick(later_ms=KEY_WINDOW_MS)])
    state.tidy()
    assert state.rows("keys") == 0


def the_oldest_events_go(state: State) -> None:
    state.lower(outbox, "MOST_EVENTS", 5)
    state.engine.process([state.log.upsert("a", TEXT, key="k")])
    state.engine.process([state.log.patch("a", {"n": n}) for n in range(8)])
    state.engine.tidying.some(10**12, state.engine.outbox.oldest() or state.engine.last_event)
    assert state.rows("outbox") == 8, "what has not reached everybody stays"
    state.tidy()
    assert state.rows("outbox") == 5
    assert state.engine.outbox.kept.rows == 5
    assert state.codes(state.log.upsert("a", TEXT, key="k", reply_to="1 task")) == [], "it is not carried out again"
    (reply,) = state.engine.outbox.replies(0, 10)
    assert '"code": "outcome_dropped"' in reply.outcome.event


def events_go_by_their_bytes(state: State) -> None:
    state.engine.process([*state.items(20), state.log.erase("i3"), state.log.erase("i4")])
    (size,) = state.engine._store._db.execute("SELECT sum(length(CAST(event AS BLOB))) FROM outbox").fetchone()
    assert tuple(state.engine.outbox.kept) == (state.rows("outbox"), size), "counted as they come and are emptied"
    state.tidy(outbox_bytes=size // 2)
    kept = state.engine.outbox.kept
    assert size // 2 - 2000 < kept.bytes <= size // 2
    assert kept.rows == state.rows("outbox")


def the_oldest_callers_go(state: State) -> None:
    state.lower(outbox, "MOST_REPLIES", 3)
    state.engine.process([state.log.patch("nobody", {}, reply_to=f"0 task {n}") for n in range(5)])
    state.tidy()
    assert [reply.reply_to for reply in state.engine.outbox.replies(0, 10)] == [f"0 task {n}" for n in (2, 3, 4)]


def the_oldest_versions_go(state: State) -> None:
    state.lower(state.engine._store.tombstones, "_most", 3)
    state.engine.process([state.log.upsert("other", TEXT)])
    state.engine.process([state.log.add("item.delete", id=f"i{n}", version=7) for n in range(5)])
    ids = state.engine._store._db.execute("SELECT id FROM tombstones ORDER BY id").fetchall()
    assert ids == [("i2",), ("i3",), ("i4",)]


def the_oldest_payloads_go(state: State) -> None:
    state.engine.process([state.log.add("item.upsert", b"\x01" * 9000) for _ in range(5)])
    state.engine._store.outbox.payloads.forget_old(0, 100, most_bytes=20_000)
    assert state.rows("payloads") == 2


def items_that_only_wait_go(state: State) -> None:
    state.lower(behaviour_table, "MOST_WAITING", 3)
    state.engine.process([state.log.upsert("here", TEXT), state.log.interact("here", "u")])
    state.engine.process([state.log.interact(f"i{n}", "u") for n in range(5)])
    ids = state.engine._store._db.execute("SELECT id FROM used_items ORDER BY id").fetchall()
    assert ids == [("here",), ("i2",), ("i3",), ("i4",)]


def what_is_known_of_a_user_and_a_session_is_cut(state: State) -> None:
    state.lower(behaviour_rows, "MOST_IN_PROFILE", 4)
    state.lower(behaviour_learning, "MOST_IN_SESSION", 3)
    state.engine.process([state.log.interact(f"i{n}", "u") for n in range(8)])
    state.engine._store.behaviour.write()
    assert (state.rows("users"), state.rows("sessions")) == (1, 1)
    lengths = state.engine._store._db.execute(
        "SELECT length(items) FROM users UNION ALL SELECT length(items) FROM sessions"
    )
    assert [length for (length,) in lengths] == [4 * 20, 7 + 3 * 2 + 8]


def sessions_go_with_the_last_item_that_knows_them(state: State) -> None:
    state.lower(behaviour_learning, "RING", 3)
    state.engine.process([state.log.interact("a", f"u{n}") for n in range(8)])
    state.engine._store.behaviour.write()
    assert (state.rows("sessions"), state.rows("session_rings")) == (3, 3)


def rows_are_written_after_some_interactions(state: State) -> None:
    state.lower(behaviour_row_table, "WRITE_AFTER", 3)
    state.engine.process([state.log.interact("a", f"u{n}") for n in range(8)])
    assert (state.rows("sessions"), state.rows("behaviour_redo")) == (6, 2)


def the_oldest_interactions_go(state: State) -> None:
    state.engine.process([state.log.interact("a", "u")])
    state.engine.process([state.log.tick(later_ms=retention.INTERACTIONS_MS // 2), state.log.interact("a", "u")])
    state.engine.process([state.log.tick(later_ms=retention.INTERACTIONS_MS // 2 + 1000)])
    state.tidy()
    assert state.rows("interactions") == 1


def the_oldest_mentions_of_users_go(state: State) -> None:
    state.lower(mentions, "MOST_MENTIONS", 3)
    state.engine.process([state.log.interact("a", f"u{n}", kind="sniff") for n in range(8)])
    state.tidy()
    assert state.engine._store._db.execute("SELECT user FROM mentions").fetchall() == [("u5",), ("u6",), ("u7",)]


# -- what goes with what it belongs to -----------------------------------------------------------------------------


def erasures_wait_only_for_what_is_kept(state: State) -> None:
    state.engine.process([*state.items(5), *(state.log.erase(f"i{n % 5}") for n in range(20))])
    assert 5 <= state.rows("redactions") < state.rows("outbox"), "one for each event about what was erased"
    state.engine.acknowledge(redacted=state.engine.outbox.redactions())
    assert state.rows("redactions") == 0


def one_model_and_one_lesson_for_a_collection(state: State) -> None:
    state.lower(learning, "OWN_MODEL_FROM", 4)
    state.lower(lessons, "MOST_LEARNED_FROM", 10)
    state.engine.process(state.items(40))
    for n in range(4, 20, 2):
        state.engine.process(state.answered(0, n))
        assert state.rows("lessons") <= 1
    for _ in range(2):
        state.engine.process([state.log.tick(later_ms=60_000)])
        assert state.rows("lessons") <= 1
    assert (state.rows("models"), state.rows("lessons")) == (1, 0)
    state.engine.process([state.delete("default")])
    state.tidy()
    assert state.rows("models") == 0


def notes_go_with_their_collection(state: State) -> None:
    state.engine.process([state.log.upsert("a", TEXT)])
    before = state.rows("meta")
    for n in range(6):
        settings = {"commands_per_second": 10, "index": "hnsw"}
        state.engine.process([state.log.configure(f"c{n}", **settings)])
        state.engine.process([state.log.upsert(f"i{m}", f"{TEXT} {m}", collection=f"c{n}") for m in range(3)])
    state.engine.snapshot(all_changes=True)
    assert before + 6 < state.rows("meta") <= before + 2 * 6 + 4
    state.engine.process([state.delete(f"c{n}") for n in range(6)])
    state.tidy()
    assert state.rows("meta") <= before + 4 <= 20
    assert state.rows("deletions") == 6
    state.engine.process([state.log.tick(later_ms=KEY_WINDOW_MS)])
    state.tidy()
    assert state.rows("deletions") == 0


def moves_go_when_their_collection_is_deleted(state: State) -> None:
    pair = Pair()
    pair["a"].add("item.upsert", {"id": "x", "collection": "c", "text": TEXT})
    pair["a"].decide()
    for source, target in (("a", "b"), ("b", "a"), ("a", "b")):
        list(pair.move(source, target, f"from {source} {pair[source].engine.position}"))
    engines = [side.engine for side in pair.sides.values()]
    assert [len(engine._store.moves.all()) for engine in engines] == [1, 1]
    pair["b"].add("collection.deleted", {"collection": "c"})
    pair.settle()
    assert [len(engine._store.moves.all()) for engine in engines] == [0, 0]
    pair.close()


def behaviour_goes_with_its_collection_in_small_steps(state: State) -> None:
    tables = ("users", "used_items", "sessions", "session_rings", "interactions")
    state.engine.process([state.log.interact(f"i{n}", f"u{n}", collection="c") for n in range(90)])
    state.engine.process([state.log.interact("a", "u")])
    state.engine.process([state.delete("c")])
    assert [state.rows(table) for table in tables] == [91] * 5
    left = []
    while state.engine.moving.clear(3):
        left.append(state.rows("interactions"))
    assert left[:3] == [61, 31, 1]
    assert [state.rows(table) for table in tables] == [1] * 5


# -- the disk, and the memory --------------------------------------------------------------------------------------


def a_full_disk_stops_decisions_and_loses_nothing(state: State) -> None:
    state.engine.process(state.items(5))
    (pages,) = state.engine._store._db.execute("PRAGMA page_count").fetchone()
    state.engine._store._db.execute(f"PRAGMA max_page_count={pages}")
    more = [state.log.upsert(f"m{n}", f"{TEXT} {n} " * 50) for n in range(50)]
    position, before = state.engine.position, state.engine.stats()
    with pytest.raises(StateFull, match="disk of the state directory is full"):
        state.engine.process(more)
    assert (state.engine.position, state.engine.stats()) == (position, before)
    state.engine._store._db.execute("PRAGMA max_page_count=1000000")
    state.engine.process(more)
    assert state.engine.stats()["items"] == 55


def the_file_gives_back_what_holds_nothing(state: State) -> None:
    state.lower(space, "_KEPT_PAGES", 16)
    state.engine.process([state.log.upsert(f"i{n}", f"{TEXT} {n} " * 300) for n in range(60)])
    state.engine.truncate_log()
    full = (state.directory / DATABASE).stat().st_size
    state.engine.process([state.log.delete(f"i{n}") for n in range(60)])
    state.tidy(outbox_ms=0)
    state.engine.truncate_log()
    assert (state.directory / DATABASE).stat().st_size < full / 2


def what_was_read_of_late_goes(state: State) -> None:
    store, words = state.engine._store, state.engine._base.words
    caches: dict[str, tuple[Any, ...]] = {
        "texts": (profile._recent_terms,),
        "terms": (words._kept, words._postings, store.words._hashed),
        "items": (store.items.recent.texts, store.items.recent.members),
        "vectors": (store.vectors._recent,),
    }
    assert {*caches, "attributes", "filters"} == state.engine.kept_bytes().keys()
    bounds = {}
    for kind, parts in caches.items():
        bounds[kind] = 20_000 * len(parts)
        for part in parts:
            state.lower(part, "_most", 20_000 if part is not store.items.recent.members else 20)
    state.lower(store.items.recent.canonical_by("earliest"), "_most", 10)
    profile.forget_texts()
    most = dict.fromkeys(bounds, 0)
    for entry in [*state.items(100), state.log.upsert("long", "a word or two " * 5000)]:
        state.engine.process([entry])
        for kind, size in state.engine.kept_bytes().items():
            most[kind] = max(most.get(kind, 0), size)
    assert (most.pop("attributes"), most.pop("filters")) == (0, 0), "nobody has asked for any"
    assert {kind: size for kind, size in most.items() if not bounds[kind] / 2 < size <= bounds[kind]} == {}


def columns_that_filters_have_asked_for_go(state: State) -> None:
    state.lower(state.engine._base.filters._columns, "_most", 12_000)
    attributes = {f"a{n}": n for n in range(20)}
    state.engine.process([state.log.upsert(f"i{n}", f"{TEXT} {n}", attributes=attributes) for n in range(20)])
    sizes = []
    for name in attributes:
        assert state.engine.search(TEXT, filter={name: attributes[name]})
        sizes.append(state.engine.kept_bytes()["attributes"])
    assert 6_000 < max(sizes) <= 12_000


def what_passed_filters_goes(state: State) -> None:
    state.lower(filtering, "_FILTERS_BYTES", 1_000)
    state.engine.process([state.log.upsert(f"i{n}", f"{TEXT} {n}", attributes={"n": n}) for n in range(40)])
    sizes = []
    for n in range(20):
        assert state.engine.search(TEXT, filter={"n": {"$gte": n}})
        sizes.append(state.engine.kept_bytes()["filters"])
    one = sizes[0]
    assert one < 1_000 < max(sizes) <= 1_000 + one, "the last one is kept beside the bound"


def older_hours_go(state: State) -> None:
    state.lower(traffic, "HORIZON_HOURS", 24)
    state.engine.process([state.log.configure(incidents=True)])
    hour_ms = 3_600_000
    state.engine.process([state.log.upsert(f"i{n}", f"{TEXT} {n}", later_ms=hour_ms) for n in range(60)])
    assert state.rows("traffic") == 25
    state.engine.process([state.delete("default")])
    state.tidy()
    assert state.rows("traffic") == 0


def counts_are_few_and_go_with_their_collection(state: State) -> None:
    state.lower(standings, "KEPT", {3_600_000: 5, 86_400_000: 2})
    day = [state.log.upsert(f"i{n}", f"{TEXT} {n}", later_ms=3_600_000) for n in range(60)]
    state.engine.process([state.log.configure(), *day])
    for entry in [state.log.upsert(f"j{n}", f"{TEXT} {n}", later_ms=3_600_000) for n in range(60)]:
        state.engine.process([entry])
    arrivals = state.engine._store.standings.arrivals
    assert (len(arrivals(1, 3_600_000)), len(arrivals(1, 86_400_000))) == (5, 2)
    assert state.rows("standings") <= 5
    assert state.rows("probabilities") <= 4 * 1001
    state.engine.process([state.delete("default")])
    state.tidy()
    assert [state.rows(table) for table in ("standings", "probabilities", "arrivals")] == [0, 0, 0]


def older_distances_go(state: State) -> None:
    state.lower(novelty, "NOVELTY_SAMPLE", 20)
    state.engine.process(state.items(100))
    assert state.rows("novelty") == 20
    state.engine.process([state.delete("default")])
    state.tidy()
    assert state.rows("novelty") == 0


def older_lists_and_figures_go(state: State) -> None:
    state.lower(shown, "MOST_OF_USER", 3)
    state.lower(shown, "MOST_LISTS", 20)
    state.lower(shown_lists, "MOST_DAYS", 5)
    users = [state.show(f"r{n}", "one user") for n in range(9)]
    state.engine.process([*state.items(1), *users])
    assert state.rows("shown_lists") == 3
    state.engine.process([state.show(f"s{n}", f"u{n}") for n in range(40)])
    assert state.rows("shown_lists") == 20
    for n in range(12):
        state.engine.process([state.show(f"t{n}", "u", later_ms=86_400_000)])
    assert state.rows("hit_rates") <= 5 + 3
    state.engine.process([state.log.tick(29 * 86_400_000)])
    state.tidy()
    assert state.rows("shown_lists") == 0
    state.engine.process([state.show("last", "u"), state.delete("default")])
    state.tidy()
    assert (state.rows("shown_lists"), state.rows("hit_rates")) == (0, 0)


def older_controls_go_and_a_collection_has_one_row(state: State) -> None:
    state.lower(weights, "CONTROLS", 4)
    used = [state.log.interact(f"i{n % 10}", f"u{n}") for n in range(200)]
    state.engine.process([*state.items(10), *used])
    assert state.rows("list_weights") == 1
    assert state.engine._store._db.execute("SELECT length(recent) FROM list_weights").fetchone() == (4 * 4,)
    state.engine.process([state.delete("default")])
    state.tidy()
    assert state.rows("list_weights") == 0


def no_more_incidents_open(state: State) -> None:
    state.lower(open_incidents, "MAX_INCIDENTS", 2)
    texts = [TEXT, "heavy rain in the north today", "the lid of the box is missing"]
    reports = [state.log.upsert(f"i{t}-{n}", text) for t, text in enumerate(texts) for n in range(9)]
    state.engine.process([state.log.configure(incidents=True), *reports])
    assert len(state.engine.incidents()) == state.rows("incidents") == 2
    state.engine.process([state.log.tick(2 * 3_600_000)])
    assert (state.engine.incidents(), state.rows("incidents")) == ([], 2)
    state.engine.process([state.log.tick(7 * 3_600_000)])
    assert state.rows("incidents") == 0


def lists_that_are_too_many_are_refused(state: State) -> None:
    state.lower(subscribing, "MAX_SUBSCRIPTIONS", 2)
    state.lower(changed_lists, "MAX_SUBSCRIPTIONS", 3)
    state.engine.process(state.items(5))
    asked = [state.log.add("recommendations.subscribed", {"item": f"i{n}"}) for n in range(3)]
    *_, refused = state.engine.process(asked)
    assert isinstance(refused.data, CommandRejected)
    assert refused.data.code == "too_many_subscriptions"
    state.engine.process([state.log.configure(push={"items": True}), *(state.log.tick(1000) for _ in range(4))])
    assert (state.rows("subscriptions"), state.rows("list_changes")) == (3, 0)
    state.engine.process([state.log.delete(f"i{n}") for n in range(5)])
    assert 1 <= state.rows("list_changes") <= 5
    state.engine.process([state.log.tick(1000) for _ in range(4)])
    assert [state.rows(table) for table in ("subscriptions", "listed_items", "list_changes")] == [0, 0, 0]


# -- the table -----------------------------------------------------------------------------------------------------


def one_second_model_and_its_vectors_go_in_small_steps(state: State) -> None:
    second = DeterministicEncoder(32).identity.fingerprint
    live = DeterministicEncoder().identity.fingerprint

    def about(what: str, model: str, digest: str) -> Entry:
        return state.log.add(f"model.{what}", {"collection": "default", "model": model, "digest": digest})

    state.engine.process(state.items(9))
    assert state.codes(about("proposed", "second", second), about("proposed", "third", live)) == [None, "unknown_model"]
    state.engine.process([about("promoted", "second", second)])
    assert (state.rows("second_models"), state.rows("vectors")) == (1, 18)
    state.engine.process([about("dropped", DEFAULT_MODEL, live)])
    assert (state.rows("second_models"), state.rows("dropped_models")) == (0, 1)
    state.tidy()
    assert (state.rows("vectors"), state.rows("dropped_models")) == (9, 0)


TABLE: dict[str, tuple[Callable[[State], None], ...]] = {
    "collections": (collections_are_refused,),
    "users": (what_is_known_of_a_user_and_a_session_is_cut, behaviour_goes_with_its_collection_in_small_steps),
    "used_items": (items_that_only_wait_go,),
    "sessions": (sessions_go_with_the_last_item_that_knows_them, what_is_known_of_a_user_and_a_session_is_cut),
    "session_rings": (
        sessions_go_with_the_last_item_that_knows_them,
        behaviour_goes_with_its_collection_in_small_steps,
    ),
    "behaviour_redo": (rows_are_written_after_some_interactions,),
    "interactions": (the_oldest_interactions_go, behaviour_goes_with_its_collection_in_small_steps),
    "shown_lists": (older_lists_and_figures_go,),
    "hit_rates": (older_lists_and_figures_go,),
    "traffic": (older_hours_go,),
    "standings": (counts_are_few_and_go_with_their_collection,),
    "probabilities": (counts_are_few_and_go_with_their_collection,),
    "arrivals": (counts_are_few_and_go_with_their_collection,),
    "novelty": (older_distances_go,),
    "list_weights": (older_controls_go_and_a_collection_has_one_row,),
    "incidents": (no_more_incidents_open,),
    "subscriptions": (lists_that_are_too_many_are_refused,),
    "listed_items": (lists_that_are_too_many_are_refused,),
    "list_changes": (lists_that_are_too_many_are_refused,),
    "mentions": (the_oldest_mentions_of_users_go,),
    "deletions": (notes_go_with_their_collection,),
    "answers": (answers_are_refused_and_none_is_dropped,),
    "second_models": (one_second_model_and_its_vectors_go_in_small_steps,),
    "dropped_models": (one_second_model_and_its_vectors_go_in_small_steps,),
    "models": (one_model_and_one_lesson_for_a_collection,),
    "lessons": (one_model_and_one_lesson_for_a_collection,),
    "tombstones": (the_oldest_versions_go,),
    "payloads": (the_oldest_payloads_go,),
    "outbox": (the_oldest_events_go, events_go_by_their_bytes),
    "keys": (the_oldest_keys_go,),
    "replies": (the_oldest_callers_go,),
    "redactions": (erasures_wait_only_for_what_is_kept,),
    "forwards": (commands_that_wait_for_a_collection_are_refused,),
    "move_parts": (pages_of_a_collection_that_arrives_are_refused,),
    "moves": (moves_go_when_their_collection_is_deleted,),
    "meta": (notes_go_with_their_collection,),
    "items": (a_full_disk_stops_decisions_and_loses_nothing,),
    "vectors": (a_full_disk_stops_decisions_and_loses_nothing,),
    "points": (a_full_disk_stops_decisions_and_loses_nothing,),
    "words": (a_full_disk_stops_decisions_and_loses_nothing,),
    "terms": (a_full_disk_stops_decisions_and_loses_nothing,),
    "state.sqlite3": (the_file_gives_back_what_holds_nothing,),
    "kept_bytes": (
        what_was_read_of_late_goes,
        columns_that_filters_have_asked_for_go,
        what_passed_filters_goes,
    ),
}
"""What the state holds, and what shows what happens at its bound."""

FILLS = sorted({fill for fills in TABLE.values() for fill in fills}, key=lambda fill: fill.__name__)


@pytest.mark.parametrize("fill", FILLS, ids=lambda fill: fill.__name__)
def test_what_is_filled_to_its_bound_stays_there(state: State, fill: Callable[[State], None]) -> None:
    fill(state)


def test_no_table_is_left_out(state: State) -> None:
    found = {name for (name,) in state.engine._store._db.execute("SELECT name FROM sqlite_schema WHERE type='table'")}
    own = {name for name in found if not name.startswith(("sqlite_", "words_"))}
    assert own == {name for name in TABLE if name not in ("state.sqlite3", "kept_bytes")}


@pytest.mark.parametrize("name", TABLE)
def test_the_limits_say_what_happens_there(name: str) -> None:
    rows = [line for line in LIMITS.read_text().splitlines() if line.startswith("|")]
    assert name == "kept_bytes" or any(f"`{name}`" in row.split("|")[1] for row in rows)
