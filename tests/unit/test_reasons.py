"""Reasons: which evidence is told, in which words, and where it stands in the texts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender_engine.items import Band, CollectionSettings, Item, PairVerdict, Reason
from recommender_engine.matching import Comparable, CountedTerms, LearnedMatcher, default_model, item_terms
from recommender_engine.matching.features.table import compare, features
from recommender_engine.matching.matchers.reasons import MOST_REASONS, contributions, explanation, reasons
from recommender_engine.matching.pair.comparison import Comparison
from recommender_engine.matching.pair.context import Context, contexts
from recommender_engine.matching.pair.profile import profile
from recommender_engine.matching.text.spans import Spans
from recommender_engine.matching.text.terms import MOST_READ, fold, terms_of
from tests.support.matchers import beside
from tests.support.ratios import times_as_long

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
    row = np.array([features(pair, contexts([pair])[0])])
    found = reasons(pair, contributions(default_model(), row)[0])
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


def test_the_word_that_makes_another_thing_is_a_reason_at_any_weight() -> None:
    one = {"title": "Soy candle fig 220 g", "description": "Burns about 40 hours in a reusable glass."}
    pair = compared(one, {**one, "title": "Soy candle cedar 220 g"}, 0.97)
    (said,) = [one for one in reasons(pair, {"words": 1.0, "meaning": 2.0}) if one.code == "wording_differs"]
    assert said.text == "same wording, but fig here and cedar there"
    assert said.detail["here_at"] == [[11, 14]]


def test_something_is_always_said() -> None:
    assert told("a", "b", 0.0)


def test_contributions_are_zero_for_an_ordinary_pair() -> None:
    model = default_model()
    assert list(contributions(model, model.typical()[None])[0].values()) == pytest.approx([0.0] * 11)


@pytest.mark.parametrize(
    ("text", "code", "written"),
    [
        ("Größe XL: Teil DSC-W120 fehlt", "dscw120", "DSC-W120"),
        ("caf\u00e9 cre\u0300me, order 1042", "creme", "cre\u0300me"),
        ("\ufb01nal \u2460 notice E\u20114012", "e4012", "E\u20114012"),
        ("STRASSE und Straße 7b", "7b", "7b"),
        ("\U0001f600\U0001f600 kettle 1,7 l", "kettle", "kettle"),
        ("zwei schwarze Rahmen", "black", "schwarze"),
        ("zwei schwarze Rahmen", "2", "zwei"),
        ("rug 170 x 240", "170x240", "170 x 240"),
        ("1.5 TB disk", "1.5 tb", "1.5 TB"),
        ("paid 1,250.00 today", "1250", "1,250"),
        ("x5, x55 and X 5", "x55", "x55"),
        ("model ab12", "b1", None),
        ("14 boxes of 4", "4", "4"),
    ],
)
def test_values_are_found_as_they_were_written(text: str, code: str, written: str | None) -> None:
    span = Spans(text).find(code).span
    assert (span and text[slice(*span)]) == written


@given(st.text(max_size=60), st.sampled_from(["dsc w120", "E-4012", "größer", "naïve", "1042"]), st.text(max_size=20))
def test_ranges_are_of_the_original_text(before: str, word: str, after: str) -> None:
    text = f"{before} {word} {after}"
    found = Spans(text)
    for term in terms_of(word).counts:
        span = found.find(term).span
        assert span is not None
        assert term.replace(" ", "") in "".join(c for c in fold(text[slice(*span)]) if c.isalnum())


@given(st.text("19 -\u0664,", max_size=24), st.text("194", min_size=1, max_size=6))
def test_a_code_is_found_where_whole_words_close_together_say_it(text: str, code: str) -> None:
    words = list(re.finditer(r"[^\W_]+", text))
    runs = [words[first:end] for first in range(len(words)) for end in range(first + 1, len(words) + 1)]
    close = [run for run in runs if all(b.start() - a.end() <= 3 for a, b in pairwise(run))]
    said = [(run[0].start(), run[-1].end()) for run in close if fold("".join(word[0] for word in run)) == code]
    assert Spans(text).find(code).span == (said[0] if said else None)


def test_shared_rare_words_are_pointed_at() -> None:
    one, other = "Größe: der Häkelmond quietscht", "quietscht er wieder, mein HÄKELMOND"
    detail = told(one, other)["words_shared"].detail
    assert [one[start:end] for start, end in detail["here_at"]] == ["Häkelmond", "quietscht"]
    assert [other[start:end] for start, end in detail["there_at"]] == ["quietscht", "HÄKELMOND"]


@pytest.mark.parametrize(
    ("weight", "closer", "expected"),
    [
        (0.4, 0, "it is closer to this one than to anything else nearby"),
        (-0.4, 1, "it is closer still to 1 other nearby"),
        (-0.4, 3, "it is closer still to 3 others nearby"),
        (0.4, 3, None),
        (-0.4, 0, None),
    ],
)
def test_what_else_the_other_is_close_to(weight: float, closer: int, expected: str | None) -> None:
    pair = compared("Kettle leaks", "The kettle is leaking", 0.9)
    found = reasons(pair, {"company": weight}, context=Context(their_rank=float(closer)))
    told = [one.text for one in found if one.code in {"mutual_match", "common_topic"}]
    assert told == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("weight", "arrivals", "days", "expected"),
    [
        (0.4, 1, None, "only 0 others arrived between the two"),
        (-0.4, 1235, None, "1,234 others arrived between the two"),
        (-0.4, 1235, 60, "60 days lie between the two"),
        (0.4, None, None, None),
    ],
)
def test_time_between_the_two(weight: float, arrivals: int | None, days: int | None, expected: str | None) -> None:
    pair = compared("Kettle leaks", "The kettle is leaking", 0.9)._replace(arrivals_apart=arrivals)
    if days is not None:
        noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
        pair.one.timestamp, pair.other.timestamp = noon, noon - timedelta(days)
    found = reasons(pair, {"time": weight})
    assert [one.text for one in found if one.code == "time_apart"] == ([] if expected is None else [expected])


def judged(one: Said, other: Said, cosine: float) -> PairVerdict:
    common = [Item(id="x", text="the order did not arrive at the office")] * 40
    items = [
        Item(id="x", text=said) if isinstance(said, str) else Item(id="x", fields=said)
        for said in (one, other, "the office is closed")
    ]
    sides = [Comparable(item, item.content.encode()) for item in items]
    counted = CountedTerms(item_terms(item).whole.counts for item in [*items, *common])
    candidates = beside(sides[1:], (cosine, 0.1))
    return LearnedMatcher(lambda collection: counted).explain(sides[0], candidates, 0, CollectionSettings())


SAME_ORDER = (
    {"title": "SC-3 scanner dead on arrival", "description": "Order 4484730. No light, tried other cables."},
    {"title": "Scanner SC-3 is dead", "description": "No light at all, order 4484730, tried other cables."},
)


def test_what_would_turn_the_verdict() -> None:
    verdict = judged(*SAME_ORDER, 0.88)
    turns = {reason.code: reason.detail["without"] for reason in verdict.reasons if "without" in reason.detail}
    assert "same_identifier" in turns, "without the order number it would be less sure"
    assert verdict.band.value not in turns.values(), "said only where it is another band"


def test_what_the_evidence_would_be_without_a_contradiction() -> None:
    pair = compared("Parcel for order 1042 is late", "Parcel for order 1043 is late", 0.97)
    (weights,) = contributions(default_model(), np.array([features(pair, contexts([pair])[0])]))
    asked = dict[str, float]()

    def without(kind: str, weight: float) -> Band:
        asked[kind] = weight
        return Band.DUPLICATE if kind == "numbers" else Band.REVIEW

    found = {reason.code: reason.detail.get("without") for reason in reasons(pair, weights, without)}
    assert found.pop("numbers_differ") == "duplicate"
    assert set(found.values()) == {None}
    assert asked["numbers"] < 0
    assert pair.contested_only_by("numbers")
    assert not pair.contested_only_by("identifiers")


def test_one_sentence() -> None:
    verdict = judged(*SAME_ORDER, 0.88)
    assert "same order 4484730" in verdict.explanation or "same identifier 4484730" in verdict.explanation
    reasons_told = [
        Reason(code="same_identifier", text="same error code E-4012", detail={"log_odds": 2.0}),
        Reason(code="words_shared", text="81% of the rare words are shared", detail={"log_odds": 1.0}),
        Reason(code="numbers_differ", text="order numbers differ: 1042 / 1043", detail={"log_odds": -1.5}),
    ]
    assert explanation(reasons_told) == (
        "same error code E-4012, 81% of the rare words are shared; but order numbers differ: 1042 / 1043"
    )
    assert explanation(reasons_told[2:]) == "order numbers differ: 1042 / 1043"


def test_long_texts_are_read_to_a_bound() -> None:
    log = "\n".join(f"ERR-{number} at 0x{number:06x} in block {number}.{number}" for number in range(2500))
    assert len(terms_of(log).counts) == len(terms_of(log[:MOST_READ]).counts)
    found = told(log, log[10_000:])
    shorter = log[:MOST_READ], log[10_000:][:MOST_READ]
    assert times_as_long(lambda: told(log, log[10_000:]), lambda: told(*shorter), 3) <= 3
    for reason in found.values():
        assert all(end <= MOST_READ for _, end in reason.detail.get("here_at", []))


def test_a_share_against_the_pair_is_given_with_only() -> None:
    pair = compared({"title": "red lamp broken", "x": "y"}, {"title": "red chair arrived", "x": "z"}, 0.5)
    against = {one.code: one.text for one in reasons(pair, {"titles": -1.0, "words": -1.0})}
    assert against["titles_differ"].startswith("the two titles share only ")
    speaks_for = {one.code: one.text for one in reasons(pair, {"titles": 1.0})}
    assert "only" not in speaks_for["titles_alike"]


def test_nothing_shared_is_never_praised() -> None:
    pair = compared({"title": "red lamp", "x": "y"}, {"title": "broken chair", "x": "y"}, 0.5)
    assert [one.code for one in reasons(pair, {"titles": 1.0, "meaning": 0.5})] == ["cosine_similarity"]
    (told_first, *_) = reasons(pair, {"titles": -1.0})
    assert told_first.text == "the two titles have no word in common"


def test_a_new_pair_has_reasons_too() -> None:
    verdict = judged("the office printer jams", "where is the invoice for march", 0.2)
    assert verdict.band is Band.NEW
    assert {"words_differ"} <= {one.code for one in verdict.reasons}
