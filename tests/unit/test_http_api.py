"""The HTTP API alone: its table of commands, its document, who may call it, and what a failure says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from celery_recommender.broker.redis.keys import PartitionKeys
from celery_recommender.client import Client
from celery_recommender.settings import Settings
from celery_recommender.web.api.app import PREFIX, create_api
from celery_recommender.web.api.bodies import MOST_AT_ONCE
from celery_recommender.web.api.commands import COMMAND_ROUTES, _key
from celery_recommender.web.app import create_app
from celery_recommender.web.security.guard import MOST_BYTES
from celery_recommender.web.security.users import Role, User, UsersFile, hashed_key, new_key
from celery_recommender.web.security.visitors import Visitor
from celery_recommender.web.service.service import Health, Service
from recommender_engine.items.commands import COMMAND_TYPES
from recommender_engine.items.limits import MAX_KEY_BYTES
from tests.support.pages import NOWHERE

OWNERS = {"collection.deleted"}  # of the command line alone: it destroys a whole collection


class _Sent(Client):
    """A client that keeps what it would send."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any], str | None]] = []
        self.keys = PartitionKeys.of("default")

    def send(self, type_: str, data: Any, *, key: str | None = None) -> Any:
        self.sent.append((type_, data, key))
        return f"{len(self.sent)}-0"

    def send_many(self, type_: str, commands: Any, *, key: Any = None, block: int = 500) -> Any:
        return [self.send(type_, one, key=key(one)) for one in commands]

    def ask(self, question: str, *args: Any, **options: Any) -> Any:
        raise AssertionError(f"{question} was asked")

    @property
    def redis(self) -> Any:
        return None


@pytest.fixture
def client() -> _Sent:
    return _Sent()


def api(client: Client, settings: Settings = NOWHERE, **headers: str) -> TestClient:
    app = create_app(settings, client)
    return TestClient(app, base_url=f"http://localhost{PREFIX}", headers=headers, raise_server_exceptions=False)


def test_every_command_of_a_producer_has_a_route() -> None:
    public = {name for name, command in COMMAND_TYPES.items() if not command.privileged}
    assert {route.command.type for route in COMMAND_ROUTES} == public - OWNERS


def test_the_document_describes_all_that_it_names() -> None:
    document = create_api(None, None).openapi()
    known = set(document["components"]["schemas"])
    refs = {ref.rpartition("/")[2] for ref in _refs(document)}
    assert refs <= known
    assert refs, "something is described"


def _refs(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [ref for one in value.values() for ref in _refs(one)]
    return [ref for one in value for ref in _refs(one)] if isinstance(value, list) else []


def test_a_body_is_the_data_of_the_command(client: _Sent) -> None:
    item = {"id": "T-1", "text": "printer on fire", "collection": "tickets"}
    answer = api(client).post("/items", json=item, headers={"Idempotency-Key": "save-17"})
    assert answer.status_code == 202
    [(type_, data, key)] = client.sent
    assert (type_, data) == ("item.upsert", item)
    assert answer.json() == {"key": key, "position": "1-0"}
    assert key is not None
    assert key.endswith("/save-17")


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (b'{"text": "a"}', 422, "missing_field", "id"),
        (b'{"id": "1"}', 422, "invalid_value", None),
        (b'{"id": 7, "text": "a"}', 422, "wrong_type", "id"),
        (b'{"id": "1", "text": "a", "prize": 3}', 422, "unknown_field", "prize"),
        (b'{"id": "1", "id": "2", "text": "a"}', 422, "not_json", None),
        (b'{"id": NaN}', 422, "not_json", None),
        (b"[" * 5000, 422, "too_deep", None),
        (b"[]", 422, "wrong_type", None),
        (b"\xff", 422, "not_utf8", None),
        (b'{"id": "\\ud800", "text": "a"}', 422, "not_unicode", None),
        (json.dumps({"id": "1", "text": "a" * 300_000}).encode(), 413, "too_large", None),
    ],
)
def test_a_bad_body_is_told_with_its_field(
    client: _Sent, body: bytes, status: int, code: str, field: str | None
) -> None:
    answer = api(client).post("/items", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert (error["code"], error.get("field")) == (code, field), error
    assert not client.sent


def test_only_json_is_read(client: _Sent) -> None:
    body = '{"id": "1", "text": "a"}'
    for kind in ("text/plain", "application/x-www-form-urlencoded"):  # what a form of a stranger's page can send
        answer = api(client).post("/items", content=body, headers={"content-type": kind})
        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "not_json")
    other = {"origin": "http://evil.example", "content-type": "application/json"}
    assert api(client).post("/items", content=body, headers=other).status_code == 403
    assert not client.sent


