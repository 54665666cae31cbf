# SPDX-License-Identifier: Apache-2.0
"""The limit of descriptors: what is said when it is too low, and who raises it."""

import pathlib
import re

from httpd import location

_WARNING = re.compile(r"WS0112: (\S+) is (\d+), but descriptors are enough for (\d+) connections")


def _warnings(server):
    """Directive, its value and what is possible, of each such line; httpd reads its configuration twice."""
    return {(name, int(value), int(possible)) for name, value, possible in _WARNING.findall(server.log())}


def _limits(pid):
    """Soft and hard."""
    line = re.search(r"^Max open files +(\d+) +(\d+)", pathlib.Path(f"/proc/{pid}/limits").read_text(), re.MULTILINE)
    return int(line[1]), int(line[2])


def test_more_connections_than_descriptors_are_warned_of(start_httpd):
    echo = location("/echo", "echo", "WebSocketMaxConnectionsPerLocation 100000")
    server = start_httpd("WebSocketMaxConnections 1000\n" + echo, files=400)
    assert _warnings(server) == {
        ("WebSocketMaxConnections", 1000, 300),
        ("WebSocketMaxConnectionsPerLocation", 100000, 300),
    }


def test_what_fits_is_not_warned_of_and_the_child_takes_what_it_may_have(start_httpd):
    echo = location("/echo", "echo", "WebSocketMaxConnectionsPerLocation 300")
    server = start_httpd("WebSocketMaxConnections 300\n" + echo, files=(100, 400))
    assert _warnings(server) == set()
    assert _limits(server.child()) == (400, 400)


def test_nothing_configured_is_no_reason_to_warn(start_httpd):
    assert _warnings(start_httpd(location("/echo", "echo"), files=200)) == set()


def test_a_child_that_shall_not_raise_its_limit_does_not_and_that_counts(start_httpd):
    server = start_httpd(
        "WebSocketRaiseDescriptorLimit Off\nWebSocketMaxConnections 300\n" + location("/echo", "echo"),
        files=(200, 400),
    )
    assert _limits(server.child()) == (200, 400)
    assert _warnings(server) == {("WebSocketMaxConnections", 300, 150)}
    assert server.answer().status == 101
