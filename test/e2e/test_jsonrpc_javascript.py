# SPDX-License-Identifier: Apache-2.0
"""The JavaScript client of clients/js, in Node, with the JSON-RPC service that is shipped."""

import pathlib
import shutil
import signal
import subprocess

import pytest

import chromium
import processes
import programs
from chromium import skippable
from httpd import Httpd, location, shipped
from jsonrpc_client import PACKAGE, ClientError, JsonRpcClient, program
from waiting import patience, wait_until

pytestmark = [skippable("node"), pytest.mark.heavy]

_TOP = pathlib.Path(__file__).resolve().parent.parent.parent

# Tries again soon, so that tests do.
_SOON = {"reconnection": {"minDelay": 20, "maxDelay": 200}}

_PARTS = (
    "WebSocketDrainTimeout 1s\n"
    + shipped("/jsonrpc", "jsonrpc")
    + shipped("/kurento", "jsonrpc", "WebSocketOption compatibility kurento", "WebSocketOption watchdog on")
    + shipped("/sockjs", "jsonrpc", "WebSocketOption sockjs on")
    + location("/echo", "echo")
)


@pytest.fixture(scope="module")
def shared(mpm):
    with Httpd(mpm, _PARTS, children=2) as server:
        yield server


@pytest.fixture
def rpc(shared):
    """The server; the test fails if it harmed a child."""
    yield shared
    shared.assert_unharmed()


def _client(server, path="/jsonrpc", **configuration):
    ws = {**_SOON, **configuration.pop("ws", {})}
    return JsonRpcClient(f"ws://127.0.0.1:{server.port}{path}", {"ws": ws, **configuration})


def _error(call, *arguments):
    with pytest.raises(ClientError) as raised:
        call(*arguments)
    return raised.value


# ---- Node --------------------------------------------------------------------------------------------


def test_gets_errors_of_the_server_as_errors(rpc):
    with _client(rpc) as client:
        client.expect("onconnected")
        assert _error(client.send, "no such method").code == -32601
        assert _error(client.send, "sum", ["no number"]).code == -32602
        assert client.send("sum", [1, 2]) == 3
        assert client.call("look")["pendingRequests"] == 0


def test_calls_and_is_called(rpc):
    with _client(rpc) as client:
        assert client.expect("onconnected")["sessionId"]
        assert client.send("echo", {"a": [1, None, "ä€😀"]}) == {"a": [1, None, "ä€😀"]}
        client.send("subscribe", {"topic": "t"})
        client.call("notify", "publish", {"topic": "t", "data": {"x": 1}})
        assert client.expect("event") == {"topic": "t", "data": {"x": 1}}
        assert client.send("ask", {"method": "double", "params": [21]}) == 42
        assert client.send("ask", {"method": "reply", "params": {"a": 1}}) == {"got": {"a": 1}}
        assert client.send("ask", {"method": "pull", "params": {}}) == "push"
        unknown = _error(client.send, "ask", {"method": "unknown", "params": []})
        assert (unknown.code, unknown.message) == (-32601, 'the client has no method "unknown"')
        failed = _error(client.send, "ask", {"method": "fail", "params": []})
        assert (failed.code, failed.message) == (-32603, "of the client")
        assert client.expect("onerror")["message"] == "of the client"
        counted = client.begin("send", "count", {"to": 3, "interval": 1})
        assert [client.expect("count") for _ in range(3)] == [[1], [2], [3]]
        assert counted() is None


def test_understands_the_wire_of_kurento_and_keeps_its_watchdog_calm(rpc):
    with _client(rpc, "/kurento", heartbeat=100) as client:
        session = client.expect("onconnected")["sessionId"]
        assert client.send("echo", {"some": "Value"}) == {"some": "Value", "sessionId": session}
        assert client.send("sum", [1, 2]) == {"value": 3, "sessionId": session}
        # The server would close after 300 ms without a ping.
        client.send("count", {"to": 10, "interval": 100})
        assert [client.expect("count") for _ in range(10)] == [[n] for n in range(1, 11)]
        assert client.call("look")["state"] == "connected"


def test_finds_its_session_again_after_a_lost_connection(rpc):
    with _client(rpc) as client:
        session = client.expect("onconnected")["sessionId"]
        client.send("remember", {"name": "colour", "value": "green"})
        client.send("subscribe", {"topic": "again"})
        client.call("forceClose", 1)
        assert client.expect("onreconnecting")["code"] == 1006
        assert client.expect("onreconnected") == {"sessionId": session, "sameSession": True}
        assert client.send("recall", {"name": "colour"}) == "green"
        client.send("publish", {"topic": "again", "data": 1})
        assert client.expect("event") == {"topic": "again", "data": 1}


def test_does_all_of_it_over_sockjs_too(rpc):
    with _client(rpc, "/sockjs", heartbeat=100, ws={"useSockJS": True}) as client:
        session = client.expect("onconnected")["sessionId"]
        assert client.send("echo", {"a": ["ä€😀", "x" * 50000]}) == {"a": ["ä€😀", "x" * 50000]}
        client.send("subscribe", {"topic": "sockjs"})
        client.send("publish", {"topic": "sockjs", "data": 2})
        assert client.expect("event") == {"topic": "sockjs", "data": 2}
        assert client.send("ask", {"method": "double", "params": [21]}) == 42
        client.send("remember", {"name": "colour", "value": "green"})
        client.call("forceClose", 1)
        client.expect("onreconnecting")
        assert client.expect("onreconnected") == {"sessionId": session, "sameSession": True}
        assert client.send("recall", {"name": "colour"}) == "green"
        client.send("publish", {"topic": "sockjs", "data": 3})
        assert client.expect("event") == {"topic": "sockjs", "data": 3}
        assert client.call("close")["final"]


