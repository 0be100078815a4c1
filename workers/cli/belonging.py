"""Files that root makes for a service belong to whoever has the folder, or the service cannot use them."""

from __future__ import annotations

import os
from pathlib import Path


def give_to_owner_of(folder: Path, made: Path) -> None:
    """Give a file, or a folder with what is in it, to the owner of another folder. Only root can, and needs to."""
    if os.geteuid() != 0:
        return
    owner = folder.stat()
    for path in (made, *made.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
