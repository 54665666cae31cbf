"""Two hosts with one Redis: what goes from one to the other, what its end costs, what is held while nothing happens; and how
many clients a history takes back at once."""

import argparse
import base64
import contextlib
import json
import os
import re
import selectors
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import memory
from measuring import interleave
from servers import BenchError, Httpd, Server, chosen_httpd, free_port, start, stop, wait_until

TOPICS = 100_000
TOPICS_OF_ONE = 500  # of a client; its subscriptions are twice as many
RETURNING = 1000
MISSED = 100
IDLE_SECONDS = 10
_TOPIC = "websocket_topic.so topic_init"
_SECONDS = 60


class Redis:
    """A redis-server on the server's core, that can be killed and started again at its port."""

    def __init__(self, core: int | None) -> None:
        if not shutil.which("redis-server"):
            raise BenchError("hosts need a redis-server")
        self.port = free_port()
        self._core = core
        self._folder = tempfile.TemporaryDirectory(prefix="bench-")
        self._process = None

    def __enter__(self) -> "Redis":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.kill()
        self._folder.cleanup()

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self._folder.name]
        self._process = start(command, self._core, f"tcp://127.0.0.1:{self.port}/", Path(self._folder.name, "log"))

    def kill(self) -> None:
        if self._process:
            stop(self._process)
            self._process = None

    def figure(self, name: str) -> int:
        done = subprocess.run(["redis-cli", "-p", str(self.port), "INFO"], capture_output=True, text=True, check=True)
        return int(re.search(rf"^{name}:(\d+)", done.stdout, re.MULTILINE)[1])


def _httpd(arguments: argparse.Namespace, redis: Redis | None, own: dict[str, list[str]], *directives: str) -> Httpd:
    lines = ["WebSocketTopicScope bench", *directives]
    if redis:
        lines.append(f"WebSocketBroker redis://127.0.0.1:{redis.port}")
    return chosen_httpd(arguments, [*lines, *arguments.directive], own_locations=own)


@contextlib.contextmanager
def _hosts(arguments: argparse.Namespace, *, own: dict[str, list[str]], count: int, directives: tuple[str, ...] = ()):
    """The broker, and of each host its paths."""
    with contextlib.ExitStack() as started:
        redis = started.enter_context(Redis(arguments.server_core))
        yield redis, [started.enter_context(_httpd(arguments, redis, own, *directives)) for _ in range(count)]


def bridge_of(child: int) -> int:
    """The program that the httpd of this child has started."""
    parent = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])

    def found() -> int | None:
        for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            if Path(f"/proc/{pid}/comm").read_text().startswith("websocket-bridg"):
                return int(pid)
        return None

    return wait_until(found, "the bridge of httpd")


def measure_carrying(cases: dict[str, list[str]], arguments: argparse.Namespace) -> list[dict]:
    """The same messages to subscribers of one host, published there and on the other one. All servers share a core."""
    own = {"broadcast": ["websocket_broadcast.so broadcast_init"]}
    with _hosts(arguments, own=own, count=2) as (redis, hosts):
        (here,), (there,) = hosts
        for server in (here, there):
            bridge_of(server.pid)
        wait_until(lambda: redis.figure("connected_clients") >= 5, "both hosts at the broker")
        servers = [Server("one host", there.url, there.pid, ours=True),
                   Server("from host to host", there.url, there.pid, ours=True, options=["--publisher", here.url])]
        return interleave(servers, cases, "fanout", "fanout", arguments)


