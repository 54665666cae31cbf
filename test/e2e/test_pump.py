# SPDX-License-Identifier: Apache-2.0
"""Connections that cannot be taken over, because a filter of httpd wants to see all their bytes."""

import contextlib
import re
import signal

import pytest

import certificates
import frames
import processes
import tls
from case_runner import run_cases
from frame_cases import CASES
from httpd import BUILD, DUMPIO_LINES, Httpd, free_port, location, template
from lifecycle import GRACEFUL
from waiting import patience, wait_until

pytestmark = pytest.mark.each_mpm

# Holds back whatever a filter may hold back.
_FILTER = f"LoadModule hoarding_filter_module {BUILD}/test/plugins/hoarding_filter.so\n"
_AT_ONCE = 4
_PARTS = "".join(
    [
        _FILTER,
        f"WebSocketMaxPumped {_AT_ONCE}\n",
        template("handshake.conf"),
        template("plugins.conf"),
        template("echo.conf", PREFIX="pool", DISPATCH="Pool"),
        location("/ping", "echo", "WebSocketPingInterval 200ms", "WebSocketPongTimeout 2s"),
        location("/close", "debug", "WebSocketCloseTimeout 300ms"),
        location("/patient", "echo", "WebSocketCloseTimeout 10m"),
        location("/drop", "hostile", "WebSocketSlowConsumer Drop", "WebSocketSendBuffer 64K"),
    ]
)


@pytest.fixture(scope="module")
def pumped_server(mpm):
    with Httpd(mpm, _PARTS) as server:
        yield server


@pytest.fixture
def pumped(pumped_server):
    yield pumped_server
    pumped_server.assert_unharmed()


@pytest.fixture
def start_pumped(start_httpd):
    """start_pumped(parts, **options): as start_httpd, with the filter in the way."""

    def start(parts, **options):
        return start_httpd(_FILTER + "WebSocketDrainTimeout 1s\n" + parts, **options)

    return start


def echoes(client, text="hello"):
    client.send(frames.text(text))
    client.expect_text(text)


# ---- the same protocol as ever ---------------------------------------------------------------------


@pytest.mark.one_mpm
def test_every_third_frame_case_comes_out_the_same(pumped):
    def cut(data):
        yield "whole", [data]
        if 1 < len(data) <= 100:
            yield "byte by byte", [data[n : n + 1] for n in range(len(data))]

    cases = list(CASES.values())[::3]
    failures = run_cases(
        pumped.port, cases, lambda case: f"/pool/{case.location}".rstrip("/"), cut, at_once=_AT_ONCE
    )
    assert not failures


def test_mod_dumpio_sees_all_bytes_and_the_module_says_that_it_is_in_the_way(start_httpd):
    server = start_httpd(
        DUMPIO_LINES + "DumpIOOutput On\n" + location("/echo", "echo"),
        modules=("dumpio",),
    )
    with server.websocket("/echo") as client:
        echoes(client, "seen by all")
        client.close_handshake()
    server.expect_log(r'WS0123: .* filter "dumpio_in"')
    server.expect_log(r"dumpio_in .*: 17 bytes")
    server.expect_log(r"dumpio_out .*seen by all")


@pytest.mark.one_mpm
def test_a_plugin_may_refuse_and_a_handshake_may_be_wrong(pumped):
    assert pumped.answer("/debug", headers=[("X-Refuse-Connection", "1")]).status == 403
    assert pumped.answer(version=12).status == 400
    assert pumped.answer("/bad-config").status == 500


def test_frames_may_come_right_behind_the_handshake(pumped):
    first = b"".join(frames.text(str(n)) for n in range(1000))
    with pumped.websocket("/echo", first_frames=first) as client:
        for n in range(1000):
            client.expect_text(str(n))
        client.close_handshake()


@pytest.mark.one_mpm
def test_sixteen_megabytes_pass_both_ways(pumped):
    payload = bytes(range(256)) * (16 << 12)
    with pumped.websocket("/echo") as client:
        client.send_while_reading(frames.binary(payload) * 2)
        client.expect(frames.BINARY, payload, seconds=30)
        client.expect(frames.BINARY, payload, seconds=30)
        client.close_handshake()


@pytest.mark.one_mpm
@pytest.mark.full
def test_twenty_thousand_messages_come_back_in_order(pumped):
    with pumped.websocket("/echo") as client:
        client.send_while_reading(b"".join(frames.text(str(n)) for n in range(20000)))
        for n in range(20000):
            client.expect_text(str(n))
        client.close_handshake()


