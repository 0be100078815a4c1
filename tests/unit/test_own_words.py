"""Words of a collection: added to the shipped lists or left out of them, for this collection alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender_engine import Entry, Recommender
from recommender_engine.items import Band, CollectionSettings, Item, WordLists
from recommender_engine.matching import MATCHERS, Candidate, Comparable, CountedTerms, LearnedMatcher, item_terms
from recommender_engine.matching.differences import differences
from recommender_engine.matching.matchers.incidents import describes_the_present
from recommender_engine.matching.text.lexicon import lexicon
from recommender_engine.matching.text.terms import fold
from recommender_engine.matching.text.tokens import tokens_of
from tests.support.engine import Log, data_of, lines, opened, outbox_lines

BOTTLE = "Steel bottle Fjord 750 ml with lid and strap for hiking"
AURORA = "Steel bottle Fjord Aurora 750 ml with lid and strap for hiking"
PRO = "Steel bottle Fjord Pro 750 ml with lid and strap for hiking"
OWN: list[dict[str, Any]] = [{"editions": "Nordic, Aurora", "remove": {"editions": "PRO"}}]


def words(*lists: dict[str, Any]) -> tuple[WordLists, ...]:
    return CollectionSettings.model_validate({"words": lists}).words


def apart(one: str, other: str, *lists: dict[str, Any]) -> set[str]:
    known = lexicon(words(*lists))
    here, there = (item_terms(Item(id=text, text=text)).read_by(known) for text in (one, other))
    assert here is not None
    assert there is not None
    return set(differences(here, there))


@pytest.mark.parametrize(
    ("lists", "kind", "one", "other"),
    [
        ({"editions": "aurora"}, "edition", BOTTLE, AURORA),
        ({"language": "de", "editions": "Größe Eins"}, "edition", "Becher Tal", "Becher Tal GRÖSSE eins"),
        ({"editions": "c++"}, "edition", "Course Nils", "Course Nils C++"),
        ({"editions": "mark 4xl"}, "edition", "Course Nils", "Course Nils mark 4XL"),
        ({"conditions": "/ / / / Vorführer Z"}, "condition", "Drucker Kolm 7", "Drucker Kolm 7, Vorführer Z"),
        ({"accessories": "zorbel"}, "accessory", "Drone Avis 2", "Drone Avis 2 zorbel"),
        ({"opposites": "gru / zlo; lef / rik"}, "opposite", "No mail in the lef box", "No mail in the rik box"),
        ({"language": "sv", "negation": "inte"}, "negation", "Skrivaren skriver ut", "Skrivaren skriver inte ut"),
        ({"sizes": "/ / / / medel / stor"}, "letter size", "Tröja Lin medel", "Tröja Lin stor"),
        ({"numbers": "sju:7, nio:9"}, "amount", "Paket med sju flaskor", "Paket med nio flaskor"),
        ({"months": "tammikuu / helmikuu"}, "moment", "Kurssi 3 tammikuu", "Kurssi 3 helmikuu"),
    ],
)
def test_a_word_of_the_collection_separates(lists: dict[str, Any], kind: str, one: str, other: str) -> None:
    assert kind in apart(one, other, lists)
    assert kind in apart(other, one, lists)
    assert kind not in apart(one, other)


def test_words_of_one_condition_are_one() -> None:
    own = {"conditions": "generalüberholt bei uns"}
    assert apart("Mixer MX 4 generalüberholt bei uns", "Mixer MX 4 refurbished", own) == set()


@pytest.mark.parametrize(
    ("removed", "kind", "one", "other"),
    [
        ({"editions": "pro, plus"}, "edition", BOTTLE, PRO),
        ({"conditions": "pre-owned"}, "condition", "Rowing machine Tarn 300", "Rowing machine Tarn 300 pre owned"),
        ({"opposites": "on"}, "opposite", "Please switch the pump on", "Please switch the pump off"),
        ({"months": "May"}, "opposite", "The fair in may", "The fair in june"),
        ({"accessories": "charger"}, "accessory", "Drone Avis 2", "Drone Avis 2 charger"),
    ],
)
def test_a_shipped_word_can_be_left_out(removed: dict[str, str], kind: str, one: str, other: str) -> None:
    assert kind in apart(one, other)
    assert kind not in apart(one, other, {"remove": removed})
    assert kind in apart(one, other, {"language": "pt", "remove": removed}), "of another language it stays"


def test_a_word_can_be_moved_to_another_list() -> None:
    own = {"conditions": "refreshed, air", "remove": {"editions": "air"}}
    assert apart("Rower Tarn 300", "Rower Tarn 300 air", own) == {"condition"}


def test_a_phrase_of_now_is_added_and_left_out() -> None:
    one, other = (item_terms(Item(id=text, text=text)) for text in ("Kassa stängd sedan 10", "The shop is down"))
    assert not describes_the_present(one)
    assert describes_the_present(one, words({"now": "sedan #"}))
    assert describes_the_present(other)
    assert not describes_the_present(other, words({"remove": {"now": "is down"}, "now": "sedan #"}))


def test_a_phrase_of_absence_is_added_and_left_out() -> None:
    one, other = (
        item_terms(Item(id=text, text=text)) for text in ("Off with a cough today", "Fever sensor down today")
    )
    assert describes_the_present(one)
    assert not describes_the_present(one, words({"absence": "cough"}))
    assert not describes_the_present(other)
    assert describes_the_present(other, words({"remove": {"absence": "fever"}}))


def test_every_shipped_phrase_can_be_found_in_a_text() -> None:
    known = lexicon()
    for phrase in known.meanings:
        tokens = tuple(one.text for one in tokens_of(fold(" ".join(phrase)), known.lengths))
        assert any(mark.end == len(tokens) for marks in known.marks(tokens).values() for mark in marks), phrase


def test_the_shipped_words_are_as_they_were_beside_those_of_collections() -> None:
    before = dict(lexicon().meanings)
    own = lexicon(words(*OWN))
    assert own.meanings[("aurora",)]
    assert ("pro",) not in own.meanings
    assert own is lexicon(words(*OWN)), "equal words share what they are read by"
    assert lexicon(words()) is lexicon()
    assert lexicon().meanings == before
    assert own.meanings.keys() - before.keys() == {("aurora",), ("nordic",)}


def verdict(by: CollectionSettings, one: str, other: str) -> tuple[Band, set[str], dict[str, float]]:
    here, there = (Comparable(Item(id=text, text=text), text.encode()) for text in (one, other))
    matcher, pair = LearnedMatcher(lambda _: CountedTerms()), [Candidate(there, 0.99)]
    found = matcher.explain(here, pair, 0, by)
    return found.band, {one.code for one in found.reasons}, matcher.row(here, pair, 0, by)


def test_collections_of_unlike_words_do_not_share_what_was_read() -> None:
    plain, own = CollectionSettings(), CollectionSettings(words=words(*OWN))
    third = CollectionSettings(words=words({"conditions": "aurora"}))
    for _ in range(2):
        _, said, row = verdict(own, BOTTLE, AURORA)
        assert "edition_differs" in said
        assert row["edition_differs"] == 1
        _, said, row = verdict(plain, BOTTLE, AURORA)
        assert "edition_differs" not in said
        assert row["edition_differs"] == 0
        assert "condition_differs" in verdict(third, BOTTLE, AURORA)[1]
        assert "edition_differs" in verdict(plain, BOTTLE, PRO)[1]
        assert "edition_differs" not in verdict(own, BOTTLE, PRO)[1]


def engine(directory: Path | None = None) -> Recommender:
    return opened(directory, matcher=MATCHERS["learned"])


def stream(log: Log) -> list[Entry]:
    """The same items into a collection without words and one that gets words of its own on the way."""
    keys: dict[str, Any] = {"target_precision": 0.5, "review_budget": None}
    entries = [log.configure(one, **keys) for one in ("plain", "own")]
    for turn in range(2):
        for number, text in enumerate((BOTTLE, AURORA, PRO)):
            entries += [log.upsert(f"{turn}{number}", f"{text} {turn}", collection=name) for name in ("own", "plain")]
        entries.append(log.feedback(f"{turn}1", "different", f"{turn}0", collection="own"))
        entries.append(log.configure("own", **keys, words=OWN))
    return entries


def contested(found: list[dict[str, Any]]) -> dict[str, set[str]]:
    """The codes of the reasons of each item, by collection and id."""
    return {
        f"{one['collection']} {one['item_id']}": {reason["code"] for reason in one["reasons"]}
        for one in found
        if one["type"] == "recommender.item.processed.v1"
    }


def test_they_hold_from_the_next_command_on_and_for_this_collection_alone() -> None:
    said = contested([data_of(event) for event in engine().process(stream(Log()))])
    with_edition = {name for name, codes in said.items() if "edition_differs" in codes}
    assert with_edition == {"own 02", "own 11", "plain 02", "plain 12"}, "before: pro; then: aurora in one of them"


def test_a_replay_and_another_batching_give_the_same_events(tmp_path: Path) -> None:
    entries = stream(Log())
    whole = engine()
    said = lines(whole.process(entries))
    single = engine(tmp_path)
    again: list[str] = []
    for number, entry in enumerate(entries):
        again += lines(single.process([entry]))
        if number == len(entries) - 3:
            single.close()
            single = engine(tmp_path)
    assert again == said
    assert outbox_lines(single) == outbox_lines(whole)
    assert single.settings()["own"].words == words(*OWN)
    assert '"words":[{"editions":"Nordic, Aurora","remove":{"editions":"PRO"}}]' in said[-1]


def test_what_was_decided_stays_until_an_item_is_judged_again() -> None:
    log, one = Log(), engine()
    keys: dict[str, Any] = {"target_precision": 0.5, "review_budget": None}
    one.process([log.configure(**keys), log.upsert("a", BOTTLE), log.upsert("b", AURORA)])
    before = one.get("b")
    assert before is not None
    one.process([log.configure(**keys, words=OWN)])
    assert one.get("b") == before
    said = contested([data_of(event) for event in one.process([log.upsert("b", f"{AURORA} !")])])
    assert "edition_differs" in said["default b"]


SIGNS = "aß\u0130²ªé'\u2019+#-3x. \u0301½"
PHRASES = st.text(SIGNS, min_size=1, max_size=8)
MEANINGS = st.lists(PHRASES, max_size=3).map(" / ".join)
LISTED = st.lists(PHRASES, max_size=4).map(", ".join)


@settings(deadline=None, max_examples=60)
@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("editions", "accessories", "negation", "for", "from", "common", "now"), LISTED)
        | {
            name: st.lists(PHRASES, max_size=3).map(" / ".join)
            for name in ("conditions", "months", "sizes", "opposites")
        }
        | {"remove": st.fixed_dictionaries({}, optional={"editions": LISTED, "now": LISTED, "months": LISTED})},
    ),
    st.text(SIGNS, max_size=40),
)
def test_any_words_that_are_accepted_can_be_read_with(lists: dict[str, Any], text: str) -> None:
    try:
        own = words(lists)
    except ValueError:
        return
    one, other = (item_terms(Item(id="a", text=f"x {said}")) for said in (text, f"{text} a"))
    here, there = one.read_by(lexicon(own)), other.read_by(lexicon(own))
    assert here is not None
    assert there is not None
    assert differences(here, there).keys() == differences(there, here).keys()
    describes_the_present(one, own)


def test_settings_with_words_survive_their_json() -> None:
    own = words({"language": "en", "for": "til", "remove": {"with": "and"}}, {"language": "sv", "negation": "inte"})
    given_settings = CollectionSettings(words=own)
    assert CollectionSettings.model_validate_json(given_settings.model_dump_json()) == given_settings
    assert json.loads(given_settings.model_dump_json())["words"] == [
        {"for": "til", "language": "en", "remove": {"with": "and"}},
        {"negation": "inte", "language": "sv"},
    ]
