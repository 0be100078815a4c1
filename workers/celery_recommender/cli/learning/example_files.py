"""Files of examples to train on, in the shapes that sentence-transformers' data sets have."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from celery_recommender.cli.input.labelled_files import SPLITS, FileRow, read_pairs, same_or_not
from celery_recommender.cli.input.mapping_options import FileOptions
from celery_recommender.records import BadRow, Row, open_records
from celery_recommender.records.values.guessing import matching
from celery_recommender.records.values.quantities import is_number
from celery_recommender.records.values.text import is_missing, to_text
from recommender_engine.errors import ConfigurationError
from recommender_engine.evaluation import Split
from recommender_engine.items import CollectionSettings
from recommender_engine.message import Messages
from recommender_engine.text import clean
from recommender_engine.training.examples import Examples, Parts, Shape, scaled
from recommender_engine.training.losses import LOSSES
from recommender_engine.training.splitting import declared, split

_TRIPLET = ("anchor", "positive", "negative")
_PAIRS = (("text1", "text2"), ("sentence1", "sentence2"), ("premise", "hypothesis"), _TRIPLET[:2])
_SCORES = ("score", "similarity", "similarity_score")
_LABELS = ("label", "gold_label", "entailment")
_MOST_CLASSES = 20


class _Columns(NamedTuple):
    """Which columns of a file are what.

    Attributes:
        texts: two, or three of triplets.
        target: the scores or labels, if there are any.
        shape: of the examples; classes and answers are told apart by the labels.
        splits: the splits, if there are any.
    """

    texts: tuple[str, ...]
    target: str | None
    shape: Shape
    splits: str | None


@dataclass(slots=True)
class ExampleFiles:
    """The contents of files of examples.

    Attributes:
        examples: all of them.
        splits: of each; ``None`` where no file says.
        bad: rows that were skipped.
        notes: for people, which columns were taken for what.
    """

    examples: Examples
    splits: list[Split | None]
    bad: list[FileRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def of(self, wanted: Split) -> Examples:
        """The examples of a split."""
        return self.examples.at(place for place, one in enumerate(self.splits) if one is wanted)

    def parts(self, share: float, seed: int) -> Parts:
        """What is trained on, held out and tested on: as the files say, or a share of the rest.

        Raises:
            ConfigurationError: some examples have a split and some have none, or nothing can be held out.
        """
        known = [one is not None for one in self.splits]
        if not any(known):
            return split(self.examples, share, seed)
        if not all(known):
            raise ConfigurationError("some examples have a split and some have none: give one to all or to none")
        train, held_out, test = (self.of(one) for one in (Split.TRAIN, Split.VALID, Split.TEST))
        if not len(held_out):
            made = split(train, share, seed)
            train, held_out = made.train, made.held_out
        return declared(train, held_out, test)


def read_examples(
    files: Sequence[str], given: FileOptions, loss: str | None = None, rules: Path | None = None
) -> ExampleFiles:
    """Read examples; the columns decide their shape.

    ``anchor, positive, negative``; ``anchor, positive``; ``text1, text2`` (or ``sentence1, sentence2``, or ``premise,
    hypothesis``) with ``score`` or ``label`` or neither; ``left_*``, ``right_*`` and ``label``. Labels that say yes and
    no, or 1 and 0, are answers; others are classes.

    Args:
        files: of one shape.
        given: how to read them.
        loss: name of the loss, which decides where a file has scores and labels.
        rules: further phrases to cut from texts of items.

    Raises:
        ConfigurationError: a file has other columns, the files differ in shape, or there is no example.
    """
    rows: list[tuple[tuple[str, ...], Any]] = []
    splits: list[Split | None] = []
    bad: list[FileRow] = []
    notes: list[str] = []
    shapes: set[Shape] = set()
    for file in files:
        with open_records(file, given.file_format, options=given.reading) as reader:
            names = tuple(reader.columns)
            if not any(name.startswith("left_") for name in names):
                columns = _columns(file, names, loss)
                shapes.add(columns.shape)
                notes.append(_note(columns))
                _read(file, reader, columns, rows, splits, bad)
                continue
        shapes.add(Shape.CLASSES)
        _read_items(file, given, rules, rows, splits, bad, notes)
    if not rows:
        first = f": {bad[0].file}, row {bad[0].row}: {bad[0].error}" if bad else ""
        raise ConfigurationError(f"no row is an example that can be used{first}")
    if len(shapes) > 1:
        raise ConfigurationError(f"the files hold {', '.join(sorted(shapes))}: train on one shape at a time")
    return ExampleFiles(_examples(shapes.pop(), rows, loss), splits, bad, list(dict.fromkeys(notes)))


def _columns(file: str, names: Sequence[str], loss: str | None) -> _Columns:
    splits = matching("split", names)
    found = [tuple(filter(None, (matching(name, names) for name in pair))) for pair in (_TRIPLET, *_PAIRS)]
    if len(found[0]) == len(_TRIPLET):
        return _Columns(found[0], None, Shape.TRIPLETS, splits)
    texts = next((one for one in found[1:] if len(one) == 2), None)
    if texts is None:
        raise ConfigurationError(
            f"{file} has no columns text1 and text2, nor anchor and positive, nor left_* and right_*;"
            f" there are {', '.join(map(repr, names))}"
        )
    score = next(filter(None, (matching(name, names) for name in _SCORES)), None)
    label = next(filter(None, (matching(name, names) for name in _LABELS)), None)
    if score and label:
        if loss is None:
            raise ConfigurationError(f"{file} has scores ({score!r}) and labels ({label!r}): choose by --loss")
        score, label = (score, None) if Shape.SCORES in LOSSES[loss].takes else (None, label)
    if score:
        return _Columns(texts, score, Shape.SCORES, splits)
    return _Columns(texts, label, Shape.CLASSES if label else Shape.POSITIVES, splits)


def _note(columns: _Columns) -> str:
    target = f", {'scores' if columns.shape is Shape.SCORES else 'labels'}: {columns.target!r}"
    return f"texts: {', '.join(map(repr, columns.texts))}{target if columns.target else ''}"


def _read(
    file: str,
    rows: Iterable[Row | BadRow],
    columns: _Columns,
    found: list[tuple[tuple[str, ...], Any]],
    splits: list[Split | None],
    bad: list[FileRow],
) -> None:
    named = SPLITS.get(Path(file).name.partition(".")[0].casefold())
    for row in rows:
        if isinstance(row, BadRow):
            bad.append(FileRow(file, row.number, row.error))
            continue
        texts = tuple(clean(_text(row.values.get(name))) for name in columns.texts)
        target = _target(row, columns)
        said = None if columns.splits is None else _text(row.values.get(columns.splits)).strip().casefold()
        of = SPLITS.get(said) if said else named
        if not all(texts):
            bad.append(FileRow(file, row.number, f"column {columns.texts[texts.index('')]!r}: no text"))
        elif columns.shape is Shape.TRIPLETS and texts[1] == texts[2]:
            both = " and ".join(map(repr, columns.texts[1:]))
            bad.append(FileRow(file, row.number, f"columns {both}: the same text"))
        elif columns.target is not None and target is None:
            wanted = "no number from 0 to 5" if columns.shape is Shape.SCORES else "no label"
            bad.append(FileRow(file, row.number, f"column {columns.target!r}: {wanted}"))
        elif said and of is None:
            bad.append(FileRow(file, row.number, f"column 'split': none of {', '.join(SPLITS)}"))
        else:
            found.append((texts, target))
            splits.append(of)


def _text(cell: Any) -> str:
    return "" if is_missing(cell) else to_text(cell)


def _target(row: Row, columns: _Columns) -> Any:
    """The score as a number, or the label as text; ``None`` for no such thing."""
    cell = None if columns.target is None else row.values.get(columns.target)
    said = _text(cell).strip()
    if columns.shape is not Shape.SCORES:
        return said or None
    if not is_number(cell if not isinstance(cell, str) else said):
        return None
    score = float(said)
    return score if math.isfinite(score) and 0 <= score <= 5 else None


def _read_items(
    file: str,
    given: FileOptions,
    rules: Path | None,
    found: list[tuple[tuple[str, ...], Any]],
    splits: list[Split | None],
    bad: list[FileRow],
    notes: list[str],
) -> None:
    """Pairs of items of two lists, by the text that the encoder is given of each."""
    read = read_pairs([file], given.mapping, given.file_format, given.reading)
    messages, settings = Messages(rules), CollectionSettings()
    for pair in read.pairs:
        texts = tuple(clean(messages.compared(item, settings).content) for item in (pair.left, pair.right))
        found.append((texts, "1" if pair.label else "0"))
        splits.append(pair.split)
    bad += read.bad
    notes += read.notes


def _examples(shape: Shape, rows: Sequence[tuple[tuple[str, ...], Any]], loss: str | None) -> Examples:
    texts = tuple(one for one, _ in rows)
    if shape is Shape.SCORES:
        return Examples(shape, texts, scaled([score for _, score in rows]))
    if shape is not Shape.CLASSES:
        return Examples(shape, texts)
    labels = [label for _, label in rows]
    answers = [same_or_not(label) for label in labels]
    if loss != "softmax" and None not in answers:
        return answered(texts, [bool(one) for one in answers])
    classes = tuple(sorted({label.casefold() for label in labels}))
    if not 2 <= len(classes) <= _MOST_CLASSES:
        raise ConfigurationError(f"labels name {len(classes)} classes; from 2 to {_MOST_CLASSES} can be told apart")
    numbers = {name: float(number) for number, name in enumerate(classes)}
    return Examples(shape, texts, tuple(numbers[label.casefold()] for label in labels), classes)


def answered(texts: Sequence[tuple[str, ...]], same: Sequence[bool]) -> Examples:
    """Examples of answers; if all say that two are the same thing, they are positives."""
    if all(same):
        return Examples(Shape.POSITIVES, tuple(texts))
    return Examples(Shape.ANSWERS, tuple(texts), tuple(map(float, same)))
