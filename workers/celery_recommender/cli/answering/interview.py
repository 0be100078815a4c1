"""Asks about pairs on a terminal, one after another."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import click
from rich.console import Console

from celery_recommender.celery.tasks.questions import MOST_ASKED, Calibrate
from celery_recommender.cli.asking import Ask
from celery_recommender.cli.common import counted, printable
from celery_recommender.cli.input.sending import outcome_of
from celery_recommender.cli.output.measured import told_of_closed, verdict_in_words
from celery_recommender.cli.output.side_by_side import side_by_side
from celery_recommender.client import Client
from recommender_engine.items import FeedbackAccepted

Ending = Literal["open", "out_of_reach", "nothing_to_ask", "limit", "quit"]

_ANSWERS = {"y": "same", "n": "different"}
_KEYS = {
    **dict.fromkeys(("y", "yes", "same"), "y"),
    **dict.fromkeys(("n", "no", "different"), "n"),
    **dict.fromkeys(("s", "skip", "unsure"), "s"),
    **dict.fromkeys(("u", "undo"), "u"),
    **dict.fromkeys(("q", "quit", "end"), "q"),
}
_PROMPT = "same thing? y yes, n no, s skip, u undo, q end: "


class Given(NamedTuple):
    """An answer of this session.

    Attributes:
        pair: as it was proposed.
        answer: ``same`` or ``different``.
    """

    pair: dict[str, Any]
    answer: str


class Interview:
    """Asks until the band is open, or it is ended. Every answer is a command; nothing else is kept.

    Args:
        ask: sends questions to the owner, which proposes the pairs.
        client: sends the answers.
        collection: of the pairs.
        kind: of text; ``None`` leaves it to the owner.
        by: name of the person who answers.
        console: where pairs are shown.
    """

    def __init__(
        self, ask: Ask, client: Client, collection: str, kind: str | None, by: str | None, console: Console
    ) -> None:
        self._ask = ask
        self._client = client
        self._collection = collection
        self._kind = kind
        self._by = by
        self._console = console
        self._given: list[Given] = []
        self._passed: set[tuple[str, str]] = set()
        self._again: dict[str, Any] | None = None

    def hold(self, limit: int | None) -> dict[str, Any]:
        """Ask; returns the result, for programs.

        Args:
            limit: end after this many answers; ``None``: when the band is open, or out of reach.

        Raises:
            ClickException: there is no such collection, or no worker.
        """
        while True:
            found = self._propose()
            pair = self._next(found)
            ending = self._ending(found, pair, limit)
            if ending is None and pair is not None:
                ending = self._answer(found, pair)
            if ending is not None:
                break
        found = self._propose()
        self._tell(ending, found)
        return {
            "collection": self._collection,
            "ended": ending,
            "answers": [
                {"item_id": one.pair["item_id"], "other_id": one.pair["other_id"], "answer": one.answer}
                for one in self._given
            ],
            "skipped": len(self._passed),
            **{name: value for name, value in found.items() if name not in {"pairs", "collection"}},
        }

    def _propose(self) -> dict[str, Any]:
        found = proposed(self._ask, self._collection, self._kind, min(1 + len(self._passed), MOST_ASKED))
        if found["promise"] is not None:
            self._kind = found["promise"]["kind"]
        return found

    def _next(self, found: dict[str, Any]) -> dict[str, Any] | None:
        if self._again is not None:
            return self._again
        unseen = (pair for pair in found["pairs"] if (pair["item_id"], pair["other_id"]) not in self._passed)
        return next(unseen, None)

    def _ending(self, found: dict[str, Any], pair: dict[str, Any] | None, limit: int | None) -> Ending | None:
        if limit is not None and len(self._given) >= limit:
            return "limit"
        promise = found["promise"]
        if promise is not None and limit is None and self._again is None:
            if promise["measured"]:
                return "open"
            if found["out_of_reach"]:
                return "out_of_reach"
        return "nothing_to_ask" if pair is None else None

    def _answer(self, found: dict[str, Any], pair: dict[str, Any]) -> Ending | None:
        """Show a pair and take one key."""
        self._console.print()
        self._console.print(verdict_in_words(found))
        names = f"{pair['item_id']} (stated {pair['probability']:.2f})", str(pair["other_id"])
        self._console.print(side_by_side(pair["text"], pair["other_text"], names, self._console))
        key = read_key(self._console)
        if key == "q":
            return "quit"
        if key == "u":
            self._undo()
        elif key == "s":
            self._again = None
            self._passed.add((pair["item_id"], pair["other_id"]))
        else:
            self._again = None
            self._give(pair, _ANSWERS[key])
        return None

    def _give(self, pair: dict[str, Any], answer: str) -> None:
        if self._sent(pair, answer):
            self._given.append(Given(pair, answer))
        else:
            self._passed.add((pair["item_id"], pair["other_id"]))

    def _undo(self) -> None:
        if not self._given:
            self._console.print("nothing to undo: no answer was given in this session")
            return
        last = self._given.pop()
        self._sent(last.pair, "unsure")
        self._again = last.pair

    def _sent(self, pair: dict[str, Any], answer: str) -> bool:
        """Send an answer and wait for its outcome; whether it was taken."""
        position = self._client.feedback(
            pair["item_id"], answer, pair["other_id"], collection=self._collection, by=self._by
        )
        outcome = outcome_of(self._client, position)
        if outcome["type"] == FeedbackAccepted.type:
            return True
        self._console.print(printable(f"not taken: {outcome['data'].get('message', 'one of the two is gone')}"))
        return False

    def _tell(self, ending: Ending, found: dict[str, Any]) -> None:
        self._console.print()
        same = sum(one.answer == "same" for one in self._given)
        self._console.print(f"{counted(len(self._given), 'answer')} given, {same:,} of them the same thing")
        if found["promise"] is not None:
            self._console.print(verdict_in_words(found))
        if ending == "out_of_reach":
            self._console.print(
                "the answers say that the precision is not there: the band stays closed. A lower target_precision may"
                " be kept (recommender tune); --limit asks on all the same"
            )
        if ending == "nothing_to_ask" and found["promise"] is None and not found["closed"]:
            self._console.print("the target precision is measured for every kind of text; --kind with --limit asks on")
        elif ending == "nothing_to_ask":
            self._console.print("no pair is left that is likely enough to be asked about")
        if found["closed"]:
            self._console.print(f"closed besides: {told_of_closed(found['closed'])}")


def read_key(console: Console, keys: Mapping[str, str] = _KEYS, prompt: str = _PROMPT) -> str:
    """One of the keys: pressed at a terminal, or a line with it or its word elsewhere; the end of the input is `q`.

    Args:
        console: where the prompt is shown.
        keys: each by what may be typed for it.
        prompt: it.
    """
    while True:
        console.print(prompt, end="")
        typed = _pressed(console) if sys.stdin.isatty() else _line(console)
        if (key := keys.get(typed.strip().lower())) is not None:
            return key
        *others, last = dict.fromkeys(keys.values())
        console.print(f"press {', '.join(others)} or {last}")


def _pressed(console: Console) -> str:
    try:
        typed: str = click.getchar()
    except EOFError:  # Ctrl-D
        typed = "q"
    console.print(printable(typed))
    return typed


def _line(console: Console) -> str:
    line = sys.stdin.buffer.readline()
    console.print()
    return line.decode(errors="replace") if line else "q"


def proposed(ask: Ask, collection: str, kind: str | None, limit: int) -> dict[str, Any]:
    """What there is to ask.

    Raises:
        ClickException: there is no such collection.
    """
    found: dict[str, Any] | None = ask(Calibrate, collection=collection, kind=kind, limit=limit)
    if found is None:
        raise click.ClickException(f"there is no collection {collection!r}")
    return found
