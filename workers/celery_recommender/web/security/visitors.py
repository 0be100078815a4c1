"""Who makes a request, and what that person may do."""

from __future__ import annotations

import hashlib
import hmac
import os
import pwd
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from celery_recommender.settings import Settings
from celery_recommender.web.security.proxies import Proxy
from celery_recommender.web.security.sessions import Sessions, new_token
from celery_recommender.web.security.users import KEY_PREFIX, Role, UsersFile

COOKIE = "recommender_session"
SESSION = "recommender.session"
"""Where a request keeps the session that its response sets as a cookie."""


class Refused(Exception):
    """The request is not permitted; ``code`` names the string that says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class LogInFirst(Exception):
    """Nobody is logged in."""


@dataclass(frozen=True)
class Visitor:
    """The person behind a request.

    Attributes:
        name: of the user; on loopback without users, of the account that runs the process.
        role: what the user may do.
        collections: the only ones that the user sees; empty: all.
        token: of the session; with it, claims and answers of two browsers are told apart.
        logged_in: whether the user can log out.
    """

    name: str
    role: Role
    collections: tuple[str, ...]
    token: str
    logged_in: bool

    @property
    def csrf(self) -> str:
        """The token that forms must send: made from the session's cookie, which no script can read."""
        return hmac.new(self.token.encode(), b"csrf", hashlib.sha256).hexdigest()

    @property
    def browser(self) -> str:
        """A name of the user's session for keys in Redis, without its token."""
        return hashlib.sha256(f"browser {self.token} {self.name}".encode()).hexdigest()[:32]

    def sees(self, collection: str | None) -> bool:
        """Whether the user may see a collection; what belongs to none is seen by users of all."""
        return not self.collections or collection in self.collections

    def may(self, role: str) -> bool:
        """Whether the user may do what users of a role may."""
        return self.role.includes(Role(role))


class Visitors:
    """Recognises visitors.

    Args:
        settings: users, proxy.
        sessions: of those who logged in.
    """

    def __init__(self, settings: Settings, sessions: Sessions) -> None:
        self.users = UsersFile(settings.web_users) if settings.web_users else None
        self.sessions = sessions
        self.proxy = Proxy(settings.web_proxy_header, settings.web_proxy_peers, settings.web_proxy_secret)
        self._proxy_role = Role(settings.web_proxy_role)
        self._account = pwd.getpwuid(os.geteuid()).pw_name

    def of(self, request: HTTPConnection) -> Visitor:
        """The visitor.

        Raises:
            LogInFirst: nobody is logged in.
            Refused: the page is reached past the proxy, or the proxy's user has no name that can be used.
        """
        token = request.cookies.get(COOKIE) or request.scope.setdefault(SESSION, new_token())
        if self.proxy.header:
            vouched = self._vouched(request, token)
            if vouched is not None:
                return vouched
        if self.users is not None:
            holder = self.sessions.holder(token) if COOKIE in request.cookies else None
            mark, _, name = (holder or "").partition(" ")
            user = self.users.get(name)
            if user is None or user.mark != mark:  # removed, or with another password than when the session began
                raise LogInFirst
            return Visitor(name, user.role, user.collections, token, logged_in=True)
        if self.proxy.header:
            raise Refused("refused_past_proxy")
        return Visitor(self._account, Role.CONFIGURE, (), token, logged_in=False)

    def calling(self, request: HTTPConnection) -> Visitor:
        """The caller of the HTTP door: by its key, or as of a page, but for cookies, which other pages' requests have.

        Raises:
            LogInFirst: there is no key, or an unknown one.
            Refused: the door is reached past the proxy, or the proxy's user has no name that can be used.
        """
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        ours = key.strip().startswith(KEY_PREFIX) or not self.proxy.header  # a proxy may pass on what it was sent
        if key and ours:
            found = self.users.of_key(key.strip()) if self.users and kind.lower() == "bearer" else None
            if found is None:
                raise LogInFirst
            name, user = found
            return Visitor(name, user.role, user.collections, "", logged_in=False)
        if self.proxy.header and (vouched := self._vouched(request, "")) is not None:
            return vouched
        if self.users is not None:
            raise LogInFirst
        if self.proxy.header:
            raise Refused("refused_past_proxy")
        return Visitor(self._account, Role.CONFIGURE, (), "", logged_in=False)

    def is_secure(self, request: HTTPConnection) -> bool:
        """Whether the browser speaks TLS: with us, or with the proxy, which says so."""
        peer = request.client.host if request.client else None
        forwarded = request.headers.get("x-forwarded-proto") if self.proxy.is_peer(peer, request.headers) else None
        return (forwarded or request.url.scheme) == "https"

    def _vouched(self, request: HTTPConnection, token: str) -> Visitor | None:
        peer = request.client.host if request.client else None
        name = self.proxy.user(peer, request.headers)
        if name is None:
            return None
        if len(name) > 128 or not name.isprintable():
            raise Refused("refused_name")
        user = self.users.get(name) if self.users else None
        if user is None:
            return Visitor(name, self._proxy_role, (), token, logged_in=False)
        return Visitor(name, user.role, user.collections, token, logged_in=False)
