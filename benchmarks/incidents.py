"""False and missed incidents on simulated traffic: 300 groups, 60 days, 40 outages; no store, no texts.

    python -m benchmarks.incidents [--seeds 1 2 3] [--threshold 12] [--days 60] [--groups 300]

A group has a rate around one item a day (log-normal, sigma 1), less at night and at weekends. The traffic is *calm*
(Poisson), *ordinary* (the rate of a day varies by a gamma of shape 2, an item brings another within the hour with
probability 0.1) or *rough* (shape 0.7, probability 0.3). An outage is 60 items within ten minutes, half of them in
groups that are new. Every group-day counts, those of the first days too. The decisions are those of
`recommender_engine.incidents`, as the product makes them.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

import numpy as np

from recommender_engine.incidents import (
    HORIZON_HOURS,
    HOUR_MS,
    LEAST_ITEMS,
    LONGEST_WINDOW_MS,
    MOST_TIMES,
    Traffic,
    Watched,
    assess,
    calm_at_ms,
    hour_of,
    is_swept_along,
)

DAY_MS = 24 * HOUR_MS
START_MS = 20_000 * DAY_MS
OUTAGES, REPORTS, LENGTH_MS = 40, 60, 600_000


class Kind(NamedTuple):
    """A kind of traffic.

    Attributes:
        shape: of the gamma by which days differ; ``None``: they do not.
        echo: probability that an item brings another within the hour.
    """

    shape: float | None
    echo: float


KINDS = {"calm": Kind(None, 0.0), "ordinary": Kind(2.0, 0.1), "rough": Kind(0.7, 0.3)}


class Simulated(NamedTuple):
    """Traffic, in order of time.

    Attributes:
        arrivals: time in milliseconds and group of each item.
        outages: time at which each begins, and its group.
        group_days: how many days of groups there are.
    """

    arrivals: list[tuple[int, int]]
    outages: list[tuple[int, int]]
    group_days: int


def simulated(kind: Kind, seed: int, groups: int = 300, days: int = 60, outages: int = OUTAGES) -> Simulated:
    """Traffic of a kind."""
    random = np.random.default_rng(seed)
    hours = np.arange(24)
    by_day = np.where((hours >= 8) & (hours < 19), 1.8, 0.3)
    by_day = by_day / by_day.mean()
    found: list[tuple[int, int]] = []
    for group, rate in enumerate(random.lognormal(0.0, 1.0, groups)):
        for day in range(days):
            weekend = 0.4 if (day + 3) % 7 >= 5 else 1.24
            varied = 1.0 if kind.shape is None else random.gamma(kind.shape, 1.0 / kind.shape)
            for hour, count in enumerate(random.poisson(rate * weekend * varied * by_day / 24)):
                start = START_MS + day * DAY_MS + hour * HOUR_MS
                for at in random.integers(start, start + HOUR_MS, count):
                    found.append((int(at), group))
                    while random.random() < kind.echo:
                        at += int(random.integers(1, HOUR_MS))
                        found.append((int(at), group))
    begun: list[tuple[int, int]] = []
    for number in range(outages):
        # not in the first week, and never two within a day in one group
        at = START_MS + int(random.uniform(7, days) * DAY_MS) - LENGTH_MS
        group = groups + number if number % 2 else number * (groups // outages)
        begun.append((at, group))
        found += [(int(one), group) for one in random.integers(at, at + LENGTH_MS, REPORTS)]
    return Simulated(sorted(found), sorted(begun), groups * days)


@dataclass
class Found:
    """What was opened.

    Attributes:
        false: incidents outside of outages.
        opened_at: for each outage that was found, the number of its reports when it opened.
        missed: outages without an incident.
    """

    false: int = 0
    opened_at: list[int] = field(default_factory=list)
    missed: int = 0


def watched(traffic: Simulated, threshold: float) -> Found:
    """What the product opens, against what there was."""
    opened = incidents(traffic, threshold)
    found = Found()
    for at, group in traffic.outages:
        inside = [now for now, other in opened if other == group and at <= now < at + LENGTH_MS]
        if inside:
            found.opened_at.append(sum(other == group and at <= now <= inside[0] for now, other in traffic.arrivals))
        else:
            found.missed += 1
    found.false = sum(
        not any(group == other and at <= now < at + LENGTH_MS for at, other in traffic.outages) for now, group in opened
    )
    return found


def incidents(traffic: Simulated, threshold: float) -> list[tuple[int, int]]:
    """Time and group of each incident that the product opens."""
    collection = Traffic()
    everything: list[int] = []
    times: dict[int, list[int]] = defaultdict(list)
    due: dict[int, int] = {}
    since: dict[int, int] = defaultdict(int)
    opened: list[tuple[int, int]] = []
    for now, group in traffic.arrivals:
        collection.add(hour_of(now))
        everything.append(now)
        mine = times[group]
        mine.insert(0, now)
        while mine[-1] < now - HORIZON_HOURS * HOUR_MS:
            mine.pop()
        if group in due and due[group] <= now:
            since[group] = due.pop(group)
        if len(mine) < LEAST_ITEMS or mine[LEAST_ITEMS - 1] <= now - LONGEST_WINDOW_MS:
            continue
        newest = mine[:MOST_TIMES]
        said = assess(Watched(newest, since[group]), now, collection)
        if group in due:
            due[group] = calm_at_ms(newest, said.usual) if said else due[group]
        elif said is not None and said.best.score >= threshold:
            start = now - said.best.seconds * 1000
            recent = 0
            while recent < len(everything) and everything[-1 - recent] > start:
                recent += 1
            if not is_swept_along(said.best, recent - said.best.items, now, collection):
                opened.append((now, group))
                due[group] = calm_at_ms(newest, said.usual)
    return opened


def main() -> None:
    """Print a row for each kind of traffic."""
    parser = argparse.ArgumentParser(description="False and missed incidents on simulated traffic.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--threshold", type=float, default=12.0)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--groups", type=int, default=300)
    asked = parser.parse_args()
    print("| traffic | group-days | false, per 1,000 group-days | opens at report: median, 90 %, last | missed |")
    print("| --- | --- | --- | --- | --- |")
    for name, kind in KINDS.items():
        runs = [simulated(kind, seed, asked.groups, asked.days) for seed in asked.seeds]
        found = [watched(one, asked.threshold) for one in runs]
        days = sum(one.group_days for one in runs)
        false, missed = sum(one.false for one in found), sum(one.missed for one in found)
        at = sorted(number for one in found for number in one.opened_at)
        late = at[int(0.9 * (len(at) - 1))]
        rate = 1000 * false / days
        opens = f"{median(at):.0f}, {late}, {at[-1]}"
        print(f"| {name} | {days:,} | {rate:.2f} ({false}) | {opens} | {missed} of {OUTAGES * len(runs)} |")


if __name__ == "__main__":
    main()
