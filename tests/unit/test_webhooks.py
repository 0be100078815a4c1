"""Events for HTTP endpoints: which there are, what is sent, what is connected to, and what becomes of failures."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from celery_recommender.broker.commands.encoding import CommandFields
from celery_recommender.owner.delivery import webhook_lane
from celery_recommender.owner.delivery.threads import DeliveryThread, WebhookJob
from celery_recommender.owner.delivery.webhook_lane import CAPACITY, WebhookLane
from celery_recommender.webhooks import addresses
from celery_recommender.webhooks.addresses import AddressRefused, connect, is_permitted
from celery_recommender.webhooks.endpoints import Endpoint, read_endpoints
from celery_recommender.webhooks.message import message_of
from celery_recommender.webhooks.sending import Connection, NotAccepted
from celery_recommender.webhooks.signing import key_of
from recommender_engine.errors import ConfigurationError
from recommender_engine.items import EntryId, decode_entry
from tests.support.receivers import LOOPBACK, SECRET, Receiver, receiving
from tests.support.waiting import wait_until

PROCESSED = "recommender.item.processed.v1"
DELETED = "recommender.item.deleted.v1"
NETWORKS = tuple(map(ip_network, LOOPBACK))


def endpoint(url: str, **changes: Any) -> Endpoint:
    given = {"name": "shop", "url": url, "keys": (key_of(SECRET),), "allow": NETWORKS, "timeout_s": 5, **changes}
    return Endpoint.model_validate(given)


def job(place: int, type_: str = PROCESSED, ms: int | None = None, **data: Any) -> WebhookJob:
    id_ = EntryId(int(time.time() * 1000) if ms is None else ms, place)
    said = {"item_id": f"item {place}", "collection": "default", **data}
    event = {"id": str(id_), "source": "/recommender/default", "type": type_, "data": said}
    return WebhookJob(id_, json.dumps(event))


# -- the file ----------------------------------------------------------------------------------------------------------


def write(directory: Path, text: str) -> Path:
    path = directory / "webhooks.toml"
    path.write_text(text)
    return path


def test_a_file_names_endpoints_and_where_their_secrets_are(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\nwhsec_{base64.b64encode(b'o' * 24).decode()}\n")
    (tmp_path / "slack-url").write_text("https://hooks.slack.com/services/T0/B0/x\n")
    path = write(
        tmp_path,
        f"""
        [[endpoint]]
        name = "shop"
        url = "https://shop.example.com/hook"
        secret_file = "secret"
        types = ["{PROCESSED}", "{DELETED}"]
        collections = ["products"]
        [[endpoint]]
        name = "desk"
        url = "http://10.1.2.3:8000/hook"
        allow = ["10.0.0.0/8"]
        timeout_s = 3
        [[endpoint]]
        name = "slack"
        url_file = "slack-url"
        template = "slack"
        """,
    )
    shop, desk, slack = read_endpoints(path, SECRET)
    assert (shop.host, shop.port, len(shop.keys), shop.types) == ("shop.example.com", 443, 2, {PROCESSED, DELETED})
    assert (desk.keys, desk.port, desk.timeout_s) == ((bytes(range(32)),), 8000, 3)
    assert slack.url.endswith("/B0/x")
    for one in (shop, desk, slack):
        assert SECRET not in repr(one)
        assert one.url not in repr(one)
        assert all(repr(key) not in repr(one) for key in one.keys)
    assert read_endpoints(None, "") == ()


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        ('name = "A b"\nurl = "https://a.example"', "name: String should match"),
        ('name = "a"\nurl = "ftp://a.example"', "must be https"),
        ('name = "a"\nurl = "http://a.example"', "`allow` lists"),
        ('name = "a"\nurl = "https://u:p@a.example"', "no user, password or fragment"),
        ('name = "a"\nurl = "https://a.example/\\u00e4"', "printable ASCII"),
        ('name = "a"\nurl = "https://a.example:99999/"', "Port out of range"),
        ('name = "a"\nurl = "https://a.example"\ntypes = ["item.processed"]', "no event type 'item.processed'"),
        ('name = "a"\nurl = "https://a.example"\nallow = ["10.0.0.1/8"]', "host bits set"),
        ('name = "a"\nurl = "https://a.example"\ntimeout_s = 0', "timeout_s"),
        ('name = "a"\nurl = "https://a.example"\ntimeout_s = nan', "timeout_s"),
        ('name = "a"\nurl = "https://a.example"\nkeys = ["x"]', "secrets in secret_file"),
        ('name = "a"\nurl = "https://a.example"\nretries = 3', "retries: Extra inputs"),
        ('name = "a"\nurl = "https://a.example"\nsecret_file = "absent"', "cannot be read"),
        ('name = "a"\nurl = "https://a.example"\nsecret_file = "short"', "a secret is whsec_"),
        ('name = "a"', "url: Field required"),
        ('name = "b"\nurl = "https://b.example"\n[[endpoint]]\nname = "b"\nurl = "https://b.example"', "two endpoints"),
        ('name = "a"\nurl = "https://a.example"\n[other]', r"tables \[\[endpoint\]\] and nothing else"),
        ("name = ", "Invalid value"),
    ],
)
def test_a_file_that_cannot_be_used_says_why_and_no_secret(tmp_path: Path, table: str, wrong: str) -> None:
    (tmp_path / "short").write_text("whsec_c2hvcnQ=")
    with pytest.raises(ConfigurationError, match=wrong) as caught:
        read_endpoints(write(tmp_path, f"[[endpoint]]\n{table}\n"), SECRET)
    assert SECRET not in str(caught.value)
    assert "c2hvcnQ" not in str(caught.value)


def test_an_endpoint_without_a_secret_is_refused_but_for_slack(tmp_path: Path) -> None:
    table = '[[endpoint]]\nname = "a"\nurl = "https://a.example"\n'
    with pytest.raises(ConfigurationError, match="no secret: set secret_file"):
        read_endpoints(write(tmp_path, table), "")
    assert read_endpoints(write(tmp_path, f'{table}template = "slack"\n'), "")[0].keys == ()


# -- addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2001:db8::1",
        "::7f00:1",
    ],
)
def test_addresses_that_are_not_of_the_public_internet_are_refused(address: str) -> None:
    assert not is_permitted(address, ())


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::93.184.216.34"])
def test_addresses_of_the_public_internet_are_permitted_where_requests_are_encrypted(address: str) -> None:
    assert is_permitted(address, ())
    assert not is_permitted(address, (), public=False)


def test_a_network_that_is_allowed_is_permitted_and_no_other() -> None:
    assert is_permitted("127.0.0.1", NETWORKS)
    assert is_permitted("::ffff:127.0.0.1", NETWORKS)
    assert not is_permitted("10.0.0.1", NETWORKS)


def test_the_address_that_was_checked_is_the_one_that_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that answers differently the second time."""
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])
    tried: list[Any] = []

    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in next(answers)]

    def create_connection(address: Any, *_: Any) -> socket.socket:
        tried.append(address)
        raise TimeoutError

    monkeypatch.setattr(addresses.socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(addresses.socket, "create_connection", create_connection)
    with pytest.raises(TimeoutError):
        connect("rebinding.example", 443, (), public=True, timeout_s=1)
    assert tried == [("93.184.216.34", 443)]
    with pytest.raises(AddressRefused, match="no address that may be connected to"):
        connect("rebinding.example", 443, (), public=True, timeout_s=1)
    assert len(tried) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "localhost", "[::1]"])
