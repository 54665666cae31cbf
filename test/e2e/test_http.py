# SPDX-License-Identifier: Apache-2.0
"""Requests that are no handshakes, where a plugin answers them, and where none does."""

import socket

import pytest

import handshake
from h2client import H2Client
from httpd import BUILD, Httpd, location
from waiting import wait_until


def _host(name, *lines):
    return "\n".join(["<VirtualHost *:@PORT@>", f"ServerName {name}", *lines, "</VirtualHost>"])


def _section(kind, path):
    lines = ("SetHandler websocket-handler", f'WebSocketHandler "{BUILD}/test/plugins/http.so" http_init')
    return f'<{kind} {path}>\n' + "\n".join(lines) + f"\n</{kind.split()[0]}>\n"


@pytest.fixture(scope="module")
def plain(mpm):
    """An httpd whose /http takes 1000 bytes at most."""
    parts = [
        'Alias "/folder" "@ROOT@/htdocs"',
        'Protocols http/1.1 h2c\nH2Direct On\nH2WebSockets On',
        'SetEnvIf Request_URI . WS_TEST=set',
        location("/http", "http", "WebSocketMaxRequestBody 1000", 'WebSocketTrustedOrigin "http://friend.example"'),
        location("/trusted", "http", "WebSocketOriginCheck Trusted", 'WebSocketTrustedOrigin "http://friend.example"'),
        location("/any-origin", "http", "WebSocketOriginCheck Off"),
        location("/slash/", "http"),
        location("/w?ld/*", "http"),
        location("/large", "http", "WebSocketMaxRequestBody 8M"),
        location("/limited", "http", "<Limit PUT>\nRequire all denied\n</Limit>", "LimitRequestBody 10"),
        location("/closed", "http", "Require all denied"),
        location("/private", "http", "AuthType Basic", "AuthName x", 'AuthBasicProvider file', 'AuthUserFile "@ROOT@/passwords"',
                 "Require valid-user"),
        location("/slow", "http"),
        _host("main.example", "RewriteEngine On", "RewriteRule ^/old/(.*)$ /http/new/$1 [PT]"),
        _host("slow.example", "RequestReadTimeout body=1"),
        _section("LocationMatch", '"^/(tea|coffee)(?=/|$)"'),
        _section("Location ~", '"^/regex[0-9]+"'),
        _section("Directory", '"@ROOT@/htdocs/below"'),
        _section("Files", '"page.ws"'),
        '<Location "/conditional">\n<If "true">\nSetHandler websocket-handler\n'
        f'WebSocketHandler "{BUILD}/test/plugins/http.so" http_init\n</If>\n</Location>',
        '<Location "/v1-without">\nSetHandler websocket-handler\n'
        f'WebSocketHandler "{BUILD}/plugins/websocket_echo.so" echo_init\n</Location>',
        location("/v0", "echo"),
        _host("errors.example", "ErrorDocument 404 /http/page", 'ErrorDocument 402 "pay first"'),
        _host("included.example", "AddOutputFilter INCLUDES .shtml", '<Location "/part.shtml">', "SetHandler none",
              "Options +Includes", "</Location>"),
        _host("packed.example", '<Location "/http">', "SetOutputFilter DEFLATE", "</Location>"),
    ]
    server = Httpd(mpm, "\n".join(parts), modules=("include", "http2", "deflate", "filter", "rewrite"))
    (server.root / "htdocs/below").mkdir()
    (server.root / "htdocs/below/inner").mkdir()
    (server.root / "htdocs/page.ws").write_text("secret source\n")
    (server.root / "htdocs/part.shtml").write_text('before <!--#include virtual="/http/part?x=1" --> after\n')
    with server:
        yield server
        server.assert_unharmed()


def _ask(server, path, method="GET", *, headers=(), body=None, host="main.example", more=()):
    return server.ask(path, method, host=host, headers=[*headers, *more], body=body)


def _shown(response):
    return dict(line.split("=", 1) for line in response.body.decode("latin-1").splitlines())


# ---- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v0", "/v1-without", "/http/server"])
@pytest.mark.parametrize(("method", "status"), [("GET", 426), ("HEAD", 426), ("OPTIONS", 200), ("POST", 405), ("PUT", 405)])
def test_a_section_whose_plugin_takes_no_requests_says_what_it_is(plain, path, method, status):
    response = _ask(plain, path, method, body=b"xx" if method in ("POST", "PUT") else None)
    assert response.status == status
    if status == 426:
        assert response.header("Upgrade") == "websocket"
        assert "upgrade" in response.header("Connection").lower()
        assert response.header("Sec-WebSocket-Version").split(",")[0] == "13"


