# SPDX-License-Identifier: Apache-2.0
"""Who may connect from a page of another site, and what the log says of those who may not."""

import pytest

import handshake
from httpd import Httpd, location


def status(server, path, *, origin=None, host=None, version=13, header=None):
    """Status of a handshake with an origin."""
    header = header or ("Sec-WebSocket-Origin" if version == 7 else "Origin")
    host = host or f"127.0.0.1:{server.port}"
    return server.answer(path, host=host, version=version, headers=[(header, origin)]).status


@pytest.mark.parametrize("version", [13, 8, 7])
def test_accepts_a_page_of_the_same_origin(server, version):
    assert status(server, "/echo", origin=f"http://127.0.0.1:{server.port}", version=version) == 101


@pytest.mark.parametrize("version", [13, 8, 7])
def test_accepts_a_client_that_is_no_page(server, version):
    assert status(server, "/echo", version=version) == 101


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://[::1]:8080", "[::1]:8080"),
        ("http://[2001:db8::1]:99", "[2001:db8::1]:99"),
        ("http://www.example", "www.example:80"),
        ("http://www.example:81", "www.example:81"),
        ("http://www.example:80", "www.example"),
        ("http://www.example:80", "www.example:80"),
        ("http://localhost.:81", "localhost.:81"),
        ("http://localhost.", "localhost."),
        ("HTTP://WWW.Example", "www.EXAMPLE"),
        ("http://www.example/", "www.example"),
        ("http://www.example:81/", "www.example:81"),
        ("http://[2001:DB8:0:0::1]:99", "[2001:db8::1]:99"),
        ("http://xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_accepts_the_origin_that_the_host_header_names(server, origin, host):
    assert status(server, "/echo", origin=origin, host=host) == 101


@pytest.mark.parametrize("version", [13, 8, 7])
@pytest.mark.parametrize(
    "origin",
    [
        "http://not-my-origin.com",
        "null",
        "http://127.0.0.1:55",
        "https://127.0.0.1:PORT",
        "http://127.0.0.1:PORT/page",
        "http://127.0.0.1:PORT//",
        "http://127.0.0.1:PORT?",
        "http://*",
        "file://",
        "http://127.0.0.1",
        "127.0.0.1:PORT",
        "http://127.0.0.1:PORT http://127.0.0.1:PORT",
        "http://user@127.0.0.1:PORT",
    ],
)
def test_refuses_a_page_of_another_origin(server, origin, version):
    assert status(server, "/echo", origin=origin.replace("PORT", str(server.port)), version=version) == 403


def test_refuses_an_origin_when_the_host_header_names_another_port(server):
    assert status(server, "/echo", origin=f"http://127.0.0.1:{server.port}", host="127.0.0.1:55") == 403


def test_refuses_an_empty_origin(server):
    assert status(server, "/echo", origin="") == 403


def test_refuses_two_origins(server):
    same = f"http://127.0.0.1:{server.port}"
    with server.client() as client:
        client.send(
            handshake.request(
                "/echo", host=same[7:], headers=[("Origin", same), ("Origin", "http://evil.example")]
            )
        )
        assert client.read_response().status == 403


def test_reads_the_header_of_drafts_in_their_versions_only(server):
    assert status(server, "/echo", origin="http://evil.example", header="Sec-WebSocket-Origin", version=13) == 101


@pytest.mark.parametrize("version", [8, 7])
@pytest.mark.parametrize("header", ["Origin", "Sec-WebSocket-Origin"])
def test_a_draft_may_name_the_origin_in_either_header_and_both_have_to_be_allowed(server, version, header):
    own, evil = f"http://127.0.0.1:{server.port}", "http://evil.example"
    other = {"Origin": "Sec-WebSocket-Origin", "Sec-WebSocket-Origin": "Origin"}[header]
    for headers, expected in (
        ([(header, evil)], 403),
        ([(header, evil), (other, own)], 403),
        ([(header, own), (other, own)], 101),
        ([(header, own)], 101),
    ):
        response = server.answer("/echo", host=own[7:], version=version, headers=headers)
        assert response.status == expected, headers


@pytest.fixture(scope="module")
def named(mpm):
    """A server that makes links with its own name and port, whatever the client asks for."""
    parts = f"ServerName named.example:8080\nUseCanonicalName On\n{location('/echo', 'echo')}"
    with Httpd(mpm, parts) as server:
        yield server
        server.assert_unharmed()


@pytest.mark.parametrize(
    ("origin", "host", "expected"),
    [
        ("http://127.0.0.1:PORT", "127.0.0.1:PORT", 101),
        ("http://named.example:8080", "named.example", 101),
        ("http://named.example", "named.example", 101),
        ("http://127.0.0.1:81", "127.0.0.1:PORT", 403),
        ("http://other.example:8080", "named.example", 403),
        ("https://named.example", "named.example", 403),
    ],
)
def test_the_host_header_counts_and_so_does_the_name_of_the_server(named, origin, host, expected):
    origin, host = (text.replace("PORT", str(named.port)) for text in (origin, host))
    assert status(named, "/echo", origin=origin, host=host) == expected


def test_a_refusal_says_what_was_compared_with_what(named, server):
    line, _ = named.refusal("WS0104: ", host="a.example:81", headers=[("Origin", "https://a.example:81")])
    assert 'Origin "https://a.example:81" is not' in line
    assert '"http://a.example:81" by the Host header' in line
    assert '"http://a.example:8080" by the ServerName' in line
    line, _ = server.refusal("WS0104: ", host="a.example:81", headers=[("Origin", "null")])
    assert 'Origin "null" is not the request\'s own "http://a.example:81" (see' in line


@pytest.mark.parametrize("version", [13, 8, 7])
def test_accepts_every_origin_where_the_check_is_off(server, version):
    assert status(server, "/origin-off", origin="http://not-my-origin.com", version=version) == 101


@pytest.mark.parametrize("version", [13, 8, 7])
@pytest.mark.parametrize(
    "origin",
    [
        "http://one.example",
        "http://ONE.example",
        "http://one.example:80/",
        "https://two.example:8443",
        "http://[2001:db8::3]",
        "https://a.below.example",
        "https://a.b.below.example",
        "null",
        "file://",
    ],
)
def test_accepts_the_origins_that_are_trusted(server, origin, version):
    assert status(server, "/origin-trusted", origin=origin, version=version) == 101


@pytest.mark.parametrize("version", [13, 8, 7])
@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:PORT",
        "https://one.example",
        "https://below.example",
        "https://evilbelow.example",
        "http://a.below.example",
        "https://a.below.example.evil.example",
        "https://two.example",
        "http://one.example.evil.example",
        "http://three.example",
    ],
)
def test_refuses_the_origins_that_are_not_trusted(server, origin, version):
    assert (
        status(server, "/origin-trusted", origin=origin.replace("PORT", str(server.port)), version=version)
        == 403
    )


