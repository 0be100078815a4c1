"""Who reaches the web page, and what every request must satisfy. No server of the streams is needed for that."""

from __future__ import annotations

import re
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from starlette.datastructures import Headers

from celery_recommender.client import Client
from celery_recommender.settings import Settings
from celery_recommender.web.app import create_app
from celery_recommender.web.security import users as users_module
from celery_recommender.web.security.exposure import is_loopback, require_safe
from celery_recommender.web.security.guard import MOST_BYTES
from celery_recommender.web.security.proxies import PROOF_HEADER, Proxy
from celery_recommender.web.security.users import Busy, Role, User, UsersFile, checked_name, hashed
from recommender_engine.errors import ConfigurationError
from tests.support.pages import NOWHERE, Browser, served


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(NOWHERE) as started:
        yield started


@pytest.fixture
def browser(address: str) -> Iterator[Browser]:
    with Browser(address) as opened:
        yield opened


@pytest.mark.parametrize("path", ["/login", "/feed", "/compare", "/nothing", "/static/page.css", "/letters"])
def test_every_response_has_the_headers(browser: Browser, path: str) -> None:
    headers = browser.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8080", 200),
        ("127.0.0.1", 200),
        ("[::1]:8080", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("192.0.2.7", 421),
        ("", 421),
        ("[", 421),
    ],
)
def test_the_name_of_the_host_is_checked_on_loopback_too(browser: Browser, host: str, status: int) -> None:
    assert browser.get("/compare", headers={"host": host}).status_code == status


def test_a_form_needs_the_token_of_its_visitor(browser: Browser, address: str) -> None:
    assert browser.post("/compare", data={"one": "a", "other": "b", "collection": "c"}).status_code == 403
    assert "No worker" not in browser.give("/compare", 503, one="a", other="b", collection="c")
    with Browser(address) as other:
        token = other.get("/compare").text.partition('X-CSRF-Token": "')[2][:64]
    fields = {"one": "a", "other": "b", "collection": "c", "csrf": token}
    assert browser.post("/compare", data=fields).status_code == 403, "the token of another visitor"


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
def test_a_form_of_another_page_is_refused_whatever_it_knows(browser: Browser, headers: dict[str, str]) -> None:
    token = browser.get("/compare").text.partition('X-CSRF-Token": "')[2][:64]
    sent = browser.post("/compare", data={"csrf": token}, headers=headers)
    assert (sent.status_code, "another page" in sent.text) == (403, True)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/compare", {"accept-language": "en;q=\xb2, de;q=0.5"}, 200),
        ("/compare", {"accept-language": "de;q=." + "9" * 400}, 200),
        ("/api/v1/items", {"origin": "http://[x", "content-type": "application/json"}, 403),
        ("/letters?after=99999999999999999999-0", {}, 404),
        ("/letter?partition=default&id=99999999999999999999-0", {}, 404),
    ],
)
def test_made_up_headers_and_ids_are_no_failure(
    browser: Browser, path: str, headers: dict[str, str], status: int
) -> None:
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    method = "POST" if "content-type" in headers else "GET"
    answer = browser.request(method, path, headers=encoded, content=b"{}" if method == "POST" else None)
    assert answer.status_code == status
    assert "content-security-policy" in answer.headers


def test_every_page_knows_its_visitor(tmp_path: Path) -> None:
    """A page without the dependency would be open to everybody."""
    users = UsersFile(tmp_path / "users.json")
    users.put("jo", User(password=hashed("correct horse")))
    app = create_app(NOWHERE.replaced(web_users=users.path), Client(NOWHERE))
    routes = [(path, method) for path, methods in app.openapi()["paths"].items() for method in methods]
    assert len(routes) > 20

    def location(path: str, method: str) -> str | None:
        stranger = TestClient(app, base_url="http://localhost", follow_redirects=False)
        return stranger.request(method.upper(), path).headers.get("location")

    told = {route: location(*route) for route in routes}
    assert {route for route, location in told.items() if location != "/login"} == {
        ("/login", "get"),
        ("/login", "post"),
        ("/livez", "get"),  # probes of supervisors, which say nothing of what the page shows
        ("/readyz", "get"),
    }


