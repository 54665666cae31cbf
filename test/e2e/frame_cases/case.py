# SPDX-License-Identifier: Apache-2.0
"""What a frame case is."""

from dataclasses import dataclass

from frames import BINARY, TEXT


@dataclass(frozen=True)
class Case:
    """Bytes that a client sends after the handshake, and all that an echoing server answers.

    send      the bytes
    messages  (opcode, payload) of the messages echoed, in order
    pongs     payloads of the Pongs, in order; relative to messages they may come at any time
    close     code of the server's Close, or None: the connection goes on afterwards
    location  last part of the path, see test/httpd/echo.conf; "" has the defaults
    version   Sec-WebSocket-Version of the handshake
    """

    name: str
    send: bytes
    messages: tuple = ()
    pongs: tuple = ()
    close: int | None = None
    location: str = ""
    version: int = 13

    def __str__(self):
        return self.name


def echo(name, send, *payloads, opcode=TEXT, **options):
    """A case whose messages come back, all of one opcode; str is UTF-8."""
    messages = tuple((opcode, p.encode() if isinstance(p, str) else p) for p in payloads)
    return Case(name, send, messages=messages, **options)


def echo_binary(name, send, *payloads, **options):
    return echo(name, send, *payloads, opcode=BINARY, **options)


def fails(name, send, code=1002, **options):
    """A case that ends the connection with nothing but a Close."""
    return Case(name, send, close=code, **options)
