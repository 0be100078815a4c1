"""What surrounds a trial: each scene is there for steps that the main path does not come by."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.points import BY_NAME


class Scene(StrEnum):
    """One of them.

    * ``POISON``: one message ends every process that embeds it, alone; the worker is started again as often as it ends.
    * ``BACKUPS``: the worker makes backups all the time, and trims only what is in one. At the end the disk may be lost
      and the newest backup put in its place.
    * ``LOST DISK``: the same, and before anything else the disk is lost once, when the only backup is of the beginning.
    """

    PLAIN = "plain"
    POISON = "poison"
    BACKUPS = "backups"
    LOST_DISK = "lost disk"

    @property
    def has_backups(self) -> bool:
        """Whether backups are made."""
        return self in (Scene.BACKUPS, Scene.LOST_DISK)


_OF_STEP = {
    "examination": Scene.POISON,
    "quarantine": Scene.POISON,
    "backup": Scene.BACKUPS,
    "recovery": Scene.LOST_DISK,
}
_WEIGHTS = {Scene.PLAIN: 14, Scene.POISON: 2, Scene.BACKUPS: 2, Scene.LOST_DISK: 2}
_BACKUP_EVERY_S, _NEVER_S = 0.15, 3600.0


def scene_for(name: str, chance: Random) -> Scene:
    """The scene that a disturbance needs, if it needs one; else any."""
    (other,) = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
    return needed(name) or other


def needed(name: str) -> Scene | None:
    """The scene in which a disturbance can be met; ``None`` when in each."""
    return _OF_STEP.get(BY_NAME[name].step) if name in BY_NAME else None


def possible(names: Sequence[str], scene: Scene) -> list[str]:
    """Disturbances that can be met in a scene."""
    return [name for name in names if needed(name) in (None, scene)]


def settings_of(scene: Scene, directory: Path, chance: Random) -> dict[str, Any]:
    """What the worker is set to."""
    if scene is Scene.POISON:
        return {"suspect_after": chance.choice((1, 2))}
    if scene.has_backups:
        return {
            "backup_dir": directory / "backups",
            "backup_every_s": _BACKUP_EVERY_S,
            "backup_keep": chance.choice((1, 2)),
        }
    return {}


ONE_BACKUP = {"backup_every_s": _NEVER_S}
"""Changes of these settings: the backup that every owner begins with is the last."""
