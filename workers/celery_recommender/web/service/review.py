"""The review queue: the next pair that nobody else has, answers, and the way back."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from celery_recommender.texts import compared_text
from celery_recommender.web.service.claims import Claims, Given, Held, Pair
from celery_recommender.web.service.service import Service

_PAGE, _MOST_PAGES = 50, 20


class Side(NamedTuple):
    """One of the two texts of a card: the text is the one that reasons speak of."""

    id: str
    text: str


class Effect(NamedTuple):
    """What ``same`` would change: two groups become one.

    Attributes:
        size: items of the later group, which all would repeat another item then; 1,000 stands for more too.
        other_size: items of the earlier group.
        original: the item that they would repeat.
    """

    size: int
    other_size: int
    original: str


class Card(NamedTuple):
    """A pair that a person is asked about.

    Attributes:
        pair: its ids.
        one, other: what they say; ``one`` is the later one.
        probability: that they are the same thing.
        reasons: of the verdict.
        effect: of the answer ``same``; ``None``: they are in one group already.
        key: names the answer, so that it counts once.
    """

    pair: Pair
    one: Side
    other: Side
    probability: float
    reasons: list[dict[str, Any]]
    effect: Effect | None
    key: str

    @property
    def apart(self) -> bool:
        """Whether they are in two groups now."""
        return self.effect is not None


class Reviewer(NamedTuple):
    """Who answers, and in which browser."""

    browser: str
    name: str


class ReviewService:
    """Gives out pairs and takes answers.

    Args:
        service: asks and sends.
        claims: on pairs.
    """

    def __init__(self, service: Service, claims: Claims) -> None:
        self._service = service
        self.claims = claims

    def next_card(self, collection: str, order: str, who: Reviewer) -> Card | None:
        """The first pair that is free and was not skipped here, claimed; ``None``: there is none.

        Raises:
            OwnerAway: nobody can be asked.
        """
        after: str | None = None
        skipped = self.claims.skipped(who.browser)
        for _ in range(_MOST_PAGES):
            page = self._service.ask(
                "recommender.review", collection=collection, order=order, after=after, limit=_PAGE
            ) or {"pairs": [], "next": None}
            found = {Pair(collection, one["item"]["id"], one["other"]["id"]): one for one in page["pairs"]}
            wanted = [pair for pair in found if pair.name not in skipped]
            for pair in self.claims.available(wanted, who.browser):
                if self.claims.claim(pair, who.browser, who.name):
                    return _card(pair, found[pair])
            after = page["next"]
            if after is None:
                return None
        return None

    def card_of(self, pair: Pair) -> Card | None:
        """The card of a pair that is not in the queue now; ``None``: one of the two is gone."""
        views = self._service.items([pair.one, pair.other], pair.collection)
        if len(views) < 2:
            return None
        ids = ({"id": pair.one}, {"id": pair.other})
        verdict = self._service.ask("recommender.compare", *ids, collection=pair.collection)
        one, other = (Side(id_, compared_text(views[id_])) for id_ in (pair.one, pair.other))
        groups = [self._service.ask("recommender.group", id_, collection=pair.collection, limit=1) for id_ in pair[1:]]
        effect = _effect(*groups) if all(groups) else None
        return Card(pair, one, other, verdict["probability"], verdict["reasons"], effect, _key())

    def taken(self, pair: Pair, who: Reviewer) -> Held | None:
        """Who has a pair or has answered it; ``None``: it is this reviewer's to answer, claimed again if need be."""
        held = self.claims.held(pair, who.browser)
        if held.state == "free" and not self.claims.claim(pair, who.browser, who.name):
            held = self.claims.held(pair, who.browser)
        return None if held.state in {"free", "mine"} else held

    def answer(self, given: Given, who: Reviewer, key: str) -> dict[str, Any] | None:
        """Send an answer on a claimed pair; its outcome, ``None`` while it waits for its owner."""
        pair = given.pair
        outcome = self._send(pair, given.answer, who, key)
        if outcome is None or outcome["type"].endswith("feedback.accepted.v1"):
            self.claims.answered(pair, who.browser, who.name)
            self.claims.remember(given, who.browser)
        else:
            self.claims.skip(pair, who.browser)
        return outcome

    def _send(self, pair: Pair, answer: str, who: Reviewer, key: str) -> dict[str, Any] | None:
        return self._service.answer(pair.one, answer, pair.other, pair.collection, who.name, f"web/{key}")

    def undo(self, who: Reviewer, sees: Callable[[str], bool]) -> Card | None:
        """Take the last answer of this browser back; the card of its pair, ``None``: there is nothing to take back.

        Args:
            who: the reviewer.
            sees: which collections the reviewer may see now.

        Raises:
            OwnerAway: the answer is taken back, and nobody can be asked for the card.
            RedisError: it may be taken back in part; to try again takes back the rest.
        """
        kept = self.claims.last_given(who.browser)
        if kept is None:
            return None
        pair = kept.given.pair
        if not sees(pair.collection):
            self.claims.forget(kept, who.browser)
            return None
        for step, answer in enumerate(steps_back(kept.given)):
            self._send(pair, answer, who, f"{kept.name}{step}")
        self.claims.forget(kept, who.browser)
        self.claims.free(pair)
        self.claims.claim(pair, who.browser, who.name)
        return self.card_of(pair)


def steps_back(given: Given) -> tuple[str, ...]:
    """Answers that undo one. To withdraw it changes no group, so what it has joined is parted, and the reverse."""
    if given.answer == "unsure":
        return ()
    if given.apart == (given.answer == "different"):
        return ("unsure",)
    return "unsure", "different" if given.apart else "same", "unsure"


def _card(pair: Pair, found: dict[str, Any]) -> Card:
    one, other = (Side(found[name]["id"], compared_text(found[name])) for name in ("item", "other"))
    item, match = found["item"], found["other"]
    effect = None
    if item["group"] != match["group"]:
        effect = Effect(item["group_size"], match["group_size"], match["duplicate_of"] or match["id"])
    return Card(pair, one, other, found["probability"], found["reasons"], effect, _key())


def _effect(group: dict[str, Any], other: dict[str, Any]) -> Effect | None:
    """Of two groups as `recommender.group` answers them, with their earliest members."""
    if group["group"] == other["group"]:
        return None
    earlier, later = sorted((group, other), key=lambda one: one["members"][0]["arrived_at"])
    return Effect(later["size"], earlier["size"], earlier["members"][0]["id"])


def _key() -> str:
    return secrets.token_hex(16)
