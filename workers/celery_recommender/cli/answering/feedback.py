"""``recommender feedback``: what people say of verdicts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from celery_recommender.celery.tasks.questions import Answers
from celery_recommender.cli.asking import owner_or_state, require_server
from celery_recommender.cli.common import collection_option, json_option, load_settings, out, print_json, printable
from celery_recommender.cli.input.sending import OwnerGone, outcome_of, wait_until_decided
from celery_recommender.cli.locating import located, point_to_collection
from celery_recommender.cli.output.event_lines import event_line, laid_out
from celery_recommender.client import Client
from recommender_engine.items import CommandIgnored, CommandRejected, EntryId, GroupChanged, ItemRevised

_COLUMNS = ("item_id", "other_id", "answer", "by", "at", "probability")
_CHANGES = {ItemRevised.type, GroupChanged.type}


@click.group()
def feedback() -> None:
    """Answer whether two items are the same thing, or whether a verdict is right.

    An answer is permanent, changes the groups at once, and trains the matcher of its collection. Exit code 1 when it
    contradicts earlier answers; the chain of these is shown.

    \b
    recommender feedback same T-17 T-4 --collection tickets --by jo
    recommender feedback different T-17 T-9 --collection tickets
    recommender feedback wrong T-17 --collection tickets
    recommender feedback export --collection tickets > answers.csv
    """


def _of_two(answer: str, help_: str) -> None:
    @feedback.command(answer, help=help_)
    @click.argument("one")
    @click.argument("other")
    @_options
    @click.pass_context
    def command(
        context: click.Context, one: str, other: str, collection: str, by: str | None, *, as_json: bool
    ) -> None:
        _give(context, one, answer, other, collection, by, as_json=as_json)


def _of_a_verdict(answer: str, help_: str) -> None:
    @feedback.command(answer, help=help_)
    @click.argument("item_id", metavar="ID")
    @_options
    @click.pass_context
    def command(context: click.Context, item_id: str, collection: str, by: str | None, *, as_json: bool) -> None:
        _give(context, item_id, answer, None, collection, by, as_json=as_json)


def _options(function: Any) -> Any:
    by = click.option("--by", metavar="NAME", help="Person who answers.")
    return collection_option(by(json_option(function)))


_of_two("same", "ONE and OTHER are the same thing.")
_of_two("different", "ONE and OTHER are different things.")
_of_two("unsure", "Withdraw the answer on ONE and OTHER.")
_of_a_verdict("right", "The `duplicate` verdict on the item with this ID is right.")
_of_a_verdict("wrong", "The `duplicate` verdict on the item with this ID is wrong.")


@feedback.command()
@collection_option
@json_option
def export(collection: str, *, as_json: bool) -> None:
    """Print all answers on the items of a collection, oldest first: CSV, or JSON."""
    with owner_or_state(located(load_settings(), collection)) as ask:
        answers = ask(Answers, collection=collection)
    rows = [{**answer, "at": _utc(answer["at_ms"])} for answer in answers]
    if as_json:
        print_json([{name: row[name] for name in _COLUMNS} for row in rows])
    else:
        click.echo(_csv(rows), nl=False)


def _give(
    context: click.Context,
    item_id: str,
    answer: str,
    other: str | None,
    collection: str,
    by: str | None,
    *,
    as_json: bool,
) -> None:
    client = Client(located(require_server(load_settings()), collection))
    after = client.last_event()
    position = client.feedback(item_id, answer, other, collection=collection, by=by)
    outcome = outcome_of(client, position)
    changes = _changes(client, position, after)
    client.close()
    if as_json:
        print_json({"outcome": outcome["data"], "changes": [{"type": one["type"], **one["data"]} for one in changes]})
    else:
        _show(outcome, changes)
    if outcome["type"] == CommandIgnored.type:
        point_to_collection(load_settings(), outcome["data"]["item_id"], collection)
    context.exit(1 if outcome["type"] in (CommandRejected.type, CommandIgnored.type) else 0)


def _changes(client: Client, position: EntryId, after: EntryId) -> list[dict[str, Any]]:
    """The consequences of the command: events behind its outcome, complete once the owner has decided it."""
    try:
        for _ in wait_until_decided(client, position):
            pass
    except OwnerGone:
        pass  # it was there a moment ago: show what it has published
    events = client.events_so_far(after)
    return [one for one in events if one["data"]["command"]["id"] == str(position) and one["type"] in _CHANGES]


def _show(outcome: Mapping[str, Any], changes: Sequence[Mapping[str, Any]]) -> None:
    data = outcome["data"]
    if outcome["type"] == CommandRejected.type:
        out.print(printable(f"rejected: {data['message']}"))
    elif outcome["type"] == CommandIgnored.type:
        out.print(printable(f"ignored: no item {data['item_id']!r} in collection {data['collection']!r}"))
    else:
        for event in (outcome, *changes):
            out.print(laid_out(event_line(event), out))
        if not changes:
            out.print("no verdict and no group had to change")


def _utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _csv(rows: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
