"""Findings of ``recommender doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding of one check, with advice."""

    check: str
    state: State
    found: str
    advice: str = ""
