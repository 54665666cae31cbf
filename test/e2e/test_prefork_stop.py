# SPDX-License-Identifier: Apache-2.0
"""What a child of prefork was doing when it was told to end at once: its only thread is interrupted anywhere."""

import signal

import handshake
from httpd import location
from waiting import wait_until

MPMS = ("prefork",)


def test_a_child_that_is_told_to_end_finishes_what_holds_a_lock(start_httpd):
    server = start_httpd(location("/lock", "told_in_lock"))
    child = server.child()
    with server.websocket("/lock") as other, server.client() as client:
        client.send(handshake.request("/lock?end"))
        server.expect_log("goes on")  # the callback in which the signal comes
        assert client.read_response().status == 101
        client.expect_close(1001)
        other.expect_close(1001)
        server.expect_log("saw a client go")  # another thread, which wants the same lock
    wait_until(lambda: server.children() not in ([], [child]), 10, "another child")
    with server.websocket("/lock") as client:
        client.settle()


def test_a_child_that_waits_for_the_rest_of_a_request_ends(start_httpd):
    server = start_httpd("Timeout 600\nKeepAliveTimeout 600\nRequestReadTimeout header=0\n" + location("/lock", "told_in_lock"))
    child = server.child()
    with server.websocket("/lock") as other, server.client() as client:
        client.send(b"GET /index.html HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert client.read_response().status == 200
        client.send(handshake.request("/lock")[:50])
        server.signal(signal.SIGHUP)
        other.expect_close(1001)
        client.expect_end()
    wait_until(lambda: server.children() not in ([], [child]), 10, "another child")
