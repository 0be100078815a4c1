"""Items whose texts were cut by other rules: looked at again a few at a time, and not compared until then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recommender_engine import Recommender, open_recommender
from recommender_engine.items import CUT_RULES
from recommender_engine.message import message
from recommender_engine.pipeline.arrival import recutting
from tests.support.engine import Log, Models, data_of, is_outcome, lines, opened
from tests.support.partitions import Pair

LAMP, PARCEL, INVOICE = "the lamp flickers", "the parcel is late", "please send an invoice"
HEAD = "<html><head><style>p.MsoNormal {margin:0cm; font-size:11.0pt}</style></head><body>"


def html(text: str) -> str:
    return f'{HEAD}<p class="MsoNormal">{text}<o:p></o:p></p></body></html>'


def uncut(engine: Recommender) -> int:
    collection = engine._base.collections.find("default")
    assert collection is not None
    return collection.uncut_seq


def outcome(engine: Recommender, entry: Any) -> dict[str, Any]:
    (event,) = (event for event in engine.process([entry]) if is_outcome(event))
    return data_of(event)


def matched(engine: Recommender, entry: Any) -> str | None:
    """The item that the verdict on an item speaks of, which comes with the entry."""
    view = engine.get(outcome(engine, entry)["item_id"])
    assert view is not None
    assert view.band == "duplicate"
    return view.matched_id


def words(engine: Recommender) -> dict[str, int]:
    rows = engine._store._db.execute("SELECT term, documents FROM terms WHERE documents > 0")
    return dict(rows.fetchall())


def vectors(engine: Recommender) -> int:
    (count,) = engine._store._db.execute("SELECT count(*) FROM vectors").fetchone()
    return int(count)


def test_one_head_makes_no_twins_and_mark_up_hides_none(engine: Recommender) -> None:
    log = Log()
    bands = [outcome(engine, log.upsert(text[:6], html(text)))["band"] for text in (LAMP, PARCEL, INVOICE)]
    assert "duplicate" not in bands
    assert outcome(engine, log.upsert("plain", PARCEL))["duplicate_of"] == "the pa"


def test_get_shows_what_is_compared_and_what_was_cut(engine: Recommender) -> None:
    log = Log()
    sent = f"Re: {LAMP}\n\n-- \nKim"
    engine.process([log.upsert("a", sent), log.upsert("h", html(PARCEL)), log.upsert("p", PARCEL)])
    view = engine.get("a")
    assert view is not None
    assert (view.text, view.compared) == (sent, LAMP)
    assert [(cut.rule, cut.start, cut.end, cut.passage) for cut in view.cuts] == [
        ("subject_prefixes", 0, 4, "Re: "),
        ("signatures", len(sent) - 7, len(sent), "-- \nKim"),
    ]
    marked, plain = engine.get("h"), engine.get("p")
    assert marked is not None
    assert plain is not None
    assert (marked.compared, marked.cuts, marked.text) == (PARCEL, (), html(PARCEL))
    assert (plain.compared, plain.cuts) == (None, ())


def test_a_text_that_is_sent_again_with_another_quotation_says_the_same(engine: Recommender) -> None:
    log = Log()
    engine.process([log.upsert("a", LAMP)])
    again = outcome(engine, log.upsert("a", f"{LAMP}\n\nSent from my iPhone"))
    assert again["revision"] == 2
    view = engine.get("a")
    assert view is not None
    assert view.compared == LAMP
    seqs = engine._store._db.execute("SELECT seq FROM items").fetchall()
    assert seqs == [(1,)]  # it has not arrived anew


def test_other_settings_cut_again_a_few_items_before_each_command(
    engine: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recutting, "LOOKED_AT", 2)
    monkeypatch.setattr(recutting, "EMBEDDED", 1)
    log = Log()
    texts = [LAMP, PARCEL, INVOICE]
    engine.process([log.configure(cut=[])])
    engine.process([log.upsert(f"h{place}", html(text)) for place, text in enumerate(texts)])
    engine.process([log.upsert(f"p{place}", f"{text} again") for place, text in enumerate(texts)])
    before = {id_: engine.get(id_) for id_ in ("h0", "h1", "h2", "p0")}
    engine.process([log.configure()])
    assert uncut(engine) == 6
    new = outcome(engine, log.upsert("x", html("a voucher does not work")))
    assert new["band"] != "duplicate"  # those with the same head are not compared with it
    assert not {one["id"] for one in new["recommendations"]} & {"h0", "h1"}
    for _ in range(6):
        engine.process([log.add("clock.ticked", at_ms=1_700_000_000_000)])
    assert uncut(engine) == 0
    for place, text in enumerate(texts):
        view, was = engine.get(f"h{place}"), before[f"h{place}"]
        assert view is not None
        assert was is not None
        assert (view.compared, view.text) == (text, html(text))
        assert (view.group, view.band, view.revision) == (was.group, was.band, was.revision)
        assert matched(engine, log.upsert(f"y{place}", text)) == f"h{place}"
    fresh = opened()
    log = Log()
    items = [log.upsert(f"h{place}", html(text)) for place, text in enumerate(texts)]
    items += [log.upsert(f"p{place}", f"{text} again") for place, text in enumerate(texts)]
    items += [log.upsert("x", html("a voucher does not work"))]
    fresh.process([*items, *(log.upsert(f"y{place}", text) for place, text in enumerate(texts))])
    assert words(engine) == words(fresh)
    assert vectors(engine) == vectors(fresh)
    fresh.close()


def test_what_was_cut_otherwise_is_compared_with_nothing(engine: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that says what an item said while its signature counted: the same text and the same vector as then."""
    monkeypatch.setattr(recutting, "LOOKED_AT", 1)
    log = Log()
    engine.process([log.configure(cut=[], similar_from=-1.0), log.upsert("old", f"{LAMP}\n\nSent from my iPhone")])
    engine.process([log.upsert(f"i{n}", f"{PARCEL} {n}") for n in range(9)])
    engine.process([log.configure(similar_from=-1.0)])
    line = f"{LAMP} Sent from my iPhone"
    new = outcome(engine, log.upsert("new", line))
    assert (new["matched_id"] == "old", new["duplicate_of"]) == (False, None)
    assert "old" not in {one["id"] for one in new["recommendations"]}
    assert "i0" in {one["id"] for one in new["recommendations"]}  # says the same under both
    assert "old" not in {hit.id for hit in engine.search(line)}
    hits = engine.recommend("old")
    assert hits is not None
    assert {hit.id: hit.score for hit in hits}["new"] < 0.99  # not by the vector of then
    engine.process([log.upsert(f"j{n}", f"{INVOICE} {n}") for n in range(9)])
    assert uncut(engine) == 0
    assert "old" in {hit.id for hit in engine.search(line)}
    assert matched(engine, log.upsert("same", LAMP)) == "old"


