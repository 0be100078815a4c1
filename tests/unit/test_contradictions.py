"""What sets two texts of the same wording apart for certain, and what does not: pairs of our own, kind by kind."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender_engine.items import Band, CollectionSettings, Item
from recommender_engine.matching import Candidate, Comparable, CountedTerms, LearnedMatcher, item_terms
from recommender_engine.matching.differences import RULES, differences
from recommender_engine.matching.differences.pair import ReadingPair
from recommender_engine.matching.features.table import FEATURES, MONOTONE, TABLE
from recommender_engine.matching.text.lexicon import lexicon
from recommender_engine.matching.text.reading import read
from recommender_engine.matching.text.terms import MOST_READ, fold
from tests.support.costs import UNITS

DIFFERENT = {
    "condition": [
        ("Rowing machine Tarn 300", "Rowing machine Tarn 300, pre-owned"),
        ("Ankerkraut Mixer MX 4", "Ankerkraut Mixer MX 4, B-Ware"),
        ("Cámara Vista Q7", "Cámara Vista Q7 reacondicionada"),
        ("Perceuse Forta 18", "Perceuse Forta 18 en panne, pour pièces"),
        ("Żelazko Para 2000", "Żelazko Para 2000 używane"),
        ("Tablet Onda 8, refurbished", "Tablet Onda 8, used"),
    ],
    "accessory": [
        ("Fuji Finepix Z5", "Carry bag for Fuji Finepix Z5"),
        ("Fuji Finepix Z5", "Zorbel for Fuji Finepix Z5"),
        ("Staubsauger Wirbel 700", "Bürste für Staubsauger Wirbel 700"),
        ("Sega circolare Taglio 190", "Lama per sega circolare Taglio 190"),
        ("Fiets Draai 28", "Fiets Draai 28 houder"),
        ("Drone Avis 2", "Drone Avis 2 charger"),
        ("Friteuse Crosti 3", "Panier de friteuse Crosti 3"),
    ],
    "edition": [
        ("Motorola Edge 50 256 GB", "Motorola Edge 50 Ultra 256 GB"),
        ("Das Tal der Mühlen, Brettspiel", "Das Tal der Mühlen, Brettspiel, Limited Edition"),
        ("Graficzna karta Orla 6600", "Graficzna karta Orla 6600 XT"),
        ("Scheda video Lupo 4070", "Scheda video Lupo 4070 Super"),
        ("Reader Folio 16 GB", "Reader Folio Kids 16 GB"),
        ("Camera Fjell R8 body", "Camera Fjell R8 Mark II body"),
    ],
    "pack": [
        ("Sponge cloths Blanka", "Sponge cloths Blanka, pack of 10"),
        ("Tomaten Sole 400 g", "Tomaten Sole 6 x 400 g"),
        ("Ampoule Clair E27", "Ampoule Clair E27, lot de 3"),
        ("Toalhas Onda", "Toalhas Onda 4 unidades"),
    ],
    "letter size": [
        ("Hiking sock Fell grey S", "Hiking sock Fell grey XL"),
        ("Koszulka Len biała, mała", "Koszulka Len biała, duża"),
        ("Cardigan Brume taille M", "Cardigan Brume taille L"),
    ],
    "version": [
        ("Segfault since Ruby 3.2", "Segfault since Ruby 3.20"),
        ("Leere Seite seit Release 7.4", "Leere Seite seit Release 7.40"),
    ],
    "sign": [
        ("Optical lens Vela -1.75", "Optical lens Vela +1.75"),
        ("Freezer alarm at -21 degrees", "Freezer alarm at +21 degrees"),
        ("+1", "-1"),
    ],
    "symbol": [
        ("Tutor for C++ wanted", "Tutor for C# wanted"),
        ("Grade A+ for the essay", "Grade A- for the essay"),
        ("Torch Lux, AAA cells", "Torch Lux, AA cells"),
    ],
    "moment": [
        ("No heating in block D on 2024-02-11", "No heating in block D on 2024-02-19"),
        ("Rechnung vom 04.05.2023 fehlt", "Rechnung vom 14.05.2023 fehlt"),
        ("Bus at 07:25 did not come", "Bus at 19:25 did not come"),
        ("Écran plat 16:9", "Écran plat 16:10"),
        ("Wizyta 3 marca odwołana", "Wizyta 13 marca odwołana"),
    ],
    "negation": [
        ("The scanner reads my badge", "The scanner does not read my badge"),
        ("Night sync finished early", "Night sync has not started"),
        ("Das Tor schließt von selbst", "Das Tor schließt nicht von selbst"),
        ("La télé capte la chaîne", "La télé ne capte pas la chaîne"),
        ("El ascensor llega al sótano", "El ascensor no llega al sótano"),
        ("La luce del corridoio funziona", "La luce del corridoio non funziona"),
        ("De lift stopt op de zolder", "De lift stopt niet op de zolder"),
        ("A porta da garagem abre", "A porta da garagem não abre"),
        ("Drukarka na parterze drukuje", "Drukarka na parterze nie drukuje"),
    ],
    "opposite": [
        ("We were able to print after the update", "We were unable to print after the update"),
        ("Casque de vélo enfant bleu", "Casque de vélo adulte bleu"),
        ("Fahrradhelm Kinder blau", "Fahrradhelm Erwachsene blau"),
        ("Please switch the pump on", "Please switch the pump off"),
        ("Peanuts unsalted 200 g", "Peanuts salted 200 g"),
        ("Bewässerung einschalten", "Bewässerung ausschalten"),
        ("Désactiver le rappel", "Activer le rappel"),
        ("Zwiększyć limit karty", "Zmniejszyć limit karty"),
        ("Deploy of till-svc failed in staging", "Deploy of till-svc failed in production"),
        ("Planner Orbis 2024 for Windows", "Planner Orbis 2024 for Linux"),
        ("No bin was emptied on Monday", "No bin was emptied on Thursday"),
        ("Wiper blade Klar, summer", "Wiper blade Klar, winter"),
        ("Zapatillas Rayo niño 30", "Zapatillas Rayo niña 30"),
        ("Maglia lana bambino verde", "Maglia lana bambina verde"),
        ("The landlord did not sign", "The tenant did not sign"),
        ("Mijn aanvraag is goedgekeurd", "Mijn aanvraag is afgekeurd"),
        ("Both lamps in the hall flicker", "One of the lamps in the hall flicker"),
        ("Alle Fenster sind offen", "Einige Fenster sind offen"),
    ],
    "direction": [
        ("Train from Bergen to Malmö", "Train from Malmö to Bergen"),
        ("Überweisung von Sparkonto auf Depot", "Überweisung von Depot auf Sparkonto"),
        ("Change 40 EUR → CHF", "Change 40 CHF → EUR"),
        ("Lot z Poznania do Oslo", "Lot z Oslo do Poznania"),
        ("Przelew z konta Anny na konto Tomka", "Przelew z konta Tomka na konto Anny"),
    ],
    "exchange": [
        ("The nurse called the doctor twice", "The doctor called the nurse twice"),
        ("Row 5, seat 9 is wet", "Row 9, seat 5 is wet"),
        ("Search finds invoices but not orders", "Search finds orders but not invoices"),
        ("O inquilino processou o senhorio", "O senhorio processou o inquilino"),
        ("Der Eingang ist besetzt, obwohl die Kasse leer ist", "Die Kasse ist besetzt, obwohl der Eingang leer ist"),
        ("Der Lehrer hat den Schüler gelobt", "Der Schüler hat den Lehrer gelobt"),
        ("Le four est froid alors que la plaque est chaude", "La plaque est froide alors que le four est chaud"),
        ("Il fiume non raggiunge il lago", "Il lago non raggiunge il fiume"),
    ],
    "numeral": [("Dragon Song VI", "Dragon Song VII"), ("Tome IX des mémoires", "Tome XI des mémoires")],
    "amount": [
        ("Schrauben Karton 1.000 Stück", "Schrauben Karton 1 Stück"),
        ("Rabatt von 15 % fehlt", "Rabatt von 15 € fehlt"),
        ("Washer steel 100 mm", "Washer steel 101 mm"),
        ("Lámpara 2.500 unidades", "Lámpara 2,5 unidades"),
        ("Rechnung 3.400 EUR", "Rechnung 3,40 EUR"),
        ("Vis inox 1 000 pièces", "Vis inox 1 pièces"),
        ("Ceramic capacitor 22 nF", "Ceramic capacitor 22 pF"),
        ("Router Nord 300 Mbps", "Router Nord 300 Kbps"),
    ],
    "host": [
        ("Certificate for shop.example.com expires soon", "Certificate for images.example.com expires soon"),
        ("db-02.eu.example.net does not answer", "cache.eu.example.net does not answer"),
        ("Zertifikat von https://api.beispiel.de/v1 läuft ab", "Zertifikat von https://files.beispiel.de/v1 läuft ab"),
        ("No backup of mail.north.co.uk last night", "No backup of files.north.co.uk last night"),
    ],
    "word": [
        ("Impact driver Forta TWD 18V-20", "Impact driver Forta TWE 18V-20"),
        ("Hand soap almond, 300 ml", "Hand soap peony, 300 ml"),
        ("Chino Fell 32, straight leg", "Chino Fell 32, cropped leg"),
        ("Kopfkissen Wolke Daune 80 x 80", "Kopfkissen Wolke Hirse 80 x 80"),
        ("Tarte pommes surgelée 700 g", "Tarte abricots surgelée 700 g"),
        ("Bolsa térmica playa grande", "Bolsa térmica picnic grande"),
        ("Zupa ogórkowa słoik 500 ml", "Zupa fasolowa słoik 500 ml"),
        ("Poster frame space black A2", "Poster frame walnut A2"),
    ],
}

SAME = [
    ("Hand soap almond, 300 ml", "Hand soap amlond, 300 ml"),
    ("Hand soap almond, 300 ml", "Hand soap allmond, 300 ml"),
    ("Bookshelf Fjell black oak", "Bookshelf Fjell blk oak"),
    ("Bookshelf Fjell black metal", "Bookshelf Fjell schwarz metal"),
    ("Tablet Onda with kick stand", "Tablet Onda with kickstand"),
    ("Why is the screen black after the update", "Why is the display black after the update"),
    ("Wandplank eik 80 x 20 cm", "Wandplank eik 800 x 200 mm"),
    ("Jupe en laine pour femme, longue", "Jupe femme en laine, longue"),
    ("Certificate for shop.example.com expires soon", "The certificate of shop.example.com expires soon"),
    ("Dash camera V3 | www.fjord.co.uk", "Dash camera V3 | www.lakes.co.uk"),
    ("Dash camera V3, shop.fjord.com", "Dash camera V3, store.lakes.com"),
    ("Dash camera V3 - fjord.de", "Dash camera V3 - lakes.fr"),
    ("Cannot reach www.example.com", "Cannot reach example.com"),
    ("No answer from jo@mail.example.com", "No answer from al@post.example.com"),
    ("Rowing machine Tarn 300, second hand", "Pre-owned rowing machine Tarn 300"),
    ("Carry bag for Fuji Finepix Z5", "Fuji Finepix Z5 carry bag"),
    ("Kettle Nim with lid 1.7 l", "Kettle Nim 1.7 l"),
    ("Sponge cloths Blanka, pack of 10", "10 sponge cloths Blanka"),
    ("Ampoule Clair E27, lot de 3", "Lot de trois ampoules Clair E27"),
    ("Hiking sock Fell grey XXL", "Hiking sock Fell grey 2XL"),
    ("Segfault since Ruby 3.0", "Segfault since Ruby 3"),
    ("Segfault since Ruby v3.2", "Segfault since Ruby 3.2"),
    ("Spacer 7.0 mm", "Spacer 7 mm"),
    ("Invoice of 5.50 euros", "Invoice of 5.5 euros"),
    ("No heating in block D on 2024-02-11", "No heating in block D on 11 February 2024"),
    ("Yoga at 9 am", "Yoga at 9:00 am"),
    ("2024-02-11 04:12:09 host ceres is DOWN", "2024-02-11 04:17:09 host ceres is DOWN"),
    ("The scanner does not read my badge", "The scanner doesn't read my badge"),
    ("Das Tor geht nicht mehr auf", "Das Tor geht nicht auf"),
    ("Train from Bergen to Malmö", "Train to Malmö from Bergen"),
    ("Der Monteur kam nicht am Freitag", "Am Freitag kam der Monteur nicht"),
    ("The plumber did not come on Friday", "On Friday the plumber did not come"),
    ("El fontanero no vino el lunes", "El lunes no vino el fontanero"),
    ("Please return the jacket & the boots", "Please return the boots & the jacket"),
    ("Né il treno né il bus è arrivato", "Né il bus né il treno è arrivato"),
    ("Bread, butter and jam are missing", "Jam, butter and bread are missing"),
    ("The soup is cold and the tea is cold", "The tea is cold and the soup is cold"),
    ("Neither the bus nor the tram came", "Neither the tram nor the bus came"),
    ("Wool scarf grey Nordby", "Grey scarf wool Nordby"),
    ("Box 40 x 30 x 20 cm", "Box 20 x 30 x 40 cm"),
    ("When I print a page the tray jams", "The tray jams when I print a page"),
    ("Dragon Song, part IV", "Dragon Song, part 4"),
    ("Schrauben Karton 1.000 Stück", "Schrauben Karton 1'000 Stück"),
    ("Olio di semi 1.000 ml", "Olio di semi 1 l"),
    ("Jus de pomme 1 000 ml", "Jus de pomme 1 l"),
    ("Rope 6 ft", "Rope 1.8 m"),
    ("Screen Vexo 65 inch", "Screen Vexo 164 cm"),
    ("الطلب رقم ٨٢٣٤٥ لم يصل", "الطلب رقم 82345 لم يصل"),
]


def apart(one: str, other: str) -> set[str]:
    here, there = item_terms(Item(id="a", text=one)).reading, item_terms(Item(id="b", text=other)).reading
    assert here is not None
    assert there is not None
    return set(differences(here, there))


@pytest.mark.parametrize(
    ("kind", "one", "other"), [(kind, *pair) for kind, pairs in DIFFERENT.items() for pair in pairs]
)
def test_they_are_two_things(kind: str, one: str, other: str) -> None:
    assert kind in apart(one, other)
    assert kind in apart(other, one)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_nothing_sets_them_apart(one: str, other: str) -> None:
    assert apart(one, other) == set()
    assert apart(other, one) == set()


def verdict(one: str, other: str, similarity: float = 0.99) -> tuple[Band, dict[str, str]]:
    here, there = (Comparable(Item(id=text, text=text), text.encode()) for text in (one, other))
    found = LearnedMatcher(lambda _: CountedTerms()).explain(
        here, [Candidate(there, similarity)], 0, CollectionSettings()
    )
    return found.band, {reason.code: reason.text for reason in found.reasons}


def test_a_pair_that_is_set_apart_is_no_duplicate_and_says_why() -> None:
    text = "Dell Latitude 5420 laptop 14 inch with 16 GB and 512 GB"
    band, said = verdict(text, f"{text}, refurbished")
    assert band is Band.REVIEW
    assert said["condition_differs"] == "only one is refurbished"
    band, said = verdict("Train from Bergen to Malmö", "Train from Malmö to Bergen")
    assert band is not Band.DUPLICATE
    assert said["direction_differs"] == "the direction is the other way round"


@pytest.mark.parametrize(("code", "contested"), [("12V-15", True), ("HX426C15FB", False)])
def test_one_word_does_not_count_beside_a_long_code(code: str, contested: bool) -> None:
    here, there = (f"Forta {maker} {code} impact driver" for maker in ("Alder", "Birch"))
    _, said = verdict(here, there)
    assert ("word_differs" in said) is contested


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Schrauben verzinkt Karton 1'000 Stück", "Schrauben verzinkt Karton 1000 Stück"),
        ("Schrauben verzinkt Karton 3.000 Stück", "Schrauben verzinkt Karton 3000 Stück"),
        ("Jus de pomme doux 1 000 ml", "Jus de pomme doux 1 l"),
        ("الطلب رقم ٨٢٣٤٥ لم يصل", "الطلب رقم 82345 لم يصل"),
        ("Stair carpet runner 6 ft", "Stair carpet runner 1.8 m"),
        ("Serving tray beech 45 x 30 cm", "Serving tray beech 450 x 300 mm"),
    ],
)
def test_one_number_in_two_spellings_contests_nothing(one: str, other: str) -> None:
    here, there = (Comparable(Item(id=text, text=text), text.encode()) for text in (one, other))
    found = LearnedMatcher(lambda _: CountedTerms()).explain(here, [Candidate(there, 0.99)], 0, CollectionSettings())
    assert not found.contested
    assert {reason.code for reason in found.reasons}.isdisjoint(
        {"numbers_differ", "sizes_differ", "identifiers_differ"}
    )


def test_it_comes_after_the_reasons_for_the_pair() -> None:
    here, there = (Comparable(Item(id=text, text=text), text.encode()) for text in ("Lens +1.75", "Lens -1.75"))
    found = LearnedMatcher(lambda _: CountedTerms()).explain(here, [Candidate(there, 0.99)], 0, CollectionSettings())
    assert found.explanation.endswith("; but plus and minus differ: +1.75 / -1.75")


def test_spans_show_where_it_stands() -> None:
    here, there = "Hiking sock Fell grey S", "Hiking sock Fell grey XL"
    one, other = (Comparable(Item(id=text, text=text), text.encode()) for text in (here, there))
    found = LearnedMatcher(lambda _: CountedTerms()).explain(one, [Candidate(other, 0.99)], 0, CollectionSettings())
    (reason,) = [reason for reason in found.reasons if reason.code == "letter_size_differs"]
    ((start, end),), ((begin, until),) = reason.detail["here_at"], reason.detail["there_at"]
    assert (here[start:end], there[begin:until]) == ("S", "XL")


def test_a_long_text_is_not_read_word_by_word() -> None:
    assert item_terms(Item(id="a", text="word " * (MOST_READ // 10))).reading is None


@settings(deadline=None)
@given(st.lists(st.sampled_from([*UNITS, "9" * 400, "1:" + "9" * 500, "2025-99-99", "0h", "25h99", "v"]), max_size=60))
def test_any_text_can_be_read(units: list[str]) -> None:
    text = "x" + "".join(units)
    one, other = item_terms(Item(id="a", text=text)), item_terms(Item(id="b", text=f"{text} 1 last"))
    if one.reading is not None and other.reading is not None:
        assert len(differences(one.reading, other.reading)) <= len(DIFFERENT)


def test_a_date_in_a_long_text_says_when_it_was_written() -> None:
    story = " ".join(f"word{number}" for number in range(70))
    assert apart(f"{story} on 2024-02-11", f"{story} on 2024-02-19") == set()


def test_every_language_has_every_list() -> None:
    kinds: dict[str, set[str]] = {}
    for meanings in lexicon().meanings.values():
        for meaning in meanings:
            kinds.setdefault(meaning.language, set()).add(meaning.kind)
    every = kinds["en"]
    assert {language for language in kinds if language} == {"en", "de", "fr", "es", "it", "nl", "pt", "pl"}
    assert all(found | {"editions"} >= every for language, found in kinds.items() if language)


def test_a_rule_is_left_out_only_where_it_finds_nothing() -> None:
    pairs = [pair for found in DIFFERENT.values() for pair in found]
    readings = [read(fold(text)) for pair in pairs for text in pair]
    left_out = 0
    for one, other in pairwise(readings):
        needless = [rule for _, rule, needs in RULES if needs and (one.has | other.has).isdisjoint(needs)]
        found = [rule(sides) for rule in needless for sides in (ReadingPair(one, other), ReadingPair(other, one))]
        assert not any(found)
        left_out += len(needless)
    assert 2 * left_out > len(RULES) * len(readings), "most rules have nothing to look at in most pairs"


def test_each_kind_is_a_feature_that_never_counts_for_the_pair() -> None:
    names = {f"{kind.replace(' ', '_')}_differs" for kind in DIFFERENT}
    assert names <= set(FEATURES)
    assert {MONOTONE[name] for name in names} == {-1}
    assert {one.before for one in TABLE if one.name in names} == {0.0}
