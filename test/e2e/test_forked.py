# SPDX-License-Identifier: Apache-2.0
"""A module that forks a process for a connection, in a child that serves WebSockets itself."""

import frames
import handshake
from httpd import BUILD, location

# To fork one of many threads is worse than what is tried here.
MPMS = ("prefork",)

_FORKING = f"LoadModule forking_module {BUILD}/test/plugins/forking.so\n"  # whoever comes from 127.0.0.2


def _answer(server, source):
    with server.client(source=source) as client:
        client.send(handshake.request("/echo"))
        return client.read_response()


def test_a_process_without_the_threads_refuses_and_its_parent_goes_on(start_httpd):
    server = start_httpd(_FORKING + location("/echo", "echo"))
    with server.websocket("/echo") as client:
        assert _answer(server, "127.0.0.2").status == 501
        server.expect_log(r"\[client 127\.0\.0\.2:\d+\] WS0124: .* 501: this process was forked from one that serves")
        assert _answer(server, "127.0.0.1").status == 101
        client.send(frames.text("still there"))
        client.expect_text("still there")
        client.close_handshake()
    assert "WS0124" not in server.log().partition("WS0124")[2]