@pytest.mark.one_mpm
def test_what_a_plugin_sends_on_its_own_arrives(pumped):
    with pumped.websocket(
        "/dumb-increment", headers=[("Sec-WebSocket-Protocol", "dumb-increment-protocol")]
    ) as client:
        assert [int(client.expect_text()) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pumped.websocket("/threads") as client:
        for _ in range(10000):
            client.expect_text()
        client.expect_close(1000)


def test_messages_of_on_connect_follow_the_101(pumped):
    with pumped.websocket("/hostile", headers=[("X-Send-On-Connect", "1")]) as client:
        assert {client.expect_text(), client.expect_text()} == {"early", "early-thread"}
        client.close_handshake()


@pytest.mark.one_mpm
def test_the_plugin_sees_the_request(pumped):
    with pumped.websocket("/lifecycle?q=1", headers=[("X-Test", "some value")]) as client:
        client.send(frames.text("request"))
        lines = dict(line.split("=", 1) for line in client.expect_text().splitlines())
        assert lines["unparsed_uri"] == "/lifecycle?q=1"
        assert lines["useragent_ip"] == "127.0.0.1"
        assert lines["protocol"] == "HTTP/1.1"


# ---- the end ---------------------------------------------------------------------------------------


def test_half_a_connection_hears_the_answer_to_all_it_has_sent(pumped):
    with pumped.websocket("/echo") as client:
        client.send(frames.text("a") + frames.text("b"))
        client.half_close()
        client.expect_text("a")
        client.expect_text("b")
        client.expect_close(1011, then_end=False)
        client.expect_end()


@pytest.mark.parametrize("end", ["close", "reset"])
def test_the_plugin_hears_of_clients_that_vanish(pumped, end):
    clients = [pumped.websocket("/lifecycle") for _ in range(_AT_ONCE - 1)]
    for client in clients:
        echoes(client)
        getattr(client, end)()

    def others_are_gone():
        with pumped.websocket("/lifecycle") as client:
            client.send(frames.text("counts"))
            live = int(client.expect_text().split()[3])
            client.close_handshake()
            return live == 1

    wait_until(others_are_gone, 5, "on_disconnect for the clients that are gone")


def test_the_server_closes_the_connection_right_after_the_closing_handshake(pumped):
    with pumped.websocket("/patient") as client:
        client.send(frames.close(1000))
        client.expect_close(1000, then_end=False)
        client.expect_end()  # WebSocketCloseTimeout is ten minutes


def test_a_client_that_answers_no_close_is_dropped(pumped):
    with pumped.websocket("/close") as client:
        client.send(frames.text("close"))
        client.expect_close(frames.NO_STATUS, then_end=False)
        client.expect_end(3)


def test_the_access_log_shows_status_and_bytes_when_the_connection_has_ended(start_pumped):
    server = start_pumped(location("/echo", "echo"))
    log = server.root / "access.log"
    with server.websocket("/echo") as client:
        echoes(client, "x" * 1000)
        assert "/echo" not in log.read_text()
        client.close_handshake()
    line = wait_until(lambda: re.search(r".*/echo.*", log.read_text()), 5, "the line in the access log")[0]
    assert line == f'127.0.0.1 101 - {1004 + 4} "GET /echo HTTP/1.1"'


# ---- time ------------------------------------------------------------------------------------------


@pytest.mark.full
def test_a_quiet_connection_outlives_the_timeouts_of_httpd(start_pumped):
    server = start_pumped(
        location("/quiet", "echo", "WebSocketPingInterval 0")
        + "Timeout 1\nRequestReadTimeout header=1 body=1\n"
    )
    with server.websocket("/quiet") as client:
        client.expect_silence(1.6)
        echoes(client)
        client.close_handshake()


@pytest.mark.one_mpm
def test_an_idle_client_is_pinged(pumped):
    with pumped.websocket("/ping") as client:
        for _ in range(12):  # longer than a client may be silent
            client.send(frames.pong(client.expect(frames.PING)))
        client.close_handshake()


@pytest.mark.one_mpm
def test_a_dead_client_is_dropped(pumped):
    with pumped.websocket("/ping") as client:
        client.expect(frames.PING)
        while (frame := client.next_frame(what="the end of the stream")) is not None:
            assert frame.opcode in (frames.PING, frames.CLOSE), frame


@pytest.mark.full
def test_an_idle_connection_costs_no_cpu_time(start_pumped):
    server = start_pumped(location("/quiet", "echo", "WebSocketPingInterval 0"))
    child = server.child()
    with server.websocket("/quiet") as client:
        echoes(client)
        before = processes.cpu_seconds(child)
        client.expect_silence(1)
        assert processes.cpu_seconds(child) - before <= 0.1


# ---- full buffers ----------------------------------------------------------------------------------


def test_a_slow_reader_gets_everything(pumped):
    with pumped.websocket("/hostile", receive_buffer=16384) as client:
        client.send(frames.text("flood 400 65536"))
        client.wait_until_stalled()
        for _ in range(400):
            client.expect(frames.BINARY, b"f" * 65536)
        client.expect_text("flood done: 400")
        client.close_handshake()


@pytest.mark.one_mpm
def test_a_slow_reader_is_still_listened_to(pumped):
    with pumped.websocket("/drop", receive_buffer=16384) as client:
        client.send(frames.text("flood 400 65536"))
        client.wait_until_stalled()
        client.send(frames.ping(b"read on"))
        received = 0
        while client.next_frame() != (frames.PONG, b"read on"):
            received += 1
        assert 0 < received < 400


@pytest.mark.full
def test_what_a_slow_plugin_and_its_client_make_the_server_hold_is_bounded(start_pumped):
    server = start_pumped(location("/hostile", "hostile", "WebSocketReceiveBuffer 64K"))
    end = server.root / "end"
    with server.websocket("/hostile") as client:
        client.send(frames.text(f"until {end}"))
        taken = client.send_while_reading(frames.binary(b"x" * 16384) * 4096, stall=0.4)
        assert taken < 16 << 20
        client.reset()
        end.touch()


@pytest.mark.full
def test_a_client_that_takes_nothing_loses_its_thread(start_pumped):
    server = start_pumped(
        location("/block", "hostile", "WebSocketPingInterval 0") + "Timeout 1\nWebSocketMaxPumped 1\n",
        children=2,
    )
    client = server.websocket("/block", receive_buffer=16384)
    client.send(frames.text("flood 400 65536"))
    client.wait_until_stalled()
    wait_until(lambda: server.answer("/block").status == 101, 5, "the place of a client that takes nothing")
    client.close()


# ---- number ----------------------------------------------------------------------------------------


def test_one_connection_too_many_gets_503_and_ordinary_requests_are_served(start_pumped):
    server = start_pumped("WebSocketMaxPumped 2\n" + location("/echo", "echo"), children=4)
    clients = [server.websocket("/echo") for _ in range(2)]
    start = server.log_size()
    assert [server.answer().status for _ in range(3)] == [503] * 3
    server.expect_log(r"WS0121: .* 2 connections \(WebSocketMaxPumped\)", start)
    assert server.get("/index.html").status == 200
    for client in clients:
        echoes(client)
    for end in (lambda client: client.close_handshake(), lambda client: client.reset()):
        end(clients.pop())
        wait_until(lambda: server.answer().status == 101, 5, "a free place")


@pytest.mark.full
def test_by_default_half_of_the_threads_stay_free(start_pumped, mpm):
    server = start_pumped(location("/echo", "echo"), children=6)
    most = 3 if mpm == "prefork" else 12
    clients = [server.websocket("/echo") for _ in range(most)]
    assert server.answer().status == 503
    assert server.get("/index.html").status == 200
    for client in clients:
        client.close_handshake()


def test_none_at_all_can_be_allowed(start_pumped):
    server = start_pumped("WebSocketMaxPumped 0\n" + location("/echo", "echo"))
    assert server.answer().status == 503
    assert server.get("/index.html").status == 200


@pytest.mark.full
def test_rounds_of_connect_and_close_leak_no_descriptors(start_pumped):
    server = start_pumped("WebSocketMaxPumped 8\n" + location("/echo", "echo"))
    child = server.child()
    for _ in range(10):
        server.websocket("/echo").close_handshake()
    base = processes.descriptors(child)
    for n in range(300):
        client = server.websocket("/echo")
        if n % 3 == 0:
            client.close_handshake()
        elif n % 3 == 1:
            client.reset()
        else:
            client.close()
        wait_until(lambda: server.get("/index.html").status == 200, 5, "an ordinary page")
    wait_until(lambda: processes.descriptors(child) <= base, 10, "the descriptors being closed")
    assert server.child() == child


# ---- the end of the child --------------------------------------------------------------------------


_DRAIN = "WebSocketDrainTimeout 1s\n"


@pytest.mark.parametrize(("number", "code"), GRACEFUL)
def test_a_child_that_ends_gracefully_drains(start_pumped, number, code):
    server = start_pumped("WebSocketDrainTimeout 2s\n" + location("/echo", "echo"), children=2)
    with server.websocket("/echo") as client:
        old = server.children()
        server.signal(number)
        answers = 0
        while True:
            client.send(frames.text("still here"))
            if (frame := client.next_frame()).opcode == frames.CLOSE:
                break
            assert frame == (frames.TEXT, b"still here")
            answers += 1
        assert frame.code == code and answers > 0
        client.send(frames.close(code))
        client.expect_end()
    _await_the_end_of(server, old, number)


def _await_the_end_of(server, children, number):
    wait_until(lambda: not any(map(processes.is_alive, children)), 8, "the end of the old children")
    if number in (signal.SIGUSR1, signal.SIGHUP):
        # A signal that comes while the parent restarts is lost.
        wait_until(lambda: server.get("/index.html").status == 200, 8, "new children")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM], ids=["restart", "stop"])
