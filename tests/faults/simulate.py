"""``python -m tests.faults.simulate``: as many simulated lives of the engine as one likes."""

from __future__ import annotations

import logging
import sys
from traceback import format_exc

import click

from recommender_engine.store import behaviour_rows
from tests.faults.saboteur import Saboteur
from tests.faults.simulation import ENGINE_POINTS, WRITE_AFTER, Trials, crash


@click.command()
@click.option("--trials", default=5000, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of the first trial; +1 for each."
)
def main(trials: int, seed: int) -> None:
    """Run TRIALS and print one line of counts; the exit status is 0 only if all of them agree."""
    logging.disable(logging.CRITICAL)
    behaviour_rows.WRITE_AFTER = WRITE_AFTER
    saboteur = Saboteur(strike=crash)
    saboteur.arm(ENGINE_POINTS)
    runs, failed = Trials(saboteur), 0
    for one in range(seed, seed + trials):
        try:
            runs.run(one)
        except Exception:
            failed += 1
            click.echo(f"seed {one}: {format_exc()}")
    faults = ", ".join(f"{times} {name}" for name, times in sorted(runs.faults.items()))
    click.echo(f"{trials} trials, {len(ENGINE_POINTS)} points, {faults}, {failed} disagree")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
