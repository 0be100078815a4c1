"""Codes with which a text only refers to another record are no evidence that two texts are about one thing."""

from __future__ import annotations

import numpy as np
import pytest

from recommender_engine.items import CollectionSettings, Item
from recommender_engine.matching import CountedTerms, LearnedMatcher, default_model, item_terms
from recommender_engine.matching.features.table import FEATURES, compare, features
from recommender_engine.matching.matchers.matcher import Candidate, Comparable
from recommender_engine.matching.pair.comparison import Comparison
from recommender_engine.matching.pair.context import Context
from recommender_engine.matching.pair.profile import profile
from recommender_engine.matching.pair.references import referred
from recommender_engine.matching.text.terms import fold
from recommender_engine.text import clean, fingerprint

LOGO = "The logo is missing on the login page."
LABELS = "Labels are printed in the wrong order."


@pytest.mark.parametrize(
    "text",
    [
        "See HELP-20871. ",
        "As in case HELP-20871 ",
        "Related to the ticket #HELP-20871: ",
        "Follow-up to HELP-20871, ",
        "See OPS-4711, OPS-4712 and HELP-20871. ",
        "Siehe auch Ticket HELP-20871. ",
        "Wie in HELP-20871: ",
        "Voir le ticket n° HELP-20871. ",
        "Dans le cadre de l'incident HELP-20871, ",
        "Véase HELP-20871. ",
        "Vedi la segnalazione HELP-20871. ",
        "Nell'ambito di HELP-20871 ",
        "Zie melding HELP-20871. ",
        "Relacionado com o chamado HELP-20871: ",
        "Patrz zgłoszenie HELP-20871. ",
    ],
)
def test_a_code_after_such_a_phrase_refers_to_another_record(text: str) -> None:
    assert "help20871" in referred(fold(text + LOGO))


@pytest.mark.parametrize(
    "text",
    [
        "HELP-20871: the logo is missing.",
        "Order 4488120 has not arrived, see the tracking page.",
        "See my order 4488120, it has not arrived.",
        "Bezüglich Vertrag 4488120: die Kündigung fehlt.",
        "Do you see it? HELP-20871 is open for a week.",
        "See HELP-20871. HELP-20871 is open for a week.",
        "Look at the photo; 4488120 is the parcel.",
        "See page 12 of version 3.11",
        "",
    ],
)
def test_a_code_that_the_text_is_about_does_not(text: str) -> None:
    assert referred(fold(text)) == frozenset()


def test_a_long_text_takes_no_longer_than_its_length() -> None:
    text = fold("see the ticket " * 50 + "ABC-12345, " * 2000)
    assert referred(text) == {"abc12345"}


def compared(one: str, other: str) -> Comparison:
    items = [Item(id="i", text=text) for text in (one, other)]
    counted = CountedTerms(item_terms(item).whole.counts for item in items)
    return compare(*(profile(item, item_terms(item), counted) for item in items), 0.6)


def row(one: str, other: str) -> dict[str, float]:
    return dict(zip(FEATURES, features(compared(one, other), Context()), strict=True))


def test_what_both_only_refer_to_is_no_evidence() -> None:
    both = row(f"See ticket HELP-20871. {LOGO}", f"See ticket HELP-20871. {LABELS}")
    without = row(f"See ticket. {LOGO}", f"See ticket. {LABELS}")
    for name in ("rarest_shared", "rare_shared", "words", "contained_least", "contained_most"):
        assert both[name] == pytest.approx(without[name], abs=0.02), name
    assert np.nan_to_num(both["identifiers_shared"]) == np.nan_to_num(both["longest_code_shared"]) == 0.0


def test_what_one_of_them_is_about_is() -> None:
    about = compared(f"HELP-20871: {LOGO}", f"See ticket HELP-20871. {LOGO}")
    assert about.identifiers.shared == ("help20871",)
    mixed = compared(f"See HELP-20871. Order 4488120. {LOGO}", f"See HELP-20871. Order 4488120. {LABELS}")
    assert mixed.identifiers.shared == ("4488120",)
    assert not mixed.identifiers.contradicts


def test_a_reference_does_not_make_two_matters_likely() -> None:
    def stated(one: str, other: str) -> float:
        sides = [Comparable(Item(id="i", text=text), fingerprint(clean(text))) for text in (one, other)]
        counted = CountedTerms(item_terms(side.item).whole.counts for side in sides)
        matcher = LearnedMatcher(lambda collection: counted, lambda collection: default_model())
        return matcher.judge(sides[0], [Candidate(sides[1], 0.5)], CollectionSettings())[0].probability

    refers = stated(f"Siehe INC-48213. {LOGO}", f"Siehe INC-48213. {LABELS}")
    names = stated(f"INC-48213. {LOGO}", f"INC-48213. {LABELS}")
    assert refers < names / 2
