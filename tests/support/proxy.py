"""A network between a client and a server that a test can disturb: dropped, stalled, slow, reset within a reply."""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Self

from tests.support.servers import free_port

_CHUNK = 65536
_LOOK_EVERY_S = 0.02


@dataclass(slots=True)
class Weather:
    """The treatment of bytes; can be changed at any time.

    Attributes:
        to_server: whether they get through to the server.
        to_client: whether they get through to the client.
        accepting: whether new connections are answered by the server; otherwise they are accepted, and that is all.
        bytes_per_s: at most so many for each connection and direction; 0: any number.
        delay_s: each chunk arrives so much later.
        reset_after: reset a connection when so many bytes of replies have passed, counted from when this was set.
        swallow: reset a connection before the reply to a request with these bytes in it passes, and once only.
    """

    to_server: bool = True
    to_client: bool = True
    accepting: bool = True
    bytes_per_s: int = 0
    delay_s: float = 0.0
    reset_after: int | None = None
    swallow: bytes = b""
    swallowed: int = 0
    resets: int = field(default=0)


class Proxy:
    """Passes the bytes of any number of connections on to ``host:port``, or does not.

    Args:
        port: of the server, on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self.target = port
        self.port = free_port()
        self.weather = Weather()
        self.accepted = 0
        self._listener: socket.socket | None = None
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        assert self._listener is not None
        self._listener.close()
        self.reset()

    def cut(self) -> None:
        """Drop everything in both directions silently."""
        self.weather.to_server = self.weather.to_client = False

    def heal(self) -> None:
        """Pass everything again; stalled connections continue."""
        self.weather = Weather(resets=self.weather.resets, swallowed=self.weather.swallowed)

    def reset(self) -> None:
        """Reset every connection."""
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for one in sockets:
            _reset(one)

    def _accept(self) -> None:
        assert self._listener is not None
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            with self._lock:
                self._sockets.add(client)
            if self.weather.accepting:
                self._join(client)

    def _join(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target), 5.0)
        except OSError:
            _reset(client)
            return
        server.settimeout(None)
        with self._lock:
            self._sockets.add(server)
        pair = _Pair(client, server)
        threading.Thread(target=self._pass, args=(pair, True), daemon=True).start()
        threading.Thread(target=self._pass, args=(pair, False), daemon=True).start()

    def _pass(self, pair: _Pair, to_server: bool) -> None:
        source, target = (pair.client, pair.server) if to_server else (pair.server, pair.client)
        try:
            while data := source.recv(_CHUNK):
                if not self._let_through(pair, data, to_server):
                    return
                self._send(target, data, to_server)
        except OSError:
            pass
        finally:
            pair.close()
            with self._lock:
                self._sockets -= {pair.client, pair.server}

    def _let_through(self, pair: _Pair, data: bytes, to_server: bool) -> bool:
        weather = self.weather
        if to_server and weather.swallow and weather.swallow in data:
            pair.doomed, weather.swallow = True, b""
        if not to_server and pair.doomed:
            weather.swallowed += 1
            pair.reset()
            return False
        if not to_server and weather.reset_after is not None:
            weather.reset_after -= len(data)
            if weather.reset_after < 0:
                weather.reset_after = None
                weather.resets += 1
                pair.client.sendall(data[: len(data) // 2])
                pair.reset()
                return False
        return True

    def _send(self, target: socket.socket, data: bytes, to_server: bool) -> None:
        self._wait_open(to_server)
        if self.weather.delay_s:
            self._closed.wait(self.weather.delay_s)
        while data:
            rate = self.weather.bytes_per_s
            piece = data[: max(1, round(rate * _LOOK_EVERY_S))] if rate else data
            target.sendall(piece)
            data = data[len(piece) :]
            if rate:
                self._closed.wait(len(piece) / rate)
            self._wait_open(to_server)

    def _wait_open(self, to_server: bool) -> None:
        while not (self.weather.to_server if to_server else self.weather.to_client):
            if self._closed.wait(_LOOK_EVERY_S):
                raise OSError("the proxy is closed")


class _Pair:
    """Both ends of one connection."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.doomed = False

    def close(self) -> None:
        for one in (self.client, self.server):
            one.close()

    def reset(self) -> None:
        for one in (self.client, self.server):
            _reset(one)


def _reset(connection: socket.socket) -> None:
    """Close with a reset."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
