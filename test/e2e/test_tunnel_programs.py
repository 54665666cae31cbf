# SPDX-License-Identifier: Apache-2.0
"""Programs that people really use, at both ends of a tunnel: Python's websockets, ws on Node, and socket.io."""

import asyncio
import json

import pytest
import websockets

import certificates
import programs
from chromium import skippable
from tls import TlsHttpd
from tunnels import MODULES, pass_on
from waiting import patience, wait_until

pytestmark = pytest.mark.heavy

_SOCKET_IO = """
RewriteEngine On
RewriteCond %{{HTTP:Upgrade}} =websocket [NC]
RewriteRule "^/socket.io/(.*)" "ws://127.0.0.1:{port}/socket.io/$1" [P,L]
ProxyPass "/socket.io/" "http://127.0.0.1:{port}/socket.io/"
"""


class Tunnels(TlsHttpd):
    """An httpd, plain and with TLS, in front of a server; what is below /frames/ is followed frame by frame."""

    def __init__(self, mpm, port, more=""):
        parts = [
            "WebSocketTunnel On",
            pass_on("/on/", port),
            pass_on("/frames/", port, "WebSocketTunnel Frames", "WebSocketPingInterval 200ms"),
            'WebSocketLog logs "%U %{transport}w %{messages-in}w %{messages-out}w %{code}w %{closed-by}w"',
            more,
        ]
        super().__init__(mpm, "\n".join(parts) + "\n", tls=more.splitlines(), modules=MODULES, children=8)

    def url(self, path, secure):
        return f"wss://127.0.0.1:{self.tls_port}{path}" if secure else f"ws://127.0.0.1:{self.port}{path}"

    def await_tunnels(self, count):
        open_now = "WebSocketConnectionsTunnel"
        wait_until(lambda: self.status()[open_now] == str(count), 10, f"{count} open tunnels")

    def await_lines(self, path, count):
        """The lines of the log about connections of a path, each as a list."""

        def lines():
            found = [line.split() for line in (self.root / "logs").read_text().splitlines()]
            return [line for line in found if line[0] == path]

        wait_until(lambda: len(lines()) >= count, 10, f"{count} lines about {path}")
        return lines()


@pytest.fixture(scope="module")
def python_behind(mpm):
    with programs.python_server() as backend, Tunnels(mpm, backend.port) as running:
        yield running


@pytest.fixture(scope="module")
def node_behind(mpm):
    with programs.node_server("ws_server.cjs") as backend, Tunnels(mpm, backend.port) as running:
        yield running


@pytest.fixture(scope="module")
def socket_io_behind(mpm):
    with programs.node_server("socket_io_server.cjs") as backend:
        with Tunnels(mpm, backend.port, _SOCKET_IO.format(port=backend.port)) as running:
            yield running


modes = pytest.mark.parametrize("mode", ["on", "frames"])
both_schemes = pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])


def _run(coroutine):
    async def limited():
        async with asyncio.timeout(patience(30)):
            return await coroutine

    return asyncio.run(limited())


async def _converse(server, path, secure, **options):
    url = server.url(path, secure)
    context = certificates.client_context() if secure else None
    async with websockets.connect(url, max_size=None, ssl=context, **options) as client:
        await asyncio.to_thread(server.await_tunnels, 1)
        await programs.talk_to_echo(client)
    assert client.close_code == 1000


def _check(line, mode, messages, code):
    """What the log has to say of a conversation, behind its path."""
    if mode == "frames":
        assert line[1:] == ["tunnel", str(messages), str(messages), code, "client"]
    else:  # nobody looks at frames; how it ends, both know at the same time
        assert line[1:5] == ["tunnel", "0", "0", "-"]


@pytest.mark.each_mpm
@modes
@both_schemes
def test_python_talks_to_python(python_behind, mode, secure):
    _converse_and_check(python_behind, mode, secure, "deflate")


@modes
@both_schemes
def test_python_talks_to_python_without_compression(python_behind, mode, secure):
    _converse_and_check(python_behind, mode, secure, None)


@skippable("node")
@modes
@both_schemes
def test_python_talks_to_ws_on_node(node_behind, mode, secure):
    _converse_and_check(node_behind, mode, secure, "deflate")


def _converse_and_check(server, mode, secure, compression):
    path = f"/{mode}/{'wss' if secure else 'ws'}-{compression}"
    _run(_converse(server, path, secure, compression=compression))
    [line] = server.await_lines(path, 1)
    _check(line, mode, 8, "1000")
    server.await_tunnels(0)
    server.assert_unharmed()


@skippable("node")
@pytest.mark.parametrize(("mode", "secure"), [("on", True), ("frames", False)], ids=["wss-on", "ws-frames"])
@pytest.mark.parametrize("behind", ["python", "node"])
def test_ws_on_node_talks_to_python_and_to_itself(python_behind, node_behind, behind, mode, secure):
    server = {"python": python_behind, "node": node_behind}[behind]
    path = f"/{mode}/node"
    told = json.loads(programs.run_node("ws_echo.cjs", server.url(path, secure)))
    assert told["code"] == 3001
    assert told["extensions"].startswith("permessage-deflate")
    long, short = sorted(server.await_lines(path, 2), key=lambda line: -int(line[2]))
    _check(long, mode, 5012, "3001")
    _check(short, mode, 1, "3001")
    server.await_tunnels(0)
    server.assert_unharmed()


@skippable("node")
@pytest.mark.each_mpm
@both_schemes
def test_socket_io_begins_with_polling_and_goes_on_through_a_tunnel(socket_io_behind, secure):
    url = socket_io_behind.url("/", secure).replace("ws", "http", 1)
    before = len(socket_io_behind.await_lines("/socket.io/", 0))
    told = json.loads(programs.run_node("socket_io_client.cjs", url))
    assert told == [["polling", "websocket"], ["websocket"], ["polling"]]
    lines = socket_io_behind.await_lines("/socket.io/", before + 2)
    assert [line[1] for line in lines[before:]] == ["tunnel"] * 2
    socket_io_behind.await_tunnels(0)
    socket_io_behind.assert_unharmed()


def test_a_client_that_is_quiet_is_pinged_and_the_server_sees_nothing_of_it(python_behind):
    path = "/frames/quiet"

    async def talk():
        async with websockets.connect(python_behind.url(path, False), ping_interval=None) as client:
            pings = asyncio.Event()
            loop = asyncio.get_running_loop()
            original = client.pong  # called for each Ping

            async def pong(data=b""):
                await original(data)
                loop.call_soon(pings.set)

            client.pong = pong
            for _ in range(3):
                await pings.wait()
                pings.clear()
            await client.send("still here")
            assert await client.recv() == "still here"

    _run(talk())
    [line] = python_behind.await_lines(path, 1)
    _check(line, "frames", 1, "1000")
