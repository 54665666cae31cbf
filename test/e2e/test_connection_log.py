# SPDX-License-Identifier: Apache-2.0
"""Lines about connections: in the error log at level info, and in logs of their own."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import time

import pytest

import frames
from httpd import Httpd, location
from test_docs import snippet
from waiting import wait_until

_TOP = pathlib.Path(__file__).resolve().parent.parent.parent
_ECHO = location("/echo", "echo", "WebSocketPingInterval 0")


def _log(*arguments):
    return "WebSocketLog " + " ".join(f'"{argument}"' for argument in arguments) + "\n"


def lines_of(path):
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    assert not text or text.endswith("\n"), f"half a line: {text[-200:]!r}"
    return text.splitlines()


def await_lines(path, count, seconds=5):
    """All lines of a log, once there are so many."""

    def there():
        text = path.read_text() if path.exists() else ""
        return text.endswith("\n") and len(text.splitlines()) >= count and text.splitlines()

    return wait_until(there, seconds, f"{count} lines in {path.name}")


def _echoing(server):
    """A WebSocket that is surely being served: httpd has let go of it."""
    client = server.websocket("/echo")
    client.send(frames.text("hello"))
    client.expect_text("hello")
    return client


def _echo_once(server):
    _echoing(server).close_handshake()


# ---- the error log ---------------------------------------------------------------------------------

_ENDS = location("/echo", "echo", "WebSocketCloseTimeout 300ms") + location(
    "/debug-in-vain", "debug", "WebSocketCloseTimeout 300ms"
) + location("/debug", "debug") + location("/dead", "echo", "WebSocketPingInterval 100ms", "WebSocketPongTimeout 100ms", "WebSocketCloseTimeout 300ms")


@pytest.fixture(scope="module")
def info_server(mpm):
    with Httpd(mpm, _ENDS) as server:
        yield server


@pytest.fixture
def info(info_server):
    yield info_server
    info_server.assert_unharmed()


def _client_closes(client):
    client.close_handshake(4321)


def _plugin_closes(client):
    client.send(frames.text("close"))
    client.expect_close(frames.NO_STATUS)


def _plugin_closes_in_vain(client):
    client.send(frames.text("close"))
    client.expect_close(frames.NO_STATUS, then_end=False)
    client.expect_end(3)


def _breaks_the_protocol(client):
    client.send(b"\xff\xff")
    client.expect_close(1002)


def _falls_silent(client):
    while client.next_frame() is not None:
        pass


_WAYS = {
    "client": ("/echo", _client_closes, "code 4321 by client, reason \"-\""),
    "end_of_stream": ("/echo", lambda client: client.close(), "code 1006 by client, reason \"stream ended without a Close\""),
    "reset": ("/echo", lambda client: client.reset(), "code 1006 by network, reason \"-\""),
    "plugin": ("/debug", _plugin_closes, "code 1000 by server, reason \"-\""),
    "plugin_in_vain": ("/debug-in-vain", _plugin_closes_in_vain, "code 1006 by server, reason \"-\""),
    "violation": ("/echo", _breaks_the_protocol, "code 1002 by server, reason \"a reserved bit is set\""),
    "dead": ("/dead", _falls_silent, "code 1011 by server, reason \"no sign of life after a Ping\""),
}


@pytest.mark.parametrize("way", _WAYS)
def test_each_connection_has_one_line_when_it_opens_and_one_when_it_closes(info, way):
    path, end, ending = _WAYS[way]
    start = info.log_size()
    with info.websocket(path) as client:
        opened = info.expect_log(
            rf'WS0131: opened ([0-9a-f]+): client 127\.0\.0\.1, location "{path}", user -, '
            r"subprotocol -, extensions -, transport tcp\n",
            start,
        )
        end(client)
    info.expect_log(
        rf'WS0132: closed {opened[1]}: client 127\.0\.0\.1, location "{path}", user -, subprotocol -, '
        r"extensions -, transport tcp, after \d+ ms, in \d+ messages and \d+ bytes, "
        rf"out \d+ messages and \d+ bytes, {re.escape(ending)}\n",
        start,
    )
    log = info.log(start)
    assert len(re.findall("WS0131", log)) == len(re.findall("WS0132", log)) == 1


def test_messages_and_bytes_of_both_ways_are_counted(info):
    start = info.log_size()
    with info.websocket("/echo") as client:
        client.send(frames.text("12345") + frames.ping(b"p"))
        assert {client.next_frame().opcode for _ in range(2)} == {frames.TEXT, frames.PONG}
        client.close_handshake()
    sent, received = (6 + 5) + (6 + 1) + (6 + 2), (2 + 5) + (2 + 1) + (2 + 2)
    info.expect_log(f"in 1 messages and {sent} bytes, out 1 messages and {received} bytes, code 1000", start)


def test_a_refused_client_has_no_lines(info):
    start = info.log_size()
    assert info.answer("/debug", headers=[("X-Refuse-Connection", "yes")]).status == 403
    assert info.answer("/echo", version=5).status == 400
    with info.websocket("/echo") as client:
        client.close_handshake()
    info.expect_log("WS0132", start)
    assert len(re.findall("WS0131", info.log(start))) == 1


def test_every_line_of_an_opening_has_one_of_a_close_when_httpd_stops(mpm):
    with Httpd(mpm, _ECHO) as server:
        clients = [_echoing(server) for _ in range(20)]
        wait_until(lambda: len(re.findall("WS0131", server.log())) == 20, 5, "20 openings")
        server.stop()
        log = server.log()
        opened = re.findall(r"\[pid (\d+).* WS0131: opened (\w+):", log)
        closed = re.findall(r"\[pid (\d+).* WS0132: closed (\w+):", log)
        assert sorted(opened) == sorted(closed) and len(opened) == 20
        assert len(re.findall(r"code 1001 by server, reason \"server is stopping\"", log)) == 20
        for client in clients:
            client.close()
        server.start()


def test_at_the_usual_level_nothing_is_said(start_httpd):
    server = start_httpd("LogLevel websocket:warn\n" + _ECHO)
    with server.websocket("/echo") as client:
        client.send(frames.text("hello"))
        client.expect_text("hello")
        client.close_handshake()
    server.stop()
    assert "WS013" not in server.log()
    server.start()


# ---- WebSocketLog: what is wrong with it -----------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["log", "%a %Z"], r'WebSocketLog: "%Z" is not allowed; a format may contain %%, %a, '),
        (["log", "%{x}w"], r'WebSocketLog: "%\{x\}w" is not allowed; a format may contain .*%\{closed-by\}w'),
        (["log", "%{User-Agent"], r'WebSocketLog: "%\{User-Agent" is not allowed; a format may contain '),
        (["log", "100%"], r'WebSocketLog: "%" is not allowed; a format may contain '),
        (["log", ""], r'WebSocketLog: "" is not allowed; a format may contain '),
        (["log", "%a", "Never"], r'WebSocketLog: "Never" is not allowed; the third argument is Close, Open or Both'),
        ([""], r"WebSocketLog takes one, two or three arguments"),
        (["|"], r'WebSocketLog: "\|" is not allowed; it takes a file, or a "\|" and a command'),
        ([], r"WebSocketLog takes one, two or three arguments"),
        (["log", "%a", "Close", "more"], r"WebSocketLog takes one, two or three arguments"),
    ],
)
def test_a_wrong_log_is_named(configtest, arguments, error):
    code, output = configtest(_log(*arguments))
    assert code != 0
    assert re.search(error, output), output


def test_a_log_belongs_to_a_server(configtest):
    code, output = configtest(f'<Location "/x">\n{_log("log")}</Location>\n')
    assert code != 0 and "WebSocketLog not allowed" in output, output
    code, output = configtest(f"<VirtualHost *:80>\n{_log('log')}</VirtualHost>\n")
    assert code == 0, output


@pytest.mark.parametrize("target", ["no/such/folder/log", "|/no/such/program"])
def test_a_log_that_cannot_be_opened_stops_the_start(mpm, target):
    server = Httpd(mpm, _log(target) + _ECHO)
    with pytest.raises(AssertionError, match="WS0134: cannot open WebSocketLog " + re.escape(target)):
        server.start()
    server.remove()


def test_the_page_about_logs_has_every_field_and_the_usual_format(configtest):
    page = (_TOP / "docs/logging.md").read_text()
    output = configtest(_log("log", "%Z"))[1]
    allowed = re.search(r"a format may contain (.*)\n", output)[1]
    fields = re.findall(r"%(?:\{[^}]*\})?[a-zA-Z%]", allowed)
    assert len(fields) > 30
    for field in fields:
        shown = re.sub(r"\{(s|ms|us)\}T", "{UNIT}T", field)
        assert f"`{shown}`" in page, f"{field} is not explained"
    source = (_TOP / "src/httpd/log/connection_log.cpp").read_text()
    usual = re.search(r"kDefaultFormat =\n(.*?);", source, re.DOTALL)[1]
    assert re.sub(r'"\s*"', "", usual).strip() in page


# ---- what it contains ------------------------------------------------------------------------------

_ALL = (
    "a=%a c=%{c}a A=%A h=%h u=%u U=%U q=%q v=%v V=%V P=%P L=%L i=%{User-Agent}i o=%{X-Debug-Header}o "
    "e=%{COLOUR}e id=%{id}w event=%{event}w sub=%{subprotocol}w ext=%{extensions}w version=%{version}w "
    "transport=%{transport}w t=%t end=%{end:sec}t D=%D T=%{ms}T I=%I O=%O in=%{messages-in}w "
    "out=%{messages-out}w code=%{code}w by=%{closed-by}w reason=%{reason}w %%"
)

_LOGGED = (
    "RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 127.0.0.1\n"
    + _log("@ROOT@/default.log")
    + _log("all.log", _ALL)
    + _log("escaped.log", r"%a \"%{User-Agent}i\" \"%{X-Long}i\" \"%{X-None}i\"")
    + _log("open.log", "%{event}w %{id}w %D %{code}w", "Open")
    + _log("both.log", "%{event}w %{id}w %D %{code}w", "Both")
    + location("/echo", "echo", 'SetEnv COLOUR "dark blue"')
    + location("/debug", "debug")
    + location(
        "/private",
        "echo",
        "AuthType Basic",
        'AuthName "private"',
        'AuthUserFile "@ROOT@/passwords"',
        "Require valid-user",
    )
    + "<VirtualHost *:@PORT@>\nServerName first.example\n</VirtualHost>\n"
    + "<VirtualHost *:@PORT@>\nServerName other.example\n"
    + _log("other.log", "%v %V %U")
    + "</VirtualHost>\n"
)


@pytest.fixture(scope="module")
def logged_server(mpm):
    with Httpd(mpm, _LOGGED, modules=["remoteip"]) as server:
        yield server


@pytest.fixture
def logged(logged_server):
    yield logged_server
    logged_server.assert_unharmed()
    wait_until(lambda: _all_written(logged_server), 5, "all lines of the test")


def _all_written(server):
    """Each opening has its close, in all logs."""
    try:
        both = [line.split()[0] for line in lines_of(server.root / "both.log")]
        closed = both.count("close")
        return both.count("open") == closed and all(
            len(lines_of(server.root / name)) == closed for name in ("default.log", "all.log", "escaped.log")
        )
    except AssertionError:  # a write is under way
        return False


def _last_line(server, name, client_does, path="/echo", **options):
    """The line that a connection leaves in a log."""
    log = server.root / name
    before = len(lines_of(log))
    with server.websocket(path, **options) as client:
        client_does(client)
    lines = await_lines(log, before + 1)
    assert len(lines) == before + 1
    return lines[-1]


def test_every_field_is_what_it_says(logged):
    def talk(client):
        client.send(frames.text("version"))
        client.expect_text()
        client.close_handshake(4000)

    started = time.time()
    line = _last_line(
        logged,
        "all.log",
        talk,
        "/debug?x=1",
        headers=[
            ("X-Forwarded-For", "192.0.2.9"),
            ("User-Agent", "tester"),
            ("Sec-WebSocket-Protocol", "a, b"),
            ("X-Choose-Subprotocol", "1"),
        ],
    )
    fields = dict(pair.split("=", 1) for pair in re.sub(r"t=\[.*?\]", "t=T", line).split(" ")[:-1])
    assert line.endswith(" %")
    wanted = {
        "a": "192.0.2.9",
        "c": "127.0.0.1",
        "A": "127.0.0.1",
        "h": "192.0.2.9",
        "u": "-",
        "U": "/debug",
        "q": "?x=1",
        "v": "first.example",
        "i": "tester",
        "o": "true",
        "e": "-",
        "event": "close",
        "sub": "b",
        "ext": "-",
        "version": "13",
        "transport": "tcp",
        "in": "1",
        "out": "1",
        "I": str(6 + 7 + 6 + 2),
        "O": str(2 + 1 + 2 + 2),
        "code": "4000",
        "by": "client",
        "reason": "-",
    }
    assert {name: fields[name] for name in wanted} == wanted
    assert int(fields["P"]) in logged.children()
    assert int(fields["T"]) == int(fields["D"]) // 1000
    assert started - 2 < int(fields["end"]) < time.time() + 2
    assert re.search(r" t=\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] ", line)


def test_user_and_environment_are_those_of_the_handshake(logged):
    authorization = ("Authorization", "Basic YWxpY2U6d29uZGVybGFuZA==")
    line = _last_line(logged, "all.log", lambda c: c.close_handshake(), "/private", headers=[authorization])
    assert " u=alice " in line
    assert " e=dark blue " in _last_line(logged, "all.log", lambda c: c.close_handshake())


def test_the_usual_format_has_all_that_matters(logged):
    line = _last_line(logged, "default.log", lambda c: c.close_handshake())
    assert re.fullmatch(
        r'127\.0\.0\.1 - \[[^]]+\] first\.example "/echo" tcp - \d+ 0 8 0 4 1000 client', line
    ), line


def test_what_a_client_sends_cannot_forge_a_line(logged):
    evil = 'x" y\\ \t \x80'.encode("latin-1")
    line = _last_line(
        logged, "escaped.log", lambda c: c.close(), headers=[("User-Agent", evil), ("X-Long", "l" * 5000)]
    )
    assert line == r'127.0.0.1 "x\" y\\ \t \x80" "' + "l" * 1024 + '" "-"'


def test_lines_are_written_when_a_connection_opens_if_wanted(logged):
    opened, both = logged.root / "open.log", logged.root / "both.log"
    before, before_both = len(lines_of(opened)), len(lines_of(both))
    with logged.websocket("/echo") as client:
        line = await_lines(opened, before + 1)[-1]
        name = re.fullmatch(r"open (\w+) - -", line)[1]
        assert await_lines(both, before_both + 1)[-1] == line
        client.close_handshake()
    assert re.fullmatch(rf"close {name} \d+ 1000", await_lines(both, before_both + 2)[-1])
    assert len(lines_of(opened)) == before + 1


def test_a_virtual_host_with_a_log_of_its_own_uses_no_other(logged):
    before = len(lines_of(logged.root / "all.log"))
    line = _last_line(logged, "other.log", lambda c: c.close_handshake(), host="other.example")
    assert line == "other.example other.example /echo"
    _last_line(logged, "all.log", lambda c: c.close_handshake())
    assert len(lines_of(logged.root / "all.log")) == before + 1


def test_many_connections_at_once_leave_whole_lines(logged):
    log = logged.root / "both.log"
    before = len(lines_of(log))
    clients = [logged.websocket("/echo") for _ in range(100)]
    for client in clients:
        client.reset()
    new = await_lines(log, before + 200)[before:]
    names = [line.split()[1] for line in new]
    assert len(new) == 200 and all(re.fullmatch(r"(open|close) \w+ (-|\d+) (-|1006)", line) for line in new)
    events = sorted((line.split()[1], line.split()[0]) for line in new)
    if logged.mpm != "prefork":  # there each of the children has names of its own
        assert len(set(names)) == 100 and len(set(events)) == 200


# ---- where it goes ---------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("rotatelogs") is None, reason="rotatelogs is not installed")
def test_rotatelogs_gets_the_lines(start_httpd):
    rotatelogs = shutil.which("rotatelogs")
    server = start_httpd(_log(f"|{rotatelogs} -n 3 @ROOT@/rotated 3600", "%{event}w %{code}w") + _ECHO)
    for _ in range(5):
        _echo_once(server)
    assert await_lines(server.root / "rotated", 5) == ["close 1000"] * 5


def _runs(words):
    """Whether a process has these in its command line."""
    for one in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if words.encode() in one.read_bytes().replace(b"\0", b" "):
                return True
    return False


@pytest.mark.each_mpm
@pytest.mark.skipif(shutil.which("rotatelogs") is None, reason="rotatelogs is not installed")
@pytest.mark.parametrize(
    ("how", "code"),
    [(signal.SIGUSR1, 1012), (signal.SIGHUP, 1001), (signal.SIGTERM, 1001)],
    ids=["graceful", "restart", "stop"],
)
def test_a_command_that_ignores_signals_gets_all_lines(mpm, how, code):
    command = snippet(_TOP / "docs/logging.md", "apache", "trap")
    command = command.replace("/usr/bin/rotatelogs", shutil.which("rotatelogs"))
    command = command.replace("/var/log/apache2/websocket.%Y%m%d", "@ROOT@/rotated/log").rstrip() + ' "%{event}w" Both\n'
    server = Httpd(mpm, "WebSocketDrainTimeout 2s\n" + command + _ECHO, children=10)
    folder = server.root / "rotated"
    folder.mkdir()

    def lines():
        return [line for file in folder.iterdir() for line in file.read_text().splitlines()]

    with server:
        clients = [_echoing(server) for _ in range(8)]
        if how == signal.SIGTERM:
            server.stop()
        else:
            server.signal(how)
        for client in clients:
            client.expect_close(code)
        wait_until(lambda: len(lines()) >= 16, 10, "all lines")
        assert sorted(lines()) == ["close"] * 8 + ["open"] * 8
        if how == signal.SIGTERM:
            wait_until(lambda: not _runs(f"{server.root}/rotated"), 10, "the end of the command")
            server.start()


@pytest.mark.skipif(os.getuid() != 0, reason="only root has a folder that the children cannot write to")
def test_the_parent_opens_the_file_as_root(mpm):
    server = Httpd(mpm, _log("@ROOT@/secret/log", "%{code}w") + _ECHO, children=1)
    (server.root / "secret").mkdir(mode=0o700)
    with server:
        _echo_once(server)
        assert await_lines(server.root / "secret/log", 1) == ["1000"]


@pytest.mark.each_mpm
@pytest.mark.parametrize(
    ("how", "end"),
    [(signal.SIGUSR1, "1012 connect again"), (signal.SIGHUP, "1001 server is stopping")],
    ids=["graceful", "restart"],
)
def test_a_restart_goes_on_with_a_new_file_when_the_old_one_was_renamed(start_httpd, how, end):
    server = start_httpd("WebSocketDrainTimeout 1s\n" + _log("@ROOT@/log", "%{code}w %{reason}w") + _ECHO)
    _echo_once(server)
    with _echoing(server) as client:
        await_lines(server.root / "log", 1)
        (server.root / "log").rename(server.root / "log.1")
        old = set(server.children())
        server.signal(how)
        client.expect_close(int(end[:4]))
    wait_until(lambda: server.children() and not old & set(server.children()), 10, "new children")
    # The old child has written the close of its connection where it was told to.
    assert lines_of(server.root / "log.1") == ["1000 -", end]
    _echo_once(server)
    assert await_lines(server.root / "log", 1) == ["1000 -"]


def test_a_log_that_nobody_reads_holds_nobody_up(start_httpd):
    server = start_httpd(
        _log("|/usr/bin/tail -f /dev/null", "%{X-Long}i" * 3, "Both")
        + _log("@ROOT@/other.log", "%{code}w")
        + _ECHO
    )
    long = ("X-Long", "l" * 1024)
    with server.websocket("/echo") as steady:
        slowest = 0
        for _ in range(300):  # 1.8 MB of lines: more than the pipe and the queue hold
            with server.websocket("/echo", headers=[long]) as client:
                client.close_handshake()
            begun = time.monotonic()
            steady.send(frames.text("still"))
            steady.expect_text("still")
            slowest = max(slowest, time.monotonic() - begun)
        print(f"slowest echo beside a stuck log on {server.mpm}: {slowest * 1000:.1f} ms")
        server.expect_log(r"WS0133: \d+ lines of WebSocketLog \|/usr/bin/tail -f /dev/null are lost")
        assert len(await_lines(server.root / "other.log", 300)) == 300
    lines = re.findall("WS0133", server.log())
    assert len(lines) < 30


def test_a_full_disk_costs_lines_and_nothing_else(start_httpd):
    server = start_httpd(_log("/dev/full", "%{code}w") + _ECHO)
    for _ in range(3):
        _echo_once(server)
    server.expect_log(r"WS0133: 1 lines of WebSocketLog /dev/full are lost")


def test_the_last_lines_are_written_when_httpd_stops(mpm):
    with Httpd(mpm, _log("@ROOT@/log", "%{code}w %{closed-by}w") + _ECHO) as server:
        clients = [_echoing(server) for _ in range(50)]
        server.stop()
        assert lines_of(server.root / "log") == ["1001 server"] * 50
        for client in clients:
            client.close()
        server.start()
