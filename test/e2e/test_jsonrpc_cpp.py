# SPDX-License-Identifier: Apache-2.0
"""The C++ client of websocket/jsonrpc_client.hpp with the JSON-RPC service that is shipped."""

import json
import subprocess

import pytest

import certificates
import processes
from httpd import BUILD
from jsonrpc_client import ClientError, JsonRpcClient
from tls import TlsHttpd
from waiting import patience

_SERVICE = f'SetHandler websocket-handler\n    WebSocketHandler "{BUILD}/plugins/websocket_jsonrpc.so" jsonrpc_init'
_PARTS = f"""
WebSocketDrainTimeout 1s
<Location "/jsonrpc">
    {_SERVICE}
</Location>
<Location "/kurento">
    {_SERVICE}
    WebSocketOption compatibility kurento
    WebSocketOption watchdog on
</Location>
<Location "/closed">
    Require all denied
</Location>
"""


@pytest.fixture(scope="module")
def shared(mpm):
    with TlsHttpd(mpm, _PARTS, children=2) as server:
        yield server


@pytest.fixture
def rpc(shared):
    """The server; the test fails if it harmed a child."""
    yield shared
    shared.assert_unharmed()


def _client(uri, **configuration):
    return JsonRpcClient(uri, command=[BUILD / "test/jsonrpc-client", uri, json.dumps(configuration)])


def _plain(server, path="/jsonrpc", **configuration):
    return _client(f"ws://127.0.0.1:{server.port}{path}", **configuration)


def _error(call, *arguments):
    with pytest.raises(ClientError) as raised:
        call(*arguments)
    return raised.value


def test_says_why_httpd_does_not_let_it_in_and_goes_on_trying(rpc):
    with _plain(rpc, "/closed") as client:
        for _ in range(2):
            assert "the server answered 403 Forbidden" in client.expect("onerror")["message"]
        assert client.call("look")["state"] == "connecting"


def test_does_not_trust_a_certificate_that_signs_itself(rpc):
    with _client(f"wss://localhost:{rpc.tls_port}/jsonrpc") as client:
        assert "certificate is not accepted: self-signed certificate" in client.expect("onerror")["message"]


@pytest.mark.parametrize("trust", ({"verify": False}, {"caFile": str(certificates.certificate()[0])}), ids=("blind", "file"))
def test_calls_over_tls(rpc, trust):
    with _client(f"wss://localhost:{rpc.tls_port}/jsonrpc", **trust) as client:
        session = client.expect("onconnected")["sessionId"]
        assert client.send("echo", {"a": "x" * 100000}) == {"a": "x" * 100000}
        client.call("forceClose", 1)
        client.expect("onreconnecting")
        assert client.expect("onreconnected") == {"sessionId": session, "sameSession": True}


def test_calls_and_is_called(rpc):
    with _plain(rpc) as client:
        assert client.expect("onconnected")["sessionId"]
        assert _error(client.send, "no such method").code == -32601
        assert client.send("sum", [1, 2]) == 3
        assert client.send("echo", {"a": [1, None, "ä€😀"]}) == {"a": [1, None, "ä€😀"]}
        client.send("subscribe", {"topic": "cpp"})
        client.call("notify", "publish", {"topic": "cpp", "data": {"x": 1}})
        assert client.expect("event") == {"topic": "cpp", "data": {"x": 1}}
        assert client.send("ask", {"method": "double", "params": [21]}) == 42
        assert client.send("ask", {"method": "reply", "params": {"a": 1}}) == {"got": {"a": 1}}
        assert client.send("ask", {"method": "pull", "params": {}}) == "push"
        unknown = _error(client.send, "ask", {"method": "unknown", "params": []})
        assert (unknown.code, unknown.message) == (-32601, 'the client has no method "unknown"')
        assert _error(client.send, "ask", {"method": "fail", "params": []}).message == "of the client"
        assert client.expect("onerror")["message"] == "of the client"


def test_understands_the_wire_of_kurento_and_keeps_its_watchdog_calm(rpc):
    with _plain(rpc, "/kurento", heartbeat=100) as client:
        session = client.expect("onconnected")["sessionId"]
        assert client.send("sum", [1, 2]) == {"value": 3, "sessionId": session}
        # The server would close after 300 ms without a ping.
        client.send("count", {"to": 10, "interval": 100})
        assert [client.expect("count") for _ in range(10)] == [[n] for n in range(1, 11)]


def test_finds_its_session_again_after_a_lost_connection(rpc):
    with _plain(rpc) as client:
        session = client.expect("onconnected")["sessionId"]
        client.send("remember", {"name": "colour", "value": "green"})
        client.call("forceClose", 1)
        assert client.expect("onreconnecting")["code"] == 1006
        assert client.expect("onreconnected") == {"sessionId": session, "sameSession": True}
        assert client.send("recall", {"name": "colour"}) == "green"


def test_tells_the_server_that_it_closes_and_the_session_is_gone(rpc):
    with _plain(rpc, sendCloseMessage=True) as client:
        session = client.expect("onconnected")["sessionId"]
        assert client.call("close")["final"]
        client.expect("ondisconnect")
        assert _error(client.send, "echo").name == "ClosedError"
    with _plain(rpc, session=False) as other:
        assert _error(other.send, "connect", {"sessionId": session}).code == 40007


def _call(*words):
    """The example: its exit status and what it prints, on both streams."""
    done = subprocess.run(
        [BUILD / "test/jsonrpc-call", *words],
        text=True,
        timeout=patience(30),
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return done.returncode, done.stdout


def test_the_example_prints_results_and_errors(rpc):
    address = f"ws://localhost:{rpc.port}/jsonrpc"
    assert _call("ftp://localhost/", "sum") == (1, 'ws.uri must begin with ws:// or wss://, not "ftp://localhost/"\n')
    status, text = _call(address, "sum", '["x"]')
    assert status == 1 and text.startswith("error -32602: Invalid params")
    assert _call(address, "sum", "[1, 2, 3]") == (0, "6\n")


def test_comes_back_when_a_child_is_killed_and_when_httpd_was_away(start_httpd):
    server = start_httpd(_PARTS)
    with _plain(server, requestTimeout=100000) as client:
        session = client.expect("onconnected")["sessionId"]
        lost = client.begin("send", "count", {"to": 1, "interval": 3600000})
        repeated = client.begin("send", "count", {"to": 1, "interval": 1000}, {"retries": 5})
        client.send("echo", {})  # both have left
        processes.kill(server.child())
        assert _error(lost).name == "ConnectionError"
        assert client.expect("onreconnecting")["code"] == 1006
        back = client.expect_after_errors("onreconnected")
        assert not back["sameSession"] and back["sessionId"] not in (None, session)
        client.expect("count")
        assert repeated() is None
        server.forget_harm()
        server.stop()
        assert client.expect("onreconnecting")["code"] in (1001, 1006)
        waits = client.begin("send", "sum", [40, 2])
        server.start()
        client.expect_after_errors("onreconnected")
        assert waits() == 42
