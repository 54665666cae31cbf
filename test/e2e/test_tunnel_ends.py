# SPDX-License-Identifier: Apache-2.0
"""What becomes of tunnels when time is up, when something around them ends, and where they stay with httpd."""

import os
import signal

import pytest

import frames
import handshake
import httpd
import lifecycle
import processes
from backends import Backend
from conftest import H2_LINES
from httpd import location
from tunnels import MODULES, TunnelServer, busy_members, pass_on
from traffic import BROKEN, Traffic
from waiting import SANITIZED, wait_until

MANY = 100 if SANITIZED else 1000
UNDER_TRAFFIC = 100 if SANITIZED else 500


@pytest.fixture
def backend():
    with Backend() as running:
        yield running


@pytest.fixture
def start(mpm, backend):
    """start(*lines, **options) starts a server for this test alone, with /app/ and /frames/."""
    started = []

    def start_server(*lines, **options):
        parts = [
            "WebSocketTunnel On",
            *lines,
            pass_on("/app/", backend.port),
            pass_on("/frames/", backend.port, "WebSocketTunnel Frames"),
        ]
        server = TunnelServer(mpm, "\n".join(parts), backend, **options)
        server.start()
        started.append(server)
        return server

    yield start_server
    for server in started:
        server.__exit__(None)


def end_of(client, code):
    """Reads to the end; the Close in it has this code, or there is none if it is None."""
    last = None
    while (frame := client.next_frame(what="the end")) is not None:
        last = frame
    assert (last.code if last is not None and last.opcode == frames.CLOSE else None) == code


@pytest.mark.each_mpm
@pytest.mark.parametrize(("number", "code"), [*lifecycle.GRACEFUL, *lifecycle.AT_ONCE])
def test_when_a_child_ends_its_tunnels_end_in_time(start, number, code):
    server = start("WebSocketDrainTimeout 2s")
    many = [(path, *server.tunnel(path, tls=tls)) for path in ("/app/a", "/frames/a") for tls in (False, True) for _ in range(10)]
    old = server.children()
    server.signal(number)
    for path, client, peer in many:
        wanted = code if path == "/frames/a" else None
        end_of(client, wanted)
        end_of(peer, wanted)
        client.close()
        peer.close()
    wait_until(lambda: not any(map(processes.is_alive, old)), 20, "the end of the old children")
    if number in (signal.SIGUSR1, signal.SIGHUP):
        client, peer = wait_until(lambda: server.tunnel(), 10, "a tunnel of the new ones")
        client.close()
        peer.close()


@pytest.mark.each_mpm
def test_a_frame_that_is_under_way_is_not_cut_by_a_drain(start):
    server = start("WebSocketDrainTimeout 20s")
    client, peer = server.tunnel("/frames/a")
    upward, downward = frames.text("up" * 100), frames.text("down" * 100, mask=None)
    client.send(upward[:50])
    peer.send(downward[:50])
    # Something behind it says that both have been passed on.
    other, its_peer = server.tunnel("/frames/b")
    server.signal(signal.SIGUSR1)
    end_of(other, 1012)
    end_of(its_peer, 1012)
    client.send(upward[50:])
    peer.send(downward[50:])
    peer.expect_text("up" * 100)
    client.expect_text("down" * 100)
    end_of(client, 1012)
    end_of(peer, 1012)
    for one in (client, peer, other, its_peer):
        one.close()


@pytest.mark.parametrize("path", ["/app/a", "/frames/a"])
def test_a_tunnel_without_traffic_ends_when_httpds_would(start, path):
    server = start("Timeout 2\nProxyTimeout 1", 'WebSocketLog logs "%U %{closed-by}w %{reason}w"')
    client, peer = server.tunnel(path)
    busy, its_peer = server.tunnel(path)
    for _ in range(5):
        busy.send(frames.text("here"))
        its_peer.expect_text("here")
        busy.expect_silence(0.6)
    end_of(client, 1001 if path == "/frames/a" else None)
    end_of(peer, 1001 if path == "/frames/a" else None)
    for one in (client, peer, busy, its_peer):
        one.close()
    wait_until(
        lambda: f"{path} server no traffic within the time limit\n" in (server.root / "logs").read_text(), 10, "the line"
    )


@pytest.mark.each_mpm
def test_a_killed_child_ends_its_tunnels_and_is_replaced(start):
    server = start()
    client, peer = server.tunnel()
    for child in server.children():
        os.kill(child, signal.SIGKILL)
    client.expect_end()
    peer.expect_end()
    client.close()
    peer.close()
    client, peer = wait_until(lambda: _tunnel_of_a_new_child(server), 20, "a new child")
    client.close()
    peer.close()


def _tunnel_of_a_new_child(server):
    try:
        return server.tunnel()
    except OSError:
        return None


@pytest.mark.each_mpm
def test_members_of_balancers_are_not_busy_with_tunnels_of_killed_children(start, backend):
    member = f"<Proxy balancer://app>\nBalancerMember ws://127.0.0.1:{backend.port} retry=0\n</Proxy>"
    server = start(
        member,
        'ProxyPass /balanced/ balancer://app/\n<Location "/balancer-manager">\nSetHandler balancer-manager\n</Location>',
    )
    many = [server.tunnel("/balanced/a") for _ in range(3)]
    # What mod_proxy itself counts while it serves a request would not be taken back.
    wait_until(lambda: server.status()["WebSocketConnectionsTunnel"] == "3", 10, "all being tunnels of the module")
    wait_until(lambda: busy_members(server) == 3, 10, "three busy")
    for child in server.children():
        os.kill(child, signal.SIGKILL)
    for client, peer in many:
        client.expect_end()
        client.close()
        peer.close()
    wait_until(lambda: _answers_none_busy(server), 20, "none busy")


