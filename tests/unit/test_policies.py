"""Settings of collections as people write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from celery_recommender.cli.input.policies import checked, read_policies, settings_of, with_words
from recommender_engine.errors import ConfigurationError
from recommender_engine.items import CollectionSettings


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["target_precision=0.97", "index=hnsw"], {"target_precision": 0.97, "index": "hnsw"}),
        (["equal=requester,product"], {"equal": ["requester", "product"]}),
        (["equal=requester"], {"equal": ["requester"]}),
        (['equal=["a, b"]'], {"equal": ["a, b"]}),
        (["equal="], {"equal": []}),
        (["only.status=open,new", "only.tier=1"], {"only": {"status": ["open", "new"], "tier": [1]}}),
        (['only={"status": ["open"]}', "only.tier=true,null"], {"only": {"status": ["open"], "tier": [True, None]}}),
        (["review_from=null"], {"review_from": None}),
        (["model=a=b"], {"model": "a=b"}),
    ],
)
def test_words_become_settings(words: list[str], settings: dict[str, Any]) -> None:
    assert settings_of(words) == settings


def test_what_is_said_is_taken_by_the_engine() -> None:
    settings = checked("tickets", settings_of(["equal=requester", "only.status=open,new", "window_seconds=3600"]))
    assert settings == CollectionSettings(equal=("requester",), only={"status": ("open", "new")}, window_seconds=3600)


@pytest.mark.parametrize("word", ["colour=red", "target_precision", "=1", "index.kind=hnsw"])
def test_a_word_that_is_no_setting_names_itself_and_those_there_are(word: str) -> None:
    with pytest.raises(click.UsageError, match=rf"'{word}' is not KEY=VALUE with one of model, .*, burst, "):
        settings_of([word])


def test_a_value_out_of_range_names_its_key() -> None:
    with pytest.raises(ConfigurationError, match=r"^collection 'tickets': target_precision: .* 0\.999"):
        checked("tickets", {"target_precision": 2})


def test_an_unknown_key_of_a_file_names_itself_and_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"^collection 'tickets': colour: .*the settings are model, index"):
        checked("tickets", {"colour": "red"})


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(
        "[tickets]\n"
        "target_precision = 0.97\n"
        'equal = ["requester"]\n'
        "[tickets.only]\n"
        'status = ["open"]\n'
        '["acme products"]\n'
        'index = "hnsw"\n'
    )
    return path


TICKETS = {"target_precision": 0.97, "equal": ["requester"], "only": {"status": ["open"]}}


def test_a_file_has_a_table_for_each_collection(policy: Path) -> None:
    assert read_policies(policy, None) == {"tickets": TICKETS, "acme products": {"index": "hnsw"}}
    assert read_policies(policy, "tickets") == {"tickets": TICKETS}
    assert checked("tickets", TICKETS).only == {"status": ("open",)}


def test_a_flat_file_is_for_the_collection_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "flat.toml"
    path.write_text('min_length = 20\n[only]\nstatus = ["open"]\n')
    flat = {"min_length": 20, "only": {"status": ["open"]}}
    assert read_policies(path, "tickets") == {"tickets": flat}
    assert read_policies(path, "only") == {"only": flat}, "a collection may be called like a setting"
    with pytest.raises(ConfigurationError, match="'min_length' stands in no table"):
        read_policies(path, None)


def test_a_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("[tickets]\nmin_length = 5\n", encoding="utf-8-sig")
    assert read_policies(path, None) == {"tickets": {"min_length": 5}}


@pytest.mark.parametrize(("text", "error"), [("min_length = ", "is not TOML"), ("", "holds no settings")])
def test_files_without_settings(tmp_path: Path, text: str, error: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=error):
        read_policies(path, None)


WORDS = (
    """
language = "en"
for = "til, fits on"
editions = """
    "'''"
    """
nordic, aurora,
hydra"""
    "'''"
    """
[remove]
editions = "air"
"""
)


def test_words_of_files_become_a_setting(tmp_path: Path) -> None:
    path, other = tmp_path / "en.toml", tmp_path / "sv.toml"
    path.write_text(WORDS)
    other.write_text('language = "sv"\nnegation = "inte"\n')
    settings = with_words({"candidates": 20}, [path, other])
    assert settings["words"] == [
        {"language": "en", "for": "til, fits on", "editions": "nordic, aurora,\nhydra", "remove": {"editions": "air"}},
        {"language": "sv", "negation": "inte"},
    ]
    checked("products", settings)
    assert with_words({"candidates": 20}, []) == {"candidates": 20}
    with pytest.raises(click.UsageError, match="not both"):
        with_words(settings, [path])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('editons = "nordic"', r"words\.toml: editons: there is no such field; the lists are common, .*editions"),
        ('editions = "a / b"', r"words\.toml: editions: only commas separate phrases here, found '/'"),
        ("[remove]\ncommon = 5", r"words\.toml: remove\.common: .*string.*number"),
        ('opposites = "in / out; up"', r"words\.toml: opposites: 'up' has no opposite"),
        ("editions = nordic", r"words\.toml is not TOML"),
    ],
)
def test_an_error_in_a_word_file_names_the_file_and_the_list(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "words.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        with_words({}, [path])
