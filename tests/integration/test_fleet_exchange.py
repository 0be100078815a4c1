"""Owner and embed workers over a real server, in one process: what is answered, refused, lost, and sent again."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from redis import Redis

from celery_recommender.broker.redis.connections import connect
from celery_recommender.fleet.exchange import MOST_REPLIES, Exchange
from celery_recommender.fleet.fleet import Fleet, Sizing
from celery_recommender.fleet.messages import EmbedReply, EmbedRequest, InvalidMessage
from celery_recommender.fleet.probe import probe_request
from celery_recommender.fleet.serving import EmbedServing
from recommender_engine.embedding import Embeddings
from recommender_engine.errors import EncodingError, ModelError
from recommender_engine.items import DEFAULT_MODEL
from recommender_engine.pipeline import TimedEmbeddings
from recommender_engine.testing import DeterministicEncoder
from tests.support.encoders import FailingEncoder, FixedEncoders
from tests.support.servers import Embedded, running
from tests.support.streams import KEYS
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

TIMEOUT_S = 1.0
TEXTS = ["one text", "another text", "a third"]
ENCODER = DeterministicEncoder()


class ManualClock:
    """Time passes when the test says so, however busy the machine is."""

    def __init__(self) -> None:
        self._now_s = 1000.0

    def __call__(self) -> float:
        return self._now_s

    def advance(self, seconds: float) -> None:
        self._now_s += seconds


class Encoders(FixedEncoders):
    """One model, which is what the test says."""

    def __init__(self, encoder: DeterministicEncoder | FailingEncoder) -> None:
        self._encoder = encoder  # type: ignore[assignment]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(Embedded(Path(tmp_path_factory.mktemp("server")))) as server:
        yield server.url


@pytest.fixture
def redis(url: str) -> Iterator[Redis]:
    with connect(url) as client:
        client.flushall()
        yield client


class Broker:
    """Stands for Celery and for what workers do with its messages: the test is the worker."""

    def __init__(self, redis: Redis, url: str) -> None:
        self.exchange = Exchange(redis, KEYS)
        self._url = url
        self._asked: queue.Queue[str] = queue.Queue()
        self.away = False
        self.outcomes: list[str] = []

    def ask(self, request_id: str) -> None:
        if self.away:
            raise ConnectionError("the broker is away")
        self._asked.put(request_id)

    def asked(self) -> str:
        return self._asked.get(timeout=10)

    def worker(self, encoder: DeterministicEncoder | FailingEncoder = ENCODER) -> EmbedServing:
        return EmbedServing(Encoders(encoder), lambda: connect(self._url), lambda texts: nullcontext())

    def answer(self, encoder: DeterministicEncoder | FailingEncoder = ENCODER) -> str:
        """Take the next message as a worker with this model does; the id of the request."""
        request_id = self.asked()
        self.worker(encoder).answer(KEYS, request_id)
        return request_id

    def said(
        self, request_id: str, kind: str = "vectors", embeddings: Embeddings | None = None, worker: str = "stranger:1"
    ) -> None:
        """Leave a reply of the test's own."""
        key = ENCODER.identity.key
        self.exchange.reply(EmbedReply(request_id, worker, kind, key, "", 0.1, embeddings).encode())  # type: ignore[arg-type]


@pytest.fixture
def broker(redis: Redis, url: str) -> Broker:
    return Broker(redis, url)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def fleet(broker: Broker, clock: ManualClock) -> Iterator[Fleet]:
    """One that has not been answered yet."""
    made = Fleet(
        Sizing(workers=2, window=6, least_bytes=20, least_texts=3, timeout_s=TIMEOUT_S),
        lambda: probe_request(DEFAULT_MODEL, ENCODER.identity),
        broker.exchange,
        broker.ask,
        broker.outcomes.append,
        clock,
    )
    made.start()
    yield made
    made.close()


@pytest.fixture
def serving(fleet: Fleet, broker: Broker) -> Fleet:
    """One whose probe has been answered."""
    broker.answer()
    wait_until(lambda: fleet.window, "the fleet to be known")
    return fleet


def submitted(fleet: Fleet, texts: Sequence[str] = TEXTS) -> Future[TimedEmbeddings]:
    made = fleet.submit(DEFAULT_MODEL, ENCODER.identity, list(texts))
    assert made is not None
    return made


def test_nothing_is_given_to_it_before_a_worker_has_answered(fleet: Fleet, broker: Broker) -> None:
    assert fleet.window == 0
    assert fleet.submit(DEFAULT_MODEL, ENCODER.identity, TEXTS) is None
    broker.answer()
    wait_until(lambda: fleet.window == 6, "the fleet to be known")
    assert fleet.status()["state"] == "serving"


