# SPDX-License-Identifier: Apache-2.0
"""Presence: who is in a topic, in all children, whatever becomes of children."""

import contextlib
import os
import signal

import pytest

import frames
from httpd import Httpd, section, several_children
from waiting import wait_until

pytestmark = pytest.mark.each_mpm

_CHILDREN = 3

_PARTS = (
    several_children(_CHILDREN, threads=4, spare=2 * _CHILDREN)
    + "WebSocketDrainTimeout 1s\nWebSocketPresenceMemory 1M\n"
    + section("/history", "test/plugins/history.so", "history_init", "WebSocketSendBuffer 4M")
)


@pytest.fixture(scope="module")
def presence_server(mpm):
    with Httpd(mpm, _PARTS, children=_CHILDREN) as server:
        yield server


@pytest.fixture
def presence(presence_server):
    yield presence_server
    presence_server.assert_unharmed()


def _ask(client, command):
    client.send(frames.text(command.encode()))
    return client.expect_text(seconds=10)


def _enter(server, topic, who, info="x"):
    client = server.websocket("/history")
    assert _ask(client, f"enter {topic} {who} {info}") == "enter 0"
    return client


def _watch(server, topic):
    client = server.websocket("/history")
    assert _ask(client, f"watch {topic}") == "watch"
    return client


def _hears(client, *expected):
    for text in expected:
        assert client.expect_text(seconds=10) == text


@pytest.mark.one_mpm
def test_what_is_no_member_is_refused(presence):
    with presence.websocket("/history") as client:
        for who in ("", "x" * 256):
            assert _ask(client, f"enter room {who} info") == "enter -4"
        assert _ask(client, f"enter room alice {'x' * 4097}") == "enter -4"
        assert _ask(client, f"enter {'x' * 256} alice info") == "enter -4"
        assert _ask(client, "leave room") == "leave 0"
        assert _ask(client, "members room") == "members 0"
        for i in range(100):
            assert _ask(client, f"enter many{i} alice info") == "enter 0"
        assert _ask(client, "enter one-more alice info") == "enter -1"
        assert _ask(client, "enter many0 alice other") == "enter 0"


@pytest.mark.one_mpm
def test_a_full_memory_refuses_and_takes_others_when_somebody_has_left(presence):
    with presence.websocket("/history") as asks, contextlib.ExitStack() as stack:
        clients = []

        def full():
            client = stack.enter_context(presence.websocket("/history"))
            clients.append(client)
            answers = [_ask(client, f"enter full{i} member{len(clients)} {'x' * 4000}") for i in range(100)]
            return "enter -1" in answers

        wait_until(full, 60, "a full memory")
        presence.expect_log("WS0514")
        clients[0].close()
        wait_until(lambda: _ask(asks, "enter other alice info") == "enter 0", 10, "room")


def test_all_children_know_who_is_there(presence):
    with _watch(presence, "room") as first, _enter(presence, "room", "bob", "1") as bob:
        _hears(first, "joined bob=1")
        with _enter(presence, "room", "alice", "2"), _enter(presence, "room", "alice", "2"), _watch(presence, "room") as late:
            _hears(first, "joined alice=2")
            _hears(late, "joined alice=2", "joined bob=1")
            for _ in range(5):
                with presence.websocket("/history") as asks:
                    assert _ask(asks, "members room") == "members 2 alice=2 bob=1"
            assert _ask(bob, "enter room bob 3") == "enter 0"
            _hears(first, "changed bob=3")
            _hears(late, "changed bob=3")
            assert _ask(bob, "enter room carol 4") == "enter 0"
            heard = {first.expect_text(seconds=10), first.expect_text(seconds=10)}
            assert heard == {"left bob=3", "joined carol=4"}
        _hears(first, "left alice=2")
        assert _ask(bob, "leave room") == "leave 0"
        _hears(first, "left carol=4")


@pytest.mark.parametrize("end", ["killed", "restarted"])
def test_members_of_a_child_that_ends_have_left(mpm, end):
    with Httpd(mpm, _PARTS, children=_CHILDREN) as server:
        clients = [_enter(server, "room", f"member{i}") for i in range(6)]
        children = [_ask(client, "pid") for client in clients]
        victim = children[0]
        gone = {f"member{i}" for i in range(6) if end == "restarted" or children[i] == victim}
        watcher = None
        if end == "killed":
            def survives():
                nonlocal watcher
                watcher = server.websocket("/history")
                return _ask(watcher, "pid") != victim
            wait_until(survives, 20, "a child that is not killed")
            assert _ask(watcher, "watch room") == "watch"
            _hears(watcher, *[f"joined member{i}=x" for i in range(6)])
            os.kill(int(victim), signal.SIGKILL)
            left = {watcher.expect_text(seconds=10) for _ in gone}
            assert left == {f"left {one}=x" for one in gone}
            server.forget_harm()
        else:
            server.signal(signal.SIGUSR1)
        rest = sorted({f"member{i}" for i in range(6)} - gone)

        def told():
            with server.websocket("/history") as asks:
                return _ask(asks, "members room") == " ".join([f"members {len(rest)}"] + [f"{one}=x" for one in rest])
        wait_until(told, 20, "members to be gone")
