# SPDX-License-Identifier: Apache-2.0
"""The opening handshake: who is refused, and what they are told."""

import re

import pytest

import frames
import handshake
from httpd import Httpd, location

# ---- not a handshake at all ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"upgrade": None},
        {"upgrade": "h2c"},
        {"upgrade": "websocket2"},
        {"upgrade": "websocket/13"},
        {"upgrade": "h2c, websockets"},
        {"upgrade": ""},
        {"connection": None},
        {"connection": "close"},
        {"connection": "keep-alive"},
        {"connection": "Upgraded"},
        {"connection": "not-Upgrade"},
        {"protocol": "HTTP/1.0"},
        {"method": "HEAD", "upgrade": None},
    ],
    ids=lambda options: str(options),
)
def test_tells_other_requests_that_this_is_a_websocket(server, options):
    response = server.answer(**options)
    assert response.status == 426
    assert response.header("Upgrade") == "websocket"
    connection = [token.strip().lower() for token in response.header("Connection").split(",")]
    assert "upgrade" in connection
    if options.get("method") != "HEAD":
        assert re.fullmatch(rb"This is a WebSocket endpoint: [^\n.]+\.\n", response.body), response.body


def test_a_page_goes_on_with_its_connection_after_asking_an_endpoint(server):
    with server.client() as client:
        for _ in range(2):
            client.send(b"GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\nxx")
            assert client.read_response().status == 426
        client.upgrade("/echo")
        client.close_handshake()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PROPFIND"])
def test_has_nothing_but_get(server, method):
    response = server.answer(method=method, upgrade=None, connection="close")
    assert response.status == 405
    # TRACE is httpd's own matter (TraceEnable).
    assert {word.strip() for word in response.header("Allow").split(",")} - {"TRACE"} == {"GET", "HEAD", "OPTIONS"}


def test_answers_options(server):
    response = server.answer(method="OPTIONS", upgrade=None, connection="close")
    assert response.status == 200
    assert {word.strip() for word in response.header("Allow").split(",")} - {"TRACE"} == {"GET", "HEAD", "OPTIONS"}


@pytest.fixture(scope="module")
def covering(mpm):
    """An endpoint that covers all paths, files and pages of errors among them."""
    parts = [
        "ErrorDocument 403 /program.php",
        "DirectoryIndex page.html",
        location("/", "echo"),
        '<Location "/index.html">\nSetHandler default-handler\n</Location>',
        "<VirtualHost *:@PORT@>\nServerName first.example\n</VirtualHost>",
        '<VirtualHost *:@PORT@>\nServerName pages.example\nErrorDocument 426 "not a page"\n</VirtualHost>',
        '<VirtualHost *:@PORT@>\nServerName included.example\nAddOutputFilter INCLUDES .shtml\n'
        '<Location "/part.shtml">\nSetHandler none\nOptions +Includes\n</Location>\n</VirtualHost>',
    ]
    server = Httpd(mpm, "\n".join(parts), modules=("include", "dir"))
    (server.root / "htdocs/page.html").write_text("a page\n")
    (server.root / "htdocs/program.php").write_text("<?php $password = 'secret'; ?>\n")
    (server.root / "htdocs/part.shtml").write_text('before <!--#include virtual="/program.php" --> after\n')
    with server:
        yield server
        server.assert_unharmed()