def test_loopback_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(NotAccepted, match="no address that may be connected to"):
        Connection(endpoint(f"http://{host}:9/", allow=["192.0.2.0/24"])).post(b"{}", {})


# -- requests ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


def drip(handler: BaseHTTPRequestHandler) -> None:
    """A byte from time to time, as long as somebody reads."""
    try:
        while True:
            handler.wfile.write(b"H")
            threading.Event().wait(0.05)
    except OSError:
        handler.close_connection = True


def endless(handler: BaseHTTPRequestHandler) -> None:
    """A success with a body that does not end."""
    handler.close_connection = True
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while True:
            handler.wfile.write(b"x" * 65536)
    except OSError:
        pass


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    with receiving() as elsewhere:
        receiver.answers = [(302, {"location": elsewhere.url})]
        with pytest.raises(NotAccepted, match="it answered 302"):
            Connection(endpoint(receiver.url)).post(b"{}", {})
        assert elsewhere.bodies == []


def test_an_answer_that_drips_is_cut_at_the_timeout_of_the_whole(receiver: Receiver) -> None:
    receiver.answers = [drip]
    with pytest.raises(NotAccepted, match="its answer is no HTTP"):
        Connection(endpoint(receiver.url, timeout_s=0.3)).post(b"{}", {})


def test_a_success_with_an_endless_body_is_a_success(receiver: Receiver) -> None:
    receiver.answers = [endless, 204]
    connection = Connection(endpoint(receiver.url))
    connection.post(b"{}", {})
    connection.post(b"{}", {"webhook-id": "next"})
    assert receiver.taken == ["next"], "over another connection"


