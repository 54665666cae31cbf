# SPDX-License-Identifier: Apache-2.0
"""The files of conf/proxies at work: with a test's ports and paths filled in, in servers that run."""

import contextlib
import grp
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from typing import NamedTuple

import frames
import httpd
import processes
import certificates
from httpd import Httpd, free_port, location, unprivileged_user
from raw import RawClient
from tls import TlsClient
from waiting import patience, wait_until

_FILES = pathlib.Path(__file__).resolve().parent.parent.parent / "conf/proxies"

# The host that the files are written for.
HOST = "www.example.com"


def paste(name, words):
    """The text of conf/proxies/NAME with its paths and ports replaced by a test's."""
    text = (_FILES / name).read_text()
    for written, ours in words.items():
        text = text.replace(written, str(ours))
    settings = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    left = re.search(r"/etc/\S*|/usr/lib/apache2/\S*|\S*:(80|443|8080|8081|8443)\b|listen \d+[ ;]", settings)
    assert left is None, f"{name} has {left[0]}, which a test must not use"
    return text


# ---- a certificate ---------------------------------------------------------------------------------


class Certificate:
    """A self-signed certificate for HOST and 127.0.0.1.

    file, key  PEM
    both       the two in one file, as HAProxy wants them
    """

    def __init__(self, folder):
        self.file, self.key, self.both = (folder / name for name in ("cert.pem", "key.pem", "both.pem"))
        certificates.openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"),
            *("-keyout", self.key, "-out", self.file, "-subj", f"/CN={HOST}"),
            *("-addext", f"subjectAltName=DNS:{HOST},IP:127.0.0.1"),
        )
        self.both.write_text(self.file.read_text() + self.key.read_text())


def _free_ports(count):
    """Different ones."""
    ports = set()
    while len(ports) < count:
        ports.add(free_port())
    return ports


# ---- httpd behind a proxy --------------------------------------------------------------------------


def _stop(server, error):
    """Ends a server of either kind, which had no failure if error is (None, None, None).

    httpd is asked to finish what it does: a child that is told to end at once, while mod_proxy has not
    noticed yet that a client is gone, does not end until it is killed after ten seconds.
    """
    if error[0] is None and isinstance(server, Httpd):
        server.stop_gracefully()
    server.__exit__(*error)


_MODULES = ("ssl", "proxy", "proxy_http", "remoteip")
_ENDPOINT = '<Location "/ws/echo">'
_MORE_ENDPOINTS = "".join(
    [
        location("/ws/lenient", "echo", "WebSocketKeyCheck Lenient"),
        location("/ws/lively", "echo", "WebSocketPingInterval 200ms"),
        location("/ws/silent", "echo", "WebSocketPingInterval 0"),
        *(location(f"/ws/{plugin}", plugin) for plugin in ("debug", "hostile", "lifecycle")),
    ]
)


class Backend:
    """One httpd with an address for each way to be behind a proxy, and the same endpoints at each. It has
    one child, which counts all clients.

    plain           of backend.conf
    proxy_protocol  of backend-proxy-protocol.conf
    tls             of backend-tls.conf
    own_proxy       of same-server.conf
    """

    def __init__(self, mpm, certificate):
        self.certificate = certificate
        self.plain, self.proxy_protocol, self.tls, self.own_proxy, behind = _free_ports(5)
        words = {
            "/usr/lib/apache2/modules/mod_websocket_echo.so": f"{httpd.BUILD}/plugins/mod_websocket_echo.so",
            "/etc/ssl/certs/example.pem": certificate.file,
            "/etc/ssl/private/example.key": certificate.key,
            _ENDPOINT: _MORE_ENDPOINTS + _ENDPOINT,
        }
        own_proxy = {
            "Listen 443": f"Listen 127.0.0.1:{self.own_proxy}",
            "*:443": f"127.0.0.1:{self.own_proxy}",
            ":8081": f":{behind}",
        }
        parts = [
            "WebSocketMaxPumped 0",  # all connections are taken over
            # Or else its one worker would wait for the next request of a proxy.
            "KeepAlive Off" if mpm == "prefork" else "",
            'CustomLog "@ROOT@/addresses.log" "%a %{c}a %>s %U"',
            paste("backend.conf", {**words, ":8080": f":{self.plain}"}),
            paste("backend-proxy-protocol.conf", {**words, ":8080": f":{self.proxy_protocol}"}),
            paste("backend-tls.conf", {**words, ":8443": f":{self.tls}"}),
            paste("same-server.conf", {**words, **own_proxy}),
        ]
        self.httpd = Httpd(mpm, "\n".join(parts), modules=_MODULES, children=1)

    def __enter__(self):
        self.httpd.__enter__()
        return self

    def __exit__(self, *error):
        _stop(self.httpd, error)

    def stop(self):
        self.httpd.stop()

    def live(self):
        """How many clients the plugin lifecycle has."""
        with RawClient(self.plain).upgrade("/ws/lifecycle") as observer:
            observer.send(frames.text("counts"))
            return int(observer.expect_text().split()[3]) - 1

    def addresses(self):
        """The access log of addresses: lines of client, peer, status and path."""
        return (self.httpd.root / "addresses.log").read_text().splitlines()


