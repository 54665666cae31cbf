# SPDX-License-Identifier: Apache-2.0
"""Clients that people really use and permessage-deflate: Python's websockets, ws on Node, and Chromium."""

import asyncio
import json
import random

import pytest
import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

import chromium
import programs
from chromium import skippable
from deflate_client import json_text, parameters_of
from httpd import Httpd, location
from waiting import patience

_ON = "WebSocketDeflate On"
_DEDICATED = (_ON, "WebSocketDeflateMode Dedicated")
_PARTS = "".join(
    [
        location("/off", "echo"),
        location("/shared", "echo", _ON, "WebSocketDispatch Inline"),
        location("/dedicated", "echo", *_DEDICATED),
        location("/all", "echo", *_DEDICATED, "WebSocketDeflateMinSize 0"),
        location("/everything", "echo", _ON, "WebSocketDeflateMinSize 1"),
        location(
            "/small",
            "echo",
            *_DEDICATED,
            "WebSocketDeflateServerWindowBits 10",
            "WebSocketDeflateClientWindowBits 11",
            "WebSocketDeflateMemoryLevel 1",
            "WebSocketDeflateLevel 9",
        ),
    ]
)

# What nobody can say in fewer bytes.
_NOISE = random.Random(1).randbytes(5000)


@pytest.fixture(scope="module")
def deflating_server(mpm):
    with Httpd(mpm, _PARTS) as server:
        yield server


@pytest.fixture
def server(deflating_server):
    yield deflating_server
    deflating_server.assert_unharmed()


def _run(coroutine):
    async def limited():
        async with asyncio.timeout(patience(60)):
            return await coroutine

    return asyncio.run(limited())


def _factories():
    bits = [None, 9, 11, 15]
    for server_no in (False, True):
        for client_no in (False, True):
            for server_bits in [*bits, 8]:
                for client_bits in [*bits, True]:
                    yield ClientPerMessageDeflateFactory(
                        server_no_context_takeover=server_no,
                        client_no_context_takeover=client_no,
                        server_max_window_bits=server_bits,
                        client_max_window_bits=client_bits,
                    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", ["/shared", *(pytest.param(path, marks=pytest.mark.heavy) for path in ("/dedicated", "/all", "/small"))]
)
def test_python_websockets_with_every_combination_it_offers(server, path):
    agreed = set()

    async def talk(factory):
        async with websockets.connect(
            f"ws://127.0.0.1:{server.port}{path}", extensions=[factory], compression=None, max_size=None
        ) as client:
            # The long one is longer than every window.
            for message in ("", "a", json_text(2000), json_text(2000), _NOISE, "ä€😀" * 300, json_text(40_000), json_text(2000)):
                await client.send(message)
                assert await client.recv() == message
            await client.send([json_text(500), json_text(600)])
            assert await client.recv() == json_text(500) + json_text(600)
            header = client.response_headers.get("Sec-WebSocket-Extensions")
            parameters = parameters_of(header)
            assert (parameters is None) == (factory.server_max_window_bits == 8)
            agreed.add(header)

    async def all_of_them():
        factories = list(_factories())

        async def work():
            while factories:
                await talk(factories.pop())

        await asyncio.gather(*(work() for _ in range(10)))

    _run(all_of_them())
    assert len(agreed) >= 4, agreed


@pytest.mark.slow
@pytest.mark.full
@skippable("node")
def test_ws_on_node_with_every_combination_it_offers(server):
    urls = [f"ws://127.0.0.1:{server.port}{path}" for path in ("/shared", "/dedicated", "/small")]
    agreed = json.loads(programs.run_node("ws_deflate.cjs", *urls, seconds=120))
    assert "" not in agreed and sum(agreed.values()) == len(urls) * 4 * 8 * 9, agreed


# ---- Chromium --------------------------------------------------------------------------------------

_TALK = """
    const [path, messages, done] = arguments;
    const socket = new WebSocket(`ws://${location.host}${path}`);
    let next = 0;
    const end = text => done([text, socket.extensions]);
    socket.onopen = () => socket.send(messages[next]);
    socket.onmessage = event => {
        if (event.data !== messages[next]) {
            end(`message ${next} came back changed`);
        } else if (++next < messages.length) {
            socket.send(messages[next]);
        } else {
            socket.close(3001, "bye");
        }
    };
    socket.onclose = event => end(`${next} messages, ${event.code}, ${event.wasClean}`);
"""


@pytest.fixture(scope="module")
def browser(deflating_server):  # one for all: it takes longer to start than the tests take
    with chromium.chromium() as driver:
        yield driver


@pytest.mark.heavy
@skippable("chromium")
@pytest.mark.parametrize(
    "path",
    ["/shared", "/dedicated", "/off", *(pytest.param(path, marks=pytest.mark.full) for path in ("/small", "/everything"))],
)
def test_chromium_agrees_and_understands(server, browser, path):
    (server.root / "htdocs" / "empty.html").write_text("<!DOCTYPE html><title>empty</title>")
    browser.get(f"http://127.0.0.1:{server.port}/empty.html")
    browser.set_script_timeout(30)
    messages = ["", "a", *(json_text(size, size) for size in (300, 300, 5000, 300_000, 300)), "ä€😀" * 500, json_text(5000, 5000)]
    said, extensions = browser.execute_async_script(_TALK, path, messages)
    assert said == f"{len(messages)} messages, 3001, true"
    assert (parameters_of(extensions or None) is None) == (path == "/off"), extensions