def test_what_is_no_http_is_told_without_what_came(receiver: Receiver) -> None:
    def chatter(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"+PONG secret\r\n")
        handler.close_connection = True

    receiver.answers = [chatter]
    with pytest.raises(NotAccepted, match=r"^its answer is no HTTP \(BadStatusLine\)$"):
        Connection(endpoint(receiver.url)).post(b"{}", {})


@pytest.mark.parametrize(("given", "seconds"), [("7", 7), ("999999", 3600), ("soon", 0), ("-1", 0), ("²", 0), ("", 0)])
def test_an_endpoint_says_when_to_try_again(receiver: Receiver, given: str, seconds: float) -> None:
    receiver.answers = [lambda handler: _unavailable(handler, given)]
    with pytest.raises(NotAccepted, match="503") as caught:
        Connection(endpoint(receiver.url)).post(b"{}", {})
    assert caught.value.retry_after_s == seconds


def _unavailable(handler: BaseHTTPRequestHandler, retry_after: str) -> None:
    text = f"HTTP/1.1 503 No\r\nretry-after: {retry_after}\r\ncontent-length: 0\r\n\r\n"
    handler.wfile.write(text.encode("latin-1"))


# -- the lane ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def letters() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def counts() -> list[str]:
    return []


@pytest.fixture
def lane(receiver: Receiver, letters: list[dict[str, Any]], counts: list[str]) -> Callable[..., DeliveryThread]:
    """Starts the thread of a lane to the receiver."""

    def start(patience_s: float = 3600, **changes: Any) -> DeliveryThread:
        def keep(fields: CommandFields) -> None:
            command = decode_entry(EntryId(9, 0), str(fields["type"]), str(fields["data"]).encode()).command
            assert command.type == "message.refused", "the log takes it"
            letters.append(json.loads(str(fields["data"])))

        to = endpoint(receiver.url, **changes)
        one = WebhookLane(to, Connection(to), keep, patience_s, lambda _, outcome: counts.append(outcome))
        thread = DeliveryThread(one, one, CAPACITY)
        thread.start()
        started.append(thread)
        return thread

    started: list[DeliveryThread] = []
    yield start
    for thread in started:
        thread.finish(0.0)


def test_events_arrive_signed_in_order_under_their_ids(lane: Callable[..., DeliveryThread], receiver: Receiver) -> None:
    jobs = [job(n, ms=1000) for n in range(40)]
    thread = lane()
    thread.put(jobs)
    wait_until(lambda: len(receiver.taken) == 40, "all to arrive", 10)
    assert receiver.taken == [f"default:1000-{n}" for n in range(40)]
    assert [event["id"] for event in receiver.events] == [str(one.id) for one in jobs]
    assert receiver.bodies[0] == jobs[0].event.encode()
    assert receiver.headers[0]["content-type"] == "application/json"


