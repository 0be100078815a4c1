"""Files with labels: pairs of items, and pairs of ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from celery_recommender.cli.input.sending import acceptable
from celery_recommender.cli.input.tally import Tally
from celery_recommender.records import (
    BadRow,
    ItemMapping,
    Items,
    MappingOptions,
    OnRepeat,
    ReadOptions,
    RecordFormat,
    Row,
    open_records,
)
from celery_recommender.records.input.formats import AS_FOUND
from celery_recommender.records.resolving import number_forms
from celery_recommender.records.values.blanks import Blanks
from celery_recommender.records.values.dates import date_form
from celery_recommender.records.values.guessing import Columns, matching
from celery_recommender.records.values.quantities import is_number
from celery_recommender.records.values.text import is_missing, to_id, to_text
from recommender_engine.errors import ConfigurationError, InvalidCommand
from recommender_engine.evaluation import LabelledPair, Split
from recommender_engine.items import Item, UpsertItem
from recommender_engine.items.commands import validate
from recommender_engine.items.placeholders import bare

_TEXTS = ("text1", "text2")
_SIDES = ("left", "right")
_SAME = "1, 1.0, true, t, yes, y, ja, j, oui, si, sim, tak, same, match, duplicate"
_OTHER = (
    "0, 0.0, false, f, no, n, nein, nee, non, nao, nie, different, no match, non match, not duplicate, no duplicate"
)
_LABELS = dict.fromkeys(_SAME.split(", "), True) | dict.fromkeys(_OTHER.split(", "), False)
SPLITS = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "valid": Split.VALID,
    "validation": Split.VALID,
    "val": Split.VALID,
    "dev": Split.VALID,
    "test": Split.TEST,
}
"""Splits by their names in a column `split`, and in the names of files."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row that was skipped.

    Attributes:
        file: its file.
        row: its number, 1 for the first data row.
        error: a sentence for people that names the column and quotes nothing.
    """

    file: str
    row: int
    error: str


@dataclass(slots=True)
class LabelledFiles:
    """The contents of labelled files.

    Attributes:
        pairs: in the order of the files.
        bad: rows that were skipped.
        notes: for people, which columns were taken for what.
        two_lists: whether the two items of a pair come from two lists (``left_*``, ``right_*``).
    """

    pairs: list[LabelledPair] = field(default_factory=list)
    bad: list[FileRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    two_lists: bool = False


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which columns hold the two items of a pair.

    Attributes:
        sides: for each of the two, by what people call it, the column of the file by its name in the item.
        mapping: makes an item of such a side.
        split: of all rows of a file that is named after it.
        label: the column with the labels.
        split_column: the column with the splits, if there is one.
        notes: for people, beside which columns are which.
    """

    sides: Mapping[str, Mapping[str, str]]
    mapping: ItemMapping
    split: Split | None
    label: str
    split_column: str | None
    notes: tuple[str, ...] = ()

    def pair(self, row: Row) -> LabelledPair | BadRow:
        label = same_or_not(row.values.get(self.label))
        if label is None:
            return BadRow(row.number, "column 'label': neither 1 nor 0 (nor true, false, yes, no)")
        split = self.split
        named = None if self.split_column is None else row.values.get(self.split_column)
        if not _is_blank(named):
            split = SPLITS.get(to_text(named).strip().casefold())
            if split is None:
                return BadRow(row.number, f"column 'split': none of {', '.join(SPLITS)}")
        left, right = (self._item(row, name, side) for name, side in self.sides.items())
        if isinstance(left, BadRow):
            return left
        return right if isinstance(right, BadRow) else LabelledPair(left, right, label, split)

    def _item(self, row: Row, name: str, side: Mapping[str, str]) -> Item | BadRow:
        said = self.mapping.item(Row(row.number, {part: row.values.get(column) for part, column in side.items()}))
        if isinstance(said, BadRow):
            return BadRow(row.number, f"{name}: {said.error}")
        try:
            return validate(Item, said)
        except InvalidCommand as error:
            return BadRow(row.number, f"{name}: {error}")


