# SPDX-License-Identifier: Apache-2.0
"""The shipped bridge to servers that speak another protocol over TCP or a unix socket."""

import contextlib
import hashlib
import random
import re
import select
import signal
import socket
import subprocess
import sys
import threading

import pytest

import frames
import handshake
import processes
from h2client import H2Client
from httpd import BUILD, Httpd, free_port
from raw import RawClient
from targets import EchoTarget, Target
from test_docs import TOP, snippet, with_our_files
from tls import TlsHttpd
from waiting import SANITIZED, wait_until

_MIB = 1 << 20
_CHILDREN = 4  # under prefork


def location(path, *options, directives=()):
    """A <Location> of the bridge."""
    lines = [
        "SetHandler websocket-handler",
        f'WebSocketHandler "{BUILD}/plugins/websocket_tcp.so" tcp_init',
        *(f"WebSocketOption {option}" for option in options),
        *directives,
    ]
    return f'<Location "{path}">\n' + "".join(f"    {line}\n" for line in lines) + "</Location>\n"


def bytes_of(seed, size):
    return random.Random(seed).randbytes(size)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def received(client, size):
    """The payloads of the next messages, which have to be binary and `size` bytes together."""
    data = bytearray()
    while len(data) < size:
        data += client.expect(frames.BINARY)
    assert len(data) == size, f"{len(data) - size} bytes too many"
    return bytes(data)


def until_close(client):
    """All payloads until the server's Close, and that."""
    data = bytearray()
    while True:
        frame = client.next_frame(what="data or a Close")
        assert frame is not None, "the stream ended without a Close"
        if frame.opcode == frames.CLOSE:
            return bytes(data), frame
        assert frame.opcode == frames.BINARY, frame
        data += frame.payload


# ---- options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, sentence",
    [
        ([], "option target or targets is missing"),
        (["target 127.0.0.1:1", "targets /etc/passwd"], "both options target and targets"),
        (["target 127.0.0.1"], '"127.0.0.1" has no port; HOST:PORT'),
        (["target 127.0.0.1:"], "no port from 1 to 65535"),
        (["target 127.0.0.1:0"], "no port from 1 to 65535"),
        (["target 127.0.0.1:65536"], "no port from 1 to 65535"),
        (["target 127.0.0.1:59x"], "no port from 1 to 65535"),
        (["target :5900"], "has no host"),
        (["target ::1:5900"], "IPv6 address without brackets"),
        (["target [::1:5900"], "IPv6 address without brackets"),
        (["target [localhost]:5900"], "no IPv6 address in its brackets"),
        (["target 127.1:5900"], "no IPv4 address of four numbers"),
        (["target 127.0.0.256:5900"], "no IPv4 address of four numbers"),
        (["target http://localhost:5900"], "IPv6 address without brackets, or too many colons"),
        (["target a/b:5900"], "no name of a host"),
        (["target unix:run/x.sock"], "no absolute path"),
        (["target unix:"], "no absolute path"),
        ([f"target unix:/{'x' * 107}"], "path of more than 107 bytes"),
        (["targets relative"], "not the absolute path"),
        (["targets /nowhere/at/all"], "/nowhere/at/all: No such file or directory"),
        (["target 127.0.0.1:1", 'subprotocol " "'], "not a name such as binary"),
        (["target 127.0.0.1:1", 'subprotocol "binary,"'], "not a name such as binary"),
        (["target 127.0.0.1:1", 'subprotocol "two words"'], "not a name such as binary"),
        (["target 127.0.0.1:1", "connect-timeout 0"], "not a time from 10ms to 60m"),
        (["target 127.0.0.1:1", "connect-timeout 61m"], "not a time from 10ms to 60m"),
        (["target 127.0.0.1:1", "connect-timeout 2h"], "not a time from 10ms to 60m"),
        (["target 127.0.0.1:1", "connect-timeout -1s"], "not a time from 10ms to 60m"),
        (["target 127.0.0.1:1", "connect-timeout s"], "not a time from 10ms to 60m"),
        (["target 127.0.0.1:1", "connect-timeout 99999999999999999999s"], "not a time from 10ms"),
        (["target 127.0.0.1:1", "send-timeout never"], "not 0 or a time up to 60m"),
        (["target 127.0.0.1:1", "buffer 100"], "not a size from 1K to 16M"),
        (["target 127.0.0.1:1", "buffer 17M"], "not a size from 1K to 16M"),
        (["target 127.0.0.1:1", "buffer 64KB"], "not a size from 1K to 16M"),
        (["target 127.0.0.1:1", "max-waiting 0"], "not a number from 1 to 1000"),
        (["target 127.0.0.1:1", "Target 127.0.0.1:2"], 'option "Target" is unknown; there are: target, targets'),
    ],
)
def test_a_wrong_option_stops_httpd_with_what_is_allowed(configtest, options, sentence):
    code, output = configtest(location("/tcp", *options))
    assert code != 0
    assert sentence in output


