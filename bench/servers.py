"""The servers under measurement: a private httpd with the module, and echo servers to compare with."""

import argparse
import contextlib
import ctypes
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

START_SECONDS = 15
STOP_SECONDS = 10
PR_SET_PDEATHSIG = 1
HIGHEST_PRIORITY = -20


class BenchError(Exception):
    """Ends the run with one line of text."""


@dataclass
class Server:
    """One row of the tables. `pid` is the process that serves, None if it is unknown."""

    name: str
    url: str
    pid: int | None = None
    ours: bool = False
    options: list[str] = field(default_factory=list)  # of its load program, besides those of the case


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def go_first() -> None:
    """For preexec_fn, in a session of its own: before all else on the machine, where that is allowed. What counts
    between sessions is the priority of the group that Linux makes of each, if it makes any."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, HIGHEST_PRIORITY)
        if os.getsid(0) == os.getpid():  # never the group of a shell
            Path("/proc/self/autogroup").write_text(str(HIGHEST_PRIORITY))


def goes_first() -> bool:
    done = subprocess.run(["nice"], capture_output=True, text=True, start_new_session=True, preexec_fn=go_first)
    return done.stdout.strip() == str(HIGHEST_PRIORITY)


def pinned(core: int | None, first: bool = True):
    """For preexec_fn: one core for the process and its children (None: any), and whether they go first there; the process
    dies with this one."""

    libc = ctypes.CDLL(None, use_errno=True)

    def apply() -> None:
        if core is not None:
            os.sched_setaffinity(0, {core})
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if first:
            go_first()

    return apply


def wait_until(condition, what: str, seconds: float = START_SECONDS):
    """Polls until `condition` returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise BenchError(f"{what}: nothing within {seconds} s")
        time.sleep(0.02)
    return value


def make_certificate(folder: Path) -> None:
    """server.pem and server.key, as most servers on the web have them: ECDSA with P-256."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", "server.key",
                    "-out", "server.pem"], cwd=folder, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def answers(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port or 80), timeout=1).close()
    except OSError:
        return False
    return True


def stop(process: subprocess.Popen, seconds: float = STOP_SECONDS) -> None:
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def start(command: list[str], core: int | None, url: str, log: Path, seconds: float = START_SECONDS,
          first: bool = True) -> subprocess.Popen:
    """Starts a server in a session of its own and waits until it accepts connections."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   start_new_session=True, preexec_fn=pinned(core, first))

    def ready() -> bool:
        if process.poll() is not None:
            text = log.read_text(errors="replace").strip()
            raise BenchError(f"{shlex.join(command)} ended with {process.returncode}: {text}")
        return answers(url)

    try:
        wait_until(ready, shlex.join(command), seconds)
    except BaseException:
        stop(process)
        raise
    return process


@dataclass
class Peer:
    """Another echo server: already running (`url`), or a command that is started when needed. What stands in braces in
    the command is replaced; empty are {certificate} and {key} without TLS, and {broadcast} of one that echoes."""

    name: str
    url: str = ""
    pid: int | None = None
    command: str = ""
    core: int = 0
    tls: bool = False
    mode: str = "off"  # of compression: off, shared or dedicated
    broadcast: bool = False
    _process: subprocess.Popen | None = field(default=None, repr=False)
    _log: tempfile.TemporaryDirectory | None = field(default=None, repr=False)

    def __enter__(self) -> list[Server]:
        if not self.command:
            if not answers(self.url):
                raise BenchError(f"{self.name}: nothing answers at {self.url}")
            return [Server(self.name, self.url, self.pid)]
        port = free_port()
        url = f"{'wss' if self.tls else 'ws'}://127.0.0.1:{port}/"
        self._log = tempfile.TemporaryDirectory(prefix="bench-")
        folder = Path(self._log.name)
        words = {"port": str(port), "mode": self.mode, "broadcast": "--broadcast" if self.broadcast else "",
                 "certificate": str(folder / "server.pem") if self.tls else "",
                 "key": str(folder / "server.key") if self.tls else ""}
        if self.tls:
            make_certificate(folder)
        text = self.command
        for name, value in words.items():
            text = text.replace("{" + name + "}", value)
        command = shlex.split(text)
        self._process = start(command, self.core, url, Path(self._log.name, "log"))
        return [Server(self.name, url, self._process.pid)]

    def serves(self, tls: bool, broadcast: bool, compressed: bool) -> bool:
        """Whether its command can be told to."""
        wanted = [word for word, needed in (("{certificate}", tls), ("{broadcast}", broadcast), ("{mode}", compressed))
                  if needed]
        return all(word in self.command for word in wanted)

    def __exit__(self, *_) -> None:
        if self._process:
            stop(self._process)
            self._log.cleanup()


