"""``python -m benchmarks.ten_days``: ten days of stream time, with collections that come, move and go.

Every type of command (`benchmarks.ten_days_commands`). Two engines, as two partitions, are driven as owners drive
theirs: in batches, with upkeep between them; one collection in ten moves from the first to the second. With
``--worker`` all of it waits in the stream of a real server, and a real worker decides it; nothing moves then.

What is kept must be flat or at its bound from the eighth day on: rows of each table, the file, what lies in Redis,
descriptors, memory. Ends with one line; exit code 0 only if nothing has grown, and everything that was to happen has.
"""

from __future__ import annotations

import base64
import gc
import json
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from benchmarks.ten_days_commands import DAY_MS, Said, commands_of, moves
from benchmarks.worker_process import RunningWorker, deterministic_worker
from celery_recommender.broker.commands.encoding import command_fields
from celery_recommender.broker.coordination.proofs import Proofs
from celery_recommender.client import Client
from recommender_engine import Entry, EntryId, decode_entry, open_recommender
from recommender_engine.items.moves import FIRST_PAGE
from recommender_engine.opening import DATABASE
from tests.support.encoders import FixedEncoders

START_MS = 1_700_000_000_000
TABLES = (
    *("items", "vectors", "points", "terms", "answers", "models", "lessons", "tombstones", "collections", "deletions"),
    *("outbox", "payloads", "keys", "replies", "redactions", "moves", "forwards", "meta"),
)
HAPPENS = frozenset(
    {
        *("item.processed", "item.revised", "item.patched", "item.deleted", "item.expired", "items.backfilled"),
        *("feedback.accepted", "group.changed", "command.ignored", "command.forwarded"),
        *("collection.configured", "collection.deleted", "collection.moved"),
        *("not_json", "key_reused", "missing_field", "invalid_value", "rate_limited", "contradiction", "no_duplicate"),
    }
)
"""Types of events, and codes of rejections, without which a run has not shown anything."""
_SAMPLES = 40
_EVERY_S = 2.0


@dataclass
class Seen:
    """The results of a run.

    Attributes:
        samples: of all that is kept, in order, a share of the commands apart.
        outcomes: events by type, rejections by code.
    """

    sent: int = 0
    longest_s: float = 0.0
    samples: list[dict[str, int]] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)


