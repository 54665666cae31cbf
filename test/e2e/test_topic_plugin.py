# SPDX-License-Identifier: Apache-2.0
"""websocket_topic.so with a real httpd: between children, with users of httpd, clients that flood and do not read, and
the examples of docs/publish.md."""

import json
import subprocess

import pytest

import frames
from chromium import skippable
from httpd import Httpd, several_children, shipped
from test_docs import TOP, snippet, with_our_files

_CHILDREN = 4
_ALICE = ("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==")
_PAGE = TOP / "docs/publish.md"


def _documented(containing):
    return with_our_files(snippet(_PAGE, "apache", containing)).replace("/etc/apache2/passwords", "@ROOT@/passwords")


def _section(path, *options):
    return shipped(path, "topic", *options)


_PARTS = "".join(
    [
        several_children(_CHILDREN),
        _documented('"/news"'),
        _documented('"/inbox"').replace("Require valid-user", "AuthBasicProvider file\nRequire valid-user"),
        _documented('"/topics"').replace("WebSocketMaxMessageRate 20", ""),
        _section("/limited", "WebSocketOption protocol json", 'WebSocketOption allow "**"', "WebSocketMaxMessageRate 5",
                 "WebSocketRatePolicy Close"),
        _section("/room", "WebSocketOption topic-from path", 'WebSocketOption allow "*"', "WebSocketOption publish on",
                 "WebSocketOption echo off"),
        _section("/any", "WebSocketOption protocol json", 'WebSocketOption allow "**"', "WebSocketOption publish on"),
        _section("/few", "WebSocketOption protocol json", 'WebSocketOption allow "**"', "WebSocketOption topics 1000",
                 "WebSocketMaxSubscriptions 5", "WebSocketSendBuffer 64K", "WebSocketSlowConsumer Close"),
    ]
)


@pytest.fixture(scope="module")
def topic_server(mpm):
    with Httpd(mpm, _PARTS, children=_CHILDREN) as server:
        yield server


@pytest.fixture
def topics(topic_server):
    yield topic_server
    topic_server.assert_unharmed()


def _ask(client, **request):
    client.send(frames.text(json.dumps(request).encode()))
    return json.loads(client.expect_text())


def _subscriber(server, topic, path="/topics"):
    client = server.websocket(path)
    assert _ask(client, type="subscribe", topic=topic, id=1) == {"type": "subscribed", "topic": topic, "id": 1}
    return client


def _listener(server, path, **options):
    """Whose subscriptions have been made."""
    client = server.websocket(path, **options)
    client.settle()
    return client


# ---- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "words"), [
    ([], "there is no topic"),
    (["WebSocketOption topic-from path"], "option allow"),
    (['WebSocketOption topic "a b"', "WebSocketOption publish on"], "needs protocol json"),
])
def test_options_that_make_no_sense_stop_the_configuration_test(configtest, options, words):
    code, output = configtest(_section("/topic", *options))
    assert code != 0 and "WS0410" in output and words in output, output


def test_topics_that_are_not_allowed_are_refused(topics):
    for path, status in (("/room", 400), ("/room/", 400), ("/room/a/b", 403), ("/room/%01", 400), ("/room/%ff", 400)):
        assert topics.answer(path).status == status, path
    assert topics.answer("/inbox").status == 401
    assert topics.ask("/news").status == 426


def test_a_flood_of_subscriptions_ends_at_the_limit_and_harms_nobody(topics):
    with topics.websocket("/few") as flooder:
        flood = [json.dumps({"type": "subscribe", "topic": f"flood/{number}"}).encode() for number in range(200)]
        flooder.send(b"".join(frames.text(one) for one in flood))
        answers = [json.loads(flooder.expect_text()) for _ in flood]
        assert [one["type"] for one in answers] == ["subscribed"] * 5 + ["error"] * 195
        assert {one["code"] for one in answers[5:]} == {503}
        assert _ask(flooder, type="unsubscribe", topic="flood/0")["type"] == "unsubscribed"
        assert _ask(flooder, type="subscribe", topic="flood/300")["type"] == "subscribed"


def test_who_is_too_fast_is_closed_where_the_administrator_says_so(topics):
    with topics.websocket("/limited") as client:
        client.send(frames.text(b'{"type":"ping"}') * 100)
        while (got := client.next_frame()).opcode == frames.TEXT:
            pass
        assert (got.opcode, got.code) == (frames.CLOSE, 1008)


