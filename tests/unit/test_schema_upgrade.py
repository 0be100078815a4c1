"""A state that an earlier release wrote: everything in it stays, and what is new is derived from it."""

from __future__ import annotations

import json
import re
import sqlite3
import struct
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recommender_engine import Recommender, backups
from recommender_engine.backups import Origin
from recommender_engine.errors import StateTooNew
from recommender_engine.items import START, CollectionSettings, Item
from recommender_engine.items.limits import KEY_WINDOW_MS
from recommender_engine.matching import LearnedMatcher, MatcherFactory
from recommender_engine.opening import DATABASE
from recommender_engine.pipeline.vectors.embedding_step import EmbeddingStep
from recommender_engine.recommend.behaviour import ItemRow, SessionRow
from recommender_engine.store import SqliteStore, schema
from recommender_engine.store.tables import SCHEMA_VERSION
from recommender_engine.testing import DeterministicEncoder
from tests.support.engine import Log, Models, data_of, is_outcome, opened, outbox_lines
from tests.support.matchers import cosine_matcher
from tests.support.older_states import make_schema_10

CLOCK_MS = 1_700_000_000_000
VERSION_1 = (Path(__file__).parents[1] / "support" / "version_1.sql").read_text(encoding="utf-8")
TEXTS = {"a": "card payment declined at the shop", "b": "CARD payment declined at the shop", "c": "heavy rain up north"}
# What version 1 wrote for a collection and for verdicts.
OLD_SETTINGS = {
    "model": "all-MiniLM-L6-v2",
    "index": "exact",
    "candidates": 7,
    "recommendations": 3,
    "duplicate_from": 0.9,
    "review_from": 0.8,
    "similar_from": 0.4,
}
OLD_VERDICT = {
    "band": "duplicate",
    "probability": 1.0,
    "similarity": 1.0,
    "reasons": [{"code": "identical_text", "text": "the same text but for case and white space", "detail": {}}],
}
OLD_EVENT = {
    "specversion": "1.0",
    "id": f"{CLOCK_MS}-0",
    "type": "recommender.item.processed.v1",
    "data": {"command": {"id": f"{CLOCK_MS}-0", "key": None}, "item_id": "b", "reasons": OLD_VERDICT["reasons"]},
}


def version_1(directory: Path) -> Path:
    """A directory as version 1 left it: the tables of then, filled by hand."""
    directory.mkdir(exist_ok=True)
    path = directory / DATABASE
    database = sqlite3.connect(path)
    database.executescript(VERSION_1)
    encoder = DeterministicEncoder()
    embedding = EmbeddingStep(SqliteStore(), Models(encoder))
    database.execute(
        "INSERT INTO collections VALUES (1,'default',?,?,?,0,'{}',0)",
        (json.dumps(OLD_SETTINGS), encoder.identity.key, encoder.identity.dimension),
    )
    points: dict[bytes, int] = {}
    for seq, (id_, text) in enumerate(TEXTS.items(), start=1):
        (embedded,) = embedding.embed([(Item(id=id_, text=text), CollectionSettings())])
        assert not isinstance(embedded, Exception)
        database.execute(
            "INSERT INTO vectors VALUES (?,?,?,0,?)",
            (seq, encoder.identity.key, embedded.vector_key, embedded.vector.tobytes()),
        )
        point = points.setdefault(embedded.vector.tobytes(), seq)
        if point == seq:
            database.execute("INSERT INTO points VALUES (?,1,?)", (seq, seq))
        content = json.dumps({"text": text, "fields": None, "timestamp": None})
        verdict, matched, group = (json.dumps(OLD_VERDICT), 1, "g1") if id_ == "b" else (None, None, f"g{seq}")
        database.execute(
            "INSERT INTO items VALUES (?,1,?,1,NULL,?,'{}',?,?,?,?,?,?)",
            (seq, id_, content, embedded.fingerprint, seq, point, group, verdict, matched),
        )
    database.execute(
        "INSERT INTO outbox VALUES (?,0,?,'default','b','a',0,?)", (CLOCK_MS, OLD_EVENT["type"], json.dumps(OLD_EVENT))
    )
    database.executemany(
        "INSERT INTO meta VALUES (?,?)",
        [("position", f"{CLOCK_MS}-0"), ("last_event", f"{CLOCK_MS}-0"), ("clock_ms", str(CLOCK_MS))],
    )
    database.execute("INSERT INTO tombstones VALUES (1,'gone',4)")
    database.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
    database.execute("PRAGMA user_version=1")
    database.commit()
    database.close()
    return path


