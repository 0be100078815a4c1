"""The file of pairs beyond doubt: complete, in eight languages, and its halves have nothing in common."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "quality" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
]


def test_there_are_five_hundred_and_more_in_eight_languages() -> None:
    assert len(ROWS) >= 500
    languages = Counter(row["language"] for row in ROWS)
    assert set(languages) == {"en", "de", "fr", "es", "it", "nl", "pt", "pl"}
    assert min(languages.values()) >= 50


def test_no_pair_stands_twice_and_none_has_two_labels() -> None:
    said: dict[tuple[str, ...], set[int]] = {}
    for row in ROWS:
        said.setdefault(tuple(sorted((row["a"], row["b"]))), set()).add(row["label"])
    assert len(said) == len(ROWS)
    assert [pair for pair, labels in said.items() if len(labels) > 1] == []


def test_halves_share_no_text_within_a_kind() -> None:
    halves: dict[tuple[str, str], set[str]] = {}
    for row in ROWS:
        for side in ("a", "b"):
            halves.setdefault((row["kind"], row[side]), set()).add(row["half"])
    assert [text for text, found in halves.items() if len(found) > 1] == []


def test_half_of_each_kind_and_label_is_kept_back() -> None:
    counted: dict[tuple[str, int], Counter[str]] = {}
    for row in ROWS:
        counted.setdefault((row["kind"], row["label"]), Counter())[row["half"]] += 1
    uneven = {key: dict(said) for key, said in counted.items() if abs(said["tuned"] - said["kept"]) > 2}
    assert uneven == {}