@dataclass
class Httpd:
    """httpd with the module and plugins that echo, or one that broadcasts: an event loop a child, one core."""

    program: str
    build: Path
    modules: Path
    core: int | None = 0
    directives: list[str] = field(default_factory=list)
    tls: bool = False
    broadcast: bool = False
    children: int = 1
    own_locations: dict[str, list[str]] | None = None  # instead of the usual ones
    under: list[str] = field(default_factory=list)  # a program that runs httpd, with its options
    start_seconds: float = START_SECONDS
    first: bool = True  # before all else on its core
    _process: subprocess.Popen | None = field(default=None, repr=False)
    _root: tempfile.TemporaryDirectory | None = field(default=None, repr=False)

    ECHOES = {
        "inline": ["mod_websocket_echo.so echo_init", "WebSocketDispatch Inline"],
        "pool": ["mod_websocket_echo.so echo_init", "WebSocketDispatch Pool"],
        "v1": ["websocket_echo.so echo_init"],
    }
    BROADCASTS = {"broadcast": ["websocket_broadcast.so broadcast_init"]}

    @property
    def locations(self) -> dict[str, list[str]]:
        """The plugin of each path, and further lines."""
        if self.own_locations is not None:
            return self.own_locations
        return self.BROADCASTS if self.broadcast else self.ECHOES

    def _own_module(self, name: str) -> list[str]:
        """httpd's own modules are compiled in or not, as each distribution likes."""
        return [f"<IfModule !{name}_module>", f"LoadModule {name}_module {self.modules}/mod_{name}.so",
                "</IfModule>"]

    def configuration(self, root: Path, port: int) -> str:
        lines = [
            f"ServerRoot {root}", f"DefaultRuntimeDir {root}", f"PidFile {root}/pid",
            f"DocumentRoot {root}/htdocs", "ServerName localhost", f"Listen 127.0.0.1:{port}",
            f"ErrorLog {root}/log", "LogLevel warn",
            *self._own_module("mpm_event"), *self._own_module("unixd"), *self._own_module("authz_core"),
            f"StartServers {self.children}", f"ServerLimit {self.children}", "ThreadsPerChild 25",
            f"MaxRequestWorkers {25 * self.children}", f"MinSpareThreads {25 * self.children}",
            f"MaxSpareThreads {25 * self.children}", "MaxConnectionsPerChild 0", "ListenBacklog 1024",
            f"LoadModule websocket_module {self.build}/mod_websocket.so", "WebSocketThreads 1",
        ]
        if os.geteuid() == 0:
            user = next(u for u in pwd.getpwall() if u.pw_name in ("www-data", "apache", "daemon", "nobody"))
            lines += [f"User {user.pw_name}", f"Group #{user.pw_gid}"]
        if self.tls:
            lines += [*self._own_module("ssl"), "SSLEngine on", f"SSLCertificateFile {root}/server.pem",
                      f"SSLCertificateKeyFile {root}/server.key"]
        lines += self.directives
        for path, (plugin, *more) in self.locations.items():
            lines += [f"<Location /{path}>", "SetHandler websocket-handler",
                      f"WebSocketHandler {self.build}/plugins/{plugin}", *more,
                      "WebSocketMaxMessageSize 64M", "</Location>"]
        return "\n".join(lines) + "\n"

    def __enter__(self) -> list[Server]:
        self._root = tempfile.TemporaryDirectory(prefix="bench-")
        root = Path(self._root.name)
        root.chmod(0o755)  # the child runs as another user
        (root / "htdocs").mkdir()
        port = free_port()
        if self.tls:
            make_certificate(root)
        (root / "conf").write_text(self.configuration(root, port))
        url = f"{'wss' if self.tls else 'ws'}://127.0.0.1:{port}/"
        command = [*self.under, self.program, "-d", str(root), "-f", str(root / "conf"), "-D", "FOREGROUND"]
        try:
            self._process = start(command, self.core, url, root / "output", self.start_seconds, self.first)
            child = wait_until(self._child, "the child of httpd", self.start_seconds)
        except BenchError as error:
            log = root / "log"
            text = log.read_text(errors="replace").strip() if log.exists() else ""
            self.__exit__()
            raise BenchError(f"{error}\n{text}".strip()) from None
        only = child if self.children == 1 else None  # whose CPU time is the server's
        return [Server(f"httpd {path}", url + path, only, ours=True) for path in self.locations]

    def _child(self) -> int | None:
        """One that serves: httpd may also have a bridge to other hosts."""
        parent = self._process.pid
        program = Path(f"/proc/{parent}/comm").read_text()
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return next((int(child) for child in children if Path(f"/proc/{child}/comm").read_text() == program), None)

    def __exit__(self, *_) -> None:
        if self._process:
            stop(self._process, max(STOP_SECONDS, self.start_seconds))
            self._process = None
        self._root.cleanup()


def add_httpd_arguments(parser: argparse.ArgumentParser) -> None:
    """What says which httpd and which load programs run, and on which cores."""
    parser.add_argument("--build", type=lambda path: Path(path).resolve(),
                        default=Path(__file__).resolve().parents[1] / "build" / "release",
                        help="directory with mod_websocket.so, plugins/ and bench/ (build/release)")
    parser.add_argument("--httpd", help="the httpd program")
    parser.add_argument("--modules", type=Path, help="directory of httpd's own modules")
    parser.add_argument("--directive", action="append", default=[], metavar="LINE",
                        help="one more line of the httpd configuration")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--client-core", type=int, default=1)


def chosen_httpd(arguments: argparse.Namespace, directives: list[str], **more) -> Httpd:
    return Httpd(arguments.httpd or find_httpd(), arguments.build, arguments.modules or find_modules(),
                 arguments.server_core, directives, **more)


def find_httpd() -> str:
    for name in ("apache2", "httpd", "/usr/sbin/apache2", "/usr/sbin/httpd"):
        if path := shutil.which(name):
            return path
    raise BenchError("no httpd found; name it with --httpd")


def find_modules() -> Path:
    apxs = shutil.which("apxs") or shutil.which("apxs2")
    if apxs:
        return Path(subprocess.check_output([apxs, "-q", "LIBEXECDIR"], text=True).strip())
    return Path("/usr/lib/apache2/modules")
