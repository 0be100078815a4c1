"""Names of hosts in a text."""

from __future__ import annotations

import re

_HOST = re.compile(r"(?<![\w@.-])[a-z0-9_-]++(?:\.[a-z0-9_-]++){2,9}(?![\w@-])")
_SHORT = 3  # a second-level domain of so few letters is a registry's, as in ``co.uk``


def hosts_of(folded: str) -> frozenset[str]:
    """Hosts of a text that have a name of their own in their domain: ``shop.example.com``, not ``www.example.com``.

    Args:
        folded: the text, as `fold` makes it.
    """
    if folded.count(".") < 2:
        return frozenset()
    return frozenset(
        [name for name in _HOST.findall(folded) if name[-2:].isalpha() and own_name(name) not in ("", "www")]
    )


def domain(host: str) -> str:
    """What a host has in common with the others of its domain: the name that somebody has registered."""
    labels = host.split(".")
    return ".".join(labels[-3:] if len(labels[-2]) <= _SHORT else labels[-2:])


def own_name(host: str) -> str:
    """What a host is called in its domain; empty where it is the domain."""
    return host.removesuffix(domain(host)).rstrip(".")
