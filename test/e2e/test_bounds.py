# SPDX-License-Identifier: Apache-2.0
"""How many connections one client and one location may have, in all child processes, and how fast a client may send."""

import os
import re
import signal
import socket
import time

import pytest

import frames
import handshake
import httpd
from httpd import BUILD, Httpd, location, several_children
from waiting import patience, wait_until

_REMOTE_IP = "RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 127.0.0.1\n"


def _from(address):
    """Options of a handshake that a proxy passes on for a client."""
    return {"headers": [("X-Forwarded-For", address)]}


def _caps(address=0, of_location=0):
    return (
        f"WebSocketMaxConnectionsPerAddress {address}",
        f"WebSocketMaxConnectionsPerLocation {of_location}",
    )


_PARTS = (
    _REMOTE_IP
    + location("/address", "debug", *_caps(address=3))
    + location("/other-address", "debug", *_caps(address=3))
    + location("/location", "debug", *_caps(of_location=4))
    + location("/both", "debug", *_caps(address=2, of_location=3))
    + location("/one", "echo", *_caps(address=1))
    + location("/free", "echo")
)

_BIG_MPM = several_children(3, threads=5)


@pytest.fixture(scope="module")
def bounded_server(mpm):
    with Httpd(mpm, _PARTS, modules=["remoteip"]) as server:
        yield server


@pytest.fixture
def bounded(bounded_server):
    yield bounded_server
    bounded_server.assert_unharmed()