def test_vectors_come_back_and_nothing_stays(serving: Fleet, broker: Broker, redis: Redis) -> None:
    made = [submitted(serving), submitted(serving, [text.upper() for text in TEXTS])]
    assert serving.status()["in_flight"] == 2
    for _ in made:
        broker.answer()
    for future, texts in zip(made, (TEXTS, [text.upper() for text in TEXTS]), strict=True):
        vectors, truncated = future.result(10).embeddings
        expected = ENCODER.encode(texts)
        assert vectors.tobytes() == expected.vectors.tobytes()
        assert truncated.tolist() == expected.truncated.tolist()
    wait_until(lambda: not redis.exists(KEYS.embed_requests, KEYS.embed_replies), "the exchange to be empty")
    assert broker.outcomes == ["answered", "answered"]
    assert serving.status() == {
        "state": "serving",
        "workers": 1,
        "expected": 2,
        "window": 6,
        "in_flight": 0,
        "complaint": "",
    }


def test_texts_lie_in_redis_no_longer_than_they_are_wanted(serving: Fleet, broker: Broker, redis: Redis) -> None:
    submitted(serving)
    broker.asked()
    assert 0 < redis.ttl(KEYS.embed_requests) <= 600
    serving.close()
    assert not redis.exists(KEYS.embed_requests)


def test_a_short_batch_is_not_worth_the_way(serving: Fleet) -> None:
    assert serving.submit(DEFAULT_MODEL, ENCODER.identity, ["short", "too"]) is None
    assert serving.submit(DEFAULT_MODEL, ENCODER.identity, ["but this one is long enough"]) is not None


def test_the_window_is_bounded(serving: Fleet) -> None:
    futures = [serving.submit(DEFAULT_MODEL, ENCODER.identity, [f"{text} {n}" for text in TEXTS]) for n in range(12)]
    assert sum(future is not None for future in futures) == 8


def begun_and_lost(fleet: Fleet, broker: Broker, clock: ManualClock, worker: str) -> str:
    """A worker takes the next batch in hand and dies; the id of the request."""
    known = fleet.status()["workers"]
    lost = broker.asked()
    broker.said(lost, "started", worker=worker)
    wait_until(lambda: fleet.status()["workers"] > known, "the fleet to hear of it")
    clock.advance(TIMEOUT_S + 0.1)
    return lost


def test_a_lost_batch_is_sent_again(serving: Fleet, broker: Broker, clock: ManualClock) -> None:
    made = submitted(serving)
    lost = begun_and_lost(serving, broker, clock, "stranger:1")
    again = broker.answer()
    assert again == lost
    assert made.result(10).embeddings.vectors.shape == (3, 64)
    assert broker.outcomes == ["resent", "answered"]


def test_a_batch_that_is_lost_twice_is_not_given_away_again(
    serving: Fleet, broker: Broker, redis: Redis, clock: ManualClock
) -> None:
    made = submitted(serving)
    for n in range(2):
        begun_and_lost(serving, broker, clock, f"stranger:{n}")
    with pytest.raises(EncodingError, match="no answer in time"):
        made.result(10)
    wait_until(lambda: not redis.exists(KEYS.embed_requests), "the request to be withdrawn")
    assert broker.outcomes == ["resent", "lost"]


def test_what_a_broker_hands_out_late_or_twice_is_not_embedded(serving: Fleet, broker: Broker, redis: Redis) -> None:
    made = submitted(serving)
    request_id = broker.answer()
    made.result(10)
    wait_until(lambda: not redis.exists(KEYS.embed_requests), "the request to be withdrawn")
    assert broker.worker().answer(KEYS, request_id) is False


def test_a_second_answer_changes_nothing(serving: Fleet, broker: Broker) -> None:
    first, second = submitted(serving), submitted(serving, [text.upper() for text in TEXTS])
    request_id = broker.answer()
    broker.said(request_id, embeddings=ENCODER.encode(["x", "y", "z"]))
    broker.answer()
    assert first.result(10).embeddings.vectors.tobytes() == ENCODER.encode(TEXTS).vectors.tobytes()
    assert second.result(10).embeddings.vectors.shape == (3, 64)
    assert broker.outcomes == ["answered", "answered"]


USELESS = (
    np.ones((3, 64), np.float32),
    np.full((3, 64), np.nan, np.float32),
    np.zeros((3, 64), np.float32),
    np.eye(3, 32, dtype=np.float32),
    np.eye(2, 64, dtype=np.float32),
)


def test_what_is_no_unit_vector_for_each_text_is_not_used(serving: Fleet, broker: Broker) -> None:
    for vectors in USELESS:
        made = submitted(serving)
        broker.said(broker.asked(), embeddings=Embeddings(vectors, np.zeros(len(vectors), np.bool_)))
        broker.answer()
        assert made.result(10).embeddings.vectors.tobytes() == ENCODER.encode(TEXTS).vectors.tobytes()
    assert broker.outcomes == len(USELESS) * ["invalid", "resent", "answered"]


