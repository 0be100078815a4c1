"""Record files in and out: CSV, TSV, JSON, Parquet and workbooks.

Reading gives ``Row`` and ``BadRow`` values one at a time; writing is atomic; ``ItemMapping`` makes items of rows.
"""

from celery_recommender.records.input.dialect import Dialect
from celery_recommender.records.input.formats import ReadOptions, RecordFormat
from celery_recommender.records.items import ItemRow, Items, OnRepeat
from celery_recommender.records.mapping import Finding, ItemMapping, MappingOptions, NoItem, Remark
from celery_recommender.records.reader import RecordReader, open_records, scan_columns
from celery_recommender.records.resolving import resolve_mapping
from celery_recommender.records.rows import UNREADABLE, BadRow, Fault, Progress, Row
from celery_recommender.records.writer import RecordWriter, open_writer

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