@pytest.mark.parametrize(
    "line, sentence",
    [
        ("no colon", 'line 2: it is not "TOKEN: TARGET"'),
        ("kitchen:10.0.0.1:5900", 'line 2: it is not "TOKEN: TARGET"'),
        (": 10.0.0.1:5900", 'line 2: it is not "TOKEN: TARGET"'),
        ("kitchen: 10.0.0.1", 'line 2: "10.0.0.1" has no port'),
        ("kitchen: unix_socket:relative", "line 2: .* has no absolute path"),
        ("twice: 10.0.0.1:1\ntwice: 10.0.0.1:2", "line 3: its token stands further up"),
    ],
)
def test_a_wrong_line_in_a_file_of_tokens_stops_httpd(configtest, tmp_path, line, sentence):
    tokens = tmp_path / "tokens"
    tokens.write_text(f"# these are\n{line}\n")
    code, output = configtest(location("/tcp", f"targets {tokens}"))
    assert code != 0
    assert re.search(f"{re.escape(str(tokens))}, {sentence}", output), output


@pytest.mark.parametrize(
    "options",
    [
        ["target 127.0.0.1:5900"],
        ["target [2001:db8::1]:65535"],
        ["target vnc-1.example_net:1"],
        ["target unix:/run/x.sock"],
        ["target 127.0.0.1:1", 'subprotocol "binary, mqtt"', "connect-timeout 250ms", "send-timeout 0", "buffer 1M"],
        ["target 127.0.0.1:1", "connect-timeout 1m", "max-waiting 1000", "buffer 65536"],
    ],
)
def test_right_options_are_accepted(configtest, options):
    code, output = configtest(location("/tcp", *options))
    assert code == 0, output


@pytest.mark.parametrize("containing", ["5900", "1883"])
def test_the_configurations_of_the_manual_are_valid(configtest, containing):
    code, output = configtest(with_our_files(snippet(TOP / "docs/tcp.md", "apache", containing)))
    assert code == 0, output


# ---- the server of most tests ------------------------------------------------------------------------


class _Bridges:
    """One httpd, and what it leads to."""

    def __init__(self, mpm, stack):
        def target(*arguments, kind=Target, **options):
            return stack.enter_context(kind(*arguments, **options))

        self.tcp = target()
        self.tcp6 = target(socket.AF_INET6) if socket.has_ipv6 and _has_loopback6() else None
        self.unix = target(socket.AF_UNIX)
        self.narrow = target(buffer=_SMALL)
        self.echo = target(kind=EchoTarget, backlog=1000)
        self.full = target(backlog=0)
        self.full_unix = target(socket.AF_UNIX, backlog=0)
        self.refused = free_port()
        small = ["WebSocketSendBuffer 64K"]
        parts = [
            location("/tcp", f"target {self.tcp.text}"),
            location("/tcp6", f"target {self.tcp6.text}") if self.tcp6 else "",
            location("/unix", f"target {self.unix.text}"),
            location("/name", f"target localhost:{self.tcp.port}"),
            location("/mqtt", f"target {self.tcp.text}", 'subprotocol "mqtt, mqttv3.1"'),
            location("/narrow", f"target {self.narrow.text}", "buffer 16K", directives=small),
            location("/stalls", f"target {self.narrow.text}", "send-timeout 200ms"),
            location("/drop", f"target {self.narrow.text}", directives=[*small, "WebSocketSlowConsumer Drop"]),
            location("/echo-tcp", f"target {self.echo.text}"),
            location("/refused", f"target 127.0.0.1:{self.refused}"),
            location("/no-socket", "target unix:/nowhere/at/all"),
            location("/silent", f"target {self.full.text}", "connect-timeout 300ms"),
            location("/silent-unix", f"target {self.full_unix.text}", "connect-timeout 300ms"),
            location("/tokens", "targets @ROOT@/tokens"),
            location("/folder", "targets @ROOT@/folder"),
        ]
        self.server = Httpd(mpm, "".join(parts), children=_CHILDREN)
        self.tokens = self.server.root / "tokens"
        self.tokens.write_text(f"# comment\n\ntcp: {self.tcp.text}\r\n  blank : unix_socket:{self.unix.path}  \na:b: {self.unix.text}\n")
        self.folder = self.server.root / "folder"
        self.folder.mkdir(mode=0o755)
        (self.folder / "one").write_text(f"one: {self.tcp.text}\n")
        (self.folder / "two").write_text(f"two: {self.unix.text}\n")
        (self.folder / ".hidden").write_text(f"hidden: {self.unix.text}\n")
        stack.enter_context(self.server)

    @contextlib.contextmanager
    def pair(self, path="/tcp", target=None, **options):
        """A client and the target's end."""
        with self.server.websocket(path, **options) as client, (target or self.tcp).accept() as peer:
            yield client, peer


