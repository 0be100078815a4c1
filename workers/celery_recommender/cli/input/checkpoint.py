"""How far a file has been sent, and the lines that are printed when it went no further."""

from __future__ import annotations

import hashlib
import json
import shlex
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from celery_recommender.cli.common import err, printable
from recommender_engine.errors import StateError
from recommender_engine.items import EntryId


class Checkpoint:
    """How far a file has been sent, kept in the state directory until all of it is.

    The commands of one run carry keys made of the run's id and the row number, so that rows sent again after a crash
    have no second effect. A checkpoint that cannot be read (incomplete after a power failure) is ignored.

    Args:
        directory: where checkpoints are kept; ``None`` keeps none (standard input).
        identity: of this file and its options.
        restart: forget how far an earlier run came.
        run: id of a new run; by default one of its own.

    Attributes:
        rows: the last row that has been dealt with.
        sent: commands sent for the rows until there.
        last_sent: the last row that a command was sent for.
        run: id of the run, which the keys of its commands begin with.
        position: of the last command.
        damaged: whether an earlier checkpoint could not be read.
    """

    def __init__(self, directory: Path | None, identity: str, *, restart: bool, run: str | None = None) -> None:
        digest = hashlib.sha256(identity.encode(errors="surrogatepass")).hexdigest()[:32]
        self._path = None if directory is None else directory / f"{digest}.json"
        self.rows = self.sent = self.last_sent = 0
        self.run = run or uuid.uuid4().hex
        self.position: EntryId | None = None
        self.damaged = False
        if self._path is not None and self._path.exists() and not restart:
            self._read(self._path)

    def key(self, row: int) -> str:
        """The key of a row's command."""
        return f"{self.run} {row}"

    def advance(self, rows: int, sent: int, position: EntryId | None) -> None:
        """Note the number of handled rows, and of further commands sent."""
        self.rows, self.position = rows, position
        self.sent += sent
        self.save()

    def save(self) -> None:
        """Write it down; before the first row is sent as well, or a crash would send the first block under new keys."""
        if self._path is not None:
            values = {
                "rows": self.rows,
                "sent": self.sent,
                "last_sent": self.last_sent,
                "run": self.run,
                "position": str(self.position) if self.position else None,
            }
            temporary = self._path.with_suffix(".tmp")
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                temporary.write_text(json.dumps(values))
                temporary.replace(self._path)
            except OSError as error:
                place = f"in {self._path.parent} (RECOMMENDER_STATE_DIR)"
                raise StateError(f"how far it has come cannot be noted {place}: {error.strerror}") from error

    def finish(self) -> None:
        """The file is through."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _read(self, path: Path) -> None:
        try:
            known = json.loads(path.read_text())
            rows, run = int(known["rows"]), str(known["run"])
            last_sent, sent = int(known.get("last_sent", rows)), int(known.get("sent", rows))
            position = EntryId.parse(known["position"]) if known["position"] else None
        except (ValueError, KeyError, TypeError, AttributeError):  # also: no UTF-8, no JSON, no entry id
            self.damaged = True
            return
        self.rows, self.sent, self.last_sent, self.run, self.position = rows, sent, last_sent, run, position


def file_identity(path: str, *options: object) -> str:
    """The identity of a file with its options: its path, size and time of change."""
    stat = Path(path).stat()
    return repr((str(Path(path).resolve()), stat.st_size, stat.st_mtime_ns, *options))


def run_of_content(path: str, *options: object) -> str:
    """An id of a run that is the same for the same bytes and options, so that they have one effect when sent twice."""
    with Path(path).open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(repr((content, *options)).encode(errors="surrogatepass")).hexdigest()[:32]


def say_where_it_goes_on(checkpoint: Checkpoint, *, restartable: bool = True) -> None:
    """Print how far an earlier run has come, and the option ``--restart`` of a command that has it."""
    if checkpoint.damaged:
        err.print(
            "what an earlier run has noted cannot be read: every row is sent; what has been sent has no new effect"
        )
    if checkpoint.rows:
        restart = " (--restart sends all again)" if restartable else ""
        err.print(f"going on after row {checkpoint.rows:,}{restart}")


@contextmanager
def accounted(checkpoint: Checkpoint, collection: str, file: str, noun: str = "item") -> Iterator[None]:
    """On an error or an interrupt, print what has been sent, how to go on, and how to take it back."""
    try:
        yield
    except BaseException:
        for line in account(checkpoint, collection, file, noun):
            err.print(printable(line))
        raise


def account(checkpoint: Checkpoint, collection: str, file: str, noun: str = "item") -> list[str]:
    """What has been sent, as lines of text."""
    if not checkpoint.sent:
        return ["nothing has been sent"]
    until = f"{checkpoint.sent:,} {noun}s of the rows up to {checkpoint.rows:,} have been sent"
    lines = [f"{until} to the collection {collection!r} (keys beginning with {checkpoint.run})"]
    if file != "-":
        lines.append("what has been sent is safe: the same command goes on where this one stopped")
    if file != "-" and noun == "item":
        lines.append(
            f"to take it back: recommender ingest {shlex.quote(file)} --take-back, with the same options for columns;"
            f" or, where the collection holds nothing else, recommender delete-collection {shlex.quote(collection)}"
        )
    return lines
