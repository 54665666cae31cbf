# SPDX-License-Identifier: Apache-2.0
"""Whom a child serves for a full sibling lives through its graceful end as other clients of httpd do."""

import contextlib
import signal

import pytest

import handshake
import processes
from httpd import Httpd, location, several_children
from lifecycle import RESTART, assert_gone
from test_scale import open_batch
from waiting import wait_until

pytestmark = pytest.mark.each_mpm
MPMS = ("event", "worker")

_PLACES = 12
_SIZE = 1 << 24  # more than sockets hold
_PARTS = f"""
{several_children(2, slots=6)}
WebSocketMaxConnections {_PLACES}
KeepAliveTimeout 1000
Timeout 1000
RequestReadTimeout handshake=0 header=0 body=0
GracefulShutdownTimeout 0
WebSocketDrainTimeout 4s
LogLevel websocket:trace1
""" + location("/echo", "echo")
_WISH = "Accept: text/event-stream"  # for which a full child passes a client on


@pytest.fixture
def server(mpm):
    server = Httpd(mpm, _PARTS)
    with open(server.root / "htdocs/large", "wb") as file:
        file.truncate(_SIZE)
    with server:
        wait_until(lambda: int(server.status()["IdleWorkers"]) >= 15, 20, "both children")
        yield server


@contextlib.contextmanager
def _guest(server, request):
    """A client that has sent this, and is served by the child that has not accepted it."""
    full, other = server.children()
    with processes.stopped(other):
        places = open_batch(server.port, _PLACES)
        log = server.log_size()
        client = server.client()
        client.send(request)
        server.expect_log(rf"pid {full}\D.* left to another child", log)
    for sock in places:
        sock.close()
    with client:
        yield client


def _get(path):
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{_WISH}\r\n\r\n".encode()


def _restart(server):
    """Returns the old children: who serves nobody of them has ended, and others are there."""
    old = server.children()
    server.signal(signal.SIGUSR1)
    wait_until(lambda: not all(map(processes.is_alive, old)), 20, "the end of a child")
    wait_until(lambda: len(set(server.children()) - set(old)) == 2, 20, "new children")
    return old


def _rest_of(sock):
    size = 0
    while data := sock.recv(1 << 18):
        size += len(data)
    return size


def test_a_response_under_way_is_completed(server):
    with _guest(server, _get("/large")) as client:
        begin = client.sock.recv(8)
        assert begin == b"HTTP/1.1"
        old = _restart(server)
        assert _rest_of(client.sock) > _SIZE  # and its end, although it was to be kept alive
    assert_gone(old, 5)


def test_a_request_of_which_a_part_has_come_is_answered(server):
    with _guest(server, _get("/index.html")) as client:
        assert client.read_response().status == 200
        client.send(_get("/index.html")[:10])
        _restart(server)
        client.send(_get("/index.html")[10:])
        response = client.read_response()
        assert (response.status, response.header("Connection")) == (200, "close")
        client.expect_end()


def test_a_handshake_of_which_a_part_has_come_is_answered(server):
    head = handshake.request("/echo")
    with _guest(server, head[:10]) as client:
        _restart(server)
        client.send(head[10:])
        assert client.read_response().status == 101
        client.expect_close(RESTART)


def test_a_connection_that_waits_for_a_request_is_closed(server):
    with _guest(server, _get("/index.html")) as client:
        response = client.read_response()
        assert (response.status, response.header("Connection")) == (200, None)
        old = server.children()
        server.signal(signal.SIGUSR1)
        client.expect_end()
    assert_gone(old, 5)


def test_a_stop_waits_for_no_response(server):
    with _guest(server, _get("/large")) as client:
        assert client.sock.recv(8) == b"HTTP/1.1"
        _restart(server)
        server.stop()
