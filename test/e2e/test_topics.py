# SPDX-License-Identifier: Apache-2.0
"""Topics: what one client publishes reaches the others, in all children, whatever becomes of children."""

import contextlib
import json
import os
import pathlib
import re
import signal

import pytest

import frames
import processes
from deflate_client import DeflateClient, json_text
from httpd import Httpd, section, several_children, shipped
from waiting import wait_until

pytestmark = pytest.mark.each_mpm

_CHILDREN = 5

_MANY = several_children(_CHILDREN, threads=4, spare=2 * _CHILDREN)


def _topics(path, kind, *directives):
    return section(path, "test/plugins/topics.so", f"topics_{kind}_init", *directives)


_PARTS = (
    _MANY
    + "WebSocketTopicBuffer 64M\nWebSocketMaxTopics 20\n"
    + _topics("/loop", "loop", "WebSocketSendBuffer 64M")
    + _topics("/pool", "pool", "WebSocketSendBuffer 64M")
    + _topics("/packed", "loop", "WebSocketDeflate On")
    + _topics("/packed-dedicated", "pool", "WebSocketDeflate On", "WebSocketDeflateMode Dedicated")
    + _topics("/few", "loop", "WebSocketMaxSubscriptions 2")
    + _topics("/lossy", "loop", "WebSocketSendBuffer 64K", "WebSocketSlowConsumer Drop")
    + _topics("/strict", "loop", "WebSocketSendBuffer 64K", "WebSocketSlowConsumer Close", "WebSocketCloseTimeout 10m")
    + shipped("/broadcast", "broadcast")
    + shipped("/echo", "broadcast", "WebSocketOption echo on")
    + shipped("/chat", "chat")
)


@pytest.fixture(scope="module")
def topics_server(mpm):
    with Httpd(mpm, _PARTS, children=_CHILDREN) as server:
        yield server


@pytest.fixture
def topics(topics_server):
    yield topics_server
    topics_server.assert_unharmed()


def _ask(client, command):
    client.send(frames.text(command.encode()))
    return client.expect_text()


def _subscribe(client, topic):
    assert _ask(client, f"sub {topic}") == "sub ok"
    return client


class _Clients:
    """WebSockets in as many children as possible, closed at the end."""

    def __init__(self, server, path="/loop"):
        self._server = server
        self._path = path
        self.all = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.all:
            client.close()

    def one(self, path=None):
        client = self._server.websocket(path or self._path)
        client.pid = int(_ask(client, "pid"))
        self.all.append(client)
        return client

    def apart(self, count):
        """So many clients, each in another child."""
        found = {}

        def complete():
            client = self.one()
            found.setdefault(client.pid, client)
            return len(found) >= count

        wait_until(complete, 20, f"clients in {count} children")
        return list(found.values())[:count]


@pytest.mark.one_mpm
def test_what_is_no_topic_is_refused(topics):
    with topics.websocket("/loop") as client:
        for name in ("", "x" * 256):
            assert _ask(client, f"sub {name}") == "sub bad"
            assert _ask(client, f"unsub {name}") == "unsub bad"
            assert _ask(client, f"pub {name} text") == "pub bad"
            assert _ask(client, f"listen {name}") == "listen bad"
        assert _ask(client, "unsub never-subscribed") == "unsub ok"
        assert _ask(client, "pub nobody-there text") == "pub ok"
        assert _ask(client, "ignore") == "ignore ok"


@pytest.mark.one_mpm
def test_subscribers_get_messages_compressed_as_each_has_agreed(topics):
    with contextlib.ExitStack() as open_ones:
        def subscriber(path, *offer):
            client = open_ones.enter_context(DeflateClient(topics.port, path, *offer))
            client.send(frames.text("sub packed"))
            client.expect_message("sub ok")
            return client

        small_window = "permessage-deflate; server_max_window_bits=9"
        packed = [
            subscriber(*how)
            for how in [("/packed",), ("/packed", small_window), ("/packed-dedicated",)]
            for _ in range(4)  # in several children
        ]
        plain = [_subscribe(open_ones.enter_context(topics.websocket("/loop")), "packed") for _ in range(3)]
        publisher = open_ones.enter_context(topics.websocket("/loop"))
        texts = [f"short {n}" for n in range(5)] + [json_text(size, seed=size) for size in (300, 5000, 100_000)]
        for text in 3 * texts:
            publisher.send(frames.text(f"pub packed {text}"))
            publisher.expect_text("pub ok")
        for client in packed:
            for text in 3 * texts:
                got = client.expect_message(text)
                assert got.compressed == (len(text) >= 256)
        for client in plain:
            for text in 3 * texts:
                client.expect_text(text)


