# SPDX-License-Identifier: Apache-2.0
"""Runs many frame cases at once, each on connections of its own, whole and cut in every way."""

import asyncio
import socket

import frames
import handshake
from waiting import patience

_CONNECTIONS_AT_ONCE = 64
_SECONDS = 30
_ENOUGH = 5  # cases that have failed: what breaks them may break hundreds, and each may last _SECONDS
_BARRIER = b"wait"
_SENTINEL = b"end"


class _Connection:
    """A non-blocking client that collects what the server sends."""

    def __init__(self, context):
        self._loop = asyncio.get_running_loop()
        self._context = context
        self._streams = None  # instead of the socket with TLS
        self._sock = socket.socket()
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = frames.FrameReader()
        self.messages = []
        self.pongs = []
        self.closed_with = None
        self.ended = False

    def close(self):
        if self._streams:
            self._streams[1].transport.abort()
        self._sock.close()

    async def _send_all(self, data):
        if not self._streams:
            return await self._loop.sock_sendall(self._sock, data)
        self._streams[1].write(data)
        return await self._streams[1].drain()

    async def _receive(self):
        if not self._streams:
            return await self._loop.sock_recv(self._sock, 1 << 18)
        return await self._streams[0].read(1 << 18)

    async def open(self, port, path, version):
        await self._loop.sock_connect(self._sock, ("127.0.0.1", port))
        if self._context:
            self._streams = await asyncio.open_connection(
                sock=self._sock, ssl=self._context, server_hostname="127.0.0.1"
            )
        await self._send_all(handshake.request(path, version=version))
        head = b""
        while b"\r\n\r\n" not in head:
            data = await self._receive()
            assert data, f"no handshake, only {head!r}"
            head += data
        head, _, rest = head.partition(b"\r\n\r\n")
        handshake.check_upgraded(handshake.Response(*handshake.parse_head(head), b""))
        self._reader.feed(rest)

    async def send(self, data):
        """Sends all of it, unless the server has gone, which next_frame will notice."""
        try:
            await self._send_all(data)
        except (ConnectionResetError, BrokenPipeError):
            pass

    async def receive(self):
        """Files the next frame; sets `ended` at the end of the stream."""
        while (frame := self._reader.next()) is None:
            try:
                data = await self._receive()
            except ConnectionResetError:
                assert self.closed_with is not None, "the connection was reset before a Close came"
                data = b""
            if not data:
                assert not self._reader.pending(), "the stream ended inside a frame"
                self.ended = True
                return
            self._reader.feed(data)
        assert self.closed_with is None, f"{frame} came after the Close"
        if frame.opcode == frames.CLOSE:
            self.closed_with = frame.code
        elif frame.opcode == frames.PONG:
            self.pongs.append(frame.payload)
        elif frame.opcode in (frames.TEXT, frames.BINARY):
            self.messages.append((frame.opcode, frame.payload))
        else:
            raise AssertionError(f"did not expect {frame}")

    async def receive_until(self, condition):
        while not condition() and self.closed_with is None and not self.ended:
            await self.receive()


async def _converse(connection, port, case, path, portions):
    """One run of a case. The portions arrive at the server one after the other, not in one read."""
    await connection.open(port, path, case.version)
    expected_messages, expected_pongs = list(case.messages), list(case.pongs)
    if len(portions) == 2:
        # The Pong tells that the server has read the first portion, which came in the same packet.
        expected_pongs.insert(0, _BARRIER)
        await connection.send(frames.ping(_BARRIER) + portions[0])
        await connection.receive_until(lambda: connection.pongs)
        await connection.send(portions[1])
    else:
        for portion in portions:
            await connection.send(portion)
            await asyncio.sleep(0)  # the turn of the other connections
    if case.close is None:
        await connection.receive_until(
            lambda: len(connection.messages) >= len(expected_messages)
            and len(connection.pongs) >= len(expected_pongs)
        )
        expected_messages.append((frames.TEXT, _SENTINEL))
        await connection.send(frames.text(_SENTINEL))
        await connection.receive_until(lambda: len(connection.messages) >= len(expected_messages))
        await connection.send(frames.close(1000))
    await connection.receive_until(  # the Close, or something that should not come
        lambda: len(connection.messages) > len(expected_messages) or len(connection.pongs) > len(expected_pongs)
    )
    wanted = (expected_messages, expected_pongs, 1000 if case.close is None else case.close)
    got = (connection.messages, connection.pongs, connection.closed_with)
    assert got == wanted, f"wanted {_show(*wanted)}; got {_show(*got)}"
    await connection.send(frames.close(1000))
    while not connection.ended:
        await connection.receive()


def _show(messages, pongs, code):
    def brief(payload):
        return repr(payload) if len(payload) <= 40 else f"{payload[:30]!r}...({len(payload)})"

    parts = [
        f"{'text' if opcode == frames.TEXT else 'binary'} {brief(payload)}" for opcode, payload in messages
    ]
    parts += [f"Pong {brief(payload)}" for payload in pongs]
    return ", ".join([*parts, f"Close {code}"])


async def _run(port, case, path, portions, context):
    """None, or what went wrong."""
    connection = _Connection(context)
    try:
        async with asyncio.timeout(patience(_SECONDS)):
            await _converse(connection, port, case, path, portions)
    except TimeoutError:
        return "no end in time; got " + _show(connection.messages, connection.pongs, connection.closed_with)
    except (AssertionError, OSError, UnicodeDecodeError) as error:
        return str(error) or repr(error)
    finally:
        connection.close()
    return None


def ways_to_cut(data):
    """(name, portions): whole, in two at many places, byte by byte."""
    yield "whole", [data]
    size = len(data)
    cuts = range(1, size) if size <= 64 else [*range(1, 16), size // 2, size - 1]
    for cut in cuts:
        yield f"cut after {cut} bytes", [data[:cut], data[cut:]]
    if 1 < size <= 300:
        yield "byte by byte", [data[n : n + 1] for n in range(size)]


async def _run_all(port, cases, path_of, cut, at_once, context):
    failures = {}
    jobs = ((case, name, portions) for case in cases for name, portions in cut(case.send))

    async def work():
        for case, name, portions in jobs:
            if len(failures) >= _ENOUGH:
                return
            if case.name not in failures:
                error = await _run(port, case, path_of(case), portions, context)
                if error is not None:
                    failures.setdefault(case.name, f"{name}: {error}")

    await asyncio.gather(*(work() for _ in range(at_once)))
    return failures


def run_cases(port, cases, path_of, cut=ways_to_cut, at_once=_CONNECTIONS_AT_ONCE, context=None):
    """Runs all cases in all ways, with an ssl.SSLContext inside of TLS.

    Returns the first failure of each that failed, by name; the rest is left out when enough have.
    """
    return asyncio.run(_run_all(port, cases, path_of, cut, at_once, context))
