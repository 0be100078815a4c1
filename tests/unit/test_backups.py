"""A backup is whole and verified or not there; a restore replaces all of a state or nothing."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender_engine import Recommender, backups
from recommender_engine.backups import Backup, Origin
from recommender_engine.errors import StateDamaged, StateError, StateFull, StateLocked, StateTooNew
from recommender_engine.items import EntryId
from recommender_engine.opening import DATABASE
from recommender_engine.store.tables import SCHEMA_VERSION
from tests.support.engine import Log, opened, outbox_lines
from tests.support.failing import failing_at

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
SECRET = "the customer is Ada Lovelace of 12 St James's Square"


def origin(minutes: int = 0, partition: str = "default") -> Origin:
    return Origin(partition, NOW + timedelta(minutes=minutes), "tests")


@contextmanager
def engine_in(directory: Path) -> Iterator[Recommender]:
    with closing(opened(directory)) as engine:
        engine.notes.identify("the identity")
        yield engine


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state" / "default"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def back_up(engine: Recommender, folder: Path, minutes: int = 0, partition: str = "default") -> Backup:
    try:
        return backups.write(engine.begin_copy(), folder, origin(minutes, partition))
    finally:
        engine.end_copy()


def filled(engine: Recommender, count: int = 20, start_ms: int = 1_700_000_000_000) -> Log:
    log = Log(start_ms)
    engine.process([log.upsert(f"T-{n}", f"the printer number {n} does not print") for n in range(count)])
    return log


def lines_in(directory: Path) -> list[str]:
    with engine_in(directory) as engine:
        return outbox_lines(engine)


def test_a_backup_says_what_it_is(state: Path, folder: Path) -> None:
    with engine_in(state) as engine:
        filled(engine)
        made = back_up(engine, folder)
        position, last_event = str(engine.position), str(engine.last_event)
    said = made.manifest
    assert made.path == folder / f"default.20260102T030405678Z.{position}"
    assert (said.partition, said.identity, said.position, said.last_event) == (
        "default",
        "the identity",
        position,
        last_event,
    )
    assert (said.schema_version, said.created_at, said.created_by, said.last_erasure) == (
        SCHEMA_VERSION,
        "2026-01-02T03:04:05.678+00:00",
        "tests",
        None,
    )
    assert backups.verify(made.path) == made
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.path.iterdir()} == {0o600}
    assert sorted(path.name for path in made.path.iterdir()) == ["manifest.json", DATABASE]
    assert [path.name for path in folder.iterdir()] == [made.path.name]


def test_work_goes_on_while_a_backup_is_written_and_is_not_in_it(state: Path, folder: Path) -> None:
    with engine_in(state) as engine:
        log = filled(engine)
        copy = engine.begin_copy()
        before = outbox_lines(engine)
        for n in range(40):
            engine.process([log.upsert(f"U-{n}", "x" * 20_000), log.erase(f"T-{n % 20}"), log.delete(f"U-{n - 1}")])
        written = threading.Thread(target=backups.write, args=(copy, folder, origin()))
        written.start()
        engine.process([log.upsert("last", "the very last one")])
        written.join()
        assert copy.log_bytes() > 1_000_000
        engine.end_copy()
        assert copy.log_bytes() == 0, "the write-ahead log was moved when the copy was done"
        assert engine.get("last") is not None
    (made,) = backups.listed(folder, "default")
    backups.restore(made, state, state.with_name("newer"))
    assert lines_in(state) == before


def test_locks_outlive_a_copy(state: Path, folder: Path) -> None:
    """To close any descriptor of the database would end SQLite's own lock on it."""
    with engine_in(state) as engine:
        filled(engine)
        back_up(engine, folder)
        held = os.fork()
        if held == 0:  # another process, since a process does not see its own locks
            try:
                sqlite3.connect(state / DATABASE, timeout=0).execute("SELECT * FROM meta")
            except sqlite3.OperationalError as error:
                os._exit(3 if "locked" in str(error) else 4)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(held, 0)[1]) == 3


def test_two_copies_at_once_are_refused(state: Path) -> None:
    with engine_in(state) as engine:
        engine.begin_copy()
        with pytest.raises(StateError, match="being copied already"):
            engine.begin_copy()
        engine.end_copy()
        engine.begin_copy()
        engine.end_copy()
    with closing(opened()) as engine, pytest.raises(StateError, match="there is no file to copy"):
        engine.begin_copy()


