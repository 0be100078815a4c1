"""``recommender review``: the pairs that want a person, answered by one key each."""

from __future__ import annotations

import sys
from typing import Any, Literal

import click
from rich.console import Console
from rich.table import Table

from celery_recommender.celery.tasks.questions import Review
from celery_recommender.cli.answering.interview import read_key
from celery_recommender.cli.asking import Ask, owner_at_work, owner_or_state, require_server
from celery_recommender.cli.common import (
    after_option,
    collection_option,
    counted,
    json_option,
    load_settings,
    out,
    print_json,
    printable,
    tell_next,
)
from celery_recommender.cli.input.sending import outcome_of
from celery_recommender.cli.locating import located
from celery_recommender.cli.output.side_by_side import side_by_side
from celery_recommender.client import Client
from celery_recommender.texts import compared_text
from recommender_engine.items import FeedbackAccepted

_TEXT_SHOWN = 60
_FETCHED = 20
_ANSWERS = {"s": "same", "d": "different", "u": "unsure"}
_KEYS = {
    **dict.fromkeys(("s", "same"), "s"),
    **dict.fromkeys(("d", "different"), "d"),
    **dict.fromkeys(("u", "unsure"), "u"),
    **dict.fromkeys(("k", "skip"), "k"),
    **dict.fromkeys(("z", "undo"), "z"),
    **dict.fromkeys(("q", "quit", "end"), "q"),
}
_PROMPT = "s same, d different, u unsure, k skip, z undo, q end: "

Ending = Literal["nothing_left", "quit"]


@click.command()
@collection_option
@click.option(
    "--order",
    default="worth",
    show_default=True,
    type=click.Choice(["worth", "probability", "arrival"]),
    help="What comes first: worth of an answer, stated probability, latest.",
)
@click.option("--by", metavar="NAME", help="Person who answers.")
@click.option("--list", "only_list", is_flag=True, help="List the pairs instead of asking.  [default: off a terminal]")
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1, 100), help="Maximum number of pairs listed."
)
@after_option
@json_option
def review(
    collection: str, order: str, by: str | None, limit: int, after: str | None, *, only_list: bool, as_json: bool
) -> None:
    """Answer the pairs of a collection that want a person: those in `review` that no answer settles.

    Two texts are shown side by side, as they are compared, with the differences marked. One key answers: the answer is
    a command like those of `recommender feedback`, holds for ever and trains the matcher. The pair on which an answer
    is worth most comes first. Stop and continue at any time; a worker has to run.

    \b
    s  the same thing      u  unsure: withdraws an answer, the pair stays      z  undo the last answer
    d  different things    k  skip, ask another time                           q  quit

    With --list or --json, or where the input is no terminal, the pairs are listed.

    \b
    recommender review --collection tickets --by jo
    recommender review --collection tickets --list --order probability
    """
    settings = located(load_settings(), collection)
    if only_list or as_json or not sys.stdin.isatty():
        with owner_or_state(settings) as ask:
            _list(ask, collection, order, limit, after, as_json=as_json)
        return
    client = Client(located(require_server(load_settings()), collection))
    try:
        session = ReviewSession(owner_at_work(settings), client, collection, order, by)
        session.hold(out)
    finally:
        client.close()


