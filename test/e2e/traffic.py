# SPDX-License-Identifier: Apache-2.0
"""Many WebSockets under traffic, in a process of their own that keeps account of every message."""

import collections
import errno
import multiprocessing
import pathlib
import random
import select
import socket
import ssl
import time
from typing import NamedTuple

import certificates
import frames
import handshake
from waiting import patience, wait_until

_TICK = 0.02  # s between two rounds of sending
_WINDOW = 3  # messages of a socket that may be under way
_LARGE = 20_000  # bytes of every tenth message or so
_REST = 0.05, 0.3  # s until a socket that has ended is opened again

_LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

BROKEN = 1006  # ended without a Close


class Ended(NamedTuple):
    """A connection that is over."""

    name: str
    code: int  # of the server's Close, or BROKEN
    when: float  # time.monotonic()
    sent: int
    echoed: int


class State(NamedTuple):
    """What has happened so far."""

    open: int  # sockets now
    connects: int  # handshakes that were answered with 101
    refused: dict  # status: how often a handshake was answered with it
    unreachable: int  # no answer to a handshake
    echoed: int  # messages that came back, of all sockets
    ended: list  # of Ended, in order
    wrong: list  # what no server may do, in words

    @property
    def codes(self):
        """Close code: how many connections ended with it."""
        return dict(collections.Counter(one.code for one in self.ended))


class _Socket:
    """One of them: opens, sends numbered messages, checks that they come back in order, and closes."""

    def __init__(self, traffic, index):
        self._traffic = traffic
        self._index = index
        self._life = 0
        self.sock = None
        self.open = False
        self.due = 0.0  # when to connect

    # ---- life ------------------------------------------------------------------------------------

    def connect(self):
        self._life += 1
        self.name = f"{self._index}.{self._life}"
        self._head = bytearray()
        self._reader = frames.FrameReader()
        self._unsent = b""
        self._waiting = collections.deque()  # payloads that have to come back
        self._sent = self._echoed = 0
        self._code = None
        self._secured = self._traffic.context is None
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        status = self.sock.connect_ex(("127.0.0.1", self._traffic.port))
        headers = [("X-Name", self.name), ("X-Tally", self._traffic.tally)]
        self._unsent = handshake.request(self._traffic.path, headers=headers)
        if status in (0, errno.EINPROGRESS):
            self._traffic.watch(self, select.EPOLLIN | select.EPOLLOUT)
        else:
            self._end(reached=False)

    def _end(self, reached=True):
        """The connection is over, with a Close or without."""
        self._traffic.forget(self)
        self.sock.close()
        self.sock = None
        if self.open:
            self._traffic.note_end(Ended(self.name, self._code or BROKEN, time.monotonic(), self._sent, self._echoed))
        elif not reached:
            self._traffic.unreachable += 1
        self.open = False

    # ---- events ----------------------------------------------------------------------------------

    def on_ready(self, events):
        try:
            if not self._secured:
                self._secure()
            elif events & select.EPOLLOUT:
                self._flush()
            if self._secured and events & ~select.EPOLLOUT:
                self._receive()
        except _LATER:
            pass
        except OSError:
            self._end(reached=bool(self._head))

    def _secure(self):
        """The next step of the TLS handshake."""
        if not isinstance(self.sock, ssl.SSLSocket):
            self.sock = self._traffic.context.wrap_socket(self.sock, do_handshake_on_connect=False)
            self._traffic.watch(self, select.EPOLLIN)
        self.sock.do_handshake()
        self._secured = True
        self._flush()

    def _receive(self):
        while True:
            data = self.sock.recv(1 << 16)
            if not data:
                self._end(reached=bool(self._head))
                return
            self._take(data)
            if self.sock is None or self._traffic.context is None or self.sock.pending() == 0:
                return

    def _flush(self):
        try:
            self._unsent = self._unsent[self.sock.send(self._unsent) :]
        except _LATER:
            pass
        wanted = select.EPOLLIN | (select.EPOLLOUT if self._unsent else 0)
        self._traffic.watch(self, wanted)

    def _take(self, data):
        if not self.open:
            self._head += data
            head, found, rest = bytes(self._head).partition(b"\r\n\r\n")
            if not found:
                return
            status = handshake.parse_head(head)[0]
            if status != 101:
                self._traffic.refused[status] += 1
                self._end()
                return
            self.open = True
            self._traffic.connects += 1
            data = rest
        self._reader.feed(data)
        while (frame := self._reader.next()) is not None:
            self._on_frame(frame)

    def _on_frame(self, frame):
        if self._code is not None:
            self._traffic.complain(self, f"got opcode {frame.opcode} behind the Close")
        elif frame.opcode == frames.CLOSE:
            self._code = frame.code
            self._send(frames.close(frame.code))
        elif frame.opcode == frames.PING:
            self._send(frames.pong(frame.payload))
        elif not self._waiting or frame.payload != self._waiting[0]:
            wanted = bytes(self._waiting[0][:40]) if self._waiting else None
            self._traffic.complain(self, f"got {frame.payload[:40]!r}, not {wanted!r}")
        else:
            self._waiting.popleft()
            self._echoed += 1
            self._traffic.echoed += 1

    # ---- sending ---------------------------------------------------------------------------------

    def talk(self):
        """Sends the next message unless enough are under way."""
        if not self.open or self._code is not None or len(self._waiting) >= _WINDOW or self._unsent:
            return
        mark = "*" if self._traffic.random.random() < self._traffic.slow else "-"
        payload = f"{mark}{self.name} {self._sent}".encode()
        if self._traffic.random.random() < 0.1:
            payload += b" " * _LARGE
        self._sent += 1
        self._waiting.append(payload)
        self._send(frames.text(payload))

    def _send(self, data):
        self._unsent += data
        try:
            self._flush()
        except OSError:
            pass  # it is over, as reading will tell