@pytest.mark.parametrize("how", ["length", "chunked"])
@pytest.mark.parametrize(("size", "status"), [(1000, 200), (1001, 413)])
def test_a_body_above_the_limit_is_413(plain, how, size, status):
    body = b"x" * size
    response = _ask(plain, "/http/body", "POST", body=body) if how == "length" else _chunked(plain, [body])
    assert response.status == status
    assert status != 200 or response.body == body


def _chunked(server, chunks, path="/http/body", end=b"0\r\n\r\n"):
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end
    return server.answer(path, method="POST", host="main.example", upgrade=None, connection="close",
                         headers=[("Transfer-Encoding", "chunked")], body=body)


def test_a_plugin_may_want_less_and_say_so_itself(plain):
    assert _ask(plain, "/http/body?most=10", "POST", body=b"x" * 10).body == b"x" * 10
    assert _ask(plain, "/http/body?most=10", "POST", body=b"x" * 11).status == 413
    response = _ask(plain, "/http/own-413", "POST", body=b"x" * 1001)
    assert (response.status, response.body) == (413, b"too much for me")


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(plain):
    with plain.client() as client:
        client.send(handshake.request("/http/body", method="POST", upgrade=None, connection="keep-alive",
                                      headers=[("Content-Length", 10**9), ("Expect", "100-continue")]))
        response = client.read_response()
        assert response.status == 413 and response.header("Connection") == "close"
        client.expect_end()


@pytest.mark.parametrize("path", ["/http/show", "/http/refuse"])
def test_who_waits_for_100_is_not_asked_for_a_body_that_nobody_reads(plain, path):
    with plain.client() as client:
        client.send(handshake.request(path, method="POST", upgrade=None, connection="keep-alive",
                                      headers=[("Content-Length", 5), ("Expect", "100-continue")]))
        response = client.read_response()
        assert response.status in (200, 403) and response.header("Connection") == "close"
        client.expect_end()


def test_a_body_that_nobody_reads_is_no_request(plain):
    """Short ones are discarded, so that the connection goes on; behind long ones it ends."""
    with plain.client() as client:
        for path in ("/http/show", "/http/status?is=404", "/http/server"):
            client.send(handshake.request(path, method="POST", upgrade=None, connection="keep-alive",
                                          headers=[("Content-Length", 18)], body=b"GET / HTTP/1.1\r\n\r\n"))
            assert client.read_response().status in (200, 404, 405)
        client.send(handshake.request("/http/show", method="POST", upgrade=None, connection="keep-alive",
                                      headers=[("Content-Length", 5000)]))
        response = client.read_response()
        assert response.status == 200 and response.header("Connection") == "close"


@pytest.mark.parametrize("lies", [b"zz\r\nxx\r\n0\r\n\r\n", b"-1\r\n", b"fffffffffffffffff\r\nx"])
def test_chunks_that_are_none_are_refused(plain, lies):
    assert _chunked(plain, [], end=lies).status in (400, 413)


@pytest.mark.parametrize("length", ["-1", "x", "1 2", "99999999999999999999999"])
def test_lengths_that_are_none_are_refused(plain, length):
    response = plain.answer("/http/body", method="POST", upgrade=None, connection="close", headers=[("Content-Length", length)])
    assert response.status in (400, 413)


def test_a_client_that_goes_away_in_its_body_harms_nobody(plain):
    for headers, part in (([("Content-Length", 100)], b"half"), ([("Transfer-Encoding", "chunked")], b"40\r\nhalf")):
        with plain.client() as client:
            client.send(handshake.request("/http/body", method="POST", upgrade=None, connection="close", headers=headers, body=part))
            client.half_close()
            assert client.read_response().status == 400
    assert _ask(plain, "/http/show").status == 200


def test_a_slow_body_is_left_to_mod_reqtimeout(plain):
    with plain.client() as client:
        client.send(handshake.request("/slow/body", host="slow.example", method="POST", upgrade=None, connection="close",
                                      headers=[("Content-Length", 100)], body=b"half"))
        assert client.read_response(seconds=30).status == 408


