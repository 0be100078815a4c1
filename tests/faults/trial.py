"""One trial: disturb, restart until nothing waits, compare."""

from __future__ import annotations

import importlib
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from redis.exceptions import RedisError

from celery_recommender.broker.coordination.status import read_status
from celery_recommender.broker.redis.connections import connect
from celery_recommender.settings import Settings
from recommender_engine import backups
from recommender_engine.backups import Backup
from recommender_engine.embedding import Encoders
from recommender_engine.errors import StateError
from recommender_engine.items import START, EntryId
from tests.faults.outcome import DELIVERIES, Outcome, collect, delivered, differences
from tests.faults.points import BY_NAME, POINTS
from tests.faults.saboteur import Shot
from tests.faults.scenes import ONE_BACKUP, Scene, possible, scene_for, settings_of
from tests.faults.worker import Life, fork_worker
from tests.faults.workload import COMMANDS, Workload, make_workload
from tests.support.encoders import FixedEncoders
from tests.support.poison import PoisonEncoders
from tests.support.servers import make_server, running
from tests.support.streams import KEYS, PROCESSED, Published, published, traces
from tests.support.waiting import wait_until

# Beside SIGKILL of the worker at each point: how else a trial disturbs, each so many times in a round of trials.
ANY_TIME, TERM, TERM_TWICE = "worker killed at any time", "SIGTERM in a batch", "SIGTERM in a batch, twice"
SERVER = {"everysec": "server killed, appendfsync everysec", "always": "server killed, appendfsync always"}
ROUND = (
    *(point.name for point in POINTS),
    *(ANY_TIME,) * 8,
    *(TERM, TERM_TWICE, *SERVER.values()) * 3,
)
TRIALS_PER_WORKLOAD = 50

_END_TIMEOUT_S = 30.0
_LATEST_KILL_S = 0.6
_LOST_AT_LAST = 0.5
_TOLERANCE = 2e-4
"""By how much the real model's vectors may differ: a text may be embedded again in another batch."""


class Disturbance(NamedTuple):
    """What happens to one run of a worker.

    Attributes:
        name: one of ``ROUND``.
        shot: what the saboteur does, if it is he who does it.
        after_s: when to kill from outside.
    """

    name: str
    shot: Shot | None
    after_s: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.name} ({self.shot.point} #{self.shot.hit})" if self.shot else f"{self.name} ({self.after_s:.3f} s)"
        )


class Report(NamedTuple):
    """What came of one trial; plain values, to be written as JSON."""

    seed: int
    scene: str
    plan: str
    aimed: list[str]
    fell: list[str]
    reached: list[str]
    commands: int
    rejected: int
    repeats: int
    delivered_again: int
    forgotten: int
    differences: list[str]
    directory: str
    seconds: float


class Undisturbed(NamedTuple):
    """The run that the others are compared with; as long as there is none, there is no outcome."""

    workload: Workload
    outcome: Outcome | None
    hits: dict[str, int]