class Clients(list):
    """WebSockets that are closed at the end, at the latest."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self:
            client.close()

    def open(self, server, path, count, **options):
        self.extend(server.websocket(path, **options) for _ in range(count))
        return self


def _open_up_to(server, clients, count, path="/cap", **options):
    """So many open connections; those that were closed a moment ago may still be counted."""

    def full():
        client = server.client()
        client.send(handshake.request(path, **options))
        if client.read_response().status == 101:
            clients.append(client)
        else:
            client.close()
        return len(clients) == count

    wait_until(full, 5, f"{count} connections")


def _free(server, path, **options):
    """Waits until a handshake is accepted; the connections of earlier tests may still be ending."""
    wait_until(lambda: server.answer(path, **options).status == 101, 5, f"a place for {path}")


def _refused(server, path, status, line, **options):
    """A handshake is refused, and sooner or later (one line a second) the log says so."""
    start = server.log_size()

    def told():
        assert server.answer(path, **options).status == status
        return re.search(line, server.log(start))

    wait_until(told, 5, f"a log line like {line!r}")


# ---- caps ------------------------------------------------------------------------------------------


def test_one_connection_too_many_of_an_address_gets_429(bounded):
    client = _from("192.0.2.1")
    with Clients().open(bounded, "/address", 3, **client):
        _refused(
            bounded,
            "/address",
            429,
            r"WS0130: WebSocket handshake of 192\.0\.2\.1 for \"/address\" refused with 429: "
            r"3 connections of 192\.0\.2\.1 are open \(WebSocketMaxConnectionsPerAddress\)",
            **client,
        )
        assert bounded.answer("/address", **_from("192.0.2.2")).status == 101
        assert bounded.answer("/free", **client).status == 101
    _free(bounded, "/address", **client)


def test_each_section_that_sets_a_cap_counts_for_itself(bounded):
    client = _from("192.0.2.3")
    with Clients().open(bounded, "/address", 3, **client).open(bounded, "/other-address", 3, **client):
        assert bounded.answer("/address", **client).status == 429
        assert bounded.answer("/other-address", **client).status == 429


def test_sections_below_a_cap_are_counted_together(start_httpd):
    server = start_httpd(_caps(address=3)[0] + "\n" + location("/a", "echo") + location("/b", "echo"))
    with Clients().open(server, "/a", 2).open(server, "/b", 1):
        assert [server.answer(path).status for path in ("/a", "/b")] == [429, 429]


def test_an_ipv6_network_is_one_client(bounded):
    addresses = ["2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1:ffff:ffff:ffff:ffff"]
    with Clients() as clients:
        for address in addresses:
            clients.open(bounded, "/address", 1, **_from(address))
        line = r"WS0130: .* 3 connections of 2001:db8:0:1::4/64 are open"
        _refused(bounded, "/address", 429, line, **_from("2001:db8:0:1::4"))
        assert bounded.answer("/address", **_from("2001:db8:0:2::1")).status == 101


def test_one_connection_too_many_of_a_location_gets_503(bounded):
    with Clients() as clients:
        for n in range(4):
            clients.open(bounded, "/location", 1, **_from(f"192.0.2.{n}"))
        _refused(
            bounded,
            "/location",
            503,
            r"WS0130: WebSocket handshake of 192\.0\.2\.200 for \"/location\" refused with 503: "
            r"4 connections of this location are open \(WebSocketMaxConnectionsPerLocation\)",
            **_from("192.0.2.200"),
        )
    _free(bounded, "/location")


def test_a_refusal_for_one_cap_takes_nothing_of_the_other(bounded):
    with Clients().open(bounded, "/both", 2, **_from("192.0.2.1")):
        for _ in range(10):
            assert bounded.answer("/both", **_from("192.0.2.1")).status == 429
        with Clients().open(bounded, "/both", 1, **_from("192.0.2.2")):
            for _ in range(10):
                assert bounded.answer("/both", **_from("192.0.2.3")).status == 503
        _free(bounded, "/both", **_from("192.0.2.3"))


@pytest.mark.parametrize("end", ["close_handshake", "close", "reset", "half_close", "violation"])
def test_a_place_is_free_again_however_the_connection_ends(bounded, end):
    client = _from("192.0.2.5")
    for _ in range(3):
        with Clients() as clients:
            _open_up_to(bounded, clients, 3, "/address", **client)
            assert bounded.answer("/address", **client).status == 429
            for one in clients:
                if end == "violation":
                    one.send(b"\xff\xff")
                    one.expect_close(1002)
                else:
                    getattr(one, end)()


def test_what_never_becomes_a_websocket_takes_no_place(bounded):
    address = ("X-Forwarded-For", "192.0.2.6")
    for _ in range(10):
        assert bounded.answer("/address", headers=[address, ("X-Refuse-Connection", "yes")]).status == 403
        assert bounded.answer("/address", headers=[address], version=99).status == 400
        assert bounded.answer("/address", headers=[address, ("Origin", "http://a.example")]).status == 403
    with Clients().open(bounded, "/address", 3, headers=[address]):
        assert bounded.answer("/address", headers=[address]).status == 429


def test_thousands_of_addresses_have_a_place_each(bounded):
    with Clients() as clients:
        for n in range(300):
            clients.open(bounded, "/one", 1, **_from(f"10.1.{n // 250}.{n % 250}"))
        for n in range(0, 300, 50):
            assert bounded.answer("/one", **_from(f"10.1.{n // 250}.{n % 250}")).status == 429
    for n in range(2000):
        assert bounded.answer("/one", **_from(f"10.2.{n // 250}.{n % 250}")).status == 101


def test_the_log_does_not_become_a_flood(start_httpd):
    # A server of its own: another's log may still tell what it has left out for earlier tests.
    server = start_httpd(_REMOTE_IP + location("/address", "debug", *_caps(address=3)), modules=["remoteip"])
    client = _from("192.0.2.7")
    with Clients().open(server, "/address", 3, **client):
        for _ in range(200):
            assert server.answer("/address", **client).status == 429
        wait_until(lambda: server.lines_told("WS0130") == 200, 10, "the number of lines left out")
        assert len(re.findall(r"WS0130: ", server.log())) < 150


# ---- all child processes ---------------------------------------------------------------------------


def _log_of_processes(path="/cap", **caps):
    return _BIG_MPM + 'WebSocketLog "@ROOT@/opened" "%{X-Name}i %P" Open\n' + location(path, "echo", *_caps(**caps))


def _process_of(server, name):
    """Which child serves the connection with this X-Name."""

    def found():
        path = server.root / "opened"
        return path.exists() and re.search(rf"^{name} (\d+)$", path.read_text(), re.MULTILINE)

    return int(wait_until(found, 5, f"the opening of {name} in the log")[1])


def _spread(server, clients, path="/cap"):
    """Opens connections until two child processes have one each; returns the processes."""
    names = iter(range(10000))
    processes = {}

    def spread():
        name = f"c{next(names)}"
        client = server.websocket(path, headers=[("X-Name", name)])
        process = _process_of(server, name)
        if process in processes:
            client.close_handshake()
        else:
            processes[process] = client
            clients.append(client)
        return len(processes) == 2

    wait_until(spread, 20, "two children with a connection each")
    return processes


@pytest.mark.parametrize(("caps", "status"), [({"address": 5}, 429), ({"of_location": 5}, 503)])
def test_caps_hold_for_all_children_together(mpm, caps, status):
    with Httpd(mpm, _log_of_processes(**caps), children=4) as server, Clients() as clients:
        _spread(server, clients)
        _open_up_to(server, clients, 5)
        assert [server.answer("/cap").status for _ in range(20)] == [status] * 20


@pytest.mark.skipif(bool(httpd.PRELOAD), reason="a killed child is no news to a sanitizer")
def test_what_a_killed_child_had_is_given_back_and_no_more(mpm):
    with Httpd(mpm, _log_of_processes(address=6), children=4) as server, Clients() as clients:
        processes = _spread(server, clients)
        for n in range(4):
            name = f"more{n}"
            _open_up_to(server, clients, 3 + n, headers=[("X-Name", name)])
            processes.setdefault(_process_of(server, name), clients[-1])
        assert server.answer("/cap").status == 429
        victim = next(iter(processes))
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in server.children(), 10, "the end of the killed child")
        wait_until(lambda: server.answer("/cap").status == 101, 10, "the places of the killed child")
        survivors = [client for client in clients if _is_open(client)]
        assert 0 < len(survivors) < 6
        with Clients() as more:
            _open_up_to(server, more, 6 - len(survivors))
            assert [server.answer("/cap").status for _ in range(10)] == [429] * 10
        for client in survivors:
            client.send(frames.text("alive"))
            client.expect_text("alive")


def _is_open(client):
    """Whether the other end is there: a killed process closes its sockets."""
    client.sock.setblocking(False)
    try:
        return client.sock.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
    finally:
        client.sock.setblocking(True)


def test_connections_of_children_that_drain_still_count(mpm):
    threads = "<IfModule !mpm_prefork_module>\nServerLimit 4\nMaxRequestWorkers 100\n</IfModule>\n"
    drain = "WebSocketDrainTimeout 1h\n"
    with Httpd(mpm, threads + drain + location("/cap", "echo", *_caps(address=4))) as server, Clients() as clients:
        clients.open(server, "/cap", 3)
        for client in clients:
            client.send(frames.text("served"))
            client.expect_text("served")
        old = set(server.children())
        server.signal(signal.SIGUSR1)
        wait_until(lambda: set(server.children()) - old, 10, "new children")
        _open_up_to(server, clients, 4)
        assert [server.answer("/cap").status for _ in range(10)] == [429] * 10
        for client in clients:
            client.send(frames.text("alive"))
            client.expect_text("alive")


def test_sections_that_move_in_the_configuration_keep_their_counts(mpm):
    settings = "<IfModule !mpm_prefork_module>\nServerLimit 4\nMaxRequestWorkers 100\n</IfModule>\n"
    settings += "WebSocketDrainTimeout 1h\n"
    full, other = (location(path, "echo", *_caps(of_location=2)) for path in ("/full", "/other"))
    with Httpd(mpm, settings + full + other) as server, Clients() as clients:
        clients.open(server, "/full", 2)
        old = set(server.children())
        server.write_config(settings + "# One line more, and the other way round.\n" + other + full)
        server.signal(signal.SIGUSR1)
        wait_until(lambda: set(server.children()) - old, 10, "new children")
        clients.open(server, "/other", 2)
        assert [server.answer(path).status for path in ("/full", "/other")] == [503, 503]


def test_a_file_that_two_virtual_hosts_include_has_a_cap_in_each(mpm):
    names = ("one.example", "two.example")
    hosts = "".join(
        f'<VirtualHost *:@PORT@>\nInclude "@ROOT@/included.conf"\nServerName {name}\n</VirtualHost>\n' for name in names
    )
    server = Httpd(mpm, hosts)
    (server.root / "included.conf").write_text(location("/cap", "echo", *_caps(of_location=1)))
    with server, Clients() as clients:
        for name in names:
            clients.append(server.websocket("/cap", host=name))
        assert [server.answer("/cap", host=name).status for name in names] == [503, 503]


def test_places_are_free_after_a_graceful_restart(start_httpd):
    server = start_httpd(location("/cap", "echo", *_caps(address=3)))
    old = set(server.children())
    with Clients().open(server, "/cap", 3):
        assert server.answer("/cap").status == 429
        server.signal(signal.SIGUSR1)
    wait_until(lambda: server.children() and not old & set(server.children()), 10, "new children")
    with Clients() as clients:
        _open_up_to(server, clients, 3)
        assert server.answer("/cap").status == 429


@pytest.mark.skipif(bool(httpd.PRELOAD), reason="a sanitizer has its own allocator")
def test_running_out_of_memory_takes_no_place(start_httpd):
    server = start_httpd(
        location("/cap", "echo", *_caps(address=3, of_location=3)),
        preload=BUILD / "test/plugins/failing_memory.so",
    )
    switch = server.root / "out-of-memory"
    with Clients().open(server, "/cap", 1):
        switch.touch()
        for _ in range(10):
            assert server.answer("/cap").status == 503
        switch.unlink()
    wait_until(lambda: server.answer("/cap").status == 101, 5, "memory")
    with Clients() as clients:
        _open_up_to(server, clients, 3)
        assert server.answer("/cap").status == 429


# ---- rates -----------------------------------------------------------------------------------------

_RATES = (
    location("/messages-close", "echo", "WebSocketMaxMessageRate 10", "WebSocketRatePolicy Close")
    + location("/messages-slow", "echo", "WebSocketMaxMessageRate 20", "WebSocketDispatch Inline")
    + location("/bytes-close", "echo", "WebSocketMaxByteRate 10K", "WebSocketRatePolicy Close")
    + location("/bytes-slow", "echo", "WebSocketMaxByteRate 100K", "WebSocketRateBurst 200ms")
    + location("/control", "echo", "WebSocketMaxControlRate 10")
    + location("/patient", "echo", "WebSocketMaxMessageRate 5", "WebSocketRateBurst 10s", "WebSocketRatePolicy Close")
    + location("/free", "echo")
)


@pytest.fixture(scope="module")
def limited_server(mpm):
    with Httpd(mpm, _RATES) as server:
        yield server


@pytest.fixture
def limited(limited_server):
    yield limited_server
    limited_server.assert_unharmed()


def test_too_many_messages_close_with_1008(limited):
    with limited.websocket("/messages-close") as client:
        client.send(frames.text("m") * 50)
        for _ in range(10):
            client.expect_text("m")
        close = client.expect_close(1008)
        assert close.payload[2:] == b"too many messages a second"


def test_tiny_fragments_close_like_messages(limited):
    with limited.websocket("/messages-close") as client:
        client.send(frames.text("f", fin=False) + frames.continuation("f".encode(), fin=False) * 50)
        client.expect_close(1008)


def test_a_client_with_too_many_messages_is_slowed_down_and_loses_nothing(limited):
    with limited.websocket("/messages-slow") as client, limited.websocket("/free") as other:
        begun = time.monotonic()
        client.send(b"".join(frames.text(str(n)) for n in range(80)))
        other.send(frames.text("unharmed"))
        other.expect_text("unharmed")
        assert time.monotonic() - begun < patience(2)
        for n in range(80):
            client.expect_text(str(n))
        assert time.monotonic() - begun > 2.9  # sixty more than the burst, at twenty a second
        client.close_handshake()


def test_too_many_bytes_close_with_1008(limited):
    with limited.websocket("/bytes-close") as client:
        client.send(frames.binary(b"x" * 9000) * 2)
        client.expect(frames.BINARY, b"x" * 9000)
        while (frame := client.next_frame()).opcode == frames.BINARY:
            pass
        assert (frame.opcode, frame.code) == (frames.CLOSE, 1008)


def test_a_client_with_too_many_bytes_is_read_at_its_rate(limited):
    with limited.websocket("/bytes-slow") as client:
        begun = time.monotonic()
        data = b"x" * 120_000
        client.send_while_reading(frames.binary(data))
        client.expect(frames.BINARY, data)
        assert time.monotonic() - begun > 0.8  # 100,000 more than the burst
        client.close_handshake()


@pytest.mark.parametrize("frame", [frames.ping(b"p"), frames.pong(b"p")], ids=["ping", "pong"])
def test_a_flood_of_control_frames_closes_with_1008(limited, frame):
    with limited.websocket("/control") as client:
        client.send(frame * 200)
        while (answer := client.next_frame()).opcode == frames.PONG:
            pass
        assert (answer.opcode, answer.code) == (frames.CLOSE, 1008)


def test_a_burst_may_be_longer_than_a_second(limited):
    with limited.websocket("/patient") as client:
        client.send(frames.text("m") * 50)
        for _ in range(50):
            client.expect_text("m")
        client.close_handshake()


def test_those_without_a_rate_are_not_slowed(limited):
    with limited.websocket("/free") as client:
        client.send_while_reading(frames.text("m") * 5000)
        for _ in range(5000):
            client.expect_text("m")
