"""``python -m tests.faults.crash``: kill real workers at named points and compare with a run that nobody disturbed.

A trial is a small log of commands of every kind, a real worker process on a real state directory and a real server. The
worker (or the server) is killed one to three times, at a named point or at any time; then a last worker runs until
nothing waits. What it all leaves behind must be what an undisturbed run leaves behind. Everything in a trial follows
from its seed.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import mkdtemp

import click

from tests.faults.mutants import MUTANTS
from tests.faults.points import POINTS
from tests.faults.scenes import needed
from tests.faults.trial import Bench, Report

_MODELS = ("deterministic", "real")


@click.command()
@click.option("--trials", default=1000, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of the first trial; +1 for each."
)
@click.option(
    "--server", "kind", default="embedded", show_default=True, type=click.Choice(["embedded", "redis-server"])
)
@click.option("--model", default="deterministic", show_default=True, type=click.Choice(_MODELS))
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1, 64), help="Trials at a time.")
@click.option("--seconds", type=float, help="Begin no further trial after so many seconds.")
@click.option("--drain-s", default=60.0, show_default=True, help="How long a backlog may take when all is well again.")
@click.option("--break", "mutant", type=click.Choice(list(MUTANTS)), help="Break the product first, to see it noticed.")
@click.option("--directory", type=click.Path(path_type=Path), help="For state, logs and failures.")
def main(
    trials: int,
    seed: int,
    kind: str,
    model: str,
    jobs: int,
    seconds: float | None,
    drain_s: float,
    mutant: str | None,
    directory: Path | None,
) -> None:
    """Run TRIALS and print one line of counts; the exit status is 0 only if all of them agree."""
    if mutant:
        MUTANTS[mutant]()
    logging.getLogger("recommender_engine").addHandler(logging.NullHandler())  # it goes to files
    directory = directory or Path(mkdtemp(prefix="crash-"))
    deadline = time.monotonic() + seconds if seconds else None
    seeds = range(seed, seed + trials)
    workers = []
    for job in range(jobs):
        place = directory / f"job-{job}"
        place.mkdir(parents=True)
        workers.append((_fork(place, list(seeds[job::jobs]), kind, model, drain_s, deadline), place))
    reports: list[Report] = []
    broken = 0
    for pid, place in workers:
        broken += os.waitpid(pid, 0)[1] != 0
        lines = (place / "reports.jsonl").read_text().splitlines() if (place / "reports.jsonl").exists() else []
        reports += [Report(**json.loads(line)) for line in lines]
    sys.exit(_conclude(reports, broken, directory))


def _fork(place: Path, seeds: list[int], kind: str, model: str, drain_s: float, deadline: float | None) -> int:
    """Run trials in a child that has imported everything and started no thread; its process id."""
    if pid := os.fork():
        return pid
    status = 1
    try:
        with (
            Bench(place, kind, real_model=model == "real", drain_timeout_s=drain_s) as bench,
            (place / "reports.jsonl").open("a") as file,
        ):
            for seed in seeds:
                if deadline is not None and time.monotonic() > deadline:
                    break
                report = bench.trial(seed)
                file.write(json.dumps(report._asdict()) + "\n")
                file.flush()
                if report.differences:
                    told = "; ".join(report.differences)[:2000]
                    click.echo(f"seed {seed}: {report.scene}: {report.plan}: {told} ({report.directory})")
        status = 0
    except BaseException as error:
        click.echo(f"the trials ended early: {error!r}")
        raise
    finally:
        sys.stdout.flush()
        if status:
            import traceback

            traceback.print_exc()
        os._exit(status)


def _conclude(reports: list[Report], broken: int, directory: Path) -> int:
    fell = Counter(point for report in reports for point in report.fell)
    aimed = Counter(point for report in reports for point in report.aimed)
    reached = Counter(point for report in reports for point in report.reached)
    click.echo(f"{'point':42} {'aimed at':>9} {'struck':>7}")
    for name in [point.name for point in POINTS] + sorted(set(aimed) - {point.name for point in POINTS}):
        click.echo(f"{name:42} {aimed[name]:9} {fell[name]:7}")
    played = {None, *(report.scene for report in reports)}  # few trials need not have every scene
    possible = [point.name for point in POINTS if needed(point.name) in played]
    never = [name for name in possible if not fell[name] and not reached[name]]
    disagree = sum(bool(report.differences) for report in reports)
    for name in never:
        click.echo(f"never reached: {name}")
    kills = sum(fell.values())
    commands, rejected = sum(r.commands for r in reports), sum(r.rejected for r in reports)
    repeats = sum(r.repeats for r in reports)
    doubled = sum(r.delivered_again for r in reports)
    click.echo(
        f"commands {commands} = committed {commands - rejected - repeats} + rejected {rejected} + repeats {repeats}"
    )
    click.echo(f"calls of the user's task made again after a kill: {doubled} (at least once is what is promised)")
    forgotten = sum(r.forgotten for r in reports)
    click.echo(f"results and calls that a killed server had taken and lost (everysec): {forgotten}")
    click.echo(f"directory {directory}")
    points = sum(1 for point in POINTS if fell[point.name])
    click.echo(f"{len(reports)} trials, {points} points, {kills} kills, {disagree} disagree")
    return 1 if disagree or broken or never or not reports else 0


if __name__ == "__main__":
    main()
