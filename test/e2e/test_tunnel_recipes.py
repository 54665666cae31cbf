# SPDX-License-Identifier: Apache-2.0
"""The files of conf/proxies for tunnels, and docs/tunnels.md, with real servers behind httpd."""

import json
import pathlib
import re

import pytest

import frames
import handshake
import programs
from httpd import Httpd
from proxies import HOST, Certificate
from recipes import BALANCER_MODULES, MODULES, await_tunnels, echo, page, recipe, request_as_seen, tunnels
from waiting import wait_until

SOMEBODY = "127.0.0.5"  # who is not the proxy

both_schemes = pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def app():
    """A server with Python's websockets."""
    with programs.python_server() as running:
        yield running


# ---- http to ws, https to wss ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A certificate of the proxy's own."""
    return Certificate(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def tls_app(certificate, own):
    """A server with TLS that asks for that."""
    with programs.python_server("--tls", certificate.file, certificate.key, own.file) as running:
        yield running


@pytest.fixture(scope="module", params=["tunnel.conf", "tunnel-tls-backend.conf"])
def front(request, mpm, certificate, app, own, tls_app):
    port = app.port if request.param == "tunnel.conf" else tls_app.port
    with recipe(request.param, mpm, certificate, port, words={"/etc/ssl/private/proxy.pem": own.both}) as running:
        yield running


@pytest.mark.each_mpm
@both_schemes
def test_messages_pass_and_hold_no_worker(front, secure):
    with front.websocket("/ws/echo", secure=secure) as client:
        echo(client)
        await_tunnels(front, 1)
        client.close_handshake()
    await_tunnels(front, 0)


@both_schemes
def test_the_server_sees_who_asked_for_what_with_which_headers(front, secure):
    headers = [
        ("Origin", f"http://{HOST}"),
        ("Cookie", "one=1; two=2"),
        ("Authorization", "Bearer abc"),
        ("X-Of-Its-Own", "kept"),
        ("Sec-WebSocket-Protocol", "other, superchat"),
    ]
    client = front.client(secure=secure, source=SOMEBODY)
    client.send(handshake.request("/ws/a/b?c=d&e", host=HOST, headers=headers))
    response = client.read_response()
    handshake.check_upgraded(response)
    assert response.header("Sec-WebSocket-Protocol") == "superchat"
    seen, told = request_as_seen(client)
    assert told["path"] == "/ws/a/b?c=d&e"
    assert {name: seen[name.lower()] for name, _ in headers} == dict(headers)
    assert seen["x-forwarded-for"] == SOMEBODY
    assert seen["x-forwarded-host"] == HOST
    assert seen["x-forwarded-proto"] == ("https" if secure else "http")
    assert seen["sec-websocket-key"] == handshake.KEY
    assert told["subject"] == ([["commonName", HOST]] if front.case.file == "tunnel-tls-backend.conf" else [])
    client.close_handshake()


def test_addresses_of_proxies_in_front_are_kept(front):
    headers = [("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Proto", "gopher")]
    with front.websocket("/ws/echo", source=SOMEBODY, headers=headers) as client:
        seen, _ = request_as_seen(client)
        assert (seen["x-forwarded-for"], seen["x-forwarded-proto"]) == (f"192.0.2.1, {SOMEBODY}", "http")


def test_a_server_with_another_certificate_gets_nothing(mpm, certificate, tmp_path):
    other = Certificate(tmp_path)
    words = {"/etc/ssl/private/proxy.pem": other.both}
    with programs.python_server("--tls", other.file, other.key, other.file) as running:
        front = recipe("tunnel-tls-backend.conf", mpm, certificate, running.port, words=words)
        with front, front.client() as client:
            client.send(handshake.request("/ws/echo", host=HOST))
            assert client.read_response().status in (500, 502, 503)
            assert tunnels(front) == 0


def test_pages_come_from_the_same_server(front):
    response = page(front)
    assert response.status == 200
    assert json.loads(response.body)["path"] == "/page"


# ---- a balancer ------------------------------------------------------------------------------------


class Members:
    """Three servers, and an httpd in front of them."""

    def __init__(self, mpm, certificate, servers):
        self.servers = servers
        words = {f"127.0.0.1:{9000 + n}": f"127.0.0.1:{server.port}" for n, server in enumerate(servers, 1)}
        self.front = recipe("tunnel-balancer.conf", mpm, certificate, words=words, modules=BALANCER_MODULES)

    def page(self, cookie=None):
        """The name of the server whose page comes, and the cookie that a browser has then."""
        response = page(self.front, headers=[("Cookie", cookie)] if cookie else ())
        assert response.status == 200
        set_cookie = response.header("Set-Cookie")
        return json.loads(response.body)["name"], set_cookie.partition(";")[0] if set_cookie else cookie

    def tunnel(self, cookie=None):
        """A client, and the name of its server."""
        client = self.front.websocket("/ws", headers=[("Cookie", cookie)] if cookie else ())
        _, told = request_as_seen(client)
        return client, told["name"]


@pytest.fixture
def members(mpm, certificate):
    with programs.python_server("--name", "1") as one, programs.python_server("--name", "2") as two:
        with programs.python_server("--name", "3") as three:
            running = Members(mpm, certificate, [one, two, three])
            with running.front:
                yield running


def test_a_balancer_spreads_tunnels_keeps_browsers_and_passes_over_a_dead_member(members):
    # By how many are open: so six are two for each.
    spread = [members.tunnel() for _ in range(6)]
    assert sorted(name for _, name in spread) == ["1", "1", "2", "2", "3", "3"]
    await_tunnels(members.front, 6)
    for client, _ in spread:
        client.close_handshake()
    await_tunnels(members.front, 0)

    name, cookie = members.page()
    assert cookie == f"ROUTEID=.{name}"
    stuck = [members.tunnel(cookie) for _ in range(3)]
    assert {of for _, of in stuck} == {name}

    members.servers[int(name) - 1].kill()
    for client, _ in stuck:
        client.expect_end()
        client.close()
    again = [members.tunnel(cookie) for _ in range(4)]  # the request is tried with the next one
    assert name not in {of for _, of in again}
    moved, cookie = members.page(cookie)
    assert moved != name and cookie == f"ROUTEID=.{moved}"
    client, of = members.tunnel(cookie)
    assert of == moved
    echo(client)
    for one, _ in [*again, (client, of)]:
        one.close_handshake()
    await_tunnels(members.front, 0)


def test_a_balancer_without_members_says_so(members):
    for server in members.servers:
        server.kill()
    with members.front.client() as client:
        client.send(handshake.request("/ws", host=HOST))
        assert client.read_response().status == 503
    await_tunnels(members.front, 0)


# ---- what people have in their configuration -------------------------------------------------------

# For each file of conf/proxies: the port in it, paths with WebSockets, and paths of pages.
_PASTED = {
    "tunnel-jupyter.conf": (
        8000,
        ["/user/alice/api/kernels/1a/channels?session_id=2b", "/hub/ws"],
        ["/hub/login?next=%2F", "/user/alice/api/kernels"],
    ),
    "tunnel-jupyter-paths.conf": (
        8888,
        ["/jupyter/api/kernels/1a/channels?session_id=2b", "/jupyter/terminals/websocket/1"],
        ["/jupyter/tree", "/jupyter/api/kernels", "/jupyter/api/kernels/1a"],
    ),
    "tunnel-grafana.conf": (3000, ["/api/live/ws"], ["/login", "/api/live/list"]),
    "tunnel-home-assistant.conf": (8123, ["/api/websocket", "/api/hassio_ingress/ab/ws"], ["/", "/api/states"]),
}


@pytest.mark.parametrize("file", _PASTED)
def test_usual_lines_work_with_one_line_more(mpm, certificate, app, file):
    port, sockets, pages = _PASTED[file]
    words = {f"127.0.0.1:{port}": f"127.0.0.1:{app.port}"}
    with recipe(file, mpm, certificate, words=words) as front:
        for secure in (False, True):
            for path in sockets:
                origin = f"{'https' if secure else 'http'}://{HOST}"
                with front.websocket(path, secure=secure, headers=[("Origin", origin)]) as client:
                    seen, told = request_as_seen(client)
                    assert (told["path"], seen["host"], seen["origin"]) == (path, HOST, origin)
                    echo(client, (1, 70000))
                    await_tunnels(front, 1)
                    client.close_handshake()
                await_tunnels(front, 0)
            for path in pages:
                response = page(front, path, secure=secure)
                assert response.status == 200
                assert json.loads(response.body)["path"] == path


# ---- the pages -------------------------------------------------------------------------------------

_TOP = pathlib.Path(__file__).resolve().parent.parent.parent
_TUNNELS = "docs/tunnels.md"


def _snippets(page, containing=""):
    blocks = re.findall(r"^```apache\n(.*?)^```$", (_TOP / page).read_text(), re.MULTILINE | re.DOTALL)
    return [block for block in blocks if containing in block]


def _behind(mpm, text, app):
    """An httpd with a text of a page, whose server is `app`."""
    return Httpd(mpm, text.replace("127.0.0.1:9000", f"127.0.0.1:{app.port}"), modules=MODULES)


@pytest.mark.each_mpm
@pytest.mark.parametrize("page", ["README.md", _TUNNELS])
def test_one_line_makes_the_difference(mpm, app, page):
    before, after = _snippets(page, 'ProxyPass "/app/"')
    assert before.replace("# before\n", "") == after.replace("# after\n", "").replace("WebSocketTunnel On\n", "")
    for text, open_ones, busy in ((before, "0", "2"), (after, "1", "1")):
        with _behind(mpm, text, app) as server:
            with server.websocket("/app/chat") as client:
                echo(client, (1,))
                seen = lambda: tuple(map(server.status().get, ("WebSocketConnectionsTunnel", "BusyWorkers")))
                wait_until(lambda: seen() == (open_ones, busy), 10, f"{open_ones} tunnels, {busy} busy workers")
                client.close_handshake()
            server.stop_gracefully()  # with a tunnel of mod_proxy's own, a child may not end at once


def test_limits_of_frames_are_kept_as_the_page_has_them(mpm, app):
    [text] = _snippets(_TUNNELS, "WebSocketTunnel Frames")
    with _behind(mpm, text, app) as server:
        with server.websocket("/app/chat", headers=[("Origin", "https://www.example.com")]) as client:
            echo(client, (1, 60 << 10))
            client.send(frames.text(b"t" * ((64 << 10) + 1)))
            client.expect_close(1009)
        with server.websocket("/app/chat") as client:
            client.send(frames.text("one of too many, so that the last ones come later") * 30)
            for _ in range(30):
                client.expect_text()
            client.close_handshake()
        assert server.answer("/app/chat", headers=[("Origin", "https://evil.example")]).status == 403
        wait_until(lambda: server.status()["WebSocketConnectionsTunnel"] == "0", 10, "the end of the others")
        clients = [server.websocket("/app/chat") for _ in range(20)]
        assert server.answer("/app/chat").status == 429
        for one in clients:
            one.close()


def test_the_log_of_the_page_tells_of_both_ends(mpm, app):
    [log] = _snippets(_TUNNELS, "WebSocketLog")
    [_, tunnel] = _snippets(_TUNNELS, 'ProxyPass "/app/"')
    with _behind(mpm, log.replace("logs/tunnels.log", "tunnels.log") + tunnel, app) as server:
        with server.websocket("/app/chat") as client:
            echo(client, (1,))
            client.close_handshake()
        file = server.root / "tunnels.log"
        wait_until(lambda: len(file.read_text().splitlines()) == 2, 10, "a line at the begin and one at the end")
        for line in file.read_text().splitlines():
            assert f" 127.0.0.1 /app/chat ws://127.0.0.1:{app.port}/app/ " in line
