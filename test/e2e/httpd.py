# SPDX-License-Identifier: Apache-2.0
"""A real httpd in a directory of its own, started and stopped by a test."""

import base64
import contextlib
import functools
import hashlib
import itertools
import os
import pathlib
import pwd
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile

import cores
import handshake
import processes
from raw import RawClient
from waiting import SANITIZED, patience, wait_until

_TEST = pathlib.Path(__file__).resolve().parent.parent
_TOP = _TEST.parent
BUILD = (_TOP / os.environ.get("WEBSOCKET_BUILD", "build/release")).resolve()
PRELOAD = os.environ.get("WEBSOCKET_PRELOAD", "")

_MODULES = (
    "authn_core",
    "authn_file",
    "authz_core",
    "authz_host",
    "authz_user",
    "auth_basic",
    "alias",
    "env",
    "headers",
    "log_config",
    "mime",
    "reqtimeout",
    "setenvif",
    "status",
    "unixd",
)

# The servers that run now, so that the report of a failed test can show their logs.
running = []

# "wonderland"
_PASSWORD_HASH = "{SHA}" + base64.b64encode(hashlib.sha1(b"wonderland").digest()).decode()

# What no error log of a test server may contain. httpd tells a child again to end after 3 s, which one with a sanitizer
# may take on a busy machine, and kills it after 9.
_HARM = re.compile(
    r"exit signal|AddressSanitizer|ThreadSanitizer|LeakSanitizer|runtime error:|core dumped"
    r"|child process \d+ still did not exit" + (", sending a SIGKILL" if SANITIZED else "")
)

# What ends a process that goes wrong.
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)


def _apxs(variable):
    apxs = os.environ.get("APXS") or shutil.which("apxs") or shutil.which("apxs2")
    return subprocess.run([apxs, "-q", variable], capture_output=True, text=True, check=True).stdout.strip()


@functools.cache
def program():
    """Path of the httpd binary."""
    return os.environ.get("HTTPD") or f"{_apxs('SBINDIR')}/{_apxs('PROGNAME')}"


