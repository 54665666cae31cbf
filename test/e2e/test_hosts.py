# SPDX-License-Identifier: Apache-2.0
"""Topics over several hosts: what one httpd publishes, clients of another get, through a real Redis."""

import contextlib
import os
import pathlib
import signal

import pytest

import frames
import processes
from httpd import section, several_children
from redis_servers import RedisServer
from waiting import wait_until

pytestmark = pytest.mark.each_mpm

_PLUGIN = section("/topics", "test/plugins/topics.so", "topics_loop_init", "WebSocketSendBuffer 16M")


def _parts(url, *directives):
    return "\n".join([f"WebSocketBroker {url}", "WebSocketTopicScope www", *directives, _PLUGIN])


def _ask(client, command):
    client.send(frames.text(command.encode()))
    return client.expect_text()


def _bridge(server):
    """The id of the program, when it runs."""
    for pid in processes.children_of(server.pid):
        with contextlib.suppress(OSError):
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "websocket-bridg":
                return pid
    return None


@pytest.fixture
def redis():
    with RedisServer() as server:
        yield server


class _Hosts:
    """Several httpds with one broker, and clients of theirs."""

    def __init__(self, start, redis, count=2, *directives, **options):
        self.redis = redis
        url = f"redis://127.0.0.1:{redis.port}"
        self.servers = [start(_parts(url, *directives), **options) for _ in range(count)]
        self._clients = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._clients.close()

    def client(self, host):
        return self._clients.enter_context(self.servers[host].websocket("/topics"))

    def subscriber(self, host, topic, subscribed=None):
        """A client that has subscribed, once the broker knows that so many hosts have."""
        client = self.client(host)
        assert _ask(client, f"sub {topic}") == "sub ok"
        self.await_subscribers(topic, subscribed or 1)
        return client

    def await_subscribers(self, topic, count):
        wait_until(lambda: self.redis.subscribers(f"ws:www:{topic}") == count, 10, f"{count} hosts subscribing to {topic}")


def _publish(client, topic, text):
    assert _ask(client, f"pub {topic} {text}") == "pub ok"


def test_clients_of_all_hosts_get_what_one_publishes_and_what_redis_cli_does(start_httpd, redis):
    with _Hosts(start_httpd, redis) as hosts:
        here, there = hosts.subscriber(0, "news"), hosts.subscriber(1, "news", 2)
        publisher = hosts.client(0)
        for number in range(20):
            _publish(publisher, "news", f"message {number}")
        for client in (here, there):
            for number in range(20):
                client.expect_text(f"message {number}")
        assert redis.publish("ws:www:news", "from redis-cli") == 2
        for client in (here, there):
            client.expect_text("from redis-cli")
            client.expect_silence(0.1)
