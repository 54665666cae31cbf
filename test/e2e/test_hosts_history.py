# SPDX-License-Identifier: Apache-2.0
"""Histories over several hosts: a client that comes back to another host with its position gets what it missed, in order
and nothing twice, or is told that it cannot."""

import json
import pathlib
import re
import threading

import pytest

import frames
import processes
from hosts import Hosts, ask, bridge_of, parts
from httpd import shipped
from redis_servers import RedisServer
from waiting import wait_until

pytestmark = pytest.mark.heavy

_PAGE = pathlib.Path(__file__).parent.parent.parent / "docs/hosts.md"
_TOPIC = "kept/news"
_DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
_PARTS = (
    "WebSocketHistory few/* 3 10m",
    "WebSocketHistory kept/* 1000 10m",
    shipped("/json", "topic", "WebSocketOption protocol json", 'WebSocketOption allow "**"', "WebSocketOption publish on"),
)


def _hosts(start, redis, count=2, **options):
    hosts = Hosts(start, redis, *_PARTS, count=count, **options)
    for server in hosts.servers:
        server.expect_log("WS0640", seconds=20)
    return hosts


@pytest.fixture
def redis():
    with RedisServer() as server:
        yield server


class _Client:
    """Speaks the JSON protocol, which has the position of each message."""

    def __init__(self, server, topic=_TOPIC):
        self._server = server
        self._topic = topic
        self._socket = server.websocket("/json")
        self._ids = 0

    def ask(self, **request):
        self._socket.send(frames.text(json.dumps({"topic": self._topic, **request}).encode()))
        return self.next()

    def next(self, seconds=10):
        return json.loads(self._socket.expect_text(seconds=seconds))

    def publish(self, *texts):
        for text in texts:
            self._ids += 1
            answer = self.ask(type="publish", data=str(text), id=self._ids)
            assert answer["type"] == "published", answer

    def subscribe(self, position=None):
        return self.ask(type="subscribe", **({"position": position} if position else {}))

    def expect(self, *texts):
        """These messages, and returns their positions."""
        found = [self.next() for _ in texts]
        assert [one["data"] for one in found] == [str(text) for text in texts], found
        return [one.get("position") for one in found]

    def expect_silence(self, seconds=0.1):
        self._socket.expect_silence(seconds)

    def leave(self):
        self._socket.vanish()


def _offsets(positions):
    assert len({position.split("-")[0] for position in positions}) == 1, positions
    return [int(position.split("-")[1]) for position in positions]


def _come_back(server, position, topic=_TOPIC):
    """A client that has recovered: once this host has what another one has had already."""

    def try_it():
        client = _Client(server, topic)
        if client.subscribe(position)["recovered"]:
            return client
        client.leave()
        return None

    return wait_until(try_it, 20, f"recovery from {position}")


class _Reader:
    """Comes and goes, and remembers what it has got, and where it was told that something is missing."""

    def __init__(self, hosts):
        self._hosts = hosts
        self._client = None
        self._position = None
        self.parts = [[]]  # of what has no hole
        self.story = []  # for whoever reads of a failure

    def come(self, host):
        self._client = _Client(self._hosts.servers[host])
        answer = self._client.subscribe(self._position)
        self.story.append(f"at {host} {answer}")
        if self._position is not None and not answer["recovered"]:
            self.parts.append([])
        if not answer.get("recovered"):
            self._position = answer["position"]

    def leave(self):
        self._client.leave()

    def _read(self):
        message = self._client.next()
        epoch, offset = message["position"].split("-")
        before = self._position.split("-")
        if epoch == before[0]:
            assert int(offset) == int(before[1]) + 1, "\n".join([*self.story, str(message)])
        self._position = message["position"]
        self.parts[-1].append(message["data"])
        self.story.append(f"{message['position'][:5]}..-{offset}: {message['data']}")
        return message["data"]

    def read_some(self, count):
        for _ in range(count):
            self._read()

    def read_until(self, texts):
        missing = set(texts)
        while missing:
            missing.discard(self._read())

    def check(self):
        """Each publisher in order and nothing twice; without a hole where none was told."""
        for part in self.parts:
            for host in {text.split()[0] for text in part}:
                numbers = [int(text.split()[1]) for text in part if text.split()[0] == host]
                assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "\n".join(self.story)


