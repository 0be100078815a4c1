"""What people say of two items holds for ever, whatever comes, and teaches the matcher."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recommender_engine import Entry, Event, Recommender
from recommender_engine.errors import EncodingError
from recommender_engine.items import START, EntryId, Item
from recommender_engine.matching import LearnedMatcher
from recommender_engine.testing import DeterministicEncoder
from tests.support.encoders import FailingEncoder
from tests.support.engine import (
    Log,
    at,
    corrections_of,
    data_of,
    group_changed,
    lines,
    opened,
    outbox_lines,
)

SHOP = "the card payment was declined at the shop"


def placed(log: Log, id_: str, degrees: float, **fields: Any) -> Entry:
    """An item that shares no word with others and lies at this angle."""
    return log.upsert(id_, f"words of {id_}", vector=at(degrees), **fields)


def outcome(engine: Recommender, *entries: Entry) -> dict[str, Any]:
    """What the last command was answered."""
    told = [data_of(event) for event in engine.process(entries)]
    answers = [one for one in told if one["command"]["id"] == str(entries[-1].id)]
    return answers[0]


def beside(engine: Recommender, *entries: Entry) -> list[dict[str, Any]]:
    return corrections_of(engine.process(entries))


def view(engine: Recommender, id_: str) -> dict[str, Any]:
    found = engine.get(id_)
    assert found is not None
    return found.model_dump(mode="json")


def together(engine: Recommender, one: str, other: str) -> bool:
    return bool(view(engine, one)["group"] == view(engine, other)["group"])


# -- two items are the same --------------------------------------------------------------------------------------------


def test_an_answer_is_confirmed_with_what_the_matcher_had_thought(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 90)])
    before = engine.compare(*(Item(id=id_, text=f"words of {id_}", vector=at(n)) for id_, n in (("b", 90), ("a", 0))))
    said = log.feedback("b", "same", "a", by="ada", key="k")
    assert outcome(engine, said) == {
        "type": "recommender.feedback.accepted.v1",
        "command": {"id": str(said.id), "key": "k"},
        "item_id": "b",
        "collection": "default",
        "other_id": "a",
        "answer": "same",
        "by": "ada",
        "probability": before.probability,
        "answers": 1,
    }
    assert engine.process([log.feedback("b", "same", "a", by="ada", key="k")]) == [], "a repeat has no second effect"


def test_the_same_means_one_group(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 90), placed(log, "c", 91)])
    told = beside(engine, log.feedback("a", "same", "b"))
    assert told[0] == group_changed("g1", "merged", ["b", "c"], size=3, canonical="a", other="g2")
    assert [(one["item_id"], one["cause"], one["previous_band"], one["band"]) for one in told[1:]] == [
        ("b", "feedback", "new", "duplicate"),
        ("c", "feedback", "duplicate", "duplicate"),
    ]
    b = view(engine, "b")
    assert (b["duplicate_of"], b["matched_id"], b["probability"]) == ("a", "a", 1.0)
    assert (b["reasons"][0]["code"], b["explanation"]) == ("people_say_same", b["reasons"][0]["text"])


def test_an_item_equally_close_to_both_stays_with_the_earlier(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "between", 5), placed(log, "copy", 0)])
    told = beside(engine, log.feedback("copy", "wrong"))
    assert told[0] == group_changed("g1", "split", ["copy"], size=2, canonical="a", other="g3")
    assert {one["item_id"] for one in told[1:]} == {"copy"}
    assert together(engine, "a", "between")


def test_a_confirmed_duplicate_changes_no_band_and_nothing_is_said_again(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP), log.upsert("b", SHOP)])
    assert beside(engine, log.feedback("a", "same", "b")) == []
    assert view(engine, "b")["reasons"][0]["code"] == "people_say_same"


def test_a_verdict_by_people_names_the_answered_pair(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 10), placed(log, "c", 90)])
    engine.process([log.feedback("b", "same", "c")])
    c = view(engine, "c")
    assert (c["duplicate_of"], c["matched_id"], c["similarity"]) == ("a", "b", pytest.approx(0.173648, abs=1e-6))


def test_what_people_said_of_two_items_is_not_said_of_others_of_their_groups(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 10), placed(log, "c", 90), placed(log, "d", 91)])
    engine.process([log.feedback("b", "same", "d")])
    assert len({view(engine, id_)["group"] for id_ in "abcd"}) == 1
    said = {id_: view(engine, id_) for id_ in "abcd"}
    assert [id_ for id_ in said if "people_say_same" in json.dumps(said[id_]["reasons"])] == ["d"]
    assert said["d"]["matched_id"] == "b"


def test_an_erasure_takes_quotes_out_of_verdicts_by_people_too(tmp_path: Path, log: Log) -> None:
    engine = opened(tmp_path, matcher=LearnedMatcher)
    text = "the parcel with the blue kettle that was paid in town two weeks ago is missing"
    engine.process(
        [
            log.configure(review_from=0.0),  # so that reasons are given, and quote
            log.upsert("a", "Monday, said somebody, is a day on which nothing happens at all"),
            log.upsert("b", f"Wilhelmina {text}, order QX90210"),
            log.feedback("a", "same", "b"),
            log.upsert("c", f"{text}, order QX90211, Wilhelmina"),
            log.feedback("b", "same", "c"),
            log.erase("b"),
        ]
    )
    engine.close()
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"QX90211" in files
    assert b"QX90210" not in files


def test_the_same_holds_through_edits_of_both(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 90), log.feedback("a", "same", "b")])
    engine.process([log.upsert("a", "quite another text", vector=at(180))])
    assert together(engine, "a", "b")
    engine.process([log.upsert("b", "nothing like it", vector=at(270))])
    assert (view(engine, "b")["duplicate_of"], view(engine, "b")["reasons"][0]["code"]) == ("a", "people_say_same")


@pytest.mark.parametrize("first", ["a", "b"])
def test_the_same_holds_when_either_is_deleted_and_sent_again(engine: Recommender, log: Log, first: str) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 90), log.feedback("a", "same", "b")])
    engine.process([log.delete("a"), log.delete("b")])
    second = "b" if first == "a" else "a"
    engine.process([placed(log, first, 10), placed(log, second, 100)])
    assert view(engine, second)["duplicate_of"] == first


def test_the_same_holds_through_a_chain_of_which_the_middle_is_gone(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 90), placed(log, "c", 180)])
    engine.process([log.feedback("a", "same", "b"), log.feedback("c", "same", "b"), log.delete("b")])
    assert together(engine, "a", "c")
    engine.process([log.delete("c"), placed(log, "c", 181)])
    assert view(engine, "c")["duplicate_of"] == "a"


def test_the_same_holds_whatever_the_policy_says(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(equal=["who"], min_length=100)])
    engine.process([placed(log, "a", 0, attributes={"who": 1}), placed(log, "b", 90, attributes={"who": 2})])
    engine.process([log.feedback("a", "same", "b"), log.upsert("b", "edited", vector=at(91))])
    assert view(engine, "b")["duplicate_of"] == "a"


# -- two items are different -------------------------------------------------------------------------------------------


def test_different_splits_and_the_others_go_with_the_one_they_are_closer_to(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 10), placed(log, "c", 18), placed(log, "d", 25)])
    assert {view(engine, id_)["group"] for id_ in "abcd"} == {"g1"}
    told = beside(engine, log.feedback("a", "different", "d"))
    assert told[0] == group_changed("g1", "split", ["c", "d"], size=2, canonical="a", other="g3")
    assert [(one["item_id"], one["previous_duplicate_of"], one["duplicate_of"]) for one in told[1:]] == [
        ("c", "a", None),
        ("d", "a", "c"),
    ]
    assert all(one["cause"] == "feedback" for one in told[1:])


def test_what_was_split_off_does_not_quote_a_likeness_that_people_overruled(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 25), log.feedback("b", "different", "a")])
    b = view(engine, "b")
    assert (b["band"], b["duplicate_of"], b["probability"], b["group"]) == ("similar", None, 0.0, "g2")
    assert [reason["code"] for reason in b["reasons"]] == ["people_say_different"]
    assert b["explanation"] == b["reasons"][0]["text"]


def test_the_first_of_a_group_that_was_split_off_has_a_band_that_fits_its_probability(
    engine: Recommender, log: Log
) -> None:
    engine.process([placed(log, "a", 0), placed(log, "c", 18), placed(log, "d", 25)])
    engine.process([log.feedback("a", "different", "d")])
    c = view(engine, "c")
    assert (c["group"], c["duplicate_of"]) == ("g2", None)
    assert not (c["band"] == "new" and c["probability"] > 0.5)


def test_different_answers_an_open_question(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 38)])
    (told,) = beside(engine, log.feedback("a", "different", "b"))
    assert (told["item_id"], told["previous_band"], told["band"]) == ("b", "review", "similar")
    assert told["reasons"][0]["code"] == "people_say_different"


def test_different_items_stay_apart_through_twins_edits_and_deletes(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP), log.upsert("b", SHOP), log.feedback("b", "wrong")])
    assert not together(engine, "a", "b")
    for _ in range(2):
        engine.process([log.upsert("b", "something else"), log.upsert("b", SHOP)])
        assert not together(engine, "a", "b")
        engine.process([log.delete("a"), log.upsert("a", SHOP)])
        assert not together(engine, "a", "b")
    engine.process([log.upsert("twin", SHOP)])
    assert not together(engine, "a", "b")


def test_different_holds_through_chains(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 90), placed(log, "c", 180), placed(log, "d", 270)])
    engine.process(
        [log.feedback("a", "same", "b"), log.feedback("c", "same", "d"), log.feedback("b", "different", "c")]
    )
    engine.process([log.delete("b"), log.delete("c")])
    engine.process([log.upsert("a", SHOP), log.upsert("d", SHOP)])
    assert not together(engine, "a", "d")


def test_a_new_item_does_not_bring_together_what_people_keep_apart(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "c", 40), log.feedback("a", "different", "c")])
    engine.process([placed(log, "b", 20)])
    assert not together(engine, "a", "c")


def test_an_item_does_not_join_a_group_through_another_member(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 5), placed(log, "x", 180)])
    engine.process([log.feedback("a", "different", "x"), log.upsert("x", "nearest to b", vector=at(8))])
    assert together(engine, "a", "b")
    assert not together(engine, "a", "x")
    assert view(engine, "x")["band"] != "duplicate"


def star(place: int) -> list[float]:
    """A vector for review beside every other of the star, and a duplicate of its middle."""
    vector = [0.883, *[0.0] * 63]
    vector[place] = (1 - 0.883**2) ** 0.5
    return vector


def test_a_new_item_that_merges_three_groups_keeps_two_of_them_apart(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert(f"s{n}", f"words of s{n}", vector=star(n)) for n in (1, 2, 3)])
    engine.process([log.feedback("s2", "different", "s3"), log.upsert("x", "the middle", vector=at(0))])
    assert not together(engine, "s2", "s3")


def test_putting_two_groups_together_keeps_apart_what_people_keep_apart(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("x", SHOP), log.upsert("a", SHOP), placed(log, "b", 90), placed(log, "y", 91)])
    assert together(engine, "x", "a")
    assert together(engine, "b", "y")
    engine.process([log.feedback("x", "different", "y"), log.feedback("a", "same", "b")])
    assert together(engine, "a", "b")
    assert not together(engine, "x", "y")


def test_the_same_said_of_one_takes_it_away_from_what_the_other_must_not_be_with(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("x", SHOP), log.upsert("a", SHOP), placed(log, "b", 90)])
    engine.process([log.feedback("x", "different", "b"), log.feedback("a", "same", "b")])
    assert together(engine, "a", "b")
    assert not together(engine, "x", "b")


def moves(told: list[dict[str, Any]]) -> list[tuple[str, str, list[str], int, str | None]]:
    return [
        (one["change"], one["group"], one["items"], one["size"], one["other_group"]) for one in told if "change" in one
    ]


def test_an_item_that_moves_to_an_existing_group_is_reported_as_split_and_joined(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "b", 90), log.upsert("x", SHOP), log.upsert("a", SHOP)])
    engine.process([log.feedback("x", "different", "b")])
    told = beside(engine, log.feedback("a", "same", "b"))
    assert moves(told) == [("split", "g2", ["a"], 1, "g1"), ("joined", "g1", ["a"], 2, None)]


def test_a_group_that_goes_over_as_a_whole_has_merged(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("x", SHOP), log.upsert("a", SHOP), placed(log, "b", 90)])
    engine.process([log.feedback("x", "different", "b")])
    told = beside(engine, log.feedback("a", "same", "b"))
    assert moves(told) == [("split", "g1", ["a"], 1, "g2"), ("merged", "g2", ["b"], 2, "g3")]


def test_the_first_of_a_split_group_asks_about_no_item_it_must_not_be_with(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 20), placed(log, "c", 25), placed(log, "d", 24)])
    assert (view(engine, "b")["matched_id"], view(engine, "b")["band"]) == ("a", "duplicate")
    engine.process([log.feedback("b", "same", "c"), log.feedback("a", "different", "c")])
    b = view(engine, "b")
    assert (b["group"], b["band"], b["matched_id"]) == ("g2", "new", None), "that it is not a follows"
    assert (b["probability"], b["reasons"], b["explanation"]) == (0.0, [], "")


# -- right, wrong, unsure ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "other", "meant"), [("right", "b", "same"), ("wrong", "a", "different")])
def test_right_confirms_the_match_and_wrong_takes_the_flag_away(
    engine: Recommender, log: Log, answer: str, other: str, meant: str
) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 20), placed(log, "c", 25)])
    assert (view(engine, "c")["duplicate_of"], view(engine, "c")["matched_id"]) == ("a", "b")
    said = outcome(engine, log.feedback("c", answer))
    assert (said["item_id"], said["other_id"], said["answer"]) == ("c", other, meant)


@pytest.mark.parametrize("degrees", [7, 15, 25])
def test_wrong_removes_the_flag_for_any_pair_of_the_verdict(engine: Recommender, log: Log, degrees: float) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 10), placed(log, "c", degrees)])
    assert (view(engine, "c")["duplicate_of"], view(engine, "c")["matched_id"]) == ("a", "b")
    told = beside(engine, log.feedback("c", "wrong"))
    assert view(engine, "c")["duplicate_of"] != "a"
    assert not together(engine, "a", "c")
    (said,) = [one for one in told if one.get("item_id") == "c"]
    assert (said["previous_duplicate_of"], said["duplicate_of"]) == ("a", view(engine, "c")["duplicate_of"])
    again = outcome(engine, log.feedback("a", "same", "c"))
    assert again["code"] == "contradiction", "it holds for ever"


@pytest.mark.parametrize("answer", ["right", "wrong"])
def test_they_name_the_original_when_the_named_item_was_deleted(engine: Recommender, log: Log, answer: str) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 20), placed(log, "c", 25), log.delete("b")])
    assert outcome(engine, log.feedback("c", answer))["other_id"] == "a"


@pytest.mark.parametrize("answer", ["right", "wrong"])
def test_without_a_duplicate_there_is_nothing_to_be_right_about(engine: Recommender, log: Log, answer: str) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 38)])
    for id_, band in (("a", "new"), ("b", "review")):
        refused = outcome(engine, log.feedback(id_, answer))
        assert (refused["code"], refused["field"], refused["item_id"]) == ("no_duplicate", "answer", id_)
        assert f"band is '{band}'" in refused["message"]


def test_unsure_takes_an_answer_back(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 90), log.feedback("a", "same", "b")])
    taken_back = outcome(engine, log.feedback("b", "unsure", "a"))
    assert (taken_back["answer"], taken_back["answers"]) == ("unsure", 0)
    engine.process([log.upsert("b", "elsewhere", vector=at(180))])
    assert not together(engine, "a", "b")
    assert outcome(engine, log.feedback("a", "different", "b"))["answer"] == "different"
    engine.process([log.feedback("a", "unsure", "b"), log.upsert("b", "elsewhere, near", vector=at(1))])
    assert together(engine, "a", "b")


@pytest.mark.parametrize(("degrees", "answer", "band"), [(38, "different", "review"), (90, "same", "duplicate")])
def test_what_was_taken_back_is_not_quoted_any_more(
    engine: Recommender, log: Log, degrees: float, answer: str, band: str
) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", degrees), log.feedback("a", answer, "b")])
    assert "person" in view(engine, "b")["explanation"]
    engine.process([log.feedback("a", "unsure", "b")])
    b = view(engine, "b")
    assert "person" not in b["explanation"] + json.dumps(b["reasons"])
    assert (b["band"], b["matched_id"]) == (band, "a"), "who is together stays together"


# -- what cannot be accepted -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "contradiction", "chain"),
    [
        ([("a", "same", "b")], ("b", "different", "a"), "'b' = 'a'"),
        ([("a", "different", "b")], ("a", "same", "b"), "'a' ≠ 'b'"),
        ([("a", "same", "b"), ("b", "same", "c")], ("a", "different", "c"), "'a' = 'b' = 'c'"),
        ([("a", "same", "b"), ("b", "different", "c")], ("a", "same", "c"), "'a' = 'b' ≠ 'c'"),
        (
            [("a", "same", "b"), ("b", "different", "c"), ("d", "same", "c")],
            ("a", "same", "d"),
            "'a' = 'b' ≠ 'c' = 'd'",
        ),
        (
            [("a", "same", "b"), ("b", "different", "c"), ("d", "same", "c")],
            ("d", "same", "a"),
            "'d' = 'c' ≠ 'b' = 'a'",
        ),
    ],
)
@pytest.mark.parametrize("gone", ["", "b"])
def test_a_contradiction_is_rejected_with_the_chain(
    engine: Recommender,
    log: Log,
    said: list[tuple[str, str, str]],
    contradiction: tuple[str, str, str],
    chain: str,
    gone: str,
) -> None:
    engine.process([placed(log, id_, 90 * n) for n, id_ in enumerate("abcd")])
    engine.process([log.feedback(one, answer, other) for one, answer, other in said])
    if gone and gone not in contradiction:
        engine.process([log.delete(gone)])
    before = [view(engine, id_) for id_ in "acd"]
    one, answer, other = contradiction
    refused = outcome(engine, log.feedback(one, answer, other))
    assert refused["type"] == "recommender.command.rejected.v1"
    assert (refused["code"], refused["field"]) == ("contradiction", "answer")
    assert refused["message"].endswith(
        chain.replace("'b'", "a deleted item") if gone not in ("", *contradiction) else chain
    )
    assert json.loads(refused["payload"]) == {"id": one, "answer": answer, "other": other}
    assert [view(engine, id_) for id_ in "acd"] == before


def test_two_that_differ_from_a_third_may_be_the_same(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, id_, 90 * n) for n, id_ in enumerate("abc")])
    engine.process([log.feedback("a", "different", "b"), log.feedback("b", "different", "c")])
    assert outcome(engine, log.feedback("a", "same", "c"))["answer"] == "same"


def test_an_answer_may_be_given_twice(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 90)])
    for one, other in ("ab", "ba"):
        said = outcome(engine, log.feedback(one, "different", other))
        assert (said["answer"], said["answers"]) == ("different", 1)


@pytest.mark.parametrize(("id_", "other", "missing"), [("x", "a", "x"), ("a", "x", "x"), ("gone", "a", "gone")])
def test_an_answer_on_an_unknown_item_is_ignored(
    engine: Recommender, log: Log, id_: str, other: str, missing: str
) -> None:
    engine.process([placed(log, "a", 0), placed(log, "gone", 90), log.delete("gone")])
    ignored = outcome(engine, log.feedback(id_, "same", other))
    assert (ignored["type"], ignored["item_id"], ignored["reason"]) == (
        "recommender.command.ignored.v1",
        missing,
        "unknown_item",
    )
    assert outcome(engine, log.feedback("a", "right", collection="nowhere"))["reason"] == "unknown_item"


def test_collections_do_not_share_answers(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert(id_, SHOP, collection=name) for name in ("one", "two") for id_ in "ab"])
    engine.process([log.feedback("a", "different", "b", collection="one")])
    one, two = (engine.get("b", name) for name in ("one", "two"))
    assert one is not None
    assert two is not None
    assert (one.duplicate_of, two.duplicate_of) == (None, "a")


@pytest.mark.parametrize("place", [EntryId(1_700_000_000_500, 2**64 - 1), EntryId(2**64 - 1, 7)])
def test_an_answer_may_come_under_any_entry_id(engine: Recommender, log: Log, place: EntryId) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 90)])
    strange = replace(log.feedback("a", "same", "b"), id=place, at_ms=1_700_000_000_500)
    assert outcome(engine, strange)["answer"] == "same"


# -- erasure -----------------------------------------------------------------------------------------------------------


def test_answers_go_with_the_item_that_is_erased(engine: Recommender, log: Log) -> None:
    engine.process([placed(log, "a", 0), placed(log, "b", 90), placed(log, "c", 180)])
    engine.process([log.feedback("a", "same", "b"), log.feedback("b", "same", "c"), log.erase("b")])
    assert outcome(engine, log.feedback("a", "different", "c"))["answer"] == "different"
    engine.process([placed(log, "b", 91), placed(log, "d", 270)])
    assert not together(engine, "a", "b")
    assert outcome(engine, log.feedback("b", "same", "d"))["answers"] == 2


def test_an_erased_item_that_was_deleted_before_takes_its_answers_too(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP), log.upsert("b", SHOP), log.feedback("a", "different", "b")])
    engine.process([log.delete("b"), log.erase("b"), log.upsert("b", SHOP)])
    assert view(engine, "b")["duplicate_of"] == "a"


# -- learning ----------------------------------------------------------------------------------------------------------


def lessons(log: Log, collection: str = "default") -> list[Entry]:
    """Pairs whose wording is close and which are not the same, people say."""
    said = []
    for n in range(12):
        one, other = f"ticket {n}: printer on floor {n} jams", f"ticket {n}: printer on floor {n} jammed again"
        said += [
            log.upsert(f"x{n}", one, collection=collection),
            log.upsert(f"y{n}", other, collection=collection),
            log.feedback(f"x{n}", "different", f"y{n}", collection=collection),
        ]
    return said


def question(engine: Recommender, collection: str = "default") -> float:
    one = Item(id="1", collection=collection, text="ticket 99: printer on floor 40 jams")
    other = Item(id="2", collection=collection, text="ticket 99: printer on floor 40 jammed again")
    return engine.compare(one, other).probability


def test_answers_move_later_probabilities_and_a_restart_changes_nothing(tmp_path: Path, log: Log) -> None:
    engine = opened(tmp_path, matcher=LearnedMatcher)
    entries = lessons(log)
    untaught = opened(matcher=LearnedMatcher)
    untaught.process([entry for entry in entries if entry.command.type != "feedback.given"])
    accepted = [data_of(event) for event in engine.process(entries)]
    counts = [one["answers"] for one in accepted if one["type"] == "recommender.feedback.accepted.v1"]
    assert counts == list(range(1, 13))
    learned = question(engine)
    assert learned < question(untaught) - 0.1
    engine.close()
    again = opened(tmp_path, matcher=LearnedMatcher)
    assert question(again) == learned
    later = [log.upsert("late", "ticket 3: the printer on floor 3 jams"), log.feedback("late", "different", "x3")]
    replayed = opened(matcher=LearnedMatcher)
    replayed.process(entries)
    assert lines(again.process(later)) == lines(replayed.process(later))
    again.close()


def test_answers_are_learned_with_what_else_was_a_candidate(log: Log) -> None:
    engine = opened(matcher=LearnedMatcher)
    engine.process([log.upsert(id_, f"ticket about {id_}", vector=at(n)) for n, id_ in enumerate("abcd")])
    engine.process([log.feedback("d", "different", "a"), log.feedback("b", "different", "a")])
    among, alone = engine._store.answers.all(1)
    assert among.features["their_rank"] == 2.0, "b and c are closer to a"
    assert "margin" not in alone.features, "only a came before b"
    engine.close()


@pytest.mark.parametrize("size", [1, 3, 100])
def test_what_is_learned_does_not_depend_on_batches(log: Log, size: int) -> None:
    entries = lessons(log)
    whole, parts = opened(matcher=LearnedMatcher), opened(matcher=LearnedMatcher)
    whole.process(entries)
    for start in range(0, len(entries), size):
        parts.process(entries[start : start + size])
    assert outbox_lines(parts) == outbox_lines(whole)
    assert question(parts) == question(whole)
    assert parts._store.answers.all(1) == whole._store.answers.all(1)


def test_collections_learn_for_themselves(log: Log) -> None:
    engine = opened(matcher=LearnedMatcher)
    entries = lessons(log, "taught")
    engine.process(entries)
    untaught = opened(matcher=LearnedMatcher)
    assert question(engine, "default") == question(untaught, "default")


def test_answers_taken_back_are_unlearned(log: Log) -> None:
    engine, untaught = opened(matcher=LearnedMatcher), opened(matcher=LearnedMatcher)
    entries = lessons(log)
    engine.process(entries)
    untaught.process([entry for entry in entries if entry.command.type != "feedback.given"])
    engine.process([log.feedback(f"x{n}", "unsure", f"y{n}") for n in range(12)])
    assert question(engine) == question(untaught)


def test_an_answer_after_an_erasure_is_learned_from(log: Log) -> None:
    engine = opened(matcher=LearnedMatcher)
    engine.process([*lessons(log), log.erase("x0"), log.upsert("x0", "ticket 0: printer on floor 0 jams")])
    before = question(engine)
    engine.process([log.feedback("x0", "same", "y0")])
    assert question(engine) != before


# -- all or nothing ----------------------------------------------------------------------------------------------------


def test_a_batch_that_fails_in_the_middle_leaves_words_models_and_answers_as_they_were(log: Log) -> None:
    encoder = FailingEncoder(DeterministicEncoder())
    shaken, calm = (opened(None, one, matcher=LearnedMatcher) for one in (encoder, DeterministicEncoder()))
    start = lessons(log)
    shaken.process(start)
    calm.process(start)
    before = question(shaken), shaken.stats(), outbox_lines(shaken), view(shaken, "x1"), view(shaken, "y2")
    batch = [
        log.feedback("x1", "unsure", "y1"),
        log.feedback("x2", "unsure", "y2"),
        log.feedback("x3", "same", "y4"),
        log.delete("x5"),
        log.erase("x6"),
        log.configure("another"),  # what stands behind it is embedded in a second step
        log.upsert("new", "ticket 5: a text of words that nobody has used"),
    ]
    encoder.failing = True
    with pytest.raises(EncodingError, match="the model fails"):
        shaken.process(batch)
    encoder.failing = False
    assert (
        question(shaken),
        shaken.stats(),
        outbox_lines(shaken),
        view(shaken, "x1"),
        view(shaken, "y2"),
    ) == before
    assert lines(shaken.process(batch)) == lines(calm.process(batch))
    assert question(shaken) == question(calm)


def test_answers_taken_back_in_a_batch_that_fails_hold(log: Log) -> None:
    encoder = FailingEncoder(DeterministicEncoder())
    engine = opened(None, encoder)
    engine.process([log.upsert("a", SHOP), log.upsert("b", SHOP), log.feedback("b", "wrong")])
    encoder.failing = True
    with pytest.raises(EncodingError, match="the model fails"):
        engine.process(
            [
                log.feedback("a", "unsure", "b"),
                log.upsert("c", SHOP),
                log.configure("another"),
                log.upsert("d", "a text that has to be embedded"),
            ]
        )
    encoder.failing = False
    engine.process([log.delete("b"), log.upsert("b", SHOP)])
    assert not together(engine, "a", "b")


# -- what holds for ever -----------------------------------------------------------------------------------------------


def delete_and_send_again(log: Log, id_: str) -> list[Entry]:
    return [log.delete(id_), log.upsert(id_, SHOP)]


def edit_twice(log: Log, id_: str) -> list[Entry]:
    return [log.upsert(id_, "quite another matter"), log.upsert(id_, SHOP)]


def another_twin(log: Log, id_: str) -> list[Entry]:
    return [log.upsert("neighbour", SHOP), log.delete("neighbour")]


@pytest.mark.parametrize("disturb", [delete_and_send_again, edit_twice, another_twin])
@pytest.mark.parametrize("rebuild", [False, True])
def test_answers_survive_a_restart_and_a_rebuild_of_the_index(
    tmp_path: Path, log: Log, disturb: Callable[[Log, str], list[Entry]], rebuild: bool
) -> None:
    engine = opened(tmp_path)
    engine.process([log.configure(index="hnsw"), *(log.upsert(id_, SHOP) for id_ in "abc")])
    engine.process([log.upsert("d", "far away from all that"), log.feedback("a", "same", "d")])
    engine.process([log.feedback("b", "different", "d"), log.feedback("c", "different", "a")])
    for id_ in "abcd":
        engine.process(disturb(log, id_))
        engine.close()
        if rebuild:
            shutil.rmtree(tmp_path / "index")
        engine = opened(tmp_path)
        assert together(engine, "a", "d")
        assert not together(engine, "b", "a")
        assert not together(engine, "c", "d")
    events: list[Event] = engine.process([log.feedback("d", "different", "a")])
    assert data_of(events[0])["code"] == "contradiction"
    assert engine.outbox.count_after(START) > 0
    engine.close()
