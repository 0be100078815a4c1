"""Embedding ahead: the model works on the next batch while this one is decided, and nothing else is different."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from recommender_engine import Recommender, open_recommender
from recommender_engine.embedding import Embeddings, ModelIdentity
from recommender_engine.errors import EncodingError, StateFull
from recommender_engine.items import DEFAULT_MODEL, CommandRejected, Entry, Event
from recommender_engine.pipeline.vectors.prefetching import LocalExecutor, Prefetcher, TextsOfModel
from recommender_engine.testing import DeterministicEncoder
from tests.support.engine import Log, is_outcome
from tests.support.waiting import wait_until


class Watched:
    """An encoder, and ``Encoders`` of it, that notes in which thread it was asked for what, and can fail."""

    names = (DEFAULT_MODEL, "second", "third")

    def __init__(self) -> None:
        self._encoder = DeterministicEncoder()
        self.asked: list[tuple[str, list[str]]] = []
        self.failing: set[str] = set()
        self.free = threading.Event()
        self.free.set()

    @property
    def identity(self) -> ModelIdentity:
        return self._encoder.identity

    def encoder(self, name: str) -> Watched:
        return self

    def encode(self, texts: Sequence[str]) -> Embeddings:
        assert self.free.wait(30)
        thread = "engine" if threading.current_thread() is threading.main_thread() else "ahead"
        self.asked.append((thread, list(texts)))
        if self.failing & {thread, *texts}:
            raise EncodingError("as told")
        return self._encoder.encode(texts)

    def texts(self, thread: str) -> list[str]:
        return [text for who, texts in self.asked if who == thread for text in texts]


@pytest.fixture
def encoder() -> Watched:
    return Watched()


@pytest.fixture
def engine(encoder: Watched) -> Iterator[Recommender]:
    opened = open_recommender(None, encoder)
    yield opened
    opened.close()


def batches_of(log: Log, count: int = 6, size: int = 5) -> list[list[Entry]]:
    return [
        [log.upsert(f"i{batch}-{n}", f"text {n % 4} of batch {batch // 2}") for n in range(size)]
        for batch in range(count)
    ]


def outcomes(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if is_outcome(event)]


def decided(events: Sequence[Event]) -> list[object]:
    return [event.data.model_dump(exclude={"timings"}) for event in events]


def test_it_makes_no_difference_to_what_is_decided(engine: Recommender, encoder: Watched) -> None:
    batches = batches_of(Log())
    events = []
    for batch, following in zip(batches, [*batches[1:], []], strict=True):
        engine.embed_ahead(batch)
        engine.embed_ahead(following)
        events += engine.process(batch)
    plain = open_recommender(None, Watched())
    assert decided(events) == decided([event for batch in batches for event in plain.process(batch)])
    plain.close()
    assert encoder.texts("engine") == []
    asked = encoder.texts("ahead")
    assert len(asked) == len(set(asked)) == 12, "no text twice"


def test_it_goes_on_while_the_engine_does_something_else(engine: Recommender, encoder: Watched) -> None:
    first, second, *_ = batches_of(Log())
    engine.process(first)
    encoder.free.clear()
    engine.embed_ahead(second)
    assert engine.stats()["items"] == len(first)
    encoder.free.set()
    assert len(outcomes(engine.process(second))) == len(second)


def test_what_is_known_or_refused_is_not_embedded(engine: Recommender, encoder: Watched) -> None:
    log = Log()
    engine.process([log.upsert("a", "one text")])
    engine.embed_ahead(
        [log.upsert("b", "one text"), log.upsert("c", "\u200b"), log.delete("a"), log.upsert("d", "new")]
    )
    wait_until(lambda: encoder.texts("ahead"), "the thread to embed")
    assert encoder.texts("ahead") == ["new"]


@pytest.mark.parametrize("failing", ["ahead", "text 1 of batch 0"])
def test_a_text_that_fails_ahead_is_embedded_in_its_turn(engine: Recommender, encoder: Watched, failing: str) -> None:
    batch = batches_of(Log())[0]
    encoder.failing = {failing}
    engine.embed_ahead(batch)
    refused = [isinstance(event.data, CommandRejected) for event in outcomes(engine.process(batch))]
    assert refused == [failing == entry.command.text for entry in batch]


def test_a_batch_that_grew_is_embedded_once(engine: Recommender, encoder: Watched) -> None:
    batch = batches_of(Log())[0]
    engine.embed_ahead(batch[:2])
    engine.embed_ahead(batch)
    assert len(outcomes(engine.process(batch))) == len(batch)
    assert encoder.texts("engine") == []
    assert sorted(encoder.texts("ahead")) == sorted({f"text {n} of batch 0" for n in range(4)})


def test_unclaimed_results_are_dropped(encoder: Watched) -> None:
    ahead, executor = Prefetcher(), LocalExecutor(lambda name, texts: encoder.encode(texts))
    for n in range(10):
        ahead.begin(executor, [TextsOfModel("model", encoder.identity, [f"text {n}"])])
    assert ahead.take("model", ["text 0"]) == {}
    assert ahead.take("another", ["text 9"]) == {}
    assert ahead.take("model", ["text 9"]).keys() == {"text 9"}
    assert ahead.take("model", ["text 9"]) == {}, "each is given once"
    executor.close()


def test_two_batches_of_several_models_are_in_hand(engine: Recommender, encoder: Watched) -> None:
    log = Log()
    engine.process([log.configure(collection=name, model=name) for name in encoder.names])
    batches = [
        [log.upsert(f"i{batch}", f"text of {name} in batch {batch}", collection=name) for name in encoder.names]
        for batch in range(3)
    ]
    encoder.free.clear()
    engine.embed_ahead(batches[0][:1])
    engine.embed_ahead(batches[0])
    engine.embed_ahead(batches[1])
    encoder.free.set()
    for batch in batches[:2]:
        assert len(outcomes(engine.process(batch))) == len(batch)
    assert encoder.texts("engine") == []
    assert len(encoder.texts("ahead")) == 6


def test_a_batch_that_is_undone_is_not_embedded_again(encoder: Watched) -> None:
    allowed = iter([False, False, True, True])

    def before_commit() -> None:
        if not next(allowed):
            raise StateFull("no room")

    engine = open_recommender(None, encoder, before_commit=before_commit)
    first, second, *_ = batches_of(Log())
    engine.embed_ahead(first[:2])
    for _ in range(2):
        with pytest.raises(StateFull, match="no room"):
            engine.process(first)
    assert len(outcomes(engine.process(first))) == len(first)
    asked = encoder.texts("ahead") + encoder.texts("engine")
    assert sorted(asked) == sorted({f"text {n} of batch 0" for n in range(4)})
    assert len(outcomes(engine.process(second))) == len(second), "the same texts, from the store now"
    assert len(encoder.texts("ahead") + encoder.texts("engine")) == len(asked)
    engine.close()


def test_questions_leave_nothing_behind(engine: Recommender, encoder: Watched) -> None:
    for _ in range(2):
        engine.search("a question")
    assert encoder.texts("engine") == ["a question", "a question"]
