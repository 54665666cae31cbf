# SPDX-License-Identifier: Apache-2.0
"""The shipped bridge to TCP: its options."""

import subprocess

import pytest

from bridges import location
from httpd import BUILD, Httpd
from test_docs import TOP, snippet, with_our_files


@pytest.mark.parametrize(
    "options, sentence",
    [
        ([], "option target or targets is missing"),
        (["target 127.0.0.1:1", "targets /etc/passwd"], "both options target and targets"),
        (["target 127.0.0.1"], '"127.0.0.1" has no port; HOST:PORT'),
        (["target 127.0.0.1:"], "no port from 1 to 65535"),
        (["target 127.0.0.1:0"], "no port from 1 to 65535"),
        (["target 127.0.0.1:65536"], "no port from 1 to 65535"),
        (["target 127.0.0.1:59x"], "no port from 1 to 65535"),
        (["target :5900"], "has no host"),
        (["target ::1:5900"], "IPv6 address without brackets"),
        (["target [::1:5900"], "IPv6 address without brackets"),
        (["target [localhost]:5900"], "no IPv6 address in its brackets"),
        (["target 127.1:5900"], "no IPv4 address of four numbers"),
        (["target 127.0.0.256:5900"], "no IPv4 address of four numbers"),
        (["target http://localhost:5900"], "IPv6 address without brackets, or too many colons"),
        (["target a/b:5900"], "no name of a host"),
        (["target unix:run/x.sock"], "no absolute path"),
        (["target unix:"], "no absolute path"),
        ([f"target unix:/{'x' * 107}"], "path of more than 107 bytes"),
        (["targets relative"], "not the absolute path"),
        (["targets /nowhere/at/all"], "/nowhere/at/all: No such file or directory"),
        (["target 127.0.0.1:1", 'subprotocol " "'], "not a name such as binary"),
        (["target 127.0.0.1:1", 'subprotocol "binary,"'], "not a name such as binary"),
        (["target 127.0.0.1:1", 'subprotocol "two words"'], "not a name such as binary"),
        (["target 127.0.0.1:1", "connect-timeout 0"], "not a time from 10ms to 60m"),
        (["target 127.0.0.1:1", "connect-timeout 61m"], "not a time from 10ms to 60m"),
        (["target 127.0.0.1:1", "connect-timeout 2h"], "not a time from 10ms to 60m"),
        (["target 127.0.0.1:1", "connect-timeout -1s"], "not a time from 10ms to 60m"),
        (["target 127.0.0.1:1", "connect-timeout s"], "not a time from 10ms to 60m"),
        (["target 127.0.0.1:1", "connect-timeout 99999999999999999999s"], "not a time from 10ms"),
        (["target 127.0.0.1:1", "send-timeout never"], "not 0 or a time up to 60m"),
        (["target 127.0.0.1:1", "buffer 100"], "not a size from 1K to 16M"),
        (["target 127.0.0.1:1", "buffer 17M"], "not a size from 1K to 16M"),
        (["target 127.0.0.1:1", "buffer 64KB"], "not a size from 1K to 16M"),
        (["target 127.0.0.1:1", "max-waiting 0"], "not a number from 1 to 1000"),
        (["target 127.0.0.1:1", "Target 127.0.0.1:2"], 'option "Target" is unknown; there are: target, targets'),
    ],
)
def test_a_wrong_option_stops_httpd_with_what_is_allowed(configtest, options, sentence):
    code, output = configtest(location("/tcp", *options))
    assert code != 0
    assert sentence in output


@pytest.mark.parametrize(
    "options",
    [
        ["target 127.0.0.1:5900"],
        ["target [2001:db8::1]:65535"],
        ["target vnc-1.example_net:1"],
        ["target unix:/run/x.sock"],
        ["target 127.0.0.1:1", 'subprotocol "binary, mqtt"', "connect-timeout 250ms", "send-timeout 0", "buffer 1M"],
        ["target 127.0.0.1:1", "connect-timeout 1m", "max-waiting 1000", "buffer 65536"],
    ],
)
def test_right_options_are_accepted(configtest, options):
    code, output = configtest(location("/tcp", *options))
    assert code == 0, output


_HANDLER = f'SetHandler websocket-handler\nWebSocketHandler "{BUILD}/plugins/websocket_tcp.so" tcp_init\n'
_TARGET = "WebSocketOption target 127.0.0.1:1\n"


def _section(kind, *lines):
    return f"<{kind}>\n{''.join(lines)}</{kind.split()[0]}>\n"


_INHERITED = {
    "server": _TARGET + _section('Location "/a"', _HANDLER),
    "outer": _section('Location "/"', _TARGET) + _section('Location "/a"', _HANDLER),
    "if": _section('Location "/a"', _TARGET, _section('If "true"', _HANDLER)),
    "directory": _section('Directory "@ROOT@/htdocs"', _TARGET) + _section('Location "/a"', _HANDLER),
    "host": _section('Location "/a"', _HANDLER) + _section("VirtualHost *:1", _TARGET),
}
_MISSING = {
    "nowhere": _section('Location "/a"', _HANDLER),
    "elsewhere": _section('Location "/b"', _HANDLER, _TARGET) + _section('Location "/a"', _HANDLER),
    "other host": _section("VirtualHost *:1", _TARGET) + _section("VirtualHost *:2", _section('Location "/a"', _HANDLER)),
    "wrong around": _section('Location "/"', "WebSocketOption target nowhere\n")
    + _section('Location "/a"', _HANDLER, "WebSocketOption target nowhere\n"),
}


@pytest.mark.parametrize("name", _INHERITED)
def test_what_is_missing_may_come_from_another_section(configtest, name):
    code, output = configtest(_INHERITED[name])
    assert code == 0, output


@pytest.mark.parametrize("name", _MISSING)
def test_what_no_section_can_make_good_is_refused(configtest, name):
    code, output = configtest(_MISSING[name])
    assert code != 0 and 'WS0410: WebSocketOption in section "/a"' in output, output


def test_what_requests_find_decides(mpm):
    target = "WebSocketOption target 127.0.0.1:@PORT@\n"
    parts = _section('Location "/with"', target) + _section('Location "/with/handler"', _HANDLER)
    parts += _section('LocationMatch "^/elsewhere"', target) + _section('Location "/without"', _HANDLER)
    with Httpd(mpm, parts, children=1) as server:
        assert server.answer("/with/handler").status == 101
        assert server.answer("/without").status == 500
        server.expect_log(r"WS0415: .*option target or targets is missing")


@pytest.mark.parametrize("containing", ["5900", "1883"])
def test_the_configurations_of_the_manual_are_valid(configtest, containing):
    code, output = configtest(with_our_files(snippet(TOP / "docs/tcp.md", "apache", containing)))
    assert code == 0, output


def test_the_plugin_keeps_what_plugins_promise(bridges):
    check = [BUILD / "tools/websocket-plugin-check", BUILD / "plugins/websocket_tcp.so", "tcp_init"]
    done = subprocess.run([*check, f"target={bridges.echo.text}"], stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "good"), done.stdout
    assert "not checked further" not in done.stdout