def test_a_child_that_ends_at_once_is_not_held_up(start_pumped, mpm, number):
    server = start_pumped(location("/echo", "echo"), children=2)
    client = server.websocket("/echo")
    old = server.children()
    echoes(client)
    server.signal(number)
    if mpm == "prefork":
        client.expect_close(1001)
    else:
        # httpd closes the sockets of its threads before it tells anybody.
        _expect_close_or_end(client)
    _await_the_end_of(server, old, number)


def _expect_close_or_end(client):
    try:
        frame = client.next_frame()
    except ConnectionResetError:
        return
    assert frame is None or (frame.opcode, frame.code) == (frames.CLOSE, 1001), frame


@pytest.mark.full
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM], ids=["graceful", "stop"])
def test_a_client_that_takes_nothing_does_not_hold_a_child_up(start_pumped, number):
    server = start_pumped(_DRAIN + location("/block", "hostile"), children=2)
    client = server.websocket("/block", receive_buffer=16384)
    old = server.children()
    client.send(frames.text("flood 400 65536"))
    client.wait_until_stalled()
    server.signal(number)
    _await_the_end_of(server, old, number)
    client.close()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM], ids=["graceful", "stop"])
@pytest.mark.slow
def test_a_client_that_takes_a_little_now_and_then_does_not_hold_a_child_up(start_pumped, number):
    server = start_pumped(_DRAIN + location("/block", "hostile"), children=2)
    client = server.websocket("/block", receive_buffer=4096)
    old = server.children()
    client.send(frames.text("flood 400 65536"))
    client.wait_until_stalled()
    server.signal(number)
    client.sock.settimeout(1)

    def gone_or_read():
        if any(map(processes.is_alive, old)):
            with contextlib.suppress(OSError):
                client.sock.recv(64)
            return False
        return True

    wait_until(gone_or_read, 20, "the end of the old children")
    client.close()


