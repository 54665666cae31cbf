#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests a second and CPU a request of a JSON-RPC method that echoes, beside the plain echo of httpd and beside a
JSON-RPC server on Node. All on one core; the servers take turns, and the table has medians.

    bench/jsonrpc.py --peer-command 'rpc-websockets=node bench/peers/jsonrpc.js {port}'
"""

import argparse
import base64
import json
import os
import random
import selectors
import socket
import statistics
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import servers

_MASK = bytes(4)  # as good as any for a server, and cheap for the load


def _frame(payload: bytes) -> bytes:
    n = len(payload)
    size = bytes([0x80 | n]) if n < 126 else bytes([0xFE]) + n.to_bytes(2, "big")
    return b"\x81" + size + _MASK + payload


def _open(url: str) -> socket.socket:
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(f"GET {parts.path or '/'} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1) or sys.exit(f"{url} closed the connection: {head}")
    if not head.startswith(b"HTTP/1.1 101"):
        sys.exit(f"{url}: {head.decode(errors='replace')}")
    return connection


def _answer(connection: socket.socket) -> bytes:
    """One frame, as it came."""
    frame = b""
    while len(frame) < 4 or len(frame) < (2 + frame[1] if frame[1] < 126 else 4 + int.from_bytes(frame[2:4], "big")):
        frame += connection.recv(1)
    return frame


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class _Load:
    """Requests of the same size, `pipeline` at a time on each connection; answers are counted by their bytes."""

    def __init__(self, url: str, payload: bytes, connections: int, pipeline: int):
        self._sockets = [_open(url) for _ in range(connections)]
        self._requests = _frame(payload) * pipeline
        for connection in self._sockets:
            connection.sendall(_frame(payload))
            answer = _answer(connection)
            text = answer[2:] if answer[1] < 126 else answer[4:]
            if b'"error"' in text or b'"x"' not in text:
                sys.exit(f"{url} answers {text.decode()}")
        self._expected = len(answer) * pipeline
        self._pipeline = pipeline

    def run(self, seconds: float) -> tuple[int, float]:
        """Requests answered, and the seconds that took."""
        poll = selectors.DefaultSelector()
        left = dict.fromkeys(self._sockets, self._expected)
        for connection in self._sockets:
            poll.register(connection, selectors.EVENT_READ)
            connection.sendall(self._requests)
        begun = time.monotonic()
        done = 0
        while left:
            for key, _ in poll.select():
                connection = key.fileobj
                got = len(connection.recv(1 << 20))
                if got == 0:
                    sys.exit("the server has closed a connection")
                left[connection] -= got
                if left[connection] > 0:
                    continue
                done += self._pipeline
                if time.monotonic() - begun < seconds:
                    left[connection] = self._expected
                    connection.sendall(self._requests)
                else:
                    del left[connection]
                    poll.unregister(connection)
        return done, time.monotonic() - begun

    def close(self) -> None:
        for connection in self._sockets:
            connection.close()


def _measure(server: servers.Server, payload: bytes, arguments: argparse.Namespace) -> tuple[float, float, float]:
    """Requests a second, microseconds of CPU a request, how busy the server was."""
    load = _Load(server.url, payload, arguments.connections, arguments.pipeline)
    load.run(arguments.warmup)
    before = _cpu(server.pid)
    requests, seconds = load.run(arguments.duration)
    used = _cpu(server.pid) - before
    load.close()
    return requests / seconds, 1e6 * used / requests, 100 * used / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    servers.add_httpd_arguments(parser)
    parser.add_argument("--peer-command", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--pipeline", type=int, default=50, help="requests in flight on each connection, at most 100")
    parser.add_argument("--duration", type=float, default=3)
    parser.add_argument("--warmup", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {arguments.client_core})

    request = {"jsonrpc": "2.0", "id": 1, "method": "echo", "params": {"x": "some words of a client", "n": [1, 2.5, True]}}
    payload = json.dumps(request, separators=(",", ":")).encode()
    locations = {
        "v1": ["websocket_echo.so echo_init"],
        "jsonrpc": ["websocket_jsonrpc.so jsonrpc_init"],
    }
    httpd = servers.chosen_httpd(arguments, [], own_locations=locations)
    peers = [servers.Peer(name, command=command, core=arguments.server_core)
             for name, _, command in (one.partition("=") for one in arguments.peer_command)]
    results = {}
    for _ in range(arguments.rounds):
        for group in random.sample([httpd, *peers], 1 + len(peers)):
            with group as running:
                for server in running:
                    results.setdefault(server.name, []).append(_measure(server, payload, arguments))
    print(f"{len(payload)} bytes, {arguments.connections} connections, {arguments.pipeline} requests in flight on each\n")
    print("| server | requests/s | CPU µs/request | server CPU % |\n| --- | ---: | ---: | ---: |")
    for name, runs in results.items():
        rate, cpu, busy = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"| {name} | {rate:,.0f} | {cpu:.2f} | {busy:.0f} |")


if __name__ == "__main__":
    main()
