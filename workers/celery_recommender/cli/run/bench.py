"""``recommender bench``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import click
from rich.table import Table

from celery_recommender.benchmark.comparison import FULL, QUICK, Comparison, compare
from celery_recommender.benchmark.figures import Figure, percentile
from celery_recommender.cli.common import err, json_option, load_settings, out, print_json, printable, progress_bar
from celery_recommender.cli.input.mapping_options import FileOptions, mapping_options, opened, print_notes
from celery_recommender.cli.run.samples import SAMPLES, sample_file
from celery_recommender.records import BadRow
from celery_recommender.sandbox import nearby, sandboxed
from celery_recommender.settings import Settings
from recommender_engine.errors import InvalidCommand
from recommender_engine.items import UpsertItem
from recommender_engine.items.commands import validate
from recommender_engine.text import clean

_ENOUGH_TEXTS = 2000
_MOST_TEXTS = 50_000


@click.command()
@click.option(
    "input_file",
    "--input",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="Texts of yours, in any format that `ingest` reads.  [default: a small sample]",
)
@mapping_options
@click.option("--items", type=click.IntRange(20, _MOST_TEXTS), help="Take at most so many texts.")
@click.option("--quick", is_flag=True, help="One short round instead of three: rough figures.")
@json_option
def bench(
    input_file: str | None,
    given: FileOptions,
    *,
    items: int | None,
    quick: bool,
    as_json: bool,
) -> None:
    """Measure on this machine: the worker, the limit above it, and what one would otherwise use.

    It takes two to four minutes and some 3 GB of memory: a server, a worker and everything that it is compared with run
    in processes of their own, and nothing is left behind. In each of three rounds each has its turn on the same texts,
    with as many threads; the figures are medians. Repeated texts are left out, since a worker answers them from what it
    knows. Settings come from the environment, but for the server.

    A ratio is the rate of the first over that of the second, round by round, so more is better:

    \b
    encoder_vs_stock             the worker's encoder / SentenceTransformer.encode(batch_size=32) in float32
    pipeline_vs_encoder          stream to published verdict / the worker's encoder alone
    pipeline_vs_hand_written     stream to published verdict / a Celery task for each item, with hnswlib
    celery_door_vs_stream_door   through ingest.delay / through the stream
    vectors_vs_hnswlib           items that bring their vector, by cosine alone / hnswlib alone, asking and adding

    `single_encode_ms`: one text to the encoder alone, median. `idle_p50_ms` and `idle_p99_ms`: one item to an idle
    worker, from append to event, in turns with that text. `items`: what each was given in its turn.

    \b
    recommender bench
    recommender bench --input tickets.csv --text-field subject --text-field body --json > figures.json
    """
    started = time.monotonic()
    texts = list(_distinct(_read(input_file, given), items or _MOST_TEXTS))
    plan = QUICK if quick else FULL
    with nearby(_settings(), "recommender-bench-") as settings, progress_bar() as bar:
        task = bar.add_task("measuring", total=plan.steps)
        steps = iter(range(plan.steps))

        def tell(step: str) -> None:
            bar.update(task, description=step, completed=next(steps))

        measured = compare(texts, settings, plan, tell)
        bar.update(task, description="measured", completed=plan.steps)
    remarks = list(_remarks(measured, sample=input_file is None, quick=quick))
    if as_json:
        print_json({**_summary(measured), "seconds": round(time.monotonic() - started, 1), "remarks": remarks})
    else:
        _show(measured, remarks)


def _settings() -> Settings:
    """What was set, on a server of its own, and without what concerns others."""
    return sandboxed(load_settings(), redis_url="", log_level="WARNING")


def _read(file: str | None, given: FileOptions) -> Iterator[str]:
    with ExitStack() as stack:
        if file is not None:
            yield from _texts(file, given)
            return
        for name, options in SAMPLES.items():
            yield from _texts(str(stack.enter_context(sample_file(name))), FileOptions(mapping=options))


def _texts(file: str, given: FileOptions) -> Iterator[str]:
    with opened(file, given) as (reader, item_mapping):
        print_notes(reader, item_mapping)
        for row in reader:
            item = row if isinstance(row, BadRow) else item_mapping.item(row)
            if isinstance(item, BadRow):
                continue
            try:
                text = clean(validate(UpsertItem, item).content)
            except InvalidCommand:
                continue
            if text:
                yield text


def _distinct(texts: Iterator[str], most: int) -> Iterator[str]:
    seen: set[str] = set()
    for text in texts:
        if text.casefold() not in seen:
            seen.add(text.casefold())
            yield text
        if len(seen) >= most:
            return


def _ratios(measured: Comparison) -> dict[str, tuple[Figure, Figure]]:
    return {
        "encoder_vs_stock": (measured.alone, measured.stock),
        "pipeline_vs_encoder": (measured.pipeline, measured.alone),
        "pipeline_vs_hand_written": (measured.pipeline, measured.hand_written),
        "celery_door_vs_stream_door": (measured.celery_door, measured.pipeline),
        "vectors_vs_hnswlib": (measured.given, measured.hnswlib),
    }


def _summary(measured: Comparison) -> dict[str, Any]:
    latencies = measured.latencies
    return {
        **{name: round(one.over(other), 3) for name, (one, other) in _ratios(measured).items()},
        "single_encode_ms": round(percentile(latencies.encode_ms, 50), 2),
        "idle_p50_ms": round(percentile(latencies.item_ms, 50), 2),
        "idle_p99_ms": round(percentile(latencies.item_ms, 99), 2),
        "encoder": measured.encoder,
        "items": measured.items,
        "stock_items_per_s": _rates(measured.stock),
        "encoder_items_per_s": _rates(measured.alone),
        "pipeline_items_per_s": _rates(measured.pipeline),
        "celery_door_items_per_s": _rates(measured.celery_door),
        "hand_written_items_per_s": _rates(measured.hand_written),
        "vectors_per_s": _rates(measured.given),
        "hnswlib_per_s": _rates(measured.hnswlib),
        "hand_written_items": measured.hand_written_items,
        "vectors": measured.vectors,
        "latencies": len(latencies.item_ms),
        "threads": measured.threads,
    }


def _rates(figure: Figure) -> list[float]:
    return [round(value, 1) for value in figure.values]


def _remarks(measured: Comparison, *, sample: bool, quick: bool) -> Iterator[str]:
    if measured.items < _ENOUGH_TEXTS:
        which = "the sample that comes with the package" if sample else "what was given"
        yield (
            f"only {measured.items:,} items in each turn ({which}): they fit into a batch or two, so the worker cannot"
            " embed ahead while it decides; give it thousands of texts of yours with --input"
        )
    yield (
        f"the hand-written worker was given {measured.hand_written_items:,} items in each turn: as many as it has time"
        " for"
    )
    if quick:
        yield "one short round: rough figures"


def _show(measured: Comparison, remarks: Sequence[str]) -> None:
    latencies = measured.latencies
    out.print(f"encoder {measured.encoder}, {measured.threads} threads, {measured.items:,} items in each turn")
    out.print()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", "items/s", "ratio", "of"):
        table.add_column(title, justify="right" if title in ("items/s", "ratio") else "left")
    ratios = _ratios(measured)
    table.add_row("SentenceTransformer.encode, float32", f"{measured.stock.median:,.0f}")
    for what, figure, name, of in (
        ("the worker's encoder alone", measured.alone, "encoder_vs_stock", "SentenceTransformer.encode"),
        ("the pipeline, stream to verdict", measured.pipeline, "pipeline_vs_encoder", "the encoder alone"),
        ("… through ingest.delay", measured.celery_door, "celery_door_vs_stream_door", "the pipeline"),
        ("a hand-written Celery worker", measured.hand_written, "", ""),
        ("… and the pipeline again", measured.pipeline, "pipeline_vs_hand_written", "the hand-written worker"),
        ("hnswlib alone", measured.hnswlib, "", ""),
        ("vectors given, judged by cosine alone", measured.given, "vectors_vs_hnswlib", "hnswlib alone"),
    ):
        ratio = f"{ratios[name][0].over(ratios[name][1]):.2f}" if name else ""
        table.add_row(what, f"{figure.median:,.0f}", ratio, of)
    out.print(table)
    out.print()
    p50, p99 = (percentile(latencies.item_ms, percent) for percent in (50, 99))
    out.print(
        f"one item to an idle worker: p50 {p50:.1f} ms, p99 {p99:.1f} ms; "
        f"embedding one text {percentile(latencies.encode_ms, 50):.1f} ms"
    )
    for remark in remarks:
        err.print(printable(remark), style="dim")