def test_batches_make_no_difference_while_items_are_cut_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recutting, "LOOKED_AT", 3)
    monkeypatch.setattr(recutting, "EMBEDDED", 1)

    def told(size: int) -> list[str]:
        engine, log = opened(), Log()
        entries = [log.configure(cut=[])]
        entries += [log.upsert(f"h{n}", html(f"{text} {n % 4}")) for n, text in enumerate([LAMP, PARCEL, INVOICE] * 4)]
        entries += [log.configure()]
        entries += [log.upsert(f"p{n}", f"{text} {n % 4}") for n, text in enumerate([PARCEL, INVOICE, LAMP] * 4)]
        entries += [log.add("feedback.given", id="h1", other="h2", answer="different"), log.delete("h3")]
        said = [
            event for start in range(0, len(entries), size) for event in engine.process(entries[start : start + size])
        ]
        engine.close()
        return lines(said)

    assert told(1) == told(5) == told(100)


def test_another_release_of_the_rules_cuts_again_and_a_restart_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    engine = opened(tmp_path)
    engine.process([log.upsert("a", html(LAMP)), log.upsert("b", PARCEL)])
    engine.close()
    engine = opened(tmp_path)
    assert uncut(engine) == 0
    engine.close()
    monkeypatch.setattr(message, "LIBRARY", "lxml-99")
    engine = opened(tmp_path)
    assert uncut(engine) == 2
    engine.close()
    engine = opened(tmp_path)
    assert uncut(engine) == 2
    embedded = vectors(engine)
    engine.process([log.upsert("c", INVOICE)])
    assert uncut(engine) == 0
    assert vectors(engine) == embedded + 1  # nothing else says anything new
    engine.close()


