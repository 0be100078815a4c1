"""Reasons: which evidence is told, in which words, and where it stands in the texts."""

from __future__ import annotations

import pytest

from recommender.items import Item, Reason
from recommender.matching import CountedTerms, default_model, item_terms
from recommender.matching.features import Comparison, compare, contexts, features
from recommender.matching.profile import profile
from recommender.matching.reasons import MOST_REASONS, contributions, reasons

Said = str | dict[str, str]


def compared(one: Said, other: Said, cosine: float, price: tuple[float, float] | None = None) -> Comparison:
    items = []
    for text, paid in zip((one, other), price or (0.0, 0.0), strict=True):
        attributes = {"price": paid} if paid else {}
        said = {"text": text} if isinstance(text, str) else {"fields": text}
        items.append(Item.model_validate({"id": "x", "attributes": attributes, **said}))
    common = [Item(id="x", text="the order did not arrive at the office")] * 40
    counted = CountedTerms(item_terms(item).whole.counts for item in [*items, *common])
    left, right = (profile(item, item_terms(item), counted) for item in items)
    return compare(left, right, cosine)


def told(one: Said, other: Said, cosine: float = 0.85, price: tuple[float, float] | None = None) -> dict[str, Reason]:
    pair = compared(one, other, cosine, price)
    found = reasons(pair, contributions(default_model(), features(pair, contexts([pair])[0])))
    assert 1 <= len(found) <= MOST_REASONS
    weights = [abs(reason.detail["log_odds"]) for reason in found]
    assert weights == sorted(weights, reverse=True), "strongest first"
    return {reason.code: reason for reason in found}


def test_same_error_code_as_it_was_written() -> None:
    one, other = "Login fails with error E-4012 since noon", "since 12:00 nobody can log in (E 4012)"
    reason = told(one, other)["same_identifier"]
    assert reason.text == "same identifier E-4012"
    (start, end), (there_start, there_end) = reason.detail["here_at"][0], reason.detail["there_at"][0]
    assert (one[start:end], other[there_start:there_end]) == ("E-4012", "E 4012")
    assert reason.detail["log_odds"] > 0


def test_order_numbers_differ() -> None:
    text = "Parcel for order {} has not arrived, where is it?"
    reason = told(text.format(1042), text.format(1043), 0.98)["numbers_differ"]
    assert reason.text == "order numbers differ: 1042 / 1043"
    assert (reason.detail["here"], reason.detail["there"]) == (["1042"], ["1043"])
    assert reason.detail["log_odds"] < 0


@pytest.mark.parametrize(
    ("one", "other", "code", "text"),
    [
        ("Tellar phone with 64 GB", "Tellar phone with 128 GB", "sizes_differ", "sizes differ: 64 GB / 128 GB"),
        ("Lund sofa, pink", "Lund sofa, black", "colours_differ", "colours differ: pink / black"),
        (
            "Login refused: BR-S-08 Nexus",
            "Login refused: BR-CO-10 Nexus",
            "identifiers_differ",
            "identifiers differ: BR-S-08 / BR-CO-10",
        ),
    ],
)
def test_what_differs(one: str, other: str, code: str, text: str) -> None:
    assert told(one, other)[code].text.lower() == text.lower()


def test_share_of_rare_words() -> None:
    found = told("halmeri espresso grinder rattles", "my halmeri espresso machine: the grinder rattles")
    reason = found["words_shared"]
    assert reason.text == "100% of the rare words are shared"
    assert set(reason.detail["words"]) == {"halmeri", "espresso", "grinder", "rattles"}


def test_fields_and_price() -> None:
    one = {"title": "Kettle Vesna", "brand": "Vesna"}
    other = {"title": "Vesna kettle of steel", "brand": "VESNA"}
    found = told(one, other, 0.9, (40.0, 38.0))
    assert found["price_difference"].text == "the prices are 5% apart"
    assert found["price_difference"].detail["here"] == 40.0


def test_something_is_always_said() -> None:
    assert told("a", "b", 0.0)


def test_contributions_are_zero_for_an_ordinary_pair() -> None:
    model = default_model()
    assert list(contributions(model, model.typical().tolist()).values()) == pytest.approx([0.0] * 10)
