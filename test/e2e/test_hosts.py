# SPDX-License-Identifier: Apache-2.0
"""Topics over several hosts: what one httpd publishes, clients of another get, through a real Redis or NATS."""

import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

import certificates
import frames
import processes
from event_client import EventClient
from hosts import PLUGIN, Hosts, ask, bridge_of, gaps_of, parts, publish
from httpd import BUILD, location, several_children, shipped
from nats_servers import NatsServer
from redis_servers import RedisSentinel, RedisServer
from waiting import SANITIZED, wait_until

pytestmark = pytest.mark.each_mpm


@pytest.fixture
def redis():
    with RedisServer() as server:
        yield server


@pytest.fixture(params=(RedisServer, pytest.param(NatsServer, marks=pytest.mark.heavy)), ids=("redis", "nats"))
def broker(request):
    """For what holds with each kind."""
    with request.param() as server:
        yield server


def test_clients_of_all_hosts_get_what_one_publishes_and_what_others_do(start_httpd, broker):
    with Hosts(start_httpd, broker) as hosts:
        here, there = hosts.subscriber(0, "news"), hosts.subscriber(1, "news", 2)
        publisher = hosts.client(0)
        for number in range(20):
            publish(publisher, "news", f"message {number}")
        for client in (here, there):
            for number in range(20):
                client.expect_text(f"message {number}")
        broker.publish(broker.channel("news"), "from elsewhere")
        for client in (here, there):
            client.expect_text("from elsewhere")
            client.expect_silence(0.1)


def test_each_publisher_is_heard_in_order_and_once_on_all_hosts(start_httpd, broker):
    with Hosts(start_httpd, broker, count=3) as hosts:
        subscribers = [hosts.subscriber(host, "many", host + 1) for host in range(3)]
        publishers = [hosts.client(host) for host in range(3) for _ in range(2)]
        count = 200
        for number in range(count):
            for name, publisher in enumerate(publishers):
                publisher.send(frames.text(f"pub many {name} {number}".encode()))
        for subscriber in subscribers:
            seen = [0] * len(publishers)
            for _ in range(count * len(publishers)):
                name, number = map(int, subscriber.expect_text().split())
                assert number == seen[name]
                seen[name] += 1
            subscriber.expect_silence(0.1)
        for publisher in publishers:
            for _ in range(count):
                publisher.expect_text("pub ok")


