"""``python -m benchmarks``: run benchmarks, print a table, write JSON into benchmarks/results/."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks import backfill, encoders, kills, latency, long_texts, order, throughput
from benchmarks.texts import SETS, load_texts

RESULTS = Path(__file__).parent / "results"


@click.command()
@click.argument(
    "names",
    nargs=-1,
    type=click.Choice(
        [*SETS, "latency", "encoders", "long-texts", "order", "backfill", "backfill-model", "kills"],
    ),
)
@click.option("--limit", type=int, help="Take only so many items of each set.")
@click.option("--index", default="auto", show_default=True, type=click.Choice(["auto", "exact", "hnsw"]))
@click.option("--quick", is_flag=True, help="Measure the model once, after the pipeline, instead of before and after.")
def main(names: tuple[str, ...], limit: int | None, index: str, *, quick: bool) -> None:
    """Run the benchmarks NAMES (by default the two sets of texts and `latency`)."""
    results = {}
    for name in names or (*SETS, "latency"):
        click.echo(f"{name} …", err=True)
        if name == "latency":
            results[name] = latency.measure()
        elif name == "encoders":
            results[name] = encoders.measure(limit)
        elif name == "long-texts":
            results[name] = long_texts.measure(limit)
        elif name.startswith("backfill"):
            results[name] = backfill.measure(limit, model=name == "backfill-model")
        elif name == "kills":
            results[name] = kills.measure()
        elif name == "order":
            results[name] = order.measure(limit)
        else:
            results[name] = throughput.measure(load_texts(name, limit), index, quick=quick)
        for key, value in results[name].items():
            click.echo(f"{name:12} {key:32} {value}")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%S}.json"
    path.write_text(json.dumps({"machine": platform.processor() or platform.machine(), "results": results}, indent=2))
    click.echo(f"written to {path}", err=True)


main()