def test_a_file_of_phrases_cuts_matching_texts_again(tmp_path: Path) -> None:
    log, rules = Log(), tmp_path / "rules.toml"
    rules.write_text('[signatures]\nsent_from = ["sent by my fridge"]\n', encoding="utf-8")
    engine = open_recommender(tmp_path / "state", Models())
    engine.process([log.upsert("a", f"{LAMP}\n\nSent by my fridge"), log.upsert("b", PARCEL)])
    engine.close()
    engine = open_recommender(tmp_path / "state", Models(), message_rules=rules)
    engine.process([log.upsert("c", LAMP)])
    view = engine.get("a")
    assert view is not None
    assert view.compared == LAMP
    assert matched(engine, log.upsert("d", LAMP)) == "a"
    engine.close()


def test_a_state_of_before_opens_and_is_cut_as_work_goes_on(tmp_path: Path) -> None:
    engine, log = opened(tmp_path), Log()
    engine.process([log.configure(cut=[]), log.upsert("h", html(LAMP)), log.upsert("i", html(PARCEL))])
    with engine._store.transaction():
        engine._store._db.execute("UPDATE collections SET cut_by='', settings=json_remove(settings, '$.cut')")
    engine.close()
    again = opened(tmp_path)
    assert again.settings()["default"].cut == CUT_RULES
    assert uncut(again) == 2
    assert matched(again, log.upsert("y", PARCEL)) == "i"
    view = again.get("h")
    assert view is not None
    assert view.compared == LAMP
    again.close()


def test_a_vector_that_a_producer_gave_stays(engine: Recommender) -> None:
    log = Log()
    vector = [1.0] + [0.0] * 383
    engine.process([log.configure(cut=[])])
    dimension = engine._base.embedding.identity(engine.settings()["default"]).dimension
    engine.process([log.upsert("a", html(LAMP), vector=vector[:dimension])])
    key = engine._store._db.execute("SELECT key, data FROM vectors").fetchall()
    engine.process([log.configure(), log.upsert("b", PARCEL)])
    view = engine.get("a")
    assert view is not None
    assert view.compared == LAMP
    assert key[0] in engine._store._db.execute("SELECT key, data FROM vectors").fetchall()


def test_what_people_are_asked_about_is_cut_first(engine: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recutting, "LOOKED_AT", 1)
    log = Log()
    engine.process([log.configure(cut=[]), *(log.upsert(f"h{n}", html(f"{LAMP} {n}")) for n in range(5))])
    engine.process([log.configure()])
    engine.process([log.add("feedback.given", id="h0", other="h1", answer="different")])
    for id_ in ("h0", "h1"):
        view = engine.get(id_)
        assert view is not None
        assert view.compared == f"{LAMP} {id_[1]}"
    waiting = engine.get("h2")
    assert waiting is not None
    assert (waiting.compared, waiting.cuts) == (None, ())


def test_a_collection_arrives_with_what_is_compared() -> None:
    pair = Pair()
    pair["a"].add("item.upsert", {"id": "h", "collection": "c", "text": html(LAMP)})
    pair.settle()
    for _ in pair.move("a", "b", "m1"):
        pass
    view = pair["b"].engine.get("h", "c")
    assert view is not None
    assert (view.text, view.compared) == (html(LAMP), LAMP)
    collection = pair["b"].engine._base.collections.find("c")
    assert collection is not None
    assert collection.uncut_seq == 0
    pair.close()


def test_an_erasure_leaves_nothing_of_what_was_cut(tmp_path: Path) -> None:
    engine, log = opened(tmp_path), Log()
    engine.process([log.upsert("a", f"{LAMP}\n\n-- \nKim Quillfeather")])
    engine.process([log.erase("a")])
    engine.close()
    kept = b"".join(path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file())
    assert b"Quillfeather" not in kept
    assert b"flickers" not in kept
