"""``python -m benchmarks NAME``: measure one thing, or ``all``; a table here, and files in benchmarks/results/."""

from __future__ import annotations

import click

from benchmarks.all import everything
from benchmarks.backfill import backfill
from benchmarks.encoders import encoders
from benchmarks.filters import filters
from benchmarks.fleet import fleet
from benchmarks.growth import growth
from benchmarks.kills import kills
from benchmarks.latency import latency
from benchmarks.live_model_change import model_change
from benchmarks.long_texts import long_texts
from benchmarks.neighbour import neighbour
from benchmarks.order import order
from benchmarks.peers.comparison import peers
from benchmarks.pipeline import pipeline
from benchmarks.profile import profile
from benchmarks.recommending import recommending
from benchmarks.sentences import sentences
from benchmarks.tenants import tenants
from benchmarks.vectors import vectors


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
def main() -> None:
    """Measure. Every command writes JSON, a table and pictures into a folder of its own below benchmarks/results.

    `all` runs what `make bench` runs. See benchmarks/README.md.
    """


for command in (
    everything,
    pipeline,
    latency,
    neighbour,
    vectors,
    encoders,
    long_texts,
    peers,
    profile,
    growth,
    tenants,
    filters,
    recommending,
    sentences,
    fleet,
    backfill,
    model_change,
    order,
    kills,
):
    main.add_command(command)

if __name__ == "__main__":
    main()
