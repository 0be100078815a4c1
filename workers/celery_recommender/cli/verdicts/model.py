"""``recommender model``: register a model, and change that of a collection while its stream goes on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from celery_recommender.celery.tasks.questions import Stats
from celery_recommender.celery.worker.plugin import catalogue
from celery_recommender.cli.asking import owner_at_work, owner_or_state, require_server
from celery_recommender.cli.common import json_option, load_settings, out, print_json, printable, progress_bar
from celery_recommender.cli.input.sending import outcome_of
from celery_recommender.cli.locating import located
from celery_recommender.cli.verdicts.model_report import both_sides, neighbours_kept, replays, told
from celery_recommender.cli.verdicts.trained_models import items_gone
from celery_recommender.cli.verdicts.tune import show, summary
from celery_recommender.client import Client
from celery_recommender.replaying import commands
from celery_recommender.settings import Settings
from recommender_engine.embedding import KNOWN_MODELS, ModelRegistry, RegisteredModel, identity_of
from recommender_engine.errors import ConfigurationError
from recommender_engine.items import CommandRejected, EntryId, ModelDropped, ModelPromoted, ModelProposed

_FEW = 500
"""Items that the switch itself embeds: those that have just arrived, of which there are always some."""
_Sending = Callable[[Client], EntryId]
_SENTENCES = {
    ModelProposed.type: "{model} is the second model of {collection!r}: {items:,} items to embed"
    " (recommender model status)",
    ModelPromoted.type: "{model} is the model of {collection!r}: the second one is {before}",
    ModelDropped.type: "{model} is no longer the second model of {collection!r}",
}


@click.group()
def model() -> None:
    """Change the model of a collection while its stream goes on.

    A registered model is proposed: the items are embedded by it beside the live model. Promoted, it decides what comes
    behind; the model of before stays the second one, so the way back is short. See docs/guide/models.md.

    \b
    recommender model add ./models/tuned --name tuned
    recommender model propose tuned --collection tickets
    recommender model status
    recommender model report --collection tickets
    recommender model promote --collection tickets
    recommender model rollback --collection tickets
    recommender model drop --collection tickets
    """


@model.command()
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", help="What it is to be called; by default the name of the directory.")
@json_option
def add(path: Path, name: str | None, *, as_json: bool) -> None:
    """Register the model in the directory PATH: check it, copy it, load it.

    It needs a tokenizer and weights in safetensors; a model that brings code of its own is refused. All processes that
    share the folder RECOMMENDER_MODELS_DIR find it at once.
    """
    settings = load_settings()
    registry, called = ModelRegistry(settings.registered_models), name or path.resolve().name
    if called in {*(one.name for one in KNOWN_MODELS), *(spec.partition("=")[0] for spec in settings.models)}:
        raise ConfigurationError(f"model {called!r} is known or declared by RECOMMENDER_MODELS: choose another --name")
    source = registry.copy(path, called)
    identity = catalogue(settings, source).encoder(called).identity
    found = RegisteredModel(
        name=called,
        files=dict(source.sha256),
        digest=identity.fingerprint,
        dimension=identity.dimension,
        max_tokens=identity.max_tokens,
    )
    registry.register(found)
    if as_json:
        print_json(_as_json(found))
    else:
        out.print(printable(f"{called} is registered: digest {found.digest}, {found.dimension} dimensions"))


@model.command("list")
@click.option("--check", is_flag=True, help="Look up the items that models were trained on: this reads collections.")
@json_option
def list_(*, check: bool, as_json: bool) -> None:
    """Show the registered models.

    With --check a model is stale when items that `recommender train` trained it on were deleted or erased since.
    """
    settings = load_settings()
    registry = ModelRegistry(settings.registered_models)
    found = list(registry.models().values())
    gone: dict[str, int | None] = {}
    if check:
        gone = {one.name: items_gone(settings, registry.directory / one.folder) for one in found}
    if as_json:
        print_json([{**_as_json(one), **({"items_gone": gone[one.name]} if check else {})} for one in found])
        return
    table = Table(box=None, pad_edge=False)
    for column in ("name", "digest", "dimensions", "tokens", *(("trained on",) if check else ())):
        table.add_column(column, no_wrap=True)
    for one in found:
        cells = [one.name, one.digest, str(one.dimension), str(one.max_tokens)]
        table.add_row(*map(printable, [*cells, _trained_on(gone[one.name])] if check else cells))
    out.print(table if found else "no registered models: recommender model add PATH")


@model.command()
@click.argument("name")
@click.option("--collection", default="default", show_default=True, help="Whose model is to change.")
@json_option
@click.pass_context
def propose(context: click.Context, name: str, collection: str, *, as_json: bool) -> None:
    """Embed the items of a collection by the model NAME, beside its live one.

    Nothing is decided by it yet. Proposed again, a model that stopped begins again where it stopped.
    """
    settings = load_settings()
    identity = identity_of(catalogue(settings), name)
    _send(
        context,
        settings,
        lambda client: client.propose_model(collection, name, identity.fingerprint),
        as_json=as_json,
    )


@model.command()
@click.option("--collection", default="default", show_default=True, help="Whose model is to change.")
@click.option("--now", is_flag=True, help="Also while more than 500 items have yet to be embedded: the stream waits.")
@json_option
@click.pass_context
def promote(context: click.Context, collection: str, *, now: bool, as_json: bool) -> None:
    """Switch a collection to its second model. Exit code 1 when the command is rejected."""
    settings = load_settings()
    second = _second(settings, collection)
    if second["previous"]:
        raise click.ClickException(
            f"no model is proposed: {second['model']} was the model of {collection!r} before the last switch,"
            " and the way back to it is recommender model rollback"
        )
    if second["stopped"]:
        raise click.ClickException(f"{second['model']} has stopped ({second['stopped']}): propose it again")
    if second["left"] > _FEW and not now:
        raise click.ClickException(
            f"{second['left']:,} items have yet to be embedded (recommender model status): wait, or promote --now"
        )
    named = _named(second)
    _send(context, settings, lambda client: client.promote_model(collection, *named), as_json=as_json)


@model.command()
@click.option("--collection", default="default", show_default=True, help="Whose model is to change back.")
@json_option
@click.pass_context
def rollback(context: click.Context, collection: str, *, as_json: bool) -> None:
    """Return a collection to the model of before the last switch. Exit code 1 when the command is rejected."""
    settings = load_settings()
    second = _second(settings, collection)
    if not second["previous"]:
        raise click.ClickException(
            f"there is no way back: {second['model']} is proposed for {collection!r} and was not its model before"
            " (recommender model drop takes the proposal back)"
        )
    named = _named(second)
    _send(context, settings, lambda client: client.promote_model(collection, *named), as_json=as_json)


@model.command()
@click.option("--collection", default="default", show_default=True, help="Whose second model goes.")
@json_option
@click.pass_context
def drop(context: click.Context, collection: str, *, as_json: bool) -> None:
    """Delete the second model of a collection with its vectors; behind a switch that is the model of before."""
    settings = load_settings()
    second = _second(settings, collection)
    named = _named(second)
    _send(context, settings, lambda client: client.drop_model(collection, *named), as_json=as_json)


@model.command()
@json_option
def status(*, as_json: bool) -> None:
    """Show the models of the collections, and how many items the second ones have yet to embed."""
    with owner_or_state(load_settings()) as ask:
        collections = ask(Stats)["collections"]
    found = {name: {"model": one["model"], "second_model": one["second_model"]} for name, one in collections.items()}
    if as_json:
        print_json(found)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("collection", "model", "second model", "to embed", "stopped"):
        table.add_column(column, no_wrap=True)
    for name, one in found.items():
        second = one["second_model"] or {"model": "", "left": "", "stopped": ""}
        cells = (name, one["model"] or "", second["model"], str(second["left"]), second["stopped"] or "")
        table.add_row(*map(printable, cells))
    out.print(table if found else "no collections")


@model.command()
@click.option("--collection", default="default", show_default=True, help="Whose second model.")
@click.option(
    "--last", default=1000, show_default=True, type=click.IntRange(1), help="Number of newest items to replay."
)
@json_option
def report(collection: str, last: int, *, as_json: bool) -> None:
    """Show which verdicts the second model of a collection would change, before it is promoted.

    The newest items are decided twice in memory, in order and at the times of their arrival, with people's answers:
    with the vectors of the live model and with those of the second one. The figures on answered pairs are of two more
    replays, which do not know the answers. Nothing is stored or published.
    """
    settings = load_settings()
    with progress_bar() as bar, owner_or_state(located(settings, collection)) as ask:
        fetching = bar.add_task("fetched", total=None)
        sides = both_sides(ask, collection, last, lambda count, total: bar.update(fetching, advance=count, total=total))
        task = bar.add_task("decided", total=2 * (commands(sides.now) + len(sides.now.items) + 1))
        advance = partial(bar.advance, task)
        now, then = replays(sides, advance, settings.message_rules)
        answered = [told(one, advance, settings.message_rules) for one in sides[:2]]
    kept = neighbours_kept(sides)
    if as_json:
        pairs = {name: one and one._asdict() for name, one in zip(("now", "then"), answered, strict=True)}
        found = summary(sides.now, sides.now.settings, now, then)
        print_json({**found, "left_out": sides.left_out, "neighbours_kept": kept, "answered_pairs": pairs})
        return
    show(sides.now, now, then)
    if kept is not None:
        out.print(f"of the ten nearest items {kept:.0%} stay")
    for name, one in zip(("now", "then"), answered, strict=True):
        if one is not None:
            figures = ", ".join(f"{key} {_figure(value)}" for key, value in one._asdict().items())
            out.print(f"answered pairs, {name}: {figures}")
    if sides.left_out:
        out.print(f"{sides.left_out:,} items were left out: they have yet to be embedded")


def _trained_on(gone: int | None) -> str:
    if gone is None:
        return "no collection"
    return f"stale: {gone:,} items are gone" if gone else "items that are all here"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _second(settings: Settings, collection: str) -> dict[str, Any]:
    """The second model of a collection, as the owner tells.

    Raises:
        ClickException: there is none.
    """
    found = owner_at_work(located(settings, collection))(Stats)["collections"].get(collection)
    second: dict[str, Any] | None = None if found is None else found["second_model"]
    if second is None:
        raise click.ClickException(f"{collection!r} has no second model: recommender model propose NAME")
    return second


def _named(second: dict[str, Any]) -> tuple[str, str]:
    """Name and digest of a model."""
    return second["name"], second["model"].rpartition("@")[2]


def _send(context: click.Context, settings: Settings, sending: _Sending, *, as_json: bool) -> None:
    """Send a command, and show the event that answers it."""
    client = Client(require_server(settings))
    try:
        event = outcome_of(client, sending(client))
    finally:
        client.close()
    data, rejected = event["data"], event["type"] == CommandRejected.type
    if as_json:
        print_json(data)
    else:
        sentence = "rejected: {message}" if rejected else _SENTENCES[event["type"]]
        out.print(printable(sentence.format(**data)))
    context.exit(1 if rejected else 0)


def _as_json(one: RegisteredModel) -> dict[str, Any]:
    return one.model_dump(mode="json", exclude={"files"})
