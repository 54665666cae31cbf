# SPDX-License-Identifier: Apache-2.0
"""Children come and go; a thousand sockets under traffic live through it, or are told what happens.

What each event does to sockets, messages and plugins is in docs/lifecycle.md, cell by cell.
"""

import contextlib
import os
import signal
import time

import pytest

import certificates
import frames
import httpd
import processes
from lifecycle import (
    RESTART,
    SOCKETS,
    STOP,
    assert_gone,
    assert_no_slot_is_stuck,
    assert_served_meanwhile,
    assert_serves,
    assert_spread,
    in_order_and_forced,
    long,
    lost,
    parts,
    serving,
    threads_of_child,
)
from traffic import BROKEN, Traffic
from waiting import SANITIZED, patience, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.each_mpm]


@pytest.fixture
def start(start_httpd, mpm):
    """start(*lines) starts a server of several children with these lines in its configuration.

    With tls=True it has a tls_port, too.
    """

    def start_server(*lines, tls=False):
        if not tls:
            return start_httpd(parts(mpm, *lines))
        port = httpd.free_port()
        host = certificates.virtual_host(port)
        server = start_httpd(parts(mpm, *lines, host), modules=("ssl", "socache_shmcb"))
        server.tls_port = port
        return server

    return start_server


# Both ways to connect; the second one takes longer to begin. What the loops do with TLS is the same with all MPMs.
_WSS = pytest.param(True, marks=[long, pytest.mark.one_mpm, pytest.mark.heavy])
schemes = pytest.mark.parametrize("tls", [False, _WSS], ids=["ws", "wss"])


def busy(traffic):
    """All sockets are open and talk."""
    traffic.wait_all_open()
    return traffic.wait_for_echoes(traffic.sockets)


# ---- restart ---------------------------------------------------------------------------------------


@schemes
def test_a_graceful_restart_closes_one_after_the_other(start, tls):
    server = start("WebSocketDrainTimeout 4s", tls=tls)
    with Traffic(server, SOCKETS, tls=tls, slow=0.02) as traffic:
        busy(traffic)
        old, begin, log = server.children(), time.monotonic(), server.log_size()
        server.signal(signal.SIGUSR1)
        state = traffic.wait_all_ended(5)
        assert state.codes == {RESTART: SOCKETS}
        assert_spread(state, begin, 4)
        assert lost(traffic, state) == 0
    server.expect_log(rf"WS0211: .* closing \d+ connections with {RESTART} within 4000 ms", log)
    assert_gone(old, 4)
    assert in_order_and_forced(server, log) == (SOCKETS, 0)
    assert_serves(server)
    assert_no_slot_is_stuck(server)


@pytest.mark.heavy
@long
def test_clients_that_come_back_are_served_while_old_children_drain(start):
    server = start("WebSocketDrainTimeout 5s")
    with Traffic(server, SOCKETS, reconnect=True) as traffic:
        busy(traffic)
        old, log = serving(server), server.log_size()
        server.signal(signal.SIGUSR1)
        traffic.wait(lambda state: state.connects >= SOCKETS + 20, 10, "some having come back")
        assert_gone(old, 8)
        assert_served_meanwhile(server, old, log)
        traffic.wait_all_open()
        state = traffic.wait_for_echoes(SOCKETS)
        assert state.codes == {RESTART: SOCKETS}
        assert lost(traffic, state) == 0
    assert_no_slot_is_stuck(server)


@long
@schemes
def test_a_restart_closes_all_at_once(start, tls):
    server = start(tls=tls)
    with Traffic(server, SOCKETS, tls=tls) as traffic:
        busy(traffic)
        old = server.children()
        server.signal(signal.SIGHUP)
        state = traffic.wait_all_ended(2)
        assert state.codes == {STOP: SOCKETS}
        assert_gone(old, 3)
        assert lost(traffic, state) >= 0
    assert_serves(server)
    assert_no_slot_is_stuck(server)


