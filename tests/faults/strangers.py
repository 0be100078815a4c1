"""``python -m tests.faults.strangers``: strangers at the door of the stream, for as long as one likes."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from traceback import format_exc

import click

from tests.faults.door import ROUND, Door


@click.command()
@click.option("--seconds", default=300, show_default=True, type=click.IntRange(min=0))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
def main(seconds: int, seed: int) -> None:
    """Append whatever comes for SECONDS; the exit status is 0 only if the owner never ended and lost nothing."""
    failed = ""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        door = Door(Path(directory), seed, stack)
        try:
            door.run(seconds)
        except Exception:
            failed = format_exc()
        told = door.tally
    end = "FAILED" if failed else "the owner never ended, and nothing was lost"
    click.echo(
        f"{failed}seed {seed}: {told.entries:,} entries, {told.good:,} of them good, {told.refused:,} that the server"
        f" refused; the slowest round of {ROUND} took {told.slowest_s:.1f} s; {end}"
    )
    click.echo(", ".join(f"{count:,} {kind}" for kind, count in told.outcomes.most_common()))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