def same_or_not(cell: Any) -> bool | None:
    """The label in a cell, in words of several languages or as a number; ``None`` for anything else."""
    said = to_text(cell).strip()
    return None if "?" in said else _LABELS.get(said.casefold(), _LABELS.get(bare(said)))


def read_pairs(
    files: Iterable[str],
    options: MappingOptions,
    file_format: RecordFormat | None,
    reading: ReadOptions = AS_FOUND,
) -> LabelledFiles:
    """Read labelled pairs: ``text1,text2,label`` or ``left_*``, ``right_*`` and ``label``; ``split`` if it is there.

    A file without the column ``split`` whose name is ``train``, ``valid`` or ``test`` is that split.

    Args:
        files: the files, all of one kind.
        options: which of the ``left_*`` columns, named without the prefix, are text and which are attributes. By
            default all are text but for those that hold nothing but numbers, and ``id``.
        file_format: by the name of each file if ``None``.
        reading: encoding and sheet.

    Raises:
        ConfigurationError: columns are missing, or the files are of two kinds.
    """
    found = LabelledFiles()
    kinds: set[tuple[str, ...]] = set()
    for file in files:
        with open_records(file, file_format, options=reading) as reader:
            rows = list(reader)
            columns = _columns(file, reader.columns, options, rows, typed=reader.typed)
        kinds.add(tuple(columns.sides))
        found.notes += [note for note in _notes(columns) if note not in found.notes]
        for row in rows:
            pair = columns.pair(row) if isinstance(row, Row) else row
            if isinstance(pair, BadRow):
                found.bad.append(FileRow(file, pair.number, pair.error))
            else:
                found.pairs.append(pair)
    if len(kinds) > 1:
        raise ConfigurationError("some files have text1 and text2, others left_* and right_*: evaluate them apart")
    found.two_lists = kinds == {_SIDES}
    return found


class ReadItems(NamedTuple):
    """The contents of a file of items.

    Attributes:
        items: in the order of the file, each id once.
        bad: rows that are none.
        tally: what became of the rows.
    """

    items: list[UpsertItem]
    bad: list[FileRow]
    tally: Tally


def read_items(
    rows: Iterable[Row | BadRow], mapping: ItemMapping, file: str, on_repeat: OnRepeat = OnRepeat.ERROR
) -> ReadItems:
    """Items in the order of the file, each id once, and the rows that are none."""
    found: dict[int, UpsertItem] = {}
    bad: list[FileRow] = []
    tally = Tally(on_repeat)
    items = Items(rows, mapping, on_repeat, acceptable)
    for one in items:
        tally.add(one)
        if isinstance(one.item, BadRow):
            bad.append(FileRow(file, one.item.number, one.item.error))
        else:
            found[one.row.number] = validate(UpsertItem, one.item)
    return ReadItems([item for row, item in found.items() if row not in items.replaced], bad, tally)


def read_truth(file: str, ids: Set[str] = frozenset()) -> tuple[list[tuple[str, str]], list[FileRow]]:
    """Pairs of ids that are the same thing: the first two columns, whatever their names; no second id is no pair.

    Args:
        file: the file.
        ids: of the items.

    Raises:
        ConfigurationError: there are no two columns, or no row with their names.
    """
    links: list[tuple[str, str]] = []
    bad: list[FileRow] = []
    with open_records(file) as reader:
        if len(reader.columns) < 2 and reader.first is not None:
            raise ConfigurationError(f"{file} needs two columns of ids, and has {len(reader.columns)}")
        one, other = (*reader.columns, "", "")[:2]
        if {one, other} <= ids:
            raise ConfigurationError(f"the first row of {file} holds two ids: put a row with names above it")
        for row in reader:
            if isinstance(row, BadRow):
                bad.append(FileRow(file, row.number, row.error))
            elif _is_blank(row.values.get(one)):
                bad.append(FileRow(file, row.number, f"no id in column {one!r}"))
            elif not _is_blank(row.values.get(other)):
                links.append((to_id(row.values[one]), to_id(row.values[other])))
    return links, bad


