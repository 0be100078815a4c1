"""Lists that are like a vector, or like and unlike examples with weights."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from recommender_engine.errors import InvalidCommand
from recommender_engine.testing import DeterministicEncoder
from tests.support.engine import Log, opened
from tests.unit.test_lists import Shop, text_of

DIMENSION = DeterministicEncoder().identity.dimension


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


def _direction(place: int, other: int | None = None, share: float = 0.0) -> list[float]:
    """A vector along an axis, or between two."""
    vector = np.zeros(DIMENSION)
    vector[place] = 1.0 - share
    if other is not None:
        vector[other] = share
    return [float(one) for one in vector]


def test_an_example_of_more_weight_counts_more(shop: Shop) -> None:
    def first(mug: float, lamp: float) -> str:
        like = [{"item": "red mug", "weight": mug}, {"text": text_of("blue lamp"), "weight": lamp}]
        return shop.ids(like=like, diversity=0.0, limit=1)[0].split()[1]

    assert (first(10.0, 0.1), first(0.1, 10.0)) == ("mug", "lamp")


def test_equal_weights_are_no_weights_and_an_id_is_an_object(shop: Shop) -> None:
    plain = shop.listed(like=["red mug", "blue lamp"], unlike=["green chair"], limit=20)
    like = [{"item": "red mug", "weight": 3.0}, {"item": "blue lamp", "weight": 3.0}]
    assert shop.listed(like=like, unlike=[{"item": "green chair"}], limit=20) == plain


def test_behaviour_counts_by_the_weight_of_the_example() -> None:
    shop = Shop()
    for n in range(8):
        shop.visit(f"u{n}", "red mug", "white vase")
        shop.visit(f"u{n}", "blue lamp", "green rug")

    def terms(mug: float) -> tuple[float, float]:
        listed = shop.listed(like=[{"item": "red mug", "weight": mug}, {"item": "blue lamp"}], limit=20)
        found = {one.id: one.terms.get("together", 0.0) for one in listed}
        return found["white vase"], found["green rug"]

    vase, rug = terms(9.0)
    assert vase == pytest.approx(9 * rug, rel=0.01)
    vase, rug = terms(1.0)
    assert vase == pytest.approx(rug, rel=0.01)


def test_what_is_unwanted_counts_by_its_weight_also_beside_an_item_or_a_text(shop: Shop) -> None:
    def score(**request: Any) -> float:
        return {one.id: one.score for one in shop.listed(limit=20, diversity=0.0, **request)}.get("blue mug", 0.0)

    for request in ({"item": "red mug"}, {"text": text_of("red mug")}):
        plain, little, much = (
            score(**request, unlike=[{"text": text_of("blue mug"), "weight": weight}] if weight else [])
            for weight in (0.0, 0.1, 1.0)
        )
        assert plain > little > much


@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_vector_finds_items_whose_vectors_come_from_outside(as_bytes: bool) -> None:
    log, engine = Log(), opened()
    engine.process([log.configure(rule="cosine")])
    engine.process([log.upsert(f"p{n}", f"picture {n}", vector=_direction(n, 50, 0.3)) for n in range(8)])
    vector: Any = _direction(3, 50, 0.2)
    if as_bytes:
        vector = base64.b64encode(np.array(vector, "<f4").tobytes()).decode()
    found = engine.recommendations({"vector": vector})
    assert found is not None
    assert found[0].id == "p3"
    assert found[0].why == "similar text"
    mixed = engine.recommendations({"like": [{"vector": vector, "weight": 0.1}, {"item": "p5", "weight": 2}]})
    assert mixed is not None
    assert mixed[0].id == "p3"  # p5 itself is what the list is to be like


@pytest.mark.parametrize(
    ("request_", "field", "code"),
    [
        ({"vector": [1.0, 2.0]}, "vector", "wrong_dimension"),
        ({"vector": [0.0, 0.0]}, "vector", "invalid_value"),
        ({"vector": "!"}, "vector", "invalid_value"),
        ({"vector": {}}, "vector", "wrong_type"),
        ({"vector": _direction(1), "item": "red mug"}, None, "invalid_value"),
        ({"like": [{"vector": [1.0]}]}, "like.0.vector", "wrong_dimension"),
        ({"like": ["red mug", {"text": "\u200b"}]}, "like.1.text", "empty_text"),
        ({"like": ["red mug", {"text": ""}]}, "like.1.text", "invalid_value"),
        ({"like": [{"item": "red mug", "weight": 0}]}, "like.0.weight", "invalid_value"),
        ({"like": [{"item": "red mug", "weight": "2"}]}, "like.0.weight", "wrong_type"),
        ({"like": [{"item": "red mug", "wieght": 2}]}, "like.0.wieght", "unknown_field"),
        ({"like": ["red mug", {"weight": 2}]}, "like.1", "invalid_value"),
        ({"like": ["red mug", {"item": "a", "text": "b"}]}, "like.1", "invalid_value"),
        ({"like": ["red mug", 3]}, "like.1", None),
        ({"like": ["red mug"], "unlike": [{"item": "a", "weight": -1}]}, "unlike.0.weight", "invalid_value"),
        ({"unlike": ["red mug"]}, None, "invalid_value"),
        ({"unlike": ["red mug"], "user": "u"}, None, "invalid_value"),
    ],
)
def test_a_wrong_example_is_refused_with_its_field(
    shop: Shop, request_: dict[str, Any], field: str | None, code: str | None
) -> None:
    with pytest.raises(InvalidCommand) as raised:
        shop.engine.recommendations(request_)
    assert raised.value.field == field
    assert code in (None, raised.value.code)
