"""``recommender demo``."""

from __future__ import annotations

import shlex
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import click
from rich.progress import Progress, TaskID

from celery_recommender.broker.events.outcomes import is_outcome
from celery_recommender.cli.common import err, json_option, load_settings, out, print_json, printable, progress_bar
from celery_recommender.cli.input.checkpoint import Checkpoint
from celery_recommender.cli.input.mapping_options import (
    FileOptions,
    estimated_rows,
    mapping_options,
    opened,
    print_notes,
)
from celery_recommender.cli.input.sending import acceptable, send_rows, upsert
from celery_recommender.cli.input.tally import Tally
from celery_recommender.cli.output.event_lines import event_line, laid_out
from celery_recommender.cli.run.next_steps import default_page, items_page, tell_next_commands
from celery_recommender.cli.run.samples import SAMPLES, sample_file
from celery_recommender.cli.run.together import Service, keep_running, page_at_work, program
from celery_recommender.cli.run.web import require_libraries
from celery_recommender.client import Client
from celery_recommender.records import Items
from celery_recommender.sandbox import RunningWorker, nearby, running_worker, sandboxed
from celery_recommender.settings import Settings
from recommender_engine.evaluation.flags import Flags, duplicates_against
from recommender_engine.items import EntryId, ItemProcessed, ItemRevised

_DECIDE_TIMEOUT_S = 600.0
# Small batches, so that there is something to see on a slow machine as well.
_BATCH = 64
_VERDICTS_SHOWN = 12
_RECOMMENDATIONS_SHOWN = 5
_LABEL = "duplicate_of"

_SAMPLE_SETTINGS = {"products": {"index": "hnsw"}}


@click.command()
@click.option(
    "input_file", "--input", type=click.Path(exists=True, dir_okay=False), help="Your own file, not the samples."
)
@mapping_options
@click.option("--serve", is_flag=True, help="Keep it running, with the page, until Ctrl-C.")
@json_option
def demo(input_file: str | None, given: FileOptions, *, serve: bool, as_json: bool) -> None:
    """Send sample tickets and products through a real server, worker, model and index, and show the verdicts.

    It uses a temporary state directory. Verdicts on a file from --input are scored against its column `duplicate_of`
    (the id of an earlier row), if it has one.
    """
    if serve:
        require_libraries()
    started = time.monotonic()
    run = _Run(quiet=as_json)
    with nearby(_settings(), "recommender-demo-") as settings:
        err.print("starting a worker: it loads the model, which takes some seconds", style="dim")
        with running_worker(settings) as worker:
            if input_file:
                run.send(worker.client, input_file, given)
            else:
                for name, options in SAMPLES.items():
                    if name in _SAMPLE_SETTINGS:
                        worker.client.configure(name, _SAMPLE_SETTINGS[name])
                    with sample_file(name) as path:
                        run.send(worker.client, str(path), FileOptions(mapping=options))
            summary = run.summary(time.monotonic() - started)
            if as_json:
                print_json(summary)
            else:
                run.show(summary)
            if serve:
                _serve(worker, given.collection if input_file else next(iter(SAMPLES)))
    if not as_json:
        out.print()
        tell_next_commands(_next_commands(input_file))


def _serve(worker: RunningWorker, collection: str) -> None:
    """Serve the page beside the worker until an interrupt."""
    with page_at_work(worker.settings) as (page, address):
        err.print(printable(f"open {items_page(address, collection)}"), style="bold")
        keep_running([page, Service("worker", worker.process, worker.log)])


def _next_commands(input_file: str | None) -> list[tuple[str, str]]:
    name, given = program(), f" --input {shlex.quote(input_file)}" if input_file else ""
    return [
        (f"{name} demo{given} --serve", f"the same, kept running: its page at {default_page()}"),
        (f"{name} init", "your own file: its columns, a worker, the page on its duplicates"),
        (f"{name} --help", "all commands"),
    ]


def _settings() -> Settings:
    """A partition of the demo's own, on the user's server if there is one."""
    return sandboxed(load_settings(), partition=f"demo-{uuid.uuid4().hex[:8]}", batch_items=_BATCH)


@dataclass
class _Sent:
    """One collection as it was sent.

    Attributes:
        labels: the original by item, from the file.
        texts: by item.
        verdicts: the latest verdict on each item.
    """

    labels: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def note(self, event: Mapping[str, Any]) -> None:
        """Take a verdict, or one that was revised."""
        data = event["data"]
        if event["type"] == ItemProcessed.type:
            self.verdicts[data["item_id"]] = data
        elif event["type"] == ItemRevised.type:
            self.verdicts[data["item_id"]] = {**self.verdicts.get(data["item_id"], {}), **data}

    def score(self) -> Flags:
        """Duplicates against labels."""
        flagged = {id_: data["duplicate_of"] for id_, data in self.verdicts.items() if data["duplicate_of"]}
        return duplicates_against(self.labels, flagged)


