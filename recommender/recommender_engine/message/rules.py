"""What programs put around a message, read from ``rules.toml``: phrases by kind, in many languages."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from recommender_engine.errors import ConfigurationError
from recommender_engine.files import read_toml

_OURS = Path(__file__).with_name("rules.toml")
_VERSION = "3"
"""Version of the code that applies the phrases; raised with every change of what is cut."""

Phrases = tuple[str, ...]


@dataclass(frozen=True)
class Rules:
    """Phrases in lower case, by table and key of the file.

    Attributes:
        identity: changes whenever the phrases or the code that applies them do.
        tables: the phrases; ``disclaimers.groups`` is a list of lists.
    """

    identity: str
    tables: Mapping[str, Mapping[str, tuple[Any, ...]]]

    def phrases(self, table: str, key: str) -> Phrases:
        """The phrases under a key."""
        return self.tables[table][key]


@lru_cache(maxsize=4)
def load_rules(extra: Path | None = None) -> Rules:
    """Our phrases, and those of a file of the same tables.

    Raises:
        ConfigurationError: the file cannot be read, or holds something else than lists of texts under our keys.
    """
    tables = _read(_OURS)
    if extra is not None:
        for name, keys in _read(extra).items():
            for key, phrases in keys.items():
                if key not in tables.get(name, {}):
                    raise ConfigurationError(f"{extra}: there is no rule [{name}] {key}")
                tables[name][key] = tables[name][key] + phrases
    said = repr(sorted((name, sorted(keys.items())) for name, keys in tables.items()))
    return Rules(f"{_VERSION}-{hashlib.sha256(said.encode()).hexdigest()[:12]}", tables)


def _read(path: Path) -> dict[str, dict[str, tuple[Any, ...]]]:
    try:
        said = read_toml(path)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: rules for messages cannot be read: {error}") from None
    tables: dict[str, dict[str, tuple[Any, ...]]] = {}
    for name, keys in said.items():
        if not isinstance(keys, dict):
            raise ConfigurationError(f"{path}: {name} must be a table of lists")
        tables[name] = {key: _listed(path, name, key, value) for key, value in keys.items()}
    return tables


def _listed(path: Path, name: str, key: str, value: Any) -> tuple[Any, ...]:
    grouped = name == "disclaimers" and key == "groups"
    wanted = list if grouped else str
    if not isinstance(value, list) or not all(isinstance(one, wanted) for one in value):
        raise ConfigurationError(f"{path}: [{name}] {key} must be a list of {'lists of ' if grouped else ''}texts")
    if grouped:
        return tuple(_listed(path, "group", key, group) for group in value)
    return tuple(" ".join(one.casefold().split()) + (" " if one.endswith(" ") else "") for one in value)