@pytest.mark.each_mpm
def test_who_comes_back_to_another_host_gets_what_it_missed(start_httpd, redis):
    with _hosts(start_httpd, redis, 3) as hosts:
        publishers = [_Client(server) for server in hosts.servers]
        reader = _Client(hosts.servers[0])
        assert "recovered" not in reader.subscribe()
        publishers[1].publish(1, 2)
        positions = reader.expect(1, 2)
        publishers[0].publish(3)
        positions += reader.expect(3)
        assert _offsets(positions) == [1, 2, 3]
        reader.leave()
        witness = _Client(hosts.servers[0])
        witness.subscribe()
        for number, publisher in enumerate(publishers):
            publisher.publish(4 + number)
            witness.expect(4 + number)  # else the next host may be quicker
        for host, server in enumerate(hosts.servers):
            again = _come_back(server, positions[-1])
            more = again.expect(4, 5, 6)
            assert _offsets(positions + more) == [1, 2, 3, 4, 5, 6]
            again.expect_silence()
            again.leave()


def test_all_hosts_see_what_two_publish_in_the_same_order(start_httpd, redis):
    count = 200
    with _hosts(start_httpd, redis, 3) as hosts:
        readers = [_Client(server) for server in hosts.servers]
        for reader in readers:
            reader.subscribe()
        publishers = [hosts.servers[host].websocket("/json") for host in (0, 1)]
        for number in range(count):
            for name, publisher in enumerate(publishers):
                request = {"type": "publish", "topic": _TOPIC, "data": f"{name} {number}", "id": number}
                publisher.send(frames.text(json.dumps(request).encode()))
        seen = [[reader.next() for _ in range(2 * count)] for reader in readers]
        assert seen[0] == seen[1] == seen[2]
        assert _offsets([one["position"] for one in seen[0]]) == list(range(1, 2 * count + 1))
        for name in range(2):
            assert [one["data"] for one in seen[0] if one["data"].startswith(f"{name} ")] == [
                f"{name} {number}" for number in range(count)
            ]


def test_a_host_that_starts_has_the_histories_of_the_others(start_httpd, redis):
    with _hosts(start_httpd, redis, 1) as hosts:
        publisher = _Client(hosts.servers[0])
        reader = _Client(hosts.servers[0])
        reader.subscribe()
        publisher.publish(*range(600))
        positions = reader.expect(*range(600))
        with _hosts(start_httpd, redis, 1) as others:
            again = _Client(others.servers[0])
            answer = again.subscribe(positions[9])
            assert answer["recovered"] and answer["position"] == positions[-1]
            assert again.expect(*range(10, 600)) == positions[10:]
            publisher.publish("new")
            again.expect("new")


def test_large_histories_cost_redis_no_copy_of_all_of_it(start_httpd, redis):
    def peak():
        return int(re.search(r"used_memory_peak:(\d+)", redis.run("INFO", "memory"))[1])

    memory = "WebSocketHistoryMemory 256M"
    with Hosts(start_httpd, redis, *_PARTS, memory, count=1) as hosts:
        hosts.servers[0].expect_log("WS0640", seconds=20)
        publisher = hosts.client(0)
        reader = hosts.client(0)
        assert ask(reader, f"sub {_TOPIC}") == "sub ok"
        for _ in range(60):
            assert ask(publisher, f"many {_TOPIC} 1 500000") == "many ok"
            reader.next_frame(what="the message")
        before = peak()
        late = start_httpd(parts(redis.url, *_PARTS, memory))
        late.expect_log("WS0640", seconds=20)
        assert peak() - before < 10 << 20


