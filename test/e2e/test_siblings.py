# SPDX-License-Identifier: Apache-2.0
"""Children fill evenly, and none refuses a client for which another one has room."""

import select
import signal
import socket
import ssl
import threading

import pytest

import certificates
import handshake
import httpd
import processes
from event_client import EventClient
from httpd import Httpd, location, several_children, shipped
from test_scale import open_batch, open_many
from waiting import patience, wait_until

_CHILDREN = 4
_PLACES = 12  # of a child
_ALL = _CHILDREN * _PLACES

_PARTS = f"""
ListenBacklog 1024
{several_children(_CHILDREN)}KeepAliveTimeout 60
RequestReadTimeout handshake=0 header=0 body=0
""" + location("/echo", "echo") + shipped("/news", "topic", "WebSocketOption topic news")
_SMALL = f"WebSocketMaxConnections {_PLACES}\n" + _PARTS


def _await_children(server):
    """A child that has been forked is none that others know before it serves."""
    workers = _CHILDREN * (1 if server.mpm == "prefork" else 8)
    others = workers - 1  # than the one that says so
    wait_until(lambda: int(server.status()["IdleWorkers"]) >= others, 20, "all children")


@pytest.fixture
def server(mpm):
    """Four children with few places each."""
    with Httpd(mpm, _SMALL, children=_CHILDREN) as server:
        _await_children(server)
        yield server


def _connect(port):
    return socket.create_connection(("127.0.0.1", port), patience(10))


def _close(socks):
    for sock in socks:
        sock.close()


def _answer(sock):
    """The status that a client gets; None when the server has closed."""
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            more = sock.recv(65536)
            if not more:
                return None
            data += more
    except ConnectionResetError:
        return None
    return int(data.split()[1])


def _flood(server, count):
    """The statuses of so many handshakes at the same time, with the sockets that are open then."""
    socks = [_connect(server.port) for _ in range(count)]
    for sock in socks:
        sock.sendall(handshake.request("/echo"))
    return [(_answer(sock), sock) for sock in socks]


@pytest.mark.each_mpm
def test_no_client_is_refused_while_another_child_has_room(server):
    socks = open_batch(server.port, _ALL)
    refused = server.answer().status
    assert refused == 503
    _close(socks[:3])
    wait_until(lambda: server.answer().status == 101, 10, "a free place")
    _close(socks)


@pytest.mark.each_mpm
def test_clients_that_come_one_by_one_find_the_last_place(server):
    socks = []
    for _ in range(_ALL):
        socks += open_batch(server.port, 1)
    assert server.answer().status == 503
    _close(socks)


@pytest.mark.each_mpm
def test_event_streams_find_the_last_place_too(server):
    socks = open_batch(server.port, _ALL - 8)
    streams = [EventClient(server.port, "/news") for _ in range(8)]
    assert [stream.response.status for stream in streams] == [200] * 8
    assert EventClient(server.port, "/news").response.status == 503
    _close(socks + [stream.sock for stream in streams])


@pytest.mark.parametrize("pause", [0, 1.5], ids=["at_once", "after_a_while"])
def test_a_head_that_comes_in_parts_finds_the_last_place(server, pause):
    """Also when it takes longer than a child waits before it hands on a client of which it knows nothing."""
    socks = open_batch(server.port, _ALL - 4)
    slow = [_connect(server.port) for _ in range(4)]
    for sock in slow:
        sock.sendall(handshake.request("/echo")[:20])
    readable, _, _ = select.select(slow, [], [], pause)
    assert not readable
    for sock in slow:
        sock.sendall(handshake.request("/echo")[20:])
    assert [_answer(sock) for sock in slow] == [101] * 4
    _close(socks + slow)


@pytest.mark.parametrize("header", ["", "Accept: text/event-stream\r\n"], ids=["page", "looks_like_a_stream"])
def test_a_connection_that_was_kept_alive_finds_the_last_place(server, header):
    kept = [server.client() for _ in range(3)]
    for client in kept:
        client.send(f"GET /index.html HTTP/1.1\r\nHost: x\r\n{header}\r\n".encode())
        assert client.read_response().status == 200
    socks = []
    for _ in range(_ALL - len(kept)):  # not at once: event closes idle connections when it is busy
        socks += open_batch(server.port, 1)
    for client in kept:
        client.send(handshake.request("/echo"))
    assert [client.read_response().status for client in kept] == [101] * len(kept)
    _close(socks + kept)


_UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket"
_STREAM = "Accept: text/event-stream"
_NO_WEBSOCKETS = """
<Location "/secret">
    AuthType Basic
    AuthName secret
    AuthUserFile "@ROOT@/passwords"
    Require valid-user
</Location>
<Location "/forbidden">
    Require all denied
    ErrorDocument 403 /large
</Location>
Protocols h2c http/1.1
ProxyPass "/behind" "http://127.0.0.1:@PORT@/index.html"
""" + location("/http", "http")


@pytest.fixture
def pages(mpm):
    """Four children that have something else than WebSockets, too."""
    server = Httpd(mpm, _SMALL + _NO_WEBSOCKETS, children=_CHILDREN, modules=("http2", "proxy", "proxy_http"))
    with open(server.root / "htdocs/large", "wb") as file:
        file.truncate(1 << 26)
    with server:
        _await_children(server)
        yield server


