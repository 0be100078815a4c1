"""Where terms of a question stand in a text."""

from __future__ import annotations

import itertools

import pytest

from recommender_engine.matching.text.highlights import MOST_SPANS, highlights
from recommender_engine.matching.text.terms import MOST_READ, terms_of


@pytest.mark.parametrize(
    ("text", "question", "expected"),
    [
        ("Sony DSC-W120 camera", "dscw120", ["DSC-W120"]),
        ("Sony DSCW120 camera", "the SONY dsc-w120", ["Sony", "DSCW120"]),
        ("a bottle of 0.75 l, black", "750 ml", ["0.75 l"]),
        ("multi-level shelf", "level", ["level"]),
        ("Größe und Straße", "grosse strasse", ["Größe", "Straße"]),
        ("Cafe\u0301 au lait", "café", ["Cafe\u0301"]),
        ("step ⑴ of three", "1", ["⑴"]),
        ("order 1,250.00 paid", "1250", ["1,250.00"]),
        ("<b>lamp</b> & shade", "lamp b", ["b", "lamp", "b"]),
        ("nothing of it", "lamp", []),
        ("", "lamp", []),
    ],
)
def test_terms_are_found_in_the_spelling_of_the_text(text: str, question: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in highlights(text, terms_of(question).counts)] == expected


def test_places_are_in_order_and_do_not_overlap() -> None:
    text = "DSC-W120, 750 ml, dsc w120, ERR_FAILED and 1,250 of ½ ⑴⑵ 5㎏ lamps " * 3
    found = highlights(text, terms_of(text).counts)
    assert len(found) > 20
    assert all(start < end for start, end in found)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(found))


def test_their_number_and_what_is_searched_are_bounded() -> None:
    assert len(highlights("lamp " * (2 * MOST_SPANS), {"lamp"})) == MOST_SPANS
    assert highlights("x" * MOST_READ + " lamp", {"lamp"}) == []
    assert highlights("lamp", set()) == []