class ReviewSession:
    """Asks about pair after pair until nothing is left, or it is ended. Every answer is a command.

    Args:
        ask: sends questions to the owner.
        client: sends the answers.
        collection: of the pairs.
        order: in which they come.
        by: name of the person who answers.
    """

    def __init__(self, ask: Ask, client: Client, collection: str, order: str, by: str | None) -> None:
        self._ask = ask
        self._client = client
        self._collection = collection
        self._order = order
        self._by = by
        self._place: str | None = None
        self._given: list[tuple[dict[str, Any], str]] = []
        self._passed: set[tuple[str, str]] = set()
        self._again: dict[str, Any] | None = None

    def hold(self, console: Console) -> Ending:
        """Ask; what ended it.

        Raises:
            ClickException: there is no such collection, or no worker.
        """
        ending: Ending | None = None
        while ending is None:
            pair = self._again or self._next()
            ending = "nothing_left" if pair is None else self._answer(pair, console)
        if ending == "nothing_left":
            console.print(
                f"nothing is left to answer, but for {counted(len(self._passed), 'pair')} that you passed over"
            )
        same = sum(answer == "same" for _, answer in self._given)
        console.print(f"{counted(len(self._given), 'answer')} given, {same:,} of them the same thing")
        return ending

    def _next(self) -> dict[str, Any] | None:
        """The first pair that was not passed over; asked anew each time, because an answer can settle others."""
        while True:
            page = _page(self._ask, self._collection, self._order, _FETCHED, self._place)
            unseen = (pair for pair in page["pairs"] if _ids(pair) not in self._passed)
            if (pair := next(unseen, None)) is not None or page["next"] is None:
                return pair
            self._place = page["next"]

    def _answer(self, pair: dict[str, Any], console: Console) -> Ending | None:
        """Show a pair and take one key."""
        console.print()
        names = f"{pair['item']['id']} ({pair['probability']:.2f})", str(pair["other"]["id"])
        console.print(side_by_side(*_texts(pair), names, console))
        console.print(printable("; ".join(reason["text"] for reason in pair["reasons"])), style="dim")
        key = read_key(console, _KEYS, _PROMPT)
        if key == "q":
            return "quit"
        if key == "z":
            self._undo(console)
            return None
        self._again = None
        if key == "k" or not self._sent(pair, _ANSWERS[key], console) or key == "u":
            self._passed.add(_ids(pair))
        else:
            self._given.append((pair, _ANSWERS[key]))
        return None

    def _undo(self, console: Console) -> None:
        if not self._given:
            console.print("nothing to undo: no answer was given in this session")
            return
        pair, _ = self._given.pop()
        self._sent(pair, "unsure", console)
        self._again = pair

    def _sent(self, pair: dict[str, Any], answer: str, console: Console) -> bool:
        """Send an answer and wait for its outcome; whether it was taken."""
        item, other = _ids(pair)
        position = self._client.feedback(item, answer, other, collection=self._collection, by=self._by)
        outcome = outcome_of(self._client, position)
        if outcome["type"] == FeedbackAccepted.type:
            return True
        console.print(printable(f"not taken: {outcome['data'].get('message', 'one of the two is gone')}"))
        return False


def _list(ask: Ask, collection: str, order: str, limit: int, after: str | None, *, as_json: bool) -> None:
    page = _page(ask, collection, order, limit, after)
    if as_json:
        print_json(page)
        return
    if not page["pairs"]:
        out.print("no pair wants an answer" if page["next"] is None else "no pair among those looked at")
    else:
        table = Table(box=None, pad_edge=False)
        for heading in ("p", "item", "may repeat", "text", "its text"):
            table.add_column(heading, no_wrap=heading in ("p", "item", "may repeat"))
        for pair in page["pairs"]:
            sides = pair["item"], pair["other"]
            texts = (printable(" ".join(text.split())[:_TEXT_SHOWN]) for text in _texts(pair))
            table.add_row(f"{pair['probability']:.2f}", *(printable(side["id"]) for side in sides), *texts)
        out.print(table)
    tell_next(page["next"])


def _page(ask: Ask, collection: str, order: str, limit: int, after: str | None) -> dict[str, Any]:
    page: dict[str, Any] | None = ask(Review, collection=collection, order=order, after=after, limit=limit)
    if page is None:
        raise click.ClickException(f"there is no collection {collection!r}")
    return page


def _texts(pair: dict[str, Any]) -> tuple[str, str]:
    """What is compared of the two: without markup, quotations and signatures."""
    one, other = (compared_text(side) for side in (pair["item"], pair["other"]))
    return one, other


def _ids(pair: dict[str, Any]) -> tuple[str, str]:
    return pair["item"]["id"], pair["other"]["id"]