def test_limit_request_body_holds_as_well(plain):
    assert _ask(plain, "/limited/body", "POST", body=b"x" * 10).status == 200
    assert _ask(plain, "/limited/body", "POST", body=b"x" * 11).status == 413


@pytest.mark.parametrize("status", [1, 99, 101, 199, 600, 1000000, 4294967295])
def test_what_is_no_status_is_a_500_and_a_line_in_the_log(plain, status):
    def ask():
        return _ask(plain, f"/http/status?is={status}&body=x")

    start = plain.log_size()
    response = ask()
    assert response.status == 500 and response.header("X-Mine") == "yes"
    assert b"x" == response.body or b"Internal Server Error" in response.body
    # Of many such lines some are left out.
    wait_until(lambda: ask() and f"answered a request with {status}, which is no status" in plain.log(start), 10, "WS0416")
    assert "WS0416: plugin \"Http\"" in plain.log(start)


def test_an_exception_is_a_500_and_a_line_in_the_log(plain):
    start = plain.log_size()
    assert _ask(plain, "/http/throw").status == 500
    plain.expect_log(r"WS0414: \[Http\] exception in on_http: told to throw", start)
    assert _ask(plain, "/http/bad-request", headers=[("X-Test", b"\xff")]).status == 400
    response = _ask(plain, "/http/refuse")
    assert (response.status, response.body) == (403, b"members only\n")


def test_headers_that_are_none_are_left_out(plain):
    response = _ask(plain, "/http/headers")
    assert response.status == 200 and response.body == b"x"
    assert response.header("Content-Length") == "1"
    assert response.all("Set-Cookie") == ["a=1", "b=2"]
    assert response.header("X-Good") == "a\t\xc3\xbc"
    assert response.header("X-Injected") is None and response.header("X-Line") is None
    assert response.header("Upgrade") is None and response.header("Keep-Alive") is None
    assert response.header("Connection") == "close" and response.header("Transfer-Encoding") is None


def test_a_content_type_with_a_line_feed_is_refused(plain):
    response = _ask(plain, "/http/bad-type")
    assert response.status == 500 and response.header("X-Injected") is None


def test_the_functions_refuse_what_they_cannot_do(plain):
    assert _ask(plain, "/http/misuse").body == b"500 500 500 -4 -4 -4 -4 -4 -4 0 -4 -4 -4 "


# ---- what the plugin gets ----------------------------------------------------------------------------


def test_the_plugin_sees_the_request(plain):
    response = _ask(plain, "/http/a%20b/c?x=%41&y", "PURGE", headers=[("X-Test", "1"), ("X-Test", "2")])
    assert _shown(response) == {
        "method": "PURGE", "target": "/http/a%20b/c?x=%41&y", "path": "/http/a b/c", "below": "/a b/c", "query": "x=%41&y",
        "user": "", "client": "127.0.0.1", "header": "1, 2", "environment": "set",
    }  # fmt: skip
    assert response.header("Content-Type") == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("path", "below"),
    [
        ("/http", ""), ("/http/", "/"), ("/http/a", "/a"), ("//http//a", "/a"), ("/http/a/../b", "/b"),
        ("/slash/", "/"), ("/slash/a", "/a"), ("/wild/a", ""), ("/tea", ""), ("/coffee/cup", "/cup"), ("/regex12/a", "/a"),
        ("/folder/below/inner", "/inner"), ("/below/inner/", "/inner/"), ("/below/gone/a", "/gone/a"), ("/page.ws", ""),
        ("/page.ws/info", "/info"), ("/conditional/a", "/a"), ("/old/x", "/new/x"),
    ],
)  # fmt: skip
def test_the_path_below_the_section_is_known(plain, path, below):
    assert _shown(_ask(plain, path))["below"] == below
    with plain.client() as client:
        client.upgrade(path, host="main.example")
        assert client.response.header("X-Below") == below
        assert client.response.all("Set-Cookie") == ["a=1", "b=2"]
        client.close_handshake()


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_bodies_arrive_whole(plain, size):
    body = bytes(i * 37 % 256 for i in range(size))
    assert _ask(plain, "/http/body", "POST", body=body).body == body
    assert _chunked(plain, [body[:1], body[1:]] if size > 1 else [body] if size else []).body == body
    response = _ask(plain, "/http/body", "PUT", body=body)
    assert response.body == body and response.header("Content-Type") is None


