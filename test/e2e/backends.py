# SPDX-License-Identifier: Apache-2.0
"""Servers behind mod_proxy that do what a test tells them to, byte by byte."""

import os
import pathlib
import select
import socket
import tempfile

import frames
import handshake
from raw import RawClient
from waiting import patience


class Accepted(RawClient):
    """What a backend sees of one connection: a RawClient at the other end, which reads a client's frames."""

    def __init__(self, sock):  # pylint: disable=super-init-not-called
        self._frames = frames.FrameReader(masked=True)
        self.sock = sock
        self._http = bytearray()
        sock.settimeout(patience(10))

    def read_request(self):
        """The head of the next request: its first line and the list of its headers."""
        while b"\r\n\r\n" not in self._http:
            data = self.sock.recv(1 << 16)
            assert data, f"the end came instead of a request, behind {bytes(self._http)!r}"
            self._http += data
        head, _, rest = bytes(self._http).partition(b"\r\n\r\n")
        self._http = bytearray(rest)
        first, *lines = head.decode("latin-1").split("\r\n")
        return first, [tuple(line.split(": ", 1)) for line in lines]

    def answer(self, status, body=b"", headers=()):
        """An ordinary response."""
        lines = [f"HTTP/1.1 {status} So", f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers)]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def switch(self, *, behind=b"", headers=()):
        """Reads a handshake and answers with 101; `behind` follows in the same packet. Returns the headers."""
        first, fields = self.read_request()
        key = dict((name.lower(), value) for name, value in fields)["sec-websocket-key"]
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {handshake.accept_of(key)}",
            *(f"{name}: {value}" for name, value in headers),
        ]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + behind)
        self._frames.feed(bytes(self._http))
        self._http.clear()
        return [("", first), *fields]


class Backend:
    """A listening socket of 127.0.0.1, or of a file. `with Backend() as backend:` closes all it has accepted."""

    def __init__(self, *, unix=False):
        if unix:
            self._folder = tempfile.TemporaryDirectory(prefix="websocket-backend-")
            os.chmod(self._folder.name, 0o755)
            self.path = pathlib.Path(self._folder.name) / "socket"
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.bind(str(self.path))
            self.path.chmod(0o777)
        else:
            self._folder = None
            self.sock = socket.socket()
            self.sock.bind(("127.0.0.1", 0))
            self.port = self.sock.getsockname()[1]
        self.sock.listen(128)
        self.sock.settimeout(patience(10))
        self._accepted = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in self._accepted:
            one.close()
        self.sock.close()
        if self._folder is not None:
            self._folder.cleanup()

    def accept(self):
        accepted = Accepted(self.sock.accept()[0])
        self._accepted.append(accepted)
        return accepted

    def next_request(self):
        """The connection, a new one or one of those that were accepted, on which something comes next."""
        while True:
            alive = [one for one in self._accepted if one.sock.fileno() >= 0]
            ready, _, _ = select.select([self.sock, *(one.sock for one in alive)], [], [], patience(10))
            assert ready, "nobody asks for anything"
            for one in alive:
                if one.sock in ready and one.sock.recv(1, socket.MSG_PEEK):
                    return one
                if one.sock in ready:
                    one.close()
            if self.sock in ready:
                return self.accept()

    def quiet(self):
        """Nobody has connected who was not accepted."""
        self.sock.settimeout(0)
        try:
            self._accepted.append(Accepted(self.sock.accept()[0]))
            return False
        except BlockingIOError:
            return True
        finally:
            self.sock.settimeout(patience(10))
