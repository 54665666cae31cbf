# SPDX-License-Identifier: Apache-2.0
"""Gaps: plugins, clients of websocket_topic.so and event streams are told when messages may be missing."""

import json
import struct

import pytest

import frames
from compiling import build_plugin
from event_client import EventClient
from hosts import Hosts, ask
from httpd import shipped
from redis_servers import RedisServer
from test_docs import TOP, snippet

pytestmark = pytest.mark.heavy

_JSON = shipped("/json", "topic", "WebSocketOption protocol json", 'WebSocketOption allow "**"')
_RAW = shipped("/raw", "topic", "WebSocketOption topic news")


@pytest.fixture
def redis():
    with RedisServer() as server:
        yield server


def _envelope(number, text, host=b"elsewher"):
    """As websocket-bridge of another host publishes it."""
    return b"\x00\x01\x01" + host + struct.pack(">Q", number) + text


def _watcher(hosts, host, topic):
    """A client in a process that wants the topic, which its plugin tells of gaps."""
    client = hosts.subscriber(host, topic)
    assert ask(client, "gaps") == "gaps ok"
    return client


@pytest.mark.each_mpm
def test_a_new_connection_to_the_broker_is_a_gap_of_all_topics(start_httpd, redis):
    with Hosts(start_httpd, redis, _JSON, _RAW, count=1) as hosts:
        server = hosts.servers[0]
        watcher = _watcher(hosts, 0, "other")
        with server.websocket("/json") as asks, EventClient(server.port, "/raw?gaps=on") as stream, \
                EventClient(server.port, "/raw") as deaf:
            asks.send(frames.text(b'{"type":"subscribe","topic":"news","gaps":true}'))
            assert json.loads(asks.expect_text())["type"] == "subscribed"
            hosts.await_subscribers("news", 1)
            redis.kill()
            server.expect_log("WS0602: ")
            redis.start()
            told = {"type": "gap", "topic": "news", "why": "reconnected"}
            assert json.loads(asks.expect_text()) == told
            kind, data = stream.next_event()
            assert (kind, json.loads(data)) == ("gap", told)
            assert watcher.expect_text() == "gap of all: reconnected"
            hosts.await_subscribers("news", 1)
            redis.publish("ws:www:news", "after")
            stream.expect("after")
            deaf.expect("after")
            assert json.loads(asks.expect_text())["data"] == "after"


def test_a_hole_is_a_gap_of_one_topic(start_httpd, redis):
    with Hosts(start_httpd, redis, count=1) as hosts:
        watcher = _watcher(hosts, 0, "news")
        for number in (1, 2, 4):
            redis.run("-x", "PUBLISH", "ws:www:news", input=_envelope(number, b"hello"))
        got = sorted(watcher.expect_text() for _ in range(4))
        assert got == ["gap of news: hole", "hello", "hello", "hello"]
        watcher.expect_silence(0.1)


def test_the_last_of_many_gaps_is_told(start_httpd, redis):
    with Hosts(start_httpd, redis, count=1) as hosts:
        watcher = _watcher(hosts, 0, "news")
        for number in range(1, 101):
            redis.run("-x", "PUBLISH", "ws:www:news", input=_envelope(2 * number, str(number).encode()))
        seen = []
        # The one in front of the last message is told at once, or later with others.
        while "100" not in seen or "gap of news: hole" not in seen[seen.index("99") :]:
            seen.append(watcher.expect_text())


def test_a_host_that_could_not_publish_all_is_a_gap_of_all_topics(start_httpd, redis):
    with Hosts(start_httpd, redis, count=1) as hosts:
        watcher = _watcher(hosts, 0, "news")

        def beat(dropped):
            head = b"\x00\x01\x03elsewher" + struct.pack(">Q", 1)
            redis.run("-x", "PUBLISH", "ws:!hosts", input=head + struct.pack(">Q", dropped))

        beat(3)  # before this host knew of it
        beat(3)
        beat(4)
        assert watcher.expect_text() == "gap of all: host dropped"
        watcher.expect_silence(0.1)


def test_the_plugin_of_the_documentation_asks_again(start_httpd, redis, tmp_path_factory):
    text = snippet(TOP / "docs/topics.md", "cpp", "weather_init")
    plugin = build_plugin(text, "cpp", tmp_path_factory.mktemp("weather"), "weather")
    lines = f'SetHandler websocket-handler\nWebSocketHandler "{plugin}" weather_init\n'
    with Hosts(start_httpd, redis, f'<Location "/weather">\n{lines}</Location>', count=1) as hosts:
        with hosts.servers[0].websocket("/weather") as client:
            hosts.await_subscribers("weather", 1)
            for number in (1, 3):
                redis.run("-x", "PUBLISH", "ws:www:weather", input=_envelope(number, b"rain"))
            client.expect_text("rain")
            client.expect_text("rain")
            hosts.servers[0].expect_log("WS0414: .*asking for the weather: hole")