def _has_loopback6():
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


@pytest.fixture(scope="module")
def all_bridges(mpm):
    with contextlib.ExitStack() as stack:
        yield _Bridges(mpm, stack)


@pytest.fixture
def bridges(all_bridges):
    yield all_bridges
    all_bridges.server.assert_unharmed()


# ---- data --------------------------------------------------------------------------------------------


@pytest.mark.each_mpm
def test_messages_are_one_stream_for_the_target_and_what_it_says_is_binary(bridges):
    with bridges.pair() as (client, peer):
        client.send(frames.text("GET ") + frames.binary(b"\0\xff") + frames.binary(b"") + frames.text("ä"))
        assert peer.receive(8) == b"GET \0\xff" + "ä".encode()
        peer.send(b"\x80 is no text")
        assert received(client, 12) == b"\x80 is no text"
        client.close_handshake()
        assert peer.rest() == b""


def test_fragments_reach_the_target_before_the_message_is_whole(bridges):
    with bridges.pair() as (client, peer):
        client.send(frames.binary(b"one", fin=False) + frames.continuation(b"two", fin=False))
        assert peer.receive(6) == b"onetwo"
        client.send(frames.continuation(b"three"))
        assert peer.receive(5) == b"three"


def test_single_bytes_pass_in_both_directions(bridges):
    with bridges.pair() as (client, peer):
        for byte in bytes_of(1, 300):
            client.send(frames.binary(bytes([byte])))
            assert peer.receive(1) == bytes([byte])
            peer.send(bytes([byte]))
            assert received(client, 1) == bytes([byte])


def test_what_the_target_says_first_comes_first(bridges):
    client = RawClient(bridges.server.port)
    with client:
        client.send(handshake.request("/tcp"))
        with bridges.tcp.accept() as peer:
            peer.send(b"RFB 003.008\n")
            handshake.check_upgraded(client.read_response(), handshake.KEY)
            assert received(client, 12) == b"RFB 003.008\n"


def test_what_comes_with_the_handshake_reaches_the_target(bridges):
    with bridges.pair(first_frames=frames.binary(b"early")) as (_client, peer):
        assert peer.receive(5) == b"early"


def test_ten_megabytes_pass_each_way_at_once(bridges):
    sent = bytes_of(2, 10 * _MIB)
    with bridges.server.websocket("/echo-tcp") as client:
        messages = b"".join(frames.binary(sent[at : at + 100_000]) for at in range(0, len(sent), 100_000))
        assert client.send_while_reading(messages) == len(messages)
        assert digest(received(client, len(sent))) == digest(sent)
        client.close_handshake()


def test_one_message_of_ten_megabytes_is_a_stream_like_others(bridges):
    sent = bytes_of(3, 10 * _MIB)
    with bridges.server.websocket("/echo-tcp") as client:
        client.send_while_reading(frames.binary(sent))
        assert digest(received(client, len(sent))) == digest(sent)


@pytest.mark.each_mpm
def test_three_hundred_clients_are_served_side_by_side(bridges):
    server = bridges.server
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.websocket("/echo-tcp")) for _ in range(300)]
        for number, client in enumerate(clients):
            client.send(frames.text(f"I am {number}"))
        for number, client in enumerate(clients):
            assert received(client, len(f"I am {number}")) == f"I am {number}".encode()
        for client in clients:
            client.close_handshake()
    _expect_no_bridge(server)