@pytest.fixture(params=[cosine_matcher, LearnedMatcher], ids=["cosine", "learned"])
def engine(tmp_path: Path, request: pytest.FixtureRequest) -> Recommender:
    version_1(tmp_path)
    matcher: MatcherFactory = request.param
    return opened(tmp_path, matcher=matcher)


def later() -> Log:
    return Log(CLOCK_MS + 1000)


def test_items_groups_verdicts_and_events_stay(engine: Recommender) -> None:
    assert engine.stats()["items"] == 3
    views = {id_: engine.get(id_) for id_ in TEXTS}
    assert {id_: view and view.text for id_, view in views.items()} == TEXTS
    b = views["b"]
    assert b is not None
    assert (b.duplicate_of, b.group, b.probability, b.explanation) == ("a", "g1", 1.0, "")
    assert [reason.code for reason in b.reasons] == ["identical_text"]
    assert [line.split()[0] for line in outbox_lines(engine)] == [f"{CLOCK_MS}-0"]
    assert str(engine.position) == f"{CLOCK_MS}-0"
    engine.close()


def test_settings_lose_the_keys_that_are_no_more_and_keep_the_others(engine: Recommender) -> None:
    events = engine.process([later().configure("new")])
    assert data_of(events[0])["settings"]["review_from"] is None
    engine.close()


def test_old_settings_are_stripped_in_the_database(tmp_path: Path) -> None:
    store = SqliteStore(version_1(tmp_path))
    (collection,) = store.collections.all()
    assert collection.settings == CollectionSettings(
        index="exact", candidates=7, recommendations=3, similar_from=0.4
    ), "where review began was a cosine and is a probability now"
    store.close()


def test_terms_are_counted_from_the_items(engine: Recommender) -> None:
    events = engine.process([later().upsert("d", "rain")])
    assert engine.stats()["items"] == 4
    counts = engine._store.words.counts(1)
    assert (counts["card"], counts["rain"]) == (2, 2)
    assert engine._store.words.having(1, "rain") == [3, 4]
    assert data_of(events[0])["matched_id"] == "c"
    engine.close()


def test_items_of_an_older_state_get_the_length_of_their_text(tmp_path: Path) -> None:
    path = version_1(tmp_path)
    with sqlite3.connect(path) as database:
        said = json.dumps({"text": None, "fields": {"title": "h\u00e9avy", "body": "rain"}, "timestamp": None})
        database.execute("UPDATE items SET content=?, grp='g1' WHERE id='c'", (said,))
    database.close()
    store = SqliteStore(path)
    lengths = dict(store._db.execute("SELECT id, length FROM items"))
    assert lengths == {"a": len(TEXTS["a"]), "b": len(TEXTS["b"]), "c": 9}
    assert store.groups.canonical(["g1"], "longest") == {"g1": "a"}
    store.close()


def test_what_comes_next_finds_what_was_there(engine: Recommender) -> None:
    log = later()
    told = [
        data_of(event)
        for event in engine.process(
            [
                log.upsert("d", TEXTS["a"].upper()),
                log.upsert("gone", TEXTS["c"], version=3),
                log.feedback("b", "wrong"),
                log.delete("c"),
                log.erase("a"),
                log.upsert("b", "edited"),
            ]
        )
        if is_outcome(event)
    ]
    assert (told[0]["duplicate_of"], told[0]["group"]) == ("a", "g1")
    assert told[1]["reason"] == "older_version"
    assert (told[2]["other_id"], told[2]["answer"]) == ("a", "different")
    assert told[-1]["revision"] == 2
    old = next(row for row in engine.outbox.after(START, 1))
    assert json.loads(old.event)["data"]["reasons"] == []
    engine.close()


def test_keys_of_an_older_state_belong_to_the_collections_of_their_outcomes(tmp_path: Path) -> None:
    path = version_1(tmp_path)
    database = sqlite3.connect(path)
    database.executemany("INSERT INTO keys VALUES (?,?,?,0)", [("k", CLOCK_MS, CLOCK_MS), ("lost", CLOCK_MS, 7)])
    database.commit()
    database.close()
    engine, log = opened(tmp_path), later()
    assert engine.process([log.upsert("b", "whatever it said", key="k")]) == [], "nothing is known of what it said"
    assert (
        engine.process([log.upsert("b", "whatever", key="lost"), log.upsert("b", "it", collection="c", key="lost")])
        == []
    )
    assert len(engine.process([log.upsert("b", "of another collection", collection="c", key="k")])) == 1
    found = engine.outcome("k", "default")
    assert found is not None
    assert found["id"] == OLD_EVENT["id"]
    assert len(engine.process([log.upsert("d", "a day later", key="lost", later_ms=KEY_WINDOW_MS)])) == 1
    engine.close()