def test_a_large_body_goes_both_ways(plain):
    body = bytes(range(256)) * (4 << 10)
    assert _ask(plain, "/large/body", "POST", body=body).body == body
    assert _ask(plain, f"/http/large?size={5 << 20}").body == b"x" * (5 << 20)


def test_a_client_that_waits_for_100_gets_it_when_the_plugin_reads(plain):
    with plain.client() as client:
        client.send(handshake.request("/http/twice", method="POST", upgrade=None, connection="close",
                                      headers=[("Content-Length", 3), ("Expect", "100-continue")]))
        assert client.read_response().status == 100
        client.send(b"abc")
        assert client.read_response().body == b"abc|abc|3"


def test_text_is_checked(plain):
    assert _ask(plain, "/http/text", "POST", body="ä".encode()).body == "ä".encode()
    assert _ask(plain, "/http/text", "POST", body=b"\xff").status == 400


@pytest.mark.parametrize(
    ("path", "origin", "said"),
    [
        ("/http", None, b"trusted"), ("/http", "http://main.example:@PORT@", b"trusted"), ("/http", "http://friend.example", b"foreign"),
        ("/http", "null", b"foreign"), ("/trusted", "http://friend.example", b"trusted"), ("/trusted", "http://evil.example", b"foreign"),
        ("/any-origin", "http://evil.example", b"trusted"),
    ],
)  # fmt: skip
def test_the_plugin_learns_whether_the_page_is_trusted(plain, path, origin, said):
    headers = [("Origin", origin.replace("@PORT@", str(plain.port)))] if origin else []
    assert _ask(plain, f"{path}/origin", host=f"main.example:{plain.port}", headers=headers).body == said


# ---- what the client gets ----------------------------------------------------------------------------


def test_a_head_has_the_headers_alone(plain):
    response = _ask(plain, "/http/large?size=1234", "HEAD")
    assert response.status == 200 and response.header("Content-Length") == "1234"
    with plain.client() as client:
        for _ in range(2):
            client.send(handshake.request("/http/large?size=1234", method="HEAD", upgrade=None, connection="keep-alive"))
            assert client.read_response(head_only=True).status == 200


@pytest.mark.parametrize("status", [200, 201, 204, 205, 299, 304, 402, 404, 418, 451, 500, 599])
def test_any_status_may_be_the_answer(plain, status):
    response = _ask(plain, f"/http/status?is={status}&body=mine")
    assert response.status == status
    assert response.body == (b"" if status in (204, 205, 304) else b"mine")


def test_without_a_body_errors_get_the_page_of_httpd(plain):
    response = _ask(plain, "/http/status?is=404")
    assert b"Not Found" in response.body and response.header("X-Mine") == "yes"
    response = _ask(plain, "/http/status?is=402", host="errors.example")
    assert (response.status, response.body) == (402, b"pay first")
    response = _ask(plain, "/http/status?is=302")
    assert response.header("Location").endswith("/elsewhere")
    response = _ask(plain, "/http/status?is=405&allow=1", "PUT")
    assert {word.strip() for word in response.header("Allow").split(",")} - {"TRACE"} == {"POST", "PURGE"}
    response = _ask(plain, "/http/status?is=426")
    assert response.header("Upgrade") == "websocket"
    assert _ask(plain, "/http/status?is=200").body == b""


def test_the_page_of_an_error_may_be_the_plugins(plain):
    response = _ask(plain, "/missing", host="errors.example")
    assert response.status == 404 and _shown(response)["below"] == "/page"


