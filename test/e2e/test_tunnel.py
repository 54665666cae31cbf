# SPDX-License-Identifier: Apache-2.0
"""WebSockets of mod_proxy that the module takes over: bytes are passed on, no worker is held."""

import random

import pytest

import frames
import handshake
import httpd
from backends import Backend
from tunnels import MODULES, WORKER, TunnelServer, busy_members, forget_connections, pass_on
from waiting import SANITIZED, wait_until


def _parts(backend, unix):
    to_unix = f"unix:{unix.path}|ws://127.0.0.1/unix/"
    return "\n".join(
        [
            "WebSocketTunnel On",
            pass_on("/app/", backend.port),
            pass_on("/off/", backend.port, "WebSocketTunnel Off"),
            pass_on("/small/", backend.port, "WebSocketTunnelBuffer 32K"),
            pass_on("/upgrade/", backend.port, scheme="http", worker="upgrade=websocket disablereuse=on retry=0"),
            pass_on("/no-half/", backend.port, "SetEnv proxy-nohalfclose 1"),
            pass_on("/one/", backend.port, "WebSocketMaxConnectionsPerAddress 1"),
            pass_on("/two/", backend.port, "WebSocketMaxConnectionsPerLocation 2"),
            pass_on("/nobody/", httpd.free_port(), "WebSocketMaxConnectionsPerAddress 1"),
            pass_on("/error/", backend.port, "WebSocketMaxConnectionsPerAddress 1"),
            '<Location "/lost/">\nErrorDocument 404 /error/page\n</Location>',
            '<Location "/parts.shtml">\nOptions +Includes\nSetOutputFilter INCLUDES\n</Location>',
            pass_on("/scgi/", backend.port, "WebSocketMaxConnectionsPerAddress 1", scheme="scgi"),
            pass_on("/kept/", backend.port, worker="retry=0"),
            pass_on("/never/", backend.port, worker=f"{WORKER} timeout=1"),
            pass_on("/section/", backend.port),
            f'<Proxy "ws://127.0.0.1:{backend.port}/section/*">\nWebSocketTunnel Off\n</Proxy>',
            f'<Location "/unix/">\nProxyPass {to_unix} disablereuse=on retry=0\n</Location>',
            f"<Proxy balancer://app>\nBalancerMember ws://127.0.0.1:{backend.port} disablereuse=on retry=0\n"
            "ProxySet lbmethod=bybusyness\n</Proxy>\n"
            '<Location "/balanced/">\nProxyPass balancer://app/balanced/\n</Location>',
            "RewriteEngine On\nRewriteOptions InheritDown\n"
            f"RewriteRule ^/rewritten/(.*) ws://127.0.0.1:{backend.port}/$1 [P]",
            f'<Location "/handler/">\nSetHandler "proxy:ws://127.0.0.1:{backend.port}"\n</Location>',
            '<Location "/balancer-manager">\nSetHandler balancer-manager\n</Location>',
            'WebSocketLog logs "%{transport}w %{backend}w %U %I %O %{messages-in}w %{code}w %{closed-by}w %{reason}w"\n',
        ]
    )


@pytest.fixture(scope="module")
def shared(mpm):
    with Backend() as backend, Backend(unix=True) as unix:
        server = TunnelServer(mpm, _parts(backend, unix), backend, modules=(*MODULES, "proxy_scgi", "include"))
        server.unix = unix
        (server.root / "htdocs/parts.shtml").write_text('<!--#include virtual="/one/a" -->')
        with server:
            yield server


@pytest.fixture
def tunnels(shared):
    """The ordinary server; a test begins with no tunnel, and leaves none."""
    yield shared
    forget_connections(shared.backend)
    forget_connections(shared.unix)
    await_tunnels(shared, 0)
    shared.assert_unharmed()


def await_tunnels(server, count):
    wait_until(
        lambda: server.status().get("WebSocketConnectionsTunnel") == str(count), 10, f"{count} tunnels in server-status"
    )


def talk(client, peer, data=b"hello"):
    """A message each way."""
    client.send(frames.binary(data))
    assert peer.expect(frames.BINARY) == data
    peer.send(frames.binary(data[::-1], mask=None))
    client.expect(frames.BINARY, data[::-1])


def end(client, peer):
    client.close()
    peer.expect_end()
    peer.close()


# ---- every way to configure one ----------------------------------------------------------------


@pytest.mark.each_mpm
@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_a_tunnel_passes_on_what_comes_and_holds_no_worker(tunnels, tls):
    many = [tunnels.tunnel(tls=tls) for _ in range(10)]
    for size in (1, 1000, 200_000):
        for client, peer in many:
            talk(client, peer, random.Random(size).randbytes(size))
    tunnels.await_free_workers()
    await_tunnels(tunnels, 10)
    for client, peer in many:
        end(client, peer)


@pytest.mark.each_mpm
@pytest.mark.parametrize("path", ["/upgrade/a", "/balanced/a", "/rewritten/a", "/handler/a"])
def test_it_does_not_matter_how_mod_proxy_was_told(tunnels, path):
    client, peer = tunnels.tunnel(path)
    talk(client, peer)
    await_tunnels(tunnels, 1)
    end(client, peer)


