"""Record files in and out: CSV, TSV, JSON Lines and Parquet, gzipped or not.

Reading gives ``Row`` and ``BadRow`` values one at a time; writing is atomic; ``ItemMapping`` makes items of rows.
"""

from workers.records.dialect import Dialect
from workers.records.formats import RecordFormat
from workers.records.items import ItemRow, Items, OnRepeat
from workers.records.mapping import Finding, ItemMapping, MappingOptions, NoItem, Remark
from workers.records.reader import ReadOptions, RecordReader, open_records, scan_columns
from workers.records.resolving import resolve_mapping
from workers.records.rows import UNREADABLE, BadRow, Fault, Progress, Row
from workers.records.writer import RecordWriter, open_writer

__all__ = [
    "UNREADABLE",
    "BadRow",
    "Dialect",
    "Fault",
    "Finding",
    "ItemMapping",
    "ItemRow",
    "Items",
    "MappingOptions",
    "NoItem",
    "OnRepeat",
    "Progress",
    "ReadOptions",
    "RecordFormat",
    "RecordReader",
    "RecordWriter",
    "Remark",
    "Row",
    "open_records",
    "open_writer",
    "resolve_mapping",
    "scan_columns",
]
