"""Which format a record file has, told by its name."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

from recommender_engine.errors import ConfigurationError

STANDARD_INPUT = "-"

FilePath = str | os.PathLike[str]


class RecordFormat(StrEnum):
    """The formats that can be read and written."""

    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    JSON = "json"
    PARQUET = "parquet"
    XLSX = "xlsx"

    @property
    def is_text(self) -> bool:
        """Whether the file is text, in some encoding."""
        return self not in (RecordFormat.PARQUET, RecordFormat.XLSX)

    @property
    def is_delimited(self) -> bool:
        """Whether the file has cells between delimiters."""
        return self in (RecordFormat.CSV, RecordFormat.TSV)

    @property
    def is_json(self) -> bool:
        """Whether the file holds JSON values."""
        return self in (RecordFormat.JSONL, RecordFormat.JSON)


_BY_SUFFIX = {
    ".csv": RecordFormat.CSV,
    ".txt": RecordFormat.CSV,
    ".tsv": RecordFormat.TSV,
    ".tab": RecordFormat.TSV,
    ".jsonl": RecordFormat.JSONL,
    ".ndjson": RecordFormat.JSONL,
    ".json": RecordFormat.JSON,
    ".parquet": RecordFormat.PARQUET,
    ".pq": RecordFormat.PARQUET,
    ".xlsx": RecordFormat.XLSX,
    ".xlsm": RecordFormat.XLSX,
}

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
    """Whether ``path`` is the dash that stands for standard input."""
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
    """The format of a file: the one named, else the one its name tells.

    Raises:
        ConfigurationError: the name is unknown, tells nothing, or asks for what cannot be (zipped or piped Parquet).
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
    if not chosen.is_text and (is_standard_input(path) or is_gzip_name(path)):
        name = "Parquet" if chosen is RecordFormat.PARQUET else "A workbook"
        raise ConfigurationError(f"{name} is read from a file of its own: neither from standard input nor gzipped")
    return chosen