def _expect_no_bridge(server):
    """No child has a connection to anything but its own: all descriptors of bridges are closed."""

    def bridges_left():
        return [
            line
            for child in server.children()
            for line in _sockets_to_targets(child, server.port)
        ]

    wait_until(lambda: not bridges_left(), 10, "the end of all connections to targets")


def _sockets_to_targets(pid, port):
    """Lines of the kernel's tables about sockets of a process that lead to targets."""
    inodes = set(processes.socket_inodes(pid))
    found = []
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}", encoding="ascii") as lines:
            for line in list(lines)[1:]:
                fields = line.split()
                local, state, inode = fields[1], fields[3], fields[9]
                if inode in inodes and state != "0A" and int(local.rpartition(":")[2], 16) != port:
                    found.append(line)
    return found


@pytest.mark.each_mpm
def test_a_bridge_has_the_tls_of_httpd(mpm):
    sent = bytes_of(8, _MIB)
    with EchoTarget() as target, TlsHttpd(mpm, location("/tcp", f"target {target.text}")) as server:
        with server.tls_websocket("/tcp") as client:
            client.send_while_reading(frames.binary(sent))
            assert digest(received(client, len(sent))) == digest(sent)
            client.close_handshake()


def test_a_bridge_works_over_http2(start_h2):
    sent = bytes_of(9, 50_000)
    with EchoTarget() as target:
        server = start_h2(location("/tcp", f"target {target.text}") + location("/refused", f"target 127.0.0.1:{free_port()}"))
        with H2Client(server.port) as connection:
            client = connection.websocket("/tcp")
            client.send(frames.binary(sent))
            assert digest(received(client, len(sent))) == digest(sent)
            client.close_cleanly()
            refused = connection.connect("/refused")
            connection.await_response(refused)
            assert refused.status == 502


# ---- targets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tcp6", "unix", "name"])
def test_each_kind_of_target_is_reached(bridges, kind):
    target = {"tcp6": bridges.tcp6, "unix": bridges.unix, "name": bridges.tcp}[kind]
    if target is None:
        pytest.skip("this machine has no ::1")
    with bridges.pair(f"/{kind}", target) as (client, peer):
        client.send(frames.binary(b"there"))
        assert peer.receive(5) == b"there"
        peer.send(b"and back")
        assert received(client, 8) == b"and back"


@pytest.mark.parametrize(
    "path, offered, chosen",
    [
        ("/tcp", None, None),
        ("/tcp", "binary", "binary"),
        ("/tcp", "base64, binary", "binary"),
        ("/tcp", "mqtt", None),
        ("/mqtt", "mqttv3.1, mqtt", "mqtt"),
        ("/mqtt", "mqttv3.1", "mqttv3.1"),
        ("/mqtt", "binary", None),
    ],
)
def test_a_subprotocol_is_chosen_if_the_client_offers_it(bridges, path, offered, chosen):
    headers = [("Sec-WebSocket-Protocol", offered)] if offered else []
    with bridges.pair(path, headers=headers) as (client, _peer):
        assert client.response.header("Sec-WebSocket-Protocol") == chosen


@pytest.mark.each_mpm
@pytest.mark.parametrize(
    "path, status, words",
    [
        ("/refused", 502, "no connection to 127.0.0.1:@PORT@: Connection refused \\(errno 111\\); refused with 502"),
        ("/no-socket", 502, "no connection to unix:/nowhere/at/all: No such file or directory \\(errno 2\\)"),
        ("/silent", 504, "no connection to 127.0.0.1:@FULL@: Connection timed out \\(errno 110\\); refused with 504"),
        ("/silent-unix", 504, "no connection to unix:[^ ]*: Connection timed out \\(errno 110\\); refused with 504"),
    ],
)
def test_a_target_that_cannot_be_reached_is_told_before_the_101(bridges, path, status, words):
    words = words.replace("@PORT@", str(bridges.refused)).replace("@FULL@", str(bridges.full.port))
    with contextlib.ExitStack() as stack:
        if "silent" in path:
            full = bridges.full if path == "/silent" else bridges.full_unix
            for sock in full.fill_backlog():
                stack.enter_context(sock)
        line, response = bridges.server.refusal(words, path)
    assert response.status == status
    assert "WS0414: [tcp]" in line
    assert not re.search(rf"{bridges.refused}|/nowhere".encode(), response.body), "clients need not know"


