# SPDX-License-Identifier: Apache-2.0
"""Topics with history: clients that drop and come back with their position miss nothing and get nothing twice, whatever
becomes of children."""

import contextlib
import json
import os
import signal
import threading

import pytest

import frames
from event_client import EventClient
from httpd import Httpd, section, several_children, shipped
from waiting import wait_until

pytestmark = pytest.mark.each_mpm

_CHILDREN = 3

_PARTS = (
    several_children(_CHILDREN, threads=4, spare=2 * _CHILDREN)
    + "WebSocketHistory kept/* 100000 10m\nWebSocketHistory few/** 3 10m\nWebSocketHistory brief/* 10 1s\n"
    + "WebSocketDrainTimeout 1s\n"
    + section("/history", "test/plugins/history.so", "history_init", "WebSocketSendBuffer 4M")
    + shipped("/raw", "topic", "WebSocketOption topic-from path", 'WebSocketOption allow "**"')
    + shipped("/json", "topic", "WebSocketOption protocol json", 'WebSocketOption allow "**"', "WebSocketOption publish on")
)


@pytest.fixture(scope="module")
def history_server(mpm):
    with Httpd(mpm, _PARTS, children=_CHILDREN) as server:
        yield server


@pytest.fixture
def history(history_server):
    yield history_server
    history_server.assert_unharmed()


def _ask(client, command):
    client.send(frames.text(command.encode()))
    return client.expect_text()


class _Reader:
    """Comes back again and again, and remembers what it has got between."""

    def __init__(self, server, topic):
        self._server = server
        self._topic = topic
        self.position = None
        self.got = []
        self.anew = 0
        self.client = None

    def come(self):
        """In whatever child."""
        def subscribed():
            try:
                self.client = self._server.websocket("/history")
                self._subscribe()
                return True
            except (AssertionError, OSError):
                return False
        wait_until(subscribed, 20, "a child that takes the reader")

    def _subscribe(self):
        self.client.send(frames.text(f"sub {self._topic} {self.position or ''}".encode()))
        missed = []
        while True:
            text = self.client.expect_text(seconds=10)
            if text.startswith("sub "):
                break
            missed.append(text)
        _, result, how, now = text.split()
        assert result == "0"
        if self.position is not None and how != "recovered":
            self.anew += 1
        self._take(missed)
        assert self.position is None or how != "recovered" or self.position == now
        self.position = now

    def _take(self, texts):
        for text in texts:
            epoch, offset = (self.position or "0-0").split("-")
            self.position = f"{epoch}-{int(offset) + 1}"
            self.got.append(text)

    def read(self, count):
        self._take([self.client.expect_text(seconds=10) for _ in range(count)])

    def read_until(self, last):
        while not self.got or self.got[-1] != last:
            frame = self.client.next_frame(10)
            if frame.opcode == frames.TEXT:
                self._take([frame.payload.decode()])
            else:  # of a child that drains
                self.drop()
                self.come()

    def drop(self):
        self.client.vanish()


@pytest.mark.one_mpm
@pytest.mark.parametrize(
    "line, error",
    [
        ("WebSocketHistory news/* 100", "takes three arguments"),
        (f"WebSocketHistory {'x' * 256} 100 1m", "a pattern of topics must be 1 to 255 bytes long"),
        ("WebSocketHistory news/* 0 1m", 'number of messages: "0" is not allowed; it takes a whole number from 1 to 1000000'),
        ("WebSocketHistory news/* many 1m", 'number of messages: "many" is not allowed'),
        ("WebSocketHistory news/* 100 0", 'time: "0" is not allowed; it takes a time from 1ms to 720h'),
        ("WebSocketHistory news/* 100 soon", 'time: "soon" is not allowed'),
        ("WebSocketHistoryMemory 1K", "WebSocketHistoryMemory"),
        ("<Location />\nWebSocketHistory news/* 100 1m\n</Location>", "not allowed"),
    ],
)
def test_wrong_arguments_are_named(history_server, line, error):
    code, output = history_server.configtest(line + "\n")
    assert code != 0 and error in output


@pytest.mark.one_mpm
def test_topics_without_history_are_refused(history):
    with history.websocket("/history") as client:
        assert _ask(client, "keeps other") == "no"
        assert _ask(client, "keeps kept/a/b") == "no"
        assert _ask(client, "keeps few/a/b") == "yes"
        assert "failed" in _ask(client, "sub other")
        assert "failed" in _ask(client, "last other 3")
        assert _ask(client, "pub other text") == "pub ok none"


