# SPDX-License-Identifier: Apache-2.0
"""WebSockets on streams of HTTP/2 (RFC 8441)."""

import re
import signal

import pytest

import frames
import processes
import tls
from h2client import H2Client
from httpd import Httpd, free_port, location, template
from waiting import wait_until

# mod_http2 does not serve HTTP/2 with prefork.
MPMS = ("event", "worker")

_H2 = "Protocols h2c http/1.1\nH2WebSockets On\n"
_MODULES = ("http2",)
_NO_ERROR = 0
_CANCEL = 8

_PARTS = "".join(
    [
        _H2,
        "WebSocketMaxPumped 20\n",
        template("handshake.conf"),
        template("plugins.conf"),
        location("/ping", "echo", "WebSocketPingInterval 200ms", "WebSocketPongTimeout 400ms"),
        location("/close", "debug", "WebSocketCloseTimeout 300ms"),
        location("/drop", "hostile", "WebSocketSlowConsumer Drop", "WebSocketSendBuffer 64K"),
    ]
)


@pytest.fixture(scope="module")
def h2_server(mpm, certificates):
    words = {"TLS_PORT": free_port(), "CERTIFICATES": certificates}
    tls_lines = "Protocols h2 http/1.1\n    SSLOptions +StdEnvVars"
    parts = _PARTS + template("tls.conf", TLS=tls_lines, **words)
    with Httpd(mpm, parts, modules=(*_MODULES, *tls.MODULES)) as server:
        server.tls_port = words["TLS_PORT"]
        yield server


@pytest.fixture
def server(h2_server):
    yield h2_server
    h2_server.assert_unharmed()


@pytest.fixture
def client(server):
    """A connection of HTTP/2."""
    with H2Client(server.port) as client:
        yield client


@pytest.fixture
def start_h2(start_httpd):
    """start_h2(parts, **options): as start_httpd, with HTTP/2."""

    def start(parts, **options):
        return start_httpd(_H2 + parts, modules=_MODULES, **options)

    return start


def echoes(websocket, text="hello"):
    websocket.send(frames.text(text))
    websocket.expect_text(text)


def counts(server):
    """Connects, messages, disconnects and living clients of the lifecycle plugin, this one included."""
    with H2Client(server.port) as client:
        websocket = client.websocket("/lifecycle")
        websocket.send(frames.text("counts"))
        result = [int(number) for number in websocket.expect_text().split()]
        websocket.close_cleanly()
        return result


def await_no_clients(server):
    wait_until(lambda: counts(server)[3] == 1, 5, "on_disconnect for the clients that are gone")


def warm_up(client):
    """mod_http2 works on at most 6 streams of a connection at once until many requests have gone well."""
    for _ in range(40):
        assert client.get("/index.html").status == 200


# ---- opening ---------------------------------------------------------------------------------------


def test_the_server_offers_websockets_and_opens_them(client):
    assert client.offers_websockets
    websocket = client.websocket("/echo")
    assert not {"upgrade", "connection", "sec-websocket-accept"} & websocket.stream.headers.keys()
    echoes(websocket)
    websocket.close_cleanly()


def test_a_websocket_opens_over_tls(server):
    context = tls.client_context()
    context.set_alpn_protocols(["h2"])
    with H2Client(server.tls_port, tls=context) as client:
        websocket = client.websocket("/lifecycle")
        websocket.send(frames.text("env"))
        environment = dict(line.split("=", 1) for line in websocket.expect_text().splitlines())
        assert environment["SSL_PROTOCOL"] == "TLSv1.3"
        assert environment["H2_STREAM_ID"] == str(websocket.stream.id)
        websocket.close_cleanly()


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
    server = start_httpd("Protocols h2c http/1.1\n" + location("/echo", "echo"), modules=_MODULES)
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


def test_data_frames_may_cut_websocket_frames_everywhere(client):
    websocket = client.websocket("/echo")
    message = frames.text("split", fin=False) + frames.ping(b"between") + frames.continuation(b" up")
    for portion in range(1, len(message)):
        websocket.send(message, portion=portion)
        websocket.expect_pong(b"between")
        websocket.expect_text("split up")
    websocket.close_cleanly()


