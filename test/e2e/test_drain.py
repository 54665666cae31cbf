# SPDX-License-Identifier: Apache-2.0
"""What a single client, or a single message, goes through while its child drains."""

import re
import signal
import time

import pytest

import frames
import handshake
import processes
from httpd import BUILD, location
from lifecycle import RESTART, assert_gone, long
from waiting import patience, wait_until

pytestmark = pytest.mark.each_mpm


@pytest.fixture
def start(start_httpd, mpm):
    """start(drain) starts a server with a free slot for new children, and with this WebSocketDrainTimeout."""
    slots = {"prefork": "ServerLimit 6\nMaxRequestWorkers 6"}.get(mpm, "ServerLimit 4\nMaxRequestWorkers 100")
    plugins = [
        location("/echo", "echo"),
        location("/inline", "echo", "WebSocketDispatch Inline"),
        location("/sleepy", "sleepy"),
        location("/hostile", "hostile"),
    ]
    return lambda drain: start_httpd("\n".join([slots, f"WebSocketDrainTimeout {drain}", *plugins]))


def begin_drain(server):
    """Restarts gracefully, and returns when the children with connections have heard of it."""
    log = server.log_size()
    server.signal(signal.SIGUSR1)
    server.expect_log("WS0211: this child ends", log)
    return time.monotonic()


def echoes(client, text):
    client.send(frames.text(text))
    client.expect_text(text)


# ---- messages --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/echo", "/inline"])
def test_a_socket_works_until_its_close(start, path):
    server = start("3s")
    with server.websocket(path) as client:
        begin_drain(server)
        for n in range(100_000):
            client.send(frames.text(f"{n}"))
            frame = client.next_frame()
            if frame.opcode == frames.CLOSE:
                break
            assert frame.payload == str(n).encode()
        assert n > 0
        assert frame.code == RESTART and frame.payload[2:] == b"connect again"
        client.send(frames.close(RESTART))
        client.expect_end()


@pytest.mark.full
def test_messages_that_wait_for_the_plugin_are_answered_before_the_close(start):
    server = start("8s")
    with server.websocket("/sleepy") as client, server.websocket("/echo") as other:
        for _ in range(5):
            client.send(frames.text("sleep 400"))
        begin = begin_drain(server)
        for _ in range(5):
            client.expect_text("sleep 400")
        client.expect_close(RESTART)
        other.expect_close(RESTART)
        assert time.monotonic() - begin < patience(8)


@pytest.mark.full
@pytest.mark.parametrize("path", ["/echo", "/inline"])
def test_a_message_that_is_coming_in_is_answered_before_the_close(start, path):
    server = start("8s")
    with server.websocket(path) as client, server.websocket(path) as witness:
        frame = frames.text("x" * 100_000)
        client.send(frame[:1000])
        begin_drain(server)
        witness.expect_close(RESTART)
        client.expect_silence(0.3)  # the turn of all idle sockets is over by then
        client.send(frame[1000:])
        client.expect_text("x" * 100_000)
        client.expect_close(RESTART)


def test_a_message_that_does_not_end_holds_nobody(start):
    server = start("1s")
    child = server.children()
    with server.websocket("/echo") as client:
        client.send(frames.text("x" * 1000)[:500])
        begin = time.monotonic()
        begin_drain(server)
        client.expect_close(RESTART)
        assert time.monotonic() - begin > 0.9
    server.expect_log("WS0212: .*: 0 connections closed in order, 1 forced")
    assert_gone(child, 2)


@long
def test_a_plugin_that_does_not_return_holds_nobody(start):
    server = start("1s")
    child = server.children()
    with server.websocket("/hostile") as client:
        client.send(frames.text("block"))
        echoes_elsewhere = server.websocket("/echo")
        echoes(echoes_elsewhere, "still there")
        begin = begin_drain(server)
        echoes_elsewhere.expect_close(RESTART)
        client.expect_close(RESTART)
        assert_gone(child, 4)
        assert time.monotonic() - begin < patience(3.5)


