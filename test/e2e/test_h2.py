# SPDX-License-Identifier: Apache-2.0
"""WebSockets on streams of HTTP/2 (RFC 8441): opening them, and what passes through."""

import re

import pytest

import certificates
import frames
from h2client import H2Client
from httpd import location
from waiting import wait_until

pytestmark = pytest.mark.each_mpm

# mod_http2 does not serve HTTP/2 with prefork.
MPMS = ("event", "worker")


@pytest.fixture
def server(h2_server):
    return h2_server


@pytest.fixture
def client(server):
    """A connection of HTTP/2."""
    with H2Client(server.port) as client:
        yield client


def echoes(websocket, text="hello"):
    websocket.send(frames.text(text))
    websocket.expect_text(text)


def warm_up(client):
    """mod_http2 works on at most 6 streams of a connection at once until very many requests have gone well."""
    for _ in range(150):
        assert client.get("/index.html").status == 200


# ---- opening ---------------------------------------------------------------------------------------


def test_the_server_offers_websockets_and_opens_them(client):
    assert client.offers_websockets
    websocket = client.websocket("/echo")
    assert not {"upgrade", "connection", "sec-websocket-accept"} & websocket.stream.headers.keys()
    echoes(websocket)
    websocket.close_cleanly()


@pytest.mark.one_mpm
def test_a_plain_request_for_an_endpoint_is_told_what_that_is(client):
    stream = client.get("/echo")
    assert stream.status == 400
    assert not {"upgrade", "connection"} & stream.headers.keys()
    echoes(client.websocket("/echo"))


def test_a_websocket_opens_over_tls(server):
    context = certificates.client_context("h2")
    with H2Client(server.tls_port, tls=context) as client:
        websocket = client.websocket("/lifecycle")
        websocket.send(frames.text("env"))
        environment = dict(line.split("=", 1) for line in websocket.expect_text().splitlines())
        assert environment["SSL_PROTOCOL"] == "TLSv1.3"
        assert environment["H2_STREAM_ID"] == str(websocket.stream.id)
        websocket.close_cleanly()


@pytest.mark.one_mpm
def test_the_plugin_sees_the_request(client):
    websocket = client.websocket("/lifecycle?q=1", headers=[("x-test", "some value")])
    websocket.send(frames.text("request"))
    lines = dict(line.split("=", 1) for line in websocket.expect_text().splitlines())
    assert lines["unparsed_uri"] == "/lifecycle?q=1"
    assert lines["useragent_ip"] == "127.0.0.1"
    assert lines["hostname"] == "127.0.0.1"
    assert lines["protocol"] == "HTTP/2.0"
    websocket.send(frames.text("headers-in"))
    assert "x-test=some value" in websocket.expect_text().lower()
    websocket.close_cleanly()


@pytest.mark.one_mpm
def test_subprotocol_and_headers_of_the_plugin_reach_the_client(client):
    websocket = client.websocket(
        "/debug", headers=[("sec-websocket-protocol", "a, b, c"), ("x-choose-subprotocol", 1)]
    )
    assert websocket.stream.headers["sec-websocket-protocol"] == "b"
    assert websocket.stream.headers["x-debug-header"] == "true"


def test_refusals_are_answers_and_the_connection_lives_on(client):
    for path, options, status in (
        ("/debug", {"headers": [("x-refuse-connection", "1")]}, 403),
        ("/echo", {"headers": [("origin", "http://other.example")]}, 403),
        ("/private", {}, 401),
        ("/echo", {"version": None}, 400),
        ("/echo", {"version": 12}, 400),
        ("/echo", {"headers": [("sec-websocket-protocol", "a b")]}, 400),
        ("/bad-config", {}, 500),
        ("/nothing-there", {}, 404),
        ("/index.html", {}, 502),
    ):
        stream = client.connect(path, **options)
        assert client.await_response(stream) == status, (path, options)
    echoes(client.websocket("/echo"))


@pytest.mark.one_mpm
def test_the_access_log_names_the_protocol_and_the_stream(start_h2):
    server = start_h2(
        location("/echo", "echo") + 'CustomLog "@ROOT@/h2.log" "%H %{H2_STREAM_ID}e %>s %X %B %U"\n'
    )
    with H2Client(server.port) as client:
        websocket = client.websocket("/echo")
        number = websocket.stream.id
        echoes(websocket, "x" * 1000)
        websocket.close_cleanly()
    log = server.root / "h2.log"
    line = wait_until(lambda: re.search(r".*/echo", log.read_text()), 5, "the line in the access log")[0]
    assert line == f"HTTP/2.0 {number} 101 - {1004 + 4} /echo"


# ---- malformed, and what once crashed a module -----------------------------------------------------


