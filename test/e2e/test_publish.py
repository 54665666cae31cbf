# SPDX-License-Identifier: Apache-2.0
"""Publishing by HTTP: who may, what is refused, and PHP, Python and curl as docs/publish.md shows them."""

import contextlib
import http.client
import json
import re
import subprocess
import sys

import pytest

import certificates
import frames
import httpd
from httpd import Httpd, section, several_children, shipped
from test_docs import TOP, snippet, with_our_files
from tls import TlsHttpd
from waiting import SANITIZED, patience, wait_until

_CHILDREN = 5
_ALICE = ("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==")
_TEXT = ("Content-Type", "text/plain")
_PAGE = TOP / "docs/publish.md"


def _publish(path, *lines):
    return section(path, "plugins/websocket_topic.so", "publish_init", *lines)


_BASIC = ("AuthType Basic", "AuthName x", "AuthBasicProvider file", 'AuthUserFile "@ROOT@/passwords"')

# Addresses that nobody on the Internet has, RFC 6890.
_BOGONS = (
    "0.0.0.0/8 100.64.0.0/10 169.254.0.0/16 192.0.0.0/24 192.0.2.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 "
    "224.0.0.0/3 2001:db8::/32 fc00::/7 fe80::/10"
)

# Which of them a stranger would get through; the tests come from 127.0.0.1.
_OPEN = {
    "nothing": (),
    "granted": ("Require all granted",),
    "method": ("Require method POST GET",),
    "any": ("<RequireAny>", "Require ip 127.0.0.1", "Require all granted", "</RequireAny>"),
    "not": ("<RequireAll>", "Require all granted", "Require not ip 10.1.2.3", "</RequireAll>"),
    "world": ("Require ip 0.0.0.0/1 128.0.0.0/1",),
    "half": ("Require ip 127.0.0.1 0.0.0.0/1",),
    "not-bogons": ("<RequireAll>", "Require all granted", f"Require not ip {_BOGONS}", "</RequireAll>"),
    "not-test-net": ('Require expr "%{REMOTE_ADDR} != \'192.0.2.1\'"',),
    "this-host": ('Require expr "%{HTTP_HOST} =~ /./"',),
    "order": ("Order deny,allow", "Deny from 10.0.0.0/8"),
    "satisfy-any": (*_BASIC, "Require valid-user", "Order allow,deny", "Allow from all", "Satisfy Any"),
}
_CLOSED = {
    "ip": ("Require ip 127.0.0.1",),
    "local": ("Require local",),
    "host": ("Require forward-dns localhost",),
    "token": ('Require expr "%{HTTP:X-Token} == \'secret\'"',),
    "env": ("SetEnvIf X-Token secret known", "Require env known"),
    "either": (*_BASIC, "<RequireAny>", "Require ip 127.0.0.1", "Require valid-user", "</RequireAny>"),
    "allow-from": ("Order deny,allow", "Deny from all", "Allow from 127.0.0.1"),
    "satisfy-either": (*_BASIC, "Require valid-user", "Order deny,allow", "Deny from all", "Allow from 127.0.0.1", "Satisfy Any"),
    "granted-and-ip": ("<RequireAll>", "Require all granted", "Require ip 127.0.0.1", "</RequireAll>"),
}

_PARTS = (
    several_children(_CHILDREN)
    + with_our_files(snippet(_PAGE, "apache", "publish_init"))
    + _publish("/private", *_BASIC, "Require valid-user", 'WebSocketOption deny "secret/*"', "WebSocketMaxRequestBody 1000")
    + _publish("/declared", "WebSocketOption open on")
    + "".join(_publish(f"/open/{name}", *lines) for name, lines in _OPEN.items())
    + "".join(_publish(f"/closed/{name}", *lines) for name, lines in _CLOSED.items())
    + shipped("/news", "topic", "WebSocketOption topic news")
    + shipped("/json", "topic", "WebSocketOption protocol json", 'WebSocketOption allow "**"')
)
_MODULES = ("access_compat",)


@pytest.fixture(scope="module")
def publish_server(mpm):
    with Httpd(mpm, _PARTS, children=_CHILDREN, modules=_MODULES) as server:
        yield server


@pytest.fixture
def server(publish_server):
    yield publish_server
    publish_server.assert_unharmed()


def _ask(server, path, method="POST", *, headers=(_TEXT,), body=b"x"):
    return server.ask(path, method, headers=headers, body=body)


def _subscriber(server, path="/news"):
    """Whose subscription has been made."""
    client = server.websocket(path)
    client.settle()
    return client


def _await_subscribers(server, count):
    """Those of tests before are gone a moment after they have closed."""
    def known():
        return json.loads(_ask(server, "/publish/news", "GET", body=None).body)["subscribers"] == count

    wait_until(known, 10, f"{count} subscribers")


