"""What the environment of a process says of our settings, and what it only seems to say.

People write it, with blanks, quotes and slips of the pen. Compose sets a variable to nothing. Kubernetes makes
variables for each Service, also for one that is called ``recommender-metrics``. A secret store writes files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from recommender_engine.errors import ConfigurationError

PREFIX = "RECOMMENDER_"
FILE = "_FILE"
_OF_OTHERS = {"RECOMMENDER_TORCH", "RECOMMENDER_TEST_DATA"}
_LARGEST_FILE = 64 * 1024
_FOR_A_SERVICE = re.compile(
    r"RECOMMENDER(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_PORT_OF_A_SERVICE = re.compile(r"RECOMMENDER(_[A-Z0-9_]+)?_PORT")
_ADDRESS = re.compile(r"(tcp|udp|sctp)://\S+:\d+")


class Unknown(NamedTuple):
    """A variable with our prefix that is no setting.

    Attributes:
        name: its name.
        nearest: the setting that may be meant; empty: none is near.
    """

    name: str
    nearest: str

    def __str__(self) -> str:
        advice = f"is {self.nearest} meant?" if self.nearest else "docs/reference/settings.md lists them all"
        return f"{self.name} is no setting: {advice}"


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + field.upper()


def values(environment: Mapping[str, str], fields: Iterable[str], secrets: Collection[str]) -> dict[str, str]:
    """The settings that are set, by field: without blanks and quotes around them; what is empty is not set.

    Args:
        environment: the variables.
        fields: names of the settings.
        secrets: those that may stand in a file, which the variable with ``_FILE`` behind its name says.

    Raises:
        ConfigurationError: a secret is in both, or its file cannot be read; names the variable.
    """
    found = {}
    for field in fields:
        name = variable(field)
        value = "" if of_the_platform(name, environment) else bare(environment.get(name, ""))
        if field in secrets and (path := bare(environment.get(name + FILE, ""))):
            if value:
                raise ConfigurationError(f"{name} and {name}{FILE} are both set: unset one of them")
            value = _in_file(name + FILE, path)
        if value:
            found[field] = value
    return found


def in_settings_file(path: Path) -> dict[str, str]:
    """The variables with our prefix that a file of settings holds: ``NAME=value`` lines, ``#`` begins a remark.

    A file that another user owns counts as absent: whoever may write it decides where texts are sent.

    Raises:
        ConfigurationError: it cannot be read; names the file.
    """
    try:
        if path.stat().st_uid not in (0, os.geteuid()):
            return {}
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"{path} (settings) cannot be read: {reason}") from None
    pairs = (line.strip().removeprefix("export ").partition("=") for line in lines)
    return {name.strip(): bare(value) for name, sign, value in pairs if sign and name.strip().startswith(PREFIX)}


def with_settings(text: str, given: Mapping[str, str]) -> str:
    """The text of a file of settings with these variables; the other lines stay as they are."""
    kept = [line for line in text.splitlines() if line.removeprefix("export ").partition("=")[0].strip() not in given]
    return "".join(f"{line}\n" for line in (*kept, *(f"{name}={value}" for name, value in given.items())))


def bare(value: str) -> str:
    """A value without blanks, and one pair of quotes, around it."""
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1].strip()
    return value


def of_the_platform(name: str, environment: Mapping[str, str]) -> bool:
    """Whether Kubernetes, or a link of Docker's, has made the variable for a Service whose name begins like ours."""
    if _FOR_A_SERVICE.fullmatch(name):
        return True
    return bool(_PORT_OF_A_SERVICE.fullmatch(name) and _ADDRESS.fullmatch(environment.get(name, "")))


def unknown(environment: Mapping[str, str], fields: Iterable[str], secrets: Iterable[str]) -> tuple[Unknown, ...]:
    """Variables with our prefix that are no setting, misspelt perhaps; those of the platform and of tests are known."""
    known = [*(variable(field) for field in fields), *(variable(field) + FILE for field in secrets)]
    names = sorted(
        name
        for name in environment
        if name.upper().startswith(PREFIX)
        and name not in known
        and name not in _OF_OTHERS
        and not of_the_platform(name, environment)
    )
    return tuple(Unknown(name, next(iter(get_close_matches(name.upper(), known, n=1)), "")) for name in names)


def from_the_platform(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Variables that are ignored because Kubernetes, or Docker, has made them."""
    return tuple(sorted(name for name in environment if of_the_platform(name, environment)))


def _in_file(name: str, path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            value = bare(file.read(_LARGEST_FILE))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"{name}={path!r}: the file cannot be read: {reason}") from None
    if not value:
        raise ConfigurationError(f"{name}={path!r}: the file is empty")
    return value