def test_every_route_asks_for_its_role_and_keeps_to_the_collections_of_its_user(tmp_path: Path) -> None:
    """Of every route that there is: what changes something is refused to who may look, and other collections to all."""
    users = UsersFile(tmp_path / "users.json")
    users.put("look", User(role=Role.LOOK))
    users.put("shop", User(role=Role.CONFIGURE, collections=("shop",)))
    secret = "of the proxy"
    proxy = {"web_proxy_header": "X-User", "web_proxy_secret": secret, "web_users": users.path}
    app = create_app(NOWHERE.replaced(**proxy), Client(NOWHERE))
    document = app.openapi()["paths"]
    open_to_all = {"/login", "/logout", "/compare", "/feed", "/feed/stream"}
    no_collection = {"/settings/preview": {"target": "900"}}

    def asked(user: str, path: str, method: str, **fields: str) -> httpx.Response:
        caller = TestClient(app, base_url="http://localhost", headers={"X-User": user, PROOF_HEADER: secret})
        token = re.search(r'"X-CSRF-Token": "([0-9a-f]+)"', caller.get("/feed").text)
        assert token is not None
        given = {"params": fields} if method == "get" else {"data": {"csrf": token[1], **fields}}
        return caller.request(method.upper(), path, **given)  # type: ignore[arg-type]

    changing = [path for path, methods in document.items() if "post" in methods and path not in open_to_all]
    assert len(changing) >= 12
    for path in changing:
        told = asked("look", path, "post")
        assert (told.status_code, "does not permit" in told.text) == (403, True), path
    about_one = {
        (path, method)
        for path, methods in document.items()
        for method, operation in methods.items()
        if path not in open_to_all and any(one["name"] == "collection" for one in operation.get("parameters", ()))
    }
    reading = sorted(path for path, method in about_one if method == "get")
    assert len(reading) >= 12
    for path in reading:
        told = asked("shop", path, "get", collection="tickets", **no_collection.get(path, {}))
        assert (told.status_code, "do not have access" in told.text) == (403, True), path
    for path in ("/answer", "/review/answer", "/review/undo", "/settings", "/settings/replay", "/map", "/compare"):
        told = asked("shop", path, "post", collection="tickets")
        assert (told.status_code, "do not have access" in told.text) == (403, True), path


