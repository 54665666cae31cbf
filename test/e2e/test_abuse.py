# SPDX-License-Identifier: Apache-2.0
"""A crowd of clients that behave as badly as they can: memory stays bounded, and others notice nothing."""

import time

import pytest

import frames
import processes
from httpd import location
from waiting import SANITIZED, wait_until

pytestmark = pytest.mark.heavy

_CROWD = 100  # of each kind
_MIB = 1 << 20

_PARTS = "ListenBacklog 1024\n" + "".join(
    location(
        path,
        "echo",
        f"WebSocketDispatch {dispatch}",
        "WebSocketMaxMessageSize 1M",
        "WebSocketSendBuffer 64K",
        "WebSocketReceiveBuffer 64K",
        "WebSocketSlowConsumer Close",  # Block would let those that never read hold the pool
        "WebSocketMaxControlRate 100",
        "WebSocketMaxMessageRate 20000",
    )
    for path, dispatch in (("/pool", "Pool"), ("/inline", "Inline"))
)


@pytest.fixture
def server(start_httpd):
    return start_httpd(_PARTS)


def _never_writes(client):
    del client


def _never_reads(client):
    client.send_until_stuck(frames.binary(b"x" * 16384), 4 * _MIB)


def _half_closes(client):
    client.half_close()


def _sends_half_a_header(client):
    client.send(frames.binary(b"x" * 70000)[:3])


def _announces_a_large_message(client):
    client.send(frames.binary(b"x" * (_MIB - 100))[:20])


def _stops_inside_of_a_message(client):
    client.send(frames.binary(b"x" * 200_000)[:100_000])


def _vanishes(client):
    client.vanish()
    client.send(frames.text("nobody will read the answer"))


def _floods_with_pings(client):
    client.send_until_stuck(frames.ping(b"x" * 125) * 100, _MIB)


def _floods_with_empty_fragments(client):
    client.send_until_stuck(frames.text(b"", fin=False) + frames.continuation(b"", fin=False) * 5000, _MIB)


def _never_answers_a_close(client):
    client.send(b"\xff\xff")


_KINDS = [
    _never_writes,
    _never_reads,
    _half_closes,
    _sends_half_a_header,
    _announces_a_large_message,
    _stops_inside_of_a_message,
    _vanishes,
    _floods_with_pings,
    _floods_with_empty_fragments,
    _never_answers_a_close,
]


def _memory(server):
    return sum(processes.private_kib(child) for child in server.children())


def _latencies(clients, rounds, between=lambda: None):
    """Seconds that echoes took, sorted."""
    taken = []
    for _ in range(rounds):
        for client in clients:
            begun = time.monotonic()
            client.send(frames.text("how long?"))
            client.expect_text("how long?")
            taken.append(time.monotonic() - begun)
        between()
    return sorted(taken)


def _figures(latencies):
    median, worst = latencies[len(latencies) // 2], latencies[-1]
    return f"median {median * 1e3:.2f} ms, worst {worst * 1e3:.1f} ms"


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/pool", pytest.param("/inline", marks=pytest.mark.heavy)])
def test_a_crowd_of_bad_clients_harms_nobody(server, path):
    child = server.child()
    good = [server.websocket(path) for _ in range(4)]
    quiet = _latencies(good, 50)
    before = _memory(server)
    descriptors = processes.descriptors(child)

    crowd = []
    for behave in _KINDS:
        for _ in range(_CROWD):
            client = server.websocket(path, receive_buffer=4096)
            behave(client)
            crowd.append(client)
    # And some that send a frame byte by byte, a byte a round.
    slow = [server.websocket(path) for _ in range(_CROWD)]
    message = frames.text("drop by drop")
    sent = 0

    def send_a_byte():
        nonlocal sent
        for client in slow:
            client.send(message[sent : sent + 1])
        sent += 1

    busy = _latencies(good, len(message), send_a_byte)
    for client in slow:
        client.expect_text("drop by drop")

    grown = (_memory(server) - before) / 1024
    print(
        f"{len(crowd) + len(slow)} bad clients on {server.mpm} {path}: {grown:.1f} MiB more; "
        f"echo of others: {_figures(quiet)} alone, {_figures(busy)} beside them"
    )
    # Nine in ten are worth nothing; those that do not read or finish may hold their buffers. ASan
    # keeps what is freed for a while.
    assert SANITIZED or grown < 100

    for client in crowd + slow:
        client.reset()
    wait_until(lambda: processes.descriptors(child) <= descriptors, 20, "the end of the crowd")
    _latencies(good, 10)
    for client in good:
        client.close_handshake()
    assert server.child() == child


def test_clients_that_vanish_are_found(start_httpd):
    """Their sockets never report anything: no FIN, no RST, no acknowledgement."""
    server = start_httpd(
        location("/echo", "echo", "WebSocketPingInterval 200ms", "WebSocketPongTimeout 300ms", "WebSocketCloseTimeout 300ms")
    )
    child = server.child()
    with server.websocket("/echo") as client:
        client.close_handshake()
    descriptors = processes.descriptors(child)
    clients = [server.websocket("/echo") for _ in range(2 * _CROWD)]
    for client in clients:
        client.vanish()
    wait_until(lambda: processes.descriptors(child) <= descriptors, 10, "the end of those that vanished")
    for client in clients:
        client.reset()


def test_one_byte_at_a_time_is_life_and_holds_little(server):
    """Slowly sent frames are legal. What one holds does not depend on what it announces."""
    before = _memory(server)
    clients = [server.websocket("/inline") for _ in range(5 * _CROWD)]
    idle = _memory(server)
    announced = frames.binary(b"x" * (_MIB - 100))
    for n in range(40):
        for client in clients:
            client.send(announced[n : n + 1])
    server.answer("/inline")

    def each():
        return (_memory(server) - idle) * 1024 / len(clients)

    # What the large messages of other tests have left is given back when none has come for a while.
    wait_until(lambda: SANITIZED or each() < 40_000, 10, "less than 40,000 bytes for each client")
    print(
        f"{len(clients)} clients on {server.mpm}: {(idle - before) * 1024 / len(clients):.0f} bytes each when idle, "
        f"{each():.0f} more inside of a frame of 1 MiB of which 26 bytes have come"
    )
    for client in clients:
        client.close()
