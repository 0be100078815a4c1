"""Parquet, through pyarrow. The only module that imports it: it comes with the extra ``parquet``."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from celery_recommender.records.input.columns import column_names, known_columns
from celery_recommender.records.input.dialect import Dialect
from celery_recommender.records.input.formats import FilePath, ReadOptions, RecordFormat
from celery_recommender.records.rows import BadRow, Fault, Progress, Row
from celery_recommender.records.values.text import to_text
from recommender_engine.errors import ConfigurationError

READ_BATCH_ROWS = 256
WRITE_CHUNK_ROWS = 10_000
WRITE_CHUNK_CHARS = 16 * 1024 * 1024
"""Rows are held back until there are this many of them, or this much text in them."""

_UNFIT = (pa.ArrowException, OverflowError, ValueError, TypeError)
"""Errors of pyarrow for values that do not fit a type."""


class Nanoseconds(dt.datetime):
    """A moment to the nanosecond; as a ``datetime``, to the microsecond below it.

    Attributes:
        total: nanoseconds since 1970, in UTC.
    """

    total: int

    @classmethod
    def of(cls, total: int, moment: dt.datetime) -> Nanoseconds:
        """The moment with its nanoseconds."""
        made = cls.combine(moment.date(), moment.timetz())
        made.total = total
        return made


@dataclass(frozen=True, slots=True)
class _Unreadable:
    error: str
    values: dict[str, Any]


def open_source(path: FilePath, options: ReadOptions) -> ParquetSource:
    """The rows of a file."""
    del options  # neither encoding nor sheet
    return ParquetSource(path)


def open_sink(path: Path, columns: Sequence[str], dialect: Dialect) -> ParquetSink:
    """Writes rows to a new file."""
    return ParquetSink(path, columns, dialect.schema)


class ParquetSource:
    """Rows of a Parquet file, with Python values.

    Raises:
        ConfigurationError: the file is missing, or is not Parquet.
    """

    typed = True

    def __init__(self, path: FilePath) -> None:
        try:
            self._file = pq.ParquetFile(path)
        except (OSError, *_UNFIT) as error:
            raise ConfigurationError(f"cannot read {os.fspath(path)} as Parquet: {error}") from error
        self._done = 0
        try:
            self.columns: tuple[str, ...] = _names(self._file.schema_arrow)
        except _UNFIT as error:
            self.close()
            raise ConfigurationError(f"cannot read {os.fspath(path)} as Parquet: {error}") from error

    @property
    def dialect(self) -> Dialect:
        """The types of its columns."""
        return Dialect(format=RecordFormat.PARQUET, schema=self._file.schema_arrow)

    @property
    def progress(self) -> Progress:
        """Rows read until now."""
        return Progress(self._done, self._file.metadata.num_rows, "rows")

    def rows(self) -> Iterator[Row | BadRow]:
        """The rows, once."""
        try:
            for batch in self._file.iter_batches(batch_size=READ_BATCH_ROWS):
                for values in _python_values(batch, self.columns):
                    self._done += 1
                    if isinstance(values, _Unreadable):
                        yield BadRow(self._done, values.error, Fault.VALUE, values.values)
                    else:
                        yield Row(self._done, values)
        except _UNFIT as error:
            raise OSError(str(error)) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class ParquetSink:
    """Writes rows as Parquet.

    The type of a column is that of the file that was read, or of its first chunk. When a later chunk does not fit, the
    type is widened and what has been written is written again; where no type fits all values, the column holds text
    (JSON for nested values).

    Args:
        path: of the file.
        columns: names of all columns.
        like: the schema of the file that was read; what it says of columns of other names does not matter.
    """

    def __init__(self, path: Path, columns: Sequence[str], like: Any = None) -> None:
        self._path = path
        self._columns = tuple(columns)
        fields = [] if like is None else list(like)
        self._given = dict(zip(_names(fields), fields, strict=True))
        self._metadata = None if like is None else like.metadata
        self._known = frozenset(columns)
        self._rows: list[Mapping[str, Any]] = []
        self._chars = 0
        self._schema = pa.schema([self._given.get(name, pa.field(name, pa.null())) for name in self._columns])
        self._writer: Any = None

    def write(self, values: Mapping[str, Any]) -> None:
        """Take one row; columns it lacks are null."""
        known_columns(values, self._known)
        self._rows.append(dict(values))
        self._chars += sum(len(value) for value in values.values() if isinstance(value, str))
        if len(self._rows) >= WRITE_CHUNK_ROWS or self._chars >= WRITE_CHUNK_CHARS:
            self._flush()

    def finish(self) -> None:
        """Write what is held back and the footer."""
        if self._rows or self._writer is None:
            self._flush()
        self._writer.close()

    def discard(self) -> None:
        """Close the file without more rows."""
        self._rows.clear()
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        values = {name: [row.get(name) for row in self._rows] for name in self._columns}
        fitting = [
            _fitting(values[name], self._schema.field(at), name in self._given) for at, name in enumerate(values)
        ]
        schema = pa.schema(fitting, metadata=self._metadata)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, _storable(schema))
        elif schema != self._schema:
            schema = self._widen(schema)
        self._schema = schema
        self._writer.write_table(_table(list(values.values()), _storable(schema)))
        self._rows.clear()
        self._chars = 0

    def _widen(self, schema: Any) -> Any:
        """Write again what is written; where a value of old does not fit the new type, its column becomes text."""
        self._writer.close()
        try:
            self._rewrite(schema)
        except _UNFIT:
            schema = pa.schema(
                [
                    new if new == old else new.with_type(pa.string())
                    for new, old in zip(schema, self._schema, strict=True)
                ],
                metadata=self._metadata,
            )
            self._rewrite(schema)
        return schema

    def _rewrite(self, schema: Any) -> None:
        wider = self._path.with_suffix(".wider")
        writer = pq.ParquetWriter(wider, _storable(schema))
        try:
            with pq.ParquetFile(self._path) as written:
                for batch in written.iter_batches(batch_size=READ_BATCH_ROWS):
                    writer.write_table(_table([_values(column) for column in batch.columns], _storable(schema)))
            wider.replace(self._path)
        except BaseException:
            writer.close()
            wider.unlink()
            raise
        self._writer = writer


def _names(fields: Iterable[Any]) -> tuple[str, ...]:
    """The names of the columns, made distinct where one repeats."""
    names = tuple(field.name for field in fields)
    return names if len(set(names)) == len(names) else column_names(names)


def _python_values(batch: Any, columns: Sequence[str]) -> Iterator[dict[str, Any] | _Unreadable]:
    """Each row of the batch as a dict, or as the reason why some of it has no Python values."""
    try:
        lists = [_values(column) for column in batch.columns]
    except _UNFIT:  # raised before the first row is given, so that the batch can be taken row by row
        for at in range(batch.num_rows):
            yield _one_by_one(batch.slice(at, 1), columns)
        return
    for cells in zip(*lists, strict=True) if lists else [()] * batch.num_rows:
        yield dict(zip(columns, cells, strict=True))


def _one_by_one(row: Any, columns: Sequence[str]) -> dict[str, Any] | _Unreadable:
    values: dict[str, Any] = {}
    error = None
    for name, column in zip(columns, row.columns, strict=True):
        try:
            (values[name],) = _values(column)
        except UnicodeDecodeError:
            error = f"column {name!r} is not UTF-8"
            values[name] = column.cast(pa.binary())[0].as_py().decode(errors="backslashreplace")
        except _UNFIT as unfit:
            error = f"column {name!r}: {unfit}"
            values[name] = str(column[0])
    return values if error is None else _Unreadable(error, values)


def _values(column: Any) -> list[Any]:
    """Python's values: nanoseconds are kept, and bytes that are UTF-8 are text."""
    kind = column.type
    if _holds(kind, _is_fine):
        return [_fine(scalar) for scalar in column]
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return [_text_or_bytes(value) for value in column.to_pylist()]
    values: list[Any] = column.to_pylist()
    return values


