# SPDX-License-Identifier: Apache-2.0
"""A child that was stopped for a while does not blame its clients."""

import selectors
import socket
import time

import frames
import handshake
import processes
from httpd import location
from waiting import patience

MPMS = ["event"]  # what is tested knows nothing of httpd

# More than one epoll_wait(2) returns.
_CLIENTS = 600
_BATCH = 100
_PONG_TIMEOUT = 3
_REQUEST = handshake.request("/echo")
_PING = b"\x89\x04ping"


def _echo(text):
    return bytes([0x81, len(text)]) + text


class _Clients:
    """Open WebSockets that count their Pings, and answer them as long as they should."""

    def __init__(self, port, count):
        self.answers = True
        self.received = {}
        self._selector = selectors.DefaultSelector()
        while len(self.received) < count:
            self._open(port, _BATCH)
            self._turn(0)

    def _open(self, port, count):
        socks = [socket.create_connection(("127.0.0.1", port), patience(10)) for _ in range(count)]
        for sock in socks:
            sock.sendall(_REQUEST)
        for sock in socks:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += sock.recv(1)
            assert head.startswith(b"HTTP/1.1 101 "), head
            self.received[sock] = b""
            self._selector.register(sock, selectors.EVENT_READ)

    def _turn(self, seconds):
        for key, _ in self._selector.select(seconds):
            data = key.fileobj.recv(65536)
            assert data, f"a client was dropped after {self.received[key.fileobj]!r}"
            self.received[key.fileobj] += data
            if self.answers:
                key.fileobj.sendall(frames.pong(b"ping") * data.count(_PING))

    def await_all(self, what, after=b""):
        """Until each has received `what` behind the last `after`."""
        deadline = time.monotonic() + patience(20)
        while not all(what in (data.rpartition(after)[2] if after else data) for data in self.received.values()):
            assert time.monotonic() < deadline, f"not everybody has got {what!r}"
            self._turn(0.1)

    def say(self, text):
        """Gets an echo of this, for the first time."""
        self.send(frames.text(text))
        self.await_all(_echo(text))

    def send(self, frame):
        for sock in self.received:
            sock.sendall(frame)

    def close(self):
        for sock in self.received:
            sock.close()


def test_a_child_that_was_stopped_drops_nobody_who_has_answered(start_httpd):
    server = start_httpd(
        "ListenBacklog 1024\n"
        + location(
            "/echo",
            "echo",
            "WebSocketDispatch Inline",
            "WebSocketPingInterval 500ms",
            f"WebSocketPongTimeout {_PONG_TIMEOUT}s",
        )
    )
    clients = _Clients(server.port, _CLIENTS)
    try:
        clients.answers = False
        clients.say(b"all alive")
        clients.await_all(_PING, after=_echo(b"all alive"))
        child = server.child()
        with processes.stopped(child):
            clients.send(frames.pong(b"ping"))
            time.sleep(_PONG_TIMEOUT + 0.5)  # the standstill itself
        clients.answers = True
        clients.say(b"still here")
    finally:
        clients.close()
    assert server.child() == child
