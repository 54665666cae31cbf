# SPDX-License-Identifier: Apache-2.0
"""The files of conf/proxies for tunnels at work."""

import json
import types

import frames
from proxies import HOST, Case, Front
from waiting import wait_until

MODULES = ("ssl", "proxy", "proxy_http", "rewrite")
BALANCER_MODULES = (*MODULES, "proxy_balancer", "lbmethod_bybusyness", "slotmem_shm")


def recipe(file, mpm, certificate, port=0, *, modules=MODULES, **options):
    """An httpd with a file of conf/proxies; port is that of the server behind, unless `words` say where it is.
    Other options are those of Front."""
    backend = types.SimpleNamespace(certificate=certificate, port=port)
    return Front(Case(file, "port", modules=modules), mpm, backend, **options)


def tunnels(front):
    """How many are open."""
    return int(front.server.status()["WebSocketConnectionsTunnel"])


def await_tunnels(front, count):
    wait_until(lambda: tunnels(front) == count, 10, f"{count} tunnels")


def request_as_seen(client):
    """What the server knows of the handshake: its headers, all names in lower case, and the rest."""
    client.send(frames.text("request"))
    told = json.loads(client.expect_text())
    headers = [(name.lower(), value) for name, value in told.pop("headers")]
    assert len({name for name, _ in headers}) == len(headers), f"a header came twice: {headers}"
    return dict(headers), told


def echo(client, sizes=(1, 126, 1 << 16, 1 << 20)):
    for size in sizes:
        client.send(frames.text(b"t" * size) + frames.binary(b"\xff" * size))
        client.expect(frames.TEXT, b"t" * size)
        client.expect(frames.BINARY, b"\xff" * size)


def page(front, path="/page", *, secure=False, headers=()):
    """The answer to a plain request through a front."""
    with front.client(secure=secure) as client:
        lines = [f"GET {path} HTTP/1.1", f"Host: {HOST}", "Connection: close", *(f"{n}: {v}" for n, v in headers)]
        client.send("\r\n".join(lines).encode() + b"\r\n\r\n")
        return client.read_response()