def test_nothing_is_offered_and_nothing_crashes_where_it_is_not_turned_on(start_httpd):
    server = start_httpd("Protocols h2c http/1.1\n" + location("/echo", "echo"), modules=("http2",))
    child = server.child()
    with H2Client(server.port) as client:
        assert not client.offers_websockets
        stream = client.connect("/echo")
        client.wait_until(lambda: stream.reset is not None or stream.headers is not None, "a refusal")
        assert stream.reset is not None or stream.status >= 400
    with H2Client(server.port) as client:
        assert client.get("/index.html").status == 200
    assert server.answer().status == 101  # HTTP/1.1 on the same port
    assert server.child() == child


@pytest.mark.one_mpm
@pytest.mark.parametrize(
    "headers",
    [
        [(":method", "CONNECT"), (":protocol", "websocket")],
        [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http")],
        [(":method", "CONNECT"), (":protocol", "websocket"), (":path", "/echo")],
        [(":method", "CONNECT"), (":protocol", "webtransport"), (":scheme", "http"), (":path", "/echo")],
        [(":method", "CONNECT"), (":protocol", ""), (":scheme", "http"), (":path", "/echo")],
        [(":method", "GET"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/echo")],
        [(":method", "POST"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/echo")],
        [(":method", "CONNECT"), (":scheme", "http"), (":path", "/echo")],
        [(":method", "GET"), (":scheme", "http"), (":path", "/echo"), ("upgrade", "websocket")],
        [(":method", "GET"), (":scheme", "http"), (":path", "/echo"), ("connection", "upgrade")],
        [(":method", "GET"), (":scheme", "http"), (":path", "/echo"), ("sec-websocket-key", "x")],
        [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "echo")],
        [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "*")],
        [(":method", "CONNECT"), (":protocol", "WebSocket"), (":scheme", "http"), (":path", "/echo")],
    ],
    ids=lambda headers: " ".join(value for name, value in headers if name[0] == ":"),
)
@pytest.mark.parametrize("end", [False, True], ids=["open", "ended"])
def test_a_malformed_request_is_refused_and_harms_nobody(server, headers, end):
    with H2Client(server.port) as bystander, H2Client(server.port) as client:
        witness = bystander.websocket("/echo")
        fields = [*headers, (":authority", "127.0.0.1"), ("sec-websocket-version", "13")]
        stream = client.begin(sorted(fields, key=lambda field: field[0][0] != ":"), end=end)

        def refused():
            return stream.reset is not None or stream.headers is not None or client.goaway or client.ended

        while not refused():
            client.wait_until(refused, "a refusal")
        assert stream.headers is None or stream.status >= 400
        echoes(witness)


# ---- frames in frames ------------------------------------------------------------------------------


@pytest.mark.one_mpm
def test_data_frames_may_cut_websocket_frames_everywhere(client):
    websocket = client.websocket("/echo")
    message = frames.text("split", fin=False) + frames.ping(b"between") + frames.continuation(b" up")
    for portion in range(1, len(message)):
        websocket.send(message, portion=portion)
        websocket.expect_pong(b"between")
        websocket.expect_text("split up")
    websocket.close_cleanly()


@pytest.mark.one_mpm
def test_padding_is_not_data(client):
    websocket = client.websocket("/echo")
    for padding in (0, 1, 100, 255):
        websocket.send(frames.text("padded"), padding=padding)
        websocket.expect_text("padded")
        websocket.send(frames.text("padded"), padding=padding, portion=1)
        websocket.expect_text("padded")
    websocket.close_cleanly()


@pytest.mark.one_mpm
def test_empty_data_frames_are_nothing(client):
    websocket = client.websocket("/echo")
    for byte in frames.text("hello"):
        websocket.connection.h2.send_data(websocket.stream.id, b"")
        websocket.send(bytes([byte]))
    websocket.expect_text("hello")
    websocket.close_cleanly()


def test_frames_may_come_right_behind_the_request(client):
    stream = client.connect("/echo")
    client.h2.send_data(stream.id, frames.text("early"))
    client.flush()
    assert client.await_response(stream) == 200
    websocket = client.attach(stream)
    websocket.expect_text("early")
    websocket.close_cleanly()


@pytest.mark.one_mpm
@pytest.mark.parametrize(("size", "times"), [(16 << 20, 2), (1, 3000), (100_000, 20)])
def test_big_and_many_messages_pass_both_ways(client, size, times):
    websocket = client.websocket("/echo")
    payload = bytes(range(256)) * (size // 256 + 1)
    for n in range(times):
        websocket.send(frames.binary(payload[n % 7 : n % 7 + size]))
        if size > 1:
            websocket.expect(frames.BINARY, payload[n % 7 : n % 7 + size], seconds=30)
    for n in range(times if size == 1 else 0):
        websocket.expect(frames.BINARY, payload[n % 7 : n % 7 + 1])
    websocket.close_cleanly()


@pytest.mark.one_mpm
def test_violations_get_their_close_codes(client):
    for data, code in (
        (frames.text(b"\xff"), 1007),
        (frames.text("x", mask=None), 1002),
        (frames.frame(3, b""), 1002),
        (frames.binary(b"", length=1 << 62), 1009),
    ):
        websocket = client.websocket("/echo")
        websocket.send(data)
        websocket.expect_close(code, then_end=False)
        websocket.answer_close(code)
        websocket.expect_clean_end()


# ---- flow control ----------------------------------------------------------------------------------


def test_a_window_of_one_byte_is_enough(server):
    with H2Client(server.port, window=1) as client:
        websocket = client.websocket("/echo")
        echoes(websocket, "x" * 50)
        websocket.close_cleanly()


def test_nothing_comes_while_the_window_is_closed(server):
    # Not 0: with event, mod_http2 would not even answer before the client sends something.
    with H2Client(server.port, window=1, acknowledge=False) as client:
        websocket = client.websocket("/echo")
        websocket.send(frames.text("hello"))
        websocket.expect_silence(0.3)
        for _ in range(5):
            client.open_window(websocket.stream, 1)
            client.wait_for_data(websocket.stream)
        websocket.expect_silence(0.1)
        client.open_window(websocket.stream, 1)
        websocket.expect_text("hello")


def test_a_slow_reader_gets_everything(server):
    with H2Client(server.port, acknowledge=False) as client:
        websocket = client.websocket("/hostile")
        websocket.send(frames.text("flood 100 65536"))
        websocket.expect_stall()
        client.start_acknowledging()
        for _ in range(100):
            websocket.expect(frames.BINARY, b"f" * 65536)
        websocket.expect_text("flood done: 100")
        websocket.close_cleanly()


def test_a_slow_reader_does_not_hold_up_its_other_streams(server):
    with H2Client(server.port, acknowledge=False) as client:
        slow, other = client.websocket("/drop"), client.websocket("/echo")
        slow.send(frames.text("flood 100 65536"))
        slow.expect_stall()
        client.open_window(None, 1 << 20)  # of the connection
        echoes(other)
        slow.reset()
        other.close_cleanly()


@pytest.mark.one_mpm
@pytest.mark.full
def test_a_slow_plugin_closes_the_window(start_h2):
    server = start_h2(location("/hostile", "hostile", "WebSocketReceiveBuffer 64K"))
    end = server.root / "end"
    with H2Client(server.port) as client:
        websocket = client.websocket("/hostile")
        websocket.send(frames.text(f"until {end}"))
        taken = websocket.send_until_full(frames.binary(b"x" * 16384), most=64 << 20, stall=0.4)
        print(f"the server took {taken} bytes")
        assert taken < 16 << 20
        end.touch()


# ---- many streams ----------------------------------------------------------------------------------


def test_ten_websockets_share_a_connection_with_ordinary_requests(client):
    warm_up(client)
    websockets = [client.websocket("/echo") for _ in range(10)]
    for n, websocket in enumerate(websockets):
        websocket.send(frames.text(f"message {n}"))
    assert client.get("/index.html").status == 200
    for n, websocket in reversed([*enumerate(websockets)]):
        websocket.expect_text(f"message {n}")
    for websocket in websockets:
        websocket.close_cleanly()
    assert client.get("/index.html").status == 200


@pytest.mark.full
def test_streams_that_send_on_their_own_do_not_mix(client):
    warm_up(client)
    headers = [("sec-websocket-protocol", "dumb-increment-protocol")]
    websockets = [client.websocket("/dumb-increment", headers=headers) for _ in range(4)]
    for number in range(5):
        for websocket in websockets:
            assert int(websocket.expect_text()) == number
    for websocket in websockets:
        websocket.reset()


def test_one_stream_too_many_gets_503_until_another_ends(start_h2):
    server = start_h2("WebSocketMaxPumped 3\n" + location("/echo", "echo"))
    start = server.log_size()
    with H2Client(server.port) as client, H2Client(server.port) as other:
        websockets = [client.websocket("/echo") for _ in range(3)]
        for connection in (client, other):
            assert connection.await_response(connection.connect("/echo")) == 503
        server.expect_log(r"WS0121: .* 3 connections \(WebSocketMaxPumped\)", start)
        for websocket in websockets:
            echoes(websocket)
        assert other.get("/index.html").status == 200
        assert server.get("/index.html").status == 200
        websockets.pop().close_cleanly()
        wait_until(lambda: _opens(other), 5, "a free place")


def _opens(client):
    stream = client.connect("/echo")
    return client.await_response(stream) == 200


@pytest.mark.full
def test_a_client_with_many_streams_does_not_starve_others(start_h2):
    server = start_h2(location("/echo", "echo"))
    greedy = [H2Client(server.port) for _ in range(12)]
    try:
        websockets = [client.websocket("/echo") for client in greedy]
        assert greedy[0].await_response(greedy[0].connect("/echo")) == 503
        for _ in range(5):
            with H2Client(server.port) as client:
                assert client.get("/index.html").status == 200
            assert server.get("/index.html").status == 200
        for websocket in websockets:
            echoes(websocket)
    finally:
        for client in greedy:
            client.close()
