# SPDX-License-Identifier: Apache-2.0
"""What clients can cause in the error log stays small, and nothing of it goes uncounted."""

import re

import pytest

from httpd import location
from waiting import wait_until

MPMS = ["event", "prefork"]

_FLOOD = 300


@pytest.fixture
def echo(start_httpd):
    """A server with one child, whose log is only this test's."""
    return start_httpd(location("/echo", "echo"))


def _refuse(server, times, **options):
    for _ in range(times):
        assert server.answer(**options).status in (400, 403)


@pytest.mark.parametrize(
    ("name", "options"),
    [("WS0101", {"key": "bad"}), ("WS0104", {"headers": [("Origin", "http://evil.example")]})],
    ids=["key", "origin"],
)
def test_a_flood_of_refusals_is_a_few_lines_and_a_number(echo, name, options):
    start = echo.log_size()
    refused, told_by_itself = 0, None
    # The last refusal of a flood may have a line of its own, which then says what was left out before it.
    while not told_by_itself:
        _refuse(echo, _FLOOD, **options)
        refused += _FLOOD
        # Nothing follows the flood, and all of it is told nevertheless.
        wait_until(lambda: echo.lines_told(name, start) == refused, 15, "the number of lines that were left out")
        told_by_itself = re.search(rf"WS0115: \d+ more lines {name} were left out", echo.log(start))
        assert told_by_itself or refused < 10 * _FLOOD, echo.log(start)
    assert len(re.findall(rf"{name}: ", echo.log(start))) < refused / 2


def test_a_few_refusals_have_a_line_each(echo):
    start = echo.log_size()
    for number in range(8):
        assert echo.answer(key=f"bad{number}").status == 400
    log = echo.log(start)
    assert all(f'"bad{number}"' in log for number in range(8)) and "WS0115" not in log


def test_what_was_left_out_is_told_when_the_child_ends(start_httpd):
    server = start_httpd(location("/echo", "echo"))
    start = server.log_size()
    _refuse(server, _FLOOD, key="bad")
    server.stop()
    assert server.lines_told("WS0101", start) == _FLOOD
