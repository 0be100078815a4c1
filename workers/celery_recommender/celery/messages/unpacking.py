"""Messages of other shapes than the usual one: compressed bodies, and Celery's protocol 1.

Both are made the one shape, protocol 2 in JSON, before anything else reads them. Decompressing stops at a bound: a
message that grows costs no more memory than the largest one that is accepted.
"""

from __future__ import annotations

import bz2
import importlib
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from recommender_engine.errors import InvalidCommand

Limited = Callable[[bytes, int], tuple[bytes, bool]]
"""Decompresses up to a number of bytes; whether that was all."""

_LZMA_MEMORY = 64 * 1024 * 1024
_EMBEDDED = ("callbacks", "errbacks", "chord")
_SAME = ("eta", "expires", "retries", "group", "group_index")


def decompressed(body: bytes, kind: object, most: int) -> bytes:
    """The contents of a compressed body.

    Args:
        body: as it came.
        kind: its header ``compression``, as kombu writes it.
        most: bytes that are accepted.

    Raises:
        InvalidCommand: it is compressed in another way, is damaged, or holds more.
    """
    named = kind if isinstance(kind, str) else ""
    limited = _KINDS.get(named)
    if limited is None:
        known = "gzip, bzip2, lzma, or zstd where the worker has it"
        raise InvalidCommand(
            "not_accepted", f"compressed as {named[:64]!r}; task_compression may be {known}", "headers.compression"
        )
    try:
        data, whole = limited(body, most + 1)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, MemoryError) as error:
        raise InvalidCommand(
            "invalid_value", f"the body is not compressed as {named[:64]!r}: {error}", "body"
        ) from None
    if len(data) > most:
        raise InvalidCommand("too_large", f"the compressed body holds more than {most} bytes", "body")
    if not whole:
        raise InvalidCommand("invalid_value", "the compressed body is cut off", "body")
    return data


def protocol_2(body: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """Headers and body of a message of protocol 1 (``task_protocol=1``) as protocol 2 has them.

    Args:
        body: of the message; it holds everything.
    """
    limits = body.get("timelimit")
    headers = {
        "lang": "py",
        "task": body["task"],
        "id": body["id"],
        "root_id": body["id"],
        "timelimit": list(limits) if isinstance(limits, list | tuple) else [None, None],
        **{name: body[name] for name in _SAME if body.get(name) is not None},
    }
    headers.setdefault("retries", 0)
    if headers.get("group") is None and body.get("taskset") is not None:
        headers["group"] = body["taskset"]
    embedded = {name: body.get(name) for name in _EMBEDDED}
    return headers, [body.get("args") or [], body.get("kwargs") or {}, {**embedded, "chain": None}]


def is_protocol_1(headers: Mapping[str, Any], body: object) -> bool:
    """Whether a message says in its body, and not in its headers, what is called."""
    return "task" not in headers and isinstance(body, Mapping) and isinstance(body.get("task"), str) and "id" in body


def _zlib(body: bytes, most: int) -> tuple[bytes, bool]:
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 32)  # with a header of zlib's, as kombu writes it, or of gzip's
    return decompressor.decompress(body, most), decompressor.eof


def _bz2(body: bytes, most: int) -> tuple[bytes, bool]:
    decompressor = bz2.BZ2Decompressor()
    return decompressor.decompress(body, most), decompressor.eof


def _lzma(body: bytes, most: int) -> tuple[bytes, bool]:
    decompressor = lzma.LZMADecompressor(memlimit=_LZMA_MEMORY)
    return decompressor.decompress(body, most), decompressor.eof


def _zstd(body: bytes, most: int) -> tuple[bytes, bool]:
    for name in ("compression.zstd", "backports.zstd"):
        try:
            zstd = importlib.import_module(name)
        except ImportError:
            continue
        decompressor = zstd.ZstdDecompressor()
        return decompressor.decompress(body, most), decompressor.eof
    raise ValueError("this worker cannot read zstd: install backports.zstd beside it")


_KINDS: dict[str, Limited] = {
    "application/x-gzip": _zlib,
    "application/x-bz2": _bz2,
    "application/x-lzma": _lzma,
    "application/zstd": _zstd,
}
