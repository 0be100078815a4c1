"""The verdict on two items that are asked about: alone, or in the stream of a collection, as on one that arrives."""

from __future__ import annotations

from typing import Literal

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import Band, Item, ItemKey, PairVerdict, Reason
from recommender_engine.matching import Candidate, Comparable
from recommender_engine.pipeline.candidates.search import Counterpart
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.dedup.current_verdicts import SAYS_NOTHING
from recommender_engine.pipeline.dedup.item_verdicts import ItemVerdicts
from recommender_engine.pipeline.dedup.judging import Judging
from recommender_engine.pipeline.lexical.words import Words
from recommender_engine.pipeline.queries.asked_items import AskedItem, AskedItems
from recommender_engine.pipeline.vectors.nearest_points import similarities
from recommender_engine.policy import Dated, allows, means_nothing, restricts
from recommender_engine.store import Collection, ItemText, Member, SqliteStore

KEPT_APART = Reason(
    code="not_compared", text="by its settings (equal, only, window, min_length) the collection compares no such pair"
)

_NOWHERE = -1  # a point, and the row of a vector, that no stored item has

View = Literal["alone", "in the stream"]


class ComparedPair(PairVerdict):
    """The verdict on two items that were asked about.

    Attributes:
        view: ``alone``: the two and nothing else; ``in the stream``: among the candidates that the later one has in
            its collection when it arrives, as a worker judges it.
    """

    view: View


class Comparing:
    """Judges pairs that are asked about. Nothing is stored."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        asked_items: AskedItems,
        words: Words,
        verdicts: ItemVerdicts,
        judging: Judging,
    ) -> None:
        self._store = store
        self._collections = collections
        self._asked_items = asked_items
        self._words = words
        self._verdicts = verdicts
        self._judging = judging

    def compare(self, one: Item | ItemKey, other: Item | ItemKey, collection: str | None) -> ComparedPair:
        """The verdict on two items, with its reasons; it says which view of them it is.

        Args:
            one: what it says; or, with a collection, the key of one that is stored there.
            other: the same.
            collection: in which ``one`` arrives after ``other``, see ``in_stream``; without, they are judged ``alone``.

        Raises:
            InvalidCommand: an item is named by its key and not there; a text is empty or a vector has the wrong
                dimension.
        """
        if collection is not None:
            return self.in_stream(one, other, collection)
        if not isinstance(one, Item) or not isinstance(other, Item):
            raise InvalidCommand(
                "invalid_value", "stored items are compared in their collection: name it", "collection"
            )
        return self.alone(one, other)

    def alone(self, one: Item, other: Item) -> ComparedPair:
        """The verdict on two items and nothing else, under the settings of the collection of ``one``.

        Raises:
            InvalidCommand: a text is empty or a vector has the wrong dimension.
        """
        embed = self._asked_items.embed
        mine, theirs = embed(one, one.collection), embed(other, one.collection)
        similarity = float(similarities(mine.vector, theirs.vector[None])[0])
        settings = self._collections.settings(one.collection)
        if means_nothing(settings, mine.compared) or means_nothing(settings, theirs.compared):
            return _unjudged(SAYS_NOTHING, similarity, "alone")
        pair = self._judging.pair(
            Comparable(mine.compared, mine.fingerprint),
            Candidate(Comparable(theirs.compared, theirs.fingerprint), similarity),
            settings,
        )
        return _compared(pair, "alone")

    def in_stream(self, one: Item | ItemKey, other: Item | ItemKey, name: str) -> ComparedPair:
        """The verdict on the later of two items and the earlier one in a collection.

        An item that is stored under its id with the same text keeps its arrival; else ``one`` arrives now and ``other``
        just before it. For two stored ones it is the stored verdict, if that is about the other, and else the verdict
        of now on the later one among those that came before it. Where there is no such collection, the two are judged
        alone.

        Raises:
            InvalidCommand: an item that is named by its id alone is not there; the two are the same item; a text is
                empty or a vector has the wrong dimension.
        """
        collection = self._collections.find(name)
        if collection is None or collection.model is None:
            return self.alone(_in_collection(one, name), _in_collection(other, name))
        sides = self._asked_items.of(one, collection), self._asked_items.of(other, collection)
        earlier, later = sorted(sides, key=lambda side: side.seq) if sides[0].member else (sides[1], sides[0])
        similarity = float(similarities(later.subject.vector, earlier.subject.vector[None])[0])
        if sides[0].member is not None and sides[0].member == sides[1].member:
            raise InvalidCommand("invalid_value", "the two are one item of the collection", "id")
        settings = collection.settings
        if any(means_nothing(settings, side.subject.item) for side in sides):
            return _unjudged(SAYS_NOTHING, similarity, "in the stream")
        dated = [Dated(side.subject.item, side.subject.at_ms) for side in (later, earlier)]
        if restricts(settings) and not allows(settings, *dated):
            return _unjudged(KEPT_APART, similarity, "in the stream")
        return _compared(self._verdict(collection, later, earlier), "in the stream")

    def _verdict(self, collection: Collection, later: AskedItem, earlier: AskedItem) -> PairVerdict:
        if later.member is not None and earlier.member is not None:
            stored = self._store.items.by_seq([later.member.seq])[later.member.seq].verdict
            if stored.pair is not None and stored.matched_seq == earlier.member.seq:
                return stored.pair
        if earlier.member is not None:
            counterpart = Counterpart(earlier.member)
            return self._verdicts.on_pair(collection, later.subject, earlier.subject, counterpart)
        seq, subject = self._store.items.next_seq(), earlier.subject
        text = ItemText(subject.item, subject.fingerprint, _NOWHERE, subject.at_ms)
        counterpart = Counterpart(Member(seq, subject.item.id, _NOWHERE, ""), text, subject.vector)
        with self._words.supposed(collection.id, subject.item):
            return self._verdicts.on_pair(collection, later.subject, subject, counterpart)


def _in_collection(one: Item | ItemKey, name: str) -> Item:
    if not isinstance(one, Item):
        raise InvalidCommand("invalid_value", f"there is no item {one.id!r} in {name!r}", "id")
    return one.model_copy(update={"collection": name})


def _compared(pair: PairVerdict, view: View) -> ComparedPair:
    return ComparedPair(**dict(pair), view=view)


def _unjudged(why: Reason, similarity: float, view: View) -> ComparedPair:
    return ComparedPair(
        band=Band.NEW, probability=0.0, similarity=similarity, reasons=(why,), explanation=why.text, view=view
    )
