"""What owner and embed workers say to each other: whole, or refused."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_recommender.fleet.messages import EmbedReply, EmbedRequest, InvalidMessage
from recommender_engine.embedding import Embeddings

VECTORS = np.array([[1.0, 0.0, 0.0], [0.0, -0.6, 0.8]], np.float32)
REQUEST = EmbedRequest("ab" * 16, "all-MiniLM-L6-v2", "all-MiniLM-L6-v2@1234", 3, ("one", "ein Zwölftel \u2028 \ud83d"))
REPLY = EmbedReply(
    REQUEST.id, "host:7", "vectors", REQUEST.model, "", 0.25, Embeddings(VECTORS, np.array([False, True]))
)


def header_of(raw: bytes) -> dict[str, object]:
    (length,) = struct.unpack_from("<I", raw, 4)
    header: dict[str, object] = json.loads(raw[8 : 8 + length])
    return header


def altered(raw: bytes, **changes: object) -> bytes:
    (length,) = struct.unpack_from("<I", raw, 4)
    header = json.dumps({**header_of(raw), **changes}).encode()
    return raw[:4] + struct.pack("<I", len(header)) + header + raw[8 + length :]


def test_a_request_comes_as_it_went() -> None:
    assert EmbedRequest.decode(REQUEST.encode()) == REQUEST


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"\xff", b"[]", b"{}", b'{"id": 1}', b"[" * 100_000),
        REQUEST.encode().replace(b'"one"', b"1"),
        json.dumps({**json.loads(REQUEST.encode()), "texts": []}).encode(),
    ],
)
def test_what_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidMessage, match=r"not JSON|no request"):
        EmbedRequest.decode(raw)


def test_vectors_come_as_they_went_bit_for_bit() -> None:
    reply = EmbedReply.decode(REPLY.encode())
    assert reply.embeddings is not None
    assert reply.embeddings.vectors.tobytes() == VECTORS.tobytes()
    assert reply.embeddings.truncated.tolist() == [False, True]
    assert (reply.request, reply.worker, reply.kind, reply.model) == (REQUEST.id, "host:7", "vectors", REQUEST.model)
    assert reply.seconds == 0.25
    assert REPLY.encode()[8 + struct.unpack_from("<I", REPLY.encode(), 4)[0] :][:4] == struct.pack("<f", 1.0)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "no reply"),
        (b"RCE1\xff\xff\xff\xff", "no reply"),
        (b"PICK" + REPLY.encode()[4:], "no reply"),
        (REPLY.encode()[:-1], "checksum"),
        (REPLY.encode()[:-1] + b"\x00", "checksum"),
        (altered(REPLY.encode(), shape=[3, 3]), "size"),
        (altered(REPLY.encode(), shape=[-2, -3]), "header"),
        (altered(REPLY.encode(), shape="2x3"), "header"),
        (altered(REPLY.encode(), kind="pickled"), "header"),
        (altered(REPLY.encode(), request=7), "no request"),
        (altered(REPLY.encode(), request="a" * 65), "no request"),
        (altered(REPLY.encode(), shape=[True, 3]), "header"),
        (altered(REPLY.encode(), shape=[10**30, 10**30]), "header"),
        *(
            (altered(REPLY.encode(), seconds=seconds), "header")
            for seconds in (float("nan"), float("inf"), -float("inf"), 10**400, -0.001, 86_401, True, "0.1", None)
        ),
        (REPLY.encode().replace(b'"seconds": 0.25', b'"seconds": 1e99'), "header"),
    ],
)
def test_what_is_not_whole_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(InvalidMessage, match=why):
        EmbedReply.decode(raw)


def test_a_damaged_reply_still_says_what_it_was_for() -> None:
    for raw in (REPLY.encode()[:-1], altered(REPLY.encode(), seconds=float("nan")), altered(REPLY.encode(), kind="?")):
        with pytest.raises(InvalidMessage, match=r"checksum|header") as refused:
            EmbedReply.decode(raw)
        assert refused.value.request == REQUEST.id


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.just(10**400)
    | st.sampled_from(["", "vectors", "started", "a\x1b\ud800" * 200])
)
JSON = SCALARS | st.lists(SCALARS, max_size=3)


@given(st.dictionaries(st.sampled_from(sorted(header_of(REPLY.encode()))), JSON))
def test_whatever_a_header_says_a_reply_is_bounded_or_refused(changes: dict[str, object]) -> None:
    try:
        reply = EmbedReply.decode(altered(REPLY.encode(), **changes))
    except InvalidMessage:
        return
    assert 0 <= reply.seconds <= 86_400
    assert max(map(len, (reply.request, reply.worker, reply.model, reply.message))) <= 300
    assert reply.embeddings is None or reply.embeddings.vectors.shape == VECTORS.shape


def test_texts_cannot_forge_a_log_line() -> None:
    said = EmbedReply.decode(EmbedReply("r", "host\n:1", "refused", message="a\x1b[31m" + "b" * 1000).encode())
    assert (said.worker, said.message[:6], len(said.message)) == ("host·:1", "a·[31m", 300)


@given(st.binary(max_size=200), st.integers(0, 60))
def test_any_bytes_are_a_message_or_refused(raw: bytes, kept: int) -> None:
    for decode in (EmbedRequest.decode, EmbedReply.decode):
        for candidate in (raw, REPLY.encode()[:kept] + raw):
            try:
                decode(candidate)
            except InvalidMessage:
                continue
