"""``recommender ingest``."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from typing import Any

import click
from rich.text import Text

from recommender.items import EntryId
from workers.cli.asking import require_server
from workers.cli.common import BAND_STYLES, err, json_option, load_settings, out, print_json, printable, progress_bar
from workers.cli.locating import located
from workers.cli.mapping_options import estimated_rows, mapping_options, opened, print_notes
from workers.cli.sending import Checkpoint, OwnerGone, file_identity, resumable, send_rows, wait_until_decided
from workers.client import Client
from workers.records import BadRow, MappingOptions, RecordFormat
from workers.settings import Settings

_BAD_ROWS_SHOWN = 10


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@mapping_options
@click.option("--silent", is_flag=True, help="Backfill: change the state, publish nothing but summaries.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until every row has been decided.")
@click.option("--restart", is_flag=True, help="Send from the first row, even if an earlier run got further.")
@json_option
@click.pass_context
def ingest(
    context: click.Context,
    file: str,
    mapping: MappingOptions,
    file_format: RecordFormat | None,
    *,
    silent: bool,
    wait: bool,
    restart: bool,
    as_json: bool,
) -> None:
    """Send every row of FILE into the queue as an item.

    FILE is CSV, TSV, JSON Lines or Parquet, gzipped or not; `-` reads standard input. If it is interrupted, the same
    command goes on where it stopped. Rows that are no items are reported and skipped; exit code 1 when all are.

    \b
    recommender ingest tickets.csv --id-field number --text-field subject --text-field body --collection tickets
    recommender ingest catalogue.parquet --attribute price --attribute stock --silent
    zcat dump.jsonl.gz | recommender ingest - --format jsonl
    """
    settings = require_server(load_settings())
    client = Client(located(settings, mapping.collection or "default"))
    checkpoint = _checkpoint(file, mapping, settings, silent=silent, restart=restart)
    if checkpoint.rows:
        err.print(f"going on after row {checkpoint.rows:,} (--restart sends all again)")
    summary = _Summary(client, checkpoint)
    with (
        resumable() if file != "-" else nullcontext(),
        opened(file, mapping, file_format, start_after=checkpoint.rows) as (reader, item_mapping),
        progress_bar() as bar,
    ):
        print_notes(item_mapping)
        sending = bar.add_task("sent", total=None)
        for block in send_rows(client, reader, item_mapping, checkpoint, silent=silent):
            summary.add(block.sent, block.bad)
            bar.update(sending, completed=block.rows, total=estimated_rows(reader, block.rows))
        bar.update(sending, total=checkpoint.rows)
        if wait and checkpoint.position is not None:
            summary.wait(bar, checkpoint.position)
    checkpoint.finish()
    client.close()
    if as_json:
        print_json(summary.as_dict())
    else:
        summary.show()
    context.exit(1 if summary.nothing_sent else 0)


def _checkpoint(file: str, mapping: MappingOptions, settings: Settings, *, silent: bool, restart: bool) -> Checkpoint:
    if file == "-":
        return Checkpoint(None, "", restart=True)
    identity = file_identity(file, "ingest", mapping, settings.home, silent)
    return Checkpoint(settings.state_dir / "sent", identity, restart=restart)


class _Summary:
    """Counts what was sent and what came of it."""

    def __init__(self, client: Client, checkpoint: Checkpoint) -> None:
        self._client = client
        self._checkpoint = checkpoint
        self._run = f"{checkpoint.run} "
        self._after = client.last_event()
        self._sent = 0
        self._bad: list[BadRow] = []
        self._bands: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._decided = False
        self._forwarded: Counter[str] = Counter()

    @property
    def nothing_sent(self) -> bool:
        """Whether there were rows, and none of them was an item."""
        return bool(self._bad) and not self._checkpoint.position

    def add(self, sent: int, bad: tuple[BadRow, ...]) -> None:
        """A block has been sent; read what has been decided meanwhile."""
        self._sent += sent
        self._bad += bad
        self._read_events()

    def wait(self, bar: Any, position: EntryId) -> None:
        """Wait for the last verdict."""
        deciding = bar.add_task("decided", total=self._sent)
        try:
            for waiting in wait_until_decided(self._client, position):
                self._read_events()
                bar.update(deciding, completed=max(0, self._sent - waiting))
        except OwnerGone:
            err.print("the commands wait in the stream for a worker (start one with `recommender worker`)")
            return
        bar.update(deciding, completed=self._sent)
        self._read_events()
        self._decided = True

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "sent": self._sent,
            "decided": self._decided,
            "bands": dict(self._bands),
            "rejected": dict(self._rejected),
            "forwarded": dict(self._forwarded),
            "bad_rows": [{"row": bad.number, "error": bad.error} for bad in self._bad],
        }

    def show(self) -> None:
        """For people."""
        undecided = ", not all decided yet" if self._sent and not self._decided else ""
        out.print(f"{self._sent:,} item{'' if self._sent == 1 else 's'} sent{undecided}")
        for band, style in BAND_STYLES.items():
            if self._bands[band]:
                out.print(Text.assemble("  ", (f"{band:10}", style), f" {self._bands[band]:>8,}"))
        for code, count in self._rejected.most_common():
            out.print(printable(f"  rejected   {count:>8,}  {code}"))
        for partition, count in self._forwarded.most_common():
            out.print(printable(f"  forwarded  {count:>8,}  the collection has moved to partition {partition}"))
        for bad in self._bad[:_BAD_ROWS_SHOWN]:
            out.print(printable(f"  row {bad.number}: {bad.error}"))
        if len(self._bad) > _BAD_ROWS_SHOWN:
            out.print(f"  … and {len(self._bad) - _BAD_ROWS_SHOWN:,} more rows that are no items")

    def _read_events(self) -> None:
        for event in self._client.events_so_far(self._after):
            self._after = EntryId.parse(event["id"])
            data = event["data"]
            if not (data["command"]["key"] or "").startswith(self._run):
                continue
            if data.get("erased"):
                continue  # nothing is left of the outcome but that there was one
            if event["type"] == "recommender.item.processed.v1":
                self._bands[data["band"]] += 1
            elif event["type"] == "recommender.command.rejected.v1":
                self._rejected[data["code"]] += 1
            elif event["type"] == "recommender.command.forwarded.v1":
                self._forwarded[data["to"]] += 1
