"""Groups that live: who joins, leaves, merges and stands for them, and what is said again because of it."""

from __future__ import annotations

import json
from itertools import permutations
from math import sqrt
from typing import Any

import pytest

from recommender_engine import Entry, Recommender
from recommender_engine.items import START
from recommender_engine.pipeline.arrival import departures
from recommender_engine.pipeline.dedup import corrections
from recommender_engine.pipeline.outcomes.summaries import SUMMARY_AFTER_MS
from tests.support.engine import (
    Log,
    at,
    corrections_of,
    data_of,
    group_changed,
    is_correction,
    opened,
)

SHOP = "the card payment was declined at the shop"


def placed(log: Log, id_: str, degrees: float, **fields: Any) -> Entry:
    """An item that shares no word with others and lies at this angle."""
    return log.upsert(id_, f"words of {id_}", vector=at(degrees), **fields)


def beside(engine: Recommender, *entries: Entry) -> list[dict[str, Any]]:
    """What is published beside the outcomes."""
    return corrections_of(engine.process(entries))


def view(engine: Recommender, id_: str) -> dict[str, Any]:
    found = engine.get(id_)
    assert found is not None
    return found.model_dump(mode="json")


def groups(engine: Recommender, ids: str) -> list[str]:
    return [view(engine, id_)["group"] for id_ in ids]


def revised(engine: Recommender, id_: str, cause: str, band: str, duplicate_of: str | None) -> dict[str, Any]:
    """An ``item.revised`` event that says where the item stands now and where it stood."""
    stands = view(engine, id_)
    told = (
        "item_id collection revision band duplicate_of canonical_id group matched_id probability similarity reasons"
        " explanation"
    )
    return {
        "type": "recommender.item.revised.v1",
        "cause": cause,
        "previous_band": band,
        "previous_duplicate_of": duplicate_of,
        **{name: stands[name] for name in told.split()},
    }


# -- an item arrives ---------------------------------------------------------------------------------------------------


def test_founding_a_group_says_nothing_more(engine: Recommender, log: Log) -> None:
    assert beside(engine, log.upsert("a", SHOP)) == []


def test_a_joining_item_is_reported_with_the_group(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP)])
    joining = log.upsert("b", SHOP, key="k")
    events = engine.process([joining])
    assert [is_correction(event) for event in events] == [False, True]
    assert corrections_of(events) == [group_changed("g1", "joined", ["b"], size=2, canonical="a")]
    assert data_of(events[1])["command"] == {"id": str(joining.id), "key": "k"}


def test_the_same_text_again_changes_no_group(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP), log.upsert("b", SHOP)])
    assert beside(engine, log.upsert("a", SHOP.upper()), log.upsert("b", SHOP, attributes={"x": 1})) == []


def test_groups_do_not_chain_through_one_item(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 30)])
    assert groups(engine, "ab") == ["g1", "g1"]
    (event,) = engine.process([placed(log, "c", 60)])  # 30 degrees from b, and 60 from a
    told = data_of(event)
    assert (told["band"], told["group"], told["duplicate_of"], told["matched_id"]) == ("review", "g3", None, "b")
    assert told["reasons"][0]["code"] == "group_disagrees"
    assert told["explanation"].endswith(told["reasons"][0]["text"])


def test_a_bridge_does_not_bring_together_what_is_unlike(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "c", 58)])
    told, joined = engine.process([placed(log, "b", 29)])
    assert data_of(told)["duplicate_of"] == "a"
    assert corrections_of([joined]) == [group_changed("g1", "joined", ["b"], size=2, canonical="a")]
    assert groups(engine, "abc") == ["g1", "g1", "g2"]


def test_a_twin_joins_its_twin_whatever_the_others_of_the_group_are_like(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert(id_, f"text {id_}", vector=at(n)) for n, id_ in enumerate("abcde")])
    (told, _) = engine.process([log.upsert("f", "TEXT E", vector=at(180))])
    assert (data_of(told)["duplicate_of"], data_of(told)["matched_id"]) == ("a", "e")


def test_an_item_that_is_like_two_groups_merges_them(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "c", 40), placed(log, "d", 41)])
    assert groups(engine, "acd") == ["g1", "g2", "g2"]
    assert view(engine, "c")["band"] == "review"
    assert beside(engine, placed(log, "b", 20)) == [
        group_changed("g1", "joined", ["b"], size=4, canonical="a"),
        group_changed("g1", "merged", ["c", "d"], size=4, canonical="a", other="g2"),
        revised(engine, "c", "groups_merged", "review", None),
        revised(engine, "d", "groups_merged", "duplicate", "c"),
    ]
    assert [view(engine, id_)["duplicate_of"] for id_ in "abcd"] == [None, "a", "a", "a"]