def test_padding_is_not_data(client):
    websocket = client.websocket("/echo")
    for padding in (0, 1, 100, 255):
        websocket.send(frames.text("padded"), padding=padding)
        websocket.expect_text("padded")
        websocket.send(frames.text("padded"), padding=padding, portion=1)
        websocket.expect_text("padded")
    websocket.close_cleanly()


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
        websocket.send(frames.close(code))
        websocket.expect_clean_end()


# ---- flow control ----------------------------------------------------------------------------------


def test_a_window_of_one_octet_is_enough(server):
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


def test_a_slow_plugin_closes_the_window(start_h2):
    server = start_h2(location("/sleepy", "sleepy", "WebSocketReceiveBuffer 64K"))
    with H2Client(server.port) as client:
        websocket = client.websocket("/sleepy")
        websocket.send(frames.text("sleep 3000"))
        taken = websocket.send_until_full(frames.binary(b"x" * 16384), most=64 << 20)
        print(f"the server took {taken} bytes")
        assert taken < 16 << 20


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


# ---- the end of a stream ---------------------------------------------------------------------------


def test_half_a_stream_hears_the_answer_to_all_it_has_sent(client):
    websocket = client.websocket("/echo")
    websocket.send(frames.text("a") + frames.text("b"))
    websocket.half_close()
    websocket.expect_text("a")
    websocket.expect_text("b")
    websocket.expect_close(1011, then_end=False)
    websocket.expect_end()
    assert websocket.stream.ended and websocket.stream.reset is None


def test_a_request_that_ends_its_stream_gets_a_close(client):
    stream = client.connect("/echo", end=True)
    assert client.await_response(stream) == 200
    websocket = client.attach(stream)
    websocket.expect_close(1011, then_end=False)
    websocket.expect_end()
    assert stream.ended


def test_a_close_of_the_server_ends_the_stream_cleanly(client):
    websocket = client.websocket("/debug")
    websocket.send(frames.text("close"))
    websocket.expect_close(frames.NO_STATUS, then_end=False)
    websocket.send(frames.close(1000))
    websocket.expect_clean_end()


def test_a_client_that_never_ends_its_stream_has_it_reset(client):
    websocket = client.websocket("/close")
    websocket.send(frames.text("close"))
    websocket.expect_close(frames.NO_STATUS, then_end=False)
    client.wait_until(lambda: websocket.stream.reset is not None, "RST_STREAM", 3)
    assert websocket.stream.ended and websocket.stream.reset == _NO_ERROR
    assert client.get("/index.html").status == 200


def _while_opening(client):
    client.connect("/lifecycle")


def _when_open(client):
    client.websocket("/lifecycle")


def _inside_a_message(client):
    client.websocket("/lifecycle").send(frames.text("half", length=1000))


def _while_the_server_sends(client):
    client.websocket("/lifecycle").send(frames.binary(bytes(3 << 20)))


def _behind_a_close(client):
    websocket = client.websocket("/lifecycle")
    websocket.send(frames.close(1000))


def _behind_the_end(client):
    websocket = client.websocket("/lifecycle")
    websocket.send(frames.text("last"))
    websocket.half_close()


_STAGES = [
    _while_opening,
    _when_open,
    _inside_a_message,
    _while_the_server_sends,
    _behind_a_close,
    _behind_the_end,
]


@pytest.mark.parametrize("stage", _STAGES, ids=lambda stage: stage.__name__.strip("_"))
@pytest.mark.parametrize("way", ["rst_stream", "goaway", "close", "reset"])
def test_the_plugin_hears_of_every_end_at_every_stage(server, stage, way):
    before = counts(server)
    for _ in range(5):
        with H2Client(server.port, acknowledge=False) as client:
            stage(client)
            if way == "rst_stream":
                client.h2.reset_stream(client.last_stream.id, _CANCEL)
                client.flush()
                if stage is not _while_opening:  # mod_http2 may give the connection up, whoever answers
                    assert client.get("/index.html").status == 200
            elif way == "goaway":
                client.h2.close_connection()
                client.flush()
            elif way == "reset":
                client.reset()
    await_no_clients(server)
    after = counts(server)
    assert after[0] - after[2] == 1 and after[0] >= before[0]