def _text_or_bytes(value: bytes | None) -> str | bytes | None:
    """Text, where a writer left out the mark for it, as Spark, Impala and old versions of Hive do."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _is_fine(kind: Any) -> bool:
    timed = pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_time64(kind)
    return timed and bool(kind.unit == "ns")


def _holds(kind: Any, wanted: Callable[[Any], bool]) -> bool:
    if pa.types.is_nested(kind):
        return any(_holds(kind.field(at).type, wanted) for at in range(kind.num_fields))
    return wanted(kind)


def _fine(scalar: Any) -> Any:
    """The Python value of a scalar that holds nanoseconds somewhere inside."""
    kind = scalar.type
    if not scalar.is_valid:
        return None
    if pa.types.is_struct(kind):
        return {name: _fine(part) for name, part in scalar.items()}
    if pa.types.is_map(kind):
        return [(_fine(entry["key"]), _fine(entry["value"])) for entry in scalar.values]
    if pa.types.is_nested(kind):
        return [_fine(part) for part in scalar.values]
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return Nanoseconds.of(scalar.value, scalar.cast(pa.timestamp("us", kind.tz), safe=False).as_py())
    return scalar.cast(pa.duration("us"), safe=False).as_py() if pa.types.is_duration(kind) else scalar.as_py()


def _fitting(values: list[Any], field: Any, given: bool) -> Any:
    """The field if the values fit it, else one that they fit."""
    if given:
        try:
            nullable = field.nullable or _array(values, field.type).null_count
            return field.with_nullable(bool(nullable))
        except _UNFIT:
            pass
    return field.with_type(_fitting_type(values, field.type)).with_nullable(True)


def _fitting_type(values: list[Any], before: Any) -> Any:
    """The narrowest type for these values and those before them; string where there is none."""
    try:
        found = pa.array(values).type
        fields = [pa.schema([("", kind)]) for kind in (before, found)]
        merged = pa.unify_schemas(fields, promote_options="permissive").field("").type
        pa.array(values, type=merged)
    except _UNFIT:
        return pa.string()
    text_as_bytes = pa.types.is_binary(merged) and pa.string() in (before, found)
    return pa.string() if text_as_bytes or _has_empty_struct(merged) else merged


def _has_empty_struct(kind: Any) -> bool:
    """Parquet cannot hold an object without keys."""
    if pa.types.is_struct(kind) and kind.num_fields == 0:
        return True
    return (
        any(_has_empty_struct(kind.field(at).type) for at in range(kind.num_fields))
        if pa.types.is_nested(kind)
        else False
    )


def _storable(schema: Any) -> Any:
    """The schema to write: what has no value until now is called text, which every reader understands.

    Inside a list as well: pyarrow writes a list of nulls that it cannot read again.
    """
    return pa.schema([field.with_type(_storable_type(field.type)) for field in schema], metadata=schema.metadata)


def _storable_type(kind: Any) -> Any:
    if pa.types.is_null(kind):
        return pa.string()
    if not _holds(kind, pa.types.is_null):
        return kind
    if pa.types.is_list(kind):
        return pa.list_(_storable_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_storable_type(field.type)) for field in kind])
    return kind


def _table(columns: Sequence[list[Any]], schema: Any) -> Any:
    arrays = [_array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(values: list[Any], kind: Any) -> Any:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        values = [value if value is None or isinstance(value, str) else to_text(value) for value in values]
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        values = [value.encode() if isinstance(value, str) else value for value in values]
    elif _holds(kind, _is_fine):
        values = [_whole(value) for value in values]
    return pa.array(values, type=kind)


def _whole(value: Any) -> Any:
    """Moments as nanoseconds, which is how pyarrow takes them whole."""
    if isinstance(value, Nanoseconds):
        return value.total
    if isinstance(value, dict):
        return {name: _whole(part) for name, part in value.items()}
    return [_whole(part) for part in value] if isinstance(value, list) else value
