"""Variants of a product: which offers are, and lists with one of them."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from recommender_engine.items import Item
from recommender_engine.matching import family_of
from tests.support.engine import Log, opened
from tests.unit.test_lists import COLOURS, KINDS, Shop

VARIANTS = [
    ("Norvik bottle 750 ml, black", "Norvik bottle 500 ml, red"),
    ("Norvik bottle, dark blue", "Norvik bottle - LIGHT GREEN"),
    ("T-shirt organic cotton, XL", "T-shirt organic cotton, 3XL"),
    ("Running shoe Stride, size 42", "Running shoe Stride, size 43"),
    ("Laufschuh Stride Größe 42 schwarz", "Laufschuh Stride Größe 39 weiß"),
    ("Rug, wool, 120 x 170 cm", "Rug, wool, 200 x 290 cm"),
    ("Pack of 6 paper cups", "Set of 12 paper cups"),
    ("Batterien AA 4er Pack", "Batterien AA 12er Pack"),
    ("Memory card Swift 64GB", "Memory card Swift 128 GB"),
    ("Norvik oven, black - NV1680BK", "Norvik oven, white - NV1680WH"),
    ("Norvik oven NV1680", "Norvik red oven NV1680RD"),
    ("small wicker heart", "wicker heart LARGE"),
]
OTHERS = [
    ("Norvik bottle 750 ml", "Fjord bottle 750 ml"),
    ("Norvik oven NV1680", "Norvik oven NV1690"),
    ("Norvik card NV3080", "Norvik card NV3080TI"),
    ("Processor Vega 3770K", "Processor Vega 4820K"),
    ("Memory 8 GB 1333 MHz", "Memory 8 GB 1600 MHz"),
    ("Bulb E27 40 W", "Bulb E27 60 W"),
    ("lunch bag red", "lunch box red"),
    ("pan with lid, red", "pan without lid, blue"),
    ("phone Nova 11 black", "phone Nova 12 black"),
    ("phone Nova 11 black", "phone Nova 11 Pro black"),
    ("phone Nova 11 black", "phone Nova 11 black, refurbished"),
    ("phone Nova 11 black", "case for phone Nova 11 black"),
    ("red", "blue"),
]


@pytest.mark.parametrize(("one", "other"), VARIANTS)
def test_variants_differ_in_colour_size_or_number_of_pieces(one: str, other: str) -> None:
    families = [family_of(Item(id="x", text=text)) for text in (one, other)]
    assert families[0] is not None
    assert families[1] is not None
    assert families[0].includes(families[1])
    assert families[1].includes(families[0])


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_other_products_are_no_variants(one: str, other: str) -> None:
    families = [family_of(Item(id="x", text=text)) for text in (one, other)]
    assert families[0] is None or families[1] is None or not families[0].includes(families[1])


def test_short_fields_count_and_descriptions_and_codes_of_each_offer_do_not() -> None:
    def family(**fields: str) -> Any:
        return family_of(Item(id="x", fields=fields))

    description = "keeps drinks hot for twelve hours and has a handle"
    one = family(title="Bottle, black", brand="Norvik", colour="black", sku="4711", description=description)
    other = family(
        title="Bottle, red", brand="Norvik", colour="red", sku="4712", description="another text of many words"
    )
    third = family(title="Bottle, red", brand="Fjord", colour="red")
    assert one.includes(other)
    assert not one.includes(third)


def test_a_long_text_and_one_without_words_name_no_product() -> None:
    assert family_of(Item(id="x", text="one two three " * 30)) is None
    assert family_of(Item(id="x", text="42 / 7")) is None
    assert family_of(Item(id="x", text="Bottle, black\n" + "a long description " * 40)) is not None


class Colours(Shop):
    """Five things in four colours each."""

    def __init__(self) -> None:
        self.log, self.engine = Log(), opened()
        self.engine.process(
            [
                self.log.upsert(
                    f"{colour} {kind}", f"{colour} {KINDS[kind]}", attributes={"kind": kind, "stock": n % 3}
                )
                for n, (kind, colour) in enumerate(product(KINDS, COLOURS))
            ]
        )


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Colours()


def _things(ids: list[str]) -> list[str]:
    return sorted(id_.split()[-1] for id_ in ids)


def test_variants_are_listed_unless_one_is_asked_for(shop: Shop) -> None:
    assert len(shop.ids(limit=100)) == 20
    assert _things(shop.ids(limit=100, variants="all")) == _things(shop.ids(limit=100))
    for request in ({}, {"user": "u"}, {"filter": {"stock": {"$lte": 1}}}):
        assert _things(shop.ids(limit=100, variants="one", **request)) == ["chair", "lamp", "mug", "rug", "vase"]


def test_no_variant_of_what_the_list_is_like(shop: Shop) -> None:
    things = set(_things(shop.ids(item="red mug", limit=100)))
    assert {"mug", "chair", "lamp"} <= things
    one = _things(shop.ids(item="red mug", limit=100, variants="one"))
    assert set(one) == things - {"mug"}
    assert len(one) == len(set(one))
    assert "mug" not in _things(shop.ids(like=["red mug", {"text": "wooden chair"}], limit=100, variants="one"))


def test_the_best_variant_is_listed_and_a_pin_counts(shop: Shop) -> None:
    found = shop.ids(limit=100, variants="one", boosts=[{"filter": {"stock": 2}, "weight": 10.0}])
    assert all(shop.engine.get(id_).attributes["stock"] == 2 for id_ in found)  # type: ignore[union-attr]
    pinned = shop.ids(limit=100, variants="one", pins=["green mug", "white mug"])
    assert [id_ for id_ in pinned if id_.endswith("mug")] == ["green mug", "white mug"]


def test_a_scenario_lists_one_of_all_variants() -> None:
    shop = Colours()
    shop.engine.process([shop.log.configure(scenarios={"page": {"variants": "one", "at_most": {"kind": 3}}})])
    assert len(shop.ids(scenario="page", limit=100)) == 5
    assert len(shop.ids(scenario="page", limit=100, variants="all")) == 15