# ---- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", _OPEN)
def test_where_everybody_could_publish_nobody_may(server, name):
    for method in ("POST", "GET"):
        response = _ask(server, f"/open/{name}/news", method)
        assert response.status == 403 and b"Require" in response.body, response


@pytest.mark.parametrize("name", _CLOSED)
def test_a_require_that_keeps_strangers_out_opens(server, name):
    start = server.log_size()
    response = _ask(server, f"/closed/{name}/news", headers=[_TEXT, ("X-Token", "secret")])
    assert response.status == 200, (response, server.log(start))
    assert "AH01630" not in server.log(start)  # that the stranger is refused is no news
    if name in ("token", "env"):
        assert _ask(server, f"/closed/{name}/news").status == 403


# Refuses whom it knows no better than by his address, and counts.
_CHECK = """
function check(r)
    local calls = assert(io.open(r.document_root .. "/calls", "a"))
    calls:write(r.useragent_ip, "\\n")
    calls:close()
    return r.useragent_ip == "127.0.0.1" and apache2.OK or 403
end
"""


def test_the_checks_of_other_modules_run_once_and_count_for_nothing(mpm):
    checked = 'LuaHookAccessChecker "@ROOT@/check.lua" check'
    sections = _publish("/open", checked) + _publish("/closed", checked, "Require ip 127.0.0.1")
    server = Httpd(mpm, sections, children=1, modules=("lua",))
    (server.root / "check.lua").write_text(_CHECK)
    (server.root / "htdocs").chmod(0o777)
    with server:
        assert _ask(server, "/open/news").status == 403
        assert _ask(server, "/closed/news").status == 200
        assert (server.root / "htdocs/calls").read_text().splitlines() == ["127.0.0.1"] * 2


# What Alice gets, who has a certificate.
_CERTIFIED = {
    "ssl": (("Require ssl",), 403),
    "verified": (("Require ssl-verify-client",), 403),
    "expr": (('Require expr "%{SSL_CLIENT_S_DN_CN} == \'Alice\'"',), 403),
    "user": (("SSLUserName SSL_CLIENT_S_DN_CN", "Require user Alice"), 200),
}


def test_of_certificates_only_the_user_counts(mpm):
    sections = "".join(_publish(f"/{name}", *lines) for name, (lines, _) in _CERTIFIED.items())
    tls = (f"SSLCACertificateFile {certificates.authority()[0]}", "SSLVerifyClient optional")
    with TlsHttpd(mpm, sections, tls=tls) as server:
        for name, (_, wanted) in _CERTIFIED.items():
            for certified in (None, certificates.alice()):
                context = certificates.client_context(certified=certified)
                client = http.client.HTTPSConnection("127.0.0.1", server.tls_port, timeout=patience(10), context=context)
                with contextlib.closing(client):
                    client.request("POST", f"/{name}/news", body=b"x", headers=dict([_TEXT]))
                    status = client.getresponse().status
                    assert status == wanted if certified else status >= 400, (name, certified, status)
        server.assert_unharmed()


def test_passwords_are_asked_for(server):
    assert _ask(server, "/private/news").status == 401
    assert _ask(server, "/private/news", headers=[_TEXT, _ALICE]).status == 200
    assert _ask(server, "/declared/news").status == 200


@pytest.mark.parametrize("headers", [
    [("Origin", "https://evil.example")],
    [("Origin", "null")],
    [("Sec-Fetch-Site", "cross-site")],
    [("Sec-Fetch-Site", "same-site")],
    [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "same-origin")],
])
def test_pages_of_other_sites_may_not_publish(server, headers):
    with _subscriber(server) as client:
        assert _ask(server, "/publish/news", headers=[_TEXT, *headers]).status == 403
        assert _ask(server, "/publish/news").status == 200
        client.expect_text("x")


@pytest.mark.parametrize(("path", "method", "headers", "body", "status"), [
    ("/publish", "POST", [_TEXT], b"x", 404),
    ("/publish/", "GET", [], None, 404),
    ("/publish/news?topic=other", "POST", [_TEXT], b"x", 400),
    ("/publish?topic=%ff", "POST", [_TEXT], b"x", 400),
    ("/publish/%01", "POST", [_TEXT], b"x", 400),
    ("/publish/news", "PUT", [_TEXT], b"x", 405),
    ("/publish/news", "DELETE", [], None, 405),
    ("/publish/news", "OPTIONS", [("Origin", "https://evil.example")], None, 405),
    ("/publish/news", "POST", [], None, 411),
    ("/publish/news", "POST", [("Content-Type", "application/x-www-form-urlencoded")], b"x", 415),
    ("/publish/news", "POST", [], b"x", 415),
    ("/publish/news", "POST", [("Content-Type", "text/plain; charset=latin1")], b"x", 415),
    ("/publish/news", "POST", [_TEXT], b"\xff", 400),
    ("/private/news", "POST", [_TEXT, _ALICE, ("Content-Length", 1001)], None, 413),
    ("/private/secret/1", "POST", [_TEXT, _ALICE], b"x", 404),
])
def test_misuse_is_told_apart(server, path, method, headers, body, status):
    response = _ask(server, path, method, headers=headers, body=body)
    assert response.status == status, response
    if status == 405:
        assert response.header("Allow") == "GET, HEAD, POST"
        assert response.header("Access-Control-Allow-Origin") is None
    if status not in (413,):
        assert response.body.endswith(b"\n") and len(response.body) > 10