@pytest.mark.parametrize("kind", ["loop", "pool"])
def test_a_message_reaches_every_subscriber_in_every_child(topics, kind):
    with _Clients(topics, f"/{kind}") as clients:
        several = clients.apart(3)
        subscribers = several + [clients.one() for _ in range(3)]
        for client in subscribers:
            _subscribe(client, "news")
        stranger = _subscribe(clients.one(), "other")
        for client in several:
            client.send(frames.text(f"pub news from {client.pid}".encode()))
            answers = {client.expect_text(), client.expect_text()}
            assert answers == {"pub ok", f"from {client.pid}"}
            for subscriber in subscribers:
                if subscriber is not client:
                    subscriber.expect_text(f"from {client.pid}")
        assert _ask(several[0], "others news to others") == "others ok"
        for subscriber in subscribers[1:]:
            subscriber.expect_text("to others")
        assert _ask(stranger, "pid") == str(stranger.pid)


@pytest.mark.one_mpm
def test_what_is_published_after_a_subscription_reaches_it(topics):
    with _Clients(topics) as clients:
        first, second = clients.apart(2)
        for number in range(200):
            _subscribe(first, "t")
            assert _ask(second, f"pub t {number}") == "pub ok"
            first.expect_text(str(number))
            assert _ask(first, "unsub t") == "unsub ok"
            assert _ask(second, "pub t late") == "pub ok"
            first, second = second, first


@pytest.mark.parametrize("kind", ["loop", "pool"])
def test_plugins_listen_in_every_child(topics, kind):
    with _Clients(topics, f"/{kind}") as clients:
        listeners = clients.apart(3)
        for client in listeners:
            assert _ask(client, "listen news") == "listen ok"
        speaker = clients.one()
        for number in range(20):
            assert _ask(speaker, f"pub news {number}") == "pub ok"
        for client in listeners:
            for number in range(20):
                client.expect_text(f"heard {number}")
        assert _ask(listeners[0], "ignore") == "ignore ok"
        assert _ask(speaker, "pub news more") == "pub ok"
        for client in listeners[1:]:
            client.expect_text("heard more")
        assert _ask(listeners[0], "pid") == str(listeners[0].pid)


@pytest.mark.one_mpm
@pytest.mark.parametrize("kind", ["loop", "pool"])
def test_a_plugin_keeps_the_order_of_what_it_sends_and_publishes(topics, kind):
    with _Clients(topics, f"/{kind}") as clients:
        client = _subscribe(clients.one(), "t")
        for _ in range(50):
            client.send(frames.text(b"between t"))
            for text in ("before", "published", "after"):
                client.expect_text(text)


@pytest.mark.one_mpm
def test_large_messages_and_many_arrive_in_order(topics):
    with _Clients(topics) as clients:
        publisher, *others = clients.apart(3)
        for client in others:
            _subscribe(client, "t")
        assert _ask(publisher, "many t 2 16777216") == "many ok"
        assert _ask(publisher, "many t 1000 100") == "many ok"
        for client in others:
            for number in (0, 1):
                text = client.expect_text(seconds=60)
                assert len(text) == 16 << 20 and text.startswith(f"{number} ")
            for number in range(1000):
                assert client.expect_text().split()[0] == str(number)


@pytest.mark.one_mpm
def test_one_connection_cannot_subscribe_without_end(topics):
    with topics.websocket("/few") as client:
        assert [_ask(client, f"sub {name}") for name in "abac"] == ["sub ok", "sub ok", "sub ok", "sub full"]
        assert _ask(client, "unsub a") == "unsub ok"
        assert _ask(client, "sub c") == "sub ok"
        assert _ask(client, "sub " + "x" * 256) == "sub bad"


@pytest.mark.one_mpm
def test_topics_of_a_child_are_bounded_and_vanish_with_their_subscribers(topics):
    start = topics.log_size()
    with _Clients(topics) as clients:
        client = clients.one()
        results = [_ask(client, f"sub {number}") for number in range(30)]
        assert results.count("sub ok") == 15, "three quarters are for one location"
        topics.expect_log(r"WS0508: .* there are WebSocketMaxTopicsPerLocation topics of one location", start)
        other = wait_until(
            lambda: next((one for one in [clients.one("/pool")] if one.pid == client.pid), None), 20, "one beside it"
        )
        results = [_ask(other, f"sub other-{number}") for number in range(30)]
        assert results.count("sub ok") == 5

        def refused():
            return _ask(other, "sub more") == "sub full" and "WS0507" in topics.log(start)

        wait_until(refused, 10, "WS0507, which comes at most once a second")

    def room():
        with topics.websocket("/loop") as other:
            return all(_ask(other, f"sub new-{number}") == "sub ok" for number in range(12))

    wait_until(room, 10, "room for new topics")


