"""Settings of collections as people write them: ``KEY=VALUE`` on the command line, tables in a TOML file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from recommender_engine.errors import ConfigurationError, InvalidCommand
from recommender_engine.files import read_toml
from recommender_engine.items import CollectionSettings, ConfigureCollection, WordLists
from recommender_engine.items.commands import validate

F = TypeVar("F", bound=Callable[..., Any])

KNOWN = ", ".join(CollectionSettings.model_fields)
_WORD_LISTS = tuple(field.alias or name for name, field in WordLists.model_fields.items())
_LISTS = {"equal"}
_TABLES = {"only"}


def settings_option(function: F) -> F:
    """``--collection-settings``, of commands that keep a state in memory."""
    return click.option(
        "settings",
        "--collection-settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Collection setting, as for `configure`; repeatable.",
    )(function)


def collection_settings(collection: str, model: str, words: Iterable[str]) -> CollectionSettings:
    """Settings from ``KEY=VALUE`` words.

    Raises:
        UsageError: a word is no setting.
        InvalidCommand: a value is refused.
    """
    settings = {"model": model, **settings_of(words)}
    return validate(ConfigureCollection, {"collection": collection, "settings": settings}).settings


def settings_of(words: Iterable[str]) -> dict[str, Any]:
    """Settings from ``KEY=VALUE`` words; rules of one table (``only.status=… only.product=…``) come together.

    Raises:
        UsageError: a word is no setting.
    """
    settings: dict[str, Any] = {}
    for word in words:
        key, value = key_and_value(word)
        if key in _TABLES and isinstance(value, dict) and isinstance(settings.get(key), dict):
            settings[key] |= value
        else:
            settings[key] = value
    return settings


def key_and_value(text: str) -> tuple[str, object]:
    """One setting from the command line.

    A value is JSON or plain text: ``target_precision=0.97``. Lists are separated by commas
    (``equal=requester,product``), and an entry of a table is named behind a dot (``only.status=open,new``).

    Raises:
        UsageError: it is no setting.
    """
    name, equals, value = text.partition("=")
    key, dot, entry = name.partition(".")
    if not equals or key not in CollectionSettings.model_fields or (bool(dot) and key not in _TABLES):
        raise click.UsageError(f"{text!r} is not KEY=VALUE with one of {KNOWN}")
    if dot:
        return key, {entry: _list(value)}
    return key, _list(value) if key in _LISTS else _plain(value)


def read_policies(path: Path, collection: str | None) -> dict[str, dict[str, Any]]:
    """Settings by collection from a TOML file: one table for each collection, or flat for the one that is named.

    Args:
        path: the file.
        collection: the only one wanted.

    Raises:
        ConfigurationError: it is no TOML, or has nothing for this collection.
    """
    read = _toml(path)
    if collection is not None:
        table = read.get(collection)
        if isinstance(table, dict) and collection not in CollectionSettings.model_fields:
            return {collection: table}
        return {collection: read}
    if strays := [name for name, table in read.items() if not isinstance(table, dict)]:
        raise ConfigurationError(
            f"{path}: {strays[0]!r} stands in no table: put it under the name of its collection, or name the "
            "collection on the command line"
        )
    if not read:
        raise ConfigurationError(f"{path} holds no settings")
    return read


words_option = click.option(
    "--words",
    "word_files",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="TOML file of words that separate two texts, in place of the setting `words`; several for several languages.",
)
"""Names the files of `with_words`."""


def with_words(settings: dict[str, Any], files: Iterable[Path]) -> dict[str, Any]:
    """Settings with the word lists of some files.

    Raises:
        UsageError: the settings have word lists themselves.
        ConfigurationError: see `read_words`.
    """
    lists = [read_words(one) for one in files]
    if lists and "words" in settings:
        raise click.UsageError("the settings have words: give them there or with --words, not both")
    return {**settings, "words": lists} if lists else settings


def read_words(path: Path) -> dict[str, Any]:
    """Word lists of a collection from a TOML file, in the form of `WordLists`.

    Raises:
        ConfigurationError: it is no TOML, or one of the lists is none.
    """
    lists = _toml(path)
    try:
        return validate(WordLists, lists).given()
    except InvalidCommand as error:
        advice = f"; the lists are {', '.join(_WORD_LISTS)}" if error.code == "unknown_field" else ""
        raise ConfigurationError(f"{path}: {error}{advice}") from error


def checked(collection: str, settings: dict[str, Any]) -> CollectionSettings:
    """The settings as the worker would take them.

    Raises:
        ConfigurationError: one of them is none; the message names it, and those that there are.
    """
    try:
        return validate(ConfigureCollection, {"collection": collection, "settings": settings}).settings
    except InvalidCommand as error:
        advice = f"; the settings are {KNOWN}" if error.code == "unknown_field" else ""
        message = str(error).replace("settings.", "", 1)
        raise ConfigurationError(f"collection {collection!r}: {message}{advice}") from error


def _toml(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except ValueError as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from error


def _list(text: str) -> list[Any]:
    whole = _plain(text)
    return whole if isinstance(whole, list) else [_plain(part.strip()) for part in text.split(",") if part.strip()]


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
