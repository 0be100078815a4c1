"""Units of measurement: the value of a number with a unit, so that ``1.5 TB`` and ``1500gb`` are equal."""

from __future__ import annotations

from typing import NamedTuple


class Measure(NamedTuple):
    """A quantity.

    Attributes:
        kind: the physical quantity, for example ``data`` or ``length``; only measures of one kind compare.
        value: in the base unit of the kind.
        text: as written, for display.
    """

    kind: str
    value: float
    text: str


# The value of each unit in the base unit of its kind. No durations: two reports of one event rarely agree on the
# minutes.
_KINDS: dict[str, dict[str, float]] = {
    "data": {"kb": 1e-6, "mb": 1e-3, "gb": 1, "tb": 1e3, "gig": 1, "gigs": 1, "gigabyte": 1, "gigabytes": 1}
    | {"megabyte": 1e-3, "megabytes": 1e-3, "terabyte": 1e3, "terabytes": 1e3},
    # A quote after a number: product feeds use one or two of them for inches far more often than for feet.
    "length": {"mm": 0.1, "cm": 1, "m": 100, "km": 1e5, "inch": 2.54, "inches": 2.54, "zoll": 2.54, "in": 2.54}
    | {'"': 2.54, "''": 2.54, "'": 2.54, "″": 2.54, "”": 2.54, "ft": 30.48, "feet": 30.48, "foot": 30.48},
    "mass": {"mg": 1e-3, "g": 1, "kg": 1e3, "kilo": 1e3, "kilos": 1e3, "lb": 453.6, "lbs": 453.6, "oz": 28.35},
    "volume": {"ml": 1e-3, "cl": 1e-2, "l": 1, "liter": 1, "liters": 1, "litre": 1, "litres": 1, "litros": 1}
    | {"litern": 1, "gal": 3.785},
    "power": {"w": 1, "watt": 1, "watts": 1, "kw": 1e3},
    "voltage": {"v": 1, "volt": 1, "volts": 1},
    "charge": {"mah": 1e-3, "ah": 1},
    "frequency": {"hz": 1, "hertz": 1, "khz": 1e3, "mhz": 1e6, "ghz": 1e9},
    "light": {"lm": 1, "lumen": 1, "lumens": 1},
    "resolution": {"mp": 1, "megapixel": 1, "megapixels": 1},
    "pressure": {"bar": 1},
    "share": {"%": 1.0},
    "count": {"pc": 1.0, "pcs": 1, "piece": 1, "pieces": 1, "pk": 1, "pack": 1, "user": 1, "users": 1, "seat": 1}
    | {"seats": 1, "license": 1, "licenses": 1, "cups": 1, "cup": 1, "port": 1, "ports": 1, "slot": 1, "seater": 1},
}
UNITS: dict[str, tuple[str, float]] = {
    unit: (kind, factor) for kind, units in _KINDS.items() for unit, factor in units.items()
}

# Separated from its number this is a preposition: "2 in 1".
ONLY_ATTACHED = frozenset({"in"})

# Two measures closer than this are the same: 65 inch is sold as 164 cm.
_TOLERANCE = 0.015


def same(one: Measure, other: Measure) -> bool:
    """Whether two measures mean the same size, rounding allowed."""
    if one.kind != other.kind:
        return False
    return abs(one.value - other.value) <= _TOLERANCE * max(abs(one.value), abs(other.value))
