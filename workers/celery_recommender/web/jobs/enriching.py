"""An uploaded file: what is in it, its rows through the stream, and the file with the verdicts beside them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from celery_recommender.frames.columns import ADDED
from celery_recommender.frames.verdicts import RowVerdicts
from celery_recommender.records import (
    BadRow,
    ItemMapping,
    Items,
    MappingOptions,
    RecordReader,
    open_records,
    open_writer,
    resolve_mapping,
    scan_columns,
)
from celery_recommender.records.resolving import further_columns
from celery_recommender.texts import compared_parts
from celery_recommender.web.jobs.runner import Failed, Work
from celery_recommender.web.service.service import Service
from recommender_engine.errors import ConfigurationError
from recommender_engine.items.commands import UpsertItem, validate

KIND = "file"
MOST_ROWS = 100_000
"""Rows of a file."""
SIMILAR = 5
"""Similar items of a row."""
_SHOWN = 5
_CHARACTERS = 200
_BLOCK, _PAGE = 64, 200
_POLL_S = 0.3
_PREFIX = "recommender_"
_OPTION = re.compile(r": --[a-z-]+ says which|[:?] [Ss]ay --.*| \(--[a-z-]+[^)]*\)")
_UNUSUAL = re.compile(r"[^\w.() +-]")


class Column(NamedTuple):
    """A column of a file, and what it is taken for."""

    name: str
    text: bool
    attribute: bool


class Draft(NamedTuple):
    """What a file holds, before anything is sent.

    Attributes:
        format: how it is written, for people.
        columns: of it.
        id_field, timestamp_field: columns; ``None``: none.
        notes: what was chosen without being asked for, and why it may be wrong.
        rows: of the file, with those that cannot be used.
        bad: rows that cannot be used.
        examples: the first rows as they are understood: id, text, attributes and time; or an error.
    """

    format: str
    columns: list[Column]
    id_field: str | None
    timestamp_field: str | None
    notes: list[str]
    rows: int
    bad: int
    examples: list[dict[str, Any]]


def file_name(given: str) -> str:
    """A name for a file: the last part of what a browser says, without what a folder could take amiss."""
    name = _UNUSUAL.sub("_", re.split(r"[/\\]", given)[-1]).lstrip(".")[-100:]
    return name or "file.csv"


def draft_of(
    content: bytes, name: str, options: Mapping[str, Any], collection: str, message_rules: Path | None = None
) -> Draft:
    """Read a file, and guess what its columns are.

    Args:
        content: of the file.
        name: of the file, by which its format is known.
        options: columns that were chosen, see `mapping_of`; empty where nothing was chosen yet.
        collection: where its items go.
        message_rules: see ``Settings.message_rules``.

    Raises:
        ConfigurationError: it cannot be read, or has no text.
    """
    with _stored(content, name) as path, _opened(path, options, collection) as (reader, mapping, items):
        columns = [Column(one, one in mapping.text_fields, one in mapping.attributes) for one in reader.columns]
        examples: list[dict[str, Any]] = []
        rows = bad = 0
        for one in items:
            rows += 1
            failed = isinstance(one.item, BadRow)
            bad += failed
            if len(examples) < _SHOWN:
                examples.append(_example(one.item, message_rules))
            if rows > MOST_ROWS:
                break
        notes = [_without_options(note) for note in (*mapping.notes, mapping.doubt) if note]
        return Draft(
            _without_options(reader.dialect.describe()),
            columns,
            mapping.id_field,
            mapping.timestamp_field,
            notes,
            rows,
            bad,
            examples,
        )


def enriching(service: Service) -> Callable[[Work], dict[str, Any]]:
    """The work of a job of this kind."""
    return lambda work: _enriched(service, work)


def _enriched(service: Service, work: Work) -> dict[str, Any]:
    job = work.job
    content = work.store.file(job.id, "given")
    if content is None:
        raise Failed("no_file")
    name, options = job.options["name"], job.options["columns"]
    with _stored(content, name) as path:
        replaced = _sent(service, work, path, options)
        target = path.with_name(f"enriched-{name}")
        counted = _written(service, work, path, options, target, replaced)
        if target.stat().st_size > work.store.most_file_bytes:
            raise Failed("too_large")
        work.store.keep(job.id, "made", target.read_bytes())
    return {**counted, "name": f"enriched-{name}"}


def _sent(service: Service, work: Work, path: Path, options: Mapping[str, Any]) -> Mapping[int, int]:
    """Send the rows that were not decided yet, a block at a time, each once the one before is decided."""
    job = work.job
    start, total = int(job.progress.get("rows", 0)), int(job.options["rows"])
    with _opened(path, options, job.collection) as (_, _, items):
        rows = 0
        while block := list(islice(items, _BLOCK)):
            rows += len(block)
            fresh = [one for one in block if one.row.number > start and not isinstance(one.item, BadRow)]
            if fresh:
                keys = [_key(job.id, one.row.number) for one in fresh]
                names = iter(keys)
                service.client.send_many(UpsertItem.type, [one.item for one in fresh], key=lambda _: next(names))  # type: ignore[misc]
                while None in service.outcomes(keys, job.collection):
                    work.tell("deciding", rows - len(block), total)
                    work.wait(_POLL_S)
            if block[-1].row.number > start:
                work.tell("deciding", rows, total, {"rows": block[-1].row.number})
        return items.replaced


def _written(
    service: Service, work: Work, path: Path, options: Mapping[str, Any], target: Path, replaced: Mapping[int, int]
) -> dict[str, Any]:
    """Write the rows with their verdicts, once all are decided: later rows change what is said of earlier ones."""
    job = work.job
    columns = scan_columns(path)
    prefix = _PREFIX if set(columns) & set(ADDED) else ""
    bands: Counter[str] = Counter()
    rows = failed = 0

    def ask(task: Any, *args: Any, **kwargs: Any) -> Any:
        return service.ask(task.name, *args, **kwargs)

    answers = RowVerdicts(ask, job.collection, lambda row: _key(job.id, row), replaced, SIMILAR)
    with (
        _opened(path, options, job.collection) as (reader, _, items),
        open_writer(target, columns, [prefix + name for name in ADDED], like=reader.dialect) as writer,
    ):
        while block := list(islice(items, _PAGE)):
            for row in answers.beside(block):
                writer.write({**row.cells, **{prefix + name: value for name, value in row.added.items()}})
                bands[row.added["band"] or ""] += 1
                failed += row.added["band"] is None
            rows += len(block)
            work.tell("writing", rows, int(job.options["rows"]))
    return {"rows": rows, "failed": failed, "bands": {band: count for band, count in bands.items() if band}}


def _key(job: str, row: int) -> str:
    return f"web/{job} {row}"


@contextmanager
def _stored(content: bytes, name: str) -> Iterator[Path]:
    with TemporaryDirectory(prefix="recommender-web-") as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            yield path
        except ConfigurationError as error:  # the folder is ours, and says nothing
            raise ConfigurationError(str(error).replace(f"{folder}/", "")) from error


@contextmanager
def _opened(
    path: Path, options: Mapping[str, Any], collection: str
) -> Iterator[tuple[RecordReader, ItemMapping, Items]]:
    with open_records(path) as reader:
        mapping = resolve_mapping(reader, mapping_of(options, collection))
        if not options:
            mapping = resolve_mapping(reader, further_columns(reader, mapping))
        yield reader, mapping, Items(reader, mapping, check=lambda item: validate(UpsertItem, item))


def mapping_of(options: Mapping[str, Any], collection: str) -> MappingOptions:
    """The columns that were chosen: ``id``, ``time``, and lists ``texts`` and ``attributes``; others are guessed."""
    return MappingOptions(
        id_field=options.get("id") or None,
        text_fields=tuple(options.get("texts") or ()),
        attributes=tuple(options.get("attributes") or ()),
        timestamp_field=options.get("time") or None,
        collection=collection,
    )


def _without_options(text: str) -> str:
    """A note of the command line, without what its options are called."""
    return _OPTION.sub("", text)


def _example(item: dict[str, Any] | BadRow, message_rules: Path | None) -> dict[str, Any]:
    if isinstance(item, BadRow):
        return {"error": item.error}
    return {
        "id": item["id"],
        "texts": [part[:_CHARACTERS] for part in compared_parts(item, message_rules)],
        "attributes": item.get("attributes", {}),
        "time": item.get("timestamp"),
    }