@pytest.mark.one_mpm
def test_messages_of_any_size_and_kind_arrive_as_they_are(start_httpd, broker):
    with Hosts(start_httpd, broker) as hosts:
        there = hosts.subscriber(1, "sizes")
        publisher = hosts.client(0)
        hosts.servers[0].expect_log("WS0601", seconds=20)
        largest = () if isinstance(broker, NatsServer) else (8_000_000,)
        for size in (1, 125, 126, 65_535, 65_536, 1_000_000, *largest):
            text = "€" * (size // 3) + "x" * (size % 3)
            publish(publisher, "sizes", text)
            there.expect_text(text)
        broker.publish(broker.channel("sizes"), b"\xff\xfe")
        there.expect(frames.BINARY, b"\xff\xfe")


@pytest.mark.one_mpm
def test_event_streams_get_names_and_ids_of_events_from_other_hosts(start_httpd, redis):
    with Hosts(start_httpd, redis, location("/events", "events"), count=2) as hosts:
        here, there = hosts.servers
        with EventClient(there.port, "/events") as stream, there.websocket("/events") as socket:
            socket.expect_text("socket after ")
            stream.expect("stream after ", "hello")
            hosts.await_subscribers("news", 1)
            here.expect_log("WS0601", seconds=20)
            answer = here.ask("/events/publish?name=greeting&id=7", "POST", body=b"two\nlines")
            assert answer.status == 200
            socket.expect_text("two\nlines")
            stream.expect("two\nlines", "greeting")
            assert stream.last_id == "7"
            redis.publish("ws:www:news", "plain")
            socket.expect_text("plain")
            stream.expect("plain")


@pytest.mark.one_mpm
def test_people_on_two_hosts_chat(start_httpd, redis):
    with Hosts(start_httpd, redis, shipped("/chat", "chat"), count=2) as hosts:
        with hosts.servers[0].websocket("/chat?name=alice") as alice, hosts.servers[1].websocket("/chat?name=bob") as bob:
            wait_until(lambda: redis.run("PUBSUB", "CHANNELS", "ws:www:*"), 10, "channels of the chat")
            channel = redis.run("PUBSUB", "CHANNELS", "ws:www:*").splitlines()[0].removeprefix("ws:www:")
            hosts.await_subscribers(channel, 2)
            alice.send(frames.text(b"hello, Bob"))
            wait_until(lambda: "hello, Bob" in bob.expect_text(), 10, "what Alice says")


@pytest.mark.one_mpm
def test_what_no_bridge_writes_is_not_passed_on(start_httpd, redis):
    with Hosts(start_httpd, redis, count=1) as hosts:
        client = hosts.subscriber(0, "odd")
        head = b"\x00\x01\x01" + 8 * b"h" + 8 * b"\x00"
        # children who took the highest bit of its length for a flag would find a frame of two bytes, 81 and 7E, within it
        fields = b"event: " + 124 * b"x" + b"\xc2\x81~" + 32733 * b"x" + b"\n"
        long_event = head[:2] + b"\x81" + head[3:] + len(fields).to_bytes(2, "big") + fields
        for wrong in (b"", head[:-1], b"\x00\x02" + head[2:] + b"later", head[:2] + b"\x09" + head[3:], head + b"\xff", long_event):
            redis.run("-x", "PUBLISH", "ws:www:odd", input=wrong or b"\x00")
        redis.publish("ws:www:odd", "good")
        client.expect_text("good")
        hosts.servers[0].expect_log(r"WS0605: .*ws:www:odd")


def test_a_broker_that_dies_costs_nothing_within_a_host_and_comes_back(start_httpd, broker):
    with Hosts(start_httpd, broker) as hosts:
        here, there = hosts.subscriber(0, "news"), hosts.subscriber(1, "news", 2)
        publisher = hosts.client(0)
        gaps = gaps_of(hosts.servers[1])
        broker.kill()
        hosts.servers[0].expect_log(r"WS0602: .*: it cannot be connected to")
        publish(publisher, "news", "in between")
        here.expect_text("in between")
        assert hosts.servers[0].status()["WebSocketBrokerConnected"] == "0"
        broker.start()
        hosts.await_subscribers("news", 2)
        # The line is not said again soon: on a busy machine, hosts may have missed each other before.
        hosts.servers[1].expect_log("WS0604: ")
        wait_until(lambda: gaps_of(hosts.servers[1]) > gaps, 10, "the gap of the new connection")
        wait_until(lambda: hosts.servers[0].status()["WebSocketBrokerConnected"] == "1", 10, "being connected")
        # What waited was published when one of the two had not come back yet, or reaches both.
        broker.publish(broker.channel("news"), "after")
        here.expect_text("after")
        while there.expect_text() != "after":
            pass


def test_a_broker_that_stalls_costs_nothing_within_a_host(start_httpd, broker):
    with Hosts(start_httpd, broker) as hosts:
        here, there = hosts.subscriber(0, "news"), hosts.subscriber(1, "news", 2)
        publisher = hosts.client(0)
        broker.stop()
        for number in range(100):
            publish(publisher, "news", f"message {number}")
            here.expect_text(f"message {number}")
        broker.go_on()
        for number in range(100):
            there.expect_text(f"message {number}")


def test_a_bridge_that_is_killed_is_started_again(start_httpd, broker):
    with Hosts(start_httpd, broker) as hosts:
        here, there = hosts.subscriber(0, "news"), hosts.subscriber(1, "news", 2)
        old = wait_until(lambda: bridge_of(hosts.servers[0]), 5, "a bridge")
        processes.kill(old)
        hosts.servers[0].expect_log("WS0623")
        wait_until(lambda: bridge_of(hosts.servers[0]) not in (None, old), 10, "another bridge")
        hosts.await_subscribers("news", 2)
        broker.publish(broker.channel("news"), "hello")
        here.expect_text("hello")
        there.expect_text("hello")
        publish(hosts.client(0), "news", "from here")
        there.expect_text("from here")


def test_children_come_and_go(start_httpd, broker):
    with Hosts(start_httpd, broker, several_children(2), count=1, children=2) as hosts:
        server = hosts.servers[0]
        clients = [hosts.subscriber(0, f"topic-{number}") for number in range(4)]
        pids = [int(ask(client, "pid")) for client in clients]
        processes.kill(pids[0])
        for number, pid in enumerate(pids):
            hosts.await_subscribers(f"topic-{number}", 0 if pid == pids[0] else 1)
        again = hosts.subscriber(0, "topic-0")
        broker.publish(broker.channel("topic-0"), "hello")
        again.expect_text("hello")
        assert ask(again, "unsub topic-0") == "unsub ok"
        hosts.await_subscribers("topic-0", 0)


def test_the_bridge_goes_on_over_a_graceful_restart_unless_it_is_told_something_else(start_httpd, broker):
    with Hosts(start_httpd, broker, count=1) as hosts:
        server = hosts.servers[0]
        hosts.subscriber(0, "news")
        old = bridge_of(server)
        server.signal(signal.SIGUSR1)
        again = hosts.subscriber(0, "after")
        broker.publish(broker.channel("after"), "hello")
        again.expect_text("hello")
        assert bridge_of(server) == old

        other = f"other{broker.separator}"
        server.write_config(parts(broker.url, f"WebSocketBrokerPrefix {other}"))
        server.signal(signal.SIGUSR1)
        wait_until(lambda: bridge_of(server) not in (None, old), 10, "another bridge")
        client = hosts.client(0)
        # To another topic than those of clients that have just gone: what nobody wants any more stays subscribed for a while.
        assert ask(client, "sub later") == "sub ok"
        wait_until(lambda: broker.subscribers(broker.channel("later", other)) == 1, 10, "its subscription")
        wait_until(lambda: not processes.is_alive(old), 10, "the end of the old one")
        broker.publish(broker.channel("later", other), "hello")
        client.expect_text("hello")

        server.write_config("WebSocketTopicScope www\n" + PLUGIN)
        server.signal(signal.SIGUSR1)
        wait_until(lambda: bridge_of(server) is None, 10, "the end of the bridge")


def test_without_a_broker_there_is_no_bridge(start_httpd):
    server = start_httpd("WebSocketTopicScope www\n" + PLUGIN)
    with server.websocket("/topics") as client:
        assert ask(client, "sub news") == "sub ok"
        assert bridge_of(server) is None
        assert "WebSocketBrokerConnected" not in server.status()


@pytest.mark.one_mpm
@pytest.mark.parametrize(
    "password, words",
    [(None, "NOAUTH.*"), ("wrong", "WRONGPASS.*")],
)
def test_a_wrong_password_is_told_and_costs_nothing_within_the_host(start_httpd, password, words):
    with RedisServer("--requirepass", "secret") as redis:
        credentials = f":{password}@" if password else ""
        url = f"redis://{credentials}127.0.0.1:{redis.port}"
        with Hosts(start_httpd, redis, count=1, url=url) as hosts:
            hosts.servers[0].expect_log(f"WS0602: .*{words}")
            client = hosts.client(0)
            assert ask(client, "sub news") == "sub ok"
            publish(hosts.client(0), "news", "hello")
            client.expect_text("hello")


@pytest.mark.one_mpm
def test_a_password_from_a_file_and_a_unix_socket(start_httpd, tmp_path):
    file = tmp_path / "password"
    file.write_text("s3/cr@t\n")
    with RedisServer("--requirepass", "s3/cr@t") as redis:
        url = f"unix:{redis.path}"
        with Hosts(start_httpd, redis, f"WebSocketBrokerPasswordFile {file}", count=1, url=url) as hosts:
            hosts.servers[0].expect_log("WS0601: ")
            commands = [pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() for pid in processes.group_of(hosts.servers[0].pid)]
            assert not any(b"s3/cr@t" in command for command in commands)
            client = hosts.client(0)
            assert ask(client, "sub news") == "sub ok"

            def heard():
                return redis.run("PUBLISH", "ws:www:news", "hello", options=("-a", "s3/cr@t", "--no-auth-warning")) == "1"

            wait_until(heard, 10, "somebody listening")
            client.expect_text("hello")


def _jail(folder, pages):
    """With the program, what it needs and some pages, at the paths that they have outside."""
    program = (BUILD / "websocket-bridge").absolute()
    needed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for path in [program, *map(pathlib.Path, re.findall(r"(/\S+) \(0x", needed))]:
        inside = folder / path.relative_to("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, inside)
    pages.mkdir()
    (pages / "index.html").write_text("hello\n")
    shutil.copytree(pages, folder / pages.relative_to("/"))
    return folder


@pytest.mark.one_mpm
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may use ChrootDir")
@pytest.mark.skipif(SANITIZED, reason="a sanitizer looks for /proc, which is not in the jail")
def test_the_bridge_lives_in_the_chroot_of_the_children(start_httpd, redis, configtest, tmp_path):
    url = f"redis://127.0.0.1:{redis.port}"
    empty, pages = tmp_path / "empty", tmp_path / "pages"
    jail = _jail(tmp_path / "jail", pages)
    empty.mkdir()
    code, output = configtest(parts(url, f"ChrootDir {empty}"))
    assert code != 0 and "with ChrootDir the program has to be in there" in output
    lines = [f'DocumentRoot "{pages}"', f'<Directory "{pages}">\nRequire all granted\n</Directory>', f"ChrootDir {jail}"]
    with Hosts(start_httpd, redis, *lines, count=1) as hosts:
        client = hosts.subscriber(0, "news")
        redis.publish("ws:www:news", "hello")
        client.expect_text("hello")
        assert pathlib.Path(f"/proc/{bridge_of(hosts.servers[0])}/root").readlink() == jail


@pytest.mark.one_mpm
def test_sentinels_get_a_password_of_their_own(start_httpd, tmp_path):
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("sent1nel\n")
    wrong.write_text("secret\n")
    with RedisServer() as redis, RedisSentinel("mymaster", redis, "requirepass sent1nel") as sentinel:
        url = f"redis+sentinel://127.0.0.1:{sentinel.port}/mymaster"
        refused = r"WS0602: .*no sentinel says where it is.*"
        start_httpd(parts(url)).expect_log(refused + "WebSocketBrokerSentinelPasswordFile")
        start_httpd(parts(url, f"WebSocketBrokerSentinelPasswordFile {wrong}")).expect_log(refused + "WRONGPASS")
        with Hosts(start_httpd, redis, f"WebSocketBrokerSentinelPasswordFile {right}", count=1, url=url) as hosts:
            client = hosts.subscriber(0, "news")
            redis.publish("ws:www:news", "hello")
            client.expect_text("hello")
            bridge = bridge_of(hosts.servers[0])
            for name in ("cmdline", "environ"):
                assert b"sent1nel" not in pathlib.Path(f"/proc/{bridge}/{name}").read_bytes()


@pytest.mark.one_mpm
def test_tls_is_for_those_who_are_trusted(start_httpd):
    certificate, key = certificates.certificate()
    with RedisServer(tls=(certificate, key)) as redis:
        url = f"rediss://localhost:{redis.tls_port}"
        with Hosts(start_httpd, redis, f"WebSocketBrokerCAFile {certificate}", count=1, url=url) as hosts:
            client = hosts.subscriber(0, "news")
            redis.publish("ws:www:news", "hello")
            client.expect_text("hello")
        for directive, line in (
            (f"WebSocketBrokerCAFile {certificates.authority()[0]}", "WS0602: .*certificate is not accepted"),
            ("WebSocketBrokerVerify Off", "WS0601: "),
        ):
            start_httpd(parts(url, directive)).expect_log(line)


_WRONG = [
    ("WebSocketBroker amqp://host", "this broker is not supported"),
    ("WebSocketBroker nats://host/1", "must have nothing behind the hosts"),
    ("WebSocketBroker nats://a,,b", "must have the name or the address of a host"),
    ("WebSocketBroker nats://:password@host", "must have user:password or a token"),
    ("WebSocketBroker nats://user:@host", "needs a password"),
    ("WebSocketBroker nats://host\nWebSocketBrokerPrefix ws.*.", "subjects of NATS cannot begin with"),
    ("WebSocketBroker nats://host\nWebSocketBrokerPrefix a..b", "subjects of NATS cannot begin with"),
    ("WebSocketBroker nats://host\nWebSocketBrokerPrefix .", "subjects of NATS cannot begin with"),
    ("WebSocketBroker nats://host\nWebSocketBrokerVerify Off", "is for TLS"),
    ("WebSocketBroker nats://token@host\nWebSocketBrokerPasswordFile /etc/hostname", "there is a password in WebSocketBroker"),
    ("WebSocketBroker redis+cluster://host", "a Redis Cluster is not supported"),
    ("WebSocketBroker redis", "must be redis://"),
    ("WebSocketBroker http://host", "must be redis://"),
    ("WebSocketBroker redis://", "must have the name or the address of a host"),
    ("WebSocketBroker redis://host:0", "must have a port from 1 to 65535"),
    ("WebSocketBroker redis://host/name", "must have the number of a database"),
    ("WebSocketBroker redis://user@host", "must have user:password"),
    ("WebSocketBroker redis://one,two", "must have one host"),
    ("WebSocketBroker redis+sentinel://one,two", "must have the name that the sentinels"),
    ("WebSocketBroker unix:socket", "must have the whole path"),
    ('WebSocketBroker redis://host\nWebSocketBrokerPrefix "a b"', "must be 1 to 100 characters"),
    ("WebSocketBroker redis://host\nWebSocketBrokerPasswordFile /nowhere", "there is no file"),
    ("WebSocketBroker redis://:a@host\nWebSocketBrokerPasswordFile /etc/hostname", "there is a password in WebSocketBroker"),
    ("WebSocketBroker redis://host\nWebSocketBrokerPasswordFile /dev/null", "must have the password in its first line"),
    ("WebSocketBroker redis://host\nWebSocketBrokerSentinelPasswordFile /etc/hostname", "is for sentinels"),
    ("WebSocketBroker redis+sentinel://host/x\nWebSocketBrokerSentinelPasswordFile /dev/null", "SentinelPasswordFile: \"/dev/null\" must have the password"),
    ("WebSocketBrokerSentinelPasswordFile /etc/hostname", "WebSocketBrokerSentinelPasswordFile needs WebSocketBroker"),
    ("WebSocketBroker redis://host\nWebSocketBrokerCAFile /etc/hostname", "is for TLS"),
    ("WebSocketBroker redis://host\nWebSocketBrokerVerify Off", "is for TLS"),
    ("WebSocketBroker redis://host\nWebSocketBrokerBuffer 1", "is not allowed"),
    ("WebSocketBrokerPrefix x:", "WebSocketBrokerPrefix needs WebSocketBroker"),
    ("WebSocketBrokerBuffer 1M", "WebSocketBrokerBuffer needs WebSocketBroker"),
    ("<Location />\nWebSocketBroker redis://host\n</Location>", "not allowed|cannot occur"),
]


@pytest.mark.one_mpm
@pytest.mark.parametrize("lines, words", _WRONG, ids=[lines for lines, _ in _WRONG])
def test_what_is_configured_wrong_is_told(mpm, configtest, lines, words):
    code, output = configtest(lines + "\n")
    assert code != 0
    assert any(word in output for word in words.split("|")), output


@pytest.mark.one_mpm
def test_a_right_configuration_is_right_and_warns_when_hosts_share_nothing(start_httpd, configtest, redis):
    code, output = configtest("WebSocketBroker redis+sentinel://user:pass%40word@one,two:26380,[::1]/mymaster\n")
    assert code == 0, output
    code, output = configtest("WebSocketBroker nats+tls://t%40ken@one,two:4223,[::1]\nWebSocketBrokerPrefix a.b.\n")
    assert code == 0, output
    start_httpd(f"WebSocketBroker redis://127.0.0.1:{redis.port}\n" + PLUGIN).expect_log("WS0624")
