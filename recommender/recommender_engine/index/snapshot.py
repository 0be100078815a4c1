"""Snapshots of an index: whole or refused.

The index is derived data, and reading it back is only quicker than building it again. So a file is believed only if
nothing at all speaks against it: hnswlib writes to a full disk without an error, and a flipped bit in what it loads
ends in a crash or in wrong answers.

A generation is two files, named by its number: the graph, then a manifest that holds the graph's SHA-256. The caller
keeps the manifest's own SHA-256 in its database, so a foreign file is never opened.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from recommender_engine.errors import StateError
from recommender_engine.event_log import event_log
from recommender_engine.files import sha256, whole_file
from recommender_engine.index.graph import SPACE, HnswParameters
from recommender_engine.index.hnsw import HnswIndex
from recommender_engine.index.vector_index import NO_LABEL
from recommender_engine.items.values import Value

GENERATIONS_KEPT = 2

_FORMAT: Final = 1
_MAX_MANIFEST_BYTES = 64 * 1024
_FILE_NAME = re.compile(r"index-(\d{12})\.(hnsw|json)", re.ASCII)

_log = event_log(__name__)


@dataclass(frozen=True)
class Stamp:
    """What a snapshot holds, in the caller's words.

    Attributes:
        model_key: identity of the model whose vectors these are.
        position: of the last command whose effects are in the index.
        created_by: name and version of the program.
    """

    model_key: str
    position: str
    created_by: str


@dataclass(frozen=True)
class Expectations:
    """What a snapshot must have been made with to be of use.

    Attributes:
        dimension: length of the vectors.
        model_key: identity of the model.
        parameters: of the graph; ``m`` and ``ef_construction`` must be the same, the others take effect anew.
    """

    dimension: int
    model_key: str
    parameters: HnswParameters


class Manifest(Value):
    """What is known about the graph file beside it.

    Attributes:
        format: of this manifest.
        sha256: of the graph file, in hexadecimal.
        space: in which hnswlib measures.
        dimension: length of the vectors.
        m: links per vector.
        ef_construction: width of the search that chose them.
        model_key: as stamped.
        position: as stamped.
        created_by: as stamped.
        ef: least width of a search, if recall made it wider than the parameters say; else 0.
        live: vectors that are not removed.
        highest_label: the largest live label, -1 if there is none.
    """

    format: Literal[1]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    space: Literal["ip"]
    dimension: int
    m: int
    ef_construction: int
    model_key: str
    position: str
    created_by: str
    ef: int = 0
    live: int
    highest_label: int


@dataclass(frozen=True)
class SnapshotRecord:
    """A snapshot that is on disk.

    Attributes:
        generation: its number, from 1.
        digest: SHA-256 of its manifest; the caller keeps it to trust the snapshot later.
        manifest: what the manifest says.
    """

    generation: int
    digest: str
    manifest: Manifest


def write(directory: Path, index: HnswIndex, stamp: Stamp) -> SnapshotRecord:
    """Write the next generation, durable when this returns, and delete all but the two newest.

    The directory is made if need be, and closed to other users. On an error the older generations stay as they are.

    Raises:
        StateError: the files could not be written whole.
    """
    try:
        _make_private(directory)
        generation = 1 + max((number for number, _ in _files(directory)), default=0)
        manifest = _write_graph(_graph_path(directory, generation), index, stamp)
        data = manifest.model_dump_json(indent=2).encode()
        with whole_file(_manifest_path(directory, generation)) as temporary:
            temporary.write_bytes(data)
        _prune(directory)
    except OSError as error:
        raise StateError(f"the index snapshot could not be written to {directory}: {error}") from error
    _log.info(
        "index.snapshot_written",
        extra={"generation": generation, "live": manifest.live, "position": stamp.position},
    )
    return SnapshotRecord(generation, hashlib.sha256(data).hexdigest(), manifest)


def read(directory: Path, expected: Expectations, trusted: Collection[str]) -> tuple[HnswIndex, Manifest] | None:
    """The newest generation that can be believed, or ``None``: then the index is to be built from the database.

    Args:
        directory: that ``write`` was given.
        expected: what it must have been made with.
        trusted: digests of manifests that the caller's database knows.
    """
    for generation in _generations(directory):
        try:
            manifest = _read_manifest(_manifest_path(directory, generation), trusted)
            _check_expected(manifest, expected)
            return _read_graph(_graph_path(directory, generation), manifest, expected.parameters), manifest
        except (OSError, ValueError, RuntimeError, MemoryError) as error:
            _log.warning("index.snapshot_refused", extra={"generation": generation, "reason": str(error)})
    return None


def _graph_path(directory: Path, generation: int) -> Path:
    return directory / f"index-{generation:012d}.hnsw"


def _manifest_path(directory: Path, generation: int) -> Path:
    return directory / f"index-{generation:012d}.json"


def _files(directory: Path) -> list[tuple[int, Path]]:
    if not directory.is_dir():
        return []
    named = ((_FILE_NAME.fullmatch(path.name), path) for path in directory.iterdir())
    return [(int(match[1]), path) for match, path in named if match is not None]


def _generations(directory: Path) -> list[int]:
    """Numbers of the generations that have a manifest, newest first."""
    return sorted((number for number, path in _files(directory) if path.suffix == ".json"), reverse=True)


def _make_private(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    for left_by_a_crash in (*directory.glob("index-*.tmp"), *directory.glob("rows-*")):
        left_by_a_crash.unlink()


def _prune(directory: Path) -> None:
    kept = _generations(directory)[:GENERATIONS_KEPT]
    for generation, path in _files(directory):
        if generation not in kept:
            path.unlink()


def _write_graph(path: Path, index: HnswIndex, stamp: Stamp) -> Manifest:
    with whole_file(path) as temporary:
        index.save(temporary)
        size, whole = temporary.stat().st_size, index.file_size_bytes()
        if size != whole:
            raise OSError(f"{size} of {whole} bytes arrived; is the disk full?")
        return Manifest(
            format=_FORMAT,
            sha256=sha256(temporary),
            space=SPACE,
            dimension=index.exact.dimension,
            m=index.parameters.m,
            ef_construction=index.parameters.ef_construction,
            model_key=stamp.model_key,
            position=stamp.position,
            created_by=stamp.created_by,
            ef=index.widened_to,
            live=len(index),
            highest_label=int(index.labels().max(initial=NO_LABEL)),
        )


def _read_manifest(path: Path, trusted: Collection[str]) -> Manifest:
    with path.open("rb") as file:
        data = file.read(_MAX_MANIFEST_BYTES)
    if hashlib.sha256(data).hexdigest() not in trusted:
        raise ValueError("the manifest is not one that the database knows")
    return Manifest.model_validate_json(data)


def _check_expected(manifest: Manifest, expected: Expectations) -> None:
    parameters = expected.parameters
    for name, wanted in (
        ("model_key", expected.model_key),
        ("dimension", expected.dimension),
        ("m", parameters.m),
        ("ef_construction", parameters.ef_construction),
    ):
        found = getattr(manifest, name)
        if found != wanted:
            raise ValueError(f"{name} is {found!r}, not {wanted!r}")


def _read_graph(path: Path, manifest: Manifest, parameters: HnswParameters) -> HnswIndex:
    if sha256(path) != manifest.sha256:  # by reading it: where the disk is broken, a mapping would end the process
        raise ValueError("the graph file has another checksum than its manifest says")
    index = HnswIndex.load(path, manifest.dimension, parameters, path.parent)
    index.widen(manifest.ef)
    return index
