# SPDX-License-Identifier: Apache-2.0
"""Presence over several hosts: who is in a topic of one httpd is seen in another, whatever becomes of either."""

import contextlib
import os
import signal

import pytest

import frames
import processes
from hosts import ask, bridge_of
from httpd import section, several_children
from redis_servers import RedisServer
from waiting import wait_until

pytestmark = [pytest.mark.each_mpm, pytest.mark.heavy]

_CHANNEL = "ws:!presence"
_PLUGIN = section("/history", "test/plugins/history.so", "history_init", "WebSocketSendBuffer 4M")


@pytest.fixture
def redis():
    with RedisServer() as server:
        yield server


class _Hosts:
    """Several httpds with one Redis, and clients of theirs."""

    def __init__(self, start, redis, *directives, count=2, scope="www", **options):
        self._start = start
        self._options = options
        url = f"WebSocketBroker redis://127.0.0.1:{redis.port}"
        self.parts = "\n".join([url, f"WebSocketTopicScope {scope}", *directives, _PLUGIN])
        self.servers = [self.start() for _ in range(count)]
        self._clients = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._clients.close()

    def start(self):
        return self._start(self.parts, **self._options)

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
        assert client.expect_text(seconds=20) == text


def _hears_all(client, expected):
    """The same in any order."""
    assert sorted(client.expect_text(seconds=20) for _ in expected) == sorted(expected)


def _bytes(length, text):
    return len(text).to_bytes(length, "big") + text


def _change(present, scope, topic, who, info=b""):
    key = _bytes(1, scope) + topic
    return bytes([present]) + _bytes(2, key) + _bytes(1, who) + _bytes(2, info)


class _Stranger:
    """Who publishes what bridges tell each other, or the like."""

    ALIVE, CHANGES, STATE, ASK, GOODBYE = range(1, 6)
    WHOLE = 3

    def __init__(self, redis, host=b"hhhhhhhh", bridge=b"bbbbbbbb"):
        self._redis = redis
        self._host = host
        self._bridge = bridge
        self._sequence = 0

    def tell(self, kind, flags=0, rest=b"", *, skip=0):
        self._sequence += skip + (kind in (self.CHANGES, self.STATE))
        head = b"\x00\x01\x04" + self._bridge + self._sequence.to_bytes(8, "big")
        self.publish(head + bytes([kind, flags]) + self._host + rest)

    def publish(self, payload):
        self._redis.run("-x", "PUBLISH", _CHANNEL, input=payload)


@pytest.mark.one_mpm
def test_what_no_bridge_tells_makes_nobody_a_member(start_httpd, redis):
    with _Hosts(start_httpd, redis, count=1) as hosts:
        watcher = hosts.watch(0, "room")
        wait_until(lambda: redis.subscribers(_CHANNEL) == 1, 10, "the bridge")
        stranger = _Stranger(redis)
        head = b"\x00\x01\x04" + 8 * b"b" + 8 * b"\x00"
        good = _change(1, b"=www", b"room", b"mallory")
        for payload in (
            b"plain text",
            b"\x00",
            b"\x00\x02\x04later",
            b"\x00\x01\x01" + head[3:] + b"a message of a topic",
            head,
            head + b"\x03\x03" + 7 * b"h",
            head + b"\x00\x03" + 8 * b"h" + good,
            head + b"\x06\x03" + 8 * b"h" + good,
            head + b"\x03\x03" + 8 * b"\x00" + good,
            head + b"\x04\x00" + 8 * b"h" + b"short",
        ):
            stranger.publish(payload)
        for changes in (
            good[:-1],
            good + good[:1],
            b"\x02" + good[1:],
            _change(1, b"=www", b"room", b""),
            _change(1, b"=www", b"room", b"mallory", 4097 * b"x"),
            _change(1, b"=www", b"", b"mallory"),
            _change(1, b"=www", b"\x00room", b"mallory"),
            _change(1, b"=www", 256 * b"r", b"mallory"),
            _change(1, b"@=www", b"room", b"mallory"),
            b"\x01" + _bytes(2, b"\xffroom") + _bytes(1, b"mallory") + _bytes(2, b""),
            b"\x01" + _bytes(2, b""),
        ):
            stranger.tell(stranger.STATE, stranger.WHOLE, changes)
        stranger.tell(stranger.CHANGES, 0, good)  # of a host whose state nobody knows
        stranger.tell(stranger.STATE, 2, good)  # and whose state has not begun
        hosts.enter(0, "room", "alice")
        _hears(watcher, "joined alice=x")
        hosts.expect(0, "room", "alice=x")
        hosts.servers[0].expect_log(r"WS0605: .*ws:!presence")


