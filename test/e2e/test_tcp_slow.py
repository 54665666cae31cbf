# SPDX-License-Identifier: Apache-2.0
"""The shipped bridge to TCP: clients and targets that are slow, and those that do not answer."""

import contextlib
import select
import socket
import threading

import pytest

import frames
import handshake
import processes
from bridges import CHILDREN, MIB, SMALL, bytes_of, digest, expect_no_bridge, location, received
from deflate_client import DeflateClient
from raw import RawClient
from targets import Target
from waiting import SANITIZED, patience, wait_until


def _kernel_keeps():
    """How much the kernel may keep of what passes a bridge in one direction, at httpd's ends."""
    sizes = []
    for name in ("tcp_rmem", "tcp_wmem"):
        with open(f"/proc/sys/net/ipv4/{name}", encoding="ascii") as file:
            sizes.append(int(file.read().split()[2]))
    return sum(sizes)


_KERNEL = _kernel_keeps() + MIB
_MUCH = _KERNEL + MIB


@pytest.mark.slow
def test_a_client_that_does_not_read_makes_the_target_wait(bridges):
    sent = bytes_of(10, _MUCH)
    with bridges.pair("/narrow", bridges.narrow, receive_buffer=SMALL) as (client, peer):
        before = _memory(bridges.server)
        taken = peer.send_until_stuck(sent)
        assert taken < _KERNEL, "the bridge took more than it can have passed on"
        _assert_little_more(bridges.server, before)
        with _sending(peer, sent[taken:]):
            assert digest(received(client, len(sent))) == digest(sent)


@pytest.mark.slow
def test_a_target_that_does_not_read_makes_the_client_wait(bridges):
    sent = bytes_of(11, _MUCH)
    messages = b"".join(frames.binary(sent[at : at + MIB]) for at in range(0, len(sent), MIB))
    with bridges.pair("/narrow", bridges.narrow) as (client, peer):
        before = _memory(bridges.server)
        taken = client.send_while_reading(messages, stall=1)
        assert taken < _KERNEL, "the bridge took more than it can have passed on"
        _assert_little_more(bridges.server, before)
        with _sending(client, messages[taken:]):
            assert digest(peer.receive(len(sent))) == digest(sent)


@pytest.mark.parametrize("path", ["/drop", "/close"])
def test_what_a_client_has_no_room_for_is_not_lost(bridges, path):
    """WebSocketSlowConsumer is about plugins that send more than there is room for."""
    sent = bytes_of(12, 2 * MIB)
    with bridges.pair(path, bridges.narrow, receive_buffer=SMALL) as (client, peer), _sending(peer, sent):
        client.wait_until_stalled()
        assert digest(received(client, len(sent))) == digest(sent)


def test_a_client_that_stops_reading_does_not_stop_what_it_sends(bridges):
    with bridges.pair("/narrow", bridges.narrow, receive_buffer=SMALL) as (client, peer):
        peer.send_until_stuck(bytes(_MUCH))
        client.send(frames.binary(b"stop"))
        assert peer.receive(4) == b"stop"


def test_a_target_that_takes_nothing_for_long_ends_the_bridge(bridges):
    with bridges.pair("/stalls", bridges.narrow) as (client, peer):
        client.send_until_stuck(frames.binary(bytes(MIB)), _MUCH, calm=patience(0.2))
        close = client.expect_close(1011, then_end=False)
        assert close.payload[2:] == b"target does not read"
        client.reset()
        peer.rest()
    expect_no_bridge(bridges.server)


def test_a_compressed_message_is_not_held_as_a_whole(bridges):
    sent = b"".join(bytes_of(seed, 512) * 20 for seed in range(1200))  # 12 MB, of which 0.6 are on the wire
    with DeflateClient(bridges.server.port, "/deflate") as client, bridges.narrow.accept() as peer:
        before = _memory(bridges.server)
        client.send_compressed(sent, frames.BINARY)
        start = peer.receive(1)
        _assert_little_more(bridges.server, before)
        assert digest(start + peer.receive(len(sent) - 1)) == digest(sent)
        peer.send(bytes(1000))
        answer = client.next_frame()
        assert answer.compressed and answer.payload == bytes(1000)


def _memory(server):
    """KiB that belong to the children alone."""
    return sum(map(processes.private_kib, server.children()))


def _assert_little_more(server, before):
    if not SANITIZED:  # which keeps memory that was freed
        assert _memory(server) - before < 3 * 1024, "KiB"


@contextlib.contextmanager
def _sending(end, data):
    """Sends from a thread what the test reads meanwhile at the other end."""
    thread = threading.Thread(target=end.send, args=(data,))
    thread.start()
    try:
        yield
    finally:
        thread.join()


# ---- many that wait ----------------------------------------------------------------------------------


@pytest.mark.each_mpm
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX], ids=["tcp", "unix"])
def test_no_more_handshakes_wait_for_a_silent_target_than_may(start_httpd, family):
    with Target(family, backlog=0) as target, contextlib.ExitStack() as stack:
        parts = location("/tcp", f"target {target.text}", "connect-timeout 60m", "max-waiting 2")
        server = start_httpd(parts, children=CHILDREN)
        full = target.fill_backlog()
        clients = [stack.enter_context(RawClient(server.port)) for _ in range(4)]
        for client in clients:
            client.send(handshake.request("/tcp"))
        refused = wait_until(lambda: _answered(clients), 10, "a refusal of those that are too many")
        while len(refused) < 2:
            refused += wait_until(lambda: _answered(set(clients) - set(refused)), 10, "a second refusal")
        for client in refused:
            response = client.read_response()
            assert (response.status, response.header("Retry-After")) == (503, "1")
        server.expect_log("too many handshakes wait for it \\(option max-waiting\\); refused with 503")
        assert not _answered(set(clients) - set(refused)), "these wait"
        # The others get through as soon as there is room.
        for sock in full:
            sock.close()
        with target.accepting():
            for client in set(clients) - set(refused):
                handshake.check_upgraded(client.read_response(seconds=60), handshake.KEY)
            with server.websocket("/tcp"):
                pass


def _answered(clients):
    poll = select.poll()
    by_number = {client.sock.fileno(): client for client in clients}
    for number in by_number:
        poll.register(number, select.POLLIN)
    return [by_number[number] for number, _events in poll.poll(0)]
