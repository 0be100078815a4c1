"""Parquet, through pyarrow. The only module that imports it: it comes with the extra ``parquet``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recommender.errors import ConfigurationError
from workers.records.columns import distinct_columns, known_columns
from workers.records.dialect import Dialect
from workers.records.formats import FilePath, RecordFormat
from workers.records.rows import BadRow, Fault, Progress, Row
from workers.records.values import to_text

READ_BATCH_ROWS = 256
WRITE_CHUNK_ROWS = 10_000
WRITE_CHUNK_CHARS = 16 * 1024 * 1024
"""Rows are held back until there are this many of them, or this much text in them."""

_UNFIT = (pa.ArrowException, OverflowError, ValueError, TypeError)
"""What pyarrow raises for values that do not fit a type."""


class ParquetSource:
    """Rows of a Parquet file, with Python values.

    Raises:
        ConfigurationError: the file is missing, is not Parquet, or names a column twice.
    """

    typed = True

    def __init__(self, path: FilePath) -> None:
        try:
            self._file = pq.ParquetFile(path)
        except (OSError, pa.ArrowException) as error:
            raise ConfigurationError(f"cannot read {os.fspath(path)} as Parquet: {error}") from error
        self._done = 0
        try:
            self.columns: tuple[str, ...] = distinct_columns(self._file.schema_arrow.names)
        except ConfigurationError:
            self.close()
            raise

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
                for values in _python_values(batch):
                    self._done += 1
                    yield (
                        BadRow(self._done, values, Fault.VALUE) if isinstance(values, str) else Row(self._done, values)
                    )
        except pa.ArrowException as error:
            raise OSError(str(error)) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class ParquetSink:
    """Writes rows as Parquet.

    The type of a column is that of its first chunk. When a later chunk does not fit, the type is widened and what has
    been written is written again; where no type fits all values, the column holds text (JSON for nested values).
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._columns = tuple(columns)
        self._known = frozenset(columns)
        self._rows: list[Mapping[str, Any]] = []
        self._chars = 0
        self._schema = pa.schema([(name, pa.null()) for name in self._columns])
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
        """Close the file as it is."""
        self._rows.clear()
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        values = {name: [row.get(name) for row in self._rows] for name in self._columns}
        schema = pa.schema([(name, _fitting_type(values[name], self._schema.field(name).type)) for name in values])
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, _storable(schema))
        elif schema != self._schema:
            schema = self._widen(schema)
        self._schema = schema
        self._writer.write_table(_table(values, _storable(schema)))
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
                ]
            )
            self._rewrite(schema)
        return schema

    def _rewrite(self, schema: Any) -> None:
        wider = self._path.with_suffix(".wider")
        writer = pq.ParquetWriter(wider, _storable(schema))
        try:
            with pq.ParquetFile(self._path) as written:
                for batch in written.iter_batches(batch_size=READ_BATCH_ROWS):
                    writer.write_table(_table(batch.to_pydict(), _storable(schema)))
            wider.replace(self._path)
        except BaseException:
            writer.close()
            wider.unlink()
            raise
        self._writer = writer


def _python_values(batch: Any) -> Iterator[dict[str, Any] | str]:
    """Each row of the batch as a dict, or as the reason why it has no Python values."""
    batch = _in_microseconds(batch)
    try:
        yield from batch.to_pylist()
    except _UNFIT:  # raised before the first row is given, so that the batch can be taken row by row
        for at in range(batch.num_rows):
            try:
                yield from batch.slice(at, 1).to_pylist()
            except _UNFIT as error:
                yield "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _in_microseconds(batch: Any) -> Any:
    """Python's own datetime ends at microseconds; the nanoseconds of pandas are mostly zeros."""
    fields = [
        field.with_type(pa.timestamp("us", field.type.tz)) if pa.types.is_timestamp(field.type) else field
        for field in batch.schema
    ]
    return pa.record_batch(
        [column.cast(field.type, safe=False) for column, field in zip(batch, fields, strict=True)],
        schema=pa.schema(fields),
    )


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
    return pa.schema([field.with_type(_storable_type(field.type)) for field in schema])


def _storable_type(kind: Any) -> Any:
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_storable_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_storable_type(field.type)) for field in kind])
    return kind


def _table(values: Mapping[str, list[Any]], schema: Any) -> Any:
    return pa.table([_array(values[field.name], field.type) for field in schema], schema=schema)


def _array(values: list[Any], kind: Any) -> Any:
    if pa.types.is_string(kind):
        values = [value if value is None or isinstance(value, str) else to_text(value) for value in values]
    return pa.array(values, type=kind)
