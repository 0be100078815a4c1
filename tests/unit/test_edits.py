"""What the matcher is taught by edited copies: what makes another thing, and what does not."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tools.contrasts import DIFFERENT, SAME
from tools.edits import SAYS_NOTHING, Edits

TEXTS = [
    "Transfer the money from Leeds to York, please",
    "My card is not accepted in the shop, the terminal says declined",
    "Please open the garage door before 8, it is locked and I have no key",
    "Garden lamp with 2 sensors, black, 40 cm",
    "Folding chair oak",
]


def edits(seed: int) -> Edits:
    return Edits(TEXTS * 2, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", [*DIFFERENT, *SAME])
def test_every_kind_changes_a_text_that_has_what_it_changes(kind: str) -> None:
    made = {
        pair
        for seed in range(40)
        for text in TEXTS
        if (pair := (DIFFERENT | SAME)[kind](text, np.random.default_rng(seed))) is not None
    }
    assert made
    assert [pair for pair in made if pair[0] == pair[1]] == []


def test_negation_and_direction_survive_every_harmless_edit() -> None:
    for seed in range(300):
        for text in TEXTS:
            said = edits(seed).reworded(text).lower()
            if " not " in text:
                # One pair of neighbouring letters may be a typing error.
                assert re.search(r"\bnot\b", said), said
            if "from Leeds to York" in text:
                assert re.search(r"\bfrom \w+ to \w+", said), said
                assert sorted("leeds") == sorted(re.search(r"from (\w+)", said)[1]), said  # type: ignore[index]


def test_no_word_that_negates_or_directs_counts_as_saying_nothing() -> None:
    telling = (
        "not no never without nicht kein nie ohne pas sans non no sin senza niet geen não sem nie bez from to von nach"
    )
    assert SAYS_NOTHING.isdisjoint(telling.split())


def test_a_different_copy_differs_in_more_than_what_is_harmless() -> None:
    for seed in range(200):
        for text in TEXTS:
            one, other = edits(seed).different(text)
            assert one != other


def test_the_same_seed_gives_the_same_edits() -> None:
    first, second = edits(5), edits(5)
    assert [first.same(text) for text in TEXTS] == [second.same(text) for text in TEXTS]
    assert [first.different(text) for text in TEXTS] == [second.different(text) for text in TEXTS]
