# SPDX-License-Identifier: Apache-2.0
"""Running out of memory costs the connection that asked for it, never the child."""

import contextlib

import pytest

import frames
import httpd
from httpd import BUILD, location

pytestmark = pytest.mark.skipif(bool(httpd.PRELOAD), reason="a sanitizer has its own allocator")

_PARTS = location("/pool", "echo") + location("/inline", "echo", "WebSocketDispatch Inline")


@pytest.fixture
def server(start_httpd):
    server = start_httpd(_PARTS, preload=BUILD / "test/plugins/failing_memory.so")
    child = server.child()
    yield server
    assert server.child() == child


@contextlib.contextmanager
def out_of_memory(server):
    switch = server.root / "out-of-memory"
    switch.touch()
    try:
        yield
    finally:
        switch.unlink()


def _echoes(client, text):
    client.send(frames.text(text))
    client.expect_text(text)


def test_new_handshakes_get_503_and_open_sockets_live_on(server):
    with server.websocket("/inline") as old:
        _echoes(old, "before")
        start = server.log_size()
        with out_of_memory(server):
            for _ in range(10):
                assert server.answer("/inline").status == 503
            _echoes(old, "meanwhile")
        server.expect_log(r"WS0106: .*out of memory", start)
        assert server.answer("/inline").status == 101
        _echoes(old, "after")


@pytest.mark.parametrize("path", ["/pool", "/inline"])
def test_a_message_without_memory_ends_its_connection_only(server, path):
    with server.websocket(path) as poor, server.websocket(path) as other:
        _echoes(poor, "before")
        _echoes(other, "before")
        # Half a frame, so that the rest has to be kept.
        frame = frames.text("x" * 200_000)
        with out_of_memory(server):
            poor.send(frame[:1000])
            poor.expect_close(1011)
        _echoes(other, "after")
        with server.websocket(path) as new:
            _echoes(new, "x" * 200_000)


def test_the_pool_without_memory_closes_with_1011(server):
    with server.websocket("/pool") as poor, server.websocket("/pool") as other:
        _echoes(poor, "before")
        _echoes(other, "before")
        start = server.log_size()
        with out_of_memory(server):
            poor.send(frames.text("nowhere to keep this"))
            server.expect_log(r"WS0301: out of memory", start)
            poor.expect_close(1011)
        _echoes(other, "after")
