# SPDX-License-Identifier: Apache-2.0
"""The end of WebSockets on streams of HTTP/2, by either side, by time, and with the child."""

import contextlib
import signal

import pytest

import frames
import processes
from h2client import H2Client
from httpd import location
from lifecycle import GRACEFUL
from waiting import wait_until

pytestmark = pytest.mark.each_mpm

# mod_http2 does not serve HTTP/2 with prefork.
MPMS = ("event", "worker")

_DRAIN = "WebSocketDrainTimeout 1s\n"
_NO_ERROR = 0
_CANCEL = 8


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
    websocket.answer_close()
    websocket.expect_clean_end()


def test_a_client_that_answers_no_close_has_its_stream_ended_and_reset(client):
    websocket = client.websocket("/close")
    websocket.send(frames.text("close"))
    websocket.expect_close(frames.NO_STATUS, then_end=False)
    client.wait_until(lambda: websocket.stream.reset is not None, "RST_STREAM")
    assert websocket.stream.ended and websocket.stream.reset == _NO_ERROR
    assert client.get("/index.html").status == 200


@pytest.mark.parametrize("first", ["client", "server"])
def test_streams_that_clients_leave_half_open_hold_no_thread(start_h2, first):
    server = start_h2(
        "WebSocketMaxPumped 2\n" + location("/debug", "debug", "WebSocketCloseTimeout 1h", "WebSocketPingInterval 0")
    )
    with H2Client(server.port) as client:
        for _ in range(10):
            websocket = client.websocket("/debug")
            if first == "server":
                websocket.send(frames.text("close"))
                websocket.expect_close(frames.NO_STATUS, then_end=False)
                websocket.send(frames.close(1000))
            else:
                websocket.send(frames.close(1000))
                websocket.expect_close(1000, then_end=False)
            websocket.expect_end()
            assert websocket.stream.ended
            # The thread is free a moment later.
            client.wait_until(lambda: websocket.stream.reset is not None, "RST_STREAM")
            assert websocket.stream.reset == _NO_ERROR
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

    def balanced():
        after = counts(server)
        return after[0] - after[2] == 1 and after[0] >= before[0]

    wait_until(balanced, 5, "one on_disconnect for each on_connect")


@pytest.mark.full
def test_a_thousand_streams_that_are_reset_at_once_harm_nobody(server):
    with H2Client(server.port) as bystander:
        witness = bystander.websocket("/echo")
        for _ in range(20):
            with H2Client(server.port) as client:
                # mod_http2 may give the connection up.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    for _ in range(50):
                        stream = client.connect("/lifecycle")
                        client.h2.reset_stream(stream.id, _CANCEL)
                        client.flush()
        echoes(witness)
    await_no_clients(server)


# ---- time ------------------------------------------------------------------------------------------


@pytest.mark.one_mpm
@pytest.mark.full
def test_a_quiet_stream_outlives_the_timeouts_of_httpd(start_h2):
    server = start_h2(
        location("/quiet", "echo", "WebSocketPingInterval 0")
        + "Timeout 1\nKeepAliveTimeout 1\nH2StreamTimeout 1\nRequestReadTimeout header=1 body=1\n"
    )
    with H2Client(server.port) as client:
        websocket = client.websocket("/quiet")
        websocket.expect_silence(1.6)
        echoes(websocket)
        websocket.close_cleanly()


@pytest.mark.one_mpm
def test_an_idle_stream_is_pinged(client):
    websocket = client.websocket("/ping")
    for _ in range(12):  # longer than a client may be silent
        websocket.send(frames.pong(websocket.expect(frames.PING)))
    websocket.close_cleanly()


@pytest.mark.one_mpm
def test_a_dead_stream_is_ended(client):
    websocket = client.websocket("/ping")
    websocket.expect(frames.PING, seconds=1)
    while (frame := websocket.next_frame(3, "the end of the stream")) is not None:
        assert frame.opcode in (frames.PING, frames.CLOSE), frame


@pytest.mark.full
def test_idle_streams_cost_no_cpu_time(start_h2):
    server = start_h2(location("/quiet", "echo", "WebSocketPingInterval 0"))
    child = server.child()
    with H2Client(server.port) as client:
        websockets = [client.websocket("/quiet") for _ in range(5)]
        for websocket in websockets:
            echoes(websocket)
        before = processes.cpu_seconds(child)
        websockets[0].expect_silence(1)
        assert processes.cpu_seconds(child) - before <= 0.1


# ---- the end of the child --------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), GRACEFUL)
def test_a_child_that_ends_gracefully_drains_its_streams(start_h2, number, code):
    server = start_h2(_DRAIN + location("/echo", "echo"))
    with H2Client(server.port) as client:
        websockets = [client.websocket("/echo") for _ in range(3)]
        old = server.child()
        server.signal(number)
        for websocket in websockets:
            websocket.expect_close(code, then_end=False)
            websocket.answer_close(code)
            websocket.expect_end()
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


def test_a_stream_that_takes_an_byte_now_and_then_does_not_hold_a_child_up(start_h2):
    server = start_h2(_DRAIN + location("/hostile", "hostile"))
    with H2Client(server.port, acknowledge=False) as client:
        websocket = client.websocket("/hostile")
        websocket.send(frames.text("flood 100 65536"))
        websocket.expect_stall()
        client.open_window(None, 1 << 20)
        start = server.log_size()
        _feed_until_the_child_has_gone(server, client, websocket)
        server.expect_log("WS0125: this child has to end: cutting 1 connections", start)


def _feed_until_the_child_has_gone(server, client, websocket):
    """Stops gracefully, and takes an byte again and again meanwhile."""
    child = server.child()
    server.signal(signal.SIGWINCH)

    def gone():
        with contextlib.suppress(OSError):
            client.open_window(websocket.stream, 1)
        return not processes.is_alive(child)

    wait_until(gone, 20, "the end of the child")


def test_what_waits_for_a_client_when_its_stream_has_ended_does_not_hold_a_child_up(start_h2):
    server = start_h2(_DRAIN + location("/echo", "echo"))
    with H2Client(server.port, window=1, acknowledge=False) as client:
        websocket = client.websocket("/echo")
        websocket.send(frames.text("x" * 60_000))
        client.wait_for_data(websocket.stream)
        websocket.send(frames.close(1000))  # the answer to it stays in mod_http2
        _feed_until_the_child_has_gone(server, client, websocket)


@pytest.mark.full
def test_a_stream_that_takes_nothing_holds_a_child_up_no_longer_than_a_timeout(start_h2):
    server = start_h2(_DRAIN + "Timeout 1\n" + location("/hostile", "hostile"))
    with H2Client(server.port, acknowledge=False) as client:
        websocket = client.websocket("/hostile")
        websocket.send(frames.text("flood 100 65536"))
        websocket.expect_stall()
        old = server.child()
        server.signal(signal.SIGWINCH)
        wait_until(lambda: not processes.is_alive(old), 8, "the end of the old child")
