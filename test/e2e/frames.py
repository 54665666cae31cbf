# SPDX-License-Identifier: Apache-2.0
"""WebSocket frames: a builder that can build wrong ones, and a reader that accepts right ones only."""

import struct
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

NO_STATUS = 1005  # what an API shows for a Close without a code; never on the wire
MASK = b"\x37\xfa\x21\x3d"


def apply_mask(payload, mask):
    """XOR of `payload` with the repeated 4 bytes of `mask`."""
    if not payload:
        return b""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def frame(opcode, payload=b"", *, fin=True, rsv=0, mask=MASK, encoding=None, length=None):
    """One frame as a client would send it.

    rsv       0..7, RSV1 is the 4
    mask      4 bytes, or None for a frame without masking
    encoding  bytes of extended length: 0, 2 or 8; None is the shortest that fits
    length    the length to declare instead of the true one
    """
    declared = len(payload) if length is None else length
    if encoding is None:
        encoding = 0 if declared <= 125 else 2 if declared <= 0xFFFF else 8
    short = {0: declared, 2: 126, 8: 127}[encoding]
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode, (0x80 if mask is not None else 0) | short])
    if encoding:
        head += declared.to_bytes(encoding, "big")
    if mask is None:
        return head + payload
    return head + mask + apply_mask(payload, mask)


def text(payload, **options):
    """A text frame; str is encoded as UTF-8."""
    return frame(TEXT, payload.encode() if isinstance(payload, str) else payload, **options)


def binary(payload, **options):
    return frame(BINARY, payload, **options)


def continuation(payload=b"", **options):
    return frame(CONTINUATION, payload, **options)


def ping(payload=b"", **options):
    return frame(PING, payload, **options)


def pong(payload=b"", **options):
    return frame(PONG, payload, **options)


def close(code=None, reason=b"", **options):
    """A Close frame; without a code its payload is empty."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason, **options)


class Frame(NamedTuple):
    """A frame that the server sent."""

    opcode: int
    payload: bytes

    @property
    def code(self):
        """The status of a Close."""
        return struct.unpack("!H", self.payload[:2])[0] if len(self.payload) >= 2 else NO_STATUS


class FrameReader:
    """Takes bytes in any portions and gives whole frames.

    Raises AssertionError for what a server must never send: a mask, an RSV bit, a length in more
    bytes than needed, a fragment, an undefined opcode, a malformed Close, bad UTF-8.

    masked  they are those of a client: each has a mask
    """

    def __init__(self, *, masked=False):
        self._bytes = bytearray()
        self._masked = masked

    def feed(self, data):
        self._bytes += data

    def pending(self):
        """Bytes that are not a whole frame yet."""
        return len(self._bytes)

    def take(self):
        """All bytes that have not become a frame; they are forgotten."""
        data, self._bytes = self._bytes, bytearray()
        return data

    def next(self):
        """The next frame, or None as long as it is incomplete."""
        have = self._bytes
        if len(have) < 2:
            return None
        start, size = 2, have[1] & 0x7F
        if size >= 126:
            start, minimum = (4, 126) if size == 126 else (10, 0x10000)
            if len(have) < start:
                return None
            size = int.from_bytes(have[2:start], "big")
            assert size >= minimum, f"the server sent length {size} in {start - 2} bytes"
        assert bool(have[1] & 0x80) == self._masked, f"the first bytes {have[:2].hex()} say otherwise about a mask"
        assert have[0] & 0x80, "the server sent a fragment"
        assert not have[0] & 0x70, f"the server set RSV bits: {have[0]:#04x}"
        mask = bytes(have[start : start + 4]) if self._masked else b""
        start += len(mask)
        if len(have) < start + size:
            return None
        payload = bytes(have[start : start + size])
        result = Frame(have[0] & 0x0F, apply_mask(payload, mask) if mask else payload)
        del have[: start + size]
        _check(result)
        return result


def _check(frame_):
    opcode, payload = frame_
    assert opcode in (TEXT, BINARY, CLOSE, PING, PONG), f"the server sent opcode {opcode}"
    assert opcode < 8 or len(payload) <= 125, f"the server sent {len(payload)} bytes of control payload"
    if opcode == TEXT:
        payload.decode()
    if opcode == CLOSE and payload:
        assert len(payload) >= 2, "the server sent a Close with half a status"
        payload[2:].decode()
        allowed = 1000 <= frame_.code < 5000 and frame_.code not in (1004, 1005, 1006, 1015)
        # Versions 7 and 8 used 1004 for what is 1009 today.
        assert allowed or frame_.code == 1004, f"the server sent Close {frame_.code}"