def test_who_cannot_recover_is_told_so(start_httpd, redis):
    topic = "few/news"
    with _hosts(start_httpd, redis) as hosts:
        publisher = _Client(hosts.servers[0], topic)
        reader = _Client(hosts.servers[1], topic)
        reader.subscribe()
        hosts.await_subscribers(topic, 1)  # what is published before may be too old for its history when it gets that
        publisher.publish(1, 2, 3, 4, 5)
        positions = reader.expect(1, 2, 3, 4, 5)
        epoch = positions[0].split("-")[0]
        for position in (positions[0], f"{epoch}-6", f"{int(epoch) ^ 1}-5"):
            answer = _Client(hosts.servers[1], topic).subscribe(position)
            assert answer["recovered"] is False and answer["position"] == positions[-1]
        again = _Client(hosts.servers[1], topic)
        assert again.subscribe(positions[1])["recovered"]
        again.expect(3, 4, 5)


def test_topics_that_redis_has_forgotten_leave_its_index(start_httpd, redis):
    index = "ws:!topics"
    with _hosts(start_httpd, redis, 1) as hosts:
        gone = [f"\x04=wwwkept/gone{number}" for number in range(20)]
        assert redis.run("SADD", index, *gone) == "20"
        publisher = hosts.client(0)
        for number in range(100):
            assert ask(publisher, f"pub kept/{number} x") == "pub ok"
        wait_until(lambda: redis.run("SCARD", index) == "100", 10, "those that are there alone")


def test_what_others_publish_to_redis_comes_without_a_position(start_httpd, redis):
    with _hosts(start_httpd, redis) as hosts:
        reader = _Client(hosts.servers[0])
        reader.subscribe()
        hosts.await_subscribers(_TOPIC, 1)
        redis.publish(f"ws:www:{_TOPIC}", "foreign")
        assert reader.expect("foreign") == [None]


def test_records_that_no_bridge_writes_are_refused(start_httpd, redis):
    with _hosts(start_httpd, redis, 1) as hosts:
        reader = _Client(hosts.servers[0])
        reader.subscribe()
        for wrong in (b"text", b"\x00\x01short", b"\x00\x02" + 8 * b"e" + b"1 1 \x00\x00\x01k", b"\x00\x01" + 8 * b"e" + b"x 1 "):
            redis.run("-x", "PUBLISH", "ws:!history", input=wrong)
        hosts.servers[0].expect_log("WS0605: .*ws:!history")
        _Client(hosts.servers[0]).publish("good")
        reader.expect("good")


