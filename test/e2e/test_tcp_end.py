# SPDX-License-Identifier: Apache-2.0
"""The shipped bridge to TCP: how clients, targets and children end."""

import contextlib
import signal
import subprocess
import sys
import threading
import time

import pytest

import frames
import handshake
import processes
from bridges import MIB, SMALL, bytes_of, digest, expect_no_bridge, location, received, until_close
from httpd import several_children
from raw import RawClient
from targets import EchoTarget, Target
from waiting import SANITIZED


def test_all_that_the_target_said_comes_before_its_end(bridges):
    sent = bytes_of(4, 3 * MIB)
    with bridges.pair() as (client, peer):
        client.send(frames.text("say it"))
        peer.receive(6)
        got = bytearray()
        for at in range(0, len(sent), MIB // 4):
            peer.send(sent[at : at + MIB // 4])
            got += received(client, MIB // 4)
        peer.send(b"last words")
        peer.end_sending()
        rest, close = until_close(client)
        assert digest(got + rest) == digest(sent + b"last words")
        assert (close.code, close.payload[2:]) == (1000, b"target closed")
        client.send(frames.binary(b"heard") + frames.close(1000))
        client.expect_end()
        assert peer.rest() == b"heard"  # it may still listen


@pytest.mark.parametrize("path", ["/tcp", "/unix"])
def test_a_target_that_goes_at_once_is_heard_out_by_a_slow_client(bridges, path):
    """Its socket is broken while it is not read from, which is nothing to spin about."""
    sent = bytes_of(5, MIB)
    target = bridges.unix if path == "/unix" else bridges.tcp
    with bridges.server.websocket(path, receive_buffer=4096) as client:
        with target.accept() as peer:
            sent = sent[: peer.send_until_stuck(sent)]
        child = [pid for pid in bridges.server.children() if processes.sockets(pid)]
        before = sum(map(processes.cpu_seconds, child))
        client.wait_until_stalled()
        spent = sum(map(processes.cpu_seconds, child)) - before
        rest, close = until_close(client)
        assert digest(rest) == digest(sent)
        assert close.code == 1000
    assert SANITIZED or spent < 0.5, f"{spent} s of CPU for a client that does not read"


@pytest.mark.each_mpm
def test_what_the_client_sent_before_its_close_reaches_the_target_after_it(bridges):
    sent = bytes_of(7, 50_000)
    with bridges.pair("/narrow", bridges.narrow) as (client, peer):
        client.send(frames.binary(sent))
        client.close_handshake()
        assert digest(peer.rest()) == digest(sent)
        with pytest.raises(OSError):  # nobody listens, and soon nobody is there
            while True:
                peer.send(bytes(100_000))
    expect_no_bridge(bridges.server)


@contextlib.contextmanager
def _talking(peer):
    """The target says something all the time, so that the bridge's end always finds something unread."""
    stop = threading.Event()

    def talk():
        with contextlib.suppress(OSError):
            while not stop.wait(0.001):
                peer.send(b"x")

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _slowly_read(peer, size, seconds):
    """In portions, spread over so long."""
    portions = 20
    data = bytearray()
    while len(data) < size:
        data += peer.receive(min(size - len(data), size // portions))
        time.sleep(seconds / portions)
    return bytes(data)


def test_a_slow_target_that_talks_gets_all_that_the_client_had_sent(bridges):
    sent = bytes_of(8, MIB)
    with bridges.pair("/narrow", bridges.narrow) as (client, peer), _talking(peer):
        client.send(frames.binary(sent) + frames.close(1000))
        # For longer than who has taken all has for its end.
        assert digest(_slowly_read(peer, MIB, seconds=7)) == digest(sent)
    expect_no_bridge(bridges.server)


def test_a_target_that_resets_is_told_with_1011(bridges):
    with bridges.pair() as (client, peer):
        client.send(frames.binary(b"hello"))
        peer.receive(5)
        peer.reset()
        close = client.expect_close(1011)
        assert close.payload[2:] == b"target failed"
    expect_no_bridge(bridges.server)


def test_a_client_that_resets_is_the_end_for_the_target(bridges):
    with bridges.pair() as (client, peer):
        client.send(frames.binary(b"hello"))
        assert peer.receive(5) == b"hello"
        client.reset()
        assert peer.rest() == b""
    expect_no_bridge(bridges.server)


_BACKEND = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
peers = []
while True:
    peers.append(listener.accept()[0])
    peers[-1].send(b"ready")
"""


@pytest.mark.each_mpm
def test_the_death_of_a_target_ends_its_bridges_and_nothing_else(bridges, start_httpd):
    with subprocess.Popen([sys.executable, "-c", _BACKEND], stdout=subprocess.PIPE, text=True) as backend:
        try:
            port = int(backend.stdout.readline())
            server = start_httpd(location("/dies", f"target 127.0.0.1:{port}") + location("/lives", f"target {bridges.tcp.text}"))
            with server.websocket("/lives") as other, bridges.tcp.accept() as peer:
                clients = [server.websocket("/dies") for _ in range(20)]
                for client in clients:
                    assert received(client, 5) == b"ready"
                clients[0].send(frames.binary(b"unread"))  # the kernel answers for the dead with a reset
                backend.kill()
                for client in clients:
                    frame = client.next_frame()
                    assert frame.opcode == frames.CLOSE and frame.code in (1000, 1011), frame
                    client.send(frames.close(1000))
                    client.expect_end()
                    client.close()
                other.send(frames.binary(b"still here"))
                assert peer.receive(10) == b"still here"
            expect_no_bridge(server)
            assert server.answer("/dies").status == 502
            server.assert_unharmed()
        finally:
            backend.kill()


def test_without_descriptors_clients_are_refused_before_the_101(start_httpd):
    with EchoTarget(backlog=1000) as target, contextlib.ExitStack() as stack:
        server = start_httpd(location("/tcp", f"target {target.text}"), files=300)
        accepted, refused = [], 0
        while refused < 20:
            client = stack.enter_context(RawClient(server.port))
            client.send(handshake.request("/tcp"))
            status = client.read_response().status
            assert status in (101, 503)
            if status == 101:
                accepted.append(client)
            else:
                refused += 1
                client.close()
        assert len(accepted) > 50
        for client in accepted:
            client.send(frames.binary(b"served"))
            assert received(client, 6) == b"served"
        for client in accepted:
            client.close_handshake()
        expect_no_bridge(server)
        with server.websocket("/tcp"):
            pass


# ---- the end of a child ------------------------------------------------------------------------------


@pytest.mark.each_mpm
def test_a_drain_ends_bridges_and_loses_nothing_that_the_target_had_not_taken(start_httpd):
    sent = bytes_of(13, MIB)
    with Target(buffer=SMALL) as target:
        server = start_httpd("WebSocketDrainTimeout 2s\n" + location("/tcp", f"target {target.text}", "buffer 16M"))
        with server.websocket("/tcp") as client, target.accept() as peer:
            client.send(frames.binary(sent))
            client.send(frames.ping(b"all of it"))
            client.expect_pong(b"all of it")
            server.signal(signal.SIGUSR1)
            frame = client.next_frame(what="the Close of the drain")
            assert frame.opcode == frames.CLOSE and frame.code in (1001, 1012), frame
            client.send(frames.close(frame.code))
            client.expect_end()
            assert digest(peer.rest()) == digest(sent)
        server.assert_unharmed()


@pytest.mark.each_mpm
def test_a_stop_ends_bridges(start_httpd):
    with Target() as target:
        server = start_httpd(location("/tcp", f"target {target.text}"))
        with server.websocket("/tcp") as client, target.accept() as peer:
            client.send(frames.binary(b"bye"))
            assert peer.receive(3) == b"bye"
            server.signal(signal.SIGTERM)
            client.expect_close(1001)
            assert peer.rest() == b""


@pytest.mark.each_mpm
def test_a_slow_target_that_talks_has_the_time_of_a_drain(start_httpd):
    sent = bytes_of(14, MIB // 2)
    with Target(buffer=SMALL) as target:
        room = several_children(1, slots=4)  # for those that take its place
        server = start_httpd(room + location("/tcp", f"target {target.text}", "buffer 16M"), children=1)
        with server.websocket("/tcp") as client, target.accept() as peer, _talking(peer):
            client.send(frames.binary(sent) + frames.close(1000))
            while (frame := client.next_frame(what="the Close")).opcode != frames.CLOSE:
                pass
            client.expect_end()
            client.close()
            server.signal(signal.SIGUSR1)
            assert digest(_slowly_read(peer, len(sent), seconds=6)) == digest(sent)
        server.assert_unharmed()


@pytest.mark.each_mpm
def test_a_target_that_talks_has_a_moment_when_the_child_stops(start_httpd):
    sent = bytes_of(15, MIB // 2)
    with Target(buffer=SMALL) as target:
        server = start_httpd(location("/tcp", f"target {target.text}", "buffer 16M"))
        with server.websocket("/tcp") as client, target.accept() as peer, _talking(peer):
            client.send(frames.binary(sent) + frames.ping(b"all of it"))
            while client.next_frame().payload != b"all of it":
                pass
            server.signal(signal.SIGTERM)
            while (frame := client.next_frame(what="the Close")).opcode != frames.CLOSE:
                pass
            client.send(frames.close(1001))
            client.expect_end()
            client.close()
            assert digest(_slowly_read(peer, len(sent), seconds=0.2)) == digest(sent)