def test_a_move_on_its_way_goes_on_with_the_parts_that_are_here(tmp_path: Path) -> None:
    path = version_1(tmp_path)
    database = sqlite3.connect(path, isolation_level=None)
    with pytest.MonkeyPatch.context() as then:
        then.setattr(schema, "SCHEMA_VERSION", 4)
        schema._upgrade(database)
    state = {
        "collection": "c",
        "move": "m",
        "place": "arriving",
        "source": "a",
        "target": "default",
        "offset": 1,
        "points": 2,
        "last_arrival": 3,
        "last_point": 4,
        "page": "items 0",
        "origins": ["a"],
        "parts": ["AAAA", "BBBBBBBB"],
    }
    database.execute("INSERT INTO moves VALUES ('c', ?)", (json.dumps(state),))
    database.close()
    engine = opened(tmp_path)
    move = engine.moves.of("c")
    assert move is not None
    assert (move.page, move.part, move.part_bytes, move.origins) == ("items 0", 2, 12, ("a",))
    assert engine._store.moves.parts("c") == ["AAAA", "BBBBBBBB"]
    engine.close()


def test_items_are_as_old_as_the_state(tmp_path: Path) -> None:
    version_1(tmp_path)
    engine, log = opened(tmp_path), later()
    engine.process([log.configure(ttl_seconds=60)])
    assert engine.due_ms() == CLOCK_MS + 60_000
    engine.process([log.tick(later_ms=60_000)])
    assert engine.stats()["items"] == 0
    engine.close()


def test_upgrading_happens_once_and_is_remembered(tmp_path: Path) -> None:
    path = version_1(tmp_path)
    opened(tmp_path).close()
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert database.execute("PRAGMA quick_check").fetchone() == ("ok",)
    database.close()
    engine = opened(tmp_path)
    assert engine.stats()["items"] == 3
    engine.close()


def test_a_new_database_and_an_upgraded_one_have_the_same_tables(tmp_path: Path) -> None:
    """And the same indexes in the same order: where two serve equally well, SQLite goes by it."""

    def tables(directory: Path) -> tuple[dict[str, str], dict[str, list[str]], list[tuple[str, str]]]:
        directory.mkdir(exist_ok=True)
        store = SqliteStore(directory / DATABASE)
        made = store._db.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
        known = {name: " ".join(re.sub(r"([(),])", r" \1 ", sql).split()) for name, sql in made}
        order = {name: [row[1] for row in store._db.execute(f"PRAGMA index_list({name})")] for name in known}
        notes = [(key, value) for key, value in store._db.execute("SELECT * FROM meta") if value in "01"]
        store.close()
        return known, order, notes

    version_1(tmp_path / "old")
    database = sqlite3.connect(tmp_path / "old" / DATABASE)
    for table in ("items", "collections", "meta", "sqlite_sequence"):
        database.execute(f"DELETE FROM {table}")
    database.commit()
    database.close()
    old, new = tables(tmp_path / "old"), tables(tmp_path / "new")
    assert "items_by_scope_time" in new[0]
    assert old == new


def test_an_upgrade_that_dies_in_the_middle_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = version_1(tmp_path)
    with monkeypatch.context() as broken:
        broken.setitem(schema.UPGRADES, 2, schema.UPGRADES[2] + "INSERT INTO nowhere VALUES (1);\n")
        with pytest.raises(Exception, match="nowhere"):
            SqliteStore(path)
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA user_version").fetchone() == (1,)
    assert "duplicate_from" in database.execute("SELECT settings FROM collections").fetchone()[0]
    database.close()
    SqliteStore(path).close()


def test_a_backup_of_an_old_state_is_old_and_is_upgraded_when_it_is_opened(tmp_path: Path) -> None:
    """The way back from an upgrade: the new release makes the backup, the old one can read it."""
    version_1(tmp_path / "state")
    origin = Origin("default", datetime(2026, 1, 2, tzinfo=UTC), "tests")
    made = backups.back_up_directory(tmp_path / "state", tmp_path / "backups", origin)
    assert made.manifest.schema_version == 1
    assert backups.verify_state(tmp_path / "state").schema_version == 1, "it was only looked at"
    backups.restore(made, tmp_path / "restored", None)
    engine = opened(tmp_path / "restored")
    assert engine.stats()["items"] == 3
    engine.close()


def test_a_state_of_a_newer_release_is_refused_and_left_alone(tmp_path: Path) -> None:
    opened(tmp_path).close()
    path = tmp_path / DATABASE
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    database.close()
    before = path.read_bytes()
    with pytest.raises(StateTooNew, match="upgrade it"):
        opened(tmp_path)
    with pytest.raises(StateTooNew, match="upgrade it"):
        backups.verify_state(tmp_path)
    assert path.read_bytes() == before


