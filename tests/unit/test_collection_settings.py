"""Settings of a collection: defaults, ranges, and the order of the bands."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recommender.items import DEFAULT_MODEL, CollectionSettings

similarities = st.floats(-1, 1)


def test_every_key_has_a_default() -> None:
    settings = CollectionSettings()
    assert settings.model == DEFAULT_MODEL
    assert settings.index == "auto"
    assert -1 <= settings.similar_from < settings.review_from < settings.duplicate_from <= 1


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        CollectionSettings().candidates = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model", ""),
        ("model", "m" * 65),
        ("model", "a\nb"),
        ("index", "faiss"),
        ("index", None),
        ("candidates", 0),
        ("candidates", 501),
        ("candidates", 10.0),
        ("candidates", "10"),
        ("candidates", True),
        ("recommendations", -1),
        ("recommendations", 101),
        ("duplicate_from", 1.01),
        ("similar_from", -1.01),
        ("duplicate_from", float("nan")),
        ("duplicate_from", float("inf")),
        ("duplicate_from", "0.9"),
        ("thresholds", 0.5),
    ],
)
def test_refused(key: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=key):
        CollectionSettings.model_validate({key: value})


@given(similarities, similarities, similarities)
def test_bands_must_be_in_order(similar: float, review: float, duplicate: float) -> None:
    given_settings = {"similar_from": similar, "review_from": review, "duplicate_from": duplicate}
    if similar <= review <= duplicate:
        settings = CollectionSettings.model_validate(given_settings)
        assert CollectionSettings.model_validate_json(settings.model_dump_json()) == settings
    else:
        with pytest.raises(ValidationError, match="must not decrease"):
            CollectionSettings.model_validate(given_settings)


@pytest.mark.parametrize("partial", [{"review_from": 0.9}, {"duplicate_from": 0.7}, {"similar_from": 0.8}])
def test_the_order_holds_against_defaults_too(partial: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="must not decrease"):
        CollectionSettings.model_validate(partial)
