# SPDX-License-Identifier: Apache-2.0
"""The shipped chat with clients that come and go at once, read slowly, or send what is no text."""

import json

import pytest

import frames
import handshake
from hosts import PLUGIN
from httpd import BUILD, Httpd

_TOPICS = 200
_LINE = 16384
_HISTORY = 50

_PARTS = f"""
WebSocketMaxTopicsPerLocation {_TOPICS}
WebSocketHistory kept:* 100 10m
<Location "/chat">
    SetHandler websocket-handler
    WebSocketHandler "{BUILD}/plugins/websocket_chat.so" chat_init
</Location>
<Location "/strict/chat">
    SetHandler websocket-handler
    WebSocketHandler "{BUILD}/plugins/websocket_chat.so" chat_init
    WebSocketOption rooms strict
    WebSocketOption members 2
    WebSocketOption history {_HISTORY}
    WebSocketSendBuffer 64K
    WebSocketSlowConsumer Close
</Location>
<Location "/kept/chat">
    SetHandler websocket-handler
    WebSocketHandler "{BUILD}/plugins/websocket_chat.so" chat_init
    WebSocketOption rooms kept
    WebSocketOption members 2
    WebSocketOption history {_HISTORY}
    WebSocketSendBuffer 64K
    WebSocketSlowConsumer Close
</Location>
<Location "/alone/chat">
    SetHandler websocket-handler
    WebSocketHandler "{BUILD}/test/plugins/chat_alone.so" chat_init
    WebSocketOption rooms alone
    WebSocketOption members 2
    WebSocketOption history {_HISTORY}
    WebSocketSendBuffer 64K
    WebSocketSlowConsumer Close
</Location>
"""

_CHATS = ("/strict/chat", "/kept/chat", "/alone/chat")


@pytest.fixture(scope="module")
def chat_server(mpm):
    with Httpd(mpm, _PARTS + PLUGIN, children=1) as server:
        yield server


@pytest.fixture
def chat(chat_server):
    yield chat_server
    chat_server.assert_unharmed()


def _enter(chat, room, name="a", path="/chat", **options):
    return chat.websocket(f"{path}?room={room}&name={name}", **options)


def _await(client, kind, holds=lambda message: True):
    """Takes messages until one of this kind comes for which it holds; returns it."""
    while True:
        message = json.loads(client.expect_text())
        if message["type"] == kind and holds(message):
            return message


@pytest.mark.parametrize("path", _CHATS)
def test_who_closes_at_once_leaves_no_room_behind(chat, path):
    for number in range(2 * _TOPICS):
        with chat.client() as client:
            client.send(handshake.request(f"{path}?name=x&room=gone{number}") + frames.close(1000))
            assert client.read_response().status == 101
            while (got := client.next_frame()) is not None and got.opcode != frames.CLOSE:
                pass
            assert got is None or got.code == 1000, got.code
    for number in range(10):
        with _enter(chat, f"new{number}", path=path) as client:
            _await(client, "here")


@pytest.mark.parametrize("path", _CHATS)
def test_who_resets_at_once_leaves_no_room_behind(chat, path):
    for number in range(2 * _TOPICS):
        client = chat.client()
        client.send(handshake.request(f"{path}?name=x&room=reset{number}"))
        assert client.read_response().status == 101
        client.reset()
    with _enter(chat, "after", path=path) as client:
        _await(client, "here")


def test_the_first_of_a_room_may_speak_at_once(chat):
    for number in range(5):
        path = f"/chat?name=first&room=at-once-{number}"
        with chat.client().upgrade(path, first_frames=frames.text(b"me first")) as client:
            assert _await(client, "message")["text"] == "me first"
            with _enter(chat, f"at-once-{number}") as late:
                assert _await(late, "message")["text"] == "me first"


@pytest.mark.parametrize("path", _CHATS)
def test_a_newcomer_gets_a_long_history_as_fast_as_it_reads(chat, path):
    """With the policy that closes slow clients, and lines of which four fill the send buffer."""
    said = []
    with _enter(chat, "long", path=path) as speaker:
        for number in range(_HISTORY):
            said.append(f"{number:02}" + "x" * (_LINE - 2))
            speaker.send(frames.text(said[-1].encode()))
            _await(speaker, "message", lambda message: message["text"] == said[-1])
    with _enter(chat, "long", path=path, receive_buffer=4096) as newcomer:
        newcomer.wait_until_stalled()
        heard = []
        while (message := json.loads(newcomer.expect_text()))["type"] == "message":
            heard.append(message["text"])
        assert message == {"type": "here", "names": ["a"]}
        assert heard == said


def test_what_others_publish_to_the_topic_of_a_room_is_no_line_that_is_kept(chat):
    with _enter(chat, "mixed", path="/kept/chat") as client, chat.websocket("/topics") as publisher:
        _await(client, "here")
        for text in ("no JSON", '{"type":"message"}', '{"type":"message","at":1,"id":"","from":"x"}'):
            publisher.send(frames.text(f"pub kept:mixed {text}".encode()))
            publisher.expect_text("pub ok")
            client.expect_text(text)
        client.send(frames.text(b"said"))
        assert _await(client, "message")["text"] == "said"
    with _enter(chat, "mixed", path="/kept/chat") as late:
        assert json.loads(late.expect_text())["text"] == "said"
        assert json.loads(late.expect_text())["type"] == "here"


def test_what_is_no_text_is_refused_at_the_door(chat):
    with _enter(chat, "safe", "guest") as guest:
        _await(guest, "here")
        for query in ("name=%ff", "name=%c0%af", "name=a&room=%ed%a0%80", "name=a%00", "name=%c2%9b31m", "name=%zz"):
            assert chat.answer(f"/chat?{query}&room=safe").status == 400, query
        with _enter(chat, "safe", "%c3%a4%f0%9f%98%80") as other:
            assert _await(guest, "joined")["name"] == "ä😀"
            other.send(frames.text("still here ä".encode()))
            assert _await(guest, "message")["text"] == "still here ä"


def test_a_line_of_control_characters_costs_no_more_than_others(chat):
    with _enter(chat, "control") as client:
        _await(client, "here")
        client.send(frames.text(b"\n" * _LINE))
        assert _await(client, "message")["text"] == "\n" * _LINE
        client.send(frames.text(b"\x01" * _LINE))
        client.expect_close(1009)


@pytest.mark.parametrize("path", _CHATS)
def test_a_full_room_takes_nobody_else(chat, path):
    with _enter(chat, "full", "a", path) as one, _enter(chat, "full", "b", path) as two:
        _await(one, "here")
        _await(two, "here")
        with _enter(chat, "full", "c", path) as three:
            three.expect_close(1013)
        two.send(frames.close(1000))
        _await(one, "left", lambda message: message["name"] == "b")
        with _enter(chat, "full", "d", path) as four:
            _await(four, "here")
