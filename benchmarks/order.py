"""The same reports in many orders: how far the groups agree with each other, and with the labels."""

from __future__ import annotations

import csv
import gzip
import itertools
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import click
import numpy as np

from benchmarks.output import publish, show, timed
from benchmarks.report import Report
from benchmarks.texts import DATA
from recommender_engine.embedding import KNOWN_MODELS, ModelCatalogue
from recommender_engine.evaluation import RecordedEncoders, agreement, embed, judge_stream, run_stream
from recommender_engine.items import DEFAULT_MODEL, UpsertItem
from recommender_engine.text import clean

ORDERS = 20
SEED = 1
VECTORS = Path(__file__).parent / "results" / "order-vectors.npz"


@click.command()
@click.option("--limit", type=int, help="The first reports only.  [default: all, which takes many minutes]")
@click.option("--orders", default=ORDERS, show_default=True)
def order(limit: int | None, orders: int) -> None:
    """The same reports in many orders: how far the groups agree."""
    report = measure(limit, orders)
    show(report)
    publish([report])


@timed
def measure(limit: int | None = None, orders: int = ORDERS) -> Report:
    """Groups of ``limit`` bug reports (all by default) in random orders; every text is embedded once for all of them.

    Agreement is the mean over all pairs of orders: adjusted Rand index, and the share of the pairs of reports that
    either order puts together that both do.
    """
    items, links = reports(limit)
    VECTORS.parent.mkdir(exist_ok=True)
    encoders = RecordedEncoders(ModelCatalogue(KNOWN_MODELS), DEFAULT_MODEL, VECTORS)
    embed(encoders.encoder(DEFAULT_MODEL), [clean(item.content) for item in items])
    encoders.recorded.save()
    groupings, figures = [], []
    for number in range(orders):
        places = np.random.default_rng([SEED, number]).permutation(len(items))
        run = run_stream([items[place] for place in places], encoders)
        groupings.append(run.groups)
        figures.append(judge_stream(run, links)[0])
    agreements = [agreement(one, other) for one, other in itertools.combinations(groupings, 2)]
    facts = {
        "reports": len(items),
        "orders": orders,
        "adjusted Rand index, mean": round(mean(one.adjusted_rand for one in agreements), 4),
        "adjusted Rand index, least": round(min(one.adjusted_rand for one in agreements), 4),
        "pairs in common, mean": round(mean(one.pairs_in_common for one in agreements), 4),
        "B-cubed F1 against the labels": spread([one.bcubed_f1 for one in figures]),
        "precision of the duplicate band": spread([one.pair_precision or 0.0 for one in figures]),
        "items/s, vectors recorded": spread([one.items_per_s for one in figures]),
    }
    return Report("order", "The same reports in many orders", facts=facts)


def reports(limit: int | None) -> tuple[list[UpsertItem], list[tuple[str, str]]]:
    """Bug reports in the order of the file, and pairs that are the same."""
    folder = DATA / "bugs_openoffice"
    items = [
        UpsertItem(id=row["bug_id"], fields={name: row[name] for name in ("title", "description") if row[name]})
        for row in rows(folder / "reports.csv.gz")
    ]
    links = [(row["bug_id"], row["duplicate_of"]) for row in rows(folder / "duplicates.csv.gz")]
    return items[:limit], links


def rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def spread(values: Sequence[float]) -> str:
    """Least, mean and greatest."""
    return f"{min(values):.4g} … {mean(values):.4g} … {max(values):.4g}"