# ---- tokens ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path, unix",
    [
        ("/tokens?token=tcp", False),
        ("/tokens?x=1&token=blank&token=none", True),
        ("/tokens?token=a%3Ab", True),
        ("/folder?token=one", False),
        ("/folder?token=two", True),
    ],
)
def test_a_token_leads_to_its_target(bridges, path, unix):
    with bridges.pair(path, bridges.unix if unix else bridges.tcp) as (client, peer):
        client.send(frames.binary(b"it is me"))
        assert peer.receive(8) == b"it is me"


@pytest.mark.parametrize(
    "query, status",
    [
        ("", 400),
        ("?token=", 400),
        ("?Token=tcp", 400),
        ("?token=%ff", 400),
        ("?token=tcp%00", 400),
        ("?token=nobody", 404),
        ("?token=tcp%20", 404),
        ("?token=TCP", 404),
        ("?token=%23%20comment", 404),
        ("?token=../tokens", 404),
        ("?token=127.0.0.1:22", 404),
        ("?token=hidden", 404),
        ("?token=" + "x" * 4000, 404),
    ],
)
@pytest.mark.parametrize("path", ["/tokens", "/folder"])
def test_no_other_token_leads_anywhere(bridges, path, query, status):
    assert bridges.server.answer(path + query).status == status


def test_files_of_tokens_are_read_again_when_they_have_changed(bridges):
    server, start = bridges.server, bridges.server.log_size()
    text = bridges.tokens.read_text()
    try:
        assert server.answer("/tokens?token=new").status == 404
        _replace(bridges.tokens, f"{text}new: {bridges.tcp.text}\n")
        with bridges.pair("/tokens?token=new"):
            pass
        _replace(bridges.tokens, f"wrong line\nnew: {bridges.unix.text}\nnew: {bridges.tcp.text}\n")
        with bridges.pair("/tokens?token=new", bridges.unix):
            pass
        assert server.answer("/tokens?token=tcp").status == 404
        server.expect_log(f"{bridges.tokens}, line 1: it is not", start)
        server.expect_log(f"{bridges.tokens}, line 3: its token stands further up", start)

        (bridges.folder / "three").write_text(f"three: {bridges.tcp.text}\n")
        with bridges.pair("/folder?token=three"):
            pass
        (bridges.folder / "three").unlink()
        assert server.answer("/folder?token=three").status == 404
    finally:
        _replace(bridges.tokens, text)


def _replace(path, text):
    """As administrators should: at no time is there half a file."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def test_a_file_of_tokens_that_cannot_be_read_is_logged_and_answered_with_503(bridges):
    away = bridges.tokens.with_suffix(".away")
    bridges.tokens.rename(away)
    try:
        line, response = bridges.server.refusal("the file of tokens cannot be read", "/tokens?token=tcp")
        assert response.status == 503
        assert f"{bridges.tokens}: No such file or directory; refused with 503" in line
    finally:
        away.rename(bridges.tokens)
    with bridges.pair("/tokens?token=tcp"):
        pass


@pytest.mark.each_mpm
def test_a_child_starts_whatever_has_become_of_the_file_of_tokens(mpm, bridges):
    server = Httpd(mpm, location("/tcp", "targets @ROOT@/tokens"), children=1)
    tokens = server.root / "tokens"
    tokens.write_text("")
    with server:
        tokens.unlink()
        assert server.answer("/tcp?token=good").status == 503
        _replace(tokens, f"wrong\ngood: {bridges.echo.text}\n")
        with server.websocket("/tcp?token=good") as client:
            client.send(frames.binary(b"hello"))
            assert received(client, 5) == b"hello"


# ---- slow ones ---------------------------------------------------------------------------------------



def _kernel_keeps():
    """How much the kernel may keep of what passes a bridge in one direction, at httpd's ends."""
    sizes = []
    for name in ("tcp_rmem", "tcp_wmem"):
        with open(f"/proc/sys/net/ipv4/{name}", encoding="ascii") as file:
            sizes.append(int(file.read().split()[2]))
    return sum(sizes)


_KERNEL = _kernel_keeps() + _MIB
_MUCH = _KERNEL + 4 * _MIB
_SMALL = 65536  # buffers of the ends in the test


def test_a_client_that_does_not_read_makes_the_target_wait(bridges):
    sent = bytes_of(10, _MUCH)
    with bridges.pair("/narrow", bridges.narrow, receive_buffer=_SMALL) as (client, peer):
        before = _memory(bridges.server)
        taken = peer.send_until_stuck(sent)
        assert taken < _KERNEL, "the bridge took more than it can have passed on"
        _assert_little_more(bridges.server, before)
        with _sending(peer, sent[taken:]):
            assert digest(received(client, len(sent))) == digest(sent)


