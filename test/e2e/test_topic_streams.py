# SPDX-License-Identifier: Apache-2.0
"""Event streams of websocket_topic.so: who gets none, who is too slow, what children that end leave to their clients,
and the examples of docs/publish.md."""

import contextlib
import json
import signal
import subprocess

import pytest

import chromium
import handshake
import processes
from event_client import EventClient
from httpd import Httpd, section, several_children, shipped
from test_docs import TOP, snippet, with_our_files
from waiting import patience, wait_until

_CHILDREN = 4
_ALICE = ("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==")
_PAGE = TOP / "docs/publish.md"


def _topics(path, *options):
    return shipped(path, "topic", *options)


_PUBLISH = section("/publish", "plugins/websocket_topic.so", "publish_init", "Require ip 127.0.0.1")
_NEWS = _topics("/news", "WebSocketOption topic news")
_PARTS = "".join(
    [
        several_children(_CHILDREN),
        _PUBLISH,
        with_our_files(snippet(_PAGE, "apache", '"/news"')),
        with_our_files(snippet(_PAGE, "apache", '"/topics"')),
        _topics("/sport", "WebSocketOption topic-from query", 'WebSocketOption allow "sport/* {user}"', 'WebSocketOption deny "*/secret"',
                "WebSocketOption topics 3", "AuthType Basic", "AuthName x", "AuthBasicProvider file",
                'AuthUserFile "@ROOT@/passwords"', "Require valid-user"),
        _topics("/room", "WebSocketOption topic-from path", 'WebSocketOption allow "*"', "WebSocketOption publish on"),
        _topics("/few", "WebSocketOption topic-from query", 'WebSocketOption allow "**"', "WebSocketMaxSubscriptions 5",
                "WebSocketSendBuffer 64K", "WebSocketSlowConsumer Close", "WebSocketCloseTimeout 1s"),
        _topics("/beating", "WebSocketOption topic beat", "WebSocketPingInterval 200ms"),
        _topics("/one", "WebSocketOption topic one", "WebSocketMaxConnectionsPerLocation 1"),
        _topics("/trusted", "WebSocketOption topic news", "WebSocketOriginCheck Trusted",
                'WebSocketTrustedOrigin "https://friend.example"'),
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


def _publish(server, topic, message):
    """Returns how many get it."""
    kind = "text/plain" if isinstance(message, str) else "application/octet-stream"
    body = message.encode() if isinstance(message, str) else message
    response = server.ask(f"/publish?topic={topic}", "POST", headers=[("Content-Type", kind)], body=body)
    assert response.status == 200, response
    return json.loads(response.body)["subscribers"]


def _await_subscribers(server, topic, count):
    """A head may be here before on_open has subscribed; and those who have left are gone a moment later."""
    def known():
        return json.loads(server.ask(f"/publish?topic={topic}").body)["subscribers"] == count

    wait_until(known, 10, f"{count} subscribers of {topic}")


@contextlib.contextmanager
def _stream(server, path, **options):
    with EventClient(server.port, path, **options) as client:
        assert client.response.status == 200, client.response
        assert client.response.header("Content-Type") == "text/event-stream"
        yield client


@contextlib.contextmanager
def _listener(server, path="/news", topic="news", **options):
    """The only subscriber of its topic."""
    _await_subscribers(server, topic, 0)
    with _stream(server, path, **options) as client:
        _await_subscribers(server, topic, 1)
        yield client


# ---- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("path", "status"), [
    ("/sport?topic=bob", 403),
    ("/sport?topic=sport/a/b", 403),
    ("/sport?topic=sport/secret", 403),
    ("/sport?topic=%ff", 400),
    ("/sport?topic=sport/%0a", 400),
    ("/sport?topic=" + 129 * "x", 400),
    ("/sport", 400),
    ("/sport?topic=sport/1&topic=sport/2&topic=sport/3&topic=sport/4", 400),
    ("/room", 400),
    ("/room/a/b", 403),
    ("/topics", 400),
    ("/topics?topic=secrets", 403),
])
def test_who_asks_for_what_there_is_not_gets_no_stream(topics, method, path, status):
    with EventClient(topics.port, path, method=method, headers=[_ALICE, ("Connection", "close")]) as client:
        assert client.response.status == status
        assert client.response.header("Content-Type").startswith("text/")
        assert "event-stream" not in client.response.header("Content-Type")


