"""``dedupe`` and ``similar``: a data frame in, the same rows with verdicts out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from celery_recommender.celery.worker.plugin import catalogue
from celery_recommender.frames.columns import ADDED
from celery_recommender.frames.deciding import Judged, Sent, decide, judged, seen_in
from celery_recommender.frames.labels import Labels
from celery_recommender.frames.libraries import Added, Cells, Frame, frame_of
from celery_recommender.frames.results import Deduplicated, Run
from celery_recommender.frames.source import read_frame
from celery_recommender.records import BadRow, ItemRow, Items, MappingOptions, OnRepeat
from celery_recommender.records.values.text import to_id
from celery_recommender.settings import Settings
from celery_recommender.texts import compared_text
from recommender_engine import Recommender, open_recommender
from recommender_engine.embedding import Encoders
from recommender_engine.errors import ConfigurationError
from recommender_engine.items import UpsertItem
from recommender_engine.items.commands import validate

_MOST_SIMILAR = 100

SIMILAR = ("similar_ids", "similar_scores", "error")
"""The columns that ``similar`` adds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How rows become items, and where they are decided.

    Attributes:
        id: the column with the ids; guessed by default, else the index of pandas, else the number of the row from 0.
        text: one column, or several by importance; guessed by default.
        attributes: columns to carry along, for settings such as ``equal``.
        timestamp: the column with the dates.
        settings: of the collection, like ``{"target_precision": 0.9}``; see docs/reference/commands.md.
        state: a directory that keeps what was decided, for later frames; by default in memory, gone afterwards.
        collection: the rows are compared within it.
        on_repeat: what becomes of a row whose id an earlier one has: ``error``, ``last`` or ``suffix``.
        prefix: of the names of added columns.
        progress: whether to show a bar on a terminal or in a notebook.
        encoders: the embedding models; by default those that the environment's settings name.
    """

    id: str | None = None
    text: str | Sequence[str] = ()
    attributes: Sequence[str] = ()
    timestamp: str | None = None
    settings: Mapping[str, Any] | None = None
    state: str | Path | None = None
    collection: str = "default"
    on_repeat: str = "error"
    prefix: str = ""
    progress: bool = True
    encoders: Encoders | None = None

    def mapping(self) -> MappingOptions:
        """The part about columns."""
        return MappingOptions(
            id_field=self.id,
            text_fields=(self.text,) if isinstance(self.text, str) else tuple(self.text),
            attributes=tuple(self.attributes),
            timestamp_field=self.timestamp,
            collection=self.collection,
        )


def dedupe(frame: Any, *, similar: int = 5, **options: Any) -> Deduplicated:
    """Find the rows of a data frame that are the same thing.

    The rows are decided in their order by an engine in this process, as a worker decides the items of a stream.

    Args:
        frame: a DataFrame of pandas or polars; it is not changed.
        similar: how many similar rows each row gets, at most 100.
        options: see ``Options``.

    Raises:
        ConfigurationError: it is no data frame, a column is not there or has the name of an added one, or none clearly
            holds the text.
        InvalidCommand: a setting of the collection is wrong.
        StateLocked: another process uses the state.
    """
    given = Options(**options)
    _require("similar", similar, 0)
    read = _Read.of(frame, given, ADDED)
    with _engine(given) as engine, _bar(given, len(frame)) as advance:
        sent = decide(engine, read.rows(), given.collection, given.settings, advance)
        sent = read.without_replaced(sent)
        rows = judged(engine, sent, given.collection, similar)
        others = _others(engine, rows, given.collection)
        seen = seen_in(engine, given.collection)
        beside = [item["id"] for item in seen.items if item["id"] not in read.labels] if seen is not None else []
        labels = Labels(read.labels, beside)
        run = Run(frame=read.frame, labels=labels, notes=read.notes, prefix=given.prefix, similar=similar, seen=seen)
    return Deduplicated(run, rows, others)


def similar(frame: Any, *, limit: int = 5, **options: Any) -> Any:
    """The rows of a data frame with the ids and scores of the most similar ones, whether duplicates or not.

    Args:
        frame: a DataFrame of pandas or polars; it is not changed.
        limit: how many for each row, from 1 to 100.
        options: see ``Options``.

    Returns:
        The frame with the columns ``similar_ids``, ``similar_scores`` and ``error``.

    Raises:
        ConfigurationError, InvalidCommand, StateLocked: as ``dedupe``.
    """
    given = Options(**options)
    _require("limit", limit, 1)
    read = _Read.of(frame, given, SIMILAR)
    with _engine(given) as engine, _bar(given, len(frame)) as advance:
        sent = decide(engine, read.rows(), given.collection, given.settings, advance)
        rows = judged(engine, read.without_replaced(sent), given.collection, limit)
        labels = Labels(read.labels, _others(engine, rows, given.collection))
    ids = [[id_ for id_, _ in row.similar] if row.view is not None else None for row in rows]
    scores = [[score for _, score in row.similar] if row.view is not None else None for row in rows]
    made = {
        "similar_ids": labels.lists(ids),
        "similar_scores": Added(scores, Cells.NUMBERS),
        "error": Added([row.sent.error for row in rows], Cells.TEXT),
    }
    return read.frame.with_columns({given.prefix + name: one for name, one in made.items()})


class _Read:
    """A frame as items, each with the label of its row."""

    def __init__(self, frame: Frame, given: Options) -> None:
        reader, self._mapping = read_frame(frame, given.mapping())
        if self._mapping.doubt:
            raise ConfigurationError(in_python(self._mapping.doubt))
        if given.on_repeat not in tuple(OnRepeat):
            raise ConfigurationError(f"on_repeat is one of {', '.join(OnRepeat)}, not {given.on_repeat!r}")
        if self._mapping.id_field is None and given.state is not None:
            raise ConfigurationError("rows of several frames need ids of their own: name the column with id=COLUMN")
        self.frame = frame
        self.notes = [note for note in self._mapping.notes if not note.startswith(("id:", "not used:"))]
        by = "the index" if self._mapping.id_field is None else f"column {self._mapping.id_field!r}"
        self.notes.insert(0, f"id: {by}")
        self.labels: dict[str, Any] = {}
        self._items = Items(reader, self._mapping, OnRepeat(given.on_repeat), _acceptable)

    @classmethod
    def of(cls, native: Any, given: Options, added: Sequence[str]) -> _Read:
        """The frame, once it is clear that its columns keep their names."""
        frame = frame_of(native)
        if clash := sorted({given.prefix + name for name in added} & set(frame.columns)):
            raise ConfigurationError(f"the frame has a column {clash[0]!r} already: choose other names with prefix=…")
        try:
            return cls(frame, given)
        except ConfigurationError as error:
            raise ConfigurationError(in_python(str(error))) from None

    def rows(self) -> Iterator[ItemRow]:
        """The items; those without an id of their own get the label of their row."""
        labels = self.frame.labels()
        ids = [to_id(label) for label in labels]
        if len(set(ids)) < len(ids) or not all(ids):  # labels of several types that are written alike
            labels = range(len(ids))
            ids = list(map(str, labels))
        for one in self._items:
            place = one.row.number - 1
            if not isinstance(one.item, BadRow):
                if self._mapping.id_field is None:
                    one.item["id"] = ids[place]
                    self.labels[ids[place]] = labels[place]
                else:
                    cell = one.row.values[self._mapping.id_field]
                    self.labels[one.item["id"]] = int(cell) if _is_whole(cell, one.item["id"]) else cell
            yield one

    def without_replaced(self, sent: list[Sent]) -> list[Sent]:
        """Rows that later ones have replaced say so, once all are read."""
        for row, later in self._items.replaced.items():
            sent[row - 1] = replace(sent[row - 1], id=None, error=f"row {later} has the same id, and has replaced it")
        return sent


def in_python(message: str) -> str:
    """A message that names options of the command line, with the arguments of the same meaning."""
    for option, argument in (("--text-field COLUMN", "text=COLUMN"), ("--id-field COLUMN", "id=COLUMN")):
        message = message.replace(option, argument)
    return message


def _is_whole(cell: Any, id_: str) -> bool:
    """Whether the cell is the number that the id says: not where the id got a suffix."""
    return isinstance(cell, int | float) and not isinstance(cell, bool) and id_ == to_id(cell) and cell == int(cell)


def _require(name: str, count: int, least: int) -> None:
    if not least <= count <= _MOST_SIMILAR:
        raise ConfigurationError(f"{name} is from {least} to {_MOST_SIMILAR}, not {count}")


def _acceptable(item: dict[str, Any]) -> None:
    validate(UpsertItem, item)


@contextmanager
def _engine(given: Options) -> Iterator[Recommender]:
    settings = Settings.from_environment()
    encoders = catalogue(settings) if given.encoders is None else given.encoders
    state = None if given.state is None else Path(given.state)
    engine = open_recommender(state, encoders, message_rules=settings.message_rules)
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def _bar(given: Options, rows: int) -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    shown = given.progress and (console.is_terminal or console.is_jupyter)
    parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*parts, console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task("rows decided", total=rows)
        yield lambda count: bar.advance(task, count)


def _others(engine: Recommender, rows: Sequence[Judged], collection: str) -> dict[str, str]:
    """Texts by id of the items that are named and are of no row: those of earlier frames."""
    own = {row.sent.id for row in rows}
    named: dict[str, None] = {}
    for row in rows:
        if row.view is not None:
            beside = (row.view["duplicate_of"], row.view["canonical_id"], row.view["matched_id"])
            named.update(dict.fromkeys(id_ for id_ in (*beside, *(id_ for id_, _ in row.similar)) if id_))
    views = {id_: engine.get(id_, collection) for id_ in named if id_ not in own}
    return {id_: "" if view is None else compared_text(view.model_dump()) for id_, view in views.items()}