def test_a_state_without_an_owner_is_backed_up_and_one_with_is_not(state: Path, folder: Path) -> None:
    with engine_in(state) as engine:
        filled(engine)
        expected = outbox_lines(engine)
        with pytest.raises(StateLocked, match="is owned by process"):
            backups.back_up_directory(state, folder, origin())
    made = backups.back_up_directory(state, folder, origin())
    assert backups.restore(made, state.with_name("other"), None) is False
    assert lines_in(state.with_name("other")) == expected
    with pytest.raises(StateError, match="there is no state in"):
        backups.back_up_directory(state.with_name("nothing"), folder, origin())
    assert not state.with_name("nothing").exists(), "or questions are answered from it as from an empty state"


def test_a_cancelled_backup_leaves_nothing(state: Path, folder: Path) -> None:
    with engine_in(state) as engine:
        filled(engine)
        with pytest.raises(backups.BackupCancelled, match="given up"):
            backups.write(engine.begin_copy(), folder, origin(), lambda: True)
        engine.end_copy()
    assert list(folder.iterdir()) == []


def test_a_disk_without_room_is_reported_before_anything_is_written(
    state: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine_in(state) as engine:
        filled(engine)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
        with pytest.raises(StateFull, match="has room for 1,000 bytes"):
            back_up(engine, folder)
    assert list(folder.iterdir()) == []


# -- verify ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def made(state: Path, folder: Path) -> Backup:
    with engine_in(state) as engine:
        filled(engine)
        return back_up(engine, folder)


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


@pytest.mark.parametrize("flips", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_every_flipped_bit_is_noticed(made: Backup, state: Path, flips: int) -> None:
    for path, count in ((made.path / DATABASE, flips), (made.path / backups.MANIFEST, flips // 3)):
        for bit in np.random.default_rng(3).integers(0, 8 * path.stat().st_size, count).tolist():
            flip(path, bit)
            try:
                found = backups.verify(made.path)
            except StateError:
                pass
            else:  # a bit of a remark, such as who made it; what counts is checked against the database
                assert path.name == backups.MANIFEST
                assert found.manifest.sha256 == made.manifest.sha256
                assert found.manifest.position == made.manifest.position
            flip(path, bit)
    assert backups.verify(made.path) == made


def test_a_damaged_database_under_a_true_checksum_is_noticed(made: Backup) -> None:
    """A disk that was damaged before the backup was made."""
    database = made.path / DATABASE
    data = bytearray(database.read_bytes())
    data[4096 * 3 : 4096 * 3 + 100] = b"\xff" * 100
    database.write_bytes(data)
    said = made.manifest.model_copy(update={"sha256": sha256(data).hexdigest()})
    (made.path / backups.MANIFEST).write_text(said.model_dump_json())
    with pytest.raises(StateDamaged, match=r"integrity check failed|malformed"):
        backups.verify(made.path)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("name", [DATABASE, backups.MANIFEST])
def test_a_truncated_file_is_noticed(made: Backup, name: str, share: float) -> None:
    data = (made.path / name).read_bytes()
    (made.path / name).write_bytes(data[: int(share * len(data))])
    with pytest.raises(StateDamaged, match="damaged"):
        backups.verify(made.path)


@pytest.mark.parametrize("name", [DATABASE, backups.MANIFEST])
def test_a_missing_file_is_noticed(made: Backup, name: str) -> None:
    (made.path / name).unlink()
    with pytest.raises(StateDamaged, match=r"is no backup|cannot be read"):
        backups.verify(made.path)


def test_the_manifest_of_another_backup_is_noticed(made: Backup, state: Path, folder: Path) -> None:
    with engine_in(state) as engine:
        filled(engine, 3, start_ms=1_800_000_000_000)
        other = back_up(engine, folder, minutes=1)
    changed = made.manifest.model_copy(update={"position": other.manifest.position})
    (made.path / backups.MANIFEST).write_text(changed.model_dump_json())
    with pytest.raises(StateDamaged, match="is about another database"):
        backups.verify(made.path)


def test_a_backup_of_a_newer_release_is_refused(made: Backup, tmp_path: Path) -> None:
    with closing(sqlite3.connect(made.path / DATABASE)) as database:
        database.execute("PRAGMA journal_mode=DELETE")
        database.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    data = (made.path / DATABASE).read_bytes()
    said = {**made.manifest.model_dump(), "sha256": sha256(data).hexdigest()}
    (made.path / backups.MANIFEST).write_text(json.dumps(said | {"size_bytes": len(data)}))
    with pytest.raises(StateTooNew, match="upgrade it"):
        backups.restore(backups.read(made.path), tmp_path / "elsewhere", None)
    assert not (tmp_path / "elsewhere" / DATABASE).exists()


def test_a_stopped_state_is_verified_and_a_damaged_one_is_reported(made: Backup, state: Path) -> None:
    facts = backups.verify_state(state)
    assert (str(facts.position), facts.identity) == (made.manifest.position, "the identity")
    with engine_in(state), pytest.raises(StateLocked, match="is owned by"):
        backups.verify_state(state)
    with (state / DATABASE).open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xff" * 2000)
    with pytest.raises(StateDamaged, match="recommender restore"):
        backups.verify_state(state)
    with pytest.raises(StateError, match="neither a backup nor a state"):
        backups.verify_state(state.with_name("nothing"))


# -- restore -----------------------------------------------------------------------------------------------------------


def test_restore_refuses_to_replace_a_state_without_the_option_and_keeps_the_old_one(made: Backup, state: Path) -> None:
    old = lines_in(state)
    with engine_in(state) as engine:
        filled(engine, 3, start_ms=1_800_000_000_000)
        newer = outbox_lines(engine)
    with pytest.raises(StateError, match="with --force it is kept aside"):
        backups.restore(made, state, None)
    assert lines_in(state) == newer
    aside = state.with_name("default.replaced")
    assert backups.restore(made, state, aside) is True
    assert lines_in(state) == old
    assert lines_in(aside) == newer


def test_restore_refuses_a_directory_that_has_an_owner(made: Backup, state: Path) -> None:
    with engine_in(state), pytest.raises(StateLocked, match="is owned by process"):
        backups.restore(made, state, state.with_name("aside"))


def test_restore_verifies_first(made: Backup, state: Path) -> None:
    before = lines_in(state)
    flip(made.path / DATABASE, 8 * 5000)
    with pytest.raises(StateDamaged, match="not what its manifest says"):
        backups.restore(made, state, state.with_name("aside"))
    assert lines_in(state) == before
    assert not state.with_name("aside").exists()


def test_the_newest_backup_of_the_partition_is_found(state: Path, folder: Path) -> None:
    with engine_in(state) as engine:
        log = filled(engine)
        first = back_up(engine, folder)
        engine.process([log.upsert("one more", "text")])
        second = back_up(engine, folder, minutes=-60)  # the clock was set back
        other = back_up(engine, folder, minutes=5, partition="other")
    (folder / "notes").mkdir()
    assert backups.find(folder, "default") == second
    assert backups.find(first.path, "default") == first
    assert backups.listed(folder, "default") == [second, first]
    with pytest.raises(StateError, match="a backup of partition 'other', not of 'default'"):
        backups.find(other.path, "default")
    with pytest.raises(StateError, match="there is no backup of partition 'nobody' in"):
        backups.find(folder, "nobody")


# -- retention and erasure ---------------------------------------------------------------------------------------------


def test_only_the_newest_are_kept_and_others_left_alone(state: Path, folder: Path, tmp_path: Path) -> None:
    with engine_in(state) as engine:
        log = filled(engine)
        made = []
        for minute in range(5):
            engine.process([log.upsert(f"more {minute}", "text")])
            made.append(back_up(engine, folder, minute))
        others = back_up(engine, folder, 9, partition="other")
    with closing(opened(tmp_path / "foreign")) as engine:
        engine.notes.identify("another identity")
        foreign = back_up(engine, folder, 10)
    assert backups.prune(made[-1], keep=2) == [made[2].path, made[1].path, made[0].path]
    assert {path.name for path in folder.iterdir()} == {one.path.name for one in (*made[3:], others, foreign)}


def test_erasure_reaches_backups_by_the_next_one(state: Path, folder: Path) -> None:
    with engine_in(state) as engine:
        log = filled(engine)
        engine.process([log.upsert("secret", SECRET)])
        old = back_up(engine, folder)
        copy = engine.begin_copy()
        engine.process([log.erase("secret")])
        during = backups.write(copy, folder, origin(minutes=1))
        engine.end_copy()
        assert holds(old.path, SECRET)
        assert holds(during.path, SECRET)
        assert not holds(state, SECRET), "what was put off during the copy is done"
        new = back_up(engine, folder, minutes=2)
    assert sorted(backups.prune(new, keep=9)) == sorted([old.path, during.path])
    assert not any(holds(path, SECRET) for path in folder.iterdir())
    assert EntryId.parse(str(new.manifest.last_erasure)) <= new.position


def holds(directory: Path, text: str) -> bool:
    return any(text.encode() in path.read_bytes() for path in directory.rglob("*") if path.is_file())


def test_what_a_crash_left_behind_is_cleared(state: Path, folder: Path) -> None:
    left, others = folder / ".default.20250101T000000000Z.1-1.tmp", folder / ".default-eu.20250101T000000000Z.1-1.tmp"
    for path in (left, others):
        path.mkdir(parents=True)
        (path / DATABASE).write_bytes(b"half")
    with engine_in(state) as engine:
        back_up(engine, folder)
    assert not left.exists()
    assert others.exists(), "it is another partition's, which may be at work"


class Killed(BaseException):
    """The process has ended."""


@pytest.mark.parametrize("files", [0, 1, 2])
def test_a_kill_while_an_old_backup_is_deleted_leaves_no_part_of_it(
    state: Path, folder: Path, files: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever file went first: a database without its manifest would never be looked for again."""
    left = [files]
    unlink = os.unlink

    def unlink_until_killed(*args: Any, **kwargs: Any) -> None:
        if not left[0]:
            raise Killed
        left[0] -= 1
        unlink(*args, **kwargs)

    with engine_in(state) as engine:
        log = filled(engine)
        engine.process([log.upsert("secret", SECRET)])
        back_up(engine, folder)
        engine.process([log.erase("secret")])
        new = back_up(engine, folder, minutes=1)
        with monkeypatch.context() as patched, suppress(Killed):
            patched.setattr(os, "unlink", unlink_until_killed)
            backups.prune(new, keep=9)
        assert [path for path in folder.iterdir() if not path.name.startswith(".")] == [new.path]
        engine.process([log.upsert("later", "another text")])
        newest = back_up(engine, folder, minutes=2)
    assert sorted(folder.iterdir()) == [new.path, newest.path]
    assert not holds(folder, SECRET)


# -- a failing disk ----------------------------------------------------------------------------------------------------


def succeeds(act: Callable[[], object]) -> bool:
    """Whether it does; if it does not, it says that the disk has failed."""
    try:
        act()
    except StateError as error:
        if "injected" not in str(error):
            raise
        return False
    return True


def every_failure(act: Callable[[], object], check: Callable[[bool], None]) -> int:
    """Let the n-th call fail, for every n there is; how many there were."""
    for number in range(1, 1000):
        with failing_at(number) as failure:
            done = succeeds(act)
        check(done)
        if not failure.failed:
            return number - 1
    raise AssertionError("the calls never end")


def test_a_backup_survives_any_failure_of_the_disk(state: Path, folder: Path) -> None:
    with engine_in(state) as engine:
        filled(engine)
        first = back_up(engine, folder)

        def check(done: bool) -> None:
            known = backups.listed(folder, "default")
            assert first in known
            for one in known:
                backups.verify(one.path)
            for path in folder.iterdir():
                if path != first.path:
                    shutil.rmtree(path)

        failures = every_failure(lambda: back_up(engine, folder, minutes=1), check)
    assert failures >= 12


def test_a_state_survives_any_failure_of_the_disk_during_a_restore(made: Backup, state: Path) -> None:
    old = lines_in(state)
    with engine_in(state) as engine:
        filled(engine, 3, start_ms=1_800_000_000_000)
        newer = outbox_lines(engine)
    aside = state.with_name("aside")

    def check(done: bool) -> None:
        there, kept = lines_in(state), aside.exists()
        assert there == (old if kept else newer)
        assert kept or not done
        if kept:
            assert lines_in(aside) == newer
            shutil.rmtree(state)
            aside.rename(state)
        assert [path.name for path in state.parent.iterdir()] == [state.name]

    assert every_failure(lambda: backups.restore(made, state, aside), check) >= 10
