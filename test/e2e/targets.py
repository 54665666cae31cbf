# SPDX-License-Identifier: Apache-2.0
"""Servers behind a bridge: sockets that a test accepts from, reads and writes as it likes."""

import contextlib
import os
import select
import socket
import struct
import tempfile
import threading

from raw import send_some
from waiting import patience

_SECONDS = 10


class Peer:
    """The target's end of one connection."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(patience(_SECONDS))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def receive(self, size):
        """Exactly so many bytes."""
        data = bytearray()
        while len(data) < size:
            part = self.sock.recv(min(size - len(data), 1 << 18))
            assert part, f"the bridge ended after {len(data)} of {size} bytes"
            data += part
        return bytes(data)

    def rest(self):
        """All that comes until the bridge ends its side."""
        data = bytearray()
        while part := self.sock.recv(1 << 18):
            data += part
        return bytes(data)

    def send_until_stuck(self, data, calm=1):
        """Sends until the bridge takes no more for `calm` seconds; returns how much it took."""
        view, sent = memoryview(data), 0
        poll = select.poll()
        poll.register(self.sock, select.POLLOUT)
        while sent < len(view) and poll.poll(calm * 1000):
            sent += send_some(self.sock, view[sent : sent + (1 << 18)])
        return sent

    def end_sending(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Target:
    """A listening socket. `text` is what to write in the configuration."""

    def __init__(self, family=socket.AF_INET, backlog=128, buffer=None):
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if buffer is not None:  # of the connections, which inherit it
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        self._folder = None
        if family == socket.AF_UNIX:
            self._folder = tempfile.TemporaryDirectory(prefix="websocket-e2e-target-")
            os.chmod(self._folder.name, 0o755)
            self.path = f"{self._folder.name}/s"
            self.sock.bind(self.path)
            os.chmod(self.path, 0o777)
            self.text = f"unix:{self.path}"
        else:
            self.sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
            self.port = self.sock.getsockname()[1]
            self.text = f"[::1]:{self.port}" if family == socket.AF_INET6 else f"127.0.0.1:{self.port}"
        self.sock.listen(backlog)
        self.sock.settimeout(patience(_SECONDS))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()
        if self._folder is not None:
            self._folder.cleanup()

    def accept(self):
        return Peer(self.sock.accept()[0])

    @contextlib.contextmanager
    def accepting(self):
        """Accepts whoever comes, and lets them be."""
        stop, stopped = socket.socketpair()

        def run():
            with contextlib.ExitStack() as peers:
                while stopped not in select.select([self.sock, stopped], [], [])[0]:
                    peers.enter_context(self.sock.accept()[0])

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stop.close()
            thread.join()
            stopped.close()

    def fill_backlog(self):
        """Clients that nobody accepts, until there is room for no other; returns them."""
        waiting = []
        while True:
            sock = socket.socket(self.sock.family, socket.SOCK_STREAM)
            sock.setblocking(False)
            waiting.append(sock)
            try:
                sock.connect(self.path if self.sock.family == socket.AF_UNIX else ("127.0.0.1", self.port))
            except BlockingIOError:
                if self.sock.family == socket.AF_UNIX or not select.select([], [sock], [], 0.5)[1]:
                    return waiting


class EchoTarget(Target):
    """A target that sends everything back, to any number of clients, from a thread of its own."""

    def __enter__(self):
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.close()
        self._thread.join()
        self._stopped.close()
        super().__exit__()

    def _run(self):
        poll = select.poll()
        peers, waiting = {}, {}
        poll.register(self.sock, select.POLLIN)
        poll.register(self._stopped, select.POLLIN)
        with contextlib.ExitStack() as open_ones:
            while True:
                for number, events in poll.poll():
                    if number == self._stopped.fileno():
                        return
                    if number == self.sock.fileno():
                        peer = open_ones.enter_context(self.sock.accept()[0])
                        peer.setblocking(False)
                        peers[peer.fileno()], waiting[peer.fileno()] = peer, bytearray()
                        poll.register(peer, select.POLLIN)
                    elif not self._echo(peers[number], waiting[number], events):
                        poll.unregister(number)
                        peers.pop(number).close()
                    elif number in peers:
                        poll.modify(number, select.POLLOUT if waiting[number] else select.POLLIN)

    @staticmethod
    def _echo(peer, waiting, events):
        """False at the end."""
        try:
            if events & select.POLLOUT:
                del waiting[: peer.send(waiting)]
            elif data := peer.recv(1 << 18):
                waiting += data
            else:
                return False
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True