def test_a_target_that_does_not_read_makes_the_client_wait(bridges):
    sent = bytes_of(11, _MUCH)
    messages = b"".join(frames.binary(sent[at : at + _MIB]) for at in range(0, len(sent), _MIB))
    with bridges.pair("/narrow", bridges.narrow) as (client, peer):
        before = _memory(bridges.server)
        taken = client.send_while_reading(messages, stall=1)
        assert taken < _KERNEL, "the bridge took more than it can have passed on"
        _assert_little_more(bridges.server, before)
        with _sending(client, messages[taken:]):
            assert digest(peer.receive(len(sent))) == digest(sent)


def test_what_a_client_has_no_room_for_is_not_dropped(bridges):
    """WebSocketSlowConsumer is about messages of which one may be left out."""
    sent = bytes_of(12, 4 * _MIB)
    with bridges.pair("/drop", bridges.narrow, receive_buffer=_SMALL) as (client, peer), _sending(peer, sent):
        client.wait_until_stalled()
        assert digest(received(client, len(sent))) == digest(sent)


def test_a_client_that_stops_reading_does_not_stop_what_it_sends(bridges):
    with bridges.pair("/narrow", bridges.narrow, receive_buffer=_SMALL) as (client, peer):
        peer.send_until_stuck(bytes(_MUCH))
        client.send(frames.binary(b"stop"))
        assert peer.receive(4) == b"stop"


def test_a_target_that_takes_nothing_for_long_ends_the_bridge(bridges):
    with bridges.pair("/stalls", bridges.narrow) as (client, peer):
        client.send_until_stuck(frames.binary(bytes(_MIB)), _MUCH)
        close = client.expect_close(1011, then_end=False)
        assert close.payload[2:] == b"target does not read"
        client.reset()
        peer.rest()
    _expect_no_bridge(bridges.server)


def _memory(server):
    """KiB that belong to the children alone."""
    return sum(map(processes.private_kib, server.children()))


def _assert_little_more(server, before):
    if not SANITIZED:  # which keeps memory that was freed
        assert _memory(server) - before < 2048, "KiB"


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
        server = start_httpd(parts, children=_CHILDREN)
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


# ---- the end -----------------------------------------------------------------------------------------


def test_all_that_the_target_said_comes_before_its_end(bridges):
    sent = bytes_of(4, 3 * _MIB)
    with bridges.pair() as (client, peer):
        client.send(frames.text("say it"))
        peer.receive(6)
        got = bytearray()
        for at in range(0, len(sent), _MIB // 4):
            peer.send(sent[at : at + _MIB // 4])
            got += received(client, _MIB // 4)
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
    sent = bytes_of(5, _MIB)
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
    _expect_no_bridge(bridges.server)


def test_a_target_that_resets_is_told_with_1011(bridges):
    with bridges.pair() as (client, peer):
        client.send(frames.binary(b"hello"))
        peer.receive(5)
        peer.reset()
        close = client.expect_close(1011)
        assert close.payload[2:] == b"target failed"
    _expect_no_bridge(bridges.server)


def test_a_client_that_resets_is_the_end_for_the_target(bridges):
    with bridges.pair() as (client, peer):
        client.send(frames.binary(b"hello"))
        assert peer.receive(5) == b"hello"
        client.reset()
        assert peer.rest() == b""
    _expect_no_bridge(bridges.server)


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
            _expect_no_bridge(server)
            assert server.answer("/dies").status == 502
            server.assert_unharmed()
        finally:
            backend.kill()


def test_the_plugin_keeps_what_plugins_promise(bridges):
    check = [BUILD / "tools/websocket-plugin-check", BUILD / "plugins/websocket_tcp.so", "tcp_init"]
    done = subprocess.run([*check, f"target={bridges.echo.text}"], stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "good"), done.stdout
    assert "not checked further" not in done.stdout


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
        _expect_no_bridge(server)
        with server.websocket("/tcp"):
            pass


# ---- the end of a child ------------------------------------------------------------------------------


@pytest.mark.each_mpm
def test_a_drain_ends_bridges_and_loses_nothing_that_the_target_had_not_taken(start_httpd):
    sent = bytes_of(13, _MIB)
    with Target(buffer=_SMALL) as target:
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
