"""A proxy that authenticates users and names them in a header."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers

PROOF_HEADER = "x-recommender-proxy-secret"


class Proxy:
    """Which requests come from the proxy.

    Args:
        header: name of the header with the user's name; empty: there is no proxy.
        peers: addresses and networks that the proxy connects from.
        secret: that the proxy sends in ``X-Recommender-Proxy-Secret``; empty: the address alone counts.
    """

    def __init__(self, header: str, peers: Sequence[str], secret: str) -> None:
        self.header = header
        self._peers = [ipaddress.ip_network(peer, strict=False) for peer in peers]
        self._secret = secret

    def is_peer(self, peer: str | None, headers: Headers) -> bool:
        """Whether a request comes from the proxy: from one of its addresses if any are set, with the secret if one is.

        Args:
            peer: address of the other side of the connection.
            headers: of the request.
        """
        if not self.header or not (self._peers or self._secret):
            return False
        return (not self._peers or self._is_known(peer)) and (not self._secret or self._has_secret(headers))

    def user(self, peer: str | None, headers: Headers) -> str | None:
        """Name of the user that the proxy vouches for; ``None``: the request is not from the proxy, or names nobody."""
        return (headers.get(self.header) or None) if self.is_peer(peer, headers) else None

    def _is_known(self, peer: str | None) -> bool:
        try:
            address = ipaddress.ip_address(peer or "")
        except ValueError:
            return False
        return any(address in network for network in self._peers if network.version == address.version)

    def _has_secret(self, headers: Headers) -> bool:
        return hmac.compare_digest(headers.get(PROOF_HEADER, "").encode(), self._secret.encode())
