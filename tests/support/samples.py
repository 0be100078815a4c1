"""Samples of texts, settings and payloads for logs of commands at random."""

from __future__ import annotations

from typing import Any

# Twins, near-duplicates, texts that fold into one another, texts of the same vector, texts that say nothing.
TEXTS = (
    "card payment declined at the shop",
    "Card  payment DECLINED at the\u00a0shop",
    "card payment declined at the shops",
    "payment of the card declined in a shop",
    "order 1042 has not arrived at my home",
    "order 1043 has not arrived at my home",
    "Straße gesperrt",
    "STRASSE GESPERRT",
    "one two three four five six seven and a tail",
    "one two three four five six seven and another tail",
    "refund",
    "<p>card payment declined</p><p>at the <b>shop</b></p>",
    "Re: card payment declined at the shop\n\nSent from my iPhone",
    "heavy rain up north\n\nOn Mon, Kim wrote:\n> is there any rain with you\n> or is it dry",
    "\u200b",
)
MALFORMED = (b"", b"{", b"[]", b'{"id":1}', b'{"id":"a","txt":"b"}', b"\xff", b'{"id":"a","text":"  "}')
PAUSES_MS = (0, 0, 1, 1, 40, 2500, 5000, 13 * 3600 * 1000)
SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"candidates": 1},
    {"candidates": 2, "index": "hnsw"},
    {"index": "exact", "recommendations": 1},
    {"index": "auto", "target_precision": 0.5, "review_from": 0.1, "similar_from": 0.1},
    {"similar_from": -1.0, "candidates": 3, "canonical": "latest"},
    {"review_from": 0.05, "review_budget": 0.3},
    {"ttl_seconds": 5},
    {"ttl_seconds": 40_000, "candidates": 2, "canonical": "longest"},
    {"equal": ["price"]},
    {"only": {"price": [1, None]}, "window_seconds": 5},
    {"min_length": 30, "canonical": "longest"},
    {"cut": []},
    {"cut": ["markup"], "equal": ["price"]},
    {"words": [{"editions": "shops, rain", "opposites": "declined / refused", "remove": {"opposites": "north"}}]},
    {"model": "unheard-of"},
    {"model": "other"},
)
