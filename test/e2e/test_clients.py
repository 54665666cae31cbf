# SPDX-License-Identifier: Apache-2.0
"""Clients that people really use: Python's websockets, ws on Node, and Chromium."""

import asyncio
import json
import pathlib
import shutil

import pytest
import websockets

import certificates
import chromium
import httpd
import programs
from chromium import send_text, skippable, text_of
from httpd import template
from tls import TlsHttpd
from waiting import patience, wait_until

_EXAMPLES = pathlib.Path(__file__).resolve().parent.parent.parent / "examples"


@pytest.fixture(scope="module")
def secure(mpm):
    """A server with the same locations over TLS."""
    parts = [template("echo.conf", PREFIX=name.lower(), DISPATCH=name) for name in ("Pool", "Inline")]
    with TlsHttpd(mpm, template("handshake.conf") + "".join(parts)) as running:
        yield running


@pytest.fixture(scope="module")
def browser(secure):  # one for all: it takes longer to start than the tests take
    with chromium.chromium() as driver:
        yield driver


# ---- Python ----------------------------------------------------------------------------------------


def _run(coroutine):
    async def limited():
        async with asyncio.timeout(patience(30)):
            return await coroutine

    return asyncio.run(limited())


async def _converse(url, **options):
    async with websockets.connect(url, max_size=None, **options) as client:
        await programs.talk_to_echo(client)
    assert client.close_code == 1000


@pytest.mark.parametrize("path", ["/pool", "/inline"])
def test_python_websockets_echoes(server, path):
    _run(_converse(f"ws://127.0.0.1:{server.port}{path}"))


@pytest.mark.parametrize("path", ["/pool", "/inline"])
def test_python_websockets_echoes_over_tls(secure, path):
    context = certificates.client_context()
    _run(_converse(f"wss://127.0.0.1:{secure.tls_port}{path}", ssl=context))


def test_a_hundred_python_clients_echo_side_by_side(server):
    async def talk(n):
        async with websockets.connect(f"ws://127.0.0.1:{server.port}/echo") as client:
            for turn in range(20):
                await client.send(f"{n}: {turn}")
                assert await client.recv() == f"{n}: {turn}"

    async def all_of_them():
        await asyncio.gather(*(talk(n) for n in range(100)))

    _run(all_of_them())


def test_python_websockets_gets_its_subprotocol(server):
    async def talk():
        async with websockets.connect(
            f"ws://127.0.0.1:{server.port}/dumb-increment", subprotocols=["other", "dumb-increment-protocol"]
        ) as client:
            assert client.subprotocol == "dumb-increment-protocol"
            numbers = [int(await client.recv()) for _ in range(5)]
            assert numbers == [0, 1, 2, 3, 4]
            await client.send("reset\n")
            while int(await client.recv()) != 0:
                pass

    _run(talk())


# ---- Node ------------------------------------------------------------------------------------------


def _run_node(url):
    assert json.loads(programs.run_node("ws_echo.cjs", url)) == {"code": 3001, "extensions": ""}


@skippable("node")
@pytest.mark.parametrize("path", ["/pool", "/inline"])
def test_ws_on_node_echoes(server, path):
    _run_node(f"ws://127.0.0.1:{server.port}{path}")


@skippable("node")
@pytest.mark.parametrize("path", ["/pool", "/inline"])
def test_ws_on_node_echoes_over_tls(secure, path):
    _run_node(f"wss://127.0.0.1:{secure.tls_port}{path}")


# ---- Chromium --------------------------------------------------------------------------------------


def _page(server, browser, name, origin=None):
    """Opens one of the example pages, served by httpd."""
    shutil.copy(_EXAMPLES / name, server.root / "htdocs" / name)
    browser.get(f"{origin or f'http://127.0.0.1:{server.port}'}/{name}")


def _count(browser):
    text = text_of(browser, "increment-value")
    return int(text) if text.isdigit() else -1  # a dash before the first number


_WATCH_COUNTER = """
const value = document.getElementById("increment-value");
window.lowest = 1e9;
new MutationObserver(() => { window.lowest = Math.min(window.lowest, Number(value.textContent)); })
    .observe(value, {childList: true, characterData: true, subtree: true});
"""


@skippable("chromium")
def test_the_demo_page_works_in_chromium(server, browser):
    _page(server, browser, "demo.html")
    wait_until(lambda: text_of(browser, "status") == "connected", 10, "the page being connected")
    for message in ("Hello, httpd!", "ä€😀"):
        send_text(browser, "echo", message)
        wait_until(lambda: message in chromium.texts_of(browser, "#echo-log .in .text"), 5, "the echo on the page")
    wait_until(lambda: _count(browser) >= 20, 10, "the counter counting")
    pictures = httpd.BUILD / "screenshots"
    pictures.mkdir(exist_ok=True)
    assert browser.save_screenshot(str(pictures / "demo.png"))
    browser.execute_script(_WATCH_COUNTER)
    browser.find_element("id", "increment-reset").click()
    wait_until(lambda: browser.execute_script("return window.lowest") < 10, 5, "the counter starting again")
    assert text_of(browser, "status") == "connected"


def _exchange_sizes(browser, url):
    """Has the page send messages of many sizes to an echo, and checks what it saw."""
    result = browser.execute_async_script(
        """
        const [url, done] = arguments;
        const socket = new WebSocket(url);
        socket.binaryType = "arraybuffer";
        const sizes = [];
        socket.onopen = () => [0, 125, 126, 65535, 65536, 3000000].forEach(size => socket.send(new Uint8Array(size)));
        socket.onmessage = event => {
            sizes.push(event.data.byteLength);
            if (sizes.length === 6) {
                socket.close(3001, "bye");
            }
        };
        socket.onclose = event => done([sizes, event.code, event.wasClean, socket.extensions]);
    """,
        url,
    )
    assert result == [[0, 125, 126, 65535, 65536, 3000000], 3001, True, ""]


@skippable("chromium")
def test_chromium_sees_codes_and_big_messages(server, browser):
    _page(server, browser, "demo.html")
    _exchange_sizes(browser, f"ws://127.0.0.1:{server.port}/pool")


@pytest.mark.heavy
@skippable("chromium")
def test_chromium_sees_the_same_over_tls(secure, browser):
    host = f"127.0.0.1:{secure.tls_port}"
    _page(secure, browser, "demo.html", f"https://{host}")
    wait_until(lambda: text_of(browser, "status") == "connected", 10, "the page being connected")
    _exchange_sizes(browser, f"wss://{host}/pool")


@pytest.mark.heavy
@skippable("chromium")
def test_chromium_may_not_connect_from_another_origin(server, browser):
    _page(server, browser, "demo.html")
    result = browser.execute_async_script(
        """
        const [url, done] = arguments;
        const socket = new WebSocket(url);
        socket.onopen = () => done("open");
        socket.onerror = () => done("refused");
    """,
        f"ws://localhost:{server.port}/echo",
    )
    assert result == "refused"
