# SPDX-License-Identifier: Apache-2.0
"""What mod_status shows of WebSockets."""

import contextlib
import signal

import pytest

import frames
import processes
from deflate_client import DeflateClient
from h2client import H2Client
from httpd import BUILD, DUMPIO_LINES, Httpd, location
from tls import TlsHttpd
from waiting import wait_until

pytestmark = pytest.mark.each_mpm

_ECHOES = (
    location("/echo", "echo")
    + location("/shared", "echo", "WebSocketDeflate On")
    + location("/dedicated", "echo", "WebSocketDeflate On", "WebSocketDeflateMode Dedicated")
)
_PREFIX = "WebSocketConnections"
_CHAT = f"""
<Location "/chat">
    SetHandler websocket-handler
    WebSocketHandler "{BUILD}/test/plugins/chat_alone.so" chat_init
</Location>
"""


def _figures(server):
    """{"": all, "Tcp": …} of the page for programs."""
    lines = server.status()
    return {key.removeprefix(_PREFIX): int(value) for key, value in lines.items() if key.startswith(_PREFIX)}


def _await_figures(server, **wanted):
    """Until the page shows these, and 0 for all others; "All" is the sum."""
    wanted[""] = wanted.pop("All")
    seen = {}

    def shown():
        seen.update(_figures(server))
        return {key: value for key, value in seen.items() if value or key == ""} == wanted

    try:
        wait_until(shown, 10, "the figures")
    except AssertionError:
        raise AssertionError(f"status shows {seen}, not {wanted}") from None


def _page(server):
    with server.client() as client:
        client.send(b"GET /server-status HTTP/1.0\r\n\r\n")  # 1.1 may answer in chunks
        return client.read_response().body.decode()


def test_without_websockets_all_is_zero(start_httpd):
    server = start_httpd(_ECHOES)
    assert _figures(server) == dict.fromkeys(
        ["", "Tcp", "Tls", "H2", "Pump", "Tunnel", "Sse", "DeflateShared", "DeflateDedicated"], 0
    )
    page = _page(server)
    assert "<p>0 open in 0 child processes</p>" in page
    assert "<th>tcp</th>" not in page


def test_connections_of_all_children_are_counted_while_they_are_open(mpm):
    with Httpd(mpm, _ECHOES, children=4) as server:
        with contextlib.ExitStack() as open_ones:
            for path in ["/echo"] * 5 + ["/shared"] * 2:
                open_ones.enter_context(DeflateClient(server.port, path))
            with DeflateClient(server.port, "/dedicated"):
                _await_figures(server, All=8, Tcp=8, DeflateShared=2, DeflateDedicated=1)
            _await_figures(server, All=7, Tcp=7, DeflateShared=2)
            page = _page(server)
            assert "<p>7 open in " in page and "<td>all</td><td>7</td>" in page
        _await_figures(server, All=0)


@pytest.mark.one_mpm
def test_what_was_declined_is_not_shown_as_agreed(start_httpd):
    server = start_httpd(_ECHOES)
    with DeflateClient(server.port, "/dedicated", offer="permessage-deflate; server_no_context_takeover"):
        _await_figures(server, All=1, Tcp=1, DeflateShared=1)
    with server.websocket("/dedicated"):
        _await_figures(server, All=1, Tcp=1)
    assert server.answer("/echo", version=5).status == 400
    _await_figures(server, All=0)


def test_tls_is_told_apart(mpm):
    with TlsHttpd(mpm, _ECHOES) as server:
        with server.tls_websocket("/echo"), server.websocket("/echo"):
            _await_figures(server, All=2, Tcp=1, Tls=1)
        _await_figures(server, All=0)


def test_streams_of_http2_are_told_apart(start_h2, mpm):
    if mpm == "prefork":
        pytest.skip("mod_http2 does not serve HTTP/2 with prefork")
    server = start_h2(_ECHOES)
    with H2Client(server.port) as connection:
        connection.websocket("/echo")
        connection.websocket("/echo")
        _await_figures(server, All=2, H2=2)
    _await_figures(server, All=0)


def test_connections_behind_filters_are_told_apart(mpm):
    with Httpd(mpm, DUMPIO_LINES + _ECHOES, modules=("dumpio",), children=2) as server:
        with server.websocket("/echo"):
            _await_figures(server, All=1, Pump=1)
        _await_figures(server, All=0)