# ---- proxies ---------------------------------------------------------------------------------------


class Case(NamedTuple):
    """A file of conf/proxies, and the address of a Backend that it is meant for."""

    file: str
    backend: str = "plain"
    program: str = "httpd"
    before: str = ""  # configuration before the file
    modules: tuple = ()
    short_key: bool = True  # lets it through
    old_tunnel: bool = False  # as before 2.4.47: holds early frames back, knows no time limit


_MOD_PROXY = ("ssl", "proxy", "proxy_http")
_WSTUNNEL = (*_MOD_PROXY, "proxy_wstunnel")
_NO_FALLBACK = "ProxyWebsocketFallbackToProxyHttp Off\n"  # as it was before 2.4.47

CASES = {
    "nginx": Case("nginx.conf", program="nginx"),
    "nginx_tls": Case("nginx-tls-backend.conf", "tls", "nginx"),
    "mod_proxy": Case("mod_proxy.conf", modules=_MOD_PROXY),
    "mod_proxy_tls": Case("mod_proxy-tls-backend.conf", "tls", modules=_MOD_PROXY),
    "wstunnel": Case("mod_proxy_wstunnel.conf", modules=_WSTUNNEL),
    "wstunnel_alone": Case(
        "mod_proxy_wstunnel.conf", before=_NO_FALLBACK, modules=_WSTUNNEL, old_tunnel=True
    ),
    "wstunnel_tls": Case("mod_proxy_wstunnel-tls-backend.conf", "tls", modules=_WSTUNNEL),
    "mod_rewrite": Case("mod_rewrite.conf", modules=(*_WSTUNNEL, "rewrite")),
    "haproxy": Case("haproxy.cfg", program="haproxy", short_key=False),
    "haproxy_tls": Case("haproxy-tls-backend.cfg", "tls", "haproxy", short_key=False),
    "haproxy_tcp": Case("haproxy-tcp.cfg", "proxy_protocol", "haproxy"),
}