@long
def test_a_client_that_does_not_read_holds_nobody(start):
    server = start("1s")
    child = server.children()
    with server.websocket("/hostile", receive_buffer=4096) as client:
        client.send(frames.text("flood 1000 100000"))
        client.wait_until_stalled()
        begin = begin_drain(server)
        assert_gone(child, 4)
        assert time.monotonic() - begin < patience(3.5)


# ---- who comes and goes meanwhile ------------------------------------------------------------------


def test_a_client_may_go_before_its_turn(start):
    server = start("60s")
    child = server.children()
    with server.websocket("/echo") as client, server.websocket("/echo") as other:
        begin_drain(server)
        client.close_handshake()
        other.reset()
    # The last one has gone, so the child need not wait.
    server.expect_log(r"WS0212: .*: 0 connections closed in order, 0 forced, \d+ by their clients")
    assert_gone(child, 2)


def half_a_handshake(server, others=0):
    """A client for whose other half a worker waits, as for `others`; and that half."""
    request = handshake.request("/echo")
    client = server.client()
    client.send(request[:30])
    wait_until(lambda: int(server.status()["BusyWorkers"]) >= 2 + others, 5, "a worker with half a request")
    return client, request[30:]


def test_a_handshake_that_is_completed_in_a_drain_is_answered_and_the_client_served(start, mpm):
    server = start("30s")
    with server.websocket("/echo") as old:
        client, rest = half_a_handshake(server)
        log = server.log_size()
        if mpm == "prefork":  # httpd itself gives up reading the request
            server.signal(signal.SIGUSR1)
            assert client.read_response().status == 400
            return
        begin_drain(server)
        client.send(rest)
        handshake.check_upgraded(client.read_response())
        echoes(client, "served by a child that ends")
        echoes(old, "nobody else is affected")
        client.close_handshake()
        old.close_handshake()
    server.expect_log(r"WS0212: .*: 0 connections closed in order, 0 forced, 2 by their clients", log)


def test_a_handshake_that_is_completed_when_the_time_is_over_is_asked_to_come_again(start, mpm):
    if mpm == "prefork":
        pytest.skip("httpd itself gives up reading the request")
    server = start("0")
    with server.websocket("/echo") as old:
        client, rest = half_a_handshake(server)
        log = server.log_size()
        begin_drain(server)
        old.expect_close(RESTART)
        client.send(rest)
        response = client.read_response()
        assert response.status == 503
        assert response.header("Retry-After") == "1"
        assert response.header("Connection").lower() == "close"
        client.expect_end()
        server.expect_log("WS0106: .* 503: this child is stopping; the client is told to .* come again", log)


def upgrade_late(server, client, rest):
    """Completes a handshake when a graceful restart has begun; returns the client, and where the log of that begins."""
    log = server.log_size()
    server.signal(signal.SIGUSR1)
    server.expect_log("resuming normal operations", log)
    client.send(rest)
    handshake.check_upgraded(client.read_response())
    return client, log


def test_the_first_websocket_of_a_child_may_come_when_it_drains_already(start, mpm):
    if mpm == "prefork":
        pytest.skip("httpd itself gives up reading the request")
    server = start("2s")
    child = server.children()
    client, log = upgrade_late(server, *half_a_handshake(server))
    client.expect_close(RESTART)
    client.close()
    server.expect_log("WS0212: .*: 1 connections closed in order, 0 forced, 0 by their clients", log)
    assert_gone(child, 5)