def test_a_refusal_says_what_is_wrong(topics):
    for query, words in (("topic=bob", b'does not have the topic "bob"'), ("", b"?topic=NAME"), ("topic=", b"allowed are 1 to 128")):
        response = topics.ask(f"/sport?{query}", headers=[_ALICE, ("Accept", "text/event-stream")])
        assert words in response.body, response


def test_streams_are_as_closed_to_strangers_as_sockets(topics):
    with EventClient(topics.port, "/sport?topic=sport/a") as client:
        assert client.response.status == 401
    foreign = [("Origin", "https://evil.example")]
    for path in ("/news", "/trusted"):
        for method in ("GET", "HEAD"):
            with EventClient(topics.port, path, method=method, headers=foreign) as client:
                assert client.response.status == 403
                assert client.response.header("Access-Control-Allow-Origin") is None
    with _stream(topics, "/trusted", headers=[("Origin", "https://friend.example")]) as client:
        assert client.response.header("Access-Control-Allow-Origin") == "https://friend.example"


def test_only_a_get_is_answered_with_a_stream(topics):
    for method in ("POST", "PUT", "DELETE"):
        with EventClient(topics.port, "/news", method=method, headers=[("Content-Length", "0")]) as client:
            assert client.response.status == 405
            assert {"GET", "HEAD"} <= set(client.response.header("Allow").replace(" ", "").split(","))
    with EventClient(topics.port, "/news", accept="text/html") as client:
        assert client.response.status == 426
    with EventClient(topics.port, "/news", method="HEAD", headers=[("Connection", "close")]) as client:
        assert client.response.status == 200
        assert client.response.header("Content-Type") == "text/event-stream"
        assert not client._more()
    assert json.loads(topics.ask("/publish/news", headers=[("Accept", "text/event-stream")]).body)["topic"] == "news"


def test_more_topics_than_a_client_may_have_end_the_stream(topics):
    query = "&".join(f"topic=many/{number}" for number in range(6))
    with _stream(topics, f"/few?{query}") as client:
        client.expect_end()
        assert client.retry == 2000
    _await_subscribers(topics, "many/0", 0)


def test_connections_are_limited_as_those_of_sockets(topics):
    with _listener(topics, "/one", "one"):
        with EventClient(topics.port, "/one") as second:
            assert second.response.status == 503
        assert topics.answer("/one").status == 503
        topics.refusal("WS0130: event stream of 127.0.0.1", "/one", headers=[("Accept", "text/event-stream")], **handshake.NONE)
    _await_subscribers(topics, "one", 0)


def test_who_does_not_read_is_ended_and_others_get_all(topics):
    message = "x" * 8000
    with _listener(topics, "/few?topic=flood", "flood") as other, _stream(topics, "/few?topic=flood", receive_buffer=4096) as slow:
        _await_subscribers(topics, "flood", 2)
        start = topics.log_size()
        published = 0
        while _publish(topics, "flood", message) == 2:  # as long as both listen
            published += 1
            assert published < 5000, "64 KiB and what the kernel keeps are not the bound"
            other.expect(message)
        other.expect(message)
        topics.expect_log("WS0503", start)
        got = 0
        with contextlib.suppress(AssertionError, ConnectionError):  # it ends somewhere inside
            while slow.next_event() is not None:
                got += 1
        assert got <= published
        assert _publish(topics, "flood", "still there") == 1
        other.expect("still there")


def test_what_a_client_sends_is_not_published(topics):
    with _listener(topics, "/room/tea", "tea", behind=b"POST /publish/tea HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx") as client:
        client.sock.sendall(b"\x81\x00" * 1000)
        assert _publish(topics, "tea", "first") == 1
        client.expect("first")


@pytest.mark.parametrize("way", ["graceful", "kill"])
def test_a_child_that_ends_ends_its_streams_and_their_clients_come_back(mpm, way):
    with Httpd(mpm, several_children(1, slots=4) + "WebSocketDrainTimeout 2s\n" + _PUBLISH + _NEWS, children=2) as server:
        with _listener(server) as client:
            assert _publish(server, "news", "before") == 1
            client.expect("before")
            if way == "graceful":
                server.signal(signal.SIGUSR1)
                client.expect_end()
                assert client.ended and client.retry == 2000
            else:
                for child in server.children():
                    processes.kill(child)
                with pytest.raises((AssertionError, ConnectionError)):  # no last chunk: a client sees that this is no end
                    client.next_event()
        with _listener(server) as again:
            assert _publish(server, "news", "after") == 1
            again.expect("after")