@pytest.mark.one_mpm
def test_a_slow_client_misses_messages_or_is_closed_and_delays_nobody(topics):
    start = topics.log_size()
    with (
        topics.websocket("/lossy", receive_buffer=4096) as lossy,
        topics.websocket("/strict", receive_buffer=4096) as strict,
        topics.websocket("/loop") as quick,
        topics.websocket("/loop") as publisher,
    ):
        for client in (lossy, strict, quick):
            _subscribe(client, "t")
        for _ in range(100):
            assert _ask(publisher, "many t 1 200000") == "many ok"
            assert len(quick.expect_text()) == 200000
        topics.expect_log(r"WS0503: \d+ published messages \(\d+ so far\) did not fit the WebSocketSendBuffer of a", start)
        while (frame := strict.next_frame()).opcode == frames.TEXT:
            assert len(frame.payload) == 200000
        assert frame.opcode == frames.CLOSE and frame.code == 1008
        got = 1
        while len(lossy.expect_text()) == 200000:
            got += 1
            assert _ask(publisher, "pub t end") == "pub ok"
        assert got < 100


@pytest.mark.slow
def test_a_killed_child_harms_nobody_else(topics):
    for round_number in range(3):
        with _Clients(topics) as clients:
            stays, goes, publisher = clients.apart(3)
            for client in (stays, goes):
                _subscribe(client, "t")
            assert _ask(publisher, "pub t ready") == "pub ok"
            stays.expect_text("ready")
            known = set(topics.children())
            publisher.send(frames.text(b"many t 3 4000000"))
            os.kill(goes.pid, signal.SIGKILL)
            wait_until(lambda: goes.pid not in topics.children(), 10, "the end of the killed child")
            for number in range(3):
                assert stays.expect_text().split()[0] == str(number)
            publisher.expect_text("many ok")
            newcomer = clients.one()

            def new_child():
                nonlocal newcomer
                if newcomer.pid in known:
                    newcomer = clients.one()
                return newcomer.pid not in known

            wait_until(new_child, 20, "a client in a new child")
            _subscribe(newcomer, "t")
            assert _ask(publisher, f"pub t {round_number}") == "pub ok"
            newcomer.expect_text(str(round_number))
            stays.expect_text(str(round_number))


def test_a_publisher_that_is_killed_leaves_whole_messages(topics):
    with _Clients(topics) as clients:
        for size, count in ((100, 1000), (1000000, 50)):  # what all queues have room for
            listener, other, publisher = clients.apart(3)
            _subscribe(listener, "t")
            publisher.send(frames.text(f"many t {count} {size}".encode()))
            listener.expect_text()
            os.kill(publisher.pid, signal.SIGKILL)
            clients.all.remove(publisher)
            publisher.close()
            wait_until(lambda gone=publisher.pid: gone not in topics.children(), 10, "its end")
            assert _ask(other, "pub t end") == "pub ok"
            number = 1
            while (text := listener.expect_text()) != "unsub ok":
                if text == "end":  # may overtake what the killed child has sent
                    listener.send(frames.text(b"unsub t"))
                    continue
                assert len(text) == size and text.split()[0] == str(number)
                number += 1


def test_a_stopped_child_delays_nobody_and_gets_it_later(topics):
    with _Clients(topics) as clients:
        awake, asleep, publisher = clients.apart(3)
        for client in (awake, asleep):
            _subscribe(client, "t")
        with processes.stopped(asleep.pid):
            for _ in range(10):
                assert _ask(publisher, "many t 1 1000000") == "many ok"
                assert len(awake.expect_text()) == 1000000
        for _ in range(10):
            assert len(asleep.expect_text()) == 1000000