class Program:
    """nginx or HAProxy, in a directory and a process group of its own.

    files      name and text of its configuration files; @ROOT@ is the directory
    arguments  its command line, in the directory
    """

    def __init__(self, name, files, *arguments):
        self.name = name
        self.root = pathlib.Path(tempfile.mkdtemp(prefix=f"websocket-{name}-"))
        self.root.chmod(0o755)
        for file, text in files.items():
            (self.root / file).write_text(text.replace("@ROOT@", str(self.root)))
        self._arguments = arguments
        self._process = None

    def __enter__(self):
        path = shutil.which(self.name, path="/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin")
        assert path is not None, f"{self.name} is not installed"
        with open(self.root / "output", "ab") as output:
            self._process = subprocess.Popen(
                [path, *self._arguments],
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        httpd.running.append(self)
        return self

    def __exit__(self, *_):
        httpd.running.remove(self)
        group = self._process.pid
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            wait_until(lambda: not processes.group_of(group), 10, f"the end of {self.name}")
        except AssertionError:
            for pid in processes.group_of(group):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            raise
        finally:
            self._process.wait(patience(10))
        shutil.rmtree(self.root)

    def assert_alive(self):
        assert self._process.poll() is None, f"{self.name} ended:\n{self.log()}"

    def log(self):
        """All that it printed or logged."""
        files = (self.root / "output", self.root / "error.log")
        return "".join(file.read_text() for file in files if file.exists())


_NGINX = """
daemon off;
pid @ROOT@/nginx.pid;
error_log @ROOT@/error.log info;
worker_processes 1;
{user}
events {{ worker_connections 256; }}
http {{
    access_log @ROOT@/access.log;
    client_body_temp_path @ROOT@/body;
    proxy_temp_path @ROOT@/proxy;
    fastcgi_temp_path @ROOT@/fastcgi;
    uwsgi_temp_path @ROOT@/uwsgi;
    scgi_temp_path @ROOT@/scgi;
    {text}
}}
"""

_HAPROXY = """
global
    log stderr format raw local0
    maxconn 200
    nbthread 1
"""


def _nginx(text):
    user = unprivileged_user()
    line = f"user {user.pw_name} {grp.getgrgid(user.pw_gid).gr_name};" if user else ""
    files = {"nginx.conf": _NGINX.format(text=text, user=line)}
    return Program("nginx", files, "-p", ".", "-c", "nginx.conf", "-e", "error.log")


def _haproxy(text):
    files = {"global.cfg": _HAPROXY, "www.cfg": text}
    return Program("haproxy", files, "-db", "-f", "global.cfg", "-f", "www.cfg")


class Front:
    """A proxy for ws and wss in front of a backend. `with Front(...) as front:` starts it.

    edit       changes the text of the case's file
    directives configuration of the server, if that is httpd
    ca         certificate that the backend is believed by, if the case checks that
    words      more that is replaced in the file
    """

    def __init__(self, case, mpm, backend, *, edit=lambda text: text, directives="", ca=None, words=()):
        self.case = case
        self.backend = backend
        self._certificate = certificate = backend.certificate
        self.port, self.tls_port = _free_ports(2)
        address = f"127.0.0.1:{getattr(backend, case.backend)}"
        text = paste(
            case.file,
            {
                "127.0.0.1:8080": address,
                "127.0.0.1:8443": address,
                "listen 80;": f"listen 127.0.0.1:{self.port};",
                "listen 443 ssl;": f"listen 127.0.0.1:{self.tls_port} ssl;",
                "bind :80\n": f"bind 127.0.0.1:{self.port}\n",
                "bind :443 ssl": f"bind 127.0.0.1:{self.tls_port} ssl",
                "/etc/ssl/certs/example.pem": certificate.file,
                "/etc/ssl/private/example.key": certificate.key,
                "/etc/haproxy/example.pem": certificate.both,
                "/etc/ssl/certs/backend-ca.pem": (ca or certificate).file,
                **dict(words),
            },
        )
        text = case.before + edit(text)
        if case.program == "httpd":
            self.server = self._httpd(mpm, directives, text, case.modules)
        else:
            self.server = {"nginx": _nginx, "haproxy": _haproxy}[case.program](text)

    def _httpd(self, mpm, directives, text, modules):
        parts = [
            directives,
            f"Listen 127.0.0.1:{self.port}\nListen 127.0.0.1:{self.tls_port}",
            f"<VirtualHost 127.0.0.1:{self.port}>\n{text}</VirtualHost>",
            f"<VirtualHost 127.0.0.1:{self.tls_port}>\nSSLEngine On\n"
            f"SSLCertificateFile {self._certificate.file}\nSSLCertificateKeyFile {self._certificate.key}\n"
            f"{text}</VirtualHost>",
        ]
        return Httpd(mpm, "\n".join(parts), modules=modules)

    def __enter__(self):
        with contextlib.ExitStack() as started:
            started.enter_context(self.server)
            wait_until(self._listens, 10, "the proxy listening")
            started.pop_all()
        return self

    def __exit__(self, *error):
        _stop(self.server, error)

    def _listens(self):
        if isinstance(self.server, Program):
            self.server.assert_alive()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.tls_port)) == 0

    # ---- clients -----------------------------------------------------------------------------------

    def client(self, *, secure=False, source=None):
        """A connection to the port for ws, or to that for wss, from an address of this machine."""
        if secure:
            return TlsClient(self.tls_port, certificates.client_context(), source=source)
        return RawClient(self.port, source=source)

    def websocket(self, path, *, secure=False, source=None, **options):
        """An open WebSocket; options are those of handshake.request."""
        return self.client(secure=secure, source=source).upgrade(path, **{"host": HOST, **options})
