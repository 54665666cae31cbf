# SPDX-License-Identifier: Apache-2.0
"""JSON-RPC services and clients that mean them harm: each is answered or ended, and nobody else notices."""

import collections
import json
import select

import pytest

import frames
from httpd import Httpd, location, shipped
from waiting import patience

_SIZE = "WebSocketOption size 4194304"

_PARTS = (
    shipped("/jsonrpc", "jsonrpc", "WebSocketMaxMessageSize 8M", _SIZE)
    + shipped("/few", "jsonrpc", "WebSocketOption sessions few", "WebSocketOption max_sessions 20")
    + location("/slow", "jsonrpc_slow", "WebSocketOption threads 2", "WebSocketOption request_timeout 600000")
)


@pytest.fixture(scope="module")
def hostile_server(mpm):
    with Httpd(mpm, _PARTS, children=1) as server:
        yield server


@pytest.fixture
def rpc(hostile_server):
    """The server; it still answers at the end, and was not harmed."""
    yield hostile_server
    with hostile_server.websocket("/jsonrpc") as client:
        assert _ask(client, "echo", [1])["result"] == [1]
    hostile_server.assert_unharmed()


def _text(method, params, number=1):
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode()


def _ask(client, method, params=(), number=1):
    client.send(frames.text(_text(method, params, number)))
    return json.loads(client.expect_text())


def _sum(params):
    return b'{"jsonrpc":"2.0","id":1,"method":"sum","params":' + params + b"}"


_CALL = _sum(b"[]")
# Made when they are sent: each process of a test run reads this file.
_MANY = {
    "many requests": lambda: (b"[" + b",".join([_CALL] * 50000) + b"]", -32600),
    "many members of a batch": lambda: (b"[" + b"0," * 1500000 + b"0]", -32600),
    "deep arrays": lambda: (b"[" * 1000000, -32700),
    "deep objects": lambda: (b'{"a":' * 200000 + b"1" + b"}" * 200000, -32700),
    "an infinite number": lambda: (_sum(b"[1e400]"), -32700),
    "a long integer": lambda: (_sum(b"[" + b"9" * 100000 + b"]"), -32700),
    "a long fraction": lambda: (_sum(b"[0." + b"9" * 1000000 + b"]"), 0),
    "a member twice": lambda: (b'{"jsonrpc":"2.0","id":1,"method":"echo","method":"sum"}', -32700),
    "one of many twice": lambda: (b"{" + b",".join(b'"%d":1' % n for n in range(200000)) + b',"7":1}', -32700),
    "half a pair": lambda: (_sum(b'["\\ud800"]'), -32700),
    "a pair the wrong way": lambda: (_sum(b'["\\udc00\\ud800"]'), -32700),
    "a byte behind": lambda: (_CALL + b"\x00", -32700),
    "a long name": lambda: (_text("\u20ac" * 100000, []), -32601),
    "many names": lambda: (_sum(b"{" + b",".join(b'"%d":1' % n for n in range(100000)) + b"}"), -32602),
    "a long id": lambda: (b'{"jsonrpc":"2.0","id":"' + b"i" * 1000000 + b'","method":"none"}', -32601),
    "too much": lambda: (_sum(b'["' + b"x" * 5000000 + b'"]'), -32700),
    "nothing": lambda: (b"", -32700),
}


@pytest.mark.parametrize("message", _MANY)
def test_what_no_client_would_send_is_answered_once_and_so_is_the_next_request(rpc, message):
    text, code = _MANY[message]()
    with rpc.websocket("/jsonrpc") as client:
        client.send(frames.text(text))
        answer = json.loads(client.expect_text())
        assert answer.get("error", {}).get("code", 0) == code, str(answer)[:200]
        assert _ask(client, "echo", ["x"])["result"] == ["x"]


@pytest.mark.parametrize("message", [b'"\xff"', b'{"id":"\xed\xa0\x80"}', b"\xc0\xae", _sum(b'["\xf4\x90\x80\x80"]')])
def test_what_is_not_utf8_ends_the_connection(rpc, message):
    with rpc.websocket("/jsonrpc") as client:
        client.send(frames.text(message))
        client.expect_close(1007)