# ---- what the log says -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "options", "value"),
    [
        ([("Origin", "http://evil.example")], {}, "http://evil.example"),
        ([("Sec-WebSocket-Protocol", "bad{token}")], {}, r"bad\{token\}"),
        ([], {"key": "toosmall"}, "toosmall"),
        ([], {"version": 99}, "99"),
    ],
    ids=["origin", "subprotocol", "key", "version"],
)
def test_logs_why_a_handshake_was_refused(server, headers, options, value):
    line, response = server.refusal(rf"WS\d{{4}}: .*{value}", headers=headers, **options)
    assert response.status in (400, 403), line


def test_escapes_what_it_logs(start_httpd):
    server = start_httpd("HttpProtocolOptions Unsafe\n" + location("/echo", "echo"))
    start = server.log_size()
    assert server.answer(headers=[("Origin", b'http://evil"\x1b[31m\x01\xff\\x')]).status == 403
    line = server.expect_log(r"WS\d{4}: .*evil.*\n", start)[0].encode("utf-8", "backslashreplace")
    assert not any(byte < 0x20 or byte >= 0x7F for byte in line.rstrip(b"\n")), line
    assert b"\\x1b" in line and b"\\x01" in line


def test_a_log_line_cannot_be_forged(start_httpd):
    server = start_httpd("HttpProtocolOptions Unsafe\n" + location("/echo", "echo"))
    start = server.log_size()
    assert server.answer(headers=[("Sec-WebSocket-Protocol", b"a\rforged line")]).status == 400
    assert server.get("/index.html").status == 200
    assert not any(line.startswith("forged") for line in server.log(start).replace("\r", "\n").splitlines())
