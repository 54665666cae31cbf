# SPDX-License-Identifier: Apache-2.0
"""The plugin interface of version 0 at work, with plugins that ask for everything and behave."""

import select

import pytest

import frames
from httpd import Httpd, template
from waiting import wait_until


@pytest.fixture(scope="module")
def lone_child(mpm):
    """A server of one child, so that all clients meet in one process."""
    with Httpd(mpm, template("plugins.conf"), children=1) as server:
        yield server


def ask(client, command):
    """The answer of a plugin to a text command."""
    client.send(frames.text(command))
    return client.expect_text()


@pytest.fixture(params=["/debug", "/debug-inline"])
def debug(request, server):
    client = server.websocket(
        request.param,
        headers=[
            ("X-Test", "some value"),
            ("X-Twice", "a"),
            ("X-Twice", "b"),
            ("Sec-WebSocket-Protocol", "a, b"),
            ("Sec-WebSocket-Protocol", "c"),
        ],
    )
    yield client
    client.close()


# ---- debug: every function of the server table -----------------------------------------------------


def test_close_reaches_the_client_without_a_status(debug):
    debug.send(frames.text("close"))
    debug.expect_close(frames.NO_STATUS)


def test_nothing_is_sent_after_close_though_messages_are_read_on(debug):
    debug.send(frames.text("close") + frames.text("version") + frames.text("close"))
    debug.expect_close(frames.NO_STATUS)


def test_header_get_finds_headers_in_any_case(debug):
    assert ask(debug, "header: X-Test") == "some value"
    assert ask(debug, "header: x-tEST") == "some value"
    assert ask(debug, "header: X-Absent") == "<null>"
    assert ask(debug, "header: X-Twice") == "a, b"
    assert ask(debug, "header: Host") == "127.0.0.1"


def test_server_table_has_its_version_and_size(debug):
    assert ask(debug, "version") == "1"
    assert ask(debug, "size") == "80"


def test_offered_subprotocols_can_be_counted_and_read(debug):
    assert ask(debug, "proto-count") == "3"
    assert [ask(debug, f"proto-index: {n}") for n in (0, 1, 2, 3, 4294967295)] == [
        "a",
        "b",
        "c",
        "<null>",
        "<null>",
    ]


def test_no_subprotocols_are_counted_where_none_is_offered(server):
    with server.websocket("/debug") as client:
        assert ask(client, "proto-count") == "0"
        assert ask(client, "proto-index: 0") == "<null>"


@pytest.mark.parametrize(("index", "chosen"), [(0, "a"), (1, "b"), (2, "c"), (3, None)])
def test_the_chosen_subprotocol_is_announced(server, index, chosen):
    headers = [("Sec-WebSocket-Protocol", "a, b, c"), ("X-Choose-Subprotocol", index)]
    with server.websocket("/debug", headers=headers) as client:
        assert client.response.header("Sec-WebSocket-Protocol") == chosen


@pytest.mark.parametrize(("index", "chosen"), [(127, "p127"), (128, None)])
def test_of_many_offers_the_first_ones_are_seen(server, index, chosen):
    offers = ",".join(f"p{n}" for n in range(1000))
    headers = [("Sec-WebSocket-Protocol", offers), ("X-Choose-Subprotocol", index)]
    with server.websocket("/debug", headers=headers) as client:
        assert client.response.header("Sec-WebSocket-Protocol") == chosen
        assert ask(client, "proto-count") == "128"


def test_headers_set_by_the_plugin_reach_the_client(debug):
    assert debug.response.header("X-Debug-Header") == "true"


def test_binary_messages_reach_the_plugin_as_binary(debug):
    debug.send(frames.binary(b"version") + frames.text("version"))
    assert debug.expect_text() == "1"


# ---- threads and the layout of old binaries --------------------------------------------------------


def test_ten_threads_send_a_thousand_messages_each_in_order(server):
    with server.websocket("/threads") as client:
        counts = dict.fromkeys(range(10), 1000)
        for _ in range(10000):
            thread, count = map(int, client.expect_text().split(": "))
            assert counts[thread] == count, f"thread {thread} sent {count}, {counts[thread]} is due"
            counts[thread] -= 1
        assert set(counts.values()) == {0}
        client.expect_close(1000)


def test_the_threads_of_a_plugin_end_with_a_client_that_leaves(lone_child):
    clients = [lone_child.websocket("/threads") for _ in range(5)]
    for client in clients:
        client.expect_text()
        client.reset()
    with lone_child.websocket("/debug") as client:
        assert ask(client, "version") == "1"
    lone_child.assert_unharmed()


def test_a_binary_compiled_long_ago_still_works(server):
    with server.websocket("/old-layout") as client:
        assert client.response.header("X-Old-Layout") == "true"
        assert ask(client, "layout") == "size 80 version 1 expected 80 1"
        assert ask(client, "hello") == "hello"
        client.send(frames.binary(b"\0\xff"))
        client.expect(frames.BINARY, b"\0\xff")
        client.close_handshake()


# ---- lifecycle -------------------------------------------------------------------------------------


@pytest.fixture(params=["/lifecycle", "/lifecycle-inline"])
def life(request, lone_child):
    """A path of the lifecycle plugin."""
    yield request.param
    with lone_child.websocket(request.param) as client:
        assert ask(client, "violations") == "0"
    lone_child.assert_unharmed()


