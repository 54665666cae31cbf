# SPDX-License-Identifier: Apache-2.0
"""Topics over several hosts while the broker fails over, is cut off, loses connections or dies again and again."""

import contextlib
import signal
import socket
import threading

import pytest

import frames
import processes
from hosts import Hosts, ask, bridge_of, gaps_of, publish
from httpd import free_port
from redis_servers import RedisSentinel, RedisServer
from waiting import wait_until

pytestmark = pytest.mark.full


@pytest.fixture
def redis():
    with RedisServer() as server:
        yield server


@pytest.fixture
def watched():
    """A server, its replica, and a sentinel that watches them."""
    with RedisServer() as master, RedisServer("--replicaof", f"127.0.0.1 {master.port}") as replica:
        wait_until(lambda: "master_link_status:up" in replica.run("INFO", "replication"), 10, "the replica's link")
        with RedisSentinel("mymaster", master) as sentinel:
            wait_until(lambda: "slaves=1" in sentinel.run("INFO", "sentinel"), 20, "the sentinel knowing the replica")
            yield master, replica, sentinel


def _two_hosts(start, redis, **options):
    hosts = Hosts(start, redis, **options)
    here, there = hosts.subscriber(0, "news"), hosts.subscriber(1, "news", 2)
    return hosts, here, there, hosts.client(0)


def test_hosts_go_where_the_sentinels_say(start_httpd, watched):
    master, replica, sentinel = watched
    url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}/mymaster"
    hosts, here, there, publisher = _two_hosts(start_httpd, master, url=url)
    with hosts:
        log = [server.log_size() for server in hosts.servers]
        sentinel.run("SENTINEL", "FAILOVER", "mymaster")
        for server, start in zip(hosts.servers, log):
            server.expect_log("WS0602: .*(sentinels have chosen|replica|ended the connection)", start, 30)
            server.expect_log(f"WS0601: .* at 127.0.0.1:{replica.port}", start, 30)
            server.expect_log("WS0604: ", start)
        hosts.await_both_ways(here, there, publisher, replica)


def test_a_master_that_hangs_is_left_for_another_one_and_not_believed_when_it_is_back(start_httpd, watched):
    master, replica, sentinel = watched
    url = f"redis+sentinel://127.0.0.1:{sentinel.port}/mymaster"
    hosts, here, there, publisher = _two_hosts(start_httpd, master, url=url)
    with hosts:
        master.stop()
        for server in hosts.servers:
            server.expect_log(f"WS0601: .* at 127.0.0.1:{replica.port}", 0, 60)
        hosts.await_both_ways(here, there, publisher, replica)
        master.go_on()
        # Who is told to be a replica ends all connections.
        wait_until(lambda: "role:slave" in master.run("INFO", "replication", check=False), 60, "the old master being told")
        hosts.await_both_ways(here, there, publisher, replica)


def test_a_server_that_was_made_a_replica_is_left(start_httpd, redis):
    with RedisServer() as other:
        hosts, here, there, publisher = _two_hosts(start_httpd, redis)
        with hosts:
            redis.run("REPLICAOF", "127.0.0.1", other.port)
            for server in hosts.servers:
                server.expect_log("WS0602: .*it is a replica", 0, 30)
            publish(publisher, "news", "within the host")
            here.expect_text("within the host")
            redis.run("REPLICAOF", "NO", "ONE")
            hosts.await_both_ways(here, there, publisher)


@pytest.mark.parametrize("kind", ("pubsub", "normal"))
def test_connections_that_the_broker_ends_are_made_anew(start_httpd, redis, kind):
    hosts, here, there, publisher = _two_hosts(start_httpd, redis)
    with hosts:
        before = [gaps_of(server) for server in hosts.servers]
        redis.run("CLIENT", "KILL", "TYPE", kind)
        for server, gaps in zip(hosts.servers, before):
            wait_until(lambda: gaps_of(server) > gaps, 20, "a gap being told")
        hosts.await_both_ways(here, there, publisher)


def test_a_tiny_output_buffer_costs_messages_that_are_told(start_httpd, redis):
    hosts, here, there, publisher = _two_hosts(start_httpd, redis)
    with hosts:
        before = gaps_of(hosts.servers[1])
        redis.run("CONFIG", "SET", "client-output-buffer-limit", "pubsub 32kb 0 0")

        def gap_is_told():
            publish(publisher, "news", 1_000_000 * "x")
            here.expect_text()  # else it is too slow for what comes after
            return gaps_of(hosts.servers[1]) > before

        wait_until(gap_is_told, 20, "a gap")
        redis.run("CONFIG", "SET", "client-output-buffer-limit", "pubsub 32mb 8mb 60")
        hosts.await_both_ways(here, there, publisher)


class _Proxy:
    """Passes bytes on to a port, until it keeps them all."""

    def __init__(self, port):
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.swallows = False
        self._open = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                self._open += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source, target):
        swallows = self.swallows  # connections that come later are good
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if swallows or not self.swallows:
                    target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)


def test_a_network_that_swallows_everything_is_noticed(start_httpd, redis):
    with _Proxy(redis.port) as proxy:
        hosts, here, there, publisher = _two_hosts(start_httpd, redis, url=f"redis://127.0.0.1:{proxy.port}")
        with hosts:
            proxy.swallows = True
            publish(publisher, "news", "within the host")
            here.expect_text("within the host")
            for server in hosts.servers:
                server.expect_log("WS0602: .*does not come back", 0, 60)
            hosts.await_both_ways(here, there, publisher)


def test_what_arrives_is_in_order_and_what_does_not_is_told(start_httpd, redis):
    """Under load, while the broker and the bridges die and stall."""
    hosts, _, there, publisher = _two_hosts(start_httpd, redis)
    with hosts:
        stop = threading.Event()
        sent = []

        def publish_on():
            while not stop.wait(0.001):
                publisher.send(frames.text(f"pub news {len(sent)}".encode()))
                sent.append(None)
                publisher.expect_text("pub ok")

        thread = threading.Thread(target=publish_on)
        thread.start()
        try:
            for harm in (redis.kill, redis.start, redis.stop, redis.go_on):
                harm()
                begun = len(sent)
                wait_until(lambda: len(sent) > begun + 300, 20, "more messages")
            processes.kill(bridge_of(hosts.servers[0]))
            hosts.await_subscribers("news", 2)
            processes.kill(bridge_of(hosts.servers[1]))
            hosts.servers[1].expect_log("WS0623")
            wait_until(lambda: bridge_of(hosts.servers[1]), 20, "another bridge")
            hosts.await_subscribers("news", 2)
        finally:
            stop.set()
            thread.join()
        redis.publish("ws:www:news", "the end")
        seen = []
        while (text := there.expect_text()) != "the end":
            seen.append(int(text))
        assert seen == sorted(set(seen))
        assert len(seen) == len(sent) or gaps_of(hosts.servers[1]) > 0
        assert len(seen) > 300


def test_restarts_under_load_keep_all_within_the_host(start_httpd, redis):
    with Hosts(start_httpd, redis, "WebSocketDrainTimeout 1m", count=1) as hosts:
        server = hosts.servers[0]
        hosts.subscriber(0, "news")
        old = bridge_of(server)
        for number in range(5):
            server.signal(signal.SIGUSR1)
            client = hosts.subscriber(0, f"topic-{number}")
            redis.publish(f"ws:www:topic-{number}", "hello")
            client.expect_text("hello")
        assert bridge_of(server) == old
        assert ask(client, "pid")
