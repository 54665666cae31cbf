#!/usr/bin/python3
"""Echo over WebSockets that are streams of HTTP/2 connections (RFC 8441), over TLS.

Prints one line of JSON, as `load` does. Reading and writing frames in Python is slow, but the server is
slower: what counts is its CPU time a message.
"""

import argparse
import json
import os
import select
import socket
import ssl
import struct
import sys
import time
import urllib.parse

import h2.config
import h2.connection
import h2.events

WINDOW = (1 << 31) - 1
UPDATE_AFTER = 1 << 20
DATA, RST_STREAM, PING, GOAWAY, WINDOW_UPDATE = 0, 3, 6, 7, 8


def cpu_seconds(pid: int) -> float:
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def masked_frame(size: int) -> bytes:
    head = bytes([0x82, 0x80 | size]) if size < 126 else struct.pack(">BBH", 0x82, 0x80 | 126, size)
    return head + bytes(4) + b"x" * size  # a mask of zeros is one


def echo_size(size: int) -> int:
    return size + (2 if size < 126 else 4)


def h2_frame(kind: int, stream: int, payload: bytes, flags: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class Connection:
    """One HTTP/2 connection with some WebSockets, each with `pipeline` messages under way."""

    def __init__(self, port: int, path: str, streams: int, size: int, pipeline: int):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        self.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.sock.selected_alpn_protocol() != "h2":
            sys.exit("h2_load.py: the server did not choose h2")
        self.batch = masked_frame(size) * pipeline
        self.answer = echo_size(size) * pipeline
        self.pipeline = pipeline
        self.messages = 0
        self.rest = b""
        self.taken = 0  # bytes of DATA since the connection's window was opened again
        self.windows = {}  # of the streams: what we may send
        self.window = 0  # of the connection
        self.missing = {}  # bytes of the answer, by stream
        self.taken_of = {}
        self.waiting = []  # streams whose turn it is, but whose window is too small
        self.open(port, path, streams)

    def open(self, port: int, path: str, streams: int) -> None:
        machine = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, validate_outbound_headers=False,
                                                                       normalize_outbound_headers=False))
        machine.initiate_connection()
        machine.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW})
        machine.increment_flow_control_window(WINDOW - 65535)
        numbers = [1 + 2 * i for i in range(streams)]
        answered = set()
        asked = False
        while len(answered) < streams:
            self.sock.sendall(machine.data_to_send())
            data = self.sock.recv(1 << 16)
            if not data:
                sys.exit("h2_load.py: the server closed the connection")
            for event in machine.receive_data(data):
                if isinstance(event, h2.events.RemoteSettingsChanged) and not asked:
                    asked = True
                    for number in numbers:
                        machine.send_headers(number, [
                            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"),
                            (":authority", f"127.0.0.1:{port}"), (":path", path), ("sec-websocket-version", "13")])
                elif isinstance(event, h2.events.ResponseReceived):
                    if dict(event.headers)[b":status"] != b"200":
                        sys.exit(f"h2_load.py: refused with {event.headers}")
                    answered.add(event.stream_id)
        self.sock.sendall(machine.data_to_send())
        self.most = machine.max_outbound_frame_size
        self.window = machine.outbound_flow_control_window
        self.windows = {number: machine.local_flow_control_window(number) for number in numbers}
        self.sock.setblocking(False)
        self.unsent = bytearray()
        for number in numbers:
            self.taken_of[number] = 0
            self.say(number)

    def say(self, number: int) -> None:
        """Sends a batch on the stream, or as soon as the windows allow."""
        if min(self.windows[number], self.window) < len(self.batch):
            self.waiting.append(number)
            return
        self.windows[number] -= len(self.batch)
        self.window -= len(self.batch)
        self.missing[number] = self.answer
        for at in range(0, len(self.batch), self.most):
            self.unsent += h2_frame(DATA, number, self.batch[at : at + self.most])

    def flush(self) -> None:
        while self.unsent:
            try:
                del self.unsent[: self.sock.send(self.unsent)]
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return

    def take(self) -> None:
        while True:
            try:
                data = self.sock.recv(1 << 16)
            except ssl.SSLWantReadError:
                break
            if not data:
                sys.exit("h2_load.py: the server closed the connection")
            self.parse(self.rest + data)
        self.flush()

    def parse(self, data: bytes) -> None:
        at = 0
        while len(data) - at >= 9:
            size = int.from_bytes(data[at : at + 3], "big")
            if len(data) - at < 9 + size:
                break
            self.handle(data[at + 3], data[at + 4], int.from_bytes(data[at + 5 : at + 9], "big"),
                        data[at + 9 : at + 9 + size])
            at += 9 + size
        self.rest = data[at:]

    def handle(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == DATA:
            self.give_back(number, len(payload))
            self.missing[number] -= len(payload)
            if self.missing[number] == 0:
                self.messages += self.pipeline
                self.say(number)
            elif self.missing[number] < 0:
                sys.exit("h2_load.py: more came than was sent")
        elif kind == WINDOW_UPDATE:
            more = int.from_bytes(payload, "big")
            if number == 0:
                self.window += more
            else:
                self.windows[number] += more
            again, self.waiting = self.waiting, []
            for one in again:
                self.say(one)
        elif kind == PING and not flags & 1:
            self.unsent += h2_frame(PING, 0, payload, 1)
        elif kind in (RST_STREAM, GOAWAY):
            sys.exit(f"h2_load.py: the server ended stream {number}: {payload.hex()}")

    def give_back(self, number: int, size: int) -> None:
        self.taken += size
        self.taken_of[number] += size
        if self.taken_of[number] >= UPDATE_AFTER:
            self.unsent += h2_frame(WINDOW_UPDATE, number, struct.pack(">I", self.taken_of[number]))
            self.taken_of[number] = 0
        if self.taken >= UPDATE_AFTER:
            self.unsent += h2_frame(WINDOW_UPDATE, 0, struct.pack(">I", self.taken))
            self.taken = 0


def size(text: str) -> int:
    bytes = int(text.removesuffix("K")) * (1024 if text.endswith("K") else 1)
    if not 0 < bytes < 65536:
        raise ValueError
    return bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", type=urllib.parse.urlsplit, required=True, help="wss://127.0.0.1:PORT/PATH")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--streams", type=int, default=4,
                        help="WebSockets on each connection (4); mod_http2 serves six at a time")
    parser.add_argument("--size", type=size, default=125, help="bytes of a message, at most 63K (125)")
    parser.add_argument("--pipeline", type=int, default=1, help="messages under way on each WebSocket (1)")
    parser.add_argument("--duration", type=float, default=3)
    parser.add_argument("--warmup", type=float, default=0.5)
    parser.add_argument("--server-pid", type=int, required=True, help="process whose CPU time is reported")
    arguments = parser.parse_args()
    connections = [Connection(arguments.url.port, arguments.url.path, arguments.streams, arguments.size, arguments.pipeline)
                   for _ in range(arguments.connections)]
    poller = select.epoll()
    by_descriptor = {one.sock.fileno(): one for one in connections}
    for one in connections:
        one.flush()
        poller.register(one.sock, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)

    def run(seconds: float) -> int:
        before = sum(one.messages for one in connections)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ready = poller.poll(1)
            if not ready:
                sys.exit("h2_load.py: nothing has come for a second")
            for descriptor, _ in ready:
                by_descriptor[descriptor].take()
        return sum(one.messages for one in connections) - before

    run(arguments.warmup)
    begin, cpu = time.monotonic(), cpu_seconds(arguments.server_pid)
    messages = run(arguments.duration)
    elapsed, cpu = time.monotonic() - begin, cpu_seconds(arguments.server_pid) - cpu
    print(json.dumps({"messages_per_second": messages / elapsed, "server_cpu_us_per_message": cpu / messages * 1e6,
                      "server_cpu_percent": 100 * cpu / elapsed}))


if __name__ == "__main__":
    main()