@pytest.mark.one_mpm
def test_who_cannot_recover_is_told_so(history):
    with history.websocket("/history") as client:
        _, _, first = _ask(client, "many few/told 1").split()
        epoch = first.split("-")[0]
        now = _ask(client, "many few/told 5").split()[2]
        for position in (f"{epoch}-1", f"{epoch}-7", f"{int(epoch) ^ 1}-5"):
            assert _ask(client, f"behind few/told {position}").strip() == f"read 0 anew {now}"
        assert _ask(client, f"behind few/told {epoch}-3").startswith(f"read 0 recovered {now} {epoch}-4 ")
        assert _ask(client, f"sub few/told {epoch}-1") == f"sub 0 anew {now}"
        assert _ask(client, "last few/told 2").count(",") == 1
        pub = _ask(client, "pub brief/told soon gone").split()[2]
        wait_until(lambda: _ask(client, f"behind brief/told {pub[:-1]}0").startswith("read 0 anew"), 10, "it to expire")
        assert _ask(client, f"behind brief/told {pub}").startswith("read 0 recovered")


def test_listeners_get_positions(history):
    with history.websocket("/history") as one, history.websocket("/history") as other:
        assert _ask(one, "listen kept/heard") == "listen ok"
        for i in range(20):
            position = _ask(other, f"pub kept/heard {i}").split()[2]
            assert one.expect_text() == f"heard {position} {i}"


def test_who_drops_and_comes_back_misses_nothing_and_gets_nothing_twice(history):
    """Publishers in several children number what they publish; readers come and go."""
    topic = "kept/steady"
    with contextlib.ExitStack() as stack:
        publishers = [stack.enter_context(history.websocket("/history")) for _ in range(4)]
        readers = [_Reader(history, topic) for _ in range(3)]
        for reader in readers:
            reader.come()
        published = 0
        for turn in range(12):
            for publisher in publishers:
                publisher.send(frames.text(f"many {topic} 5".encode()))
            reader = readers[turn % len(readers)]
            reader.drop()
            reader.come()
            for publisher in publishers:
                assert publisher.expect_text(seconds=10).startswith("many ok ")
            published += 5 * len(publishers)
        end = _ask(publishers[0], f"pub {topic} end").split()[2]
        for reader in readers:
            reader.read_until("end")
            assert reader.position == end and reader.anew == 0
            assert len(reader.got) == len(set(reader.got)) == published + 1
        assert readers[0].got == readers[1].got == readers[2].got
        for reader in readers:
            reader.client.close()


class _Publishing:
    """A thread that publishes through whatever child answers, until it is told to stop."""

    def __init__(self, server, topic):
        self._server = server
        self._topic = topic
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.done = 0
        self.error = None

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        assert self.error is None, self.error

    def _run(self):
        try:
            while not self._stop.is_set():
                with contextlib.suppress(AssertionError, OSError):
                    with self._server.websocket("/history") as client:
                        while not self._stop.is_set():
                            client.send(frames.text(f"pub {self._topic} {self.done}".encode()))
                            self.done += 1
                            assert client.expect_text().startswith("pub ok")
        except Exception as error:  # told by who waits for the thread
            self.error = error


@pytest.mark.parametrize("end", ["killed", "restarted"])
def test_a_reader_recovers_from_the_end_of_its_child(mpm, end):
    """What a killed child had published and nobody had been told is in the history all the same."""
    topic = "kept/ends"
    with Httpd(mpm, _PARTS, children=_CHILDREN) as server:
        reader = _Reader(server, topic)
        reader.come()
        witness = _Reader(server, topic)
        witness.come()
        with _Publishing(server, topic) as publishing:
            for _ in range(3):
                before = publishing.done
                wait_until(lambda: publishing.done > before + 20, 20, "publications")
                if end == "killed":
                    os.kill(int(_ask_pid(server)), signal.SIGKILL)
                else:
                    server.signal(signal.SIGUSR1)
                for one in (reader, witness):
                    one.drop()
                    one.come()
        with server.websocket("/history") as client:
            last = _ask(client, f"pub {topic} end").split()[2]
        for one in (reader, witness):
            one.read_until("end")
            assert one.anew == 0 and one.position == last
            numbers = [int(text) for text in one.got[:-1]]
            assert numbers == sorted(set(numbers)), "in order, none twice"
            assert set(range(publishing.done)) - set(numbers) <= set(range(publishing.done)) and len(numbers) > 60
        assert reader.got[-50:] == witness.got[-50:]
        if end == "killed":
            server.forget_harm()


