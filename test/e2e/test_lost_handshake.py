# SPDX-License-Identifier: Apache-2.0
"""What does not come to the plugin that the section has: told when httpd starts, or in the log."""

import re

import pytest

from httpd import BUILD, Httpd, location
from waiting import wait_until

_PLUGIN = f'WebSocketHandler "{BUILD}/plugins/mod_websocket_echo.so" echo_init'


def in_section(opening, *lines):
    closing = opening[1:].split()[0].rstrip(">")
    return f"{opening}\n" + "\n".join(lines) + f"\n</{closing}>\n"


@pytest.mark.parametrize(
    ("parts", "warning"),
    [
        (
            in_section('<Location "/x">', "SetHandler websocket-handlr", _PLUGIN),
            'WS0117: there is no handler "websocket-handlr"',
        ),
        (in_section('<Location "/x">', _PLUGIN), "WS0118: WebSocketHandler without SetHandler"),
        (in_section('<Location "/x">', "SetHandler websocket-handler"), "WS0119: SetHandler"),
        (location("/x", "echo", "WebSocketOriginCheck Trusted"), "WS0138: WebSocketOriginCheck Trusted without"),
        (
            location("/x", "echo", "WebSocketTrustedOrigin https://a.example wss://b.example"),
            'WS0139: WebSocketTrustedOrigin "wss://b.example" is the origin of no page',
        ),
    ],
    ids=["misspelled", "no_handler", "no_plugin", "no_origins", "no_origin"],
)
def test_the_configuration_test_tells_what_was_not_meant(configtest, parts, warning):
    code, output = configtest(parts)
    assert code == 0, output
    lines = re.findall(rf"{re.escape(warning)}[^\n]*httpd\.conf:\d+\)", output)
    assert len(lines) == 1, output


def test_the_configuration_test_has_nothing_to_say_of_what_works(configtest):
    parts = (
        location("/x", "echo", "WebSocketOriginCheck Trusted", "WebSocketTrustedOrigin https://*.example.com")
        + in_section('<Location "/status">', "SetHandler server-status")
        + in_section('<Location "/x/y">', _PLUGIN)
    )
    code, output = configtest(parts)
    assert code == 0 and "WS0" not in output, output


@pytest.fixture(scope="module")
def losing(mpm):
    """A server whose handshakes get lost in several ways."""
    parts = [
        location("/echo", "echo"),
        location("/private", "echo", "Require all denied"),
        location("/similar", "echo"),
        location("/folder", "echo"),
        in_section('<Location "/echo/taken">', "SetHandler server-status"),
        in_section('<Directory "@ROOT@/htdocs">', "Options +MultiViews", "AllowOverride FileInfo"),
        in_section('<Directory "@ROOT@/htdocs/files">', "SetHandler websocket-handler", _PLUGIN),
        in_section('<Location "/unlikely">', _PLUGIN),
    ]
    server = Httpd(mpm, "\n".join(parts), modules=("negotiation", "dir"))
    for folder in ("folder", "files"):
        (server.root / "htdocs" / folder).mkdir()
    (server.root / "htdocs/similar.html").write_text("a page\n")
    (server.root / "htdocs/files/.htaccess").write_text("SetHandler default-handler\n")
    (server.root / "htdocs/files/page.html").write_text("a page\n")
    with server:
        yield server
        server.assert_unharmed()


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/echo/taken", 200, r'answered with 200 by handler "server-status"'),
        ("/files/page.html", 200, r'answered with 200 by handler "default-handler", file "\S+/page\.html"'),
        ("/similar", 200, r'answered with 200 by handler .*similar\.html'),
        ("/folder", 301, "answered with 301"),
        ("/unlikely", 404, "answered with 404"),
    ],
    ids=["section", "htaccess", "multiviews", "directory_slash", "no_handler"],
)
def test_the_log_tells_who_has_taken_a_handshake(losing, path, status, says):
    start = losing.log_size()
    assert losing.answer(path).status == status
    # Written when the client has its answer: httpd logs a request after that.
    losing.expect_log(rf'WS0116: the WebSocket handshake for "{path}[^"]*" did not come .*{says}', start)


@pytest.mark.parametrize(("path", "status"), [("/private", 403), ("/echo", 101), ("/echo/below", 101)])
def test_the_log_has_nothing_to_say_of_what_arrives_or_is_refused(losing, path, status):
    start = losing.log_size()
    assert losing.answer(path).status == status
    access_log = losing.root / "access.log"
    wait_until(lambda: re.search(rf"GET {path} ", access_log.read_text()), 5, "the request having been logged")
    assert losing.answer("/unlikely").status == 404
    losing.expect_log('WS0116: the WebSocket handshake for "/unlikely"', start)
    assert losing.get("/echo/taken").status == 200  # no handshake
    assert losing.log(start).count("WS0116") == 1


def test_a_start_tells_what_was_not_meant_once_and_in_the_error_log(server):
    assert len(re.findall(r"WS0119: [^\n]*httpd\.conf:\d+\)", server.log())) == 1
    assert "WS01" not in server.output()
