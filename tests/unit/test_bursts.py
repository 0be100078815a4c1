"""Several reports of one incident, each in other words: the fourth brings all together, and nothing else does."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender_engine import Entry, Recommender
from recommender_engine.items import Item, ItemKey, ItemProcessed
from recommender_engine.matching import item_terms
from recommender_engine.matching.matchers.incidents import REPORTS, Report, same_incident
from recommender_engine.matching.text.reading import MOST_CHARACTERS
from recommender_engine.pipeline.dedup import bursts
from tests.support.engine import Log, corrections_of, data_of, group_changed, opened

WORDS = (
    "The lift in the library has been stuck since this morning.",
    "Somebody is in the elevator and it is not moving at the moment.",
    "Nobody can leave the cabin, we hear knocking today.",
    "Is there an outage? The doors of it have been shut for half an hour.",
    "Today it does not open and a student is calling for help.",
)
LIKE = 0.6  # the cosine of two reports: far below what the cosine alone calls a duplicate, or asks people about
MEMBERS = [str(number) for number in range(1, REPORTS + 1)]


def vector(axis: int, alike: float = LIKE) -> list[float]:
    """One of a family of which any two have the cosine ``alike``."""
    found = [0.0] * 64
    found[0], found[axis] = alike**0.5, (1 - alike) ** 0.5
    return found


def report(log: Log, number: int, text: str | None = None, **fields: Any) -> Entry:
    said = WORDS[number - 1] if text is None else text
    return log.upsert(str(number), said, vector=fields.pop("vector", vector(number)), **fields)


def other(log: Log, axis: int) -> Entry:
    """An item that is like nothing else."""
    found = [0.0] * 64
    found[axis] = 1.0
    return log.upsert(f"other-{axis}", f"Question number {axis} is about the weather of today.", vector=found)


def told(engine: Recommender, *entries: Entry) -> dict[str, Any]:
    """The outcome of the last entry."""
    return [data_of(event) for event in engine.process(entries) if isinstance(event.data, ItemProcessed)][-1]


def groups(engine: Recommender, ids: Sequence[str]) -> list[str]:
    views = [engine.get(id_) for id_ in ids]
    return [view.group for view in views if view is not None]


def apart(engine: Recommender, ids: Sequence[str] = MEMBERS) -> bool:
    return len(set(groups(engine, ids))) == len(ids)


def test_three_reports_stay_as_they_are_and_the_fourth_brings_them_together(engine: Recommender, log: Log) -> None:
    engine.process([report(log, number) for number in (1, 2, 3)])
    assert apart(engine, ["1", "2", "3"])
    said = told(engine, report(log, 4))
    assert (said["band"], said["duplicate_of"], said["group"]) == ("duplicate", "1", "g1")
    assert said["probability"] == bursts.PRECISION
    assert said["reasons"][0]["code"] == "same_incident"
    assert said["reasons"][0]["detail"]["reports"] == 3
    assert said["explanation"].startswith("like 3 other reports that arrived within a minute and speak of now")
    assert groups(engine, MEMBERS) == ["g1"] * 4


def test_included_reports_are_published_by_existing_events(engine: Recommender, log: Log) -> None:
    engine.process([report(log, number) for number in (1, 2, 3)])
    found = corrections_of(engine.process([report(log, 4)]))
    assert sorted(one["change"] for one in found if "change" in one) == ["joined", "merged", "merged"]
    revised = [one for one in found if "previous_band" in one]
    assert [(one["item_id"], one["band"], one["duplicate_of"], one["cause"]) for one in revised] == [
        ("2", "duplicate", "1", "groups_merged"),
        ("3", "duplicate", "1", "groups_merged"),
    ]
    assert all(one["reasons"][0]["code"] == "same_incident" for one in revised)


def test_a_fifth_joins_what_is_there(engine: Recommender, log: Log) -> None:
    engine.process([report(log, number) for number in (1, 2, 3, 4)])
    found = corrections_of(engine.process([report(log, 5)]))
    assert found == [group_changed("g1", "joined", ["5"], size=5, canonical="1")]


def test_a_report_that_does_not_describe_the_present_is_included_only_if_it_is_near(
    engine: Recommender, log: Log
) -> None:
    glass, woman = (
        "The library has a lift with doors of glass.",
        "Please help the woman who is in the lift of the library.",
    )
    engine.process(
        [log.upsert("far", glass, vector=vector(20, 0.5)), log.upsert("near", woman, vector=vector(21, 0.8))]
    )
    engine.process([report(log, number, vector=vector(number, 0.75)) for number in (1, 2, 3, 4)])
    assert groups(engine, MEMBERS) == groups(engine, ["near"]) * 4
    assert groups(engine, ["far"]) != groups(engine, ["near"])


@pytest.mark.parametrize("speaking", range(REPORTS))
def test_they_describe_the_present(engine: Recommender, log: Log, speaking: int) -> None:
    engine.process([report(log, 1 + number) for number in range(speaking)])
    silent = [f"How do I use the lift of building {word}?" for word in ("one", "of the library", "that is old", "here")]
    engine.process([report(log, 1 + n, silent[n]) for n in range(speaking, REPORTS)])
    assert apart(engine)


def test_a_report_with_another_subject_or_time_is_excluded(engine: Recommender, log: Log) -> None:
    engine.process([report(log, 1, "The lift 4711 has been stuck since this morning."), report(log, 2), report(log, 3)])
    engine.process([report(log, 4, "Today the lift 4712 does not open and a student is in it.")])
    assert apart(engine)
    assert told(engine, report(log, 5))["duplicate_of"] == "1"
    assert groups(engine, ["4"]) != groups(engine, ["1"])


def test_a_report_with_another_time_of_day_is_excluded(engine: Recommender, log: Log) -> None:
    engine.process([report(log, 1, "The lift was stuck at 10:15 with somebody in it."), report(log, 2), report(log, 3)])
    engine.process([report(log, 4, "It was at 14:40 that the lift did not open.")])
    assert apart(engine)


def test_what_people_said_is_different_stays_apart(engine: Recommender, log: Log) -> None:
    engine.process([report(log, number) for number in (1, 2)])
    engine.process([log.feedback("1", "different", "2")])
    engine.process([report(log, number) for number in (3, 4, 5)])
    assert len(set(groups(engine, ["1", "2", "3", "4", "5"]))) == 2
    assert groups(engine, ["1"]) != groups(engine, ["2"])


def test_they_come_close_together_in_the_stream(engine: Recommender, log: Log) -> None:
    engine.process([report(log, number) for number in (1, 2, 3)])
    engine.process([other(log, axis) for axis in range(10, 10 + bursts.ARRIVALS)])
    engine.process([report(log, 4)])
    assert apart(engine)


def test_they_come_within_the_hour(engine: Recommender, log: Log) -> None:
    engine.process([report(log, number) for number in (1, 2, 3)])
    engine.process([report(log, 4, later_ms=bursts.MINUTES * 60_000 + 1)])
    assert apart(engine)


def test_the_time_of_an_item_counts_where_it_has_one(engine: Recommender, log: Log) -> None:
    days = (f"2026-03-0{day}T08:00:00Z" for day in count(1))
    engine.process([report(log, number, timestamp=next(days)) for number in (1, 2, 3, 4)])
    assert apart(engine)


def test_where_the_band_is_closed_a_burst_does_not_open_it(engine: Recommender, log: Log) -> None:
    engine.process([log.configure(target_precision=0.99)])
    engine.process([report(log, number) for number in (1, 2, 3, 4)])
    assert apart(engine)


def test_long_texts_are_none(engine: Recommender, log: Log) -> None:
    engine.process([report(log, number, " ".join([WORDS[number - 1]] * 6)) for number in (1, 2, 3, 4)])
    assert apart(engine)


def test_things_with_a_price_are_none(engine: Recommender, log: Log) -> None:
    engine.process([report(log, number, attributes={"price": 1.0}) for number in (1, 2, 3, 4)])
    assert apart(engine)


def test_an_old_group_is_not_drawn_in(engine: Recommender, log: Log) -> None:
    engine.process([log.upsert("old", "The lift is not moving since yesterday.", vector=vector(20))])
    engine.process([other(log, axis) for axis in range(24, 24 + bursts.ARRIVALS)])
    engine.process([log.upsert("again", "The lift is not moving since yesterday.", vector=vector(20))])
    assert groups(engine, ["old"]) == groups(engine, ["again"])
    engine.process([report(log, number) for number in (1, 2, 3, 4)])
    assert groups(engine, MEMBERS) == groups(engine, ["1"]) * 4
    assert groups(engine, ["old"]) != groups(engine, ["1"])


def test_compare_says_what_the_worker_says(engine: Recommender, log: Log) -> None:
    engine.process([report(log, number) for number in (1, 2, 3)])
    arriving = Item(id="4", text=WORDS[3], vector=vector(4))
    compared = engine.compare(arriving, ItemKey(id="1"), collection="default")
    said = told(engine, report(log, 4))
    assert (compared.band, compared.probability) == ("duplicate", said["probability"])
    assert compared.reasons[0].code == "same_incident"


def test_batches_make_no_difference() -> None:
    logs = Log(), Log()
    whole, single = opened(), opened()
    entries = [[report(log, number) for number in (1, 2, 3, 4, 5)] for log in logs]
    at_once = [data_of(event) for event in whole.process(entries[0])]
    one_by_one = [data_of(event) for entry in entries[1] for event in single.process([entry])]
    whole.close(), single.close()
    for said in (*at_once, *one_by_one):
        said.pop("timings", None)
    assert at_once == one_by_one


SPOKEN = {
    "en": ("It has been down since yesterday.", "How do I change my address?"),
    "de": ("Seit heute früh geht nichts mehr.", "Wie ändere ich meine Adresse?"),
    "fr": ("Depuis ce matin rien ne marche.", "Comment changer mon adresse ?"),
    "es": ("No funciona desde ayer.", "¿Cómo cambio mi dirección?"),
    "it": ("Da stamattina non funziona.", "Come cambio il mio indirizzo?"),
    "nl": ("Sinds vanochtend doet hij het niet.", "Hoe wijzig ik mijn adres?"),
    "pl": ("Od rana nic nie działa.", "Jak zmienić adres?"),
    "pt": ("Desde hoje de manhã que não abre.", "Como mudo a minha morada?"),
}


def test_every_language_has_words_that_describe_the_present() -> None:
    folder = files("recommender_engine.matching.text").joinpath("languages")
    listed = {
        file.name.removesuffix(".toml")
        for file in folder.iterdir()
        if file.name.endswith(".toml") and tomllib.loads(file.read_text(encoding="utf-8")).get("now")
    }
    assert listed == set(SPOKEN)


@pytest.mark.parametrize("language", SPOKEN)
def test_words_that_describe_the_present(language: str) -> None:
    now, ever = SPOKEN[language]
    assert len(same_incident(_report(now, 1), [_report(now, axis) for axis in (2, 3, 4)])) == 3
    assert same_incident(_report(ever, 1), [_report(now, axis) for axis in (2, 3, 4)]) == []
    assert same_incident(_report(now, 1), [_report(ever, axis) for axis in (2, 3, 4)]) == []


AWAY = {
    "en": ("I am sick today and stay at home.", "Fever since this morning, I cannot come."),
    "de": ("Ich bin heute krank.", "Seit gestern Fieber, ich bleibe zu Hause."),
    "fr": ("Je suis malade aujourd'hui.", "Arrêt maladie depuis ce matin."),
    "es": ("Hoy estoy enfermo y no voy.", "Tengo fiebre desde ayer."),
    "it": ("Oggi sono malata e resto a casa.", "Ho la febbre da ieri."),
    "nl": ("Ik ben vandaag ziek.", "Sinds gisteren koorts, ik blijf thuis."),
    "pl": ("Jestem dzisiaj chory.", "Mam gorączkę od wczoraj."),
    "pt": ("Hoje estou doente.", "Estou com febre desde ontem."),
}


@pytest.mark.parametrize("language", AWAY)
def test_people_who_are_away_report_no_incident(language: str) -> None:
    now, _ = SPOKEN[language]
    for text in AWAY[language]:
        assert same_incident(_report(text, 1), [_report(text, axis) for axis in (2, 3, 4)]) == []
        assert same_incident(_report(now, 1), [_report(text, axis) for axis in (2, 3, 4)]) == []


def test_sick_notes_stay_apart(engine: Recommender, log: Log) -> None:
    notes = ("I am sick today.", "Not in today, fever.", "Calling in ill this morning.", "Flu since yesterday, sorry.")
    engine.process([report(log, number, note) for number, note in enumerate(notes, 1)])
    assert apart(engine)


def test_only_the_beginning_of_a_text_is_read() -> None:
    far = "x " * MOST_CHARACTERS + "today"
    assert same_incident(_report(far, 1), [_report("today", axis) for axis in (2, 3, 4)]) == []


def _report(text: str, axis: int) -> Report:
    return Report(item_terms(Item(id="-", text=text)), np.array(vector(axis), np.float32))


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(3, 9))
def test_the_order_of_the_candidates_makes_no_difference(seed: int, size: int) -> None:
    draw = np.random.default_rng(seed)
    found = draw.normal(0.6, 1.0, (size + 1, 6))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    texts = [("It is down today." if draw.random() < 0.8 else "How do I pay?") for _ in range(size + 1)]
    reports = [
        Report(item_terms(Item(id="-", text=text)), one.astype(np.float32))
        for text, one in zip(texts, found, strict=True)
    ]
    latest, *earlier = reports
    order = draw.permutation(size)
    shuffled = same_incident(latest, [earlier[place] for place in order])
    assert sorted(int(order[place]) for place in shuffled) == same_incident(latest, earlier)


FORMS = (
    "The backup of the server {} has not been done today.",
    "It is raining in {} at the moment.",
    "{} cannot come to work today.",
    "In {} funktioniert das Netz seit heute Morgen nicht.",
)
NAMES = ("Oslo", "Lisbon", "Hamburg", "Vienna", "Prague", "New York")


@pytest.mark.parametrize("form", FORMS)
def test_a_form_filled_in_for_several_things_is_no_incident(engine: Recommender, log: Log, form: str) -> None:
    ids = [str(number) for number in range(1, len(NAMES) + 1)]
    engine.process([report(log, int(id_), form.format(name)) for id_, name in zip(ids, NAMES, strict=True)])
    assert apart(engine, ids)


def test_one_sentence_that_one_says_more_of_is_one_report(engine: Recommender, log: Log) -> None:
    said = "The lift in the library is stuck today"
    texts = [f"{said}.", f"{said}, hurry!", f"{said}, hurry, help!", f"{said}, hurry, help, a child!"]
    engine.process([report(log, number, text) for number, text in enumerate(texts, 1)])
    assert not apart(engine)


def test_an_included_report_names_no_other_subject_than_the_others(engine: Recommender, log: Log) -> None:
    """The latest report names none, so it is like both; what it is compared with decides."""
    engine.process([log.upsert("near", "Please help the woman in the lift 4712.", vector=vector(21, 0.8))])
    engine.process([report(log, 1, "The lift 4711 has been stuck since this morning.", vector=vector(1, 0.75))])
    engine.process([report(log, number, vector=vector(number, 0.75)) for number in (2, 3, 4)])
    assert not apart(engine)
    assert groups(engine, ["near"])[0] not in groups(engine, MEMBERS)