def test_while_a_secret_is_replaced_both_verify(lane: Callable[..., DeliveryThread], receiver: Receiver) -> None:
    old = b"o" * 24
    lane(keys=(key_of(SECRET), old)).put([job(1)])
    wait_until(lambda: receiver.taken, "the event", 10)
    receiver.secret = "whsec_" + base64.b64encode(old).decode()
    lane(keys=(key_of(SECRET), old)).put([job(2)])
    wait_until(lambda: len(receiver.events) == 2, "the next", 10)


def test_an_endpoint_that_fails_is_tried_again_with_the_same_id_and_keeps_the_order(
    lane: Callable[..., DeliveryThread], receiver: Receiver, letters: list[dict[str, Any]]
) -> None:
    receiver.answers = [204, 500, 401, 503]
    lane().put([job(n, ms=1000) for n in range(3)])
    wait_until(lambda: len(receiver.taken) == 3, "all to arrive", 10)
    came = [headers["webhook-id"] for headers in receiver.headers]
    assert came == ["default:1000-0", *["default:1000-1"] * 4, "default:1000-2"]
    assert letters == []


def test_only_chosen_types_and_collections_are_sent(lane: Callable[..., DeliveryThread], receiver: Receiver) -> None:
    thread = lane(types={PROCESSED, DELETED}, collections={"products"})
    mine = {"collection": "products", "ms": 1000}
    thread.put([job(1, **mine), job(2), job(3, DELETED, **mine), job(4, "recommender.item.patched.v1", **mine)])
    wait_until(lambda: thread.room == CAPACITY, "all to be done with", 10)
    assert receiver.taken == ["default:1000-1", "default:1000-3"]
    assert len(thread.arrived()) == 4


def test_a_body_that_is_refused_is_a_dead_letter_and_the_rest_goes_on(
    lane: Callable[..., DeliveryThread], receiver: Receiver, letters: list[dict[str, Any]], counts: list[str]
) -> None:
    receiver.answers = [400] * 5
    lane().put([job(1, ms=1000), job(2, ms=1000)])
    wait_until(lambda: receiver.taken == ["default:1000-2"], "the next to arrive", 10)
    (letter,) = letters
    assert (letter["source"], letter["code"], letter["item_id"]) == ("webhook", "not_delivered", "item 1")
    assert letter["message"] == "the webhook shop did not take it: NotAccepted: it answered 400"
    assert json.loads(letter["payload"]) == {"endpoint": "shop", "event": json.loads(job(1, ms=1000).event)}
    wait_until(lambda: counts == ["given_up", "delivered"], "both to be counted", 10)


def test_an_endpoint_that_refuses_whatever_comes_is_waited_for(
    lane: Callable[..., DeliveryThread], receiver: Receiver, letters: list[dict[str, Any]], monkeypatch: Any
) -> None:
    """A wrong secret is often a 400."""
    monkeypatch.setattr(webhook_lane, "MOST_ATTEMPTS", 1)
    receiver.otherwise = 400
    thread = lane()
    thread.put([job(n) for n in range(10)])
    wait_until(lambda: len(receiver.bodies) >= 5, "further attempts", 10)
    assert len(letters) == 3
    receiver.otherwise = 204
    wait_until(lambda: len(receiver.taken) == 7, "the others to arrive", 10)


def test_a_dead_endpoint_gives_up_what_is_old_with_a_bounded_number_of_letters(
    lane: Callable[..., DeliveryThread],
    receiver: Receiver,
    letters: list[dict[str, Any]],
    counts: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook_lane, "_TRIED_S", 0.5)
    monkeypatch.setattr(webhook_lane, "MOST_LETTERS", 50)
    receiver.otherwise = 503
    thread = lane()
    old, young = [job(n, ms=1000) for n in range(200)], [job(n) for n in range(2)]
    thread.put([*old, *young])
    wait_until(lambda: counts == ["given_up"] * 200, "the old ones to be given up", 10)
    assert len(letters) == 50
    assert [one.id for one in thread.arrived()] == [one.id for one in old]
    receiver.otherwise = 204
    wait_until(lambda: len(receiver.taken) == 2, "the young ones to arrive", 10)


