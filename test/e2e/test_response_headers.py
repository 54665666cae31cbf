# SPDX-License-Identifier: Apache-2.0
"""Headers that plugins put into the answer: what is none, or belongs to the handshake, never gets out."""

import pytest

import handshake
from h2client import H2Client
from httpd import BUILD, Httpd

# What every 101 has, and what the plugins may add; mod_headers and the like are not loaded.
_EXPECTED = {
    "Upgrade": ["websocket"],
    "Connection": ["Upgrade"],
    "Sec-WebSocket-Accept": [handshake.accept_of(handshake.KEY)],
    "X-Good": ["a\t\xc3\xbc"],
    "X-Empty": [""],
}


def _section(name, plugin, init):
    return (
        f'<Location "/{name}">\nSetHandler websocket-handler\n'
        f'WebSocketHandler "{BUILD}/test/plugins/{plugin}.so" {init}\n</Location>\n'
    )


@pytest.fixture(scope="module")
def misused(mpm):
    parts = _section("v0", "headers", "headers_init") + _section("v1", "v1_probe", "v1_loop_init")
    modules = ()
    if mpm != "prefork":  # mod_http2 does not serve HTTP/2 with it
        parts, modules = "Protocols h2c http/1.1\nH2WebSockets On\n" + parts, ("http2",)
    with Httpd(mpm, parts, modules=modules) as server:
        yield server


def _ask(server, path, way="function", **more):
    headers = [("X-Way", way), ("Sec-WebSocket-Protocol", "a, b"), *more.items()]
    return server.answer(path, headers=headers)


def _headers(response):
    """Name: values, without those that httpd itself adds to pages."""
    own = {"date", "server", "content-type", "content-length"}
    found = {}
    for name, value in response.headers:
        if name.lower() not in own or response.status == 101:
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize(
    ("way", "more"),
    [
        ("function", {"Sec-WebSocket-Protocol": ["b"]}),
        ("request", {"Set-Cookie": ["a=1", "b=2"]}),
    ],
)
def test_version_0_sends_what_is_a_header_and_no_more(misused, way, more):
    response = _ask(misused, "/v0", way)
    assert response.status == 101
    assert _headers(response) == _EXPECTED | more


def test_the_log_says_what_was_wrong_with_a_header_and_how_many_more_there_were(start_httpd):
    server = start_httpd(_section("v0", "headers", "headers_init"))
    assert _ask(server, "/v0").status == 101
    server.expect_log(r'WS0105: response header "X-C: d": "x" of the plugin left out: its name is not a token')
    server.expect_log(r'WS0105: .*"X-Line": "x.*" of the plugin left out: a control character in its value')
    server.expect_log(r"WS0115: .*WS0105")


@pytest.mark.parametrize("way", ["function", "request"])
def test_version_0_refuses_without_headers(misused, way):
    response = _ask(misused, "/v0", way, **{"X-Refuse": "yes"})
    assert response.status == 403
    assert _headers(response) == {"Connection": ["close"]}


def test_version_1_is_told_which_headers_are_wrong(misused):
    response = _ask(misused, "/v1?headers")
    assert response.status == 101
    assert _headers(response) == _EXPECTED | {"X-Probe": ["yes"], "X-Wrong": ["20"], "Sec-WebSocket-Protocol": ["b"]}


@pytest.mark.parametrize("page", ["headers-body", "headers-page"])
def test_version_1_refuses_with_what_is_a_header(misused, page):
    response = _ask(misused, f"/v1?{page}")
    assert response.status == 402
    shown = {name: value for name, value in _EXPECTED.items() if name.startswith("X-")}
    expected = shown | {"X-Probe": ["yes"], "X-Wrong": ["20"], "Connection": ["close"]}
    assert _headers(response) == expected
    assert (response.body == b"pay") == (page == "headers-body")


def test_a_stream_of_http2_gets_the_same(misused, mpm):
    if mpm == "prefork":
        pytest.skip("mod_http2 does not serve HTTP/2 with prefork")
    with H2Client(misused.port) as connection:
        headers = connection.websocket("/v1?headers").stream.headers
        assert {"x-good", "x-empty", "x-probe"} <= set(headers) and headers["x-wrong"] == "20"
        wrong = {"connection", "upgrade", "keep-alive", "transfer-encoding", "content-length", "trailer", "x-injected"}
        assert not wrong & set(headers)
