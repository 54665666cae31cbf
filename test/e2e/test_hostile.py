# SPDX-License-Identifier: Apache-2.0
"""Plugins that throw, block, and send too much, too late and from everywhere cost one connection at most."""

import pytest

import frames
import processes
from httpd import Httpd, location, template
from waiting import wait_until


@pytest.fixture(scope="module")
def lone_child(mpm):
    """A server of one child, so that all clients meet in one process."""
    with Httpd(mpm, "WebSocketPoolMinThreads 4\n" + template("plugins.conf"), children=1) as server:
        yield server


@pytest.fixture
def hostile(lone_child):
    """The server; afterwards its child must be the same, and well."""
    child = lone_child.child()
    yield lone_child
    with lone_child.websocket("/hostile") as client:
        client.send(frames.text("still here"))
        client.expect_text("still here")
    assert lone_child.child() == child
    lone_child.assert_unharmed()


@pytest.mark.parametrize("command", ["throw", "throw-int"])
def test_an_exception_in_on_message_costs_this_connection_only(hostile, command):
    with hostile.websocket("/hostile") as bystander, hostile.websocket("/hostile") as client:
        start = hostile.log_size()
        client.send(frames.text(command))
        client.expect_close(1011)
        hostile.expect_log(r"WS\d{4}: ", start)
        bystander.send(frames.text("hello"))
        bystander.expect_text("hello")


def test_an_exception_in_on_connect_refuses_the_client(hostile):
    refusal = hostile.answer("/hostile", headers=[("X-Throw-On-Connect", "1")])
    assert refusal.status in (403, 500)


def test_an_exception_in_on_disconnect_is_survived(hostile):
    for _ in range(3):
        hostile.websocket("/hostile", headers=[("X-Throw-On-Disconnect", "1")]).close_handshake()
        hostile.websocket("/hostile", headers=[("X-Throw-On-Disconnect", "1")]).reset()


def test_a_callback_that_never_returns_blocks_neither_others_nor_the_end_of_the_server(start_httpd):
    server = start_httpd(location("/hostile", "hostile"))
    blocked = [server.websocket("/hostile") for _ in range(5)]
    for client in blocked:
        client.send(frames.text("block") + frames.ping(b"p"))
        client.expect_pong(b"p")
    with server.websocket("/hostile") as client:
        client.send(frames.text("hello"))
        client.expect_text("hello")
    for client in blocked[:2]:
        client.reset()
    server.stop()


@pytest.mark.each_mpm
@pytest.mark.parametrize("dispatch", ["Pool", "Inline"])
def test_nothing_is_destroyed_at_the_end_that_a_blocked_callback_may_use(start_httpd, dispatch):
    server = start_httpd(
        "LogLevel websocket:info\n" + location("/hostile", "hostile", f"WebSocketDispatch {dispatch}")
    )
    marks = server.root / "marks"
    marks.mkdir()
    marks.chmod(0o777)  # the child is another user
    client = server.websocket("/hostile")
    client.send(frames.text(f"until-exit {marks / 'destroyed'}"))
    wait_until((marks / "destroyed.begun").exists, 10, "the callback being under way")
    server.stop()
    assert not (marks / "destroyed").exists()


def test_sending_after_close_returns_zero(hostile):
    with hostile.websocket("/hostile") as client, hostile.websocket("/hostile") as observer:
        client.send(frames.text("send-after-close"))
        client.expect_close(frames.NO_STATUS)
        observer.send(frames.text("result"))
        observer.expect_text("0")


def test_ten_threads_interleave_whole_messages_in_order(hostile):
    with hostile.websocket("/hostile") as client:
        client.send(frames.text("ten"))
        due = dict.fromkeys(range(10), 0)
        for _ in range(1000):
            thread, number = map(int, client.expect_text().split())
            assert due[thread] == number
            due[thread] += 1


def test_what_is_sent_during_on_connect_follows_the_handshake(hostile):
    for _ in range(20):
        with hostile.websocket("/hostile", headers=[("X-Send-On-Connect", "1")]) as client:
            assert {client.expect_text(), client.expect_text()} == {"early", "early-thread"}


@pytest.mark.parametrize("flood", ["flood", "flood-thread"])
def test_a_client_that_does_not_read_holds_little_memory_and_its_sender_ends_with_it(hostile, flood):
    child = hostile.child()
    with hostile.websocket("/hostile") as client:
        client.send(frames.text("hello"))
        client.expect_text("hello")
    threads = int(processes.status(child)["Threads"])
    before = processes.private_kib(child)
    client = hostile.websocket("/hostile", receive_buffer=16384)
    client.send(frames.text(f"{flood} 100000 65536"))
    client.wait_until_stalled()
    grown = processes.private_kib(child) - before
    print(f"a flooded client holds {grown} KiB")
    assert grown < 8 * 1024
    client.reset()
    wait_until(
        lambda: int(processes.status(child)["Threads"]) <= threads, 10, "the end of the sender's thread"
    )


def test_a_slow_reader_gets_everything_in_the_end(hostile):
    client = hostile.websocket("/hostile", receive_buffer=16384)
    client.send(frames.text("flood 300 65536"))
    client.wait_until_stalled()
    for _ in range(300):
        client.expect(frames.BINARY, b"f" * 65536)
    client.expect_text("flood done: 300")
    client.close_handshake()


def test_a_message_larger_than_the_send_buffer_arrives(hostile):
    with hostile.websocket("/hostile") as client:
        client.send(frames.text("big 20000000"))
        client.expect(frames.BINARY, b"b" * 20000000)
        client.send(frames.text("last"))
        client.expect_text("20000000")


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "bye"), (3000, "ä€😀"), (4999, "x" * 123)])
def test_a_close_with_status_and_reason_reaches_the_client(hostile, code, reason):
    with hostile.websocket("/hostile") as client:
        client.send(frames.text(f"close {code} {reason}"))
        got = client.expect_close(code)
        assert got.payload[2:].decode() == reason


def test_pings_and_pongs_of_the_plugin_reach_the_client(hostile):
    with hostile.websocket("/hostile") as client:
        client.send(frames.text("ping one") + frames.text("pong two") + frames.text("last"))
        client.expect(frames.PING, b"one")
        client.expect(frames.PONG, b"two")
        client.expect_text("3")


@pytest.mark.parametrize("kind", ["ping", "pong"])
def test_a_control_message_that_is_too_long_is_not_sent(hostile, kind):
    with hostile.websocket("/hostile") as client:
        client.send(frames.text(f"{kind} {'x' * 126}") + frames.text("last"))
        client.expect_text("0")


def test_an_empty_message_is_sent_and_counted_as_nothing(hostile):
    with hostile.websocket("/hostile") as client:
        client.send(frames.text("empty") + frames.text("last"))
        client.expect_text("")
        client.expect_text("0")


@pytest.mark.parametrize("message_type", [1, 2, -1, 127, 129, 254, 258, 1 << 20])
def test_a_type_nobody_knows_closes(hostile, message_type):
    with hostile.websocket("/hostile") as client:
        client.send(frames.text(f"type {message_type}"))
        client.expect_close(frames.NO_STATUS)


@pytest.mark.parametrize(
    ("message_type", "opcode"),
    [(0, frames.TEXT), (128, frames.BINARY), (256, frames.PING), (257, frames.PONG)],
)
def test_the_types_of_version_0_are_what_they_were(hostile, message_type, opcode):
    with hostile.websocket("/hostile") as client:
        client.send(frames.text(f"type {message_type} hello"))
        client.expect(opcode, b"hello")
