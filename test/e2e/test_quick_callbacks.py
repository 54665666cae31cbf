# SPDX-License-Identifier: Apache-2.0
"""Callbacks that have been quick run on the event loop's own thread. When one blocks after all, only its client waits."""

import contextlib
import select
import signal

import pytest

import frames
from deflate_client import DeflateClient
from httpd import Httpd, location, probe_section
from lifecycle import RESTART, assert_gone
from tls import TlsHttpd

pytestmark = pytest.mark.each_mpm

_ENOUGH = 100  # times 50 messages, after which callbacks are known to be quick

_V1 = probe_section("/v1", "pool")
_PARTS = (
    "WebSocketThreads 1\nWebSocketDrainTimeout 1s\n"
    + location("/hold", "holding")
    + location("/deflate", "echo", "WebSocketDeflate On")
    + _V1
)


@pytest.fixture
def server(mpm):
    """With one child, that all clients meet in one process, and with one loop."""
    with Httpd(mpm, _PARTS, children=1) as server:
        yield server


def _be_quick(client, prefix=""):
    for _ in range(_ENOUGH):
        client.send(b"".join(frames.text(f"{prefix}{n}") for n in range(50)))
        for n in range(50):
            client.expect_text(f"{n}")


def _is_served(client, prefix=""):
    for n in range(20):
        client.send(frames.text(f"{prefix}{n}"))
        client.expect_text(f"{n}")


def _block(client, other):
    """Has the client's callback block, for ever unless somebody releases it, while the other one is served."""
    _be_quick(client)
    client.send(frames.text("1") + frames.text("hold"))
    client.expect_text("1")
    _is_served(other)


def _nothing_from(client):
    return not select.select([client.sock], [], [], 0)[0]


def test_a_callback_that_blocks_holds_up_its_own_client_only(server):
    with server.websocket("/hold") as blocked, server.websocket("/hold") as other, server.websocket("/v1") as third:
        _be_quick(blocked)
        blocked.send(frames.text("1") + frames.text("hold") + frames.text("2") + frames.ping(b"p"))
        assert {blocked.next_frame().payload, blocked.next_frame().payload} == {b"1", b"p"}
        _is_served(other)
        _is_served(third, "echo ")
        blocked.send(frames.text("3") + frames.close(1000))
        _is_served(other)
        assert _nothing_from(blocked)
        server.websocket("/hold", headers=[("X-Release", "now")]).close_handshake()
        for text in ("hold", "2", "3"):
            blocked.expect_text(text)
        blocked.expect_close(1000)
        _is_served(other)
    server.assert_unharmed()


def test_large_messages_and_floods_come_back_in_order(server):
    large = "x" * 300_000
    with server.websocket("/hold") as client, server.websocket("/v1") as second:
        _be_quick(client)
        _be_quick(second, "echo ")
        for _ in range(3):
            client.send(b"".join(frames.text(f"{n}") for n in range(1000)) + frames.text(large) + frames.text("end"))
            second.send(b"".join(frames.text(f"echo {n}") for n in range(1000)) + frames.text("echo " + large))
            for n in range(1000):
                client.expect_text(f"{n}")
                second.expect_text(f"{n}")
            client.expect_text(large)
            client.expect_text("end")
            second.expect_text(large)
    server.assert_unharmed()


def test_messages_that_are_inflated_do_not_take_the_place_of_others(server):
    with server.websocket("/deflate") as client:
        _be_quick(client)
    with DeflateClient(server.port, "/deflate") as client:
        texts = [f"{n} " + chr(ord("a") + n % 26) * (100 + n % 7 * 300) for n in range(60)]
        data = b""
        for n, text in enumerate(texts):
            plain = n % 3 == 0
            payload = text.encode() if plain else client.compressed(text.encode())
            data += frames.frame(frames.TEXT, payload, rsv=0 if plain else 4)
        for _ in range(5):
            client.send(data)
            for text in texts:
                client.expect_message(text)
            data = b"".join(frames.text(text) for text in texts)


def test_large_messages_of_several_clients_over_tls_each_come_back_to_their_own(mpm):
    with TlsHttpd(mpm, _PARTS, children=1) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.tls_websocket("/hold")) for _ in range(4)]
        _be_quick(clients[0])
        for round_ in range(10):
            sent = {client: chr(ord("a") + n + round_) * 1_000_000 for n, client in enumerate(clients)}
            for client, text in sent.items():
                client.send(frames.text(text))
            for client, text in sent.items():
                client.expect_text(text)


def test_a_child_drains_although_the_thread_of_its_loop_is_blocked(server):
    child = server.children()
    with server.websocket("/hold") as blocked, server.websocket("/hold") as other:
        _block(blocked, other)
        server.signal(signal.SIGUSR1)
        other.expect_close(RESTART)
        blocked.expect_close(RESTART)
        with server.websocket("/hold") as new:
            _is_served(new)
    assert_gone(child, 10)


def test_httpd_stops_although_the_thread_of_a_loop_is_blocked(server):
    child = server.children()
    with server.websocket("/hold") as blocked, server.websocket("/hold") as other:
        _block(blocked, other)
        server.stop()
        other.expect_close(1001)
    assert_gone(child, 10)