def test_who_reads_no_answers_is_not_read_from(topics):
    with topics.websocket("/topics", receive_buffer=4096) as silent, _subscriber(topics, "room/x") as other:
        request = frames.text(b'{"type":"ping","id":"' + b"x" * 60 + b'"}')
        silent.send_until_stuck(request * 100, 64 << 20)
        assert _ask(other, type="publish", topic="room/x", data="y") == {"type": "message", "topic": "room/x", "data": "y"}
        silent.reset()


def test_giant_and_deep_json_is_refused(topics):
    with topics.websocket("/few") as client:
        for text, code in ((b'{"type":"ping","x":"' + b"y" * (1 << 20) + b'"}', 413), (b"[" * 100000, 400), (b'"\\ud800"', 400)):
            client.send(frames.text(text))
            assert json.loads(client.expect_text())["code"] == code
    with topics.websocket("/topics") as client:  # WebSocketMaxMessageSize 64K
        client.send(frames.text(b" " * 65537))
        client.expect_close(1009)


# ---- what it is for --------------------------------------------------------------------------------


def test_the_conversation_of_the_documentation(topics):
    lines = snippet(_PAGE, "text", '"published","topic":"news"').splitlines()
    with topics.websocket("/topics") as client, topics.websocket("/topics") as other:
        expected, got = [], []
        for line in lines:
            if line[0] == ">":
                client.send(frames.text(line[2:].encode()))
                continue
            expected.append(line[2:])
            if "It rains" in line:
                other.send(frames.text(b'{"type":"publish","topic":"news","data":"It rains."}'))
            elif "AP8=" in line:
                other.send(frames.text(b'{"type":"publish","topic":"news","base64":"AP8="}'))
            got.append(client.expect_text())
        # A message and the answer to its publication may come in either order.
        assert sorted(got) == sorted(expected)
        assert got[:3] == expected[:3] and got[5:] == expected[5:]


@pytest.mark.each_mpm
def test_all_subscribers_in_all_children_get_what_one_publishes(topics):
    enveloped = [_subscriber(topics, "room/1") for _ in range(8)]
    plain = [_listener(topics, "/news") for _ in range(8)]
    with topics.websocket("/topics") as publisher:
        for number in range(20):
            wanted = {"type": "published", "topic": "room/1", "id": number}
            assert _ask(publisher, type="publish", topic="room/1", data=str(number), id=number) == wanted
            assert _ask(publisher, type="publish", topic="news", data=f"n{number}", id=number)["type"] == "published"
    for client in enveloped:
        for number in range(20):
            assert json.loads(client.expect_text()) == {"type": "message", "topic": "room/1", "data": str(number)}
    for client in plain:
        for number in range(20):
            client.expect_text(f"n{number}")
    for client in (*enveloped, *plain):
        client.close()


def test_a_room_of_the_path_carries_text_and_bytes_to_the_others(topics):
    with topics.websocket("/room/tea") as one, _listener(topics, "/room/tea") as other, _listener(topics, "/room/b") as away:
        one.send(frames.text(b"tea?") + frames.binary(b"\0\xff"))
        other.expect_text("tea?")
        other.expect(frames.BINARY, b"\0\xff")
        one.settle()  # and nothing came: there is no echo
        away.settle()


def test_each_user_has_an_inbox(topics):
    with _listener(topics, "/inbox", headers=[_ALICE]) as alice, topics.websocket("/any") as publisher:
        publisher.send(frames.text(b'{"type":"publish","topic":"inbox/bob","data":"for bob"}'))
        publisher.send(frames.text(b'{"type":"publish","topic":"inbox/alice","data":"for alice"}'))
        alice.expect_text("for alice")


@skippable("node")
def test_the_subscription_of_the_documentation_in_node(topics):
    text = snippet(_PAGE, "js", "new WebSocket").replace("www.example.com", f"127.0.0.1:{topics.port}")
    program = f'const WebSocket = require("ws");\n{text}\nsocket.on("pong", () => console.log("open"));\nsocket.onopen = () => socket.ping();\n'
    with subprocess.Popen(["node", "-e", program], stdout=subprocess.PIPE, text=True) as node:
        try:
            assert node.stdout.readline() == "open\n"
            with topics.websocket("/any") as publisher:
                _ask(publisher, type="publish", topic="news", data="ä", id=1)
                assert node.stdout.readline() == "ä\n"
        finally:
            node.kill()