def test_a_user_with_the_rights_of_the_page_may_do_all_that_is_needed(start_httpd, redis):
    lines = re.findall(r"^ACL SETUSER .*$", _PAGE.read_text(), re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        redis.run(*line.split())
    redis.run("ACL", "SETUSER", "default", "off", options=("--user", "default"))
    url = f"redis://websocket:a-long-password@127.0.0.1:{redis.port}"
    with _hosts(start_httpd, redis, url=url) as hosts:
        publisher = _Client(hosts.servers[0])
        reader = _Client(hosts.servers[1])
        reader.subscribe()
        publisher.publish(1, 2)
        positions = reader.expect(1, 2)
        _come_back(hosts.servers[0], positions[0]).expect(2)
        for server in hosts.servers:
            log = server.log()
            assert not re.search("WS0602|WS0641|NOPERM", log), log


def test_a_broker_that_stalls_costs_nothing_within_a_host(start_httpd, redis):
    with _hosts(start_httpd, redis) as hosts:
        here, there = (_Client(server) for server in hosts.servers)
        publisher = _Client(hosts.servers[0])
        for reader in (here, there):
            reader.subscribe()
        publisher.publish("before")
        before = [reader.expect("before")[0] for reader in (here, there)]
        assert before[0] == before[1]
        redis.stop()
        publisher.publish(*range(20))
        here.expect(*range(20))
        redis.go_on()
        there.expect(*range(20))
        publisher.publish("after")
        after = [reader.expect("after")[0] for reader in (here, there)]
        there.expect_silence()
        again = _come_back(hosts.servers[0], before[0])
        again.expect(*range(20), "after")
        assert after[1].split("-")[0] == before[1].split("-")[0]


@pytest.mark.parametrize("durable", [True, False], ids=["with its data", "without"])
def test_a_broker_that_is_killed_costs_nothing_within_a_host(start_httpd, durable):
    with RedisServer(*(_DURABLE if durable else ())) as redis, _hosts(start_httpd, redis) as hosts:
        here, there = (_Client(server) for server in hosts.servers)
        publishers = [_Client(server) for server in hosts.servers]
        for reader in (here, there):
            reader.subscribe()
        publishers[0].publish("before")
        position = here.expect("before")[0]
        assert there.expect("before") == [position]
        logs = [server.log_size() for server in hosts.servers]
        redis.kill()
        publishers[0].publish(*range(10))
        here.expect(*range(10))
        publishers[1].publish("there")
        there.expect("there")
        redis.start()
        for server, start in zip(hosts.servers, logs):
            server.expect_log("WS0640", start, 30)
        here.expect("there")
        there.expect(*range(10))
        publishers[1].publish("after")
        for reader in (here, there):
            reader.expect("after")
            reader.expect_silence()
        for server in hosts.servers:
            if durable:
                texts = [again.next()["data"] for again in [_come_back(server, position)] for _ in range(12)]
                assert sorted(texts) == sorted([*map(str, range(10)), "there", "after"])
            else:
                assert _Client(server).subscribe(position)["recovered"] is False


def test_connections_that_the_broker_ends_make_no_hole(start_httpd, redis):
    with _hosts(start_httpd, redis) as hosts:
        readers = [_Client(server) for server in hosts.servers]
        publisher = _Client(hosts.servers[0])
        for reader in readers:
            reader.subscribe()
        for turn, kind in enumerate(("pubsub", "normal") * 2):
            logs = [server.log_size() for server in hosts.servers]
            redis.run("CLIENT", "KILL", "TYPE", kind)
            texts = [f"{turn} {number}" for number in range(10)]
            publisher.publish(*texts)
            for reader in readers:
                reader.expect(*texts)
            for server, start in zip(hosts.servers, logs):
                server.expect_log("WS0640", start, 30)
        for reader in readers:
            reader.expect_silence()


def test_a_broker_that_forgets_everything_begins_a_new_epoch(start_httpd, redis):
    with _hosts(start_httpd, redis) as hosts:
        readers = [_Client(server) for server in hosts.servers]
        publisher = _Client(hosts.servers[0])
        for reader in readers:
            reader.subscribe()
        publisher.publish(1, 2, 3)
        before = [reader.expect(1, 2, 3)[-1] for reader in readers]
        redis.run("FLUSHALL")
        publisher.publish(4)
        after = [reader.expect(4)[0] for reader in readers]
        assert after[0] == after[1] and after[0].split("-")[0] != before[0].split("-")[0]
        for server in hosts.servers:
            assert _Client(server).subscribe(before[0])["recovered"] is False
            _come_back(server, after[0]).expect_silence()


@pytest.mark.each_mpm
def test_a_bridge_that_is_killed_makes_no_hole_in_what_others_publish(start_httpd, redis):
    with _hosts(start_httpd, redis) as hosts:
        reader = _Client(hosts.servers[0])
        reader.subscribe()
        there = _Client(hosts.servers[1])
        there.publish(1)
        first = reader.expect(1)
        log = hosts.servers[0].log_size()
        processes.kill(bridge_of(hosts.servers[0]))
        there.publish(*range(2, 12))
        hosts.servers[0].expect_log("WS0640", log, 30)
        positions = reader.expect(*range(2, 12))
        assert _offsets(first + positions) == list(range(1, 12))
        _Client(hosts.servers[0]).publish("from here")
        reader.expect("from here")
        hosts.servers[0].forget_harm()


def test_an_outage_that_is_longer_than_messages_wait_is_told(start_httpd, redis):
    """What was published meanwhile reached this host; the others, and who comes back, go on behind it."""
    with _hosts(start_httpd, redis) as hosts:
        here, there = (_Client(server) for server in hosts.servers)
        publisher = _Client(hosts.servers[0])
        for reader in (here, there):
            reader.subscribe()
        publisher.publish("before")
        position = here.expect("before")[0]
        there.expect("before")
        logs = [server.log_size() for server in hosts.servers]
        redis.kill()
        publisher.publish("too early")
        local = here.expect("too early")[0]
        wait_until(lambda: int(hosts.servers[0].status()["WebSocketBrokerMessagesDropped"]) > 0, 30, "it being dropped")
        redis.start()
        for server, start in zip(hosts.servers, logs):
            server.expect_log("WS0640", start, 30)
        publisher.publish("after")
        for reader in (here, there):
            reader.expect("after")
            reader.expect_silence()
        for old in (position, local):
            assert _Client(hosts.servers[0]).subscribe(old)["recovered"] is False
        hosts.servers[0].expect_log("WS0603")


@pytest.mark.full
def test_a_replica_that_lacks_the_last_messages_begins_a_new_epoch(start_httpd):
    """Nobody recovers from a position that stands for two messages."""
    with RedisServer(*_DURABLE) as redis, _hosts(start_httpd, redis) as hosts:
        readers = [_Client(server) for server in hosts.servers]
        publisher = _Client(hosts.servers[0])
        for reader in readers:
            reader.subscribe()
        publisher.publish(*range(5))
        positions = [reader.expect(*range(5)) for reader in readers][0]
        logs = [server.log_size() for server in hosts.servers]
        # As a replica that did not have the last two.
        stream, meta = f"ws:{{www:{_TOPIC}}}:h", f"ws:{{www:{_TOPIC}}}:m"
        for offset in (4, 5):
            redis.run("XDEL", stream, f"{offset}-0")
        redis.run("XSETID", stream, "3-0")
        redis.run("HSET", meta, "s", "3")
        redis.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        for server, start in zip(hosts.servers, logs):
            server.expect_log("WS0640", start, 30)
        publisher.publish("other")
        after = [reader.expect("other")[0] for reader in readers]
        assert after[0] == after[1] and after[0].split("-")[0] != positions[0].split("-")[0]
        for server in hosts.servers:
            for position in positions:
                assert _Client(server).subscribe(position)["recovered"] is False


@pytest.mark.full
def test_nobody_gets_anything_twice_or_misses_it_silently_whatever_happens(start_httpd):
    """Readers go from host to host while publishers number what they publish, and the broker and bridges are harmed."""
    count = 3
    with RedisServer(*_DURABLE) as redis, _hosts(start_httpd, redis, count) as hosts:
        stop = threading.Event()
        sent = [0] * count

        def publish_on(host):
            publisher = _Client(hosts.servers[host])
            while not stop.wait(0.002):
                publisher.publish(f"{host} {sent[host]}")
                sent[host] += 1

        readers = [_Reader(hosts) for _ in range(4)]
        for number, reader in enumerate(readers):
            reader.come(number % count)
        threads = [threading.Thread(target=publish_on, args=(host,)) for host in range(count)]
        for thread in threads:
            thread.start()
        try:
            for turn, harm in enumerate((None, redis.stop, redis.go_on, None, redis.kill, redis.start, None)):
                if harm:
                    harm()
                before = list(sent)
                wait_until(lambda: all(now > then + 50 for now, then in zip(sent, before)), 20, "publications")
                reader = readers[turn % len(readers)]
                reader.read_some(30)
                reader.leave()
                reader.come((turn + 1) % count)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        for host in range(count):
            _Client(hosts.servers[host]).publish(f"{host} {sent[host]}")
        for reader in readers:
            reader.read_until({f"{host} {sent[host]}" for host in range(count)})
            reader.check()