@pytest.mark.full
def test_a_child_that_has_had_its_connections_drains(start_pumped, mpm):
    server = start_pumped(_DRAIN + "MaxConnectionsPerChild 20\n" + location("/echo", "echo"))
    old = server.child()
    with server.websocket("/echo") as client:
        echoes(client)
        if mpm == "prefork":  # its child is busy, so it has no further connections
            client.close_handshake()
        wait_until(lambda: server.get("/index.html") and server.children() != [old], 10, "another child")
        if mpm != "prefork":
            client.expect_close(1012)


# ---- TLS -------------------------------------------------------------------------------------------


@pytest.mark.one_mpm
def test_the_filter_may_see_the_inside_of_tls(start_pumped):
    port = free_port()
    start_pumped(
        certificates.virtual_host(port, "SSLOptions +StdEnvVars")
        + location("/echo", "echo") + location("/lifecycle", "lifecycle"),
        modules=("ssl", "socache_shmcb"),
    )
    with tls.TlsClient(port, certificates.client_context()).upgrade("/lifecycle") as client:
        client.send(frames.text("env"))
        assert "SSL_PROTOCOL=TLSv1.3" in client.expect_text().splitlines()
        client.close_handshake()
    with tls.TlsClient(port, certificates.client_context()).upgrade("/echo") as client:
        payload = bytes(range(256)) * 8192
        client.send_while_reading(frames.binary(payload) * 4)
        for _ in range(4):
            client.expect(frames.BINARY, payload)
        client.send(frames.close(1000))
        client.expect_close(1000, then_end=False)
        client.expect_notified_end()
