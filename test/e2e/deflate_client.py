# SPDX-License-Identifier: Apache-2.0
"""A client that agrees on permessage-deflate and uses Python's zlib for it, frame by frame."""

import functools
import json
import random
import zlib
from typing import NamedTuple

import frames
import handshake
from h2client import H2WebSocket
from raw import RawClient
from tls import TlsClient

_TAIL = b"\0\0\xff\xff"


@functools.lru_cache(maxsize=100)
def json_text(size, seed=1):
    """Compressible text of so many characters."""
    source = random.Random(seed)
    parts, length = ["["], 1
    while length < size:
        item = {"id": source.randrange(10**6), "symbol": f"S{source.randrange(20)}", "side": "buy"}
        parts.append(json.dumps(item) + ",")
        length += len(parts[-1])
    return "".join(parts)[:size]


def parameters_of(header):
    """{name: value or None} of a response's Sec-WebSocket-Extensions; None if there is no such header."""
    if header is None:
        return None
    extension, *rest = [part.strip() for part in header.split(";")]
    assert extension == "permessage-deflate", header
    parameters = dict((part.split("=", 1) + [None])[:2] for part in rest)
    assert len(parameters) == len(rest), f"a parameter came twice: {header}"
    return parameters


class Message(NamedTuple):
    """A data message that the server sent."""

    opcode: int
    payload: bytes
    compressed: bool
    frames: int
    wire: int  # bytes of payload on the wire


class _Reader(frames.FrameReader):
    """Gives whole messages in the place of data frames, inflated; all else as FrameReader."""

    def __init__(self, parameters):
        super().__init__()
        self._takeover = "server_no_context_takeover" not in parameters
        self._bits = int(parameters.get("server_max_window_bits", 15))
        self._inflate = None
        self._parts = []
        self._first = None

    def next(self):
        while True:
            have = self._bytes
            if len(have) < 2:
                return None
            if have[0] & 0x8:  # a control frame, which may stand between fragments
                return super().next()
            start, size = 2, have[1] & 0x7F
            if size >= 126:
                start, minimum = (4, 126) if size == 126 else (10, 0x10000)
                if len(have) < start:
                    return None
                size = int.from_bytes(have[2:start], "big")
                assert size >= minimum, f"the server sent length {size} in {start - 2} bytes"
            assert not have[1] & 0x80, "the server masked a frame"
            if len(have) < start + size:
                return None
            head = have[0]
            payload = bytes(have[start : start + size])
            del have[: start + size]
            message = self._add(head, payload)
            if message is not None:
                return message

    def _add(self, head, payload):
        opcode, fin, rsv = head & 0x0F, head & 0x80, head & 0x70
        if self._first is None:
            assert opcode in (frames.TEXT, frames.BINARY), f"the server sent opcode {opcode}"
            assert rsv in (0, 0x40), f"the server set RSV bits: {head:#04x}"
            self._first = head
        else:
            assert opcode == frames.CONTINUATION and not rsv, f"the server sent {head:#04x} inside a message"
        self._parts.append(payload)
        if not fin:
            return None
        first, parts = self._first, self._parts
        self._first, self._parts = None, []
        compressed = bool(first & 0x40)
        wire = b"".join(parts)
        plain = self._plain(wire) if compressed else wire
        if first & 0x0F == frames.TEXT:
            plain.decode()
        return Message(first & 0x0F, plain, compressed, len(parts), len(wire))

    def _plain(self, wire):
        assert not wire.endswith(_TAIL), "the server left the tail of the flush"
        if self._inflate is None or not self._takeover:
            self._inflate = zlib.decompressobj(-self._bits)
        plain = self._inflate.decompress(wire + _TAIL)
        assert not self._inflate.eof and not self._inflate.unused_data
        return plain


class Deflating:
    """What a client of frames can do once it has called agree()."""

    def agree(self, extensions):
        """`extensions` is the response's header. `parameters` is what it says, None for nothing."""
        self.extensions = extensions
        self.parameters = parameters_of(extensions)
        if self.parameters is not None:
            left = self._frames.take()
            self._frames = _Reader(self.parameters)
            self._frames.feed(left)
            self._takeover = "client_no_context_takeover" not in self.parameters
            self._bits = int(self.parameters.get("client_max_window_bits", 15))
            self._deflate = None

    def compressed(self, payload, *, level=6, flush=zlib.Z_SYNC_FLUSH):
        """The payload of a compressed message."""
        if self._deflate is None or not self._takeover:
            self._deflate = zlib.compressobj(level, zlib.DEFLATED, -self._bits)
        if not payload:
            return b"\0"
        wire = self._deflate.compress(payload) + self._deflate.flush(flush)
        if flush == zlib.Z_FINISH:
            self._deflate = None
            return wire + b"\0"
        assert wire.endswith(_TAIL)
        return wire[: -len(_TAIL)]

    def send_compressed(self, payload, opcode=frames.TEXT, *, fragments=1, **options):
        """Sends a message compressed, in so many frames."""
        if isinstance(payload, str):
            payload = payload.encode()
        wire = self.compressed(payload, **options)
        size = max(1, -(-len(wire) // fragments))
        parts = [wire[n : n + size] for n in range(0, len(wire), size)]
        data = b""
        for n, part in enumerate(parts):
            data += frames.frame(
                opcode if n == 0 else frames.CONTINUATION,
                part,
                fin=n == len(parts) - 1,
                rsv=4 if n == 0 else 0,
            )
        self.send(data)

    def expect_message(self, payload, seconds=10):
        """The next frame or message is a data message with this payload; returns the Message."""
        if isinstance(payload, str):
            payload = payload.encode()
        got = self.next_frame(seconds, "a message")
        assert isinstance(got, Message), f"wanted a message, got {got}"
        assert got.payload == payload, f"wanted {payload[:60]!r}, got {got.payload[:60]!r} ({len(got.payload)})"
        return got


class DeflateClient(Deflating, RawClient):
    """An open connection."""

    def __init__(self, port, path, offer="permessage-deflate", *, headers=(), **options):
        super().__init__(port, **options)
        self.send(handshake.request(path, headers=[("Sec-WebSocket-Extensions", offer), *headers]))
        self.response = self.read_response()
        extensions = self.response.header("Sec-WebSocket-Extensions")
        handshake.check_upgraded(self.response, extensions=extensions)
        self.agree(extensions)


class DeflateTlsClient(Deflating, TlsClient):
    """The same over TLS."""

    def __init__(self, port, path, offer="permessage-deflate", **options):
        super().__init__(port, **options)
        self.send(handshake.request(path, headers=[("Sec-WebSocket-Extensions", offer)]))
        response = self.read_response()
        extensions = response.header("Sec-WebSocket-Extensions")
        handshake.check_upgraded(response, extensions=extensions)
        self.agree(extensions)


class DeflateH2WebSocket(Deflating, H2WebSocket):
    """The same on a stream of `connection`, an H2Client."""

    def __init__(self, connection, path, offer="permessage-deflate"):
        stream = connection.connect(path, headers=[("sec-websocket-extensions", offer)])
        assert connection.await_response(stream) == 200, stream.headers
        super().__init__(connection, stream)
        self.agree(stream.headers.get("sec-websocket-extensions"))
