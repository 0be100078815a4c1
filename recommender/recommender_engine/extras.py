"""How to install what an extra of this distribution asks for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires

_DISTRIBUTION = "celery-recommender"
_OF_AN_EXTRA = re.compile(r"(?P<named>[^;]+);.*\bextra == ['\"](?P<extra>[\w-]+)['\"]")
_OURS = re.compile(rf"{_DISTRIBUTION}\[(?P<extras>[^]]+)\]")


def install_command(extra: str) -> str:
    """A command that works wherever this distribution came from: a checkout, a wheel, an index.

    Args:
        extra: name of the extra.

    Returns:
        ``pip install`` with the requirements of the extra; of one that is not known, with the extra of a checkout.
    """
    try:
        found = dict.fromkeys(_requirements(requires(_DISTRIBUTION) or [], extra))
    except PackageNotFoundError:
        found = {}
    return f"pip install {' '.join(map(shlex.quote, found))}" if found else f"pip install '.[{extra}]'"


def _requirements(known: list[str], extra: str) -> Iterator[str]:
    for one in filter(None, map(_OF_AN_EXTRA.match, known)):
        if one["extra"] != extra:
            continue
        if ours := _OURS.match(one["named"]):
            for further in ours["extras"].split(","):
                yield from _requirements(known, further.strip())
        else:
            yield one["named"].strip()
