"""Lines of a name and a value: records and settings, distinguished from texts that begin with a word and a colon."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from celery_recommender.records.values.guessing import is_usual_name

_NAMED = re.compile(r"(?P<before>\s*+(?:- )?)[\"']?(?P<name>\w[\w .-]*+)[\"']?:(?:\s+(?P<value>.*))?\s*")
_OTHERWISE_YAML = re.compile(r"\s*- .*|---.*|\.\.\.")
_SETTING = re.compile(r"(?P<name>[\w.-]+)\s*=.*")
_REMARK = re.compile(r"#(?:\s.*)?")
_SETTINGS_REMARK = re.compile(r"[#!;].*")
_NO_WORDS = re.compile(r"[-+]?\d[\d.,:TZ+-]*|true|false|null|~|\".*\"|'.*'|\[.*\]|\{.*\}|[|>][-+]?", re.IGNORECASE)
_MOSTLY = 0.9


class _Named(NamedTuple):
    """A line that begins with a name and a colon.

    Attributes:
        column: where the name begins.
        dash: whether it begins an entry of a list.
        name: the name.
        value: the text after the colon.
    """

    column: int
    dash: bool
    name: str
    value: str


def is_yaml(lines: Sequence[str]) -> bool:
    """Whether lines are YAML, or records with a name and a value in each line.

    A list of texts is YAML too, and its texts may begin with a word and a colon (``fix: the door``): it is none here.
    Records are recognised by nesting, by repeating names, by names of columns, by values that are no words.
    """
    kept = [line for line in lines if not _REMARK.fullmatch(line)]
    full = [line for line in kept if line.strip()]
    named = [_named(line) for line in full]
    fits = [one is not None or _OTHERWISE_YAML.fullmatch(line) for one, line in zip(named, full, strict=True)]
    if not full or not fits[0] or sum(map(bool, fits)) < _MOSTLY * len(full):
        return False
    if full[0].rstrip() == "---" or _is_nested(full, named):
        return True
    return not any(
        line.startswith("- ") and one is None for one, line in zip(named, full, strict=True)
    ) and _are_records([[one for line in block if (one := _named(line)) is not None] for block in _blocks(kept)])


def is_settings(lines: Sequence[str]) -> bool:
    """Whether lines are settings, ``name=value``, each name once, with remarks between them."""
    full = [line for line in lines if line.strip()]
    names = [found["name"] for line in full if (found := _SETTING.fullmatch(line)) is not None]
    remarks = sum(_SETTINGS_REMARK.fullmatch(line) is not None for line in full)
    return bool(names) and len(names) + remarks == len(full) and len(set(names)) == len(names)


def _named(line: str) -> _Named | None:
    found = _NAMED.fullmatch(line)
    if found is None:
        return None
    return _Named(len(found["before"]), "-" in found["before"], found["name"], (found["value"] or "").strip())


def _is_nested(lines: Sequence[str], named: Sequence[_Named | None]) -> bool:
    """Whether a name is alone above its values, or an entry of a list has several names."""
    for (one, after), line in zip(pairwise(named), lines[1:], strict=True):
        if one is None:
            continue
        indent = len(line) - len(line.lstrip())
        if not one.value and (indent > one.column or line.lstrip().startswith("- ")):
            return True
        if one.dash and after is not None and not after.dash and after.column == one.column:
            return True
    return False


def _blocks(lines: Sequence[str]) -> list[list[str]]:
    """The lines between blank ones, and between documents of YAML."""
    grouped = groupby(lines, lambda line: not line.strip() or line.startswith("---"))
    return [list(block) for apart, block in grouped if not apart]


def _are_records(blocks: Sequence[Sequence[_Named]]) -> bool:
    lines = [line for block in blocks for line in block]
    names = {line.name for line in lines}
    usual = sum(map(is_usual_name, names))
    bare = any(_NO_WORDS.fullmatch(line.value) for line in lines)
    if len(names) == len(lines):  # one record
        return usual > 1 or bare
    if len(names) == 1:
        return usual == 1
    return _in_turn(blocks) or ((usual > 0 or bare or len(names) > 2) and _in_turn(_cut(lines)))


def _cut(lines: Sequence[_Named]) -> list[list[_Named]]:
    """The lines, split before each that has the name of the first."""
    parts: list[list[_Named]] = []
    for line in lines:
        if not parts or line.name == lines[0].name:
            parts.append([])
        parts[-1].append(line)
    return parts


def _in_turn(parts: Sequence[Sequence[_Named]]) -> bool:
    """Whether each part names several things, each once, and mostly those of the first; the last may be incomplete."""
    names = [[line.name for line in part] for part in parts]
    whole = names if len(names[-1]) > 1 else names[:-1]
    return (
        len(whole) > 1
        and all(1 < len(part) == len(set(part)) for part in whole)
        and all(len({*part} & {*whole[0]}) * 2 >= len(whole[0]) for part in whole[:-1])
        and bool({*whole[-1]} & {*whole[0]})
    )