def test_an_upgrade_calls_no_table_valued_function() -> None:
    """SQLite 3.40 keeps it with the schema of before the change, and a later statement reads memory that was freed."""
    for statements in schema.UPGRADES.values():
        assert not any(name in re.sub(r" *--.*", "", statements) for name in ("json_each", "json_tree", "pragma_"))


def test_a_state_of_schema_10_is_listed_and_counted_as_one_that_was_counted_from_the_start(tmp_path: Path) -> None:
    engine, log = opened(tmp_path, matcher=LearnedMatcher), Log()
    words = ("printer", "jams", "again", "order", "1042", "1043", "lost", "router")
    engine.process([log.upsert(f"i{n}", " ".join(words[n % 8 :] + words[: n % 5])) for n in range(60)])
    engine.process([log.upsert(f"j{n}", " ".join(words[n % 8 :])) for n in range(20)])
    engine.process([log.feedback("i4", "same", "i9"), log.delete("i0"), log.delete("i4"), log.tick(3_600_000)])
    engine.process([log.upsert("k", "printer jams", collection="other"), log.upsert("l", "order 1042 lost")])
    kept = "SELECT seq, band, stated FROM items", "SELECT * FROM standings WHERE items", "SELECT * FROM arrivals"
    kept += ("SELECT * FROM probabilities WHERE items",)
    before = [engine._store._db.execute(said).fetchall() for said in kept]
    overview, listed = engine.overview(), engine.list_items(order="probability", limit=200)
    engine.close()
    assert {row[1] for row in before[0]} == {0, 1, 2, 3}
    make_schema_10(tmp_path)
    engine = opened(tmp_path, matcher=LearnedMatcher)
    columns, standings, arrivals, probabilities = (engine._store._db.execute(said).fetchall() for said in kept)
    assert [columns, standings, probabilities] == [*before[:2], before[3]]
    assert sum(row[-1] for row in arrivals) == 2 * len(columns), "of those that are gone nothing is known"
    assert engine.list_items(order="probability", limit=200) == listed
    assert [one.bands for one in engine.overview().collections] == [one.bands for one in overview.collections]
    assert engine.review().pairs
    engine.process([log.add("recommendations.subscribed", item="i5"), log.tick(1000)])
    assert engine.subscriptions() == (1, 0), "lists can be subscribed to"
    engine.close()


def test_behaviour_of_schema_10_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = version_1(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(schema, "SCHEMA_VERSION", 10)
        database = schema.connect(path)
    numbers, weights = struct.pack("<3I", 5, 70_000, 6), struct.pack("<3d", 0.5, 1.25, 3.0)
    database.execute("INSERT INTO users VALUES (4,1,0,'u',0,x'',8,0,NULL,0,0)")
    for num, user in ((7, 4), (8, 4), (9, 3)):
        database.execute("INSERT INTO sessions VALUES (?,1,?,?)", (num, user, numbers + weights))
        database.execute("INSERT INTO session_rings VALUES (?,1)", (num,))
    rings = struct.pack("<3I", 9, 7, 8) + struct.pack("<3I", 3, 4, 4)
    for num, id_, said in ((1, "a", (numbers + weights, rings)), (2, "b", (b"", b""))):
        database.execute("INSERT INTO used_items VALUES (?,1,?,0,0,3,1.0,2.0,3.0,?,?)", (num, id_, *said))
    database.close()
    with closing(opened(tmp_path)) as engine:
        behaviour = engine._store.behaviour
        assert behaviour.partners([1, 2])[1][1].tolist() == [5, 70_000, 6]
        assert behaviour.partners([1, 2])[1][2].tolist() == [0.5, 1.25, 3.0]
        assert behaviour.rings_of([1])[1].tolist() == [9, 7, 8]
        assert behaviour.users_of(behaviour.rings_of([1])[1]).tolist() == [3, 4, 4]
        assert {num: items.tolist() for num, items in behaviour.session_items([7]).items()} == {7: [5, 70_000, 6]}
        row, empty, session = behaviour.rows.item(1), behaviour.rows.item(2), behaviour.rows.session(8)
        assert (row, empty, session) == (
            ItemRow(1, 0, 3, 1.0, 2.0, 3.0, {5: 0.5, 70_000: 1.25, 6: 3.0}, [9, 7, 8]),
            ItemRow(2, 0, 3, 1.0, 2.0, 3.0, {}, []),
            SessionRow(8, 4, {5: 0.5, 70_000: 1.25, 6: 3.0}, 1),
        )
        log = Log(start_ms=CLOCK_MS + 1)
        engine.process([log.add("interaction.recorded", data={"item": "a", "user": "u"})])
        assert behaviour.rows.session(10) is not None, "numbers of sessions go on"
