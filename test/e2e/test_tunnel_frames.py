# SPDX-License-Identifier: Apache-2.0
"""Tunnels that are followed frame by frame: limits for clients, Pings, and Closes that tell both sides why."""


import pytest

import frames
import handshake
from backends import Backend
from tunnels import TunnelServer, forget_connections, pass_on
from waiting import wait_until


def _parts(backend):
    return "\n".join(
        [
            "WebSocketTunnel Frames\nWebSocketOriginCheck Same",
            pass_on("/app/", backend.port),
            pass_on("/small/", backend.port, "WebSocketMaxMessageSize 1000", "WebSocketMaxFragments 3"),
            pass_on("/rate/", backend.port, "WebSocketMaxMessageRate 5", "WebSocketRatePolicy Close"),
            pass_on("/slow/", backend.port, "WebSocketMaxMessageRate 20", "WebSocketRateBurst 100ms"),
            pass_on("/control/", backend.port, "WebSocketMaxControlRate 3"),
            pass_on("/ping/", backend.port, "WebSocketPingInterval 200ms", "WebSocketPongTimeout 1h"),
            pass_on("/dead/", backend.port, "WebSocketPingInterval 100ms", "WebSocketPongTimeout 200ms"),
            'WebSocketLog logs "%U %{messages-in}w %{messages-out}w %{code}w %{closed-by}w %{reason}w"\n',
        ]
    )


@pytest.fixture(scope="module")
def shared(mpm):
    with Backend() as backend, TunnelServer(mpm, _parts(backend), backend) as server:
        yield server


@pytest.fixture
def tunnels(shared):
    yield shared
    forget_connections(shared.backend)
    wait_until(lambda: shared.status()["WebSocketConnectionsTunnel"] == "0", 10, "no tunnel being left")
    shared.assert_unharmed()


def await_line(server, line):
    wait_until(lambda: line in (server.root / "logs").read_text(), 10, f"a line {line!r}")


def test_messages_of_all_sizes_pass_in_any_portions(tunnels):
    client, peer = tunnels.tunnel()
    for size in (0, 1, 125, 126, 65535, 65536, 300_000):
        payload = bytes(size)
        client.send(frames.binary(payload))
        assert peer.expect(frames.BINARY) == payload
        peer.send(frames.binary(payload, mask=None))
        client.expect(frames.BINARY, payload)
    for data, here, there in (
        (frames.text("x" * 126) + frames.ping(b"p"), client, peer),
        (frames.text("and back", mask=None) + frames.pong(b"q", mask=None), peer, client),
    ):
        for n in range(len(data)):
            here.send(data[n : n + 1])
        seen = [there.next_frame() for _ in range(2)]
        assert seen[0].opcode == frames.TEXT and seen[1].payload in (b"p", b"q")
    client.send(frames.close(1000))
    peer.expect_close(1000, then_end=False)
    peer.send(frames.close(1000, mask=None))
    client.expect_close(1000, then_end=False)
    client.expect_end()
    client.close()
    peer.close()
    await_line(tunnels, "/app/chat 8 8 1000 client -\n")


@pytest.mark.parametrize("mask", [frames.MASK, None], ids=["client", "backend"])
def test_who_breaks_the_protocol_is_told_and_so_is_the_other(tunnels, mask):
    client, peer = tunnels.tunnel()
    wrong = frames.frame(0x3, b"what?", mask=mask)
    (client if mask else peer).send(wrong)
    code = 1002 if mask else 1011
    client.expect_close(code)
    peer.expect_close(code, then_end=False)
    client.close()
    peer.close()


def test_larger_messages_than_allowed_close_both_sides(tunnels):
    client, peer = tunnels.tunnel("/small/a")
    client.send(frames.binary(bytes(1000)))
    assert len(peer.expect(frames.BINARY)) == 1000
    peer.send(frames.binary(bytes(5000), mask=None))  # no limit for backends
    assert len(client.expect(frames.BINARY)) == 5000
    client.send(frames.binary(bytes(1001))[:20])
    client.expect_close(1009)
    peer.expect_close(1009, then_end=False)
    client.close()
    peer.close()
    await_line(tunnels, "/small/a 1 1 1009 server message too big\n")


def test_more_fragments_than_allowed_close_both_sides(tunnels):
    client, peer = tunnels.tunnel("/small/a")
    client.send(frames.binary(b"1", fin=False) + 3 * frames.continuation(b"2", fin=False))
    client.expect_close(1008)
    client.close()
    data = b""
    while more := peer.sock.recv(1000):
        data += more
    assert data.startswith(frames.binary(b"1", fin=False) + 2 * frames.continuation(b"2", fin=False))
    assert len(data) == 3 * 7 + 6 + 2 + len("too many fragments")  # and a Close that says it
    peer.close()


