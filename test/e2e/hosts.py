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


def gaps_of(server):
    """How often messages of other hosts may have been lost."""
    return int(server.status()["WebSocketBrokerGaps"])


def skip_to(client, text, seconds=10):
    """False when it does not come."""
    with contextlib.suppress(AssertionError):
        while client.expect_text(seconds=seconds) != text:
            pass
        return True
    return False


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

    def await_both_ways(self, here, there, publisher, broker=None):
        """Until what is published on one host reaches both: what came before is skipped.

        The first message may be lost: a broker may take a connection that has ended for one of those that it waits
        for, and servers of a cluster tell each other of subscribers in their own time.

        broker: the one that the hosts have now, if it is another one.
        """
        self.broker = broker or self.broker
        for number in range(20):
            self.await_subscribers("news", 2)
            publish(publisher, "news", f"the end {number}")
            assert skip_to(here, f"the end {number}")
            if skip_to(there, f"the end {number}", 0.5):
                return
        raise AssertionError("nothing arrives")


def publish(client, topic, text):
    assert ask(client, f"pub {topic} {text}") == "pub ok"
