"""Which addresses a webhook may connect to: those of the public internet, and networks that its endpoint allows."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")

Network = IPv4Network | IPv6Network


class AddressRefused(OSError):
    """A host has no address that may be connected to."""


def is_permitted(address: str, allow: Iterable[Network], *, public: bool = True) -> bool:
    """Whether an address may be connected to.

    Args:
        address: IPv4 or IPv6, as ``getaddrinfo`` writes it.
        allow: networks that may be, whatever they are.
        public: whether the public internet may be.
    """
    meant = _meant(address)
    if any(meant in network for network in allow):
        return True
    if isinstance(meant, IPv6Address) and meant not in _GLOBAL_UNICAST:
        return False
    return public and meant.is_global and not meant.is_multicast


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, in the system's order.

    Raises:
        OSError: the name has none, or cannot be resolved now.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # an empty or overlong label
        raise AddressRefused(f"{host} is no name of a host") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def connect(host: str, port: int, allow: Sequence[Network], *, public: bool, timeout_s: float) -> socket.socket:
    """A connection to the first address of a host that may be connected to and answers.

    The name is resolved once, and the address that was checked is the one that is connected to.

    Raises:
        AddressRefused: no address of the host may be connected to.
        OSError: the name is not known, or no address answers in time.
    """
    deadline_s = time.monotonic() + timeout_s
    permitted = [one for one in resolve(host, port) if is_permitted(one, allow, public=public)]
    if not permitted:
        raise AddressRefused(f"{host} has no address that may be connected to: `allow` lists networks that may be")
    failure: OSError | None = None
    for address in permitted:
        try:
            return socket.create_connection((address, port), max(0.1, deadline_s - time.monotonic()))
        except OSError as error:
            failure = failure or error
    raise failure or AddressRefused(host)


def _meant(address: str) -> IPv4Address | IPv6Address:
    """An address, or the IPv4 address that an IPv6 one stands for on its way."""
    plain = ip_address(address.partition("%")[0])
    if isinstance(plain, IPv4Address):
        return plain
    if plain in _NAT64:
        return IPv4Address(int(plain) & 0xFFFF_FFFF)
    teredo = plain.teredo[1] if plain.teredo else None
    return plain.ipv4_mapped or plain.sixtofour or teredo or plain
