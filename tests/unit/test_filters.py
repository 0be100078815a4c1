"""Search and recommendations under a filter: exactly the items that pass, as many as there are."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from recommender_engine import Entry, Recommender
from recommender_engine.errors import InvalidCommand
from recommender_engine.pipeline.candidates import attribute_columns, filtering
from recommender_engine.recommend.filters import columns, parse
from recommender_engine.store import changed_items
from tests.support.engine import Log, opened
from tests.support.filters import attributes_by, filter_by, passes
from tests.support.partitions import Pair

DIMENSION = 64
FLOOR = 0.2


# -- the expression ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filter_", "code", "field", "said"),
    [
        ([], "invalid_filter", "filter", "must be an object"),
        ("price < 20", "invalid_filter", "filter", "not a string"),
        ({"price": {"$lt": True}}, "invalid_filter", "filter.price.$lt", "needs a number or a date"),
        ({"price": {"$gt": "cheap"}}, "invalid_filter", "filter.price.$gt", "needs a number or a date"),
        ({"price": {"$gt": "2026-02-30"}}, "invalid_filter", "filter.price.$gt", "needs a number or a date"),
        ({"price": {"$less": 1}}, "invalid_filter", "filter.price", "'$less' is no operator"),
        ({"price": {"lt": 1}}, "invalid_filter", "filter.price", "did you mean $lt?"),
        ({"price": {"$or": [{"$lt": 1}]}}, "invalid_filter", "filter.price", "it stands before an attribute"),
        ({"$lt": {"price": 1}}, "invalid_filter", "filter", "it stands behind an attribute"),
        ({"$nor": []}, "invalid_filter", "filter", "did you mean $or?"),
        ({"price": {}}, "invalid_filter", "filter.price", "needs an operator"),
        ({"price": None}, "invalid_filter", "filter.price", '{"$exists": false}'),
        ({"tags": ["new"]}, "invalid_filter", "filter.tags", '{"$in": '),
        ({"tags": {"$in": "new"}}, "invalid_filter", "filter.tags.$in", "needs a list of values, not a string"),
        ({"tags": {"$in": []}}, "invalid_filter", "filter.tags.$in", "not an empty list"),
        ({"tags": {"$in": [{}]}}, "invalid_filter", "filter.tags.$in.0", "not an object"),
        ({"tags": {"$exists": 1}}, "invalid_filter", "filter.tags.$exists", "needs true or false"),
        ({"$and": {}}, "invalid_filter", "filter.$and", "needs a list of filters"),
        ({"$or": [{"a": 1}, 2]}, "invalid_filter", "filter.$or.1", "must be an object"),
        ({"price": {"$not": 1}}, "invalid_filter", "filter.price.$not", "needs an operator"),
        ({"": 1}, "invalid_filter", "filter", "not an empty string"),
        ({"a" * 65: 1}, "invalid_filter", "filter." + "a" * 65, "at most 64"),
        ({"n": 2**63}, "invalid_filter", "filter.n", "64 bits"),
        ({"n": float("nan")}, "invalid_filter", "filter.n", "finite"),
        ({"$or": [{f"a{n}": n} for n in range(65)]}, "too_large", "filter.$or", "at most 64"),
        ({"$or": [{"a": 1, "b": 1}] * 33}, "too_large", "filter.$or.32.a", "at most 64"),
        ({"a": {"$in": list(range(1001))}}, "too_large", "filter.a.$in", "at most 1,000"),
        ({"a": {"$in": list(range(600)), "$nin": list(range(600))}}, "too_large", "filter.a.$nin.400", "at most 1,000"),
        ({"a": {"$in": ["x" * 1000] * 33}}, "too_large", "filter.a.$in.32", "at most 32,768"),
    ],
)
def test_a_wrong_filter_says_where_and_why(filter_: Any, code: str, field: str, said: str) -> None:
    with pytest.raises(InvalidCommand) as error:
        parse(filter_)
    assert (error.value.code, error.value.field) == (code, field)
    assert said in str(error.value)


@pytest.mark.parametrize("nested", [lambda f: {"$not": f}, lambda f: {"$and": [f]}])
def test_depth_is_bounded(nested: Callable[[Any], Any]) -> None:
    filter_: Any = {"a": 1}
    for _ in range(7):
        filter_ = nested(filter_)
    parse(filter_)
    with pytest.raises(InvalidCommand, match="nested deeper than 8 levels"):
        parse(nested(filter_))
    for _ in range(100_000):
        filter_ = nested(filter_)
    with pytest.raises(InvalidCommand, match="nested deeper than 8 levels"):
        parse(filter_)


def test_depth_is_bounded_behind_an_attribute() -> None:
    condition: Any = {"$gt": 1}
    for _ in range(9):
        condition = {"$not": condition}
    with pytest.raises(InvalidCommand, match="nested deeper than 8 levels"):
        parse({"a": condition})


# -- what is found -----------------------------------------------------------------------------------------------------


class Shop:
    """Items of one collection, as the test knows them: what a look at each of them would find."""

    def __init__(self, engine: Recommender, log: Log, seed: int) -> None:
        self.engine = engine
        self.log = log
        self.chance = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.items: dict[str, tuple[int, np.ndarray, dict[str, Any]]] = {}
        self._arrivals = 0

    def vector(self) -> np.ndarray:
        """Of a new thing, or nearly one that is there already."""
        if self.items and self.chance.random() < 0.3:
            _, like, _ = self.items[self.chance.choice(list(self.items))]
            return unit(like + 0.02 * self.numbers.normal(size=DIMENSION))
        return unit(self.numbers.normal(size=DIMENSION) + 0.8)

    def upsert(self, id_: str) -> Entry:
        self._arrivals += 1
        attributes, vector = attributes_by(self.chance), self.vector()
        self.items[id_] = (self._arrivals, vector, attributes)
        return self.log.upsert(id_, f"text {self._arrivals}", attributes=attributes, vector=vector.tolist())

    def patch(self, id_: str) -> Entry:
        seq, vector, attributes = self.items[id_]
        change = attributes_by(self.chance) or {"stock": 1}
        change |= {name: None for name in attributes if self.chance.random() < 0.2}
        kept = {name: value for name, value in {**attributes, **change}.items() if value is not None}
        self.items[id_] = seq, vector, kept
        return self.log.patch(id_, change)

    def delete(self, id_: str) -> Entry:
        del self.items[id_]
        return self.log.delete(id_)

    def life(self, steps: int) -> Iterator[Entry]:
        """Items come, change and go."""
        for _ in range(steps):
            chosen = self.chance.choice(list(self.items)) if self.items else None
            kind = self.chance.random()
            if chosen is None or kind < 0.6:
                yield self.upsert(f"i{self.chance.randrange(3 * steps)}")
            else:
                yield self.patch(chosen) if kind < 0.85 else self.delete(chosen)

    def expected(self, vector: np.ndarray, filter_: dict[str, Any], limit: int, but: str | None = None) -> list[str]:
        groups: dict[str, tuple[float, int, str, int]] = {}
        for id_, (seq, other, attributes) in sorted(self.items.items(), key=lambda one: one[1][0]):
            view = self.engine.get(id_)
            assert view is not None
            if view.group == but or not passes(filter_, attributes):
                continue
            near = float(vector.astype(np.float64) @ other.astype(np.float64))
            first = groups.get(view.group, (near, seq, id_, seq))
            best = first if first[0] >= near else (near, seq, *first[2:])
            groups[view.group] = best
        ranked = sorted((one for one in groups.values() if one[0] >= FLOOR), key=lambda one: (-one[0], one[1]))
        return [one[2] for one in ranked[:limit]]

    def compare(self, filter_: dict[str, Any], limit: int = 10) -> int:
        """Ask for what is like some item, under a filter; how many were found."""
        id_ = self.chance.choice(list(self.items))
        view = self.engine.get(id_)
        assert view is not None
        hits = self.engine.recommend(id_, limit=limit, filter=filter_)
        assert hits is not None
        expected = self.expected(self.items[id_][1], filter_, limit, view.group)
        assert [hit.id for hit in hits] == expected, filter_
        assert all(passes(filter_, self.items[hit.id][2]) for hit in hits)
        return len(hits)


def unit(vector: np.ndarray) -> np.ndarray:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@pytest.fixture
def engine(log: Log) -> Iterator[Recommender]:
    with closing(opened()) as engine:
        yield engine


def shop_of(engine: Recommender, log: Log, seed: int, steps: int = 150, **settings: Any) -> Shop:
    shop = Shop(engine, log, seed)
    engine.process([log.configure(rule="cosine", similar_from=FLOOR, duplicate_cosine=0.9, **settings)])
    engine.process(list(shop.life(steps)))
    return shop


def compare_many(shop: Shop, count: int) -> None:
    found = sum(shop.compare(filter_by(shop.chance), shop.chance.choice((1, 3, 10, 100))) for _ in range(count))
    assert found >= count // 2, "most of the filters let something pass"


@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_a_look_at_every_item_finds(engine: Recommender, log: Log, seed: int) -> None:
    shop = shop_of(engine, log, seed)
    for _ in range(4):
        compare_many(shop, 25)
        engine.process(list(shop.life(20)))


@pytest.mark.parametrize("kind", ["exact", "hnsw"])
def test_many_survivors_are_found_as_well_as_few(
    engine: Recommender, log: Log, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """With an index of its own the graph proposes; where too few of its points pass, all that pass are compared."""
    monkeypatch.setattr(filtering, "FEW", 10)
    shop = shop_of(engine, log, 7, steps=400, index=kind, candidates=5)
    assert engine.stats()["collections"]["default"]["index"] == kind
    compare_many(shop, 60)


def test_it_never_runs_dry_while_something_passes(engine: Recommender, log: Log) -> None:
    """One item in many passes, and a group has all that is nearest."""
    engine.process([log.configure(rule="cosine", similar_from=-1.0)])
    near = unit(np.ones(DIMENSION))
    numbers = np.random.default_rng(1)
    crowd = [
        log.upsert(
            f"c{n}",
            f"text {n}",
            vector=unit(near + 0.01 * numbers.normal(size=DIMENSION)).tolist(),
            attributes={"a": 1},
        )
        for n in range(300)
    ]
    far = [
        log.upsert(f"f{n}", f"other {n}", vector=unit(numbers.normal(size=DIMENSION)).tolist(), attributes={"a": n % 2})
        for n in range(60)
    ]
    engine.process([*crowd, *far, log.upsert("here", "here", vector=near.tolist())])
    ones = engine.recommend("here", limit=100, filter={"a": 1})
    assert ones is not None
    assert {hit.id for hit in ones} == {f"f{n}" for n in range(1, 60, 2)}, "but its own group, which holds the crowd"
    assert len(engine.recommend("here", limit=100, filter={"a": 0}) or ()) == 30


def test_an_attribute_that_no_item_has_is_named_with_those_like_it(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", "a blue mug", attributes={"colour": "blue", "price": "free", "sizes": [1, 2]})])
    with pytest.raises(
        InvalidCommand, match=r"no item of the collection has an attribute .color.; .*.colour."
    ) as error:
        engine.search("mug", filter={"color": "blue"})
    assert (error.value.code, error.value.field) == ("unknown_attribute", "filter.color")
    with pytest.raises(InvalidCommand, match="'zzz'; there are 'colour', 'price', 'sizes'"):
        engine.search("mug", filter={"$not": {"zzz": {"$exists": True}}})
    assert engine.search("mug", "nowhere", filter={"zzz": 1}) == []
    engine.process([log.patch("a", {"colour": None})])
    with pytest.raises(InvalidCommand, match="'colour'"):
        engine.search("mug", filter={"colour": "blue"})
    engine.process([log.delete("a")])
    assert engine.search("mug", filter={"colour": "blue"}) == []


@pytest.mark.parametrize(
    ("filter_", "said"),
    [
        ({"price": {"$lt": 20}}, "'price' with numbers, but items have only strings"),
        ({"price": {"$ne": True}}, "'price' with booleans, but items have only strings"),
        ({"price": {"$gte": "2026-01-01"}}, "'price' with dates, but items have only strings"),
        ({"sizes": "large"}, "'sizes' with dates and strings, but items have only numbers"),
        ({"stock": {"$in": [1, 2.5]}}, "'stock' with numbers, but items have only booleans"),
    ],
)
def test_a_comparison_of_two_types_names_both(engine: Recommender, log: Log, filter_: Any, said: str) -> None:
    engine.process([log.upsert("a", "a mug", attributes={"price": "free", "sizes": [1, 2**60], "stock": True})])
    with pytest.raises(InvalidCommand, match=said) as error:
        engine.search("mug", filter=filter_)
    assert error.value.code == "wrong_type"
    assert engine.search("mug", filter={"price": "2026-01-01"}) == [], "a date is a string, too"


def test_the_item_that_is_shown_passes_though_another_stands_for_the_group(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(rule="cosine")])
    near = unit(np.ones(DIMENSION)).tolist()
    engine.process([log.upsert(f"i{n}", f"text {n}", vector=near, attributes={"stock": n}) for n in range(4)])
    engine.process([log.upsert("asked", "asked", vector=unit(np.arange(DIMENSION) + 9.0).tolist())])

    def shown(filter_: Any) -> list[str]:
        return [hit.id for hit in engine.recommend("asked", filter=filter_) or ()]

    assert shown({"stock": {"$gt": 1}}) == ["i2"]
    assert shown({}) == ["i0"]
    engine.process([log.configure(rule="cosine", canonical="latest")])
    assert shown({"stock": {"$lt": 3}}) == ["i2"]


def test_what_is_past_its_time_passes_no_filter(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(ttl_seconds=60)])
    engine.process([log.upsert(f"old{n}", f"mug number {n}", attributes={"stock": 1}) for n in range(50)])
    assert engine.search("mug number 3", filter={"stock": 1})
    engine.process([log.upsert("new", "mug number 3 again", attributes={"stock": 1}, later_ms=61_000)])
    assert [hit.id for hit in engine.search("mug number 3", filter={"stock": 1})] == ["new"]


# -- what is kept of it ------------------------------------------------------------------------------------------------


def test_a_batch_that_is_undone_changes_nothing(engine: Recommender, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = shop_of(engine, log, 3)
    compare_many(shop, 10)
    before = dict(shop.items)
    entries = list(shop.life(20))

    def asked_and_undone() -> None:
        """What is read in a transaction holds no longer when it is undone."""
        collection = engine._base.collections.find("default")
        assert collection is not None
        engine._base.filters.survivors(collection, parse({"stock": {"$exists": True}, "tags": {"$exists": True}}))
        raise ValueError("no commit")

    monkeypatch.setattr(engine, "_before_commit", asked_and_undone)
    with pytest.raises(ValueError, match="no commit"):
        engine.process(entries)
    after, shop.items = shop.items, before
    compare_many(shop, 10)
    monkeypatch.setattr(engine, "_before_commit", lambda: None)
    engine.process(entries)
    shop.items = after
    compare_many(shop, 10)


def test_columns_that_are_first_read_in_a_batch_that_is_undone_are_read_again(
    engine: Recommender, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = shop_of(engine, log, 4)
    before = dict(shop.items)

    def ask() -> None:
        collection = engine._base.collections.find("default")
        assert collection is not None
        engine._base.filters.survivors(collection, parse({"stock": {"$exists": True}}))
        raise ValueError("no commit")

    monkeypatch.setattr(engine, "_before_commit", ask)
    with pytest.raises(ValueError, match="no commit"):
        engine.process(list(shop.life(20)))
    shop.items = before
    compare_many(shop, 10)


@pytest.mark.parametrize("most", [5, 40])
def test_many_changes_are_read_as_one(
    engine: Recommender, log: Log, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(changed_items, "MOST_CHANGED", most)
    shop = shop_of(engine, log, 5)
    for _ in range(3):
        compare_many(shop, 5)
        engine.process(list(shop.life(60)))
    compare_many(shop, 5)


def test_rows_of_items_that_went_are_dropped(engine: Recommender, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_LEAST_DEAD", 10)
    shop = shop_of(engine, log, 6)
    for _ in range(4):
        compare_many(shop, 5)
        engine.process([shop.delete(id_) for id_ in list(shop.items)[::3]])
        compare_many(shop, 5)
        engine.process(list(shop.life(30)))
    held = engine._base.filters._columns._columns.values()
    assert [len(one) <= len(shop.items) * 4 // 3 + 11 for one in held] == [True]


def test_no_more_columns_are_kept_than_the_bound_allows(engine: Recommender, log: Log) -> None:
    kept = attribute_columns.AttributeColumns(engine._store, 20_000)
    engine._base.filters._columns = kept
    for number in range(6):
        names = {f"a{n}": n for n in range(10)}
        engine.process([log.upsert(f"i{n}", f"mug {n}", collection=f"c{number}", attributes=names) for n in range(20)])
    for _ in range(2):
        for number in range(6):
            for name in range(10):
                hits = engine.search("mug", f"c{number}", filter={f"a{name}": name})
                assert len(hits) == len(engine.search("mug", f"c{number}"))
                assert engine.kept_bytes()["attributes"] <= 20_000
    assert len(kept._columns) < 6
    engine.process([log.add("collection.deleted", collection=f"c{number}") for number in range(6)])
    assert [engine.kept_bytes()[kind] for kind in ("attributes", "filters")] == [0, 0]


def test_what_passed_a_filter_is_kept_for_few_filters_and_until_an_item_changes(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert(f"i{n}", f"mug {n}", attributes={"stock": n}) for n in range(20)])
    collection = engine._base.collections.require("default")
    expressions = [parse({"stock": {"$gte": n}}) for n in range(12)]
    found = [engine._base.filters.survivors(collection, one) for one in expressions]
    assert [len(one) for one in found] == list(range(20, 8, -1))
    assert len(engine._base.filters._kept) == 8
    assert engine._base.filters.survivors(collection, expressions[-8]) is found[-8]
    assert engine._base.filters.survivors(collection, expressions[0]) is not found[0]
    engine.process([log.patch("i19", {"stock": 0})])
    assert [len(engine._base.filters.survivors(collection, one)) for one in expressions[1:3]] == [18, 17]
    assert len(engine._base.filters._kept) == 2, "what passed before is dropped"


def test_the_same_filter_for_many_items_is_evaluated_once(
    engine: Recommender, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated: list[object] = []
    original = filtering.mask
    monkeypatch.setattr(filtering, "mask", lambda *given: evaluated.append(given) or original(*given))
    engine.process([log.upsert(f"i{n}", f"mug {n}", attributes={"stock": n}) for n in range(20)])
    for number in range(20):
        engine.recommend(f"i{number}", filter={"stock": {"$gt": 3}})
    assert len(evaluated) == 1
    engine.process([log.patch("i1", {"stock": 9})])
    assert "i1" in {hit.id for hit in engine.recommend("i2", filter={"stock": {"$gt": 3}}, limit=100) or ()}
    assert len(evaluated) == 2


def test_names_that_no_item_has_cost_no_look_at_the_items(
    engine: Recommender, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.process([log.upsert(f"i{n}", f"mug {n}", attributes={"stock": n}) for n in range(20)])
    engine.search("mug", filter={"stock": 1})
    monkeypatch.setattr(engine._store.items, "attributes", None)
    for number in range(5):
        with pytest.raises(InvalidCommand, match="no item of the collection"):
            engine.search("mug", filter={f"no{number}": 1})


def test_columns_follow_an_item_to_another_point(engine: Recommender, log: Log) -> None:
    """An item whose text is cut by other rules gets another vector, and stays the same item."""
    engine.process([log.configure(cut=[])])
    text = "the parcel never arrived\n\nSent from my iPhone"
    engine.process([log.upsert("a", text, attributes={"stock": 1}), log.upsert("b", "a lamp", attributes={"stock": 1})])
    engine.search("parcel", filter={"stock": 1})
    before = rows_of(engine)
    engine.process([log.configure(), *(log.tick() for _ in range(5))])
    assert rows_of(engine) != before
    assert rows_of(engine) == dict(engine._store._db.execute("SELECT seq, point FROM items"))
    (hit,) = engine.search("the parcel never arrived", filter={"stock": 1}, limit=1)
    assert (hit.id, round(hit.score, 3)) == ("a", 1.0)


def rows_of(engine: Recommender) -> dict[int, int]:
    """Points by arrival number, as the columns have them."""
    columns = engine._base.filters._columns.of(1, ("stock",))
    return dict(zip(columns.seqs[columns.live].tolist(), columns.points[columns.live].tolist(), strict=True))


def test_a_collection_that_came_from_another_partition_is_filtered_in_full() -> None:
    pair = Pair()
    pair["a"].add("item.upsert", {"id": "x", "collection": "c", "text": "a mug", "attributes": {"tags": ["new", "é"]}})
    pair.settle()
    assert [hit.id for hit in pair["a"].engine.search("mug", "c", filter={"tags": "é"})] == ["x"]
    for _ in pair.move("a", "b"):
        pair.settle()
    assert [hit.id for hit in pair["b"].engine.search("mug", "c", filter={"tags": "é"})] == ["x"]
    assert pair["a"].engine.kept_bytes()["attributes"] == 0
    pair.close()


def test_an_item_at_the_floor_is_found_with_and_without_a_filter(engine: Recommender, log: Log) -> None:
    """Cosines are rounded to six digits before they are compared with the floor."""
    cosines = {"at": 0.35, "rounded up": 0.3499997, "rounded down": 0.3499993, "below": 0.349}

    def item(id_: str, cosine: float, axis: int) -> Entry:
        vector = np.zeros(64)
        vector[0], vector[axis] = cosine, (1.0 - cosine**2) ** 0.5
        return log.upsert(id_, id_, vector=vector.tolist(), attributes={"stock": 1})

    engine.process([log.configure(rule="cosine", similar_from=0.35), item("q", 1.0, 1)])
    engine.process([item(id_, cosine, axis) for axis, (id_, cosine) in enumerate(cosines.items(), 2)])
    for filter_ in (None, {"stock": 1}):
        for found in (
            engine.recommend("q", filter=filter_),
            engine.recommendations({"item": "q", "filter": filter_}),
        ):
            assert {one.id for one in found or ()} == {"at", "rounded up"}
