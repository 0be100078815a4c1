"""The verdict on two items that are asked about: alone, or in the stream of a collection, as on one that arrives."""

from __future__ import annotations

from typing import Literal, NamedTuple

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import Band, Item, ItemKey, PairVerdict, Reason
from recommender_engine.matching import Candidate, Comparable
from recommender_engine.pipeline.arrival.arrivals import Arrivals
from recommender_engine.pipeline.candidates.compared_texts import ComparedTexts
from recommender_engine.pipeline.candidates.search import CandidateSearch, Counterpart
from recommender_engine.pipeline.candidates.subject import Subject
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.dedup.current_verdicts import SAYS_NOTHING
from recommender_engine.pipeline.dedup.judging import Judging
from recommender_engine.pipeline.lexical.words import Words
from recommender_engine.pipeline.vectors.embedding_step import Embedded, EmbeddingStep, says_the_same
from recommender_engine.pipeline.vectors.nearest_points import similarities
from recommender_engine.pipeline.vectors.overlay import CollectionOverlay
from recommender_engine.policy import Dated, allows, means_nothing, restricts
from recommender_engine.store import Collection, ItemText, Member, SqliteStore, StoredItem

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


class _Side(NamedTuple):
    """One of the two.

    Attributes:
        subject: the item, with its arrival number if it is stored.
        member: the stored item, if it is one.
    """

    subject: Subject
    member: Member | None = None

    @property
    def seq(self) -> float:
        """An item that is not stored comes after all that are."""
        return float("inf") if self.member is None else self.member.seq


class Comparing:
    """Judges pairs that are asked about. Nothing is stored."""

    def __init__(
        self,
        store: SqliteStore,
        embedding: EmbeddingStep,
        compared_texts: ComparedTexts,
        collections: Collections,
        words: Words,
        search: CandidateSearch,
        arrivals: Arrivals,
        judging: Judging,
    ) -> None:
        self._store = store
        self._embedding = embedding
        self._compared_texts = compared_texts
        self._collections = collections
        self._words = words
        self._search = search
        self._arrivals = arrivals
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
        mine, theirs = self._embed(one, one.collection), self._embed(other, one.collection)
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
        sides = self._side(one, collection), self._side(other, collection)
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
        return _compared(self._verdict(collection, later, earlier, similarity), "in the stream")

    def _verdict(self, collection: Collection, later: _Side, earlier: _Side, similarity: float) -> PairVerdict:
        if later.member is not None and earlier.member is not None:
            stored = self._store.items.by_seq([later.member.seq])[later.member.seq].verdict
            if stored.pair is not None and stored.matched_seq == earlier.member.seq:
                return stored.pair
        if earlier.member is not None:
            return self._among(collection, later, earlier, Counterpart(earlier.member), similarity)
        seq, subject = self._store.items.next_seq(), earlier.subject
        text = ItemText(subject.item, subject.fingerprint, _NOWHERE, subject.at_ms)
        counterpart = Counterpart(Member(seq, subject.item.id, _NOWHERE, ""), text, subject.vector)
        with self._words.supposed(collection.id, subject.item):
            return self._among(collection, later, earlier, counterpart, similarity)

    def _among(
        self, collection: Collection, later: _Side, earlier: _Side, counterpart: Counterpart, similarity: float
    ) -> PairVerdict:
        """The verdict on the later one and the earlier, judged among the candidates of the later."""
        subject = later.subject
        if not collection.settings.compares_texts:  # no other candidate counts
            pair = self._judging.pair(
                _comparable(later), Candidate(_comparable(earlier), similarity), collection.settings
            )
            return self._arrivals.verdict_on_arrival(collection, subject, counterpart, pair, None)
        candidates = self._search.find(collection, subject, CollectionOverlay(), counterpart=counterpart)
        pair, judged = self._arrivals.judged(collection, subject, counterpart, candidates)
        return self._arrivals.verdict_on_arrival(collection, subject, counterpart, pair, candidates.twin, judged)

    def _side(self, asked: Item | ItemKey, collection: Collection) -> _Side:
        row = self._store.items.get(collection.id, asked.id, collection.hidden_ms)
        if not isinstance(asked, Item):
            if row is None:
                raise InvalidCommand("invalid_value", f"there is no item {asked.id!r} in {collection.name!r}", "id")
            return self._stored(row, collection) or self._new(self._embed(row.item, collection.name))
        embedded = self._embed(asked, collection.name)
        if row is not None and says_the_same(row, embedded, self._store):
            return self._stored(row, collection) or self._new(embedded)
        return self._new(embedded)

    def _stored(self, row: StoredItem, collection: Collection) -> _Side | None:
        """A stored item, unless another text of it would be compared now."""
        if not self._compared_texts.is_current(collection, row.seq):
            return None
        vector = self._store.vectors.get(row.vector)
        subject = Subject(row.compared, row.fingerprint, vector, row.at_ms, row.seq)
        return _Side(subject, Member(row.seq, row.item.id, row.point, row.group))

    def _new(self, embedded: Embedded) -> _Side:
        return _Side(Subject(embedded.compared, embedded.fingerprint, embedded.vector, self._store.clock_ms))

    def _embed(self, item: Item, collection: str) -> Embedded:
        item = item.model_copy(update={"collection": collection})
        return self._embedding.embed_question(item, self._collections.settings(collection))


def _in_collection(one: Item | ItemKey, name: str) -> Item:
    if not isinstance(one, Item):
        raise InvalidCommand("invalid_value", f"there is no item {one.id!r} in {name!r}", "id")
    return one.model_copy(update={"collection": name})


def _comparable(side: _Side) -> Comparable:
    return Comparable(side.subject.item, side.subject.fingerprint)


def _compared(pair: PairVerdict, view: View) -> ComparedPair:
    return ComparedPair(**dict(pair), view=view)


def _unjudged(why: Reason, similarity: float, view: View) -> ComparedPair:
    return ComparedPair(
        band=Band.NEW, probability=0.0, similarity=similarity, reasons=(why,), explanation=why.text, view=view
    )