def test_of_many_items_the_good_ones_are_sent(client: _Sent) -> None:
    large = {"id": "5", "text": "a", "attributes": {f"a{number}": ["é" * 500] * 20 for number in range(20)}}
    items = [{"id": "1", "text": "a"}, {"id": "2"}, 3, {"id": "4", "text": "d"}, large]
    answer = api(client).post("/items/bulk", json={"items": items}, headers={"Idempotency-Key": "k"}).json()
    assert answer["appended"] == 2
    codes = [one.get("error", {}).get("code") for one in answer["results"]]
    assert codes == [None, "invalid_value", "wrong_type", None, "too_large"]
    assert [one.get("position") for one in answer["results"]] == ["1-0", None, None, "2-0", None]
    assert [(data["id"], str(key)[24:]) for _, data, key in client.sent] == [("1", "+0/k"), ("4", "+3/k")]
    too_many = api(client).post("/items/bulk", json={"items": [items[0]] * (MOST_AT_ONCE + 1)})
    assert (too_many.status_code, too_many.json()["error"]["field"]) == (422, "items")
    too_long = api(client).post("/items/bulk", content=b" " * (MOST_BYTES + 1))
    assert too_long.status_code == 413


def test_a_key_does_what_its_role_and_collections_permit(client: _Sent, tmp_path: Path) -> None:
    users = UsersFile(tmp_path / "users.json")
    keys = {role: new_key() for role in Role}
    for role, key in keys.items():
        users.put(f"the-{role}", User(key=hashed_key(key), role=role, collections=("tickets",)))
    assert not any(key in users.path.read_text() for key in keys.values())
    settings = NOWHERE.replaced(web_users=users.path)
    item = {"id": "1", "text": "a", "collection": "tickets"}

    def status(role: Role | None, path: str, body: Any, method: str = "POST") -> int:
        headers = {} if role is None else {"authorization": f"Bearer {keys[role]}"}
        return api(client, settings, **headers).request(method, path, json=body).status_code

    assert status(None, "/items", item) == 401
    assert api(client, settings, authorization="Bearer rcm_unknown").post("/items", json=item).status_code == 401
    assert (
        api(client, settings, authorization=f"Basic {keys[Role.ANSWER]}").post("/items", json=item).status_code == 401
    )
    assert status(Role.LOOK, "/items", item) == 403
    assert status(Role.ANSWER, "/items", item) == 202
    assert status(Role.ANSWER, "/items", {**item, "collection": "products"}) == 403
    assert status(Role.ANSWER, "/items", {"id": "1", "text": "a"}) == 403, "the default collection is another one"
    assert status(Role.LOOK, "/search", {"text": "a", "collection": "products"}) == 403
    many = {"items": [item, {**item, "collection": "products"}]}
    told = api(client, settings, authorization=f"Bearer {keys[Role.ANSWER]}").post("/items/bulk", json=many).json()
    assert [one.get("error", {}).get("code") for one in told["results"]] == [None, "refused_collection"]
    assert status(Role.ANSWER, "/items/erase", {"id": "1", "collection": "tickets"}) == 403
    assert status(Role.CONFIGURE, "/items/erase", {"id": "1", "collection": "tickets"}) == 202
    settings_ = {"collection": "tickets", "settings": {}}
    assert status(Role.ANSWER, "/collections/settings", settings_, "PUT") == 403
    assert status(Role.CONFIGURE, "/collections/settings", settings_, "PUT") == 202
    users.remove("the-answer")
    assert status(Role.ANSWER, "/items", item) == 401, "a removed key is out at once"