@click.command()
@click.option("--days", default=10, show_default=True, help="Of stream time.")
@click.option("--collections", default=5000, show_default=True, help="That come and go.")
@click.option("--commands", default=12, show_default=True, help="Items and edits of each.")
@click.option("--seed", default=1, show_default=True)
@click.option("--worker", is_flag=True, help="A real server and a real worker.")
def main(*, days: int, collections: int, commands: int, seed: int, worker: bool) -> None:
    """Run it, and print one line."""
    started_s, chance = time.monotonic(), random.Random(seed)
    step_ms = days * DAY_MS // collections

    def batches(start_ms: int) -> list[list[Said]]:
        return [commands_of(chance, number, commands, start_ms + number * step_ms) for number in range(collections)]

    if worker:
        seen = worker_run(batches(int(time.time() * 1000) - days * DAY_MS))
    else:
        with tempfile.TemporaryDirectory() as directory:
            seen = engines_run(batches(START_MS), Path(directory))
    # By then a week of versions, two days of events and one of keys have been there and gone.
    middle, end = seen.samples[len(seen.samples) * 8 // 10], seen.samples[-1]
    grown = {name: (middle[name], value) for name, value in end.items() if value > 1.15 * middle[name] + 8}
    missing = [] if worker else sorted(HAPPENS - seen.outcomes.keys())
    result = {
        "ok": not grown and not missing,
        "commands": seen.sent,
        "seconds": round(time.monotonic() - started_s),
        "longest batch s": round(seen.longest_s, 2),
        "grown": grown,
        "did not happen": missing,
        "outcomes": dict(seen.outcomes.most_common()),
        "at 80 %": middle,
        "at the end": end,
    }
    print(json.dumps(result))
    sys.exit(0 if result["ok"] else 1)


# -- the engine, twice -------------------------------------------------------------------------------------------------


class Partition:
    """An engine with its log."""

    def __init__(self, name: str, directory: Path, seen: Seen) -> None:
        self.name = name
        self.engine = open_recommender(directory, FixedEncoders(), partition=name)
        self._directory = directory
        self._seen = seen
        self._last_ms = 0

    def decide(self, said: list[Said], via: tuple[str, ...] = ()) -> None:
        """Decide some commands as one batch, and do what an owner does then."""
        entries = [replace(self._entry(one), via=via) for one in said]
        before_s = time.monotonic()
        events = self.engine.process(entries)
        self._seen.longest_s = max(self._seen.longest_s, time.monotonic() - before_s)
        self._seen.sent += len(entries)
        for event in events:
            written = json.loads(event.to_json(self.name))
            code = written["data"].get("code")
            name = written["type"].removeprefix("recommender.").removesuffix(".v1")
            expired = name == "item.deleted" and written["data"].get("expired")
            self._seen.outcomes[code or ("item.expired" if expired else name)] += 1
        self.engine.acknowledge(redacted=self.engine.outbox.redactions())
        while self.engine.tidying.some(2 * DAY_MS, self.engine.last_event):
            pass

    def step(self, at_ms: int, type_: str, **data: Any) -> None:
        self.decide([Said(at_ms, type_, data, f"step {at_ms} {self._last_ms}")])

    def _entry(self, said: Said) -> Entry:
        self._last_ms = max(said.at_ms, self._last_ms + 1)
        return decode_entry(EntryId(self._last_ms, 0), said.type, json.dumps(said.data), said.key)

    def sample(self) -> dict[str, int]:
        self.engine.snapshot(all_changes=True)
        memory = {
            "counts of words": len(self.engine._base.words._counts),  # noqa: SLF001
            "indexes": len(self.engine._base.indexes._indexes),  # noqa: SLF001
        }
        return _kept(self._directory) | memory


def engines_run(batches: list[list[Said]], directory: Path) -> Seen:
    """Decide everything in this process."""
    seen = Seen()
    here, there = (Partition(name, directory / name, seen) for name in ("here", "there"))
    for number, said in enumerate(batches):
        here.decide(said)
        _pass_on(here, there)
        if moves(number):
            _move(f"c{number}", here, there, said[-1].at_ms)
        if number % max(1, len(batches) // _SAMPLES) == 0 or number == len(batches) - 1:
            gc.collect()
            sides = {side.name: side.sample() for side in (here, there)}
            both = {f"{name} {kind}": value for name, one in sides.items() for kind, value in one.items()}
            seen.samples.append(both | _of_process("self"))
    for side in (here, there):
        side.engine.close()
    return seen


def _move(name: str, here: Partition, there: Partition, at_ms: int) -> None:
    """The steps of ``recommender move``."""
    step = {"collection": name, "move": f"of {name}", "source": here.name, "target": there.name}
    here.step(at_ms, "collection.moved", step="sealed", **step)
    stands = here.engine.moving.status(name)
    numbers = {"arrivals": stands["arrivals"], "points": stands["points"]}
    there.step(at_ms, "collection.moved", step="begun", **step, **numbers)
    name_of_page: str | None = FIRST_PAGE
    while name_of_page is not None:
        page = here.engine.moving.page(name, name_of_page)
        part = {"part": 0, "parts": 1, "data": base64.b64encode(page.data.encode()).decode(), "sha256": page.sha256}
        brought = {"collection": name, "move": step["move"], "page": name_of_page, "next": page.next, **part}
        there.step(at_ms, "collection.records", **brought)
        name_of_page = there.engine.moving.status(name)["page"]
    there.step(at_ms, "collection.moved", step="arrived", **step)
    here.step(at_ms, "collection.moved", step="released", **step)


def _pass_on(here: Partition, there: Partition) -> None:
    """Commands for the other partition, until there are none."""
    sides = {side.name: side for side in (here, there)}
    while forwards := [
        (side, side.engine.moves.forwards(100)) for side in sides.values() if side.engine.moves.passing()
    ]:
        for side, some in forwards:
            for one in some:
                said = Said(0, one.command["type"], json.loads(one.command["data"]), one.command["key"])
                sides[one.target].decide([said], via=(*one.command["via"], side.name))
            side.engine.moves.sent(some)


# -- a worker ----------------------------------------------------------------------------------------------------------


class _Dated(Proofs):
    """Makes proofs at the time of the commands."""

    at_ms = 0

    def _now_ms(self) -> int:
        return self.at_ms


def worker_run(batches: list[list[Said]]) -> Seen:
    """Have a worker decide everything that waits in its stream."""
    seen = Seen(sent=sum(map(len, batches)))
    bounds = {"most_waiting": 0, "events_max_length": 20_000, "dead_letters_max_length": 1000}
    with deterministic_worker(preload=lambda client: _append(client, batches), **bounds) as worker:
        while left := worker.client.log.length():
            worker.require()
            if (seen.sent - left) * _SAMPLES >= seen.sent * len(seen.samples):
                seen.samples.append(_of_worker(worker))
            time.sleep(_EVERY_S)
        seen.samples.append(_of_worker(worker))
        before: dict[str, int] = {}
        while before != seen.samples[-1]:  # upkeep goes by the clock, and has ten days' work in minutes
            worker.require()
            time.sleep(_EVERY_S)
            before, seen.samples[-1] = seen.samples[-1], _of_worker(worker)
    return seen


def _append(client: Client, batches: list[list[Said]]) -> None:
    proofs = _Dated(client.redis, client.keys)
    for some in batches:
        pipe = client.redis.pipeline(transaction=False)
        for said in some:
            proofs.at_ms = said.at_ms
            fields: Any = proofs.signed(command_fields(said.type, said.data, key=said.key))
            pipe.xadd(client.keys.commands, fields, id=f"{said.at_ms}-0")
        pipe.execute()


def _of_worker(worker: RunningWorker) -> dict[str, int]:
    redis, keys = worker.client.redis, worker.client.keys
    streams: dict[str, Any] = {name: redis.xlen(name) for name in (keys.events, keys.dead_letters)}
    hashes: dict[str, Any] = {name: redis.hlen(name) for name in (keys.replies, keys.quarantined)}
    there: Any = redis.dbsize()
    redis_has = {f"Redis: {name}": int(count) for name, count in (streams | hashes).items()}
    of_process = _of_process(worker.process.pid)
    return _kept(worker.settings.partition_dir) | redis_has | {"Redis: keys": int(there)} | of_process


# -- what is kept ------------------------------------------------------------------------------------------------------


def _kept(directory: Path) -> dict[str, int]:
    """Rows by table, size, files. The database is locked for all but its owner, so a copy is read."""
    database, log = directory / DATABASE, directory / f"{DATABASE}-wal"
    with tempfile.TemporaryDirectory() as copies:
        before = b""
        while not before or _header(log) != before:  # as long as its log begins anew meanwhile
            before = _header(log)
            copy = Path(shutil.copy(database, copies))
            shutil.copy(log, copies)
        with closing(sqlite3.connect(copy)) as connection:
            rows = {table: int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in TABLES}
    files = [path for path in directory.rglob("*") if path.is_file()]
    return rows | {"database MiB": database.stat().st_size >> 20, "files": len(files)}


def _header(log: Path) -> bytes:
    with log.open("rb") as file:
        return file.read(32) or b"empty"


def _of_process(process: int | str) -> dict[str, int]:
    resident_pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    descriptors = len(list(Path(f"/proc/{process}/fd").iterdir()))
    return {"descriptors": descriptors, "resident MiB": resident_pages * 4096 >> 20}


if __name__ == "__main__":
    main()
