# SPDX-License-Identifier: Apache-2.0
"""rpc-frmwrk through a tunnel: what its programs send is not what RFC 6455 wants, and arrives as it is."""

import contextlib
import ssl

import pytest

import frames
import handshake
from backends import Accepted, Backend
from httpd import free_port
from proxies import HOST, Case, Certificate, Front
from recipes import await_tunnels, recipe
from waiting import patience

_SOMEBODY = "127.0.0.5"  # who is not the proxy

# 64 bits instead of 128: base64 of them, and what it is answered with.
_SHORT_KEY = "BVk27NoJaxQ="
_SHORT_ACCEPT = "/mYE/17pbLxAW2R1S+Bb4/zsPZY="

# Frames as its programs write them, whichever side they are on: none has a mask.
_BYTES = bytes(range(256))
_PACKET = frames.binary(_BYTES * 252, mask=None)  # 63 KiB
_MESSAGE = frames.binary(_BYTES * 4096, mask=None)  # 1 MiB
_PONG = bytes([0x1A, 4]) + b"ping"  # no FIN, RSV3
_CLOSE = bytes([0x98, 6]) + b"\x03\xf3\x00\x00\x00\x04"  # RSV3; 1011, and its own status
# What is meant to have 64 KiB: a length of 16 bits that is 0, then 32 bits more than there may be.
_MISTAKEN = bytes([0x82, 126, 0, 0, 0, 0, 0, 1, 0, 0]) + bytes(1 << 16)

# Lines that its configuration program writes, which have no effect.
_INERT = "RewriteEngine On\nRewriteCond ${HTTP:Upgrade} =websocket [NC]\nRewriteRule /(.*) wss://127.0.0.1:1/$1 [P,L]\n"


class Bridge(Backend):
    """Its server, with TLS, whose part a test plays."""

    def __init__(self, certificate):
        super().__init__()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.file, certificate.key)

    def accept(self):
        sock = self.sock.accept()[0]
        sock.settimeout(patience(10))
        self._accepted.append(Accepted(self._context.wrap_socket(sock, server_side=True)))
        return self._accepted[-1]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def bridge(certificate):
    with Bridge(certificate) as running:
        yield running


@pytest.fixture(scope="module")
def httpd_front(mpm, certificate, bridge):
    words = {"wss://127.0.0.1:4133/": f"wss://127.0.0.1:{bridge.port}/"}
    with recipe("tunnel-rpc-frmwrk.conf", mpm, certificate, words=words, edit=lambda text: _INERT + text) as running:
        yield running


@pytest.fixture(scope="module", params=["httpd", "nginx and httpd"])
def front(request, mpm, certificate, httpd_front):
    """What clients talk to; httpd has the tunnel in either case."""
    if request.param == "httpd":
        yield httpd_front
        return
    httpd_front.certificate = certificate
    with Front(Case("nginx-rpc-frmwrk.conf", "tls_port", "nginx"), mpm, httpd_front) as running:
        yield running


@contextlib.contextmanager
def conversation(front, bridge, httpd_front):
    """A client that has shaken hands as its programs do, and the bridge's end."""
    client = front.client(secure=True, source=_SOMEBODY)
    client.send(
        f"GET /rpcf HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {_SHORT_KEY}\r\nSec-WebSocket-Protocol: chat\r\nSec-WebSocket-Version: 13\r\n"
        f"Origin: https://{HOST}\r\n\r\n".encode()
    )
    peer = bridge.accept()
    peer.request = peer.switch(headers=[("Sec-WebSocket-Protocol", "chat")])
    response = client.read_response()
    assert response.status == 101
    assert ("Sec-WebSocket-Accept", _SHORT_ACCEPT) in response.headers  # spelled like this
    assert response.header("Sec-WebSocket-Protocol") == "chat"
    with client, peer:
        yield client, peer
    await_tunnels(httpd_front, 0)


def pass_on(sender, receiver, data):
    """Sends, and asserts that the same bytes arrive."""
    sent = sender.send_while_reading(data) if hasattr(sender, "tcp") else sender.send(data)
    assert sent in (None, len(data))
    received = bytearray()
    while len(received) < len(data):
        some = receiver.sock.recv(1 << 18)
        assert some, "the stream ended"
        received += some
    assert received == data


def test_the_bridge_is_told_whose_connection_it_is(front, bridge, httpd_front):
    with conversation(front, bridge, httpd_front) as (_, peer):
        headers = dict((name.lower(), value) for name, value in peer.request)
        assert peer.request[0][1] == "GET / HTTP/1.1"
        assert headers["sec-websocket-key"] == _SHORT_KEY
        assert headers["upgrade"].lower() == "websocket"
        # It looks at the last one, which is that of who has asked httpd.
        asker = _SOMEBODY if front is httpd_front else "127.0.0.1"
        assert headers["x-forwarded-for"] == f"127.0.0.1, {asker}"
        assert headers["x-forwarded-port"] == "4133"
        await_tunnels(httpd_front, 1)


@pytest.mark.parametrize("data", [_PACKET, _PACKET * 16, _MESSAGE, _MISTAKEN], ids=["packet", "packets", "message", "wrong"])
def test_frames_without_a_mask_pass_both_ways(front, bridge, httpd_front, data):
    with conversation(front, bridge, httpd_front) as (client, peer):
        pass_on(client, peer, data)
        pass_on(peer, client, data)


def test_its_own_control_frames_pass(front, bridge, httpd_front):
    with conversation(front, bridge, httpd_front) as (client, peer):
        pass_on(peer, client, frames.ping(b"ping", mask=None))
        pass_on(client, peer, _PONG)
        pass_on(client, peer, frames.ping(b"ping", mask=None))
        pass_on(peer, client, _PONG)
        pass_on(peer, client, _CLOSE)
        pass_on(client, peer, frames.close(1000, mask=None))
        client.close()
        peer.expect_end()


def test_a_bridge_that_has_gone_ends_its_clients(front, bridge, httpd_front):
    with conversation(front, bridge, httpd_front) as (client, peer):
        pass_on(client, peer, _PACKET)
        peer.close()
        client.expect_end()