def test_the_group_that_was_founded_first_stays_whichever_the_item_is_closer_to(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "c", 40)])
    assert beside(engine, placed(log, "b", 25)) == [
        group_changed("g1", "joined", ["b"], size=3, canonical="a"),
        group_changed("g1", "merged", ["c"], size=3, canonical="a", other="g2"),
        revised(engine, "c", "groups_merged", "review", None),
    ]
    assert view(engine, "b")["matched_id"] == "c"


def star(place: int, cosine: float = 0.883) -> list[float]:
    """A vector with this cosine to the first axis, and its square to every other of the star."""
    vector = [cosine, *[0.0] * 63]
    vector[place] = sqrt(1 - cosine * cosine)
    return vector


def test_one_item_can_merge_three_groups_and_every_verdict_is_about_the_item_it_names(
    engine: Recommender, log: Log
) -> None:
    engine.process([log.upsert(f"s{n}", f"words of s{n}", vector=star(n, 0.87 + n / 100)) for n in (1, 2, 3)])
    assert {view(engine, f"s{n}")["group"] for n in (1, 2, 3)} == {"g1", "g2", "g3"}
    told = beside(engine, log.upsert("x", "the middle", vector=at(0)))
    assert [one["change"] for one in told if "change" in one] == ["joined", "merged", "merged"]
    assert {view(engine, id_)["group"] for id_ in ("s1", "s2", "s3", "x")} == {"g1"}
    for n in (2, 3):
        stands = view(engine, f"s{n}")
        matched = int(stands["matched_id"][1])
        cosine = (0.87 + n / 100) * (0.87 + matched / 100)
        assert stands["similarity"] == pytest.approx(cosine, abs=1e-5)


def test_an_edit_publishes_every_revision_once(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "z", 0), placed(log, "a", 90), placed(log, "b", 40, attributes={"x": 1})])
    engine.process([log.upsert("a", "words of b", vector=at(40))])
    engine.process([log.delete("b"), log.upsert("b", "words of b", vector=at(40))])
    assert view(engine, "b")["duplicate_of"] == "a"
    told = beside(engine, log.upsert("a", "in the middle", vector=at(20)))
    about = [one["item_id"] for one in told if "item_id" in one]
    assert about == ["b"]
    assert told[-1] == revised(engine, "b", told[-1]["cause"], "duplicate", "a")
    assert view(engine, "b")["duplicate_of"] == "z"


# -- an item goes ------------------------------------------------------------------------------------------------------


def test_the_canonical_item_is_deleted(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert(id_, SHOP) for id_ in "abc"])
    told = beside(engine, log.delete("a"))
    assert told == [
        group_changed("g1", "left", ["a"], size=2, canonical="b"),
        group_changed("g1", "canonical_changed", ["b"], size=2, canonical="b"),
        revised(engine, "b", "item_deleted", "duplicate", "a"),
        revised(engine, "c", "item_deleted", "duplicate", "a"),
    ]
    assert [(view(engine, id_)["band"], view(engine, id_)["duplicate_of"]) for id_ in "bc"] == [
        ("new", None),
        ("duplicate", "b"),
    ]


def test_another_item_is_deleted(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert(id_, SHOP) for id_ in "abc"])
    assert beside(engine, log.delete("b")) == [group_changed("g1", "left", ["b"], size=2, canonical="a")]


def test_the_last_item_of_a_group_is_deleted(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP)])
    assert beside(engine, log.delete("a")) == []


def test_an_erased_item_leaves_its_group_as_a_deleted_one_does(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP), log.upsert("b", SHOP)])
    assert beside(engine, log.erase("a")) == [
        group_changed("g1", "left", ["a"], size=1, canonical="b"),
        group_changed("g1", "canonical_changed", ["b"], size=1, canonical="b"),
        revised(engine, "b", "item_deleted", "duplicate", "a"),
    ]
    assert view(engine, "b")["reasons"] == []


def test_an_edit_leaves_one_group_and_joins_another(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 0), placed(log, "c", 90)])
    assert beside(engine, log.upsert("a", "something else", vector=at(90))) == [
        group_changed("g3", "joined", ["a"], size=2, canonical="c"),
        group_changed("g1", "left", ["a"], size=1, canonical="b"),
        group_changed("g1", "canonical_changed", ["b"], size=1, canonical="b"),
        revised(engine, "b", "item_changed", "duplicate", "a"),
    ]