@pytest.mark.heavy
@long
def test_graceful_restarts_in_a_row_lose_nothing(start):
    server = start("WebSocketDrainTimeout 2s")
    with Traffic(server, SOCKETS // 2, slow=0.02, reconnect=True) as traffic:
        busy(traffic)
        seen = set(server.children())
        for _ in range(10):
            generation = server.children()
            log = server.log_size()
            server.signal(signal.SIGUSR1)
            server.expect_log("resuming normal operations", log)
            wait_until(lambda known=generation: set(server.children()) - set(known), 10, "a new child")
            seen |= set(server.children())
            traffic.wait_for_echoes(SOCKETS // 4)
        assert_gone(seen - set(wait_for_one_generation(server)), 5)
        traffic.wait_all_open()
        state = traffic.wait_for_echoes(SOCKETS)
        assert set(state.codes) == {RESTART}
        assert lost(traffic, state) == 0
    assert in_order_and_forced(server)[1] == 0
    assert_no_slot_is_stuck(server)


def wait_for_one_generation(server):
    """The children that serve, once none is left that drains."""
    wait_until(lambda: log_count(server, "WS0211") == log_count(server, "WS0212"), 10, "the end of all drains")
    return server.children()


def log_count(server, word):
    return server.log().count(word)


@pytest.mark.heavy
@long
def test_restarts_faster_than_the_drain_find_room_for_new_children(start_httpd, mpm):
    """Ten of them, although the old children had a minute each."""
    limits = "MaxRequestWorkers 6" if mpm == "prefork" else "ServerLimit 4\nMaxRequestWorkers 40"
    server = start_httpd(parts(mpm, limits, "StartServers 2", "WebSocketDrainTimeout 60s"))
    most = {"event": 4, "prefork": 6, "worker": 9 * 2 + 2}[mpm]
    with Traffic(server, 200, reconnect=True) as traffic:
        busy(traffic)
        for _ in range(10):
            log = server.log_size()
            server.signal(signal.SIGUSR1)
            server.expect_log("resuming normal operations", log)
            assert_serves(server)
            assert len(server.children()) <= most
        server.expect_log("WS0213: closing .* early")
        traffic.wait_all_open()
        state = traffic.wait_for_echoes(200)
        assert set(state.codes) == {RESTART}
        assert lost(traffic, state) == 0


# ---- stop ------------------------------------------------------------------------------------------


def assert_told_of_a_stop(state):
    """The first child that is told may take it for a child too many until the next one is told, too."""
    assert set(state.codes) <= {STOP, RESTART} and sum(state.codes.values()) == SOCKETS
    assert state.codes[STOP] > 0.9 * SOCKETS


@long
@schemes
def test_a_graceful_stop_closes_one_after_the_other(start, tls):
    server = start("WebSocketDrainTimeout 2s", tls=tls)
    with Traffic(server, SOCKETS, tls=tls, slow=0.02) as traffic:
        busy(traffic)
        begin = time.monotonic()
        server.signal(signal.SIGWINCH)
        state = traffic.wait_all_ended(5)
        assert_told_of_a_stop(state)
        assert_spread(state, begin, 2)
        assert lost(traffic, state) == 0
    assert server.wait(5) == 0
    assert in_order_and_forced(server) == (SOCKETS, 0)


@long
def test_a_graceful_stop_is_done_before_httpd_kills(start):
    server = start("WebSocketDrainTimeout 60s", "GracefulShutdownTimeout 3")
    with Traffic(server, SOCKETS, slow=0.02) as traffic:
        busy(traffic)
        begin = time.monotonic()
        server.signal(signal.SIGWINCH)
        state = traffic.wait_all_ended(5)
        assert_told_of_a_stop(state)
        assert_spread(state, begin, 2)
        assert lost(traffic, state) == 0
    assert server.wait(5) == 0
    assert in_order_and_forced(server) == (SOCKETS, 0)


@long
@schemes
def test_a_stop_closes_all_at_once(start, tls):
    server = start(tls=tls)
    with Traffic(server, SOCKETS, tls=tls) as traffic:
        busy(traffic)
        server.signal(signal.SIGTERM)
        state = traffic.wait_all_ended(2)
        assert state.codes == {STOP: SOCKETS}
        assert server.wait(3) == 0
        assert lost(traffic, state) >= 0


@long
@pytest.mark.parametrize(
    ("first", "number"),
    [
        (signal.SIGUSR1, signal.SIGTERM),
        pytest.param(signal.SIGUSR1, signal.SIGHUP, marks=pytest.mark.heavy),
        pytest.param(signal.SIGWINCH, signal.SIGTERM, marks=pytest.mark.heavy),
    ],
    ids=["stop_after_graceful_restart", "restart_after_graceful_restart", "stop_after_graceful_stop"],
)
def test_something_harder_ends_a_drain(start, first, number):
    server = start("WebSocketDrainTimeout 60s")
    with Traffic(server, SOCKETS) as traffic:
        busy(traffic)
        old = server.children()
        server.signal(first)
        traffic.wait(lambda state: state.open <= SOCKETS - 5, 10, "some Closes")
        begin = time.monotonic()
        server.signal(number)
        state = traffic.wait_all_ended(3)
        late = [ended for ended in state.ended if ended.when > begin + patience(1)]
        assert sum(state.codes.values()) == SOCKETS and set(state.codes) <= {STOP, RESTART}
        assert state.codes[STOP] > SOCKETS / 2
        # httpd looks for a stop once a second while it stops.
        assert len(late) <= (SOCKETS if first == signal.SIGWINCH else SOCKETS / 100)
        assert_gone(old, 3)
    if number == signal.SIGTERM:
        assert server.wait(3) == 0
    else:
        assert_serves(server)
        assert_no_slot_is_stuck(server)


# ---- what httpd does by itself ---------------------------------------------------------------------


_EACH = 20  # connections of a child
# So many children at once that clients do not wait for new ones.
_MANY = {
    "prefork": "StartServers 6\nMinSpareServers 4\nMaxSpareServers 40",
    "event": "StartServers 4\nServerLimit 40\nMaxRequestWorkers 60\nMinSpareThreads 40",
    "worker": "StartServers 4\nServerLimit 40\nMaxRequestWorkers 60\nMinSpareThreads 40",
}


def test_whoever_is_accepted_is_served_also_when_the_child_has_had_its_connections(start, mpm):
    server = start("WebSocketDrainTimeout 4s", _MANY[mpm], f"MaxConnectionsPerChild {_EACH}")
    clients = []
    for n in range(10 * _EACH):
        client = server.websocket("/echo")  # asserts that it gets a 101
        client.send(frames.text(f"message {n}"))
        client.expect_text(f"message {n}")
        clients.append(client)
    ends = [client.next_frame(20, "a Close") for client in clients[: 5 * _EACH]]
    for client in clients:
        client.close()
    assert {end and end.code for end in ends} == {RESTART}
    assert "WS0106" not in server.log()
    # Those that came when the drain had begun are counted, too.
    server.expect_log("WS0212: ")
    assert in_order_and_forced(server)[1] == 0
    assert_serves(server)


@long
def test_a_child_that_has_had_its_connections_drains(start, mpm):
    # So few that all children have had theirs, at about the same time, as they are filled evenly.
    most = SOCKETS // (50 if mpm == "prefork" else 8)
    server = start("WebSocketDrainTimeout 4s", f"MaxConnectionsPerChild {most}")
    with Traffic(server, SOCKETS) as traffic:
        server.expect_log(rf"WS0211: .* closing [1-9]\d* connections with {RESTART} ")
        server.expect_log("WS0212: ")
        state = wait_until(
            lambda: log_count(server, "WS0211") == log_count(server, "WS0212") and traffic.state(), 10, "the drains"
        )
        assert set(state.codes) == {RESTART}
        assert not state.refused
        assert lost(traffic, state) == 0
    assert in_order_and_forced(server)[1] == 0
    assert_serves(server)


@pytest.mark.heavy
@long
def test_a_child_too_many_drains(start, mpm):
    # So few idle ones are kept that one of four children is one too many.
    few = "MinSpareServers 1\nMaxSpareServers 2" if mpm == "prefork" else "MinSpareThreads 1\nMaxSpareThreads 11"
    server = start("StartServers 1", few, "WebSocketDrainTimeout 1s")
    with contextlib.ExitStack() as stack:
        # Requests that do not end keep children busy, so that httpd starts more.
        requests = [stack.enter_context(server.client()) for _ in range(3 * threads_of_child(mpm))]
        for request in requests:
            request.send(b"GET / HTTP/1.1\r\n")
        wait_until(lambda: len(server.children()) >= 4, 10, "four children")
        # Nobody is one too many before all have clients.
        with processes.stopped(server.pid):
            for request in requests:
                request.close()
            traffic = stack.enter_context(Traffic(server, SOCKETS, reconnect=True))
            traffic.wait_all_open()
            # With prefork, a child that is ahead of others counts as busy; it is so no more when they have caught up.
            while server.status()["Scoreboard"].count("_") < 3:
                stack.enter_context(server.websocket("/echo"))
        server.expect_log(rf"WS0211: .* closing [1-9]\d* connections with {RESTART} ", seconds=15)
        server.expect_log("WS0212: ")
        traffic.wait_all_open()
        state = traffic.wait_for_echoes(SOCKETS)
        assert set(state.codes) == {RESTART}
        assert lost(traffic, state) == 0
        assert in_order_and_forced(server)[1] == 0
    assert_serves(server)


# ---- violence --------------------------------------------------------------------------------------


def child_with_sockets(server):
    return max(server.children(), key=processes.sockets)


@long
def test_a_child_that_is_killed_takes_only_its_own_sockets_along(start):
    server = start()
    with Traffic(server, SOCKETS) as traffic:
        busy(traffic)
        victim = child_with_sockets(server)
        os.kill(victim, signal.SIGKILL)
        state = traffic.wait(lambda state: BROKEN in state.codes, 5, "connections that break")
        # A new one there need not be: httpd may have enough others.
        wait_until(lambda: victim not in server.children(), 10, "the end of the child")
        state = traffic.wait_for_echoes(state.open)
        assert set(state.codes) == {BROKEN}
        assert state.open + state.codes[BROKEN] == SOCKETS
    assert_serves(server)
    assert_no_slot_is_stuck(server)


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has its own SIGSEGV")
def test_a_plugin_that_crashes_takes_only_its_child_along(start):
    server = start()
    with Traffic(server, SOCKETS) as traffic, server.websocket("/hostile") as hostile:
        busy(traffic)
        hostile.send(frames.text("crash"))
        server.expect_harm("exit signal Segmentation fault")
        hostile.expect_end()
        state = traffic.wait(lambda state: BROKEN in state.codes, 5, "connections that break")
        state = traffic.wait_for_echoes(state.open)
        assert set(state.codes) == {BROKEN}
    assert_serves(server)
    assert_no_slot_is_stuck(server)


@pytest.fixture
def orphans():
    """Processes that a test has to end itself."""
    pids = []
    yield pids
    for pid in pids:
        if processes.is_alive(pid):
            os.kill(pid, signal.SIGKILL)


@long
def test_children_serve_on_without_their_parent(start, orphans):
    server = start()
    with Traffic(server, SOCKETS) as traffic:
        busy(traffic)
        orphans += server.abandon()
        state = traffic.wait_for_echoes(2 * SOCKETS)
        assert state.open == SOCKETS
        assert server.answer("/echo").status == 101
        for pid in orphans:
            os.kill(pid, signal.SIGTERM)
        if server.mpm == "prefork":
            assert traffic.wait_all_ended(3).codes == {STOP: SOCKETS}
            assert_gone(orphans, 3)
        else:  # these do not listen to anybody else
            assert traffic.wait_for_echoes(2 * SOCKETS).open == SOCKETS


@long
def test_a_drain_ends_when_the_parent_dies(start, orphans):
    server = start("WebSocketDrainTimeout 60s")
    with Traffic(server, SOCKETS) as traffic:
        busy(traffic)
        draining = serving(server)
        server.signal(signal.SIGUSR1)
        wait_until(lambda: log_count(server, "WS0211") == len(draining), 5, "all drains")
        wait_until(lambda: set(server.children()) - set(draining), 10, "a new child")
        orphans += server.abandon()
        assert set(traffic.wait_all_ended(3).codes) <= {STOP, RESTART}
        assert_gone(draining, 3)
