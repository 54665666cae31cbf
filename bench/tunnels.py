"""Proxies in front of one echo server: httpd's own tunnels, those of the module, nginx and HAProxy."""

import argparse
import contextlib
import shutil
import tempfile
from pathlib import Path

import memory
from servers import BenchError, Httpd, Server, chosen_httpd, free_port, start, stop

# How WebSocketTunnel is set, and what the tables call it.
_MODES = {"off": "Off", "on": "On", "frames": "Frames"}

# Each has two descriptors, of which a process may have 20,000 on many systems.
_IDLE = 4000

# A tunnel of httpd holds a thread.
_THREADS = 256
_LINES = [
    "ThreadLimit {threads}", "ThreadsPerChild {threads}", "MaxRequestWorkers {threads}", "MinSpareThreads 1",
    "MaxSpareThreads {threads}", "ProxyTimeout 600", "Timeout 600",
]

_NGINX = """
daemon off; worker_processes 1; pid {root}/nginx.pid; error_log {root}/nginx.log;
events {{ worker_connections 20000; }}
http {{
    access_log off; proxy_read_timeout 600s; proxy_send_timeout 600s;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {backend}; proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
        }}
    }}
}}
"""

_HAPROXY = """
global
    nbthread 1
    maxconn 9000
defaults
    mode http
    timeout connect 10s
    timeout client 600s
    timeout server 600s
    timeout tunnel 600s
frontend front
    bind 127.0.0.1:{port}
    default_backend back
backend back
    http-request set-path {path}
    server one {address}
"""


class _Proxies(Httpd):
    """One httpd with a path for each mode."""

    def __init__(self, arguments: argparse.Namespace, backend: Server):
        usual = chosen_httpd(arguments, arguments.directive)
        super().__init__(usual.program, usual.build, usual.modules, usual.core, tls=arguments.tls, own_locations={})
        self.directives = [line.format(threads=_THREADS) for line in _LINES]
        for module in ("proxy", "proxy_http", "proxy_wstunnel"):
            self.directives += self._own_module(module)
        for path, mode in _MODES.items():
            self.directives += [f"<Location /{path}>", f"WebSocketTunnel {mode}", f"ProxyPass {backend.url}",
                                "</Location>"]
        self.directives += arguments.directive

    def __enter__(self) -> list[Server]:
        super().__enter__()
        root = Path(self._root.name)
        url = next(line.split()[1] for line in (root / "conf").read_text().splitlines() if line.startswith("Listen"))
        child = self._child()
        return [Server(f"httpd, {mode}", f"{'wss' if self.tls else 'ws'}://{url}/{path}", child, ours=path != "off")
                for path, mode in _MODES.items()]


@contextlib.contextmanager
def _other(name: str, command: list[str], text: str, backend: Server, arguments: argparse.Namespace):
    """nginx or HAProxy, if it is installed; `{file}` in its command is its configuration."""
    program = shutil.which(name) or shutil.which(f"/usr/sbin/{name}")
    if program is None:
        yield []
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        root, port = Path(folder), free_port()
        address, _, path = backend.url.removeprefix("ws://").partition("/")
        file = root / "conf"
        file.write_text(text.format(root=root, port=port, backend=backend.url.replace("ws://", "http://"),
                                    address=address, path="/" + path))
        url = f"ws://127.0.0.1:{port}/"
        process = start([program, *(word.format(file=file) for word in command)], arguments.server_core, url,
                        root / "output")
        try:
            yield [Server(name, url, _worker_of(process.pid))]
        finally:
            stop(process)


def _worker_of(pid: int) -> int:
    """The process that serves: the child of a master, or the master itself."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else pid


@contextlib.contextmanager
def proxies(arguments: argparse.Namespace):
    """All of them, with the echo server on the core of the load. With TLS, which clients speak, httpd alone."""
    if arguments.no_httpd:
        raise BenchError("tunnels are measured with httpd")
    backend = chosen_httpd(arguments, [])
    backend.core = arguments.client_core
    with contextlib.ExitStack() as started:
        echo = next(server for server in started.enter_context(backend) if server.url.endswith("/v1"))
        servers = started.enter_context(_Proxies(arguments, echo))
        if not arguments.tls:
            for name, command, text in (("nginx", ["-p", "/tmp", "-c", "{file}"], _NGINX),
                                        ("haproxy", ["-f", "{file}"], _HAPROXY)):
                servers += started.enter_context(_other(name, command, text, echo, arguments))
        yield servers


def measure_memory(arguments: argparse.Namespace) -> list[dict]:
    """As memory.measure(), of tunnels. Those of httpd itself would need a thread each."""
    arguments.connections = arguments.connections or _IDLE
    with proxies(arguments) as servers:
        names = [server.name for server in servers if server.name != "httpd, Off"]
    runs = []
    for name in names:
        with proxies(arguments) as servers:
            runs.append(memory.measure_server(next(server for server in servers if server.name == name), arguments))
    return runs
