"""What a command costs goes by what it needs, however many collections there are: counted, not timed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender_engine import Recommender, open_recommender
from recommender_engine.items import CollectionSettings, Item
from recommender_engine.matching import Candidate, Comparable, CountedTerms, LearnedMatcher, item_terms
from recommender_engine.matching.differences.figures import all_agree, surely_differ
from recommender_engine.matching.text.reading import read
from recommender_engine.matching.text.terms import fold
from recommender_engine.pipeline.lexical.counts import EVERY_ITEM
from recommender_engine.testing import DeterministicEncoder
from tests.support.engine import Log, Models

TICKET = "the printer on floor two jams again, ticket {}"


def opened() -> Recommender:
    return open_recommender(None, Models(DeterministicEncoder(64)), matcher=LearnedMatcher)


def test_what_a_batch_did_not_change_is_not_looked_at_when_it_is_committed() -> None:
    log, engine = Log(), opened()
    engine.process([log.upsert("a", TICKET.format(n), collection=f"c{n}") for n in range(30)])
    kept = engine._base.words._counts
    changed = {engine._base.collections._by_name[name].id for name in ("c7", "c9")}
    others: dict[int, Any] = {id_: None for id_ in kept if id_ not in changed}  # whoever looks at one of them fails
    kept.update(others)
    engine.process([log.upsert("b", "something else", collection="c7"), log.delete("a", collection="c9")])
    assert len(others) == 28
    assert engine._store.words.counts(max(changed))[EVERY_ITEM] == 0
    engine.close()


def test_an_item_that_changes_causes_no_search_of_known_words() -> None:
    log, engine = Log(), opened()
    engine.process([log.upsert(f"i{n}", TICKET.format(n)) for n in range(5)])
    asked: list[str] = []
    engine._store._db.set_trace_callback(asked.append)
    engine.process([log.upsert(f"i{n}", TICKET.format(n + 50)) for n in range(5)])
    assert not [statement for statement in asked if "MATCH" in statement]
    engine.close()


def test_both_names_of_a_vector_are_looked_up_at_once() -> None:
    log, engine = Log(), opened()
    asked: list[str] = []
    engine._store._db.set_trace_callback(asked.append)
    engine.process([log.upsert("a", TICKET.format(1)), log.upsert("b", "something else")])
    assert len([statement for statement in asked if "FROM vectors WHERE model" in statement]) == 2
    engine.close()


# -- texts that name other tickets ------------------------------------------------------------------------------------


def test_texts_that_name_another_ticket_are_not_read_to_see_that_they_do() -> None:
    items = [
        Item(id=f"i{n}", collection="c", text=f"{words} number {619869 + n}")
        for n, words in enumerate(("invoice of may lost", "router of the shop stands still", "where are my shoes now"))
    ]
    counted = CountedTerms(item_terms(one).distinct for one in items)
    matcher = LearnedMatcher(lambda collection: counted)
    one, *others = [Comparable(item, str(n).encode()) for n, item in enumerate(items)]
    matcher.judge(one, [Candidate(other, 0.5) for other in others], CollectionSettings())
    assert not [item.id for item in items if "reading" in vars(item_terms(item))]


pieces = st.one_of(
    st.sampled_from(
        [
            "619869",
            "619",
            "869",
            "619,869",
            "61986.9",
            "619869.00",
            "v869",
            "869kg",
            "2x3",
            "0619869",
            "12.345.678",
            "619868.99999999999",
            "127000",
            "order",
            "plus",
            "minus",
            "kg",
            "m",
            "usd",
            "$",
            "in",
            "inches",
            "xii",
            "one",
            "pack",
            "pieces",
            "of",
            "may",
            "pm",
            "v",
            "-",
            "+",
            ",",
            ".",
            "->",
            "c++",
            "50",
        ]
    ),
    st.integers(0, 10**7).map(str),
)
texts = st.tuples(st.lists(pieces, max_size=6), st.sampled_from([" ", " ", "", " - ", ", "])).map(
    lambda said: fold(said[1].join(said[0]))
)


@settings(max_examples=2000, deadline=None)
@given(texts, texts)
def test_what_surely_differs_agrees_in_no_spelling(one: str, other: str) -> None:
    if surely_differ(one, other):
        assert not all_agree(read(one), read(other))


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("order 619869", "order 619870 of may", True),
        ("order 619869.", "order", True),
        ("order 619869", "order 619,869", False),
        ("order 619869", "order 619 869", False),
        ("weight 619869 kg", "weight 5 kg", False),
        ("order 619869", "order 1.2.3", False),
        ("order 61986", "order 61987", False),
    ],
)
def test_numbers_that_differ_are_found_without_reading(one: str, other: str, differ: bool) -> None:
    assert surely_differ(one, other) is differ