def test_a_backend_may_listen_at_a_file(tunnels):
    client = tunnels.client()
    client.send(handshake.request("/unix/a"))
    peer = tunnels.unix.accept()
    peer.switch()
    handshake.check_upgraded(client.read_response())
    talk(client, peer)
    await_tunnels(tunnels, 1)
    end(client, peer)


@pytest.mark.parametrize("path", ["/off/a", "/section/a"], ids=["location", "proxy"])
def test_a_section_without_tunnels_is_left_to_httpd(tunnels, path):
    client, peer = tunnels.tunnel(path)
    talk(client, peer)
    await_tunnels(tunnels, 0)
    end(client, peer)


@pytest.mark.each_mpm
@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_what_comes_with_the_handshake_arrives_in_order(tunnels, tls):
    server = tunnels
    client = server.client() if not tls else None
    if tls:
        from tls import TlsClient

        client = TlsClient(server.tls_port)
    client.send(handshake.request("/app/early") + frames.text("first") + frames.text("second"))
    peer = server.backend.accept()
    peer.switch(behind=frames.text("one", mask=None) + frames.text("two", mask=None))
    handshake.check_upgraded(client.read_response())
    client.expect_text("one")
    client.expect_text("two")
    assert (peer.expect_text(), peer.expect_text()) == ("first", "second")
    talk(client, peer)
    await_tunnels(server, 1)
    end(client, peer)


# ---- answers that are none ---------------------------------------------------------------------


@pytest.mark.each_mpm
def test_refusals_pass_through_and_their_connections_are_used_again(tunnels):
    server = tunnels
    kinds = [(401, [("WWW-Authenticate", "Basic")]), (302, [("Location", "/else")]), (404, []), (403, [])]
    used = set()
    with server.client() as client:
        for status, headers in kinds * (250 if SANITIZED else 20):
            client.send(handshake.request("/kept/a"))
            peer = server.backend.next_request()
            used.add(peer)
            peer.read_request()
            peer.answer(status, b"no, " * 1000, headers)
            response = client.read_response()
            assert (response.status, response.body) == (status, b"no, " * 1000)
            assert all(response.header(name) == value for name, value in headers)
        assert len(used) < 20
        client.send(handshake.request("/kept/a"))
        peer = server.backend.next_request()
        peer.switch()
        handshake.check_upgraded(client.read_response())
        talk(client, peer)
        await_tunnels(server, 1)
        peer.close()
        client.expect_end()


def test_a_backend_that_never_answers_is_given_up(tunnels):
    with tunnels.client() as client:
        client.send(handshake.request("/never/a"))
        peer = tunnels.backend.accept()
        peer.read_request()
        assert client.read_response().status in (502, 504)  # httpd says the one or the other
        peer.close()


def test_nobody_at_the_backend_is_an_error_as_before(tunnels):
    assert tunnels.answer("/nobody/a").status == 503
    assert tunnels.answer("/nobody/a").status == 503


def test_half_an_answer_is_none(tunnels):
    with tunnels.client() as client:
        client.send(handshake.request("/app/a"))
        peer = tunnels.backend.accept()
        peer.read_request()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websock")
        peer.close()
        assert client.read_response().status == 502


# ---- ends --------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_each_side_may_end_its_stream_and_go_on_listening(tunnels, tls):
    client, peer = tunnels.tunnel(tls=tls)
    peer.half_close()
    client.expect_end()
    client.send(frames.text("still here"))
    assert peer.expect_text() == "still here"
    client.close()
    peer.expect_end()
    if not tls:
        client, peer = tunnels.tunnel()
        client.half_close()
        peer.expect_end()
        peer.send(frames.text("so am I", mask=None))
        client.expect_text("so am I")
        peer.close()
        client.expect_end()
        client.close()


def test_an_administrator_may_want_both_streams_to_end_together(tunnels):
    client, peer = tunnels.tunnel("/no-half/a")
    client.half_close()
    peer.expect_end()
    client.expect_end()
    client.close()
    peer.close()


@pytest.mark.parametrize("side", ["client", "backend"])
def test_one_side_that_is_reset_ends_the_other(tunnels, side):
    client, peer = tunnels.tunnel()
    talk(client, peer)
    gone, other = (client, peer) if side == "client" else (peer, client)
    gone.reset()
    other.expect_end()
    other.close()


# ---- slow sides --------------------------------------------------------------------------------


@pytest.mark.each_mpm
@pytest.mark.parametrize("slow", ["client", "backend"])
def test_a_slow_side_makes_the_other_one_wait(tunnels, slow):
    client, peer = tunnels.tunnel("/small/a", headers=[("X-Slow", slow)])
    mask = None if slow == "client" else frames.MASK
    fast, behind = (peer, client) if slow == "client" else (client, peer)
    message = frames.binary(bytes(1 << 20), mask=mask)
    most = 64 * len(message)
    sent = fast.send_while_reading(message * 64, stall=1)
    assert sent < most / 2, "nobody has held it back"
    total = 0
    while total < sent:
        data = behind.sock.recv(1 << 20)
        assert data
        total += len(data)
    behind.close()
    fast.close()


