# SPDX-License-Identifier: Apache-2.0
"""Endpoints are put together when the configuration is read: whatever httpd merges for a request, the right one
applies, and plugins start as often as there are different ones."""

import random
import re
import signal

import pytest

import frames
import processes
from httpd import BUILD, Httpd
from lifecycle import parts
from waiting import SANITIZED, wait_until

_PROBE = f'SetHandler websocket-handler\nWebSocketHandler "{BUILD}/test/plugins/v1_probe.so" v1_loop_init\n'
_LIMITS = "".join(
    f'<Location "/many{"/x" * depth}">\nWebSocketMaxMessageSize {100 - depth}\n</Location>\n' for depth in range(12)
)
_PARTS = f"""
WebSocketOption greeting main
<Location "/shared">
    {_PROBE}
    WebSocketMaxMessageSize 64
    <If "%{{QUERY_STRING}} =~ /inside/">
        WebSocketMaxMessageSize 16
    </If>
</Location>
<Location "/shared/small">
    WebSocketMaxMessageSize 8
</Location>
<Location "/shared/open">
    WebSocketOriginCheck Off
</Location>
<LocationMatch "^/shared/(small/)?match">
    WebSocketMaxMessageSize 32
</LocationMatch>
<If "%{{QUERY_STRING}} =~ /short/">
    WebSocketMaxMessageSize 24
</If>
<If "%{{QUERY_STRING}} =~ /other/">
    WebSocketOption greeting other
</If>
<Location "/many">
    {_PROBE}
</Location>
{_LIMITS}
<Directory "@ROOT@/htdocs/files">
    {_PROBE}
    AllowOverride AuthConfig
    WebSocketMaxMessageSize 48
    <Files "small">
        WebSocketMaxMessageSize 8
    </Files>
</Directory>
<Location "/files/located">
    WebSocketMaxMessageSize 40
</Location>
<VirtualHost *:@PORT@>
    ServerName first.example
</VirtualHost>
<VirtualHost *:@PORT@>
    ServerName inherits.example
</VirtualHost>
<VirtualHost *:@PORT@>
    ServerName own.example
    WebSocketOption greeting own
    WebSocketMaxMessageSize 4
    <Location "/shared/small">
        WebSocketMaxMessageSize 12
    </Location>
</VirtualHost>
"""


@pytest.fixture(scope="module")
def server(mpm):
    httpd = Httpd(mpm, _PARTS)
    (httpd.root / "htdocs/files").mkdir()
    with httpd:
        yield httpd


def _check(server, path, greeting, most, host="first.example"):
    """The endpoint greets so, and takes messages of at most so many bytes."""
    with server.websocket(path, host=host) as client:
        client.expect_text(greeting)
        client.send(frames.text("x" * most))
        client.expect_text("unknown command")
        client.send(frames.text("x" * (most + 1)))
        client.expect_close(1009)


def _starts(server, since=0):
    """How often the plugin has started."""
    return len(re.findall(r"WS0414: \[v1_loop\] started", server.log(since)))


def _starts_of(server, visits):
    """How often it has started for these."""
    begin = server.log_size()
    for visit in visits:
        visit()
    return _starts(server, begin)


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/shared", 64),
        ("/shared/small", 8),
        ("/shared/match", 32),
        ("/shared/small/match", 32),
        ("/shared?inside", 16),
        ("/shared/small?inside", 16),
        ("/shared?short", 24),
        ("/shared/small?short", 24),
        ("/many", 100),
        ("/many/x/x", 98),
        ("/many/x/x/x/x/x/x/x/x/x", 91),
        ("/many/x/x/x/x/x/x/x/x/x/x/x", 89),
        ("/files/", 48),
        ("/files/small", 8),
        ("/files/located", 40),
        ("/files/small?short", 24),
    ],
)
def test_the_innermost_section_counts_each_time(server, path, most):
    for _ in range(2):
        _check(server, path, "main", most)


def test_a_condition_that_changes_from_request_to_request_is_obeyed(server):
    for _ in range(3):
        _check(server, "/shared", "main", 64)
        _check(server, "/shared?short", "main", 24)
        _check(server, "/shared?other", "other", 64)
        _check(server, "/shared?short&other", "other", 24)


def test_a_plugin_starts_once_for_all_that_have_the_same_settings(server):
    def visit(path, host="first.example"):
        return lambda: server.websocket(path, host=host).close()

    def settled(*visits):
        """All of them have started, and so start no more."""
        _starts_of(server, visits)
        return _starts_of(server, [*visits, *visits, *reversed(visits)])

    assert settled(visit("/shared"), visit("/shared/small"), visit("/shared?short"), visit("/many/x/x/x/x/x/x/x/x/x")) == 0
    # Only the handshake looks at the origin, and another way to the same limit leads to the same settings.
    assert _starts_of(server, [visit("/shared/open"), visit("/shared/small?short")]) == 0
    assert settled(visit("/shared", "own.example"), visit("/shared", "inherits.example")) == 0