def test_an_edit_within_a_group_makes_the_item_its_latest(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 1)])
    events = engine.process([log.upsert("a", "hardly another text", vector=at(2))])
    assert (data_of(events[0])["duplicate_of"], data_of(events[0])["group"]) == ("b", "g1")
    assert corrections_of(events) == [
        group_changed("g1", "canonical_changed", ["b"], size=2, canonical="b"),
        revised(engine, "b", "item_changed", "duplicate", "a"),
    ]


def test_an_open_question_is_asked_anew_when_the_other_item_goes(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "q", 38), placed(log, "later", 79)])
    assert view(engine, "q")["matched_id"] == "a"
    assert beside(engine, log.delete("a")) == [revised(engine, "q", "item_deleted", "review", None)]
    stands = view(engine, "q")
    assert (stands["band"], stands["matched_id"], stands["probability"]) == ("new", None, 0.0)


def test_an_open_question_moves_on_to_the_next_earlier_item(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 74), placed(log, "q", 36)])
    assert (view(engine, "q")["band"], view(engine, "q")["matched_id"]) == ("review", "a")
    assert beside(engine, log.delete("a")) == [revised(engine, "q", "item_deleted", "review", None)]
    stands = view(engine, "q")
    assert (stands["band"], stands["matched_id"]) == ("review", "b")
    assert stands["reasons"][0]["text"] == stands["explanation"] == "the meaning is 79% alike"


def test_an_open_question_is_asked_anew_however_many_twins_the_other_item_has(
    engine: Recommender, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(departures, "_MOST_REJUDGED", 3)
    engine.process([placed(log, "a", 0), *(log.upsert(f"twin {n}", "words of a", vector=at(0)) for n in range(5))])
    engine.process([placed(log, "q", 38)])
    assert view(engine, "q")["matched_id"] == "a"
    told = beside(engine, log.delete("a"))
    assert told[-1] == revised(engine, "q", "item_deleted", "review", None)
    assert view(engine, "q")["matched_id"] == "twin 0"


def test_a_verdict_that_stays_the_same_is_not_said_again(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "s", 60), placed(log, "n", 120), placed(log, "o", 180)])
    assert [view(engine, id_)["band"] for id_ in "asno"] == ["new", "similar", "similar", "similar"]
    assert beside(engine, log.delete("a"), log.delete("n")) == []


def test_an_item_answered_as_its_own_is_never_made_a_duplicate_by_a_delete(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 30), placed(log, "c", 60)])
    assert view(engine, "c")["band"] == "review"  # b is a duplicate of it, but its group disagrees
    engine.process([log.delete("a")])
    assert beside(engine, log.delete("b")) == [revised(engine, "c", "item_deleted", "review", None)]
    assert (view(engine, "c")["band"], view(engine, "c")["matched_id"]) == ("new", None)


def test_an_item_answered_as_its_own_is_not_made_a_duplicate_by_a_delete(engine: Recommender, log: Log) -> None:
    # Like one item of either group and unlike the other: it belongs to none.
    engine.process([placed(log, "a", 0), placed(log, "b", 29), placed(log, "p", 88), placed(log, "r", 117)])
    engine.process([placed(log, "c", 58.2)])
    assert (view(engine, "c")["band"], view(engine, "c")["matched_id"]) == ("review", "b")
    assert beside(engine, log.delete("b")) == [
        group_changed("g1", "left", ["b"], size=1, canonical="a"),
        revised(engine, "c", "item_deleted", "review", None),
    ]
    stands = view(engine, "c")
    assert (stands["band"], stands["matched_id"], stands["group"]) == ("review", "p", "g5")


# -- which item stands for the group -----------------------------------------------------------------------------------


TEXTS = {"a": "a short one", "b": "by far the longest text of the three of them", "c": "one of some length"}


@pytest.mark.parametrize(("rule", "expected"), [("earliest", "abc"), ("latest", "cba"), ("longest", "bca")])
def test_the_rule_decides_which_item_is_canonical_and_never_which_was_first(
    engine: Recommender, log: Log, rule: str, expected: str
) -> None:
    engine.process([log.configure(canonical=rule)])
    engine.process([log.upsert(id_, TEXTS[id_], vector=at(n)) for n, id_ in enumerate("abc")])
    left = "abc"
    for canonical in expected:
        stands = {id_: view(engine, id_) for id_ in left}
        assert {one["canonical_id"] for one in stands.values()} == {canonical}
        assert [stands[id_]["duplicate_of"] for id_ in left] == [None, *left[0] * (len(left) - 1)]
        told = beside(engine, log.delete(canonical))
        left = left.replace(canonical, "")
        changed = [one["items"] for one in told if one.get("change") == "canonical_changed"]
        assert changed == ([[expected[expected.index(canonical) + 1]]] if left else [])


