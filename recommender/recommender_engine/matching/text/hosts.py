"""Names of hosts in a text."""

from __future__ import annotations

import re

_HOST = re.compile(r"(?<![\w@.-])[a-z0-9_-]++(?:\.[a-z0-9_-]++){2,9}(?![\w@-])")
_DOMAIN = re.compile(r"(?<![\w.@-])[a-z][a-z0-9-]{2,}+(?:\.[a-z0-9-]++)?\.[a-z]{2,4}(?![\w-])")
_SHORT = 3  # a second-level domain of so few letters belongs to the registry, as in ``co.uk``


def hosts_of(folded: str) -> frozenset[str]:
    """Hosts of a text with a specific name in their domain: ``shop.example.com``, not ``www.example.com``.

    Args:
        folded: the text, as `fold` makes it.
    """
    if folded.count(".") < 2:
        return frozenset()
    return frozenset(
        [name for name in _HOST.findall(folded) if name[-2:].isalpha() and own_name(name) not in ("", "www")]
    )


def names_domain(folded: str) -> bool:
    """Whether a text, as `fold` makes it, names a domain: ``example.com``, ``www.example.co.uk``."""
    return "." in folded and _DOMAIN.search(folded) is not None


def domain(host: str) -> str:
    """The registered domain of a host."""
    labels = host.split(".")
    return ".".join(labels[-3:] if len(labels[-2]) <= _SHORT else labels[-2:])


def own_name(host: str) -> str:
    """The name of a host within its domain; empty for the domain itself."""
    return host.removesuffix(domain(host)).rstrip(".")
