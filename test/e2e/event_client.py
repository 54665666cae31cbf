# SPDX-License-Identifier: Apache-2.0
"""A client of event streams on a bare socket, which insists on each byte of their framing."""

import socket
import ssl
import time

import handshake
from waiting import patience

_SECONDS = 10


class EventClient:
    """GET of an event stream; `response` is its head. Every wait is bounded."""

    def __init__(self, port, path, *, version="1.1", headers=(), accept="text/event-stream", behind=b"", tls=False,
                 receive_buffer=None, method="GET"):
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(patience(_SECONDS))
        self.sock.connect(("127.0.0.1", port))
        if tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock)
        lines = [f"{method} {path} HTTP/{version}", f"Host: 127.0.0.1:{port}", *(f"{name}: {value}" for name, value in headers)]
        if accept:
            lines.append(f"Accept: {accept}")
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode() + behind)
        self._raw = b""
        while b"\r\n\r\n" not in self._raw:
            assert self._more(), f"the connection ended inside the head: {self._raw}"
        head, _, self._raw = self._raw.partition(b"\r\n\r\n")
        self.response = handshake.Response(*handshake.parse_head(head), b"")
        self.chunked = (self.response.header("Transfer-Encoding") or "").lower() == "chunked"
        self.ended = False
        self._text = b""
        self.comments = []
        self.retry = None
        self.last_id = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def _more(self):
        data = self.sock.recv(65536)
        self._raw += data
        return bool(data)

    def _read(self):
        """More of the body; False at its end, which is what it should be."""
        if not self.chunked:
            if not self._raw and not self._more():
                return False
            self._text, self._raw = self._text + self._raw, b""
            return True
        while True:
            line, found, rest = self._raw.partition(b"\r\n")
            size = int(line, 16) if found else 0
            if found and len(rest) >= size + 2:
                assert rest[size : size + 2] == b"\r\n", "a chunk does not end where it said"
                self._text, self._raw = self._text + rest[:size], rest[size + 2 :]
                self.ended = size == 0
                return not self.ended
            assert self._more(), "the connection ended without the last chunk"

    def _blocks(self):
        while b"\n\n" not in self._text:
            if not self._read():
                return None
        block, _, self._text = self._text.partition(b"\n\n")
        return block.decode()

    def next_event(self):
        """(type, data) of the next one; None at the end of the stream."""
        while (block := self._blocks()) is not None:
            kind, data = "message", []
            for line in block.split("\n"):
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if not name:
                    self.comments.append(value)
                elif name == "event":
                    kind = value
                elif name == "data":
                    data.append(value)
                elif name == "id":
                    self.last_id = value
                else:
                    assert name == "retry", block
                    self.retry = int(value)
            if data:
                return kind, "\n".join(data)
        return None

    def expect(self, data, kind="message"):
        got = self.next_event()
        assert got == (kind, data), f"wanted {(kind, data)}, got {got}"

    def await_comment(self, seconds=_SECONDS):
        deadline = time.monotonic() + patience(seconds)
        while not self.comments:
            assert time.monotonic() < deadline, "no comment"
            block = self._blocks()
            assert block is not None and block.startswith((":", "retry:")), block
            if block.startswith(":"):
                self.comments.append(block)

    def expect_end(self):
        """The body ends as it should, and the connection behind it."""
        got = self.next_event()
        assert got is None, f"wanted the end, got {got}"
        assert not self._raw and not self._more(), "something behind the end"