@pytest.mark.one_mpm
def test_a_hole_in_what_a_host_tells_makes_its_state_be_asked_for(start_httpd, redis):
    with _Hosts(start_httpd, redis, count=1) as hosts:
        watcher = hosts.watch(0, "room")
        wait_until(lambda: redis.subscribers(_CHANNEL) == 1, 10, "the bridge")
        stranger = _Stranger(redis)
        names = [f"member{number}".encode() for number in range(3)]
        members = [_change(1, b"=www", b"room", name, b"1") for name in names]
        stranger.tell(stranger.STATE, stranger.WHOLE, members[0] + members[1])
        _hears(watcher, "joined member0=1", "joined member1=1")
        stranger.tell(stranger.CHANGES, 0, members[2])
        _hears(watcher, "joined member2=1")
        stranger.tell(stranger.CHANGES, 0, _change(0, b"=www", b"room", names[0]), skip=1)  # which is not believed
        stranger.tell(stranger.STATE, stranger.WHOLE, members[1])
        _hears_all(watcher, ["left member0=1", "left member2=1"])
        stranger.tell(stranger.GOODBYE)
        _hears(watcher, "left member1=1")

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
            heard = {watcher.expect_text(seconds=20) for _ in range(2)}
            assert heard == {"left alice=3", "left bob=2"}


@pytest.mark.one_mpm
def test_the_same_member_on_two_hosts_is_one(start_httpd, redis):
    with _Hosts(start_httpd, redis) as hosts:
        watcher = hosts.watch(1, "room")
        here = hosts.enter(0, "room", "alice", "1")
        _hears(watcher, "joined alice=1")
        hosts.enter(1, "room", "alice", "1")
        hosts.enter(0, "room", "bob", "2")
        _hears(watcher, "joined bob=2")
        for host in range(2):
            hosts.expect(host, "room", "alice=1", "bob=2")
        here.close()
        hosts.enter(0, "room", "carol", "3")
        _hears(watcher, "joined carol=3")
        for host in range(2):
            hosts.expect(host, "room", "alice=1", "bob=2", "carol=3")


@pytest.mark.one_mpm
def test_hosts_of_other_scopes_have_other_members(start_httpd, redis):
    with _Hosts(start_httpd, redis, count=1) as hosts, _Hosts(
        start_httpd, redis, count=1, scope="elsewhere"
    ) as others:
        hosts.enter(0, "room", "alice")
        others.enter(0, "room", "bob")
        hosts.enter(0, "done", "alice")
        with _Hosts(start_httpd, redis, count=1) as late:
            late.expect(0, "done", "alice=x")
            late.expect(0, "room", "alice=x")
        others.expect(0, "room", "bob=x")


def test_members_of_a_killed_child_leave_on_all_hosts(start_httpd, redis):
    children = 2
    with _Hosts(start_httpd, redis, several_children(children, threads=4, spare=2 * children), children=children) as hosts:
        clients = [hosts.enter(0, "room", f"member{number}") for number in range(6)]
        at = [ask(client, "pid") for client in clients]
        watcher = hosts.watch(1, "room")
        _hears_all(watcher, [f"joined member{number}=x" for number in range(6)])
        os.kill(int(at[0]), signal.SIGKILL)
        _hears_all(watcher, [f"left member{number}=x" for number in range(6) if at[number] == at[0]])
        hosts.servers[0].forget_harm()