def test_a_child_that_could_not_take_all_is_told_when_it_can(mpm):
    parts = _PARTS.replace("WebSocketTopicBuffer 64M", "WebSocketTopicBuffer 64K")
    with Httpd(mpm, parts, children=_CHILDREN) as server, _Clients(server) as clients:
        asleep, publisher = clients.apart(2)
        assert _ask(_subscribe(asleep, "t"), "gaps") == "gaps ok"
        with processes.stopped(asleep.pid):
            assert _ask(publisher, "many t 100 100000").startswith("many ")
            server.expect_log("WS0505: ")
        while not (text := asleep.expect_text()).startswith("gap of "):
            pass
        assert text == "gap of t: busy"


def test_last_words_of_a_child_that_ends_arrive(mpm):
    with Httpd(mpm, _PARTS, children=_CHILDREN) as server, _Clients(server) as clients:
        listener, goes = clients.apart(2)
        _subscribe(listener, "t")
        goes.send(frames.text(b"last t"))
        assert _ask(goes, "pid") == str(goes.pid)
        goes.close()
        listener.expect_text("last words")


def test_topics_work_on_after_a_graceful_restart(mpm):
    with Httpd(mpm, _PARTS, children=_CHILDREN) as server:
        for _ in range(3):
            with _Clients(server) as clients:
                first, second = clients.apart(2)
                _subscribe(first, "t")
                assert _ask(second, "pub t hello") == "pub ok"
                first.expect_text("hello")
            before = set(server.children())
            server.signal(signal.SIGUSR1)
            wait_until(lambda old=before: not old & set(server.children()), 20, "the old children's end")


def test_generations_hear_each_other_while_one_publishes(mpm):
    # With room for all generations, and for children that seem idle to prefork: else they end early.
    slots = 5 * _CHILDREN
    parts = _PARTS.replace(_MANY, several_children(_CHILDREN, threads=4, slots=slots, spare=2 * slots))
    parts += "WebSocketDrainTimeout 1h\n"
    with Httpd(mpm, parts, children=_CHILDREN) as server:
        with _Clients(server) as clients:
            publisher, listener = clients.apart(2)
            _subscribe(listener, "t")
            published = 0

            def publish(count, *listeners):
                nonlocal published
                for _ in range(count):
                    assert _ask(publisher, f"pub t {published}") == "pub ok"
                    for one in listeners:
                        one.expect_text(str(published))
                    published += 1

            publish(50, listener)
            for _ in range(2):
                before = set(server.children())
                server.signal(signal.SIGUSR1)
                newcomers = []

                def in_new_generation(old=before, found=newcomers):
                    publish(5, listener)
                    try:
                        found.append(clients.one())
                    except (AssertionError, OSError) as error:  # of a child that has just been told to go
                        assert isinstance(error, OSError) or re.search("got (503|400)|instead of answering", str(error)), error
                        return False
                    return found[-1].pid not in old

                wait_until(in_new_generation, 20, "a client of the new generation")
                newcomer = _subscribe(newcomers[-1], "t")
                publish(50, listener, newcomer)
                assert _ask(newcomer, "others t back") == "others ok"
                listener.expect_text("back")
                assert _ask(newcomer, "unsub t") == "unsub ok"


@pytest.mark.slow
def test_fifty_children_hear_each_other(mpm):
    if mpm != "prefork":
        return  # the others have no use for so many
    settings = "ListenBackLog 500\nMinSpareServers 50\nMaxSpareServers 60\n"
    with Httpd(mpm, _PARTS.replace(_MANY, settings), children=50) as server:
        wait_until(lambda: len(server.children()) == 50, 20, "50 children")
        children = server.children()
        idle = min(processes.sockets(child) for child in children)  # one may still be at its last request
        with contextlib.ExitStack() as open_ones:
            clients = [open_ones.enter_context(server.client()) for _ in children]

            def all_busy():
                return all(processes.sockets(child) > idle for child in children)

            # Each child waits for the request that begins here, so each gets one.
            for client in clients:
                client.send(b"\r\n")
            wait_until(all_busy, 20, "a connection in each child")
            for client in clients:
                client.upgrade("/loop")
            pids = {_ask(client, "pid") for client in clients}
            assert len(pids) == 50
            for client in clients:
                _subscribe(client, "t")
            for publisher in clients[:5]:
                assert _ask(publisher, "others t hello") == "others ok"
                for client in clients:
                    if client is not publisher:
                        client.expect_text("hello")
            clients[0].send(frames.text(b"many t 1 4194304"))
            for client in clients[1:]:
                assert len(client.expect_text(seconds=60)) == 4 << 20


