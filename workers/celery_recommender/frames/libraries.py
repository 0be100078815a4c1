"""The two libraries of data frames behind one protocol. Neither is imported here unless a frame of it is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple, Protocol

from recommender_engine.errors import ConfigurationError

_BLOCK = 512


class Cells(Enum):
    """What the cells of an added column are; any may be missing."""

    TEXT = "text"
    NUMBER = "number"
    WHOLE = "whole number"
    TEXTS = "list of texts"
    WHOLES = "list of whole numbers"
    NUMBERS = "list of numbers"


class Added(NamedTuple):
    """A column that is added: its cells, one for each row, and what they are."""

    values: Sequence[Any]
    cells: Cells


class Frame(Protocol):
    """A data frame of rows in order."""

    native: Any

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns as texts, each once."""

    def rows(self) -> Iterator[dict[str, Any]]:
        """The cells of each row as Python values, by name; a missing one is ``None``."""

    def labels(self) -> Sequence[Any]:
        """What tells the rows apart where no column does: of pandas the index, if it is unique, else 0, 1, 2 …"""

    def with_columns(self, columns: Mapping[str, Added]) -> Any:
        """A copy with more columns; the rows, their order and their index are those of the frame."""

    def picked(self, rows: Sequence[int]) -> Any:
        """Some rows of the frame by position from 0, in this order."""

    def made(self, columns: Mapping[str, Added]) -> Any:
        """A new frame of these columns alone, of the same library."""


def frame_of(native: Any) -> Frame:
    """The frame behind the protocol.

    Raises:
        ConfigurationError: it is no data frame of pandas or polars, or two of its columns have one name.
    """
    library, kind = type(native).__module__.partition(".")[0], type(native).__name__
    if (library, kind) == ("polars", "LazyFrame"):
        raise ConfigurationError("a LazyFrame has no rows yet: collect() it first")
    if kind != "DataFrame" or library not in _LIBRARIES:
        raise ConfigurationError(f"expected a DataFrame of pandas or polars, not {library}.{kind}")
    frame = _LIBRARIES[library](native)
    names = frame.columns
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"two columns of the frame are named {twice[0]!r}")
    return frame


class _Pandas:
    """A frame of pandas."""

    def __init__(self, native: Any) -> None:
        self.native = native

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(map(str, self.native.columns))

    def rows(self) -> Iterator[dict[str, Any]]:
        for start in range(0, len(self.native), _BLOCK):
            block = self.native.iloc[start : start + _BLOCK].astype(object)
            missing = block.isna().to_numpy()
            for cells, gone in zip(block.to_numpy(), missing, strict=True):
                values = (None if none else _plain(cell) for cell, none in zip(cells, gone, strict=True))
                yield dict(zip(self.columns, values, strict=True))

    def labels(self) -> Sequence[Any]:
        index = self.native.index
        return list(index) if index.is_unique and index.nlevels == 1 else range(len(index))

    def with_columns(self, columns: Mapping[str, Added]) -> Any:
        return self.native.assign(**{name: self._series(one, self.native.index) for name, one in columns.items()})

    def picked(self, rows: Sequence[int]) -> Any:
        return self.native.iloc[list(rows)]

    def made(self, columns: Mapping[str, Added]) -> Any:
        import pandas as pd

        return pd.DataFrame({name: self._series(one, None) for name, one in columns.items()})

    def _series(self, column: Added, index: Any) -> Any:
        """Whole numbers stay whole where some are missing: ``Int64``."""
        import pandas as pd

        kinds: dict[Cells, Any] = {Cells.NUMBER: "float64", Cells.WHOLE: "Int64", Cells.TEXT: None}
        kind = kinds.get(column.cells, object)
        if kind is None and not any(value is not None for value in column.values):
            kind = object  # of nothing but missing texts pandas would make floats
        return pd.Series(list(column.values), index=index, dtype=kind)


class _Polars:
    """A frame of polars."""

    def __init__(self, native: Any) -> None:
        self.native = native

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.native.columns)

    def rows(self) -> Iterator[dict[str, Any]]:
        yield from self.native.iter_rows(named=True)

    def labels(self) -> Sequence[Any]:
        return range(self.native.height)

    def with_columns(self, columns: Mapping[str, Added]) -> Any:
        return self.native.with_columns([self._series(name, one) for name, one in columns.items()])

    def picked(self, rows: Sequence[int]) -> Any:
        return self.native[list(rows)]

    def made(self, columns: Mapping[str, Added]) -> Any:
        import polars as pl

        return pl.DataFrame([self._series(name, one) for name, one in columns.items()])

    def _series(self, name: str, column: Added) -> Any:
        import polars as pl

        kinds: dict[Cells, Any] = {
            Cells.TEXT: pl.String,
            Cells.NUMBER: pl.Float64,
            Cells.WHOLE: pl.Int64,
            Cells.TEXTS: pl.List(pl.String),
            Cells.WHOLES: pl.List(pl.Int64),
            Cells.NUMBERS: pl.List(pl.Float64),
        }
        return pl.Series(name, list(column.values), dtype=kinds[column.cells])


_LIBRARIES: dict[str, type[_Pandas] | type[_Polars]] = {"pandas": _Pandas, "polars": _Polars}


def _plain(cell: Any) -> Any:
    """Values and arrays of NumPy as those of Python."""
    return cell.tolist() if type(cell).__module__ == "numpy" else cell