def test_who_never_reads_is_not_read_from_and_gets_all_answers_when_he_does(rpc):
    request = frames.text(_text("echo", ["x" * 10000]))
    flood = memoryview(request * 5000)
    sent = 0
    with rpc.websocket("/jsonrpc", receive_buffer=4096) as client:
        client.sock.setblocking(False)
        while sent < len(flood) and select.select([], [client.sock], [], patience(0.1))[1]:
            sent += client.sock.send(flood[sent : sent + 65536])
        client.sock.setblocking(True)
        assert sent < len(flood), "it was never held back"
        for _ in range(sent // len(request)):
            assert json.loads(client.expect_text())["result"] == ["x" * 10000]


def test_who_reads_slower_than_methods_answer_gets_all_answers(rpc):
    requests = b"".join(frames.text(_text("text", [200000], number)) for number in range(50))
    with rpc.websocket("/slow", receive_buffer=65536) as client:
        client.send(requests)
        for number in range(50):
            answer = json.loads(client.expect_text())
            assert (answer["id"], len(answer["result"])) == (number, 200000)


def test_sessions_that_are_left_behind_keep_nobody_out(rpc):
    with rpc.websocket("/few") as honest:
        assert _ask(honest, "remember", ["who", "honest"])["result"] is None
        for number in range(100):
            with rpc.websocket("/few") as leaves:
                assert "result" in _ask(leaves, "remember", ["much", "x" * 1000], number)
        with rpc.websocket("/few") as late:
            assert "result" in _ask(late, "connect", {})
        figures = {name: int(value) for name, value in rpc.status().items() if "sessions" in name and "/few" in name}
        assert [0 < figure <= 20 for figure in figures.values()] == [True], figures
        assert _ask(honest, "recall", ["who"])["result"] == "honest"


def test_only_those_who_are_here_can_be_too_many(rpc):
    clients = [rpc.websocket("/few") for _ in range(25)]
    answers = [_ask(client, "connect", {}) for client in clients]
    assert [answer.get("error", {}).get("code") for answer in answers] == [None] * 20 + [-32001] * 5
    for client in clients:
        client.close_handshake()


def test_guessing_ids_holds_up_the_guesser_and_nobody_else(rpc):
    with rpc.websocket("/jsonrpc") as guesser, rpc.websocket("/jsonrpc") as other:
        guess = frames.text(_text("connect", {"sessionId": "a" * 26}, 1))
        guesser.send(guess + frames.text(_text("echo", [2], 2)) + guess + frames.text(_text("echo", [4], 4)))
        assert _ask(other, "echo", [0])["result"] == [0]
        answers = [json.loads(guesser.expect_text()) for _ in range(4)]
        assert [answer["id"] for answer in answers] == [1, 2, 1, 4]
        assert [answer.get("error", {}).get("code") for answer in answers] == [40007, None, 40007, None]
        for absurd in ("b" * 1000000, "", "\x00", "../..", "ä" * 30):
            code = _ask(guesser, "connect", {"sessionId": absurd})["error"]["code"]
            assert code == (40007 if absurd else -32602)


def test_requests_that_wait_for_a_method_have_a_limit_in_bytes(rpc):
    with rpc.websocket("/slow") as client:
        client.send(frames.text(_text("wait_for_client", ["go"], "slow")))
        assert json.loads(client.expect_text())["method"] == "go"
        big = ["x", [0] * 100000]  # 200 KB of text, and twenty times that in memory
        client.send(b"".join(frames.text(_text("set", big, number)) for number in range(20)))
        client.send(frames.text(_text("ping", {}, "ping")))
        told = collections.Counter()
        while (answer := json.loads(client.expect_text()))["id"] != "ping":
            told[answer["error"]["code"]] += 1
        assert told[-32000] >= 18, told
        client.send(frames.text(b'{"jsonrpc":"2.0","id":1,"result":1}'))
        assert json.loads(client.expect_text())["id"] == "slow"


def test_a_flood_is_answered_in_its_order_and_others_have_their_turn(rpc):
    flood = b"".join(frames.text(_text("echo", [number], number)) for number in range(10000))
    with rpc.websocket("/jsonrpc") as client, rpc.websocket("/jsonrpc") as other:
        client.send_while_reading(flood)
        assert _ask(other, "echo", ["me"])["result"] == ["me"]
        assert [json.loads(client.expect_text())["id"] for _ in range(10000)] == list(range(10000))
