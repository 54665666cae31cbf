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
from test_docs import TOP, snippet
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


@pytest.mark.heavy
@skippable("chromium")
def test_the_page_of_the_documentation_outlives_httpd(start_httpd):
    """A child is killed; all of httpd is stopped and started again; a call waits meanwhile."""
    server = start_httpd(_PARTS + location("/jsonrpc", "echo"))
    htdocs = server.root / "htdocs"
    shutil.copy(PACKAGE / "dist/browser.js", htdocs)
    page = snippet(TOP / "docs/javascript.md", "html", "browser.js")
    options = "rpc: { requestTimeout: 600000"
    assert options in page
    (htdocs / "page.html").write_text(page.replace(options, f"{options}, sum: ([a, b]) => a + b"))
    watch = (
        "window.states = [state.textContent];"
        "new MutationObserver(() => states.push(state.textContent)).observe(state, { childList: true })"
    )
    states = ["connected"]

    def goes_on_to(*more):
        states.extend(more)
        wait_until(lambda: browser.execute_script("return window.states") == states, 30, f"{states} on the page")

    with chromium.chromium() as browser:
        browser.get(f"http://127.0.0.1:{server.port}/page.html")
        wait_until(lambda: text_of(browser, "state") == "connected", 30, "the page being connected")
        browser.execute_script(watch)
        browser.find_element("id", "add").click()
        wait_until(lambda: text_of(browser, "sum") == "5", 10, "the sum on the page")
        processes.kill(server.child())
        goes_on_to("lost with code 1006", "connected anew")
        server.forget_harm()
        server.stop()
        goes_on_to("lost with code 1001")
        browser.execute_script("b.value = 40; add.click()")
        server.start()
        goes_on_to("connected anew")
        wait_until(lambda: text_of(browser, "sum") == "42", 10, "the sum that waited")
