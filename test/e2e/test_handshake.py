# SPDX-License-Identifier: Apache-2.0
"""The opening handshake: who gets a 101, and what surrounds it on the connection."""

import base64

import pytest

import frames
import handshake

VERSIONS = (13, 8, 7)


def assert_opens(server, path="/echo", **options):
    """The handshake succeeds and the connection echoes."""
    client = server.websocket(path, **options)
    client.send(frames.text("hello"))
    client.expect_text("hello")
    client.close_handshake()
    return client.response


# ---- accepted --------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "connection",
    [
        "Upgrade",
        "Upgrade, close",
        "close, Upgrade,",
        "keep-alive, Upgrade",
        "UPGRADE",
        "upgrade",
        ",,upgrade",
        "close\t,\tUpgrade",
        "a , Upgrade ,b",
    ],
)
def test_opens_in_every_version_and_spelling_of_connection(server, version, connection):
    response = assert_opens(server, version=version, connection=connection)
    assert response.header("Sec-WebSocket-Accept") == handshake.ACCEPT


@pytest.mark.parametrize(
    "upgrade",
    [
        "websocket",
        "WebSocket",
        "WEBSOCKET",
        " websocket",
        "websocket \t",
        "websocket, h2c",
        "h2c,WebSocket",
        "TLS/1.2 ,\twebsocket , h2c",
        ",websocket,",
        "websocket, websocket",
    ],
)
def test_opens_when_websocket_is_one_of_the_protocols(server, upgrade):
    response = assert_opens(server, upgrade=upgrade)
    assert response.header("Upgrade") == "websocket"


def test_opens_with_protocols_split_over_two_headers(server):
    assert_opens(server, upgrade="h2c", headers=[("Upgrade", "websocket")])
    assert_opens(server, headers=[("Upgrade", "h2c")])


def test_opens_with_header_names_in_any_case(server):
    request = handshake.request("/echo")
    for spelled in (
        request.lower().replace(b"get /echo http", b"GET /echo HTTP"),
        request.replace(b"Sec-WebSocket", b"SEC-WEBSOCKET"),
    ):
        spelled = spelled.replace(handshake.KEY.lower().encode(), handshake.KEY.encode())
        with server.client() as client:
            client.send(spelled)
            handshake.check_upgraded(client.read_response())


def test_opens_with_spaces_and_tabs_around_values(server):
    request = handshake.request("/echo").replace(b": ", b": \t ").replace(b"\r\n", b" \t\r\n")
    request = request.replace(b"HTTP/1.1 \t\r\n", b"HTTP/1.1\r\n")[: -len(b" \t\r\n")] + b"\r\n"
    with server.client() as client:
        client.send(request)
        handshake.check_upgraded(client.read_response())


def test_opens_without_a_space_after_the_colon(server):
    with server.client() as client:
        client.send(handshake.request("/echo").replace(b": ", b":"))
        handshake.check_upgraded(client.read_response())


def test_opens_with_connection_split_over_two_headers(server):
    assert_opens(server, connection="keep-alive", headers=[("Connection", "Upgrade")])


def test_opens_with_headers_nobody_knows(server):
    assert_opens(
        server,
        headers=[
            ("X-Unknown", "x" * 4000),
            ("Cookie", "a=b"),
            ("User-Agent", "test/1.0"),
            ("Sec-WebSocket-Unknown", "1"),
        ],
    )


def test_opens_with_a_query_and_a_path_below(server):
    assert_opens(server, "/echo/below/it?a=b&c=%20d")


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "x-unknown; a=1",
        "x-webkit-deflate-frame, permessage-deflate; server_no_context_takeover",
    ],
)
def test_opens_without_the_extensions_that_it_does_not_use(server, offer):
    response = assert_opens(server, headers=[("Sec-WebSocket-Extensions", offer)])
    assert response.header("Sec-WebSocket-Extensions") is None


def test_opens_with_a_content_length_of_zero(server):
    assert_opens(server, headers=[("Content-Length", "0")])


def test_opens_when_the_client_expects_100_continue(server):
    with server.client() as client:
        client.send(handshake.request("/echo", headers=[("Expect", "100-continue")]) + frames.text("hello"))
        response = client.read_response()
        if response.status == 100:
            response = client.read_response()
        handshake.check_upgraded(response)
        client.expect_text("hello")
        client.close_handshake()


def test_opens_after_a_challenge_for_a_password(server):
    assert server.answer("/private").status == 401
    credentials = base64.b64encode(b"alice:wonderland").decode()
    assert_opens(server, "/private", headers=[("Authorization", f"Basic {credentials}")])


def test_selects_no_subprotocol_when_the_plugin_selects_none(server):
    response = assert_opens(server, headers=[("Sec-WebSocket-Protocol", "a, b")])
    assert response.header("Sec-WebSocket-Protocol") is None


