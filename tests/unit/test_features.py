"""Features of pairs: what agrees, what contradicts, what is missing."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender_engine.items import Item
from recommender_engine.matching.features.table import CONTEXT, FEATURES, FIELDS, compare, features
from recommender_engine.matching.pair.comparison import Comparison
from recommender_engine.matching.pair.context import contexts, cosines_among
from recommender_engine.matching.pair.profile import Profile, item_terms, profile
from recommender_engine.matching.pair.statistics import CountedTerms, TermStatistics, rarity

COMMON = ["the printer in the office does not print", "the order did not arrive", "a white kettle of steel"] * 20


def statistics(*texts: str) -> CountedTerms:
    items = [Item(id="x", text=text) for text in (*COMMON, *texts)]
    return CountedTerms(item_terms(item).whole.counts for item in items)


def side(said: str | dict[str, str], counted: TermStatistics, **others: Any) -> Profile:
    item = Item(id="x", text=said, **others) if isinstance(said, str) else Item(id="x", fields=said, **others)
    return profile(item, item_terms(item), counted)


def pair(one: str | dict[str, str], other: str | dict[str, str], cosine: float = 0.8) -> Comparison:
    counted = statistics()
    return compare(side(one, counted), side(other, counted), cosine)


def named(found: Comparison) -> dict[str, float]:
    return dict(zip(FEATURES, features(found, contexts([found])[0]), strict=True))


def row(one: str | dict[str, str], other: str | dict[str, str]) -> dict[str, float]:
    return named(pair(one, other))


def test_identical_texts() -> None:
    found = row("Sony DSC-W120 camera, 8 GB", "sony dsc-w120 camera, 8 gb")
    for feature in ("words", "jaccard", "contained_least", "characters", "wording", "length_ratio"):
        assert found[feature] == pytest.approx(1.0), feature
    assert found["identifiers_shared"] > 0.5
    assert found["identifiers_differ"] == found["measures_differ"] == found["wording_differs"] == 0.0


def test_nothing_in_common() -> None:
    found = row("printer jams daily", "refund for curtains")
    assert found["words"] == found["jaccard"] == found["contained_most"] == found["rarest_shared"] == 0.0


@pytest.mark.parametrize(("mine", "theirs"), [(0, 0), (0, 5), (5, 0)])
def test_a_price_of_nothing_says_nothing(mine: float, theirs: float) -> None:
    counted = statistics()
    one, other = (side("a white kettle", counted, attributes={"price": price}) for price in (mine, theirs))
    assert math.isnan(named(compare(one, other, 0.8))["price_ratio"])


def test_two_empty_folds_are_equally_long() -> None:
    """A text of accents alone folds to nothing."""
    found = row("\u0301", "\u0301\u0301")
    assert found["length_ratio"] == 1.0


@pytest.mark.parametrize(
    ("one", "other", "feature"),
    [
        ("order 4487561 has not arrived", "order 4487562 has not arrived", "identifiers_differ"),
        ("login fails with E-4012", "login fails with E-4013", "identifiers_differ"),
        ("order 1042 has not arrived", "order 1043 has not arrived", "numbers_differ"),
        ("Visio 2007 upgrade", "Visio 2003 upgrade", "numbers_differ"),
        ("phone with 64 GB", "phone with 128 GB", "measures_differ"),
        ("curtains 140 x 250", "curtains 140 x 175", "measures_differ"),
        ("camera in pink", "camera in black", "colours_differ"),
    ],
)
def test_same_text_different_thing(one: str, other: str, feature: str) -> None:
    found = row(one, other)
    assert found[feature] > 0
    assert found["wording_differs"] > 0
    assert pair(one, other).contested
    assert not pair(one, one).contested


@pytest.mark.parametrize(
    ("one", "other", "feature"),
    [
        ("Sony DSC-W120 pink", "camera sony dsc w120", "identifiers_shared"),
        ("phone with 64 GB", "64gb telephone", "measures_shared"),
        ("schwarzer Rahmen, schwarz", "black frame", "colours_shared"),
    ],
)
def test_agreement_in_other_spellings(one: str, other: str, feature: str) -> None:
    found = row(one, other)
    assert found[feature] > 0
    assert found["wording_differs"] == 0


def test_a_part_of_a_code_that_agrees_does_not_contradict() -> None:
    found = row("Sony DSC-W120", "sony dsc w120 and dsc w130")
    assert found["identifiers_differ"] == 0.0


@pytest.mark.parametrize(
    ("one", "other", "shared", "differ"),
    [
        ("Memory CMSO4GX3M1A1333C9, DDR3", "4 GB CMSO4GX3M1A1333C9 PC3-10666", 12.0, 0.0),
        ("Brix BSI5-6200", "mini PC GB-BSI5-6200, LN69906", 8.0, 8.0),
        ("drive WD2003FZEX", "drive ST1000DM003", 0.0, 10.0),
        ("camera W120 of order 4484730", "camera W130 of order 4484730", 7.0, 0.0),
        ("camera W120", "camera W120", 0.0, 0.0),
    ],
)
def test_long_codes_are_rarely_shared_by_chance(one: str, other: str, shared: float, differ: float) -> None:
    found = row(one, other)
    assert (found["longest_code_shared"], found["longest_codes_differ"]) == (shared, differ)
    assert math.isnan(row("camera", "phone")["longest_code_shared"])
    told = "I have a question about it, and what is the state of"
    assert math.isnan(row(f"{told} {one}?", f"{told} {other}?")["longest_code_shared"]), "in prose it may be a topic"


def test_of_offers_with_codes_the_nearness_of_other_offers_is_no_evidence() -> None:
    counted = statistics()
    item = side("memory CMSO4GX3M1A1333C9", counted)
    others = [side(text, counted) for text in ("CMSO4GX3M1A1333C9 for laptops", "laptop memory", "laptop memory 4 GB")]
    pairs = [compare(item, other, cosine) for other, cosine in zip(others, (0.6, 0.9, 0.8), strict=True)]
    coded, plain, _ = (
        dict(zip(FEATURES, features(pair, context), strict=True))
        for pair, context in zip(pairs, contexts(pairs), strict=True)
    )
    assert all(math.isnan(coded[name]) for name in ("margin", "lead", "rank"))
    assert not math.isnan(coded["words_margin"])
    assert plain["margin"] == pytest.approx(0.1)


def test_titles_that_state_different_sizes_are_contested_in_any_wording() -> None:
    one = {"title": "Book 14 with 16 GB", "description": "light and quiet"}
    other = {"title": "Laptop Book 14, 32 gigs", "description": "for developers"}
    assert pair(one, other).contested
    assert not pair(one, {"title": "Laptop Book 14", "description": "comes with 16 GB"}).contested


def test_rare_words_count_more_than_common_ones() -> None:
    rare = row("the halmeri leaks", "a halmeri broke")
    common = row("the printer leaks", "a printer broke")
    assert rare["words"] > common["words"]
    assert rare["rarest_shared"] > common["rarest_shared"]


def test_a_short_text_within_a_long_one() -> None:
    found = row("Linksys EZXS88W", "Linksys EtherFast EZXS88W Ethernet switch with eight ports for the small office")
    assert found["contained_most"] == pytest.approx(1.0)
    assert found["contained_least"] < 0.5


def test_what_cannot_be_compared_is_missing() -> None:
    found = row("plain words here", "other words there")
    missing = {name for name, value in found.items() if math.isnan(value)}
    assert missing >= {*CONTEXT, *FIELDS, "price_ratio", "days_apart", "arrivals_apart", "identifiers_shared"}
    assert math.isnan(found["colours_shared"])
    assert not math.isnan(found["cosine"])


@pytest.mark.parametrize("name", ["Preis", "prix_ttc", "precio", "PRICE"])
def test_a_price_is_recognised_by_its_name_in_several_languages(name: str) -> None:
    counted = statistics()
    attributes = [{"Preisgruppe": 7, name: price} for price in (30, 40.0)]
    one, other = (side("a white kettle", counted, attributes=values) for values in attributes)
    assert named(compare(one, other, 0.8))["price_ratio"] == 0.75


def test_fields_prices_and_times() -> None:
    counted = statistics()
    one = side(
        {"title": "Kettle Vesna 1.7 l", "brand": "Vesna"},
        counted,
        attributes={"price_eur": 40.0},
        timestamp=datetime(2026, 3, 1, tzinfo=UTC),
    )
    other = side(
        {"title": "Vesna kettle 1.7 litres", "brand": "VESNA"},
        counted,
        attributes={"price": 30},
        timestamp=datetime(2026, 3, 2, tzinfo=UTC),
    )
    found = named(compare(one, other, 0.9))
    assert found["title_words"] == pytest.approx(1.0)
    assert found["labels_shared"] == 1.0
    assert found["price_ratio"] == 0.75
    assert found["days_apart"] == pytest.approx(math.log(2))


def test_arrivals_count_in_orders_of_magnitude() -> None:
    counted = statistics()
    one, other = side("printer jams", counted), side("printer jammed", counted)
    next_to, far = (named(compare(one, other, 0.9, apart))["arrivals_apart"] for apart in (1, 1000))
    assert (next_to, far) == pytest.approx((math.log(2), math.log(1001)))


def test_context_of_candidates() -> None:
    counted = statistics()
    item = side("kettle leaks", counted)
    texts = ("kettle leaks badly", "printer jams", "kettle broke")
    pairs = [compare(item, side(text, counted), cosine) for text, cosine in zip(texts, (0.9, 0.2, 0.6), strict=True)]
    found = contexts(pairs)
    assert [context.rank for context in found] == [0.0, 2.0, 1.0]
    assert [context.margin for context in found] == pytest.approx([0.3, -0.7, -0.3])
    assert [context.lead for context in found] == pytest.approx([0.5, -0.55, 0.05])
    assert found[0].words_margin > 0 > found[1].words_margin
    assert math.isnan(contexts(pairs[:1])[0].margin)


CANDLE = {"title": "Soy candle fig 220 g", "description": "Burns about 40 hours in a reusable glass."}


@pytest.mark.parametrize(
    ("title", "contested"),
    [
        ("Soy candle cedar 220 g", True),
        ("Soy candle black pepper 220 g", True),
        ("Soy candle figs 220 g", False),
        ("Soy candle 220 g", False),
        ("A glass full of scented wax, fig", False),
    ],
)
def test_a_word_in_anothers_place_makes_another_thing(title: str, contested: bool) -> None:
    found = pair(CANDLE, {**CANDLE, "title": title}, 0.97)
    assert found.contested is contested
    assert found.contested_only_by("words") is contested
    assert not pair(CANDLE, {"title": title, "description": "Forty hours of light, then a glass."}, 0.97).contested


def test_a_candidate_in_a_crowd_is_distinguished_from_one_that_is_alone_with_the_item() -> None:
    counted = statistics()
    item = side("kettle leaks", counted)
    pairs = [compare(item, side("printer jams", counted), cosine) for cosine in (0.8, 0.8, 0.3, 0.3)]
    assert math.isnan(contexts(pairs)[0].their_margin), "the candidates were not compared with each other"
    among = np.array([[1, 0.1, 0.1, 0.2], [0.1, 1, 0.9, 0.7], [0.1, 0.9, 1, 0.9], [0.2, 0.7, 0.9, 1]])
    alone, crowded, *_ = contexts(pairs, among)
    assert (alone.their_margin, alone.their_rank) == (pytest.approx(0.6), 0.0)
    assert (crowded.their_margin, crowded.their_rank) == (pytest.approx(-0.1), 1.0)
    assert alone.their_lead == pytest.approx(0.8 - 0.4 / 3)
    assert crowded.their_lead == pytest.approx(0.8 - 1.7 / 3)
    assert math.isnan(contexts(pairs[:1], np.ones((1, 1)))[0].their_margin)


def test_cosines_of_candidates_are_the_same_whatever_else_is_a_candidate() -> None:
    vectors = np.random.default_rng(1).normal(size=(13, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    whole = cosines_among(vectors)
    assert (whole == whole.T).all()
    assert np.allclose(whole, vectors @ vectors.T, atol=1e-6)
    for chosen in ([0, 1], [5, 3, 12], [*range(12, -1, -1)]):
        assert (cosines_among(vectors[chosen]) == whole[np.ix_(chosen, chosen)]).all()


def test_leads_are_over_the_best_few_others() -> None:
    counted = statistics()
    item = side("kettle leaks", counted)
    cosines = [0.9, 0.9, *[0.5] * 7, *[0.1] * 20]
    found = contexts([compare(item, side("printer jams", counted), cosine) for cosine in cosines])
    assert [context.margin for context in found[:3]] == pytest.approx([0.0, 0.0, -0.4])
    assert found[0].lead == pytest.approx(0.9 - (0.9 + 7 * 0.5) / 8), "the far ones do not count"
    assert found[-1].lead == pytest.approx(0.1 - (2 * 0.9 + 6 * 0.5) / 8)


WORDS = st.sampled_from(
    [
        "kettle",
        "leaks",
        "order",
        "1042",
        "1043",
        "DSC-W120",
        "64 GB",
        "128 GB",
        "black",
        "pink",
        "140 x 250",
        "the",
        "é",
    ]
)
TEXTS = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)


@given(TEXTS, TEXTS)
def test_features_are_finite_or_missing_and_nearly_symmetric(one: str, other: str) -> None:
    there, back = row(one, other), row(other, one)
    for name, value in there.items():
        assert math.isnan(value) or -1.0 <= value <= 20.0, name
        assert value == pytest.approx(back[name], nan_ok=True), name


def test_rarity_grows_with_the_collection() -> None:
    few, many = CountedTerms([["printer"]]), CountedTerms([["printer"]] * 500 + [["halmeri"]])
    assert rarity(few, ["the"])["the"] < rarity(few, ["halmeri"])["halmeri"], "known before anything was counted"
    found = rarity(many, ["printer", "halmeri"])
    assert found["printer"] < 0.1 < 0.7 < found["halmeri"] <= 1.0


def test_counted_terms_forget() -> None:
    counted = CountedTerms([["a", "a", "b"]])
    counted.remove(["a", "b"])
    assert (counted.documents, counted.frequency("a")) == (0, 0)
