# SPDX-License-Identifier: Apache-2.0
"""The threads of plugins: neither clients that do not read nor a slow plugin take them from others."""

import contextlib

import pytest

import frames
from httpd import Httpd, location, probe_section

MPMS = ["event"]  # a pool is the same on all of them

_THREADS = 8
_CROWD = 3 * _THREADS

_V1 = probe_section("/v1", "pool")


@pytest.fixture(scope="module")
def pool_server(mpm):
    parts = f"WebSocketPoolMaxThreads {_THREADS}\n" + _V1
    parts += location("/echo", "echo") + location("/flood", "hostile", "WebSocketCloseTimeout 500ms")
    with Httpd(mpm, parts) as server:
        yield server


@pytest.fixture
def pool(pool_server):
    yield pool_server
    pool_server.assert_unharmed()


@contextlib.contextmanager
def _crowd(server, path, behave):
    clients = [server.websocket(path, receive_buffer=4096) for _ in range(_CROWD)]
    try:
        for client in clients:
            behave(client)
        yield clients
    finally:
        for client in clients:
            client.reset()


def _is_served(server, path, say="{}"):
    with server.websocket(path) as client:
        for n in range(20):
            client.send(frames.text(say.format(n)))
            client.expect_text(str(n))
        client.close_handshake()


def _echoes_unread(client):
    client.send_until_stuck(frames.binary(b"x" * 1000) * 100, 16 << 20)


def _fills_unread(client):
    client.send(frames.text("fill"))
    client.send_until_stuck(frames.text("echo " + "x" * 16384), 4 << 20)


def test_echoes_that_nobody_reads_hold_no_thread(pool):
    start = pool.log_size()
    with _crowd(pool, "/echo", _echoes_unread):
        _is_served(pool, "/echo")
        _is_served(pool, "/v1", "echo {}")
    assert "WS040" not in pool.log()[start:]


def test_plugins_of_version_1_are_told_that_nobody_reads_and_hold_no_thread(pool):
    start = pool.log_size()
    with _crowd(pool, "/v1", _fills_unread):
        _is_served(pool, "/v1", "echo {}")
        _is_served(pool, "/echo")
    assert "WS040" not in pool.log()[start:]


def test_a_plugin_whose_floods_nobody_reads_serves_others_and_closes_those(pool):
    start = pool.log_size()
    with _crowd(pool, "/flood", lambda client: client.send(frames.text("flood 100000 65536"))):
        _is_served(pool, "/flood")
        _is_served(pool, "/echo")
        pool.expect_log(r"WS0404: closed \d+ clients with 1008 .*hostile\.so\" in section \"/flood\"", start)
        # Nor do they read that: a while later they are gone.
        pool.expect_log(r'WS0132: closed .* location "/flood", .* code 1006 by server', start, 20)


def test_a_location_whose_callbacks_block_leaves_threads_for_others(start_httpd, mpm):
    server = start_httpd(
        f"WebSocketPoolMaxThreads {_THREADS}\n" + location("/slow", "holding") + location("/echo", "echo")
    )
    start = server.log_size()
    held = [server.websocket("/slow") for _ in range(_CROWD)]
    for client in held:
        client.send(frames.text("hold"))
    server.expect_log(r"WS0402: all 6 threads .* of 8, .*holding\.so\" in section \"/slow\" \(.*:\d+\)", start)
    _is_served(server, "/echo")
    server.websocket("/slow", headers=[("X-Release", "now")]).close_handshake()
    for client in held:
        client.expect_text("hold")
        client.close_handshake()