def test_a_thousand_streams_that_are_reset_at_once_harm_nobody(server):
    with H2Client(server.port) as bystander:
        witness = bystander.websocket("/echo")
        for _ in range(20):
            with H2Client(server.port) as client:
                for _ in range(50):
                    stream = client.connect("/lifecycle")
                    client.h2.reset_stream(stream.id, _CANCEL)
                    client.flush()
                    if client.goaway or client.ended:
                        break
        echoes(witness)
    await_no_clients(server)


# ---- time ------------------------------------------------------------------------------------------


def test_a_quiet_stream_outlives_the_timeouts_of_httpd(start_h2):
    server = start_h2(
        location("/quiet", "echo", "WebSocketPingInterval 0")
        + "Timeout 1\nKeepAliveTimeout 1\nH2StreamTimeout 1\nRequestReadTimeout header=1 body=1\n"
    )
    with H2Client(server.port) as client:
        websocket = client.websocket("/quiet")
        websocket.expect_silence(2.5)
        echoes(websocket)
        websocket.close_cleanly()


def test_an_idle_stream_is_pinged(client):
    websocket = client.websocket("/ping")
    for _ in range(3):
        websocket.send(frames.pong(websocket.expect(frames.PING, seconds=1)))
    websocket.close_cleanly()


def test_a_dead_stream_is_ended(client):
    websocket = client.websocket("/ping")
    websocket.expect(frames.PING, seconds=1)
    while (frame := websocket.next_frame(3, "the end of the stream")) is not None:
        assert frame.opcode in (frames.PING, frames.CLOSE), frame


def test_idle_streams_cost_no_cpu_time(start_h2):
    server = start_h2(location("/quiet", "echo", "WebSocketPingInterval 0"))
    child = server.child()
    with H2Client(server.port) as client:
        websockets = [client.websocket("/quiet") for _ in range(5)]
        for websocket in websockets:
            echoes(websocket)
        before = processes.cpu_seconds(child)
        websockets[0].expect_silence(1)
        assert processes.cpu_seconds(child) - before <= 0.03


# ---- the end of the child --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGUSR1, 1012), (signal.SIGWINCH, 1001)],
    ids=["graceful", "graceful-stop"],
)
def test_a_child_that_ends_gracefully_drains(start_h2, number, code):
    server = start_h2("WebSocketDrainTimeout 2s\n" + location("/echo", "echo"))
    with H2Client(server.port) as client:
        websockets = [client.websocket("/echo") for _ in range(3)]
        old = server.child()
        server.signal(number)
        server.expect_log(f"WS0211: .* with {code} ")
        for websocket in websockets:
            echoes(websocket)
        for websocket in websockets:
            websocket.expect_close(code, then_end=False)
            websocket.send(frames.close(code))
            websocket.expect_end()
            websocket.half_close()
        client.wait_until(lambda: client.goaway is not None, "GOAWAY")
    wait_until(lambda: not processes.is_alive(old), 8, "the end of the old child")
    if number == signal.SIGUSR1:
        wait_until(lambda: server.get("/index.html").status == 200, 8, "a new child")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM], ids=["restart", "stop"])
def test_a_child_that_ends_at_once_is_not_held_up(start_h2, number):
    server = start_h2(location("/hostile", "hostile") + location("/echo", "echo"))
    with H2Client(server.port, acknowledge=False) as client:
        blocked, quiet = client.websocket("/hostile"), client.websocket("/echo")
        blocked.send(frames.text("flood 100 65536"))
        blocked.expect_stall()
        client.open_window(None, 1 << 20)
        echoes(quiet)
        old = server.child()
        server.signal(number)
        wait_until(lambda: not processes.is_alive(old), 8, "the end of the old child")
        if number == signal.SIGHUP:
            wait_until(lambda: server.get("/index.html").status == 200, 8, "a new child")