def _columns(
    file: str, names: Sequence[str], options: MappingOptions, rows: Sequence[Row | BadRow], *, typed: bool
) -> _Columns:
    label, split_column = matching("label", names), matching("split", names)
    if label is None:
        raise ConfigurationError(f"{file} has no column 'label'; there are {_listed(names)}")
    split = SPLITS.get(Path(file).name.partition(".")[0].casefold()) if split_column is None else None
    texts = [matching(name, names) for name in _TEXTS]
    if all(texts):
        mapping = ItemMapping(text_fields=("text",), collection=options.collection, blanks=_blanks(options))
        sides = {name: {"text": column or name} for name, column in zip(_TEXTS, texts, strict=True)}
        return _Columns(sides, mapping, split, label, split_column)
    parts = [name.removeprefix("left_") for name in names if name.startswith("left_")]
    common = [part for part in parts if f"right_{part}" in names]
    if not common:
        raise ConfigurationError(
            f"{file} has neither the columns text1 and text2 nor left_* and right_*; there are {_listed(names)}"
        )
    named = (*options.text_fields, *options.attributes, *filter(None, [options.timestamp_field]))
    if missing := [name for name in named if name not in common]:
        raise ConfigurationError(
            f"{file} has no columns left_ and right_ {_listed(missing)}; there are {_listed(common)}"
        )
    sides = {side: {part: f"{side}_{part}" for part in common} for side in _SIDES}
    mapping, remarks = _of_two_lists(common, sides, options, rows, typed=typed)
    return _Columns(sides, mapping, split, label, split_column, tuple(remarks))


def _of_two_lists(
    parts: Sequence[str],
    sides: Mapping[str, Mapping[str, str]],
    options: MappingOptions,
    rows: Sequence[Row | BadRow],
    *,
    typed: bool,
) -> tuple[ItemMapping, list[str]]:
    """The columns in ``left_*`` and ``right_*``, and notes on them."""
    good = [row for row in rows if isinstance(row, Row)]
    halves = [
        Row(row.number, {part: row.values.get(column) for part, column in side.items()})
        for row in good
        for side in sides.values()
    ]
    columns = Columns(parts, halves)
    taken = {"id", options.id_field, options.timestamp_field, *options.text_fields}
    free = [part for part in parts if part not in taken]
    numeric = [part for part in free if (cells := columns.cells(part)) and all(map(is_number, cells))]
    attributes = options.attributes or tuple(numeric)
    numbers, remarks = number_forms(columns, attributes, options.decimal, typed=typed)
    mapping = ItemMapping(
        text_fields=options.text_fields or tuple(part for part in free if part not in attributes),
        attributes=attributes,
        timestamp_field=options.timestamp_field,
        collection=options.collection,
        parse_attributes=not typed,
        numbers=numbers,
        blanks=_blanks(options),
        dates=date_form(
            columns.cells(options.timestamp_field) if options.timestamp_field else (),
            order=options.date_order,
            sheet_days=options.excel_dates,
        ),
    )
    return mapping, remarks


def _blanks(options: MappingOptions) -> Blanks:
    return Blanks.of(options.placeholders, known=options.known_placeholders)


def _notes(columns: _Columns) -> list[str]:
    notes = [f"text: {_listed(columns.mapping.text_fields)}"]
    if columns.mapping.attributes:
        notes.append(f"attributes: {_listed(columns.mapping.attributes)}")
    return [*notes, *columns.notes]


def _is_blank(value: Any) -> bool:
    return is_missing(value) or (isinstance(value, str) and not value.strip())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
