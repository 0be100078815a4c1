"""What owner and embed workers say to each other: JSON and raw numbers, nothing that could be more than data."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from recommender_engine.embedding import Embeddings
from recommender_engine.errors import RecommenderError

Kind = Literal["started", "vectors", "refused", "failed"]

_MAGIC = b"RCE1"
_HEAD = struct.Struct("<4sI")  # what it is, bytes of the header
_MOST_HEADER_BYTES = 64 * 1024
_MOST_SENTENCE = 300
_MOST_ID = 64
_MOST_SECONDS = 86_400.0
_MOST_ROWS, _MOST_COLUMNS = 1_000_000, 65_536


class InvalidMessage(RecommenderError):
    """Bytes that are no message of this protocol, or incomplete.

    Attributes:
        request: the request that a damaged reply names, as far as that can be read.
    """

    def __init__(self, message: str, request: str | None = None) -> None:
        super().__init__(message)
        self.request = request


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """A batch of texts to be embedded.

    Attributes:
        id: unique among the requests of all owners.
        name: what the model is called in the settings.
        model: its identity, as ``ModelIdentity.key``.
        dimension: length of its vectors.
        texts: at least one.
    """

    id: str
    name: str
    model: str
    dimension: int
    texts: tuple[str, ...]

    def encode(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, raw: bytes) -> EmbedRequest:
        """Read it.

        Raises:
            InvalidMessage: it is none.
        """
        match _json(raw):
            case {
                "id": str(id_),
                "name": str(name),
                "model": str(model),
                "dimension": int(dimension),
                "texts": [_, *_] as texts,
            } if all(isinstance(text, str) for text in texts) and _within(dimension, 1, _MOST_COLUMNS):
                return cls(id_, name, model, dimension, tuple(texts))
            case _:
                raise InvalidMessage("no request for embeddings")


@dataclass(frozen=True, slots=True)
class EmbedReply:
    """What a worker says of a request.

    Attributes:
        request: its id.
        worker: the sender, as ``HOST:PROCESS``.
        kind: ``started``: it has begun; ``vectors``: the result; ``refused``: it has another model;
            ``failed``: the model failed.
        model: identity of the worker's model.
        message: why it refused or failed.
        seconds: that the model took, in [0, 86,400].
        embeddings: with ``vectors``; whether they are unit vectors is for the receiver to see.
    """

    request: str
    worker: str
    kind: Kind
    model: str = ""
    message: str = ""
    seconds: float = 0.0
    embeddings: Embeddings | None = None

    def encode(self) -> bytes:
        """A JSON header; behind it the vectors, float32 little-endian, row by row, and a byte for each flag."""
        body, shape = b"", [0, 0]
        if self.embeddings is not None:
            vectors, truncated = self.embeddings
            body = vectors.astype("<f4").tobytes() + truncated.astype(np.uint8).tobytes()
            shape = list(vectors.shape)
        header = json.dumps(
            {
                "request": self.request,
                "worker": self.worker,
                "kind": self.kind,
                "model": self.model,
                "message": self.message,
                "seconds": self.seconds,
                "shape": shape,
                "checksum": _checksum(body),
            }
        ).encode()
        return _HEAD.pack(_MAGIC, len(header)) + header + body

    @classmethod
    def decode(cls, raw: bytes) -> EmbedReply:
        """Read it: a whole reply whose every number is finite and in its range, or none.

        Raises:
            InvalidMessage: it is none, or has been damaged.
        """
        header, body = _split(raw)
        request = header.get("request") if isinstance(header, dict) else None
        if not isinstance(request, str) or len(request) > _MOST_ID:
            raise InvalidMessage("a reply to no request")
        try:
            return cls._of(request, header, body)
        except InvalidMessage as error:
            raise InvalidMessage(str(error), request) from None

    @classmethod
    def _of(cls, request: str, header: dict[str, Any], body: bytes) -> EmbedReply:
        match header:
            case {
                "worker": str(worker),
                "kind": "started" | "vectors" | "refused" | "failed" as kind,
                "model": str(model),
                "message": str(message),
                "seconds": int() | float() as seconds,
                "shape": [int(rows), int(columns)],
                "checksum": str(checksum),
            } if (
                _within(seconds, 0, _MOST_SECONDS)
                and _within(rows, 0, _MOST_ROWS)
                and _within(columns, 0, _MOST_COLUMNS)
            ):
                if checksum != _checksum(body):
                    raise InvalidMessage("a reply whose checksum is wrong")
                embeddings = _embeddings(body, rows, columns) if kind == "vectors" else None
                text = _sentence(message)
                return cls(request, _sentence(worker), kind, _sentence(model), text, float(seconds), embeddings)
        raise InvalidMessage("a reply whose header is wrong")


def _within(number: float, least: float, most: float) -> bool:
    """Whether a number is in its range: JSON also reads NaN, the infinities, and integers of any length."""
    return not isinstance(number, bool) and least <= number <= most


def _split(raw: bytes) -> tuple[Any, bytes]:
    if len(raw) < _HEAD.size:
        raise InvalidMessage("no reply")
    magic, length = _HEAD.unpack_from(raw)
    start = _HEAD.size + length
    if magic != _MAGIC or length > _MOST_HEADER_BYTES or start > len(raw):
        raise InvalidMessage("no reply")
    return _json(raw[_HEAD.size : start]), raw[start:]


def _embeddings(body: bytes, rows: int, columns: int) -> Embeddings:
    if rows < 1 or columns < 1 or len(body) != rows * (4 * columns + 1):
        raise InvalidMessage("a reply whose size is not what its shape says")
    vectors = np.frombuffer(body, "<f4", rows * columns).reshape(rows, columns)
    flags = np.frombuffer(body, np.uint8, rows, offset=4 * rows * columns)
    return Embeddings(vectors.astype(np.float32), flags.astype(np.bool_))


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise InvalidMessage("not JSON") from None


def _checksum(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def _sentence(text: str) -> str:
    """Fit for a log and a status, wherever it comes from."""
    return "".join(character if character.isprintable() else "·" for character in text[:_MOST_SENTENCE])
