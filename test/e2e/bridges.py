# SPDX-License-Identifier: Apache-2.0
"""An httpd with bridges to targets that a test plays."""

import contextlib
import hashlib
import random
import socket

import frames
import processes
from httpd import BUILD, Httpd, free_port
from targets import EchoTarget, Target
from waiting import wait_until

MIB = 1 << 20
CHILDREN = 4  # under prefork
SMALL = 65536  # buffers of sockets in the test that are not to hide what httpd keeps


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


class Bridges:
    """One httpd, and what it leads to."""

    def __init__(self, mpm, stack):
        def target(*arguments, kind=Target, **options):
            return stack.enter_context(kind(*arguments, **options))

        self.tcp = target()
        self.tcp6 = target(socket.AF_INET6) if socket.has_ipv6 and _has_loopback6() else None
        self.unix = target(socket.AF_UNIX)
        self.narrow = target(buffer=SMALL)
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
            location("/deflate", f"target {self.narrow.text}", directives=["WebSocketDeflate On"]),
            location("/drop", f"target {self.narrow.text}", directives=[*small, "WebSocketSlowConsumer Drop"]),
            location("/close", f"target {self.narrow.text}", directives=[*small, "WebSocketSlowConsumer Close"]),
            location("/echo-tcp", f"target {self.echo.text}"),
            location("/refused", f"target 127.0.0.1:{self.refused}"),
            location("/no-socket", "target unix:/nowhere/at/all"),
            location("/silent", f"target {self.full.text}", "connect-timeout 300ms"),
            location("/silent-unix", f"target {self.full_unix.text}", "connect-timeout 300ms"),
            location("/tokens", "targets @ROOT@/tokens"),
            location("/folder", "targets @ROOT@/folder"),
        ]
        self.server = Httpd(mpm, "".join(parts), children=CHILDREN)
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


def expect_no_bridge(server):
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


def replace(path, text):
    """As administrators should: at no time is there half a file."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)
