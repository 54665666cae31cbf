# SPDX-License-Identifier: Apache-2.0
"""Ten thousand sockets in one child, and nothing left behind when they go."""

import os
import socket
import struct

import pytest

import frames
import handshake
import processes
from httpd import location
from waiting import SANITIZED, patience, wait_until

_SOCKETS = 2000 if SANITIZED else 10000
_BATCH = 200
_HANDSHAKE = handshake.request("/echo")


@pytest.fixture
def server(start_httpd):
    """A server of one child with the echo plugin, both ways of running it."""
    return start_httpd(
        "ListenBacklog 1024\n"
        + location("/echo", "echo")
        + location("/inline", "echo", "WebSocketDispatch Inline")
    )


def _workers(server):
    status = server.status()
    return status["BusyWorkers"], status["IdleWorkers"]


def _receive(sock, ending=None, size=None):
    """Bytes of at least a size, or with an ending somewhere; the socket has a timeout of its own."""
    data = b""
    while not (ending in data if ending else len(data) >= size):
        more = sock.recv(65536)
        assert more, f"the server closed after {data!r}"
        data += more
    return data


def open_batch(port, count, request=_HANDSHAKE):
    """So many open WebSockets, their handshakes under way at the same time."""
    socks = []
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", port), patience(10))
        sock.sendall(request)
        socks.append(sock)
    for sock in socks:
        head = _receive(sock, ending=b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
    return socks


def open_many(port, count):
    socks = []
    while len(socks) < count:
        socks += open_batch(port, min(_BATCH, count - len(socks)))
    return socks


def echo_all(socks, payload=b"hello"):
    expected = bytes([0x81, len(payload)]) + payload
    for start in range(0, len(socks), _BATCH):
        for sock in socks[start : start + _BATCH]:
            sock.sendall(frames.text(payload))
        for sock in socks[start : start + _BATCH]:
            assert _receive(sock, size=len(expected)) == expected


def close_all(socks):
    reply = bytes([0x88, 2]) + struct.pack("!H", 1000)
    for start in range(0, len(socks), _BATCH):
        for sock in socks[start : start + _BATCH]:
            sock.sendall(frames.close(1000))
        for sock in socks[start : start + _BATCH]:
            assert _receive(sock, size=len(reply)) == reply
            assert sock.recv(1) == b""
            sock.close()


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.heavy
@pytest.mark.slow
@pytest.mark.each_mpm
def test_ten_thousand_sockets_in_one_child_occupy_no_worker(server):
    child = server.child()
    close_all(open_many(server.port, 1))  # the event loops begin with the first connection
    base = processes.descriptors(child)
    before = processes.private_kib(child)
    socks = open_many(server.port, _SOCKETS)
    assert server.child() == child
    assert processes.sockets(child) >= _SOCKETS
    idle = "0" if server.mpm == "prefork" else "24"
    wait_until(lambda: _workers(server) == ("1", idle), 5, "idle workers")
    per_socket = (processes.private_kib(child) - before) * 1024 / _SOCKETS
    print(f"{_SOCKETS} sockets on {server.mpm}: {per_socket:.0f} private bytes each")
    echo_all(socks)
    echo_all(socks, b"again")
    close_all(socks)
    wait_until(lambda: processes.descriptors(child) <= base, 10, "the descriptors being closed")
    assert server.child() == child


def _stage(port, bytes_to_send, await_101, end):
    """Kills a client that has sent so much."""
    sock = socket.create_connection(("127.0.0.1", port), patience(10))
    sock.sendall(bytes_to_send)
    if await_101:
        _receive(sock, ending=b"\r\n\r\n")
    end(sock)


_STAGES = {
    "connected": (b"", False),
    "inside_the_request": (_HANDSHAKE[:-20], False),
    "before_reading_the_101": (_HANDSHAKE, False),
    "with_frames_before_reading_the_101": (_HANDSHAKE + frames.text("x" * 1000) * 20, False),
    "idle": (_HANDSHAKE, True),
    "inside_a_frame_header": (_HANDSHAKE + frames.text("x" * 200)[:3], True),
    "inside_a_payload": (_HANDSHAKE + frames.text("x" * 5000)[:2000], True),
    "inside_a_message": (_HANDSHAKE + frames.text("x" * 5000, fin=False), True),
    "after_an_error": (_HANDSHAKE + b"\xff\xff", True),
    "after_close": (_HANDSHAKE + frames.close(1000), True),
    "with_unread_echoes": (_HANDSHAKE + frames.binary(b"x" * 50000) * 4, True),
}


@pytest.mark.each_mpm
@pytest.mark.parametrize("path", ["/echo", "/inline"])
@pytest.mark.parametrize("end", [socket.socket.close, reset], ids=["fin", "rst"])
def test_clients_killed_at_any_stage_leave_no_descriptor_behind(server, path, end):
    child = server.child()
    quiet = processes.sockets(child)
    close_all(open_batch(server.port, 20))
    wait_until(lambda: processes.sockets(child) <= quiet, 10, "the first clients being gone")
    base = processes.descriptors(child)
    for data, await_101 in _STAGES.values():
        for _ in range(20):
            _stage(server.port, data.replace(b"/echo", path.encode()), await_101, end)
    wait_until(
        lambda: processes.descriptors(child) <= base,
        10,
        f"{base} descriptors again, there are {os.listdir(f'/proc/{child}/fd')}",
    )
    assert server.child() == child
    close_all(open_batch(server.port, 20))


@pytest.mark.heavy
@pytest.mark.slow
def test_ten_thousand_rounds_of_connect_and_close_leak_nothing(server):
    child = server.child()
    for _ in range(2000 // _BATCH):
        close_all(open_batch(server.port, _BATCH))
    base, before = processes.descriptors(child), processes.private_kib(child)
    for n in range(_SOCKETS // _BATCH):
        socks = open_batch(server.port, _BATCH)
        if n % 2:
            echo_all(socks)
            close_all(socks)
        else:
            for sock in socks:
                reset(sock)
    wait_until(lambda: processes.descriptors(child) <= base, 10, "the descriptors being closed")
    grown = processes.private_kib(child) - before
    print(f"{_SOCKETS} rounds on {server.mpm}: {grown} KiB more private memory")
    assert grown < (300 if SANITIZED else 3) * 1024
    assert server.child() == child


def test_idle_connections_cost_no_cpu_time(server):
    child = server.child()
    socks = open_many(server.port, 500)
    echo_all(socks)
    before = processes.cpu_seconds(child)
    socks[0].settimeout(1.0)
    with pytest.raises(TimeoutError):
        socks[0].recv(1)
    used = processes.cpu_seconds(child) - before
    print(f"500 idle connections on {server.mpm}: {used:.2f} s of CPU time in one second")
    assert used <= 0.1
    for sock in socks:
        sock.close()