@pytest.mark.one_mpm
@pytest.mark.parametrize("victim", (0, 1))
def test_nobody_leaves_because_a_bridge_is_killed(start_httpd, redis, victim):
    with _Hosts(start_httpd, redis) as hosts:
        hosts.enter(0, "room", "alice")
        hosts.enter(1, "room", "bob")
        watchers = [hosts.watch(host, "room") for host in range(2)]
        for watcher in watchers:
            _hears_all(watcher, ["joined alice=x", "joined bob=x"])
        for number in range(2):
            bridge = wait_until(lambda: bridge_of(hosts.servers[victim]), 20, "a bridge")
            processes.kill(bridge)
            hosts.enter(0, "room", f"carol{number}")
            hosts.enter(1, "room", f"dave{number}")
            for watcher in watchers:
                _hears_all(watcher, [f"joined carol{number}=x", f"joined dave{number}=x"])
        for host in range(2):
            hosts.expect(host, "room", "alice=x", "bob=x", *(f"{one}{n}=x" for one in ("carol", "dave") for n in range(2)))


@pytest.mark.one_mpm
def test_who_comes_and_goes_while_the_broker_is_away_is_seen_when_it_is_back(start_httpd, redis):
    with _Hosts(start_httpd, redis) as hosts:
        alice = hosts.enter(0, "room", "alice")
        hosts.enter(0, "room", "bob")
        watcher = hosts.watch(1, "room")
        _hears_all(watcher, ["joined alice=x", "joined bob=x"])
        redis.kill()
        hosts.servers[0].expect_log("WS0602: ")
        alice.close()
        hosts.enter(0, "room", "carol")
        hosts.expect(0, "room", "bob=x", "carol=x")
        redis.start()
        _hears_all(watcher, ["left alice=x", "joined carol=x"])
        hosts.expect(1, "room", "bob=x", "carol=x")


@pytest.mark.one_mpm
def test_a_host_that_stops_takes_its_members_along_and_brings_others_when_it_is_back(start_httpd, redis):
    with _Hosts(start_httpd, redis) as hosts:
        hosts.enter(0, "room", "alice")
        hosts.enter(1, "room", "bob")
        watcher = hosts.watch(1, "room")
        _hears_all(watcher, ["joined alice=x", "joined bob=x"])
        hosts.servers[0].stop()
        _hears(watcher, "left alice=x")
        hosts.servers[0].start()
        hosts.enter(0, "room", "carol")
        _hears(watcher, "joined carol=x")
        hosts.expect(0, "room", "bob=x", "carol=x")