@pytest.mark.parametrize("path", ["/program.php", "/page.html", "/", "/missing"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_never_serves_the_file_below_an_endpoint(covering, path, method):
    response = covering.answer(path, method=method, upgrade=None, connection="close")
    assert response.status == {"POST": 405, "OPTIONS": 200}.get(method, 426)
    assert b"secret" not in response.body and b"a page" not in response.body


def test_never_serves_the_file_as_the_page_of_an_error(covering):
    response = covering.answer("/program.php", headers=[("Origin", "http://evil.example")])
    assert response.status == 403 and b"secret" not in response.body


def test_the_page_for_plain_requests_can_be_configured(covering):
    response = covering.answer("/", host="pages.example", upgrade=None, connection="close")
    assert (response.status, response.body) == (426, b"not a page")
    assert response.header("Upgrade") == "websocket"


def test_a_part_of_a_page_is_no_websocket(covering):
    with covering.client() as client:
        client.send(handshake.request("/part.shtml", host="included.example", connection="Upgrade, close"))
        answer = b"".join(iter(lambda: client.sock.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"before" in answer and b"after" in answer and b"secret" not in answer


# ---- what follows a refusal ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        ("/echo", {"key": "bad"}, 400),
        ("/echo", {"method": "POST"}, 400),
        ("/echo", {"version": 99}, 400),
        ("/echo", {"headers": [("Origin", "http://evil.example")]}, 403),
        ("/dumb-increment", {}, 403),
        ("/bad-config", {}, 500),
        ("/echo", {"connection": "keep-alive"}, 426),
    ],
    ids=str,
)
def test_no_request_follows_a_refused_handshake(server, path, options, status):
    with server.client() as client:
        smuggled = b"GET /index.html HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        client.send(handshake.request(path, **options) + smuggled)
        response = client.read_response()
        assert response.status == status
        assert "close" in response.header("Connection").lower()
        client.half_close()
        client.expect_end()


def test_says_500_where_no_plugin_is_assigned(server):
    _, response = server.refusal(r"WS\d{4}: .*no WebSocket plugin is assigned for location", "/bad-config")
    assert response.status == 500


# ---- refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "PATCH"])
def test_refuses_every_method_but_get(server, method):
    assert server.answer(method=method).status == 400


def test_refuses_a_request_without_a_host(server):
    assert server.answer(host=None).status == 400


@pytest.mark.parametrize(
    "version",
    [
        None,
        "",
        "abcdef",
        "+13",
        "13sdfj",
        "1300",
        "013",
        "-1",
        "256",
        "8_",
        "13 8",
        "13,8",
        "1 3",
        "0x0d",
        "13.0",
        "99999999999999999999",
    ],
)
def test_refuses_an_invalid_version(server, version):
    assert server.answer(version=version).status == 400


@pytest.mark.parametrize("version", [0, 1, 6, 9, 12, 14, 255])
def test_tells_its_versions_to_a_client_of_another_one(server, version):
    response = server.answer(version=version)
    assert response.status == 400
    offered = [part.strip() for value in response.all("Sec-WebSocket-Version") for part in value.split(",")]
    assert offered == ["13", "8", "7"]


def test_refuses_a_version_given_twice(server):
    assert server.answer(headers=[("Sec-WebSocket-Version", "13")]).status == 400


@pytest.mark.parametrize(
    "key",
    [
        None,
        "",
        "toosmall",
        "wayyyyyyyyyyyyyyyyyyyytoobig",
        "invalid!characters_89A==",
        "badlastcharacterinkey+==",
        "WRONGPADDINGLENGTH012A?=",
        "JUNKATENDOFPADDING456A=?",
        "36zg57EA+cDLixMBxrDj4g=",
        "36zg57EA+cDLixMBxrDj4g",
        "36zg57EA+cDLixMBxrDj4h==",
        "36zg57EA+cDLixMBxrDj4g== x",
        "BVk27NoJaxQ=",
    ],
)
def test_refuses_a_bad_key(server, key):
    assert server.answer(key=key).status == 400


def test_refuses_a_key_given_twice(server):
    assert server.answer(headers=[("Sec-WebSocket-Key", handshake.KEY)]).status == 400


@pytest.mark.parametrize(
    "offer",
    [
        "",
        " ",
        "\t",
        ",",
        ",,",
        "bad token",
        '"token"',
        "bad/token",
        "bad\\token",
        "valid, invalid{}",
        "bad; separator",
        "control\x05character",
        "bad\ttoken",
        "a@b",
        "a=b",
        "a:b",
        "(a)",
        "[a]",
        "<a>",
        "a?b",
        b"caf\xe9",
    ],
    ids=repr,
)
def test_refuses_bad_subprotocols(server, offer):
    assert server.answer(headers=[("Sec-WebSocket-Protocol", offer)]).status == 400


BODY = frames.text("hello") * 3


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (("Content-Length", len(BODY)), BODY),
        (("Content-Length", 1), b"x"),
        (("Transfer-Encoding", "chunked"), b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)),
        (("Transfer-Encoding", "chunked"), b"0\r\n\r\n"),
    ],
    ids=["length", "one_byte", "chunked", "chunked_empty"],
)
def test_refuses_a_body_and_takes_none_of_it_for_frames(server, header, body):
    with server.client() as client:
        client.send(handshake.request("/echo", headers=[header], body=body))
        response = client.read_response()
        assert response.status == 400
        client.half_close()
        client.expect_end()


def test_gives_an_empty_403_when_the_plugin_refuses(server):
    with server.client() as client:
        client.send(handshake.request("/debug", headers=[("X-Refuse-Connection", "1")]))
        response = client.read_response()
        assert (response.status, response.body) == (403, b"")
        assert response.header("Connection").lower() == "close"
        assert response.header("X-Debug-Header") is None and response.header("Sec-WebSocket-Accept") is None
        client.expect_end()
