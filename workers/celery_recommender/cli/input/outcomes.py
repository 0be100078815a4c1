"""Sends the rows of a file, and counts what becomes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rich.text import Text

from celery_recommender.broker.events.outcomes import in_run
from celery_recommender.cli.common import BAND_STYLES, counted, err, out, print_json, printable, progress_bar
from celery_recommender.cli.input.checkpoint import Checkpoint
from celery_recommender.cli.input.mapping_options import estimated_rows
from celery_recommender.cli.input.sending import Making, OwnerGone, send_rows, wait_until_decided
from celery_recommender.cli.input.tally import Tally, show
from celery_recommender.client import Client
from celery_recommender.frames.verdicts import rejected
from celery_recommender.records import ItemRow, RecordReader
from recommender_engine.items import CommandForwarded, EntryId, ItemDeleted, ItemProcessed


class Outcomes:
    """Sends rows, and counts what was sent, and its outcomes."""

    def __init__(self, client: Client, checkpoint: Checkpoint, tally: Tally) -> None:
        self._client = client
        self._checkpoint = checkpoint
        self._tally = tally
        self._run = f"{checkpoint.run} "
        self._after = client.last_event()
        self._sent = 0
        self._bands: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._decided = False
        self._forwarded: Counter[str] = Counter()
        self._deleted = 0

    def send(self, reader: RecordReader, rows: Iterable[ItemRow], command: Making, *, wait: bool) -> None:
        """Send the rows, read what is decided meanwhile, and wait for the last."""
        checkpoint = self._checkpoint
        with progress_bar() as bar:
            sending = bar.add_task("sent", total=None)
            for block in send_rows(self._client, rows, checkpoint, self._tally, command):
                self._sent += block.sent
                self._read_events()
                bar.update(sending, completed=block.rows, total=estimated_rows(reader, block.rows))
            bar.update(sending, total=checkpoint.rows)
            if wait and checkpoint.position is not None:
                self._wait(bar, checkpoint.position)

    def print(self, collection: str, *, as_json: bool) -> None:
        """Print what became of the rows."""
        if as_json:
            print_json({**self.as_dict(), "collection": collection, "run": self._checkpoint.run})
        else:
            self.show()

    def _wait(self, bar: Any, position: EntryId) -> None:
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
        about_items = {"bands": dict(self._bands), "deleted": self._deleted}
        return {
            "sent": self._sent,
            "decided": self._decided,
            "rejected": dict(self._rejected),
            "forwarded": dict(self._forwarded),
            **(about_items if self._tally.noun == "item" else {}),
            **self._tally.as_dict(),
            "bad_rows": [{"row": bad.number, "error": bad.error} for bad in self._tally.bad],
        }

    def show(self) -> None:
        """For people."""
        undecided = ", not all decided yet" if self._sent and not self._decided else ""
        out.print(f"{counted(self._sent, self._tally.noun)} sent{undecided}")
        for band, style in BAND_STYLES.items():
            if self._bands[band]:
                out.print(Text.assemble("  ", (f"{band:10}", style), f" {self._bands[band]:>8,}"))
        if self._deleted:
            out.print(f"  deleted    {self._deleted:>8,}")
        for code, count in self._rejected.most_common():
            out.print(printable(f"  rejected   {count:>8,}  {code}"))
        for partition, count in self._forwarded.most_common():
            out.print(printable(f"  forwarded  {count:>8,}  the collection has moved to partition {partition}"))
        show(self._tally)

    def _read_events(self) -> None:
        for event in self._client.events_so_far(self._after):
            self._after = EntryId.parse(event["id"])
            if in_run(event, self._run) and not event["data"].get("erased"):  # an erased event keeps its type only
                self._count(event)

    def _count(self, event: Mapping[str, Any]) -> None:
        data = event["data"]
        if event["type"] == ItemProcessed.type:
            self._bands[data["band"]] += 1
        elif event["type"] == ItemDeleted.type:
            self._deleted += 1
        elif event["type"] == CommandForwarded.type:
            self._forwarded[data["to"]] += 1
        elif bad := rejected(int(data["command"]["key"].removeprefix(self._run)), event):
            self._rejected[bad.kind] += 1
            self._tally.reject(bad)
