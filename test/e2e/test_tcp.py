# SPDX-License-Identifier: Apache-2.0
"""The shipped bridge to TCP: what passes, and where to."""

import contextlib
import re

import pytest

import frames
import handshake
from bridges import MIB, bytes_of, digest, expect_no_bridge, location, received
from h2client import H2Client
from httpd import free_port
from raw import RawClient
from targets import EchoTarget
from tls import TlsHttpd


# ---- data --------------------------------------------------------------------------------------------


@pytest.mark.each_mpm
def test_messages_are_one_stream_for_the_target_and_what_it_says_is_binary(bridges):
    with bridges.pair() as (client, peer):
        client.send(frames.text("GET ") + frames.binary(b"\0\xff") + frames.binary(b"") + frames.text("ä"))
        assert peer.receive(8) == b"GET \0\xff" + "ä".encode()
        peer.send(b"\x80 is no text")
        assert received(client, 12) == b"\x80 is no text"
        client.close_handshake()
        assert peer.rest() == b""


def test_fragments_reach_the_target_before_the_message_is_whole(bridges):
    with bridges.pair() as (client, peer):
        client.send(frames.binary(b"one", fin=False) + frames.continuation(b"two", fin=False))
        assert peer.receive(6) == b"onetwo"
        client.send(frames.continuation(b"three"))
        assert peer.receive(5) == b"three"


def test_single_bytes_pass_in_both_directions(bridges):
    with bridges.pair() as (client, peer):
        for byte in bytes_of(1, 300):
            client.send(frames.binary(bytes([byte])))
            assert peer.receive(1) == bytes([byte])
            peer.send(bytes([byte]))
            assert received(client, 1) == bytes([byte])


def test_what_the_target_says_first_comes_first(bridges):
    client = RawClient(bridges.server.port)
    with client:
        client.send(handshake.request("/tcp"))
        with bridges.tcp.accept() as peer:
            peer.send(b"RFB 003.008\n")
            handshake.check_upgraded(client.read_response(), handshake.KEY)
            assert received(client, 12) == b"RFB 003.008\n"


def test_what_comes_with_the_handshake_reaches_the_target(bridges):
    with bridges.pair(first_frames=frames.binary(b"early")) as (_client, peer):
        assert peer.receive(5) == b"early"


def test_ten_megabytes_pass_each_way_at_once(bridges):
    sent = bytes_of(2, 10 * MIB)
    with bridges.server.websocket("/echo-tcp") as client:
        messages = b"".join(frames.binary(sent[at : at + 100_000]) for at in range(0, len(sent), 100_000))
        assert client.send_while_reading(messages) == len(messages)
        assert digest(received(client, len(sent))) == digest(sent)
        client.close_handshake()


def test_one_message_of_ten_megabytes_is_a_stream_like_others(bridges):
    sent = bytes_of(3, 10 * MIB)
    with bridges.server.websocket("/echo-tcp") as client:
        client.send_while_reading(frames.binary(sent))
        assert digest(received(client, len(sent))) == digest(sent)


@pytest.mark.each_mpm
def test_three_hundred_clients_are_served_side_by_side(bridges):
    server = bridges.server
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.websocket("/echo-tcp")) for _ in range(300)]
        for number, client in enumerate(clients):
            client.send(frames.text(f"I am {number}"))
        for number, client in enumerate(clients):
            assert received(client, len(f"I am {number}")) == f"I am {number}".encode()
        for client in clients:
            client.close_handshake()
    expect_no_bridge(server)


@pytest.mark.each_mpm
def test_a_bridge_has_the_tls_of_httpd(mpm):
    sent = bytes_of(8, MIB)
    with EchoTarget() as target, TlsHttpd(mpm, location("/tcp", f"target {target.text}")) as server:
        with server.tls_websocket("/tcp") as client:
            client.send_while_reading(frames.binary(sent))
            assert digest(received(client, len(sent))) == digest(sent)
            client.close_handshake()


def test_a_bridge_works_over_http2(start_h2):
    sent = bytes_of(9, 50_000)
    with EchoTarget() as target:
        server = start_h2(location("/tcp", f"target {target.text}") + location("/refused", f"target 127.0.0.1:{free_port()}"))
        with H2Client(server.port) as connection:
            client = connection.websocket("/tcp")
            client.send(frames.binary(sent))
            assert digest(received(client, len(sent))) == digest(sent)
            client.close_cleanly()
            refused = connection.connect("/refused")
            connection.await_response(refused)
            assert refused.status == 502


# ---- targets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tcp6", "unix", "name"])
def test_each_kind_of_target_is_reached(bridges, kind):
    target = {"tcp6": bridges.tcp6, "unix": bridges.unix, "name": bridges.tcp}[kind]
    if target is None:
        pytest.skip("this machine has no ::1")
    with bridges.pair(f"/{kind}", target) as (client, peer):
        client.send(frames.binary(b"there"))
        assert peer.receive(5) == b"there"
        peer.send(b"and back")
        assert received(client, 8) == b"and back"


def test_the_path_that_older_versions_of_novnc_make_leads_to_the_target(bridges):
    """Of ?path=/tcp; later ones make /tcp of it."""
    with bridges.pair("//tcp"):
        pass


@pytest.mark.parametrize(
    "path, offered, chosen",
    [
        ("/tcp", None, None),
        ("/tcp", "binary", "binary"),
        ("/tcp", "base64, binary", "binary"),
        ("/tcp", "mqtt", None),
        ("/mqtt", "mqttv3.1, mqtt", "mqtt"),
        ("/mqtt", "mqttv3.1", "mqttv3.1"),
        ("/mqtt", "binary", None),
    ],
)
def test_a_subprotocol_is_chosen_if_the_client_offers_it(bridges, path, offered, chosen):
    headers = [("Sec-WebSocket-Protocol", offered)] if offered else []
    with bridges.pair(path, headers=headers) as (client, _peer):
        assert client.response.header("Sec-WebSocket-Protocol") == chosen


@pytest.mark.each_mpm
@pytest.mark.parametrize(
    "path, status, words",
    [
        ("/refused", 502, "no connection to 127.0.0.1:@PORT@: Connection refused \\(errno 111\\); refused with 502"),
        ("/no-socket", 502, "no connection to unix:/nowhere/at/all: No such file or directory \\(errno 2\\)"),
        ("/silent", 504, "no connection to 127.0.0.1:@FULL@: Connection timed out \\(errno 110\\); refused with 504"),
        ("/silent-unix", 504, "no connection to unix:[^ ]*: Connection timed out \\(errno 110\\); refused with 504"),
    ],
)
def test_a_target_that_cannot_be_reached_is_told_before_the_101(bridges, path, status, words):
    words = words.replace("@PORT@", str(bridges.refused)).replace("@FULL@", str(bridges.full.port))
    with contextlib.ExitStack() as stack:
        if "silent" in path:
            full = bridges.full if path == "/silent" else bridges.full_unix
            for sock in full.fill_backlog():
                stack.enter_context(sock)
        line, response = bridges.server.refusal(words, path)
    assert response.status == status
    assert "WS0414: [tcp]" in line
    assert not re.search(rf"{bridges.refused}|/nowhere".encode(), response.body), "clients need not know"
