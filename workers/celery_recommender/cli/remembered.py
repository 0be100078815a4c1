"""The collection that a command named last, kept in the state directory for the commands that name none."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from celery_recommender.settings import Settings
from recommender_engine.items.limits import MAX_ID_BYTES

DEFAULT = "default"


def remembered(settings: Settings) -> str | None:
    """The collection that was named last; ``None``: none was, or it cannot be read."""
    try:
        name = _file(settings).read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, ValueError):
        return None
    return name if 0 < len(name.encode()) <= MAX_ID_BYTES and name.isprintable() else None


def remember(settings: Settings, collection: str) -> None:
    """Keep the name for the next command. A state directory that is not there is not made, and one may be read-only."""
    if collection == remembered(settings) or not settings.state_dir.is_dir():
        return
    with suppress(OSError, ValueError):
        temporary = _file(settings).with_suffix(".new")
        temporary.write_text(f"{collection}\n", encoding="utf-8")
        temporary.replace(_file(settings))


def _file(settings: Settings) -> Path:
    return settings.state_dir / "collection"
