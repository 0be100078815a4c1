"""``recommender bench``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

import click
from rich.table import Table

from celery_recommender.celery.worker.plugin import catalogue
from celery_recommender.cli.common import err, json_option, load_settings, out, print_json, printable, progress_bar
from celery_recommender.cli.input.mapping_options import FileOptions, mapping_options, opened, print_notes
from celery_recommender.cli.run.samples import SAMPLES, sample_file
from celery_recommender.measuring import WARM_UP, Figure, items_of, one_item_ms, percentile, through_stream, warm_up
from celery_recommender.records import BadRow
from celery_recommender.sandbox import RunningWorker, nearby, running_worker, sandboxed
from celery_recommender.settings import Settings
from recommender_engine.embedding import Encoder
from recommender_engine.embedding.processors import usable_processors
from recommender_engine.errors import ConfigurationError, InvalidCommand
from recommender_engine.items import DEFAULT_MODEL, UpsertItem
from recommender_engine.items.commands import validate
from recommender_engine.text import clean

_FEWEST_TEXTS, _ENOUGH_TEXTS, _MOST_TEXTS = 20, 2000, 50_000
_PROBED = 64  # texts that show the speed of this machine
_STEPS_OF_A_ROUND = 3


class Plan(NamedTuple):
    """How long to measure: rounds, seconds of the encoder in each, and items that are sent one by one."""

    rounds: int
    encoder_s: float
    latencies: int


FULL = Plan(rounds=3, encoder_s=8, latencies=200)
QUICK = Plan(rounds=1, encoder_s=2, latencies=20)


@dataclass(frozen=True)
class Measured:
    """The result; rates are in items/s, times in milliseconds.

    Attributes:
        encoder: that the worker chose.
        threads: of the encoder.
        items: in each round.
        alone: the encoder, all texts at once.
        pipeline: from the commands stream to published verdicts.
        item_ms: from append to event, of items sent one by one.
        encode_ms: of the same texts, by the encoder alone.
    """

    encoder: str
    threads: int
    items: int
    alone: Figure
    pipeline: Figure
    item_ms: Sequence[float]
    encode_ms: Sequence[float]


@click.command()
@click.option(
    "input_file",
    "--input",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="A file of texts, in any format that `ingest` reads.  [default: a small sample]",
)
@mapping_options
@click.option("--items", type=click.IntRange(_FEWEST_TEXTS, _MOST_TEXTS), help="Take at most so many texts.")
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
    """Measure on this machine: the encoder, the pipeline, the latency of one item.

    It takes one to two minutes and about 2 GB of memory. A server and a worker run in processes of their own; nothing
    is left behind. In each of three rounds the encoder and a new worker get the same texts; the figures are medians.
    Repeated texts are left out, since a worker answers them from what it has stored. Settings come from the
    environment, except for the server.

    \b
    encoder_items_per_s    the worker's encoder alone, all texts at once
    pipeline_items_per_s   from the first append to the last published verdict
    pipeline_vs_encoder    the second over the first, round by round: more is better

    `single_encode_ms`: one text to the encoder alone, median. `idle_p50_ms` and `idle_p99_ms`: one item to an idle
    worker, from append to event, in turns with that text. `items`: in each round.

    \b
    recommender bench
    recommender bench --input tickets.csv --text-field subject --text-field body --json > figures.json
    """
    started = time.monotonic()
    texts = list(_distinct(_read(input_file, given), items or _MOST_TEXTS))
    if len(texts) < _FEWEST_TEXTS:
        raise ConfigurationError(f"{len(texts)} different texts; at least {_FEWEST_TEXTS} are needed")
    plan = QUICK if quick else FULL
    total = plan.rounds * _STEPS_OF_A_ROUND + 2
    with nearby(_settings(), "recommender-bench-") as settings, progress_bar() as bar:
        task = bar.add_task("measuring", total=total)
        steps = iter(range(total))
        measured = _measure(
            texts, settings, plan, lambda step: bar.update(task, description=step, completed=next(steps))
        )
        bar.update(task, description="measured", completed=total)
    remarks = list(_remarks(measured, sample=input_file is None, quick=quick))
    if as_json:
        print_json({**_summary(measured), "seconds": round(time.monotonic() - started, 1), "remarks": remarks})
    else:
        _show(measured, remarks)


def _settings() -> Settings:
    """The user's settings with a server of the benchmark's own."""
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


def _measure(texts: Sequence[str], settings: Settings, plan: Plan, report_step: Callable[[str], None]) -> Measured:
    report_step("loading the encoder")
    encoder = catalogue(settings).encoder(DEFAULT_MODEL)
    _encode_ms(encoder, WARM_UP)
    probe = texts[:: max(1, len(texts) // _PROBED)][:_PROBED]
    texts = texts[: max(_FEWEST_TEXTS, int(plan.encoder_s * _rate(encoder, probe)))]
    alone: list[float] = []
    pipeline: list[float] = []
    item_ms: list[float] = []
    encode_ms: list[float] = []
    for number in range(plan.rounds):
        report_step("the encoder alone")
        alone.append(_rate(encoder, texts))
        report_step("starting a worker")
        # A worker answers texts that it knows from what it has stored, so each round has a new one.
        with running_worker(settings.replaced(partition=f"round-{number}")) as worker:
            warm_up(worker)
            report_step("the pipeline")
            pipeline.append(through_stream(worker, items_of(texts)).items_per_s)
            if number == plan.rounds - 1:
                report_step("one item at a time")
                item_ms, encode_ms = _latencies(worker, encoder, texts, plan.latencies)
    return Measured(
        encoder=encoder.identity.variant,
        threads=settings.threads or usable_processors(),
        items=len(texts),
        alone=Figure("the encoder alone", "items/s", tuple(alone)),
        pipeline=Figure("the pipeline", "items/s", tuple(pipeline)),
        item_ms=item_ms,
        encode_ms=encode_ms,
    )


def _latencies(
    worker: RunningWorker, encoder: Encoder, texts: Sequence[str], count: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of items sent one by one, and of the same texts by the encoder alone, in turns."""
    item_ms, encode_ms = [], []
    for number in range(count):
        text = f"{texts[number % len(texts)]} ({number})"
        item_ms.append(one_item_ms(worker, text, number))
        encode_ms.append(_encode_ms(encoder, [text]))
    return item_ms, encode_ms