def test_there_is_nothing_to_connect_to(server):
    assert server.answer("/publish/news").status == 404


# ---- what it is for --------------------------------------------------------------------------------


@pytest.mark.each_mpm
def test_subscribers_in_all_children_get_it_and_are_counted(server):
    _await_subscribers(server, 0)
    plain = [_subscriber(server) for _ in range(6)]
    wrapped = []
    for _ in range(6):
        client = server.websocket("/json")
        client.send(frames.text(b'{"type":"subscribe","topic":"news"}'))
        client.expect_text('{"type":"subscribed","topic":"news"}')
        wrapped.append(client)
    report = _ask(server, "/publish/news", "GET", body=None, headers=())
    assert json.loads(report.body) == {"topic": "news", "subscribers": 12}
    assert report.header("Content-Type") == "application/json" and report.header("Cache-Control") == "no-store"
    for body, kind in (("ä€😀".encode(), "text/plain; charset=utf-8"), (b'{"a":1}', "application/json")):
        response = _ask(server, "/publish?topic=news", headers=[("Content-Type", kind)], body=body)
        assert (response.status, json.loads(response.body)) == (200, {"topic": "news", "subscribers": 12})
        for client in plain:
            client.expect(frames.TEXT, body)
        for client in wrapped:
            assert json.loads(client.expect_text()) == {"type": "message", "topic": "news", "data": body.decode()}
    assert _ask(server, "/publish/news", headers=[("Content-Type", "application/octet-stream")], body=b"\0\xff").status == 200
    for client in plain:
        client.expect(frames.BINARY, b"\0\xff")
    for client in (*plain[1:], *wrapped):
        client.close()
    _await_subscribers(server, 1)
    plain[0].close()
    assert json.loads(_ask(server, "/publish/other", "GET", body=None).body) == {"topic": "other", "subscribers": 0}


def _here(text, server):
    return text.replace("www.example.com", f"127.0.0.1:{server.port}")


def _run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)
    assert done.returncode == 0, done
    return done.stdout


def test_the_curl_of_the_documentation(server):
    _await_subscribers(server, 0)
    with _subscriber(server) as client:
        answer = _run("sh", "-c", _here(snippet(_PAGE, "sh", "--data-binary"), server))
        wanted = snippet(_PAGE, "text", '"subscribers"').replace("2", "1")
        assert answer == wanted
        client.expect_text("It rains.")


def test_the_python_of_the_documentation(server):
    _await_subscribers(server, 0)
    with _subscriber(server) as client:
        assert _run(sys.executable, "-c", _here(snippet(_PAGE, "python", "urllib"), server)) == "1\n"
        client.expect_text("It rains.")


def test_the_php_of_the_documentation(server, tmp_path):
    _await_subscribers(server, 0)
    script = tmp_path / "publish.php"
    script.write_text(_here(snippet(_PAGE, "php", "publish("), server))
    with _subscriber(server) as client:
        assert _run("php", str(script)) == "1\n"
        client.expect_text("It rains.")


def _mod_php():
    found = sorted(httpd.module_directory().glob("libphp8*.so"))
    assert found, "there is no mod_php: install libapache2-mod-php"
    return found[-1]


@pytest.mark.skipif(SANITIZED, reason="PHP loads its modules in a way that sanitizers refuse")
def test_a_page_of_mod_php_publishes_to_its_own_httpd():
    parts = f'LoadModule php_module "{_mod_php()}"\nAddType application/x-httpd-php .php\n' + _PARTS
    with Httpd("prefork", parts, children=_CHILDREN, modules=_MODULES) as server:
        page = server.root / "htdocs/publish.php"
        page.write_text(_here(snippet(_PAGE, "php", "publish("), server))
        with _subscriber(server) as one, _subscriber(server) as other:
            for _ in range(3):
                response = _ask(server, "/publish.php", "GET", headers=(), body=None)
                assert (response.status, re.sub(rb"\s", b"", response.body)) == (200, b"2"), response
                one.expect_text("It rains.")
                other.expect_text("It rains.")
