"""A full disk changes nothing; a damaged database is refused, or is what it was. Never a wrong answer."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recommender_engine import Entry, Recommender, backups
from recommender_engine.backups import Origin
from recommender_engine.errors import StateDamaged, StateError, StateFull
from recommender_engine.opening import DATABASE
from tests.support.engine import Log, opened, outbox_lines
from tests.support.owners import left_by_a_kill

PAGE = 4096


def tickets(log: Log, count: int, first: int = 0) -> list[Entry]:
    return [
        log.upsert(f"T-{n}", f"the printer number {n} does not print {'x' * 500}") for n in range(first, first + count)
    ]


# -- no room -----------------------------------------------------------------------------------------------------------


def no_more_room(engine: Recommender) -> None:
    """SQLite says that the disk is full as soon as the file would grow."""
    (pages,) = engine._store._db.execute("PRAGMA page_count").fetchone()
    engine._store._db.execute(f"PRAGMA max_page_count={pages}")


def room(engine: Recommender) -> None:
    engine._store._db.execute("PRAGMA max_page_count=1000000")


def test_a_full_disk_changes_nothing_and_the_batch_can_be_tried_again(tmp_path: Path) -> None:
    log = Log()
    before, after = tickets(log, 30), tickets(log, 30, first=30)
    with closing(opened()) as undisturbed:
        undisturbed.process(before)
        undisturbed.process(after)
        expected = outbox_lines(undisturbed)
    with closing(opened(tmp_path)) as engine:
        engine.process(before)
        said, position = outbox_lines(engine), engine.position
        no_more_room(engine)
        for _ in range(3):
            with pytest.raises(StateFull, match="disk of the state directory is full"):
                engine.process(after)
            assert (engine.position, outbox_lines(engine)) == (position, said)
            assert engine.get("T-30") is None
            assert engine.get("T-3") is not None, "questions are answered meanwhile"
        with pytest.raises(StateFull, match="is full"):
            engine._store.set_note("a note", "x" * 1_000_000)
        room(engine)
        engine.process(after)
        assert outbox_lines(engine) == expected
    with closing(opened(tmp_path)) as engine:
        assert outbox_lines(engine) == expected


def test_an_erasure_that_finds_no_room_to_scrub_is_committed_and_scrubbed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise StateFull("the disk is full")

    log = Log()
    with closing(opened(tmp_path)) as engine:
        engine.process(tickets(log, 3))
        with monkeypatch.context() as full:
            full.setattr(engine._store, "truncate_log", refuse)
            assert engine.process([log.erase("T-1")]), "its events are told, not lost"
        assert engine.get("T-1") is None
        assert engine._store.note("something was erased") is not None
        engine.tidying.prune(0, engine.last_event)
        assert engine._store.note("something was erased") is None


def test_a_file_that_cannot_grow_is_an_error_of_ours(tmp_path: Path) -> None:
    """The kernel refuses the write, as a quota does."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            import resource

            log = Log()
            engine = opened(tmp_path)
            engine.process(tickets(log, 5))
            position = engine.position
            resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / DATABASE).stat().st_size, resource.RLIM_INFINITY))
            try:
                engine.process(tickets(log, 500, first=5))
            except StateError:
                code = 0 if engine.position == position else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with closing(opened(tmp_path)) as engine:
        assert engine.stats()["items"] == 5


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state that its owner left without closing it: half of what it holds stands in the write-ahead log."""
    directory = tmp_path_factory.mktemp("killed")
    log = Log()
    left_by_a_kill(directory, [tickets(log, 40), tickets(log, 40, first=40)])
    return directory


@pytest.fixture
def state(killed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(killed, tmp_path / "state"))


def lines_of(state: Path) -> list[str]:
    with closing(opened(state)) as engine:
        lines = outbox_lines(engine)
        assert engine.stats()["items"] == items_in(lines), "items and events committed together"
        return lines


def items_in(lines: list[str]) -> int:
    return sum("recommender.item.processed.v1 " in line for line in lines)


@pytest.fixture(scope="module")
def whole(killed: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return lines_of(Path(shutil.copytree(killed, tmp_path_factory.mktemp("whole") / "state")))


def wal(state: Path) -> Path:
    return state / f"{DATABASE}-wal"


def test_a_killed_owner_leaves_a_log_that_is_taken_in(state: Path, whole: list[str]) -> None:
    assert wal(state).stat().st_size > 40 * PAGE
    assert lines_of(state) == whole
    assert items_in(whole) == 80


def test_a_killed_owner_leaves_a_log_that_goes_into_a_backup(state: Path, whole: list[str], tmp_path: Path) -> None:
    origin = Origin("default", datetime(2026, 1, 2, tzinfo=UTC), "tests")
    made = backups.back_up_directory(state, tmp_path / "backups", origin)
    backups.restore(made, tmp_path / "restored", None)
    assert lines_of(tmp_path / "restored") == whole
    assert lines_of(state) == whole


@pytest.mark.parametrize("cuts", [25, pytest.param(300, marks=pytest.mark.slow)])
def test_a_truncated_log_gives_an_earlier_commit(killed: Path, tmp_path: Path, whole: list[str], cuts: int) -> None:
    """Whole transactions only: the first, or both; whoever reads on from the position loses nothing."""
    size = wal(killed).stat().st_size
    seen = set()
    for number, keep in enumerate(random.Random(7).sample(range(size), cuts)):
        state = Path(shutil.copytree(killed, tmp_path / str(number)))
        os.truncate(wal(state), keep)
        lines = lines_of(state)
        assert lines == whole[: len(lines)]
        seen.add(items_in(lines))
        shutil.rmtree(state)
    assert seen <= {40, 80}
    assert 40 in seen


def test_a_deleted_log_gives_an_earlier_commit(state: Path, whole: list[str]) -> None:
    wal(state).unlink()
    lines = lines_of(state)
    assert lines == whole[: len(lines)]
    assert items_in(lines) == 40


@pytest.mark.parametrize("flips", [25, pytest.param(300, marks=pytest.mark.slow)])
def test_a_flipped_bit_in_the_log_gives_an_earlier_commit(
    killed: Path, tmp_path: Path, whole: list[str], flips: int
) -> None:
    """Each frame of the log has a checksum over all before it."""
    for number, bit in enumerate(random.Random(8).sample(range(8 * wal(killed).stat().st_size), flips)):
        state = Path(shutil.copytree(killed, tmp_path / str(number)))
        data = bytearray(wal(state).read_bytes())
        data[bit // 8] ^= 1 << bit % 8
        wal(state).write_bytes(data)
        lines = lines_of(state)
        assert lines == whole[: len(lines)]
        assert items_in(lines) in (40, 80)
        shutil.rmtree(state)


def refusal(state: Path) -> str | None:
    """Why it is not opened; always with the step to take."""
    try:
        opened(state).close()
    except StateDamaged as error:
        if "recommender restore" not in str(error) and "another program" not in str(error):
            raise
        return str(error)
    return None


@pytest.mark.parametrize("pages", [12, pytest.param(500, marks=pytest.mark.slow)])
def test_a_page_of_rubbish_is_refused_with_the_step_to_take(tmp_path: Path, pages: int) -> None:
    with closing(opened(tmp_path / "sound")) as engine:
        engine.process(tickets(Log(), 80))
    count = (tmp_path / "sound" / DATABASE).stat().st_size // PAGE
    chance = random.Random(9)
    refused = 0
    for page in chance.sample(range(count), min(pages, count)):
        state = Path(shutil.copytree(tmp_path / "sound", tmp_path / "damaged"))
        with (state / DATABASE).open("r+b") as file:
            file.seek(page * PAGE)
            file.write(chance.randbytes(PAGE))
        refused += refusal(state) is not None
        shutil.rmtree(state)
    # What is on a page that only holds the rest of a long value, nothing in the file vouches for.
    assert refused >= min(pages, count) // 2


def test_damage_that_is_met_while_working_is_an_error_of_ours(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as engine:
        log = Log()
        engine.process(tickets(log, 80))
        position = engine.position
        engine._store.scrub()
        engine._store._db.execute("PRAGMA shrink_memory")
        size = (tmp_path / DATABASE).stat().st_size
        with (tmp_path / DATABASE).open("r+b") as file:
            for page in range(1, size // PAGE):
                file.seek(page * PAGE)
                file.write(b"\xff" * PAGE)
        with pytest.raises((StateDamaged, sqlite3.DatabaseError), match=r"damaged|malformed"):
            engine.process(tickets(log, 200, first=80))
        assert position