def test_an_endpoint_that_hangs_holds_up_no_other(lane: Callable[..., DeliveryThread], receiver: Receiver) -> None:
    hanging = socket.create_server(("127.0.0.1", 0))  # accepts, and says nothing
    with hanging:
        stuck = lane()
        stuck.put([job(1)])
        host, port = hanging.getsockname()
        to = endpoint(f"http://{host}:{port}/", timeout_s=60)
        dead = WebhookLane(to, Connection(to), lambda _: None, 3600, lambda *_: None)
        thread = DeliveryThread(dead, dead, CAPACITY)
        thread.start()
        thread.put([job(1)])
        peer, _ = hanging.accept()
        wait_until(lambda: receiver.taken, "the other's event", 10)
        thread.stop(0.0)
        peer.close()


def test_no_letter_is_written_of_a_letter(
    lane: Callable[..., DeliveryThread], receiver: Receiver, letters: list[dict[str, Any]], counts: list[str]
) -> None:
    receiver.answers = [400] * 5
    lane().put([job(1, "recommender.command.rejected.v1", source="webhook")])
    wait_until(lambda: counts == ["given_up"], "it to be given up", 10)
    assert letters == []


def test_neither_url_nor_secret_is_logged(
    lane: Callable[..., DeliveryThread], receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    receiver.answers = [500, 400, 400, 400, 400, 400]
    lane().put([job(1), job(2)])
    wait_until(lambda: receiver.taken, "the second", 10)
    logged = " ".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "delivery.retry" in logged
    assert "/hook" not in logged
    assert SECRET.removeprefix("whsec_") not in logged


# -- Slack -------------------------------------------------------------------------------------------------------------


def slack(type_: str, **data: Any) -> dict[str, Any] | None:
    to = endpoint("https://hooks.slack.com/services/x", template="slack", keys=())
    one = json.loads(job(1, type_, **data).event)
    body = message_of(to, one, json.dumps(one))
    return None if body is None else json.loads(body)


DUPLICATE = {
    "item_id": "<!channel> & `x`",
    "band": "duplicate",
    "duplicate_of": "T-1",
    "probability": 0.98765,
    "explanation": "same error code <b>",
}
INCIDENT = {"items": 12, "canonical_id": "T-1", "explanation": "12 items in an hour, 0.3 are usual"}


def test_slack_is_told_of_duplicates_and_nothing_in_them_is_markup() -> None:
    told = slack(PROCESSED, **DUPLICATE)
    assert told is not None
    assert told["text"] == "Duplicate: &lt;!channel&gt; &amp; 'x' repeats T-1 in default"
    (block,) = told["blocks"]
    assert block["text"]["type"] == "mrkdwn"
    assert block["text"]["text"].endswith("probability 0.988. same error code &lt;b&gt;")
    assert slack(PROCESSED, **{**DUPLICATE, "band": "review"}) is None
    assert slack(DELETED) is None


def test_slack_is_told_when_a_verdict_turns() -> None:
    became = slack("recommender.item.revised.v1", previous_band="review", **DUPLICATE)
    assert became is not None
    assert became["text"].startswith("Duplicate: ")
    gone = slack("recommender.item.revised.v1", **{**DUPLICATE, "band": "new", "previous_band": "duplicate"})
    assert gone is not None
    assert gone["text"].startswith("No duplicate after all: ")
    assert slack("recommender.item.revised.v1", previous_band="duplicate", **DUPLICATE) is None


@pytest.mark.parametrize(("step", "verb"), [("opened", "opened"), ("updated", "grows"), ("closed", "over")])
def test_slack_is_told_of_incidents(step: str, verb: str) -> None:
    told = slack(f"recommender.incident.{step}.v1", **INCIDENT)
    assert told is not None
    assert told["text"] == f"Incident {verb}: 12 items like T-1 in default"


def test_a_message_for_slack_stays_within_its_limits() -> None:
    told = slack(PROCESSED, **{**DUPLICATE, "item_id": "&" * 500, "explanation": "<" * 5000})
    assert told is not None
    assert len(told["blocks"][0]["text"]["text"]) <= 3000
    assert len(told["text"]) < 3000
