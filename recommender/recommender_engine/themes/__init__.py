"""What the items of a collection are about: groups of items that are near each other, with words and examples."""

from recommender_engine.themes.finding import (
    LEAST_MEMBERS,
    MOST_ITEMS,
    Representative,
    Theme,
    ThemeItem,
    Themes,
    find_themes,
)
from recommender_engine.themes.reading import exported, theme_item

__all__ = [
    "LEAST_MEMBERS",
    "MOST_ITEMS",
    "Representative",
    "Theme",
    "ThemeItem",
    "Themes",
    "exported",
    "find_themes",
    "theme_item",
]