@pytest.mark.one_mpm
def test_members_stay_over_graceful_restarts_of_other_hosts_also_with_another_bridge(start_httpd, redis):
    with _Hosts(start_httpd, redis) as hosts:
        hosts.enter(1, "room", "bob")
        hosts.expect(0, "room", "bob=x")
        server = hosts.servers[0]
        before = bridge_of(server)
        server.write_config(hosts.parts + "WebSocketBrokerBuffer 8M\n")
        server.signal(signal.SIGUSR1)
        wait_until(lambda: bridge_of(server) not in (None, before), 20, "another bridge")
        hosts.enter(0, "room", "alice")
        watcher = hosts.watch(1, "room")
        _hears_all(watcher, ["joined alice=x", "joined bob=x"])
        hosts.expect(0, "room", "alice=x", "bob=x")


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.one_mpm
def test_a_host_without_power_has_no_members_after_a_while(start_httpd, redis):
    with _Hosts(start_httpd, redis) as hosts:
        hosts.enter(0, "room", "alice")
        hosts.enter(1, "room", "bob")
        watcher = hosts.watch(1, "room")
        _hears_all(watcher, ["joined alice=x", "joined bob=x"])
        hosts.servers[0].kill()
        _hears(watcher, "left alice=x")
        hosts.expect(1, "room", "bob=x")


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.one_mpm
def test_hosts_lose_sight_of_each_other_when_a_bridge_is_held_and_find_back(start_httpd, redis):
    with _Hosts(start_httpd, redis) as hosts:
        hosts.enter(0, "room", "alice")
        hosts.enter(1, "room", "bob")
        watchers = [hosts.watch(host, "room") for host in range(2)]
        for watcher in watchers:
            _hears_all(watcher, ["joined alice=x", "joined bob=x"])
        bridge = bridge_of(hosts.servers[0])
        os.kill(bridge, signal.SIGSTOP)
        try:
            _hears(watchers[0], "left bob=x")
            _hears(watchers[1], "left alice=x")
        finally:
            os.kill(bridge, signal.SIGCONT)
        _hears(watchers[0], "joined bob=x")
        _hears(watchers[1], "joined alice=x")


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.one_mpm
def test_without_a_broker_for_long_everybody_sees_the_own_host_alone(start_httpd, redis):
    with _Hosts(start_httpd, redis) as hosts:
        hosts.enter(0, "room", "alice")
        hosts.enter(1, "room", "bob")
        watchers = [hosts.watch(host, "room") for host in range(2)]
        for watcher in watchers:
            _hears_all(watcher, ["joined alice=x", "joined bob=x"])
        redis.kill()
        _hears(watchers[0], "left bob=x")
        _hears(watchers[1], "left alice=x")
        hosts.expect(0, "room", "alice=x")
        redis.start()
        _hears(watchers[0], "joined bob=x")
        _hears(watchers[1], "joined alice=x")


@pytest.mark.slow
@pytest.mark.one_mpm
def test_a_host_that_comes_learns_of_ten_thousand(start_httpd, redis):
    with _Hosts(start_httpd, redis, "WebSocketMaxMessageRate 0", count=1) as hosts:
        clients = [hosts.client(0) for _ in range(100)]
        for number, client in enumerate(clients):
            client.send(b"".join(frames.text(f"enter room{topic} member{number:02} x".encode()) for topic in range(100)))
        for client in clients:
            for _ in range(100):
                assert client.expect_text(seconds=20) == "enter 0"
        hosts.servers.append(hosts.start())
        for topic in (0, 50, 99):
            hosts.expect(1, f"room{topic}", *(f"member{number:02}=x" for number in range(100)), seconds=30)
        clients[0].close()
        for topic in (0, 99):
            hosts.expect(1, f"room{topic}", *(f"member{number:02}=x" for number in range(1, 100)), seconds=30)


@pytest.mark.one_mpm
def test_a_full_memory_says_that_members_of_others_are_missing(start_httpd, redis):
    with _Hosts(start_httpd, redis, count=1) as hosts:
        for number, client in enumerate(hosts.client(0) for _ in range(3)):
            for topic in range(100):
                assert ask(client, f"enter room{topic} member{number} {4000 * 'x'}") == "enter 0"
        with _Hosts(start_httpd, redis, "WebSocketPresenceMemory 1M", count=1) as small:
            small.servers[0].expect_log("WS0650: ", 0, 20)


@pytest.mark.one_mpm
def test_another_size_of_the_memory_has_to_wait_for_a_stop(start_httpd, redis):
    with _Hosts(start_httpd, redis, count=1) as hosts:
        server = hosts.servers[0]
        log = server.log_size()
        server.write_config(hosts.parts + "WebSocketPresenceMemory 1M\n")
        server.signal(signal.SIGUSR1)
        server.expect_log("WS0516: WebSocketPresenceMemory stays as it was, 16777216 bytes", log, 20)