def _ask(server, path, header, **options):
    client = server.client(**options)
    client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode())
    return client


@pytest.mark.parametrize("header", [_UPGRADE, _STREAM], ids=["upgrade", "event_stream"])
@pytest.mark.parametrize("path, status", [("/index.html", 200), ("/missing", 404), ("/secret", 401), ("/behind", 200)])
def test_who_gets_something_else_has_no_place(pages, path, status, header):
    """Whatever the request looked like before it was read, and however long the connection stays."""
    clients = [_ask(pages, path, header) for _ in range(8)]
    assert [client.read_response().status for client in clients] == [status] * len(clients)
    _close(open_batch(pages.port, _ALL) + clients)


def test_who_sends_a_head_that_is_none_has_no_place(pages):
    clients = [_ask(pages, "/index.html", _UPGRADE + "\r\nno colon") for _ in range(8)]
    assert [client.read_response().status for client in clients] == [400] * len(clients)
    _close(open_batch(pages.port, _ALL) + clients)


def test_who_goes_on_with_http2_has_no_place(pages):
    def switch():
        more = "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk"
        client = _ask(pages, "/echo", f"{_STREAM}\r\n{more}")
        assert client.read_response().status == 101
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        return client

    clients = [switch() for _ in range(8)]
    _close(open_batch(pages.port, _ALL) + clients)


@pytest.mark.parametrize("path", ["/large", "/forbidden", "/http/large?size=8000000"])
def test_who_does_not_read_something_else_has_no_place(pages, path):
    clients = [_ask(pages, path, _STREAM, receive_buffer=4096) for _ in range(8)]
    for client in clients:
        assert client.sock.recv(8) == b"HTTP/1.1"
    _close(open_batch(pages.port, _ALL) + clients)


def test_nothing_that_was_sent_behind_a_request_is_lost(server):
    """A child that has read some of it serves it, or refuses it, itself."""
    kept = [server.client() for _ in range(3)]
    for client in kept:
        client.send(b"GET /index.html HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read_response().status == 200
    socks = []
    for _ in range(_ALL - len(kept)):
        socks += open_batch(server.port, 1)
    for client in kept:
        client.send(b"GET /index.html HTTP/1.1\r\nHost: x\r\n\r\n" + handshake.request("/echo"))
    for client in kept:
        assert client.read_response().status == 200
        assert client.read_response().status in (101, 503)
    _close(socks + kept)


def test_full_children_serve_pages(server):
    socks = open_batch(server.port, _ALL)
    assert all(server.get("/index.html").status == 200 for _ in range(10))
    _close(socks)


def test_a_child_that_hangs_makes_nobody_wait_for_ever(server):
    with processes.stopped(server.children()[0]):
        socks = open_batch(server.port, (_CHILDREN - 1) * _PLACES)
        assert server.answer().status == 503  # although the one that hangs would have room
        assert server.get("/index.html").status == 200
    _close(socks)


def test_a_child_that_is_killed_takes_nothing_of_its_siblings_along(server):
    socks = open_batch(server.port, _ALL // 2)
    killed = threading.Thread(target=processes.kill, args=(server.children()[1],))
    killed.start()
    answers = _flood(server, _ALL // 4)  # for which there is room without it, too
    killed.join()
    assert {status for status, _ in answers} <= {101, None}
    _close(socks + [sock for _, sock in answers])
    wait_until(lambda: len(server.children()) == _CHILDREN, 20, "a child in its place")
    _await_children(server)
    _close(open_many(server.port, _ALL // 2))


def test_new_clients_come_to_children_of_the_new_generation(server):
    before = server.children()
    socks = open_batch(server.port, _ALL - 2)
    server.signal(signal.SIGUSR1)
    wait_until(lambda: len(set(server.children()) - set(before)) == _CHILDREN, 20, "new children")
    _await_children(server)
    more = open_batch(server.port, _ALL)
    _close(socks + more)


def test_tls_finds_the_last_place_too(mpm):
    port = httpd.free_port()
    parts = _SMALL + certificates.virtual_host(port)
    with Httpd(mpm, parts, children=_CHILDREN, modules=("ssl", "socache_shmcb")) as server:
        _await_children(server)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        socks = []
        for _ in range(_ALL):
            sock = context.wrap_socket(_connect(port))
            sock.sendall(handshake.request("/echo"))
            assert _answer(sock) == 101
            socks.append(sock)
        _close(socks)


@pytest.mark.each_mpm
@pytest.mark.slow
@pytest.mark.full
def test_children_fill_within_a_tenth_of_each_other(mpm):
    """A child that the machine lets wait too long is passed over, so it is seen in one of some tries."""
    with Httpd(mpm, _PARTS, children=_CHILDREN) as server:
        _await_children(server)
        empty = {child: processes.sockets(child) for child in server.children()}

        def counts():
            return [processes.sockets(child) - before for child, before in empty.items()]

        found = []
        for _ in range(8):
            socks = open_many(server.port, 2000)
            found.append(counts())
            _close(socks)
            if max(found[-1]) - min(found[-1]) <= 0.1 * max(found[-1]):
                return
            wait_until(lambda: max(counts()) <= 10, 20, "nearly empty children")
        raise AssertionError(found)