def _bus_names():
    """Names of the sockets between children, of all servers of this machine."""
    lines = pathlib.Path("/proc/net/unix").read_text().splitlines()
    return {line.split()[-1] for line in lines if "@mod_websocket/" in line}


def _names_of(children):
    """Those on which these children listen."""
    inodes = {inode for child in children for inode in processes.socket_inodes(child)}
    lines = [line.split() for line in pathlib.Path("/proc/net/unix").read_text().splitlines()]
    return {words[-1] for words in lines if words[-2] in inodes and words[-1].startswith("@mod_websocket/")}


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGWINCH])
def test_nothing_is_left_behind(mpm, end):
    settings = "WebSocketDrainTimeout 1s\n"
    with Httpd(mpm, _PARTS + settings, children=_CHILDREN) as server, _Clients(server) as clients:
        for number, client in enumerate(clients.apart(3)):
            _subscribe(client, f"t{number}")
            assert _ask(client, f"others t{number - 1} x") == "others ok"
        names = _names_of(server.children())
        assert len(names) >= 3
        server.signal(end)
        server.wait(20)
        assert not names & _bus_names()


@pytest.mark.one_mpm
def test_virtual_hosts_share_nothing_unless_told_to(mpm):
    def host(name, *lines):
        extra = "".join(f"    {line}\n" for line in lines)
        return f"<VirtualHost 127.0.0.1:@PORT@>\nServerName {name}\n{extra}</VirtualHost>\n"

    parts = (
        _PARTS
        + host("one.example")
        + host("two.example")
        + host("two.example", "ServerAlias three.example")
        + host("shared-a.example", "WebSocketTopicScope together")
        + host("shared-b.example", "WebSocketTopicScope together")
    )
    names = ("one", "two", "three", "shared-a", "shared-b")
    with Httpd(mpm, parts, children=_CHILDREN) as server:
        clients = {}
        for name in names:
            clients[name] = server.websocket("/loop", host=f"{name}.example")
            _subscribe(clients[name], "t")
        partner = {"shared-a": "shared-b", "shared-b": "shared-a"}
        for name in names:
            assert _ask(clients[name], f"others t from {name}") == "others ok"
            if name in partner:
                clients[partner[name]].expect_text(f"from {name}")
        for name in names:
            assert _ask(clients[name], "pid").isdigit(), "somebody else's message"
            clients[name].close()


@pytest.mark.one_mpm
def test_the_shipped_broadcast_and_chat(topics):
    with topics.websocket("/broadcast") as first, topics.websocket("/broadcast") as second:
        wait_until(lambda: _heard(first, second), 10, "the other's message")
    with topics.websocket("/echo") as client:
        client.send(frames.binary(b"\x00\xff"))
        client.expect(frames.BINARY, b"\x00\xff")
    with topics.websocket("/chat?name=alice") as alice:
        assert '"here"' in alice.expect_text()
        alice.send(frames.text(b"hello"))
        said = json.loads(alice.expect_text())
        assert (said["type"], said["from"], said["text"]) == ("message", "alice", "hello")


def _heard(speaker, listener):
    """The first messages may come before the other has subscribed."""
    speaker.send(frames.text(b"anybody?"))
    try:
        return listener.expect_text(seconds=0.2) == "anybody?"
    except AssertionError as error:
        assert "in vain" in str(error), error
        return False


def _threads(pid):
    """How many it has, once those of httpd that end after the start have ended."""
    seen = []

    def steady():
        seen.append(int(processes.status(pid)["Threads"]))
        return len(seen) >= 10 and len(set(seen[-10:])) == 1

    wait_until(steady, 5, "a steady number of threads")
    return seen[-1]


def test_children_without_topics_have_no_bus(mpm):
    with Httpd(mpm, _PARTS, children=_CHILDREN) as server, _Clients(server) as clients:
        client = clients.one()
        threads = _threads(client.pid)
        assert _ask(client, "pub t nobody") == "pub ok"
        assert _threads(client.pid) == threads
        _subscribe(client, "t")
        assert _threads(client.pid) == threads + 1


@pytest.mark.one_mpm
def test_a_wrong_scope_stops_httpd(mpm):
    server = Httpd(mpm, "")
    code, output = server.configtest(f"WebSocketTopicScope {'x' * 201}\n")
    assert code != 0 and "WebSocketTopicScope must be 1 to 200 bytes long" in output
    code, output = server.configtest(shipped("/b", "broadcast", "WebSocketOption echo maybe"))
    assert code != 0 and "echo takes on or off" in output
    server.remove()
