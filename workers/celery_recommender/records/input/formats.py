"""The formats of record files, and which one a file has by its name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Self

from recommender_engine.errors import ConfigurationError

STANDARD_INPUT = "-"

FilePath = str | os.PathLike[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Options for reading a file; ``None`` has it found out.

    Attributes:
        encoding: of its text, by any name that Python knows.
        sheet: the name or number (from 1) of the sheet of a workbook.
    """

    encoding: str | None = None
    sheet: str | None = None


AS_FOUND = ReadOptions()


class Binary(NamedTuple):
    """A format that is no text: its name in messages, the library that reads it, and the extra that installs that."""

    title: str
    library: str
    extra: str


class RecordFormat(StrEnum):
    """The formats that can be read and written.

    A new binary format is a line here, and a module in ``records`` with ``open_source(path, options) -> RowSource`` and
    ``open_sink(path, columns, dialect) -> RowSink``.

    Attributes:
        module: that reads and writes it, below ``celery_recommender.records``.
        endings: of names of such files; the first is the usual one.
        binary: of a format that is no text.
    """

    CSV = "csv", "delimited", (".csv", ".txt")
    TSV = "tsv", "delimited", (".tsv", ".tab")
    JSONL = "jsonl", "json", (".jsonl", ".ndjson")
    JSON = "json", "json", (".json",)
    PARQUET = "parquet", "parquet", (".parquet", ".pq"), Binary("Parquet", "pyarrow", "parquet")
    XLSX = "xlsx", "workbook", (".xlsx", ".xlsm"), Binary("A workbook", "openpyxl", "excel")

    module: str
    endings: tuple[str, ...]
    binary: Binary | None

    def __new__(cls, name: str, module: str = "", endings: tuple[str, ...] = (), binary: Binary | None = None) -> Self:
        """A member; its value is its name."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.module, member.endings, member.binary = module, endings, binary
        return member

    @property
    def is_text(self) -> bool:
        """Whether the file is text, in some encoding."""
        return self.binary is None

    @property
    def is_delimited(self) -> bool:
        """Whether the file has cells between delimiters."""
        return self.module == "delimited"

    @property
    def is_json(self) -> bool:
        """Whether the file holds JSON values."""
        return self.module == "json"


_BY_SUFFIX = {ending: one for one in RecordFormat for ending in one.endings}

_NOT_READ = {
    (".xls", ".xlsb", ".xlt"): "an old Excel workbook, or something else under its name: save it as .xlsx or as CSV",
    (".ods", ".numbers", ".gsheet"): "a workbook of another program: save it as .xlsx or as CSV",
    (".zip", ".7z", ".rar", ".tar", ".tgz", ".bz2", ".xz", ".zst", ".lz4"): "packed: unpack it, or pack it with gzip",
    (".yaml", ".yml", ".toml", ".ini", ".xml", ".mbox", ".eml", ".msg", ".ics", ".vcf"): (
        "no table: write one row for each of its entries, as CSV or JSON"
    ),
    (".html", ".htm", ".md", ".pdf", ".doc", ".docx", ".odt", ".rtf"): (
        "a document: save its table as .xlsx, or write it as CSV"
    ),
    (".sql", ".db", ".sqlite", ".sqlite3", ".mdb", ".accdb", ".dump"): "of a database: export a table of it as CSV",
    (".avro", ".orc", ".arrow", ".feather", ".pkl", ".pickle", ".rds", ".dta", ".sav"): (
        "of a format that is not read: write it as Parquet, CSV or JSON"
    ),
}

# Endings that say what a file is that cannot be read, with what to do about it.
_ADVICE = {ending: advice for endings, advice in _NOT_READ.items() for ending in endings}


def is_standard_input(path: FilePath) -> bool:
    """Whether ``path`` is the dash for standard input."""
    return os.fspath(path) == STANDARD_INPUT


def is_gzip_name(path: FilePath) -> bool:
    """Whether the name says that the file is gzipped."""
    return Path(path).suffix.lower() == ".gz"


def file_stem(path: FilePath) -> str:
    """The name without folder and without endings: ``products`` for ``feeds/products.csv.gz``."""
    if is_standard_input(path):
        return "stdin"
    name = Path(path).name
    for ending in (".gz", *_BY_SUFFIX):
        if name.lower().endswith(ending) and len(name) > len(ending):
            name = name[: -len(ending)]
    return name


def choose_format(path: FilePath, file_format: str | None = None) -> RecordFormat:
    """The format of a file: the one named, else that of its name.

    Raises:
        ConfigurationError: the name is unknown, has no format, or an impossible one (zipped or piped Parquet).
    """
    known = ", ".join(RecordFormat)
    if file_format is not None:
        try:
            chosen = RecordFormat(file_format.lower())
        except ValueError:
            raise ConfigurationError(f"unknown format {file_format!r}; known are {known}") from None
    elif is_standard_input(path):
        raise ConfigurationError(f"standard input has no name to tell its format; name one of {known}")
    else:
        bare = Path(path).with_suffix("") if is_gzip_name(path) else Path(path)
        suffix = bare.suffix.lower()
        if (advice := _ADVICE.get(suffix)) is not None:
            raise ConfigurationError(
                f"cannot tell the format of {os.fspath(path)}: by its name it is {advice} (or --format says which)"
            )
        if suffix not in _BY_SUFFIX:
            endings = ", ".join(_BY_SUFFIX)
            raise ConfigurationError(
                f"cannot tell the format of {os.fspath(path)}: its name should end in one of {endings}, "
                f"perhaps with .gz, or the format be named"
            )
        chosen = _BY_SUFFIX[suffix]
    if chosen.binary is not None and (is_standard_input(path) or is_gzip_name(path)):
        raise ConfigurationError(
            f"{chosen.binary.title} is read from a file of its own: neither from standard input nor gzipped"
        )
    return chosen
