# SPDX-License-Identifier: Apache-2.0
"""A browser whose WebSockets travel over HTTP/2, with the configuration of docs/http2.md."""

import json
import re

import pytest

import certificates
import httpd
from chromium import skippable
from httpd import free_port, location
from test_docs import TOP, snippet, with_our_files
from waiting import wait_until

# mod_http2 does not serve HTTP/2 with prefork.
MPMS = ("event", "worker")

_PAGE = """<!DOCTYPE html>
<meta charset="utf-8">
<title>WebSockets over HTTP/2</title>
<style>body { font: 20px sans-serif } li { margin: .3em }</style>
<h1>WebSockets over HTTP/2</h1>
<ul id="lines"></ul>
"""

_TALK = """
    const [paths, done] = arguments;
    const show = text => {
        const line = Object.assign(document.createElement("li"), {textContent: text});
        document.getElementById("lines").append(line);
    };
    const sizes = [0, 1, 126, 65536, 3000000];
    const talk = path => new Promise(resolve => {
        const socket = new WebSocket(`wss://${location.host}${path}`);
        const got = [];
        socket.binaryType = "arraybuffer";
        socket.onopen = () => sizes.forEach(size => socket.send(new Uint8Array(size)));
        socket.onmessage = event => {
            got.push(event.data.byteLength);
            if (got.length === sizes.length) {
                socket.close(3001, "bye");
            }
        };
        socket.onclose = event => {
            show(`${path}: echoed ${got.join(", ")} bytes, closed with ${event.code}, `
                + `clean: ${event.wasClean}`);
            resolve([got, event.code, event.wasClean]);
        };
    });
    Promise.all(paths.map(talk)).then(
        results => fetch("/index.html").then(() => done(JSON.stringify(results))));
"""


@pytest.fixture
def secure(start_httpd):
    """A server with the configuration of docs/http2.md, and the port where it speaks TLS."""
    port = free_port()
    certificate_file, key_file = certificates.certificate()
    text = with_our_files(snippet(TOP / "docs/http2.md", "apache", "H2WebSockets On"))
    for shown, ours in (
        (r"LoadModule http2_module .*", f"Listen 127.0.0.1:{port}"),
        (r"\*:443", f"127.0.0.1:{port}"),
        (r"/etc/ssl/certs/example\.pem", str(certificate_file)),
        (r"/etc/ssl/private/example\.key", str(key_file)),
    ):
        text, count = re.subn(shown, ours, text)
        assert count == 1, f"{shown} stands {count} times in docs/http2.md"
    log = 'CustomLog "@ROOT@/h2.log" "%H %{H2_STREAM_ID}e %>s %X %U"\n'
    server = start_httpd(
        log + location("/inline", "echo", "WebSocketDispatch Inline") + location("/debug", "debug") + text, modules=("http2", "ssl", "socache_shmcb")
    )
    (server.root / "htdocs/h2.html").write_text(_PAGE)
    return server, port


_CLOSED_BY_THE_SERVER = """
    const [path, done] = arguments;
    const socket = new WebSocket(`wss://${location.host}${path}`);
    socket.onopen = () => socket.send("close");
    socket.onclose = event => done([event.code, event.wasClean]);
"""


@pytest.mark.heavy
@pytest.mark.full
@skippable("chromium")
def test_chromium_speaks_over_http_2_and_closes_cleanly(secure, browser, mpm):
    server, port = secure
    # Over HTTP/2, so that Chromium knows what the server offers when it opens the WebSockets.
    browser.get(f"https://127.0.0.1:{port}/h2.html")
    browser.set_script_timeout(30)
    paths = ["/echo", "/inline", "/echo"]
    results = json.loads(browser.execute_async_script(_TALK, paths))
    assert results == [[[0, 1, 126, 65536, 3000000], 3001, True]] * len(paths)

    assert browser.execute_async_script(_CLOSED_BY_THE_SERVER, "/debug") == [1005, True]

    pictures = httpd.BUILD / "screenshots"
    pictures.mkdir(exist_ok=True)
    assert browser.save_screenshot(str(pictures / f"h2-{mpm}.png"))

    def entries():
        log = (server.root / "h2.log").read_text()
        return re.findall(r"^(\S+) (\d+) 101 (\S) /(?:echo|inline)$", log, re.MULTILINE)

    wait_until(lambda: len(entries()) == len(paths), 5, "all WebSockets in the access log")
    assert {protocol for protocol, _, _ in entries()} == {"HTTP/2.0"}
    assert len({stream for _, stream, _ in entries()}) == len(paths)