@pytest.mark.parametrize(("path", "status"), [("/shared", 403), ("/shared/open", 101), ("/shared/small", 403)])
def test_an_inner_section_may_lift_the_check_of_the_origin(server, path, status):
    for _ in range(2):
        assert server.answer(path, headers=[("Origin", "http://evil.example")]).status == status


@pytest.mark.parametrize(
    ("host", "path", "greeting", "most"),
    [
        ("first.example", "/shared", "main", 64),
        ("inherits.example", "/shared", "main", 64),
        ("own.example", "/shared", "own", 64),
        ("own.example", "/shared/small", "own", 12),
        ("inherits.example", "/shared/small", "main", 8),
        ("own.example", "/shared?other", "other", 64),
    ],
)
def test_a_section_of_the_main_server_follows_each_virtual_host(server, host, path, greeting, most):
    for _ in range(2):
        _check(server, path, greeting, most, host)


def test_virtual_hosts_that_share_a_section_do_not_share_its_topics(server):
    with (
        server.websocket("/shared", host="first.example") as here,
        server.websocket("/shared", host="inherits.example") as there,
        server.websocket("/shared", host="first.example") as too,
    ):
        for client in (here, there, too):
            client.expect_text("main")
            client.send(frames.text("subscribe t"))
            client.expect_text("subscribed")
        here.send(frames.text("publish t hello"))
        too.expect_text("hello")
        there.send(frames.text("echo nothing came"))
        there.expect_text("nothing came")


def test_an_htaccess_file_counts_as_it_is_now(server):
    folder = server.root / "htdocs/files/shaped"
    folder.mkdir()

    def closes_with(code):
        with server.websocket("/files/shaped/", host="first.example") as client:
            client.expect_text("main")
            client.send(frames.close(2000))
            client.expect_close(code)

    def written(text, code):
        def visit():
            (folder / ".htaccess").write_text(text)
            closes_with(code)

        return visit

    on, off = "WebSocketAllowReservedStatusCodes On\n", "WebSocketAllowReservedStatusCodes Off\n"
    _starts_of(server, [written("", 1002), written(on, 2000)])
    again = [written(off, 1002), written(on, 2000), written("", 1002), written(on, 2000), written(off, 1002)]
    assert _starts_of(server, again) == 0
    # What is read for a request may lie where something else did for another.
    choices = random.Random(6455).choices([written(on, 2000), written(off, 1002)], k=50)
    assert _starts_of(server, choices) == 0
    _check(server, "/files/shaped/", "main", 48)
    (folder / ".htaccess").unlink()
    closes_with(1002)


def test_connections_keep_their_options_over_a_restart_that_changes_them(start_httpd, mpm):
    def configured(greeting, most):
        probe = f"{_PROBE}WebSocketOption greeting {greeting}\nWebSocketMaxMessageSize {most}\n"
        return parts(mpm, "WebSocketDrainTimeout 1h", f'<Location "/x">\n{probe}</Location>\n')

    server = start_httpd(configured("old", 64))
    old = [server.websocket("/x") for _ in range(20)]
    for client in old:
        client.expect_text("old")
    server.write_config(configured("new", 15))
    server.signal(signal.SIGUSR1)

    def greeted_anew():
        try:
            with server.websocket("/x") as client:
                return client.expect_text() == "new"
        except (OSError, AssertionError):  # of a child that has just been told to go
            return False

    wait_until(greeted_anew, 10, "a child with the new configuration")
    kept = old[len(old) // 2]  # its turn comes in half an hour
    kept.send(frames.text("echo " + "x" * 59))
    kept.expect_text("x" * 59)
    _check(server, "/x", "new", 15)
    kept.send(frames.text("x" * 65))
    kept.expect_close(1009)
    for client in old:
        client.close()


@pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps for a while what was freed")
def test_the_parent_keeps_no_endpoints_of_earlier_configurations(start_httpd):
    sections, hosts = 150, 20
    locations = "".join(f'<Location "/x{number}">\n{_PROBE}</Location>\n' for number in range(sections))
    names = "".join(
        f"<VirtualHost *:@PORT@>\nServerName host{number}.example\n</VirtualHost>\n" for number in range(hosts)
    )
    server = start_httpd(locations + names)

    def memory_after_restart():
        log = server.log_size()
        server.signal(signal.SIGUSR1)
        server.expect_log("resuming normal operations", log, 20)
        return int(processes.status(server.pid)["RssAnon"].split()[0])  # KiB

    settled = memory_after_restart()
    # An endpoint takes more than half a KiB.
    assert max(memory_after_restart() for _ in range(3)) - settled < sections * hosts / 2
    assert server.answer("/x0", host="host0.example").status == 101
