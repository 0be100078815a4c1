"""Contradictions between host names."""

from __future__ import annotations

import re

from recommender_engine.matching.differences.pair import ReadingPair, agreement
from recommender_engine.matching.pair.agreement import Agreement
from recommender_engine.matching.text.hosts import domain

_SEPARATOR = re.compile(r"[._-]+")


def host(pair: ReadingPair) -> Agreement[str] | None:
    """Different hosts of one domain. Hosts of different domains may be two shops that sell the same product."""
    mine, theirs = pair.one.hosts, pair.other.hosts
    if not mine or not theirs or mine & theirs or not set(map(domain, mine)) & set(map(domain, theirs)):
        return None
    if not pair.alike(_words(mine), _words(theirs)):
        return None
    return agreement(sorted(mine), sorted(theirs))


def _words(hosts: frozenset[str]) -> set[str]:
    return {word for name in hosts for word in _SEPARATOR.split(name)}
