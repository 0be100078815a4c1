"""The plain rule: bands by similarity, the same text, and identifiers that contradict it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.items import Band, CollectionSettings, Item, PairVerdict
from recommender.matching import Candidate, Comparable, CosineRule
from recommender.text import clean, fingerprint

SETTINGS = CollectionSettings(duplicate_from=0.9, review_from=0.7, similar_from=0.4)


def side(text: str, **fields: Any) -> Comparable:
    return Comparable(Item(id="x", text=text, **fields), fingerprint(clean(text)))


def judge(one: str, other: str, similarity: float, settings: CollectionSettings = SETTINGS) -> PairVerdict:
    (verdict,) = CosineRule().judge(side(one), [Candidate(side(other), similarity)], settings)
    return verdict


@pytest.mark.parametrize(
    ("similarity", "band"),
    [
        (1.0, Band.DUPLICATE),
        (0.9, Band.DUPLICATE),
        (0.899999, Band.REVIEW),
        (0.7, Band.REVIEW),
        (0.699999, Band.SIMILAR),
        (0.4, Band.SIMILAR),
        (0.399999, Band.NEW),
        (0.0, Band.NEW),
        (-1.0, Band.NEW),
    ],
)
def test_bands_begin_at_their_thresholds(similarity: float, band: Band) -> None:
    verdict = judge("card declined", "payment refused", similarity)
    assert verdict.band is band
    assert verdict.similarity == similarity
    if band is Band.NEW:
        assert verdict.reasons == ()
    else:
        assert [reason.code for reason in verdict.reasons] == ["cosine_similarity"]
        assert verdict.reasons[0].detail == {"similarity": similarity, "duplicate_from": 0.9}


@pytest.mark.parametrize(
    ("one", "other"),
    [("Card declined", "Card declined"), ("Card declined", "  card\nDECLINED "), ("order 1042", "ORDER 1042")],
)
def test_the_same_text_is_a_duplicate_whatever_the_vectors_say(one: str, other: str) -> None:
    verdict = judge(one, other, -0.3)
    assert (verdict.band, verdict.probability, verdict.similarity) == (Band.DUPLICATE, 1.0, -0.3)
    assert [reason.code for reason in verdict.reasons] == ["identical_text"]


@pytest.mark.parametrize(
    ("one", "other", "here", "there"),
    [
        ("My order 1042 has not arrived", "My order 1043 has not arrived", ["1042"], ["1043"]),
        ("error E-501 on start", "error E-502 on start", ["501"], ["502"]),
        ("Galaxy S23 phone case black", "Galaxy S24 phone case black", ["s23"], ["s24"]),
        ("screw M8x40 box", "screw M8x50 box", ["m8x40"], ["m8x50"]),
        ("version 2.10.1 crashes", "version 2.10.2 crashes", ["2.10.1"], ["2.10.2"]),
        ("charged on 2026-01-02 twice", "charged on 2026-01-03 twice", ["2026-01-02"], ["2026-01-03"]),
    ],
)
def test_differing_identifiers_hold_a_duplicate_back(one: str, other: str, here: list[str], there: list[str]) -> None:
    verdict = judge(one, other, 0.99)
    assert verdict.band is Band.REVIEW
    assert verdict.probability <= 0.5
    assert verdict.similarity == 0.99
    assert [reason.code for reason in verdict.reasons] == ["identifiers_differ", "cosine_similarity"]
    assert verdict.reasons[0].detail == {"here": here, "there": there}
    assert all(word in verdict.reasons[0].text for word in (*here, *there))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("My order 1042 has not arrived", "My order has not arrived", id="one side says less"),
        pytest.param("My order 1042 has not arrived", "My order 1042 did not arrive", id="same identifier"),
        pytest.param("order 1042 is late", "where does parcel 7 remain, I wait", id="other wording"),
        pytest.param("my card was declined", "my card was refused", id="no identifiers"),
    ],
)
def test_other_identifiers_hold_nothing_back(one: str, other: str) -> None:
    assert judge(one, other, 0.95).band is Band.DUPLICATE


def test_identifiers_matter_to_duplicates_only() -> None:
    verdict = judge("My order 1042 has not arrived", "My order 1043 has not arrived", 0.8)
    assert verdict.band is Band.REVIEW
    assert [reason.code for reason in verdict.reasons] == ["cosine_similarity"]


def test_many_identifiers_are_not_all_listed() -> None:
    numbers = [str(n) for n in range(100, 130)]
    verdict = judge(f"codes {' '.join(numbers)} fail", f"codes {' '.join(n + '9' for n in numbers)} fail", 0.99)
    detail = verdict.reasons[0].detail
    assert len(detail["here"]) == len(detail["there"]) == 10
    assert len(verdict.reasons[0].text) < 200


similarities = st.floats(-1, 1)


@given(similarities, similarities)
def test_probability_never_falls_when_similarity_grows(one: float, other: float) -> None:
    lower, higher = sorted((one, other))
    assert judge("a b", "c d", lower).probability <= judge("a b", "c d", higher).probability


@given(similarities)
def test_probability_agrees_with_the_band(similarity: float) -> None:
    verdict = judge("a b", "c d", similarity)
    least = {Band.DUPLICATE: 0.95, Band.REVIEW: 0.5, Band.SIMILAR: 0.05, Band.NEW: 0.0}[verdict.band]
    most = {Band.DUPLICATE: 1.0, Band.REVIEW: 0.95, Band.SIMILAR: 0.5, Band.NEW: 0.05}[verdict.band]
    assert least <= verdict.probability <= most


@given(similarities, st.lists(similarities, min_size=3, max_size=3).map(sorted))
def test_any_thresholds_give_a_verdict(similarity: float, thresholds: list[float]) -> None:
    similar, review, duplicate = thresholds
    settings = CollectionSettings(similar_from=similar, review_from=review, duplicate_from=duplicate)
    verdict = judge("a b", "c d", similarity, settings)
    assert (verdict.band is Band.DUPLICATE) == (similarity >= duplicate)
    assert 0 <= verdict.probability <= 1


@given(st.lists(st.tuples(st.sampled_from(["a b", "c d", "A  B"]), similarities), max_size=5))
def test_each_pair_is_judged_alone_and_in_order(pairs: list[tuple[str, float]]) -> None:
    candidates = [Candidate(side(text), similarity) for text, similarity in pairs]
    verdicts = CosineRule().judge(side("a b"), candidates, SETTINGS)
    assert verdicts == [judge("a b", text, similarity) for text, similarity in pairs]