@pytest.mark.parametrize("path", ["/rate/a", "/control/a"])
def test_clients_that_send_too_often_are_closed(tunnels, path):
    client, peer = tunnels.tunnel(path)
    one = frames.text("x") if path == "/rate/a" else frames.ping(b"x")
    client.send(one * 20)
    client.expect_close(1008)
    while (frame := peer.next_frame()) is not None and frame.opcode != frames.CLOSE:
        pass
    assert frame.code == 1008
    client.close()
    peer.close()


def test_a_rate_may_just_slow_down(tunnels):
    client, peer = tunnels.tunnel("/slow/a")
    client.send(frames.text("x") * 10)
    for _ in range(10):
        peer.expect_text("x")
    client.send(frames.text("y"))
    peer.expect_text("y")
    client.close()
    peer.close()


def test_pages_of_others_do_not_get_to_the_backend(tunnels):
    assert tunnels.answer("/app/a", headers=[("Origin", "http://evil.example.com")]).status == 403
    assert tunnels.answer("/app/a", connection=None, headers=[("Origin", "http://evil.example.com")]).status == 403
    assert tunnels.backend.quiet()
    client, peer = tunnels.tunnel(headers=[("Origin", "http://127.0.0.1")])
    client.close()
    peer.expect_end()
    peer.close()


_START = frames.binary(bytes(1000))[:8]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("header", "body"),
    [(("Content-Length", len(_START)), _START), (("Transfer-Encoding", "chunked"), b"%x\r\n%s\r\n0\r\n\r\n" % (len(_START), _START))],
    ids=["length", "chunked"],
)
def test_a_handshake_with_a_body_does_not_get_to_the_backend(tunnels, method, header, body):
    """Which might take it for the begin of a message."""
    _line, response = tunnels.refusal("request has a body", "/small/a", method=method, headers=[header], body=body)
    assert response.status == 400
    assert tunnels.backend.quiet()


def test_a_body_of_nothing_is_none(tunnels):
    client, peer = tunnels.tunnel(headers=[("Content-Length", "0")])
    client.send(frames.text("hello"))
    peer.expect_text("hello")
    client.close()
    peer.close()


def test_a_quiet_client_is_pinged_and_the_backend_does_not_hear_of_it(tunnels):
    client, peer = tunnels.tunnel("/ping/a")
    for _ in range(5):
        payload = client.expect(frames.PING)
        client.send(frames.pong(payload))
    client.send(frames.pong(b"of my own"))
    peer.expect_pong(b"of my own")
    # Not inside a message of the backend.
    message = frames.binary(bytes(100), mask=None)
    peer.send(message[:50])
    client.send(frames.text("hello"))
    peer.expect_text("hello")
    peer.send(message[50:])
    while (frame := client.next_frame()).opcode == frames.PING:
        pass
    assert frame == (frames.BINARY, bytes(100))
    client.close()
    peer.close()


def test_a_client_that_does_not_answer_is_given_up(tunnels):
    client, peer = tunnels.tunnel("/dead/a")
    client.vanish()
    peer.expect_close(1001, then_end=False)
    peer.expect_end()
    client.close()
    peer.close()
    await_line(tunnels, "/dead/a 0 0 1001 server no sign of life after a Ping\n")


def test_compressed_frames_pass_where_both_have_agreed(tunnels):
    deflate = [("Sec-WebSocket-Extensions", "permessage-deflate")]
    client, peer = tunnels.tunnel(headers=deflate, answer_headers=deflate)
    compressed = frames.text(b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv=4)
    client.send(compressed)
    assert peer.sock.recv(1000) == compressed
    client.close()
    peer.close()
    client, peer = tunnels.tunnel()
    client.send(compressed)
    client.expect_close(1002)
    client.close()
    peer.close()


def test_frames_of_unknown_extensions_are_passed_on_unseen(tunnels):
    unknown = [("Sec-WebSocket-Extensions", "x-rot13")]
    client, peer = tunnels.tunnel(headers=unknown, answer_headers=unknown)
    strange = frames.text("uryyb", rsv=3)
    client.send(strange)
    assert peer.sock.recv(1000) == strange
    tunnels.expect_log("WS0153: .*x-rot13")
    client.close()
    peer.close()
