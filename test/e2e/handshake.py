# SPDX-License-Identifier: Apache-2.0
"""The opening handshake, written out byte by byte."""

import base64
import hashlib
from typing import NamedTuple

KEY = "36zg57EA+cDLixMBxrDj4g=="
ACCEPT = "eGic2At3BJQkGyA4Dq+3nczxEJo="
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

# Arguments of request() for a request that is none.
NONE = {"upgrade": None, "connection": "close", "key": None, "version": None}


def accept_of(key):
    """Sec-WebSocket-Accept for a Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()


def request(
    path,
    *,
    host="127.0.0.1",
    method="GET",
    protocol="HTTP/1.1",
    version=13,
    key=KEY,
    upgrade="websocket",
    connection="Upgrade",
    headers=(),
    body=b"",
):
    """An opening handshake. An argument of None leaves its header out.

    headers  further (name, value) pairs, in order, values str or bytes
    """
    fields = [
        ("Host", host),
        ("Upgrade", upgrade),
        ("Connection", connection),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Version", version),
    ]
    lines = [f"{method} {path} {protocol}".encode()]
    for name, value in [*fields, *headers]:
        if value is not None:
            value = value if isinstance(value, bytes) else str(value).encode("latin-1")
            lines.append(name.encode() + b": " + value)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Response(NamedTuple):
    """What came back: headers keep their order and spelling."""

    status: int
    headers: list
    body: bytes

    def all(self, name):
        """All values of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        """The one value of a header, or None; it must not be there twice."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None


def parse_head(head):
    """Status and headers of a response's head (without the empty line)."""
    lines = head.decode("latin-1").split("\r\n")
    protocol, status = lines[0].split(" ", 2)[:2]
    assert protocol == "HTTP/1.1", f"not a response: {lines[0]!r}"
    return int(status), [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]


def check_upgraded(response, key=KEY, *, extensions=None):
    """Asserts all that a 101 has to say."""
    assert response.status == 101, f"the handshake got {response.status} {response.body[:200]!r}"
    assert response.header("Upgrade").lower() == "websocket"
    assert "upgrade" in [token.strip().lower() for token in response.header("Connection").split(",")]
    assert response.header("Sec-WebSocket-Accept") == accept_of(key)
    assert response.header("Sec-WebSocket-Extensions") == extensions
    assert response.header("Content-Length") is None and response.header("Transfer-Encoding") is None