# ---- limits ------------------------------------------------------------------------------------


def test_caps_are_kept_before_the_backend_is_asked(tunnels):
    for path, status, most in (("/one/a", 429, 1), ("/two/a", 503, 2)):
        open_ones = [tunnels.tunnel(path) for _ in range(most)]
        assert tunnels.answer(path).status == status
        assert tunnels.backend.quiet()
        for client, peer in open_ones:
            talk(client, peer)
            end(client, peer)
        await_tunnels(tunnels, 0)
        client, peer = tunnels.tunnel(path)
        end(client, peer)
        await_tunnels(tunnels, 0)


@pytest.mark.parametrize("connection", [None, "keep-alive", "close"])
def test_caps_hold_for_all_that_mod_proxy_upgrades(tunnels, connection):
    """It looks at Upgrade alone, and tells the backend of Connection by itself."""
    client, peer = tunnels.tunnel("/one/a", connection=connection)
    assert tunnels.answer("/one/a", connection=connection).status == 429
    assert tunnels.backend.quiet()
    await_tunnels(tunnels, 1)
    talk(client, peer)
    end(client, peer)


@pytest.mark.parametrize(
    ("path", "protocol"),
    [("/one/a", "HTTP/1.0"), ("/lost/a", "HTTP/1.1"), ("/parts.shtml", "HTTP/1.1")],
    ids=["http-1.0", "error-document", "part-of-a-page"],
)
def test_a_request_that_cannot_be_a_handshake_asks_the_backend_for_none(tunnels, path, protocol):
    with tunnels.client() as client:
        client.send(handshake.request(path, protocol=protocol))
        with tunnels.backend.accept() as peer:
            _first, fields = peer.read_request()
            assert "upgrade" not in [name.lower() for name, _value in fields]
            peer.answer(200, b"a page")
        assert client.read_response(head_only=True).status == 200


def test_a_refused_handshake_gives_its_place_back(tunnels):
    for _ in range(5):
        with tunnels.client() as client:
            client.send(handshake.request("/one/a"))
            peer = tunnels.backend.accept()
            peer.read_request()
            peer.answer(403)
            assert client.read_response().status == 403
            peer.close()


@pytest.mark.parametrize("without", [(), ("reqtimeout",)], ids=["reqtimeout", "no-other-filter"])
def test_the_place_of_a_refused_handshake_is_free_before_the_client_knows(mpm, without):
    with Backend() as backend:
        parts = pass_on("/one/", backend.port, "WebSocketTunnel On", "WebSocketMaxConnectionsPerAddress 1")
        with TunnelServer(mpm, parts, backend, without=without) as server, server.client() as client:
            client.send(handshake.request("/one/a"))
            peer = backend.accept()
            peer.read_request()
            peer.send(b"HTTP/1.1 403 So\r\nContent-Length: 4\r\n\r\nno")  # and the rest later
            seen = b""
            while b"\r\n\r\nno" not in seen:
                more = client.sock.recv(4096)
                assert more
                seen += more
            end(*server.tunnel("/one/b"))
            peer.send(b"pe")
            assert client.sock.recv(4096) == b"pe"


def test_what_is_no_http_takes_no_place_and_is_no_tunnel(tunnels):
    start = tunnels.log_size()
    with tunnels.client() as client, tunnels.client() as another:
        peers = []
        for one in (client, another):
            one.send(handshake.request("/scgi/a"))
            peers.append(tunnels.backend.accept())  # from now on the place is free
        for peer in peers:
            assert b"HTTP_UPGRADE" in peer.sock.recv(1 << 16)
            peer.send(b"Status: 204 No Content\r\n\r\n")
            peer.close()
        for one in (client, another):
            assert one.read_response(head_only=True).status == 204
            one.send(b"GET /index.html HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert one.read_response().status == 200  # what was before is in all logs
    assert "WS0151" not in tunnels.log(start)


# ---- what an administrator sees ----------------------------------------------------------------


def test_the_log_tells_of_bytes_and_of_who_ended_it(tunnels):
    log = tunnels.root / "logs"
    client, peer = tunnels.tunnel("/app/logged")
    client.send(frames.text("12345678"))
    assert peer.expect_text() == "12345678"
    peer.send(frames.text("1234", mask=None))
    client.expect_text("1234")
    peer.close()
    client.expect_end()
    client.close()
    port = tunnels.backend.port
    wait_until(lambda: f"tunnel ws://127.0.0.1:{port}/app/ /app/logged 14 6 0 - backend -\n" in log.read_text(), 10, "the line")


def test_an_open_tunnel_counts_as_busy_in_its_balancer(tunnels):
    many = [tunnels.tunnel("/balanced/a") for _ in range(3)]
    wait_until(lambda: busy_members(tunnels) == 3, 10, "three busy")
    for client, peer in many:
        end(client, peer)
    wait_until(lambda: busy_members(tunnels) == 0, 10, "none busy")
