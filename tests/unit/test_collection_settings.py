"""Settings of a collection: defaults and ranges; a wrong key names itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recommender_engine.items import DEFAULT_MODEL, CollectionSettings, limits

names = st.text("abc", min_size=1, max_size=5)
given_settings = st.fixed_dictionaries(
    {},
    optional={
        "similar_from": st.floats(-1, 1),
        "target_precision": st.floats(0.5, 0.999),
        "review_from": st.none() | st.floats(0, 1),
        "equal": st.lists(names, max_size=limits.MAX_RULES),
        "only": st.dictionaries(
            names, st.lists(st.none() | st.booleans() | st.integers(0, 9) | names, min_size=1, max_size=4), max_size=4
        ),
        "window_seconds": st.none() | st.integers(1, 10**9),
        "min_length": st.integers(0, 1000),
        "canonical": st.sampled_from(["earliest", "latest", "longest"]),
        "ttl_seconds": st.none() | st.integers(1, 10**9),
        "commands_per_second": st.none() | st.floats(0.001, 10**6),
        "burst": st.none() | st.integers(1, 10**6),
        "words": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "language": st.sampled_from(["", "en", "nds"]),
                    "editions": st.lists(names, max_size=4).map(", ".join),
                    "opposites": st.lists(names, min_size=2, max_size=4).map(" / ".join),
                    "remove": st.fixed_dictionaries({}, optional={"from": names}),
                },
            ),
            max_size=3,
        ),
    },
)


def test_every_key_has_a_default_and_none_restricts_anything() -> None:
    settings = CollectionSettings()
    assert settings.model == DEFAULT_MODEL
    assert settings.index == "auto"
    assert -1 <= settings.similar_from <= 1
    assert settings.target_precision == 0.95
    assert (settings.equal, settings.only, settings.window_seconds, settings.min_length) == ((), {}, None, 0)
    assert (settings.canonical, settings.ttl_seconds, settings.review_from) == ("earliest", None, None)


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
        ("similar_from", -1.01),
        ("similar_from", 1.01),
        ("similar_from", float("nan")),
        ("similar_from", "0.9"),
        ("target_precision", 0.49),
        ("target_precision", 1.0),
        ("target_precision", float("inf")),
        ("target_precision", None),
        ("review_from", -0.1),
        ("review_from", 1.1),
        ("review_from", "0.5"),
        ("equal", "requester"),
        ("equal", [""]),
        ("equal", [1]),
        ("equal", [f"a{n}" for n in range(limits.MAX_RULES + 1)]),
        ("only", ["status"]),
        ("only", {"status": "open"}),
        ("only", {"status": []}),
        ("only", {"status": [{}]}),
        ("only", {"": ["open"]}),
        ("only", {f"a{n}": [1] for n in range(limits.MAX_RULES + 1)}),
        ("window_seconds", 0),
        ("window_seconds", 1.5),
        ("window_seconds", True),
        ("min_length", -1),
        ("min_length", None),
        ("canonical", "newest"),
        ("canonical", None),
        ("ttl_seconds", 0),
        ("ttl_seconds", 10**12),
        ("commands_per_second", 0),
        ("commands_per_second", -1.0),
        ("commands_per_second", float("inf")),
        ("commands_per_second", "50"),
        ("words", {"editions": "nordic"}),
        ("words", [{"edition": "nordic"}]),
        ("words", [{"editions": ["nordic"]}]),
        ("words", [{"editions": "nordic / aurora"}]),
        ("words", [{"editions": "nordic, +++"}]),
        ("words", [{"editions": "nordic, \u0007a"}]),
        ("words", [{"editions": "n" * 65}]),
        ("words", [{"opposites": "in / out; up"}]),
        ("words", [{"conditions": "a / b / c / d / e / f / g"}]),
        ("words", [{"numbers": "six"}]),
        ("words", [{"numbers": "six:vi"}]),
        ("words", [{"numbers": f"six:{10**15}"}]),
        ("words", [{"language": "english"}]),
        ("words", [{"remove": {"conditions": "used / renewed"}}]),
        ("words", [{"remove": {"language": "en"}}]),
        ("words", [{}] * (limits.MAX_RULES + 1)),
        ("words", [{"editions": "nordic," * (limits.MAX_WORDS_BYTES // 7)}]),
        ("burst", 0),
        ("burst", 2.5),
        ("duplicate_from", 0.9),
        ("thresholds", 0.5),
    ],
)
def test_refused(key: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=key):
        CollectionSettings.model_validate({key: value})


@given(given_settings)
def test_settings_can_be_written_and_read_back(said: dict[str, Any]) -> None:
    settings = CollectionSettings.model_validate(said)
    assert CollectionSettings.model_validate_json(settings.model_dump_json()) == settings