@pytest.mark.parametrize(
    "seconds", [float("nan"), float("inf"), 10**400, -1.0, 1e9], ids=lambda seconds: str(seconds)[:5]
)
def test_a_reply_whose_time_cannot_be_is_damaged_and_its_batch_is_sent_again(
    serving: Fleet, broker: Broker, seconds: float
) -> None:
    """The time stands in events: it must not come to them, nor end the thread."""
    made = submitted(serving)
    request = broker.asked()
    reply = EmbedReply(request, "stranger:1", "vectors", ENCODER.identity.key, "", seconds, ENCODER.encode(TEXTS))
    broker.exchange.reply(reply.encode())
    assert broker.answer() == request
    assert 0 <= made.result(10).of(0).embed_ms < 60_000
    assert broker.outcomes == ["invalid", "resent", "answered"]


def test_a_flood_of_replies_is_dropped_and_what_they_answered_is_sent_again(redis: Redis, broker: Broker) -> None:
    for _ in range(MOST_REPLIES):
        redis.rpush(KEYS.embed_replies, b"x")
    assert not broker.exchange.drop_flood()
    redis.rpush(KEYS.embed_replies, b"one too many")
    assert broker.exchange.drop_flood()
    assert not redis.exists(KEYS.embed_replies)


def test_rubbish_in_the_list_of_replies_is_passed_over(serving: Fleet, broker: Broker) -> None:
    made = submitted(serving)
    for raw in (b"", b"\x80\x04.", b"RCE1" + b"\xff" * 100):
        broker.exchange.reply(raw)
    broker.answer()
    assert made.result(10).embeddings.vectors.shape == (3, 64)


def test_a_worker_with_another_model_refuses_and_names_both(serving: Fleet, broker: Broker) -> None:
    made = submitted(serving)
    other = DeterministicEncoder(dimension=64, max_tokens=7)
    for _ in range(2):
        broker.answer(other)
    with pytest.raises(EncodingError, match=f"{ENCODER.identity.key}.*{other.identity.key}"):
        made.result(10)
    assert other.identity.key in serving.status()["complaint"]
    assert serving.submit(DEFAULT_MODEL, ENCODER.identity, TEXTS) is None, "for a while"
    assert broker.outcomes == ["resent", "refused"]


def test_a_worker_without_the_model_refuses(broker: Broker) -> None:
    request = EmbedRequest("cd" * 16, "another-model", "another@1", 8, ("text",))
    broker.exchange.put(request.id, request.encode())
    broker.worker().answer(KEYS, request.id)
    *_, reply = (EmbedReply.decode(raw) for raw in iter(lambda: broker.exchange.take_reply(0.1), None))
    assert (reply.kind, reply.message) == ("refused", "asked for the model 'another-model', which is not here")


def test_a_worker_that_cannot_load_its_model_says_so(serving: Fleet, broker: Broker, url: str) -> None:
    class Broken(FixedEncoders):
        def encoder(self, name: str) -> DeterministicEncoder:
            raise ModelError("a file was altered")

    made = submitted(serving)
    for _ in range(2):
        worker = EmbedServing(Broken(), lambda: connect(url), lambda texts: nullcontext())
        assert worker.answer(KEYS, broker.asked())
    with pytest.raises(EncodingError, match="a file was altered"):
        made.result(10)


def test_a_batch_on_which_the_model_fails_is_the_owners(serving: Fleet, broker: Broker) -> None:
    made = submitted(serving)
    failing = FailingEncoder(ENCODER)
    failing.failing = True
    broker.answer(failing)
    with pytest.raises(EncodingError, match="a worker's model failed"):
        made.result(10)
    assert broker.outcomes == ["failed"], "it is not sent again"
    assert serving.window


@pytest.mark.parametrize("request_id", ["", "../x", "A" * 32, "0" * 10_000])
def test_what_is_no_id_of_a_request_is_refused(broker: Broker, request_id: str) -> None:
    with pytest.raises(InvalidMessage, match="no id"):
        broker.worker().answer(KEYS, request_id)


def test_without_answers_it_is_silent_and_a_returning_worker_is_used(
    serving: Fleet, broker: Broker, clock: ManualClock
) -> None:
    made = [submitted(serving), submitted(serving, [text.upper() for text in TEXTS])]
    clock.advance(TIMEOUT_S)
    for future in made:
        with pytest.raises(EncodingError, match="no embed worker answers"):
            future.result(10)
    assert (serving.window, serving.status()["state"]) == (0, "silent")
    assert broker.outcomes == ["lost", "lost"]
    for _ in range(3):  # two batches that nobody wants any more, and the probe
        broker.answer()
    wait_until(lambda: serving.window, "the fleet to be known again")


def test_an_unreachable_broker_makes_no_caller_wait(serving: Fleet, broker: Broker) -> None:
    broker.away = True
    with pytest.raises(EncodingError, match=r"could not be sent|no embed worker"):
        submitted(serving).result(10)


def test_closing_gives_up_what_is_in_flight(serving: Fleet) -> None:
    made = submitted(serving)
    serving.close()
    with pytest.raises(EncodingError, match="closed"):
        made.result(10)
    assert serving.submit(DEFAULT_MODEL, ENCODER.identity, TEXTS) is None
