# SPDX-License-Identifier: Apache-2.0
"""What is peculiar to NATS: names of subjects, users and tokens, limits of the server, clusters."""

import pathlib
import re

import pytest

import certificates
import processes
from hosts import Hosts, ask, bridge_of, gaps_of, parts, publish, skip_to
from nats_servers import NatsCluster, NatsServer
from waiting import wait_until

pytestmark = pytest.mark.heavy

_USERS = """authorization { users: [
    {user: "ws", password: "s3/c\\"r@t"},
    {user: "narrow", password: "secret", permissions: {publish: ["ws.>"], subscribe: ["ws.!hosts", "ws.!presence", "ws.www.news"]}} ] }"""


@pytest.fixture
def nats():
    with NatsServer() as server:
        yield server


def test_topics_of_any_name_are_subjects(start_httpd, nats):
    with Hosts(start_httpd, nats) as hosts:
        publisher = hosts.client(0)
        hosts.servers[0].expect_log("WS0601", seconds=20)
        for topic, subject in (
            ("news.sports", "news.sports"),
            ("*", "%2A"),
            (">", "%3E"),
            ("a..b", "a%2E.b"),
            (".", "%2E"),
            ("50%", "50%25"),
            ("größe", "größe"),
        ):
            client = hosts.client(1)
            assert ask(client, f"sub {topic}") == "sub ok"
            hosts.await_subscribers(subject, 1)
            publish(publisher, topic, f"hello, {topic}")
            client.expect_text(f"hello, {topic}")
            nats.publish(nats.channel(subject), "from elsewhere")
            client.expect_text("from elsewhere")
            client.expect_silence(0.1)


@pytest.mark.parametrize(
    "settings, credentials, line",
    [
        (_USERS, "", "WS0602: .*does not know this user, password or token"),
        (_USERS, "ws:wrong@", "WS0602: .*does not know this user, password or token"),
        (_USERS, "ws:s3%2Fc%22r%40t@", "WS0601: "),
        ('authorization { token: "t0ken" }', "wrong@", "WS0602: .*does not know this user, password or token"),
        ('authorization { token: "t0ken" }', "t0ken@", "WS0601: "),
        ('authorization { token: "t0ken" }', "us:er@", "WS0602: .*does not know this user, password or token"),
        ("", "ws:any@", "WS0601: "),
    ],
)
def test_a_wrong_user_or_token_is_told_and_costs_nothing_within_the_host(start_httpd, settings, credentials, line):
    with NatsServer(settings) as nats:
        with Hosts(start_httpd, nats, count=1, url=f"nats://{credentials}127.0.0.1:{nats.port}") as hosts:
            hosts.servers[0].expect_log(line)
            client = hosts.client(0)
            assert ask(client, "sub news") == "sub ok"
            publish(hosts.client(0), "news", "hello")
            client.expect_text("hello")


@pytest.mark.parametrize("user", ("ws:", ""))
def test_a_password_or_a_token_from_a_file(start_httpd, tmp_path, user):
    file = tmp_path / "password"
    file.write_text('s3/c"r@t\n')
    with NatsServer(_USERS if user else 'authorization { token: "s3/c\\"r@t" }') as nats:
        url = f"nats://{user}{'@' if user else ''}127.0.0.1:{nats.port}"
        with Hosts(start_httpd, nats, f"WebSocketBrokerPasswordFile {file}", count=1, url=url) as hosts:
            hosts.subscriber(0, "news")
            commands = [pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() for pid in processes.group_of(hosts.servers[0].pid)]
            assert not any(b"s3/c" in command for command in commands)


def test_what_a_user_may_not_do_is_told_and_costs_the_rest_nothing(start_httpd):
    with NatsServer(_USERS) as nats:
        with Hosts(start_httpd, nats, count=1, url=f"nats://narrow:secret@127.0.0.1:{nats.port}") as hosts:
            denied = hosts.client(0)
            assert ask(denied, "sub secret") == "sub ok"
            hosts.servers[0].expect_log(r"WS0631: .*Permissions Violation for Subscription to.*ws\.www\.secret")
            client = hosts.subscriber(0, "news")
            nats.publish("ws.www.news", "hello", user="narrow", **{"pass": "secret"})
            client.expect_text("hello")


