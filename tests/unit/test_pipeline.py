"""What ``Recommender.process`` does with each command, and what the engine answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender_engine import Entry, Recommender, open_recommender
from recommender_engine.embedding import Embeddings, Encoder, ModelIdentity
from recommender_engine.errors import ConfigurationError, EncodingError, InvalidCommand, ModelError
from recommender_engine.items import (
    START,
    CollectionSettings,
    EntryId,
    Item,
    ItemProcessed,
    PairVerdict,
    limits,
)
from recommender_engine.items.limits import KEY_WINDOW_MS
from recommender_engine.matching import Candidate, Comparable, LearnedMatcher
from recommender_engine.pipeline.outcomes.summaries import SUMMARY_AFTER_MS, SUMMARY_COMMANDS
from recommender_engine.pipeline.vectors import indexes
from recommender_engine.testing import DeterministicEncoder
from tests.support.encoders import FailingEncoder
from tests.support.engine import (
    Log,
    Models,
    assert_same_in_one_batch,
    at,
    data_of,
    is_correction,
    lines,
    opened,
    outbox_lines,
)
from tests.support.matchers import CosineMatcher

SHOP = "the card payment was declined at the shop"
SHOPS = "the card payment was declined at the shops"  # a near-duplicate of it
WEATHER = "heavy rain over northern hills"
DIMENSION = 64


def unit(axis: int, cosine: float = 1.0) -> list[float]:
    """A vector with this cosine to the first axis, the rest of it along another."""
    vector = np.zeros(DIMENSION)
    vector[axis] = np.sqrt(1 - cosine * cosine)
    vector[0] += cosine
    return [float(value) for value in vector]


def outcomes(engine: Recommender, *entries: Entry) -> list[dict[str, Any]]:
    """What the commands were answered, without what came beside it."""
    return [data_of(event) for event in engine.process(entries) if not is_correction(event)]


def outcome(engine: Recommender, *entries: Entry) -> dict[str, Any]:
    """The last of the outcomes."""
    return outcomes(engine, *entries)[-1]


def kind(data: dict[str, Any]) -> str:
    return str(data["type"]).removeprefix("recommender.").removesuffix(".v1")


def bytes_on_disk(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


# -- items arrive ------------------------------------------------------------------------------------------------------


def test_the_first_item_is_new(engine: Recommender, log: Log) -> None:
    (event,) = engine.process([log.upsert("a", SHOP, key="k")])
    assert data_of(event) == {
        "type": "recommender.item.processed.v1",
        "command": {"id": str(engine.position), "key": "k"},
        "item_id": "a",
        "collection": "default",
        "revision": 1,
        "band": "new",
        "duplicate_of": None,
        "canonical_id": "a",
        "group": "g1",
        "matched_id": None,
        "probability": 0.0,
        "similarity": None,
        "reasons": [],
        "explanation": "",
        "recommendations": [],
        "recommendation_id": None,
        "novelty": None,
        "truncated": False,
        "model": DeterministicEncoder().identity.key,
    }
    assert event.id.ms == engine.position.ms


def test_twins_and_near_duplicates_join_the_group_of_the_first(engine: Recommender, log: Log) -> None:
    first, twin, near = outcomes(
        engine, log.upsert("a", SHOP), log.upsert("b", f"  {SHOP.upper()} "), log.upsert("c", SHOPS)
    )
    assert twin["band"] == near["band"] == "duplicate"
    assert twin["duplicate_of"] == near["duplicate_of"] == twin["canonical_id"] == near["canonical_id"] == "a"
    assert twin["group"] == near["group"] == first["group"]
    assert twin["probability"] == 1.0
    assert [reason["code"] for reason in twin["reasons"]] == ["identical_text"]
    assert near["matched_id"] == "a"
    assert 0.86 <= near["similarity"] < 1
    assert twin["recommendations"] == near["recommendations"] == []


def test_something_else_founds_a_group_and_is_recommended_once(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP, vector=unit(1, 0.6)), log.upsert("b", SHOP, vector=unit(1, 0.6))])
    found = outcome(engine, log.upsert("c", WEATHER, vector=unit(0)))
    assert (found["band"], found["duplicate_of"], found["matched_id"]) == ("similar", None, "a")
    assert found["group"] == "g3"
    assert found["recommendations"] == [{"id": "a", "score": 0.6, "group": "g1"}]


def test_a_twin_is_found_however_far_its_vector_lies(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert(f"near {n}", f"text {n}", vector=unit(n, 0.9)) for n in range(1, 15)])
    engine.process([log.upsert("far", WEATHER, vector=unit(20, -0.9))])
    found = outcome(engine, log.upsert("twin", WEATHER, vector=unit(0)))
    assert (found["duplicate_of"], found["matched_id"], found["similarity"]) == ("far", "far", -0.9)


def test_a_twin_is_found_behind_others_on_its_point(log: Log) -> None:
    engine = opened(None, DeterministicEncoder(max_tokens=3))  # reads no further, so all vectors are the same
    texts = [f"late order number {n}000" for n in range(1, 13)]
    engine.process([log.upsert(f"i{n}", text) for n, text in enumerate(texts)])
    found = outcome(engine, log.upsert("twin", texts[-1]))
    assert found["truncated"] is True
    assert (found["matched_id"], found["probability"]) == ("i11", 1.0)


class Noting(CosineMatcher):
    """Notes how many arrivals lie between the items it is asked about."""

    def __init__(self) -> None:
        self.apart: dict[tuple[str, str], int | None] = {}

    def judge(
        self, item: Comparable, candidates: Sequence[Candidate], settings: CollectionSettings
    ) -> list[PairVerdict]:
        self.apart |= {(item.item.id, one.other.item.id): one.arrivals_apart for one in candidates}
        return super().judge(item, candidates, settings)


@pytest.mark.parametrize("together", [True, False])
def test_a_matcher_gets_the_number_of_arrivals_between_two_items(log: Log, together: bool) -> None:
    matcher = Noting()
    engine = opened(matcher=lambda statistics, models: matcher)
    entries = [log.upsert(id_, f"words of {id_}", vector=at(10.0 * n)) for n, id_ in enumerate("abc")]
    entries += [log.upsert("a", "other words of a", vector=at(5)), log.feedback("b", "different", "c")]
    for batch in [entries] if together else [[entry] for entry in entries]:
        engine.process(batch)
    assert matcher.apart == {("b", "a"): 1, ("c", "a"): 2, ("c", "b"): 1, ("a", "b"): 2, ("a", "c"): 1}


def test_an_edit_arrives_anew(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP), log.upsert("b", SHOP)])
    edited = outcome(engine, log.upsert("a", WEATHER))
    assert (edited["revision"], edited["band"], edited["group"]) == (2, "new", "g3")

    left = engine.get("b")
    assert left is not None
    assert (left.band, left.duplicate_of, left.group, left.matched_id) == ("new", None, "g1", None)

    back = outcome(engine, log.upsert("a", SHOP))
    assert (back["revision"], back["band"], back["duplicate_of"], back["group"]) == (3, "duplicate", "b", "g1")


def test_the_same_text_again_keeps_its_place(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP, attributes={"price": 1, "stock": 2}), log.upsert("b", SHOPS)])
    again = outcome(engine, log.upsert("a", f" {SHOP.upper()}", attributes={"price": 3}))
    assert (again["revision"], again["band"], again["group"]) == (2, "new", "g1")
    view = engine.get("a")
    assert view is not None
    assert (view.text, view.attributes) == (f" {SHOP.upper()}", {"price": 3})
    other = outcome(engine, log.upsert("b", SHOPS))
    assert (other["duplicate_of"], other["matched_id"], other["revision"]) == ("a", "a", 2)


def test_fields_are_kept_as_given(engine: Recommender, log: Log) -> None:
    engine.process([log.add("item.upsert", id="a", fields={"title": "Kettle", "brand": "Acme"})])
    view = engine.get("a")
    assert view is not None
    assert view.text == "Kettle\nAcme"


def test_an_item_without_visible_text_is_rejected(engine: Recommender, log: Log) -> None:
    found = outcome(engine, log.upsert("a", "\u200b\u00ad"))
    assert (kind(found), found["code"], found["field"]) == ("command.rejected", "empty_text", "text")
    assert json.loads(found["payload"]) == {"id": "a", "text": "\u200b\u00ad"}
    assert engine.get("a") is None


def test_a_vector_the_producer_sent_is_used_as_it_is(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP, vector=[3.0 * value for value in unit(1, 0.8)])])
    found = outcome(engine, log.upsert("b", WEATHER, vector=unit(0)))
    assert found["similarity"] == pytest.approx(0.8, abs=1e-6)
    assert found["band"] == "review"


@pytest.mark.parametrize("scale", [1e-320, 1e-170, 1e-30, 1e30, 1e170, 1e300])
def test_a_vector_may_have_any_length(engine: Recommender, log: Log, scale: float) -> None:
    found = outcome(
        engine,
        log.upsert("a", SHOP, vector=unit(0)),
        log.upsert("b", WEATHER, vector=[scale * value for value in unit(0)]),
    )
    assert found["similarity"] == pytest.approx(1.0)


def test_another_vector_is_an_edit_even_with_the_same_text(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP, vector=unit(1, 0)), log.upsert("b", SHOPS, vector=unit(1, 0))])
    assert outcome(engine, log.upsert("a", SHOP, vector=unit(2, 0)))["group"] == "g3"
    assert outcome(engine, log.upsert("a", SHOP, vector=unit(2, 0)))["group"] == "g3"
    assert outcome(engine, log.upsert("a", SHOP))["group"] == "g4"


def test_a_vector_of_another_dimension_is_rejected(engine: Recommender, log: Log) -> None:
    found = outcome(engine, log.upsert("a", SHOP, vector=[1.0, 2.0]))
    assert (found["code"], found["field"]) == ("wrong_dimension", "vector")
    assert found["message"] == "vector: 2 numbers, but deterministic has 64"
    assert (found["item_id"], found["collection"]) == ("a", "default")


def test_the_text_of_a_batch_is_embedded_once_and_never_again(log: Log) -> None:
    model = Counting()
    engine = opened(None, model)
    engine.process([log.upsert("a", SHOP), log.upsert("b", f"{SHOP} "), log.upsert("c", WEATHER), log.delete("c")])
    assert model.texts == [SHOP, WEATHER]
    engine.process([log.upsert("d", SHOP), log.upsert("e", SHOP, key="k"), log.upsert("a", SHOP)])
    assert model.texts == [SHOP, WEATHER]


class Counting:
    """An encoder that remembers what it was asked."""

    def __init__(self, encoder: Encoder | None = None) -> None:
        self._encoder = encoder or DeterministicEncoder()
        self.texts: list[str] = []

    @property
    def identity(self) -> ModelIdentity:
        return self._encoder.identity

    def encode(self, texts: Sequence[str]) -> Embeddings:
        self.texts += texts
        return self._encoder.encode(texts)


# -- items change and go -----------------------------------------------------------------------------------------------


def test_a_patch_changes_attributes_and_nothing_else(log: Log) -> None:
    model = Counting()
    engine = opened(None, model)
    engine.process([log.upsert("a", SHOP, attributes={"price": 1, "stock": 2})])
    patched = outcome(engine, log.patch("a", {"price": None, "status": "sold", "stock": 0}))
    assert patched == {
        "type": "recommender.item.patched.v1",
        "command": patched["command"],
        "item_id": "a",
        "collection": "default",
        "revision": 2,
        "attributes": {"stock": 0, "status": "sold"},
    }
    view = engine.get("a")
    assert view is not None
    assert (view.text, view.attributes, view.revision, view.group) == (SHOP, {"stock": 0, "status": "sold"}, 2, "g1")
    assert model.texts == [SHOP]


def test_patches_together_cannot_pass_the_limit(engine: Recommender, log: Log) -> None:
    some, more = ({f"{name}{n}": n for n in range(40)} for name in "ab")
    engine.process([log.upsert("a", SHOP, attributes=some)])
    found = outcome(engine, log.patch("a", more))
    assert (kind(found), found["code"], found["field"]) == ("command.rejected", "invalid_value", "attributes")
    view = engine.get("a")
    assert view is not None
    assert view.attributes == some
    fitting = {f"b{n}": n for n in range(limits.MAX_ATTRIBUTES - 40)}
    assert kind(outcome(engine, log.patch("a", fitting))) == "item.patched"


@pytest.mark.parametrize("type_", ["item.patch", "item.delete"])
def test_commands_on_an_unknown_item_are_ignored(engine: Recommender, log: Log, type_: str) -> None:
    fields: dict[str, Any] = {"attributes": {"a": 1}} if type_ == "item.patch" else {}
    engine.process([log.upsert("b", SHOP)])
    for collection in ("default", "nowhere"):
        found = outcome(engine, log.add(type_, id="a", collection=collection, **fields))
        assert (kind(found), found["reason"]) == ("command.ignored", "unknown_item")
    assert list(engine.stats()["collections"]) == ["default"]


def test_a_deleted_item_is_in_no_later_event(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP), log.upsert("b", SHOP), log.upsert("c", SHOPS)])
    gone = outcome(engine, log.delete("a"))
    assert (kind(gone), gone["item_id"], gone["erased"]) == ("item.deleted", "a", False)
    assert engine.get("a") is None

    later = outcomes(engine, log.upsert("d", SHOP), log.upsert("e", WEATHER), log.upsert("b", SHOP), log.delete("a"))
    assert all('"a"' not in json.dumps(data) for data in later[:-1])
    assert (later[0]["duplicate_of"], later[0]["group"]) == ("b", "g1")
    assert (later[2]["band"], later[2]["canonical_id"], later[2]["matched_id"]) == ("new", "b", None)
    assert later[3]["reason"] == "unknown_item"
    assert "a" not in [hit.id for hit in engine.search(SHOP)]


def test_a_member_of_a_group_keeps_its_probability_when_the_item_it_was_matched_with_goes(
    engine: Recommender, log: Log
) -> None:
    engine.process([log.upsert("a", SHOP), log.upsert("b", SHOPS), log.upsert("c", SHOPS)])
    matched = engine.get("c")
    assert matched is not None
    assert (matched.matched_id, matched.canonical_id) == ("b", "a")
    engine.process([log.delete("b")])
    left = engine.get("c")
    assert left is not None
    assert (left.band, left.duplicate_of, left.matched_id) == ("duplicate", "a", None)
    assert (left.probability, left.similarity) == (matched.probability, matched.similarity)
    engine.process([log.delete("a")])
    alone = engine.get("c")
    assert alone is not None
    assert (alone.band, alone.duplicate_of, alone.probability, alone.similarity) == ("new", None, 0.0, None)


def test_the_last_item_of_a_point_takes_it_out_of_the_index(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP), log.upsert("b", SHOP), log.upsert("c", WEATHER)])
    assert engine.stats()["collections"]["default"]["points"] == 2
    engine.process([log.delete("a")])
    assert engine.stats()["collections"]["default"]["points"] == 2
    engine.process([log.delete("b")])
    assert engine.stats()["collections"]["default"] == {
        "items": 1,
        "model": DeterministicEncoder().identity.key,
        "answers": 0,
        "review_share": 0.0,
        "target_precision": 0.95,
        "not_measured": [
            {"view": view, "kind": "long_prose", "answers": 0, "missing": 35} for view in ("stream", "alone")
        ],
        "list_weights": None,
        "second_model": None,
        "index": "exact",
        "points": 1,
        "recall": 1.0,
    }


def test_an_erased_item_leaves_no_trace_on_disk(tmp_path: Path, log: Log) -> None:
    secret, quoted, first = "Wilhelmina Zanzibar", "tx90210", "Quentin Xylophone"
    rest = "the parcel with the blue kettle remains that was paid at the shop in town two weeks ago, order"
    engine = opened(tmp_path, matcher=LearnedMatcher)
    events = engine.process(
        [
            log.configure(review_from=0.0),  # so that reasons are given, and quote
            log.upsert("a", f"{first} asks where {rest} {quoted}"),
            log.upsert("a", f"{secret} asks where {rest} {quoted}", attributes={"name": secret}),
            log.upsert("b", f"Somebody asks where {rest} tx90211"),
            log.upsert("a", f"{secret} asks where {rest} {quoted}", vector=[1.0]),
            log.add("item.upsert", json.dumps({"id": "a", "text": secret, "unknown": first}).encode()),
            log.upsert("keep", WEATHER),
        ]
    )
    assert any(quoted in json.dumps(data_of(event).get("reasons")) for event in events)
    before = bytes_on_disk(tmp_path)
    assert all(word.encode() in before for word in (secret, quoted, first))
    engine.process([log.feedback("b", "different", "a", by="ada")])

    gone = outcome(engine, log.erase("a"))
    assert (kind(gone), gone["erased"]) == ("item.deleted", True)
    while_open = bytes_on_disk(tmp_path)
    engine.close()
    for files in (while_open, bytes_on_disk(tmp_path)):
        assert [word for word in (secret, quoted, first) if word.encode() in files] == []
        assert WEATHER.encode() in files


def test_what_an_erasure_leaves_in_the_outbox_says_no_more_than_that(engine: Recommender, log: Log) -> None:
    (event,) = engine.process([log.upsert("a", SHOP, attributes={"name": "Ada"}, key="k")])
    before = json.loads(event.to_json("/recommender/default"))
    engine.process([log.erase("a")])
    left = engine.outcome("k")
    assert left == {
        **before,
        "data": {"command": before["data"]["command"], "item_id": "a", "collection": "default", "erased": True},
    }


def test_an_erasure_takes_the_reasons_out_of_verdicts_that_may_quote_the_item(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP), log.upsert("b", SHOP), log.upsert("c", SHOP)])
    told = verdicts_in_outbox(engine)
    assert [event["data"]["matched_id"] for event in told] == [None, "a", "a"]
    assert all(event["data"]["reasons"] and event["data"]["explanation"] for event in told[1:])
    erasing = engine.process([log.erase("a")])
    assert verdicts_in_outbox(engine) == [
        {**event, "data": {**event["data"], "reasons": [], "explanation": ""}} for event in told[1:]
    ]
    assert kind(data_of(erasing[0])) == "item.deleted"


def verdicts_in_outbox(engine: Recommender) -> list[dict[str, Any]]:
    rows = engine.outbox.after(START, 100)
    return [json.loads(row.event) for row in rows if row.type == "recommender.item.processed.v1"]


def test_erasing_names_every_published_entry_for_removal(engine: Recommender, log: Log) -> None:
    events = engine.process(
        [
            log.upsert("a", f"{SHOP} order 1042"),
            log.upsert("b", f"{SHOP} order 1043"),
            log.upsert("c", WEATHER),
            log.patch("a", {"x": 1}),
            log.upsert("a", "\u200b"),
            log.upsert("a", SHOP, silent=True, collection="other"),
        ]
    )
    about_a = [events[n].id for n in (0, 4, 5)]
    assert [kind(data_of(event)) for event in events] == [
        "item.processed",
        "item.processed",
        "group.changed",
        "item.processed",
        "item.patched",
        "command.rejected",
        "item.processed",
    ]
    assert data_of(events[1])["matched_id"] == "a"
    last = engine.process([log.erase("a")])
    assert engine.outbox.redactions() == about_a, "what others were told stays: it may not have been read yet"
    left = [row.id for row in engine.outbox.after(START, 100)]
    assert left == [events[n].id for n in (1, 2, 3)] + [event.id for event in last]


def test_an_item_can_come_back_in_the_batch_that_erased_it(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP, attributes={"x": 1}), log.upsert("b", SHOP)])
    erased, back = outcomes(engine, log.erase("a"), log.upsert("a", SHOP))
    assert erased["erased"] is True
    assert (back["revision"], back["duplicate_of"], back["group"]) == (1, "b", "g1")
    assert [row.id for row in engine.outbox.after(START, 10)][-1] == engine.last_event
    view = engine.get("a")
    assert view is not None
    assert view.attributes == {}


def test_erasing_what_was_never_there_is_confirmed(engine: Recommender, log: Log) -> None:
    assert kind(outcome(engine, log.erase("a", collection="nowhere"))) == "item.deleted"


# -- versions ----------------------------------------------------------------------------------------------------------


def test_an_older_version_loses(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP, version=5)])
    for late in (
        log.upsert("a", WEATHER, version=4),
        log.patch("a", {"x": 1}, version=4),
        log.delete("a", version=4),
    ):
        found = outcome(engine, late)
        assert (kind(found), found["reason"]) == ("command.ignored", "older_version")
    view = engine.get("a")
    assert view is not None
    assert (view.text, view.revision, view.attributes) == (SHOP, 1, {})


def test_the_same_version_and_none_at_all_win(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP, version=5)])
    assert outcome(engine, log.upsert("a", SHOP, version=5))["revision"] == 2
    assert outcome(engine, log.upsert("a", WEATHER))["revision"] == 3
    assert kind(outcome(engine, log.upsert("a", SHOP, version=4))) == "command.ignored"  # the version has stayed
    assert kind(outcome(engine, log.patch("a", {"x": 1}, version=6))) == "item.patched"
    assert kind(outcome(engine, log.upsert("a", SHOP, version=5))) == "command.ignored"


@pytest.mark.parametrize("version", [7, None])
def test_a_late_upsert_does_not_bring_a_deleted_item_back(engine: Recommender, log: Log, version: int | None) -> None:
    engine.process([log.upsert("a", SHOP, version=6)])
    engine.process([log.delete("a", **({} if version is None else {"version": version}))])
    assert outcome(engine, log.upsert("a", SHOP, version=5))["reason"] == "older_version"
    assert engine.get("a") is None
    assert kind(outcome(engine, log.upsert("a", SHOP, version=7))) == "item.processed"
    assert outcome(engine, log.upsert("a", SHOP, version=6))["reason"] == "older_version"


def test_an_item_that_came_back_leaves_its_old_version_behind(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP, version=7), log.delete("a", version=8), log.upsert("a", SHOP)])
    engine.process([log.delete("a")])
    assert kind(outcome(engine, log.upsert("a", SHOP, version=5))) == "item.processed"


def test_a_delete_may_come_before_its_upsert(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("other", WEATHER)])
    assert outcome(engine, log.delete("a", version=3))["reason"] == "unknown_item"
    assert outcome(engine, log.upsert("a", SHOP, version=2))["reason"] == "older_version"


def test_what_comes_late_does_not_bring_an_erased_text_back(engine: Recommender, log: Log) -> None:
    """Also the version that was erased, which a producer may have sent twice; a newer one is a new item."""
    engine.process([log.upsert("a", SHOP, version=6), log.erase("a")])
    for version in (1, 5, 6):
        assert outcome(engine, log.upsert("a", SHOP, version=version))["reason"] == "older_version"
    assert engine.get("a") is None
    assert kind(outcome(engine, log.upsert("a", SHOP, version=7))) == "item.processed"
    engine.process([log.erase("a"), log.erase("a")])
    assert outcome(engine, log.upsert("a", SHOP, version=7))["reason"] == "older_version"
    assert kind(outcome(engine, log.upsert("a", SHOP))) == "item.processed"


def test_an_erasure_of_what_was_deleted_keeps_the_version(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP, version=6), log.delete("a", version=7), log.erase("a")])
    assert outcome(engine, log.upsert("a", SHOP, version=6))["reason"] == "older_version"
    engine.process([log.upsert("b", SHOP, version=2**63 - 1), log.erase("b")])
    assert outcome(engine, log.upsert("b", SHOP, version=2**63 - 2))["reason"] == "older_version"


# -- silent commands ---------------------------------------------------------------------------------------------------


def test_silent_commands_publish_nothing_but_a_summary_by_the_clock(engine: Recommender, log: Log) -> None:
    engine.process(
        [
            log.upsert("a", SHOP, silent=True),
            log.upsert("b", SHOP, silent=True),
            log.patch("a", {"x": 1}, silent=True),
            log.delete("b", silent=True),
        ]
    )
    assert engine.outbox.after(START, 10) == []
    first_ms = engine.position.ms - 3
    assert engine.due_ms() == first_ms + SUMMARY_AFTER_MS

    assert outcomes(engine, log.tick(later_ms=SUMMARY_AFTER_MS - 4)) == []
    (summary,) = outcomes(engine, log.tick())
    assert summary == {
        "type": "recommender.items.backfilled.v1",
        "command": {"id": str(engine.position), "key": None},
        "collection": "default",
        "commands": 4,
        "bands": {"duplicate": 1, "new": 1},
    }
    assert engine.due_ms() is None
    assert len(engine.outbox.after(START, 10)) == 1


@pytest.mark.parametrize(
    ("type_", "version", "reason"),
    [("item.patch", None, "unknown_item"), ("item.delete", None, "unknown_item"), ("item.upsert", 1, "older_version")],
)
def test_a_silent_command_that_is_ignored_publishes_nothing(
    engine: Recommender, log: Log, type_: str, version: int | None, reason: str
) -> None:
    engine.process([log.upsert("there", SHOP, version=2, silent=True)])
    data: dict[str, Any] = {"id": "there" if version else "nobody", "silent": True}
    data |= {"attributes": {"x": 1}} if type_ == "item.patch" else {}
    data |= {"text": SHOP, "version": version} if version else {}
    (event,) = engine.process([log.add(type_, data, key="k")])
    assert (event.silent, data_of(event)["reason"]) == (True, reason)
    assert engine.outbox.after(START, 10) == []
    found = engine.outcome("k")
    assert found is not None
    assert found["data"]["reason"] == reason
    loud = engine.process([log.add(type_, {**data, "silent": False})])
    assert [row.id for row in engine.outbox.after(START, 10)] == [loud[0].id]


def test_a_summary_is_due_after_so_many_commands(engine: Recommender, log: Log) -> None:
    silent = [log.upsert("a", SHOP, silent=True, later_ms=0) for _ in range(SUMMARY_COMMANDS)]
    assert all(event.silent for event in engine.process(silent))
    summary, processed = outcomes(engine, log.upsert("b", WEATHER, later_ms=0))
    assert (kind(summary), summary["commands"], summary["bands"]) == ("items.backfilled", 1000, {"new": 1000})
    assert kind(processed) == "item.processed"


def test_summaries_come_in_the_order_of_collections_even_after_a_restart(tmp_path: Path) -> None:
    def told(directory: Path, *, restart: bool) -> list[str]:
        log, engine = Log(), opened(directory)
        engine.process([log.upsert("a", SHOP, collection="first"), log.upsert("b", SHOP, collection="second")])
        engine.process([log.upsert("c", WEATHER, collection="second", silent=True)])
        engine.process([log.upsert("d", WEATHER, collection="first", silent=True)])
        if restart:
            engine.close()
            engine = opened(directory)
        events = engine.process([log.tick(later_ms=SUMMARY_AFTER_MS)])
        engine.close()
        return lines(events)

    steady = told(tmp_path / "steady", restart=False)
    assert [json.loads(line)["data"]["collection"] for line in steady] == ["first", "second"]
    assert told(tmp_path / "restarted", restart=True) == steady


def test_a_failed_batch_counts_no_silent_command(log: Log) -> None:
    model = FailingEncoder(DeterministicEncoder())
    engine = opened(None, model)
    engine.process([log.upsert("a", SHOP, silent=True)])
    batch = [log.delete("a", silent=True), log.configure("x"), log.upsert("b", WEATHER, silent=True)]
    model.failing = True
    with pytest.raises(EncodingError, match="the model fails"):
        engine.process(batch)
    model.failing = False
    engine.process(batch)
    assert outcome(engine, log.tick(later_ms=SUMMARY_AFTER_MS))["commands"] == 3


# -- keys --------------------------------------------------------------------------------------------------------------


def test_every_kind_of_outcome_answers_its_key(engine: Recommender, log: Log) -> None:
    commands = [
        ("item.upsert", b"{"),
        ("item.patch", b'{"id":"nobody","attributes":{"x":1}}'),
        ("item.upsert", b'{"id":"a","text":"silently","silent":true}'),
        ("collection.configured", b'{"collection":"c","settings":{}}'),
    ]
    for n, (type_, data) in enumerate(commands):
        (event,) = engine.process([log.add(type_, data, key=f"k{n}")])
        assert engine.process([log.add(type_, data, key=f"k{n}", reply_to=f"r{n}")]) == []
        assert engine.outbox.replies(0, 10)[-1].outcome.id == event.id


def test_a_key_is_free_again_a_day_of_stream_time_later(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP, key="k")])
    assert engine.process([log.upsert("a", SHOP, key="k", later_ms=KEY_WINDOW_MS - 1)]) == []
    assert len(engine.process([log.upsert("a", SHOP, key="k", later_ms=1)])) == 1


def test_an_id_that_cannot_be_believed_does_not_move_stream_time(engine: Recommender, log: Log) -> None:
    (start,) = engine.process([log.upsert("a", SHOP, key="k", silent=True)])
    ahead = EntryId(start.id.ms + 365 * KEY_WINDOW_MS, 2**64 - 1)
    due_ms = engine.due_ms()
    strange = replace(log.upsert("b", WEATHER, key="strange"), id=ahead, at_ms=start.id.ms + 5)
    (event,) = engine.process([strange])
    assert (event.id.ms, data_of(event)["command"]["id"]) == (start.id.ms + 5, str(ahead))
    assert (engine.position, engine.due_ms()) == (ahead, due_ms)
    assert engine.tidying.prune(outbox_ms=KEY_WINDOW_MS, sent=event.id) == 0
    assert engine.outcome("k") is not None

    def follows(seq: int, later_ms: int, entry: Entry) -> Entry:
        """What a server does once it holds such an id: all others come behind it."""
        return replace(entry, id=EntryId(ahead.ms + 1, seq), at_ms=start.id.ms + later_ms)

    assert engine.process([follows(0, 10, log.upsert("a", SHOP, key="k", silent=True))]) == []
    told = outcomes(engine, follows(1, KEY_WINDOW_MS, log.upsert("c", SHOP, key="k")))
    assert [kind(data) for data in told] == ["items.backfilled", "item.processed"]


def test_entries_up_to_the_position_are_skipped(engine: Recommender, log: Log) -> None:
    entries = [log.upsert("a", SHOP), log.upsert("b", WEATHER)]
    first = engine.process(entries)
    assert engine.process(entries) == []
    assert engine.process([*entries, log.delete("b")])[0].id > first[-1].id
    assert engine.position == entries[-1].id.next_at(entries[-1].id.ms + 1)


# -- collections -------------------------------------------------------------------------------------------------------


def test_collections_know_nothing_of_each_other(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP), log.upsert("a", SHOP, collection="tickets")])
    other = outcome(engine, log.upsert("b", SHOP, collection="tickets"))
    assert (other["duplicate_of"], other["group"]) == ("a", "g2")
    engine.process([log.delete("a", collection="tickets"), log.erase("b", collection="tickets")])
    assert engine.get("a") is not None
    assert engine.get("a", "tickets") is None
    assert [hit.id for hit in engine.search(SHOP)] == ["a"]
    assert engine.search(SHOP, "tickets") == []
    assert engine.outbox.redactions() != []
    assert outcome(engine, log.upsert("c", SHOP))["duplicate_of"] == "a"


def test_settings_hold_from_the_next_command_on_even_in_one_batch(engine: Recommender, log: Log) -> None:
    strict: dict[str, Any] = {"min_length": 1000, "similar_from": 0.99}
    before, configured, after = outcomes(
        engine,
        log.upsert("a", SHOP),
        log.upsert("b", SHOPS),
        log.configure(**strict, recommendations=0),
        log.upsert("c", SHOPS + " again"),
    )[1:]
    assert before["band"] == "duplicate"
    assert kind(configured) == "collection.configured"
    settings = CollectionSettings(**strict, recommendations=0)
    assert configured["settings"] == settings.model_dump(mode="json")
    assert (after["band"], after["recommendations"]) == ("new", [])


def test_a_collection_can_be_configured_before_it_has_items(engine: Recommender, log: Log) -> None:
    engine.process([log.configure("tickets", candidates=1)])
    assert engine.stats()["collections"]["tickets"] == {
        "items": 0,
        "model": None,
        "answers": 0,
        "review_share": 0.0,
        "target_precision": 0.95,
        "not_measured": [
            {"view": view, "kind": "long_prose", "answers": 0, "missing": 35} for view in ("stream", "alone")
        ],
        "list_weights": None,
        "second_model": None,
        "index": "exact",
        "points": 0,
        "recall": 1.0,
    }


def test_a_model_that_is_not_there_is_rejected(engine: Recommender, log: Log) -> None:
    found = outcome(engine, log.configure("tickets", model="gpt"))
    assert (kind(found), found["code"], found["field"]) == ("command.rejected", "unknown_model", "settings.model")
    assert engine.stats()["collections"] == {}


def test_the_model_of_a_collection_with_vectors_stays(log: Log) -> None:
    engine = opened(None, other=DeterministicEncoder(32))
    found = outcomes(
        engine,
        log.configure("tickets", model="other"),
        log.upsert("a", SHOP, collection="tickets"),
        log.configure("tickets"),
        log.upsert("b", SHOP, collection="tickets"),
    )
    assert (kind(found[2]), found[2]["code"]) == ("command.rejected", "model_in_use")
    assert found[1]["model"] == found[3]["model"] == DeterministicEncoder(32).identity.key
    assert engine.stats()["collections"]["tickets"]["model"] == DeterministicEncoder(32).identity.key


@pytest.mark.parametrize(
    ("type_", "data", "code"),
    [
        ("item.upsert", {"id": "a", "text": "\u200b"}, "empty_text"),
        ("item.upsert", {"id": "a", "text": SHOP, "vector": [1.0]}, "wrong_dimension"),
        ("interaction.recorded", {"item": "a", "user": "u", "kind": "sniff"}, "unknown_kind"),
        ("interaction.recorded", {"item": "a", "user": "u", "kind": "rate"}, "missing_field"),
        (
            "recommendation.shown",
            {"recommendation_id": "r", "items": ["a"], "scenario": "home"},
            "unknown_scenario",
        ),
        ("recommendations.subscribed", {"user": "u", "scenario": "home"}, "unknown_scenario"),
        ("collection.configured", {"settings": {"model": "another"}}, "unknown_model"),
    ],
)
def test_a_rejected_command_makes_no_collection(
    engine: Recommender, log: Log, type_: str, data: dict[str, Any], code: str
) -> None:
    (found,) = outcomes(engine, log.add(type_, {"collection": "new", **data}))
    assert found.get("code") == code
    assert engine.stats()["collections"] == {}


def test_a_collection_whose_model_is_not_served_rejects_its_items_only(log: Log) -> None:
    class NoDefault:
        names = ("mine",)

        def encoder(self, name: str) -> Encoder:
            if name != "mine":
                raise ConfigurationError(f"model {name!r} is not declared")
            return DeterministicEncoder()

    engine = open_recommender(None, NoDefault())
    refused, _, processed = outcomes(
        engine,
        log.upsert("a", SHOP),
        log.configure("tickets", model="mine"),
        log.upsert("a", SHOP, collection="tickets"),
    )
    assert (kind(refused), refused["code"]) == ("command.rejected", "unknown_model")
    assert kind(processed) == "item.processed"


def test_a_state_with_vectors_of_another_model_is_refused(tmp_path: Path, log: Log) -> None:
    engine = opened(tmp_path)
    engine.process([log.upsert("a", SHOP)])
    engine.close()
    with pytest.raises(ModelError, match=r"holds vectors of deterministic@\w+, but the model .* is now"):
        opened(tmp_path, DeterministicEncoder(32))
    opened(tmp_path).close()


# -- messages that cannot be accepted ----------------------------------------------------------------------------------


def test_a_rejection_says_why_and_what_was_said(engine: Recommender, log: Log) -> None:
    rejected, good = outcomes(engine, log.add("item.upsert", {"id": "a", "txt": "b"}, key="k"), log.upsert("b", SHOP))
    assert rejected == {
        "type": "recommender.command.rejected.v1",
        "command": {"id": rejected["command"]["id"], "key": "k"},
        "code": "unknown_field",
        "field": "txt",
        "message": "txt: there is no such field",
        "item_id": "a",
        "collection": "default",
        "command_type": "item.upsert",
        "payload": '{"id": "a", "txt": "b"}',
        "payload_encoding": "utf-8",
        "payload_bytes": 23,
        "source": "stream",
    }
    assert kind(good) == "item.processed"


def test_what_another_door_refused_is_a_rejection_with_its_reason(engine: Recommender, log: Log) -> None:
    refused = {
        "source": "celery",
        "code": "not_base64",
        "message": "the body is no base64",
        "payload": "//4=",
        "payload_encoding": "base64",
        "payload_bytes": 7,
        "item_id": "a",
        "collection": "tickets",
    }
    first, repeated = outcomes(engine, log.add("message.refused", refused, key="k"), log.upsert("b", SHOP))
    about_itself = {"command": first["command"], "field": None, "command_type": "message.refused"}
    assert first == {"type": "recommender.command.rejected.v1", **about_itself, **refused}
    assert kind(repeated) == "item.processed"
    engine.process([log.add("message.refused", refused, key="k")])
    assert sum("not_base64" in line for line in outbox_lines(engine)) == 1

    engine.process([log.upsert("a", SHOP, collection="tickets"), log.erase("a", collection="tickets")])
    assert not any("not_base64" in line for line in outbox_lines(engine)), "it was about an item that was erased"


def test_a_finding_changes_nothing_by_itself(engine: Recommender, log: Log) -> None:
    before = log.upsert("a", SHOP)
    said = {"entry": str(before.id), "reason": "the message alone ended a process with SIGSEGV"}
    assert engine.process([log.add("command.quarantined", said)]) == []
    assert engine.position > before.id


def test_bytes_that_are_no_text_come_back_in_base64(engine: Recommender, log: Log) -> None:
    found = outcome(engine, log.add("item.upsert", b"\xff\xfe"))
    assert (found["payload"], found["payload_encoding"], found["code"]) == ("//4=", "base64", "not_utf8")
    assert (found["item_id"], found["collection"]) == (None, None)


def test_a_rejection_is_never_much_larger_than_the_limit(engine: Recommender, log: Log) -> None:
    hostile = json.dumps({"id": "a", "text": "b", "x" * 100_000: 1}).encode()
    for data in (hostile, b"\xff" * (limits.MAX_MESSAGE_BYTES + 50_000)):
        (event,) = engine.process([log.add("t" * 1000, data), log.add("item.upsert", data)][1:])
        assert len(event.to_json("/s").encode()) < 1.5 * limits.MAX_MESSAGE_BYTES
        assert data_of(event)["payload_bytes"] == len(data)


@pytest.mark.parametrize("ms", [0, 253_402_300_799_999, 253_402_300_800_000, 10**18])
def test_an_entry_may_have_any_time(engine: Recommender, ms: int) -> None:
    (event,) = engine.process([Log(ms).upsert("a", SHOP)])
    envelope = json.loads(event.to_json("/s"))
    assert ("time" in envelope) == (event.id.ms <= 253_402_300_799_999)


# -- questions ---------------------------------------------------------------------------------------------------------


def test_search_gives_canonical_items_best_first(engine: Recommender, log: Log) -> None:
    engine.process(
        [
            log.upsert("a", SHOP, attributes={"x": 1}),
            log.upsert("b", SHOPS),
            log.upsert("c", "the card payment at home"),
            log.upsert("d", WEATHER),
        ]
    )
    before = engine.stats(), outbox_lines(engine)
    hits = engine.search(SHOPS)
    assert [hit.id for hit in hits] == ["a", "c"]
    assert hits[0].score == 1.0  # that of the closest member of the group
    assert (hits[0].text, hits[0].attributes, hits[0].group) == (SHOP, {"x": 1}, "g1")
    assert hits == engine.search(SHOPS)
    assert [hit.id for hit in engine.search(SHOPS, limit=1)] == ["a"]
    assert (engine.stats(), outbox_lines(engine)) == before


def test_search_in_an_unknown_collection_finds_nothing(engine: Recommender) -> None:
    assert engine.search(SHOP, "nowhere") == []


@pytest.mark.parametrize(("text", "code"), [("", "invalid_value"), ("  ", "invalid_value"), ("\u200b", "empty_text")])
def test_search_for_nothing_is_an_error(engine: Recommender, text: str, code: str) -> None:
    with pytest.raises(InvalidCommand, match="text") as caught:
        engine.search(text)
    assert caught.value.code == code


def test_recommend_leaves_out_the_item_and_its_duplicates(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP), log.upsert("b", SHOP), log.upsert("c", "the card payment at home")])
    assert [hit.id for hit in engine.recommend("b") or []] == ["c"]
    assert [hit.id for hit in engine.recommend("c") or []] == ["a"]
    assert engine.recommend("nobody") is None
    assert engine.recommend("a", "nowhere") is None


def test_recommend_asks_with_the_recorded_vector(log: Log) -> None:
    model = Counting()
    engine = opened(None, model)
    engine.process([log.upsert("a", SHOP, vector=unit(0)), log.upsert("b", WEATHER, vector=unit(1, 0.5))])
    assert [(hit.id, hit.score) for hit in engine.recommend("a") or []] == [("b", 0.5)]
    assert model.texts == []


def test_the_difference_in_one_wording_is_a_reason(log: Log) -> None:
    engine = opened(matcher=LearnedMatcher)
    said = [f"My order {number} has not been delivered to me" for number in (1042, 1043)]
    events = engine.process([log.upsert(text, text) for text in said])
    told = data_of(events[1])
    assert told["band"] in {"similar", "review"}
    assert "order numbers differ: 1043 / 1042" in told["explanation"]
    compared = engine.compare(*(Item(id=text, text=text) for text in said))
    assert "order numbers differ: 1042 / 1043" in compared.explanation


def test_a_pair_without_similarity_has_only_the_reason_of_meaning_unless_asked_for(log: Log) -> None:
    engine = opened(matcher=LearnedMatcher)
    said = ["the office printer jams on every page", "where is the invoice for march"]
    events = engine.process([log.upsert(text, text) for text in said])
    assert [reason["code"] for reason in data_of(events[1])["reasons"]] == ["cosine_similarity"]
    assert len(engine.compare(*(Item(id=text, text=text) for text in said)).reasons) > 1


def test_compare_gives_a_verdict_and_stores_nothing(engine: Recommender, log: Log) -> None:
    engine.process([log.configure("loose", similar_from=-1.0)])
    shop, weather = Item(id="x", text=SHOP), Item(id="y", text=WEATHER)
    assert engine.compare(shop, Item(id="z", text=SHOP.upper())).probability == 1.0
    assert engine.compare(shop, weather).band == "new"
    loose = Item(id="x", collection="loose", text=SHOP)
    assert engine.compare(loose, weather).similarity == engine.compare(shop, weather).similarity
    assert engine.compare(loose, weather).band == "similar"
    assert engine.stats()["items"] == 0


def test_get_tells_where_an_item_stands_now(engine: Recommender, log: Log) -> None:
    said = outcome(engine, log.upsert("a", SHOP), log.upsert("b", SHOPS, attributes={"x": 1}))
    view = engine.get("b")
    assert view is not None
    assert view.model_dump(mode="json") == {
        **{name: said[name] for name in view.model_dump() if name in said},
        "text": SHOPS,
        "compared": None,
        "cuts": [],
        "attributes": {"x": 1},
    }
    assert engine.get("nobody") is None
    assert engine.get("b", "nowhere") is None


def test_stats_count_what_is_there(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP), log.upsert("b", WEATHER), log.upsert("a", SHOP, collection="tickets")])
    stats = engine.stats()
    assert stats["items"] == 3
    assert stats["position"] == str(engine.position)
    assert stats["last_event"] == str(engine.last_event)
    assert {name: one["items"] for name, one in stats["collections"].items()} == {"default": 2, "tickets": 1}


# -- when the model fails ----------------------------------------------------------------------------------------------


def test_a_failing_model_leaves_nothing_behind_and_the_batch_can_be_tried_again(log: Log) -> None:
    model = FailingEncoder(DeterministicEncoder())
    engine, calm = opened(None, model), opened()
    start = [log.upsert("a", SHOP, key="k")]
    batch = [
        log.upsert("b", SHOP),
        log.delete("a"),
        log.upsert("x", SHOP, collection="new"),
        log.configure("tickets", candidates=1),
        log.upsert("c", WEATHER, key="k2"),
    ]
    assert lines(engine.process(start)) == lines(calm.process(start))
    before = engine.stats(), outbox_lines(engine), engine.get("a")

    model.failing = True
    with pytest.raises(EncodingError, match="the model fails"):
        engine.process(batch)
    assert (engine.stats(), outbox_lines(engine), engine.get("a")) == before
    assert [hit.id for hit in engine.search(SHOP)] == ["a"]

    model.failing = False
    assert lines(engine.process(batch)) == lines(calm.process(batch))
    assert engine.stats() == calm.stats()


class AllergicTo:
    """An encoder that fails on every batch that holds a certain text."""

    def __init__(self, text: str) -> None:
        self._encoder = DeterministicEncoder()
        self._text = text

    @property
    def identity(self) -> ModelIdentity:
        return self._encoder.identity

    def encode(self, texts: Sequence[str]) -> Embeddings:
        if self._text in texts:
            raise EncodingError("this one")
        return self._encoder.encode(texts)


def test_a_text_that_the_model_fails_on_costs_itself_only(log: Log) -> None:
    engine = opened(None, AllergicTo("poison"))
    texts = [SHOP, "poison", WEATHER, f"{SHOP} again", "poison"]
    told = outcomes(engine, *(log.upsert(f"i{n}", text) for n, text in enumerate(texts)))
    assert [data.get("code") for data in told] == [None, "encoding_failed", None, None, "encoding_failed"]
    assert [data["item_id"] for data in told] == [f"i{n}" for n in range(5)]
    assert engine.get("i1") is None
    assert data_of(engine.process([log.upsert("alone", "poison")])[0])["code"] == "encoding_failed"


class Broken:
    """An encoder that gives whatever it was told to."""

    def __init__(self, give: Callable[[int], Any]) -> None:
        self._give = give

    @property
    def identity(self) -> ModelIdentity:
        return DeterministicEncoder().identity

    def encode(self, texts: Sequence[str]) -> Embeddings:
        return Embeddings(self._give(len(texts)), np.zeros(len(texts), np.bool_))


@pytest.mark.parametrize(
    "give",
    [
        pytest.param(lambda n: np.full((n, DIMENSION), np.nan, np.float32), id="NaN"),
        pytest.param(lambda n: np.full((n, DIMENSION), np.inf, np.float32), id="infinity"),
        pytest.param(lambda n: np.zeros((n, DIMENSION), np.float32), id="zeros"),
        pytest.param(lambda n: np.full((n, DIMENSION), 1e-42, np.float32), id="denormal"),
        pytest.param(lambda n: np.ones((n, DIMENSION), np.float32), id="not of length 1"),
        pytest.param(lambda n: np.eye(n, DIMENSION - 1, dtype=np.float32), id="another dimension"),
        pytest.param(lambda n: np.eye(n + 1, DIMENSION, dtype=np.float32), id="one vector too many"),
    ],
)
def test_what_is_no_embedding_is_refused(log: Log, give: Callable[[int], Any]) -> None:
    engine = opened(None, Broken(give))
    with pytest.raises(EncodingError, match="not a vector of length 1 for every text"):
        engine.process([log.upsert("a", SHOP), log.upsert("b", WEATHER)])
    assert engine.stats()["items"] == 0
    assert engine.position == START


# -- batches, exactly --------------------------------------------------------------------------------------------------
# What Hypothesis looks for in test_invariants.py and finds only now and then.

NARROW: dict[str, Any] = {"candidates": 1, "similar_from": 0.0}


def crowd(log: Log) -> list[Entry]:
    """Fourteen items near the first axis, one further away, and a single place among the candidates."""
    near = [log.upsert(f"near {n}", f"text {n}", vector=unit(n, 0.9)) for n in range(1, 15)]
    return [log.configure(**NARROW), *near, log.upsert("far", "far away", vector=unit(20, 0.5))]


@pytest.mark.parametrize(
    "clear",
    [
        pytest.param(lambda log, n: [log.delete(f"near {n}")], id="deleted"),
        pytest.param(lambda log, n: [log.erase(f"near {n}")], id="erased"),
        pytest.param(lambda log, n: [log.upsert(f"near {n}", "moved", vector=unit(40 + n, -0.9))], id="moved"),
        pytest.param(
            lambda log, n: [log.upsert(f"near {n}", f"text {n}", vector=unit(40 + n, -0.9))], id="same text moved"
        ),
        pytest.param(
            lambda log, n: [log.upsert(f"near {n}", f"text {n}", vector=unit(n, 0.9)), log.delete(f"near {n}")],
            id="confirmed and deleted",
        ),
        pytest.param(
            lambda log, n: [log.delete(f"near {n}"), *([log.configure("tickets")] if n == 14 else [])],
            id="deleted before a change of settings",
        ),
    ],
)
def test_what_a_batch_takes_away_is_made_up_for(log: Log, clear: Callable[[Log, int], list[Entry]]) -> None:
    before = crowd(log)
    cleared = [entry for n in range(1, 15) for entry in clear(log, n)]
    events = assert_same_in_one_batch(before, [*cleared, log.upsert("q", "question", vector=unit(0))])
    assert data_of(events[-1])["matched_id"] == "far"


def test_ties_do_not_depend_on_what_else_is_in_the_batch(log: Log) -> None:
    # Similarities that differ by less than events tell, rising with the label.
    tied = [log.upsert(f"i{n}", f"text {n}", vector=unit(n, 0.49999952 + n * 6e-8)) for n in range(1, 15)]
    far = [log.upsert(f"far {n}", f"far {n}", vector=unit(20 + n, -0.5)) for n in range(5)]
    question = log.upsert("q", "question", vector=unit(0))
    batch = [question, *(log.delete(f"far {n}") for n in range(5))]
    log_first = Log(START.ms)
    events = assert_same_in_one_batch([log_first.configure(**NARROW), *tied, *far], batch)
    assert data_of(events[0])["similarity"] == 0.5


def test_a_vector_comes_from_its_own_text_and_not_from_a_twin_that_has_gone(log: Log) -> None:
    # The same fingerprint, but the model tells them apart.
    before = [log.upsert("z", "gesperrte straße im ort")]
    batch = [log.upsert("x", "STRASSE GESPERRT"), log.delete("x"), log.upsert("y", "straße gesperrt")]
    assert_same_in_one_batch(before, batch)


def test_a_vector_recorded_for_a_twin_goes_with_it(log: Log) -> None:
    before = [log.upsert("z", "gesperrte straße im ort"), log.upsert("x", "STRASSE GESPERRT")]
    assert_same_in_one_batch(before, [log.delete("x"), log.upsert("y", "straße gesperrt")])


def test_the_vector_of_an_ignored_twin_is_not_used(log: Log) -> None:
    before = [log.upsert("z", "gesperrte straße im ort"), log.upsert("x", WEATHER, version=2)]
    batch = [log.upsert("x", "STRASSE GESPERRT", version=1), log.upsert("y", "straße gesperrt")]
    assert_same_in_one_batch(before, batch)


def test_the_kind_of_index_may_change_in_the_middle_of_a_batch(log: Log) -> None:
    batch = [
        log.upsert("a", SHOP),
        log.configure(index="hnsw"),
        log.upsert("b", SHOPS),
        log.delete("a"),
        log.configure(index="exact"),
        log.upsert("c", SHOP),
    ]
    events = assert_same_in_one_batch([], batch)
    told = [data_of(event) for event in events if not is_correction(event)]
    assert told[-1]["duplicate_of"] == "b"


# -- restarts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", ["exact", "hnsw", "auto"])
def test_a_restart_changes_no_answer(tmp_path: Path, log: Log, index: str) -> None:
    engine = opened(tmp_path)
    engine.process(
        [
            log.configure(index=index),
            log.upsert("a", SHOP),
            log.upsert("b", SHOPS),
            log.upsert("c", WEATHER),
            log.delete("a"),
        ]
    )
    before = answers(engine)
    engine.close()
    again = opened(tmp_path)
    assert answers(again) == before
    assert outcome(again, log.upsert("d", SHOP))["duplicate_of"] == "b"
    again.close()


def answers(engine: Recommender) -> dict[str, Any]:
    return {
        "stats": engine.stats(),
        "search": engine.search(SHOP),
        "recommend": engine.recommend("c"),
        "views": [engine.get(id_) for id_ in "abc"],
        "outbox": outbox_lines(engine),
        "due": engine.due_ms(),
    }


def crowded_directory(directory: Path, log: Log, items: int = 400) -> Recommender:
    """A graph that is asked: more items than it would look at one by one."""
    engine = opened(directory)
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(items, DIMENSION))
    engine.process([log.configure(index="hnsw", candidates=5)])
    engine.process([log.upsert(f"i{n}", f"text {n}", vector=vector.tolist()) for n, vector in enumerate(vectors)])
    return engine


def test_hnsw_collections_restart_from_their_snapshot(tmp_path: Path, log: Log) -> None:
    engine = crowded_directory(tmp_path, log)
    questions = [f"i{n}" for n in range(0, 400, 40)]
    before = [engine.recommend(id_) for id_ in questions]
    assert engine.stats()["collections"]["default"]["index"] == "hnsw"
    assert engine.sampled_recall()["default"] > 0.9
    engine.close()
    assert any((tmp_path / "index").rglob("*"))

    again = opened(tmp_path)
    assert [again.recommend(id_) for id_ in questions] == before
    again.close()


def test_a_snapshot_is_completed_with_what_was_committed_behind_it(tmp_path: Path, log: Log) -> None:
    engine = crowded_directory(tmp_path, log)
    engine.snapshot(all_changes=True)
    engine.process([log.delete("i7"), log.upsert("late", SHOP), log.upsert("i8", WEATHER)])
    expected = engine.sizes(), engine.recommend("late")
    crash(engine)

    again = opened(tmp_path)
    assert (again.sizes(), again.recommend("late")) == expected
    assert outcome(again, log.upsert("twin", SHOP))["duplicate_of"] == "late"
    assert "i7" not in [hit.id for hit in again.search("text 7", limit=100)]
    again.close()


def crash(engine: Recommender) -> None:
    """Let go of the files as a killed process does, without writing snapshots."""
    engine._store.close()
    engine._on_close()


@pytest.mark.parametrize(
    ("least", "written"),
    [pytest.param(10, [False, True], id="a tenth"), pytest.param(60, [False, False, True], id="so many")],
)
def test_a_snapshot_is_due_after_so_many_changes_and_a_part_of_the_index(
    tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch, least: int, written: list[bool]
) -> None:
    monkeypatch.setattr(indexes, "_SNAPSHOT_EVERY", least)
    engine = crowded_directory(tmp_path, log)
    engine.snapshot(all_changes=True)
    rng = np.random.default_rng(4)

    def changed_by(items: int) -> bool:
        """Whether so many items more make a snapshot due."""
        before = snapshot_bytes(tmp_path)
        vectors = rng.normal(size=(items, DIMENSION)).tolist()
        engine.process([log.upsert(f"{items} {n}", f"more {n}", vector=vector) for n, vector in enumerate(vectors)])
        engine.snapshot()
        return snapshot_bytes(tmp_path) != before

    assert [changed_by(20 + 10 * n) for n in range(len(written))] == written  # 20, 50, 90 of about 450
    before = snapshot_bytes(tmp_path)
    engine.snapshot(all_changes=True)
    assert snapshot_bytes(tmp_path) == before, "nothing has changed since"
    engine.process([log.delete("i1")])
    engine.snapshot(all_changes=True)
    assert snapshot_bytes(tmp_path) != before
    engine.close()


def snapshot_bytes(directory: Path) -> bytes:
    return bytes_on_disk(directory / "index")


def test_a_lost_or_damaged_snapshot_costs_nothing_but_time(tmp_path: Path, log: Log) -> None:
    engine = crowded_directory(tmp_path, log)
    before = engine.stats(), engine.recommend("i3")
    engine.close()
    for path in (tmp_path / "index").rglob("*"):
        if path.is_file():
            path.write_bytes(b"\xff" * path.stat().st_size)
    again = opened(tmp_path)
    assert (again.stats(), again.recommend("i3")) == before
    again.close()


def test_the_kind_of_index_can_be_changed_and_survives_a_restart(tmp_path: Path, log: Log) -> None:
    engine = crowded_directory(tmp_path, log)
    for kind_ in ("exact", "hnsw", "auto"):
        engine.process([log.configure(index=kind_, candidates=5), log.upsert(kind_, SHOP)])
        expected = unsampled(engine), engine.recommend("i3")
        engine.close()
        engine = opened(tmp_path)
        assert (unsampled(engine), engine.recommend("i3")) == expected
    engine.close()


def unsampled(engine: Recommender) -> dict[str, Any]:
    """Statistics but for the recall, which a thread of its own measures."""
    stats = engine.stats()
    for collection in stats["collections"].values():
        del collection["recall"]
    return stats


# -- upkeep ------------------------------------------------------------------------------------------------------------


def test_events_continue_behind_a_stream_that_is_there_already(engine: Recommender, log: Log) -> None:
    ahead = EntryId(1_800_000_000_000, 7)
    engine.continue_after(ahead)
    (event,) = engine.process([log.upsert("a", SHOP)])
    assert event.id == ahead.next_at(0)


def test_event_ids_rise_whatever_the_ids_of_commands(engine: Recommender) -> None:
    slow = Log()
    events = engine.process([slow.upsert(f"i{n}", f"{SHOP} {n}", later_ms=0) for n in range(5)])
    ids = [event.id for event in events]
    assert ids == sorted(set(ids))
    assert {id_.ms for id_ in ids} == {engine.position.ms}


def test_a_state_keeps_the_first_name_it_was_given(tmp_path: Path) -> None:
    engine, other = opened(tmp_path / "one"), opened(tmp_path / "two")
    assert engine.notes.identify("first") == engine.notes.identify("second") == "first"
    assert other.notes.identify("second") == "second"
    engine.close()
    other.close()
    again = opened(tmp_path / "one")
    assert again.notes.identify("third") == "first"
    again.close()


def test_acknowledged_work_is_not_offered_again(engine: Recommender, log: Log) -> None:
    (event,) = engine.process([log.upsert("a", SHOP, reply_to="task")])
    engine.process([log.erase("a")])
    assert engine.delivered is None
    (reply,) = engine.outbox.replies(0, 10)
    engine.acknowledge(replied=[reply.id], redacted=[event.id], delivered=event.id)
    assert engine.outbox.replies(0, 10) == []
    assert engine.outbox.redactions() == []
    assert engine.delivered == event.id


def test_pruning_drops_old_events_and_keys(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("a", SHOP, key="k")])
    engine.process([log.upsert("b", WEATHER, key="k2", later_ms=2 * KEY_WINDOW_MS)])
    assert engine.outcome("k2") is not None
    first, _ = engine.outbox.after(START, 10)
    assert engine.tidying.prune(outbox_ms=KEY_WINDOW_MS, sent=START) == 0, "what has not reached its receivers stays"
    assert engine.tidying.prune(outbox_ms=KEY_WINDOW_MS, sent=first.id) == 1
    assert len(engine.outbox.after(START, 10)) == 1
    assert engine.outcome("k") is None
    found = engine.outcome("k2")
    assert found is not None
    assert found["data"]["item_id"] == "b"


def test_what_was_processed_is_one_transaction_per_batch(tmp_path: Path, log: Log) -> None:
    engine = opened(tmp_path)
    entries = [log.upsert(f"i{n}", f"{n} {n} {n} {n}") for n in range(3)]
    events = engine.process(entries)
    crash(engine)
    again = opened(tmp_path)
    assert again.position == entries[-1].id
    assert [row.id for row in again.outbox.after(START, 10)] == [event.id for event in events]
    assert all(isinstance(event.data, ItemProcessed) for event in events)
    again.close()


def test_models_are_asked_by_name() -> None:
    with pytest.raises(ConfigurationError, match="'unheard-of' is not declared"):
        Models().encoder("unheard-of")


def test_sizes_are_what_stats_adds_up_to(engine: Recommender) -> None:
    log = Log()
    engine.process([log.configure("graph", index="hnsw"), log.upsert("a", "one text", collection="graph")])
    engine.process([log.upsert(f"i{n}", f"text number {n}") for n in range(5)])
    items, points = engine.sizes()
    by_kind: Counter[str] = Counter()
    for collection in engine.stats()["collections"].values():
        by_kind[collection["index"]] += collection["points"]
    assert (items, points) == (engine.stats()["items"], by_kind)
    assert points.keys() == {"exact", "hnsw"}