def test_duplicate_of_is_an_earlier_item_in_every_order(log: Log) -> None:
    for rule in ("earliest", "latest", "longest"):
        for order in permutations("abc"):
            engine = opened()
            engine.process([log.configure(canonical=rule)])
            events = engine.process([log.upsert(id_, TEXTS[id_], vector=at(n)) for n, id_ in enumerate(order)])
            told = [data_of(event) for event in events if not is_correction(event)]
            assert [one["duplicate_of"] for one in told] == [None, order[0], order[0]]
            canonical = {"earliest": order[0], "latest": order[-1], "longest": "b"}[rule]
            assert told[-1]["canonical_id"] == canonical
            engine.close()


def test_only_the_text_counts_for_the_longest(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(canonical="longest"), log.upsert("a", SHOP)])
    engine.process([log.upsert("b", SHOP, timestamp="2026-03-01T09:30:00Z")])
    assert view(engine, "a")["canonical_id"] == "a", "equally long, so the earliest"
    engine.process([log.add("item.upsert", id="c", fields={"a rather long name of a field": SHOP})])
    assert view(engine, "a")["canonical_id"] == "a"


def test_a_joining_item_may_become_canonical(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(canonical="latest"), log.upsert("a", SHOP)])
    assert beside(engine, log.upsert("b", SHOP)) == [
        group_changed("g1", "joined", ["b"], size=2, canonical="b"),
        group_changed("g1", "canonical_changed", ["b"], size=2, canonical="b"),
    ]


def test_the_same_text_written_longer_may_become_canonical(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(canonical="longest"), log.upsert("a", SHOP), log.upsert("b", SHOP)])
    assert beside(engine, log.upsert("b", SHOP.replace(" ", "   "))) == [
        group_changed("g1", "canonical_changed", ["b"], size=2, canonical="b")
    ]


# -- quietly, and in large groups --------------------------------------------------------------------------------------


def test_silent_commands_change_groups_and_publish_nothing_of_it(engine: Recommender, log: Log) -> None:
    commands = [
        placed(log, "a", 0, silent=True),
        placed(log, "c", 40, silent=True),
        placed(log, "b", 20, silent=True),
        log.delete("a", silent=True),
    ]
    assert corrections_of(engine.process(commands)) == []
    assert engine.outbox.after(START, 100) == []
    assert [view(engine, id_)["duplicate_of"] for id_ in "cb"] == [None, "c"]
    (summary,) = engine.process([log.tick(later_ms=SUMMARY_AFTER_MS)])
    assert data_of(summary)["commands"] == 4


def test_an_event_lists_no_more_than_a_hundred_items(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0)])
    engine.process([log.upsert(f"c{n}", "twins", vector=at(40)) for n in range(120)])
    joined, merged = beside(engine, placed(log, "b", 20))[:2]
    assert (joined["items"], joined["size"]) == (["b"], 122)
    assert (merged["change"], len(merged["items"]), merged["size"]) == ("merged", 100, 122)


def test_in_a_large_group_only_what_changes_its_band_is_said_again(
    engine: Recommender, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrections, "_LARGEST_GROUP", 3)
    engine.process([log.upsert(id_, SHOP) for id_ in "abcde"])
    told = beside(engine, log.delete("a"))
    assert [one.get("change") or one["item_id"] for one in told] == ["left", "canonical_changed", "b"]
    told = beside(engine, log.feedback("d", "wrong"))
    assert "d" in [one["item_id"] for one in told if "item_id" in one], "its band has changed"


def test_deleted_items_are_named_by_what_their_going_changed_and_by_nothing_later(
    engine: Recommender, log: Log
) -> None:
    engine.process([placed(log, "a", 0), placed(log, "gone", 2), placed(log, "b", 3), placed(log, "q", 38)])
    going = beside(engine, log.delete("gone"))
    assert [one["change"] for one in going] == ["left"]
    events = engine.process(
        [log.feedback("b", "wrong"), log.delete("a"), placed(log, "c", 1), log.feedback("q", "same", "b")]
    )
    assert "gone" not in json.dumps([data_of(event) for event in events])