def test_a_draining_child_is_counted_until_its_connections_end(start_httpd, mpm):
    slots = {"prefork": "ServerLimit 6\nMaxRequestWorkers 6\n"}.get(mpm, "ServerLimit 4\nMaxRequestWorkers 100\n")
    server = start_httpd(f"{slots}WebSocketDrainTimeout 30s\n{_ECHOES}")
    with server.websocket("/echo") as old:
        child = int(server.expect_log(r"\[pid (\d+)[^\n]*WS0131")[1])
        before = set(server.children())
        server.signal(signal.SIGUSR1)
        wait_until(lambda: set(server.children()) - before, 10, "a new child")
        with server.websocket("/echo"):
            _await_figures(server, All=2, Tcp=2)
            assert f"<td>{child}</td><td>1</td>" in _page(server)
            assert "<p>2 open in 2 child processes</p>" in _page(server)
        old.close_handshake()
    _await_figures(server, All=0)


def test_a_loop_that_hangs_is_shown_and_gets_no_clients_until_it_is_back(start_httpd, mpm):
    if mpm == "prefork":
        pytest.skip("it has one loop")
    server = start_httpd(
        "WebSocketThreads 2\n" + _ECHOES + location("/inline", "hostile", "WebSocketDispatch Inline")
    )
    assert server.status()["WebSocketHangingLoops"] == "0"
    go_on = server.root / "go-on"
    with server.websocket("/inline") as hanging, contextlib.ExitStack() as open_ones:
        hanging.send(frames.text(f"until {go_on}"))
        server.expect_log(r"WS0306: event loop \d hangs: .* input of a connection, .*/hostile\.so; ", seconds=30)
        assert server.status()["WebSocketHangingLoops"] == "1"
        assert "<p>1 event loops hang: see WS0306" in _page(server)
        for _ in range(4):
            client = open_ones.enter_context(server.websocket("/echo"))
            client.send(frames.text("served"))
            client.expect_text("served")
        go_on.touch()
        server.expect_log(r"WS0307: event loop \d is back", seconds=30)
        wait_until(lambda: server.status()["WebSocketHangingLoops"] == "0", 10, "no loop that hangs")


def test_a_child_whose_loops_all_hang_refuses_until_one_is_back(start_httpd):
    server = start_httpd("WebSocketThreads 1\n" + location("/inline", "hostile", "WebSocketDispatch Inline"))
    go_on = server.root / "go-on"
    with server.websocket("/inline") as hanging:
        hanging.send(frames.text(f"until {go_on}"))
        server.expect_log("WS0306: event loop 0 hangs", seconds=30)
        if server.mpm == "prefork":  # its only child has to be free
            assert server.get("/index.html").status == 200
        assert server.answer("/inline").status == 503
        server.expect_log("WS0106: .* all event loops of this child hang")
        go_on.touch()
        server.expect_log("WS0307: ", seconds=30)
        assert server.answer("/inline").status == 101


def test_what_a_killed_child_had_is_gone(start_httpd):
    server = start_httpd(_ECHOES)
    with server.websocket("/echo"), server.websocket("/echo"):
        _await_figures(server, All=2, Tcp=2)
        children = set(server.children())
        for child in children:
            processes.kill(child)
        wait_until(lambda: server.children() and not children & set(server.children()), 10, "new children")
        _await_figures(server, All=0)


def _await_topics(server, topics, subscriptions, listeners):
    wanted = {"s": topics, "Subscriptions": subscriptions, "Listeners": listeners, "MessagesDropped": 0}

    def shown():
        lines = server.status()
        return {key: int(lines[f"WebSocketTopic{key}"]) for key in wanted} == wanted

    wait_until(shown, 10, wanted)


def test_topics_subscriptions_and_listeners_are_counted(start_httpd):
    server = start_httpd(_CHAT)
    _await_topics(server, 0, 0, 0)
    with server.websocket("/chat?name=a&room=r"), server.websocket("/chat?name=b&room=r"):
        _await_topics(server, 2, 2, 2)
        assert "<th>subscriptions</th><th>listeners</th><th>dropped</th></tr>" in _page(server)
    _await_topics(server, 2, 0, 2)  # an empty room is remembered