class _Process:
    """What runs in the other process."""

    def __init__(self, pipe, port, tls, sockets, path, tally, interval, slow, reconnect, seed):
        self.port, self.path, self.tally, self.slow = port, path, tally, slow
        self.context = certificates.client_context() if tls else None
        self.random = random.Random(seed)
        self.refused = collections.Counter()
        self.connects = self.unreachable = self.echoed = 0
        self._pipe = pipe
        self._reconnect = reconnect
        self._ended = []
        self._wrong = []
        self._epoll = select.epoll()
        self._epoll.register(pipe.fileno(), select.EPOLLIN)
        self._by_descriptor = {}
        self._sockets = [_Socket(self, index) for index in range(sockets)]
        self._resting = list(self._sockets)
        self._a_round = max(1, round(sockets * _TICK / interval))

    # ---- for the sockets -------------------------------------------------------------------------

    def watch(self, client, events):
        number = client.sock.fileno()
        if number in self._by_descriptor:
            self._epoll.modify(number, events)
        else:
            self._by_descriptor[number] = client
            self._epoll.register(number, events)

    def forget(self, client):
        if self._by_descriptor.pop(client.sock.fileno(), None) is not None:
            self._epoll.unregister(client.sock.fileno())
        if self._reconnect:
            client.due = time.monotonic() + self.random.uniform(*_REST)
            self._resting.append(client)

    def note_end(self, ended):
        self._ended.append(ended)

    def complain(self, client, what):
        if len(self._wrong) < 10:
            self._wrong.append(f"{client.name}: {what}")

    # ---- the loop --------------------------------------------------------------------------------

    def run(self):
        turn, next_round = 0, time.monotonic()
        while True:
            now = time.monotonic()
            for number, events in self._epoll.poll(max(0.0, next_round - now)):
                if number == self._pipe.fileno():
                    if not self._answer():
                        return
                elif number in self._by_descriptor:
                    self._by_descriptor[number].on_ready(events)
            if time.monotonic() >= next_round:
                next_round = time.monotonic() + _TICK
                self._open_what_is_due()
                for _ in range(self._a_round):
                    self._sockets[turn].talk()
                    turn = (turn + 1) % len(self._sockets)

    def _open_what_is_due(self):
        now = time.monotonic()
        due = [client for client in self._resting if client.due <= now]
        self._resting = [client for client in self._resting if client.due > now]
        for client in due:
            client.connect()

    def _answer(self):
        try:
            command = self._pipe.recv()
        except EOFError:
            return False
        if command == "rest":
            self._reconnect = False
            self._resting.clear()
        opened = sum(client.open for client in self._sockets)
        state = (opened, self.connects, dict(self.refused), self.unreachable, self.echoed, self._ended, self._wrong)
        self._pipe.send(state)
        return True


def _run(pipe, other_end, *arguments):
    other_end.close()
    _Process(pipe, *arguments).run()


class Traffic:
    """So many sockets that talk to an echo, from `with` on.

    path       where; see the plugin tally
    tls        whether they use TLS, at the server's tls_port
    interval   s between two messages of a socket
    slow       share of messages that the plugin takes time for
    reconnect  whether sockets that have ended, or were refused, come again
    """

    def __init__(
        self, server, sockets, path="/echo", *, tls=False, interval=0.2, slow=0.0, reconnect=False, seed=1
    ):
        self._tally = pathlib.Path(server.root) / f"tally-{id(self)}"
        self._tally.touch()
        self._tally.chmod(0o666)
        self.sockets = sockets
        self._pipe, there = multiprocessing.Pipe()
        port = server.tls_port if tls else server.port
        arguments = (port, tls, sockets, path, str(self._tally), interval, slow, reconnect, seed)
        self._process = multiprocessing.get_context("fork").Process(
            target=_run, args=(there, self._pipe, *arguments), daemon=True
        )
        self._process.start()
        there.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._pipe.close()
        self._process.join(patience(10))
        self._process.kill()

    def _ask(self, command):
        self._pipe.send(command)
        assert self._pipe.poll(patience(20)), "the process with the clients does not answer"
        return State(*self._pipe.recv())

    def state(self):
        state = self._ask("state")
        assert not state.wrong, state.wrong
        return state

    def stop_reconnecting(self):
        self._ask("rest")

    def wait(self, predicate, seconds, what):
        """Waits for a state for which the predicate holds; returns it."""
        last = None

        def holds():
            nonlocal last
            last = self.state()
            return predicate(last)

        try:
            wait_until(holds, seconds, what)
        except AssertionError as error:
            brief = last._replace(ended=last.codes)
            raise AssertionError(f"{error}; {brief}") from None
        return last

    def wait_all_open(self, seconds=20):
        return self.wait(lambda state: state.open == self.sockets, seconds, "all sockets being open")

    def wait_all_ended(self, seconds):
        return self.wait(lambda state: state.open == 0, seconds, "all sockets having ended")

    def wait_for_echoes(self, count, seconds=10):
        """Waits for so many more messages to come back."""
        before = self.state().echoed
        return self.wait(lambda state: state.echoed >= before + count, seconds, f"{count} more echoes")

    def handled(self):
        """Name of a connection: messages that the plugin has handled, for those that it knows to be gone."""
        text = self._tally.read_text()
        lines = [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]
        accounts = {name: int(count) for name, count in lines}
        assert len(accounts) == len(lines), "the plugin was told twice that a client is gone"
        return accounts
