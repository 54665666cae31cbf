# SPDX-License-Identifier: Apache-2.0
"""The opening handshake: who is refused, and what they are told."""

import pytest

import frames
import handshake

# There is no file of that name, so this is what the next handler says.
DECLINED = 404


# ---- not a handshake at all ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"upgrade": None},
        {"upgrade": "h2c"},
        {"upgrade": "websocket, h2c"},
        {"upgrade": "websocket2"},
        {"upgrade": ""},
        {"connection": None},
        {"connection": "close"},
        {"connection": "keep-alive"},
        {"connection": "Upgraded"},
        {"connection": "not-Upgrade"},
        {"headers": [("Upgrade", "websocket")]},
    ],
    ids=lambda options: str(options),
)
def test_leaves_other_requests_to_the_next_handler(server, options):
    assert server.answer(**options).status == DECLINED


def test_refuses_http_1_0(server):
    assert 400 <= server.answer(protocol="HTTP/1.0").status < 500


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