def _answers_none_busy(server):
    try:
        return busy_members(server) == 0
    except (OSError, AssertionError):
        return False


@pytest.mark.slow
@pytest.mark.each_mpm
def test_few_workers_serve_very_many_tunnels(start, mpm):
    tuning = "" if mpm == "prefork" else "ThreadsPerChild 4\nMaxRequestWorkers 4\nMinSpareThreads 1\nMaxSpareThreads 4\n"
    server = start(tuning, "WebSocketMaxConnectionsPerAddress 0")
    many = []
    for _ in range(MANY):
        many.append(server.tunnel())
        if len(many) % 50 == 0:
            assert server.get("/index.html").status == 200
    for client, peer in many:
        client.send(frames.text("up"))
        peer.send(frames.text("down", mask=None))
    for client, peer in many:
        peer.expect_text("up")
        client.expect_text("down")
    assert server.status()["WebSocketConnectionsTunnel"] == str(MANY)
    for client, peer in many:
        client.close()
        peer.close()


@pytest.mark.slow
@pytest.mark.each_mpm
@pytest.mark.parametrize(
    ("number", "mode", "code"),
    [
        pytest.param(signal.SIGUSR1, "Frames", 1012, id="graceful-frames"),
        pytest.param(signal.SIGHUP, "On", BROKEN, id="restart-on", marks=pytest.mark.heavy),
    ],
)
def test_tunnels_under_traffic_end_in_order_when_httpd_restarts(start_httpd, mpm, number, mode, code):
    behind = start_httpd(location("/echo", "tally"))
    proxied = f"WebSocketTunnel {mode}\nWebSocketDrainTimeout 3s\nProxyPass /tunnel/ ws://127.0.0.1:{behind.port}/ retry=0"
    server = start_httpd(lifecycle.parts(mpm, proxied), modules=MODULES)
    with Traffic(server, UNDER_TRAFFIC, path="/tunnel/echo", tls=False) as traffic:
        traffic.wait_all_open()
        traffic.wait_for_echoes(UNDER_TRAFFIC)
        old = server.children()
        server.signal(number)
        state = traffic.wait_all_ended(10)
        assert state.codes == {code: UNDER_TRAFFIC}
    wait_until(lambda: not any(map(processes.is_alive, old)), 20, "the end of the old children")
    with Traffic(server, 20, path="/tunnel/echo") as traffic:
        traffic.wait_all_open()
        traffic.wait_for_echoes(100)


# ---- TLS to the backend ------------------------------------------------------------------------


@pytest.mark.each_mpm
@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_a_backend_may_speak_tls(start, tls):
    from tls import TlsClient

    echo = location("/self/echo", "echo")
    server = start(echo)
    # To its own other address.
    server.stop()
    proxied = f"SSLProxyEngine On\nSSLProxyVerify none\nSSLProxyCheckPeerName Off\nSSLProxyCheckPeerExpire Off\n" + "".join(
        f'<Location "/tls/{scheme}/">\nProxyPass {scheme}://127.0.0.1:{server.tls_port}/self/ {more}\n</Location>\n'
        for scheme, more in (("wss", ""), ("https", "upgrade=websocket"))
    )
    server._parts = proxied + server._parts  # pylint: disable=protected-access
    server.start()
    for scheme in ("wss", "https"):
        client = TlsClient(server.tls_port) if tls else server.client()
        client.upgrade(f"/tls/{scheme}/echo", first_frames=frames.text("early"))
        client.expect_text("early")
        for size in (1, 1000, 100_000, 1_000_000):
            client.send(frames.binary(bytes(size)))
            client.expect(frames.BINARY, bytes(size))
        assert server.status()["WebSocketConnectionsTunnel"] == "1"
        client.send(frames.close(1000))
        client.expect_close(1000, then_end=False)
        client.expect_end()
        client.close()
        wait_until(lambda: server.status()["WebSocketConnectionsTunnel"] == "0", 10, "no tunnel")


# ---- what stays with httpd ---------------------------------------------------------------------


def test_where_a_filter_has_to_see_the_bytes_httpd_keeps_the_tunnel(start):
    server = start(httpd.DUMPIO_LINES, modules=(*MODULES, "dumpio"))
    client, peer = server.tunnel()
    client.send(frames.text("seen"))
    peer.expect_text("seen")
    server.expect_log("WS0151: .*of a filter: dumpio_in")
    assert server.status()["WebSocketConnectionsTunnel"] == "0"
    client.close()
    peer.expect_end()
    peer.close()


def test_clients_of_http2_keep_their_tunnels_with_httpd(start):
    from h2client import H2Client

    server = start(H2_LINES, modules=(*MODULES, "http2"))
    with H2Client(server.port) as connection:
        stream = connection.connect("/app/a")
        peer = server.backend.accept()
        peer.switch()
        assert connection.await_response(stream) == 200
        client = connection.attach(stream)
        client.send(frames.text("hello"))
        peer.expect_text("hello")
        server.expect_log("WS0151: .*HTTP/2")
        peer.close()


def test_tunnels_of_mod_proxy_wstunnel_stay_with_httpd(start):
    server = start("ProxyWebsocketFallbackToProxyHttp Off")
    client, peer = server.tunnel()
    client.send(frames.text("hello"))
    peer.expect_text("hello")
    client.close()
    peer.expect_end()
    peer.close()
    server.expect_log("WS0151: .*ProxyWebsocketFallbackToProxyHttp")
