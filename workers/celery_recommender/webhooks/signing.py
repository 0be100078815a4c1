"""Signatures of Standard Webhooks 1.0: https://github.com/standard-webhooks/standard-webhooks."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

_PREFIX = "whsec_"
_LEAST_BYTES, _MOST_BYTES = 24, 64


def key_of(secret: str) -> bytes:
    """The HMAC key of a secret: ``whsec_`` and the Base64 of 24 to 64 bytes.

    Raises:
        ValueError: it is none; the secret is not repeated.
    """
    try:
        if not secret.startswith(_PREFIX):
            raise ValueError
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
        raise ValueError(f"a secret is {_PREFIX} and the Base64 of {_LEAST_BYTES} to {_MOST_BYTES} random bytes")
    return key


def signed_headers(id_: str, timestamp_s: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The headers of a request, with a signature for each key.

    Args:
        id_: of the message, the same at each attempt.
        timestamp_s: time of the attempt, in seconds since 1970.
        body: as it is sent.
        keys: of the endpoint; without any there is no signature.
    """
    headers = {"webhook-id": id_, "webhook-timestamp": str(timestamp_s)}
    if keys:
        content = f"{id_}.{timestamp_s}.".encode() + body
        digests = (hmac.digest(key, content, hashlib.sha256) for key in keys)
        headers["webhook-signature"] = " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
    return headers
