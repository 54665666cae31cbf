# SPDX-License-Identifier: Apache-2.0
"""What the tests of mod_proxy's tunnels have in common: one httpd with a backend that tests play."""

import contextlib
import re

import handshake
import httpd
from backends import Backend
from tls import TlsClient, TlsHttpd

MODULES = (
    "proxy",
    "proxy_http",
    "proxy_wstunnel",
    "proxy_balancer",
    "lbmethod_byrequests",
    "lbmethod_bybusyness",
    "slotmem_shm",
    "rewrite",
    "ssl",
    "socache_shmcb",
)

# Backends that have gone are tried again at once.
WORKER = "retry=0 disablereuse=on"


def pass_on(path, port, *lines, worker=WORKER, scheme="ws"):
    """ProxyPass for a path, with directives for its section."""
    body = "".join(f"    {line}\n" for line in lines)
    return f'<Location "{path}">\n    ProxyPass {scheme}://127.0.0.1:{port}{path} {worker}\n{body}</Location>\n'


class TunnelServer(TlsHttpd):
    """An httpd, plain and at `tls_port`, in front of `backend`, whose part a test plays."""

    def __init__(self, mpm, parts, backend, **options):
        self.backend = backend
        super().__init__(mpm, parts, tls=("SSLProxyEngine On", "SSLProxyVerify none", "SSLProxyCheckPeerName Off"),
                         **{"modules": MODULES, "children": 4, **options})

    def _settle(self):
        """Also until no worker has a tunnel: one whose client httpd closes at its end waits for the backend as long as
        the Timeout is, as epoll tells nothing of a descriptor that is closed."""
        with contextlib.suppress(AssertionError, OSError):  # with a tunnel that a test leaves open
            self.await_free_workers(2)
        super()._settle()

    def tunnel(self, path="/app/chat", *, tls=False, **options):
        """A client and the backend's end of its tunnel. Options are those of Accepted.switch and, for the request,
        of handshake.request."""
        switch = {name: options.pop(name) for name in ("behind", "answer_headers") if name in options}
        client = TlsClient(self.tls_port) if tls else self.client()
        client.send(handshake.request(path, **options))
        peer = self.backend.accept()
        peer.request = peer.switch(behind=switch.get("behind", b""), headers=switch.get("answer_headers", ()))
        client.response = client.read_response()
        extensions = dict(switch.get("answer_headers", ())).get("Sec-WebSocket-Extensions")
        handshake.check_upgraded(client.response, options.get("key", handshake.KEY), extensions=extensions)
        return client, peer


def forget_connections(backend):
    """Those that nobody has accepted."""
    while not backend.quiet():
        pass


def busy_members(server):
    """How many requests the members of all balancers serve, as /balancer-manager says."""
    with server.client() as client:
        client.send(b"GET /balancer-manager?xml=1 HTTP/1.0\r\nHost: 127.0.0.1\r\nReferer: http://127.0.0.1/\r\n\r\n")
        page = client.read_response().body.decode()
    return sum(map(int, re.findall(r"<httpd:busy>(\d+)</httpd:busy>", page)))


__all__ = ["Backend", "MODULES", "WORKER", "TunnelServer", "busy_members", "forget_connections", "httpd", "pass_on"]
