# SPDX-License-Identifier: Apache-2.0
"""Limits in time and in number: pings, dead peers, full buffers, too many connections."""

import time

import pytest

import frames
import handshake
import processes
from httpd import Httpd, location
from waiting import patience, wait_until

_PARTS = "".join(
    [
        location("/ping", "echo", "WebSocketPingInterval 200ms", "WebSocketPongTimeout 2s"),
        location("/patient", "echo", "WebSocketPingInterval 200ms", "WebSocketPongTimeout 1h"),
        location("/no-ping", "echo", "WebSocketPingInterval 0", "WebSocketCloseTimeout 10m"),
        location("/close", "debug", "WebSocketCloseTimeout 300ms"),
        location("/close-inline", "debug", "WebSocketCloseTimeout 300ms", "WebSocketDispatch Inline"),
        location("/drop", "hostile", "WebSocketSlowConsumer Drop", "WebSocketSendBuffer 64K"),
        location(
            "/policy", "hostile", "WebSocketSlowConsumer Close", "WebSocketSendBuffer 64K", "WebSocketCloseTimeout 10m"
        ),
        location("/block", "hostile", "WebSocketSlowConsumer Block", "WebSocketSendBuffer 64K"),
        location("/receive", "sleepy", "WebSocketReceiveBuffer 64K"),
    ]
)


@pytest.fixture(scope="module")
def limited_server(mpm):
    with Httpd(mpm, _PARTS) as server:
        yield server


@pytest.fixture
def limited(limited_server):
    yield limited_server
    limited_server.assert_unharmed()


# ---- time ------------------------------------------------------------------------------------------


def test_an_idle_client_is_pinged_again_and_again(limited):
    with limited.websocket("/ping") as client:
        for _ in range(12):  # longer than a client may be silent
            client.send(frames.pong(client.expect(frames.PING)))
        client.close_handshake()


def test_a_dead_peer_is_dropped(limited):
    started = time.monotonic()
    with limited.websocket("/ping") as client:
        client.expect(frames.PING)
        while (frame := client.next_frame(what="the end of the stream")) is not None:
            assert frame.opcode in (frames.PING, frames.CLOSE), frame
        assert time.monotonic() - started > 2


@pytest.mark.full
def test_any_byte_counts_as_life(limited):
    with limited.websocket("/ping") as client:
        message = frames.text("no Pong ever")
        for n in range(len(message)):
            client.expect(frames.PING)
            client.send(message[n : n + 1])
        assert any(client.next_frame() == (frames.TEXT, b"no Pong ever") for _ in range(3))


def test_a_client_with_a_long_pong_timeout_is_not_dropped(limited):
    with limited.websocket("/patient") as client:
        client.expect(frames.PING)
        client.send(frames.text("a"))
        assert any(client.next_frame() == (frames.TEXT, b"a") for _ in range(20))


def test_no_pings_are_sent_where_the_interval_is_zero(limited):
    with limited.websocket("/no-ping") as client:
        client.expect_silence(0.7)
        client.close_handshake()


@pytest.mark.parametrize("path", ["/close", "/close-inline"])
def test_a_peer_that_never_answers_a_close_is_dropped(limited, path):
    with limited.websocket(path) as client:
        started = time.monotonic()
        client.send(frames.text("close"))
        client.expect_close(frames.NO_STATUS, then_end=False)
        client.expect_end(3)
        assert 0.1 < time.monotonic() - started < patience(2)


def test_a_peer_that_talks_on_after_a_close_is_dropped_too(limited):
    with limited.websocket("/close") as client:
        client.send(frames.text("close"))
        client.expect_close(frames.NO_STATUS, then_end=False)
        with pytest.raises(OSError):
            while True:
                client.send(frames.text("x" * 1000))


def test_a_peer_that_never_closes_after_an_error_is_dropped(limited):
    with limited.websocket("/close") as client:
        client.send(frames.text(b"\xff"))
        client.expect_close(1007, then_end=False)
        client.expect_end(3)


def test_the_server_closes_the_stream_right_after_a_close_handshake(limited):
    with limited.websocket("/no-ping") as client:
        client.send(frames.close(1000))
        client.expect_close(1000, then_end=False)
        client.expect_end()  # WebSocketCloseTimeout is ten minutes


# ---- full buffers ----------------------------------------------------------------------------------