def test_a_part_of_a_page_may_be_the_plugins(plain):
    with plain.client() as client:
        client.send(handshake.request("/part.shtml", host="included.example", upgrade=None, connection="close"))
        answer = b"".join(iter(lambda: client.sock.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"below=/part\n" in answer and b"query=x=1" in answer and b" after" in answer.partition(b"query=x=1")[2]


def test_what_the_client_has_already_is_not_sent_again(plain):
    assert _ask(plain, "/http/validator").body == b"the whole page"
    response = _ask(plain, "/http/validator", headers=[("If-None-Match", '"v1"')])
    assert (response.status, response.body) == (304, b"") and response.header("ETag") == '"v1"'
    assert _ask(plain, "/http/validator", headers=[("If-None-Match", '"v2"')]).status == 200
    assert _ask(plain, "/http/validator", "POST", headers=[("If-None-Match", '"v1"')]).status == 200
    assert _ask(plain, "/http/validator", headers=[("Range", "bytes=4-8")]).body == b"whole"


def test_a_content_type_among_the_headers_counts_where_there_is_no_other(plain):
    assert _ask(plain, "/http/type").header("Content-Type") == "text/plain; charset=utf-8"


def test_options_are_the_plugins_matter(plain):
    assert _shown(_ask(plain, "/http/x", "OPTIONS"))["method"] == "OPTIONS"


def test_access_control_of_httpd_comes_first(plain):
    assert _ask(plain, "/closed/show").status == 403
    assert _ask(plain, "/limited/show", "PUT", body=b"x").status == 403
    assert _ask(plain, "/private/show").status == 401
    response = _ask(plain, "/private/show", headers=[("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==")])
    assert _shown(response)["user"] == "alice"


def test_filters_of_httpd_see_the_response(plain):
    response = _ask(plain, "/http/large?size=100000", host="packed.example", headers=[("Accept-Encoding", "gzip")])
    assert response.header("Content-Encoding") == "gzip" and len(response.body) < 1000


def test_the_file_below_is_never_served(plain):
    for method in ("GET", "POST"):
        assert b"secret" not in _ask(plain, "/page.ws", method).body


def test_requests_and_websockets_share_a_connection_and_the_plugin(plain):
    with plain.client() as client:
        for _ in range(3):
            client.send(handshake.request("/http/show", upgrade=None, connection="keep-alive"))
            assert client.read_response().status == 200
        client.upgrade("/http")
        client.close_handshake()


def test_an_upgrade_that_is_none_is_answered_and_ends_the_connection(plain):
    with plain.client() as client:
        client.send(handshake.request("/http/show", connection="keep-alive"))
        response = client.read_response()
        assert response.status == 200 and response.header("Connection") == "close"
        client.expect_end()


def test_http2_has_them_too(plain):
    with H2Client(plain.port) as client:
        stream = client.get("/http/a?x")
        assert stream.status == 200 and b"below=/a\n" in bytes(stream.data)
        headers = [(":method", "POST"), (":scheme", "http"), (":authority", "main.example"), (":path", "/http/body")]
        for body, status in ((b"abc", 200), (b"x" * 1001, 413)):
            stream = client.begin(headers)
            client.h2.send_data(stream.id, body, end_stream=True)
            client.flush()
            client.wait_until(lambda stream=stream: stream.ended or stream.reset is not None, "the answer")
            assert stream.status == status
            assert status != 200 or bytes(stream.data) == body


# ---- the child -------------------------------------------------------------------------------------


@pytest.mark.each_mpm
def test_a_child_that_ends_lets_callbacks_return_and_stops_the_plugin(start_httpd, mpm):
    """Nobody has opened a WebSocket: loops and plugin began with a request."""
    server = start_httpd(location("/http", "http"), children=1 if mpm != "prefork" else 2)
    if mpm == "prefork":
        assert _ask(server, "/http/show").status == 200
        server.stop()
    else:
        with server.client() as holding:
            holding.send(handshake.request("/http/hold", upgrade=None, connection="close"))
            wait_until(lambda: _ask(server, "/http/release").body == b"released", 10, "a callback that waits")
            assert holding.read_response().body == b"held"
        server.stop_gracefully()
    server.assert_unharmed()


def test_a_plugin_that_does_not_start_is_a_500(start_httpd):
    server = start_httpd(location("/http", "http", "WebSocketOption fail now"))
    for _ in range(2):
        start = server.log_size()
        assert _ask(server, "/http").status == 500
        server.expect_log(r'WS0411: plugin "Http" did not start', start)


@pytest.mark.parametrize(("value", "told"), [("0", "from 1 to"), ("-1", "from 1 to"), ("x", "a size")])
def test_a_wrong_limit_is_refused(configtest, value, told):
    code, output = configtest(f"WebSocketMaxRequestBody {value}\n")
    assert code != 0 and "WebSocketMaxRequestBody" in output and told in output


def test_ten_clients_at_a_time_get_their_own_answers(plain):
    clients = [plain.client() for _ in range(10)]
    for number, client in enumerate(clients):
        client.send(handshake.request("/http/body", method="POST", upgrade=None, connection="close",
                                      headers=[("Content-Length", 6)], body=b"abc"))
    for number, client in enumerate(clients):
        client.send(b"%03d" % number)
    for number, client in enumerate(clients):
        assert client.read_response().body == b"abc%03d" % number
        client.sock.shutdown(socket.SHUT_WR)
        client.close()
