"""From a request to what it names: options of its scenario, vectors of its examples, a profile, what is left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recommender_engine.errors import InvalidCommand
from recommender_engine.items import Item
from recommender_engine.items.commands import validate
from recommender_engine.items.list_request import ListExample, ListRequest
from recommender_engine.pipeline.candidates.filtering import Filters, Survivors
from recommender_engine.pipeline.candidates.item_vectors import ItemVectors
from recommender_engine.pipeline.candidates.nearby import AllItems, Nearby, PassingItems
from recommender_engine.pipeline.candidates.search import CandidateSearch
from recommender_engine.pipeline.collections import Collections
from recommender_engine.pipeline.recommend.fatigue import key_of
from recommender_engine.pipeline.recommend.resolved_request import Example, ResolvedRequest
from recommender_engine.pipeline.vectors.embedding_step import EmbeddingStep, Vector
from recommender_engine.recommend.behaviour import Profile
from recommender_engine.recommend.exposure import arm_of
from recommender_engine.recommend.filters import parse
from recommender_engine.recommend.weights import served
from recommender_engine.store import Collection, SqliteStore


class RequestResolver:
    """Reads what a request names from the committed state."""

    def __init__(
        self,
        store: SqliteStore,
        collections: Collections,
        embedding: EmbeddingStep,
        item_vectors: ItemVectors,
        search: CandidateSearch,
        filters: Filters,
    ) -> None:
        self._store = store
        self._collections = collections
        self._embedding = embedding
        self._item_vectors = item_vectors
        self._search = search
        self._filters = filters

    def resolve(self, request: ListRequest) -> ResolvedRequest | None:
        """The request with what it names; ``None`` when its item or its collection is not there.

        Raises:
            InvalidCommand: the filter is wrong, a text is empty, a vector has another dimension than the collection's
                model, or the collection has no such scenario.
        """
        collection = self._collections.find(request.collection)
        return None if collection is None else self._resolved(collection, request)

    def _resolved(self, collection: Collection, named: ListRequest) -> ResolvedRequest | None:
        request, arm = _with_scenario(collection, named)
        survivors = None if request.filter is None else self._filters.survivors(collection, parse(request.filter))
        like = tuple(self._examples(collection, _liked(request)))
        if request.item is not None and not like:
            return None
        profile = self._profile(collection, request)
        used = {} if profile is None else self._store.behaviour.used_items(profile.items)
        return ResolvedRequest(
            request=request,
            collection=collection,
            now_ms=self._store.clock_ms,
            nearby=self._nearby(collection, survivors),
            survivors=survivors,
            among=survivors,
            like=like,
            unlike=tuple(
                self._examples(collection, {f"unlike.{place}": one for place, one in enumerate(request.unlike)})
            ),
            profile=profile,
            used=used,
            left_out=self._left_out(collection, request, like, profile),
            arm=arm,
            serving=served(self._store.list_weights.of(collection.id)),
        )

    def _nearby(self, collection: Collection, survivors: Survivors | None) -> Nearby:
        if survivors is None:
            return AllItems(self._store, self._search, collection)
        points = self._filters.points(collection, collection.dimension or 1, survivors)
        return PassingItems(self._store, points, survivors)

    def _examples(self, collection: Collection, named: dict[str, ListExample]) -> Iterator[Example]:
        """Those that are there, by the field of the request that names them; of an item named twice, the first."""
        ids = dict.fromkeys(one.item for one in named.values() if one.item is not None)
        used = self._store.behaviour.named(collection.id, ids) if ids else {}
        for field, one in named.items():
            if one.item is None:
                yield Example(self._embedded(collection, field, one), weight=one.weight)
            elif one.item in ids:
                del ids[one.item]
                row = self._store.items.get(collection.id, one.item, collection.hidden_ms)
                if row is not None:
                    vector = self._item_vectors.of(collection, row)
                    yield Example(vector, one.item, row.group, used.get(one.item), one.weight)

    def _embedded(self, collection: Collection, field: str, example: ListExample) -> Vector:
        """The vector of a text, or one that the request has.

        Raises:
            InvalidCommand: with the field of the request.
        """
        content = {"text": example.text or "vector", "vector": example.vector}
        item = validate(Item, {"id": "question", "collection": collection.name, **content})
        try:
            return self._embedding.embed_question(item, collection.settings).vector
        except InvalidCommand as error:
            named = ".".join(part for part in (field, error.field) if part)
            raise InvalidCommand(error.code, f"{named}: {str(error).removeprefix(f'{error.field}: ')}", named) from None

    def _profile(self, collection: Collection, request: ListRequest) -> Profile | None:
        key = key_of(request)
        num = None if key is None else self._store.behaviour.user(collection.id, key)
        return None if num is None else self._store.behaviour.peek(num)

    def _left_out(
        self,
        collection: Collection,
        request: ListRequest,
        like: Sequence[Example],
        profile: Profile | None,
    ) -> frozenset[str]:
        """Groups of the examples, of excluded, dismissed and, unless they are kept, known items."""
        known = profile.items.items() if profile is not None else ()
        nums = [num for num, entry in known if entry.dismissed or request.known == "leave_out"]
        ids = {*request.exclude, *(self._store.behaviour.ids(nums) if nums else ())}
        groups = {one.group for one in self._store.items.named(collection.id, ids)} if ids else set()
        return frozenset(groups | {one.group for one in like if one.group})


def _liked(request: ListRequest) -> dict[str, ListExample]:
    """What the list is to be like, by the field that names it."""
    if request.like:
        return {f"like.{place}": one for place, one in enumerate(request.like)}
    if request.item is None and request.text is None and request.vector is None:
        return {}
    return {"": ListExample(item=request.item, text=request.text, vector=request.vector)}


def _with_scenario(collection: Collection, request: ListRequest) -> tuple[ListRequest, str | None]:
    """The request with the options of its scenario, and of the arm that the user is in.

    Raises:
        InvalidCommand: the collection has no such scenario.
    """
    if request.scenario is None:
        return request, None
    scenario, key = collection.settings.scenario(request.scenario), key_of(request)
    arm = None if key is None else arm_of(collection.name, request.scenario, key.id, scenario.shares)
    return (request if arm is None else request.under(scenario.arms[arm])).under(scenario), arm