@functools.cache
def _compiled_in():
    listing = subprocess.run([program(), "-l"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^\s+(?:mod_)?(\w+)\.c$", listing, re.MULTILINE))


@functools.cache
def module_directory():
    return pathlib.Path(_apxs("LIBEXECDIR"))


def load_module(name):
    """The LoadModule line of a module of httpd; empty if it is compiled in."""
    if name in _compiled_in():
        return ""
    return f"LoadModule {name}_module {module_directory()}/mod_{name}.so\n"


def template(name, **words):
    """The text of test/httpd/NAME with @WORD@ replaced; @BUILD@ is always known, @ROOT@ when a server has one."""
    return _fill_in((_TEST / "httpd" / name).read_text(), BUILD=BUILD, **words)


def _fill_in(text, **words):
    return re.sub(r"@([A-Z_]+)@", lambda match: str(words.get(match[1], match[0])), text)


# Connections go through filters of mod_dumpio, which are there at this level only.
DUMPIO_LINES = "DumpIOInput On\nLogLevel dumpio:trace7 websocket:debug\n"


def location(path, plugin, *directives):
    """A <Location> served by a plugin: "echo", "dumb_increment", or a test plugin by its name."""
    shipped = f"plugins/mod_websocket_{plugin}.so"
    file = shipped if plugin in ("echo", "dumb_increment") else f"test/plugins/{plugin}.so"
    return section(path, file, f"{plugin}_init", *directives)


def shipped(path, name, *directives):
    """The same with one of the plugins whose names begin with websocket_."""
    return section(path, f"plugins/websocket_{name}.so", f"{name}_init", *directives)


def probe_section(path, kind, *directives):
    """The same with the test plugin v1_probe: `kind` is one of its functions, without v1_ and _init."""
    return section(path, "test/plugins/v1_probe.so", f"v1_{kind}_init", *directives)


def section(path, file, init, *directives):
    """A <Location> served by a plugin of the build."""
    lines = ["SetHandler websocket-handler", f'WebSocketHandler "{BUILD}/{file}" {init}', *directives]
    return f'<Location "{path}">\n' + "".join(f"    {line}\n" for line in lines) + "</Location>\n"


def several_children(count, *, threads=8, slots=None, spare=0):
    """Lines for so many children on each MPM, for Httpd(..., children=count).

    threads  of each, but with prefork
    slots    for children, those that drain included; as many as there are children if it is not given
    spare    with prefork: as many as `count` may be idle without being ended for it, and no more than this
    """
    slots = slots or count
    idle = f"    MinSpareServers {count}\n    MaxSpareServers {spare}\n" if spare else ""
    return f"""
<IfModule !mpm_prefork_module>
    ServerLimit {slots}
    StartServers {count}
    ThreadsPerChild {threads}
    MaxRequestWorkers {threads * count}
    MinSpareThreads {threads * count}
    MaxSpareThreads {threads * count}
</IfModule>
<IfModule mpm_prefork_module>
    ServerLimit {slots}
    MaxRequestWorkers {slots}
{idle}</IfModule>
"""


@functools.cache
def _ports():
    """Those below what the kernel hands to outgoing connections, in a random order, for ever.

    Processes of pytest-xdist have ports of their own each, so that none takes what another has found.
    """
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = list(range(20000 + process, 32000, processes))
    random.shuffle(ports)
    return itertools.cycle(ports)


def free_port():
    """A port to listen on, which nobody has been given for a long time."""
    for port in itertools.islice(_ports(), 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("found no free port")


def unprivileged_user():
    """Someone to run children as, as httpd insists on when it is started by root; None if it is not."""
    if os.getuid() != 0:
        return None
    for name in ("www-data", "apache", "httpd", "daemon", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("found no user to run the children as")


def _user():
    user = unprivileged_user()
    return f"User {user.pw_name}\nGroup #{user.pw_gid}" if user else ""


def _mpm_settings(mpm, children):
    if mpm == "prefork":
        return (
            f"StartServers {children}\nMinSpareServers 1\nMaxSpareServers {max(children, 2) + 1}\n"
            f"ServerLimit {children}\nMaxRequestWorkers {children}\nMaxConnectionsPerChild 0"
        )
    return (
        "StartServers 1\nServerLimit 1\nThreadsPerChild 25\nThreadLimit 25\nMaxRequestWorkers 25\n"
        "MinSpareThreads 1\nMaxSpareThreads 25\nMaxConnectionsPerChild 0"
    )


class Httpd:
    """One httpd. `with Httpd(...) as server:` starts it and leaves no process behind.

    parts     configuration after test/httpd/base.conf
    children  processes that serve under prefork; under event and worker there is one, of 25 threads
    files     limit of descriptors of the whole server, or a pair: the soft and the hard one
    modules   names of more modules; `without` those of ordinary ones to leave out
    preload   a shared object to load before everything else
    module    path of the module
    """

    def __init__(self, mpm, parts="", *, children=8, files=None, modules=(), without=(), preload="", module=None):
        self.name = self.mpm = mpm
        self._parts = parts
        self._children = children
        self._files = files
        self._modules = (*(name for name in _MODULES if name not in without), *modules)
        self._preload = preload
        self._module = module or BUILD / "mod_websocket.so"
        self._process = None
        self._restart_begun = None  # where the log of a restart begins that may not be over
        self._harmless = 0
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="websocket-e2e-"))
        self.root.chmod(0o755)
        (self.root / "htdocs").mkdir()
        (self.root / "cores").mkdir()
        (self.root / "cores").chmod(0o1777)  # httpd's children may be another user
        (self.root / "htdocs/index.html").write_text("a page\n")
        (self.root / "mime.types").write_text("text/html html\n")
        (self.root / "passwords").write_text("alice:" + _PASSWORD_HASH + "\n")
        self.port = free_port()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.stop()
        self.assert_unharmed()  # also when the test has failed: harm is worse
        self.remove()

    # ---- configuration -----------------------------------------------------------------------------

    def write_config(self, parts=None):
        """Writes httpd.conf, which nobody reads meanwhile, and returns its path."""
        self._await_restart()
        modules = "".join(load_module(name) for name in (f"mpm_{self.mpm}", *self._modules))
        modules += f"LoadModule websocket_module {self._module}\n"
        path = self.root / "httpd.conf"
        path.write_text(
            template(
                "base.conf",
                ROOT=self.root,
                PORT=self.port,
                LOAD_MODULES=modules,
                USER=_user(),
                MPM_SETTINGS=_mpm_settings(self.mpm, self._children),
                PARTS=_fill_in(self._parts if parts is None else parts, ROOT=self.root, PORT=self.port),
            )
        )
        return path

    def _command(self, *arguments):
        environment = dict(os.environ, LANG="C")
        if PRELOAD or self._preload:
            environment["LD_PRELOAD"] = PRELOAD or str(self._preload)
        environment["WEBSOCKET_FAIL_MEMORY"] = str(self.root / "out-of-memory")
        limits = [cores.LIMIT]
        if self._files is not None:
            files = self._files if isinstance(self._files, tuple) else (self._files, self._files)
            limits.append((resource.RLIMIT_NOFILE, files))
        return {
            "args": [program(), "-f", self.root / "httpd.conf", *arguments],
            "env": environment,
            "preexec_fn": lambda: [resource.setrlimit(*limit) for limit in limits],
            "stdin": subprocess.DEVNULL,
            "start_new_session": True,
        }

    def configtest(self, parts):
        """`httpd -t` with these parts: exit code and all that it printed."""
        self.write_config(parts)
        done = subprocess.run(
            **self._command("-t"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=patience(30),
            check=False,
        )
        return done.returncode, done.stdout

    # ---- life --------------------------------------------------------------------------------------

    def start(self):
        """Starts httpd and waits until it answers."""
        self.write_config()
        with open(self.root / "output", "ab") as output:
            self._process = subprocess.Popen(**self._command("-DFOREGROUND"), stdout=output, stderr=output)
        running.append(self)
        try:
            wait_until(self._answers, 20, "httpd answering")
        except BaseException:
            self.stop()
            self.assert_unharmed()
            raise

    def _answers(self):
        if self._process.poll() is not None:
            self._assert_no_crash()
            raise AssertionError(f"httpd ended with {self._process.returncode}:\n{self.output()}{self.log()}")
        try:
            return self.get("/index.html").status == 200
        except OSError:
            return False

    def stop(self):
        """Ends httpd the ordinary way, and by force what is left of it after that."""
        if self._process is None:
            return
        running.remove(self)
        group = self._process.pid
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            self._process.wait(patience(20))
            left = []
            wait_until(lambda: not processes.group_of(group), 5, "the end of the children")
        except (subprocess.TimeoutExpired, AssertionError):
            left = processes.group_of(group)
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            self._process.wait()
        self._assert_no_crash()
        self._process = None
        assert not left, f"had to kill {left} to stop httpd:\n{self.log()[-2000:]}"

    def kill(self):
        """Ends all of it at once, as a cut of the power does. start() begins anew."""
        running.remove(self)
        group = self._process.pid
        os.killpg(group, signal.SIGKILL)
        self._process.wait()
        self._process = None
        wait_until(lambda: not processes.group_of(group), 10, "the end of the children")

    def _settle(self):
        """Waits until no connection ends just now, if such a moment comes."""
        seen = []

        def quiet():
            seen.append([processes.sockets(child) for child in self.children()])
            return len(seen) >= 3 and seen[-1] == seen[-2] == seen[-3]

        with contextlib.suppress(AssertionError):  # with clients that come and go all the time it never does
            wait_until(quiet, 0.5, "the connections having ended")

    def stop_gracefully(self):
        """Lets httpd finish its requests and end, unless it has ended."""
        if self._process is not None:
            self._process.send_signal(signal.SIGWINCH)
            self._process.wait(patience(20))

    def remove(self):
        shutil.rmtree(self.root)

    def signal(self, number):
        """Sends a signal to the parent; after SIGHUP the children of before have ended.

        event may crash when it ends at once while a connection ends (close_worker_sockets in event.c uses a
        socket whose pool is gone). So there should be none that ends then, and none may come to an old child.
        """
        at_once = number in (signal.SIGHUP, signal.SIGTERM) and self.mpm == "event"
        self._await_restart()
        old = self.children() if at_once else []
        if at_once:
            self._settle()
        self._restart_begun = self.log_size() if number in (signal.SIGHUP, signal.SIGUSR1) else None
        self._process.send_signal(number)
        if at_once and number == signal.SIGHUP:
            wait_until(lambda: not any(map(processes.is_alive, old)), 15, "the end of the old children")

    def _await_restart(self):
        """A signal that comes while the parent restarts is lost."""
        if self._restart_begun is not None and self._process is not None and self._process.poll() is None:
            with contextlib.suppress(AssertionError):  # with another level or log nothing tells
                self.expect_log("resuming normal operations", self._restart_begun, 2)
        self._restart_begun = None

    def wait(self, seconds):
        """Waits until httpd has ended by itself; returns its exit status."""
        try:
            self._process.wait(patience(seconds))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"httpd did not end within {patience(seconds)} s") from None
        self._assert_no_crash()
        return self._process.returncode

    # ---- looking inside ----------------------------------------------------------------------------

    @property
    def pid(self):
        return self._process.pid

    def children(self):
        """Ids of the processes that serve."""
        return processes.children_of(self._process.pid)

    def abandon(self):
        """Kills the parent; returns the ids of the children that it leaves, for the caller to end."""
        self.signal(signal.SIGKILL)
        self.wait(5)
        return processes.group_of(self._process.pid)

    def child(self):
        """The one process that serves."""
        pids = self.children()
        assert len(pids) == 1, f"expected one child, there are {pids}"
        return pids[0]

    def log(self, start=0):
        """The error log from an offset (see log_size) on."""
        try:
            with open(self.root / "error.log", "rb") as file:
                file.seek(start)
                return file.read().decode("utf-8", "backslashreplace")
        except FileNotFoundError:
            return ""

    def log_size(self):
        log = self.root / "error.log"
        return log.stat().st_size if log.exists() else 0

    def output(self):
        """What httpd printed before it opened its log."""
        return (self.root / "output").read_text()

    def expect_log(self, pattern, start=0, seconds=5):
        """Waits for a line of the error log that matches a regular expression; returns the match."""
        return wait_until(
            lambda: re.search(pattern, self.log(start)), seconds, f"a log line like {pattern!r}"
        )

    def lines_told(self, name, start=0):
        """How many lines with an id there were, those that were left out included."""
        log = self.log(start)
        left_out = re.findall(rf"{name}: [^\n]*; (\d+) more such lines|(\d+) more lines {name} were", log)
        return log.count(f" {name}: ") + sum(int(a or b) for a, b in left_out)

    def _assert_no_crash(self):
        """The parent, whose end nobody logs, was not ended by a signal of its own making."""
        status = self._process.returncode
        assert -status not in _CRASHES, self._harm(f"it ended with {status}\n{self.log()[-3000:]}")

    def assert_unharmed(self):
        """No child crashed and no sanitizer spoke since the last call."""
        size = self.log_size()  # what comes while this is read is read the next time
        log = self.log(self._harmless) + self.output()
        self._harmless = size
        harm = _HARM.search(log)
        assert harm is None, self._harm(log[max(0, harm.start() - 1500):harm.end() + 3000])

    def _harm(self, what):
        return f"the server came to harm:\n{what}\n{cores.told(self.root / 'cores', program())}"

    def expect_harm(self, pattern, seconds=10):
        """Waits for a line that tells of harm which the test has done, and overlooks all up to now."""
        self.expect_log(pattern, self._harmless, seconds)
        self.forget_harm()

    def forget_harm(self):
        """What came to harm so far was what the test wanted."""
        self._harmless = self.log_size()

    def status(self):
        """/server-status?auto as a dictionary of strings."""
        body = self.get("/server-status?auto").body.decode()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in body.splitlines())}

    def await_free_workers(self, seconds=10):
        """Waits until no worker is busy but the one that says so."""
        wait_until(lambda: self.status()["BusyWorkers"] == "1", seconds, "all workers but that of the page being free")

    # ---- clients -----------------------------------------------------------------------------------

    def get(self, path):
        """One ordinary GET on a connection of its own."""
        with RawClient(self.port) as client:
            client.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            return client.read_response()

    def client(self, port=None, **options):
        """A TCP connection; options are those of RawClient."""
        return RawClient(port or self.port, **options)

    def answer(self, path="/echo", **options):
        """The response to one opening handshake (see handshake.request); the connection is dropped then."""
        with self.client() as client:
            client.send(handshake.request(path, **options))
            return client.read_response(head_only=options.get("method") == "HEAD")

    def ask(self, path, method="GET", *, headers=(), body=None, **options):
        """The response to one request that is no handshake; the connection is closed then."""
        if body is not None:
            headers = [*headers, ("Content-Length", len(body))]
        return self.answer(path, method=method, headers=headers, body=body or b"", **handshake.NONE, **options)

    def refusal(self, pattern, path="/echo", **options):
        """The line of the log that one opening handshake causes, and the response. It is tried again as long
        as the line is left out because many of its kind came before, and says so: a pattern has more than the id."""
        start = self.log_size()

        def written():
            response = self.answer(path, **options)
            line = re.search(rf"[^\n]*{pattern}[^\n]*", self.log(start))
            return line and (line[0], response)

        return wait_until(written, 10, f"a log line like {pattern!r}")

    def websocket(self, path, *, receive_buffer=None, **options):
        """An open WebSocket; options are those of handshake.request."""
        return RawClient(self.port, receive_buffer=receive_buffer).upgrade(path, **options)
