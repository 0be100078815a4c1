"""Record files in and out: CSV, TSV, JSON Lines and Parquet, gzipped or not.

Reading gives ``Row`` and ``BadRow`` values one at a time; writing is atomic; ``ItemMapping`` makes items of rows.
"""

from workers.records.formats import RecordFormat
from workers.records.mapping import ItemMapping, MappingOptions, resolve_mapping
from workers.records.reader import RecordReader, open_records, scan_columns
from workers.records.rows import BadRow, Progress, Row
from workers.records.writer import RecordWriter, open_writer

__all__ = [
    "BadRow",
    "ItemMapping",
    "MappingOptions",
    "Progress",
    "RecordFormat",
    "RecordReader",
    "RecordWriter",
    "Row",
    "open_records",
    "open_writer",
    "resolve_mapping",
    "scan_columns",
]
