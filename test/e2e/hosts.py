# SPDX-License-Identifier: Apache-2.0
"""Several httpds that share topics by a broker."""

import contextlib
import pathlib

import frames
import processes
from httpd import section
from waiting import wait_until

PLUGIN = section("/topics", "test/plugins/topics.so", "topics_loop_init", "WebSocketSendBuffer 16M")


def parts(url, *directives):
    """Configuration of a host."""
    return "\n".join([f"WebSocketBroker {url}", "WebSocketTopicScope www", *directives, PLUGIN])


def ask(client, command):
    client.send(frames.text(command.encode()))
    return client.expect_text()


def bridge_of(server):
    """The id of the program, when it runs."""
    for pid in processes.children_of(server.pid):
        with contextlib.suppress(OSError):
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "websocket-bridg":
                return pid
    return None


class Hosts:
    """Several httpds with one broker, and clients of theirs."""

    def __init__(self, start, broker, *directives, count=2, url=None, **options):
        self.broker = broker
        url = url or broker.url
        self.servers = [start(parts(url, *directives), **options) for _ in range(count)]
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
        assert ask(client, f"sub {topic}") == "sub ok"
        self.await_subscribers(topic, subscribed or 1)
        return client

    def await_subscribers(self, topic, count):
        channel = self.broker.channel(topic)
        wait_until(lambda: self.broker.subscribers(channel) == count, 10, f"{count} hosts subscribing to {topic}")


def publish(client, topic, text):
    assert ask(client, f"pub {topic} {text}") == "pub ok"