class Bench:
    """A server and what trials share; one trial at a time.

    Args:
        directory: for the server's files, state and logs.
        kind: of server.
        real_model: whether workers load the real model instead of the deterministic encoder.
        drain_timeout_s: how long a backlog may take when nothing disturbs any more.
    """

    def __init__(self, directory: Path, kind: str, *, real_model: bool = False, drain_timeout_s: float = 60.0) -> None:
        self.drain_timeout_s = drain_timeout_s
        self._directory = directory
        self._kind = kind
        self._real_model = real_model
        self._encoders: Encoders | None = None if real_model else FixedEncoders()
        self._start_ms = time.time_ns() // 1_000_000 - 3_600_000
        self._undisturbed: dict[tuple[int, Scene], Undisturbed] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if self._real_model:  # imported here, so that children need not do it
            importlib.import_module("recommender_engine.embedding.sentence_transformer")
        self._server = self._stack.enter_context(running(make_server(self._kind, self._directory / "server")))
        self.redis = self._stack.enter_context(connect(self._server.url))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def undisturbed(self, number: int, scene: Scene) -> Undisturbed:
        """A workload in a scene, and what comes of it when nothing happens that is not of the scene.

        Backups, a lost disk and a restore may not change anything: what came of it without them is what must come.
        """
        if (number, scene) not in self._undisturbed:
            expected = self.undisturbed(number, Scene.PLAIN).outcome if scene.has_backups else None
            commands = 30 if self._real_model else COMMANDS
            workload = make_workload(number, self._start_ms, commands, poisoned=scene is Scene.POISON)
            with self._fresh(f"undisturbed-{number}-{scene.name}") as directory:
                chance = random.Random(f"undisturbed {number}")
                life = self._life(directory, scene, chance, batch_items=8, read_count=256)
                run = _Run(self, life, Undisturbed(workload, expected, {}), scene, chance)
                wrong = run.execute([], ordered=True)
                if wrong:
                    raise RuntimeError(f"the undisturbed run of workload {number} ({scene}): {wrong}")
                hits = json.loads(life.hits.read_text())
            self._undisturbed[number, scene] = Undisturbed(workload, run.outcome, hits)
        return self._undisturbed[number, scene]

    def trial(self, seed: int) -> Report:
        """Run the trial of a seed."""
        started = time.monotonic()
        chance = random.Random(f"trial {seed}")
        scene = scene_for(ROUND[seed % len(ROUND)], chance)
        reference = self.undisturbed(seed // TRIALS_PER_WORKLOAD, scene)
        assert reference.outcome is not None
        plan = list(_plan(seed, scene, chance, reference.hits))
        with self._fresh(f"trial-{seed}") as directory:
            sizes = {"batch_items": chance.choice((1, 3, 8, 16)), "read_count": chance.choice((7, 256))}
            life = self._life(directory, scene, chance, **sizes)
            run = _Run(self, life, reference, scene, chance)
            wrong = run.execute(plan, ordered=chance.random() < 0.25)
            told = ", ".join(map(str, plan))
            if wrong:
                kept = directory.with_name(f"failed-{seed}")
                shutil.copytree(directory, kept)
                (kept / "plan.txt").write_text("\n".join([scene, told, *wrong]))
                directory = kept
        return Report(
            seed=seed,
            scene=scene,
            plan=told,
            aimed=[one.name for one in plan],
            fell=run.fell,
            reached=[name for name, times in reference.hits.items() if times],
            commands=len(reference.workload.log),
            rejected=len(reference.outcome.rejected),
            repeats=reference.workload.repeats,
            delivered_again=run.delivered_again,
            forgotten=run.forgotten,
            differences=wrong,
            directory=str(directory) if wrong else "",
            seconds=round(time.monotonic() - started, 3),
        )

    # -- for the run of a trial ----------------------------------------------------------------------------------------

    def server_pid(self) -> int:
        """The process id of the server."""
        info: Any = self.redis.info("server")
        return int(info["process_id"])

    def use_appendfsync(self, policy: str) -> None:
        """How the server writes its append-only file, until it is started again."""
        self.redis.config_set("appendfsync", policy)

    def revive(self) -> bool:
        """Start the server again if it is dead; whether it was."""
        try:
            self.redis.ping()
        except RedisError:
            self._server.start()
            return True
        return False

    def drained(self, pid: int, reference: Undisturbed, *, carried: bool = True) -> bool:
        """Whether nothing waits for this worker, as far as can be seen from outside.

        Args:
            pid: of the worker.
            reference: what is to come.
            carried: whether callers and the user's own task must have been told as well.
        """
        try:
            return self._drained(pid, reference.workload, reference.outcome, carried=carried)
        except RedisError:
            return False

    def collect(self, life: Life, workload: Workload) -> Outcome:
        """What is left when the worker has ended."""
        return collect(self.redis, life.settings.partition_dir, workload, self._encoders)

    @property
    def tolerance(self) -> float:
        """By how much fractions may differ."""
        return _TOLERANCE if self._real_model else 0.0

    def running(self, pid: int) -> dict[str, Any] | None:
        """What the worker says of itself, once it runs."""
        status = read_status(self.redis, KEYS) or {}
        return status if (status.get("pid"), status.get("state")) == (pid, "running") else None

    def _drained(self, pid: int, workload: Workload, expected: Outcome | None, *, carried: bool = True) -> bool:
        if self.redis.xlen(KEYS.commands) or (carried and self.redis.hlen(KEYS.replies)):
            return False
        status = self.running(pid)
        if status is None or EntryId.parse(status.get("position", "0-0")) < workload.last:
            return False
        events = published(self.redis)
        if traces(events) or (expected and [one.id for one in events] != [one.id for one in expected.events]):
            return False
        return not carried or _processed(events) <= set(delivered(self.redis))

    def forget_lease(self) -> None:
        """As if its time had passed: whoever comes from another directory need not wait for that."""
        self.redis.delete(KEYS.lease)

    def trimmed(self) -> EntryId:
        """Up to where commands are gone from their stream."""
        noted: Any = self.redis.hget(KEYS.trimmed, "position")
        return EntryId.parse(noted.decode()) if noted else START

    def findings_are_on_the_log(self, last: EntryId) -> bool:
        """Whether something is behind the workload, where something is set aside: nothing else comes there."""
        info: Any = self.redis.xinfo_stream(KEYS.commands)
        return not self.redis.exists(KEYS.quarantined) or EntryId.parse(info["last-generated-id"].decode()) > last

    def decided(self, position: EntryId) -> bool:
        """Whether some worker says that it has come so far."""
        return EntryId.parse((read_status(self.redis, KEYS) or {}).get("position", "0-0")) >= position

    def _life(self, directory: Path, scene: Scene, chance: random.Random, batch_items: int, read_count: int) -> Life:
        settings = Settings(
            redis_url=self._server.url,
            state_dir=directory,
            batch_items=batch_items,
            deliver_task="project.receive",
            deliver_queue=DELIVERIES,
            threads=1,
            **settings_of(scene, directory, chance),
        )
        encoders = PoisonEncoders() if scene is Scene.POISON else self._encoders
        return Life(settings, directory, read_count, encoders=encoders)

    @contextmanager
    def _fresh(self, name: str) -> Iterator[Path]:
        """An empty server and an empty directory, which goes when all is well."""
        self.redis.flushall()
        directory = self._directory / name
        directory.mkdir()
        yield directory
        shutil.rmtree(directory)


class _Run:
    """A run: disturbed, or of the scene alone."""

    def __init__(self, bench: Bench, life: Life, reference: Undisturbed, scene: Scene, chance: random.Random) -> None:
        self._bench = bench
        self._life = life
        self._reference = reference
        self._scene = scene
        self._chance = chance
        self.outcome: Outcome | None = None
        self.fell: list[str] = []
        self.delivered_again = 0
        self.forgotten = 0

    def execute(self, plan: list[Disturbance], *, ordered: bool) -> list[str]:
        """Disturb, end well, and say in what the run differs from the undisturbed one."""
        workload, expected = self._reference.workload, self._reference.outcome
        workload.append(self._bench.redis)
        # With `everysec` a server puts a write off while an fsync is under way, and answers all the same: what it said
        # it had of results and calls of the user's task may be gone. Commands and events are not: they come again.
        forgetful = any(one.name == SERVER["everysec"] for one in plan)
        ordered = ordered or forgetful
        wrong: list[str] = []
        if self._scene is Scene.LOST_DISK:
            wrong += self._lose_much()
        for disturbance in plan:
            wrong += self._disturb(disturbance)
            wrong += self._look_around(forgetful=forgetful)
        if self._scene is Scene.BACKUPS and plan and not forgetful and self._chance.random() < _LOST_AT_LAST:
            self._lose_disk()
        wrong += self._end(ordered=ordered, carried=not forgetful)
        wrong += self._look_around(forgetful=forgetful)
        self.outcome = outcome = self._bench.collect(self._life, workload)
        expected = expected or outcome
        self.delivered_again = sum(outcome.delivered.values()) - len(outcome.delivered)
        if forgetful:
            self.forgotten = len(outcome.undelivered) + len(outcome.untold)
            outcome = outcome.without_carried(expected)
        return wrong + differences(
            outcome, expected, workload, ordered=ordered and not wrong, tolerance=self._bench.tolerance
        )

    # -- the disk ------------------------------------------------------------------------------------------------------

    def _lose_much(self) -> list[str]:
        """A worker whose only backup is of the beginning; it is killed later, and its disk is gone."""
        settings = self._life.settings.replaced(**ONE_BACKUP)
        log = self._reference.workload.log
        until, _ = self._chance.choice(log[len(log) // 2 :])
        pid = fork_worker(self._life._replace(settings=settings))
        code = _wait(pid, lambda: bool(self._backups()) and self._bench.decided(until), self._bench.drain_timeout_s)
        if code is not None or not self._backups():
            return [f"the worker whose disk is to be lost ended with {code}, with {len(self._backups())} backups"]
        self._lose_disk()
        return []

    def _lose_disk(self) -> None:
        """The disk is empty, and the newest backup is put in its place; nothing happens while there is none."""
        self._bench.revive()
        if known := self._backups():
            shutil.rmtree(self._life.settings.partition_dir)
            backups.restore(known[0], self._life.settings.partition_dir, None)
            self._bench.forget_lease()

    def _backups(self) -> list[Backup]:
        directory = self._life.settings.backup_dir
        return backups.listed(directory, self._life.settings.partition) if directory else []

    # -- what must hold whenever no worker is running ------------------------------------------------------------------

    def _look_around(self, *, forgetful: bool) -> list[str]:
        self._bench.revive()
        if self._scene is Scene.POISON and not self._bench.findings_are_on_the_log(self._reference.workload.last):
            return ["a message is set aside, and the log does not say so"]
        return self._look_at_backups(forgetful=forgetful)

    def _look_at_backups(self, *, forgetful: bool) -> list[str]:
        """Whatever looks like a backup is one, and what is trimmed is in one."""
        directory = self._life.settings.backup_dir
        if directory is None or not directory.exists():
            return []
        wrong, newest = [], START
        for path in directory.iterdir():
            if path.name.startswith("."):  # cleared by the next one
                continue
            try:
                newest = max(newest, backups.verify(path).position)
            except StateError as error:
                wrong.append(f"{path.name} is no backup: {error}")
        if (trimmed := self._bench.trimmed()) > newest and not forgetful:
            wrong.append(f"commands are trimmed up to {trimmed}, and the newest backup is of {newest}")
        return wrong

    # -- lives ---------------------------------------------------------------------------------------------------------

    def _disturb(self, disturbance: Disturbance) -> list[str]:
        shot, name = disturbance.shot, disturbance.name
        self._life.record.unlink(missing_ok=True)
        for policy, server in SERVER.items():
            if name == server and shot is not None:
                self._bench.use_appendfsync(policy)
                shot = shot._replace(target=self._bench.server_pid())
        if shot is None:
            return self._kill_after(fork_worker(self._life), disturbance)
        code: int | None = None
        for _ in range(self._starts):
            code = self._live(name, shot)
            if code != -signal.SIGKILL or self._life.record.exists():
                break
        if self._life.record.exists():
            self.fell.append(name)
        if code == -signal.SIGKILL and self._scene is Scene.POISON:  # the message's work
            return []
        return [] if code in _EXPECTED.get(name, (None, -signal.SIGKILL, 0)) else [f"{disturbance}: ended with {code}"]

    def _live(self, name: str, shot: Shot) -> int | None:
        """A worker that is shot at; how it ended, ``None`` if it had nothing more to do."""
        pid = fork_worker(self._life._replace(shot=shot))
        asked_to_stop = False

        def over() -> bool:
            nonlocal asked_to_stop
            if name.startswith("stop:") and not asked_to_stop and self._bench.running(pid):
                os.kill(pid, signal.SIGTERM)
                asked_to_stop = True
            if name in SERVER.values() and self._life.record.exists():
                self._bench.revive()
            return not asked_to_stop and self._bench.drained(pid, self._reference)

        return _wait(pid, over, self._bench.drain_timeout_s)

    def _kill_after(self, pid: int, disturbance: Disturbance) -> list[str]:
        at = time.monotonic() + disturbance.after_s
        code = _wait(pid, lambda: time.monotonic() >= at, self._bench.drain_timeout_s)
        if code == -signal.SIGKILL and self._scene is Scene.POISON:
            return []
        self.fell.append(disturbance.name)
        return [] if code is None else [f"{disturbance}: ended with {code} by itself"]

    def _end(self, *, ordered: bool, carried: bool) -> list[str]:
        """The last worker: runs until nothing waits; without disturbances that must come to pass. A message that ends
        processes ends some before it."""
        self._bench.revive()
        drained = False
        for _ in range(self._starts):
            pid = fork_worker(self._life)

            def enough(pid: int = pid) -> bool:
                nonlocal drained
                drained = self._bench.drained(pid, self._reference, carried=carried)
                return drained

            code = _wait(pid, enough, self._bench.drain_timeout_s, leave=ordered)
            if code != -signal.SIGKILL:
                break
        if code is not None:
            return [f"the last worker ended with {code}"]
        if ordered and (code := _terminate(pid)):
            return [f"an ordered end with status {code}"]
        return [] if drained else [f"not drained {self._bench.drain_timeout_s:g} s after the last disturbance"]

    @property
    def _starts(self) -> int:
        """How often a worker is started at the most, as a supervisor does it, until one gets through.

        So many deaths bring about a search. One that begins with a kill of ours looks at what was in hand then, and if
        the message came later it takes another.
        """
        return 1 + 2 * self._life.settings.suspect_after if self._scene is Scene.POISON else 1


# How a worker may end, and ``None`` for one that had nothing more to do; where not told, killed or stopped in order.
_EXPECTED: dict[str, tuple[int | None, ...]] = {
    TERM: (None, 0),
    TERM_TWICE: (None, 0),
    **dict.fromkeys(SERVER.values(), (None,)),
}


def _plan(seed: int, scene: Scene, chance: random.Random, hits: dict[str, int]) -> Iterator[Disturbance]:
    """One to three disturbances: the first is the seed's turn in the round, the others are any."""
    yield _disturbance(ROUND[seed % len(ROUND)], scene, chance, hits)
    for _ in range(chance.choice((0, 0, 1, 1, 2))):
        yield _disturbance(chance.choice(possible(ROUND, scene)), scene, chance, {})


def _disturbance(name: str, scene: Scene, chance: random.Random, hits: dict[str, int]) -> Disturbance:
    if name == ANY_TIME:
        return Disturbance(name, None, chance.uniform(0.02, _LATEST_KILL_S))
    if name in BY_NAME:
        return Disturbance(name, Shot(name, _hit(name, chance, hits)))
    reachable = [point.name for point in POINTS if point.step not in ("open", "stop", "snapshot", "redact", "scrub")]
    point = chance.choice(possible(reachable, scene))
    numbers = {TERM: (signal.SIGTERM,), TERM_TWICE: (signal.SIGTERM,) * 2}.get(name, (signal.SIGKILL,))
    return Disturbance(name, Shot(point, _hit(point, chance, hits), numbers))


def _hit(point: str, chance: random.Random, hits: dict[str, int]) -> int:
    """At which time: early ones more often, as a run in larger batches comes by less often."""
    return 1 + int(max(0, min(hits.get(point, 2), 40) // 2) * chance.random() ** 2)


def _processed(events: list[Published]) -> set[str]:
    return {event.id for event in events if event.type == PROCESSED}


def _wait(pid: int, enough: Callable[[], bool], timeout_s: float, *, leave: bool = False) -> int | None:
    """Wait until the worker ends or ``enough()``, and kill it then unless it is to be left.

    Returns:
        Its exit status, negative for a signal; ``None`` if it was alive at the end.
    """
    ended: list[int] = []

    def over() -> bool:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            ended.append(os.waitstatus_to_exitcode(status))
        return bool(found) or enough()

    with suppress(TimeoutError):  # what is missing then is told by what it left behind
        wait_until(over, "the worker", timeout_s)
    if ended:
        return ended[0]
    if not leave:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return None


def _terminate(pid: int) -> int:
    """SIGTERM; its exit status, which must come in time."""
    os.kill(pid, signal.SIGTERM)
    code = _wait(pid, lambda: False, _END_TIMEOUT_S)
    return -signal.SIGALRM if code is None else code