class _Run:
    """Sends files, collects verdicts, shows both."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._collections: dict[str, _Sent] = {}
        self._seconds = 0.0

    def send(self, client: Client, file: str, given: FileOptions) -> None:
        """Send a file and wait for all its verdicts."""
        sent = self._collections.setdefault(given.collection, _Sent())
        checkpoint = Checkpoint(None, "", restart=True)
        after, started = client.last_event(), time.monotonic()
        _read_labels(file, given, sent)
        with opened(file, given) as (reader, mapping), progress_bar() as bar:
            sending = bar.add_task(f"{given.collection}: sent", total=None)
            deciding = bar.add_task("decided", total=None)
            items = Items(reader, mapping, given.on_repeat, acceptable)
            for block in send_rows(client, items, checkpoint, Tally(given.on_repeat), upsert):
                bar.update(sending, completed=block.rows, total=estimated_rows(reader, block.rows))
            bar.update(sending, total=checkpoint.rows)
            bar.update(deciding, total=checkpoint.sent)
            self._collect(client, after, f"{checkpoint.run} ", checkpoint.sent, sent, bar, deciding)
        self._seconds += time.monotonic() - started

    def _collect(
        self, client: Client, after: EntryId, run: str, expected: int, sent: _Sent, bar: Progress, task: TaskID
    ) -> None:
        found = 0
        deadline = time.monotonic() + _DECIDE_TIMEOUT_S
        try:
            for event in client.run_events(after, expected, run=run, until=lambda: time.monotonic() > deadline):
                bar.advance(task, is_outcome(event))
                sent.note(event)
                if event["type"] == ItemProcessed.type and event["data"]["band"] in ("duplicate", "review"):
                    found += 1
                    if not self._quiet and found <= _VERDICTS_SHOWN:
                        bar.console.print(laid_out(event_line(event), bar.console))
        except TimeoutError as error:
            raise click.ClickException(f"{error} within {_DECIDE_TIMEOUT_S:.0f} s") from error
        if found > _VERDICTS_SHOWN and not self._quiet:
            bar.console.print(f"{'…':10} and {found - _VERDICTS_SHOWN} more duplicates and reviews", style="dim")

    def summary(self, seconds: float) -> dict[str, Any]:
        """The result as one JSON object."""
        items = sum(len(sent.verdicts) for sent in self._collections.values())
        scores = {name: sent.score() for name, sent in self._collections.items()}
        total = sum(scores.values(), Flags(0, 0, 0))
        return {
            "items": items,
            "items_per_s": round(items / self._seconds, 1) if self._seconds else 0.0,
            "duplicate_precision": _rounded(total.precision),
            "duplicate_recall": _rounded(total.recall),
            "recommendations": [one for name in self._collections for one in self._examples(name)],
            "seconds": round(seconds, 1),
            "collections": {
                name: {
                    "items": len(sent.verdicts),
                    "labelled_duplicates": scores[name].labelled,
                    "flagged": scores[name].flagged,
                    "right": scores[name].right,
                    "duplicate_precision": _rounded(scores[name].precision),
                    "duplicate_recall": _rounded(scores[name].recall),
                }
                for name, sent in self._collections.items()
            },
        }

    def show(self, summary: dict[str, Any]) -> None:
        """The result as text."""
        for name in self._collections:
            out.print()
            out.print(printable(f"{name}: some recommendations"), style="bold")
            for example in self._examples(name):
                out.print(printable(f"  {example['text']}"))
                for similar in example["similar"]:
                    out.print(printable(f"      {similar['score']:.2f}  {similar['text']}"), style="cyan")
        out.print()
        out.print("summary", style="bold")
        for name, one in summary["collections"].items():
            out.print(printable(f"  {name}: {one['items']:,} items, {_against_labels(one)}"))
        out.print(
            f"  {summary['items_per_s']:,.0f} items/s, {summary['seconds']:.0f} s in all (loading the model included)"
        )

    def _examples(self, name: str) -> list[dict[str, Any]]:
        """A few items with what is recommended for them: the last to arrive, which had most to choose from."""
        sent = self._collections[name]
        chosen = [data for data in sent.verdicts.values() if len(data["recommendations"]) >= 3]
        return [
            {
                "collection": name,
                "id": data["item_id"],
                "text": sent.texts.get(data["item_id"], ""),
                "similar": [
                    {"id": one["id"], "score": round(one["score"], 3), "text": sent.texts.get(one["id"], "")}
                    for one in data["recommendations"][:3]
                ],
            }
            for data in chosen[-_RECOMMENDATIONS_SHOWN:]
        ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _read_labels(file: str, given: FileOptions, sent: _Sent) -> None:
    with opened(file, given) as (reader, mapping):
        print_notes(reader, mapping)
        tally = Tally(given.on_repeat)
        for one in Items(reader, mapping, given.on_repeat, acceptable):
            tally.add(one)
            if not isinstance(one.item, dict):
                continue
            sent.texts[one.item["id"]] = one.item.get("text") or next(iter(one.item["fields"].values()))
            if label := one.row.values.get(_LABEL):
                sent.labels[one.item["id"]] = str(label)
        for line in tally.lines():
            err.print(printable(line), style="dim")


def _against_labels(one: dict[str, Any]) -> str:
    if not one["labelled_duplicates"]:
        return f"{one['flagged']:,} flagged as duplicates (the file has no labels to compare with)"
    precision = "-" if one["duplicate_precision"] is None else f"{one['duplicate_precision']:.0%}"
    return (
        f"{one['flagged']:,} flagged as duplicates, {one['right']:,} rightly: precision {precision}, "
        f"recall {one['duplicate_recall']:.0%} (of {one['labelled_duplicates']:,})"
    )