@pytest.mark.parametrize(
    "offer",
    [
        ["dumb-increment-protocol"],
        ["first, dumb-increment-protocol"],
        ["dumb-increment-protocol,last"],
        [" \t dumb-increment-protocol \t "],
        [",,, dumb-increment-protocol,,"],
        ["first ,\tdumb-increment-protocol\t, last,"],
        ["first", "dumb-increment-protocol"],
    ],
)
def test_finds_the_subprotocol_wherever_it_is_offered(server, offer):
    client = server.websocket(
        "/dumb-increment", headers=[("Sec-WebSocket-Protocol", value) for value in offer]
    )
    assert client.response.header("Sec-WebSocket-Protocol") == "dumb-increment-protocol"
    assert [client.expect_text() for _ in range(3)] == ["0", "1", "2"]
    client.close()


def test_refuses_where_the_plugin_misses_its_subprotocol(server):
    assert server.answer("/dumb-increment").status == 403
    assert server.answer("/dumb-increment", headers=[("Sec-WebSocket-Protocol", "other")]).status == 403


# ---- the connection around it ----------------------------------------------------------------------


@pytest.mark.each_mpm
def test_opens_after_three_requests_on_the_same_connection(server):
    with server.client() as client:
        for _ in range(3):
            client.send(b"GET /index.html HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert client.read_response().status == 200
        client.upgrade("/echo", first_frames=frames.text("hello"))
        client.expect_text("hello")
        client.close_handshake()


@pytest.mark.each_mpm
def test_opens_after_a_refusal_on_the_same_connection(server):
    with server.client() as client:
        client.send(b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert client.read_response().status == 404
        client.upgrade("/echo")
        client.close_handshake()


@pytest.mark.each_mpm
def test_opens_for_a_handshake_pipelined_behind_another_request(server):
    with server.client() as client:
        client.send(
            b"GET /index.html HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            + handshake.request("/echo")
            + frames.text("hello")
            + frames.ping(b"p")
        )
        assert client.read_response().status == 200
        handshake.check_upgraded(client.read_response())
        got = {client.next_frame(), client.next_frame()}
        assert got == {frames.Frame(frames.TEXT, b"hello"), frames.Frame(frames.PONG, b"p")}
        client.close_handshake()


@pytest.mark.each_mpm
@pytest.mark.parametrize("location", ["/pool", "/inline"])
def test_takes_frames_that_come_with_the_handshake(server, location):
    data = (
        frames.text("one")
        + frames.text("two", fin=False)
        + frames.continuation(b"three")
        + frames.text("x" * 1000)
    )
    for cut in [*range(0, 40), len(data) - 1, len(data)]:
        client = server.websocket(location, first_frames=data[:cut])
        client.send(data[cut:])
        for payload in ("one", "twothree", "x" * 1000):
            client.expect_text(payload)
        client.close_handshake()


@pytest.mark.each_mpm
@pytest.mark.parametrize("size", [8000, 16384, 100000, 1000000])
def test_takes_a_long_message_that_comes_with_the_handshake(server, size):
    client = server.websocket("/echo", first_frames=frames.text("x" * size) + frames.text("end"))
    client.expect_text("x" * size)
    client.expect_text("end")
    client.close_handshake()


@pytest.mark.each_mpm
def test_takes_a_close_that_comes_with_the_handshake(server):
    client = server.websocket("/echo", first_frames=frames.close(1000))
    client.expect_close(1000)


@pytest.mark.each_mpm
def test_opens_for_a_request_that_comes_in_pieces(server):
    request = handshake.request("/echo")
    for cut in range(1, len(request), 9):
        with server.client() as client:
            client.send(request[:cut])
            client.send(request[cut:])
            handshake.check_upgraded(client.read_response())


# ---- keys, and those of old clients ---------------------------------------------------------------------------


@pytest.mark.parametrize("last", "AQgw")
def test_takes_all_four_last_characters_that_sixteen_bytes_can_end_in(server, last):
    assert_opens(server, key=f"36zg57EA+cDLixMBxrDj4{last}==")


@pytest.mark.parametrize(
    "key", ["BVk27NoJaxQ=", "YQ==", handshake.KEY, "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="]
)
def test_takes_any_base64_key_where_the_check_is_lenient(server, key):
    assert_opens(server, "/lenient", key=key)


def test_computes_accept_of_a_short_key(server):
    assert (
        server.answer("/lenient", key="BVk27NoJaxQ=").header("Sec-WebSocket-Accept")
        == "/mYE/17pbLxAW2R1S+Bb4/zsPZY="
    )


@pytest.mark.parametrize("key", [None, "", "not base64!", "====", "BVk27NoJaxQ=!", "BVk27 NoJaxQ="])
def test_refuses_what_is_not_base64_even_where_the_check_is_lenient(server, key):
    assert server.answer("/lenient", key=key).status == 400