def counts(client):
    """(connects, messages, disconnects, live)"""
    return tuple(map(int, ask(client, "counts").split()))


def await_live(client, live):
    """Waits until so many clients are alive; returns the counts."""
    wait_until(lambda: counts(client)[3] == live, 5, f"{live} live clients")
    return counts(client)


_ENDINGS = {
    "close": lambda client: client.close_handshake(),
    "close_without_status": lambda client: (client.send(frames.close()), client.expect_close(1000)),
    "close_unanswered": lambda client: (client.send(frames.close(1000)), client.close()),
    "end_of_stream": lambda client: client.close(),
    "half_close": lambda client: (client.half_close(), client.expect_close(1011)),
    "reset": lambda client: client.reset(),
    "reset_in_a_frame": lambda client: (client.send(frames.text("hello")[:-2]), client.reset()),
    "end_in_a_message": lambda client: (client.send(frames.text("hello", fin=False)), client.close()),
    "protocol_error": lambda client: (client.send(b"\xff\xff"), client.expect_close(1002)),
    "bad_text": lambda client: (client.send(frames.text(b"\xff")), client.expect_close(1007)),
    "unread_echoes": lambda client: (client.send(frames.text("x" * 1000) * 100), client.reset()),
    "messages_then_close": lambda client: (
        client.send(frames.text("x") * 100 + frames.close(1000)),
        client.close(),
    ),
}


@pytest.mark.parametrize("ending", _ENDINGS)
def test_on_disconnect_comes_exactly_once(lone_child, life, ending):
    with lone_child.websocket(life) as observer:
        connects, _, disconnects, live = await_live(observer, 1)
        for _ in range(5):
            _ENDINGS[ending](lone_child.websocket(life))
        assert await_live(observer, 1)[0::2] == (connects + 5, disconnects + 5)
        assert live == 1


def test_on_disconnect_does_not_come_for_a_client_that_was_refused(lone_child):
    with lone_child.websocket("/lifecycle") as observer:
        before = await_live(observer, 1)
        assert lone_child.answer("/lifecycle", key="bad").status == 400
        assert counts(observer)[0::2] == before[0::2]


def test_messages_of_one_client_come_in_order_and_never_two_at_once(lone_child, life):
    with lone_child.websocket(life) as client:
        client.send_while_reading(b"".join(frames.text(f"message {n}") for n in range(5000)))
        for n in range(5000):
            client.expect_text(f"message {n}")


def test_the_request_lives_as_long_as_the_connection(lone_child, life):
    headers = [("X-Test", "value"), ("Cookie", "a=b")]
    with lone_child.websocket(f"{life}/below?key=%20x", host="some.example:8080", headers=headers) as client:
        for _ in range(3):
            request = dict(line.split("=", 1) for line in ask(client, "request").splitlines())
            assert request["method"] == "GET" and request["protocol"] == "HTTP/1.1"
            assert request["the_request"] == f"GET {life}/below?key=%20x HTTP/1.1"
            assert request["unparsed_uri"] == f"{life}/below?key=%20x"
            assert (request["uri"], request["args"]) == (f"{life}/below", "key=%20x")
            assert (request["hostname"], request["useragent_ip"]) == ("some.example", "127.0.0.1")
            assert request["handler"] == "websocket-handler"
            received = ask(client, "headers-in").splitlines()
            assert "X-Test=value" in received and "Cookie=a=b" in received
            assert ask(client, "pool") == "pool ok"


def test_the_pool_of_the_request_is_cleared_after_on_disconnect(lone_child, life):
    with lone_child.websocket(life) as observer:
        before = int(ask(observer, "cleanups"))
        for _ in range(3):
            client = lone_child.websocket(life)
            assert ask(client, "pool") == "pool ok"
            client.reset()
        wait_until(lambda: int(ask(observer, "cleanups")) == before + 3, 5, "the pools being cleared")


# ---- sleepy ----------------------------------------------------------------------------------------


def test_a_slow_plugin_delays_no_other_client(lone_child):
    with lone_child.websocket("/sleepy") as slow, lone_child.websocket("/sleepy") as quick:
        slow.send(frames.text("sleep 4000") + frames.text("next") + frames.ping(b"p"))
        slow.expect_pong(b"p")  # before the answer
        for n in range(10):
            quick.send(frames.text(f"{n}"))
            quick.expect_text(f"{n}")
        assert not select.select([slow.sock], [], [], 0)[0], "the slow one was first"
        slow.expect_text("sleep 4000")
        slow.expect_text("next")


def test_many_slow_messages_run_side_by_side(lone_child):
    clients = [lone_child.websocket("/sleepy") for _ in range(100)]
    for client in clients:
        client.send(frames.text("sleep 100"))
    for client in clients:
        client.expect_text("sleep 100", seconds=5)
        client.close()


def test_a_client_that_leaves_during_a_slow_message_harms_nobody(lone_child):
    for _ in range(5):
        client = lone_child.websocket("/sleepy")
        client.send(frames.text("sleep 200") + frames.text("x") * 50)
        client.reset()
    with lone_child.websocket("/sleepy") as client:
        client.send(frames.text("sleep 300"))
        client.expect_text("sleep 300")
    lone_child.assert_unharmed()