# ---- what it is for --------------------------------------------------------------------------------


@pytest.mark.each_mpm
def test_streams_and_sockets_of_all_children_get_what_is_published(topics):
    _await_subscribers(topics, "news", 0)
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(_stream(topics, "/news")) for _ in range(6)]
        sockets = [stack.enter_context(topics.websocket("/news")) for _ in range(6)]
        wrapped = [stack.enter_context(_stream(topics, "/topics?topic=news&topic=sport/x")) for _ in range(4)]
        _await_subscribers(topics, "news", 16)
        texts = [f"{number}\nä" for number in range(10)]
        for text in texts:
            assert _publish(topics, "news", text) == 16
        assert _publish(topics, "news", b"\0\xff") == 16
        # Each may have been published by another child, so they come in any order.
        for client in streams:
            got = sorted(client.next_event() for _ in range(11))
            assert got == [("binary", "AP8="), *(("message", text) for text in texts)]
        for client in sockets:
            assert sorted(client.next_frame().payload for _ in range(11)) == [b"\0\xff", *(text.encode() for text in texts)]
        for client in wrapped:
            said = [json.loads(client.next_event()[1]) for _ in range(13)]
            assert said[:2] == [{"type": "subscribed", "topic": topic} for topic in ("news", "sport/x")]
            assert {(one["type"], one["topic"]) for one in said[2:]} == {("message", "news")}
            assert sorted(one.get("data", "") for one in said[2:]) == ["", *texts]
            assert [one["base64"] for one in said if "base64" in one] == ["AP8="]
        wait_until(lambda: topics.status()["WebSocketConnectionsSse"] == "10", 10, "those of other tests having ended")
    wait_until(lambda: topics.status()["WebSocketConnectionsSse"] == "0", 10, "the end of all streams")


def test_a_user_gets_what_is_his_and_what_is_allowed(topics):
    with _listener(topics, "/sport?topic=alice&topic=sport/tennis", "alice", headers=[_ALICE]) as client:
        _publish(topics, "bob", "not for her")
        _publish(topics, "sport/tennis", "ace")
        _publish(topics, "alice", "for her")
        assert {client.next_event(), client.next_event()} == {("message", "ace"), ("message", "for her")}


def test_in_silence_comes_a_comment(topics):
    with _stream(topics, "/beating") as client:
        client.await_comment()


def test_the_curl_of_the_documentation(topics):
    _await_subscribers(topics, "news", 0)
    command = snippet(_PAGE, "sh", "curl -N").replace("www.example.com", f"127.0.0.1:{topics.port}")
    limit = f"curl --max-time {int(patience(30))}"
    with subprocess.Popen(["sh", "-c", "exec " + command.replace("curl", limit)], stdout=subprocess.PIPE, text=True) as curl:
        try:
            _await_subscribers(topics, "news", 1)
            assert _publish(topics, "news", "It rains.") == 1
            assert [curl.stdout.readline() for _ in range(4)] == ["retry: 2000\n", "\n", "data: It rains.\n", "\n"]
        finally:
            curl.kill()


@chromium.skippable("chromium")
@pytest.mark.heavy
def test_the_page_of_the_documentation_comes_back_by_itself(mpm):
    server = Httpd(mpm, "WebSocketDrainTimeout 1s\n" + _PUBLISH + _NEWS)
    script = snippet(_PAGE, "js", 'EventSource("/news")').replace("console.log(event.data)", "seen.push(event.data)")
    (server.root / "htdocs/page.html").write_text(f"<!DOCTYPE html><title>x</title><script>const seen = [];\n{script}</script>")
    with server, chromium.chromium() as browser:
        browser.get(f"http://127.0.0.1:{server.port}/page.html")
        _await_subscribers(server, "news", 1)
        _publish(server, "news", "ü\nzwei")
        wait_until(lambda: browser.execute_script("return seen") == ["ü\nzwei"], 10, "the publication")
        server.signal(signal.SIGUSR1)
        wait_until(lambda: _publish(server, "news", "again") == 1, 20, "the browser coming back")
        wait_until(lambda: "again" in browser.execute_script("return seen"), 10, "the publication after the restart")