def test_tls_is_for_those_who_are_trusted(start_httpd):
    certificate = certificates.certificate()
    with NatsServer(tls=certificate) as nats:
        # Each its own topic: a host gives up what nobody wants any more after a while only.
        for topic, name in (("by-name", "localhost"), ("by-address", "127.0.0.1")):
            url = f"nats+tls://{name}:{nats.port}"
            with Hosts(start_httpd, nats, f"WebSocketBrokerCAFile {certificate[0]}", count=1, url=url) as hosts:
                client = hosts.subscriber(0, topic)
                nats.publish(nats.channel(topic), "hello")
                client.expect_text("hello")
        refused = "WS0602: .*certificate is not accepted"
        for scheme, directive, line in (
            ("tls", f"WebSocketBrokerCAFile {certificates.authority()[0]}", refused),
            ("tls", "", refused),
            ("tls", "WebSocketBrokerVerify Off", "WS0601: "),
            ("nats", "", refused),
        ):
            start_httpd(parts(f"{scheme}://localhost:{nats.port}", directive)).expect_log(line)
    with NatsServer() as nats:
        url = f"tls://localhost:{nats.port}"
        start_httpd(parts(url, "WebSocketBrokerVerify Off")).expect_log("WS0602: .*it has no TLS")


def test_what_is_too_large_for_the_server_stays_within_the_host_and_is_told(start_httpd):
    with NatsServer("max_payload: 1024") as nats, Hosts(start_httpd, nats) as hosts:
        here, there = hosts.subscriber(0, "news"), hosts.subscriber(1, "news", 2)
        publisher = hosts.client(0)
        for text in (1005 * "x", 1006 * "y", "after"):
            publish(publisher, "news", text)
            here.expect_text(text)
        there.expect_text(1005 * "x")
        there.expect_text("after")
        hosts.servers[0].expect_log(r"WS0630: a message of 1025 bytes .*ws\.www\.news.* takes 1024 at most")
        assert hosts.servers[0].status()["WebSocketBrokerMessagesDropped"] == "1"
        wait_until(lambda: gaps_of(hosts.servers[1]) > 0, 10, "the gap at the other host")


def test_a_bridge_that_does_not_read_is_cut_off_and_told(start_httpd):
    with NatsServer("max_payload: 150000", "max_pending: 200000", 'write_deadline: "1s"') as nats, Hosts(start_httpd, nats) as hosts:
        here, there = hosts.subscriber(0, "news"), hosts.subscriber(1, "news", 2)
        publisher = hosts.client(0)
        with processes.stopped(bridge_of(hosts.servers[1])):
            text = 100_000 * "x"

            def cut_off():
                publish(publisher, "news", text)
                here.expect_text(text)
                return "Slow Consumer" in nats.log()

            wait_until(cut_off, 30, "the server cutting it off")
        hosts.servers[1].expect_log("WS0602: .*(ended the connection|it says)")
        hosts.servers[1].expect_log("WS0604: ")
        hosts.await_both_ways(here, there, publisher)


@pytest.fixture
def cluster():
    with NatsCluster() as servers:
        wait_until(lambda: all(server.routes() >= 2 for server in servers.servers), 20, "the servers knowing each other")
        yield servers


def _server_of(cluster, host):
    """That the bridge of a host is connected to, as its log says."""
    port = int(re.findall(r"WS0601: .* at 127\.0\.0\.1:(\d+)", host.log())[-1])
    return next(server for server in cluster.servers if server.port == port)


def _await_heartbeat(host):
    """Which other hosts hear, too."""

    def round_trip():
        return host.status()["WebSocketBrokerRoundTripMicroseconds"]

    before = round_trip()
    wait_until(lambda: round_trip() != before, 20, "another heartbeat")


@pytest.mark.full
@pytest.mark.parametrize("harm", ("kill", "stop"))
def test_hosts_of_a_cluster_go_to_another_server(start_httpd, cluster, harm):
    with Hosts(start_httpd, cluster) as hosts:
        here, there = hosts.subscriber(0, "news"), hosts.subscriber(1, "news", 2)
        publisher = hosts.client(0)
        hosts.await_both_ways(here, there, publisher)
        _await_heartbeat(hosts.servers[0])
        victim = _server_of(cluster, hosts.servers[0])
        log = hosts.servers[0].log_size()
        if harm == "kill":
            victim.kill()
        else:
            victim.stop()
            cluster.servers.remove(victim)
        try:
            publish(publisher, "news", "within the host")
            assert skip_to(here, "within the host")
            hosts.servers[0].expect_log("WS0602: ", log, 60)
            hosts.servers[0].expect_log("WS0601: ", log, 60)
            hosts.servers[0].expect_log("WS0604: ", log)
            hosts.await_both_ways(here, there, publisher)
            wait_until(lambda: gaps_of(hosts.servers[1]) > 0, 10, "the other host being told")
        finally:
            if harm == "stop":
                victim.__exit__()