def flooded(server, path):
    """A client that has read nothing of a flood of 400 messages."""
    client = server.websocket(path, receive_buffer=16384)
    client.send(frames.text("flood 400 65536"))
    client.wait_until_stalled()
    return client


def test_drop_gives_up_messages_and_keeps_the_connection(limited):
    client = flooded(limited, "/drop")
    client.send(frames.ping(b"read on"))
    received = 0
    while (frame := client.next_frame()) != (frames.PONG, b"read on"):
        assert frame.opcode == frames.TEXT or frame.payload == b"f" * 65536
        received += frame.opcode == frames.BINARY
    assert 0 < received < 400
    client.send(frames.text("hello"))
    while (frame := client.next_frame()).payload != b"hello":
        assert frame.opcode == frames.TEXT or frame.payload == b"f" * 65536
    client.close_handshake()


def test_close_ends_the_connection_with_1008(limited):
    client = flooded(limited, "/policy")
    received = 0
    while (frame := client.next_frame()).opcode == frames.BINARY:
        assert frame.payload == b"f" * 65536
        received += 1
    assert (frame.opcode, frame.code) == (frames.CLOSE, 1008)
    assert received < 400
    client.send(frames.close(1008))
    client.expect_end()


def test_block_makes_the_plugin_wait_and_loses_nothing(limited):
    client = flooded(limited, "/block")
    for _ in range(400):
        client.expect(frames.BINARY, b"f" * 65536)
    client.expect_text("flood done: 400")
    client.close_handshake()


def test_a_client_is_not_read_from_while_its_plugin_is_slow(limited):
    with limited.websocket("/receive") as client:
        client.send(frames.text("sleep 60000"))  # as good as for ever
        data = frames.binary(b"x" * 16384) * 4096
        taken = client.send_while_reading(data, stall=0.5)
        print(f"the server and the kernel took {taken} bytes of {len(data)}")
        assert taken < 16 << 20
        client.reset()


def test_what_waited_for_a_slow_plugin_arrives_in_order(limited):
    with limited.websocket("/receive") as client:
        messages = [bytes([n]) * 32768 for n in range(200)]
        client.send_while_reading(frames.text("sleep 300") + b"".join(map(frames.binary, messages)))
        client.expect_text("sleep 300")
        for message in messages:
            client.expect(frames.BINARY, message)
        client.close_handshake()


# ---- number ----------------------------------------------------------------------------------------


def assert_alive(clients):
    for client in clients:
        client.send(frames.text("alive"))
    for client in clients:
        client.expect_text("alive")


def test_one_connection_too_many_gets_503_until_a_slot_is_free(start_httpd):
    server = start_httpd("WebSocketMaxConnections 3\n" + location("/echo", "echo"))
    clients = [server.websocket("/echo") for _ in range(3)]
    start = server.log_size()
    assert [server.answer().status for _ in range(2)] == [503, 503]
    server.expect_log(r"WS\d{4}: ", start)
    assert server.get("/index.html").status == 200
    assert_alive(clients)
    for end in (lambda client: client.close_handshake(), lambda client: client.reset()):
        end(clients.pop())
        wait_until(lambda: server.answer().status == 101, 5, "a free slot")
        wait_until(
            lambda: clients.append(_try_open(server)) or clients[-1] or clients.pop(), 5, "a connection again"
        )
    assert_alive(clients)


def _try_open(server):
    """An open WebSocket, or None if the server has no room."""
    client = server.client()
    client.send(handshake.request("/echo"))
    if client.read_response().status == 101:
        return client
    client.close()
    return None


def test_running_out_of_descriptors_refuses_new_clients_and_keeps_the_others(start_httpd):
    server = start_httpd(location("/echo", "echo"), files=200)
    child = server.child()
    clients, start = [], server.log_size()
    refusals = 0
    while refusals < 20:  # in a row: a descriptor may come free while httpd closes its own
        client = _try_open(server)
        refusals = 0 if client else refusals + 1
        clients += [client] if client else []
        assert len(clients) < 200
    assert len(clients) > 50
    server.expect_log(r"WS\d{4}: ", start)
    assert server.get("/index.html").status == 200
    assert_alive(clients)
    assert server.child() == child
    for client in clients[:20]:
        client.reset()
    del clients[:20]
    wait_until(lambda: server.answer().status == 101, 5, "room for a new client")
    assert_alive(clients)
    assert server.child() == child and processes.is_alive(child)