def test_tells_the_server_that_it_closes_and_the_session_is_gone(rpc):
    with _client(rpc, sendCloseMessage=True) as client:
        session = client.expect("onconnected")["sessionId"]
        assert client.call("close")["final"]
        client.expect("ondisconnect")
        assert _error(client.send, "echo").name == "ClosedError"
    with _client(rpc, session=False) as other:
        assert _error(other.send, "connect", {"sessionId": session}).code == 40007


@pytest.mark.each_mpm
def test_says_truly_after_a_graceful_restart_whether_its_session_is_there(start_httpd):
    server = start_httpd(_PARTS, children=2)
    with _client(server) as client:
        session = client.expect("onconnected")["sessionId"]
        client.send("remember", {"name": "colour", "value": "green"})
        server.signal(signal.SIGUSR1)
        assert client.expect("onreconnecting")["code"] == 1012
        back = client.expect_after_errors("onreconnected")
        # It is handed over if the next generation was there before the end of this one.
        assert back["sameSession"] == (back["sessionId"] == session)
        assert client.send("recall", {"name": "colour"}) == ("green" if back["sameSession"] else None)
    server.assert_unharmed()


def test_rejects_or_repeats_what_was_under_way_when_the_child_is_killed(start_httpd):
    server = start_httpd(_PARTS)
    with _client(server, rpc={"requestTimeout": 100000}) as client:
        session = client.expect("onconnected")["sessionId"]
        lost = client.begin("send", "count", {"to": 1, "interval": 3600000})
        repeated = client.begin("send", "count", {"to": 1, "interval": 1000}, {"retries": 5})
        client.send("echo")  # both have left
        processes.kill(server.child())
        assert _error(lost).name == "ConnectionError"
        assert client.expect("onreconnecting")["code"] == 1006
        back = client.expect_after_errors("onreconnected")
        assert not back["sameSession"]
        assert back["sessionId"] not in (None, session)
        assert repeated() is None
        assert client.call("look") == {"state": "connected", "sessionId": back["sessionId"], "pendingRequests": 0}
    server.forget_harm()


def test_the_programs_of_its_readme_print_what_it_says(rpc):
    done = subprocess.run(
        program("jsonrpc_snippets.mjs", _TOP / "clients/js/README.md", f"ws://127.0.0.1:{rpc.port}"),
        text=True,
        timeout=patience(60),
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout
    assert int(done.stdout) >= 1


# ---- Chromium ----------------------------------------------------------------------------------------

_PAGE = """<!DOCTYPE html><script src="sockjs.min.js"></script><script type="module">
import { JsonRpcClient } from "./browser.js";
window.seen = {};
window.clients = Object.fromEntries(["jsonrpc", "sockjs"].map((uri) => {
    const told = seen[uri] = [];
    return [uri, new JsonRpcClient({
        ws: {
            uri, useSockJS: uri === "sockjs", reconnection: { minDelay: 20, maxDelay: 200 },
            onconnected: () => told.push("connected"),
            onreconnecting: ({ code }) => told.push(`lost ${code}`),
            onreconnected: ({ sameSession }) => told.push(sameSession ? "same session" : "new session"),
        },
        rpc: { requestTimeout: 600000 },
    })];
}));
</script>"""


@skippable("chromium")
def test_a_page_comes_back_with_its_session_or_is_told_whatever_becomes_of_httpd(start_httpd):
    """Over WebSocket and over SockJS: connections are lost, the child is killed, all of httpd is killed."""
    server = start_httpd("AddType text/javascript .js\n" + _PARTS)
    htdocs = server.root / "htdocs"
    shutil.copy(PACKAGE / "dist/browser.js", htdocs)
    shutil.copy(programs.node_modules() / "sockjs-client/dist/sockjs.min.js", htdocs)
    (htdocs / "page.html").write_text(_PAGE)
    told = []

    with chromium.chromium() as browser:

        def all_are_told(*more):
            told.extend(more)
            wanted = {"jsonrpc": told, "sockjs": told}
            wait_until(lambda: browser.execute_script("return window.seen") == wanted, 30, f"{told} on the page")

        def all_send(method, params):
            answers = "Promise.all(Object.values(clients).map((one) => one.send(arguments[0], arguments[1])))"
            return browser.execute_async_script(f"{answers}.then(arguments[2], (error) => arguments[2](String(error)))", method, params)

        browser.set_script_timeout(patience(20))
        browser.get(f"http://127.0.0.1:{server.port}/page.html")
        all_are_told("connected")
        assert all_send("remember", ["colour", "green"]) == [None, None]
        browser.execute_script("for (const one of Object.values(clients)) one.forceClose(1)")
        all_are_told("lost 1006", "same session")
        assert all_send("recall", ["colour"]) == ["green", "green"]
        processes.kill(server.child())
        all_are_told("lost 1006", "new session")
        server.forget_harm()
        assert all_send("recall", ["colour"]) == [None, None]
        assert all_send("remember", ["colour", "blue"]) == [None, None]
        server.kill()
        all_are_told("lost 1006")  # what is sent before that may be under way, and fail
        browser.execute_script("window.sums = Promise.all(Object.values(clients).map((one) => one.send('sum', [40, 2])))")
        server.start()
        all_are_told("new session")
        assert browser.execute_async_script("sums.then(arguments[0], (error) => arguments[0](String(error)))") == [42, 42]
        assert all_send("recall", ["colour"]) == [None, None]
