"""Backups of a state: written whole and verified, listed, restored.

A backup is a directory with two files: the database, and a manifest with its description and SHA-256. It appears under
its name only after all its content is durable, read back and checked.
"""

from recommender_engine.backups.checking import verify, verify_state
from recommender_engine.backups.manifest import MANIFEST, Backup, Manifest, Origin, find, listed, read
from recommender_engine.backups.restoring import restore
from recommender_engine.backups.writing import BackupCancelled, back_up_directory, copy, move, prune, write

__all__ = [
    "MANIFEST",
    "Backup",
    "BackupCancelled",
    "Manifest",
    "Origin",
    "back_up_directory",
    "copy",
    "find",
    "listed",
    "move",
    "prune",
    "read",
    "restore",
    "verify",
    "verify_state",
    "write",
]
