# SPDX-License-Identifier: Apache-2.0
"""The JavaScript client of clients/js at an echo, where it answers its own requests: how it comes back to httpd."""

import shutil
import signal

import pytest

import chromium
import processes
from chromium import skippable, text_of
from httpd import Httpd, location
from jsonrpc_client import PACKAGE, ClientError, JsonRpcClient
from waiting import wait_until

pytestmark = skippable("node")

# Tries again soon, so that tests do.
_SOON = {"minDelay": 20, "maxDelay": 200}

_PARTS = "AddType text/javascript .js\nWebSocketDrainTimeout 1s\n" + location("/echo", "echo")


def _client(server, path="/echo", **ws):
    configuration = {"ws": {"reconnection": _SOON, **ws}, "rpc": {"requestTimeout": 100000}}
    return JsonRpcClient(f"ws://127.0.0.1:{server.port}{path}", configuration)


def _error(result):
    with pytest.raises(ClientError) as raised:
        result()
    return raised.value


def test_comes_back_after_a_graceful_restart_and_sends_what_waited(start_httpd):
    server = start_httpd(_PARTS)
    with _client(server) as client:
        assert client.expect("onconnected") == {}  # an echo has no sessions
        assert client.send("double", [21]) == 42
        server.signal(signal.SIGUSR1)
        assert client.expect("onreconnecting")["code"] == 1012
        waiting = client.begin("send", "double", [4])
        assert client.expect_after_errors("onreconnected") == {"sameSession": False}
        assert waiting() == 8
        assert client.call("close")["code"] == 1000
    server.assert_unharmed()


def test_rejects_or_repeats_what_was_under_way_when_the_child_is_killed(start_httpd):
    server = start_httpd(_PARTS)
    with _client(server) as client:
        client.expect("onconnected")
        lost = client.begin("send", "never")
        repeated = client.begin("send", "secondTime", {}, {"retries": 5})
        assert client.send("double", [1]) == 2  # so the others have left and been received
        processes.kill(server.child())
        assert _error(lost).name == "ConnectionError"
        assert client.expect("onreconnecting")["code"] == 1006
        client.expect_after_errors("onreconnected")
        assert repeated() == 2
        assert client.call("look") == {"state": "connected", "pendingRequests": 0}
    server.forget_harm()


def test_says_why_httpd_does_not_let_it_in_and_goes_on_trying(start_httpd):
    server = start_httpd(_PARTS + '<Location "/closed">\n    Require all denied\n</Location>\n')
    with _client(server, "/closed") as client:
        waiting = client.begin("send", "double", [1])
        for _ in range(3):
            assert "403" in client.expect("onerror")["message"]
        assert client.call("look") == {"state": "connecting", "pendingRequests": 1}
        client.call("close")
        assert _error(waiting).name == "ClosedError"


_PAGE = """<!DOCTYPE html>
<meta charset="utf-8">
<title>The client in a page</title>
<output id="state"></output> <output id="answer"></output>
<script type="module">
    import { JsonRpcClient } from "./browser.js";

    window.states = [];
    const show = (text) => {
        states.push(text);
        state.textContent = text;
    };
    window.client = new JsonRpcClient({
        ws: {
            uri: "echo",
            onconnected: () => show("connected"),
            onreconnecting: ({ code }) => show(`lost ${code}`),
            onreconnected: () => show("connected again"),
        },
        rpc: { requestTimeout: 600000, double: ([number]) => number * 2, never: () => {} },
    });
    window.call = (method, ...rest) =>
        client.send(method, ...rest).then(
            (result) => (answer.textContent = result),
            (error) => (answer.textContent = error.name),
        );
</script>
"""


@skippable("chromium")
def test_a_page_in_chromium_outlives_httpd(start_httpd):
    """A child is killed; all of httpd is stopped and started again; a call waits meanwhile."""
    server = start_httpd(_PARTS)
    htdocs = server.root / "htdocs"
    shutil.copy(PACKAGE / "dist/browser.js", htdocs)
    (htdocs / "page.html").write_text(_PAGE)

    def shows(*states):
        wait_until(lambda: browser.execute_script("return window.states") == list(states), 30, f"{states} on the page")

    with chromium.chromium() as browser:
        browser.get(f"http://127.0.0.1:{server.port}/page.html")
        shows("connected")
        browser.execute_script("call('double', [21]).then(() => call('never'))")
        wait_until(lambda: text_of(browser, "answer") == "42", 10, "the answer on the page")
        processes.kill(server.child())
        shows("connected", "lost 1006", "connected again")
        assert text_of(browser, "answer") == "ConnectionError"
        server.forget_harm()
        server.stop()
        shows("connected", "lost 1006", "connected again", "lost 1001")
        browser.execute_script("call('double', [4])")
        server.start()
        shows("connected", "lost 1006", "connected again", "lost 1001", "connected again")
        wait_until(lambda: text_of(browser, "answer") == "8", 10, "the answer to what waited")
