"""Feeds the readers of people's files whatever comes: ``python tools/fuzz_files.py [SECONDS] [SEED]``.

Files of every kind are made by code and changed at random places. Every row is read or reported, once, with its own
cells; a file that is written alike has as many rows; no exception but ours comes out. A failure names its seed, and
``python tools/fuzz_files.py 1 SEED`` runs it again.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.mutations import trials


def main() -> None:
    """Fuzz for so many seconds."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 10**9
    files = read = reported = refused = 0
    ends = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        for good, bad in trials(seed, Path(folder)):
            files, read, reported = files + 1, read + good, reported + bad
            refused += good + bad == 0
            if time.monotonic() > ends:
                break
    found = f"{files:,} files, {refused:,} of them without rows; {read:,} rows read, {reported:,} reported"
    print(f"from seed {seed}: {found}")


main()