def _rate(encoder: Encoder, texts: Sequence[str]) -> float:
    return 1000 * len(texts) / _encode_ms(encoder, texts)


def _encode_ms(encoder: Encoder, texts: Sequence[str]) -> float:
    started = time.perf_counter()
    encoder.encode(texts)
    return (time.perf_counter() - started) * 1000


def _summary(measured: Measured) -> dict[str, Any]:
    return {
        "pipeline_vs_encoder": round(measured.pipeline.over(measured.alone), 3),
        "single_encode_ms": round(percentile(measured.encode_ms, 50), 2),
        "idle_p50_ms": round(percentile(measured.item_ms, 50), 2),
        "idle_p99_ms": round(percentile(measured.item_ms, 99), 2),
        "encoder": measured.encoder,
        "items": measured.items,
        "encoder_items_per_s": [round(value, 1) for value in measured.alone.values],
        "pipeline_items_per_s": [round(value, 1) for value in measured.pipeline.values],
        "latencies": len(measured.item_ms),
        "threads": measured.threads,
    }


def _remarks(measured: Measured, *, sample: bool, quick: bool) -> Iterator[str]:
    if measured.items < _ENOUGH_TEXTS:
        which = "the sample of the package" if sample else "all that the input has, or --items allows"
        yield (
            f"only {measured.items:,} items in each round ({which}): they fit into a few batches, so the worker can"
            " hardly embed ahead while it decides; give it thousands of texts with --input"
        )
    if quick:
        yield "one short round: rough figures"


def _show(measured: Measured, remarks: Sequence[str]) -> None:
    summary = _summary(measured)
    out.print(f"encoder {measured.encoder}, {measured.threads} threads, {measured.items:,} items in each round")
    out.print()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", "items/s", "ratio"):
        table.add_column(title, justify="right" if title else "left")
    table.add_row("the worker's encoder alone", f"{measured.alone.median:,.0f}", "")
    ratio = f"{summary['pipeline_vs_encoder']:.2f}"
    table.add_row("the pipeline, stream to verdict", f"{measured.pipeline.median:,.0f}", ratio)
    out.print(table)
    out.print()
    out.print(
        f"one item to an idle worker: p50 {summary['idle_p50_ms']:.1f} ms, p99 {summary['idle_p99_ms']:.1f} ms; "
        f"embedding one text {summary['single_encode_ms']:.1f} ms"
    )
    for remark in remarks:
        err.print(printable(remark), style="dim")
