"""``python -m benchmarks.ten_days``: ten days of stream time through the engine, with collections that come and go.

Every kind of command: items that arrive, are sent again, edited, patched, deleted and erased, with versions and keys,
that expire, and that are silent; answers, settings, deleted collections. The engine is driven as an owner drives it: in
batches, with its upkeep between them. What it keeps must be flat or at its bound: rows of each table, the file,
descriptors, memory. Ends with one line; exit code 0 only if nothing has grown from the middle to the end.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from recommender import Entry, EntryId, Recommender, decode_entry, open_recommender
from recommender.embedding import Encoder
from recommender.items import DEFAULT_MODEL
from recommender.opening import DATABASE
from recommender.testing import DeterministicEncoder

DAY_MS = 86_400_000
START_MS = 1_700_000_000_000
TABLES = (
    *("items", "vectors", "points", "terms", "answers", "models", "lessons", "tombstones", "collections", "deletions"),
    *("outbox", "keys", "replies", "redactions", "moves", "forwards", "meta"),
)
ALIVE = 50
"""Collections that are there at a time, beside the one that stays."""


class Encoders:
    """The deterministic encoder under the name of the default model."""

    def __init__(self) -> None:
        self._encoder = DeterministicEncoder(64)

    @property
    def names(self) -> tuple[str, ...]:
        return (DEFAULT_MODEL,)

    def encoder(self, name: str) -> Encoder:
        return self._encoder


@click.command()
@click.option("--days", default=10, show_default=True, help="Of stream time.")
@click.option("--collections", default=5000, show_default=True, help="That come and go.")
@click.option("--commands", default=12, show_default=True, help="For each of them.")
@click.option("--seed", default=1, show_default=True)
def main(*, days: int, collections: int, commands: int, seed: int) -> None:
    """Run it, and print one line."""
    started_s, samples, sent, longest_s = time.monotonic(), [], 0, 0.0
    with tempfile.TemporaryDirectory() as directory:
        engine = open_recommender(Path(directory), Encoders())
        step_ms = days * DAY_MS // collections
        chance = random.Random(seed)
        for number in range(collections):
            entries = list(batch_of(chance, number, commands, START_MS + number * step_ms))
            before_s = time.monotonic()
            engine.process(entries)
            longest_s = max(longest_s, time.monotonic() - before_s)
            sent += len(entries)
            engine.acknowledge(redacted=engine.outbox.redactions())
            while engine.tidying.some(2 * DAY_MS, engine.last_event):
                pass
            if number % max(1, collections // 40) == 0:
                engine.snapshot(all_changes=True)
                samples.append(sample(engine, Path(directory)))
        samples.append(sample(engine, Path(directory)))
        engine.close()
    # By then a week of versions, two days of events and one of keys have been there and gone.
    middle = samples[len(samples) * 8 // 10]
    grown = {name: (middle[name], value) for name, value in samples[-1].items() if value > 1.15 * middle[name] + 8}
    told = {"commands": sent, "seconds": round(time.monotonic() - started_s), "longest batch s": round(longest_s, 2)}
    print(json.dumps({"ok": not grown, **told, "grown": grown, "at 80 %": middle, "at the end": samples[-1]}))
    sys.exit(0 if not grown else 1)


def batch_of(chance: random.Random, number: int, commands: int, at_ms: int) -> Iterator[Entry]:
    """One collection comes, an earlier one goes, and the one that stays is worked on."""
    place = 0

    def entry(type_: str, data: dict[str, Any], **more: Any) -> Entry:
        nonlocal place
        place += 1
        return decode_entry(EntryId(at_ms + place, 0), type_, json.dumps(data), **more)

    name = f"c{number}"
    rules: dict[str, Any] = {"ttl_seconds": 86_400} if number % 3 == 0 else {"commands_per_second": 1000.0}
    yield entry("collection.configured", {"collection": name, "settings": rules})
    for n in range(commands):
        said = {"id": f"i{n % 8}", "collection": name, "text": text_of(chance), "version": n + 1}
        yield entry("item.upsert", {**said, "silent": n % 5 == 0}, key=f"{name} {n}")
    yield entry("item.patch", {"id": "i1", "collection": name, "attributes": {"price": number % 100}})
    yield entry("feedback.given", {"id": "i0", "collection": name, "other": "i1", "answer": "different"})
    yield entry("item.delete", {"id": "i2", "collection": name, "version": commands + 1})
    yield entry("item.delete", {"id": f"never {number}", "collection": name, "version": 1})
    yield entry("item.erase", {"id": "i3", "collection": name})
    stays = {"id": f"s{number % 500}", "collection": "stays"}
    yield entry("item.upsert", {**stays, "text": text_of(chance), "version": number})
    yield entry("item.delete", {**stays, "id": f"s{(number * 7) % 500}", "version": number})
    yield entry("item.upsert", {"id": "nothing"})  # rejected
    if number >= ALIVE:
        yield entry("collection.deleted", {"collection": f"c{number - ALIVE}"}, key=f"gone {number}")


def text_of(chance: random.Random) -> str:
    """A dozen words, a few of them common and most of them rare."""
    return " ".join(f"word{int(3000 * chance.random() ** 3)}" for _ in range(12))


def sample(engine: Recommender, directory: Path) -> dict[str, int]:
    """What is kept: rows by table, files, descriptors, memory, and what the engine has of collections."""
    gc.collect()
    connection = engine._store._db  # noqa: SLF001 (what no caller needs is looked at from outside)
    rows = {table: int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in TABLES}
    resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
    return rows | {
        "database MiB": (directory / DATABASE).stat().st_size >> 20,
        "files": sum(1 for path in directory.rglob("*") if path.is_file()),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "resident MiB": resident_pages * 4096 >> 20,
        "counts of words": len(engine._words._counts),  # noqa: SLF001
        "indexes": len(engine._indexes._indexes),  # noqa: SLF001
    }


if __name__ == "__main__":
    main()