def test_a_websocket_that_comes_and_goes_while_a_child_drains_is_counted(start, mpm):
    if mpm == "prefork":
        pytest.skip("httpd itself gives up reading the request")
    server = start("30s")
    told = None
    for _ in range(10):
        child = server.children()
        late = half_a_handshake(server)
        other = half_a_handshake(server, 1)[0]  # which the child waits for
        client, log = upgrade_late(server, *late)
        client.close()
        server.expect_log("WS0132: ", log)
        other.close()
        assert_gone(child, 10)
        told = re.search(r"WS0212: .*", server.log()[log:])
        if told:
            break  # else the child has heard of its end only now
    assert told and told[0].endswith("0 connections closed in order, 0 forced, 1 by their clients")


def _stopping(server):
    status = server.status()
    return status["Stopping"], status["Processes"]


def test_new_clients_are_served_while_the_old_child_drains(start, mpm):
    server = start("30s")
    with server.websocket("/echo") as old:
        child = server.children()
        begin_drain(server)
        new = wait_until(lambda: server.answer("/echo").status == 101, 10, "a new child")
        assert new
        echoes(old, "still there")
        assert set(child) & set(server.children())
        # httpd does not take the old child for one that waits for clients.
        if mpm == "prefork":
            wait_until(lambda: "G" in server.status()["Scoreboard"], 5, "a child shown as leaving")
        elif mpm == "event":
            wait_until(lambda: _stopping(server) == ("1", "2"), 5, "one of two processes shown as stopping")
        else:
            # Its threads have ended, or are shown as those that finish.
            wait_until(
                lambda: len(re.sub("[.G]", "", server.status()["Scoreboard"])) == 25 * (len(server.children()) - 1),
                10,
                "a scoreboard with no other threads that serve than those of the new child",
            )
        old.close_handshake()


@long
def test_a_second_graceful_restart_leaves_a_drain_alone(start):
    server = start("8s")
    with server.websocket("/echo") as first:
        child = server.children()
        begin = begin_drain(server)
        wait_until(lambda: set(server.children()) - set(child), 10, "a new child")
        log = server.log_size()
        server.signal(signal.SIGUSR1)
        server.expect_log("resuming normal operations", log)
        echoes(first, "still there")
        first.expect_close(RESTART)
        assert 3 < time.monotonic() - begin < patience(7)  # in the middle of the spread


@pytest.mark.parametrize("kind", ["loop", "pool"])
def test_a_plugin_of_version_1_is_told_and_stopped_last(start_httpd, mpm, kind):
    handler = f'SetHandler websocket-handler\nWebSocketHandler "{BUILD}/test/plugins/v1_probe.so" v1_{kind}_init'
    slots = "ServerLimit 4\nMaxRequestWorkers 4" if mpm == "prefork" else "ServerLimit 4\nMaxRequestWorkers 100"
    server = start_httpd(f"{slots}\nWebSocketDrainTimeout 8s\n<Location /probe>\n{handler}\n</Location>\n")
    with server.websocket("/probe") as client:
        begin_drain(server)
        assert 2000 < int(server.expect_log(r"drains for (\d+) ms")[1]) <= 8000
        client.send(frames.text("echo still there"))
        client.expect_text("still there")
        client.expect_close(RESTART)  # and answers it
    server.expect_log("stopped with 0 clients")
    log = server.log()
    closed = log.index('] closed 1012 "connect again" by server clean')
    assert log.index("drains for") < closed < log.index("stopped with")


# ---- no time ---------------------------------------------------------------------------------------


def test_without_drain_time_all_are_closed_at_once(start):
    server = start("0")
    child = server.children()
    clients = [server.websocket("/echo") for _ in range(10)]
    begin = begin_drain(server)
    for client in clients:
        client.expect_close(RESTART)
        client.close()
    assert time.monotonic() - begin < patience(1)
    assert_gone(child, 3)


def test_a_child_without_connections_leaves_at_once_and_silently(start):
    server = start("60s")
    child, log = server.children(), server.log_size()
    server.signal(signal.SIGUSR1)
    assert_gone(child, 3)
    assert "WS02" not in server.log(log)
    assert processes.children_of(server.pid) or server.answer("/echo").status == 101