class Client:
    """A WebSocket or an event stream on a bare socket, which does not wait for what it does not need."""

    def __init__(self, url: str, headers: tuple[str, ...] = (), events: bool = False) -> None:
        parts = urlsplit(url)
        self.sock = socket.create_connection((parts.hostname, parts.port), timeout=_SECONDS)
        query = f"?{parts.query}" if parts.query else ""
        key = base64.b64encode(os.urandom(16)).decode()
        asks = (("Accept: text/event-stream",) if events else
                ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"))
        lines = (f"GET {parts.path}{query} HTTP/1.1", f"Host: {parts.netloc}", *asks, *headers, "", "")
        self.sock.sendall("\r\n".join(lines).encode())

    def until(self, wanted: bytes, count: int = 1) -> bytes:
        """What has come when it has `wanted` so many times."""
        data = b""
        while data.count(wanted) < count:
            more = self.sock.recv(1 << 20)
            if not more:
                raise BenchError(f"the server ended a connection: {data[-300:]!r}")
            data += more
        return data

    def send(self, *texts: str) -> None:
        frames = b""
        for text in texts:
            payload = text.encode()
            length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
            frames += b"\x81" + length + bytes(4) + payload  # masked with zeros
        self.sock.sendall(frames)


def _run(figure: str, value: float, unit: str) -> dict:
    return {"kind": "figure", "server": "httpd", "ours": True, "figure": figure, "value": value, "unit": unit}


def _idle(child: int) -> list[dict]:
    bridge = bridge_of(child)
    held = memory.settled_bytes(bridge)
    before = memory.cpu_ticks(bridge)
    time.sleep(IDLE_SECONDS)
    used = (memory.cpu_ticks(bridge) - before) / os.sysconf("SC_CLK_TCK") / IDLE_SECONDS
    return [_run("memory of an idle bridge", held / 1024, "KiB"), _run("CPU of an idle bridge", used * 100, "% of a core")]


def measure_broker(arguments: argparse.Namespace) -> list[dict]:
    """An idle bridge, then with many topics, and how long it takes until a broker that comes back has all of them again."""
    count = arguments.topics or TOPICS
    own = {"topics": [_TOPIC, "WebSocketOption protocol json", 'WebSocketOption allow "**"',
                      f"WebSocketOption topics {TOPICS_OF_ONE}", f"WebSocketMaxSubscriptions {2 * TOPICS_OF_ONE}",
                      f"WebSocketMaxTopicsPerLocation {3 * count}"]}
    with _hosts(arguments, own=own, count=1, directives=(f"WebSocketMaxTopics {4 * count}",)) as (redis, ((server,),)):
        runs = _idle(server.pid)
        clients = []
        for first in range(0, count, TOPICS_OF_ONE):
            client = Client(server.url)
            client.until(b"\r\n\r\n")
            names = range(first, min(first + TOPICS_OF_ONE, count))
            client.send(*(json.dumps({"type": "subscribe", "topic": f"topic {name}"}) for name in names))
            client.until(b'"subscribed"', len(names))
            clients.append(client)

        def subscribed() -> bool:
            return redis.figure("pubsub_channels") >= count

        wait_until(subscribed, f"{count} channels", _SECONDS)
        runs.append(_run(f"memory of a bridge with {count:,} topics", memory.settled_bytes(bridge_of(server.pid)) / 1024, "KiB"))
        redis.kill()
        redis.start()
        begin = time.monotonic()
        wait_until(lambda: redis.figure("pubsub_channels") > 0, "the bridge coming back", _SECONDS)
        back = time.monotonic()
        wait_until(subscribed, f"{count} channels again", _SECONDS)
        runs += [_run("until the bridge is back at a broker that was restarted", back - begin, "s"),
                 _run(f"from then until {count:,} topics are subscribed to again", time.monotonic() - back, "s")]
        return runs


def measure_recovery(arguments: argparse.Namespace) -> list[dict]:
    """Event streams that come back at once to a topic with history, each of which has missed the same messages."""
    count = arguments.connections or RETURNING
    own = {"news": [_TOPIC, "WebSocketOption topic news"], "publish": ["websocket_topic.so publish_init", "WebSocketOption open on"]}
    with _httpd(arguments, None, own, "WebSocketHistory news 1000 1h") as (news, publish):
        def post() -> None:
            request = urllib.request.Request(publish.url.replace("ws:", "http:") + "/news", b"x" * 128, {"Content-Type": "text/plain"})
            urllib.request.urlopen(request, timeout=_SECONDS).close()

        first = Client(news.url, events=True)
        first.until(b"\r\n\r\n")
        post()
        position = re.search(rb"id: ?(\d+-\d+)", first.until(b"xx\n\n"))[1].decode()
        for _ in range(MISSED):
            post()
        last = re.sub(r"\d+$", lambda offset: str(int(offset[0]) + MISSED), position).encode()
        before = memory.cpu_ticks(news.pid)
        begin = time.monotonic()
        clients = [Client(news.url, (f"Last-Event-ID: {position}",), events=True) for _ in range(count)]
        with selectors.DefaultSelector() as selector:
            for client in clients:
                selector.register(client.sock, selectors.EVENT_READ, [b""])
            missing = count
            while missing:
                ready = selector.select(_SECONDS)
                if not ready:
                    raise BenchError(f"{missing} of {count} clients did not get what they have missed")
                for key, _ in ready:
                    data = key.fileobj.recv(1 << 20)
                    if not data:
                        raise BenchError("the server ended a connection")
                    tail = key.data[0] + data
                    key.data[0] = tail[-64:]
                    if re.search(rb"id: ?" + last + rb"\n", tail):
                        selector.unregister(key.fileobj)
                        missing -= 1
        took = time.monotonic() - begin
        ticks = memory.cpu_ticks(news.pid) - before
    return [_run(f"recovery of {count:,} clients, {MISSED} messages each", took, "s"),
            _run("CPU of the server for one of them", ticks / os.sysconf("SC_CLK_TCK") / count * 1e6, "µs")]


def measure(cases: dict[str, list[str]], arguments: argparse.Namespace) -> list[dict]:
    if arguments.no_httpd:
        raise BenchError("hosts are measured with httpd")
    runs = measure_carrying(cases, arguments) if cases else []
    if arguments.case:
        return runs
    figures = measure_broker(arguments) + measure_recovery(arguments)
    return [*({"group": "Carrying", **run} for run in runs), *({"group": "Figures", **run} for run in figures)]
