"""Whether a group of items grows out of its own baseline: a statistic over times of arrival, without a store."""

from recommender_engine.incidents.assessment import (
    LEAST_ITEMS,
    LONGEST_WINDOW_MS,
    MOST_TIMES,
    SLOT_MS,
    WINDOWS_S,
    Assessment,
    Watched,
    Window,
    assess,
    calm_at_ms,
    is_swept_along,
)
from recommender_engine.incidents.statistic import surprise
from recommender_engine.incidents.traffic import HORIZON_HOURS, HOUR_MS, Traffic, hour_of

__all__ = [
    "HORIZON_HOURS",
    "HOUR_MS",
    "LEAST_ITEMS",
    "LONGEST_WINDOW_MS",
    "MOST_TIMES",
    "SLOT_MS",
    "WINDOWS_S",
    "Assessment",
    "Traffic",
    "Watched",
    "Window",
    "assess",
    "calm_at_ms",
    "hour_of",
    "is_swept_along",
    "surprise",
]