def test_a_flood_of_passwords_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    users = UsersFile(tmp_path / "users.json")
    users.put("jo", User(password=hashed("correct horse")))
    hashing, go_on = threading.Semaphore(0), threading.Event()

    class Slow:
        def verify(self, hash_: str, password: str) -> None:
            hashing.release()
            go_on.wait(30)

        def hash(self, password: str) -> str:
            return "x"

    monkeypatch.setattr(users_module, "_hasher", Slow())
    threads = [threading.Thread(target=users.verified, args=("jo", "correct horse")) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert all(hashing.acquire(timeout=30) for _ in threads)
        with pytest.raises(Busy):
            users.verified("jo", "correct horse")
    finally:
        go_on.set()
        for thread in threads:
            thread.join(30)
    assert users.verified("jo", "correct horse") is not None, "the places are free again"


@pytest.mark.parametrize("length", [b"\xb2", b"9" * 5000, b"-1"])
def test_a_length_that_is_no_number_is_refused(length: bytes) -> None:
    """A server in front of the application may pass on what h11 refuses."""
    stranger = TestClient(create_app(NOWHERE, Client(NOWHERE)), base_url="http://localhost")
    assert stranger.post("/compare", content=b"x", headers={b"content-length": length}).status_code == 413


def test_a_body_is_bounded(browser: Browser) -> None:
    assert browser.post("/compare", content=b"x" * (MOST_BYTES + 1)).status_code == 413

    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            yield b"x" * (MOST_BYTES // 2)

    with pytest.raises(httpx.HTTPError):  # the connection is closed
        browser.post("/compare", content=chunks()).raise_for_status()


def test_the_session_is_kept_from_scripts_and_other_sites(browser: Browser) -> None:
    cookie = browser.get("/compare").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "set-cookie" not in browser.get("/compare").headers


def test_a_server_that_is_away_is_told(browser: Browser) -> None:
    assert "Redis server does not answer" in browser.page("/letters", 503)
    assert "Redis does not answer" in browser.page("/status")


SAFE: tuple[dict[str, Any], ...] = (
    {},
    {"web_host": "localhost"},
    {"web_host": "::1"},
    {"web_host": "0.0.0.0", "web_proxy_header": "X-Forwarded-User", "web_proxy_peers": "10.0.0.7"},
    {"web_host": "0.0.0.0", "web_proxy_header": "X-Forwarded-User", "web_proxy_secret": "secret"},
)
UNSAFE: tuple[tuple[dict[str, Any], str], ...] = (
    ({"web_host": "0.0.0.0"}, "reached from other machines"),
    ({"web_host": "192.0.2.7"}, "reached from other machines"),
    ({"web_host": "tickets.example"}, "reached from other machines"),
    ({"web_hosts": "tickets.example"}, "through a proxy"),
    ({"web_proxy_header": "X-Forwarded-User"}, "anybody could send"),
)


@pytest.mark.parametrize("given", SAFE)
def test_a_page_that_only_known_people_reach_starts(given: dict[str, Any]) -> None:
    require_safe(NOWHERE.replaced(**given))


@pytest.mark.parametrize(("given", "told"), UNSAFE)
def test_a_page_that_strangers_reach_does_not_start(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        require_safe(NOWHERE.replaced(**given))


def test_a_file_without_users_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    exposed = NOWHERE.replaced(web_host="0.0.0.0", web_users=path)
    with pytest.raises(ConfigurationError, match="No such file"):
        require_safe(exposed)
    path.write_text("{}")
    with pytest.raises(ConfigurationError, match="no user in it"):
        require_safe(exposed)
    UsersFile(path).put("jo", User(password=hashed("correct horse"), role=Role.ANSWER))
    require_safe(exposed)


def test_addresses_of_loopback() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost")] == [True] * 4
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "example.com", ""))


def test_users_are_kept_as_hashes_in_a_file_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    users = UsersFile(path)
    users.put("jo", User(password=hashed("correct horse"), role=Role.ANSWER, collections=("tickets",)))
    users.put("proxied", User(role=Role.LOOK))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "correct horse" not in path.read_text()
    assert "$argon2id$" in path.read_text()
    found = users.verified("jo", "correct horse")
    assert found is not None
    assert (found.role, found.collections) == (Role.ANSWER, ("tickets",))
    assert users.verified("jo", "wrong horse") is None
    assert users.verified("nobody", "correct horse") is None
    assert users.verified("proxied", "") is None, "a user of the proxy has no password to log in with"
    assert "correct" not in repr(found)
    assert users.remove("jo")
    assert not users.remove("jo")
    assert users.verified("jo", "correct horse") is None, "the file is read again"


@pytest.mark.parametrize(
    ("text", "told"), [("[]", "object"), ("{", "JSON"), ('{"jo": {"role": "king"}}', "jo.role"), ("\xff", "JSON")]
)
def test_a_damaged_file_of_users_names_the_setting(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "users.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=f"^RECOMMENDER_WEB_USERS=.*{told}"):
        UsersFile(path).all()


def test_names_and_passwords_that_are_refused() -> None:
    for name in ("", "jo smith", "-jo", "a" * 65, "jo\n"):
        with pytest.raises(ConfigurationError, match=r"letters, digits"):
            checked_name(name)
    with pytest.raises(ConfigurationError, match="at least 8"):
        hashed("short")


def test_a_role_includes_those_before_it() -> None:
    assert Role.CONFIGURE.includes(Role.ANSWER)
    assert Role.ANSWER.includes(Role.ANSWER)
    assert not Role.LOOK.includes(Role.ANSWER)


@pytest.mark.parametrize(
    ("proxy", "peer", "secret", "known"),
    [
        (("10.0.0.7",), "10.0.0.7", "", True),
        (("10.0.0.0/8",), "10.9.9.9", "", True),
        (("10.0.0.7",), "10.0.0.8", "", False),
        (("10.0.0.7",), None, "", False),
        (("10.0.0.7",), "not an address", "", False),
        (("::1",), "127.0.0.1", "", False),
        ((), "203.0.113.9", "secret", True),
        ((), "203.0.113.9", "wrong", False),
        ((), "203.0.113.9", "", False),
        (("10.0.0.7",), "10.0.0.7", "wrong", False),
    ],
)
def test_the_proxys_header_counts_from_the_proxy_only(
    proxy: tuple[str, ...], peer: str | None, secret: str, known: bool
) -> None:
    headers = Headers({"x-user": "jo", PROOF_HEADER: secret})
    expected = "secret" if secret else ""
    assert Proxy("X-User", proxy, expected).user(peer, headers) == ("jo" if known else None)


def test_a_proxy_that_is_not_named_vouches_for_nobody() -> None:
    headers = Headers({"x-user": "jo", "": "jo"})
    assert Proxy("", ("10.0.0.7",), "").user("10.0.0.7", headers) is None
    assert Proxy("X-User", (), "").user("10.0.0.7", headers) is None


def test_behind_a_proxy_the_user_is_the_one_that_it_names(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    UsersFile(path).put("boss", User(role=Role.CONFIGURE))
    settings = Settings(
        redis_url=NOWHERE.redis_url, web_proxy_header="X-User", web_proxy_peers=("127.0.0.1",), web_users=path
    )
    with served(settings) as address, Browser(address) as browser:
        assert ">jo<" in browser.get("/compare", headers={"x-user": "jo"}).text
        secure = browser.get("/compare", headers={"x-user": "jo", "x-forwarded-proto": "https", "cookie": ""})
        assert "Secure" in secure.headers["set-cookie"]
        assert browser.get("/compare", follow_redirects=False).headers["location"] == "/login"
        assert browser.get("/compare", headers={"x-user": "j" * 200}).status_code == 403
    with served(settings.replaced(web_users=None, web_proxy_peers=("10.0.0.7",))) as address:
        found = httpx.get(f"{address}/compare", headers={"x-user": "jo"})
        assert (found.status_code, "through its proxy" in found.text) == (403, True)
