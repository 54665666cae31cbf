# SPDX-License-Identifier: Apache-2.0
"""Presence over several hosts: who is in a topic of one httpd is seen in another, whatever becomes of either."""

import contextlib
import os
import signal
import struct

import pytest

import frames
import processes
from hosts import ask, bridge_of
from httpd import section, several_children
from redis_servers import RedisServer
from waiting import patience, wait_until

_CHANNEL = "ws:!presence"
_PLUGIN = section("/history", "test/plugins/history.so", "history_init", "WebSocketSendBuffer 4M")


@pytest.fixture
def redis():
    with RedisServer() as server:
        yield server


class _Hosts:
    """Several httpds with one Redis, and clients of theirs."""

    def __init__(self, start, redis, *directives, count=2, **options):
        self._start = start
        self._options = options
        url = f"WebSocketBroker redis://127.0.0.1:{redis.port}"
        self._parts = "\n".join([url, "WebSocketTopicScope www", *directives, _PLUGIN])
        self.servers = [self.start() for _ in range(count)]
        self._clients = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._clients.close()

    def start(self):
        return self._start(self._parts, **self._options)

    def client(self, host):
        return self._clients.enter_context(self.servers[host].websocket("/history"))

    def enter(self, host, topic, who, info="x"):
        client = self.client(host)
        assert ask(client, f"enter {topic} {who} {info}") == "enter 0"
        return client

    def watch(self, host, topic):
        client = self.client(host)
        assert ask(client, f"watch {topic}") == "watch"
        return client

    def expect(self, host, topic, *members, seconds=20):
        """Those who are there, as a client of the host sees them, sooner or later."""
        wanted = " ".join([f"members {len(members)}", *members])
        client = self.client(host)
        wait_until(lambda: ask(client, f"members {topic}") == wanted, seconds, wanted)


def _hears(client, *expected):
    for text in expected:
        assert client.expect_text(seconds=patience(20)) == text


def test_who_comes_and_goes_on_one_host_is_seen_on_all(start_httpd, redis):
    with _Hosts(start_httpd, redis, count=3) as hosts:
        watchers = [hosts.watch(host, "room") for host in range(3)]
        alice = hosts.enter(0, "room", "alice", "1")
        for watcher in watchers:
            _hears(watcher, "joined alice=1")
        bob = hosts.enter(1, "room", "bob", "2")
        for watcher in watchers:
            _hears(watcher, "joined bob=2")
        assert ask(alice, "enter room alice 3") == "enter 0"
        for watcher in watchers:
            _hears(watcher, "changed alice=3")
        for host in range(3):
            hosts.expect(host, "room", "alice=3", "bob=2")
            hosts.expect(host, "another")
        alice.close()
        assert ask(bob, "leave room") == "leave 0"
        for watcher in watchers:
            heard = {watcher.expect_text(seconds=patience(20)) for _ in range(2)}
            assert heard == {"left alice=3", "left bob=2"}