def test_a_key_that_is_limited_gets_no_counts_of_what_it_does_not_see(
    client: _Sent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Service, "health", lambda self: [Health("default", "running", items=7)])
    users, counts = UsersFile(tmp_path / "users.json"), {}
    for name, collections in (("limited", ("tickets",)), ("all", ())):
        key = new_key()
        users.put(name, User(key=hashed_key(key), collections=collections))
        caller = api(client, NOWHERE.replaced(web_users=users.path), authorization=f"Bearer {key}")
        counts[name] = caller.get("/health").json()[0]["items"]
    assert counts == {"limited": None, "all": 7}


def test_an_answer_names_the_caller(client: _Sent, tmp_path: Path) -> None:
    users, key = UsersFile(tmp_path / "users.json"), new_key()
    users.put("helpdesk", User(key=hashed_key(key), role=Role.ANSWER))
    caller = api(client, NOWHERE.replaced(web_users=users.path), authorization=f"Bearer {key}")
    answer = {"id": "2", "other": "1", "answer": "same"}
    for by in ({}, {"by": "helpdesk"}, {"by": "ann"}):
        assert caller.post("/feedback", json={**answer, **by}).status_code == 202
    assert [data["by"] for _, data, _ in client.sent] == ["helpdesk", "helpdesk", "helpdesk: ann"]


def test_a_session_of_the_page_does_not_open_the_door(client: _Sent, tmp_path: Path) -> None:
    users = UsersFile(tmp_path / "users.json")
    users.put("jo", User(role=Role.CONFIGURE))
    caller = api(client, NOWHERE.replaced(web_users=users.path), cookie="recommender_session=whatever")
    assert caller.post("/items", json={"id": "1", "text": "a"}).status_code == 401
    assert "set-cookie" not in caller.get("/openapi.json").headers


def test_a_page_shows_every_route(client: _Sent) -> None:
    app = create_app(NOWHERE, client)
    page = TestClient(app, base_url="http://localhost").get("/api")
    assert page.status_code == 200
    operations = [(path, method) for path, said in app.state.api.openapi()["paths"].items() for method in said]
    assert len(operations) > len(COMMAND_ROUTES)
    assert page.text.count("<details") == len(operations)
    assert all(f"</strong> {PREFIX}{path}</code>" in page.text for path, _ in operations)


def test_keys_of_callers_do_not_meet() -> None:
    def caller(name: str) -> Visitor:
        return Visitor(name, Role.ANSWER, (), "", logged_in=False)

    named = [("a", "b/c", None), ("a/b", "c", None), ("x" * 71 + "1", "k", None), ("x" * 71 + "2", "k", None)]
    keys = [_key(caller(name), given, number) for name, given, number in [*named, ("a", "b", 0), ("a", "b/0", None)]]
    assert len({*keys}) == len(keys)
    assert max(len(_key(caller("é" * 128), "k" * 128, 499).encode()) for _ in keys) <= MAX_KEY_BYTES


def test_behind_a_proxy_its_user_calls_whatever_else_the_request_carries(client: _Sent, tmp_path: Path) -> None:
    users, key = UsersFile(tmp_path / "users.json"), new_key()
    users.put("shop", User(key=hashed_key(key), role=Role.CONFIGURE))
    settings = NOWHERE.replaced(web_users=users.path, web_proxy_header="X-User", web_proxy_secret="s" * 32)
    item = {"id": "1", "text": "a"}
    proxied = {"x-user": "ann", "x-recommender-proxy-secret": "s" * 32}
    for authorization in ("Basic YTpi", "Bearer of.the.proxy"):
        look = api(client, settings, **proxied, authorization=authorization)
        assert look.post("/items", json=item).status_code == 403, "ann only looks"
        assert look.get("/openapi.json").status_code == 200
    assert api(client, settings, authorization=f"Bearer {key}").post("/items", json=item).status_code == 202
    assert api(client, settings, authorization="Bearer of.the.proxy").post("/items", json=item).status_code == 401