def _ask_pid(server):
    with server.websocket("/history") as client:
        return _ask(client, "pid")


# ---- websocket_topic.so


def _request(client, **request):
    client.send(frames.text(json.dumps(request).encode()))


def _answer(client):
    return json.loads(client.expect_text(seconds=10))


def _subscribed(client, topic, **more):
    _request(client, type="subscribe", topic=topic, **more)
    return _answer(client)


@pytest.mark.one_mpm
def test_a_position_that_is_none_is_refused(history):
    with history.websocket("/json") as client:
        for position in (1, "", "1", "-", "1-", "-1", "0-1", "1-2-3", "1-x", "99999999999999999999-1"):
            answer = _subscribed(client, "kept/none", position=position)
            assert answer["code"] == 400 and "position" in answer["message"]


def test_clients_of_the_json_protocol_recover(history):
    topic = "kept/json"
    with history.websocket("/json") as publisher:
        with history.websocket("/json") as client:
            answer = _subscribed(client, topic)
            assert "recovered" not in answer
            position = answer["position"]
        epoch, offset = position.split("-")
        for turn in range(6):
            for i in range(3):
                _request(publisher, type="publish", topic=topic, data=f"{turn}.{i}", id=i)
                assert _answer(publisher)["type"] == "published"
            with history.websocket("/json") as client:
                answer = _subscribed(client, topic, position=position)
                assert answer["recovered"] is True
                for i in range(3):
                    message = _answer(client)
                    position = f"{epoch}-{int(offset) + 4 * turn + i + 1}"
                    assert message == {"type": "message", "topic": topic, "position": position, "data": f"{turn}.{i}"}
                assert answer["position"] == position
                _request(publisher, type="publish", topic=topic, data="live", id=9)
                assert _answer(publisher)["type"] == "published"
                message = _answer(client)
                position = message["position"]
                assert message["data"] == "live" and position == f"{epoch}-{int(offset) + 4 * (turn + 1)}"
        with history.websocket("/json") as client:
            answer = _subscribed(client, topic, position=f"{int(epoch) ^ 1}-1")
            assert answer["recovered"] is False and answer["position"] == position
            assert "position" not in _subscribed(client, "other", position=position)


@pytest.mark.parametrize("path", ["/raw/kept/sse-raw", "/json?topic=kept/sse-json"])
def test_event_streams_go_on_behind_their_last_event(history, path):
    raw = path.startswith("/raw/")
    topic = path.removeprefix("/raw/").removeprefix("/json?topic=")

    def next_message(stream):
        while True:
            kind, data = stream.next_event()
            if raw:
                return kind, data
            if json.loads(data)["type"] == "message":
                return kind, json.loads(data)["data"]

    with history.websocket("/json") as publisher:
        def publish(text):
            _request(publisher, type="publish", topic=topic, data=text, id=1)
            assert _answer(publisher)["type"] == "published"

        with history.websocket("/history") as asks:
            before = _ask(asks, f"last {topic} 0").split()[3]
        last = before
        for turn in range(4):
            publish(f"missed {turn}")
            with EventClient(history.port, path, headers=[("Last-Event-ID", last)]) as stream:
                assert next_message(stream) == ("message", f"missed {turn}")
                publish(f"live {turn}")
                assert next_message(stream) == ("message", f"live {turn}")
                last = stream.last_id
        assert last == f"{before.split('-')[0]}-8"
        if raw:
            with EventClient(history.port, path, headers=[("Last-Event-ID", "1-1")]) as stream:
                stream.expect(last, kind="missed")
                publish("goes on")
                stream.expect("goes on")


def test_the_status_page_says_how_full_the_memories_are(history):
    def figure(name):
        return int(history.status()[f"WebSocket{name}"])

    before = {name: figure(name) for name in ("HistoryMessages", "HistoryTopics", "PresenceMembers")}
    with history.websocket("/history") as client:
        assert _ask(client, "many kept/counted 5").startswith("many ok")
        assert _ask(client, "enter counted bob x") == "enter 0"
        assert figure("HistoryMessages") >= before["HistoryMessages"] + 5
        assert figure("HistoryTopics") >= before["HistoryTopics"] + 1
        assert figure("PresenceMembers") >= 1
        for kind in ("History", "Presence"):
            assert 0 < figure(f"{kind}BytesUsed") <= figure(f"{kind}Bytes")
