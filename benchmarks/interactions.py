"""What an interaction costs the engine: processor time, bytes written and state, averaged over batches.

    python -m benchmarks.interactions [--interactions 100000] [--items 4000] [--users 3000] [--batch 500] [--keys]

Baskets as in a shop: items with Zipf popularity in topics, 1 to 200 of them in a basket (log-normal, median 15), two
thirds of a basket from one topic. The items are there. Interactions come as the bytes of stream entries. The last half
is measured, when lists are full.
`--keys`: each has a key, as from Python's `Client`. `--profile`: print the costliest functions instead.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from celery_recommender.broker.commands.encoding import new_key
from celery_recommender.broker.commands.log import decode
from recommender_engine import Entry, Recommender, open_recommender
from recommender_engine.items import DEFAULT_MODEL, EntryId
from recommender_engine.opening import DATABASE
from recommender_engine.testing import DeterministicEncoder

START_MS = 1_760_000_000_000
TOPICS = 60


class Models:
    """The default model, without its weights."""

    names = (DEFAULT_MODEL,)

    def encoder(self, name: str) -> DeterministicEncoder:
        return {DEFAULT_MODEL: DeterministicEncoder()}[name]


def baskets(items: int, users: int, seed: int) -> Iterator[tuple[int, list[int]]]:
    """User and items of each basket, without end."""
    chance = np.random.default_rng(seed)
    popularity = 1.0 / np.arange(1, items + 1) ** 0.8
    popularity /= popularity.sum()
    topics = chance.integers(0, TOPICS, items)
    members = [np.flatnonzero(topics == topic) for topic in range(TOPICS)]
    while True:
        size = int(np.clip(chance.lognormal(np.log(15), 0.9), 1, 200))
        inside = members[chance.integers(0, TOPICS)]
        weights = popularity[inside] / popularity[inside].sum()
        chosen = list(chance.choice(inside, min(len(inside), max(1, size * 2 // 3)), replace=False, p=weights))
        chosen += list(chance.choice(items, size - size * 2 // 3, p=popularity))
        yield int(chance.integers(0, users)), list(dict.fromkeys(map(int, chosen)))


def catalogue(count: int) -> list[Entry]:
    """The items."""
    said = ({"collection": "shop", "id": f"P-{n}", "text": f"article number {n}", "silent": True} for n in range(count))
    return [
        decode(EntryId(START_MS - count + n, 0), {b"data": json.dumps(one).encode()}, START_MS)
        for n, one in enumerate(said)
    ]


def entries(count: int, items: int, users: int, seed: int, *, keys: bool) -> Iterator[Entry]:
    """Interactions as a worker reads them."""
    made, now_ms = 0, START_MS
    for user, chosen in baskets(items, users, seed):
        now_ms += 300_000
        for item in chosen:
            now_ms += 1_000
            data = {"collection": "shop", "item": f"P-{item}", "user": f"U-{user}", "kind": "buy"}
            fields = {b"type": b"interaction.recorded", b"data": json.dumps(data).encode()}
            if keys:
                fields[b"key"] = new_key().encode()
            yield decode(EntryId(now_ms, made), fields, now_ms)
            made += 1
            if made == count:
                return


def written_bytes() -> int:
    """Bytes that this process has handed to the system to be written."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def decide(engine: Recommender, source: Iterator[Entry], batch: int, count: int) -> None:
    """Decide so many of the entries, in batches."""
    for _ in range(0, count, batch):
        engine.process([entry for _, entry in zip(range(batch), source, strict=False)])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (("interactions", 100_000), ("items", 4000), ("users", 3000), ("batch", 500), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--keys", action="store_true")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    half = given.interactions // 2 // given.batch * given.batch
    with tempfile.TemporaryDirectory() as folder, closing(open_recommender(Path(folder), Models())) as engine:
        engine.process(catalogue(given.items))
        source = entries(2 * half, given.items, given.users, given.seed, keys=given.keys)
        decide(engine, source, given.batch, half)
        profiler = cProfile.Profile()
        if given.profile:
            profiler.enable()
        spent_s, since_s, written = time.process_time(), time.perf_counter(), written_bytes()
        decide(engine, source, given.batch, half)
        spent_s, since_s = time.process_time() - spent_s, time.perf_counter() - since_s
        written = written_bytes() - written
        if given.profile:
            profiler.disable()
            pstats.Stats(profiler).sort_stats("tottime").print_stats(35)
        engine.truncate_log()
        size = (Path(folder) / DATABASE).stat().st_size
        print(f"processor time of an interaction   {1e6 * spent_s / half:8.0f} µs (limit 250, with reading its entry)")
        print(f"written for it                     {written / half:8.0f} bytes (limit 4096)")
        print(f"interactions a second              {half / since_s:8.0f} (least 2500)")
        print(f"state                              {size / 1e6:8.1f} MB, {given.items} items, {given.users} users")


if __name__ == "__main__":
    main()
