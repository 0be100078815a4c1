"""``python -m benchmarks.peers.pgvector_peer``: encode, ask for neighbours, insert; a block, a transaction.

PostgreSQL and its extension are those of the package pgserver, started by an unprivileged user on a unix socket in a
directory of its own, with its defaults: what it says is committed is on the disk.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import torch
from pgvector.psycopg import register_vector
from sentence_transformers import SentenceTransformer

from benchmarks.child import Answer, serve
from recommender_engine.embedding.model_files import locate
from recommender_engine.embedding.model_source import ALL_MINILM_L6_V2

_NEIGHBOURS = 10
_UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root
_READY_S = 60.0


class Peer:
    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._model = SentenceTransformer(str(locate(ALL_MINILM_L6_V2)), local_files_only=True)
        connection.execute("CREATE EXTENSION vector")
        register_vector(connection)

    def load(self, request: Mapping[str, Any]) -> Answer:
        torch.set_num_threads(request["threads"])
        return self.run({**request, "block": len(request["texts"])})

    def run(self, request: Mapping[str, Any]) -> Answer:
        self._connection.execute("DROP TABLE IF EXISTS items")
        self._connection.execute("CREATE TABLE items (id bigint PRIMARY KEY, text text, embedding vector(384))")
        self._connection.execute(
            "CREATE INDEX ON items USING hnsw (embedding vector_ip_ops) WITH (m = 16, ef_construction = 200)"
        )
        texts, block = request["texts"], request["block"]
        started = time.perf_counter()
        for start in range(0, len(texts), block):
            batch = texts[start : start + block]
            vectors = self._model.encode(batch, batch_size=32, show_progress_bar=False)
            self._add(start, batch, vectors)
        return {"seconds": time.perf_counter() - started}

    def _add(self, start: int, texts: list[str], vectors: Any) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            for vector in vectors:
                cursor.execute("SELECT id FROM items ORDER BY embedding <#> %s LIMIT %s", (vector, _NEIGHBOURS))
                cursor.fetchall()
            rows = [(start + place, text, vectors[place]) for place, text in enumerate(texts)]
            cursor.executemany("INSERT INTO items (id, text, embedding) VALUES (%s, %s, %s)", rows)


@contextmanager
def server() -> Iterator[psycopg.Connection]:
    """A server for as long as this process lives."""
    directory = Path(tempfile.mkdtemp(prefix="bench-pg-"))
    user = _UNPRIVILEGED if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(directory, user, pwd.getpwnam(user).pw_gid)
    programs = _programs()
    data = directory / "data"
    quiet: Any = {"stdout": subprocess.DEVNULL, "user": user, "cwd": directory}
    subprocess.run([programs / "initdb", "-D", data, "-U", "bench", "--auth=trust", "-E", "UTF8"], check=True, **quiet)
    process = subprocess.Popen([programs / "postgres", "-D", data, "-k", directory, "-c", "listen_addresses="], **quiet)
    try:
        with _connected(directory, process) as connection:
            yield connection
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(directory, ignore_errors=True)


def _programs() -> Path:
    spec = importlib.util.find_spec("pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise LookupError("pgserver")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _connected(directory: Path, process: subprocess.Popen[bytes]) -> psycopg.Connection:
    deadline = time.monotonic() + _READY_S
    while True:
        try:
            return psycopg.connect(host=str(directory), user="bench", dbname="postgres", autocommit=True)
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    with server() as opened:
        peer = Peer(opened)
        serve({"load": peer.load, "run": peer.run})
